//! The life of a process with all that is run around it and told by it: hooks, `$NOTIFY_SOCKET`, a watchdog, a program that puts
//! itself into the background. For simpler programs [`harness`](crate::harness) foretells each state; here rules are judged that
//! hold whatever happens ([`Book`]), and for each of them there is a [`Bug`] that it catches.

mod book;
mod draw;

use std::sync::Arc;
use std::time::Duration;

use self::book::{Book, ensure};
use crate::harness::random::Random;
use crate::subject::models::{Hook, ProgramConfig, Readiness};
use crate::subject::{
    Action, Event, Exit, Generation, HookFailure, Initiator, Machine, Moment, NoMain, Notification, ProcessState,
    SignalTarget, SpawnError, SpawnStage, TaskEnd, WatchdogReport,
};

/// Simulated time: milliseconds since the start of the life.
type Millis = u64;

const SIGKILL: u8 = 9;
const ENOENT: i32 = 2;
const TURNS_OF_LIFE: u64 = 500;
/// The time that passes in a turn in which nothing was to happen, at most.
const MAX_JUMP: Millis = 3_000;

/// A fault of the machine, or of who tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// It is told that it is ready although the program has not said so.
    ReadyUnheard,
    /// A `post_stop` is not run.
    NoCleanUp,
    /// A `pre_start` that has failed is taken for one that has not.
    FailureUnheard,
    /// A hook is said to have ended that runs on.
    HookRunsOn,
    /// What lives of a run is not seen.
    RemainsUnseen,
    /// The watchdog is told of something that nobody has said.
    WatchdogDeceived,
    /// A program is said to be in the background that is not.
    NotInBackground,
    /// No timer fires.
    NoTimers,
}

impl Bug {
    pub const ALL: [Bug; 8] = [
        Bug::ReadyUnheard,
        Bug::NoCleanUp,
        Bug::FailureUnheard,
        Bug::HookRunsOn,
        Bug::RemainsUnseen,
        Bug::WatchdogDeceived,
        Bug::NotInBackground,
        Bug::NoTimers,
    ];

    /// Words of the rules that it breaks.
    pub fn rules(self) -> &'static [&'static str] {
        match self {
            Bug::ReadyUnheard => &["RUNNING before it has said that it is ready"],
            Bug::NoCleanUp => &["was not cleaned up"],
            Bug::FailureUnheard => &["although its pre_start has not succeeded"],
            Bug::HookRunsOn => &["beside a hook", "while a hook"],
            Bug::RemainsUnseen => &["beside what lives", "while it lives"],
            Bug::WatchdogDeceived => &["UNHEALTHY although it was heard of"],
            Bug::NotInBackground => &["RUNNING before it was in the background"],
            Bug::NoTimers => &["was not settled in time", "a timer stays due"],
        }
    }
}

/// What a process of the run does.
#[derive(Debug, Clone, Copy)]
struct Task {
    pid: i32,
    ends_at: Option<Millis>,
    exit: Exit,
    /// It ends of nothing but SIGKILL.
    is_deaf: bool,
}

impl Task {
    fn lives(&self, now: Millis) -> bool {
        self.ends_at.is_none_or(|at| at > now)
    }
}

/// A run, from its spawn until the machine was told that nothing is left of it.
#[derive(Debug)]
struct Run {
    generation: Generation,
    /// `None` once its end was told.
    leader: Option<Task>,
    /// What is to take the leader's place, and when its pid file is there.
    background: Option<(Task, Millis)>,
    helper: Option<Task>,
    /// The next message to its watchdog, and how often there is one.
    beat: Option<(Millis, Millis)>,
}

impl Run {
    fn tasks(&mut self) -> impl Iterator<Item = &mut Task> {
        let background = self.background.as_mut().map(|(task, _)| task);
        self.leader.iter_mut().chain(background).chain(&mut self.helper)
    }

