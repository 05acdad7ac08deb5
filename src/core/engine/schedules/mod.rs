//! Programs that the clock starts: when each is due, what happens if its last run is still there, and what becomes of
//! times that the clock passes over.
//!
//! What the clock shows, and what the calendar says in a zone, is asked for ([`Effect::ReadClock`],
//! [`Effect::FindTime`]) and answered within the turn. Each program has one timer, for whatever comes first; without
//! schedules all of this is a few empty lists.

mod runs;
mod timeline;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Engine;
use super::timers::TimerKey;
use crate::api::{Announcement, NextRun, ProcId};
use crate::core::effect::{ClockReading, Effect, FoundTime, SearchFrom};
use crate::models::{Catchup, ProgramConfig, Schedule, ScheduleConfig};
use crate::process::{Moment, ScheduleNote};
use crate::util::sorted::SortedMap;
use timeline::{CLOCK_STEP_TOLERANCE_SECS, Jump, Timeline};

/// After a panic in a search it is made again.
const SEARCH_AGAIN: Duration = Duration::from_secs(1);

/// A program with a schedule.
#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    /// Since when it has this schedule.
    since: Moment,
    /// The next time of the calendar.
    time: Option<FoundTime>,
    /// The next time of each interval, in the order of the configuration; `None`: it follows the end of a run.
    intervals: Vec<Option<Moment>>,
    /// A run is there; the next one waits, or is skipped, or takes its place.
    is_there: bool,
    /// One more run begins when that has ended.
    queued: bool,
    /// Times that were skipped during that run.
    skipped: u32,
    /// An earlier daemon has followed the calendar until this time, which is to be gone on with as soon as the clock
    /// shows a later one: a machine without a battery begins long ago.
    kept_until: Option<i64>,
    /// No time of the calendar was looked for yet.
    is_new: bool,
}

/// See the [module](self).
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Schedules {
    plans: SortedMap<ProcId, Plan>,
    /// The clock, once somebody has needed it.
    timeline: Option<Timeline>,
    /// Whoever sets the clock is noticed.
    is_watched: bool,
}

impl Schedules {
    fn seconds(&self) -> Option<i64> {
        self.timeline.as_ref().map(Timeline::seconds)
    }
}

/// The lines that go by intervals: seconds, and whether they count from the end of a run.
fn intervals(config: &ScheduleConfig) -> impl Iterator<Item = (Duration, bool)> {
    config.times.iter().filter_map(|schedule| match schedule {
        Schedule::Interval { seconds, after_end } => Some((Duration::from_secs((*seconds).into()), *after_end)),
        Schedule::Calendar(_) | Schedule::Reboot => None,
    })
}

fn has_calendar(config: &ScheduleConfig) -> bool {
    config.calendars().next().is_some()
}

impl Engine {
    /// The daemon has started: schedules begin, and what is to run at its start does so.
    pub(super) fn begin_schedules(&mut self) {
        if !cfg!(feature = "schedules") {
            return;
        }
        let scheduled = self.registry.present().filter(|(_, entry)| !entry.config().schedule.times.is_empty());
        let ids: Vec<ProcId> = scheduled.map(|(id, _)| id).collect();
        for id in ids {
            let kept = self.registry.get(id).and_then(|entry| self.stored.times.get(entry.name()).copied());
            self.plan_from(id, kept);
            let config = self.registry.get(id).map(|entry| Arc::clone(entry.config()));
            if config.is_some_and(|config| config.schedule.times.contains(&Schedule::Reboot)) {
                self.run_scheduled(id);
            }
        }
    }

    /// A program has come, or its schedule has changed: it begins anew. Before what an earlier daemon has left is
    /// known, nothing does.
    pub(super) fn plan(&mut self, id: ProcId) {
        self.plan_from(id, None);
    }

    /// As [`plan`](Self::plan), going on where an earlier daemon has left off.
    fn plan_from(&mut self, id: ProcId, kept: Option<i64>) {
        if !cfg!(feature = "schedules") {
            return;
        }
        self.unplan(id);
        let Some(entry) = self.registry.get(id) else { return };
        let config = Arc::clone(entry.config());
        if config.schedule.times.is_empty()
            || entry.leaving
            || entry.disabled
            || self.is_ending()
            || !self.adoption.is_settled()
        {
            return;
        }
        let now = self.now;
        let plan = Plan {
            since: now,
            time: None,
            intervals: intervals(&config.schedule).map(|(pause, _)| now.checked_add(pause)).collect(),
            is_there: self.is_run_there(id),
            queued: false,
            skipped: 0,
            kept_until: kept.filter(|_| config.schedule.catchup == Catchup::Once),
            is_new: true,
        };
        self.schedules.plans.insert(id, plan);
        self.rearm(id);
        if has_calendar(&config.schedule) {
            self.watch_clock(true);
            self.search(id, &config, SearchFrom::Now);
        }
    }

    /// It has no schedule any more.
    pub(super) fn unplan(&mut self, id: ProcId) {
        if self.schedules.plans.remove(&id).is_none() {
            return;
        }
        self.timers.set(TimerKey::Schedule(id), None);
        if self.schedules.plans.len() == 0 {
            self.watch_clock(false);
            self.schedules.timeline = None;
        }
    }

