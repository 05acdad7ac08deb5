use std::collections::HashSet;
use std::sync::Arc;

use super::super::initiator::Caller;
use super::super::state::SpawnStage;
use super::*;

/// One of each variant, and of each way to word it.
fn one_of_each() -> Vec<Cause> {
    let by = || Initiator::Client(Arc::new(Caller { uid: 0, pid: 12, command: None }));
    let error = || SpawnError::system(SpawnStage::Exec, "/x", 2);
    let exit = Exit::Signal(9);
    let requested = |verb, circumstance| Cause::Requested { verb, by: by(), circumstance };
    let failures = || {
        [
            Failure::Exited { exit, age_ms: 1 },
            Failure::SpawnFailed(error()),
            Failure::Unhealthy { failures: 2, message: "refused".into() },
            Failure::InternalError,
        ]
    };
    let mut all = vec![
        requested(Verb::Start, Circumstance::Ordinary),
        requested(Verb::Stop, Circumstance::Remains(7.into())),
        requested(Verb::Kill, Circumstance::DuringSpawn),
        requested(Verb::Restart, Circumstance::Ordinary),
        Cause::EarlierDaemonDied { pid: 7 },
        Cause::Executed,
        Cause::Up { seconds: 3 },
        Cause::Exited { exit, age_ms: 1 },
        Cause::SpawnFailed { error: Box::new(error()) },
        Cause::Unhealthy { failures: 1, message: "refused".into() },
        Cause::HealthyAgain { message: "connected".into() },
        Cause::RestartUnhealthy,
        Cause::Retry { number: 1, of: 3 },
        Cause::Restart,
        Cause::Ended { exit: Some(exit) },
        Cause::Ended { exit: None },
        Cause::StopTimedOut { seconds: 10 },
        Cause::SignalRequested { signal: 1, by: by() },
        Cause::SignalRequested { signal: 40, by: Initiator::Embedder },
    ];
    for failure in failures() {
        all.push(Cause::BackedOff { failure: Box::new(failure.clone()), number: 1, of: 3, delay: 1 });
        for after in [None, Some(Tries::Attempts(4)), Some(Tries::Restarts(4))] {
            all.push(Cause::GaveUp { failure: Box::new(failure.clone()), after });
        }
    }
    all
}

/// The name that the protocol has for each; a new variant has to be named here, and one of it above.
fn kind(cause: &Cause) -> &'static str {
    match cause {
        Cause::Requested { .. } => "requested",
        Cause::EarlierDaemonDied { .. } => "earlier_daemon_died",
        Cause::Executed => "executed",
        Cause::Up { .. } => "up",
        Cause::Exited { .. } => "exited",
        Cause::SpawnFailed { .. } => "spawn_failed",
        Cause::Unhealthy { .. } => "unhealthy",
        Cause::HealthyAgain { .. } => "healthy_again",
        Cause::RestartUnhealthy => "restart_unhealthy",
        Cause::BackedOff { .. } => "backed_off",
        Cause::Retry { .. } => "retry",
        Cause::Restart => "restart",
        Cause::GaveUp { .. } => "gave_up",
        Cause::Ended { .. } => "ended",
        Cause::StopTimedOut { .. } => "stop_timed_out",
        Cause::SignalRequested { .. } => "signal_requested",
    }
}

#[test]
fn every_cause_is_a_sentence_and_has_a_kind_and_comes_back_from_its_data() {
    let all = one_of_each();
    let kinds: HashSet<&str> = all.iter().map(kind).collect();
    assert_eq!(kinds.len(), 16, "one of each variant");
    for cause in all {
        let text = cause.to_string();
        assert!(!text.is_empty() && text.trim() == text && !text.contains("  "), "{text:?}");
        assert!(!text.contains(['{', '}', '"']) && !text.contains("Some(") && !text.contains("::"), "{text:?}");
        let data = serde_json::to_value(&cause).expect("JSON");
        assert_eq!(data["kind"].as_str(), Some(kind(&cause)), "{data}");
        assert_eq!(serde_json::from_value::<Cause>(data).expect("a cause"), cause);
    }
}

#[test]
fn what_is_waited_for_before_a_start_is_named_by_the_pid_of_its_leader() {
    let by = Initiator::Autostart;
    let cause = Cause::Requested { verb: Verb::Start, by, circumstance: Circumstance::Remains(70_000.into()) };
    assert_eq!(cause.to_string(), "start requested by autostart; waits for what pid 70000 left of its process group");
    assert_eq!(serde_json::to_value(&cause).expect("JSON")["circumstance"]["remains"], 70_000);
}
