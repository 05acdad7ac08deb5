//! What a daemon that died without stopping its programs (kill -9, out of memory) has left of them.
//!
//! The kernel kills the leaders (`pdeathsig`); their groups, and programs without `pdeathsig`, live on. The next daemon
//! knows them by a mark in their environment, [`VARIABLE`], which says: the pid of the leader, the daemon (pid and
//! start time), the program, and the control socket, which two living daemons can't share. A mark costs no file, no
//! write and no memory here, dies with the process, and every process carries its own; a file with pids could not tell
//! whose a group without its leader is.
//!
//! A mark is inherited by everything below a program, though: by a login shell or a daemon that somebody
//! has started from it. So *certainly ours* is only what is still in the session that was made for the leader, sees the
//! same processes and files as we do, and whose daemon is dead; and with one member the whole session is known.
//! Never this process, one of its ancestors or its own session.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::api::ProcId;
use crate::models::{ProgramConfig, Reconcile, SupervisorConfig};
use crate::process::Moment;
use crate::sys::marked::{self, Stranger};
use crate::sys::proc::{self, Stat};
use crate::sys::launch::ENV_TAG;

/// The variable that marks everything that a daemon starts.
pub(super) const VARIABLE: &str = "SUPERVICE_ID";

/// A daemon that is about to end (it has released its socket already) is waited for so long.
const LAST_BREATH: Duration = Duration::from_millis(300);
/// /proc is read again at most once in this time, …
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// … and so many times as long as reading it took.
const LOOK_SHARE: u32 = 20;
/// So many looks in a row are not trusted because something was being executed.
const MOST_UNSURE: u32 = 50;
/// Pids that a sentence names.
const MOST_PIDS: usize = 8;

/// Which daemon this is, for the marks.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// The control socket, else the pid file: what no two living daemons share.
    place: Arc<str>,
    pid: i32,
    start_time: u64,
}

impl Identity {
    /// `None` for a daemon without socket and pid file: nothing would tell it from others.
    pub(super) fn of(config: &SupervisorConfig) -> Option<Identity> {
        let place = config.socket_path.as_deref().or(config.pidfile.as_deref())?;
        let place = match std::path::absolute(Path::new(place)) {
            Ok(absolute) if !place.starts_with('@') => absolute.to_str()?.into(),
            Ok(_) | Err(_) => place.into(),
        };
        let pid = i32::try_from(std::process::id()).ok()?;
        Some(Identity { place, pid, start_time: proc::stat(pid)?.start_time })
    }

    /// What the environment of this program's processes gets, stamp and all.
    pub(super) fn mark(&self, config: &ProgramConfig) -> Option<Vec<u8>> {
        if config.reconcile == Reconcile::Off || config.name.contains('/') {
            return None;
        }
        let Identity { place, pid, start_time } = self;
        Some([ENV_TAG, format!("{pid}.{start_time}/{}/{place}", config.name).as_bytes()].concat())
    }

    fn is_author(&self, mark: &Mark) -> bool {
        (mark.daemon, mark.daemon_start) == (self.pid, self.start_time)
    }
}

/// What a mark says.
#[derive(Debug, PartialEq, Eq)]
struct Mark {
    leader: i32,
    daemon: i32,
    daemon_start: u64,
    program: String,
}

impl Mark {
    /// `None`: of a daemon with another socket, or no mark at all.
    fn parse(value: &[u8], place: &str) -> Option<Mark> {
        let mut parts = std::str::from_utf8(value).ok()?.splitn(4, '/');
        let leader = parts.next()?.parse().ok()?;
        let (daemon, start) = parts.next()?.split_once('.')?;
        let (daemon, daemon_start) = (daemon.parse().ok()?, start.parse().ok()?);
        let program = parts.next()?.to_owned();
        (parts.next()? == place).then_some(Mark { leader, daemon, daemon_start, program })
    }
}

/// What was found of one program.
#[derive(Debug, Default)]
struct Found {
    certain: Vec<Stat>,
    doubtful: Vec<Stat>,
}

