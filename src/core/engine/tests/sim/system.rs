//! The fake system: process groups whose tasks end by themselves, by signals, slowly, or not at all; answers that come
//! late, twice or never; a configuration file that changes, breaks, and hangs. It performs the engine's effects and
//! tells what came of them.

mod faults;
mod hooks;
mod main_process;
mod notify;
mod output_watch;
mod pending;
mod programs;
mod run;
mod scripts;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::oracle::Oracle;
use super::random::Random;
use super::{Millis, SECOND};
use crate::api::{Answer, ConditionId, ProcId, RequestId};
use crate::config::{ConfigError, LoadResult, Loaded};
use crate::core::effect::{CheckPurpose, Effect, GroupLeft, Input, Signal, TaskCommand, TaskId};
use crate::health::HealthCheckResult;
use crate::models::{
    AutoRestart, DelayGrowth, EndedBy, Endpoint, ExitOn, HealthCheckType, NotifyAccess, ProgramConfig, ProgramType,
    Readiness, RestartLimit, Share, StartCondition, SupervisorConfig,
};
use crate::process::{
    Exit, Generation, Moment, Notification, ProcessView, ReadyReport, ReadySign, SignalTarget, SpawnError, SpawnStage,
};
use faults::ERRORS;
pub(super) use faults::{Distortion, FaultProfile};
use hooks::HookBook;
pub(super) use pending::Pending;
pub(super) use run::{Run, Task};
use scripts::Script;

const SIGKILL: u8 = 9;
const SIGCONT: u8 = 18;
const SIGSTOP: u8 = 19;

pub(super) struct FakeSystem {
    pub(super) distortion: Option<Distortion>,
    epoch: Moment,
    pub(super) now: Millis,
    pub(super) random: Random,
    pub(super) profile: FaultProfile,
    /// From now on nothing goes wrong.
    pub(super) calm: bool,
    /// The processes that other threads see, and as what.
    pub(super) shown: BTreeMap<ProcId, (String, Option<ProcessView>)>,
    /// The requests whose answer the engine owes: the dispatcher's own list.
    pub(super) open: BTreeSet<RequestId>,
    /// Those that the output thread has to answer.
    pub(super) delegated: BTreeSet<RequestId>,
    /// Those that are told what happens.
    pub(super) followers: BTreeSet<RequestId>,
    pub(super) runs: BTreeMap<ProcId, Run>,
    /// Paths for which starts wait.
    watched: Vec<(ProcId, Generation, ConditionId)>,
    /// The one flag that starts wait for.
    pub(super) flag: bool,
    /// What was last told of what starts wait for.
    pub(super) outside: BTreeMap<(ProcId, Generation, ConditionId), bool>,
    /// What it asks for at present.
    watches: BTreeMap<(ProcId, Generation), u8>,
    pub(super) scripts: BTreeMap<TaskId, Script>,
    books: BTreeMap<ProcId, HookBook>,
    /// What has run away from its group and was inherited by the daemon; empty where it inherits nothing.
    pub(super) orphans: Vec<Task>,
    inherits: bool,
    /// The next one is the last one.
    pending: Vec<(Millis, Pending)>,
    /// The runs whose program is not executed yet.
    unexecuted: Vec<(ProcId, Generation)>,
    pids: i32,
    /// The file that is being read.
    loading: Option<u64>,
    trimmed: bool,
    pub(super) oracle: Oracle,
}

impl FakeSystem {
    pub(super) fn new(mut random: Random, epoch: Moment) -> FakeSystem {
        let mut some = |most: u64| if random.chance(40) { 0 } else { random.below(most) };
        let profile = FaultProfile {
            refused: some(40),
            short: some(60),
            stubborn: some(50),
            unkillable: some(15),
            forks: some(50),
            unhealthy: some(60),
            unanswered: some(40),
        };
        let inherits = random.chance(50);
        FakeSystem {
            distortion: None,
            epoch,
            now: 0,
            random,
            profile,
            calm: false,
            shown: BTreeMap::new(),
            open: BTreeSet::new(),
            delegated: BTreeSet::new(),
            followers: BTreeSet::new(),
            runs: BTreeMap::new(),
            watched: Vec::new(),
            flag: false,
            outside: BTreeMap::new(),
            watches: BTreeMap::new(),
            scripts: BTreeMap::new(),
            books: BTreeMap::new(),
            orphans: Vec::new(),
            inherits,
            pending: Vec::new(),
            unexecuted: Vec::new(),
            pids: 1,
            loading: None,
            trimmed: false,
            oracle: Oracle::default(),
        }
    }

