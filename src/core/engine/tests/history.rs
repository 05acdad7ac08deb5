//! What is remembered of each process, and the answer to `why`.

use super::bench::{BY, checked, client, other, quick};
use super::*;
use crate::api::{LastRequest, NextStep};
use crate::core::effect::CheckPurpose;
use crate::core::engine::history::{FEW_RECORDS, MAX_BYTES, MAX_RECORDS, MAX_TOTAL_BYTES};
use crate::models::{AutoRestart, EndedBy, ExitOn};
use crate::process::{Cause, Verb};

/// A cause like no other.
fn signal(signal: u8) -> Cause {
    Cause::SignalRequested { signal, target: crate::process::SignalTarget::Leader, by: client() }
}

impl Bench {
    /// Notes something that does not change the state.
    fn note(&mut self, id: ProcId, cause: Cause) {
        self.engine.note(id, cause);
        self.pass(0);
    }

    fn last_line_of_why(&mut self, program: &str) -> String {
        self.why(program).lines().pop().expect("a line")
    }
}

#[test]
fn the_history_tells_who_has_asked_and_when() {
    let mut bench = Bench::unbegun(SupervisorConfig::default(), &[program("p")]);
    bench.begin();
    bench.pass(10);
    bench.ask(1, act(Act::Restart { force: false }, "p"));
    bench.pass(3);
    bench.end(0, Exit::Signal(15));
    assert_eq!(
        bench.causes("p"),
        [
            "start requested by autostart".to_owned(),
            "up for 10 s".to_owned(),
            format!("restart requested {BY}"),
            "killed by SIGTERM".to_owned(),
            format!("start requested {BY}"),
        ]
    );
    let now = bench.now;
    let ages: Vec<u64> =
        bench.history("p").into_iter().map(|row| now.saturating_duration_since(row.at).as_secs()).collect();
    assert_eq!(ages, [13, 3, 3, 0, 0]);
    assert_eq!((bench.row("p").since, bench.row("p").program.autostart), (Some(now), true));
}

/// The whole chain goes up, and down again, at one moment.
#[test]
fn what_happens_at_one_moment_is_told_in_its_order() {
    let mut bench = Bench::new(&super::dependencies::chain());
    let told = |bench: &Bench| -> Vec<String> {
        let rows = bench.engine.history(None, &bench.engine.visibility(&Initiator::Embedder)).expect("rows");
        let changes = rows.iter().filter(|row| row.from != row.to);
        changes.map(|row| format!("{} {}", row.program.name, row.to)).collect()
    };
    bench.start(1, "web");
    let up = ["db STARTING", "api STARTING", "web STARTING", "db RUNNING", "api RUNNING", "web RUNNING"];
    let mut sorted = told(&bench);
    let place = |rows: &[String], row: &str| rows.iter().position(|told| told == row);
    for pair in [["db RUNNING", "api RUNNING"], ["api RUNNING", "web RUNNING"]] {
        assert!(place(&sorted, pair[0]) < place(&sorted, pair[1]), "{sorted:?}");
    }
    sorted.sort_unstable();
    let mut all = up.map(str::to_owned).to_vec();
    all.sort_unstable();
    assert_eq!(sorted, all);
    bench.ask(2, act(Act::Stop, "db"));
    super::dependencies::end_all(&mut bench);
    let rows = told(&bench);
    let down = &rows[rows.len() - 6..];
    assert_eq!(down, ["web STOPPING", "web STOPPED", "api STOPPING", "api STOPPED", "db STOPPING", "db STOPPED"]);
}

#[test]
fn ten_thousand_transitions_leave_eight() {
    let mut bench = Bench::new(&[quick("p")]);
    for _ in 0..if cfg!(miri) { 20 } else { 2_500 } {
        bench.start(1, "p");
        bench.stop(2, "p");
        bench.end(0, Exit::Signal(15));
    }
    assert_eq!(bench.history("p").len(), MAX_RECORDS);
    assert!(bench.engine.histories.bytes <= MAX_BYTES);
    bench.engine.histories.bytes = MAX_TOTAL_BYTES + 1000;
    bench.start(1, "p");
    assert_eq!(bench.history("p").len(), FEW_RECORDS, "there are too many in all");
}

#[test]
fn nothing_is_remembered_of_what_has_never_happened() {
    let mut bench = Bench::new(&[quick("p")]);
    assert_eq!((bench.history("p"), bench.engine.histories.bytes), (Vec::new(), 0));
    assert_eq!(bench.row("p").since, None);
}

