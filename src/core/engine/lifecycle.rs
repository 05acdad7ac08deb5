//! What happens to processes: the machine of each is told, and what it wants done becomes effects.

use std::sync::Arc;
use std::time::Duration;

use super::timers::TimerKey;
use super::{Engine, FIRST_EXEC_PROBE};
use crate::api::{Announcement, OutputChange, ProcId};
use crate::core::effect::{CheckPurpose, Effect, GroupLeft, Signal};
use crate::health::HealthCheckResult;
use crate::models::{OutputTrouble, OutputTroubleKind, StreamKind};
use crate::output::Note;
use crate::process::{
    self, Action, Cause, Exit, Generation, Initiator, KillWhy, LastWords, ProcessState, ReadyReport, SignalTarget,
    SpawnError, TaskEvent,
};

/// The kernel tells nobody when the last member of a process group goes, unless it is our own child: a group that
/// outlives its leader is probed after this time, then after twice as long, …
pub(super) const FIRST_PROBE: Duration = Duration::from_millis(2);
/// … and never less often than this.
const LAST_PROBE: Duration = Duration::from_millis(250);
/// After so many probes the group is looked at more closely: zombies of a parent that does not reap (a container
/// without an init) would hold up a stop for ever.
const QUICK_PROBES: u32 = 4;

/// How long the answer to a failed start may wait for the last line of the program's output.
const DRAIN_LIMIT: Duration = Duration::from_millis(100);

/// What is known of a leader that has ended and was reaped.
pub(super) struct ExitFacts {
    pub(super) exit: Exit,
    /// Why it never executed its program.
    pub(super) late: Option<Box<SpawnError>>,
    pub(super) group: GroupLeft,
    /// Something that it has forked and that lives.
    pub(super) descendant: Option<i32>,
}

impl Engine {
    /// Feeds an event to a process's machine, and performs the actions that follow.
    pub(super) fn handle_event(&mut self, id: ProcId, event: process::Event) {
        if let Some(entry) = self.registry.get_mut(id) {
            entry.machine.handle_event(self.now, event);
            self.pump(id);
        }
    }

    pub(super) fn process_timer(&mut self, id: ProcId) {
        if let Some(entry) = self.registry.get_mut(id) {
            entry.machine.handle_timeout(self.now);
            self.pump(id);
        }
    }

    /// Does what a machine wants done, then brings timers, views and waiting requests up to date.
    pub(super) fn pump(&mut self, id: ProcId) {
        while let Some(entry) = self.registry.get_mut(id)
            && let Some(action) = entry.machine.poll_action()
        {
            match action {
                Action::Spawn { generation } => self.spawn_or_hold(id, generation),
                Action::Signal { generation, signal, target, resume, why } => {
                    self.send_signal(id, generation, Signal { number: signal, target, resume });
                    self.signalled(id, signal, why);
                }
                Action::RunHook { generation, hook, config } => self.run_hook(id, generation, hook, config),
                Action::CancelHooks { generation, force } => self.cancel_hooks(id, generation, force),
                Action::CheckHealth { generation } => self.begin_check(id, generation, CheckPurpose::Health),
                Action::RunHealthCommand { generation } => {
                    self.begin_check(id, generation, CheckPurpose::HealthAction);
                }
                Action::ProbeReadiness { generation } => self.begin_check(id, generation, CheckPurpose::Readiness),
                Action::AskNotifications { generation } => {
                    self.effects.push_back(Effect::ReadNotifications { id, generation });
                }
                Action::FindMain { generation } => self.find_main(id, generation),
                Action::HandOver { generation, pid } => {
                    self.effects.push_back(Effect::HandOver { id, generation, pid })
                }
                Action::NoteReadiness { lost: Some(message) } => self.note(id, Cause::ReadinessLost { message }),
                Action::NoteReadiness { lost: None } => self.note(id, Cause::ReadinessBack),
                Action::NoteMain { was } => self.note(id, Cause::MainProcess { was }),
                Action::NoteRefused { pid } => self.note(id, Cause::NotifyRefused { pid }),
                Action::Announce(transition) => self.announce_transition(id, transition),
            }
        }
        self.leave_search(id);
        self.show(id);
        self.review_outside(id);
        self.review_slot(id);
        self.review_schedule(id);
        self.has_moved(id);
        self.review_waiters(id);
        self.note_settled(id);
        #[cfg(feature = "attach")]
        self.review_transient(id);
        self.remove_departed(id);
    }

