//! The whole core in simulated time: the engine with all processes, groups, commands, reloads and shutdown, in a world
//! in which everything goes wrong. An oracle keeps its own account of it and judges every step.
//!
//! `SUPERVICE_SIM_SEED` replays a seed (the first life has exactly this one), `SUPERVICE_SIM_STEPS` sets the number of turns:
//!
//! ```text
//! SUPERVICE_SIM_SEED=7 SUPERVICE_SIM_STEPS=100000000 cargo test --profile simulation --lib the_whole_core -- --nocapture
//! ```

mod answers;
mod clients;
mod copy;
mod counts;
mod look;
mod oracle;
pub(super) mod random;
mod reloads;
mod replies;
mod system;
mod timers;

use std::sync::Arc;

use super::super::Engine;
use super::super::timers::TimerKey;
use crate::api::{Command, Request};
use crate::core::effect::{CheckPurpose, Effect, Input, Notice};
use crate::health::HealthCheckResult;
use crate::models::{
    OutputRecovery, OutputTroubleKind, Power, ProgramConfig, RecoveryCause, StreamKind, SupervisorConfig,
};
use crate::output::Note;
use crate::process::{Caller, Desired, Initiator, Moment, ProcessState};
use copy::{bit, duplicate, touched_by};
use counts::Counts;
use random::Random;
use system::{Distortion, FakeSystem, Pending};

type Millis = u64;
const SECOND: Millis = 1_000;

/// In the tests of every day.
const TURNS: u64 = 500_000;
/// Within this time everything that is bounded has come to its end in a calm system: a retry of half a minute, a stop,
/// a SIGKILL that comes again, a check that nobody answers.
const CALM: Millis = 120 * SECOND;

/// So long a copy goes on beside the original, which takes as long as that: whatever was under way (a back-off, a stop,
/// the reading of a file) has come to its end by then.
const COPY_TURNS: u64 = 120;

/// The bits of all processes.
const ALL: u64 = u64::MAX;

struct Sim {
    engine: Engine,
    /// Written down and read back at some turn, and told the same for a while: it has to want the same.
    copy: Option<Engine>,
    /// The turn at which that happens for certain, in one life of eight, and the last one in which the copy is told.
    copied_at: Option<u64>,
    copy_until: u64,
    /// Settings of the original and of the copy that are the same.
    same: Vec<(Arc<ProgramConfig>, Arc<ProgramConfig>)>,
    system: FakeSystem,
    /// Room for what comes of an effect.
    results: Vec<Input>,
    /// Requests so far.
    requests: u64,
    /// Somebody has asked for the end.
    told: bool,
    /// The processes that the engine was told of, or that it told of, since it was looked at: a bit for each number,
    /// and for each of 64 more the same one.
    touched: u64,
    /// The engine was given something since then.
    is_touched: bool,
    /// Who asks.
    caller: Arc<Caller>,
    /// The daemon is the kernel's init.
    is_init: bool,
}

/// One daemon, from its start to its end.
fn live(seed: u64, distortion: Option<Distortion>, trace: bool) -> (Counts, Result<(), String>, Vec<String>) {
    let mut sim = Sim::new(seed, trace);
    sim.system.distortion = distortion;
    let result = sim.live();
    let counts = sim.system.oracle.counts.clone();
    (counts, result, sim.system.oracle.trace.take().unwrap_or_default())
}

impl Sim {
    fn new(seed: u64, trace: bool) -> Sim {
        let mut system = FakeSystem::new(Random::new(seed), Moment::from_nanos(1_000_000_000));
        system.oracle.trace = trace.then(Vec::new);
        let count = 1 + system.random.below(6);
        let programs: Vec<_> = (0..count).map(|number| Arc::new(system.program(format!("p{number}")))).collect();
        system.oracle.exit_when_idle = system.random.chance(10);
        let settings = SupervisorConfig {
            shutdown_timeout: system.random.small(20),
            exit_when_idle: system.oracle.exit_when_idle,
            ..SupervisorConfig::default()
        };
        system.oracle.shutdown_timeout = Millis::from(settings.shutdown_timeout) * SECOND;
        let mut engine = Engine::new(system.instant(), 1, None, settings, programs);
        let is_init = system.random.chance(30);
        engine.commands_machine(is_init);
        Sim {
            engine,
            copy: None,
            copied_at: None,
            copy_until: 0,
            same: Vec::new(),
            system,
            results: Vec::new(),
            requests: 0,
            told: false,
            touched: ALL,
            is_touched: true,
            caller: Arc::new(Caller {
                uid: 0,
                pid: 1,
                command: Some("ctl".into()),
                user: None,
                groups: Box::default(),
            }),
            is_init,
        }
    }

