//! States, exits, signals, and why a spawn failed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::models::EndedBy;
use crate::util::errno;
use crate::util::truncate::to_bytes;

/// The public state of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ProcessState {
    /// Not running, by request.
    Stopped,
    /// Spawned, but not yet for `startsecs` seconds; a oneshot as long as it runs.
    Starting,
    /// Alive for at least `startsecs` seconds.
    Running,
    /// A start failed; the next attempt waits for its delay.
    Backoff,
    /// Told to stop; something of its process group is still there.
    Stopping,
    /// It has ended by itself.
    Exited,
    /// It could not be started, or not be kept healthy; only an operator's start tries again.
    Fatal,
    /// Alive, but its health checks fail.
    Unhealthy,
}

impl ProcessState {
    /// Every state, in the order of the documentation.
    pub const ALL: [ProcessState; 8] = [
        ProcessState::Stopped,
        ProcessState::Starting,
        ProcessState::Running,
        ProcessState::Backoff,
        ProcessState::Stopping,
        ProcessState::Exited,
        ProcessState::Fatal,
        ProcessState::Unhealthy,
    ];

    /// The name used on the wire and in every output, for instance `RUNNING`.
    pub const fn as_str(self) -> &'static str {
        match self {
            ProcessState::Stopped => "STOPPED",
            ProcessState::Starting => "STARTING",
            ProcessState::Running => "RUNNING",
            ProcessState::Backoff => "BACKOFF",
            ProcessState::Stopping => "STOPPING",
            ProcessState::Exited => "EXITED",
            ProcessState::Fatal => "FATAL",
            ProcessState::Unhealthy => "UNHEALTHY",
        }
    }

    /// `true` for the states in which no process lives or is waited for: `STOPPED`, `EXITED` and `FATAL`. (One that
    /// has exited is started again by itself where `autorestart` says so.)
    ///
    /// ```
    /// use supervice::process::ProcessState;
    ///
    /// assert!(ProcessState::Fatal.is_down());
    /// assert!(!ProcessState::Backoff.is_down());
    /// ```
    pub fn is_down(self) -> bool {
        matches!(self, ProcessState::Stopped | ProcessState::Exited | ProcessState::Fatal)
    }
}

impl fmt::Display for ProcessState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// It called exit with this code (0 to 255).
    Code(u8),
    /// This signal killed it (1 to 64).
    Signal(u8),
}

impl From<Exit> for EndedBy {
    fn from(exit: Exit) -> EndedBy {
        match exit {
            Exit::Code(code) => EndedBy::Code(code),
            Exit::Signal(signal) => EndedBy::Signal(signal),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit code {code}"),
            Exit::Signal(signal) => write!(f, "killed by {}", signal_text(*signal)),
        }
    }
}

/// The step of a spawn that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpawnStage {
    /// The command, environment or an `env_file` could not be made ready.
    Prepare,
    /// The pipes or `/dev/null` could not be opened.
    Pipe,
    /// The kernel refused a new process.
    Fork,
    /// A new session could not be made.
    Session,
    /// Standard input, output or error could not be put in place.
    Stdio,
    /// The terminal (`tty`) could not be made, or not become that of its session.
    Terminal,
    /// A resource limit could not be set.
    Limits,
    /// The OOM score (`oom_score_adj`) could not be set.
    OomScore,
    /// The nice value could not be set.
    Nice,
    /// The share of the disks (`ionice`) could not be set.
    IoPriority,
    /// The processors that it may run on (`cpu_affinity`) could not be set.
    Affinity,
    /// The scheduler could not be set.
    Scheduler,
    /// The root directory (`chroot`) could not be entered.
    Chroot,
    /// The capabilities could not be set.
    Capabilities,
    /// `no_new_privs` could not be set.
    NoNewPrivs,
    /// The user could not be taken on.
    Credentials,
    /// The user stays, and the group or supplementary groups could not be taken on.
    Groups,
    /// The parent-death signal could not be set.
    ParentDeath,
    /// The working directory could not be entered.
    Directory,
    /// The file of its standard input could not be opened.
    Stdin,
    /// The program could not be executed.
    Exec,
    /// The program is there, and what executes it is not: its interpreter or its dynamic loader.
    Interpreter,
}