/// What is on its way out for one process.
struct Pack {
    program: String,
    /// Doubtful ones as well.
    all: bool,
    members: Vec<Stranger>,
    last_signal: Option<u8>,
    /// When the last member was seen to have ended; a look after that decides.
    empty_since: Option<Moment>,
}

/// See the [module](self).
pub(super) struct Orphans {
    identity: Option<Identity>,
    hunted: HashMap<ProcId, Pack>,
    /// Those that are left alone, but told of.
    noted: HashMap<ProcId, Vec<Stranger>>,
    looked_at: Option<Moment>,
    next_look: Option<Moment>,
    /// Looks in a row that may have missed something.
    unsure: u32,
}

impl Orphans {
    pub(super) fn new(identity: Option<Identity>) -> Orphans {
        Orphans { identity, hunted: HashMap::new(), noted: HashMap::new(), looked_at: None, next_look: None, unsure: 0 }
    }

    pub(super) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Looks for what earlier daemons have left of these programs. Returns those of which something has to go
    /// first, each with a pid.
    pub(super) fn find(&mut self, programs: &[(ProcId, Arc<ProgramConfig>)]) -> Vec<(ProcId, i32)> {
        let Some(identity) = &self.identity else { return Vec::new() };
        // What PID 1 leaves behind, the kernel kills.
        let wanted = |(_, config): &(ProcId, Arc<ProgramConfig>)| config.reconcile != Reconcile::Off;
        if identity.pid == 1 || !programs.iter().any(wanted) {
            return Vec::new();
        }
        let mut found = match look(identity, LAST_BREATH) {
            Ok(Look { found, unborn, .. }) => {
                if !unborn.is_empty() {
                    let pids = pids(unborn.into_iter());
                    log::warn!("{pids} may be of an earlier daemon, but has not executed its program yet: left alone");
                }
                found
            }
            Err(error) => {
                log::warn!("cannot look for what an earlier daemon may have left behind: /proc: {error}");
                return Vec::new();
            }
        };
        let mut hunted = Vec::new();
        for (id, config) in programs {
            if let Some(found) = found.remove(&config.name)
                && let Some(pid) = self.judge(*id, config, found)
            {
                hunted.push((*id, pid));
            }
        }
        for (name, found) in found {
            let pids = pids(found.certain.iter().chain(&found.doubtful).map(|stat| stat.pid));
            log::warn!("an earlier daemon left {pids} of {name}, which is no longer configured: left alone");
        }
        hunted
    }

    /// Does with what was found of a program as it is configured; a pid of what has to go.
    fn judge(&mut self, id: ProcId, config: &ProgramConfig, found: Found) -> Option<i32> {
        let (hunt, note) = match config.reconcile {
            Reconcile::Off => return None,
            Reconcile::Auto => (found.certain, found.doubtful),
            Reconcile::Warn => (Vec::new(), [found.certain, found.doubtful].concat()),
            Reconcile::Kill => ([found.certain, found.doubtful].concat(), Vec::new()),
        };
        let hold = |stats: Vec<Stat>| -> Vec<Stranger> { stats.iter().filter_map(Stranger::hold).collect() };
        let (members, noted) = (hold(hunt), hold(note));
        if !noted.is_empty() {
            let pids = pids(noted.iter().map(|one| one.pid));
            log::warn!("{}: an earlier daemon left {pids} running: left alone (reconcile)", config.name);
            self.noted.insert(id, noted);
        }
        let pid = members.first()?.pid;
        log::warn!(
            "{}: an earlier daemon left {} behind: told to end before it is started",
            config.name,
            pids(members.iter().map(|one| one.pid))
        );
        let (program, all) = (config.name.clone(), config.reconcile == Reconcile::Kill);
        self.hunted.insert(id, Pack { program, all, members, last_signal: None, empty_since: None });
        Some(pid)
    }