    /// The daemon ends: nothing is started any more.
    pub(super) fn end_schedules(&mut self) {
        let ids: Vec<ProcId> = self.schedules.plans.keys().copied().collect();
        for id in ids {
            self.unplan(id);
        }
    }

    /// Something is started by the clock some day: nobody has ended for good.
    pub(super) fn has_schedules(&self) -> bool {
        self.schedules.plans.len() > 0
    }

    fn watch_clock(&mut self, watch: bool) {
        if self.schedules.is_watched != watch {
            self.schedules.is_watched = watch;
            self.effects.push_back(Effect::WatchClock { watch });
        }
    }

    fn search(&mut self, id: ProcId, config: &Arc<ProgramConfig>, from: SearchFrom) {
        self.effects.push_back(Effect::FindTime { id, config: Arc::clone(config), from });
    }

    /// When a program is started by its schedule the next time.
    pub(super) fn next_run(&self, id: ProcId) -> Option<NextRun> {
        let plan = self.schedules.plans.get(&id)?;
        let by_clock = plan.time.zip(self.schedules.timeline.as_ref());
        let by_clock = by_clock.map(|(time, timeline)| (timeline.moment_of(time.due), Some((time.due, time.offset))));
        let by_interval = plan.intervals.iter().flatten().min().map(|at| (*at, None));
        let first = match (by_clock, by_interval) {
            (Some(clock), Some(interval)) if interval.0 < clock.0 => Some(interval),
            (Some(clock), _) => Some(clock),
            (None, interval) => interval,
        };
        if first.is_none() && !plan.queued && plan.intervals.is_empty() {
            return None;
        }
        let (at, clock) = first.map_or((None, None), |(at, clock)| (Some(at), clock));
        Some(NextRun { at, clock, queued: plan.queued })
    }

    /// Sets the timer of a program to whatever comes first.
    fn rearm(&mut self, id: ProcId) {
        let Some(plan) = self.schedules.plans.get(&id) else { return };
        let time = plan.time.zip(self.schedules.timeline.as_ref()).map(|(time, line)| line.moment_of(time.due));
        let queued = (plan.queued && !plan.is_there).then_some(self.now);
        let at = plan.intervals.iter().copied().chain([time, queued]).flatten().min();
        self.timers.set(TimerKey::Schedule(id), at);
    }

    /// Something may be due.
    pub(super) fn schedule_timer(&mut self, id: ProcId) {
        let Some(config) = self.registry.get(id).map(|entry| Arc::clone(entry.config())) else { return };
        let now = self.now;
        let Some(plan) = self.schedules.plans.get_mut(&id) else { return };
        let mut is_due = false;
        for (next, (pause, after_end)) in plan.intervals.iter_mut().zip(intervals(&config.schedule)) {
            let Some(at) = next.filter(|at| *at <= now) else { continue };
            is_due = true;
            let is_late =
                now.saturating_duration_since(at) > Duration::from_secs(CLOCK_STEP_TOLERANCE_SECS.unsigned_abs());
            // A start that is late does not delay the next one, unless by much.
            *next = if after_end { None } else { if is_late { now } else { at }.checked_add(pause) };
        }
        if plan.queued && !plan.is_there {
            plan.queued = false;
            self.start_scheduled(id);
        }
        if is_due {
            self.run_scheduled(id);
        }
        let time = self.schedules.plans.get(&id).and_then(|plan| plan.time);
        match (time, &self.schedules.timeline) {
            // What follows from it sets the timer.
            (Some(time), Some(timeline)) if timeline.moment_of(time.due) <= now => {
                self.timers.set(TimerKey::Schedule(id), None);
                return self.effects.push_back(Effect::ReadClock { id: Some(id) });
            }
            (Some(_), _) => {}
            // It is due for that after a panic, and only then.
            (None, _) if !is_due && has_calendar(&config.schedule) => self.search(id, &config, SearchFrom::Now),
            (None, _) => {}
        }
        self.rearm(id);
    }

    /// The clock may have been set, or the machine has slept.
    pub(super) fn clock_set(&mut self) {
        if self.schedules.timeline.is_some() {
            self.effects.push_back(Effect::ReadClock { id: None });
        }
    }

    /// The clock was looked at, for a program that may be due.
    pub(super) fn clock_read(&mut self, id: Option<ProcId>, clock: Option<ClockReading>) {
        let Some(clock) = clock else { return self.try_again(id) };
        self.note_clock(clock);
        if let Some(id) = id {
            self.check_due(id);
        }
    }

    /// Nobody could tell, because of a panic.
    fn try_again(&mut self, id: Option<ProcId>) {
        if let Some(id) = id.filter(|id| self.schedules.plans.contains_key(id)) {
            self.timers.set(TimerKey::Schedule(id), self.now.checked_add(SEARCH_AGAIN));
        }
    }

