//! What operators ask for, in the fake world.

use super::*;
use crate::codec::frames::{EventItem, EventSelection, HistoryItem, WaitFor};

const NO_WAIT: Terms = Terms { wait: false, timeout: None };

impl House {
    pub(super) fn start(&mut self, conn: ConnId, program: &str) {
        self.ask(conn, Request::Start { name: name(program), terms: Terms::default() });
    }

    pub(super) fn last_answer(&self) -> (ConnId, &Answer) {
        let (conn, answer, _) = self.world.answers.last().expect("an answer");
        (*conn, answer)
    }

    pub(super) fn message(&self) -> String {
        match self.last_answer().1 {
            Answer::Done(message) => message.clone(),
            Answer::Failed { code, message } => format!("{} {message}", code.as_str()),
            other => panic!("{other:?}"),
        }
    }

    fn history(&mut self, program: &str) -> Vec<HistoryItem> {
        self.ask(99, Request::History { name: Some(name(program)) });
        match self.last_answer().1 {
            Answer::Report(report) => match &**report {
                Report::History(items) => items.clone(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn why(&mut self, program: &str) -> Why {
        self.ask(99, Request::Why { name: name(program) });
        match self.last_answer().1 {
            Answer::Report(report) => match &**report {
                Report::Why(why) => why.clone(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    fn causes(&mut self, program: &str) -> Vec<String> {
        self.history(program).into_iter().map(|item| item.cause).collect()
    }
}

pub(super) fn quick(name: &str) -> ProgramConfig {
    ProgramConfig { startsecs: 0, ..program(name) }
}

#[test]
fn the_history_tells_who_has_asked_and_when() {
    let mut house = House::new(&[program("p")]);
    house.engine.autostart(house.now, &mut house.world);
    house.pass(10);
    house.ask(1, Request::Restart { name: name("p"), force: false, terms: Terms::default() });
    house.pass(3);
    house.end(0, process::Exit::Signal(15));
    let by = "by uid 0, pid 1 (supervicectl)";
    assert_eq!(
        house.causes("p"),
        [
            "start requested by autostart".to_owned(),
            "up for 10 s".to_owned(),
            format!("restart requested {by}"),
            "killed by SIGTERM".to_owned(),
            format!("start requested {by}"),
        ]
    );
    let times: Vec<f64> = house.history("p").into_iter().map(|item| item.time - 1_700_000_000.0).collect();
    assert_eq!(times, [-13.0, -3.0, -3.0, 0.0, 0.0]);
    assert_eq!((house.status("p").since, house.status("p").autostart), (Some(1_700_000_000), Some(true)));
}

#[test]
fn ten_thousand_transitions_leave_eight() {
    let mut house = House::new(&[quick("p")]);
    for _ in 0..if cfg!(miri) { 20 } else { 2_500 } {
        house.start(1, "p");
        house.ask(2, Request::Stop { name: name("p"), terms: Terms::default() });
        house.end(0, process::Exit::Signal(15));
    }
    assert_eq!(house.history("p").len(), history::MOST_RECORDS);
    assert!(house.engine.history_bytes <= history::MOST_BYTES);
    house.engine.history_bytes = history::MOST_IN_ALL + 1000;
    house.start(1, "p");
    assert_eq!(house.history("p").len(), history::FEW_RECORDS, "there are too many in all");
}

#[test]
fn nothing_is_remembered_of_what_has_never_happened() {
    let mut house = House::new(&[quick("p")]);
    assert_eq!((house.history("p"), house.engine.history_bytes), (Vec::new(), 0));
    assert_eq!(house.status("p").since, None);
}

#[test]
fn a_client_that_does_not_wait_is_answered_at_once_but_learns_what_is_known() {
    let mut house = House::new(&[program("p"), quick("q")]);
    house.ask(1, Request::Start { name: name("p"), terms: NO_WAIT });
    assert_eq!(house.message(), "Starting p");
    house.ask(1, Request::Start { name: name("q"), terms: NO_WAIT });
    assert_eq!(house.message(), "Started q");
    assert_eq!(house.engine.jobs.open(), 0);
}

#[test]
fn the_time_of_a_command_is_bounded_and_the_command_goes_on() {
    let mut house = House::new(&[program("p")]);
    house.ask(
        1,
        Request::Start { name: name("p"), terms: Terms { timeout: Some(Duration::from_secs(4)), ..Terms::default() } },
    );
    house.pass(4);
    assert_eq!(house.message(), "TIMEOUT p did not start: STARTING: pid 1001, uptime 0:04");
    house.pass(6);
    assert_eq!(house.status("p").state, "RUNNING");
}

#[test]
fn kill_escalates_a_stop_and_the_time_out_of_a_stop_is_told() {
    let mut house = House::new(&[quick("p"), quick("q")]);
    for name in ["p", "q"] {
        house.start(1, name);
        house.ask(2, Request::Stop { name: name.to_owned(), terms: Terms::default() });
    }
    house.ask(3, Request::Kill { name: name("p"), terms: Terms::default() });
    assert_eq!(house.world.signals, [(0, 15), (1, 15), (0, 9)]);
    house.end(0, process::Exit::Signal(9));
    assert_eq!(house.message(), "Killed p");
    assert_eq!(house.causes("p")[3..], ["kill requested by uid 0, pid 1 (supervicectl)", "killed by SIGKILL"]);
    let why = house.why("q");
    assert_eq!(why.next.map(|next| (next.what, next.at - 1_700_000_000.0)), Some(("SIGKILL".to_owned(), 600.0)));
    house.pass(600);
    assert_eq!(house.causes("q").len(), 4, "told at the very moment");
    house.pass(5);
    house.pass(5);
    let causes = house.causes("q");
    assert_eq!(causes[3..], ["SIGKILL: still there 600 s after its stop signal (stopwaitsecs)"], "once: {causes:?}");
    house.ask(4, Request::Kill { name: name("q"), terms: Terms::default() });
    assert_eq!(house.causes("q")[4..], ["kill requested by uid 0, pid 1 (supervicectl)"], "and nothing after it");
}

#[test]
fn what_was_killed_by_hand_is_not_called_a_time_out_when_it_is_killed_again() {
    let mut house = House::new(&[ProgramConfig { stopwaitsecs: 3, ..quick("p") }]);
    house.start(1, "p");
    house.ask(2, Request::Stop { name: name("p"), terms: Terms::default() });
    house.ask(3, Request::Kill { name: name("p"), terms: Terms::default() });
    house.pass(5);
    assert_eq!(house.world.signals, [(0, 15), (0, 9), (0, 9)]);
    assert_eq!(house.causes("p").last().map(String::as_str), Some("kill requested by uid 0, pid 1 (supervicectl)"));
}

#[test]
fn nobody_is_told_of_a_time_out_when_a_shutdown_is_hurried() {
    let mut house = House::new(&[quick("p")]);
    house.start(1, "p");
    house.handle(Input::Notice(Notice::Terminate));
    house.pass(1);
    house.handle(Input::Notice(Notice::Terminate));
    assert_eq!(house.world.signals, [(0, 15), (0, 9)]);
    let causes = house.causes("p");
    assert!(!causes.iter().any(|cause| cause.contains("stopwaitsecs")), "{causes:?}");
}

#[test]
fn a_wait_has_no_end_of_its_own_and_is_forgotten_with_its_client() {
    let mut house = House::new(&[program("p")]);
    house.ask(1, Request::Wait { name: name("p"), until: WaitFor::Running, timeout: None });
    assert_eq!((house.engine.jobs.open(), house.engine.poll_timeout()), (1, None));
    house.pass(1_000_000);
    house.handle(Input::Gone(1));
    assert_eq!((house.engine.jobs.open(), house.answers()), (0, Vec::new()));
    house.ask(2, Request::Wait { name: name("p"), until: WaitFor::Running, timeout: None });
    house.handle(Input::Notice(Notice::Terminate));
    assert_eq!(house.message(), "FAILED p will not be running: the daemon is shutting down");
}

#[test]
fn a_start_that_fails_right_before_the_end_is_answered() {
    let mut house = House::new(&[ProgramConfig { startretries: 0, ..program("p") }]);
    house.ask(1, Request::Start { name: name("p"), terms: Terms { wait: true, timeout: None } });
    house.end(0, process::Exit::Code(3));
    assert_eq!(house.answers(), Vec::new(), "its last words are waited for");
    house.handle(Input::Notice(Notice::Terminate));
    house.pass(0);
    assert!(house.engine.finished().is_some());
    let message = house.message();
    assert!(message.starts_with("FAILED p did not start: FATAL: exit code 3"), "{message}");
}

#[test]
fn a_wait_that_comes_during_a_shutdown_is_answered() {
    let mut house = House::new(&[quick("p"), program("q")]);
    house.start(1, "p");
    house.handle(Input::Notice(Notice::Terminate));
    house.ask(2, Request::Wait { name: name("q"), until: WaitFor::Healthy, timeout: None });
    assert_eq!(house.message(), "FAILED q will not be healthy: the daemon is shutting down");
}

#[test]
fn a_wait_for_health_waits_for_the_first_answer_where_there_are_checks() {
    let mut checked = quick("p");
    checked.healthcheck.check_type = HealthCheckType::Tcp;
    checked.healthcheck.start_period = 0;
    let mut house = House::new(&[checked, quick("q")]);
    house.start(1, "p");
    house.start(1, "q");
    house.ask(2, Request::Wait { name: name("q"), until: WaitFor::Healthy, timeout: None });
    assert_eq!(house.message(), "q is healthy");
    house.ask(3, Request::Wait { name: name("p"), until: WaitFor::Healthy, timeout: None });
    assert_eq!(house.last_answer().0, 2, "RUNNING is not enough");
    let result = HealthCheckResult { healthy: true, message: "connected".to_owned() };
    house.handle(Input::Health { id: 0, generation: 1, result });
    assert_eq!((house.last_answer().0, house.message().as_str()), (3, "p is healthy"));
}

#[test]
fn an_answer_about_a_run_that_is_over_is_nobodys() {
    let mut checked = quick("p");
    checked.healthcheck.check_type = HealthCheckType::Tcp;
    checked.healthcheck.start_period = 0;
    let mut house = House::new(&[checked]);
    let answer = |generation| {
        let result = HealthCheckResult { healthy: true, message: "connected".to_owned() };
        Input::Health { id: 0, generation, result }
    };
    house.start(1, "p");
    house.handle(answer(0));
    house.handle(answer(2));
    assert_eq!(house.status("p").healthy, None);
    house.ask(2, Request::Stop { name: name("p"), terms: Terms::default() });
    house.end(0, process::Exit::Signal(15));
    house.handle(answer(1));
    assert!(!house.world.events.contains(&EventType::HealthcheckPassed), "{:?}", house.world.events);
    house.start(3, "p");
    house.handle(answer(2));
    assert_eq!(
        (house.status("p").healthy, house.world.events.last()),
        (Some(true), Some(&EventType::HealthcheckPassed))
    );
}

#[test]
fn a_listener_is_told_what_it_wants_and_nothing_is_made_for_nobody() {
    let mut house = House::new(&[quick("p")]);
    house.start(1, "p");
    assert!(house.world.told.is_empty());
    let selection =
        EventSelection(vec!["Fatal".to_owned(), "PROCESS_STATE_STOPPING".to_owned(), "healthcheck".to_owned()]);
    house.ask(7, Request::Events { selection, history: 0 });
    let all = EventSelection::default();
    house.ask(8, Request::Events { selection: all, history: 1 });
    assert_eq!(house.world.told, [(7, "0".to_owned()), (8, "1".to_owned())], "with so many of the past");
    house.world.told.clear();
    house.ask(2, Request::Stop { name: name("p"), terms: Terms::default() });
    assert_eq!(house.world.told.iter().map(|(conn, _)| *conn).collect::<Vec<_>>(), [7, 8]);
    let event: EventItem = serde_json::from_str(&house.world.told[0].1).expect("JSON");
    assert_eq!(
        (event.event_type.as_str(), event.time, event.pid),
        ("PROCESS_STATE_STOPPING", 1_700_000_000.0, Some(1001))
    );
    house.handle(Input::Gone(8));
    house.handle(Input::Gone(7));
    house.world.told.clear();
    house.end(0, process::Exit::Signal(15));
    assert!(house.world.told.is_empty());
}

#[test]
fn why_tells_the_story_and_what_comes_next() {
    let mut house = House::new(&[program("p")]);
    assert_eq!(
        house.why("p").lines,
        ["p is STOPPED: not started.", "Nothing happens by itself. Start it with: supervicectl start p"]
    );
    house.start(1, "p");
    house.pass(1);
    house.end(0, process::Exit::Code(3));
    house.handle(Input::Output(Note::Drained { program: 0, generation: 1, last_line: Some("no database".to_owned()) }));
    let why = house.why("p");
    assert_eq!(
        why.lines,
        [
            "p has been BACKOFF for 0.0 s: exit code 3 after 1.0 s, retry 1 of 3 in 1 s: no database.",
            "1.0 s ago: from STOPPED to STARTING: start requested by uid 0, pid 1 (supervicectl).",
            "0.0 s ago: from STARTING to EXITED (pid 1001): exit code 3 after 1.0 s.",
            "0.0 s ago: from EXITED to BACKOFF: exit code 3 after 1.0 s, retry 1 of 3 in 1 s.",
            "Next: retry 1 of 3, in 1.0 s.",
        ]
    );
    assert_eq!(why.next.map(|next| next.at), Some(1_700_000_001.0));
    assert_eq!(house.status("p").retry_at, Some(1_700_000_001));
}

#[test]
fn who_has_asked_is_told_however_often_it_has_crashed_since() {
    let mut house = House::new(&[ProgramConfig { startretries: 9, ..program("p") }]);
    house.start(1, "p");
    for delay in 1..6 {
        house.end(0, process::Exit::Code(3));
        house.pass(delay);
    }
    let lines = house.why("p").lines;
    assert!(
        lines.contains(&"Last asked for, 15 s ago: start requested by uid 0, pid 1 (supervicectl).".to_owned()),
        "{lines:?}"
    );
}

#[test]
fn an_update_that_makes_a_program_unhealthy_is_taken_back() {
    let mut house = House::new(&[quick("p")]);
    house.start(1, "p");
    let mut checked =
        ProgramConfig { command: "other".to_owned(), autorestart: crate::models::AutoRestart::Never, ..quick("p") };
    checked.healthcheck.check_type = HealthCheckType::Tcp;
    checked.healthcheck.start_period = 0;
    checked.healthcheck.retries = 1;
    house.ask(2, Request::Update { confirm: Some(Duration::from_secs(60)) });
    house.load(&[checked]);
    house.end(0, process::Exit::Signal(15));
    let result = HealthCheckResult { healthy: false, message: "refused".to_owned() };
    house.handle(Input::Health { id: 0, generation: 2, result });
    assert_eq!((house.status("p").state.as_str(), house.engine.trial.is_none()), ("STOPPING", true));
    house.end(0, process::Exit::Signal(15));
    assert_eq!(house.status("p").state, "RUNNING");
    assert_eq!(house.engine.entries[&0].config().command, "sleep 1000");
    house.ask(3, Request::Confirm);
    assert!(house.message().ends_with("p is UNHEALTHY: health check failed once: refused"), "{}", house.message());
}

#[test]
fn an_update_is_done_for_a_client_that_has_gone_but_a_question_is_not() {
    let mut house = House::new(&[quick("p")]);
    house.start(1, "p");
    house.ask(2, Request::Reread);
    house.ask(3, Request::Update { confirm: None });
    house.handle(Input::Gone(2));
    house.handle(Input::Gone(3));
    assert_eq!(house.engine.reload.waiting(), 1);
    house.load(&[quick("p")]);
    let changed = ProgramConfig { command: "sleep 5".to_owned(), ..quick("p") };
    house.load(&[changed]);
    assert_eq!(house.status("p").state, "STOPPING");
    house.end(0, process::Exit::Signal(15));
    assert_eq!((house.status("p").state.as_str(), house.world.pids), ("RUNNING", 2));
}

#[test]
fn an_update_starts_nothing_that_was_down() {
    let once = ProgramConfig { autorestart: crate::models::AutoRestart::Never, ..quick("done") };
    let mut house = House::new(&[quick("up"), quick("never"), quick("stopped"), once.clone()]);
    for name in ["up", "stopped", "done"] {
        house.start(1, name);
    }
    house.ask(2, Request::Stop { name: name("stopped"), terms: Terms::default() });
    house.end(2, process::Exit::Signal(15));
    house.end(3, process::Exit::Code(0));
    house.ask(3, Request::Update { confirm: None });
    let changed = |config: ProgramConfig| ProgramConfig { command: name("other"), ..config };
    house.load(&[quick("up"), quick("never"), quick("stopped"), once].map(changed));
    house.end(0, process::Exit::Signal(15));
    let states = ["up", "never", "stopped", "done"].map(|name| house.status(name).state);
    assert_eq!(states, ["RUNNING", "STOPPED", "STOPPED", "EXITED"]);
    assert_eq!(house.world.pids, 4);
}

#[test]
fn an_update_that_can_not_even_spawn_is_taken_back_and_nobody_hears_of_it_twice() {
    let mut house = House::new(&[quick("p")]);
    house.start(1, "p");
    let broken = ProgramConfig { command: "broken".to_owned(), startretries: 0, ..quick("p") };
    house.ask(2, Request::Update { confirm: Some(Duration::from_secs(60)) });
    house.load(&[broken, quick("new")]);
    assert_eq!(house.world.names(), ["p", "new"]);
    house.end(0, process::Exit::Signal(15));
    house.end(0, process::Exit::Code(1));
    // `new` was started, and goes with the update.
    house.end(1, process::Exit::Signal(15));
    assert_eq!(house.world.names(), ["p"]);
    assert_eq!(
        (house.status("p").state.as_str(), house.engine.entries[&0].config().command.as_str()),
        ("RUNNING", "sleep 1000")
    );
    assert!(house.engine.trial.is_none());
    house.ask(3, Request::Confirm);
    assert_eq!(
        house.message(),
        "FAILED Nothing to confirm: the update was taken back, because p is FATAL: exit code 1 after 0.0 s"
    );
    house.ask(3, Request::Confirm);
    assert_eq!(house.message(), "FAILED Nothing to confirm: no update waits for it");
}

#[test]
fn a_signal_goes_to_what_runs_and_only_to_that() {
    let mut house = House::new(&[quick("p")]);
    let signal = |signal: &str| Request::Signal { name: name("p"), signal: signal.to_owned() };
    house.ask(1, signal("HUP"));
    assert_eq!(house.message(), "FAILED p has no process; it is STOPPED: not started");
    house.start(1, "p");
    house.ask(1, signal("HUP"));
    assert_eq!((house.message().as_str(), house.world.signals.as_slice()), ("Sent SIGHUP to p", &[(0, 1)][..]));
    house.ask(1, signal("NONE"));
    assert!(house.message().starts_with("INVALID_REQUEST signal: 'NONE' is no signal"));
}
