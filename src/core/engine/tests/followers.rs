//! Clients that follow what happens, and the order in which everybody learns of it.

use super::bench::{BY, Client, checked, quick};
use super::*;
use crate::codec::frames;

impl Bench {
    /// The client follows the events of these kinds, named as a request names them.
    fn follow(&mut self, client: Client, kinds: &[&str], history: usize) {
        let body = serde_json::json!({ "command": "events", "types": kinds, "history": history });
        let request = frames::parse(body.to_string().as_bytes()).expect("a request");
        self.ask(client, request);
    }
}

#[test]
fn a_listener_is_told_what_it_wants_and_nothing_is_made_for_nobody() {
    let mut bench = Bench::new(&[quick("p")]);
    bench.start(1, "p");
    assert!(bench.system.told.is_empty());
    bench.follow(7, &["Fatal", "PROCESS_STATE_STOPPING", "healthcheck"], 0);
    bench.follow(8, &[], 1);
    let past: Vec<_> = bench.system.past.iter().map(|(client, past)| (*client, past.len())).collect();
    assert_eq!(past, [(7, 0), (8, 1)], "with so many of the past");
    bench.stop(2, "p");
    assert_eq!(bench.system.told.iter().map(|(client, _)| *client).collect::<Vec<_>>(), [7, 8]);
    let event = &bench.system.told[0].1;
    assert_eq!(
        (event.event_type.as_str(), event.time, event.pid),
        ("PROCESS_STATE_STOPPING", 1_700_000_000.0, Some(1001))
    );
    bench.gone(8);
    bench.gone(7);
    bench.system.told.clear();
    bench.end(0, Exit::Signal(15));
    assert!(bench.system.told.is_empty());
}

#[test]
fn only_those_who_listen_are_forgotten() {
    let mut bench = Bench::new(&[quick("p")]);
    for client in [7, 8] {
        bench.follow(client, &[], 0);
    }
    bench.gone(5);
    assert_eq!(bench.system.forgotten, [0; 0]);
    bench.gone(7);
    assert_eq!(bench.system.forgotten, [7]);
    bench.system.told.clear();
    bench.start(1, "p");
    assert!(!bench.system.told.is_empty() && bench.system.told.iter().all(|(client, _)| *client == 8));
}

#[test]
fn a_listener_hears_the_kind_it_has_named_and_no_other() {
    let mut bench = Bench::new(&[checked("p")]);
    bench.follow(7, &["RUNNING"], 0);
    bench.follow(8, &["STOPPING"], 0);
    bench.follow(9, &["HEALTHCHECK"], 0);
    bench.start(1, "p");
    bench.health(0, 1, true);
    bench.stop(2, "p");
    let told = &bench.system.told;
    let kinds: Vec<_> = told.iter().map(|(client, event)| (*client, event.event_type.as_str())).collect();
    assert_eq!(kinds, [(7, "PROCESS_STATE_RUNNING"), (9, "HEALTHCHECK_PASSED"), (8, "PROCESS_STATE_STOPPING")]);
    let passed = &told[1].1;
    assert_eq!((passed.message.as_deref(), passed.pid), (Some("connected"), Some(1001)));
    assert_eq!((passed.processname.as_str(), passed.groupname.as_str()), ("p", "p"));
    let stopping = &told[2].1;
    assert_eq!((stopping.from_state.as_deref(), stopping.to_state.as_deref()), (Some("RUNNING"), Some("STOPPING")));
    assert_eq!(stopping.cause.as_deref(), Some(format!("stop requested {BY}").as_str()));
}

#[test]
fn the_past_is_told_as_the_events_it_was() {
    let mut bench = Bench::new(&[ProgramConfig { group: Some(name("g")), ..quick("p") }]);
    bench.start(1, "p");
    bench.pass(5);
    bench.stop(2, "p");
    bench.follow(7, &["RUNNING"], 10);
    bench.follow(8, &["PROCESS_STATE"], 2);
    let past: Vec<_> = bench.system.past.iter().map(|(_, past)| past).collect();
    let running = &past[0][0];
    assert_eq!(past[0].len(), 1, "{past:?}");
    assert_eq!((running.event_type.as_str(), running.time), ("PROCESS_STATE_RUNNING", 1_699_999_995.0));
    assert_eq!((running.processname.as_str(), running.groupname.as_str(), running.pid), ("p", "g", Some(1001)));
    assert_eq!((running.from_state.as_deref(), running.to_state.as_deref()), (Some("STARTING"), Some("RUNNING")));
    assert!(running.cause.is_some());
    let kinds: Vec<_> = past[1].iter().map(|event| event.event_type.as_str()).collect();
    assert_eq!(kinds, ["PROCESS_STATE_RUNNING", "PROCESS_STATE_STOPPING"], "the newest, oldest first");
}

#[test]
fn everybody_sees_an_announcement_before_anybody_sees_the_next_one() {
    let mut bench = Bench::new(&[program("p"), quick("q")]);
    bench.start(1, "p");
    bench.start(1, "q");
    bench.end(0, Exit::Code(3));
    bench.stop(1, "q");
    bench.end(1, Exit::Signal(15));
    bench.pass(1);
    // Outside: each transition of a process begins where the one before has ended, as in what the engine remembers.
    for (id, program) in [(0, "p"), (1, "q")] {
        let told: Vec<_> = bench
            .system
            .announced
            .iter()
            .filter_map(|announcement| match &**announcement {
                Announcement::Transition { program: whose, transition, .. } if whose.name == program => {
                    Some(transition)
                }
                _ => None,
            })
            .map(|transition| (transition.from, transition.to))
            .collect();
        assert!(told.len() > 3 && told.windows(2).all(|pair| pair[0].1 == pair[1].0), "{told:?}");
        let remembered: Vec<_> = bench.history(program).iter().map(|row| (row.from, row.to)).collect();
        assert_eq!(told, remembered);
        assert_eq!(bench.system.shown.get(&id).copied(), told.last().map(|(_, to)| *to));
    }
    // Inside: what a subscriber announces is handed over behind what was announced before it.
    let mut bench = Bench::new(&[quick("p")]);
    let cause = |signal| crate::process::Cause::SignalRequested {
        signal,
        target: crate::process::SignalTarget::Leader,
        by: bench::client(),
    };
    let noted = |signal| Announcement::Noted {
        program: Arc::new(quick("p")),
        at: Moment::from_nanos(1),
        state: ProcessState::Stopped,
        pid: None,
        cause: cause(signal),
    };
    bench.engine.announce(Some(0), noted(1));
    bench.engine.announce(Some(0), noted(2));
    assert!(bench.entry(0).history.last().is_none(), "handed over at the end of the turn");
    bench.handle(Input::Swept);
    let seen: Vec<_> = bench.system.announced.iter().map(|announcement| (**announcement).clone()).collect();
    assert_eq!(seen, [Announcement::Begun, noted(1), noted(2)]);
    assert!(bench.causes("p").iter().eq(&[cause(1).to_string(), cause(2).to_string()]));
}
