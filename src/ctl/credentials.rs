//! Who we are to a daemon that is asked by HTTP: from the environment, else from a file that nobody else can read.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::sys::guarded_path::{self, Access};

/// The name and password for this daemon; with an empty name the password is a token.
pub(super) fn credentials(url: &str) -> Result<Option<(String, String)>, String> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(password) = variable("SUPERVICE_PASSWORD") {
        return Ok(Some((variable("SUPERVICE_USER").unwrap_or_default(), password)));
    }
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".config"));
    let directory = variable("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home);
    directory.map_or(Ok(None), |directory| of_file(&directory.join("supervice/credentials"), url))
}

/// The file has a line for each daemon: its URL, and `NAME:PASSWORD` or a token.
fn of_file(path: &Path, url: &str) -> Result<Option<(String, String)>, String> {
    let shown = path.display();
    let failed = |error: std::io::Error| format!("{shown}: {}", crate::util::errno::reason(&error));
    let file = match guarded_path::open(path, Access::Read) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
        return Err(format!("{shown}: others can read it; chmod 600 {shown}"));
    }
    let text = std::io::read_to_string(file).map_err(failed)?;
    Ok(of_text(&text, url))
}

fn of_text(text: &str, url: &str) -> Option<(String, String)> {
    let mut lines = text.lines().filter_map(|line| line.trim().split_once(char::is_whitespace));
    let (_, secret) = lines.find(|(known, _)| known.trim_end_matches('/') == url.trim_end_matches('/'))?;
    let (user, password) = secret.trim().split_once(':').unwrap_or(("", secret.trim()));
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_daemon_has_a_name_and_a_password_or_a_token() {
        let text = "# mine\nhttp://a:1 alice:pa:ss\nhttp://b:2/\ttoken\n";
        let of = |url: &str| of_text(text, url);
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!((of("http://a:1/"), of("http://b:2")), (pair("alice", "pa:ss"), pair("", "token")));
        assert_eq!(of("http://c:3"), None);
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "http://a:1 token\n").expect("written");
        let mode =
            |mode| std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).expect("its mode");
        mode(0o640);
        assert!(of_file(file.path(), "http://a:1").is_err_and(|error| error.contains("chmod 600")));
        mode(0o600);
        assert_eq!(of_file(file.path(), "http://a:1"), Ok(Some((String::new(), "token".to_owned()))));
        assert_eq!(of_file(Path::new("/nonexistent/x"), "http://a:1"), Ok(None));
    }
}
