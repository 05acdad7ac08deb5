//! Adoption step by step, each effect answered by hand.

mod sim;

use super::*;
use crate::process::{ProcessFacts, TaggedProcess};

const MILLI: Duration = Duration::from_millis(1);
const SIGTERM: u8 = 15;
const WEB: ProcId = 1;

fn start() -> Moment {
    Moment::from_nanos(1_000_000_000)
}

fn id(pid: i32) -> ProcessId {
    ProcessId { pid, start_time: u64::try_from(pid).unwrap() * 10 }
}

fn adoption() -> Adoption {
    Adoption::new(Some(Identity { place: "/s".into(), process: id(50), author: id(50) }))
}

fn programs(reconcile: Reconcile) -> Vec<Program> {
    vec![Program { id: WEB, name: "web".to_owned(), reconcile, pid_file: None }]
}

/// The daemon 50 and these processes, each the leader of its session; tagged by the daemon 90, unless it is that.
fn facts(pids: &[i32]) -> ScanFacts {
    let living = [50].iter().chain(pids).map(|pid| ProcessFacts { id: id(*pid), ppid: 1, session: *pid });
    let tagged = pids.iter().filter(|pid| **pid != 90).map(|pid| TaggedProcess {
        id: id(*pid),
        tag: format!("{pid}/90.900/web//s").into_bytes(),
        sees_same_namespaces: true,
    });
    ScanFacts { living: living.collect(), tagged: tagged.collect(), ..ScanFacts::default() }
}

fn scanned(from: Moment, facts: ScanFacts) -> Input {
    Input::Scanned { from, took: MILLI, result: Ok(facts) }
}

fn probed(living: &[i32], ended: &[i32]) -> Input {
    let ids = |pids: &[i32]| pids.iter().map(|pid| id(*pid)).collect();
    Input::Probed { living: ids(living), ended: ids(ended) }
}

fn probe(pids: &[i32]) -> Output {
    Output::Probe { processes: pids.iter().map(|pid| id(*pid)).collect() }
}

fn signal(pids: &[i32], signal: u8) -> Output {
    Output::Signal { id: WEB, processes: pids.iter().map(|pid| id(*pid)).collect(), signal }
}

/// With 60 and 61 found and told to end at [`start`].
fn stopping(reconcile: Reconcile) -> Adoption {
    let (mut adoption, now) = (adoption(), start());
    assert_eq!(adoption.begin(programs(reconcile)), [Output::Scan]);
    assert_eq!(adoption.handle(now, scanned(now, facts(&[60, 61]))), [Output::Examine { pids: vec![90] }]);
    assert_eq!(adoption.handle(now, Input::Examined { facts: ScanFacts::default() }), [probe(&[60, 61])]);
    let found = adoption.handle(now, probed(&[60, 61], &[]));
    let note = Note::ToldToEnd { program: "web".to_owned(), pids: vec![60, 61] };
    assert_eq!(found, [Output::Log(note), Output::OrphansFound { id: WEB, pid: 60 }, Output::Settled]);
    assert_eq!(adoption.signal(now, WEB, SIGTERM), [signal(&[60, 61], SIGTERM)]);
    adoption
}

#[test]
fn nobody_looks_where_nothing_can_be() {
    let settled = [Output::Settled];
    assert_eq!(Adoption::new(None).begin(programs(Reconcile::Kill)), settled);
    assert_eq!(adoption().begin(programs(Reconcile::Off)), settled);
    let mut after_an_orderly_end = adoption();
    after_an_orderly_end.expect_none();
    assert_eq!(after_an_orderly_end.begin(programs(Reconcile::Auto)), settled);
    assert_eq!(adoption().begin(Vec::new()), [Output::Scan], "programs may come later");
    let init = Identity { place: "/s".into(), process: id(1), author: id(1) };
    let mut adoption = Adoption::new(Some(init));
    assert_eq!(adoption.begin(programs(Reconcile::Kill)), settled);
    assert!(adoption.is_settled() && adoption.poll_timeout().is_none());
}

#[test]
fn without_proc_nothing_is_stopped_and_the_log_says_why() {
    let mut adoption = adoption();
    adoption.begin(programs(Reconcile::Auto));
    let result = Err("not there".to_owned());
    let out = adoption.handle(start(), Input::Scanned { from: start(), took: MILLI, result });
    assert_eq!(out, [Output::Log(Note::CannotLook { reason: "not there".to_owned() }), Output::Settled]);
}

