//! The four command lines: our own, and those of the programs that we stand in for.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use lexopt::{Arg, Parser, ValueExt};

use super::rules::{FAULTS, Forgiven, JOB_STOPS, Rules, TTIN, TTOU};
use crate::process::signal_number;
use crate::sys::init::Place;

/// Whose command line, environment variables, signal rules and exit codes are in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CompatMode {
    Supervice,
    Tini,
    DumbInit,
    Catatonit,
}

impl CompatMode {
    /// By the name of the link. Docker calls its copy of tini `docker-init`.
    pub(super) fn of(command: &OsStr) -> Option<CompatMode> {
        match Path::new(command).file_name()?.to_str()? {
            "tini" | "tini-static" | "docker-init" => Some(CompatMode::Tini),
            "dumb-init" => Some(CompatMode::DumbInit),
            "catatonit" => Some(CompatMode::Catatonit),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            CompatMode::Supervice => "supervice",
            CompatMode::Tini => "tini",
            CompatMode::DumbInit => "dumb-init",
            CompatMode::Catatonit => "catatonit",
        }
    }

    /// The exit code for a wrong command line.
    pub(super) fn usage_code(self) -> u8 {
        if self == CompatMode::Supervice { 2 } else { 1 }
    }

    /// The exit code for a program that can't be executed.
    pub(super) fn exec_code(self, not_found: bool) -> u8 {
        match (self, not_found) {
            (CompatMode::Supervice | CompatMode::Tini, true) => 127,
            (CompatMode::Supervice | CompatMode::Tini, false) => 126,
            (CompatMode::DumbInit, _) => 2,
            (CompatMode::Catatonit, _) => 1,
        }
    }

    /// Docker looks for "tini version" in the answer, which is why catatonit says so as well.
    pub(super) fn version(self) -> &'static str {
        match self {
            CompatMode::Supervice => concat!("supervice ", env!("CARGO_PKG_VERSION"), "\n"),
            CompatMode::Tini => concat!("tini version 0.19.0 (supervice ", env!("CARGO_PKG_VERSION"), ")\n"),
            CompatMode::DumbInit => concat!("dumb-init v1.2.5 (supervice ", env!("CARGO_PKG_VERSION"), ")\n"),
            CompatMode::Catatonit => {
                concat!("tini version 0.2.0_catatonit (supervice ", env!("CARGO_PKG_VERSION"), ")\n")
            }
        }
    }

    pub(super) fn help(self) -> &'static str {
        match self {
            CompatMode::Supervice => HELP,
            CompatMode::Tini => TINI_HELP,
            CompatMode::DumbInit => DUMB_INIT_HELP,
            CompatMode::Catatonit => CATATONIT_HELP,
        }
    }
}

const HELP: &str = "\
Usage: supervice --init [OPTION]... -- PROGRAM [ARG]...
Run one program as the init of a container: forward every signal to it, reap
orphans, and exit with its exit code, or 128 and the signal that ended it.

  -g               send signals to the program's process group
  -e CODE          exit with 0 in place of this code (may be repeated)
  -r, --rewrite FROM:TO
                   send another signal in place of this one; 0: none
  -p SIGNAL        get this signal when the parent process ends
  -s               inherit orphans where it is not PID 1 (the default)
  -w               tell of each orphan that is reaped
  -v, --verbose    tell what is done (-vv: every signal as well)
  -h, --help       print this
";

const TINI_HELP: &str = "\
Usage: tini [OPTION]... PROGRAM [ARG]... | --version

  -s         inherit orphans where it is not PID 1 (TINI_SUBREAPER)
  -p SIGNAL  get this signal when the parent process ends
  -v         tell more, up to three times (TINI_VERBOSITY=N)
  -w         tell of each orphan that is reaped
  -g         send signals to the program's process group (TINI_KILL_PROCESS_GROUP)
  -e CODE    exit with 0 in place of this code (may be repeated)
  -h         print this
  -l         print the license
";

const DUMB_INIT_HELP: &str = "\
Usage: dumb-init [OPTION]... PROGRAM [ARG]...

  -c, --single-child   no session: signals go to the program alone (DUMB_INIT_SETSID=0)
  -r, --rewrite S:R    send signal R in place of S; 0: none (may be repeated)
  -v, --verbose        tell what is done (DUMB_INIT_DEBUG=1)
  -h, --help           print this
  -V, --version        print the version
";

