//! The life of a process in simulated time: random lives, faults and commands, and rules that hold at every step.
//!
//! `SUPERVICE_SIM_SEED` replays a seed, `SUPERVICE_SIM_STEPS` sets the number of turns.

mod harness;
mod lives;

use harness::Distortion;
use lives::Bug;

/// What is simulated.
mod subject {
    pub use supervice::internals::*;
    pub use supervice::models;
    pub use supervice::process::*;
}

const TURNS: u64 = 2_000_000;

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} shall be a number, not {text}")))
}

fn seed() -> u64 {
    setting("SUPERVICE_SIM_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        u64::from(now.subsec_nanos()) << 20 ^ now.as_secs()
    })
}

#[test]
fn every_rule_holds_in_random_lives() {
    let (seed, turns) = (seed(), setting("SUPERVICE_SIM_STEPS").unwrap_or(TURNS));
    println!("SUPERVICE_SIM_SEED={seed} SUPERVICE_SIM_STEPS={turns}");
    let halves = [seed, seed.wrapping_add(1 << 40)];
    let threads = halves.map(|seed| std::thread::spawn(move || harness::simulate(seed, turns / 2)));
    for thread in threads {
        match thread.join().expect("the simulation does not panic") {
            Ok(coverage) => {
                println!("{coverage:?}");
                let rare = [coverage.runs, coverage.stale, coverage.checks, coverage.kills, coverage.commands]
                    .into_iter()
                    .chain(coverage.entered);
                assert!(turns < TURNS || rare.min() > Some(1_000), "the simulation has not met every case often");
            }
            Err(broken) => panic!("{broken}"),
        }
    }
}

/// Do the rules bite? Each distortion has to be caught by the rule that it breaks.
#[test]
fn every_distortion_is_caught() {
    const SEED: u64 = 7;
    const LIMIT: u64 = 150_000;
    let (first, second) = Distortion::ALL.split_at(Distortion::ALL.len() / 2);
    let threads = [first, second].map(|half| {
        std::thread::spawn(move || half.iter().map(|it| (*it, harness::catch(SEED, *it, LIMIT))).collect::<Vec<_>>())
    });
    for (distortion, caught) in threads.into_iter().flat_map(|thread| thread.join().expect("nothing panics")) {
        match caught {
            Ok(turns) => println!("{distortion:?}: turn {turns}: {}", distortion.rule()),
            Err(others) => panic!("{distortion:?}: '{}' did not catch it: {others:#?}", distortion.rule()),
        }
    }
    assert!(harness::simulate(SEED, LIMIT).is_ok(), "the machine as it is breaks no rule");
}

/// Hooks, notifications, watchdogs and programs that put themselves into the background.
#[test]
fn every_rule_holds_in_lives_with_hooks_and_notifications() {
    let (seed, turns) = (seed(), setting("SUPERVICE_SIM_STEPS").unwrap_or(TURNS));
    println!("SUPERVICE_SIM_SEED={seed} SUPERVICE_SIM_STEPS={turns}");
    match lives::simulate(seed, turns / 4) {
        Ok(met) => {
            println!("{met:?}");
            assert!(turns < TURNS || met.rarest() > 500, "the simulation has not met every case often: {met:?}");
        }
        Err(broken) => panic!("{broken}"),
    }
}

#[test]
fn every_bug_of_hooks_and_notifications_is_caught() {
    for bug in Bug::ALL {
        match lives::catch(7, bug, 2_000) {
            Ok(lives) => println!("{bug:?}: life {lives}: {:?}", bug.rules()),
            Err(others) => panic!("{bug:?}: {:?} did not catch it: {others:#?}", bug.rules()),
        }
    }
}