#[test]
fn why_tells_the_story_and_what_comes_next() {
    let mut bench = Bench::new(&[program("p")]);
    assert_eq!(
        bench.why("p").lines(),
        ["p is STOPPED: not started.", "Nothing happens by itself. Start it with: supervicectl start p"]
    );
    bench.start(1, "p");
    bench.pass(1);
    bench.end(0, Exit::Code(3));
    bench.drained(0, 1, Some("no database"));
    let why = bench.why("p");
    assert_eq!(
        why.lines(),
        [
            "p has been BACKOFF for 0.0 s: exit code 3 after 1.0 s, retry 1 of 3 in 1 s: no database.",
            format!("1.0 s ago: from STOPPED to STARTING: start requested {BY}.").as_str(),
            "0.0 s ago: from STARTING to EXITED (pid 1001): exit code 3 after 1.0 s.",
            "0.0 s ago: from EXITED to BACKOFF: exit code 3 after 1.0 s, retry 1 of 3 in 1 s.",
            "Next: retry 1 of 3, in 1.0 s.",
        ]
    );
    let retry_at = bench.now + Duration::from_secs(1);
    assert_eq!(why.next, Some((NextStep::Retry { number: 1, of: 3 }, retry_at)));
    assert_eq!(bench.row("p").retry_at, Some(retry_at));
}

#[test]
fn who_has_asked_is_told_however_often_it_has_crashed_since() {
    let mut bench = Bench::new(&[ProgramConfig { startretries: 9, ..program("p") }]);
    bench.start(1, "p");
    for delay in 1..6 {
        bench.end(0, Exit::Code(3));
        bench.pass(delay);
    }
    let why = bench.why("p");
    let at = bench.now - Duration::from_secs(15);
    assert_eq!(why.last_request, Some(LastRequest { verb: Verb::Start, by: client(), at }));
    let lines = why.lines();
    assert!(lines.contains(&format!("Last asked for, 15 s ago: start requested {BY}.")), "{lines:?}");
}

#[test]
fn records_become_few_only_beyond_the_limit_of_all() {
    let mut bench = Bench::new(&[quick("p")]);
    for (in_all, kept) in [(MAX_TOTAL_BYTES, 6), (MAX_TOTAL_BYTES + 1, FEW_RECORDS)] {
        for number in 1..=5 {
            bench.note(0, signal(number));
        }
        bench.engine.histories.bytes = in_all;
        bench.note(0, signal(6));
        assert_eq!(bench.history("p").len().min(6), kept);
    }
}

#[test]
fn why_tells_of_what_is_left_of_a_group_and_of_a_paced_restart() {
    let never = ProgramConfig { autorestart: AutoRestart::Never, ..quick("never") };
    let mut bench = Bench::new(&[program("crashes"), never, quick("paced")]);
    for name in ["crashes", "never", "paced"] {
        bench.start(1, name);
    }
    bench.end(2, Exit::Code(0));
    let next = |bench: &mut Bench, name: &str| bench.why(name).lines().pop().expect("a line");
    assert_eq!(next(&mut bench, "paced"), "Next: a restart, in 1.0 s.");
    bench.system.lingers = true;
    bench.end(0, Exit::Code(1));
    bench.end(1, Exit::Code(0));
    let left = "Next: SIGKILL for what is left of its process group, in 10:00.";
    assert_eq!((next(&mut bench, "crashes").as_str(), next(&mut bench, "never").as_str()), (left, left));
}

/// Its end is then the daemon's end, whatever autorestart says.
#[test]
fn why_tells_of_what_runs_that_the_daemon_may_end_with_it() {
    let due = "Nothing is due: it runs until it ends";
    for (exit_on, autorestart, told) in [
        (ExitOn::Exit, AutoRestart::Always, "; the daemon ends with it (exit_on = exit)."),
        (
            ExitOn::Failure,
            AutoRestart::Unexpected,
            "; if that is a failure, the daemon ends with it (exit_on = failure).",
        ),
        (
            ExitOn::Failure,
            AutoRestart::Always,
            ", and is then started again; if that is a failure, the daemon ends with it (exit_on = failure).",
        ),
        (
            ExitOn::Fatal,
            AutoRestart::Always,
            ", and is then started again; if it becomes FATAL, the daemon ends with it (exit_on = fatal).",
        ),
    ] {
        let mut bench = Bench::new(&[ProgramConfig { exit_on, autorestart, ..quick("main") }]);
        bench.start(1, "main");
        assert_eq!(bench.last_line_of_why("main"), format!("{due}{told}"));
    }
}