/// Why a program could not be spawned: the step, what it was about, and the system's reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpawnError {
    /// The step that failed.
    pub stage: SpawnStage,
    /// What it failed on: a path, a user; may be empty.
    pub subject: String,
    /// The system's error number; 0 where `detail` tells the reason.
    pub errno: i32,
    /// The reason in words where there is no error number.
    pub detail: String,
}

impl SpawnError {
    /// A failure that the system reported.
    pub fn system(stage: SpawnStage, subject: impl Into<String>, errno: i32) -> Self {
        SpawnError { stage, subject: subject.into(), errno, detail: String::new() }
    }

    /// A failure that we found out ourselves.
    pub fn other(stage: SpawnStage, subject: impl Into<String>, detail: impl Into<String>) -> Self {
        SpawnError { stage, subject: subject.into(), errno: 0, detail: detail.into() }
    }

    /// `true` when the daemon itself is short of something: descriptors, memory, processes. It says nothing of the program, and
    /// passes when there is room.
    pub fn is_shortage(&self) -> bool {
        match self.stage {
            SpawnStage::Prepare | SpawnStage::Pipe | SpawnStage::Terminal | SpawnStage::Fork => {
                errno::shortage(self.errno).is_some()
            }
            SpawnStage::Session
            | SpawnStage::Stdio
            | SpawnStage::Stdin
            | SpawnStage::Limits
            | SpawnStage::OomScore
            | SpawnStage::Nice
            | SpawnStage::IoPriority
            | SpawnStage::Affinity
            | SpawnStage::Scheduler
            | SpawnStage::Chroot
            | SpawnStage::Capabilities
            | SpawnStage::NoNewPrivs
            | SpawnStage::Credentials
            | SpawnStage::Groups
            | SpawnStage::ParentDeath
            | SpawnStage::Directory
            | SpawnStage::Exec
            | SpawnStage::Interpreter => false,
        }
    }

    /// What the daemon is short of where [`is_shortage`](Self::is_shortage), and what to do about it.
    pub fn shortage_remedy(&self) -> &'static str {
        errno::shortage(self.errno).unwrap_or("memory")
    }

    /// `true` when trying again can't help: permission denied, not an executable format, a user
    /// that cannot be taken on. A missing file or a lack of resources may pass.
    pub fn is_permanent(&self) -> bool {
        match self.stage {
            SpawnStage::Credentials | SpawnStage::Groups => self.errno != libc_errno::EAGAIN,
            SpawnStage::Limits
            | SpawnStage::OomScore
            | SpawnStage::Nice
            | SpawnStage::IoPriority
            | SpawnStage::Affinity
            | SpawnStage::Scheduler
            | SpawnStage::Capabilities
            | SpawnStage::NoNewPrivs => {
                matches!(self.errno, libc_errno::EACCES | libc_errno::EPERM | libc_errno::EINVAL)
            }
            SpawnStage::Exec | SpawnStage::Directory | SpawnStage::Stdin | SpawnStage::Chroot => matches!(
                self.errno,
                libc_errno::EACCES
                    | libc_errno::EPERM
                    | libc_errno::ENOEXEC
                    | libc_errno::EISDIR
                    | libc_errno::ELOOP
                    | libc_errno::ENAMETOOLONG
                    | libc_errno::E2BIG
            ),
            SpawnStage::Prepare
            | SpawnStage::Pipe
            | SpawnStage::Fork
            | SpawnStage::Session
            | SpawnStage::Stdio
            | SpawnStage::Terminal
            | SpawnStage::ParentDeath
            | SpawnStage::Interpreter => false,
        }
    }
}

