//! The arguments of `supervicectl`.

use std::ffi::OsString;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

use super::verb::{Names, Opt, Spelling, Verb, by_letter, by_name, common_options, spell};
use crate::client::{Amount, WaitFor};

/// The command line, taken apart.
#[derive(Debug, Default)]
pub(super) struct Args {
    /// `None`: none was named.
    pub verb: Option<Verb>,
    pub names: Vec<String>,
    given: Vec<Opt>,
    pub socket: Option<String>,
    pub config: Option<String>,
    pub file: Option<String>,
    pub timeout: Option<Duration>,
    pub until: Option<WaitFor>,
    pub confirm: Option<Duration>,
    pub history: usize,
    pub amount: Option<Amount>,
    pub name: Option<String>,
    pub settings: Vec<String>,
}

impl Args {
    /// Was this option given?
    pub fn has(&self, opt: Opt) -> bool {
        self.given.contains(&opt)
    }

    pub fn json(&self) -> bool {
        self.has(Opt::Json)
    }
}

pub(super) fn parse(args: impl Iterator<Item = OsString>) -> Result<Args, String> {
    let mut found = Args::default();
    let mut parser = Parser::from_iter(args);
    let plain = |error: lexopt::Error| error.to_string();
    while let Some(arg) = parser.next().map_err(plain)? {
        let spelling = match &arg {
            Arg::Value(_) => None,
            Arg::Short(letter) => by_letter(*letter, found.verb),
            Arg::Long(name) => by_name(name),
        };
        match (arg, spelling) {
            (Arg::Value(word), _) => {
                let word = word.string().map_err(plain)?;
                match found.verb {
                    // What follows is the program's own.
                    Some(Verb::Run) => {
                        found.names.push(word);
                        for word in parser.raw_args().map_err(plain)? {
                            found.names.push(word.string().map_err(plain)?);
                        }
                    }
                    Some(_) => found.names.push(word),
                    None => found.verb = Some(Verb::find(&word).ok_or_else(|| Verb::unknown(&word))?),
                }
            }
            (_, Some(spelling)) => {
                found.given.push(spelling.opt);
                if !spelling.value.is_empty() {
                    let value = parser.value().and_then(|value| value.string()).map_err(plain)?;
                    set(&mut found, spelling, value)?;
                }
            }
            (Arg::Short(letter), None) if found.verb == Some(Verb::Tail) && letter.is_ascii_digit() => {
                let value = parser.optional_value().map(|value| value.string()).transpose().map_err(plain)?;
                found.amount = Some(Amount::Bytes(bytes(letter, value.as_deref().unwrap_or_default())?));
            }
            (Arg::Short(letter), None) if in_place_of(letter).is_some() => {
                return Err(format!("invalid option '-{letter}': {}", in_place_of(letter).unwrap_or_default()));
            }
            (arg, None) => return Err(plain(arg.unexpected())),
        }
    }
    if let Some(verb) = found.verb
        && !found.has(Opt::Help)
    {
        check(verb, &mut found)?;
    }
    Ok(found)
}

/// `tail -100 NAME`: the newest 100 bytes, as supervisorctl has it.
fn bytes(first: char, others: &str) -> Result<usize, String> {
    let text = format!("{first}{others}");
    text.parse().map_err(|_| format!("-{text}: not a number of bytes; write -c BYTES or -n LINES"))
}

/// What is written in place of an option of supervisorctl.
fn in_place_of(letter: char) -> Option<&'static str> {
    match letter {
        'i' => Some("without a command, on a terminal, there is a prompt"),
        'u' | 'p' => Some(
            "a name and password are for HTTP, in SUPERVICE_USER and SUPERVICE_PASSWORD with -s http://HOST:PORT; on a socket \
             the user counts that you are",
        ),
        'r' => Some("the prompt remembers its lines by itself"),
        _ => None,
    }
}

