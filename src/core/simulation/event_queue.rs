//! The events of a simulation that are still to come, ordered by time.

use std::collections::VecDeque;

use super::plan::StepKind;
use crate::api::ProcId;
use crate::core::effect::Input;
use crate::process::{Generation, Moment};

/// An event that is still to come.
#[derive(Debug)]
pub(super) enum PendingEvent {
    /// A child has ended.
    Child,
    /// The engine is told this.
    Told(Input),
    /// A run has to tell its watchdog that it is alive.
    Alive { id: ProcId, generation: Generation },
    /// A step of the plan.
    Step(Box<StepKind>),
}

/// The events still to come, ordered by time. Most are added at the end: a list beats a tree.
#[derive(Debug, Default)]
pub(super) struct EventQueue(VecDeque<(Moment, PendingEvent)>);

impl EventQueue {
    /// Adds an event behind the others of that moment. The steps of the plan come last at a moment.
    pub(super) fn add(&mut self, at: Moment, event: PendingEvent) {
        let rank = |(at, event): &(Moment, PendingEvent)| (*at, matches!(event, PendingEvent::Step(_)));
        let new = (at, event);
        let place = self.0.partition_point(|other| rank(other) <= rank(&new));
        self.0.insert(place, new);
    }

    /// When the first event is due.
    pub(super) fn next(&self) -> Option<Moment> {
        self.0.front().map(|(at, _)| *at)
    }

    /// The first event, if it is due.
    pub(super) fn take_due(&mut self, now: Moment) -> Option<PendingEvent> {
        if self.next()? > now {
            return None;
        }
        self.0.pop_front().map(|(_, event)| event)
    }
}