    fn alive(&self, now: Millis) -> usize {
        let background = self.background.as_ref().map(|(task, _)| task);
        self.leader.iter().chain(background).chain(&self.helper).filter(|task| task.lives(now)).count()
    }
}

/// A hook that is waited for.
#[derive(Debug)]
struct RunningHook {
    generation: Generation,
    hook: Hook,
    ends_at: Millis,
    end: Option<TaskEnd>,
}

/// What was met, so that a simulation that meets nothing is found out.
#[derive(Debug, Default)]
pub struct Met {
    pub turns: u64,
    pub runs: u64,
    pub hooks: [u64; 3],
    pub cancelled: u64,
    pub told_ready: u64,
    pub missed: u64,
    pub backgrounds: u64,
    pub stops: u64,
}

impl Met {
    fn add(&mut self, other: &Met) {
        self.turns += other.turns;
        self.runs += other.runs;
        for (sum, count) in self.hooks.iter_mut().zip(other.hooks) {
            *sum += count;
        }
        self.cancelled += other.cancelled;
        self.told_ready += other.told_ready;
        self.missed += other.missed;
        self.backgrounds += other.backgrounds;
        self.stops += other.stops;
    }

    /// The rarest of all.
    pub fn rarest(&self) -> u64 {
        let [pre_start, stop_command, post_stop] = self.hooks;
        let all = [self.runs, self.cancelled, self.told_ready, self.missed, self.backgrounds, self.stops];
        all.into_iter().chain([pre_start, stop_command, post_stop]).min().unwrap_or_default()
    }
}

/// Lives until so many turns are done; the error tells the seed, the rule and the last events.
pub fn simulate(seed: u64, turns: u64) -> Result<Met, String> {
    let mut met = Met::default();
    let mut number: u64 = 0;
    while met.turns < turns {
        let life_seed = seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_97F4_A7C5));
        let mut life = Life::new(life_seed, None);
        life.live().map_err(|broken| life.report(life_seed, &broken))?;
        met.add(&life.met);
        number += 1;
    }
    Ok(met)
}

/// The number of lives with this bug until one of its rules is found broken, or what was found instead.
pub fn catch(seed: u64, bug: Bug, lives: u64) -> Result<u64, Vec<String>> {
    let mut others = Vec::new();
    for number in 0..lives {
        let mut life = Life::new(seed.wrapping_add(number), Some(bug));
        match life.live() {
            Err(broken) if bug.rules().iter().any(|rule| broken.contains(rule)) => return Ok(number + 1),
            Err(broken) => others.push(broken),
            Ok(()) => {}
        }
    }
    Err(others)
}

struct Life {
    now: Millis,
    machine: Machine,
    random: Random,
    bug: Option<Bug>,
    run: Option<Run>,
    hook: Option<RunningHook>,
    mail: Vec<(Millis, Generation, Notification)>,
    /// When every message was read, and for which run that was asked.
    reads: Vec<(Millis, Generation)>,
    pids: i32,
    book: Book,
    met: Met,
    trace: Vec<String>,
}

impl Life {
    fn new(seed: u64, bug: Option<Bug>) -> Life {
        let mut random = Random::new(seed);
        let config = Arc::new(draw::config(&mut random));
        Life {
            now: 0,
            machine: Machine::new(Arc::clone(&config)),
            random,
            bug,
            run: None,
            hook: None,
            mail: Vec::new(),
            reads: Vec::new(),
            pids: 100,
            book: Book::default(),
            met: Met::default(),
            trace: vec![format!("{config:?}")],
        }
    }

    fn live(&mut self) -> Result<(), String> {
        for _ in 0..TURNS_OF_LIFE {
            self.met.turns += 1;
            self.advance();
            self.fire()?;
            self.facts()?;
            self.end_hook()?;
            self.hear()?;
            self.disturb()?;
            for _ in 0..4 {
                self.fire()?;
            }
            self.judge()?;
        }
        Ok(())
    }