    /// Files the machine's next timer and shows its state to other threads.
    pub(super) fn show(&mut self, id: ProcId) {
        let Some(entry) = self.registry.get(id) else { return };
        self.timers.set(TimerKey::Process(id), entry.machine.poll_timeout());
        let view = entry.machine.view();
        self.do_before_telling(Effect::Show { id, view });
    }

    pub(super) fn spawn(&mut self, id: ProcId, generation: Generation) {
        #[cfg(feature = "attach")]
        self.transient_begins(id);
        let Some(entry) = self.registry.get_mut(id) else { return };
        entry.last_words = None;
        entry.listener_said = None;
        entry.check_missed = None;
        entry.draining = false;
        entry.probe_pause = None;
        // Where a pre_start was run, with the settings of that.
        let config = Arc::clone(entry.machine.run_config().unwrap_or(entry.config()));
        entry.hook_failure = None;
        entry.start_record.spawned(self.now);
        self.timers.set(TimerKey::OutputDrain(id), None);
        self.timers.set(TimerKey::GroupProbe(id), None);
        // The last line of the run before is waited for no longer.
        self.last_line_received(id);
        self.effects.push_back(Effect::Spawn { id, generation, config });
    }

    /// Has a signal sent to what there is of a process.
    pub(super) fn send_signal(&mut self, id: ProcId, generation: Generation, signal: Signal) {
        match generation {
            // Before the first run there is only what an earlier daemon has left behind.
            0 => self.signal_adopted(id, signal.number),
            generation => self.do_before_telling(Effect::Signal { id, generation, signal }),
        }
    }

    fn signalled(&mut self, id: ProcId, signal: u8, why: KillWhy) {
        let Some(entry) = self.registry.get_mut(id) else { return };
        if entry.probe_pause.is_some() {
            entry.probe_pause = Some(FIRST_PROBE);
            self.timers.set(TimerKey::GroupProbe(id), self.now.checked_add(FIRST_PROBE));
        }
        match why {
            KillWhy::StopTimeout { seconds } => self.note(id, Cause::StopTimedOut { seconds }),
            KillWhy::NextStep { after, seconds } => self.note(id, Cause::StopStepOver { signal, after, seconds }),
            KillWhy::OutlivedCommand { seconds } => self.note(id, Cause::OutlivedStopCommand { signal, seconds }),
            KillWhy::CommandHangs { seconds } => self.note(id, Cause::StopCommandHangs { signal, seconds }),
            KillWhy::CommandTimeout { seconds } => self.note(id, Cause::StopCommandTimedOut { seconds }),
            KillWhy::HealthAction => {
                let (target, by) = (SignalTarget::Leader, Initiator::HealthCheck);
                self.note(id, Cause::SignalRequested { signal, target, by });
            }
            KillWhy::Requested
            | KillWhy::Remains
            | KillWhy::Unhealthy
            | KillWhy::StartFailed
            | KillWhy::Again
            | KillWhy::InternalError => {}
        }
    }

    pub(super) fn spawned(&mut self, id: ProcId, generation: Generation, pid: i32, pending: bool) {
        if pending {
            // Mostly the machine is busy, and it takes no longer than this.
            self.pending_exec_pause = Some(FIRST_EXEC_PROBE);
            self.timers.set(TimerKey::PendingExec, self.now.checked_add(FIRST_EXEC_PROBE));
        }
        self.handle_event(
            id,
            match pending {
                true => process::Event::SpawnPending { generation, pid },
                false => process::Event::Spawned { generation, pid },
            },
        );
        self.note_spawned(id, pid);
        self.watch_changes(id, generation);
        self.watch_usage(id, generation);
        self.watch_oneshot(id);
        self.probe_bystanders_of(id);
    }

    /// What is `RUNNING` at once has told so: of others, the log has when they were executed.
    fn note_spawned(&mut self, id: ProcId, pid: i32) {
        let starts = |entry: &&super::Entry| entry.machine.state() == ProcessState::Starting;
        if let Some(program) = self.registry.get(id).filter(starts).map(|entry| Arc::clone(entry.config())) {
            self.announce(Some(id), Announcement::Spawned { program, pid });
        }
    }