const CATATONIT_HELP: &str = "\
Usage: catatonit [OPTION]... [--] PROGRAM [ARG]...

  -g             send signals to the program's process group
  -P             pause: run no program, end at SIGINT or SIGTERM
  -h             print this
  -L             print the license
  -V, --version  print the version
";

pub(super) const LICENSE: &str = "supervice, Apache License 2.0\n";

/// What the command line asks for.
#[derive(Debug)]
pub(super) enum Asked {
    Run(Options),
    Print(&'static str),
}

/// How to run the program.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) mode: CompatMode,
    /// Empty only with `pause`.
    pub(super) program: Vec<OsString>,
    pub(super) place: Place,
    /// Signals go to the program's group.
    pub(super) group: bool,
    pub(super) rules: Rules,
    /// Signals with their default action on us.
    pub(super) released: &'static [u8],
    pub(super) forgiven: Forgiven,
    pub(super) parent_death: Option<u8>,
    pub(super) subreaper: bool,
    /// 0: why it ended; 1: warnings; 2: what is done; 3: every signal.
    pub(super) verbosity: u8,
    pub(super) tell_reaped: bool,
    /// Run no program, wait for SIGINT or SIGTERM.
    pub(super) pause: bool,
}

impl Options {
    /// The program as it was called.
    pub(super) fn name(&self) -> &Path {
        self.program.first().map_or(Path::new(""), Path::new)
    }

    fn new(mode: CompatMode) -> Options {
        Options {
            mode,
            program: Vec::new(),
            place: Place::OwnGroup,
            group: false,
            rules: Rules::new(),
            released: &[],
            forgiven: Forgiven::default(),
            parent_death: None,
            subreaper: true,
            verbosity: 1,
            tell_reaped: false,
            pause: false,
        }
    }
}

