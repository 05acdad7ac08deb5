//! What somebody does at run time - `scale`, `disable`, `enable`, `pause`, `resume`, instances of templates, programs
//! that are run by hand - among reloads, updates that wait to be confirmed, dependencies, schedules, clocks that are
//! set, sleeps of the machine, and daemons that die and begin anew with what they have kept. Files are real ones, read
//! with what was added to them.
//!
//! A [`Model`] knows what has to be there after each step; it is told what was asked for and what was answered, and
//! nothing else of the engine. `SUPERVICE_SIM_SEED` replays a life, `SUPERVICE_SIM_LIVES` sets their number.

mod clock;
mod files;
mod judge;
mod model;
mod steps;
mod system;

use std::collections::BTreeMap;

use super::sim::random::Random;
use super::*;
use crate::config::{LoadOptions, load, load_with, load_with_most};
use crate::process::Transition;
use clock::Minutes;
use files::File;
use model::Model;
use system::{Distortion, Loading, System};

/// In the tests of every day.
const LIVES: u64 = 80;
/// What somebody does in one life.
const STEPS: u64 = 120;

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    Reload,
    Update {
        confirm: Option<u64>,
    },
    Scale {
        instances: u32,
        save: bool,
    },
    /// Of an instance of a template that is not there.
    Make {
        name: String,
        enable: bool,
    },
    SetEnabled {
        name: String,
        enabled: bool,
    },
    /// A start or a restart, which may have to wait for others.
    Up {
        name: String,
    },
    Other,
}

impl Asked {
    fn reads_file(&self) -> bool {
        match self {
            Asked::Reload | Asked::Update { .. } | Asked::Scale { .. } | Asked::Make { .. } => true,
            Asked::SetEnabled { .. } | Asked::Up { .. } | Asked::Other => false,
        }
    }
}

struct Sim {
    now: Moment,
    random: Random,
    dir: tempfile::TempDir,
    file: File,
    engine: Engine,
    system: System,
    model: Model,
    minutes: Minutes,
    /// What was asked and is not answered yet.
    asked: BTreeMap<RequestId, Asked>,
    /// The file is being read for this one; there is one at a time.
    reading: Option<(RequestId, Asked)>,
    loading: Option<(Moment, Loading)>,
    /// What was wanted up at the end of the turn before.
    up_before: Vec<String>,
    requests: u64,
    trace: Vec<String>,
    /// Nothing goes wrong any more.
    is_calm: bool,
    counts: BTreeMap<&'static str, u64>,
}

impl Sim {
    fn new(seed: u64, distortion: Option<Distortion>) -> Sim {
        let mut random = Random::new(seed);
        let file = File { is_broken: false, ..File::draw(&mut random) };
        let now = Moment::from_nanos(1_000_000_000);
        let mut sim = Sim {
            now,
            dir: tempfile::tempdir().expect("a directory"),
            engine: Engine::new(now, 1, None, SupervisorConfig::default(), Vec::new()),
            system: System { distortion, ..System::default() },
            model: Model::default(),
            minutes: Minutes::default(),
            random,
            file,
            asked: BTreeMap::new(),
            reading: None,
            loading: None,
            up_before: Vec::new(),
            requests: 0,
            trace: Vec::new(),
            is_calm: false,
            counts: BTreeMap::new(),
        };
        sim.write_file();
        sim
    }

    fn note(&mut self, what: String) {
        self.trace.push(format!("{:>9.3} {what}", self.now.as_nanos() as f64 / 1e9));
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("supervice.conf")
    }

    fn write_file(&mut self) {
        std::fs::write(self.path(), self.file.text()).expect("written");
        self.note(format!("the file is {:?}", self.file));
    }

    /// A daemon begins, as `run` has it begin, with what is on the disk.
    fn boot(&mut self) -> Result<(), String> {
        self.engine = self.begun()?;
        self.model.boot(&self.file, &self.engine.stored)?;
        self.minutes.begin(true);
        self.turn(|engine, now| engine.begin(now))
    }

    fn begun(&self) -> Result<Engine, String> {
        let options = LoadOptions { reload: true, ..LoadOptions::default() };
        let mut config = load(self.path(), &options).map_err(|error| error.to_string())?.config;
        let mut kept = stored_state::StoredState::default();
        for file in StateFile::ALL {
            if let Some(text) = self.system.disk.get(file.name()) {
                kept.read(file, text).map_err(|fault| format!("{}: {fault}: {text}", file.name()))?;
            }
        }
        let additions = kept.additions();
        let mut programs: Vec<_> = std::mem::take(&mut config.programs).into_iter().map(Arc::new).collect();
        if !additions.is_empty() && self.system.distortion != Some(Distortion::AdditionsForgotten) {
            // Where it can't be read so, the daemon begins without.
            if let Ok((loaded, _)) = load_with_most(&self.path(), &options, &additions) {
                programs = additions.applied(programs, &loaded).0;
            }
        }
        let mut engine = Engine::new(self.now, 1, None, config, programs);
        engine.restore(kept);
        if self.system.distortion == Some(Distortion::StartsDisabled) {
            for id in engine.registry.ids() {
                engine.registry.get_mut(id).into_iter().for_each(|entry| entry.disabled = false);
            }
        }
        Ok(engine)
    }

