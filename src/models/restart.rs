//! How, how often and how long a program is started again.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::fatal_action::FatalAction;
use super::output_watch::OutputRule;
use super::rare::Defaults;

/// [`ProgramConfig::startretries`](super::ProgramConfig::startretries) that never come to an end.
pub const UNLIMITED_RETRIES: u32 = u32::MAX;

/// How, how often and how long a program is started again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RestartPolicy {
    /// Seconds before the first retry after a failed start; at least 1.
    pub delay: u32,
    /// The most seconds before a retry.
    pub delay_max: u32,
    /// How the delay grows from one failed start to the next.
    pub delay_growth: DelayGrowth,
    /// How much of the delay is random.
    pub jitter: Share,
    /// The most restarts within some seconds; one more is `FATAL`.
    pub limit: Option<RestartLimit>,
    /// Ends that no start follows, whatever `autorestart` and `startretries` say.
    pub never_after: Vec<EndedBy>,
    /// Seconds from `FATAL` to another attempt, doubled after each one that fails, up to an hour; 0: none.
    pub fatal_retry: u32,
    /// What follows when it is given up.
    pub on_fatal: FatalAction,
    /// With `fatal_retry`: so many attempts after `FATAL` have to fail before that.
    pub on_fatal_after: u32,
    /// Seconds that a oneshot may run; 0: as long as it takes.
    pub max_runtime: u32,
    /// What it is restarted for when that changes.
    pub on_change: Vec<ChangePath>,
    /// What is done then.
    pub on_change_action: ChangeAction,
    /// What its output is watched for, and what follows.
    pub output_watch: Vec<OutputRule>,
    /// Seconds after which a run is followed by a new one, a tenth more or less; 0: it may live for ever.
    pub max_lifetime: u32,
}

impl Defaults for RestartPolicy {
    fn defaults() -> &'static RestartPolicy {
        static DEFAULTS: RestartPolicy = RestartPolicy {
            delay: 1,
            delay_max: 30,
            delay_growth: DelayGrowth::Linear,
            jitter: Share { thousandths: 0 },
            limit: None,
            never_after: Vec::new(),
            fatal_retry: 0,
            on_fatal: FatalAction::None,
            on_fatal_after: 1,
            max_runtime: 0,
            on_change: Vec::new(),
            on_change_action: ChangeAction::Restart,
            output_watch: Vec::new(),
            max_lifetime: 0,
        };
        &DEFAULTS
    }
}

impl Default for RestartPolicy {
    fn default() -> RestartPolicy {
        RestartPolicy::defaults().clone()
    }
}

/// How the delay of retries grows.
///
/// Serialized in lower case, as it is written in a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DelayGrowth {
    /// It stays the same.
    None,
    /// By itself: 1, 2, 3 …
    Linear,
    /// To the double: 1, 2, 4 …
    Double,
}

impl DelayGrowth {
    /// Seconds before the retry with this number, from 1, with these seconds before the first one.
    pub(crate) fn delay(self, first: u32, number: u32) -> u32 {
        match self {
            DelayGrowth::None => first,
            DelayGrowth::Linear => first.saturating_mul(number),
            DelayGrowth::Double => {
                let factor = 1_u32.checked_shl(number.saturating_sub(1)).unwrap_or(u32::MAX);
                first.saturating_mul(factor)
            }
        }
    }
}

/// A part of a whole, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    thousandths: u16,
}

impl Share {
    /// The nearest that can be told, to a thousandth; `None`: it is no part of a whole.
    pub fn new(share: f64) -> Option<Share> {
        let thousandths = (share * 1000.0).round();
        // It lies between 0 and 1000.
        (0.0..=1000.0).contains(&thousandths).then_some(Share { thousandths: thousandths as u16 })
    }

    /// In thousandths.
    pub fn thousandths(self) -> u16 {
        self.thousandths
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.thousandths) / 1000.0)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let share = f64::deserialize(deserializer)?;
        Share::new(share).ok_or_else(|| serde::de::Error::custom("expected a number from 0 to 1"))
    }
}

/// A number of restarts within a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartLimit {
    /// How many are allowed.
    pub restarts: u32,
    /// Within so many seconds.
    pub seconds: u32,
}

/// A way to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndedBy {
    /// With this exit code.
    Code(u8),
    /// By this signal.
    Signal(u8),
}

/// Something whose change a program is restarted for.
///
/// Serialized as it is written in a configuration file: `"command"`, or the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangePath {
    /// What it executes.
    Command,
    /// A file or directory.
    Path(String),
}

impl fmt::Display for ChangePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ChangePath::Command => "command",
            ChangePath::Path(path) => path,
        })
    }
}

impl Serialize for ChangePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChangePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(if text == "command" { ChangePath::Command } else { ChangePath::Path(text) })
    }
}

/// What is done when something has changed.
///
/// Serialized in lower case, as it is written in a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeAction {
    /// The program is restarted.
    Restart,
    /// It is told to read its configuration again.
    Reload,
}
