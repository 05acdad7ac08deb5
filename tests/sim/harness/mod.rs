//! One process's machine between a fake system, a random operator and an auditor that trusts neither.
//!
//! Everything here sees the machine from outside: events go in, actions come out. A [`Distortion`] stands between them to
//! show that the auditor finds a machine that breaks a rule.

mod auditor;
mod distortion;
pub mod random;
mod script;
mod system;

use std::sync::Arc;
use std::time::Duration;

use self::auditor::Auditor;
use self::distortion::Distorted;
pub use self::distortion::Distortion;
use self::random::Random;
use self::system::{Fact, Signal, System};
use super::subject::models::Readiness;
use super::subject::{Action, Event, Moment, ProcessState, ReadyReport};

/// Simulated time: milliseconds since the start of the episode.
type Millis = u64;

const STEPS_PER_EPISODE: u64 = 2_000;

/// Runs episodes until `steps` turns are done; the error tells the seed, the turn, the rule and the last events.
pub fn simulate(seed: u64, steps: u64) -> Result<Coverage, String> {
    let mut coverage = Coverage::default();
    let mut number = 0_u64;
    while coverage.turns < steps {
        let episode_seed = seed_of_episode(seed, number);
        let turns = STEPS_PER_EPISODE.min(steps - coverage.turns);
        let mut episode = Episode::new(episode_seed, None);
        for turn in 0..turns {
            if let Err(broken) = episode.turn() {
                // Once more, this time with a journal.
                return match replaying() {
                    true => Err(episode.report(episode_seed, turn, &broken)),
                    false => replay(episode_seed),
                };
            }
        }
        coverage.add(&episode, turns);
        number += 1;
    }
    Ok(coverage)
}

fn seed_of_episode(seed: u64, number: u64) -> u64 {
    seed.wrapping_add(number.wrapping_mul(0xD1B5_4A32_D192_ED03))
}

/// Runs episodes of a distorted machine until the rule that it breaks is found broken: the number of turns that took, or
/// what was found instead within `limit` turns.
pub fn catch(seed: u64, distortion: Distortion, limit: u64) -> Result<u64, Vec<String>> {
    let (mut turns, mut others) = (0, Vec::new());
    for number in 0.. {
        let mut episode = Episode::new(seed_of_episode(seed, number), Some(distortion));
        for _ in 0..STEPS_PER_EPISODE {
            if turns == limit {
                return Err(others);
            }
            turns += 1;
            match episode.turn() {
                Ok(()) => {}
                Err(broken) if broken.contains(distortion.rule()) => return Ok(turns),
                Err(broken) => {
                    others.push(broken);
                    break;
                }
            }
        }
    }
    Err(others)
}

/// What a simulation went through; a simulation that never met a case has not tested it.
#[derive(Debug, Default)]
pub struct Coverage {
    /// Turns of the fake daemon's loop.
    pub turns: u64,
    /// Successful spawns.
    pub runs: u64,
    /// How often each state was entered, in the order of `ProcessState::ALL`.
    pub entered: [u64; 8],
    /// Events of an older generation that were fed.
    pub stale: u64,
    /// Health checks that were asked for.
    pub checks: u64,
    /// Signals that were sent, SIGKILL among them.
    pub signals: u64,
    /// SIGKILLs.
    pub kills: u64,
    /// Commands given.
    pub commands: u64,
}

impl Coverage {
    fn add(&mut self, episode: &Episode, turns: u64) {
        self.turns += turns;
        self.runs += episode.system.spawned;
        for (sum, count) in self.entered.iter_mut().zip(episode.auditor.entered) {
            *sum += count;
        }
        self.stale += episode.stale;
        self.checks += episode.auditor.checks_sent;
        self.signals += episode.system.signals;
        self.kills += episode.system.kills;
        self.commands += episode.commands;
    }
}

/// An answer that a health check is going to give.
struct Answer {
    at: Millis,
    generation: u64,
    healthy: bool,
}

/// What a program is going to tell of its readiness.
struct Sign {
    at: Millis,
    generation: u64,
    report: ReadyReport,
}

struct Episode {
    base: Moment,
    now: Millis,
    random: Random,
    profile: script::FaultProfile,
    machine: Distorted,
    system: System,
    auditor: Auditor,
    answers: Vec<Answer>,
    signs: Vec<Sign>,
    /// Answers to tries whether it is ready.
    tries: Vec<Answer>,
    journal: Vec<String>,
    commands: u64,
    stale: u64,
}

impl Episode {
    fn new(seed: u64, distortion: Option<Distortion>) -> Self {
        let base = Moment::from_nanos(1);
        let mut random = Random::new(seed);
        let profile = script::FaultProfile::draw(&mut random);
        let config = Arc::new(script::config(&mut random));
        let mut episode = Episode {
            base,
            now: 0,
            machine: Distorted::new(&config, distortion, base),
            auditor: Auditor::new(Arc::clone(&config)),
            random,
            profile,
            system: System::default(),
            answers: Vec::new(),
            signs: Vec::new(),
            tries: Vec::new(),
            journal: Vec::new(),
            commands: 0,
            stale: 0,
        };
        episode.note(|| format!("{config:?}"));
        episode
    }

