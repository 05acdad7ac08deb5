//! What a program is started with: its words, environment and credentials.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config;
use crate::models::{ProgramConfig, SupervisorConfig};
use crate::process::{SpawnError, SpawnStage};
use crate::sys::spawn::Command;
use crate::sys::users::{Credentials, lookup_user};

/// Who the configured users are, asked for when a configuration is loaded: at a spawn, a name server
/// that does not answer would hold up everything.
#[derive(Debug, Clone, Default)]
pub(super) struct Users {
    known: Arc<Mutex<HashMap<String, Credentials>>>,
}

impl Users {
    /// Looks up everybody that the configuration names; those who can't be found now are asked for at
    /// the spawn, which then tells what is wrong.
    pub(super) fn learn(&self, config: &SupervisorConfig) {
        let mut found = HashMap::new();
        for user in config.programs.iter().filter_map(|program| program.user.as_deref()) {
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

/// Makes the command of a program, or of its health check, ready but for its standard streams.
pub(super) fn prepare<S: AsRef<str>>(
    config: &ProgramConfig,
    words: &[S],
    users: &Users,
) -> Result<Command, SpawnError> {
    let credentials = config.user.as_deref().map(|user| users.get(user)).transpose()?;
    let mut command = Command::new(words)?;
    for (key, value) in environment(config, credentials.as_ref())? {
        command.env(key.as_bytes(), value.as_bytes())?;
    }
    if let Some(directory) = &config.directory {
        command.directory(directory)?;
    }
    if let Some(credentials) = credentials {
        command.credentials(credentials);
    }
    command.pdeathsig(config.pdeathsig);
    Ok(command)
}

/// The words of the program's own command.
pub(super) fn words(config: &ProgramConfig) -> Result<Vec<String>, SpawnError> {
    config::split_command(&config.command)
        .map_err(|error| SpawnError::other(SpawnStage::Prepare, "the command", error.to_string()))
}

/// The daemon's own environment; the user's HOME and the like; `env_file`; `environment`: later ones win.
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
                None => all.remove(std::ffi::OsStr::new(key)),
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
