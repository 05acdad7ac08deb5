//! Whether the command of a program can be executed, as supervisord looks before a start. It asks disks: not to be
//! called on the io thread.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use crate::codec::xmlrpc::{Fault, FaultCode};
use crate::models::ProgramConfig;
use crate::util::command_line::{SplitError, split_command};

/// Where programs are looked up without a PATH.
const DEFAULT_PATH: &str = "/usr/local/bin:/bin:/usr/bin";

/// What a start of the program would fail on for certain; `None`: nothing that can be seen from here.
pub(super) fn inspect(program: &ProgramConfig) -> Option<Fault> {
    let words = match split_command(&program.command) {
        Ok(words) => words,
        Err(error) => {
            let reason = match error {
                SplitError::UnclosedQuote(_) => "No closing quotation",
                SplitError::TrailingBackslash => "No escaped character",
            };
            let message = format!("can't parse command {}: {reason}", quoted(&program.command));
            return Some(FaultCode::NotExecutable.about(message));
        }
    };
    let Some(name) = words.first() else { return Some(FaultCode::NotExecutable.about("command is empty")) };
    if program.confinement.chroot.is_some() {
        // Inside, paths lead elsewhere.
        return None;
    }
    let directory = program.directory.as_deref().unwrap_or_default();
    if name.contains('/') {
        return trouble(&Path::new(directory).join(name), name);
    }
    // What a file says of PATH is read at the start alone.
    let paths = if program.env_file.is_empty() { paths(program) } else { return None };
    let candidates: Vec<PathBuf> =
        std::env::split_paths(&paths).map(|path| Path::new(directory).join(path).join(name)).collect();
    let mut troubles = candidates.iter().filter(|path| fs::metadata(path).is_ok()).map(|path| trouble(path, name));
    match troubles.next() {
        None => Some(not_found(name)),
        Some(first) => first.filter(|_| troubles.all(|trouble| trouble.is_some())),
    }
}

/// The PATH that the program will have.
fn paths(program: &ProgramConfig) -> OsString {
    let own = program.environment.get("PATH").map(OsString::from);
    own.or_else(|| std::env::var_os("PATH")).unwrap_or_else(|| DEFAULT_PATH.into())
}

/// Why the file at a path, which was asked for by this `name`, can't be executed by us.
fn trouble(path: &Path, name: &str) -> Option<Fault> {
    let Ok(found) = fs::metadata(path) else { return Some(not_found(name)) };
    let shown = quoted(&path.to_string_lossy());
    let message = if found.is_dir() {
        format!("command at {shown} is a directory")
    } else if !has_x_bit(&found) {
        format!("command at {shown} is not executable")
    } else if access(path, AccessFlags::X_OK).is_err() {
        format!("no permission to run command {shown}")
    } else {
        return None;
    };
    Some(FaultCode::NotExecutable.about(message))
}

fn has_x_bit(found: &Metadata) -> bool {
    found.permissions().mode() & 0o111 != 0
}

fn not_found(name: &str) -> Fault {
    FaultCode::NoFile.about(format!("can't find command {}", quoted(name)))
}

/// As Python shows a string in its messages.
fn quoted(text: &str) -> String {
    let mark = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut shown = String::from(mark);
    for letter in text.chars() {
        match letter {
            '\\' => shown.push_str("\\\\"),
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push_str("\\t"),
            letter if letter == mark => shown.extend(['\\', letter]),
            letter => shown.push(letter),
        }
    }
    shown.push(mark);
    shown
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn text(command: &str, edit: impl FnOnce(&mut ProgramConfig)) -> Option<String> {
        let mut program = ProgramConfig::new("p", command);
        edit(&mut program);
        inspect(&program).map(|fault| fault.text())
    }

    #[test]
    fn a_command_is_found_as_it_will_be_and_the_fault_tells_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        for (name, mode) in [("run", 0o755), ("text", 0o644)] {
            fs::write(at(name), "#!/bin/sh\n").unwrap();
            fs::set_permissions(at(name), PermissionsExt::from_mode(mode)).unwrap();
        }
        let path =
            |value: String| move |program: &mut ProgramConfig| _ = program.environment.insert("PATH".to_owned(), value);
        assert_eq!(text(&at("run"), |_| ()), None);
        assert_eq!(text("sh -c 'exit'", |_| ()), None);
        assert_eq!(text("run", path(at(""))), None);
        assert_eq!(text("./run", |program| program.directory = Some(at(""))), None);
        let missing = Some("NO_FILE: can't find command 'run'".to_owned());
        assert_eq!(text("run", path("/nowhere".to_owned())), missing);
        assert_eq!(text("./run", |_| ()), Some("NO_FILE: can't find command './run'".to_owned()));
        let wrong = format!("NOT_EXECUTABLE: command at '{}' is not executable", at("text"));
        assert_eq!(text(&at("text"), |_| ()), Some(wrong.clone()));
        assert_eq!(text("text", path(at(""))), Some(wrong));
        let directory = format!("NOT_EXECUTABLE: command at '{}' is a directory", dir.path().display());
        assert_eq!(text(&dir.path().display().to_string(), |_| ()), Some(directory));
        let torn = "NOT_EXECUTABLE: can't parse command \"sh -c 'a\": No closing quotation";
        assert_eq!(text("sh -c 'a", |_| ()), Some(torn.to_owned()));
        assert_eq!(text("", |_| ()), Some("NOT_EXECUTABLE: command is empty".to_owned()));
        // The kernel goes on to the next place where it may not execute what it finds.
        fs::create_dir(at("first")).unwrap();
        fs::write(at("first/run"), "").unwrap();
        assert_eq!(text("run", path(format!("{}:{}", at("first"), at("")))), None);
        // What is not known from here is tried.
        assert_eq!(text("/in/there", |program| program.confinement.chroot = Some("/srv".to_owned())), None);
        assert_eq!(text("there", |program| program.env_file = vec!["/etc/there".to_owned()]), None);
    }

    #[test]
    fn texts_are_quoted_as_python_does() {
        for (text, wanted) in [("a", "'a'"), ("it's", "\"it's\""), ("'\"", "'\\'\"'"), ("a\\b\n", "'a\\\\b\\n'")] {
            assert_eq!(quoted(text), wanted);
        }
    }
}
