use std::collections::HashSet;

use super::*;
use crate::models::{Hook, Right};
use crate::process::{Exit, TaskEnd};

fn name() -> String {
    "web".to_owned()
}

fn reached() -> Box<Reached> {
    Box::new(Reached {
        state: ProcessState::Stopped,
        condition: Condition::Stopped,
        last_words: None,
        cause: Some(Cause::Ended { exit: Some(Exit::Code(3)) }),
        at: Moment::from_nanos(1),
    })
}

fn hook_failure() -> HookFailure {
    let end = TaskEnd::Exited { exit: Exit::Code(1), output: "bad value".into() };
    HookFailure { hook: Hook::ReloadCommand, command: "web --check".into(), end }
}

/// Each way not to get where it was to get.
fn unreached() -> [Unreached; 8] {
    [
        Unreached::Reached(reached()),
        Unreached::CutShort { on: name(), exit: None },
        Unreached::CutShort { on: name(), exit: Some(Exit::Code(3)) },
        Unreached::StoppedMeanwhile(ProcessState::Stopping),
        Unreached::Disabled,
        Unreached::Removed,
        Unreached::RemovedFromConfiguration,
        Unreached::ShuttingDown,
    ]
}

fn reload_failures() -> [ReloadFailure; 4] {
    [
        ReloadFailure::ShuttingDown,
        ReloadFailure::Config("x.conf:3: odd".into()),
        ReloadFailure::PendingCommit { seconds: 7 },
        ReloadFailure::TimedOut { seconds: 30 },
    ]
}

/// One of each variant, and of each way to word it.
fn one_of_each() -> Vec<Refusal> {
    let hints = [
        NameHint::None,
        NameHint::Nearest("wed".to_owned()),
        NameHint::Group("web:0".to_owned()),
        NameHint::Instances("web:0".to_owned()),
        NameHint::ScaledAway("web".to_owned()),
        NameHint::Leaving,
    ];
    let mut all: Vec<Refusal> = hints.into_iter().map(|hint| Refusal::NoSuchProcess { name: name(), hint }).collect();
    for nearest in [None, Some(name())] {
        all.push(Refusal::NoSuchGroup { name: name(), nearest });
    }
    for right in Right::ALL {
        all.extend([None, Some(name())].map(|on| Refusal::Forbidden { right, on }));
    }
    all.extend([
        Refusal::ShuttingDown,
        Refusal::NotInit,
        Refusal::NotRunning { name: name(), reached: reached() },
        Refusal::NoReload { name: name() },
        Refusal::HookFailed { name: name(), failure: Arc::new(hook_failure()) },
        Refusal::Output { name: name(), message: "no space left".to_owned() },
        Refusal::GroupThere { name: name() },
        Refusal::GroupRunning { name: name() },
        Refusal::TooManyFlags { most: 9 },
        Refusal::NotScalable { name: name(), why: ScaleFault::NoProgram },
        Refusal::NotScalable { name: name(), why: ScaleFault::One },
        Refusal::NotScalable { name: name(), why: ScaleFault::FileChanged },
        Refusal::NotScalable { name: name(), why: ScaleFault::NoStateDir },
        Refusal::NotScalable { name: name(), why: ScaleFault::TooMany { most: 9 } },
        Refusal::NoLog { path: None },
        Refusal::NoLog { path: Some(name()) },
        Refusal::CannotRestart,
        Refusal::Stdin { name: name(), why: StdinRefusal::NoPipe },
        Refusal::Stdin { name: name(), why: StdinRefusal::Closed },
        Refusal::Stdin { name: name(), why: StdinRefusal::Full { waiting: 7 } },
        Refusal::Internal,
    ]);
    let failed = RollbackReason::Failed { name: name(), state: ProcessState::Fatal, cause: Cause::Executed };
    for reason in [RollbackReason::Unconfirmed, failed.clone()] {
        all.push(Refusal::UpdateTakenBack { reason: Box::new(reason) });
    }
    for taken_back in [None, Some(RollbackReason::Unconfirmed), Some(failed)] {
        all.push(Refusal::NothingToConfirm { taken_back: taken_back.map(Box::new) });
    }
    #[cfg(feature = "attach")]
    for why in [
        RunRefusal::Configured,
        RunRefusal::InUse,
        RunRefusal::Settings("nice = x: not a number".to_owned()),
        RunRefusal::TooMany,
    ] {
        all.extend([None, Some(name())].map(|name| Refusal::Run { name, why: why.clone() }));
    }
    #[cfg(feature = "attach")]
    all.push(Refusal::NoTerminal { name: name() });
    for failure in reload_failures() {
        all.push(Refusal::RereadFailed(failure.clone()));
        all.push(Refusal::ReloadFailed(failure.clone()));
        all.push(Refusal::UpdateFailed(failure));
    }
    let acts = [Act::Start, Act::Stop, Act::Kill, Act::Restart { force: false }, Act::Restart { force: true }];
    for (why, timed_out) in unreached().into_iter().flat_map(|why| [(why.clone(), false), (why, true)]) {
        let members = vec![(name(), why.clone())];
        for act in acts {
            for on in [Selector::Process(name()), Selector::Group(name())] {
                all.push(Refusal::NotReached { act, on, members: members.clone(), timed_out });
            }
        }
        for until in [WaitFor::Running, WaitFor::Healthy, WaitFor::Stopped, WaitFor::Exited] {
            all.push(Refusal::WaitFailed { name: name(), until, why: why.clone(), timed_out });
        }
        all.push(Refusal::ReloadIncomplete { members: members.clone(), timed_out });
        for confirm_pending in [false, true] {
            all.push(Refusal::UpdateIncomplete { members: members.clone(), confirm_pending, timed_out });
        }
    }
    all
}

