//! What a program is started with: its words, environment and credentials.

use std::collections::HashMap;
use std::ffi::{CString, OsStr, OsString};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStringExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::bounded;

use super::engine::adoption::{Identity, VARIABLE};
use crate::config;
use crate::models::{Dialect, ProgramConfig};
use crate::process::{SpawnError, SpawnStage};
use crate::sys::launch::{Launch, c_string, standard_fds};
use crate::sys::limits::{Limit, Rlimit};
use crate::sys::users::{Credentials, lookup_user};
use crate::util::sorted::{SortedMap, SortedSet};

/// How long a spawn waits for a disk or a name server.
const LOOKUP_WAIT: Duration = Duration::from_millis(100);

/// Room for NSS. Only touched pages count.
const LOOKUP_STACK_BYTES: usize = 256 * 1024;

/// Who the configured users are, asked for when a configuration is loaded: at a spawn, a name server
/// that does not answer would hold up everything.
#[derive(Debug, Clone, Default)]
pub(super) struct Users {
    known: Arc<Mutex<HashMap<String, Credentials>>>,
    lookups: BoundedLookups,
}

/// Look-ups on a disk or a name server at a spawn, each on a thread of its own: the dispatcher waits for a bounded time.
#[derive(Debug, Clone, Default)]
struct BoundedLookups {
    /// What has not been answered yet. It is not looked up again meanwhile, so that there are never more threads than
    /// files and users in the configuration.
    open: Arc<Mutex<SortedSet<String>>>,
}

impl BoundedLookups {
    fn lock(&self) -> MutexGuard<'_, SortedSet<String>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The result of `lookup`, which is about `what`; an error if it takes too long.
    fn run<T: Send + 'static>(&self, what: &str, lookup: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
        let no_answer = || "no answer; a file system or name server hangs".to_owned();
        if !self.lock().insert(what.to_owned()) {
            return Err(no_answer());
        }
        let (reply, answer) = bounded(1);
        let (open, key) = (self.clone(), what.to_owned());
        let thread = std::thread::Builder::new().name("lookup".to_owned()).stack_size(LOOKUP_STACK_BYTES);
        let asked = thread.spawn(move || {
            let found = lookup();
            open.lock().remove(&key);
            let _ = reply.send(found);
        });
        if let Err(error) = asked {
            self.lock().remove(what);
            return Err(format!("no thread to ask: {}", crate::util::errno::reason(&error)));
        }
        answer.recv_timeout(LOOKUP_WAIT).map_err(|_| no_answer())
    }
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
        let name = user.to_owned();
        match self.lookups.run(user, move || lookup_user(&name)) {
            Ok(found) => found.map_err(|error| SpawnError::other(SpawnStage::Credentials, user, error.to_string())),
            // It may answer at the next attempt.
            Err(detail) => {
                let errno = nix::errno::Errno::EAGAIN as i32;
                Err(SpawnError { stage: SpawnStage::Credentials, subject: user.to_owned(), errno, detail })
            }
        }
    }

    /// The variables in a file.
    fn env_file(&self, path: &str) -> Result<Vec<(String, String)>, SpawnError> {
        let failed = |detail| SpawnError::other(SpawnStage::Prepare, path, detail);
        let file = path.to_owned();
        self.lookups
            .run(path, move || config::read_env_file(file))
            .map_err(failed)?
            // The error names the file.
            .map_err(|error| SpawnError::other(SpawnStage::Prepare, "the environment", error.to_string()))
    }
}

/// A command that is ready but for its standard streams.
pub(super) struct Prepared {
    argv: Vec<CString>,
    argv_0_is_path: bool,
    env: Vec<CString>,
    directory: Option<CString>,
    credentials: Option<Credentials>,
    umask: Option<u32>,
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
        let mut all = environment(config, credentials.as_ref(), users)?;
        // The tag of a daemon above us says nothing about our children.
        all.remove(OsStr::new(VARIABLE));
        let tag = identity
            .and_then(|identity| identity.environment_entry(config))
            .map(|entry| c_string("its tag", OsString::from_vec(entry)));
        let env = tag.into_iter().chain(all.into_iter().map(variable)).collect::<Result<_, _>>()?;
        Ok(Prepared {
            argv: argv.collect::<Result<_, _>>()?,
            argv_0_is_path: config.dialect() == Dialect::Supervice,
            env,
            directory: config.directory.as_ref().map(|path| c_string("the directory", path)).transpose()?,
            credentials,
            umask: config.umask,
        })
    }

    /// Sets a variable, whatever it was before.
    pub(super) fn set_variable(&mut self, name: &str, value: &str) -> Result<(), SpawnError> {
        let is_it =
            |entry: &CString| entry.as_bytes().strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"="));
        self.env.retain(|entry| !is_it(entry));
        self.env.push(c_string("the environment", format!("{name}={value}"))?);
        Ok(())
    }

    /// The command with these standard streams.
    pub(super) fn command<'fd>(
        self,
        stdin: BorrowedFd<'fd>,
        stdout: BorrowedFd<'fd>,
        stderr: BorrowedFd<'fd>,
        nofile: Option<Limit>,
        pdeathsig: bool,
    ) -> Launch<'fd> {
        let Prepared { argv, argv_0_is_path, env, directory, credentials, umask } = self;
        Launch {
            argv,
            argv_0_is_path,
            env,
            directory,
            credentials,
            pdeathsig,
            fds: standard_fds(stdin, stdout, stderr),
            rlimits: nofile.map(Rlimit::nofile).into_iter().collect(),
            umask,
        }
    }
}

/// The words of the program's own command.
pub(super) fn words(config: &ProgramConfig) -> Result<Vec<String>, SpawnError> {
    config::split_command(&config.command)
        .map_err(|error| SpawnError::other(SpawnStage::Prepare, "the command", error.to_string()))
}

/// The daemon's own environment; the user's HOME and the like; in supervisord's dialect its variables about the process;
/// `env_file`; `environment`: later ones win. Without the
/// tag (see [`super::engine::adoption`]), which no setting may fake.
fn environment(
    config: &ProgramConfig,
    credentials: Option<&Credentials>,
    users: &Users,
) -> Result<SortedMap<OsString, OsString>, SpawnError> {
    let mut all: SortedMap<OsString, OsString> = std::env::vars_os().collect();
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
    if let Some(process_name) = &config.process_name {
        all.insert("SUPERVISOR_ENABLED".into(), "1".into());
        all.insert("SUPERVISOR_PROCESS_NAME".into(), process_name.into());
        all.insert("SUPERVISOR_GROUP_NAME".into(), config.group_name().into());
        match &config.serverurl {
            Some(url) => all.insert("SUPERVISOR_SERVER_URL".into(), url.into()),
            // A daemon above us may have one: it is not ours.
            None => all.remove(OsStr::new("SUPERVISOR_SERVER_URL")),
        };
    }
    for path in &config.env_file {
        let variables = users.env_file(path)?.into_iter();
        all.extend(variables.map(|(key, value)| (key.into(), config::instance_value(config, value).into())));
    }
    all.extend(config.environment.iter().map(|(key, value)| (key.into(), value.into())));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_looked_up_before_they_are_needed() {
        let users = Users::default();
        let program = |user: &str| ProgramConfig { user: Some(user.to_owned()), ..ProgramConfig::new("p", "true") };
        users.learn([program("1234"), program("no such user"), program("1234")].iter());
        let known: Vec<String> = users.known.lock().unwrap().keys().cloned().collect();
        assert_eq!(known, ["1234"]);
    }
}