    pub(super) fn instant(&self) -> Moment {
        self.epoch + Duration::from_millis(self.now)
    }

    /// Living tasks of a process.
    pub(super) fn alive(&self, id: ProcId) -> usize {
        let tasks = self.runs.get(&id).into_iter().flat_map(|run| run.leader.iter().chain(&run.members));
        tasks.filter(|task| task.alive(self.now)).count()
    }

    /// Something has ended in this very moment, of which the daemon has not heard yet.
    pub(super) fn ends_now(&self) -> bool {
        let mut tasks = self.runs.values().flat_map(|run| run.leader.iter().chain(&run.members));
        tasks.any(|task| task.dies_at == Some(self.now))
    }

    pub(super) fn orphans_alive(&self) -> usize {
        self.orphans.iter().filter(|task| task.alive(self.now)).count()
    }

    /// When the world has the next news.
    pub(super) fn next(&self) -> Option<Millis> {
        self.pending.last().map(|(at, _)| *at)
    }

    pub(super) fn take_due(&mut self) -> Option<Pending> {
        self.pending.pop_if(|(at, _)| *at <= self.now).map(|(_, news)| news)
    }

    pub(super) fn later(&mut self, pause: Millis, news: Pending) {
        let at = self.now + pause;
        // Behind what is to come at that moment already.
        let place = self.pending.partition_point(|(other, _)| *other > at);
        self.pending.insert(place, (at, news));
    }

    /// A SIGCHLD at the end of this task: mostly soon, now and then much later, or several for one.
    fn ring(&mut self, at: Option<Millis>) {
        let Some(at) = at else { return };
        let late = self.random.chance(5) && !self.calm;
        let pause = at.saturating_sub(self.now) + if late { self.random.below(4 * SECOND) } else { 0 };
        self.later(pause, Pending::Child);
        if self.random.chance(10) {
            self.later(pause, Pending::Child);
        }
    }

    /// Rings for whatever of this process is going to end.
    fn ring_for(&mut self, id: ProcId) {
        let ends = self.runs.get(&id).and_then(|run| run.leader.as_ref()).and_then(|leader| leader.dies_at);
        self.ring(ends);
    }

    /// Nothing goes wrong any more, what hung goes on.
    pub(super) fn settle(&mut self) {
        self.calm = true;
        let now = self.now;
        let scripts = self.scripts.values_mut().filter_map(|script| script.leader.as_mut());
        let tasks = self.runs.values_mut().flat_map(Run::tasks).chain(&mut self.orphans).chain(scripts);
        tasks.for_each(|task| task.calm_down(now));
        self.later(0, Pending::Child);
        for (id, generation, condition) in self.watched.clone() {
            self.later(0, Pending::ConditionSeen { id, generation, condition, is_there: true });
        }
        self.write_again();
        if let Some(load) = self.loading {
            self.later(0, Pending::Config { load, in_force: Vec::new() });
        }
    }

    /// Somebody else kills a leader.
    pub(super) fn strike(&mut self) {
        let ids: Vec<ProcId> = self.runs.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        let (id, now) = (self.random.pick(&ids), self.now);
        let exit = self.random.pick(&[Exit::Signal(SIGKILL), Exit::Signal(11), Exit::Code(0), Exit::Code(3)]);
        if let Some(leader) = self.runs.get_mut(&id).and_then(|run| run.leader.as_mut()) {
            leader.die(now, exit);
        }
        self.ring_for(id);
    }

    fn task(&mut self) -> Task {
        let (calm, profile) = (self.calm, self.profile);
        let random = &mut self.random;
        let short = random.chance(profile.short) && !calm;
        let lives = match random.below(4) {
            _ if !short => None,
            0 => Some(0),
            1 => Some(random.below(SECOND)),
            2 => Some(random.pick(&[SECOND - 1, SECOND, SECOND + 1, 2 * SECOND])),
            _ => Some(random.below(20 * SECOND)),
        };
        let stubborn = random.chance(profile.stubborn) && !calm;
        let stops_in = (!stubborn).then(|| random.pick(&[0, 0, 1, 30, SECOND, 3 * SECOND]));
        let unkillable = random.chance(profile.unkillable) && !calm;
        let hangs = (!unkillable).then(|| random.pick(&[0, 0, 0, 5, 700]));
        let exit = random.pick(&[Exit::Code(0), Exit::Code(1), Exit::Code(2), Exit::Signal(11)]);
        Task { dies_at: lives.map(|lives| self.now + lives), exit, stops_in, hangs, killed: false }
    }

