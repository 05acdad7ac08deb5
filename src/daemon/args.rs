//! The arguments of `supervice`.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use crate::config::LoadOptions;
use crate::models::{Dialect, SupervisorConfig};

pub(super) const HELP: &str = "\
Usage: supervice [OPTION]...
       supervice --init [OPTION]... -- PROGRAM [ARG]...
Start the programs of a configuration file, watch them, and restart them.

  -c, --config FILE     the configuration (default: supervisord.conf in this
                        directory, else /etc/supervice.conf, else that of
                        supervisord: etc/supervisord.conf, then the same in
                        /etc and /etc/supervisor)
  -n, --nodaemon        stay in the foreground and log to standard output
  -l, --logfile FILE    the daemon's own log ('none': none)
  -e, --loglevel LEVEL  DEBUG, INFO, WARNING, ERROR or CRITICAL
      --check           check the configuration and exit
      --json            with --check: print the effective configuration;
                        with --simulate: print JSON
      --secrets         with --check --json: with the values of 'environment'
      --graph           with --check: print who starts after whom
      --simulate        run the configuration on a simulated clock: print what
                        happens to its programs, and how it ends
      --for TIME        with --simulate: for so long (default: 60s)
      --date DATE       with --simulate: it begins then, such as 2026-03-29 or
                        2026-03-29T01:30, for schedules and changes of clocks
      --ready NAME=TIME with --simulate: it is ready so long after each start, a
                        oneshot completes; NAME may be a condition of start_when,
                        TIME may be 'never'
      --fail NAME@TIME=END
                        with --simulate: it ends then; exit:CODE or signal:NAME;
                        or from then on its health, ready, watchdog or HOOK fails
      --stop NAME@TIME  with --simulate: an operator stops it then
      --reload FILE@TIME
                        with --simulate: this is the configuration from then on
      --strict          unknown sections and keys are errors
      --dialect RULES   read the file as 'supervice' or 'supervisord' does
                        (default: supervisord where it has [supervisord])
      --init            reap every orphan among the descendants, as PID 1 does;
                        with a program: be its init, see 'supervice --init -h'
      --system-init     be the init of the machine, started by the kernel:
                        mount what is missing, run, turn the machine off
      --mount PLACES    with --system-init: where, with commas between
                        (default: /proc,/sys,/dev,/dev/pts,/run; none)
      --version         print the version
  -h, --help            print this

Without -n the command returns when the daemon is listening. SIGTERM and SIGINT
end it in order, a second one at once; SIGHUP reloads; SIGUSR2 opens the logs anew.
Exit code: 0 success, 1 failure, 2 wrong usage. See supervice(8), supervice.conf(5).
";

/// What the arguments ask for.
pub(super) enum Mode {
    Run(Args),
    Check { json: bool, secrets: bool, graph: bool, args: Args },
    Simulate { args: Args, options: SimulateOptions, json: bool },
    DemoServer(String),
    Help,
    Version,
}

/// The options of a run or a check.
#[derive(Debug, Default)]
pub(super) struct Args {
    pub config: Option<PathBuf>,
    pub foreground: bool,
    /// Not asked to stay in the foreground, but PID 1, which can't leave it.
    pub kept_in_foreground: bool,
    /// The default pid file can't be written.
    pub no_pidfile: bool,
    pub logfile: Option<String>,
    pub loglevel: Option<String>,
    pub strict: bool,
    pub dialect: Option<Dialect>,
    pub init: bool,
    pub system: bool,
    pub mounts: Option<String>,
}

/// The options of a simulation, as they are written.
#[derive(Debug, Default)]
pub(super) struct SimulateOptions {
    pub duration: Option<String>,
    pub date: Option<String>,
    pub ready: Vec<String>,
    pub fail: Vec<String>,
    pub stop: Vec<String>,
    pub reload: Vec<String>,
}

impl SimulateOptions {
    fn is_any(&self) -> bool {
        let lists = [&self.ready, &self.fail, &self.stop, &self.reload];
        self.duration.is_some() || self.date.is_some() || lists.iter().any(|list| !list.is_empty())
    }
}

impl Args {
    /// How the file is read, at the start and at each reload.
    pub(super) fn load_options(&self) -> LoadOptions {
        LoadOptions { strict: self.strict, dialect: self.dialect, reload: false }
    }