    /// A leader has ended and was reaped.
    pub(super) fn exited(&mut self, id: ProcId, generation: Generation, facts: ExitFacts) {
        let ExitFacts { exit, late, group, descendant } = facts;
        let Some(entry) = self.registry.get_mut(id) else { return };
        if entry.machine.generation() != generation {
            return;
        }
        if late.is_none() && exit == Exit::Code(0) && entry.machine.expects_to_fork() {
            return self.detached(id, generation, group);
        }
        entry.probes = 0;
        self.count_exit(id, exit);
        self.leader_ended(id, generation);
        if let Some(error) = late
            && let Some(entry) = self.registry.get_mut(id)
        {
            let (error, program) = (Arc::new(*error), Arc::clone(entry.config()));
            entry.last_words = Some(Box::new(LastWords::ExecFailed(Arc::clone(&error))));
            self.announce(Some(id), Announcement::ExecFailedLate { program, error });
        }
        let group = self.left_of_run(id, group);
        let Some(entry) = self.registry.get_mut(id) else { return };
        entry.machine.handle_event(self.now, process::Event::Exited { generation, exit, descendant });
        entry.probe_pause = Some(FIRST_PROBE);
        match group {
            GroupLeft::Empty => self.group_ended(id, generation),
            GroupLeft::Lingers => {
                entry.machine.handle_event(self.now, process::Event::GroupLingers { generation });
                self.probe_later(id);
            }
        }
        self.pump(id);
        // A failed start says so itself.
        if let Some(left) = descendant.filter(|_| group == GroupLeft::Lingers)
            && self.registry.get(id).is_some_and(|entry| entry.machine.state() == ProcessState::Exited)
        {
            self.note(id, Cause::LeftBehind { left });
        }
    }

    /// Its leader has ended, and no other process takes its place: what it has written is to be read.
    pub(super) fn leader_ended(&mut self, id: ProcId, generation: Generation) {
        self.timers.set(TimerKey::OutputDrain(id), self.now.checked_add(DRAIN_LIMIT));
        self.forget_changes(id, generation);
        self.usages.forget(id);
        self.forget_silence(id);
        let Some(entry) = self.registry.get_mut(id) else { return };
        entry.draining = true;
        self.do_before_telling(Effect::LeaderExited { id, generation });
        self.cancel_tasks(id);
    }

    /// Orphans of a group may have been ours to reap (PID 1, subreaper): probe at once.
    pub(super) fn probe_lingering_groups(&mut self) {
        let lingering: Vec<ProcId> = self.timers.group_probes().collect();
        for id in lingering {
            self.probe_group(id);
        }
    }

    /// Asks whether the group of an ended leader has gone by now.
    pub(super) fn probe_group(&mut self, id: ProcId) {
        let Some(entry) = self.registry.get_mut(id) else { return };
        if entry.probe_pause.is_none() {
            return;
        }
        entry.probes = entry.probes.saturating_add(1);
        let (generation, thorough) = (entry.machine.generation(), entry.probes > QUICK_PROBES);
        self.effects.push_back(Effect::ProbeGroup { id, generation, thorough });
    }

    pub(super) fn group_probed(&mut self, id: ProcId, generation: Generation, group: GroupLeft) {
        let Some(entry) = self.registry.get(id) else { return };
        if entry.machine.generation() != generation || entry.probe_pause.is_none() {
            return;
        }
        match self.left_of_run(id, group) {
            GroupLeft::Empty if entry.machine.may_be_hidden() => self.probe_later(id),
            GroupLeft::Empty => {
                self.group_ended(id, generation);
                self.pump(id);
            }
            GroupLeft::Lingers => self.probe_later(id),
        }
    }

    /// What is left of a run whose leader has ended: its tasks belong to it. They were killed, and are gone before the
    /// run is.
    fn left_of_run(&self, id: ProcId, group: GroupLeft) -> GroupLeft {
        if self.tasks.has_live(id) { GroupLeft::Lingers } else { group }
    }

    pub(super) fn probe_later(&mut self, id: ProcId) {
        let Some(entry) = self.registry.get_mut(id) else { return };
        let Some(pause) = entry.probe_pause else { return };
        entry.probe_pause = Some((pause * 2).min(LAST_PROBE));
        self.timers.set(TimerKey::GroupProbe(id), self.now.checked_add(pause));
    }

    fn group_ended(&mut self, id: ProcId, generation: Generation) {
        self.end_search(id, generation);
        let Some(entry) = self.registry.get_mut(id) else { return };
        entry.probe_pause = None;
        self.timers.set(TimerKey::GroupProbe(id), None);
        entry.machine.handle_event(self.now, process::Event::GroupEmpty { generation });
        self.do_before_telling(Effect::RunEnded { id, generation });
    }