    /// What the file says now; broken in some cases.
    pub(super) fn read_file(&mut self, load: u64, in_force: &[Arc<ProgramConfig>]) -> Result<LoadResult, ConfigError> {
        self.loading = self.loading.filter(|loading| *loading != load);
        if self.random.chance(15) && !self.calm {
            return Err(ConfigError::NotFound { path: "supervice.conf".into() });
        }
        let mut config = SupervisorConfig {
            shutdown_timeout: self.random.small(20),
            exit_when_idle: self.oracle.exit_when_idle,
            programs: self.oracle.expected().map(|program| ProgramConfig::clone(program)).collect(),
            ..SupervisorConfig::default()
        };
        if !self.calm {
            config.programs.retain(|_| !self.random.chance(15));
            for number in 0..6 {
                let name = format!("p{number}");
                let place = config.programs.iter().position(|program| program.name == name);
                match place {
                    Some(place) if self.random.chance(20) => config.programs[place] = self.program(name),
                    None if self.random.chance(25) => config.programs.push(self.program(name)),
                    Some(_) | None => {}
                }
            }
        }
        let loaded = Loaded {
            config,
            warnings: Vec::new(),
            logfile_given: false,
            pidfile_given: false,
            files: Vec::new(),
            origins: Vec::new(),
            scaled: Vec::new(),
        };
        Ok(LoadResult::new(loaded, in_force))
    }
}