    /// What the command line says goes before what the file says.
    pub(super) fn adjust(&self, config: &mut SupervisorConfig) {
        if let Some(logfile) = &self.logfile {
            config.logfile = (logfile != "none" && !logfile.is_empty()).then(|| logfile.clone());
        }
        if self.no_pidfile {
            config.pidfile = None;
        }
        if let Some(level) = &self.loglevel {
            config.loglevel.clone_from(level);
        }
    }
}

pub(super) fn parse(args: impl Iterator<Item = OsString>) -> Result<Mode, String> {
    read(Parser::from_iter(args)).map_err(|error| error.to_string())
}

fn read(mut parser: Parser) -> Result<Mode, lexopt::Error> {
    let mut args = Args::default();
    let (mut check, mut json, mut secrets, mut graph) = (false, false, false, false);
    let (mut simulated, mut simulation) = (false, SimulateOptions::default());
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('c') | Arg::Long("config" | "configuration") => args.config = Some(parser.value()?.into()),
            Arg::Short('n') | Arg::Long("nodaemon" | "foreground") => args.foreground = true,
            Arg::Short('l') | Arg::Long("logfile") => args.logfile = Some(parser.value()?.string()?),
            Arg::Short('e') | Arg::Long("loglevel") => args.loglevel = Some(level(&parser.value()?.string()?)?),
            Arg::Long("check") => check = true,
            Arg::Long("json") => json = true,
            Arg::Long("secrets") => secrets = true,
            Arg::Long("graph") => graph = true,
            Arg::Long("simulate") => simulated = true,
            Arg::Long("for") => simulation.duration = Some(parser.value()?.string()?),
            Arg::Long("date") => simulation.date = Some(parser.value()?.string()?),
            Arg::Long("ready") => simulation.ready.push(parser.value()?.string()?),
            Arg::Long("fail") => simulation.fail.push(parser.value()?.string()?),
            Arg::Long("stop") => simulation.stop.push(parser.value()?.string()?),
            Arg::Long("reload") => simulation.reload.push(parser.value()?.string()?),
            Arg::Long("strict") => args.strict = true,
            Arg::Long("dialect") => args.dialect = Some(dialect(&parser.value()?.string()?)?),
            Arg::Long("init") => args.init = true,
            Arg::Long("system-init") => args.system = true,
            Arg::Long("mount") => args.mounts = Some(parser.value()?.string()?),
            Arg::Long("demo-server") => return Ok(Mode::DemoServer(parser.value()?.string()?)),
            Arg::Short('h') | Arg::Long("help") => return Ok(Mode::Help),
            Arg::Short('V' | 'v') | Arg::Long("version") => return Ok(Mode::Version),
            Arg::Short(_) | Arg::Long(_) | Arg::Value(_) => return Err(unexpected(arg)),
        }
    }
    if args.mounts.is_some() && !args.system {
        return Err("--mount goes with --system-init".into());
    }
    if secrets && !json {
        return Err("--secrets goes with --check --json".into());
    }
    if graph && (json || !check) {
        return Err("--graph goes with --check alone".into());
    }
    if simulated && check {
        return Err("--simulate and --check exclude each other".into());
    }
    if simulation.is_any() && !simulated {
        return Err("--for, --date, --ready, --fail, --stop and --reload go with --simulate".into());
    }
    if simulated {
        return Ok(Mode::Simulate { args, options: simulation, json });
    }
    match (check, json) {
        (true, _) => Ok(Mode::Check { json, secrets, graph, args }),
        (false, true) => Err("--json goes with --check or --simulate".into()),
        (false, false) => Ok(Mode::Run(args)),
    }
}

/// Options of supervisord that are none here, and the key of `[supervisord]` that says the same.
const SUPERVISORDS: [(&str, &str, &str); 12] = [
    ("u", "user", "user = NAME"),
    ("m", "umask", "umask = 022"),
    ("d", "directory", "directory = DIR"),
    ("y", "logfile_maxbytes", "logfile_maxbytes = 50MB"),
    ("z", "logfile_backups", "logfile_backups = 10"),
    ("j", "pidfile", "pidfile = FILE"),
    ("i", "identifier", "identifier = NAME"),
    ("q", "childlogdir", "childlogdir = DIR"),
    ("t", "strip_ansi", "strip_ansi = true"),
    ("a", "minfds", "minfds = 1024"),
    ("", "minprocs", "minprocs = 200"),
    ("s", "silent", "silent = true"),
];

