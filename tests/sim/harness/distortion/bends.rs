//! How each rule is broken: what becomes of an event, an action, a timer or a number on its way.
#![allow(clippy::unneeded_struct_pattern, reason = "which fields an event carries does not matter here")]

use super::*;

// Events that go in.

pub(super) fn renew_generation(it: &mut Distorted, mut event: Event) -> Vec<Event> {
    let current = it.machine.generation();
    match &mut event {
        Event::Held { generation }
        | Event::Released { generation, .. }
        | Event::DependencyLost { generation, .. }
        | Event::StartWhenTimedOut { generation, .. }
        | Event::Spawned { generation, .. }
        | Event::SpawnPending { generation, .. }
        | Event::Executed { generation }
        | Event::SpawnFailed { generation, .. }
        | Event::Exited { generation, .. }
        | Event::GroupEmpty { generation, .. }
        | Event::GroupLingers { generation, .. }
        | Event::HookEnded { generation, .. }
        | Event::HealthReported { generation, .. }
        | Event::HealthMissed { generation }
        | Event::Probed { generation, .. }
        | Event::ReadyReported { generation, .. }
        | Event::Notified { generation, .. }
        | Event::NotifyRefused { generation, .. }
        | Event::NotificationsRead { generation }
        | Event::OutputWatched { generation, .. }
        | Event::OutputResumed { generation }
        | Event::MainFound { generation, .. }
        | Event::NoMain { generation, .. } => {
            if *generation < current {
                *generation = current;
            }
        }
        Event::StartRequested { .. }
        | Event::StopRequested { .. }
        | Event::KillRequested { .. }
        | Event::RestartRequested { .. }
        | Event::OrphansFound { .. }
        | Event::PauseRequested
        | Event::ResumeRequested
        | Event::ConfigChanged { .. } => {}
    }
    vec![event]
}

pub(super) fn claim_empty(it: &mut Distorted, event: Event, state: ProcessState) -> Vec<Event> {
    match event {
        Event::GroupLingers { generation, .. } if it.machine.state() == state => vec![Event::GroupEmpty { generation }],
        event => vec![event],
    }
}

pub(super) fn repeat_start(it: &mut Distorted, event: Event) -> Vec<Event> {
    let stop = matches!(event, Event::StopRequested { .. } | Event::KillRequested { .. });
    match it.memory.start.clone() {
        Some(start) if stop && it.machine.state() == Stopping => {
            it.memory.desired = Some(Desired::Down);
            vec![event, start]
        }
        Some(_) | None => vec![event],
    }
}

pub(super) fn drop_stop_of_retry(it: &mut Distorted, event: Event) -> Vec<Event> {
    let stop = matches!(event, Event::StopRequested { .. } | Event::KillRequested { .. });
    if !stop || it.machine.state() != Backoff {
        return vec![event];
    }
    it.memory.desired = Some(Desired::Down);
    Vec::new()
}

pub(super) fn drop_start_while_stopping(it: &mut Distorted, event: Event) -> Vec<Event> {
    let start = matches!(event, Event::StartRequested { .. } | Event::RestartRequested { .. });
    if !start || it.machine.state() != Stopping {
        return vec![event];
    }
    it.memory.desired = Some(Desired::Up);
    Vec::new()
}

pub(super) fn drop_lingers(_: &mut Distorted, event: Event) -> Vec<Event> {
    if matches!(event, Event::GroupLingers { .. }) { Vec::new() } else { vec![event] }
}

pub(super) fn end_as_expected(it: &mut Distorted, mut event: Event) -> Vec<Event> {
    let config = it.machine.config();
    let always = config.autorestart == AutoRestart::Always;
    let at_once = it.machine.run_config().is_some_and(|config| config.startsecs == 0);
    if let (Event::Exited { exit, .. }, Some(code), true) = (&mut event, config.exitcodes.first(), always && at_once) {
        *exit = Exit::Code(*code);
    }
    vec![event]
}

pub(super) fn soften_failure(_: &mut Distorted, mut event: Event) -> Vec<Event> {
    if let Event::SpawnFailed { error, .. } = &mut event
        && error.is_permanent()
    {
        *error = SpawnError::system(SpawnStage::Exec, "", ENOENT);
    }
    vec![event]
}