#[test]
fn a_daemon_that_is_about_to_end_is_waited_for_by_a_timer_and_not_longer_than_the_limit() {
    for ends in [true, false] {
        let (mut adoption, mut now) = (adoption(), start());
        adoption.begin(programs(Reconcile::Auto));
        let mut out = adoption.handle(now, scanned(now, facts(&[60, 90])));
        while out == [Output::Examine { pids: vec![90] }] {
            let there = if ends && now > start() + 40 * MILLI { ScanFacts::default() } else { facts(&[90]) };
            out = adoption.handle(now, Input::Examined { facts: there });
            if out.is_empty() {
                let next = adoption.poll_timeout().expect("a timer");
                assert!(now < next && next <= start() + 300 * MILLI, "{next:?}");
                assert_eq!(adoption.handle_timeout(now), [], "too early");
                now = next;
                out = adoption.handle_timeout(now);
            }
        }
        assert_eq!(out, [probe(if ends { &[60] } else { &[] })]);
        assert_eq!(now == start() + 300 * MILLI, !ends);
        assert_eq!(adoption.handle(now, probed(&[60], &[])).last(), Some(&Output::Settled));
    }
}

#[test]
fn what_has_not_executed_its_program_is_told_of_after_the_limit() {
    let (mut adoption, now) = (adoption(), start());
    adoption.begin(programs(Reconcile::Auto));
    let hanging = ScanFacts { pre_exec: vec![70], ..facts(&[]) };
    assert_eq!(adoption.handle(now, scanned(now, hanging.clone())), [Output::Examine { pids: vec![70] }]);
    let late = now + 300 * MILLI;
    assert_eq!(adoption.handle(late, Input::Examined { facts: hanging }), [probe(&[])]);
    let note = Output::Log(Note::PreExec { pids: vec![70] });
    assert_eq!(adoption.handle(late, probed(&[], &[])), [note, Output::Settled]);
}

#[test]
fn warn_leaves_alone_and_the_status_tells_until_it_has_ended() {
    let (mut adoption, now) = (adoption(), start());
    adoption.begin(programs(Reconcile::Warn));
    adoption.handle(now, scanned(now, facts(&[60, 61])));
    adoption.handle(now, Input::Examined { facts: ScanFacts::default() });
    let note = Note::LeftAlone { program: "web".to_owned(), pids: vec![60, 61] };
    assert_eq!(adoption.handle(now, probed(&[60, 61], &[])), [Output::Log(note), Output::Settled]);
    assert_eq!(adoption.poll_timeout(), None, "nobody watches them");
    assert_eq!(adoption.probe_noted(WEB), Some(probe(&[60, 61])));
    assert_eq!(adoption.handle(now, probed(&[61], &[60])), []);
    assert_eq!(adoption.bystanders(WEB).unwrap().to_string(), "an earlier daemon left pid 61 running");
    adoption.handle(now, probed(&[], &[61]));
    assert_eq!((adoption.probe_noted(WEB), adoption.bystanders(WEB)), (None, None));
}

#[test]
fn programs_that_are_no_longer_configured_are_told_of_and_left_alone() {
    let (mut adoption, now) = (adoption(), start());
    let other = Program { id: 2, name: "other".to_owned(), reconcile: Reconcile::Kill, pid_file: None };
    adoption.begin(vec![other]);
    adoption.handle(now, scanned(now, facts(&[60])));
    assert_eq!(adoption.handle(now, Input::Examined { facts: ScanFacts::default() }), [probe(&[])]);
    let note = Note::NotConfigured { program: "web".to_owned(), pids: vec![60] };
    assert_eq!(adoption.handle(now, probed(&[], &[])), [Output::Log(note), Output::Settled]);
}

/// With 60 of `web`, which comes now that nothing else is to be done.
fn coming_back(reconcile: Reconcile) -> (Adoption, Vec<Output>) {
    let (mut adoption, now) = (adoption(), start());
    adoption.begin(Vec::new());
    adoption.handle(now, scanned(now, facts(&[60])));
    adoption.handle(now, Input::Examined { facts: ScanFacts::default() });
    adoption.handle(now, probed(&[], &[]));
    let mut programs = programs(reconcile);
    let out = adoption.add(now, programs.remove(0));
    (adoption, out)
}

