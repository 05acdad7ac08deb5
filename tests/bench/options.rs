//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::*;

use crate::error::{Context, Result};
use crate::measure::Kind;

/// What `--help` prints.
pub const HELP: &str = "\
cargo bench --bench supervisors [-- OPTION…]

Compares supervice with the supervisors that are installed, run by run in turn.

  --quick           few programs, one round: less than a minute
  --only LIST       of start,respawn,status,stop,memory,idle,log,graph,http,spawn,growth (log, graph, http and growth: only if
                    they are named)
  --n LIST          numbers of programs, for every measure (default: 1, 20, 100, 1000, as fits the measure)
  --peers LIST      of supervice,bare,runit,s6,dinit,dinit.captures,nitro,supervisord,supervice.py (default: all that are installed)
  --rounds N        how often every peer has its turn (default 5; 1 with --quick)
  --busy N          so many endless loops run meanwhile: a machine at boot is never quiet
  --json FILE       all samples
  --svg FILE        a picture
  --readme FILE     measure nothing: write the tables of the samples of --from into README's place for them (-: print them)
  --from FILE,…     what --json has written
  --list            print the peers that were found, and end

tests/bench/run.sh gets the peers that are missing, measures in pieces, and writes README's tables.
SUPERVICE_BENCH_BEFORE names a directory with the binaries of an earlier build: the peer `supervice.before`.
SUPERVICE_BENCH_VENV names a Python virtual environment with supervisord or the Python package supervice.
TMPDIR must not be mounted noexec.
";

/// What was asked for.
#[derive(Debug, Default)]
pub struct Options {
    /// Few programs and short runs.
    pub quick: bool,
    /// The measures; empty: all.
    pub only: Vec<Kind>,
    /// The numbers of programs; empty: the defaults of each measure.
    pub sizes: Vec<usize>,
    /// The peers by name; empty: all.
    pub peers: Vec<String>,
    /// How often; `None`: the default.
    pub rounds: Option<usize>,
    /// How many loops keep the machine busy.
    pub busy: usize,
    /// The file that gets README's tables, and those with the samples.
    pub readme: Option<PathBuf>,
    /// What an earlier run has written as JSON.
    pub from: Vec<PathBuf>,
    /// Where to write JSON.
    pub json: Option<PathBuf>,
    /// Where to write the picture.
    pub svg: Option<PathBuf>,
    /// Only print the peers.
    pub list: bool,
    /// Only print the help.
    pub help: bool,
}

/// Reads the arguments, without the program's name.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Options> {
    let mut options = Options::default();
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().context("command line")? {
        match argument {
            // cargo adds this.
            Long("bench") => {}
            Long("quick") => options.quick = true,
            Long("list") => options.list = true,
            Long("help") | Short('h') => options.help = true,
            Long("only") => options.only = list(&mut parser, kind)?,
            Long("n") => options.sizes = list(&mut parser, |word| positive(word, "--n"))?,
            Long("peers") => options.peers = list(&mut parser, |word| Ok(word.to_owned()))?,
            Long("rounds") => options.rounds = list(&mut parser, |word| positive(word, "--rounds"))?.pop(),
            Long("busy") => options.busy = list(&mut parser, |word| positive(word, "--busy"))?.pop().unwrap_or(0),
            Long("readme") => options.readme = Some(parser.value().context("--readme")?.into()),
            Long("from") => options.from = list(&mut parser, |word| Ok(word.into()))?,
            Long("json") => options.json = Some(parser.value().context("--json")?.into()),
            Long("svg") => options.svg = Some(parser.value().context("--svg")?.into()),
            other => return Err(format!("{}; try --help", other.unexpected())),
        }
    }
    Ok(options)
}

fn list<T>(parser: &mut lexopt::Parser, item: impl Fn(&str) -> Result<T>) -> Result<Vec<T>> {
    let value = parser.value().context("command line")?;
    value.to_string_lossy().split(',').map(|word| item(word.trim())).collect()
}

fn kind(word: &str) -> Result<Kind> {
    let known = || Kind::ALL.map(Kind::name).join(", ");
    Kind::ALL
        .into_iter()
        .find(|kind| kind.name() == word)
        .ok_or_else(|| format!("--only {word}: not one of {}", known()))
}

fn positive(word: &str, option: &str) -> Result<usize> {
    word.parse().ok().filter(|&n| n > 0).ok_or_else(|| format!("{option} {word}: not a positive whole number"))
}