impl SpawnError {
    /// The same with texts of so many bytes at most, to be kept.
    pub(crate) fn shortened(&self, longest: usize) -> SpawnError {
        SpawnError {
            stage: self.stage,
            subject: to_bytes(&self.subject, longest).to_owned(),
            errno: self.errno,
            detail: to_bytes(&self.detail, longest).to_owned(),
        }
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.stage {
            SpawnStage::Prepare => f.write_str("cannot prepare")?,
            SpawnStage::Pipe => f.write_str("cannot open")?,
            SpawnStage::Fork if self.subject.is_empty() => f.write_str("cannot create a process")?,
            SpawnStage::Fork => f.write_str("cannot create")?,
            SpawnStage::Session => f.write_str("cannot create a session")?,
            SpawnStage::Stdio => f.write_str("cannot set up standard streams")?,
            SpawnStage::Terminal => f.write_str("cannot give it a terminal")?,
            SpawnStage::Limits => f.write_str("cannot set resource limits")?,
            SpawnStage::OomScore => f.write_str("cannot set oom_score_adj")?,
            SpawnStage::Nice => f.write_str("cannot set nice")?,
            SpawnStage::IoPriority => f.write_str("cannot set ionice")?,
            SpawnStage::Affinity => f.write_str("cannot set cpu_affinity")?,
            SpawnStage::Scheduler => f.write_str("cannot set scheduler")?,
            SpawnStage::Chroot => f.write_str("cannot enter the root directory")?,
            SpawnStage::Capabilities => f.write_str("cannot set capabilities")?,
            SpawnStage::NoNewPrivs => f.write_str("cannot set no_new_privs")?,
            SpawnStage::Credentials => f.write_str("cannot become user")?,
            SpawnStage::Groups => f.write_str("cannot set group or groups")?,
            SpawnStage::ParentDeath => f.write_str("cannot set the parent-death signal")?,
            SpawnStage::Directory => f.write_str("cannot enter directory")?,
            SpawnStage::Stdin => f.write_str("cannot open standard input")?,
            SpawnStage::Exec | SpawnStage::Interpreter => f.write_str("cannot execute")?,
        }
        if !self.subject.is_empty() {
            write!(f, " {}", self.subject)?;
        }
        if !self.detail.is_empty() {
            return write!(f, ": {}", self.detail);
        }
        write!(f, ": {}", crate::util::errno::text(self.errno))
    }
}

impl std::error::Error for SpawnError {}

/// The few error numbers that the rules of a process's life depend on (the same on every Linux).
mod libc_errno {
    pub const EPERM: i32 = 1;
    pub const E2BIG: i32 = 7;
    pub const ENOEXEC: i32 = 8;
    pub const EAGAIN: i32 = 11;
    pub const EACCES: i32 = 13;
    pub const EISDIR: i32 = 21;
    pub const EINVAL: i32 = 22;
    pub const ENAMETOOLONG: i32 = 36;
    pub const ELOOP: i32 = 40;
}

/// Names of the standard signals, without `SIG`; the number is the index plus 1.
const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];

/// The name of a standard signal without `SIG`: `signal_name(15) == Some("TERM")`.
pub fn signal_name(signal: u8) -> Option<&'static str> {
    SIGNALS.get(usize::from(signal).checked_sub(1)?).copied()
}

/// The real-time signals that the C library leaves to programs.
const REAL_TIME: std::ops::RangeInclusive<u8> = 34..=64;

