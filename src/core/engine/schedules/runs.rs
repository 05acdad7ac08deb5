//! What is done at a time of a schedule: a start, or what `schedule_overlap` says where the last run is still there.

use super::super::Engine;
use super::intervals;
use crate::api::{Act, ProcId};
use crate::models::Overlap;
use crate::process::{Cause, Desired, Initiator, ProcessState, ScheduleNote};

impl Engine {
    /// Something of a run is there, or on its way. What waits for a retry, or has been given up, is not.
    pub(super) fn is_run_there(&self, id: ProcId) -> bool {
        let is_there = |machine: &crate::process::Machine| machine.is_engaged() || machine.is_waiting();
        self.registry.get(id).is_some_and(|entry| is_there(&entry.machine)) || self.is_held(id)
    }

    pub(super) fn note_schedule(&mut self, id: ProcId, note: ScheduleNote) {
        self.note(id, Cause::Schedule { note });
    }

    /// A time of its schedule has come.
    pub(super) fn run_scheduled(&mut self, id: ProcId) {
        let Some(entry) = self.registry.get(id).filter(|entry| !entry.leaving) else { return };
        if self.is_ending() {
            return;
        }
        // It has done what it is for, and is up only until its stop_command has run.
        let is_up = entry.machine.is_up();
        let overlap = entry.config().schedule.overlap;
        if !self.is_run_there(id) {
            return self.start_scheduled(id);
        }
        if is_up {
            return self.replace(id);
        }
        match overlap {
            Overlap::Skip => self.skip(id, false),
            Overlap::Queue => {
                let is_queued = self.schedules.plans.get_mut(&id).is_some_and(|plan| {
                    let first = !plan.queued;
                    plan.queued = true;
                    first
                });
                match is_queued {
                    true => self.note_schedule(id, ScheduleNote::Queued),
                    false => self.skip(id, true),
                }
            }
            Overlap::Restart => {
                self.note_schedule(id, ScheduleNote::Replaces);
                self.replace(id);
            }
        }
    }

    fn skip(&mut self, id: ProcId, queue_full: bool) {
        let Some(plan) = self.schedules.plans.get_mut(&id) else { return };
        plan.skipped = plan.skipped.saturating_add(1);
        let times = plan.skipped;
        self.note_schedule(id, ScheduleNote::Skipped { times, queue_full });
    }

    fn replace(&mut self, id: ProcId) {
        self.act_in_order(Act::Restart { force: false }, &[id], &Initiator::Schedule, true);
    }

    pub(super) fn start_scheduled(&mut self, id: ProcId) {
        self.start_in_order(&[id], &Initiator::Schedule);
    }

    /// Something has happened to this process: a run of it may have begun or ended.
    pub(in crate::core::engine) fn review_schedule(&mut self, id: ProcId) {
        if self.schedules.plans.len() == 0 {
            return;
        }
        let is_there = self.is_run_there(id);
        let Some(entry) = self.registry.get(id) else { return };
        let Some(plan) = self.schedules.plans.get_mut(&id).filter(|plan| plan.is_there != is_there) else { return };
        plan.is_there = is_there;
        plan.skipped = 0;
        for (next, (pause, _)) in
            plan.intervals.iter_mut().zip(intervals(&entry.config().schedule)).filter(|(_, (_, after_end))| *after_end)
        {
            *next = if is_there { None } else { self.now.checked_add(pause) };
        }
        // Who stops a run does not want the one that waits for its end. One that has failed is followed by it as by any
        // other.
        let has_failed = entry.machine.state() == ProcessState::Fatal;
        plan.queued &= is_there || has_failed || entry.machine.desired() == Desired::Up;
        self.rearm(id);
    }
}
