//! The verbs of `supervicectl` and their options, as data: the parser, the help and the completion read this table, and
//! the dispatcher matches over [`Verb`] without a default arm.

use super::names::did_you_mean;
use crate::util::did_you_mean::closest;

/// How many names a verb takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    None,
    Any,
    AtMostOne,
    One,
    AtLeastOne,
}

/// What the names of a verb are completed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Completion {
    None,
    /// Names of processes, `all`, `group:` and `state:`.
    Processes,
    /// Names of processes alone.
    PlainProcesses,
    /// As `Processes`; behind the first name also `stdout` and `stderr`.
    ProcessesThenStream,
    /// A signal first, then as `Processes`.
    SignalThenProcesses,
    Groups,
    /// `set`, `clear` or `list`; behind the first two, flags.
    FlagAction,
    Levels,
    EventTypes,
    Verbs,
}

/// Whether a verb changes anything. A change may be made even if no answer arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Query,
    Change,
}

/// Whether the help and the completion list a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listing {
    Listed,
    /// For the prompt and for shells.
    Hidden,
}

/// The row of one verb.
#[derive(Debug)]
pub(super) struct Spec {
    pub name: &'static str,
    /// The options and names, as the usage line shows them.
    pub usage: &'static str,
    /// One line.
    pub help: &'static str,
    /// The options beside the common ones.
    pub options: &'static [Opt],
    pub names: Names,
    pub completion: Completion,
    effect: Effect,
    listing: Listing,
}

/// Makes the enum, the list of all its values and the table from one row for each verb.
macro_rules! verbs {
    ($($variant:ident: $name:literal, $usage:literal, $help:literal, $options:expr, $names:ident, $completion:ident,
        $effect:ident, $listing:ident;)*) => {
        /// What `supervicectl` can be asked to do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Verb {
            $($variant,)*
        }

        impl Verb {
            /// All, in the order of the help.
            const ALL: &[Verb] = &[$(Verb::$variant,)*];

            pub fn spec(self) -> &'static Spec {
                match self {
                    $(Verb::$variant => &Spec {
                        name: $name,
                        usage: $usage,
                        help: $help,
                        options: $options,
                        names: Names::$names,
                        completion: Completion::$completion,
                        effect: Effect::$effect,
                        listing: Listing::$listing,
                    },)*
                }
            }
        }
    };
}

/// The options of verbs that command processes.
const COMMAND: &[Opt] = &[Opt::NoWait, Opt::Json];
const JSON: &[Opt] = &[Opt::Json];