    fn note_clock(&mut self, clock: ClockReading) {
        let Some(timeline) = &mut self.schedules.timeline else {
            self.schedules.timeline = Some(Timeline::new(clock));
            return;
        };
        let Some(jump) = timeline.read(clock) else { return };
        self.announce(None, Announcement::ClockSet { by: jump.by, asleep: jump.asleep });
        let ids: Vec<ProcId> = self.schedules.plans.keys().copied().collect();
        for id in ids {
            self.follow_jump(id, &jump);
        }
    }

    /// From now on the times of this one are kept: what is missed later on was to come after now.
    fn begin_times(&mut self, id: ProcId, clock: ClockReading) {
        let (Some(entry), Some(plan)) = (self.registry.get(id), self.schedules.plans.get_mut(&id)) else { return };
        let is_new = std::mem::take(&mut plan.is_new) && plan.kept_until.is_none();
        let config = Arc::clone(entry.config());
        if is_new && config.schedule.catchup == Catchup::Once {
            self.keep_time(&config.name, clock.seconds());
        }
    }

    /// What a search has found.
    pub(super) fn time_found(&mut self, id: ProcId, clock: Option<ClockReading>, found: Option<FoundTime>) {
        let Some(clock) = clock else { return self.try_again(Some(id)) };
        self.note_clock(clock);
        self.begin_times(id, clock);
        let Some(plan) = self.schedules.plans.get_mut(&id) else { return };
        if let Some(until) = plan.kept_until.filter(|until| *until <= clock.seconds())
            && let Some(entry) = self.registry.get(id)
        {
            plan.kept_until = None;
            let config = Arc::clone(entry.config());
            return self.search(id, &config, SearchFrom::After(until));
        }
        let timeline = self.schedules.timeline.as_ref();
        let passed = found.zip(timeline).and_then(|(time, line)| line.passed_until(time.nominal, plan.since));
        if let (Some(until), Some(entry)) = (passed, self.registry.get(id)) {
            let config = Arc::clone(entry.config());
            return self.search(id, &config, SearchFrom::After(until));
        }
        plan.time = found;
        self.rearm(id);
    }

    /// Starts it if its time has come, and looks for the next one.
    fn check_due(&mut self, id: ProcId) {
        let Some(time) = self.schedules.plans.get(&id).and_then(|plan| plan.time) else { return };
        let Some(timeline) = &self.schedules.timeline else { return };
        if !timeline.has_reached(time.due) {
            return self.rearm(id);
        }
        // What the daemon has slept through is not made up for.
        let now = timeline.seconds();
        let is_late = now - time.due > CLOCK_STEP_TOLERANCE_SECS;
        let after = if is_late { now } else { time.nominal };
        if is_late {
            self.note_schedule(id, ScheduleNote::CaughtUp);
        }
        self.run_scheduled(id);
        self.search_after(id, after);
    }

    fn search_after(&mut self, id: ProcId, after: i64) {
        let Some(entry) = self.registry.get(id) else { return };
        let config = Arc::clone(entry.config());
        if config.schedule.catchup == Catchup::Once {
            self.keep_time(&config.name, after);
        }
        let Some(plan) = self.schedules.plans.get_mut(&id) else { return };
        plan.time = None;
        self.rearm(id);
        self.search(id, &config, SearchFrom::After(after));
    }

    /// What a jump of the clock means for a program.
    fn follow_jump(&mut self, id: ProcId, jump: &Jump) {
        let Some(entry) = self.registry.get(id) else { return };
        let catches_up = entry.config().schedule.catchup == Catchup::Once && !jump.asleep.is_zero();
        let config = Arc::clone(entry.config());
        let (now, Some(wall)) = (self.now, self.schedules.seconds()) else { return };
        let Some(plan) = self.schedules.plans.get_mut(&id) else { return };
        if catches_up {
            // Intervals count time that the machine is awake; what should have come in its sleep is due.
            for next in plan.intervals.iter_mut().flatten() {
                *next = if *next <= now + jump.asleep { now } else { *next };
            }
        }
        if plan.kept_until.is_some_and(|until| until <= wall) {
            // The clock is right at last.
            let until = plan.kept_until.take().unwrap_or(wall);
            plan.time = None;
            return self.search(id, &config, SearchFrom::After(until));
        }
        match plan.time {
            Some(time) if time.due <= wall => {
                if jump.is_small() {
                    return self.check_due(id);
                }
                if catches_up {
                    self.note_schedule(id, ScheduleNote::CaughtUp);
                }
                // It had come already, and was put off by the jitter alone.
                if catches_up || time.nominal <= jump.before {
                    self.run_scheduled(id);
                } else {
                    self.note_schedule(id, ScheduleNote::Missed { asleep: !jump.asleep.is_zero() });
                }
                self.search_after(id, wall);
            }
            Some(time) if jump.counts_anew && time.nominal <= jump.before => {
                let due = wall.saturating_add(time.due.saturating_sub(jump.before));
                plan.time = Some(FoundTime { nominal: wall, due, ..time });
                self.rearm(id);
            }
            Some(_) if jump.counts_anew => self.search_after(id, wall),
            Some(_) | None => self.rearm(id),
        }
    }
}
