//! What `restart_on_change` of a program stands for: paths as this process sees them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::split_command;
use crate::control::server::WatchedPath;
use crate::models::{ChangePath, ProgramConfig};

/// Where programs are looked up where nobody says that.
const DEFAULT_PATH: &str = "/usr/local/bin:/bin:/usr/bin";

/// The paths that are watched for a program.
pub(super) fn watched_paths(config: &ProgramConfig) -> Arc<[WatchedPath]> {
    let paths = config.restart.on_change.iter().map(|path| match path {
        ChangePath::Path(path) => WatchedPath { name: path.as_str().into(), candidates: vec![path.into()] },
        ChangePath::Command => {
            let words = split_command(&config.command).unwrap_or_default();
            let name = words.first().map_or("", String::as_str);
            WatchedPath { name: name.into(), candidates: candidates(config, name) }
        }
    });
    paths.collect()
}

/// Where the program may be that is executed.
fn candidates(config: &ProgramConfig, name: &str) -> Vec<PathBuf> {
    let directory = config.directory.as_deref().map_or(Path::new(""), Path::new);
    let inside = |path: PathBuf| match &config.confinement.chroot {
        Some(root) => Path::new(root).join(path.strip_prefix("/").unwrap_or(&path)),
        None => path,
    };
    if name.contains('/') {
        return vec![inside(directory.join(name))];
    }
    let own = std::env::var("PATH").ok();
    let path = config.environment.get("PATH").or(own.as_ref()).map_or(DEFAULT_PATH, String::as_str);
    path.split(':').map(|place| inside(directory.join(place).join(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_where_the_child_will_look_it_up() {
        let mut config = ProgramConfig::new("app", "app --option");
        config.restart.on_change = vec![ChangePath::Command, ChangePath::Path("/etc/app".to_owned())];
        config.environment.insert("PATH".to_owned(), "/a:b".to_owned());
        config.directory = Some("/srv".to_owned());
        let paths = watched_paths(&config);
        let told: Vec<(&str, usize)> = paths.iter().map(|path| (&*path.name, path.candidates.len())).collect();
        assert_eq!(told, [("app", 2), ("/etc/app", 1)]);
        assert_eq!(paths[0].candidates, [Path::new("/a/app"), Path::new("/srv/b/app")]);
        config.confinement.chroot = Some("/jail".to_owned());
        assert_eq!(watched_paths(&config)[0].candidates, [Path::new("/jail/a/app"), Path::new("/jail/srv/b/app")]);
        config.command = "./bin/app".to_owned();
        assert_eq!(watched_paths(&config)[0].candidates, [Path::new("/jail/srv/./bin/app")]);
    }
}
