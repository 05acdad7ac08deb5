//! The file that says who may come in by HTTP: lines `name:secret`, where the secret is a password or its hash.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::file::{ReadError, read_text};
use crate::util::errno;

/// A file of users may hold this many bytes.
const MAX_USERS_FILE_BYTES: u64 = 1024 * 1024;

/// Why such a file can't be used.
#[derive(Debug)]
pub enum UsersFileError {
    /// It can't be read.
    Io(PathBuf, io::Error),
    /// A line is none of a user.
    Line(PathBuf, usize),
    /// It names nobody.
    Empty(PathBuf),
}

impl fmt::Display for UsersFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsersFileError::Io(path, error) => write!(f, "{}: {}", path.display(), errno::reason(error)),
            UsersFileError::Line(path, line) => write!(f, "{}:{line}: no `name:secret`", path.display()),
            UsersFileError::Empty(path) => write!(f, "{}: names nobody", path.display()),
        }
    }
}

impl std::error::Error for UsersFileError {}

/// Reads names and secrets. Empty lines and those that begin with `#` are none.
///
/// # Errors
/// The file can't be read, a line is none of a user, or there is none at all: an empty list would let everybody in.
pub fn read_users_file(path: impl AsRef<Path>) -> Result<Vec<(String, String)>, UsersFileError> {
    let path = path.as_ref();
    let text = read_text(path, MAX_USERS_FILE_BYTES).map_err(|error| match error {
        ReadError::Io(error) => UsersFileError::Io(path.to_owned(), error),
        ReadError::Content { fault, .. } => UsersFileError::Io(path.to_owned(), io::Error::other(fault.message)),
    })?;
    let mut users = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.split_once(':') {
            Some((name, secret)) if !name.is_empty() && !secret.is_empty() => {
                users.push((name.to_owned(), secret.to_owned()));
            }
            Some(_) | None => return Err(UsersFileError::Line(path.to_owned(), number)),
        }
    }
    if users.is_empty() {
        return Err(UsersFileError::Empty(path.to_owned()));
    }
    Ok(users)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_users_and_a_file_without_any_lets_nobody_in() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let read = |text: &str| {
            std::fs::write(file.path(), text).expect("written");
            read_users_file(file.path())
        };
        let users = read("# who\n\nalice:{SHA256}00:11\n bob:pass \n").expect("two users");
        let users: Vec<(&str, &str)> = users.iter().map(|(name, secret)| (name.as_str(), secret.as_str())).collect();
        assert_eq!(users, [("alice", "{SHA256}00:11"), ("bob", "pass")]);
        for wrong in ["", "# nobody\n", "alice\n", "alice:\n", ":x\n"] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
        assert!(read_users_file("/nonexistent").is_err_and(|error| error.to_string().starts_with("/nonexistent: ")));
    }
}