    /// Removes a process that has left the configuration, once nothing of its run is left.
    pub(super) fn remove_departed(&mut self, id: ProcId) {
        if !self.registry.get(id).is_some_and(|entry| entry.has_left()) {
            return;
        }
        // Before it is removed: its section tells who may have waited for it.
        self.forget_lifetime(id);
        let Some(entry) = self.registry.remove(id) else { return };
        self.forget_adopted(id);
        self.held.remove(&id);
        self.unplan(id);
        self.forget_outside(id);
        self.histories.forget(&entry.history);
        for key in [TimerKey::Process(id), TimerKey::OutputDrain(id), TimerKey::GroupProbe(id)] {
            self.timers.set(key, None);
        }
        self.last_line_received(id);
        self.effects.push_back(Effect::Forget { id, config: Arc::clone(entry.config()) });
        let name = entry.name().to_owned();
        self.announce(None, Announcement::Reload(crate::api::ReloadChange::Removed { name }));
        self.settle_waiters_of_departed(id, entry.waiters);
        #[cfg(feature = "attach")]
        if entry.transient.is_some() {
            self.rebuild_graph();
        }
    }

    pub(super) fn health(&mut self, id: ProcId, generation: Generation, result: HealthCheckResult) {
        let Some(entry) = self.registry.get_mut(id) else { return };
        if entry.machine.generation() != generation || entry.machine.pid().is_none() {
            return;
        }
        entry.check_missed = None;
        let (program, pid) = (Arc::clone(entry.config()), entry.machine.pid());
        let HealthCheckResult { healthy, message } = result;
        self.announce(
            Some(id),
            Announcement::Health { program, at: self.now, pid, healthy, message: message.as_str().into() },
        );
        self.deliver_announcements();
        self.handle_event(id, process::Event::HealthReported { generation, healthy, message });
    }

    pub(super) fn output(&mut self, note: Note) {
        match note {
            Note::Drained { program, generation, last_line } => {
                let Some(entry) = self.registry.get_mut(program) else { return };
                if entry.machine.generation() == generation {
                    entry.last_words =
                        last_line.map(|line| Box::new(LastWords::Line(line.into()))).or(entry.last_words.take());
                    self.drained(program);
                }
            }
            Note::TaskOutput { task, tail } => {
                self.handle_task_event(task, TaskEvent::Output(tail));
                self.handle_task_event(task, TaskEvent::Drained);
            }
            Note::ReadyLine { program, generation } => {
                self.handle_event(program, process::Event::ReadyReported { generation, report: ReadyReport::Ready });
            }
            Note::WatchedLine { program, generation, pattern, line } => {
                self.watched_line(program, generation, &pattern, line);
            }
            Note::Silent { program, generation, silence } => self.silent(program, generation, silence),
            Note::OutputResumed { program, generation } => self.output_resumed(program, generation),
            Note::Trouble { program, stream, kind, reason } => {
                let Some(entry) = self.registry.get_mut(program) else { return };
                let trouble = OutputTrouble { kind, reason: reason.into() };
                entry.output_troubles.begin(stream, trouble.clone());
                self.output_changed(program, stream, OutputChange::Trouble(trouble));
            }
            Note::ListenerLost { program, generation, said } => {
                let of_run = |entry: &&mut super::Entry| entry.machine.generation() == generation;
                if let Some(entry) = self.registry.get_mut(program).filter(of_run) {
                    entry.listener_said = Some(said.into());
                }
            }
            Note::Recovered { program, stream, recovery } => {
                if recovery.kind == OutputTroubleKind::Write {
                    self.count_lost_output(program, recovery.lost_bytes);
                }
                let Some(entry) = self.registry.get_mut(program) else { return };
                entry.output_troubles.end(stream, recovery.kind);
                self.output_changed(program, stream, OutputChange::Recovered(recovery));
            }
        }
    }

    fn output_changed(&mut self, id: ProcId, stream: StreamKind, change: OutputChange) {
        let Some(entry) = self.registry.get(id) else { return };
        let program = Arc::clone(entry.config());
        self.announce(Some(id), Announcement::Output { program, stream, change });
    }

    /// The last words of a run were read, or are waited for no longer.
    pub(super) fn drained(&mut self, id: ProcId) {
        self.timers.set(TimerKey::OutputDrain(id), None);
        let Some(entry) = self.registry.get_mut(id) else { return };
        entry.draining = false;
        self.has_moved(id);
        self.review_waiters(id);
        self.last_line_received(id);
    }
}