    fn instant(&self) -> Moment {
        Moment::from_nanos(1) + Duration::from_millis(self.now)
    }

    /// To the next thing that happens, at times by any amount.
    fn advance(&mut self) {
        let timer = self.machine.poll_timeout().map(|at| {
            let wait = at.saturating_duration_since(self.instant());
            self.now + u64::try_from(wait.as_millis()).unwrap_or(0) + u64::from(wait.subsec_nanos() % 1_000_000 > 0)
        });
        let hook = self.hook.as_ref().map(|hook| hook.ends_at);
        let run = self.run.as_ref();
        let background = run.and_then(|run| run.background.as_ref()).map(|(task, named_at)| (task, *named_at));
        let named = background.map(|(_, named_at)| named_at).filter(|at| *at > self.now);
        let tasks = run.into_iter().flat_map(|run| run.leader.iter().chain(&run.helper));
        let ends = tasks.chain(background.map(|(task, _)| task)).filter_map(|task| task.ends_at);
        let beat = run.and_then(|run| run.beat).map(|(at, _)| at);
        let mail = self.mail.iter().map(|(at, ..)| *at).chain(self.reads.iter().map(|(at, _)| *at));
        let next = [timer, hook, named, beat].into_iter().flatten().chain(ends).chain(mail).min();
        let to = match (self.random.below(16), next) {
            (0, _) => self.now,
            (1, _) => self.now + self.random.below(MAX_JUMP),
            (_, Some(next)) => next.min(self.now + 20_000),
            (_, None) => self.now + self.random.below(20_000),
        };
        self.now = to.max(self.now);
    }

    fn feed(&mut self, event: Event) -> Result<(), String> {
        self.note(|| format!("{event:?}"));
        self.machine.handle_event(self.instant(), event);
        self.pump()
    }

    fn fire(&mut self) -> Result<(), String> {
        if self.machine.poll_timeout().is_none_or(|at| at > self.instant()) || self.bug == Some(Bug::NoTimers) {
            return Ok(());
        }
        self.note(|| "timeout".to_owned());
        self.machine.handle_timeout(self.instant());
        self.pump()
    }

    fn pump(&mut self) -> Result<(), String> {
        while let Some(action) = self.machine.poll_action() {
            self.note(|| format!("  -> {action:?}"));
            match action {
                Action::Spawn { generation } => self.spawn(generation)?,
                Action::Signal { generation, signal, target, .. } => self.signal(generation, signal, target),
                Action::RunHook { generation, hook, config } => self.run_hook(generation, hook, &config)?,
                Action::CancelHooks { generation, force } => self.cancel_hooks(generation, force),
                Action::AskNotifications { generation } => {
                    let delay = self.random.pick(&[0, 0, 1, 200]);
                    self.reads.push((self.now + delay, generation));
                }
                Action::FindMain { generation } => self.find_main(generation),
                Action::Announce(transition) => {
                    let alive = self.run.as_ref().map_or(0, |run| run.alive(self.now));
                    let config = Arc::clone(self.machine.run_config().unwrap_or(self.machine.config()));
                    self.met.stops += u64::from(transition.to == ProcessState::Stopped);
                    self.met.missed += u64::from(transition.to == ProcessState::Unhealthy);
                    self.book.announced(&transition, &config, (alive, self.hook.is_some()), self.now)?;
                }
                Action::CheckHealth { .. }
                | Action::RunHealthCommand { .. }
                | Action::ProbeReadiness { .. }
                | Action::HandOver { .. } => return Err(format!("{action:?} of a program that has no such thing")),
                Action::NoteRefused { .. } | Action::NoteReadiness { .. } | Action::NoteMain { .. } => {}
            }
        }
        Ok(())
    }