    /// One turn of the dispatcher, and what has to be true behind it.
    fn turn(&mut self, tell: impl FnOnce(&mut Engine, Moment)) -> Result<(), String> {
        tell(&mut self.engine, self.now);
        let mut results = Vec::new();
        while let Some(effect) = self.engine.poll_effect() {
            match &effect {
                Effect::Spawn { config, .. } => self.note(format!("spawn {}", config.name)),
                Effect::Announce(announcement) => {
                    if let Announcement::Transition { program, transition, .. } = &**announcement {
                        let Transition { from, to, cause, .. } = transition;
                        self.note(format!("{}: {from} -> {to}: {cause}", program.name));
                    }
                }
                _ => {}
            }
            self.system.perform(effect, self.now, &mut self.random, &mut results);
            for input in results.drain(..) {
                self.engine.handle(self.now, input);
            }
        }
        if let Some((load, job)) = self.system.loading.take() {
            let pause = Duration::from_millis(self.random.pick(&[0, 10, 2_500]));
            self.loading = Some((self.now + pause, Loading { load, job, file: self.file.clone() }));
        }
        self.settle_turn()
    }

    /// The time goes on by so much at most, to the next thing that happens.
    fn advance(&mut self, most: Duration) -> Result<(), String> {
        let loading = self.loading.as_ref().map(|(at, _)| *at);
        let next = [self.engine.poll_timeout(), self.system.next(), loading].into_iter().flatten().min();
        let end = self.now + most;
        self.now = self.now.max(next.map_or(end, |next| next.min(end)));
        self.system.write_due(self.now);
        if self.system.has_news(self.now) {
            self.turn(|engine, now| engine.handle(now, Input::Notice(Notice::Child)))?;
        }
        if self.loading.as_ref().is_some_and(|(at, _)| *at <= self.now)
            && let Some((_, loading)) = self.loading.take()
        {
            self.deliver(loading)?;
        }
        for fired in 0.. {
            let mut has_fired = false;
            self.turn(|engine, now| has_fired = engine.run_timer(now))?;
            if !has_fired {
                break;
            }
            if fired > 1_000 {
                return Err("a timer stays due".to_owned());
            }
        }
        Ok(())
    }

    /// So long nobody does anything.
    fn pass(&mut self, seconds: u64) -> Result<(), String> {
        let end = self.now + Duration::from_secs(seconds);
        while self.now < end {
            self.advance(end.saturating_duration_since(self.now))?;
        }
        Ok(())
    }

    /// The file that was read is handed in.
    fn deliver(&mut self, Loading { load, job, file }: Loading) -> Result<(), String> {
        let options = LoadOptions { reload: true, ..LoadOptions::default() };
        // What was read is what stood there when it was begun.
        let path = self.dir.path().join("was.conf");
        std::fs::write(&path, file.text()).map_err(|error| error.to_string())?;
        let result = load_with(&path, &options, &[], &job.additions);
        let result = result.map(|loaded| LoadResult::new(loaded, &job.in_force));
        self.model.is_readable = result.is_ok();
        self.note(format!("read: {:?}", result.as_ref().err().map(ToString::to_string)));
        self.model.before_reading = self.up_instances();
        self.model.asked_with = job.additions.instances;
        self.model.read = Some(file);
        self.turn(|engine, now| engine.handle(now, Input::ConfigLoaded { load, result: Box::new(result) }))
    }

    /// The instances of templates that are up, or on their way.
    fn up_instances(&self) -> Vec<String> {
        let entries = self.engine.registry.configured().map(|(_, entry)| entry);
        let up = entries.filter(|entry| entry.machine.desired() == Desired::Up || entry.machine.is_engaged());
        up.map(|entry| entry.name().to_owned()).filter(|name| name.contains('@')).collect()
    }

    /// One daemon after the other.
    fn live(&mut self) -> Result<(), String> {
        self.boot()?;
        for _ in 0..STEPS {
            self.step()?;
            let most = Duration::from_millis(self.random.pick(&[0, 0, 100, 1_000, 15_000]));
            self.advance(most)?;
        }
        self.is_calm = true;
        self.judge_rest()
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Lives from this seed on; what is wrong with the first that breaks a rule.
fn simulate(seed: u64, lives: u64, distortion: Option<Distortion>) -> Result<BTreeMap<&'static str, u64>, String> {
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    for seed in seed..seed + lives {
        let mut sim = Sim::new(seed, distortion);
        if let Err(broken) = sim.live() {
            let tail = sim.trace[sim.trace.len().saturating_sub(160)..].join("\n");
            return Err(format!("{broken}\n{tail}\n{broken}\nSUPERVICE_SIM_SEED={seed} replays it"));
        }
        for (what, count) in sim.counts {
            *counts.entry(what).or_default() += count;
        }
    }
    Ok(counts)
}

#[test]
fn what_is_done_at_run_time_holds_among_reloads_commits_and_deaths() {
    let (seed, lives) = (setting("SUPERVICE_SIM_SEED").unwrap_or(1), setting("SUPERVICE_SIM_LIVES").unwrap_or(LIVES));
    let halves = [(seed, lives.div_ceil(2)), (seed + lives.div_ceil(2), lives / 2)];
    let threads = halves.map(|(seed, lives)| std::thread::spawn(move || simulate(seed, lives, None)));
    for thread in threads {
        match thread.join().expect("the simulation does not panic") {
            Ok(counts) => {
                println!("{counts:?}");
                let rarest = counts.values().min().copied().unwrap_or(0);
                assert!(
                    lives < LIVES || (counts.len() >= model::CASES && rarest >= 3),
                    "not every case was met: {counts:?}"
                );
            }
            Err(broken) => panic!("{broken}"),
        }
    }
}

/// Do the rules bite?
#[test]
fn every_distortion_of_control_is_caught() {
    for distortion in
        [Distortion::WritesLost, Distortion::AdditionsForgotten, Distortion::ContinuedNever, Distortion::StartsDisabled]
    {
        let found = simulate(1, 200, Some(distortion)).err();
        let found = found.unwrap_or_else(|| panic!("{distortion:?} was not caught"));
        println!("{distortion:?}: {}", found.lines().next().unwrap_or_default());
    }
}