#[test]
fn what_is_left_of_a_program_that_comes_later_ends_before_it_is_started() {
    let (mut adoption, out) = coming_back(Reconcile::Auto);
    assert_eq!(out, [Output::OrphansFound { id: WEB, pid: 60 }, probe(&[60])]);
    assert_eq!(adoption.signal(start(), WEB, SIGTERM), [], "it is not held yet");
    let note = Output::Log(Note::ToldToEnd { program: "web".to_owned(), pids: vec![60] });
    assert_eq!(adoption.handle(start(), probed(&[60], &[])), [note, signal(&[60], SIGTERM)]);
    assert_eq!(adoption.handle(start(), probed(&[], &[60])), [Output::Scan]);
    let now = start() + MILLI;
    assert_eq!(adoption.handle(now, scanned(now, facts(&[]))), [Output::Gone { id: WEB }]);
    assert_eq!(adoption.poll_timeout(), None);
    assert_eq!(adoption.add(now, programs(Reconcile::Auto).remove(0)), [], "once");
}

#[test]
fn what_has_ended_before_its_program_comes_is_not_spoken_of() {
    let (mut adoption, _) = coming_back(Reconcile::Auto);
    assert_eq!(adoption.signal(start(), WEB, SIGTERM), []);
    assert_eq!(adoption.handle(start(), probed(&[], &[60])), [Output::Scan], "it may have forked");
    let now = start() + MILLI;
    assert_eq!(adoption.handle(now, scanned(now, facts(&[]))), [Output::Gone { id: WEB }]);
}

#[test]
fn what_is_left_of_a_program_that_comes_later_is_only_told_of_where_that_is_its_setting() {
    let (mut adoption, out) = coming_back(Reconcile::Warn);
    assert_eq!(out, [probe(&[60])]);
    let note = Output::Log(Note::LeftAlone { program: "web".to_owned(), pids: vec![60] });
    assert_eq!(adoption.handle(start(), probed(&[60], &[])), [note]);
    assert_eq!(adoption.bystanders(WEB).unwrap().pids, [60]);
    assert_eq!(coming_back(Reconcile::Off).1, []);
}

#[test]
fn a_program_that_comes_during_the_first_look_is_looked_for_as_well() {
    for moment in 0..3 {
        let (mut adoption, now) = (adoption(), start());
        let add = |adoption: &mut Adoption, at| {
            if at == moment {
                assert_eq!(adoption.add(now, programs(Reconcile::Auto).remove(0)), []);
            }
        };
        adoption.begin(Vec::new());
        add(&mut adoption, 0);
        adoption.handle(now, scanned(now, facts(&[60])));
        add(&mut adoption, 1);
        let held = adoption.handle(now, Input::Examined { facts: ScanFacts::default() });
        add(&mut adoption, 2);
        let living: &[i32] = if held == [probe(&[60])] { &[60] } else { &[] };
        let out = adoption.handle(now, probed(living, &[]));
        assert!(out.contains(&Output::OrphansFound { id: WEB, pid: 60 }), "{moment}: {out:?}");
        assert_eq!(out.last(), Some(&Output::Settled));
    }
}

#[test]
fn what_ends_before_it_is_held_may_have_forked_so_everything_is_looked_at_once_more() {
    let (mut adoption, now) = (adoption(), start());
    adoption.begin(programs(Reconcile::Auto));
    adoption.handle(now, scanned(now, facts(&[60, 61])));
    adoption.handle(now, Input::Examined { facts: ScanFacts::default() });
    let released = Output::Release { processes: vec![id(61)] };
    assert_eq!(adoption.handle(now, probed(&[61], &[60])), [released, Output::Scan]);
    assert_eq!(adoption.handle(now, scanned(now, facts(&[61, 62]))), [probe(&[61, 62])], "90 is known to be dead");
    let late = now + 300 * MILLI;
    let out = adoption.handle(late, probed(&[62], &[61]));
    assert!(out.contains(&Output::OrphansFound { id: WEB, pid: 62 }), "not for ever: {out:?}");
}

