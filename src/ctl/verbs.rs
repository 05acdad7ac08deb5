//! What `supervicectl` can do: one table, from which the arguments are read and the help is written.

use super::args::Args;
use super::{act, ask, events, health, status, tail, top};
use crate::client::Controller;

/// One call: who is asked, and for what.
pub(super) struct Call<'a> {
    pub controller: &'a Controller,
    pub args: &'a Args,
}

/// How many names a verb takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    None,
    Maybe,
    /// At most one.
    MaybeOne,
    Some,
}

/// Something that can be asked for.
#[derive(Debug)]
pub(super) struct Verb {
    pub name: &'static str,
    /// The options and names that it takes, as the usage has them.
    pub args: &'static str,
    /// One line.
    pub help: &'static str,
    /// Its own options.
    pub options: &'static [Opt],
    pub names: Names,
    pub run: fn(&Call<'_>) -> u8,
}

impl Verb {
    /// Does it ask for a change, which may be made though no answer comes?
    pub fn changes(&self) -> bool {
        let asking =
            ["status", "top", "why", "history", "events", "tail", "health", "wait", "reread", "pid", "ping", "version"];
        !asking.contains(&self.name)
    }
}

/// An option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opt {
    Socket,
    Config,
    Timeout,
    Help,
    Version,
    Json,
    Plain,
    Long,
    Watch,
    Force,
    Rolling,
    NoWait,
    For,
    Confirm,
    History,
    Ready,
    Follow,
    Lines,
    Bytes,
}

/// How an option is written.
pub(super) struct Spelling {
    pub opt: Opt,
    pub short: Option<char>,
    pub long: &'static str,
    /// What its value is called, if it has one.
    pub value: &'static str,
    pub help: &'static str,
}

const fn spelling(
    opt: Opt,
    short: Option<char>,
    long: &'static str,
    value: &'static str,
    help: &'static str,
) -> Spelling {
    Spelling { opt, short, long, value, help }
}

/// Those that go with every verb come first: of two with the same letter the verb's own counts behind the verb.
pub(super) static OPTIONS: [Spelling; 19] = [
    spelling(Opt::Socket, Some('s'), "socket", "SOCKET", "the daemon's socket"),
    spelling(Opt::Config, Some('c'), "config", "FILE", "the daemon's configuration, which names the socket"),
    spelling(Opt::Timeout, None, "timeout", "SECONDS", "give up waiting after this time"),
    spelling(Opt::Help, Some('h'), "help", "", "print a summary"),
    spelling(Opt::Version, Some('V'), "version", "", "print the version"),
    spelling(Opt::Json, None, "json", "", "print the answer as JSON"),
    spelling(Opt::Plain, None, "plain", "", "for scripts: separated by tabs, without a heading"),
    spelling(Opt::Long, Some('l'), "long", "", "with CPU, memory, restarts and since when"),
    spelling(Opt::Watch, Some('w'), "watch", "", "go on, and show every change"),
    spelling(Opt::Force, None, "force", "", "stop by SIGKILL"),
    spelling(Opt::Rolling, None, "rolling", "", "one by one, each RUNNING and healthy first"),
    spelling(Opt::NoWait, None, "no-wait", "", "do not wait for the effect"),
    spelling(Opt::For, None, "for", "WHAT", "running, healthy, stopped or exited"),
    spelling(Opt::Confirm, None, "confirm", "SECONDS", "go back unless 'confirm' comes in this time"),
    spelling(Opt::History, None, "history", "NUMBER", "begin with so many past transitions"),
    spelling(Opt::Ready, None, "ready", "", "none may be STARTING"),
    spelling(Opt::Follow, Some('f'), "follow", "", "go on with what comes"),
    spelling(Opt::Lines, Some('n'), "lines", "LINES", "so many lines"),
    spelling(Opt::Bytes, Some('c'), "bytes", "BYTES", "so many bytes"),
];

/// How many at the beginning of [`OPTIONS`] go with every verb.
pub(super) const COMMON: usize = 5;

