//! What happens, as event listeners are told of it: in supervisord's words, and only what somebody wants to know.

use super::Effects;
use super::groups::GroupIndex;
use crate::api::{Announcement, ProcId, ShutdownProgress};
use crate::models::{ListenerEvent, ListenerEvents, ProgramConfig};
use crate::process::{Cause, Exit, ProcessState, Transition};
use crate::util::quick_hash::QuickMap;

/// An event listener.
pub(super) struct Listener {
    id: ProcId,
    name: String,
    events: ListenerEvents,
}

impl Effects {
    /// A program is there, or has new settings.
    pub(super) fn note_listener(&mut self, id: ProcId, config: &ProgramConfig) {
        self.listeners.retain(|listener| listener.id != id);
        if config.is_listener() {
            self.listeners.push(Listener { id, name: config.name.clone(), events: config.events });
        }
        self.collect_wanted();
    }

    /// A program is no longer there.
    pub(super) fn forget_listener(&mut self, id: ProcId, name: &str) {
        self.listeners.retain(|listener| listener.id != id);
        self.listener_states.forget(name);
        self.collect_wanted();
    }

    fn collect_wanted(&mut self) {
        let all = self.listeners.iter().map(|listener| listener.events);
        self.wanted_events = all.fold(ListenerEvents::NONE, ListenerEvents::union);
        let wants_groups =
            [ListenerEvent::GroupAdded, ListenerEvent::GroupRemoved].iter().any(|kind| self.wanted_events.has(*kind));
        if !wants_groups {
            self.groups = None;
        } else if self.groups.is_none() {
            let programs = self.parts.handles.numbered_configs();
            self.groups = Some(GroupIndex::of(programs.iter().map(|(id, config)| (*id, &**config))));
        }
    }

    /// A process has new settings: reports the groups that are gone or new where it has changed its group.
    pub(super) fn notify_changed_group(&mut self, id: ProcId, config: &ProgramConfig) {
        let Some(groups) = &mut self.groups else { return };
        if let Some(former) = groups.put(id, config) {
            self.notify_group(ListenerEvent::GroupRemoved, &former, |_| true);
            self.notify_group(ListenerEvent::GroupAdded, config.group_name(), |other| other != id);
        }
    }

    /// A process was added: reports its group where it is the first of it.
    pub(super) fn notify_group_added(&mut self, id: ProcId, config: &ProgramConfig) {
        let Some(groups) = &mut self.groups else { return };
        groups.put(id, config);
        // Those that follow may be known already.
        self.notify_group(ListenerEvent::GroupAdded, config.group_name(), |other| other < id);
    }

    /// A process was removed: reports its group where it was the last of it.
    pub(super) fn notify_group_removed(&mut self, id: ProcId, config: &ProgramConfig) {
        let Some(groups) = &mut self.groups else { return };
        groups.remove(id);
        self.notify_group(ListenerEvent::GroupRemoved, config.group_name(), |_| true);
    }

    fn notify_group(&self, kind: ListenerEvent, group: &str, counts: impl Fn(ProcId) -> bool) {
        let is_there = self.groups.as_ref().is_some_and(|groups| groups.has(group, counts));
        if self.wanted_events.has(kind) && !is_there {
            self.parts.output.notify_listeners(kind, format!("groupname:{group}\n").into());
        }
    }

    /// Something happened.
    pub(super) fn notify_listeners(&mut self, announcement: &Announcement) {
        if self.listeners.is_empty() {
            return;
        }
        if let Announcement::Transition { program, transition, .. } = announcement
            && let Some(listener) = self.listeners.iter().find(|listener| listener.name == program.name)
        {
            self.parts.output.set_listener_running(listener.id, is_up(transition.to));
        }
        let events = match announcement {
            Announcement::Transition { program, transition, at: _ } => {
                let told = self.listener_states.of(&program.name, transition.from);
                transition_events(program, transition, told, self.wanted_events)
            }
            other => other_events(other, self.wanted_events),
        };
        for (kind, payload) in events {
            self.parts.output.notify_listeners(kind, payload.into());
        }
    }
}

fn is_up(state: ProcessState) -> bool {
    matches!(state, ProcessState::Running | ProcessState::Unhealthy)
}