impl FakeSystem {
    /// Does it; what came of it goes to the end of `results`.
    pub(super) fn perform(&mut self, effect: Effect, results: &mut Vec<Input>) {
        match effect {
            Effect::Spawn { id, generation, config } => results.push(self.spawn(id, generation, &config)),
            Effect::Signal { id, generation, signal } => self.signal(id, generation, signal),
            Effect::Reap => self.reap(results),
            Effect::ProbeGroup { id, generation, thorough: _ } => {
                let group = self.probe_group(id);
                results.push(Input::GroupProbed { id, generation, group });
            }
            Effect::LeaderExited { id, generation } => self.leader_exited(id, generation),
            Effect::RunEnded { id, generation } => self.run_ended(id, generation),
            Effect::Check { id, generation, purpose, config } => {
                results.extend(self.check_run(id, generation, purpose, &config));
            }
            Effect::FindMain { id, generation, .. } => results.push(self.find_main(id, generation)),
            Effect::HandOver { id, generation, pid } => results.push(self.hand_over(id, generation, pid)),
            Effect::ReadNotifications { id, generation } => self.read_notifications(id, generation),
            Effect::AwaitPath { id, generation, condition, .. }
            | Effect::AwaitNetwork { id, generation, condition, .. } => {
                self.await_path(id, generation, condition);
            }
            Effect::ForgetConditions { id, generation } => {
                self.watched.retain(|(of, run, _)| (*of, *run) != (id, generation))
            }
            Effect::WatchChanges { id, generation, .. } => {
                if !self.calm && self.random.chance(50) {
                    let pause = 2 * SECOND + self.random.below(30 * SECOND);
                    self.later(pause, Pending::PathChanged { id, generation });
                }
            }
            Effect::ForgetChanges { .. } | Effect::SampleUsage { .. } => {}
            Effect::AskSilence { id, generation, long } => self.ask_silence(id, generation, long),
            Effect::RefuseCheck { id, generation, purpose, reason } => {
                let result = HealthCheckResult { healthy: false, message: reason.to_owned() };
                results.push(Input::Checked { id, generation, purpose, result });
            }
            Effect::StartTask { task, config, command } => results.push(self.start_task(task, &config, command)),
            Effect::SignalTask { task, signal } => self.signal_task(task, signal),
            Effect::ForgetTask { task } => self.forget_task(task),
            Effect::Configure { id, config } => self.oracle.configured(id, &config),
            Effect::Register { id, config } => drop(self.shown.insert(id, (config.name.clone(), None))),
            Effect::Forget { id, config: _ } => self.forget(id),
            Effect::Show { id, view } => match self.shown.get_mut(&id) {
                Some((_, shown)) => *shown = Some(view),
                None => self.oracle.rule(false, || format!("{id} is shown, which is not registered")),
            },
            Effect::LoadConfig { load, job } => self.load_config(load, job.in_force),
            // What is run by hand here never is: its settings are no good.
            #[cfg(feature = "attach")]
            Effect::ReadRun { request, .. } => {
                results.push(Input::RunRead { request, result: Err("no good".to_owned()) });
            }
            #[cfg(feature = "attach")]
            Effect::Attach { .. } => self.oracle.rule(false, || "no program has a terminal".to_owned()),
            Effect::Reply { request, answer } => self.reply(request, &answer),
            Effect::Delegate { request, job } => self.delegate(request, *job),
            Effect::Follow { request, .. } => self.follow(request),
            // Those who were limited and have gone come back as others.
            Effect::EndStreams | Effect::ChangeSockets { .. } => {}
            Effect::Unfollow { request } => {
                let follows = self.followers.remove(&request);
                self.oracle.rule(follows, || format!("{request:?} is no longer to follow, but never did"));
            }
            Effect::Announce(announcement) => self.oracle.announced(self.now, &announcement),
            // A daemon without an identity looks for nothing.
            Effect::Adoption(_) => {}
            Effect::SignalOrphans { signal } => {
                let count = self.signal_orphans(signal);
                results.push(Input::OrphansCounted { count, signalled: signal.is_some() });
            }
            Effect::WatchClock { .. } => {}
            Effect::ReadClock { id } => results.push(Input::ClockRead { id, clock: None }),
            Effect::FindTime { id, .. } => results.push(Input::TimeFound { id, clock: None, found: None }),
            Effect::ProbePendingExecs => {
                let keeps = !self.calm && self.random.chance(50);
                let executed = if keeps { Vec::new() } else { std::mem::take(&mut self.unexecuted) };
                results.extend(executed.into_iter().map(|(id, generation)| Input::Executed { id, generation }));
                results.push(Input::PendingExecsProbed { left: !self.unexecuted.is_empty() });
            }
            Effect::TrimMemory => {
                let again = std::mem::replace(&mut self.trimmed, true);
                self.oracle.rule(!again, || "the start is over twice".to_owned());
            }
            Effect::ReopenLogs
            | Effect::ShowSettings { .. }
            | Effect::SetOutput { .. }
            | Effect::SetLogLevel { .. }
            | Effect::Keep { .. }
            | Effect::SetLogLimits { .. } => {}
        }
    }

    fn spawn(&mut self, id: ProcId, generation: Generation, config: &Arc<ProgramConfig>) -> Input {
        // With a `pre_start` the start began before that, when all of it did hold.
        let may = !config.hooks.pre_start.is_empty() || self.may_start(id, generation, config);
        self.oracle.rule(may, || format!("{}: it starts although what it waits for does not hold", config.name));
        let alive = self.alive(id);
        self.oracle.rule(alive == 0, || format!("{alive} tasks of {} live when it is spawned", config.name));
        self.oracle.rule(!self.runs.contains_key(&id), || format!("{}: spawned before its run has ended", config.name));
        if self.random.chance(self.profile.refused) && !self.calm {
            let (stage, errno) = self.random.pick(&ERRORS);
            let error = SpawnError::system(stage, "it", errno);
            let is_prepared = self.begins(id, config, false);
            self.oracle.spawn_refused(self.now, id, is_prepared, &error);
            return Input::SpawnFailed { id, generation, error };
        }
        let is_prepared = self.begins(id, config, true);
        self.oracle.spawned(self.now, id, is_prepared, config);
        self.pids += 1;
        let (leader, mut members) = (self.task(), Vec::new());
        while self.random.chance(self.profile.forks) && members.len() < 3 {
            members.push(self.task());
        }
        if self.inherits && self.random.chance(self.profile.forks / 8) {
            let orphan = self.task();
            self.orphans.push(orphan);
        }
        let (leader, members) = self.put_into_background(config, leader, members);
        let pid = self.pids;
        self.runs.insert(id, Run { generation, pid, spawned: self.now, leader: Some(leader), members });
        self.ring_for(id);
        match ReadySign::of(&config.ready) {
            Some(ReadySign::Fd | ReadySign::Path | ReadySign::Log) => self.tell_ready(id, generation),
            Some(
                ReadySign::Notify | ReadySign::Connection | ReadySign::Http | ReadySign::Command | ReadySign::Health,
            )
            | None => {}
        }
        self.notify(id, generation, config);
        self.say_lines(id, generation, config);
        let pending = self.random.chance(3);
        if pending {
            self.unexecuted.push((id, generation));
        }
        Input::Spawned { id, generation, pid, pending }
    }

