//! Which program an orphan belongs to, by what one scan has found of it.
//!
//! Everything below a program inherits its tag, a login shell or a daemon that somebody has started from it as well. A
//! process is *certainly* an orphan of ours only if it is in the session that was made for the program's leader, sees
//! the same processes and files as we do, and carries the tag of a dead daemon at our place. The whole session of such
//! a process is known with it. A program that puts itself into the background leaves that session, as a login shell
//! does; but its pid file names the process that it has become, and the session of that is as good, if it has the tag
//! as well. Every other process with such a tag is *doubtful*.
//!
//! This process, its ancestors and what a living daemon has started are never orphans. What is in our own session is
//! never certain, and never told to end.

use serde::{Deserialize, Serialize};

use super::env_tag::{EnvTag, Identity};
use crate::models::Reconcile;
use crate::process::{ProcessFacts, ProcessId, ScanFacts};
use crate::util::sorted::{SortedMap, SortedSet};

/// Deeper trees of processes are made neither by a person nor by an init.
const MAX_ANCESTORS: usize = 64;
/// Session 0 has its leader outside of our pid namespace, and session 1 is that of init: no daemon has made them.
const FIRST_POSSIBLE_SESSION: i32 = 2;

/// What was found of one program.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Found {
    certain: Vec<ProcessId>,
    doubtful: Vec<ProcessId>,
    /// They have the tag, but are in our own session.
    in_own_session: Vec<ProcessId>,
}

impl Found {
    /// Those that have to end, and those that are only told of.
    pub(super) fn split(self, reconcile: Reconcile) -> (Vec<ProcessId>, Vec<ProcessId>) {
        let Found { certain, doubtful, in_own_session } = self;
        match reconcile {
            Reconcile::Auto => (certain, [doubtful, in_own_session].concat()),
            Reconcile::Kill => ([certain, doubtful].concat(), in_own_session),
            Reconcile::Warn => (Vec::new(), [certain, doubtful, in_own_session].concat()),
            Reconcile::Off => (Vec::new(), Vec::new()),
        }
    }

    /// The pids of all of them.
    pub(super) fn pids(&self) -> Vec<i32> {
        let all = self.certain.iter().chain(&self.doubtful).chain(&self.in_own_session);
        all.map(|process| process.pid).collect()
    }
}

/// This process and those that it comes from.
#[derive(Debug)]
struct Ancestry {
    session: i32,
    pids: SortedSet<i32>,
}

impl Ancestry {
    fn of(own: ProcessId, living: &SortedMap<i32, ProcessFacts>) -> Ancestry {
        let mut ancestry = Ancestry { session: 0, pids: SortedSet::from_iter([own.pid]) };
        ancestry.session = living.get(&own.pid).map_or(0, |process| process.session);
        let mut next = own.pid;
        // A parent that can't be seen (hidepid) is still an ancestor.
        while let Some(process) = living.get(&next)
            && process.ppid > 0
            && ancestry.pids.len() < MAX_ANCESTORS
            && ancestry.pids.insert(process.ppid)
        {
            next = process.ppid;
        }
        ancestry
    }
}

/// One scan, indexed by what is asked of it.
struct View<'a> {
    identity: &'a Identity,
    facts: &'a ScanFacts,
    living: SortedMap<i32, ProcessFacts>,
    ancestry: Ancestry,
}

impl<'a> View<'a> {
    fn of(identity: &'a Identity, facts: &'a ScanFacts) -> View<'a> {
        let living: SortedMap<i32, ProcessFacts> =
            facts.living.iter().map(|process| (process.id.pid, *process)).collect();
        let ancestry = Ancestry::of(identity.process, &living);
        View { identity, facts, living, ancestry }
    }

    /// Whether another daemon lives. In our own process there is none beside us: what was there before us has ended.
    fn lives(&self, daemon: ProcessId) -> bool {
        daemon.pid != self.identity.process.pid && self.living.get(&daemon.pid).is_some_and(|there| there.id == daemon)
    }

    /// The processes with a whole tag of a daemon at our place, and whether they see the same namespaces as we do.
    fn tags(&self) -> impl Iterator<Item = (ProcessFacts, bool, EnvTag)> {
        self.facts.tagged.iter().filter_map(|tagged| {
            let process = *self.living.get(&tagged.id.pid)?;
            let tag = EnvTag::parse(&tagged.tag, &self.identity.place)?;
            Some((process, tagged.sees_same_namespaces, tag))
        })
    }

    /// The daemons that have started what is tagged, this one left out.
    fn authors(&self) -> impl Iterator<Item = ProcessId> {
        let tags = self.tags().filter(|(process, _, _)| !self.ancestry.pids.contains(&process.id.pid));
        tags.map(|(_, _, tag)| tag.daemon).filter(|daemon| *daemon != self.identity.author)
    }
}