    /// One turn of the daemon's loop: wait, then timers, facts, answers and a command in any order.
    fn turn(&mut self) -> Result<(), String> {
        self.advance();
        let mut order = [0, 1, 2, 3];
        self.random.shuffle(&mut order);
        for what in order {
            match what {
                0 => self.fire()?,
                1 => self.facts()?,
                2 => self.answer()?,
                _ => self.disturb()?,
            }
        }
        // What came after the timers may have set one that is due at once.
        for _ in 0..4 {
            self.fire()?;
        }
        self.auditor.turn_ended(&self.machine, &self.system, self.base, self.now)
    }

    fn instant(&self) -> Moment {
        self.base + Duration::from_millis(self.now)
    }

    /// Lets time pass: mostly to the next moment at which something happens, at times by any amount.
    fn advance(&mut self) {
        let timer = self.machine.poll_timeout().map(|at| millis(at.saturating_duration_since(self.base)));
        let answer = self.answers.iter().map(|answer| answer.at).min();
        let sign = self.signs.iter().map(|sign| sign.at);
        let sign = sign.chain(self.tries.iter().map(|answer| answer.at)).min();
        let next = [timer, answer, sign, self.system.next_death()].into_iter().flatten().min();
        let to = match (self.random.below(20), next) {
            (0, _) => self.now,
            (1, _) => self.now + self.random.below(50),
            (2, _) => self.now + self.random.below(3_000),
            (3, Some(next)) => next + self.random.below(2_500),
            (4, _) if self.random.chance(1, 10) => self.now + self.random.below(100_000),
            (_, Some(next)) => next,
            (_, None) => self.now + self.random.below(60_000),
        };
        // A century of startsecs is not waited for.
        self.now = to.clamp(self.now, self.now + 200_000);
    }

    /// Feeds one event and does what the machine asks for.
    fn feed(&mut self, event: Event) -> Result<(), String> {
        self.note(|| format!("{event:?}"));
        self.auditor.before(&event, self.now);
        self.machine.handle_event(self.instant(), event);
        self.pump()?;
        self.auditor.after()
    }

    fn fire(&mut self) -> Result<(), String> {
        if self.machine.poll_timeout().is_none_or(|at| at > self.instant()) {
            return Ok(());
        }
        self.note(|| "timeout".to_owned());
        self.auditor.before_timeout(self.now);
        self.machine.handle_timeout(self.instant());
        if self.machine.poll_timeout().is_some_and(|at| at <= self.instant()) {
            return Err("a timer stays due after it has fired".to_owned());
        }
        self.pump()?;
        self.auditor.after()
    }

    fn pump(&mut self) -> Result<(), String> {
        while let Some(action) = self.machine.poll_action() {
            self.note(|| format!("  -> {action:?}"));
            self.auditor.saw(&action, &self.system, self.now)?;
            match action {
                Action::Spawn { generation } => self.spawn(generation)?,
                Action::Signal { generation, signal: number, target, resume, why: _ } => {
                    let signal = Signal { number, target, resume };
                    self.system.signal(generation, signal, self.now, &mut self.random);
                }
                Action::RunHook { .. } | Action::CancelHooks { .. } => {}
                Action::CheckHealth { generation } => self.check(generation),
                Action::ProbeReadiness { generation } => self.probe(generation),
                // The auditor allows none of these but the first and the last.
                Action::RunHealthCommand { .. }
                | Action::AskNotifications { .. }
                | Action::NoteRefused { .. }
                | Action::FindMain { .. }
                | Action::HandOver { .. }
                | Action::NoteMain { .. }
                | Action::NoteReadiness { .. }
                | Action::Announce(_) => {}
            }
        }
        Ok(())
    }

    fn spawn(&mut self, generation: u64) -> Result<(), String> {
        let event = match script::spawn_error(&mut self.random, &self.profile) {
            Some(error) => Event::SpawnFailed { generation, error },
            None => {
                let startsecs = self.machine.config().startsecs;
                if self.machine.config().ready == Readiness::Fd(3)
                    && let Some((delay, report)) = script::sign(&mut self.random, &self.profile)
                {
                    self.signs.push(Sign { at: self.now + delay, generation, report });
                }
                let life = script::life(&mut self.random, &self.profile, startsecs);
                Event::Spawned { generation, pid: self.system.spawn(generation, life, self.now) }
            }
        };
        self.note(|| format!("{event:?}"));
        self.auditor.before(&event, self.now);
        self.machine.handle_event(self.instant(), event);
        Ok(())
    }

    fn check(&mut self, generation: u64) {
        let config = self.machine.run_config().unwrap_or(self.machine.config()).healthcheck.clone();
        if let Some((delay, healthy)) = script::answer(&mut self.random, &self.profile, &config) {
            self.answers.push(Answer { at: self.now + delay, generation, healthy });
        }
    }

