//! Which daemon is meant: the path of its socket, or its URL.

use std::path::Path;

use crate::config::document::Document;
use crate::models::{DEFAULT_SOCKET_PATH, Dialect};

/// The socket or URL: of `-s`, of the configuration that `-c` names, of the environment, or the default. They may be of two daemons:
/// both at once are an error, since a command for the wrong one is worse than none.
pub(super) fn socket(socket: Option<&str>, configuration: Option<&str>) -> Result<String, String> {
    match (socket, configuration) {
        (Some(_), Some(_)) => return Err("-s and -c both say which daemon is meant; give one of them".to_owned()),
        (Some(socket), None) => return Ok(plain(socket)),
        (None, Some(file)) => return configured_socket(Path::new(file)),
        (None, None) => {}
    }
    let variable = |name: &str| std::env::var(name).ok().filter(|socket| !socket.is_empty());
    let environment = variable("SUPERVICE_URL").or_else(|| variable("SUPERVICE_SOCKET"));
    Ok(environment.map_or_else(|| DEFAULT_SOCKET_PATH.to_owned(), |socket| plain(&socket)))
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
