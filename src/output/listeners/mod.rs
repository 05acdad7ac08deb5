//! Event listeners: programs that are told of what happens, by the protocol of supervisord.

mod pool;
mod protocol;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::messages::ProgramId;
use crate::models::{ListenerEvent, ProgramConfig};
pub(super) use pool::Act;
use pool::{Event, Pool};

/// The events that time itself makes, and their periods in seconds.
const TICKS: [(ListenerEvent, u64); 3] =
    [(ListenerEvent::Tick5, 5), (ListenerEvent::Tick60, 60), (ListenerEvent::Tick3600, 3600)];

/// All pools, and the ticks, which exist only as long as somebody wants them.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    pools: Vec<Pool>,
    next_serial: u64,
    /// What the daemon calls itself.
    pub(super) identifier: String,
    /// When the next tick comes, and the wall clock at the last one, in seconds since 1970.
    next_tick: Option<(Instant, u64)>,
}

impl Listeners {
    /// None, of a daemon that calls itself so.
    pub(super) fn new(identifier: String) -> Listeners {
        Listeners { identifier, ..Listeners::default() }
    }

    /// A program is there, or has new settings; it may be a listener.
    pub(super) fn configure(&mut self, id: ProgramId, config: &ProgramConfig, wall: Duration) {
        if !config.is_listener() {
            return self.remove(id, wall);
        }
        let name = config.group_name();
        let place = match self.pools.iter().position(|pool| pool.name == name) {
            Some(place) => place,
            None => {
                self.pools.push(Pool::new(name.to_owned()));
                self.pools.len() - 1
            }
        };
        if let Some(pool) = self.pools.get_mut(place) {
            pool.configure(id, config.events, config.buffer_size);
        }
        self.plan_tick(wall);
    }

    /// A program is no longer there.
    pub(super) fn remove(&mut self, id: ProgramId, wall: Duration) {
        if self.pools.iter().any(|pool| pool.has(id)) {
            self.pools.retain_mut(|pool| !pool.has(id) || !pool.remove(id));
            self.plan_tick(wall);
        }
    }

    /// Whether anybody wants this.
    pub(super) fn wants(&self, kind: ListenerEvent) -> bool {
        self.pools.iter().any(|pool| pool.events.has(kind))
    }

    pub(super) fn set_running(&mut self, now: Instant, id: ProgramId, is_running: bool) -> Vec<Act> {
        self.with(now, id, |pool| {
            pool.set_running(id, is_running);
            Vec::new()
        })
    }

    pub(super) fn end_run(&mut self, now: Instant, id: ProgramId) -> Vec<Act> {
        self.with(now, id, |pool| {
            pool.end_run(id);
            Vec::new()
        })
    }

    /// A listener has written this to its standard output.
    pub(super) fn handle_output(&mut self, now: Instant, id: ProgramId, bytes: &[u8]) -> Vec<Act> {
        self.with(now, id, |pool| pool.handle_output(now, id, bytes))
    }

    /// Something happened.
    pub(super) fn publish(&mut self, now: Instant, kind: ListenerEvent, payload: &Arc<str>) -> Vec<Act> {
        let serial = self.next_serial;
        let mut acts = Vec::new();
        for pool in self.pools.iter_mut().filter(|pool| pool.events.has(kind)) {
            self.next_serial = serial + 1;
            acts.extend(pool.offer(Event { serial, kind, payload: Arc::clone(payload) }));
            acts.extend(pool.dispatch(now, &self.identifier));
        }
        acts
    }

    /// When [`elapse`](Self::elapse) is to be called.
    pub(super) fn due(&self) -> Option<Instant> {
        let paused = self.pools.iter().filter_map(|pool| pool.paused_until).min();
        self.next_tick.map(|(at, _)| at).into_iter().chain(paused).min()
    }

    /// Time has passed.
    pub(super) fn elapse(&mut self, now: Instant, wall: Duration) -> Vec<Act> {
        let mut acts = Vec::new();
        if let Some((at, last)) = self.next_tick
            && at <= now
        {
            for (kind, period) in TICKS {
                let begin = wall.as_secs() / period * period;
                if self.wants(kind) && begin > last {
                    acts.extend(self.publish(now, kind, &format!("when:{begin}").into()));
                }
            }
            self.next_tick = None;
            self.plan_tick(wall);
        }
        for pool in self.pools.iter_mut().filter(|pool| pool.paused_until.is_some_and(|until| until <= now)) {
            acts.extend(pool.dispatch(now, &self.identifier));
        }
        acts
    }

    /// Plans the next tick that somebody wants, if none is planned.
    fn plan_tick(&mut self, wall: Duration) {
        let wanted = TICKS.iter().find(|(kind, _)| self.wants(*kind));
        let Some((_, period)) = wanted else {
            self.next_tick = None;
            return;
        };
        let next = Duration::from_secs((wall.as_secs() / period + 1) * period);
        let at = Instant::now() + next.saturating_sub(wall);
        if self.next_tick.is_none_or(|(planned, _)| at < planned) {
            self.next_tick = Some((at, wall.as_secs()));
        }
    }

    /// Does something with the pool of a listener; it may have an event for somebody then.
    fn with(&mut self, now: Instant, id: ProgramId, work: impl FnOnce(&mut Pool) -> Vec<Act>) -> Vec<Act> {
        let Some(pool) = self.pools.iter_mut().find(|pool| pool.has(id)) else { return Vec::new() };
        let mut acts = work(pool);
        acts.extend(pool.dispatch(now, &self.identifier));
        acts
    }
}