/// What is no option here; of supervisord's, with what says the same.
fn unexpected(arg: Arg<'_>) -> lexopt::Error {
    let (written, name) = match &arg {
        Arg::Short(letter) => (format!("-{letter}"), letter.to_string()),
        Arg::Long(name) => (format!("--{name}"), (*name).to_owned()),
        Arg::Value(_) => return arg.unexpected(),
    };
    if ["k", "nocleanup"].contains(&name.as_str()) {
        return format!("invalid option '{written}': nothing is cleaned up in the first place; leave it out").into();
    }
    let known = SUPERVISORDS.iter().find(|(short, long, _)| [*short, *long].contains(&name.as_str()));
    match known {
        Some((_, _, key)) => format!("invalid option '{written}': write `{key}` into [supervisord] of the file").into(),
        None => arg.unexpected(),
    }
}

fn dialect(text: &str) -> Result<Dialect, String> {
    let known = [Dialect::Supervice, Dialect::Supervisord].into_iter().find(|dialect| dialect.as_str() == text);
    known.ok_or_else(|| format!("unknown dialect '{text}'; write supervice or supervisord"))
}

fn level(text: &str) -> Result<String, String> {
    // supervisord's, as in the file.
    let text = if ["trace", "blather"].contains(&text.to_ascii_lowercase().as_str()) { "DEBUG" } else { text };
    match crate::util::log_level::parse(text) {
        Some((name, _)) => Ok(name.to_owned()),
        None => Err(format!("unknown log level '{text}'; one of DEBUG, INFO, WARNING, ERROR, CRITICAL")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(words: &[&str]) -> Result<Mode, String> {
        parse(std::iter::once("supervice").chain(words.iter().copied()).map(OsString::from))
    }

    #[test]
    fn options_are_read() {
        let Ok(Mode::Run(args)) = mode(&["-n", "-c", "a.conf", "-l", "x.log", "-e", "warn"]) else { panic!("run") };
        assert!(args.foreground && args.config == Some("a.conf".into()));
        assert_eq!((args.logfile.as_deref(), args.loglevel.as_deref()), (Some("x.log"), Some("WARNING")));
        assert!(matches!(mode(&["--check", "--json"]), Ok(Mode::Check { json: true, secrets: false, .. })));
        assert!(matches!(mode(&["--check", "--json", "--secrets"]), Ok(Mode::Check { secrets: true, .. })));
        let Ok(Mode::Run(args)) = mode(&["--dialect", "supervisord"]) else { panic!("run") };
        assert_eq!(args.dialect, Some(Dialect::Supervisord));
    }

    #[test]
    fn options_of_supervisord_name_the_key_that_says_the_same() {
        for (words, key) in [
            (&["-u", "nobody"][..], "'-u': write `user = NAME` into [supervisord]"),
            (&["--pidfile=/x"], "'--pidfile': write `pidfile = FILE`"),
            (&["-t"], "'-t': write `strip_ansi = true`"),
            (&["-k"], "'-k': nothing is cleaned up"),
        ] {
            let told = mode(words).err().expect("no option");
            assert!(told.starts_with("invalid option ") && told.contains(key), "{told}");
        }
        let Ok(Mode::Run(args)) = mode(&["-e", "blather"]) else { panic!("run") };
        assert_eq!(args.loglevel.as_deref(), Some("DEBUG"));
    }

    #[test]
    fn the_manual_has_each_option_of_supervisord() {
        let manual =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/man/supervice.8")).unwrap();
        for (short, long, setting) in SUPERVISORDS {
            let short = if short.is_empty() { String::new() } else { format!("{short} , Fl ") };
            let key = setting.split(' ').next().unwrap_or_default();
            let row = format!(".It Fl {short}-{long} Ta Cm {key}\n");
            assert!(manual.contains(&row), "{row}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for words in [
            &["--json"][..],
            &["-e", "loud"],
            &["-c"],
            &["extra"],
            &["--nonsense"],
            &["-z"],
            &["--check", "--secrets"],
            &["--graph"],
            &["--check", "--json", "--graph"],
            &["--dialect", "x"],
            &["--for", "5s"],
            &["--check", "--fail", "a@5s=exit:1"],
            &["--simulate", "--check"],
            &["--simulate", "--secrets"],
        ] {
            assert!(mode(words).is_err(), "{words:?}");
        }
    }
}
