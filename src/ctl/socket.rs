//! Which daemon is meant: the path of its socket, or its URL.

use std::path::{Path, PathBuf};

use crate::config::default_config_path;
use crate::config::document::Document;
use crate::models::{DEFAULT_SOCKET_PATH, Dialect};

/// The socket or URL: of `-s`, of the configuration that `-c` names, of the environment, or the default one. They may
/// be of two daemons: both at once are an error, since a command for the wrong one is worse than none.
pub(super) fn socket(socket: Option<&str>, configuration: Option<&str>) -> Result<String, String> {
    match (socket, configuration) {
        (Some(_), Some(_)) => return Err("-s and -c both say which daemon is meant; give one of them".to_owned()),
        (Some(socket), None) => return Ok(plain(socket)),
        (None, Some(file)) => return configured_socket(Path::new(file)),
        (None, None) => {}
    }
    let variable = |name: &str| std::env::var(name).ok().filter(|socket| !socket.is_empty());
    let environment = variable("SUPERVICE_URL").or_else(|| variable("SUPERVICE_SOCKET"));
    Ok(environment
        .map_or_else(|| socket_by_default(DEFAULT_SOCKET_PATH, default_config_path()), |socket| plain(&socket)))
}

/// Where nobody has said which: the default socket, and where there is none, that of the file which a daemon would read
/// here, as supervisorctl has it. A file that names no socket, or is wrong, says nothing.
fn socket_by_default(default: &str, file: Option<PathBuf>) -> String {
    let of_file = || file.and_then(|file| configured_socket(&file).ok());
    let known = Some(default).filter(|path| Path::new(path).exists()).map(str::to_owned);
    known.or_else(of_file).unwrap_or_else(|| default.to_owned())
}

/// The path alone of what supervisorctl calls a URL: `unix:///run/supervice.sock`.
fn plain(socket: &str) -> String {
    socket.strip_prefix("unix://").unwrap_or(socket).to_owned()
}

/// The socket that a configuration names. Nothing else of it is checked: it may be wrong, or of another machine.
fn configured_socket(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        format!("cannot read {shown}: {}; name a socket with -s", crate::util::errno::reason(&error))
    })?;
    let document = Document::from_text_of(&text, path).map_err(|error| error.trim_end().to_owned())?;
    let found = crate::config::socket_of(&document);
    let directory = path.canonicalize().ok().and_then(|path| path.parent().map(Path::to_owned));
    let here = directory.map_or_else(String::new, |directory| directory.display().to_string());
    let expand = |value: &str| match document.dialect {
        Dialect::Supervice => value.trim().to_owned(),
        Dialect::Supervisord => value.trim().replace("%(here)s", &here),
    };
    match found.map(expand) {
        None => Ok(DEFAULT_SOCKET_PATH.to_owned()),
        Some(value) if value.is_empty() || value.eq_ignore_ascii_case("none") => {
            Err(format!("{shown} says that the daemon has no socket; name one with -s"))
        }
        Some(value) => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_is_said_the_default_socket_counts_and_then_the_file_that_a_daemon_would_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name).display().to_string();
        let (socket, file) = (path("default.sock"), path("supervisord.conf"));
        std::fs::write(&file, "[supervisord]\n[unix_http_server]\nfile = %(here)s/s.sock\n").expect("written");
        let found = |file: &str| socket_by_default(&socket, Some(PathBuf::from(file)));
        let expected = directory.path().canonicalize().expect("it is there").join("s.sock");
        assert_eq!(found(&file), expected.display().to_string());
        assert_eq!((found("/none/there"), socket_by_default(&socket, None)), (socket.clone(), socket.clone()));
        std::fs::write(&socket, "").expect("written");
        assert_eq!(found(&file), socket, "what is there comes first");
    }

    #[test]
    fn a_socket_may_be_written_as_supervisorctl_has_it() {
        assert_eq!(socket(Some("unix:///run/x.sock"), None), Ok("/run/x.sock".to_owned()));
        assert_eq!(socket(Some("/run/x.sock"), None), Ok("/run/x.sock".to_owned()));
    }

    #[test]
    fn a_fault_of_the_file_names_it() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "[supervisord]\nstray\n").expect("written");
        let shown = file.path().display().to_string();
        let told = socket(None, Some(&shown)).expect_err("a fault");
        assert!(told.starts_with(&format!("{shown}:2: [supervisord] `stray`")), "{told}");
    }
}