    /// A start waits for a path, which comes, and may go again.
    fn await_path(&mut self, id: ProcId, generation: Generation, condition: ConditionId) {
        self.watches.insert((id, generation), condition.watch);
        self.watched.push((id, generation, condition));
        let mut pause = self.random.pick(&[0, 0, 1, SECOND, 20 * SECOND]);
        if self.calm {
            return self.later(pause.min(500), Pending::ConditionSeen { id, generation, condition, is_there: true });
        }
        for is_there in [true, false, true] {
            self.later(pause, Pending::ConditionSeen { id, generation, condition, is_there });
            if self.random.chance(60) {
                return;
            }
            pause += self.random.below(5 * SECOND);
        }
    }

    /// What a start waits for was last told to hold. (Commands tell it by their end.)
    fn may_start(&self, id: ProcId, generation: Generation, config: &ProgramConfig) -> bool {
        let watch = self.watches.get(&(id, generation)).copied().unwrap_or_default();
        let told =
            |place| self.outside.get(&(id, generation, ConditionId { watch, place })).copied().unwrap_or_default();
        (0..).zip(&config.start_when).all(|(place, condition)| match condition {
            StartCondition::Command(_) => true,
            StartCondition::Flag(_) => self.flag,
            StartCondition::Path(_) | StartCondition::Accepts(_) | StartCondition::Network(_) => told(place),
        })
    }

    /// A program tells that it is ready, or that it never will be, or nothing.
    fn tell_ready(&mut self, id: ProcId, generation: Generation) {
        let report = match self.random.below(10) {
            _ if self.calm => ReadyReport::Ready,
            0 => ReadyReport::Never,
            1 => return,
            _ => ReadyReport::Ready,
        };
        let pause = self.random.pick(&[0, 1, 500, SECOND, 4 * SECOND]);
        let pause = if self.calm { pause.min(500) } else { pause };
        self.later(pause, Pending::Readiness { id, generation, report });
    }

    fn signal(&mut self, id: ProcId, generation: Generation, signal: Signal) {
        let now = self.now;
        let Some(run) = self.runs.get_mut(&id).filter(|run| run.generation == generation) else {
            return self.oracle.rule(false, || format!("{signal:?} to a run that {id} no longer has"));
        };
        if self.distortion != Some(Distortion::DeafGroups) {
            let alone = signal.target == SignalTarget::Leader;
            let members = run.members.iter_mut().filter(|_| !alone);
            run.leader.iter_mut().chain(members).for_each(|task| task.signal(signal.number, now));
        }
        self.ring_for(id);
    }

    fn reap(&mut self, results: &mut Vec<Input>) {
        let now = self.now;
        if self.distortion == Some(Distortion::LostChildren) && self.random.chance(10) {
            // Reaped by somebody else.
            for run in self.runs.values_mut() {
                run.leader.take_if(|leader| !leader.alive(now));
            }
        }
        let mut reaped = Vec::new();
        for (&id, run) in &mut self.runs {
            if let Some(leader) = run.leader.take_if(|leader| !leader.alive(now)) {
                reaped.push((id, run.generation, leader.exit));
            }
        }
        if self.random.chance(50) {
            reaped.reverse();
        }
        self.orphans.retain(|task| task.alive(now));
        self.reap_scripts(results);
        for (id, generation, exit) in reaped {
            let late = self.random.chance(2).then(|| Box::new(SpawnError::system(SpawnStage::Exec, "it", 5)));
            let group = self.probe_group(id);
            let descendant = (group == GroupLeft::Lingers && self.random.chance(50)).then_some(7);
            results.push(Input::Exited { id, generation, exit, late, group, descendant });
        }
        results.push(Input::Swept);
    }