const fn verb(
    name: &'static str,
    args: &'static str,
    help: &'static str,
    options: &'static [Opt],
    names: Names,
    run: fn(&Call<'_>) -> u8,
) -> Verb {
    Verb { name, args, help, options, names, run }
}

const ACTING: &[Opt] = &[Opt::NoWait, Opt::Json];
const TAIL: &[Opt] = &[Opt::Follow, Opt::Lines, Opt::Bytes];

#[rustfmt::skip]
pub(super) static VERBS: [Verb; 33] = [
    verb("status", "[-l] [-w] [NAME]...", "the state of all processes, or of these",
        &[Opt::Long, Opt::Watch, Opt::Plain, Opt::Json], Names::Maybe, status::status),
    verb("top", "", "the same, full screen, with output and keys", &[], Names::None, top::top),
    verb("why", "NAME...", "how they came to their state, and what comes next", &[Opt::Json], Names::Some, ask::why),
    verb("history", "[NAME]", "the last transitions, and who asked for them", &[Opt::Json], Names::MaybeOne, ask::history),
    verb("events", "[TYPE]...", "what happens, as it happens", &[Opt::Json, Opt::History], Names::Maybe, events::events),
    verb("tail", "[-f] [-n LINES | -c BYTES] NAME... [stdout|stderr]", "the newest output (10 lines); with -f what comes", TAIL, Names::Some, tail::tail),
    verb("health", "[--ready] [NAME]...", "exit with 0 if all (or these) are well", &[Opt::Ready], Names::Maybe, health::health),
    verb("start", "[--no-wait] NAME...", "start, and wait until they are RUNNING", ACTING, Names::Some, act::act),
    verb("stop", "[--no-wait] NAME...", "stop, and wait until nothing of them is left", ACTING, Names::Some, act::act),
    verb("restart", "[--force] [--rolling] NAME...", "stop (with --force by SIGKILL) and start",
        &[Opt::Force, Opt::Rolling, Opt::NoWait, Opt::Json], Names::Some, act::act),
    verb("kill", "NAME...", "SIGKILL at once, also to one that is stopping", ACTING, Names::Some, act::act),
    verb("signal", "SIGNAL NAME...", "send a signal to their process groups", &[Opt::Json], Names::Some, act::signal),
    verb("wait", "--for WHAT NAME...", "wait until they are running, healthy, stopped...", &[Opt::For, Opt::Json], Names::Some, act::act),
    verb("startgroup", "GROUP...", "start all members of a group", ACTING, Names::Some, act::act),
    verb("stopgroup", "GROUP...", "stop all members of a group", ACTING, Names::Some, act::act),
    verb("clear", "NAME...", "empty the log files of these", &[Opt::Json], Names::Some, act::act),
    verb("reopen", "", "open all log files anew", &[Opt::Json], Names::None, ask::message),
    verb("reread", "", "what an update would change; nothing is done", &[Opt::Json], Names::None, ask::reread),
    verb("update", "[--confirm SECONDS]", "read the configuration again and apply all of it", &[Opt::Confirm, Opt::Json], Names::None, ask::update),
    verb("confirm", "", "keep what update --confirm has changed", &[Opt::Json], Names::None, ask::message),
    verb("reload", "", "read the configuration again; restart nothing", &[Opt::Json], Names::None, ask::reload),
    verb("loglevel", "[LEVEL]", "how much the daemon logs", &[Opt::Json], Names::MaybeOne, ask::log_level),
    verb("pid", "[NAME]", "the process id of the daemon, or of this", &[Opt::Json], Names::MaybeOne, ask::pid),
    verb("ping", "", "does the daemon answer?", &[Opt::Json], Names::None, ask::ping),
    verb("shutdown", "", "stop everything and end the daemon", &[Opt::Json], Names::None, ask::message),
    verb("poweroff", "", "turn the machine off, where the daemon is its init", &[], Names::None, ask::message),
    verb("reboot", "", "start the machine anew", &[], Names::None, ask::message),
    verb("halt", "", "stop the machine and leave the power on", &[], Names::None, ask::message),
    verb("version", "", "the versions of this and of the daemon", &[Opt::Json], Names::None, ask::version),
    verb("help", "[COMMAND]", "this, or more about a command", &[], Names::MaybeOne, help),
    verb("quit", "", "leave the prompt", &[], Names::None, quit),
    verb("exit", "", "leave the prompt", &[], Names::None, quit),
    verb("complete", "WORD...", "what could come next, for shells", &[], Names::Some, super::complete::complete),
];

/// The verbs that help and completion tell of: the last three are for the prompt and for shells.
pub(super) fn told() -> &'static [Verb] {
    VERBS.get(..VERBS.len() - 3).unwrap_or_default()
}