    /// Signals what has to go. Those that we may not signal are left alone from then on.
    pub(super) fn signal(&mut self, id: ProcId, signal: u8) {
        let Some(pack) = self.hunted.get_mut(&id) else { return };
        pack.last_signal = Some(signal);
        let (members, denied) = std::mem::take(&mut pack.members).into_iter().partition(|member| {
            member.signal(signal).inspect_err(|error| denied(&pack.program, member, error)).is_ok()
        });
        pack.members = members;
        if !denied.is_empty() {
            self.noted.entry(id).or_default().extend(denied);
        }
    }

    /// Whether everything that had to go is gone. What it forked meanwhile is found, too: /proc is read once more
    /// after the last one that was known has ended, for all programs at once.
    pub(super) fn are_gone(&mut self, id: ProcId, now: Moment) -> bool {
        let Some(pack) = self.hunted.get_mut(&id) else { return true };
        if !pack.is_empty_handed(now) {
            return false;
        }
        if !self.was_looked_for(id) {
            if self.next_look.is_some_and(|at| now < at) {
                return false;
            }
            self.look_again(now);
            // By then others may have gone as well; whether this one has, the look has told.
            return self.hunted.get(&id).is_none_or(|pack| pack.members.is_empty());
        }
        true
    }

    fn was_looked_for(&self, id: ProcId) -> bool {
        self.hunted.get(&id).is_none_or(|pack| pack.empty_since < self.looked_at)
    }

    fn look_again(&mut self, now: Moment) {
        let Some(identity) = &self.identity else { return };
        // Whatever has gone by now needs no look of its own.
        for pack in self.hunted.values_mut() {
            pack.is_empty_handed(now);
        }
        let begin = crate::sys::time::now();
        let found = look(identity, Duration::ZERO);
        let took = crate::sys::time::now().saturating_duration_since(begin);
        self.next_look = Some(now + LOOK_PAUSE.max(took * LOOK_SHARE));
        self.take_note(begin, found.as_ref().is_ok_and(|look| look.in_exec));
        // Without /proc nobody can tell any more; what was known has gone.
        let Ok(Look { mut found, .. }) = found else { return };
        for (id, pack) in &mut self.hunted {
            let Some(found) = found.remove(&pack.program) else { continue };
            let fresh = if pack.all { [found.certain, found.doubtful].concat() } else { found.certain };
            let noted = self.noted.get(id).map(Vec::as_slice).unwrap_or_default();
            for stat in fresh {
                let known = pack.members.iter().chain(noted).any(|one| one.pid == stat.pid);
                if known || Stranger::hold(&stat).is_none_or(|one| !pack.take(one)) {
                    continue;
                }
                pack.empty_since = None;
            }
        }
    }

    /// What is being executed shows no mark for a moment; what stays so (its disk hangs) is not waited for.
    fn take_note(&mut self, looked_at: Moment, in_exec: bool) {
        self.unsure = if in_exec { self.unsure.saturating_add(1) } else { 0 };
        if self.unsure == 0 || self.unsure > MOST_UNSURE {
            self.looked_at = Some(looked_at);
        }
    }

    /// Nothing is hunted for this process any more; `true` if something was.
    pub(super) fn end_hunt(&mut self, id: ProcId) -> bool {
        self.hunted.remove(&id).is_some()
    }

    /// The process will never be heard of again.
    pub(super) fn forget(&mut self, id: ProcId) {
        self.noted.remove(&id);
    }

    /// A sentence about what is left alone, as long as it is there.
    pub(super) fn note(&self, id: ProcId) -> Option<String> {
        let noted = self.noted.get(&id)?.iter().filter(|one| !one.has_ended());
        let there: Vec<i32> = noted.map(|one| one.pid).collect();
        (!there.is_empty()).then(|| format!("an earlier daemon left {} running", pids(there.into_iter())))
    }
}

impl Pack {
    /// Lets go of those that have ended; whether that was all.
    fn is_empty_handed(&mut self, now: Moment) -> bool {
        self.members.retain(|member| !member.has_ended());
        if self.members.is_empty() {
            self.empty_since.get_or_insert(now);
        }
        self.members.is_empty()
    }

