//! What a program is started with: its words, environment and credentials.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{CString, OsStr, OsString};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStringExt;
use std::sync::{Arc, Mutex, PoisonError};

use super::orphans::{Identity, VARIABLE};
use crate::config;
use crate::models::ProgramConfig;
use crate::process::{SpawnError, SpawnStage};
use crate::sys::limits::Limit;
use crate::sys::spawn::{Command, c_string};
use crate::sys::users::{Credentials, lookup_user};

/// Who the configured users are, asked for when a configuration is loaded: at a spawn, a name server
/// that does not answer would hold up everything.
#[derive(Debug, Clone, Default)]
pub(super) struct Users {
    known: Arc<Mutex<HashMap<String, Credentials>>>,
}

impl Users {
    /// Looks up everybody that the programs name; those who can't be found now are asked for at
    /// the spawn, which then tells what is wrong.
    pub(super) fn learn<'a>(&self, programs: impl Iterator<Item = &'a ProgramConfig>) {
        let mut found = HashMap::new();
        for user in programs.filter_map(|program| program.user.as_deref()) {
            if !found.contains_key(user)
                && let Ok(credentials) = lookup_user(user)
            {
                found.insert(user.to_owned(), credentials);
            }
        }
        self.known.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
    }

    fn get(&self, user: &str) -> Result<Credentials, SpawnError> {
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(user) {
            return Ok(known.clone());
        }
        lookup_user(user).map_err(|error| SpawnError::other(SpawnStage::Credentials, user, error.to_string()))
    }
}

/// A command that is ready but for its standard streams.
pub(super) struct Prepared {
    argv: Vec<CString>,
    env: Vec<CString>,
    directory: Option<CString>,
    credentials: Option<Credentials>,
}

impl Prepared {
    /// Of a program, or of its health check.
    pub(super) fn new<S: AsRef<str>>(
        config: &ProgramConfig,
        words: &[S],
        users: &Users,
        identity: Option<&Identity>,
    ) -> Result<Prepared, SpawnError> {
        let credentials = config.user.as_deref().map(|user| users.get(user)).transpose()?;
        let argv = words.iter().map(|word| c_string("the command", word.as_ref()));
        let variable = |(mut key, value): (OsString, OsString)| {
            key.push("=");
            key.push(value);
            c_string("the environment", key)
        };
        let mut all = environment(config, credentials.as_ref())?;
        // The mark of a daemon above us says nothing about our children.
        all.remove(OsStr::new(VARIABLE));
        let mark = identity
            .and_then(|identity| identity.mark(config))
            .map(|mark| c_string("its mark", OsString::from_vec(mark)));
        let env = mark.into_iter().chain(all.into_iter().map(variable)).collect::<Result<_, _>>()?;
        Ok(Prepared {
            argv: argv.collect::<Result<_, _>>()?,
            env,
            directory: config.directory.as_ref().map(|path| c_string("the directory", path)).transpose()?,
            credentials,
        })
    }

    /// The command with these standard output and error, and nothing to read.
    pub(super) fn command<'fd>(
        self,
        null: BorrowedFd<'fd>,
        stdout: BorrowedFd<'fd>,
        stderr: BorrowedFd<'fd>,
        nofile: Option<Limit>,
        pdeathsig: bool,
    ) -> Command<'fd> {
        let Prepared { argv, env, directory, credentials } = self;
        Command { argv, env, directory, credentials, pdeathsig, stdin: null, stdout, stderr, nofile, umask: None }
    }
}

/// The words of the program's own command.
pub(super) fn words(config: &ProgramConfig) -> Result<Vec<String>, SpawnError> {
    config::split_command(&config.command)
        .map_err(|error| SpawnError::other(SpawnStage::Prepare, "the command", error.to_string()))
}

/// The daemon's own environment; the user's HOME and the like; `env_file`; `environment`: later ones win. Without the
/// mark (see [`super::orphans`]), which no setting may fake.
fn environment(
    config: &ProgramConfig,
    credentials: Option<&Credentials>,
) -> Result<BTreeMap<OsString, OsString>, SpawnError> {
    let mut all: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    if let Some(user) = credentials {
        let known = [("HOME", &user.home), ("USER", &user.name), ("LOGNAME", &user.name), ("SHELL", &user.shell)];
        for (key, value) in known {
            match value {
                Some(value) => all.insert(key.into(), value.into()),
                // Better none than that of the daemon's user.
                None => all.remove(OsStr::new(key)),
            };
        }
    }
    for path in &config.env_file {
        let read = config::read_env_file(path)
            .map_err(|error| SpawnError::other(SpawnStage::Prepare, path.as_str(), error.to_string()))?;
        all.extend(read.into_iter().map(|(key, value)| (key.into(), value.into())));
    }
    all.extend(config.environment.iter().map(|(key, value)| (key.into(), value.into())));
    Ok(all)
}