fn set(found: &mut Args, spelling: &Spelling, value: String) -> Result<(), String> {
    let wrong = |wanted: &str| format!("--{} {value}: {wanted}", spelling.long);
    let number = || value.parse::<usize>().map_err(|_| wrong("not a whole number from 0 on"));
    match spelling.opt {
        Opt::Socket => found.socket = Some(value),
        Opt::Config => found.config = Some(value),
        Opt::File => found.file = Some(value),
        Opt::Timeout => found.timeout = Some(seconds(&value).ok_or_else(|| wrong(SECONDS))?),
        Opt::Confirm => found.confirm = Some(seconds(&value).ok_or_else(|| wrong(SECONDS))?),
        Opt::For => {
            let until = WaitFor::from_name(&value.to_ascii_lowercase());
            found.until = Some(until.ok_or_else(|| wrong("running, healthy, stopped or exited"))?);
        }
        Opt::History => found.history = number()?,
        Opt::Lines => found.amount = Some(Amount::Lines(number()?)),
        Opt::Name => found.name = Some(value),
        Opt::Set if !value.contains('=') => return Err(wrong("write KEY=VALUE")),
        Opt::Set => found.settings.push(value),
        Opt::Bytes => found.amount = Some(Amount::Bytes(number()?)),
        Opt::Help
        | Opt::Version
        | Opt::Json
        | Opt::Plain
        | Opt::Long
        | Opt::Watch
        | Opt::Force
        | Opt::Rolling
        | Opt::Only
        | Opt::Group
        | Opt::NoWait
        | Opt::Ready
        | Opt::Reverse
        | Opt::Dot
        | Opt::Secrets
        | Opt::Defaults
        | Opt::Wait
        | Opt::Pty
        | Opt::Now
        | Opt::Save
        | Opt::Follow => {}
    }
    Ok(())
}

fn check(verb: Verb, found: &mut Args) -> Result<(), String> {
    let spec = verb.spec();
    let common = |opt: Opt| common_options().any(|spelling| spelling.opt == opt);
    if let Some(opt) = found.given.iter().copied().find(|opt| !verb.takes(*opt) && !common(*opt)) {
        let with: Vec<&str> = Verb::listed().filter(|verb| verb.takes(opt)).map(Verb::name).collect();
        let option = spell(opt).long;
        return Err(match with.len() {
            0..=4 => format!("--{option} goes with {}, not with {}", with.join(", "), spec.name),
            _ => format!("--{option} does not go with {}", spec.name),
        });
    }
    // `stop web db --no-wait` may be wrapped over lines or come from a list: a name twice is one command.
    let mut seen = std::collections::HashSet::new();
    if !matches!(verb, Verb::Complete | Verb::Scale | Verb::Run) {
        found.names.retain(|name| seen.insert(name.clone()));
    }
    let names = found.names.len();
    let wrong = match spec.names {
        Names::None if names > 0 && verb == Verb::Update => {
            "takes no name: it applies all of the file; 'reread' shows what that is, 'restart NAME' restarts one program"
        }
        Names::None if names > 0 => "takes no name",
        Names::AtMostOne if names > 1 => "takes one name at most",
        Names::One if names > 1 => "takes one name",
        Names::AtLeastOne if verb == Verb::Run && names == 0 => "needs a command",
        Names::AtLeastOne | Names::One if names == 0 => "needs a name",
        Names::AtLeastOne if verb == Verb::Signal && names == 1 => "needs a signal and a name",
        Names::None | Names::Any | Names::AtMostOne | Names::One | Names::AtLeastOne => "",
    };
    if !wrong.is_empty() {
        return Err(format!("{} {wrong}", spec.name));
    }
    if verb == Verb::Wait && found.until.is_none() {
        return Err("wait needs --for running, healthy, stopped or exited".to_owned());
    }
    if verb == Verb::Graph && found.has(Opt::Dot) && (found.json() || found.has(Opt::Reverse)) {
        return Err("--dot goes neither with --json nor with --reverse".to_owned());
    }
    if verb == Verb::Restart && found.has(Opt::Rolling) && found.has(Opt::NoWait) {
        return Err("--rolling waits for each; it does not go with --no-wait".to_owned());
    }
    Ok(())
}

const SECONDS: &str = "not a number of seconds above 0";