#[test]
fn a_group_is_gone_when_a_look_after_its_last_end_finds_nothing() {
    let (mut adoption, now) = (stopping(Reconcile::Auto), start());
    assert_eq!(adoption.poll_timeout(), Some(now + 2 * MILLI));
    let now = now + 2 * MILLI;
    assert_eq!(adoption.handle_timeout(now), [probe(&[60, 61])]);
    assert_eq!(adoption.handle(now, probed(&[61], &[60])), []);
    let now = adoption.poll_timeout().unwrap();
    assert_eq!(adoption.handle_timeout(now), [probe(&[61])]);
    assert_eq!(adoption.handle(now, probed(&[], &[61])), [Output::Scan]);
    assert_eq!(adoption.poll_timeout(), None, "the answer is awaited");
    assert_eq!(adoption.handle(now, scanned(now, facts(&[]))), [], "it did not begin after the end");
    let now = adoption.poll_timeout().unwrap();
    assert_eq!(adoption.handle_timeout(now), [Output::Scan]);
    assert_eq!(adoption.handle(now, scanned(now, facts(&[]))), [Output::Gone { id: WEB }]);
    assert_eq!(adoption.poll_timeout(), None);
}

#[test]
fn what_was_forked_meanwhile_is_told_what_the_others_were_told() {
    let (mut adoption, now) = (stopping(Reconcile::Auto), start());
    assert_eq!(adoption.handle(now, probed(&[], &[60, 61])), [Output::Scan]);
    let now = now + MILLI;
    assert_eq!(adoption.handle(now, scanned(now, facts(&[62]))), [probe(&[62])]);
    assert_eq!(adoption.handle(now, probed(&[62], &[])), [signal(&[62], SIGTERM)]);
    assert_eq!(adoption.signal(now, WEB, 9), [signal(&[62], 9)]);
    assert_eq!(adoption.handle(now, probed(&[], &[62])), [], "looks are far enough apart");
    let now = adoption.poll_timeout().unwrap();
    assert_eq!(adoption.handle_timeout(now), [Output::Scan]);
    assert_eq!(adoption.handle(now, scanned(now, facts(&[]))), [Output::Gone { id: WEB }]);
}

#[test]
fn what_was_found_meanwhile_and_has_ended_calls_for_a_trusted_look_of_its_own() {
    let (mut adoption, now) = (stopping(Reconcile::Auto), start());
    adoption.handle(now, probed(&[], &[60, 61]));
    assert_eq!(adoption.handle(now + MILLI, scanned(now + MILLI, facts(&[62]))), [probe(&[62])]);
    assert_eq!(adoption.handle(now + 2 * MILLI, probed(&[], &[62])), []);
    let now = adoption.poll_timeout().unwrap();
    assert_eq!(adoption.handle_timeout(now), [Output::Scan]);
    let unsure = ScanFacts { in_exec: vec![63], ..facts(&[]) };
    assert_eq!(adoption.handle(now, scanned(now, unsure)), [], "62 may have forked 63");
    let now = adoption.poll_timeout().unwrap();
    assert_eq!(adoption.handle_timeout(now), [Output::Scan]);
    assert_eq!(adoption.handle(now, scanned(now, facts(&[]))), [Output::Gone { id: WEB }]);
}

#[test]
fn what_we_may_not_signal_is_left_alone_and_not_signalled_again() {
    let (mut adoption, now) = (stopping(Reconcile::Auto), start());
    let refused = vec![(id(60), "Operation not permitted (os error 1)".to_owned())];
    let out = adoption.handle(now, Input::Signalled { id: WEB, refused });
    let reason = "Operation not permitted (os error 1)".to_owned();
    assert_eq!(out, [Output::Log(Note::CannotSignal { program: "web".to_owned(), pid: 60, reason })]);
    assert_eq!(adoption.handle(now, probed(&[], &[61])), [Output::Scan]);
    let now = now + MILLI;
    assert_eq!(adoption.handle(now, scanned(now, facts(&[60]))), [Output::Gone { id: WEB }]);
    assert_eq!(adoption.bystanders(WEB).unwrap().to_string(), "an earlier daemon left pid 60 running");
    assert_eq!(adoption.forget(WEB), [Output::Release { processes: vec![id(60)] }]);
    assert_eq!(adoption.forget(WEB), []);
}

#[test]
fn a_daemon_that_has_died_since_the_first_look_is_no_business_of_the_stop_stage() {
    let (mut adoption, now) = (stopping(Reconcile::Kill), start());
    adoption.handle(now, probed(&[], &[60, 61]));
    let mut other = facts(&[62]);
    other.tagged[0].tag = b"62/91.910/web//s".to_vec();
    let now = now + MILLI;
    assert_eq!(adoption.handle(now, scanned(now, other)), [Output::Gone { id: WEB }]);
}