    fn spawn(&mut self, generation: Generation) -> Result<(), String> {
        let alive = self.run.as_ref().map_or(0, |run| run.alive(self.now));
        let config = Arc::clone(self.machine.config());
        self.book.attempted(generation, &config, (alive, self.hook.is_some()), self.now)?;
        if self.random.chance(1, 25) {
            let error = SpawnError::system(SpawnStage::Exec, "/bin/subject", ENOENT);
            self.machine.handle_event(self.instant(), Event::SpawnFailed { generation, error });
            return Ok(());
        }
        self.met.runs += 1;
        let pid = self.next_pid();
        self.machine.handle_event(self.instant(), Event::Spawned { generation, pid });
        let config = Arc::clone(self.machine.run_config().unwrap_or(self.machine.config()));
        let run = draw::run(&mut self.random, &config, (generation, pid), self.now);
        if config.ready == Readiness::Notify && !self.random.chance(1, 8) {
            let at = self.now + self.random.pick(&[0, 1, 300, 1_500, 4_000]);
            self.mail.push((at, generation, Notification { ready: true, ..Notification::default() }));
        }
        if self.random.chance(1, 6) {
            let at = self.now + self.random.below(5_000);
            let extend = Some(Duration::from_millis(self.random.below(5_000)));
            self.mail.push((at, generation, Notification { extend, ..Notification::default() }));
        }
        self.book.spawned(&config, self.now);
        self.pids += 2;
        self.run = Some(run);
        Ok(())
    }

    fn next_pid(&mut self) -> i32 {
        self.pids += 1;
        self.pids
    }

    fn signal(&mut self, generation: Generation, signal: u8, target: SignalTarget) {
        let (now, delay) = (self.now, self.random.pick(&[0, 1, 300, 2_000]));
        let Some(run) = self.run.as_mut().filter(|run| run.generation == generation) else { return };
        let alone = target == SignalTarget::Leader && run.leader.is_some();
        let leader = run.leader.map(|leader| leader.pid);
        for task in run.tasks().filter(|task| !alone || Some(task.pid) == leader) {
            let at = if signal == SIGKILL { now } else { now + delay };
            if task.lives(at) && (signal == SIGKILL || !task.is_deaf) {
                (task.ends_at, task.exit) = (Some(at), Exit::Signal(signal));
            }
        }
    }

    fn run_hook(&mut self, generation: Generation, hook: Hook, config: &ProgramConfig) -> Result<(), String> {
        let place = match hook {
            Hook::PreStart => 0,
            Hook::StopCommand => 1,
            Hook::PostStop => 2,
            // Nobody waits for it.
            Hook::PostStart => {
                return ensure(self.machine.pid().is_some(), || "a post_start without a process".to_owned());
            }
            Hook::ReloadCommand | Hook::OnState | Hook::OnFatal => return Err(format!("{hook} was not asked for")),
        };
        self.met.hooks[place] += 1;
        let alive = self.run.as_ref().map_or(0, |run| run.alive(self.now));
        ensure(hook != Hook::StopCommand || self.run.is_some(), || "a stop_command without a run".to_owned())?;
        if hook == Hook::PostStop && self.bug == Some(Bug::NoCleanUp) {
            self.machine.handle_event(self.instant(), Event::HookEnded { generation, hook, failure: None });
            return Ok(());
        }
        self.book.hook_begins(generation, hook, config, (alive, self.hook.is_some()))?;
        let (ends_at, end) = draw::hook(&mut self.random, self.now);
        self.hook = Some(RunningHook { generation, hook, ends_at, end });
        Ok(())
    }

    fn cancel_hooks(&mut self, generation: Generation, force: bool) {
        let now = self.now;
        if let Some(hook) = self.hook.as_mut().filter(|hook| hook.generation == generation) {
            self.met.cancelled += 1;
            let latest = if force { now } else { now + 2_000 };
            (hook.ends_at, hook.end) = (hook.ends_at.min(latest), Some(TaskEnd::Cancelled));
        }
    }