    fn probe_group(&self, id: ProcId) -> GroupLeft {
        let left = if self.distortion == Some(Distortion::EmptyGroups) { 0 } else { self.alive(id) };
        let is_empty = self.runs.get(&id).is_none_or(|run| run.leader.is_none()) && left == 0;
        if is_empty { GroupLeft::Empty } else { GroupLeft::Lingers }
    }

    fn signal_orphans(&mut self, signal: Option<u8>) -> usize {
        let now = self.now;
        if let Some(signal) = signal {
            self.orphans.iter_mut().for_each(|task| task.signal(signal, now));
            let ends: Vec<_> = self.orphans.iter().map(|task| task.dies_at).collect();
            ends.into_iter().for_each(|at| self.ring(at));
        }
        self.orphans_alive()
    }

    fn leader_exited(&mut self, id: ProcId, generation: Generation) {
        if !self.random.chance(self.profile.unanswered) {
            let pause = self.random.pick(&[0, 0, 1, 20, 99, 100, 101, 5 * SECOND]);
            self.later(pause, Pending::Drained { id, generation });
        }
    }

    fn run_ended(&mut self, id: ProcId, generation: Generation) {
        let alive = self.alive(id);
        self.oracle.rule(alive == 0, || format!("{id}: its run ends, {alive} of its tasks live"));
        let scripts = self.checks_alive(id) + self.hooks_alive(id);
        self.oracle.rule(scripts == 0, || format!("{id}: its run ends, {scripts} of its scripts live"));
        let run = self.runs.remove(&id);
        let known = run.is_some_and(|run| run.generation == generation && run.leader.is_none());
        self.oracle.rule(known, || format!("{id}: a run ends (generation {generation}) that is none"));
    }

    fn check_run(
        &mut self,
        id: ProcId,
        generation: Generation,
        purpose: CheckPurpose,
        config: &Arc<ProgramConfig>,
    ) -> Option<Input> {
        let of_run = self.runs.get(&id).is_some_and(|run| run.generation == generation);
        let current = match purpose {
            CheckPurpose::StartCondition(condition) => {
                self.watches.insert((id, generation), condition.watch);
                !self.runs.contains_key(&id)
            }
            CheckPurpose::Health
            | CheckPurpose::Readiness
            | CheckPurpose::HealthAction
            | CheckPurpose::OutputAction { .. } => of_run,
        };
        self.oracle.rule(current, || format!("{}: a check ({purpose:?}) of a run that has ended", config.name));
        if self.random.chance(self.profile.unanswered) && !self.calm {
            let result = HealthCheckResult { healthy: false, message: "no thread".to_owned() };
            return self.random.chance(50).then_some(Input::Checked { id, generation, purpose, result });
        }
        let healthy = !self.random.chance(self.profile.unhealthy) || self.calm;
        let pause = self.random.pick(&[0, 1, 500, SECOND, 2 * SECOND, 30 * SECOND]);
        let pause = if self.calm { pause.min(500) } else { pause };
        self.later(pause, Pending::Checked { id, generation, purpose, healthy });
        if self.random.chance(10) {
            let pause = pause + self.random.below(2 * SECOND);
            self.later(pause, Pending::Checked { id, generation, purpose, healthy: !healthy || self.calm });
        }
        None
    }

    fn forget(&mut self, id: ProcId) {
        let alive = self.alive(id);
        self.oracle.rule(alive == 0, || format!("{id} is forgotten, {alive} of its tasks live"));
        let known = self.shown.remove(&id).is_some();
        self.oracle.rule(known, || format!("{id} is forgotten, but was never registered"));
        self.oracle.forgotten(id);
    }

    fn load_config(&mut self, load: u64, in_force: Vec<Arc<ProgramConfig>>) {
        self.oracle.load_begins(self.now, load);
        self.loading = Some(load);
        // The last ones come when nobody waits for them any more, but before so many hang that no file is read.
        let pauses = [0, 0, 1, 1, 50, 3 * SECOND, 29_999, 30 * SECOND, 31 * SECOND, 90 * SECOND];
        let pause = if self.calm { 50 } else { self.random.pick(&pauses) };
        self.later(pause, Pending::Config { load, in_force });
    }

    /// Nobody waits for the file any more.
    pub(super) fn load_timed_out(&mut self) {
        self.loading = None;
        self.oracle.load_timed_out(self.now);
    }
}
