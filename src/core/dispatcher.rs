//! The central dispatcher: the loop of the one thread that decides and acts.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::effect::{Effect, External, Input, Notice, OwedResult};
use super::effects::{Effects, ReplyTo};
use super::engine::Engine;
use super::inbox::Inbox;
use crate::logger::DeferredWakes;
use crate::process::{Initiator, Moment};
use crate::sys;
use crate::sys::signals::{Signal, Signals};

/// A turn that takes longer is worth a line in the log: something in it must have blocked.
const SLOW_TURN: Duration = Duration::from_millis(250);

/// Signals to end that come so close together are one order: `timeout` and the like signal their child, and then its
/// process group. Nobody presses a key twice in that time.
const TERM_COALESCE_WINDOW: Duration = Duration::from_millis(100);

/// How long due timers wait for the ends of children that came before them.
const ENDS_FIRST_LIMIT: Duration = Duration::from_secs(1);

/// Inputs that are taken in before due timers get their turn.
const BATCH: usize = 64;

/// The engine, and the effects that carry out what it decides.
pub(super) struct Dispatcher {
    pub(super) engine: Engine,
    pub(super) effects: Effects,
    /// What came of the last effect.
    results: Vec<Input>,
    /// When it was told by a signal to end, the last time.
    terminated: Option<Moment>,
    /// Children have ended, and are reaped as soon as the io thread has read what they had told before: what is due
    /// waits for that, until this moment.
    ends_awaited: Option<Moment>,
}

impl Dispatcher {
    pub(super) fn new(engine: Engine, effects: Effects) -> Dispatcher {
        Dispatcher { engine, effects, results: Vec::new(), terminated: None, ends_awaited: None }
    }

    /// Runs the engine until its shutdown has ended; `true` if no process is left.
    pub(super) fn run(&mut self, inbox: &mut Inbox, signals: &Signals) -> bool {
        loop {
            // Whatever has ended or come is taken in before what was due by now: where this process was itself stopped
            // for a while, a time of a schedule must not find a run that is long over. It may be stopped here as well.
            let due_by = sys::time::now();
            let mut is_idle = true;
            for (signal, _) in signals.take() {
                is_idle = false;
                self.take_signal(signal);
            }
            for input in inbox.try_iter().take(BATCH) {
                is_idle = false;
                self.handle_external(input);
            }
            let ends_awaited = self.ends_awaited.filter(|until| sys::time::now() < *until);
            if ends_awaited.is_none() {
                self.ends_awaited = None;
                self.run_timers(due_by);
            }
            if let Some(clean) = self.engine.finished() {
                return clean;
            }
            if self.engine.is_ending() {
                self.effects.begin_end();
            }
            let output_due = self.effects.wake_output();
            if is_idle {
                self.effects.trim_if_wanted();
                let due = ends_awaited.or_else(|| self.engine.poll_timeout());
                inbox.wait(due.into_iter().chain(output_due).min());
            }
        }
    }

    fn take_signal(&mut self, signal: Signal) {
        let notice = match signal {
            // Any number of dead children is one sweep.
            Signal::Child if self.effects.read_notifications_before_reaping() => {
                self.ends_awaited.get_or_insert_with(|| sys::time::now() + ENDS_FIRST_LIMIT);
                return;
            }
            Signal::Child => Notice::Child,
            Signal::Terminate(number) => {
                // The shutdown goes through most of it, and nothing ends before it has.
                sys::memory::prefetch_code();
                Notice::Terminate(Some(number))
            }
            Signal::Reload => Notice::Reload,
            Signal::Reopen => Notice::Reopen,
            Signal::Power(power) => Notice::Power(power),
            Signal::Meaningless(number) => {
                let name = crate::process::signal_name(number).unwrap_or("?");
                log::warn!("SIG{name} has no meaning to the daemon; it is ignored (this is said once)");
                return;
            }
        };
        if matches!(signal, Signal::Reload | Signal::Reopen) {
            self.effects.check_names();
        }
        if !matches!(signal, Signal::Terminate(_)) || self.is_new_order() {
            self.handle_input(Input::Notice(notice));
        }
    }

    /// Whether a signal to end is more than what was told before: a second one kills what is left.
    fn is_new_order(&mut self) -> bool {
        let now = sys::time::now();
        if self.terminated.is_some_and(|last| now < last + TERM_COALESCE_WINDOW) {
            return false;
        }
        match self.terminated.replace(now) {
            Some(_) => true,
            // It ends because a client or the end of a program wanted it: that was no signal yet.
            None if self.engine.is_ending() && !self.engine.wants_restart() => {
                log::info!("told to end, but the shutdown is already under way; another signal kills what still runs");
                false
            }
            None => true,
        }
    }

    /// Begins: what an earlier daemon has left behind, and then what is to start with the daemon.
    pub(super) fn begin(&mut self) {
        // Not timed: to start thousands of programs takes long, and blocks nobody.
        self.untimed_turn("the start", sys::time::now(), Engine::begin);
    }

    fn run_timers(&mut self, due_by: Moment) {
        let now = sys::time::now();
        let mut fired = true;
        while fired && self.engine.poll_timeout().is_some_and(|at| at <= due_by) {
            self.turn("a timer", |engine, _| fired = engine.run_timer(now));
        }
    }