    fn end_hook(&mut self) -> Result<(), String> {
        let now = self.now;
        let is_early = self.bug == Some(Bug::HookRunsOn) && self.random.chance(1, 10);
        let Some(running) = self.hook.take_if(|hook| hook.ends_at <= now || is_early) else { return Ok(()) };
        let RunningHook { generation, hook, end, ends_at } = running;
        if is_early && ends_at > now {
            self.hook = Some(RunningHook { generation, hook, ends_at, end: end.clone() });
        }
        self.book.hook_ended(generation, hook, end.is_some());
        let end = end.filter(|_| self.bug != Some(Bug::FailureUnheard));
        let failure = end.map(|end| HookFailure { hook, command: "command".into(), end });
        self.feed(Event::HookEnded { generation, hook, failure })
    }

    /// The process that the pid file names, if it is there.
    fn find_main(&mut self, generation: Generation) {
        let now = self.now;
        let run = self.run.as_mut().filter(|run| run.generation == generation);
        let found = run.and_then(|run| {
            let (task, _) = run.background.take_if(|(task, named_at)| *named_at <= now && task.lives(now))?;
            run.leader = Some(task);
            Some(task.pid)
        });
        let event = match found {
            Some(pid) => {
                self.met.backgrounds += 1;
                self.book.in_background = true;
                Event::MainFound { generation, pid }
            }
            None if self.bug == Some(Bug::NotInBackground) => Event::MainFound { generation, pid: 7 },
            None => Event::NoMain { generation, found: NoMain::NoFile },
        };
        self.note(|| format!("{event:?}"));
        self.machine.handle_event(self.instant(), event);
    }

    /// Reaps: the leader's end, and what is left of its run.
    fn facts(&mut self) -> Result<(), String> {
        if self.random.chance(1, 12) {
            return Ok(());
        }
        let now = self.now;
        let Some(run) = &mut self.run else { return Ok(()) };
        let generation = run.generation;
        let mut detaches = false;
        if let Some(leader) = run.leader.take_if(|leader| !leader.lives(now)) {
            (run.beat, detaches) = (None, leader.exit == Exit::Code(0) && self.machine.expects_to_fork());
            self.feed(Event::Exited { generation, exit: leader.exit, descendant: None })?;
            // A hook that still runs is of it, too.
            let lives = self.hook.is_some() || self.run.as_ref().is_some_and(|run| run.alive(now) > 0);
            if lives && !detaches && self.bug != Some(Bug::RemainsUnseen) {
                return self.feed(Event::GroupLingers { generation });
            }
        }
        let Some(run) = self.run.as_ref().filter(|run| run.leader.is_none()) else { return Ok(()) };
        let is_unseen = self.bug == Some(Bug::RemainsUnseen) && !detaches;
        if (run.alive(now) > 0 && !is_unseen) || self.hook.is_some() || self.machine.may_be_hidden() {
            return Ok(());
        }
        if run.alive(now) == 0 {
            self.run = None;
        }
        self.feed(Event::GroupEmpty { generation })
    }

    /// What the program says.
    fn hear(&mut self) -> Result<(), String> {
        while let Some(place) = self.mail.iter().position(|(at, ..)| *at <= self.now) {
            let (_, generation, message) = self.mail.swap_remove(place);
            self.told(generation, message)?;
        }
        let (now, is_ill) = (self.now, self.random.chance(1, 40));
        if let Some(run) = self.run.as_mut().filter(|run| run.leader.is_some_and(|leader| leader.lives(now)))
            && let Some((at, every)) = run.beat.filter(|(at, _)| *at <= now)
        {
            run.beat = Some((at.max(now) + every, every));
            let generation = run.generation;
            let watchdog = Some(if is_ill { WatchdogReport::Trigger } else { WatchdogReport::Alive });
            self.told(generation, Notification { watchdog, ..Notification::default() })?;
        }
        while let Some(place) = self.reads.iter().position(|(at, _)| *at <= self.now) {
            let (_, generation) = self.reads.swap_remove(place);
            self.feed(Event::NotificationsRead { generation })?;
        }
        Ok(())
    }