    fn probe(&mut self, generation: u64) {
        // Rarely so late that it is given up before.
        let delay = self.random.pick(&[0, 0, 1, 300, 2_999, 14_999, 15_000, 20_000]);
        if !self.random.chance(1, 10) {
            let ready = self.random.chance(1, 3);
            self.tries.push(Answer { at: self.now + delay, generation, healthy: ready });
        }
    }

    /// Reaps, as the daemon does: the leader's end first, then at once a look at its group.
    fn facts(&mut self) -> Result<(), String> {
        if self.random.chance(1, 12) {
            // The daemon was busy: it learns of it later.
            return Ok(());
        }
        while let Some(fact) = self.system.next_fact(self.now) {
            match fact {
                Fact::Exited { generation, exit } => {
                    let descendant = (!self.system.is_empty(generation, self.now)).then_some(7);
                    self.feed(Event::Exited { generation, exit, descendant })?;
                    let look = if self.system.is_empty(generation, self.now) {
                        self.system.forget(generation);
                        Event::GroupEmpty { generation }
                    } else {
                        Event::GroupLingers { generation }
                    };
                    self.feed(look)?;
                }
                Fact::Empty { generation } => self.feed(Event::GroupEmpty { generation })?,
            }
        }
        Ok(())
    }

    fn answer(&mut self) -> Result<(), String> {
        while let Some(index) = self.answers.iter().position(|answer| answer.at <= self.now) {
            let Answer { generation, healthy, .. } = self.answers.swap_remove(index);
            let message = if healthy { "connected" } else { "connection refused" }.to_owned();
            self.feed(Event::HealthReported { generation, healthy, message })?;
        }
        while let Some(index) = self.tries.iter().position(|answer| answer.at <= self.now) {
            let Answer { generation, healthy: ready, .. } = self.tries.swap_remove(index);
            self.feed(Event::Probed { generation, ready, message: "as it is".to_owned() })?;
        }
        while let Some(index) = self.signs.iter().position(|sign| sign.at <= self.now) {
            let Sign { generation, report, .. } = self.signs.swap_remove(index);
            self.feed(Event::ReadyReported { generation, report })?;
        }
        Ok(())
    }

    /// An operator's command, a reload, a death from outside, or an answer of a run long gone.
    fn disturb(&mut self) -> Result<(), String> {
        if self.random.chance(1, 40) {
            self.ghost()?;
        }
        if self.random.chance(1, 200) {
            self.system.strike(self.now, &mut self.random);
        }
        if self.random.chance(1, 200) {
            self.system.pause(self.now);
        }
        if self.random.chance(1, 150) {
            let config = Arc::new(script::config(&mut self.random));
            self.feed(Event::ConfigChanged(config))?;
        }
        if self.random.chance(1, 150) {
            self.profile = script::FaultProfile::draw(&mut self.random);
        }
        let idle = self.machine.state().is_down() && self.machine.poll_timeout().is_none();
        let wanted = self.random.chance(self.profile.commands_per_1000, 1_000) || (idle && self.random.chance(1, 5));
        if !wanted {
            return Ok(());
        }
        for _ in 0..=self.random.below(3) / 2 {
            self.commands += 1;
            let command = script::command(&mut self.random, idle);
            self.feed(command)?;
        }
        Ok(())
    }

    /// Feeds an event of another generation; nothing at all may change.
    fn ghost(&mut self) -> Result<(), String> {
        let present = self.machine.generation();
        let other =
            if self.random.chance(1, 8) { present + 1 } else { present.saturating_sub(1 + self.random.below(3)) };
        if other == present {
            return Ok(());
        }
        self.stale += 1;
        let event = script::ghost(&mut self.random, other);
        let before = format!("{:?}", self.machine.machine());
        self.note(|| format!("ghost {event:?}"));
        self.machine.handle_event(self.instant(), event);
        let after = format!("{:?}", self.machine.machine());
        if before == after { Ok(()) } else { Err(format!("a stale event changed {before}\nto {after}")) }
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        // Only the replay of a broken rule needs the words.
        if replaying() {
            let line = format!("{:>9} ms  {:<9} {}", self.now, self.machine.state().as_str(), line());
            self.journal.push(line);
        }
    }

    fn report(&self, seed: u64, turn: u64, broken: &str) -> String {
        let from = self.journal.len().saturating_sub(40);
        let state = format!("{:?}", self.machine.machine());
        format!(
            "broken: {broken}\nepisode seed {seed}, turn {turn}, {} ms\n{}\n{state}",
            self.now,
            self.journal[from..].join("\n")
        )
    }
}

std::thread_local! {
    static REPLAYING: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

fn replaying() -> bool {
    REPLAYING.get()
}

fn replay(seed: u64) -> Result<Coverage, String> {
    REPLAYING.set(true);
    let result = simulate(seed, STEPS_PER_EPISODE);
    REPLAYING.set(false);
    result
}

fn millis(duration: Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

fn index_of(state: ProcessState) -> usize {
    ProcessState::ALL.iter().position(|known| *known == state).unwrap_or_default()
}
