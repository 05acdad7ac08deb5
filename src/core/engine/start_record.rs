//! When each process was asked to start, what it waited for, when it was executed and when it was ready: a few moments for each,
//! written down as they pass.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::access::Eyes;
use super::{Engine, Entry};
use crate::api::{Announcement, Blame, BlameRow, ProcId, Refusal, WaitedFor};
use crate::process::{Cause, Moment, ProcessState, Verb};
use crate::util::sorted::SortedSet;

/// What has let a process start that had to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Hurdle {
    Process(ProcId),
    /// `start_limit` others were starting.
    StartSlot,
}

/// The start of a process that was last asked for. What the daemon does later by itself is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StartRecord {
    asked: Option<Moment>,
    /// The last time before it was ready.
    spawned: Option<Moment>,
    ready: Option<Moment>,
    attempts: u32,
    /// What it waited for last.
    waited_for: Option<Hurdle>,
}

impl StartRecord {
    /// It is executed.
    pub(super) fn spawned(&mut self, now: Moment) {
        if self.ready.is_none() {
            self.spawned = Some(now);
            self.attempts = self.attempts.saturating_add(1);
        }
    }

    /// This was the last thing that it had to wait for.
    pub(super) fn passed(&mut self, hurdle: Hurdle) {
        if self.ready.is_none() {
            self.waited_for = Some(hurdle);
        }
    }
}

impl Engine {
    /// A subscriber: a start begins, or has come about.
    pub(super) fn record_start(&mut self, id: Option<ProcId>, announcement: &Announcement) {
        let (Some(id), Announcement::Transition { transition, .. }) = (id, announcement) else { return };
        let now = self.now;
        let Some(entry) = self.registry.get_mut(id) else { return };
        let record = &mut entry.start_record;
        match transition.to {
            ProcessState::Starting => {
                let asked =
                    entry.machine.last_request().filter(|(verb, ..)| matches!(verb, Verb::Start | Verb::Restart));
                let asked = asked.map(|(_, _, at)| *at);
                if record.asked != asked {
                    *record = StartRecord { asked, ..StartRecord::default() };
                }
            }
            ProcessState::Running => record.ready = record.ready.or(Some(now)),
            ProcessState::Exited if matches!(transition.cause, Cause::Completed { .. }) => {
                record.ready = record.ready.or(Some(now));
            }
            ProcessState::Exited
            | ProcessState::Stopped
            | ProcessState::Backoff
            | ProcessState::Stopping
            | ProcessState::Fatal
            | ProcessState::Unhealthy => {}
        }
    }

    /// How long the starts have taken: of all, or of these and what they waited for.
    pub(super) fn blame(&self, names: &[String], offset: usize, eyes: &Eyes<'_>) -> Result<Blame, Refusal> {
        let ids = names.iter().map(|name| self.registry.find_or_refuse(name)).collect::<Result<Vec<ProcId>, _>>()?;
        let mut wanted = SortedSet::default();
        ids.iter().for_each(|id| wanted.extend(self.start_path(*id)));
        let chosen = |id: ProcId| (ids.is_empty() || wanted.contains(&id)) && eyes.see_id(id);
        let rows =
            self.registry.iter().filter(|(id, _)| chosen(*id)).filter_map(|(_, entry)| self.blame_row(entry, eyes));
        let last = self
            .registry
            .iter()
            .filter(|(id, _)| chosen(*id))
            .filter_map(|(id, entry)| Some((entry.start_record.ready?, id)));
        let path = last.max().map(|(_, id)| self.start_path(id)).unwrap_or_default();
        let program = |id: ProcId| self.registry.get(id).map(|entry| Arc::clone(entry.config()));
        Ok(Blame {
            began: self.began,
            rows: rows.skip(offset).collect(),
            offset,
            critical_path: path.into_iter().filter(|id| eyes.see_id(*id)).filter_map(program).collect(),
        })
    }

    fn blame_row(&self, entry: &Entry, eyes: &Eyes<'_>) -> Option<BlameRow> {
        let StartRecord { asked, spawned, ready, attempts, waited_for } = entry.start_record;
        let waited_for = waited_for.and_then(|hurdle| match hurdle {
            Hurdle::Process(id) => {
                let entry = self.registry.get(id).filter(|entry| eyes.see(entry));
                entry.map(|entry| WaitedFor::Process(Arc::clone(entry.config())))
            }
            Hurdle::StartSlot => Some(WaitedFor::StartSlot),
        });
        let (program, state) = (Arc::clone(entry.config()), entry.machine.state());
        Some(BlameRow { program, state, asked: asked?, spawned, ready, attempts, waited_for })
    }

    /// The process, what its start waited for, what that waited for, and so on.
    fn start_path(&self, id: ProcId) -> Vec<ProcId> {
        let mut path = Vec::new();
        let mut seen = SortedSet::default();
        let mut next = Some(id);
        // A reload may have turned an edge round since: each is on the way once.
        while let Some(id) = next.filter(|id| seen.insert(*id)) {
            path.push(id);
            next = self.registry.get(id).and_then(|entry| match entry.start_record.waited_for? {
                Hurdle::Process(on) => Some(on),
                Hurdle::StartSlot => None,
            });
        }
        path
    }
}
