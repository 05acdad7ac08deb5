//! How a program's health is found out, and what follows where it is bad.

use std::fmt;
use std::sync::LazyLock;

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::endpoint::HttpUrl;
use super::rare::Defaults;

/// How a program's health is found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthCheckType {
    /// Not at all: a program that runs is taken for healthy.
    #[default]
    None,
    /// A TCP connection to `host:port` must be accepted within the time-out.
    Tcp,
    /// A connection to a Unix socket must be accepted within the time-out.
    Unix,
    /// A request by HTTP must be answered with one of the configured statuses within the time-out.
    Http,
    /// `/bin/sh -c command` must exit with 0 within the time-out.
    Script,
}

/// The health check of one program. All durations are whole seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheckConfig {
    /// How health is found out.
    #[serde(rename = "type")]
    pub check_type: HealthCheckType,
    /// Seconds from one check to the next; at least 1.
    pub interval: u32,
    /// Seconds that one check may take; at least 1.
    pub timeout: u32,
    /// Failures in a row that make the program `UNHEALTHY`; at least 1.
    pub retries: u32,
    /// Seconds from `RUNNING` to the first check.
    pub start_period: u32,
    /// The port of a tcp check.
    pub port: Option<u16>,
    /// The host of a tcp check: an IPv4 or IPv6 address or a name.
    pub host: String,
    /// The command of a script check, run by `/bin/sh -c`.
    pub command: Option<String>,
    /// The path of a unix check; in the abstract namespace where it begins with `@`.
    pub path: Option<String>,
    /// What an http check asks for.
    pub url: Option<HttpUrl>,
    /// The statuses with which it passes.
    pub status: Statuses,
    /// What it sends along, lines of `Name: value`.
    pub header: Vec<String>,
    /// What follows when the program is `UNHEALTHY`.
    pub action: HealthAction,
}

impl Default for HealthCheckConfig {
    fn default() -> Self {
        HealthCheckConfig {
            check_type: HealthCheckType::None,
            interval: 30,
            timeout: 10,
            retries: 3,
            start_period: 10,
            port: None,
            host: "127.0.0.1".to_owned(),
            command: None,
            path: None,
            url: None,
            status: Statuses::default(),
            header: Vec::new(),
            action: HealthAction::Restart,
        }
    }
}

impl Defaults for HealthCheckConfig {
    fn defaults() -> &'static HealthCheckConfig {
        static DEFAULTS: LazyLock<HealthCheckConfig> = LazyLock::new(HealthCheckConfig::default);
        &DEFAULTS
    }
}

/// Statuses of HTTP, as pairs of the first and the last one.
///
/// Serialized as it is written in a configuration file: `"200-399"`, `"200,301"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statuses(pub Vec<(u16, u16)>);

impl Default for Statuses {
    /// 200 to 399.
    fn default() -> Self {
        Statuses(vec![(200, 399)])
    }
}

impl Statuses {
    /// As it is written; `None`: these are none.
    pub(crate) fn parse(text: &str) -> Option<Statuses> {
        let status = |text: &str| {
            let is_status = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u16>().ok().filter(|status| is_status && (100..=999).contains(status))
        };
        let range = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let (first, last) = (status(first.trim())?, status(last.trim())?);
            (first <= last).then_some((first, last))
        };
        text.split(',').map(|part| range(part.trim())).collect::<Option<_>>().map(Statuses)
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (first, last)) in self.0.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

impl Serialize for Statuses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Statuses::parse(&text)
            .ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &"statuses such as 200-399"))
    }
}

/// What follows when a program is `UNHEALTHY`.
///
/// Serialized as it is written in a configuration file: `"restart"`, `"none"`, `"signal:HUP"`, `"command:…"`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum HealthAction {
    /// It is restarted, where `autorestart` allows that.
    #[default]
    Restart,
    /// Nothing: it is checked on.
    None,
    /// Its main process gets the signal of this name.
    Signal(String),
    /// This shell command is run.
    Command(String),
}

impl HealthAction {
    /// As it is written; `None`: it is none. The name of a signal is not looked at.
    pub(crate) fn parse(text: &str) -> Option<HealthAction> {
        let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        match text.split_once(':') {
            None if text == "restart" => Some(HealthAction::Restart),
            None if text == "none" => Some(HealthAction::None),
            Some(("signal", name)) => filled(name.trim()).map(HealthAction::Signal),
            Some(("command", command)) => filled(command.trim()).map(HealthAction::Command),
            Some(_) | None => None,
        }
    }
}

impl fmt::Display for HealthAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HealthAction::Restart => f.write_str("restart"),
            HealthAction::None => f.write_str("none"),
            HealthAction::Signal(name) => write!(f, "signal:{name}"),
            HealthAction::Command(command) => write!(f, "command:{command}"),
        }
    }
}

impl Serialize for HealthAction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HealthAction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        HealthAction::parse(&text).ok_or_else(|| {
            D::Error::invalid_value(Unexpected::Str(&text), &"restart, none, signal:NAME or command:COMMAND")
        })
    }
}
