//! Each cause with its text and its serialised form.

use super::super::hook::HookFailure;
use super::super::initiator::Caller;
use super::super::state::{ProcessState, SpawnStage};
use super::super::task::TaskEnd;
use super::*;
use crate::models::Hook;

fn client() -> Initiator {
    Initiator::Client(Arc::new(Caller {
        uid: 0,
        pid: 12,
        command: Some("supervicectl".into()),
        user: None,
        groups: Box::default(),
    }))
}

fn spawn_error() -> SpawnError {
    SpawnError::system(SpawnStage::Exec, "/x", 2)
}

/// Every cause with its text and its serialised form.
fn all() -> Vec<(Cause, &'static str, &'static str)> {
    let exited = Arc::new(Failure::Exited { exit: Exit::Code(3), age_ms: 250 });
    let unhealthy = Failure::Unhealthy { failures: 2, message: "refused".into() };
    vec![
        (
            Cause::Requested { verb: Verb::Start, by: client(), remains_of: None },
            "start requested by uid 0, pid 12 (supervicectl)",
            r#"{"kind":"requested","verb":"start","by":{"kind":"client","uid":0,"pid":12,"command":"supervicectl"}}"#,
        ),
        (
            Cause::Requested { verb: Verb::Kill, by: Initiator::Shutdown, remains_of: NonZeroI32::new(9) },
            "kill requested by the daemon's shutdown; waits for what pid 9 left of its process group",
            r#"{"kind":"requested","verb":"kill","by":{"kind":"shutdown"},"remains_of":9}"#,
        ),
        (
            Cause::RequestedDuringSpawn { verb: Verb::Stop, by: Initiator::Embedder },
            "stop requested by the embedding program while it was started",
            r#"{"kind":"requested_during_spawn","verb":"stop","by":{"kind":"embedder"}}"#,
        ),
        (
            Cause::EarlierDaemonDied { pid: 7 },
            "an earlier daemon died; waits for what pid 7 left of its process group",
            r#"{"kind":"earlier_daemon_died","pid":7}"#,
        ),
        (
            Cause::Schedule { note: ScheduleNote::Skipped { times: 2, queue_full: false } },
            "a time of its schedule is skipped (2 during this run): the last run is still there (schedule_overlap = skip)",
            r#"{"kind":"schedule","scheduled":"skipped","times":2,"queue_full":false}"#,
        ),
        (
            Cause::Schedule { note: ScheduleNote::Skipped { times: 1, queue_full: true } },
            "a time of its schedule is skipped: one more run waits already (schedule_overlap = queue)",
            r#"{"kind":"schedule","scheduled":"skipped","times":1,"queue_full":true}"#,
        ),
        (
            Cause::Schedule { note: ScheduleNote::Queued },
            "a time of its schedule waits for the end of the last run (schedule_overlap = queue)",
            r#"{"kind":"schedule","scheduled":"queued"}"#,
        ),
        (
            Cause::Schedule { note: ScheduleNote::Replaces },
            "a time of its schedule ends the last run (schedule_overlap = restart)",
            r#"{"kind":"schedule","scheduled":"replaces"}"#,
        ),
        (
            Cause::Schedule { note: ScheduleNote::Missed { asleep: true } },
            "times of its schedule were missed while the machine was asleep",
            r#"{"kind":"schedule","scheduled":"missed","asleep":true}"#,
        ),
        (
            Cause::Schedule { note: ScheduleNote::Missed { asleep: false } },
            "times of its schedule were passed over when the clock was set",
            r#"{"kind":"schedule","scheduled":"missed","asleep":false}"#,
        ),
        (
            Cause::Schedule { note: ScheduleNote::CaughtUp },
            "a time of its schedule was missed, and is made up for",
            r#"{"kind":"schedule","scheduled":"caught_up"}"#,
        ),
        (
            Cause::Requested { verb: Verb::Start, by: Initiator::Schedule, remains_of: None },
            "start requested by its schedule",
            r#"{"kind":"requested","verb":"start","by":{"kind":"schedule"}}"#,
        ),
        (
            Cause::LeftBehind { left: 77 },
            "it has left pid 77 behind, which is told to end; what puts itself into the background needs type = forking",
            r#"{"kind":"left_behind","left":77}"#,
        ),
        (Cause::Executed, "executed", r#"{"kind":"executed"}"#),
        (Cause::Up { seconds: 1 }, "up for 1 s", r#"{"kind":"up","seconds":1}"#),
        (
            Cause::Exited { exit: Exit::Signal(9), age_ms: 61_000 },
            "killed by SIGKILL after 1:01",
            r#"{"kind":"exited","signal":9,"age_ms":61000}"#,
        ),
        (
            Cause::ReadinessLost { message: "connection refused".into() },
            "not ready any more: connection refused",
            r#"{"kind":"readiness_lost","message":"connection refused"}"#,
        ),
        (Cause::ReadinessBack, "ready again", r#"{"kind":"readiness_back"}"#),
        (
            Cause::Ready { sign: ReadySign::Fd },
            "ready: a line feed on its readiness descriptor",
            r#"{"kind":"ready","sign":"fd"}"#,
        ),
        (
            Cause::StartFailed { failure: Failure::NotReady { seconds: 60, sign: ReadySign::Fd, detail: None }.into() },
            "not ready within 60 s (start_timeout): it waited for a line feed on its readiness descriptor",
            r#"{"kind":"start_failed","failure":{"kind":"not_ready","seconds":60,"sign":"fd"}}"#,
        ),
        (
            Cause::StartFailed { failure: Failure::NeverReady.into() },
            "it will never be ready: it has closed its readiness descriptor without a line feed",
            r#"{"kind":"start_failed","failure":{"kind":"never_ready"}}"#,
        ),
        (
            Cause::Completed { exit: Exit::Code(0), age_ms: 250 },
            "completed after 0.2 s",
            r#"{"kind":"completed","code":0,"age_ms":250}"#,
        ),
        (
            Cause::Completed { exit: Exit::Code(3), age_ms: 61_000 },
            "completed after 1:01 with exit code 3",
            r#"{"kind":"completed","code":3,"age_ms":61000}"#,
        ),
        (
            Cause::StartFailed { failure: Failure::StartWhen { seconds: 5, on: "path:/x".into() }.into() },
            "it waited in vain for path:/x, 5 s (start_when_timeout)",
            r#"{"kind":"start_failed","failure":{"kind":"start_when","seconds":5,"on":"path:/x"}}"#,
        ),
        (
            Cause::StartFailed { failure: Failure::NotCompleted { seconds: 30 }.into() },
            "not completed within 30 s (start_timeout)",
            r#"{"kind":"start_failed","failure":{"kind":"not_completed","seconds":30}}"#,
        ),
        (
            Cause::SpawnFailed { error: Box::new(spawn_error()) },
            "cannot execute /x: No such file or directory",
            r#"{"kind":"spawn_failed","error":{"stage":"exec","subject":"/x","errno":2,"detail":""}}"#,
        ),
        (
            Cause::Unhealthy { failures: 1, message: "refused".into() },
            "health check failed once: refused",
            r#"{"kind":"unhealthy","failures":1,"message":"refused"}"#,
        ),
        (
            Cause::HealthyAgain { message: "connected".into() },
            "healthy again: connected",
            r#"{"kind":"healthy_again","message":"connected"}"#,
        ),
        (
            Cause::HealthCommandEnded { success: false, message: "exit code 1".into() },
            "the command for its bad health (healthcheck_action): exit code 1",
            r#"{"kind":"health_command_ended","success":false,"message":"exit code 1"}"#,
        ),
        (Cause::RestartUnhealthy, "restart because it is unhealthy", r#"{"kind":"restart_unhealthy"}"#),
        (
            Cause::BackedOff { failure: exited, number: 2, of: 3, delay: 2 },
            "exit code 3 after 0.2 s, retry 2 of 3 in 2 s",
            r#"{"kind":"backed_off","failure":{"kind":"exited","code":3,"age_ms":250},"number":2,"of":3,"delay":2}"#,
        ),
        (
            Cause::WaitsForRoom { error: Box::new(SpawnError::system(SpawnStage::Pipe, "a pipe", 24)), delay: 2 },
            "cannot open a pipe: Too many open files; the daemon tries again in 2 s",
            r#"{"kind":"waits_for_room","error":{"stage":"pipe","subject":"a pipe","errno":24,"detail":""},"delay":2}"#,
        ),
        (Cause::RetryForRoom, "another attempt, now that there may be room", r#"{"kind":"retry_for_room"}"#),
        (Cause::Retry { number: 2, of: 3 }, "retry 2 of 3", r#"{"kind":"retry","number":2,"of":3}"#),
        (Cause::Restart, "restart after its end", r#"{"kind":"restart"}"#),
        (
            Cause::DependencyBack { on: Some("db".into()) },
            "db, which it needs, is there after all",
            r#"{"kind":"dependency_back","on":"db"}"#,
        ),
        (Cause::DependencyBack { on: None }, "it needs something else by now", r#"{"kind":"dependency_back"}"#),
        (
            Cause::GaveUp {
                failure: Arc::new(Failure::DependencyLost { on: "db".into(), state: Some(ProcessState::Fatal) }),
                after: None,
            },
            "it needs db, which is FATAL",
            r#"{"kind":"gave_up","failure":{"kind":"dependency_lost","on":"db","state":"FATAL"}}"#,
        ),
        (
            Cause::GaveUp { failure: Arc::new(unhealthy), after: Some(Tries::Restarts(3)) },
            "health check failed 2 times: refused, gave up after 3 restarts",
            r#"{"kind":"gave_up","failure":{"kind":"unhealthy","failures":2,"message":"refused"},"after":{"restarts":3}}"#,
        ),
        (
            Cause::GaveUp { failure: Arc::new(Failure::SpawnFailed(spawn_error())), after: None },
            "cannot execute /x: No such file or directory",
            r#"{"kind":"gave_up","failure":{"kind":"spawn_failed","stage":"exec","subject":"/x","errno":2,"detail":""}}"#,
        ),
        (
            Cause::GaveUp { failure: Arc::new(Failure::InternalError), after: None },
            "an internal error of supervice (a panic), please report it; its processes are killed",
            r#"{"kind":"gave_up","failure":{"kind":"internal_error"}}"#,
        ),
        (Cause::Ended { exit: Some(Exit::Code(0)) }, "exit code 0", r#"{"kind":"ended","exit":{"code":0}}"#),
        (Cause::Ended { exit: None }, "it has gone", r#"{"kind":"ended","exit":null}"#),
        (
            Cause::StopTimedOut { seconds: 10 },
            "SIGKILL: still there 10 s after its stop signal (stopwaitsecs)",
            r#"{"kind":"stop_timed_out","seconds":10}"#,
        ),
        (
            Cause::StopStepOver { signal: 15, after: 3, seconds: 30 },
            "SIGTERM: still there 30 s after SIGQUIT (stopsignal)",
            r#"{"kind":"stop_step_over","signal":15,"after":3,"seconds":30}"#,
        ),
        (
            Cause::OutlivedStopCommand { signal: 15, seconds: 5 },
            "SIGTERM: still there 5 s after its stop_command",
            r#"{"kind":"outlived_stop_command","signal":15,"seconds":5}"#,
        ),
        (
            Cause::StopCommandHangs { signal: 15, seconds: 5 },
            "SIGTERM: its stop_command has not ended within 5 s, half of its time",
            r#"{"kind":"stop_command_hangs","signal":15,"seconds":5}"#,
        ),
        (
            Cause::StopCommandTimedOut { seconds: 10 },
            "SIGKILL: its stop_command has not ended within 10 s (stopwaitsecs)",
            r#"{"kind":"stop_command_timed_out","seconds":10}"#,
        ),
        (
            Cause::HookFailed {
                failure: Arc::new(Failure::HookFailed(HookFailure {
                    hook: Hook::PostStart,
                    command: "tell web".into(),
                    end: TaskEnd::Exited { exit: Exit::Code(3), output: "no such host".into() },
                })),
            },
            "post_start failed: exit code 3: no such host",
            r#"{"kind":"hook_failed","failure":{"kind":"hook_failed","hook":"post_start","command":"tell web","end":{"kind":"exited","exit":{"code":3},"output":"no such host"}}}"#,
        ),
        (
            Cause::ReloadRequested { by: Initiator::Embedder },
            "reload requested by the embedding program",
            r#"{"kind":"reload_requested","by":{"kind":"embedder"}}"#,
        ),
        (
            Cause::SignalRequested { signal: 40, target: SignalTarget::Group, by: Initiator::Autostart },
            "SIGRTMIN+6 to its process group requested by autostart",
            r#"{"kind":"signal_requested","signal":40,"target":"group","by":{"kind":"autostart"}}"#,
        ),
        (
            Cause::SignalRequested {
                signal: 1,
                target: SignalTarget::Leader,
                by: Initiator::Reload { by: Arc::new(Initiator::Signal { signal: 1 }) },
            },
            "SIGHUP requested by a reload (SIGHUP)",
            r#"{"kind":"signal_requested","signal":1,"by":{"kind":"reload","by":{"kind":"signal","signal":1}}}"#,
        ),
    ]
}

#[test]
fn every_cause_has_its_sentence_and_comes_back_from_its_code() {
    for (cause, text, code) in all() {
        assert_eq!(cause.to_string(), text);
        assert_eq!(serde_json::to_string(&cause).expect("plain data"), code);
        assert_eq!(serde_json::from_str::<Cause>(code).expect("what was written"), cause);
    }
}

#[test]
fn a_cause_takes_24_bytes() {
    assert_eq!(size_of::<Cause>(), 24);
}

#[test]
fn a_request_is_found_in_its_causes_alone() {
    for (cause, text, _) in all() {
        let is_note = text.to_lowercase().starts_with("sig") || text.starts_with("reload");
        let asked = text.contains(" requested by") && !is_note;
        assert_eq!(cause.request().is_some(), asked, "{text}");
    }
    let cause = Cause::Requested { verb: Verb::Stop, by: Initiator::Shutdown, remains_of: None };
    assert_eq!(cause.request(), Some((Verb::Stop, &Initiator::Shutdown)));
}

#[test]
fn long_texts_are_cut_and_short_ones_are_shared() {
    for (cause, ..) in all() {
        assert_eq!(cause.clone().shortened(), cause);
    }
    let failure = Arc::new(Failure::SpawnFailed(spawn_error()));
    let Cause::GaveUp { failure: kept, .. } =
        (Cause::GaveUp { failure: Arc::clone(&failure), after: None }).shortened()
    else {
        panic!("another cause")
    };
    assert!(Arc::ptr_eq(&kept, &failure));
    let long = SpawnError::other(SpawnStage::Prepare, "p".repeat(201), "ü".repeat(101));
    let cut = SpawnError::other(SpawnStage::Prepare, "p".repeat(200), "ü".repeat(100));
    let failed = |error: &SpawnError| Arc::new(Failure::SpawnFailed(error.clone()));
    for (before, after) in [
        (Cause::SpawnFailed { error: Box::new(long.clone()) }, Cause::SpawnFailed { error: Box::new(cut.clone()) }),
        (
            Cause::BackedOff { failure: failed(&long), number: 1, of: 2, delay: 3 },
            Cause::BackedOff { failure: failed(&cut), number: 1, of: 2, delay: 3 },
        ),
        (
            Cause::GaveUp { failure: failed(&long), after: Some(Tries::Attempts(4)) },
            Cause::GaveUp { failure: failed(&cut), after: Some(Tries::Attempts(4)) },
        ),
    ] {
        assert_eq!(before.shortened(), after);
    }
}