    fn live(&mut self) -> Result<(), String> {
        let now = self.system.instant();
        self.perform_all()?;
        self.system.oracle.boot();
        self.engine.begin(now);
        self.perform_all()?;
        let turns = 50 + self.system.random.below(1_500);
        let copied_at = 1 + self.system.random.below(turns);
        self.copied_at = self.system.random.chance(12).then_some(copied_at);
        for _ in 0..turns {
            self.turn(true)?;
            if self.engine.finished().is_some() {
                return self.end();
            }
        }
        if self.system.random.chance(50) && !self.told {
            self.become_quiet()?;
        }
        self.system.calm &= self.system.random.chance(50);
        self.terminate(Notice::Terminate(None))?;
        while self.engine.finished().is_none() {
            self.turn(false)?;
        }
        self.end()
    }

    /// One turn of the dispatcher: the time goes on to the next news, timers fire, inputs come in.
    fn turn(&mut self, lively: bool) -> Result<(), String> {
        self.system.oracle.counts.turns += 1;
        let inputs = self.system.oracle.counts.inputs;
        // At any turn of a life; and now and then while something is under way.
        // (These are the first in the order of the keys.)
        let is_busy = matches!(self.engine.timers.keys().next(), Some(TimerKey::OutputDrain(_)));
        let again = self.system.random.below(if is_busy { 2_500 } else { 60_000 }) == 0;
        let turns = self.system.oracle.counts.turns;
        if self.copied_at == Some(turns) || again {
            self.write_and_read()?;
        } else if turns > self.copy_until {
            self.copy = None;
        }
        let timer = self.engine.poll_timeout().map(|at| self.millis(at));
        if let Some(promised) = self.system.oracle.first_timeout().filter(|at| timer.is_none_or(|timer| timer > *at)) {
            return Err(format!("somebody is to be answered at {promised}, but the engine sleeps until {timer:?}"));
        }
        let next = [self.system.next(), timer].into_iter().flatten().min();
        let random = &mut self.system.random;
        // Somebody does something where nothing else happens: a turn in which nothing does would show nothing.
        let mut is_free = next.is_none();
        let pause = match next {
            None => random.below(5 * SECOND),
            Some(next) if lively && random.chance(20) => {
                is_free = true;
                random.below(next.saturating_sub(self.system.now) + 1)
            }
            // The machine slept, or somebody has stopped the daemon for a while.
            Some(next) if lively && self.system.oracle.ending.is_none() && random.chance(2) => {
                next.saturating_sub(self.system.now) + random.pick(&[1, 50, SECOND, 60 * SECOND, 3_600 * SECOND])
            }
            Some(next) => next.saturating_sub(self.system.now),
        };
        self.system.now += pause;
        self.timers()?;
        if self.engine.finished().is_some() {
            return Ok(());
        }
        while let Some(news) = self.system.take_due() {
            self.tell(news)?;
            // What comes in at one moment is told in one turn or in several, with whatever is due or done in between.
            if self.system.random.chance(40) {
                break;
            }
        }
        if lively && (is_free || self.system.random.chance(25)) {
            self.interfere()?;
        }
        self.timers()?;
        self.system.oracle.turn_over(self.system.now);
        if let Some(late) = self.system.oracle.overdue(self.system.now).filter(|_| self.engine.finished().is_none()) {
            return Err(late);
        }
        self.system.oracle.counts.full_turns += u64::from(self.system.oracle.counts.inputs > inputs);
        // What nobody has touched is as it was.
        if std::mem::take(&mut self.is_touched) {
            self.audit_owners()?;
            self.look_around()?;
        }
        Ok(())
    }

