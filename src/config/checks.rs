//! What can be asked of the system about a configuration before anything is started. Answers are remembered for the
//! time of one load: a thousand programs often share a directory and a user.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use super::diagnostic::Fault;
use super::environment::{EnvFileErrorKind, read_env_file};
use crate::models::ProgramConfig;
use crate::sys::exec_trouble;
use crate::sys::users::{lookup_group, lookup_user};
use crate::util::errno;

/// The longest path that the kernel takes for a socket, in bytes.
const MAX_SOCKET_PATH_BYTES: usize = 107;

/// Why a file can't be read at the load.
#[derive(Debug, Clone)]
pub(crate) enum Missing {
    /// It may be there when it is needed.
    Passing(Fault),
    /// It is there, and says nonsense.
    Wrong(Fault),
}

/// The answers that the system has given so far.
#[derive(Default)]
pub(crate) struct Checks {
    /// The daemon runs already.
    pub(crate) reload: bool,
    users: HashMap<String, Option<u32>>,
    groups: HashMap<String, Option<Fault>>,
    writable: HashMap<String, Option<Fault>>,
    enterable: HashMap<String, Option<Fault>>,
    env_files: HashMap<String, Option<Missing>>,
    missing_programs: HashMap<String, Option<Fault>>,
}

/// Why a file that the daemon keeps can't be written at this path.
pub(crate) fn unwritable(path: &str) -> Option<String> {
    let absolute = std::path::absolute(path).ok()?;
    if access(&absolute, AccessFlags::W_OK).is_ok() {
        return None;
    }
    let mut checks = Checks::default();
    let fault = checks.parent_writable(&absolute.to_string_lossy()).err()?;
    Some(fault.message)
}

/// Asks the system once for each key.
fn cached(
    answers: &mut HashMap<String, Option<Fault>>,
    key: &str,
    ask: impl FnOnce(&str) -> Result<(), Fault>,
) -> Result<(), Fault> {
    if let Some(known) = answers.get(key) {
        return known.clone().map_or(Ok(()), Err);
    }
    let answer = ask(key);
    answers.insert(key.to_owned(), answer.clone().err());
    answer
}

impl Checks {
    /// The daemon may do all that the system allows anybody.
    pub(crate) fn is_root(&self) -> bool {
        nix::unistd::geteuid().is_root()
    }

    /// The user is known.
    pub(crate) fn user(&mut self, name: &str) -> Result<u32, Fault> {
        let known = match self.users.get(name) {
            Some(known) => *known,
            None => *self.users.entry(name.to_owned()).or_insert(lookup_user(name).ok().map(|user| user.uid)),
        };
        known.ok_or_else(|| Fault::new("no such user", "write the name of a user of this system, or a numeric id"))
    }

    /// The group is known.
    pub(crate) fn group(&mut self, name: &str) -> Result<(), Fault> {
        cached(&mut self.groups, name, |name| match lookup_group(name) {
            Ok(_) => Ok(()),
            Err(_) => {
                let hint = "write the names of groups of this system, or numeric ids";
                Err(Fault::new(format!("no such group: {name}"), hint).or_of_value(name, "no such group"))
            }
        })
    }

    /// `user`, `user:group` or `:group` are known.
    pub(crate) fn owner(&mut self, owner: &str) -> Result<(), Fault> {
        let (user, group) = owner.split_once(':').unwrap_or((owner, ""));
        if user.is_empty() && group.is_empty() {
            return Err(Fault::new("names neither user nor group", "write user, user:group or :group"));
        }
        if !user.is_empty() && self.user(user).is_err() {
            return Err(Fault::new(format!("no such user: {user}"), "write user:group of this system, or numeric ids"));
        }
        if !group.is_empty() && lookup_group(group).is_err() {
            return Err(Fault::new(
                format!("no such group: {group}"),
                "write user:group of this system, or numeric ids",
            ));
        }
        Ok(())
    }

    /// A program can be started in this directory.
    pub(crate) fn directory(&mut self, path: &str) -> Result<(), Fault> {
        cached(&mut self.enterable, path, |path| {
            is_directory(path)?;
            check_access(path, AccessFlags::X_OK, "may not be entered")
        })
    }

    /// Files can be created beside `path`.
    fn parent_writable(&mut self, path: &str) -> Result<(), Fault> {
        let parent = match Path::new(path).parent().and_then(Path::to_str) {
            Some("") | None => ".",
            Some(parent) => parent,
        };
        cached(&mut self.writable, parent, |parent| {
            is_directory(parent)?;
            check_access(parent, AccessFlags::W_OK | AccessFlags::X_OK, "is not writable")
        })
    }

