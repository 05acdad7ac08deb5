//! [`HookFailure`]: what a hook came to that failed.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::state::SpawnError;
use super::task::TaskEnd;
use crate::models::{Hook, ProgramConfig};
use crate::util::truncate::to_bytes;

/// Seconds that a command of a hook has to end after SIGTERM, before SIGKILL.
pub(crate) const HOOK_GRACE_SECS: u32 = 5;

/// The most seconds that this hook of a program may take.
pub(crate) fn hook_seconds(config: &ProgramConfig, hook: Hook) -> u32 {
    let commands = u32::try_from(hook.of(config).len()).unwrap_or(u32::MAX);
    commands.saturating_mul(config.hooks.timeout.saturating_add(HOOK_GRACE_SECS))
}

/// A command of a hook has failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookFailure {
    /// Which hook.
    pub hook: Hook,
    /// The command, as it is configured.
    pub command: Box<str>,
    /// What came of it, with the last lines that it wrote.
    pub end: TaskEnd,
}

impl HookFailure {
    /// Why it could not be executed, where that is what it came to.
    pub fn spawn_error(&self) -> Option<&SpawnError> {
        match &self.end {
            TaskEnd::SpawnFailed(error) => Some(error),
            TaskEnd::Exited { .. } | TaskEnd::TimedOut { .. } | TaskEnd::Cancelled => None,
        }
    }

    /// The same with texts of a bounded length, to be kept: of what it wrote, the last line.
    pub(super) fn shortened(&self, longest: usize) -> HookFailure {
        HookFailure {
            hook: self.hook,
            command: to_bytes(&self.command, longest).into(),
            end: self.end.shortened(longest),
        }
    }
}

impl fmt::Display for HookFailure {
    /// `pre_start failed: exit code 1: mkdir: cannot create directory`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed: {}", self.hook, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Exit;

    #[test]
    fn it_names_its_hook_and_the_last_line() {
        let end = TaskEnd::Exited { exit: Exit::Code(1), output: "first\nno space left".into() };
        let failure = HookFailure { hook: Hook::PreStart, command: "mkdir /x".into(), end };
        assert_eq!(failure.to_string(), "pre_start failed: exit code 1: no space left");
        let short = failure.shortened(5);
        assert_eq!((&*short.command, short.to_string().as_str()), ("mkdir", "pre_start failed: exit code 1: no sp"));
    }
}