    fn millis(&self, at: Moment) -> Millis {
        let ahead = at.saturating_duration_since(self.system.instant());
        // A timer in the middle of a millisecond fires at its end.
        self.system.now + u64::try_from(ahead.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }

    fn handle(&mut self, input: Input) -> Result<(), String> {
        let lost = self.system.distortion == Some(Distortion::Panics) && self.system.random.chance(2);
        self.system.oracle.counts.inputs += 1;
        if !lost {
            self.give(input);
        }
        self.perform_all()?;
        self.check()
    }

    /// Tells the engine, and its copy.
    fn give(&mut self, input: Input) {
        self.is_touched = true;
        self.touched |= touched_by(&input);
        let now = self.system.instant();
        if let Some(copy) = &mut self.copy {
            copy.handle(now, duplicate(&input));
        }
        self.engine.handle(now, input);
    }

    /// Does what the engine wants done, in order. What comes of an effect is told at once.
    fn perform_all(&mut self) -> Result<(), String> {
        let mut results = std::mem::take(&mut self.results);
        loop {
            let effect = self.engine.poll_effect();
            if let Some(other) = self.copy.as_mut().map(Engine::poll_effect) {
                let is_same = match (&effect, &other) {
                    (Some(effect), Some(other)) => self.is_same(effect, other),
                    (None, None) => true,
                    (Some(_), None) | (None, Some(_)) => false,
                };
                if !is_same {
                    return Err(format!("{effect:?} is wanted, but {other:?} by the copy"));
                }
            }
            let Some(effect) = effect else { break };
            if let Effect::Show { id, .. } | Effect::Spawn { id, .. } | Effect::RunEnded { id, .. } = &effect {
                self.touched |= bit(*id);
            }
            self.system.perform(effect, &mut results);
            for input in results.drain(..) {
                self.give(input);
            }
        }
        self.results = results;
        if let Some(copy) = self.copy.as_ref().filter(|copy| copy.poll_timeout() != self.engine.poll_timeout()) {
            let (one, other) = (self.engine.poll_timeout(), copy.poll_timeout());
            return Err(format!("the engine sleeps until {one:?}, its copy until {other:?}"));
        }
        self.audit()
    }

    fn check(&mut self) -> Result<(), String> {
        self.system.oracle.broken.take().map_or(Ok(()), Err)
    }

    fn tell(&mut self, news: Pending) -> Result<(), String> {
        let input = match news {
            Pending::Child => Input::Notice(Notice::Child),
            Pending::PathChanged { id, generation } => {
                Input::PathChanged { id, generation, path: "/srv/current".into() }
            }
            Pending::ConditionSeen { id, generation, condition, is_there } => {
                self.system.outside.insert((id, generation, condition), is_there);
                Input::ConditionSeen { id, generation, condition, is_there }
            }
            Pending::Checked { id, generation, purpose, healthy } => {
                if let CheckPurpose::StartCondition(number) = purpose {
                    self.system.outside.insert((id, generation, number), healthy);
                }
                let result = HealthCheckResult { healthy, message: "as it is".to_owned() };
                Input::Checked { id, generation, purpose, result }
            }
            Pending::Readiness { id, generation, report } => Input::Readiness { id, generation, report },
            Pending::Notified { id, generation, message } => match self.system.notified(id, generation, message) {
                Some(input) => input,
                None => return self.check(),
            },
            Pending::NotificationsRead { id, generation } => Input::NotificationsRead { id, generation },
            Pending::Drained { id, generation } => {
                let last_line = self.system.random.chance(50).then(|| "the last line".to_owned());
                Input::Output(Note::Drained { program: id, generation, last_line })
            }
            Pending::Output(note) => Input::Output(note),
            Pending::TaskOutput { task } => Input::Output(Note::TaskOutput { task, tail: b"the last line\n".to_vec() }),
            Pending::Delegated { request, answer } => {
                self.system.delegated_answer(request, &answer);
                return self.check();
            }
            Pending::Config { load, in_force } => {
                let now = self.system.now;
                let result = self.system.read_file(load, &in_force);
                let programs = result.as_ref().ok().map(|reading| reading.config.programs.as_slice());
                let timeout = result.as_ref().map_or(0, |reading| reading.config.settings.shutdown_timeout);
                self.system.oracle.note(now, || format!("file: {:?}", programs.map(<[Arc<ProgramConfig>]>::len)));
                self.system.oracle.loaded(now, load, programs, timeout);
                Input::ConfigLoaded { load, result: Box::new(result) }
            }
        };
        self.handle(input)
    }

    /// Somebody does something.
    fn interfere(&mut self) -> Result<(), String> {
        match self.system.random.below(100) {
            0..70 => self.client(),
            70..80 => {
                self.system.strike();
                Ok(())
            }
            80..88 => self.handle(Input::Notice(Notice::Child)),
            88..92 => {
                self.system.oracle.wants_reload(false);
                self.handle(Input::Notice(Notice::Reload))
            }
            92..94 => self.handle(Input::Notice(Notice::Reopen)),
            94 => {
                let (pid, uid, is_gone) = (99, 7, self.system.random.chance(50));
                self.handle(Input::NotifiedByStranger { pid, uid, is_gone })
            }
            95..98 => {
                let id = self.system.random.small(8);
                let (stream, kind) = (StreamKind::Stdout, OutputTroubleKind::Write);
                let recovery = OutputRecovery { kind, cause: RecoveryCause::Works, lost_bytes: 1 };
                let trouble = Note::Trouble { program: id, stream, kind, reason: "no room".to_owned() };
                let recovered = Note::Recovered { program: id, stream, recovery };
                let note = if self.system.random.chance(50) { trouble } else { recovered };
                self.handle(Input::Output(note))
            }
            _ if self.system.random.chance(4) => {
                let power = self.is_init && self.system.random.chance(50);
                self.terminate(if power { Notice::Power(Power::Reboot) } else { Notice::Terminate(None) })
            }
            _ => Ok(()),
        }
    }

    /// The end is asked for. A copy goes with it in each eighth life.
    fn will_end(&mut self) -> Result<(), String> {
        if self.copy.is_none() && self.system.random.below(8) == 0 {
            self.write_and_read()?;
        }
        self.expect_end();
        Ok(())
    }

    /// The engine begins to end.
    fn expect_end(&mut self) {
        self.told = true;
        let now = self.system.now;
        self.system.oracle.note(now, || "TERM".to_owned());
        // A command that a start waits for, and that not even SIGKILL ends, belongs to no run.
        let orphans = !self.system.orphans.is_empty() || self.system.scripts_alive() > 0;
        self.system.oracle.terminate(now, orphans);
    }

    fn terminate(&mut self, notice: Notice) -> Result<(), String> {
        self.will_end()?;
        self.give(Input::Notice(notice));
        self.perform_all()?;
        self.check()
    }

    /// Nothing goes wrong any more: everything comes to rest, as it was wanted.
    fn become_quiet(&mut self) -> Result<(), String> {
        self.system.settle();
        self.ask(Request::Command(Command::SetFlag { name: "there".to_owned(), is_set: true }))?;
        let until = self.system.now + CALM;
        while self.system.now < until && self.engine.finished().is_none() {
            self.turn(false)?;
        }
        self.system.oracle.counts.quiet += 1;
        let mut waiting = self.system.oracle.waiting();
        // Whoever waits without a bound for what may never come goes on waiting.
        waiting.retain(|conn| !self.system.oracle.is_patient(*conn));
        if !waiting.is_empty() {
            return Err(format!("in a calm system {waiting:?} still wait"));
        }
        let (jobs, patient) = (self.engine.waiters.len(), self.system.oracle.waiting().len());
        if jobs > patient || self.engine.reload.waiting() > 0 {
            return Err(format!("in a calm system {jobs} waiters are open, {patient} wait"));
        }
        for (id, entry) in self.engine.registry.iter() {
            let proc = &self.system.oracle.procs[&id];
            let (name, state, alive) = (entry.name(), entry.machine.state(), self.system.alive(id));
            let want = proc.want.unwrap_or(entry.machine.desired() == Desired::Up);
            // What never gets ready, or a job that never succeeds, is tried for ever.
            let is_renewed = entry.config().restart.max_lifetime > 0
                && matches!(entry.machine.last_request(), Some((_, Initiator::Policy(_), _)));
            let tried = is_renewed
                || proc.after_fatal
                || state == ProcessState::Fatal && entry.machine.poll_timeout().is_some();
            let up = tried || state == ProcessState::Running && alive > 0;
            let done = state == ProcessState::Exited && proc.may_rest;
            let down = matches!(state, ProcessState::Stopped | ProcessState::Exited | ProcessState::Fatal);
            let right = if want { up || done && alive == 0 } else { down && alive == 0 };
            if down && !entry.machine.is_up() && self.system.owes_clean_up(id) {
                return Err(format!("{name} is {state}, and its last run was not cleaned up"));
            }
            if !right {
                return Err(format!(
                    "{name} shall be {}, but is {state}; {alive} tasks live; {:?}",
                    if want { "up" } else { "down" },
                    self.engine.condition_of(id, entry)
                ));
            }
            if proc.leaving {
                return Err(format!("{name} has left the configuration, and is there"));
            }
        }
        let names: Vec<String> = self.system.shown.values().map(|(name, _)| name.clone()).collect();
        let mut expected: Vec<String> = self.system.oracle.expected().map(|program| program.name.clone()).collect();
        expected.sort();
        let mut sorted = names;
        sorted.sort();
        if sorted == expected { Ok(()) } else { Err(format!("other threads see {sorted:?}, not {expected:?}")) }
    }

    /// The shutdown is over.
    fn end(&mut self) -> Result<(), String> {
        let alive: usize = self.engine.registry.ids().into_iter().map(|id| self.system.alive(id)).sum();
        let left = alive + self.system.orphans_alive() + self.system.scripts_alive();
        let clean = self.engine.finished() == Some(true);
        // Whoever follows is told by the end of the stream.
        let waiting: Vec<_> = self.system.oracle.waiting();
        let waiting: Vec<_> = waiting.into_iter().filter(|request| !self.system.is_streaming(*request)).collect();
        let counts = &mut self.system.oracle.counts;
        (counts.clean_ends, counts.given_up) = (u64::from(clean), u64::from(!clean));
        match clean {
            true if left > 0 => Err(format!("the daemon says that nothing is left, but {left} tasks live")),
            true | false if !waiting.is_empty() => Err(format!("the daemon has gone without an answer to {waiting:?}")),
            false if left == 0 && self.system.calm && !self.system.ends_now() => {
                Err("the daemon says that something is left".to_owned())
            }
            true | false => self.check(),
        }
    }
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} shall be a number, not {text}")))
}