/// The kinds that each can be of; a new variant has to be named here, and one of it above.
fn kinds(refusal: &Refusal) -> &'static [&'static str] {
    match refusal {
        Refusal::NoSuchProcess { .. } => &["no_such_process", "scaled_to_0"],
        Refusal::NoSuchGroup { .. } => &["no_such_group"],
        Refusal::Forbidden { .. } => &["forbidden"],
        Refusal::ShuttingDown => &["shutting_down"],
        Refusal::NotInit => &["not_init"],
        Refusal::NotRunning { .. } => &["not_running"],
        Refusal::NoReload { .. } => &["no_reload"],
        Refusal::HookFailed { .. } => &["hook_failed"],
        Refusal::NotReached { .. } => &["not_reached", "timed_out"],
        Refusal::WaitFailed { .. } => &["wait_failed", "timed_out"],
        Refusal::RereadFailed(_) | Refusal::ReloadFailed(_) | Refusal::UpdateFailed(_) => {
            &["shutting_down", "invalid_configuration", "commit_pending", "timed_out"]
        }
        Refusal::ReloadIncomplete { .. } => &["reload_incomplete", "timed_out"],
        Refusal::UpdateIncomplete { .. } => &["update_incomplete", "timed_out"],
        Refusal::UpdateTakenBack { .. } => &["update_taken_back"],
        Refusal::NothingToConfirm { .. } => &["nothing_to_confirm"],
        Refusal::Output { .. } => &["output_failed"],
        Refusal::Stdin { .. } => &["stdin_no_pipe", "stdin_closed", "stdin_full"],
        #[cfg(feature = "attach")]
        Refusal::NoTerminal { .. } => &["no_terminal"],
        #[cfg(feature = "attach")]
        Refusal::Run { .. } => &["run_configured", "run_in_use", "run_settings", "run_too_many"],
        Refusal::GroupThere { .. } => &["group_there"],
        Refusal::GroupRunning { .. } => &["group_running"],
        Refusal::TooManyFlags { .. } => &["too_many_flags"],
        Refusal::NotScalable { .. } => &["not_scalable"],
        Refusal::NoLog { .. } => &["no_log"],
        Refusal::CannotRestart => &["cannot_restart"],
        Refusal::Internal => &["internal_error"],
    }
}

#[test]
fn every_refusal_is_a_sentence_and_has_a_kind() {
    let all = one_of_each();
    let variants: HashSet<_> = all.iter().map(std::mem::discriminant).collect();
    assert_eq!(variants.len(), if cfg!(feature = "attach") { 28 } else { 26 }, "one of each variant");
    for refusal in &all {
        let text = refusal.to_string();
        assert!(!text.is_empty() && text.trim() == text && !text.contains("  "), "{text:?}");
        assert!(!text.contains(['{', '}', '"']) && !text.contains("Some(") && !text.contains("::"), "{text:?}");
        assert!(kinds(refusal).contains(&refusal.kind()), "{refusal:?} is {}", refusal.kind());
    }
    let seen: HashSet<&str> = all.iter().map(Refusal::kind).collect();
    let wanted: HashSet<&str> = all.iter().flat_map(kinds).copied().collect();
    assert_eq!(seen, wanted, "each kind is met");
}

#[test]
fn a_cause_is_told_where_one_process_is_to_blame() {
    let cause = reached().cause;
    let not_running = Refusal::NotRunning { name: name(), reached: reached() };
    assert_eq!(not_running.cause(), cause.as_ref());
    let why = Unreached::Reached(reached());
    let failed = Refusal::WaitFailed { name: name(), until: WaitFor::Running, why, timed_out: true };
    assert_eq!((failed.cause(), failed.kind()), (cause.as_ref(), "timed_out"));
    let gone = Refusal::ReloadIncomplete { members: vec![(name(), Unreached::Removed)], timed_out: false };
    assert_eq!((gone.cause(), Refusal::Internal.cause()), (None, None));
}
