//! What is said, word by word: operators and programs rely on it.

use super::operate::quick;
use super::*;
use crate::codec::frames::{EventItem, EventSelection, Reread};
use crate::config::Diagnostic;
use crate::models::AutoRestart;
use crate::sys::machine::Power;

impl House {
    fn report(&self) -> &Report {
        match self.last_answer().1 {
            Answer::Report(report) => report,
            other => panic!("{other:?}"),
        }
    }

    fn last_line_of_why(&mut self, program: &str) -> String {
        self.why(program).lines.pop().expect("a line")
    }

    fn listen(&mut self, conn: ConnId, kind: &str, history: usize) {
        self.ask(conn, Request::Events { selection: EventSelection(vec![kind.to_owned()]), history });
    }
}

fn checked(name: &str) -> ProgramConfig {
    let mut config = quick(name);
    config.healthcheck.check_type = HealthCheckType::Tcp;
    config.healthcheck.start_period = 0;
    config
}

#[test]
fn what_is_misspelt_is_guessed() {
    let mut house = House::new(&[program("worker")]);
    house.ask(1, Request::Start { name: name("wroker"), terms: Terms::default() });
    assert!(house.message().ends_with("; did you mean 'worker'?"), "{}", house.message());
    house.ask(1, Request::Start { name: name("x"), terms: Terms::default() });
    assert!(!house.message().contains("did you mean"), "{}", house.message());
}

#[test]
fn only_the_init_of_a_machine_turns_it_off() {
    let mut house = House::new(&[quick("p")]);
    house.start(1, "p");
    house.ask(2, Request::Power(Power::Off));
    assert!(house.message().starts_with("FAILED this daemon is not the init of the machine"), "{}", house.message());
    assert!(!house.engine.is_ending());
}

#[test]
fn a_listener_hears_the_kind_it_has_named_and_no_other() {
    let mut house = House::new(&[checked("p")]);
    house.listen(7, "RUNNING", 0);
    house.listen(8, "STOPPING", 0);
    house.listen(9, "HEALTHCHECK", 0);
    house.world.told.clear();
    house.start(1, "p");
    let result = HealthCheckResult { healthy: true, message: "connected".to_owned() };
    house.handle(Input::Health { id: 0, generation: 1, result });
    house.ask(2, Request::Stop { name: name("p"), terms: Terms::default() });
    let told: Vec<(ConnId, EventItem)> =
        house.world.told.iter().map(|(conn, text)| (*conn, serde_json::from_str(text).expect("JSON"))).collect();
    let kinds: Vec<_> = told.iter().map(|(conn, event)| (*conn, event.event_type.as_str())).collect();
    assert_eq!(kinds, [(7, "PROCESS_STATE_RUNNING"), (9, "HEALTHCHECK_PASSED"), (8, "PROCESS_STATE_STOPPING")]);
    let passed = &told[1].1;
    assert_eq!((passed.message.as_deref(), passed.pid), (Some("connected"), Some(1001)));
    assert_eq!((passed.processname.as_str(), passed.groupname.as_str()), ("p", "p"));
    let stopping = &told[2].1;
    assert_eq!((stopping.from_state.as_deref(), stopping.to_state.as_deref()), (Some("RUNNING"), Some("STOPPING")));
    assert_eq!(stopping.cause.as_deref(), Some("stop requested by uid 0, pid 1 (supervicectl)"));
}