    /// Adds one that was forked meanwhile and tells it what the others were told; `false` if that is refused.
    fn take(&mut self, one: Stranger) -> bool {
        let told = self.last_signal.is_none_or(|signal| one.signal(signal).is_ok());
        if told {
            self.members.push(one);
        }
        told
    }
}

fn denied(program: &str, member: &Stranger, error: &io::Error) {
    log::error!("{program}: pid {}, which an earlier daemon left behind, can't be signalled: {error}", member.pid);
}

fn pids(pids: impl Iterator<Item = i32>) -> String {
    let all: Vec<String> = pids.map(|pid| pid.to_string()).collect();
    match all.get(..MOST_PIDS) {
        Some(first) if all.len() > MOST_PIDS => format!("pid {} and {} more", first.join(", "), all.len() - MOST_PIDS),
        Some(_) | None => format!("pid {}", all.join(", ")),
    }
}

/// What there was to see.
struct Look {
    found: BTreeMap<String, Found>,
    unborn: Vec<i32>,
    /// Something was being executed all the time, and may have a mark afterwards.
    in_exec: bool,
}

/// Everything of dead daemons with this identity, by program.
fn look(identity: &Identity, last_breath: Duration) -> io::Result<Look> {
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    let mut sessions: HashMap<i32, String> = HashMap::new();
    let mut seen = HashSet::new();
    let mut daemons: HashMap<(i32, u64), bool> = HashMap::new();
    let kin = Kin::of(identity.pid);
    let search = marked::marked(VARIABLE, last_breath)?;
    let (unborn, in_exec) = (search.unborn, !search.in_exec.is_empty());
    for marked in search.found {
        let Some(mark) = Mark::parse(&marked.value, &identity.place) else { continue };
        let author = (mark.daemon, mark.daemon_start);
        let lives = || daemon_lives(author.0, author.1, last_breath);
        if identity.is_author(&mark)
            || kin.ancestors.contains(&marked.stat.pid)
            || *daemons.entry(author).or_insert_with(lives)
        {
            continue;
        }
        // A session that we are in ourselves was made for somebody else by now.
        let certain = marked.sees_what_we_see && marked.stat.session == mark.leader && mark.leader != kin.session;
        seen.insert(marked.stat.pid);
        let found = found.entry(mark.program.clone()).or_default();
        if certain {
            sessions.insert(mark.leader, mark.program);
            found.certain.push(marked.stat);
        } else {
            found.doubtful.push(marked.stat);
        }
    }
    // Those that have overwritten or cleared their environment.
    if !sessions.is_empty() {
        let numbers: Vec<i32> = sessions.keys().copied().collect();
        for stat in marked::session_members(&numbers)? {
            if let Some(program) = sessions.get(&stat.session)
                && !kin.ancestors.contains(&stat.pid)
                && seen.insert(stat.pid)
            {
                found.entry(program.clone()).or_default().certain.push(stat);
            }
        }
    }
    Ok(Look { found, unborn, in_exec })
}

/// This process and those that it comes from.
struct Kin {
    session: i32,
    ancestors: Vec<i32>,
}

impl Kin {
    fn of(own: i32) -> Kin {
        let mut kin = Kin { session: proc::stat(own).map_or(0, |stat| stat.session), ancestors: vec![own] };
        let mut next = own;
        // Deeper trees are none that a person or an init has made.
        while let Some(stat) = proc::stat(next)
            && stat.ppid > 0
            && kin.ancestors.len() < 64
        {
            next = stat.ppid;
            kin.ancestors.push(next);
        }
        kin
    }
}