pub(super) fn ask_as_another(_: &mut Distorted, mut event: Event) -> Vec<Event> {
    if let Event::RestartRequested { by, .. } = &mut event {
        *by = Initiator::Autostart;
    }
    vec![event]
}

// Actions that come out.

pub(super) fn drop_ready(_: &mut Distorted, event: Event) -> Vec<Event> {
    match event {
        Event::ReadyReported { .. } => Vec::new(),
        other => vec![other],
    }
}

pub(super) fn drop_probe(_: &mut Distorted, event: Event) -> Vec<Event> {
    match event {
        Event::Probed { ready: true, .. } => Vec::new(),
        other => vec![other],
    }
}

pub(super) fn drop_health_command(_: &Distorted, action: &Action) -> usize {
    usize::from(!matches!(action, Action::RunHealthCommand { .. }))
}

pub(super) fn double_probe(_: &Distorted, action: &Action) -> usize {
    if matches!(action, Action::ProbeReadiness { .. }) { 2 } else { 1 }
}

pub(super) fn first_step_alone(config: &mut ProgramConfig) {
    let first = config.stopsignal.split(',').next().unwrap_or_default().to_owned();
    config.stopsignal = first;
}

pub(super) fn drop_second_kill(it: &Distorted, action: &Action) -> usize {
    let again = |generation: &u64| it.memory.killed == Some(*generation);
    let second = matches!(action, Action::Signal { generation, signal: SIGKILL, .. } if again(generation));
    usize::from(!second)
}

pub(super) fn signal_all(action: &mut Action) {
    if let Action::Signal { target, .. } = action {
        *target = SignalTarget::Group;
    }
}

pub(super) fn signal_leader(action: &mut Action) {
    if let Action::Signal { target, .. } = action {
        *target = SignalTarget::Leader;
    }
}

pub(super) fn resume_nobody(action: &mut Action) {
    if let Action::Signal { resume, .. } = action {
        *resume = false;
    }
}

pub(super) fn drop_exited(_: &Distorted, action: &Action) -> usize {
    usize::from(!matches!(action, Action::Announce(Transition { from: Starting, to: Exited, .. })))
}

pub(super) fn double_check(_: &Distorted, action: &Action) -> usize {
    if matches!(action, Action::CheckHealth { .. }) { 2 } else { 1 }
}

pub(super) fn drop_check_after_reload(it: &Distorted, action: &Action) -> usize {
    let unchecked = it.machine.config().healthcheck.check_type == HealthCheckType::None;
    usize::from(!(unchecked && matches!(action, Action::CheckHealth { .. })))
}

// Timers.

pub(super) fn due_after_kill(it: &Distorted, due: Option<Moment>) -> Option<Moment> {
    let killed = it.machine.has_run() && it.memory.killed == Some(it.machine.generation());
    due.map(|due| if killed { due.min(it.memory.now) } else { due })
}

pub(super) fn later_by_answer(it: &Distorted, due: Option<Moment>) -> Option<Moment> {
    let between = matches!(it.machine.state(), Running | Unhealthy) && !it.machine.is_checking();
    due.map(|due| if between { due + it.memory.answer_took } else { due })
}

pub(super) fn never_while_checking(it: &Distorted, due: Option<Moment>) -> Option<Moment> {
    due.filter(|_| !it.machine.is_checking())
}

// `startretries` after a transition.

pub(super) fn fewer_after_success(it: &Distorted, transition: &Transition) -> Option<u32> {
    let proved = it.machine.run_config().is_some_and(|config| config.startsecs > 0);
    let ended = transition.to == Running && proved;
    ended.then(|| it.memory.config.startretries.saturating_sub(it.memory.failed))
}

pub(super) fn endless_for_health(it: &Distorted, transition: &Transition) -> Option<u32> {
    if (transition.from, transition.to) == (Unhealthy, Stopping) {
        return Some(u32::MAX);
    }
    (transition.from == Stopping).then_some(it.memory.config.startretries)
}
