//! [`FatalAction`]: what follows when a program is given up.

use std::fmt;
use std::sync::LazyLock;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Power;
use super::hook::HookCommand;

/// What follows when a program is given up.
///
/// Serialized as it is written in a configuration file: `"none"`, `"exit"`, `"reboot"`, `"poweroff"`, `"command:CMD"`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum FatalAction {
    /// Nothing.
    #[default]
    None,
    /// The daemon ends, as by [`ExitOn::Fatal`](super::ExitOn::Fatal).
    Exit,
    /// The machine is started anew.
    Reboot,
    /// The machine is turned off.
    PowerOff,
    /// This command is run.
    Command(HookCommand),
}

impl FatalAction {
    /// As it is written; `None`: it is none.
    pub(crate) fn parse(text: &str) -> Option<FatalAction> {
        match text {
            "none" => Some(FatalAction::None),
            "exit" => Some(FatalAction::Exit),
            "reboot" => Some(FatalAction::Reboot),
            "poweroff" => Some(FatalAction::PowerOff),
            _ => text.strip_prefix("command:")?.trim().parse().ok().map(FatalAction::Command),
        }
    }

    /// What is to become of the machine.
    pub(crate) fn power(&self) -> Option<Power> {
        match self {
            FatalAction::Reboot => Some(Power::Reboot),
            FatalAction::PowerOff => Some(Power::Off),
            FatalAction::None | FatalAction::Exit | FatalAction::Command(_) => None,
        }
    }

    /// What is run for it. Where the daemon is not the machine's init, that is asked by its own command, and stops
    /// everything in order.
    pub(crate) fn commands(&self) -> &[HookCommand] {
        static MACHINE: LazyLock<[HookCommand; 2]> = LazyLock::new(|| {
            ["reboot", "poweroff"].map(|command| HookCommand {
                command: command.to_owned(),
                may_fail: false,
                as_daemon: true,
            })
        });
        let [reboot, poweroff] = &*MACHINE;
        match self {
            FatalAction::None | FatalAction::Exit => &[],
            FatalAction::Reboot => std::slice::from_ref(reboot),
            FatalAction::PowerOff => std::slice::from_ref(poweroff),
            FatalAction::Command(command) => std::slice::from_ref(command),
        }
    }
}

impl fmt::Display for FatalAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FatalAction::None => f.write_str("none"),
            FatalAction::Exit => f.write_str("exit"),
            FatalAction::Reboot => f.write_str("reboot"),
            FatalAction::PowerOff => f.write_str("poweroff"),
            FatalAction::Command(command) => write!(f, "command:{command}"),
        }
    }
}

impl Serialize for FatalAction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FatalAction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        FatalAction::parse(&text).ok_or_else(|| D::Error::custom("no action"))
    }
}