/// Whether the daemon that has made a mark still lives, after waiting for its end if it does: one that was killed
/// gives its socket away a moment before it has ended, and its programs' leaders with it.
fn daemon_lives(pid: i32, start_time: u64, last_breath: Duration) -> bool {
    let there = proc::stat(pid).filter(|stat| stat.start_time == start_time && !stat.is_dead());
    let Some(daemon) = there.as_ref().and_then(Stranger::hold) else { return false };
    !daemon.wait(last_breath)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(socket: &str) -> Identity {
        let config = SupervisorConfig { socket_path: Some(socket.to_owned()), ..SupervisorConfig::default() };
        Identity::of(&config).unwrap()
    }

    #[test]
    fn a_mark_says_who_is_whose() {
        let identity = identity("/run/a/ctl.sock");
        let mark = identity.mark(&ProgramConfig::new("web:00", "true")).unwrap();
        let value = mark.strip_prefix(b"SUPERVICE_ID=").unwrap();
        let read = Mark::parse(value, "/run/a/ctl.sock").unwrap();
        assert_eq!((read.leader, read.daemon, read.program.as_str()), (0, identity.pid, "web:00"));
        assert!(identity.is_author(&read));
        assert!(Mark::parse(value, "/run/b/ctl.sock").is_none(), "another daemon's");
        let off = ProgramConfig { reconcile: Reconcile::Off, ..ProgramConfig::new("web", "true") };
        assert_eq!(identity.mark(&off), None);
        assert_eq!(identity.mark(&ProgramConfig::new("a/b", "true")), None);
    }

    #[test]
    fn a_place_is_absolute_and_a_daemon_without_one_has_no_identity() {
        assert!(identity("ctl.sock").place.starts_with('/'));
        assert_eq!(&*identity("@abstract").place, "@abstract");
        let nowhere = SupervisorConfig { socket_path: None, pidfile: None, ..SupervisorConfig::default() };
        assert!(Identity::of(&nowhere).is_none());
    }

    #[test]
    fn what_is_no_mark_is_ignored() {
        for value in ["", "x", "1/2.3/web", "1/23/web//s", "a/2.3/web//s", "1/2.x/web//s", "1/2.3/web//t", "\u{fffd}"] {
            assert_eq!(Mark::parse(value.as_bytes(), "/s"), None, "{value}");
        }
        assert_eq!(Mark::parse(b"1/2.3/\xff//s", "/s"), None);
        let mark = Mark { leader: 1, daemon: 2, daemon_start: 3, program: "web".to_owned() };
        assert_eq!(Mark::parse(b"0000000001/2.3/web//s", "/s"), Some(mark));
    }

    #[test]
    fn long_lists_of_pids_are_cut() {
        assert_eq!(pids([4].into_iter()), "pid 4");
        assert_eq!(pids(1..=8), "pid 1, 2, 3, 4, 5, 6, 7, 8");
        assert_eq!(pids(1..=10), "pid 1, 2, 3, 4, 5, 6, 7, 8 and 2 more");
    }

    #[test]
    fn a_look_while_something_is_executed_counts_only_if_that_never_ends() {
        let mut orphans = Orphans::new(None);
        let begin = crate::sys::time::now();
        let look = |orphans: &mut Orphans, second: u32, in_exec| {
            let at = begin + Duration::from_secs(second.into());
            orphans.take_note(at, in_exec);
            orphans.looked_at == Some(at)
        };
        assert!(look(&mut orphans, 0, false));
        assert!(!(1..=MOST_UNSURE).any(|second| look(&mut orphans, second, true)));
        assert!(look(&mut orphans, 51, true) && look(&mut orphans, 52, true));
        assert!(look(&mut orphans, 53, false));
        assert!(!look(&mut orphans, 54, true), "counted anew");
    }

    #[test]
    fn nothing_is_kept_of_a_process_that_is_forgotten() {
        let mut orphans = Orphans::new(None);
        orphans.noted.insert(1, Vec::new());
        orphans.noted.insert(2, Vec::new());
        orphans.forget(1);
        assert!(orphans.noted.keys().eq(&[2]));
    }

    #[test]
    fn a_living_daemon_lives() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let start = proc::stat(pid).unwrap().start_time;
        assert!(daemon_lives(pid, start, Duration::ZERO));
        assert!(!daemon_lives(pid, start + 1, Duration::ZERO), "its number went to us");
    }
}