    fn told(&mut self, generation: Generation, message: Notification) -> Result<(), String> {
        if self.run.as_ref().is_some_and(|run| run.generation == generation) {
            self.met.told_ready += u64::from(message.ready);
            self.book.told(&message, self.now);
        }
        self.feed(Event::Notified { generation, message: Box::new(message) })
    }

    /// An operator's command, a new configuration, a death from outside, or a bug.
    fn disturb(&mut self) -> Result<(), String> {
        let generation = self.machine.generation();
        match self.bug {
            Some(Bug::ReadyUnheard) if self.random.chance(1, 10) => {
                let message = Box::new(Notification { ready: true, ..Notification::default() });
                self.feed(Event::Notified { generation, message })?;
            }
            Some(Bug::WatchdogDeceived) if self.random.chance(1, 10) => {
                let watchdog = Some(WatchdogReport::Trigger);
                let message = Box::new(Notification { watchdog, ..Notification::default() });
                self.feed(Event::Notified { generation, message })?;
            }
            Some(_) | None => {}
        }
        if self.random.chance(1, 60)
            && let Some(leader) = self.run.as_mut().and_then(|run| run.leader.as_mut())
        {
            (leader.ends_at, leader.exit) = (Some(self.now), Exit::Signal(11));
        }
        if self.random.chance(1, 80) {
            let config = Arc::new(draw::config(&mut self.random));
            self.feed(Event::ConfigChanged(config))?;
        }
        let is_idle = self.machine.state().is_down() && self.machine.poll_timeout().is_none() && self.hook.is_none();
        if !self.random.chance(if is_idle { 12 } else { 1 }, 24) {
            return Ok(());
        }
        let by = Initiator::Embedder;
        let (event, is_stop) = match self.random.below(if is_idle { 14 } else { 8 }) {
            0..3 => (Event::StopRequested { by }, true),
            3 => (Event::KillRequested { by }, true),
            4 => (Event::RestartRequested { force: false, by }, false),
            5 => (Event::RestartRequested { force: true, by }, false),
            _ => (Event::StartRequested { by }, false),
        };
        let config = Arc::clone(self.machine.run_config().unwrap_or(self.machine.config()));
        self.book.asked(is_stop, &config, self.now);
        self.feed(event)
    }

    /// What has to hold when a turn is over.
    fn judge(&self) -> Result<(), String> {
        let state = self.machine.state();
        ensure(state == self.book.shown, || format!("{state} was not announced"))?;
        ensure(self.machine.poll_timeout().is_none_or(|at| at > self.instant()), || "a timer stays due".to_owned())?;
        let alive = self.run.is_some();
        let waits = alive || self.hook.is_some() || self.machine.poll_timeout().is_some();
        let fine = match state {
            ProcessState::Stopped | ProcessState::Fatal | ProcessState::Exited => true,
            ProcessState::Starting | ProcessState::Stopping | ProcessState::Backoff => waits,
            ProcessState::Running | ProcessState::Unhealthy => alive,
        };
        ensure(fine, || format!("stuck in {state}"))?;
        let is_watched = state == ProcessState::Running
            && self.machine.run_config().is_some_and(|config| config.watchdog > 0)
            && self.run.as_ref().is_some_and(|run| run.leader.is_some());
        let is_awaited = self.machine.poll_timeout().is_some() || !self.reads.is_empty();
        ensure(!is_watched || is_awaited, || "a watchdog has forgotten its program".to_owned())?;
        self.book.is_in_time(self.now)
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if self.trace.len() > 80 {
            self.trace.drain(1..40);
        }
        let line = format!("{:>8} ms  {:<9} {}", self.now, self.machine.state().as_str(), line());
        self.trace.push(line);
    }

    fn report(&self, seed: u64, broken: &str) -> String {
        format!("broken: {broken}\nseed of the life {seed}, {} ms\n{}", self.now, self.trace.join("\n"))
    }
}