/// The processes that have to be looked at once more before anything is decided: what is being executed, and the
/// daemons that have left orphans, unless a second look (`examined`) has already found them dead. (A look takes its
/// time, and a daemon may begin behind its back; and a killed daemon gives its socket away a moment before it has
/// ended.)
pub(super) fn undecided(identity: &Identity, facts: &ScanFacts, examined: &SortedSet<i32>) -> Vec<i32> {
    let view = View::of(identity, facts);
    let authors = view.authors().filter(|daemon| view.lives(*daemon) || !examined.contains(&daemon.pid));
    let executing = facts.pre_exec.iter().chain(&facts.in_exec).copied();
    let pids: SortedSet<i32> = authors.map(|daemon| daemon.pid).chain(executing).collect();
    pids.into_iter().collect()
}

/// The daemons that have left something and are certainly dead: not there in a second look.
pub(super) fn dead_daemons(identity: &Identity, facts: &ScanFacts, examined: &SortedSet<i32>) -> SortedSet<ProcessId> {
    let view = View::of(identity, facts);
    view.authors().filter(|daemon| !view.lives(*daemon) && examined.contains(&daemon.pid)).collect()
}

/// The sessions of those processes that the pid files of their programs name: `named` has both. A pid file may be from
/// long ago, and its number another process's by now: only what has the tag of the same program counts.
pub(super) fn main_sessions(
    identity: &Identity,
    facts: &ScanFacts,
    dead: &SortedSet<ProcessId>,
    named: &SortedMap<String, i32>,
) -> SortedMap<String, i32> {
    let view = View::of(identity, facts);
    let is_main = |process: &ProcessFacts, tag: &EnvTag| {
        named.get(&tag.program) == Some(&process.id.pid) && dead.contains(&tag.daemon)
    };
    let mains = view.tags().filter(|(process, sees_same, tag)| *sees_same && is_main(process, tag));
    mains.map(|(process, _, tag)| (tag.program, process.session)).collect()
}

/// All orphans of these daemons at our place, by program. Certain are those too that are in the session of its main
/// process.
pub(super) fn classify(
    identity: &Identity,
    facts: &ScanFacts,
    dead: &SortedSet<ProcessId>,
    main_sessions: &SortedMap<String, i32>,
) -> SortedMap<String, Found> {
    let view = View::of(identity, facts);
    let mut found: SortedMap<String, Found> = SortedMap::default();
    let mut sessions: SortedMap<i32, String> = SortedMap::default();
    let mut settled = SortedSet::default();
    for (process, sees_same_namespaces, tag) in view.tags() {
        if view.ancestry.pids.contains(&process.id.pid) {
            continue;
        }
        settled.insert(process.id.pid);
        if !dead.contains(&tag.daemon) {
            continue;
        }
        let is_made_for_it = process.session == tag.leader || main_sessions.get(&tag.program) == Some(&process.session);
        let found = found.get_or_default(tag.program.clone());
        if process.session == view.ancestry.session {
            found.in_own_session.push(process.id);
        } else if sees_same_namespaces && is_made_for_it && process.session >= FIRST_POSSIBLE_SESSION {
            sessions.insert(process.session, tag.program);
            found.certain.push(process.id);
        } else {
            found.doubtful.push(process.id);
        }
    }
    // Those that have overwritten or cleared their environment, and those that are just being executed.
    for process in &facts.living {
        if let Some(program) = sessions.get(&process.session)
            && !view.ancestry.pids.contains(&process.id.pid)
            && settled.insert(process.id.pid)
        {
            found.get_or_default(program.clone()).certain.push(process.id);
        }
    }
    found
}