verbs! {
    Status: "status", "[-l] [-w] [NAME]...", "the state of all processes, or of these",
        &[Opt::Long, Opt::Watch, Opt::Plain, Opt::Json], Any, Processes, Query, Listed;
    Top: "top", "", "the same, full screen, with output and keys", &[], None, None, Query, Listed;
    Why: "why", "NAME...", "how they came to their state, and what comes next", JSON, AtLeastOne, Processes, Query, Listed;
    Cat: "cat", "[--defaults] [--secrets] NAME...", "their settings, and where they are set",
        &[Opt::Defaults, Opt::Secrets, Opt::Json], AtLeastOne, Processes, Query, Listed;
    Graph: "graph", "[--reverse] [--dot] [NAME]...", "who needs whom, as a tree",
        &[Opt::Reverse, Opt::Dot, Opt::Json], Any, Processes, Query, Listed;
    Blame: "blame", "[NAME]...", "how long each start took, and what it waited for", JSON, Any, Processes, Query, Listed;
    History: "history", "[NAME]...", "the last transitions, and who asked for them", JSON, Any, Processes, Query, Listed;
    Events: "events", "[TYPE]...", "what happens, as it happens", &[Opt::Json, Opt::History], Any, EventTypes, Query, Listed;
    Tail: "tail", "[-f] [-n LINES | -c BYTES] NAME... [stdout|stderr]",
        "the newest output (10 lines); with -f what comes",
        &[Opt::Follow, Opt::Lines, Opt::Bytes], AtLeastOne, ProcessesThenStream, Query, Listed;
    Foreground: "fg", "NAME", "its output, and your input to it; Ctrl-C leaves",
        &[], One, PlainProcesses, Change, Listed;
    Stdin: "stdin", "NAME", "write your standard input to its own", &[], One, PlainProcesses, Change, Listed;
    Attach: "attach", "NAME", "sit down at its terminal; Ctrl-\\ leaves",
        &[], One, PlainProcesses, Change, Listed;
    Run: "run", "[--wait | --pty] [--name N] [--set KEY=VALUE]... -- COMMAND...",
        "run what is in no file; --wait shows its output",
        &[Opt::Name, Opt::Set, Opt::Wait, Opt::Pty, Opt::Json], AtLeastOne, None, Change, Listed;
    Health: "health", "[--ready] [NAME]...", "exit with 0 if all (or these) are well", &[Opt::Ready], Any, Processes, Query, Listed;
    Start: "start", "[--no-wait] NAME...", "start, and wait until they are RUNNING", COMMAND, AtLeastOne, Processes, Change, Listed;
    Stop: "stop", "[--only] [--no-wait] NAME...", "stop, and wait until nothing of them is left",
        &[Opt::Only, Opt::NoWait, Opt::Json], AtLeastOne, Processes, Change, Listed;
    Restart: "restart", "[--force] [--rolling] [--only] NAME...", "stop (with --force by SIGKILL) and start",
        &[Opt::Force, Opt::Rolling, Opt::Only, Opt::NoWait, Opt::Json], AtLeastOne, Processes, Change, Listed;
    Kill: "kill", "[--only] [--no-wait] NAME...", "SIGKILL at once, also to one that is stopping",
        &[Opt::Only, Opt::NoWait, Opt::Json], AtLeastOne, Processes, Change, Listed;
    Signal: "signal", "[--group] SIGNAL NAME...", "send a signal to their main processes",
        &[Opt::Group, Opt::Json], AtLeastOne, SignalThenProcesses, Change, Listed;
    Pause: "pause", "NAME...", "stop them in their place (SIGSTOP) until resume", JSON, AtLeastOne, Processes, Change, Listed;
    Resume: "resume", "NAME...", "let them go on", JSON, AtLeastOne, Processes, Change, Listed;
    Disable: "disable", "[--now] NAME...", "not started by the daemon, by need or by schedule",
        &[Opt::Now, Opt::Json], AtLeastOne, Processes, Change, Listed;
    Enable: "enable", "[--now] NAME...", "take disable back", &[Opt::Now, Opt::Json], AtLeastOne, Processes, Change, Listed;
    Wait: "wait", "--for WHAT NAME...", "wait until they are running, healthy, stopped...",
        &[Opt::For, Opt::Json], AtLeastOne, Processes, Query, Listed;
    StartGroup: "startgroup", "GROUP...", "start all members of a group", COMMAND, AtLeastOne, Groups, Change, Listed;
    StopGroup: "stopgroup", "GROUP...", "stop all members of a group", COMMAND, AtLeastOne, Groups, Change, Listed;
    Clear: "clear", "NAME...", "empty the log files of these", JSON, AtLeastOne, Processes, Change, Listed;
    Reopen: "reopen", "", "open all log files anew", JSON, None, None, Change, Listed;
    Scale: "scale", "[--save] NAME NUMBER", "have so many instances of a program with numprocs",
        &[Opt::Save, Opt::Json], AtLeastOne, None, Change, Listed;
    Reread: "reread", "[-c FILE] [--secrets]", "what an update would change; nothing is done",
        &[Opt::File, Opt::Secrets, Opt::Json], None, None, Query, Listed;
    Update: "update", "[--confirm SECONDS]", "read the configuration again and apply all of it",
        &[Opt::Confirm, Opt::Json], None, None, Change, Listed;
    Confirm: "confirm", "", "keep what update --confirm has changed", JSON, None, None, Change, Listed;
    Reload: "reload", "[NAME]...", "read the configuration again; restart nothing", JSON, Any, Processes, Change, Listed;
    Flag: "flag", "set|clear NAME... | list", "what starts wait for by start_when = flag:NAME", JSON, AtLeastOne, FlagAction, Change, Listed;
    LogLevel: "loglevel", "[LEVEL]", "how much the daemon logs", JSON, AtMostOne, Levels, Change, Listed;
    Pid: "pid", "[NAME]", "the process id of the daemon, or of this", JSON, AtMostOne, PlainProcesses, Query, Listed;
    Access: "access", "", "what you may do", JSON, None, None, Query, Listed;
    Ping: "ping", "", "does the daemon answer?", JSON, None, None, Query, Listed;
    Shutdown: "shutdown", "", "stop everything and end the daemon", JSON, None, None, Change, Listed;
    PowerOff: "poweroff", "", "turn the machine off, where the daemon is its init", &[], None, None, Change, Listed;
    Reboot: "reboot", "", "start the machine anew", &[], None, None, Change, Listed;
    Halt: "halt", "", "stop the machine and leave the power on", &[], None, None, Change, Listed;
    Token: "token", "NAME", "a new token for HTTP, and its line for users_file", &[], One, None, Query, Listed;
    Version: "version", "", "the versions of this and of the daemon", JSON, None, None, Query, Listed;
    Help: "help", "[COMMAND]", "this, or more about a command", &[], AtMostOne, Verbs, Query, Listed;
    Quit: "quit", "", "leave the prompt", &[], None, None, Query, Hidden;
    Exit: "exit", "", "leave the prompt", &[], None, None, Query, Hidden;
    Complete: "complete", "WORD...", "what could come next, for shells", &[], AtLeastOne, Processes, Query, Hidden;
}

impl Verb {
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    pub fn find(name: &str) -> Option<Verb> {
        Verb::ALL.iter().copied().find(|verb| verb.name() == name)
    }

    /// Those that help and completion list.
    pub fn listed() -> impl Iterator<Item = Verb> {
        Verb::ALL.iter().copied().filter(|verb| verb.spec().listing == Listing::Listed)
    }

    pub fn takes(self, opt: Opt) -> bool {
        self.spec().options.contains(&opt)
    }