#[test]
fn why_names_the_key_by_which_an_end_is_the_last_or_a_start_has_failed() {
    let mut last = quick("last");
    last.restart.never_after = vec![EndedBy::Code(78)];
    let early = ProgramConfig { startretries: 0, ..program("early") };
    let mut bench = Bench::new(&[last, early]);
    bench.start(1, "last");
    bench.start(1, "early");
    bench.end(0, Exit::Code(78));
    let told = "Nothing happens by itself: no start follows an end like that (norestart_exitcodes). \
                Start it with: supervicectl start last";
    assert_eq!(bench.last_line_of_why("last"), told);
    bench.end(1, Exit::Code(0));
    let lines = bench.why("early").lines();
    assert!(lines.iter().any(|line| line.contains("(startsecs)") && line.contains("type = oneshot")), "{lines:?}");
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
    let mut bench = Bench::new(&programs);
    for program in &programs {
        bench.start(1, &program.name);
    }
    let due = "Nothing is due: it runs until it ends, and is";
    assert_eq!(bench.last_line_of_why("always"), format!("{due} then started again."));
    assert_eq!(bench.last_line_of_why("unexpected"), format!("{due} then started again if that was unexpected."));
    assert_eq!(bench.last_line_of_why("never"), format!("{due} not started again (autorestart)."));
    assert_eq!(bench.last_line_of_why("slow"), "Next: RUNNING, if it is still there, in 10 s.");
    assert_eq!(
        bench.last_line_of_why("checked"),
        "Next: the answer of the health check that is under way, at the latest in 45 s."
    );
    bench.health(4, 1, false);
    let lines = bench.why("checked").lines();
    assert!(lines.contains(&"Its last health check failed: refused.".to_owned()), "{lines:?}");
    assert_eq!(lines.last().map(String::as_str), Some("Next: the next health check, in 30 s."));

    bench.end(2, Exit::Code(3));
    let nothing = "Nothing happens by itself:";
    let start = "Start it with: supervicectl start";
    assert_eq!(bench.last_line_of_why("never"), format!("{nothing} autorestart is off. {start} never"));
    bench.end(1, Exit::Code(0));
    assert_eq!(
        bench.last_line_of_why("unexpected"),
        format!("{nothing} its exit code is among the expected ones (exitcodes). {start} unexpected")
    );
    bench.stop(2, "always");
    assert_eq!(bench.last_line_of_why("always"), "Next: SIGKILL, in 10:00.");
    bench.pass(600);
    assert_eq!(bench.last_line_of_why("always"), "Next: SIGKILL again, in 5.0 s.");
}

#[test]
fn why_tells_what_has_happened_to_it_since() {
    let mut bench = Bench::new(&[ProgramConfig { startretries: 5, ..program("p") }]);
    bench.start(1, "p");
    for (seconds, times) in [(1, "once"), (2, "2 times")] {
        bench.end(0, Exit::Code(3));
        bench.pass(seconds);
        let line = format!("It was started again by the daemon {times} since it was last asked for.");
        let lines = bench.why("p").lines();
        assert!(lines.contains(&line), "{lines:?}");
    }
    bench.ask(2, reload());
    bench.load(&[other(&program("p"))]);
    let line = "Its configuration has changed since it was started; a restart applies it.";
    assert!(bench.why("p").lines().iter().any(|told| told == line));
}

#[test]
fn the_bytes_of_the_records_are_counted_and_bounded() {
    let long = Cause::HealthyAgain { message: "x".repeat(150).into() };
    let mut bench = Bench::new(&[quick("p"), quick("q")]);
    for number in 0..20 {
        for id in 0..2 {
            bench.note(id, signal(number));
            bench.note(id, long.clone());
        }
        let weights = [0, 1].map(|id| bench.entry(id).history.weight());
        assert_eq!(bench.engine.histories.bytes, weights.iter().sum::<usize>());
        assert!(weights.iter().all(|weight| *weight <= MAX_BYTES), "{weights:?}");
    }
    assert!(bench.engine.histories.bytes > MAX_BYTES, "as much as there is room for");
}

#[test]
fn a_record_is_read_as_it_was_written_and_a_message_is_cut_between_two_characters() {
    let mut bench = Bench::new(&[checked("p")]);
    bench.start(1, "p");
    bench.pass(7);
    let message = format!("{}äöü", "x".repeat(199));
    for _ in 0..3 {
        let result = HealthCheckResult { healthy: false, message: message.clone() };
        bench.handle(Input::Checked { id: 0, generation: 1, purpose: CheckPurpose::Health, result });
        bench.pass(30);
    }
    let told = bench.history("p");
    let unhealthy = told.iter().find(|row| row.to == ProcessState::Unhealthy).expect("it is unhealthy");
    assert_eq!((unhealthy.from, unhealthy.pid), (ProcessState::Running, Some(1001)));
    assert_eq!(unhealthy.cause, Cause::Unhealthy { failures: 3, message: "x".repeat(199).into() });
    let asked = &told[0];
    assert_eq!((asked.at, asked.pid), (bench.now - Duration::from_secs(97), None));
    assert_eq!(asked.cause, Cause::Requested { verb: Verb::Start, by: client(), remains_of: None });
}
