//! What has to hold outside before a program is started.

use std::fmt;

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::endpoint::Endpoint;

/// The longest name of a network interface, in bytes: what the kernel has room for.
const MAX_LINK_BYTES: usize = 15;
/// The longest name of a flag, in bytes.
const MAX_FLAG_BYTES: usize = 64;

/// What has to hold outside before a program is started.
///
/// Serialized as it is written in a configuration file: `"path:/dev/ttyUSB0"`, `"tcp:db:5432"`, `"route"`,
/// `"command:test -e x"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartCondition {
    /// This path exists.
    Path(String),
    /// A connection is accepted there.
    Accepts(Endpoint),
    /// The network is so far.
    Network(NetworkCondition),
    /// Somebody has set this flag of the daemon.
    Flag(String),
    /// This shell command exits with 0.
    Command(String),
}

/// What has to hold of the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkCondition {
    /// This interface is up, and connected.
    Link(String),
    /// There is a default route.
    Route,
}

/// Whether a flag may be called so: letters, digits, `-`, `_` and `.`, at most 64.
pub(crate) fn is_flag_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=MAX_FLAG_BYTES).contains(&name.len()) && name.bytes().all(is_plain)
}

/// Whether the kernel may call an interface so.
fn is_link_name(name: &str) -> bool {
    let fits = |c: char| !c.is_whitespace() && !c.is_control() && c != '/' && c != ':';
    (1..=MAX_LINK_BYTES).contains(&name.len()) && name != "." && name != ".." && name.chars().all(fits)
}

impl StartCondition {
    /// As it is written; `None`: it is none.
    pub(crate) fn parse(text: &str) -> Option<StartCondition> {
        if text == "route" {
            return Some(StartCondition::Network(NetworkCondition::Route));
        }
        match text.split_once(':')? {
            ("path", path) => path.starts_with('/').then(|| StartCondition::Path(path.to_owned())),
            ("tcp" | "unix", _) => Endpoint::parse(text).map(StartCondition::Accepts),
            ("link", name) => {
                is_link_name(name).then(|| StartCondition::Network(NetworkCondition::Link(name.to_owned())))
            }
            ("flag", name) => is_flag_name(name).then(|| StartCondition::Flag(name.to_owned())),
            ("command", command) => {
                let command = command.trim();
                (!command.is_empty()).then(|| StartCondition::Command(command.to_owned()))
            }
            _ => None,
        }
    }
}

impl fmt::Display for StartCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartCondition::Path(path) => write!(f, "path:{path}"),
            StartCondition::Accepts(endpoint) => endpoint.fmt(f),
            StartCondition::Network(NetworkCondition::Link(name)) => write!(f, "link:{name}"),
            StartCondition::Network(NetworkCondition::Route) => f.write_str("route"),
            StartCondition::Flag(name) => write!(f, "flag:{name}"),
            StartCondition::Command(command) => write!(f, "command:{command}"),
        }
    }
}

impl Serialize for StartCondition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StartCondition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        StartCondition::parse(&text)
            .ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &"a condition such as path:/PATH"))
    }
}