/// The processes that the pid files of their programs name though they have no tag: some overwrite their environment
/// with a title for `ps`. What has started them is not known (the system's own init may have), so they are never more
/// than told of.
pub(super) fn untagged_mains(
    identity: &Identity,
    facts: &ScanFacts,
    found: &SortedMap<String, Found>,
    named: &SortedMap<String, i32>,
) -> SortedMap<String, ProcessId> {
    let view = View::of(identity, facts);
    let known: SortedSet<i32> = found.values().flat_map(Found::pids).collect();
    let has_tag = |pid: i32| facts.tagged.iter().any(|tagged| tagged.id.pid == pid);
    let is_main = |pid: i32| !known.contains(&pid) && !view.ancestry.pids.contains(&pid) && !has_tag(pid);
    let mains = named.iter().filter(|(_, pid)| is_main(**pid));
    mains.filter_map(|(program, pid)| Some((program.clone(), view.living.get(pid)?.id))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::TaggedProcess;

    const OURS: ProcessId = ProcessId { pid: 50, start_time: 500 };

    fn identity() -> Identity {
        Identity { place: "/s".into(), process: OURS, author: OURS }
    }

    /// `(pid, ppid, session)`; the start time is ten times the pid.
    fn facts(living: &[(i32, i32, i32)], tagged: &[(i32, &str)]) -> ScanFacts {
        let id = |pid: i32| ProcessId { pid, start_time: u64::try_from(pid).unwrap() * 10 };
        let living =
            living.iter().map(|(pid, ppid, session)| ProcessFacts { id: id(*pid), ppid: *ppid, session: *session });
        let tagged = tagged.iter().map(|(pid, tag)| TaggedProcess {
            id: id(*pid),
            tag: tag.as_bytes().to_vec(),
            sees_same_namespaces: true,
        });
        ScanFacts { living: living.collect(), tagged: tagged.collect(), ..ScanFacts::default() }
    }

    /// After a second look at everything, with the same result.
    fn judged(facts: &ScanFacts) -> SortedMap<String, Found> {
        judged_with(facts, &[])
    }

    /// With pid files that name these.
    fn judged_with(facts: &ScanFacts, named: &[(&str, i32)]) -> SortedMap<String, Found> {
        let named = named.iter().map(|(program, pid)| ((*program).to_owned(), *pid)).collect();
        let dead = dead_daemons(&identity(), facts, &all());
        let sessions = main_sessions(&identity(), facts, &dead, &named);
        classify(&identity(), facts, &dead, &sessions)
    }

    fn all() -> SortedSet<i32> {
        (1..1000).collect()
    }

    fn pids(list: &[ProcessId]) -> Vec<i32> {
        list.iter().map(|process| process.pid).collect()
    }

    fn of(facts: &ScanFacts, program: &str) -> (Vec<i32>, Vec<i32>, Vec<i32>) {
        let found = judged(facts).remove(program).unwrap_or_default();
        (pids(&found.certain), pids(&found.doubtful), pids(&found.in_own_session))
    }

    #[test]
    fn the_session_of_a_dead_daemons_leader_is_certain_and_what_left_it_is_doubtful() {
        let tag = "60/900.9/web//s";
        let living = [(1, 0, 1), (50, 1, 50), (60, 1, 60), (61, 60, 60), (62, 1, 62), (63, 1, 60)];
        let facts = facts(&living, &[(60, tag), (61, tag), (62, tag)]);
        // 63 has overwritten its environment.
        assert_eq!(of(&facts, "web"), (vec![60, 61, 63], vec![62], vec![]));
        assert_eq!(undecided(&identity(), &facts, &all()), [0; 0]);
    }

    #[test]
    fn the_session_of_the_process_that_the_pid_file_names_is_certain_if_it_has_the_tag() {
        let tag = "60/900.9/web//s";
        let living = [(1, 0, 1), (50, 1, 50), (62, 1, 62), (63, 62, 62), (64, 62, 62), (65, 62, 65)];
        // 64 has overwritten its environment, 65 made a session of its own.
        let facts = facts(&living, &[(62, tag), (63, tag), (65, tag)]);
        let of = |named: &[(&str, i32)]| {
            let found = judged_with(&facts, named).remove("web").unwrap_or_default();
            (pids(&found.certain), pids(&found.doubtful))
        };
        assert_eq!(of(&[("web", 62)]), (vec![62, 63, 64], vec![65]));
        assert_eq!(of(&[("web", 63)]), (vec![62, 63, 64], vec![65]), "whoever leads the session");
        for named in [("web", 64), ("web", 1), ("web", 999), ("db", 62)] {
            assert_eq!(of(&[named]), (vec![], vec![62, 63, 65]), "{named:?}: it has not the tag");
        }
        let mut elsewhere = facts.clone();
        elsewhere.tagged[0].sees_same_namespaces = false;
        assert_eq!(pids(&judged_with(&elsewhere, &[("web", 62)]).remove("web").unwrap().certain), [0; 0]);
    }

    #[test]
    fn another_view_of_files_or_processes_makes_it_doubtful() {
        let mut facts = facts(&[(50, 1, 50), (60, 1, 60)], &[(60, "60/900.9/web//s")]);
        facts.tagged[0].sees_same_namespaces = false;
        assert_eq!(of(&facts, "web"), (vec![], vec![60], vec![]));
    }

    #[test]
    fn what_a_living_daemon_or_we_have_started_is_no_orphan_and_its_session_is_not_searched() {
        let living = [(50, 1, 50), (60, 50, 60), (61, 60, 60), (70, 1, 70), (80, 70, 80)];
        let facts = facts(&living, &[(60, "60/50.500/web//s"), (80, "80/70.700/web//s")]);
        assert_eq!(judged(&facts), SortedMap::default());
        assert_eq!(undecided(&identity(), &facts, &all()), [70], "it may be about to end");
    }

    /// Its process is the same; what survived its end is nobody's.
    #[test]
    fn a_daemon_that_begins_anew_takes_what_it_has_left_behind_for_a_dead_ones() {
        let again = Identity { author: ProcessId { start_time: 501, ..OURS }, ..identity() };
        let living = [(1, 0, 1), (50, 1, 50), (60, 50, 60), (70, 50, 70)];
        let facts = facts(&living, &[(60, "60/50.500/web//s"), (70, "70/50.501/web//s")]);
        let dead = dead_daemons(&again, &facts, &all());
        let found = classify(&again, &facts, &dead, &SortedMap::default());
        assert_eq!(found.get("web").map(|found| pids(&found.certain)), Some(vec![60]), "70 is of this run");
    }

    #[test]
    fn a_daemon_whose_number_went_to_another_process_is_dead() {
        let facts = facts(&[(50, 1, 50), (60, 1, 60), (70, 1, 70)], &[(60, "60/70.699/web//s")]);
        assert_eq!(of(&facts, "web"), (vec![60], vec![], vec![]));
        assert_eq!(undecided(&identity(), &facts, &all()), [0; 0]);
    }

    #[test]
    fn a_daemon_is_not_taken_for_dead_before_a_second_look() {
        let facts = facts(&[(50, 1, 50), (60, 1, 60)], &[(60, "60/900.9/web//s")]);
        let nobody = SortedSet::default();
        assert_eq!(undecided(&identity(), &facts, &nobody), [900]);
        assert_eq!(dead_daemons(&identity(), &facts, &nobody), SortedSet::default());
        assert_eq!(classify(&identity(), &facts, &SortedSet::default(), &SortedMap::default()), SortedMap::default());
    }

    #[test]
    fn what_a_living_daemon_has_in_a_session_of_orphans_is_not_theirs() {
        let living = [(50, 1, 50), (60, 1, 60), (61, 70, 60), (70, 1, 70)];
        let facts = facts(&living, &[(60, "60/900.9/web//s"), (61, "61/70.700/web//s")]);
        assert_eq!(of(&facts, "web"), (vec![60], vec![], vec![]));
    }

    #[test]
    fn ancestors_are_no_orphans_not_even_in_a_session_of_orphans() {
        let tag = "30/900.9/web//s";
        let living = [(1, 0, 1), (30, 1, 30), (31, 30, 30), (32, 30, 30), (50, 31, 50)];
        let facts = facts(&living, &[(30, tag), (31, tag), (32, tag), (50, tag)]);
        assert_eq!(of(&facts, "web"), (vec![32], vec![], vec![]));
    }

    #[test]
    fn our_own_session_is_never_told_to_end_whatever_is_configured() {
        let tag = "30/900.9/web//s";
        let facts = facts(&[(30, 1, 30), (33, 30, 30), (50, 30, 30)], &[(30, tag), (33, tag), (50, tag)]);
        assert_eq!(of(&facts, "web"), (vec![], vec![], vec![33]));
        for reconcile in [Reconcile::Auto, Reconcile::Kill, Reconcile::Warn, Reconcile::Off] {
            let found = judged(&facts).remove("web").unwrap();
            assert_eq!(found.split(reconcile).0, []);
        }
    }

    #[test]
    fn sessions_that_no_daemon_can_have_made_are_not_searched() {
        for session in [0, 1] {
            let tag = format!("{session}/900.9/web//s");
            let facts = facts(&[(50, 1, 50), (60, 1, session), (61, 1, session)], &[(60, &tag)]);
            assert_eq!(of(&facts, "web"), (vec![], vec![60], vec![]));
        }
    }

    #[test]
    fn a_ring_of_parents_ends() {
        // Read one after the other, numbers that are used again may look so.
        let facts = facts(&[(50, 51, 50), (51, 52, 51), (52, 50, 52)], &[]);
        assert_eq!(judged(&facts), SortedMap::default());
    }

    #[test]
    fn what_is_being_executed_is_undecided() {
        let mut facts = facts(&[(50, 1, 50)], &[]);
        facts.pre_exec = vec![8];
        facts.in_exec = vec![7, 8];
        assert_eq!(undecided(&identity(), &facts, &all()), [7, 8]);
    }
}