/// What a mode's program starts from, before its command line is read. `variable` looks into the environment.
fn defaults(mode: CompatMode, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Options, String> {
    let mut options = Options::new(mode);
    match mode {
        CompatMode::Supervice => {}
        CompatMode::Tini => {
            options.subreaper = variable("TINI_SUBREAPER").is_some();
            options.group = variable("TINI_KILL_PROCESS_GROUP").is_some();
            let level = variable("TINI_VERBOSITY").and_then(|text| text.to_str()?.trim().parse().ok());
            options.verbosity = level.unwrap_or(1);
            options.released = &FAULTS;
            // A program is not told that its init is in the background, whatever the init would have to write.
            [TTIN, TTOU].into_iter().for_each(|signal| options.rules.rewrite(signal, 0));
        }
        CompatMode::DumbInit => {
            options.subreaper = false;
            options.place = Place::OwnSession;
            if variable("DUMB_INIT_SETSID").is_some_and(|text| text == "0") {
                options.place = Place::WithUs;
            }
            if variable("DUMB_INIT_DEBUG").is_some_and(|text| text == "1") {
                options.verbosity = 3;
            }
        }
        CompatMode::Catatonit => {
            if variable("CATATONIT_LOG").is_some() {
                return Err("CATATONIT_LOG is reserved for future use".to_owned());
            }
            options.verbosity = if variable("CATATONIT_DEBUG").is_some() { 3 } else { 1 };
            options.released = &FAULTS;
            JOB_STOPS.into_iter().for_each(|signal| options.rules.rewrite(signal, 0));
        }
    }
    Ok(options)
}

/// Reads the arguments behind the command's own name.
pub(super) fn parse(
    mode: CompatMode,
    args: &[OsString],
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Asked, String> {
    let mut options = defaults(mode, variable)?;
    let mut rewrites = Vec::new();
    let mut parser = Parser::from_args(args);
    loop {
        let arg = parser.next().map_err(|error| error.to_string())?;
        match (mode, arg) {
            (_, None) => break,
            (_, Some(Arg::Value(word))) => {
                options.program.push(word);
                options.program.extend(parser.raw_args().map_err(|error| error.to_string())?);
                break;
            }
            (CompatMode::Supervice | CompatMode::Tini | CompatMode::Catatonit, Some(Arg::Short('g'))) => {
                options.group = true
            }
            (CompatMode::Supervice | CompatMode::Tini, Some(Arg::Short('s'))) => options.subreaper = true,
            (CompatMode::Supervice | CompatMode::Tini, Some(Arg::Short('w'))) => options.tell_reaped = true,
            (CompatMode::Supervice | CompatMode::Tini, Some(Arg::Short('e'))) => {
                options.forgiven.add(code(&text(&mut parser)?)?);
            }
            (CompatMode::Supervice | CompatMode::Tini, Some(Arg::Short('p'))) => {
                options.parent_death = Some(death_signal(&text(&mut parser)?)?);
            }
            (CompatMode::Tini, Some(Arg::Short('v'))) => options.verbosity = options.verbosity.saturating_add(1),
            (CompatMode::Supervice, Some(Arg::Short('v') | Arg::Long("verbose"))) => {
                options.verbosity = options.verbosity.saturating_add(1);
            }
            (CompatMode::DumbInit, Some(Arg::Short('v'))) => options.verbosity = 3,
            (CompatMode::DumbInit, Some(Arg::Long(name))) if begins("verbose", name, 4) => options.verbosity = 3,
            (CompatMode::DumbInit, Some(Arg::Short('c'))) => options.place = Place::WithUs,
            (CompatMode::DumbInit, Some(Arg::Long(name))) if begins("single-child", name, 1) => {
                options.place = Place::WithUs;
            }
            (CompatMode::Supervice | CompatMode::DumbInit, Some(Arg::Short('r') | Arg::Long("rewrite"))) => {
                rewrites.push(rewrite(mode, &text(&mut parser)?)?);
            }
            (CompatMode::DumbInit, Some(Arg::Long(name))) if begins("rewrite", name, 1) => {
                rewrites.push(rewrite(mode, &text(&mut parser)?)?);
            }
            (CompatMode::Catatonit, Some(Arg::Short('P'))) => options.pause = true,
            (_, Some(Arg::Short('h'))) => return Ok(Asked::Print(mode.help())),
            (CompatMode::Supervice | CompatMode::DumbInit, Some(Arg::Long("help"))) => {
                return Ok(Asked::Print(mode.help()));
            }
            (CompatMode::DumbInit | CompatMode::Catatonit, Some(Arg::Short('V'))) => {
                return Ok(Asked::Print(mode.version()));
            }
            (_, Some(Arg::Long("version"))) => return Ok(Asked::Print(mode.version())),
            (CompatMode::Tini, Some(Arg::Short('l'))) => return Ok(Asked::Print(LICENSE)),
            (CompatMode::Catatonit, Some(Arg::Short('L'))) => return Ok(Asked::Print(LICENSE)),
            (_, Some(other)) => return Err(other.unexpected().to_string()),
        }
    }
    if options.program.is_empty() && !options.pause {
        return Err("no program to run".to_owned());
    }
    if mode == CompatMode::DumbInit {
        options.group = options.place == Place::OwnSession;
        if options.group {
            options.rules.stop_for_certain();
        }
    }
    rewrites.into_iter().for_each(|(from, to)| options.rules.rewrite(from, to));
    Ok(Asked::Run(options))
}

/// `getopt_long` takes a long option's unambiguous beginning for it.
fn begins(option: &str, given: &str, at_least: usize) -> bool {
    given.len() >= at_least && option.starts_with(given)
}

fn text(parser: &mut Parser) -> Result<String, String> {
    parser.value().and_then(|value| value.string()).map_err(|error| error.to_string())
}

fn code(text: &str) -> Result<u8, String> {
    text.parse().map_err(|_| format!("-e {text}: an exit code is a number from 0 to 255"))
}

fn death_signal(text: &str) -> Result<u8, String> {
    signal_number(text).ok_or_else(|| format!("-p {text}: no such signal; give a name such as SIGTERM"))
}

/// `FROM:TO`. dumb-init takes the numbers of the classic signals alone.
fn rewrite(mode: CompatMode, text: &str) -> Result<(u8, u8), String> {
    let known = |word: &str| match (mode, word.parse::<u8>()) {
        (CompatMode::DumbInit, number) => number.ok().filter(|number| *number <= 31),
        (_, Ok(0)) => Some(0),
        _ => signal_number(word),
    };
    let pair = text.split_once(':').and_then(|(from, to)| Some((known(from)?, known(to)?)));
    let wanted = if mode == CompatMode::DumbInit { "numbers from 1 to 31" } else { "names or numbers" };
    pair.filter(|(from, _)| *from != 0)
        .ok_or_else(|| format!("--rewrite {text}: give two signals as FROM:TO, {wanted}; TO may be 0 for none"))
}

#[cfg(test)]
mod tests;
