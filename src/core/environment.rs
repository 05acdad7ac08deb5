//! What a program is started with: its words, environment and credentials.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStringExt;

use super::engine::adoption::{Identity, VARIABLE};
use super::users::Users;
use crate::config;
use crate::models::{Confinement, Dialect, ProgramConfig, Rare};
use crate::process::{SpawnError, SpawnStage};
use crate::sys;
use crate::sys::launch::{Launch, c_string, standard_fds};
use crate::sys::limits::{Limit, Rlimit};
use crate::sys::users::Credentials;
use crate::sys::variables::Variables;

/// What the daemon was started with and has changed for itself: its programs get it back. `None`: nothing was changed.
#[derive(Debug, Clone, Copy)]
pub(super) struct FormerLimits {
    pub nofile: Option<Limit>,
    pub oom_score_adj: Option<i16>,
}

/// A command that is ready but for its standard streams.
pub(super) struct Prepared {
    argv: Vec<CString>,
    argv_0_is_path: bool,
    env: Variables,
    pid_variable: Option<&'static CStr>,
    directory: Option<CString>,
    stdin_file: Option<CString>,
    #[cfg(feature = "attach")]
    has_terminal: bool,
    credentials: Option<Credentials>,
    umask: Option<u32>,
    confinement: Rare<Confinement>,
}

impl Prepared {
    /// Of a program, or of its health check.
    pub(super) fn new<S: AsRef<str>>(
        config: &ProgramConfig,
        words: &[S],
        users: &Users,
        identity: Option<&Identity>,
    ) -> Result<Prepared, SpawnError> {
        let user = config.user.as_deref().map(|user| users.get(user)).transpose()?;
        let argv = words.iter().map(|word| c_string("the command", word.as_ref()));
        let mut env = environment(config, user.as_ref(), users)?;
        // No setting may fake it.
        env.remove(VARIABLE.as_bytes());
        if let Some(tag) = identity.and_then(|identity| identity.environment_entry(config)) {
            env.put_first(c_string("its tag", OsString::from_vec(tag))?);
        }
        Ok(Prepared {
            argv: argv.collect::<Result<_, _>>()?,
            argv_0_is_path: config.dialect() == Dialect::Supervice,
            env,
            pid_variable: None,
            directory: config.directory.as_ref().map(|path| c_string("the directory", path)).transpose()?,
            stdin_file: None,
            #[cfg(feature = "attach")]
            has_terminal: false,
            credentials: users.with_groups(user, &config.confinement)?,
            umask: config.umask,
            confinement: config.confinement.clone(),
        })
    }

    /// Whose a file is that is made for it; `None`: the daemon's.
    pub(super) fn owner(&self) -> (Option<u32>, Option<u32>) {
        let other = self.credentials.as_ref().filter(|who| !who.are_ours());
        (other.map(|who| who.uid), other.map(|who| who.gid))
    }

    /// Sets a variable, whatever it was before.
    pub(super) fn set_variable(&mut self, name: &str, value: &str) -> Result<(), SpawnError> {
        self.env.set(variable(name, value)?);
        Ok(())
    }

    /// Has the child open this file as its standard input.
    pub(super) fn set_stdin_file(&mut self, path: &str) -> Result<(), SpawnError> {
        self.stdin_file = Some(c_string("standard input", path)?);
        Ok(())
    }

    /// Has the terminal that it is given as its standard streams become that of its session.
    #[cfg(feature = "attach")]
    pub(super) fn set_terminal(&mut self) -> Result<(), SpawnError> {
        self.has_terminal = true;
        let is_known = self.env.get(b"TERM").is_some();
        // Nobody knows yet who will sit at it: this is what most of them understand.
        if is_known { Ok(()) } else { self.set_variable("TERM", "xterm") }
    }

    /// Has the child set this variable to its own pid.
    pub(super) fn set_pid_variable(&mut self, name: &'static CStr) {
        self.pid_variable = Some(name);
    }

    /// The user as whom it is started.
    pub(super) fn uid(&self) -> u32 {
        self.credentials.as_ref().map_or_else(|| nix::unistd::geteuid().as_raw(), |who| who.uid)
    }

    /// The command with these standard streams.
    pub(super) fn command<'fd>(
        self,
        stdin: BorrowedFd<'fd>,
        stdout: BorrowedFd<'fd>,
        stderr: BorrowedFd<'fd>,
        former: FormerLimits,
        pdeathsig: bool,
    ) -> Launch<'fd> {
        let Prepared {
            argv,
            argv_0_is_path,
            env,
            pid_variable,
            directory,
            stdin_file,
            #[cfg(feature = "attach")]
            has_terminal,
            credentials,
            umask,
            mut confinement,
        } = self;
        // What the daemon was started with, then what the program is to have.
        if let Some(score) = former.oom_score_adj.filter(|_| confinement.oom_score_adj.is_none()) {
            confinement.oom_score_adj = Some(score);
        }
        let mut rlimits: Vec<Rlimit> = former.nofile.map(Rlimit::nofile).into_iter().collect();
        rlimits.extend(sys::confine::rlimits(&confinement));
        Launch {
            argv,
            argv_0_is_path,
            env,
            pid_variable,
            directory,
            stdin_file,
            credentials,
            pdeathsig,
            fds: standard_fds(stdin, stdout, stderr),
            #[cfg(feature = "attach")]
            has_terminal,
            rlimits,
            umask,
            confinement,
        }
    }
}

/// The words of the program's own command.
pub(super) fn words(config: &ProgramConfig) -> Result<Vec<String>, SpawnError> {
    words_of(&config.command)
}

/// The words of a command.
pub(super) fn words_of(command: &str) -> Result<Vec<String>, SpawnError> {
    config::split_command(command)
        .map_err(|error| SpawnError::other(SpawnStage::Prepare, "the command", error.to_string()))
}

/// The daemon's own environment; the user's HOME and the like; in supervisord's dialect its variables about the
/// process;
/// `env_file`; `environment`: later ones win. Without the
/// tag (see [`super::engine::adoption`]).
fn environment(
    config: &ProgramConfig,
    credentials: Option<&Credentials>,
    users: &Users,
) -> Result<Variables, SpawnError> {
    let mut all = Variables::new(&users.inherited);
    if let Some(user) = credentials {
        let known = [("HOME", &user.home), ("USER", &user.name), ("LOGNAME", &user.name), ("SHELL", &user.shell)];
        for (key, value) in known {
            match value {
                Some(value) => all.set(variable(key, value)?),
                // Better none than that of the daemon's user.
                None => all.remove(key.as_bytes()),
            }
        }
    }
    if let Some(process_name) = &config.process_name {
        all.set(variable("SUPERVISOR_ENABLED", "1")?);
        all.set(variable("SUPERVISOR_PROCESS_NAME", process_name)?);
        all.set(variable("SUPERVISOR_GROUP_NAME", config.group_name())?);
        match &config.serverurl {
            Some(url) => all.set(variable("SUPERVISOR_SERVER_URL", url)?),
            // A daemon above us may have one: it is not ours.
            None => all.remove(b"SUPERVISOR_SERVER_URL"),
        }
    }
    for path in &config.env_file {
        for (key, value) in users.env_file(path)? {
            all.set(variable(&key, config::instance_value(config, value))?);
        }
    }
    for (key, value) in &config.environment {
        all.set(variable(key, value)?);
    }
    Ok(all)
}

fn variable(key: &str, value: impl AsRef<OsStr>) -> Result<CString, SpawnError> {
    let mut entry = OsString::from(key);
    entry.push("=");
    entry.push(value);
    c_string("the environment", entry)
}