#[test]
fn looks_are_paced_by_what_they_take() {
    let (mut adoption, now) = (stopping(Reconcile::Auto), start());
    adoption.handle(now, probed(&[], &[60, 61]));
    let result = Ok(ScanFacts { in_exec: vec![7], ..facts(&[]) });
    assert_eq!(adoption.handle(now, Input::Scanned { from: now, took: 15 * MILLI, result }), []);
    assert_eq!(adoption.poll_timeout(), Some(now + 30 * MILLI), "soon, while it is not trusted");
    let now = now + 30 * MILLI;
    assert_eq!(adoption.handle_timeout(now), [Output::Scan]);
    let found = Input::Scanned { from: now, took: 15 * MILLI, result: Ok(facts(&[62])) };
    assert_eq!(adoption.handle(now, found), [probe(&[62])]);
    assert_eq!(adoption.handle(now, probed(&[], &[62])), []);
    assert_eq!(adoption.poll_timeout(), Some(now + 300 * MILLI));
}

#[test]
fn a_look_while_something_is_executed_counts_only_if_that_does_not_end() {
    let mut rescans = Rescans::default();
    let look = |rescans: &mut Rescans, milliseconds: u32, in_exec| {
        let at = start() + milliseconds * MILLI;
        rescans.take_note(at, MILLI, in_exec);
        rescans.trusted_from == Some(at)
    };
    assert!(look(&mut rescans, 0, false));
    assert!(!(1..=26).any(|turn| look(&mut rescans, turn * 20, true)));
    assert!(look(&mut rescans, 521, true) && look(&mut rescans, 541, true));
    assert!(look(&mut rescans, 561, false));
    assert!(!look(&mut rescans, 581, true), "counted anew");
    assert!(!look(&mut rescans, 5_000, true), "what was executed long ago is another matter");
}

#[test]
fn a_program_that_goes_during_the_first_look_is_not_stopped() {
    let (mut adoption, now) = (adoption(), start());
    adoption.begin(programs(Reconcile::Auto));
    adoption.handle(now, scanned(now, facts(&[60])));
    adoption.handle(now, Input::Examined { facts: ScanFacts::default() });
    assert_eq!(adoption.forget(WEB), [Output::Release { processes: vec![id(60)] }]);
    assert_eq!(adoption.handle(now, probed(&[60], &[])), [Output::Settled]);
}

/// What nginx and redis are after a kill -9 of the daemon: nothing but their pid files tells of them.
#[test]
fn what_a_pid_file_names_without_a_tag_is_told_of_and_left_alone() {
    let web = |reconcile| {
        let db = Program { id: 2, name: "db".to_owned(), ..programs(Reconcile::Auto).remove(0) };
        vec![Program { pid_file: Some("/run/web.pid".to_owned()), ..programs(reconcile).remove(0) }, db]
    };
    let untagged = |pids: &[i32]| ScanFacts { tagged: Vec::new(), ..facts(pids) };
    let begun = |reconcile, pid, is_since, facts| {
        let (mut adoption, now) = (adoption(), start());
        let files = vec![("web".to_owned(), "/run/web.pid".to_owned())];
        assert_eq!(adoption.begin(web(reconcile)), [Output::ReadPidFiles { files }, Output::Scan]);
        let written_since = if is_since { vec!["web".to_owned()] } else { Vec::new() };
        adoption.handle(now, Input::PidFiles { named: vec![("web".to_owned(), pid)], written_since });
        let out = adoption.handle(now, scanned(now, facts));
        (adoption, out)
    };
    let note = Output::Log(Note::Untagged { program: "web".to_owned(), pid: 60, path: "/run/web.pid".to_owned() });
    for reconcile in [Reconcile::Auto, Reconcile::Kill, Reconcile::Warn] {
        let (mut adoption, out) = begun(reconcile, 60, true, untagged(&[60, 61]));
        assert_eq!(out, [probe(&[60])]);
        assert_eq!(adoption.handle(start(), probed(&[60], &[])), [note.clone(), Output::Settled]);
        assert_eq!(adoption.bystanders(WEB), Some(Bystanders { pids: Vec::new(), untagged: Some(60) }));
        assert_eq!(adoption.probe_noted(WEB), Some(probe(&[60])));
        adoption.handle(start(), probed(&[], &[60]));
        assert_eq!((adoption.bystanders(WEB), adoption.probe_noted(WEB)), (None, None));
    }
    let (mut gone, _) = begun(Reconcile::Auto, 60, true, untagged(&[60]));
    assert_eq!(gone.handle(start(), probed(&[], &[60])), [Output::Settled], "it has ended meanwhile");
    // Off, a number that is another's by now, one that is nobody's, and this daemon itself.
    for (reconcile, pid, is_since) in [
        (Reconcile::Off, 60, true),
        (Reconcile::Auto, 60, false),
        (Reconcile::Auto, 62, true),
        (Reconcile::Auto, 50, true),
    ] {
        let (adoption, _) = begun(reconcile, pid, is_since, untagged(&[60]));
        assert_eq!(adoption.bystanders(WEB), None, "{reconcile:?} {pid}");
    }
}

