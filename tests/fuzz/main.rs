//! The targets of the fuzzer without the fuzzer: the corpus, and some thousand mutations of it from a seeded generator.
//!
//! `SUPERVICE_FUZZ_RUNS=1000000 SUPERVICE_FUZZ_SEED=1 cargo test --test fuzz` for another number and other inputs,
//! `SUPERVICE_FUZZ_TARGETS=http,xmlrpc` for some of the targets; with cargo-fuzz, `cargo +nightly fuzz run --fuzz-dir tests/fuzz TARGET`.

mod targets;

use std::fs;
use std::path::Path;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable}: a number")))
}

/// A small generator, so that a run can be repeated.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound.max(1)).expect("small")).expect("small")
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).expect("a byte")
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", dir.display());
    paths.iter().map(|path| fs::read(path).expect("a file")).collect()
}

/// One input made of others: bytes are changed, put in, taken out, doubled, or spliced from another input.
fn mutated(corpus: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut input = corpus[chance.below(corpus.len())].clone();
    for _ in 0..=chance.below(8) {
        let (at, to) = (chance.below(input.len() + 1), chance.below(input.len() + 1));
        let (begin, end) = (at.min(to), at.max(to));
        match chance.below(7) {
            0 if at < input.len() => input[at] = chance.byte(),
            1 if at < input.len() => input[at] ^= 1 << chance.below(8),
            2 => input.insert(at, chance.byte()),
            3 => drop(input.drain(begin..end.min(begin + 16))),
            4 => {
                let part = input[begin..end.min(begin + 64)].to_vec();
                input.splice(at..at, part);
            }
            5 => {
                let other = &corpus[chance.below(corpus.len())];
                let from = chance.below(other.len() + 1);
                let part = other[from..other.len().min(from + 64)].to_vec();
                input.splice(at..at, part);
            }
            _ => input.truncate(to.max(1)),
        }
    }
    input.truncate(4096);
    input
}

#[test]
fn the_corpus_and_its_mutations() {
    let (seed, runs) = (number("SUPERVICE_FUZZ_SEED", 0x5eed), number("SUPERVICE_FUZZ_RUNS", 2000));
    let chosen = std::env::var("SUPERVICE_FUZZ_TARGETS").ok();
    let is_chosen = |name: &str| chosen.as_deref().is_none_or(|chosen| chosen.split(',').any(|one| one == name));
    let chosen: Vec<targets::Target> = targets::ALL.iter().copied().filter(|(name, _)| is_chosen(name)).collect();
    assert!(!chosen.is_empty(), "SUPERVICE_FUZZ_TARGETS: there is no such target");
    for (name, target) in chosen {
        let corpus = corpus(name);
        corpus.iter().for_each(|input| target(input));
        let mut chance = Chance(seed | 1);
        for run in 0..runs {
            let input = mutated(&corpus, &mut chance);
            let outcome = std::panic::catch_unwind(|| target(&input));
            assert!(
                outcome.is_ok(),
                "{name}, SUPERVICE_FUZZ_SEED={seed}, run {run}: {:?}",
                input.escape_ascii().to_string()
            );
        }
    }
}
