//! The end of the daemon while it still looks for what an earlier one has left behind.

use super::*;
use crate::core::effect::Effect;
use crate::core::engine::adoption::{Input as Found, Output as Wanted};
use crate::models::SupervisorConfig;
use crate::process::{ProcessFacts, ProcessId, ScanFacts, TaggedProcess};

const ORPHAN: i32 = 60;

fn process(pid: i32) -> ProcessId {
    ProcessId { pid, start_time: 1 }
}

/// The daemon 50, and what the daemon 90, which has died, has left of the program.
fn facts() -> ScanFacts {
    let living = [50, ORPHAN].map(|pid| ProcessFacts { id: process(pid), ppid: 1, session: pid });
    let tag = format!("{ORPHAN}/90.1/web//s").into_bytes();
    let tagged = vec![TaggedProcess { id: process(ORPHAN), tag, sees_same_namespaces: true }];
    ScanFacts { living: living.to_vec(), tagged, ..ScanFacts::default() }
}

/// Ends the daemon by so many signals while the first look is under way, and returns the signals that the orphan is
/// sent and whether the end was clean.
fn end_early(signals: usize) -> (Vec<u8>, Option<bool>) {
    let now = Moment::from_nanos(1_000_000_000);
    let identity = Identity { place: "/s".into(), process: process(50), author: process(50) };
    let programs = vec![program("web").into()];
    let mut engine = Engine::new(now, 50, Some(identity), SupervisorConfig::default(), programs);
    engine.begin(now);
    for _ in 0..signals {
        engine.handle(now, Input::Notice(Notice::Terminate(None)));
    }
    assert_eq!(engine.finished(), None, "it is not known yet what is left");
    let (mut sent, mut lives) = (Vec::new(), true);
    for step in 0..1_000 {
        assert!(step < 999 || engine.finished().is_some(), "it ends");
        let now = now + Duration::from_millis(step);
        let Some(effect) = engine.poll_effect() else {
            engine.run_timer(now);
            continue;
        };
        let answer = match effect {
            Effect::Spawn { .. } => panic!("nothing starts any more"),
            Effect::SignalOrphans { .. } => Input::OrphansCounted { count: 0, signalled: false },
            Effect::Adoption(wanted) => Input::Adoption(match *wanted {
                Wanted::Scan => {
                    let facts = if lives { facts() } else { ScanFacts::default() };
                    Found::Scanned { from: now, took: Duration::ZERO, result: Ok(facts) }
                }
                Wanted::Examine { .. } => Found::Examined { facts: ScanFacts::default() },
                Wanted::Probe { processes } if lives => Found::Probed { living: processes, ended: Vec::new() },
                Wanted::Probe { processes } => Found::Probed { living: Vec::new(), ended: processes },
                Wanted::Signal { signal, .. } => {
                    sent.push(signal);
                    lives = false;
                    continue;
                }
                other => panic!("{other:?}"),
            }),
            _ => continue,
        };
        engine.handle(now, answer);
    }
    (sent, engine.finished())
}

#[test]
fn what_is_found_ends_with_a_daemon_that_was_told_to_end_before() {
    assert_eq!(end_early(1), (vec![15], Some(true)));
}

#[test]
fn what_is_found_is_killed_where_the_daemon_was_told_twice() {
    let (sent, clean) = end_early(2);
    assert_eq!((sent.last(), clean), (Some(&9), Some(true)), "{sent:?}");
}
