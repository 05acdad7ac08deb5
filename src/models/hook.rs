//! Hooks: commands that are run around a program, as they are configured.

use std::fmt;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ProgramConfig;
use super::rare::Defaults;

/// When a command is run for a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// Before each start.
    PreStart,
    /// When it has become `RUNNING`.
    PostStart,
    /// In place of the stop signal.
    StopCommand,
    /// When nothing of a run is left.
    PostStop,
    /// When somebody asks it to read its configuration again.
    ReloadCommand,
    /// At each change of its state; nobody waits for it.
    OnState,
    /// When it is given up; nobody waits for it.
    OnFatal,
}

impl Hook {
    /// Every hook, in the order of the manual.
    pub const ALL: [Hook; 7] = [
        Hook::PreStart,
        Hook::PostStart,
        Hook::StopCommand,
        Hook::PostStop,
        Hook::ReloadCommand,
        Hook::OnState,
        Hook::OnFatal,
    ];

    /// Its key.
    pub fn as_str(self) -> &'static str {
        match self {
            Hook::PreStart => "pre_start",
            Hook::PostStart => "post_start",
            Hook::StopCommand => "stop_command",
            Hook::PostStop => "post_stop",
            Hook::ReloadCommand => "reload_command",
            Hook::OnState => "on_state",
            Hook::OnFatal => "on_fatal",
        }
    }

    /// Its commands for a program, in the order in which they are run.
    pub fn of(self, program: &ProgramConfig) -> &[HookCommand] {
        match self {
            Hook::PreStart => &program.hooks.pre_start,
            Hook::PostStart => &program.hooks.post_start,
            Hook::StopCommand => &program.hooks.stop_command,
            Hook::PostStop => &program.hooks.post_stop,
            Hook::ReloadCommand => &program.hooks.reload_command,
            Hook::OnState => &program.hooks.on_state,
            Hook::OnFatal => program.restart.on_fatal.commands(),
        }
    }

    /// It is run for a run, which does not count as gone before.
    pub(crate) fn belongs_to_run(self) -> bool {
        match self {
            Hook::PreStart | Hook::PostStart | Hook::StopCommand | Hook::PostStop | Hook::ReloadCommand => true,
            Hook::OnState | Hook::OnFatal => false,
        }
    }

    /// The commands behind one that has failed are run all the same: each of them cleans up, or tells, something of its
    /// own.
    pub fn goes_on(self) -> bool {
        match self {
            Hook::PostStop | Hook::OnState | Hook::OnFatal => true,
            Hook::PreStart | Hook::PostStart | Hook::StopCommand | Hook::ReloadCommand => false,
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Commands that are run around a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hooks {
    /// Run before each start; where one of these fails, the start has failed.
    pub pre_start: Vec<HookCommand>,
    /// Run when it has become `RUNNING`.
    pub post_start: Vec<HookCommand>,
    /// Run in place of the stop signal. A oneshot that has completed is up until these have run.
    pub stop_command: Vec<HookCommand>,
    /// Run when nothing of a run is left.
    pub post_stop: Vec<HookCommand>,
    /// The name of the signal, without `SIG`, that makes it read its configuration again.
    pub reload_signal: Option<String>,
    /// Run to make it read its configuration again.
    pub reload_command: Vec<HookCommand>,
    /// Run at each change of its state; nobody waits for these.
    pub on_state: Vec<HookCommand>,
    /// Seconds that one command may take; at least 1.
    pub timeout: u32,
}

/// Nothing is run around a program.
static NONE: Hooks = Hooks {
    pre_start: Vec::new(),
    post_start: Vec::new(),
    stop_command: Vec::new(),
    post_stop: Vec::new(),
    reload_signal: None,
    reload_command: Vec::new(),
    on_state: Vec::new(),
    timeout: 60,
};

impl Default for Hooks {
    fn default() -> Self {
        NONE.clone()
    }
}

impl Defaults for Hooks {
    fn defaults() -> &'static Hooks {
        &NONE
    }
}

/// One command of a hook. Its text is a line of a configuration file, and its JSON: `-+/sbin/modprobe loop`.
///
/// ```
/// use supervice::models::HookCommand;
///
/// let command: HookCommand = "+ mkdir -p /run/web".parse().expect("a command");
/// assert!(command.as_daemon && !command.may_fail);
/// assert_eq!(command.to_string(), "+mkdir -p /run/web");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookCommand {
    /// What is run, split as a POSIX shell splits words; no shell is run.
    pub command: String,
    /// `-` in front: its failure is none.
    pub may_fail: bool,
    /// `+` in front: it runs as the daemon's user, not as the program's.
    pub as_daemon: bool,
}