/// Lives from `seed` on, until so many turns have passed.
fn simulate(seed: u64, distortion: Option<Distortion>, turns: u64) -> Result<Counts, String> {
    let mut sum = Counts::default();
    let mut seed = seed;
    while sum.turns < turns {
        let (counts, result, _) = live(seed, distortion, false);
        if let Err(broken) = result {
            let (_, again, trace) = live(seed, distortion, true);
            let tail = trace[trace.len().saturating_sub(60)..].join("\n");
            let same = if again.as_ref() == Err(&broken) { "" } else { " (not the same the second time!)" };
            return Err(format!("{broken}{same}\n{tail}\n{broken}\nSUPERVICE_SIM_SEED={seed} replays it"));
        }
        sum.add(&counts);
        seed = seed.wrapping_add(1);
    }
    Ok(sum)
}

#[test]
fn the_whole_core_keeps_its_word_in_a_world_of_faults() {
    // The same lives in every run of the tests; a long run takes others.
    let seed = setting("SUPERVICE_SIM_SEED").unwrap_or(1);
    let turns = setting("SUPERVICE_SIM_STEPS").unwrap_or(TURNS);
    println!("SUPERVICE_SIM_SEED={seed} SUPERVICE_SIM_STEPS={turns}");
    let halves = [seed, seed.wrapping_add(1 << 40)];
    let threads = halves.map(|seed| std::thread::spawn(move || simulate(seed, None, turns / 2)));
    let mut sum = Counts::default();
    for thread in threads {
        match thread.join().expect("the simulation does not panic") {
            Ok(counts) => sum.add(&counts),
            Err(broken) => panic!("{broken}"),
        }
    }
    println!("{sum:?}");
    assert!(turns < TURNS || sum.rarest() >= 5, "not every case was met often");
}

/// A distorted system makes the engine break its rules, or loses what it says. The oracle has to notice.
#[test]
fn every_distortion_is_caught() {
    for distortion in [
        Distortion::EmptyGroups,
        Distortion::LostChildren,
        Distortion::DeafGroups,
        Distortion::LostReplies,
        Distortion::LostDelegations,
        Distortion::Panics,
        Distortion::DoubleReplies,
    ] {
        let found = simulate(1, Some(distortion), 200_000).err();
        let found = found.unwrap_or_else(|| panic!("{distortion:?} was not caught"));
        println!("{distortion:?}: {}", found.lines().next().unwrap_or_default());
    }
}
