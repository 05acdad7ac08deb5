//! What a program is started with: its words, environment and credentials.

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::bounded;

use super::engine::adoption::{Identity, VARIABLE};
use crate::config;
use crate::models::{Confinement, Dialect, ProgramConfig, Rare};
use crate::process::{SpawnError, SpawnStage};
use crate::sys;
use crate::sys::launch::{Launch, c_string, standard_fds};
use crate::sys::limits::{Limit, Rlimit};
use crate::sys::path_events::FileState;
use crate::sys::users::{Credentials, UserError, lookup_group, lookup_user};
use crate::sys::variables::{Inherited, Variables};
use crate::util::on_drop::OnDrop;
use crate::util::sorted::SortedSet;
use crate::util::thread;

/// How long a spawn waits for a disk or a name server.
const LOOKUP_WAIT: Duration = Duration::from_millis(100);

/// Room for NSS. Only touched pages count.
const LOOKUP_STACK_BYTES: usize = 256 * 1024;

/// Who the configured users are, asked for when a configuration is loaded: at a spawn, a name server
/// that does not answer would hold up everything.
#[derive(Debug, Clone)]
pub(super) struct Users {
    /// What everybody's programs inherit: the daemon's own variables at its start.
    inherited: Inherited,
    known: Arc<Mutex<HashMap<String, Credentials>>>,
    known_groups: Arc<Mutex<HashMap<String, u32>>>,
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
        // The channel only wakes: one of each type of answer would be 2 KB of code for each.
        let (done, told) = bounded::<()>(1);
        let (answer, open, key) = (Arc::new(Mutex::new(None)), self.clone(), what.to_owned());
        let theirs = Arc::clone(&answer);
        let is_open = OnDrop::new(move || _ = open.lock().remove(&key));
        let asked = thread::spawn("lookup", LOOKUP_STACK_BYTES, move || {
            let found = lookup();
            drop(is_open);
            *theirs.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
            let _ = done.send(());
        });
        if let Err(error) = asked {
            return Err(format!("no thread to ask: {}", crate::util::errno::reason(&error)));
        }
        let _ = told.recv_timeout(LOOKUP_WAIT);
        answer.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or_else(no_answer)
    }
}

impl Default for Users {
    fn default() -> Self {
        Users {
            inherited: Inherited::without(&NOT_FOR_CHILDREN),
            known: Arc::default(),
            known_groups: Arc::default(),
            lookups: BoundedLookups::default(),
        }
    }
}

impl Users {
    /// Looks up everybody that the programs name; those who can't be found now are asked for at
    /// the spawn, which then tells what is wrong.
    pub(super) fn learn<'a>(&self, programs: impl Iterator<Item = &'a ProgramConfig>) {
        let (mut found, mut found_groups) = (HashMap::new(), HashMap::new());
        for program in programs {
            if let Some(user) = &program.user {
                learn(&mut found, user, lookup_user);
            }
            for group in groups_of(&program.confinement) {
                learn(&mut found_groups, group, lookup_group);
            }
        }
        lock(&self.known).extend(found);
        lock(&self.known_groups).extend(found_groups);
    }

    fn get(&self, user: &str) -> Result<Credentials, SpawnError> {
        self.known_or_asked(&self.known, user, lookup_user)
    }

    fn known_or_asked<T: Clone + Send + 'static>(
        &self,
        known: &Mutex<HashMap<String, T>>,
        name: &str,
        lookup: fn(&str) -> Result<T, UserError>,
    ) -> Result<T, SpawnError> {
        if let Some(known) = lock(known).get(name) {
            return Ok(known.clone());
        }
        let asked = name.to_owned();
        match self.lookups.run(name, move || lookup(&asked)) {
            Ok(found) => found.map_err(|error| SpawnError::other(SpawnStage::Credentials, name, error.to_string())),
            // It may answer at the next attempt.
            Err(detail) => {
                let errno = nix::errno::Errno::EAGAIN as i32;
                Err(SpawnError { stage: SpawnStage::Credentials, subject: name.to_owned(), errno, detail })
            }
        }
    }

    /// As whom a program runs; `None`: as the daemon. Its own groups are those of its user, unless it has chosen some.
    fn with_groups(
        &self,
        user: Option<Credentials>,
        confinement: &Confinement,
    ) -> Result<Option<Credentials>, SpawnError> {
        let Confinement { group, groups, .. } = confinement;
        if group.is_none() && groups.is_none() {
            return Ok(user);
        }
        let id = |group: &String| self.known_or_asked(&self.known_groups, group, lookup_group);
        let own = group.as_ref().map(id).transpose()?;
        let others = groups.as_ref().map(|groups| groups.iter().map(id).collect::<Result<_, _>>()).transpose()?;
        Ok(Some(user.unwrap_or_else(Credentials::own).with_groups(own, others)))
    }

    /// The result of a look at what lies at a path; `None`: the disk does not answer in time.
    pub(super) fn look<T: Send + 'static>(&self, path: &str, look: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        self.lookups.run(path, look).ok()
    }

    /// What is there at a path.
    pub(super) fn file_state(&self, path: &str) -> Result<Option<FileState>, SpawnError> {
        let file = PathBuf::from(path);
        let looked = self.lookups.run(path, move || FileState::of(&file));
        // It may answer at the next attempt.
        looked.map_err(|detail| {
            let errno = nix::errno::Errno::EAGAIN as i32;
            SpawnError { stage: SpawnStage::Prepare, subject: path.to_owned(), errno, detail }
        })
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

fn lock<T>(known: &Mutex<T>) -> MutexGuard<'_, T> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

fn learn<T>(found: &mut HashMap<String, T>, name: &str, lookup: fn(&str) -> Result<T, UserError>) {
    if !found.contains_key(name)
        && let Ok(known) = lookup(name)
    {
        found.insert(name.to_owned(), known);
    }
}

/// The groups that a program names.
fn groups_of(confinement: &Confinement) -> impl Iterator<Item = &String> {
    confinement.group.iter().chain(confinement.groups.iter().flatten())
}

/// What the daemon was started with and has changed for itself: its programs get it back. `None`: nothing was changed.
#[derive(Debug, Clone, Copy)]
pub(super) struct FormerLimits {
    pub nofile: Option<Limit>,
    pub oom_score_adj: Option<i16>,
}

/// What a daemon above us has set for this process alone; its tag says nothing about our children.
const NOT_FOR_CHILDREN: [&str; 4] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", VARIABLE];

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

/// The daemon's own environment; the user's HOME and the like; in supervisord's dialect its variables about the process;
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

    #[test]
    fn what_was_looked_up_by_a_thread_that_panics_is_looked_up_again() {
        let lookups = BoundedLookups::default();
        assert!(lookups.run::<()>("a", || panic!("on purpose")).is_err());
        let end = std::time::Instant::now() + crate::sys::testing::TEST_TIMEOUT;
        // It may have been late, as on a busy machine.
        while lookups.run("a", || 7) != Ok(7) {
            assert!(std::time::Instant::now() < end, "it counts as under way for ever");
            std::thread::yield_now();
        }
    }
}