    /// A log can be written there: to a regular file that may be rotated, or to a device, pipe or terminal.
    pub(crate) fn log_file(&mut self, path: &str) -> Result<(), Fault> {
        let inherited = ["/dev/std", "/dev/fd/", "/proc/"].iter().any(|prefix| path.starts_with(prefix));
        if path == "syslog" || inherited {
            return Ok(());
        }
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => Err(Fault::new("it is a directory", "write the path of a file")),
            Ok(found) if !found.is_file() => Ok(()),
            Ok(_) => {
                self.parent_writable(path)?;
                match access(path, AccessFlags::W_OK) {
                    // A rotation has just moved it away: a new one can be created.
                    Err(Errno::ENOENT) => Ok(()),
                    result => access_result(path, result, "is not writable"),
                }
            }
            Err(_) => self.parent_writable(path),
        }
    }

    /// A pid file can be written there.
    pub(crate) fn pid_file(&mut self, path: &str) -> Result<(), Fault> {
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_dir() => Err(Fault::new("it is a directory", "write the path of a file, or none")),
            _ => self.parent_writable(path),
        }
    }

    /// A socket can be bound there.
    pub(crate) fn socket(&mut self, path: &str) -> Result<(), Fault> {
        if path.len() > MAX_SOCKET_PATH_BYTES {
            return Err(Fault::new(
                format!("{} bytes are too long for a socket's path", path.len()),
                format!("write a path of at most {MAX_SOCKET_PATH_BYTES} bytes"),
            ));
        }
        if path.starts_with('@') {
            return Ok(()); // A name in the abstract namespace: there is no file.
        }
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() && !found.file_type().is_symlink() => Err(Fault::new(
                "there is something that is not a socket",
                "write a path that is free, or remove what is there",
            )),
            _ => match Path::new(path).parent().and_then(Path::to_str) {
                // The daemon makes the last part of it.
                Some(parent) if !parent.is_empty() && fs::symlink_metadata(parent).is_err_and(is_missing) => {
                    self.parent_writable(parent).or_else(|_| self.parent_writable(path))
                }
                _ => self.parent_writable(path),
            },
        }
    }

    /// An env file is there and holds `KEY=VALUE` lines.
    pub(crate) fn env_file(&mut self, path: &str) -> Result<(), Missing> {
        let answer = self.env_files.entry(path.to_owned()).or_insert_with_key(|path| {
            let error = read_env_file(path).err()?;
            let message = error.to_string();
            Some(match &error.kind {
                EnvFileErrorKind::Io(reason) => {
                    let hint = "name files that the daemon can read, with commas between them";
                    Missing::Passing(Fault::new(message, hint).or_of_value(path, errno::reason(reason)))
                }
                EnvFileErrorKind::Content(_) => Missing::Wrong(Fault::new(message, "put the file right")),
            })
        });
        answer.clone().map_or(Ok(()), Err)
    }

    /// The program that a command names by its absolute path is there and may be executed.
    pub(crate) fn program(&mut self, path: &str) -> Result<(), Fault> {
        cached(&mut self.missing_programs, path, |path| {
            let hint = "the program will not start until it is there and executable";
            match fs::metadata(path) {
                Err(error) => Err(unreached(path, &error, hint)),
                Ok(found) if found.is_dir() => Err(unfit(path, "is a directory", hint)),
                Ok(_) if access(path, AccessFlags::X_OK).is_err() => Err(unfit(path, "is not executable", hint)),
                Ok(_) => match exec_trouble::missing_interpreter(Path::new(path)) {
                    Some(lack) => {
                        let fault =
                            Fault::new(format!("{path} cannot be executed: {lack}"), "it will not start before");
                        Err(fault.or_of_value(path, format!("it cannot be executed: {lack}")))
                    }
                    None => Ok(()),
                },
            }
        })
    }

    /// The same, by the user of a program, whom the system asks when it is started.
    pub(crate) fn program_of(&mut self, path: &str, program: &ProgramConfig) -> Result<(), Fault> {
        self.program(path)?;
        let confinement = &program.confinement;
        // Other groups and capabilities may allow what the user alone may not.
        let is_user_alone =
            confinement.group.is_none() && confinement.groups.is_none() && confinement.capabilities.is_none();
        let Some(user) = program.user.as_deref().filter(|_| is_user_alone) else { return Ok(()) };
        cached(&mut self.missing_programs, &format!("{user}:{path}"), |_| {
            // One that is not known is told of anyway.
            let Ok(user) = lookup_user(user) else { return Ok(()) };
            let Some(why) = exec_trouble::forbidden_by_mode(Path::new(path), Some(&user)) else { return Ok(()) };
            let fault = Fault::new(format!("{path} cannot be executed: {why}"), "it will not start before");
            Err(fault.or_of_value(path, format!("it cannot be executed: {why}")))
        })
    }

    /// What outlives the daemon can be kept there, in a directory that is there or can be made.
    pub(crate) fn state_dir(&mut self, path: &str) -> Result<(), Fault> {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => check_access(path, AccessFlags::W_OK | AccessFlags::X_OK, "is not writable"),
            Ok(_) => is_directory(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.parent_writable(path),
            Err(error) => Err(unreached(path, &error, "write a path that can be reached")),
        }
    }
}

fn is_missing(error: io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

fn is_directory(path: &str) -> Result<(), Fault> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(unfit(path, "is not a directory", "write the path of a directory")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let fault = Fault::new(format!("the directory {path} does not exist"), "create it, or write another path");
            Err(fault.or_of_value(path, "the directory does not exist"))
        }
        Err(error) => Err(unreached(path, &error, "write a path that can be reached")),
    }
}

/// What there is at a path is not what is needed.
fn unfit(path: &str, what: &str, hint: &str) -> Fault {
    Fault::new(format!("{path} {what}"), hint).or_of_value(path, format!("it {what}"))
}

/// The system does not let us look at a path.
fn unreached(path: &str, error: &io::Error, hint: &str) -> Fault {
    let reason = errno::reason(error);
    Fault::new(format!("{path}: {reason}"), hint).or_of_value(path, reason)
}

fn check_access(path: &str, access_flags: AccessFlags, message: &str) -> Result<(), Fault> {
    access_result(path, access(path, access_flags), message)
}

fn access_result(path: &str, result: nix::Result<()>, message: &str) -> Result<(), Fault> {
    match result {
        Ok(()) => Ok(()),
        Err(number) => {
            let what = format!("{message}: {}", errno::text(number as i32));
            Err(unfit(path, &what, "change its permissions, or write another path"))
        }
    }
}

#[cfg(test)]
mod tests;
