//! Who the configured users are, and what else is looked up for a spawn: within a bounded time, whatever a disk or a
//! name server does.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::bounded;

use super::engine::adoption::VARIABLE;
use crate::config;
use crate::models::{Confinement, ProgramConfig};
use crate::process::{SpawnError, SpawnStage};
use crate::sys::path_events::FileState;
use crate::sys::users::{Credentials, UserError, lookup_group, lookup_user};
use crate::sys::variables::Inherited;
use crate::util::on_drop::OnDrop;
use crate::util::sorted::SortedSet;
use crate::util::thread;

/// What a daemon above us has set for this process alone; its tag says nothing about our children.
const NOT_FOR_CHILDREN: [&str; 4] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", VARIABLE];

/// How long a spawn waits for a disk or a name server.
const LOOKUP_WAIT: Duration = Duration::from_millis(100);

/// Room for NSS. Only touched pages count.
const LOOKUP_STACK_BYTES: usize = 256 * 1024;

/// Who the configured users are, asked for when a configuration is loaded: at a spawn, a name server
/// that does not answer would hold up everything.
#[derive(Debug, Clone)]
pub(super) struct Users {
    /// What everybody's programs inherit: the daemon's own variables at its start.
    pub(super) inherited: Inherited,
    known: Arc<Mutex<HashMap<String, Credentials>>>,
    known_groups: Arc<Mutex<HashMap<String, u32>>>,
    lookups: BoundedLookups,
}

/// Look-ups on a disk or a name server at a spawn, each on a thread of its own: the dispatcher waits for a bounded
/// time.
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

    pub(super) fn get(&self, user: &str) -> Result<Credentials, SpawnError> {
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
    pub(super) fn with_groups(
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
    pub(super) fn env_file(&self, path: &str) -> Result<Vec<(String, String)>, SpawnError> {
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