/// A line without a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoCommand;

impl fmt::Display for NoCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a command is missing")
    }
}

impl std::error::Error for NoCommand {}

impl fmt::Display for HookCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let may_fail = if self.may_fail { "-" } else { "" };
        let as_daemon = if self.as_daemon { "+" } else { "" };
        write!(f, "{may_fail}{as_daemon}{}", self.command)
    }
}

impl FromStr for HookCommand {
    type Err = NoCommand;

    fn from_str(text: &str) -> Result<Self, NoCommand> {
        let mut command = HookCommand { command: String::new(), may_fail: false, as_daemon: false };
        let mut rest = text.trim();
        loop {
            let flag = match rest.chars().next() {
                Some('-') => &mut command.may_fail,
                Some('+') => &mut command.as_daemon,
                Some(_) => break,
                None => return Err(NoCommand),
            };
            // Twice is once too often: the second one is no prefix, and no program begins like that.
            if std::mem::replace(flag, true) {
                break;
            }
            rest = rest.get(1..).unwrap_or_default().trim_start();
        }
        rest.clone_into(&mut command.command);
        Ok(command)
    }
}

impl Serialize for HookCommand {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HookCommand {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_stand_in_any_order_and_once() {
        for (text, may_fail, as_daemon, command) in [
            ("run -x", false, false, "run -x"),
            ("-run", true, false, "run"),
            ("+ run", false, true, "run"),
            ("-+run", true, true, "run"),
            (" + - run ", true, true, "run"),
            ("--run", true, false, "-run"),
        ] {
            let parsed: HookCommand = text.parse().expect(text);
            assert_eq!(parsed, HookCommand { command: command.to_owned(), may_fail, as_daemon }, "{text}");
            assert_eq!(parsed.to_string().parse(), Ok(parsed));
        }
        for text in ["", "-", " + ", "-+"] {
            assert_eq!(text.parse::<HookCommand>(), Err(NoCommand), "{text}");
        }
    }

    #[test]
    fn its_json_is_its_text() {
        let command: HookCommand = "-+run 'a b'".parse().expect("a command");
        let json = serde_json::to_string(&command).expect("a text");
        assert_eq!(json, r#""-+run 'a b'""#);
        assert_eq!(serde_json::from_str::<HookCommand>(&json).expect("a command"), command);
        assert!(serde_json::from_str::<HookCommand>(r#""-""#).is_err());
    }

    #[test]
    fn each_hook_has_its_own_commands() {
        let mut program = ProgramConfig::new("p", "true");
        for hook in Hook::ALL {
            let command: HookCommand = hook.as_str().parse().expect("a command");
            let commands = vec![command.clone()];
            match hook {
                Hook::PreStart => program.hooks.pre_start = commands,
                Hook::PostStart => program.hooks.post_start = commands,
                Hook::StopCommand => program.hooks.stop_command = commands,
                Hook::PostStop => program.hooks.post_stop = commands,
                Hook::ReloadCommand => program.hooks.reload_command = commands,
                Hook::OnState => program.hooks.on_state = commands,
                Hook::OnFatal => program.restart.on_fatal = crate::models::FatalAction::Command(command),
            }
        }
        for hook in Hook::ALL {
            assert_eq!(hook.of(&program)[0].command, hook.as_str());
        }
    }
}