/// As at the daemon's start.
#[test]
fn what_the_pid_file_of_an_added_program_names_is_told_of_and_left_alone() {
    let untagged = |pids: &[i32]| ScanFacts { tagged: Vec::new(), ..facts(pids) };
    let file = |name: &str| format!("/run/{name}.pid");
    let program =
        |id, name: &str, reconcile| Program { id, name: name.to_owned(), reconcile, pid_file: Some(file(name)) };
    let read = |name: &str| Output::ReadPidFiles { files: vec![(name.to_owned(), file(name))] };
    let names = |name: &str, pid: i32, is_since: bool| {
        let written_since = if is_since { vec![name.to_owned()] } else { Vec::new() };
        Input::PidFiles { named: vec![(name.to_owned(), pid)], written_since }
    };
    let now = start();
    let mut adoption = {
        let mut adoption = self::adoption();
        adoption.begin(Vec::new());
        adoption.handle(now, scanned(now, facts(&[])));
        adoption.handle(now, Input::Examined { facts: ScanFacts::default() });
        adoption.handle(now, probed(&[], &[]));
        assert!(adoption.is_settled());
        adoption
    };
    // Two at a time, of which the first leaves again at once; and the answers come in their order.
    assert_eq!(adoption.add(now, program(3, "db", Reconcile::Auto)), [read("db")]);
    assert_eq!(adoption.add(now, program(WEB, "web", Reconcile::Warn)), [read("web")]);
    assert_eq!(adoption.forget(3), []);
    assert_eq!(adoption.handle(now, names("db", 61, true)), []);
    assert_eq!(adoption.handle(now, names("web", 60, true)), [Output::Examine { pids: vec![60] }]);
    assert_eq!(adoption.handle(now, Input::Examined { facts: untagged(&[60]) }), [probe(&[60])]);
    let note = Output::Log(Note::Untagged { program: "web".to_owned(), pid: 60, path: file("web") });
    assert_eq!(adoption.handle(now, probed(&[60], &[])), [note]);
    assert_eq!(adoption.handle(now, probed(&[60], &[])), [], "once");
    assert_eq!(adoption.bystanders(WEB), Some(Bystanders { pids: Vec::new(), untagged: Some(60) }));
    assert_eq!(adoption.forget(WEB), [Output::Release { processes: vec![id(60)] }]);
    // One that has ended meanwhile, one with a tag, a number that is another's by now, and who does not look.
    adoption.add(now, program(4, "a", Reconcile::Auto));
    adoption.handle(now, names("a", 60, true));
    adoption.handle(now, Input::Examined { facts: untagged(&[60]) });
    assert_eq!((adoption.handle(now, probed(&[], &[60])), adoption.bystanders(4)), (Vec::new(), None));
    adoption.add(now, program(5, "b", Reconcile::Auto));
    adoption.handle(now, names("b", 60, true));
    assert_eq!(adoption.handle(now, Input::Examined { facts: facts(&[60]) }), []);
    adoption.add(now, program(6, "c", Reconcile::Auto));
    assert_eq!(adoption.handle(now, names("c", 60, false)), []);
    assert_eq!(adoption.add(now, program(7, "d", Reconcile::Off)), []);
    let mut after_an_orderly_end = self::adoption();
    after_an_orderly_end.expect_none();
    after_an_orderly_end.begin(Vec::new());
    assert_eq!(after_an_orderly_end.add(now, program(WEB, "web", Reconcile::Auto)), []);
}