/// The number of a signal given by name (with or without `SIG`, any case), by number, or as
/// `RTMIN+n`/`RTMAX-n`. `None` for what is no signal.
///
/// ```
/// use supervice::process::signal_number;
/// assert_eq!(signal_number("SIGTERM"), Some(15));
/// assert_eq!(signal_number("rtmin+1"), Some(35));
/// assert_eq!(signal_number("0"), None);
/// ```
pub fn signal_number(text: &str) -> Option<u8> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u8>().ok()).flatten();
    let text = text.trim();
    if let Some(number) = digits(text) {
        // 32 and 33 are the C library's own.
        return ((1..=31).contains(&number) || REAL_TIME.contains(&number)).then_some(number);
    }
    let name = without_prefix(text, "SIG").unwrap_or(text);
    if let Some(rest) = without_prefix(name, "RTMIN") {
        let offset = if rest.is_empty() { 0 } else { digits(rest.strip_prefix('+')?)? };
        return (offset <= 30).then(|| 34 + offset);
    }
    if let Some(rest) = without_prefix(name, "RTMAX") {
        let offset = if rest.is_empty() { 0 } else { digits(rest.strip_prefix('-')?)? };
        return (offset <= 30).then(|| 64 - offset);
    }
    let other_names = [("POLL", 29), ("IOT", 6), ("CLD", 17)];
    if let Some((_, number)) = other_names.iter().find(|(other, _)| name.eq_ignore_ascii_case(other)) {
        return Some(*number);
    }
    let index = SIGNALS.iter().position(|known| name.eq_ignore_ascii_case(known))?;
    u8::try_from(index + 1).ok()
}

/// What follows a prefix in any case of its letters.
fn without_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// `SIGHUP`, `SIGRTMIN+1`, or `signal 70` for what is none.
pub(crate) fn signal_text(signal: u8) -> String {
    match (signal_name(signal), signal) {
        (Some(name), _) => format!("SIG{name}"),
        (None, real_time) if REAL_TIME.contains(&real_time) => format!("SIG{}", bare_signal(signal)),
        (None, _) => format!("signal {signal}"),
    }
}

/// As it is written in commands and files: `HUP`, `RTMIN+1`, or the number of what is no signal.
pub(crate) fn bare_signal(signal: u8) -> String {
    match signal_name(signal) {
        Some(name) => name.to_owned(),
        None if REAL_TIME.contains(&signal) => format!("RTMIN+{}", signal - REAL_TIME.start()),
        None => signal.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_is_told_by_the_name_by_which_it_may_be_given() {
        for signal in (1..=31).chain(REAL_TIME) {
            assert_eq!(signal_number(&bare_signal(signal)), Some(signal));
            assert_eq!(signal_number(&signal_text(signal)), Some(signal));
        }
        assert_eq!((bare_signal(35).as_str(), signal_text(35).as_str()), ("RTMIN+1", "SIGRTMIN+1"));
        assert_eq!((bare_signal(70).as_str(), signal_text(70).as_str()), ("70", "signal 70"));
        assert_eq!(Exit::Signal(34).to_string(), "killed by SIGRTMIN+0");
    }

    #[test]
    fn three_states_are_down() {
        let down = ProcessState::ALL.into_iter().filter(|state| state.is_down());
        assert!(down.eq([ProcessState::Stopped, ProcessState::Exited, ProcessState::Fatal]));
    }

    #[test]
    fn a_signal_is_known_by_number_name_and_nickname() {
        for number in 0..=255u8 {
            let known = (1..=31).contains(&number) || (34..=64).contains(&number);
            assert_eq!(signal_number(&number.to_string()), known.then_some(number));
        }
        for number in 1..=31 {
            let name = signal_name(number).expect("a name");
            assert_eq!(signal_number(name), Some(number));
            assert_eq!(signal_number(&format!(" sig{name} ").to_lowercase()), Some(number));
        }
        assert_eq!((signal_name(0), signal_name(32)), (None, None));
        assert_eq!(["POLL", "SIGIOT", "cld"].map(signal_number), [Some(29), Some(6), Some(17)]);
        for (text, wanted) in [
            ("RTMIN", Some(34)),
            ("RTMIN+1", Some(35)),
            ("SIGRTMIN+30", Some(64)),
            ("RTMIN+31", None),
            ("RTMIN1", None),
            ("RTMIN+x", None),
            ("RTMAX", Some(64)),
            ("RTMAX-30", Some(34)),
            ("RTMAX-31", None),
            ("RTMAX+1", None),
            ("TERMINATE", None),
            ("", None),
            ("-9", None),
        ] {
            assert_eq!(signal_number(text), wanted, "{text}");
        }
    }
}
