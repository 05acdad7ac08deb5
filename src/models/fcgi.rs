//! The listening socket of an `[fcgi-program:NAME]`.

use std::fmt;

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::rare::Defaults;

/// Where the processes of an fcgi-program accept their connections.
///
/// Serialized as it is written in a configuration file: `"tcp://127.0.0.1:9000"`, `"unix:///run/app.sock"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FcgiAddress {
    /// A port of IPv4.
    Tcp {
        /// An address, or a name that leads to one.
        host: String,
        /// The port.
        port: u16,
    },
    /// A socket with a file, by its absolute path.
    Unix(String),
}

impl FcgiAddress {
    /// As it is written; `None`: it is no such address.
    pub fn parse(text: &str) -> Option<FcgiAddress> {
        if let Some(path) = text.strip_prefix("unix://") {
            return path.starts_with('/').then(|| FcgiAddress::Unix(path.to_owned()));
        }
        let (host, port) = text.strip_prefix("tcp://")?.split_once(':')?;
        let is_host = !host.is_empty() && !host.contains(char::is_whitespace);
        let port = port.parse().ok().filter(|_| is_host && port.bytes().all(|byte| byte.is_ascii_digit()))?;
        Some(FcgiAddress::Tcp { host: host.to_ascii_lowercase(), port })
    }
}

impl fmt::Display for FcgiAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FcgiAddress::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            FcgiAddress::Unix(path) => write!(f, "unix://{path}"),
        }
    }
}

impl Serialize for FcgiAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FcgiAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        FcgiAddress::parse(&text)
            .ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &"tcp://HOST:PORT or unix:///PATH"))
    }
}

/// The socket that all processes of an fcgi-program have as their standard input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FcgiSocket {
    /// Where it listens; `None`: the program is no fcgi-program.
    pub address: Option<FcgiAddress>,
    /// Connections that may wait to be accepted; `None`: as many as the system's headers say (`SOMAXCONN`).
    pub backlog: Option<u16>,
    /// `user`, `user:group` or `:group` that owns the file; `None`: the program's user.
    pub owner: Option<String>,
    /// Permission bits of the file.
    pub mode: u32,
}

impl Defaults for FcgiSocket {
    fn defaults() -> &'static FcgiSocket {
        static DEFAULTS: FcgiSocket = FcgiSocket { address: None, backlog: None, owner: None, mode: 0o700 };
        &DEFAULTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_supervisord_reads_them() {
        for (text, told) in [
            ("tcp://127.0.0.1:9000", Some("tcp://127.0.0.1:9000")),
            ("tcp://LocalHost:1", Some("tcp://localhost:1")),
            ("unix:///run/a b.sock", Some("unix:///run/a b.sock")),
            ("unix://run/a.sock", None),
            ("unix:/run/a.sock", None),
            ("tcp://[::1]:9000", None),
            ("tcp://a b:9000", None),
            ("tcp://:9000", None),
            ("tcp://a:", None),
            ("tcp://a:+1", None),
            ("tcp://a:65536", None),
            ("127.0.0.1:9000", None),
            ("", None),
        ] {
            assert_eq!(FcgiAddress::parse(text).map(|address| address.to_string()).as_deref(), told, "{text}");
        }
    }
}