fn seconds(text: &str) -> Option<Duration> {
    let number = text.parse::<f64>().ok().filter(|number| *number > 0.0)?;
    // Any finite time will do: who writes 1e19 means for ever.
    Duration::try_from_secs_f64(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<Args, String> {
        parse(std::iter::once("supervicectl").chain(text.split_whitespace()).map(OsString::from))
    }

    #[test]
    fn options_stand_before_or_behind_the_command() {
        for text in ["-s /x --timeout 1.5 --force restart a b", "restart a b --force --timeout=1.5 --socket=/x"] {
            let args = words(text).expect(text);
            assert_eq!(args.verb, Some(Verb::Restart));
            assert!(args.has(Opt::Force) && !args.json());
            assert_eq!(args.names, ["a", "b"]);
            assert_eq!((args.socket.as_deref(), args.timeout), (Some("/x"), Some(Duration::from_millis(1500))));
        }
    }

    #[test]
    fn a_letter_means_what_the_verb_says() {
        let args = words("-c /etc/x tail -c 100 web").expect("both");
        assert_eq!((args.config.as_deref(), args.amount), (Some("/etc/x"), Some(Amount::Bytes(100))));
        assert_eq!(words("status -c /etc/x").expect("one").config.as_deref(), Some("/etc/x"));
        assert_eq!(words("stop a b a").expect("two").names, ["a", "b"]);
    }

    #[test]
    fn a_number_of_bytes_is_an_option_of_tail_as_supervisorctl_has_it() {
        let args = words("tail -100 web").expect("an option");
        assert_eq!((args.amount, args.names.as_slice()), (Some(Amount::Bytes(100)), &["web".to_owned()][..]));
        let args = words("tail -f -5 web stderr").expect("several");
        assert_eq!((args.amount, args.has(Opt::Follow), args.names.len()), (Some(Amount::Bytes(5)), true, 2));
    }

    #[test]
    fn what_is_run_has_options_of_its_own() {
        for text in ["run --wait -- ls -l --json ls", "run --wait ls -l --json ls"] {
            let args = words(text).expect(text);
            assert!(args.has(Opt::Wait) && !args.json(), "{text}");
            assert_eq!(args.names, ["ls", "-l", "--json", "ls"], "{text}");
        }
        let args = words("run --set nice=5 --name a --set user=b -- -x -- y").expect("all of it");
        assert_eq!(args.settings, ["nice=5", "user=b"]);
        assert_eq!((args.name.as_deref(), args.names.join(" ").as_str()), (Some("a"), "-x -- y"));
    }

    #[test]
    fn nonsense_is_refused_with_a_remedy() {
        for (text, wanted) in [
            ("strat a", "unknown command 'strat'; did you mean 'start'?"),
            ("start", "start needs a name"),
            ("tail", "tail needs a name"),
            ("stdin", "stdin needs a name"),
            ("fg a b", "fg takes one name"),
            ("run --pty", "run needs a command"),
            ("run --set x -- y", "--set x: write KEY=VALUE"),
            ("reopen x", "reopen takes no name"),
            ("avail", "unknown command 'avail': 'status' shows what runs, 'reread' what an update would add"),
            (
                "maintail -f",
                "unknown command 'maintail': read the file that 'logfile' names, or ask with 'supervisorctl maintail'",
            ),
            ("-i", "invalid option '-i': without a command, on a terminal, there is a prompt"),
            ("tail -1x web", "-1x: not a number of bytes; write -c BYTES or -n LINES"),
            ("pid x y", "pid takes one name at most"),
            ("start -f a", "--follow goes with tail, not with start"),
            ("stop --force a", "--force goes with restart, not with stop"),
            ("signal HUP", "signal needs a signal and a name"),
            ("wait a", "wait needs --for running, healthy, stopped or exited"),
            ("wait --for up a", "--for up: running, healthy, stopped or exited"),
            ("tail -n x a", "--lines x: not a whole number from 0 on"),
            ("graph --dot --json", "--dot goes neither with --json nor with --reverse"),
            ("restart --rolling --no-wait a", "--rolling waits for each; it does not go with --no-wait"),
            ("--timeout -1 status", "--timeout -1: not a number of seconds above 0"),
            ("--timeout NaN status", "--timeout NaN: not a number of seconds above 0"),
            ("--nonsense status", "invalid option '--nonsense'"),
        ] {
            assert_eq!(words(text).map(|_| ()), Err(wanted.to_owned()), "{text}");
        }
    }
}