pub(super) fn find(name: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.name == name)
}

/// The error for a word that is no verb.
pub(super) fn unknown(name: &str) -> String {
    match crate::util::did_you_mean::closest(name, told().iter().map(|verb| verb.name)) {
        Some(known) => format!("unknown command '{name}'; did you mean '{known}'?"),
        None => format!("unknown command '{name}'"),
    }
}

pub(super) fn spell(opt: Opt) -> &'static Spelling {
    // Every option is in the table; a test says so.
    OPTIONS.iter().find(|spelling| spelling.opt == opt).unwrap_or(&OPTIONS[0])
}

/// Outside the prompt there is nothing to leave.
fn quit(_: &Call<'_>) -> u8 {
    super::DONE
}

fn help(call: &Call<'_>) -> u8 {
    match call.args.names.first() {
        None => super::print(&summary()),
        Some(name) => match find(name) {
            Some(verb) => super::print(&about(verb)),
            None => {
                super::complain(&unknown(name));
                super::USAGE
            }
        },
    }
}

/// What every terminal has.
const WIDTH: usize = 80;

/// Everything on one page of 80 columns.
pub(super) fn summary() -> String {
    let mut text = "Usage: supervicectl [OPTION]... [COMMAND [NAME]...]\n\
                    Look at and command the processes of a supervice daemon.\n\n"
        .to_owned();
    for verb in told() {
        line(&mut text, &format!("{} {}", verb.name, verb.args), verb.help);
    }
    text.push('\n');
    for spelling in OPTIONS.iter().take(COMMON) {
        line(&mut text, &left(spelling), spelling.help);
    }
    text.push_str(
        "\nNames: of processes; also 'web*', 'worker:*', group:NAME, state:FATAL, all.\n\
         Without a command, on a terminal: a prompt. The socket is -s, that of the file\n\
         -c, $SUPERVICE_SOCKET or /tmp/supervice.sock.\n\
         Exit code: 0 done, 1 failed, 2 wrong usage, 3 no daemon, 4 time-out.\n\
         See 'supervicectl help COMMAND' and supervicectl(1).\n",
    );
    text
}

/// All about one verb.
pub(super) fn about(verb: &Verb) -> String {
    let mut text = format!("Usage: supervicectl [OPTION]... {}", verb.name);
    if text.len() + 1 + verb.args.len() > WIDTH {
        text.push_str("\n        ");
    }
    if !verb.args.is_empty() {
        text.push_str(&format!(" {}", verb.args));
    }
    text.push_str(&format!("\n{}.\n\n", capital(verb.help)));
    let common = OPTIONS.iter().take(COMMON).map(|spelling| spelling.opt);
    for opt in verb.options.iter().copied().chain(common) {
        let spelling = spell(opt);
        line(&mut text, &left(spelling), spelling.help);
    }
    text
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn left(spelling: &Spelling) -> String {
    let short = spelling.short.map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
    let space = if spelling.value.is_empty() { "" } else { " " };
    format!("{short}--{}{space}{}", spelling.long, spelling.value)
}

fn line(text: &mut String, left: &str, right: &str) {
    const COLUMN: usize = 30;
    let left = left.trim_end();
    if left.len() + 2 > COLUMN {
        text.push_str(&format!("  {left}\n{:COLUMN$}{right}\n", ""));
    } else {
        text.push_str(&format!("  {left:width$}{right}\n", width = COLUMN - 2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_spelt_and_every_verb_is_found() {
        for verb in &VERBS {
            assert!(verb.options.iter().all(|opt| spell(*opt).opt == *opt), "{}", verb.name);
            assert_eq!(find(verb.name).map(|found| found.help), Some(verb.help));
            assert!(about(verb).lines().all(|line| line.len() <= 80), "{}", verb.name);
        }
        assert!(summary().lines().all(|line| line.len() <= 80), "{}", summary());
        let common: Vec<_> = OPTIONS.iter().take(COMMON).map(|spelling| spelling.opt).collect();
        assert_eq!(common, [Opt::Socket, Opt::Config, Opt::Timeout, Opt::Help, Opt::Version]);
    }
}