/// What supervisord's listeners are told of what is no transition, as far as that is wanted.
fn other_events(announcement: &Announcement, wanted: ListenerEvents) -> Vec<(ListenerEvent, String)> {
    let plain = |kind| if wanted.has(kind) { vec![(kind, String::new())] } else { Vec::new() };
    match announcement {
        Announcement::RemoteEvent { kind, data } if wanted.has(ListenerEvent::Remote) => {
            vec![(ListenerEvent::Remote, format!("type:{kind}\n{data}"))]
        }
        Announcement::Begun => plain(ListenerEvent::SupervisorRunning),
        Announcement::Shutdown(ShutdownProgress::Begun { .. }) => plain(ListenerEvent::SupervisorStopping),
        Announcement::Transition { .. }
        | Announcement::RemoteEvent { .. }
        | Announcement::Noted { .. }
        | Announcement::Spawned { .. }
        | Announcement::Health { .. }
        | Announcement::Output { .. }
        | Announcement::ExecFailedLate { .. }
        | Announcement::TaskSignalled { .. }
        | Announcement::Asked { .. }
        | Announcement::Denied { .. }
        | Announcement::Shortage { .. }
        | Announcement::UnknownSenderNotified { .. }
        | Announcement::HookFailed { .. }
        | Announcement::NoticeLost { .. }
        | Announcement::LogsReopened
        | Announcement::ClockSet { .. }
        | Announcement::Orphans(_)
        | Announcement::Failed(_)
        | Announcement::Reload(_)
        | Announcement::Shutdown(_) => Vec::new(),
    }
}

/// The states of processes as supervisord would have them, of those that have changed theirs.
#[derive(Debug, Default)]
pub(super) struct ListenerStates(QuickMap<String, ProcessState>);

impl ListenerStates {
    /// What a process is told to be; at first what it was before its first transition.
    fn of(&mut self, name: &str, before: ProcessState) -> &mut ProcessState {
        self.0.entry(name.to_owned()).or_insert(before)
    }

    fn forget(&mut self, name: &str) {
        self.0.remove(name);
    }
}

/// One transition, as supervisord would have made it. There, a start that fails leads from STARTING to BACKOFF at once,
/// and what has run and ended is EXITED until it is started again.
fn transition_events(
    program: &ProgramConfig,
    transition: &Transition,
    told: &mut ProcessState,
    wanted: ListenerEvents,
) -> Vec<(ListenerEvent, String)> {
    let Transition { from: _, to, pid, cause } = transition;
    let (group, process) = program.group_and_process();
    let event = |kind, from: ProcessState, extra: String| {
        // What is unhealthy runs, to supervisord.
        let from = if from == ProcessState::Unhealthy { ProcessState::Running } else { from };
        (kind, format!("processname:{process} groupname:{group} from_state:{from}{extra}"))
    };
    let pid = pid.unwrap_or(0);
    let from = *told;
    let mut events = match to {
        ProcessState::Starting => {
            let retry = if let Cause::Retry { number, .. } = cause { *number } else { 0 };
            let tries = if from == ProcessState::Backoff { retry } else { 0 };
            vec![event(ListenerEvent::Starting, from, format!(" tries:{tries}"))]
        }
        ProcessState::Running | ProcessState::Unhealthy if is_up(from) => Vec::new(),
        ProcessState::Running | ProcessState::Unhealthy => {
            vec![event(ListenerEvent::Running, from, format!(" pid:{pid}"))]
        }
        ProcessState::Exited if from == ProcessState::Starting && !is_expected(program, cause) => return Vec::new(),
        ProcessState::Exited => {
            let expected = u8::from(is_expected(program, cause));
            vec![event(ListenerEvent::Exited, from, format!(" expected:{expected} pid:{pid}"))]
        }
        ProcessState::Backoff if from == ProcessState::Exited => return Vec::new(),
        ProcessState::Backoff => {
            let tries = if let Cause::BackedOff { number, .. } = cause { *number } else { 1 };
            vec![event(ListenerEvent::Backoff, from, format!(" tries:{tries}"))]
        }
        ProcessState::Fatal if from == ProcessState::Starting => {
            let tries = program.startretries.saturating_add(1);
            vec![
                event(ListenerEvent::Backoff, from, format!(" tries:{tries}")),
                event(ListenerEvent::Fatal, ProcessState::Backoff, String::new()),
            ]
        }
        ProcessState::Fatal => vec![event(ListenerEvent::Fatal, from, String::new())],
        ProcessState::Stopping => vec![event(ListenerEvent::Stopping, from, format!(" pid:{pid}"))],
        ProcessState::Stopped => vec![event(ListenerEvent::Stopped, from, format!(" pid:{pid}"))],
    };
    *told = *to;
    events.retain(|(kind, _)| wanted.has(*kind));
    events
}

fn is_expected(program: &ProgramConfig, cause: &Cause) -> bool {
    if let Cause::Exited { exit: Exit::Code(code), .. } = cause {
        return program.exitcodes.contains(code);
    }
    matches!(cause, Cause::Completed { .. })
}