    fn handle_external(&mut self, external: External) {
        let input = match external {
            External::Input(input) => {
                if matches!(input, Input::Notice(Notice::Child)) {
                    self.ends_awaited = None;
                }
                input
            }
            External::Request(incoming) => {
                let id = self.effects.replies().register(ReplyTo::Connection(incoming.conn));
                Input::Request { id, by: incoming.by, request: incoming.request }
            }
            External::Disconnected(conn) => {
                for id in self.effects.replies().forget(conn) {
                    self.handle_input(Input::Gone { id });
                }
                return;
            }
            External::Notified(received) => self.effects.identify_sender(*received),
            External::Barrier(fd) => return drop(fd),
            External::Local { request, reply } => {
                let to = reply.map_or(ReplyTo::Nobody, ReplyTo::Thread);
                let id = self.effects.replies().register(to);
                Input::Request { id, by: Initiator::Embedder, request }
            }
        };
        self.handle_input(input);
    }

    fn handle_input(&mut self, input: Input) {
        let what = describe(&input);
        self.turn(what, |engine, now| engine.handle(now, input));
    }

    /// One turn: the engine is told something, and everything that it wants done is done, in order. What comes of an
    /// effect is told at once; what the engine wants done then comes behind all that it has wanted before.
    fn turn(&mut self, what: &str, tell: impl FnOnce(&mut Engine, Moment)) {
        let begin = sys::time::now();
        self.untimed_turn(what, begin, tell);
        let took = sys::time::now().saturating_duration_since(begin);
        #[cfg(feature = "http")]
        self.effects.note_turn(took);
        if took > SLOW_TURN {
            log::warn!("{what} took {} ms", took.as_millis());
        }
    }

    fn untimed_turn(&mut self, what: &str, begin: Moment, tell: impl FnOnce(&mut Engine, Moment)) {
        let engine = &mut self.engine;
        let sound = guarded(what, || tell(engine, begin));
        if !sound {
            self.engine.recover(begin);
        }
        self.finish_turn(sound);
    }

    /// Does what the engine wants done, in order. Apart from [`untimed_turn`](Self::untimed_turn), of which there is a
    /// copy for each kind of turn.
    fn finish_turn(&mut self, mut sound: bool) {
        let _wakes = DeferredWakes::new();
        loop {
            let engine = &mut self.engine;
            let mut effect = None;
            if !guarded("the shutdown", || effect = engine.poll_effect()) {
                sound = false;
                self.engine.recover(sys::time::now());
                continue;
            }
            match effect {
                Some(effect) => sound &= self.perform(effect),
                None if self.effects.unfinished_spawn(0).is_some() => sound &= self.finish_spawns(0),
                None => break,
            }
        }
        // Two numbers tell in nearly every turn that no answer was lost.
        if !sound || self.effects.replies().owed() != self.engine.owed() {
            let engine = &self.engine;
            for lost in self.effects.replies().answer_lost(|id| engine.owns(id)) {
                self.engine.give_up(lost);
            }
        }
    }

    /// Does one thing; `false` if that, or what followed from it, panicked.
    fn perform(&mut self, effect: Effect) -> bool {
        let mut sound = !effect.needs_finished_spawns() || self.finish_spawns(0);
        let owed = effect.owed_result();
        sound &= self.act(owed, |effects, results| effects.perform(effect, results));
        sound & self.finish_spawns(self.effects.most_begun_spawns())
    }

    /// Ends spawns until at most so many are under way.
    fn finish_spawns(&mut self, most: usize) -> bool {
        let mut sound = true;
        while let Some(owed) = self.effects.unfinished_spawn(most) {
            sound &= self.act(Some(owed), Effects::finish_spawn);
        }
        sound
    }

    /// Does something and tells the engine what came of it.
    fn act(&mut self, owed: Option<OwedResult>, act: impl FnOnce(&mut Effects, &mut Vec<Input>)) -> bool {
        let Dispatcher { engine, effects, results, .. } = self;
        let mut sound = guarded("an effect", || act(effects, results));
        if !sound {
            results.extend(owed.map(|owed| effects.result_after_panic(owed)));
        }
        for input in results.drain(..) {
            let what = describe(&input);
            sound &= guarded(what, || engine.handle(sys::time::now(), input));
        }
        sound
    }
}

/// Survives a panic: everything else goes on. Our end would be the end of all programs.
fn guarded(what: &str, act: impl FnOnce()) -> bool {
    let sound = catch_unwind(AssertUnwindSafe(act)).is_ok();
    if !sound {
        log::error!("{what}: an internal error of supervice (a panic), please report it");
    }
    sound
}

fn describe(input: &Input) -> &'static str {
    match input {
        Input::Notice(_) => "a signal",
        Input::Request { .. } => "a request",
        Input::Gone { .. } => "a client that has gone",
        Input::Spawned { .. } | Input::SpawnFailed { .. } => "a spawn",
        Input::Exited { .. } | Input::Swept | Input::GroupProbed { .. } => "the end of a process",
        Input::Checked { .. } | Input::CheckMissed { .. } => "the answer of a check",
        Input::ConditionSeen { .. } => "something that a start waits for",
        Input::UsageSampled { .. } => "what programs use",
        Input::PathChanged { .. } => "a path that has changed",
        Input::Readiness { .. } => "a report of readiness",
        Input::MainFound { .. } | Input::NoMain { .. } | Input::MainRefused { .. } => "a main process",
        Input::Notified { .. } | Input::NotifiedByStranger { .. } | Input::NotificationsRead { .. } => "a notification",
        Input::TaskSpawned { .. } | Input::TaskSpawnFailed { .. } | Input::TaskExited { .. } => "a task",
        Input::Adoption(_) | Input::OrphansCounted { .. } => "orphans",
        Input::Executed { .. } | Input::PendingExecsProbed { .. } => "a look at pending children",
        Input::ClockRead { .. } | Input::TimeFound { .. } => "a time of a schedule",
        Input::Output(_) => "a note of the output thread",
        #[cfg(feature = "attach")]
        Input::RunRead { .. } => "a program that is to be run",
        Input::ConfigLoaded { .. } => "applying a new configuration",
    }
}