    pub fn is_change(self) -> bool {
        self.spec().effect == Effect::Change
    }

    /// The error for a word that is no verb; of supervisorctl's with what does the same.
    pub fn unknown(name: &str) -> String {
        if let Some((_, instead)) = SUPERVISORCTLS.iter().find(|(theirs, _)| *theirs == name) {
            return format!("unknown command '{name}': {instead}");
        }
        format!("unknown command '{name}'{}", did_you_mean(closest(name, Verb::listed().map(Verb::name))))
    }
}

/// Commands of supervisorctl that are none here, and what is to be written in their place.
const SUPERVISORCTLS: [(&str, &str); 6] = [
    ("avail", "'status' shows what runs, 'reread' what an update would add"),
    ("add", "'update' adds what the file has and the daemon lacks"),
    ("remove", "'update' removes what is in the file no more"),
    ("maintail", "read the file that 'logfile' names, or ask with 'supervisorctl maintail'"),
    ("open", "another daemon is named on the command line: -s SOCKET, or -c FILE"),
    ("logtail", "write 'tail -f'"),
];

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
    Only,
    NoWait,
    For,
    Confirm,
    History,
    Ready,
    Follow,
    Lines,
    Bytes,
    Group,
    Reverse,
    Dot,
    Defaults,
    Secrets,
    Name,
    Set,
    Wait,
    Pty,
    Now,
    Save,
    File,
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

/// The common options come first. Where two share a letter, the one of the verb counts after the verb.
static OPTIONS: [Spelling; 32] = [
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
    spelling(Opt::Only, None, "only", "", "leave alone what needs them"),
    spelling(Opt::NoWait, None, "no-wait", "", "do not wait for the effect"),
    spelling(Opt::For, None, "for", "WHAT", "running, healthy, stopped or exited"),
    spelling(Opt::Confirm, None, "confirm", "SECONDS", "go back unless 'confirm' comes in this time"),
    spelling(Opt::History, None, "history", "NUMBER", "begin with so many past transitions"),
    spelling(Opt::Ready, None, "ready", "", "none may be STARTING"),
    spelling(Opt::Follow, Some('f'), "follow", "", "go on with what comes"),
    spelling(Opt::Lines, Some('n'), "lines", "LINES", "so many lines"),
    spelling(Opt::Bytes, Some('c'), "bytes", "BYTES", "so many bytes"),
    spelling(Opt::Group, None, "group", "", "to the process group, not to its leader alone"),
    spelling(Opt::Reverse, None, "reverse", "", "from what is needed to those that need it"),
    spelling(Opt::Dot, None, "dot", "", "for Graphviz"),
    spelling(Opt::Defaults, None, "defaults", "", "also what no file sets"),
    spelling(Opt::Secrets, None, "secrets", "", "with the values of 'environment'"),
    spelling(Opt::Name, None, "name", "NAME", "what it is called"),
    spelling(Opt::Set, None, "set", "KEY=VALUE", "a key of a program, as in a file"),
    spelling(Opt::Wait, None, "wait", "", "show its output, exit as it does; it reads nothing"),
    spelling(Opt::Pty, None, "pty", "", "the same, on a terminal of its own"),
    spelling(Opt::Now, None, "now", "", "also stop or start them"),
    spelling(Opt::Save, None, "save", "", "also after a restart of the daemon"),
    spelling(Opt::File, Some('c'), "file", "FILE", "this file, not the daemon's own"),
];

/// The number of options at the beginning of [`OPTIONS`] that go with every verb.
const COMMON: usize = 5;

/// The options that go with every verb.
pub(super) fn common_options() -> impl Iterator<Item = &'static Spelling> {
    OPTIONS.iter().take(COMMON)
}

pub(super) fn spell(opt: Opt) -> &'static Spelling {
    // Every option is in the table; a test checks it.
    OPTIONS.iter().find(|spelling| spelling.opt == opt).unwrap_or(&OPTIONS[0])
}

/// The option of a letter. The options of the verb count first: `-c` is the configuration, but after `tail` a number of
/// bytes.
pub(super) fn by_letter(letter: char, verb: Option<Verb>) -> Option<&'static Spelling> {
    let all = || OPTIONS.iter().filter(move |spelling| spelling.short == Some(letter));
    all().find(|spelling| verb.is_some_and(|verb| verb.takes(spelling.opt))).or_else(|| all().next())
}

pub(super) fn by_name(name: &str) -> Option<&'static Spelling> {
    OPTIONS.iter().find(|spelling| spelling.long == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_spelt_and_every_verb_is_found() {
        for verb in Verb::ALL.iter().copied() {
            assert!(verb.spec().options.iter().all(|opt| spell(*opt).opt == *opt), "{verb:?}");
            assert_eq!(Verb::find(verb.name()), Some(verb), "no two have the same name");
        }
        let common: Vec<_> = common_options().map(|spelling| spelling.opt).collect();
        assert_eq!(common, [Opt::Socket, Opt::Config, Opt::Timeout, Opt::Help, Opt::Version]);
    }
}