#[test]
fn the_past_is_told_as_the_events_it_was() {
    let mut house = House::new(&[ProgramConfig { group: Some(name("g")), ..quick("p") }]);
    house.start(1, "p");
    house.pass(5);
    house.ask(2, Request::Stop { name: name("p"), terms: Terms::default() });
    house.listen(7, "RUNNING", 10);
    house.listen(8, "PROCESS_STATE", 2);
    let past: Vec<Vec<EventItem>> = house
        .world
        .past
        .iter()
        .map(|past| past.iter().map(|text| serde_json::from_str(text).expect("JSON")).collect())
        .collect();
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
fn a_start_that_fails_is_answered_with_the_last_line_it_has_written() {
    let mut house = House::new(&[program("p")]);
    house.start(1, "p");
    house.end(0, process::Exit::Code(3));
    assert_eq!(house.answers(), Vec::new(), "its last words are waited for");
    house.handle(Input::Output(Note::Drained { program: 0, generation: 1, last_line: Some("no database".to_owned()) }));
    let message = house.message();
    assert!(message.starts_with("FAILED p did not start: BACKOFF: exit code 3"), "{message}");
    assert!(message.ends_with("no database"), "{message}");
    // And without it where it does not come.
    house.start(2, "p");
    house.end(0, process::Exit::Code(4));
    house.pass(1);
    assert!(house.message().contains("exit code 4"), "{}", house.message());
}

#[test]
fn a_reread_tells_of_the_daemon_and_of_each_program_by_itself() {
    let mut house = House::new(&[quick("p"), quick("old")]);
    house.ask(1, Request::Reread);
    let config = SupervisorConfig {
        shutdown_timeout: 77,
        programs: vec![ProgramConfig { command: name("other"), ..quick("p") }, quick("new")],
        ..SupervisorConfig::default()
    };
    let odd = Diagnostic {
        file: Arc::from(std::path::Path::new("x.conf")),
        line: 3,
        section: None,
        key: None,
        value: None,
        message: name("odd"),
        hint: String::new(),
    };
    let loaded = Loaded { config, warnings: vec![odd], logfile_given: false, files: Vec::new() };
    house.handle(Input::ConfigLoaded(Box::new(Ok(loaded))));
    let Report::Reread(Reread { added, removed, changed, warnings }) = house.report() else { panic!("a reread") };
    assert_eq!((added, removed, warnings), (&vec![name("new")], &vec![name("old")], &vec![name("x.conf:3: odd")]));
    let keys: Vec<(&str, Vec<&str>)> = changed
        .iter()
        .map(|(name, changes)| (name.as_str(), changes.iter().map(|change| change.key.as_str()).collect()))
        .collect();
    assert_eq!(keys, [("[supervice]", vec!["shutdown_timeout"]), ("p", vec!["command"])]);
}

#[test]
fn the_log_tells_what_a_reload_has_changed() {
    let plan = crate::config::ReloadPlan {
        added: vec![name("a"), name("b")],
        changed: vec![name("c")],
        ..crate::config::ReloadPlan::default()
    };
    assert_eq!(super::super::reload::describe(&plan), "reload: added a, b; changed c");
    assert_eq!(super::super::reload::describe(&crate::config::ReloadPlan::default()), "reload: no changes");
}

#[test]
fn why_tells_what_comes_next_in_each_state() {
    let once = |name: &str, autorestart| ProgramConfig { autorestart, ..quick(name) };
    let programs = [
        once("always", AutoRestart::Always),
        once("unexpected", AutoRestart::Unexpected),
        once("never", AutoRestart::Never),
        program("slow"),
        checked("checked"),
    ];
    let mut house = House::new(&programs);
    for program in &programs {
        house.start(1, &program.name);
    }
    let due = "Nothing is due: it runs until it ends, and is";
    assert_eq!(house.last_line_of_why("always"), format!("{due} then started again."));
    assert_eq!(house.last_line_of_why("unexpected"), format!("{due} then started again if that was unexpected."));
    assert_eq!(house.last_line_of_why("never"), format!("{due} not started again (autorestart)."));
    assert_eq!(house.last_line_of_why("slow"), "Next: RUNNING, if it is still there, in 10 s.");
    assert_eq!(
        house.last_line_of_why("checked"),
        "Next: the answer of the health check that is under way, at the latest in 45 s."
    );
    let result = HealthCheckResult { healthy: false, message: "refused".to_owned() };
    house.handle(Input::Health { id: 4, generation: 1, result });
    let lines = house.why("checked").lines;
    assert!(lines.contains(&"Its last health check failed: refused.".to_owned()), "{lines:?}");
    assert_eq!(lines.last().map(String::as_str), Some("Next: the next health check, in 30 s."));

    house.end(2, process::Exit::Code(3));
    let nothing = "Nothing happens by itself:";
    let start = "Start it with: supervicectl start";
    assert_eq!(house.last_line_of_why("never"), format!("{nothing} autorestart is off. {start} never"));
    house.end(1, process::Exit::Code(0));
    assert_eq!(
        house.last_line_of_why("unexpected"),
        format!("{nothing} its exit code is among the expected ones (exitcodes). {start} unexpected")
    );
    house.ask(2, Request::Stop { name: name("always"), terms: Terms::default() });
    assert_eq!(house.last_line_of_why("always"), "Next: SIGKILL, in 10:00.");
    house.pass(600);
    assert_eq!(house.last_line_of_why("always"), "Next: SIGKILL again, in 5.0 s.");
}

#[test]
fn why_tells_what_has_happened_to_it_since() {
    let mut house = House::new(&[ProgramConfig { startretries: 5, ..program("p") }]);
    house.start(1, "p");
    for (seconds, times) in [(1, "once"), (2, "2 times")] {
        house.end(0, process::Exit::Code(3));
        house.pass(seconds);
        let line = format!("It was started again by the daemon {times} since it was last asked for.");
        let lines = house.why("p").lines;
        assert!(lines.contains(&line), "{lines:?}");
    }
    house.ask(2, Request::Reload);
    house.load(&[ProgramConfig { command: name("other"), ..program("p") }]);
    let line = "Its configuration has changed since it was started; a restart applies it.";
    assert!(house.why("p").lines.iter().any(|told| told == line));
}

#[test]
fn the_bytes_of_the_records_are_counted_and_bounded() {
    let long = "x".repeat(1000);
    let mut house = House::new(&[quick("p"), quick("q")]);
    for _ in 0..20 {
        for id in 0..2 {
            house.engine.note(house.now, id, &long);
        }
        let held: usize = house.engine.entries.values().map(|entry| entry.history.len()).sum();
        assert_eq!(house.engine.history_bytes, held);
        for entry in house.engine.entries.values() {
            assert!(entry.history.len() <= history::MOST_BYTES, "{}", entry.history.len());
        }
    }
    assert!(house.engine.history_bytes > history::MOST_BYTES, "as much as there is room for");
}

#[test]
fn a_record_is_read_as_it_was_written_and_a_cause_is_cut_between_two_characters() {
    let mut house = House::new(&[quick("p")]);
    house.engine.note(house.now, 0, &format!("{}äöü", "x".repeat(199)));
    house.start(1, "p");
    house.pass(7);
    house.ask(2, Request::Stop { name: name("p"), terms: Terms::default() });
    let mut told: Vec<_> = house.engine.entries[&0].history.iter().collect();
    let last = told.pop().expect("a record");
    assert_eq!((last.from, last.to, last.pid), (ProcessState::Running, ProcessState::Stopping, Some(1001)));
    assert_eq!(last.at, Duration::from_secs(7));
    assert_eq!((told[0].cause, told[0].pid), ("x".repeat(199).as_str(), None));
}

#[test]
fn the_daemon_knows_its_own_pid() {
    let mut house = House::new(&[quick("p")]);
    house.ask(1, Request::Pid { name: None });
    let Report::Pid(pid) = house.report() else { panic!("a pid") };
    assert_eq!(u32::try_from(*pid), Ok(std::process::id()));
}

#[test]
fn a_start_waits_until_nothing_is_left_of_the_run_before() {
    let once = ProgramConfig { autorestart: AutoRestart::Never, ..quick("p") };
    let mut house = House::new(&[once]);
    house.start(1, "p");
    house.world.lingers = true;
    house.end(0, process::Exit::Code(0));
    house.start(2, "p");
    house.pass(1);
    assert_eq!((house.last_answer().0, house.world.pids), (1, 1), "not answered, and not started beside it");
    house.world.lingers = false;
    house.pass(5);
    assert_eq!((house.last_answer().0, house.message().as_str(), house.world.pids), (2, "Started p", 2));
}

#[test]
fn orphans_that_nothing_ends_hold_up_the_end_for_a_while_only() {
    let mut house = House::new(&[quick("p")]);
    house.world.orphans = 2;
    house.handle(Input::Notice(Notice::Terminate));
    assert_eq!(house.world.orphan_signals, [Some(15)], "asked to end");
    // Two seconds to end, two more after the SIGKILL.
    for (seconds, kills, finished) in [(1, 0, None), (1, 1, None), (1, 1, None), (1, 1, Some(false))] {
        house.pass(seconds);
        let killed = house.world.orphan_signals.iter().filter(|signal| **signal == Some(9)).count();
        assert_eq!((killed, house.engine.finished()), (kills, finished));
    }
}
