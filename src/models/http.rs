//! The sockets of HTTP, and who may use them.

use std::fmt;

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The port of HTTP where none is named: that of supervisord.
pub const DEFAULT_HTTP_PORT: u16 = 9001;

/// Where clients of HTTP come in.
///
/// Serialized as it is written in a configuration file: `"127.0.0.1:9001"`, `"[::1]:9001"`, `"unix:/run/x.sock"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpAddress {
    /// A port of the network.
    Tcp {
        /// An address, a name that leads to one, or `*` for all of IPv4.
        host: String,
        /// The port.
        port: u16,
    },
    /// A socket with a file.
    Unix(String),
}

impl HttpAddress {
    /// As it is written; `None`: it is no place to listen at.
    pub fn parse(text: &str) -> Option<HttpAddress> {
        if let Some(path) = text.strip_prefix("unix:") {
            return (!path.is_empty()).then(|| HttpAddress::Unix(path.to_owned()));
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => rest.split_once("]:")?,
            None => text.rsplit_once(':').filter(|(host, _)| !host.contains(':'))?,
        };
        let port = port.parse().ok().filter(|_| port.bytes().all(|byte| byte.is_ascii_digit()))?;
        (!host.is_empty()).then(|| HttpAddress::Tcp { host: host.to_owned(), port })
    }

    /// Nobody but this machine gets there.
    pub fn is_of_this_machine(&self) -> bool {
        match self {
            HttpAddress::Unix(_) => true,
            HttpAddress::Tcp { host, .. } => {
                host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
            }
        }
    }
}

impl fmt::Display for HttpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HttpAddress::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            HttpAddress::Tcp { host, port } => write!(f, "{host}:{port}"),
            HttpAddress::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

impl Serialize for HttpAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HttpAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        HttpAddress::parse(&text)
            .ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &"ADDRESS:PORT or unix:PATH"))
    }
}

/// A socket on which HTTP is spoken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpConfig {
    /// The name of its section.
    pub name: String,
    /// Where it is.
    pub listen: HttpAddress,
    /// Permission bits of a socket with a file.
    pub mode: u32,
    /// `user`, `user:group` or `:group` that owns a socket with a file; `None`: the daemon's own.
    pub owner: Option<String>,
    /// Who may come in, besides those of `users_file`; with a password alone.
    pub username: Option<String>,
    /// His password, or `{SHA}` or `{SHA256}` with its hash.
    pub password: Option<String>,
    /// A file of lines `name:{SHA256}hash`: who may come in.
    pub users_file: Option<String>,
    /// Names by which the daemon is known, besides addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Everybody may come in, from everywhere, and that is meant.
    pub insecure: bool,
    /// Whether `/livez` and `/readyz` are answered to everybody; `None`: where nobody but this machine comes in.
    pub open_probes: Option<bool>,
}

impl HttpConfig {
    /// A socket of the section `name` with the default of every setting.
    pub fn new(name: impl Into<String>) -> HttpConfig {
        HttpConfig {
            name: name.into(),
            listen: HttpAddress::Tcp { host: "127.0.0.1".to_owned(), port: DEFAULT_HTTP_PORT },
            mode: 0o600,
            owner: None,
            username: None,
            password: None,
            users_file: None,
            hosts: Vec::new(),
            insecure: false,
            open_probes: None,
        }
    }

    /// Whoever comes in has to say who he is.
    pub fn asks_for_a_password(&self) -> bool {
        self.password.is_some() || self.users_file.is_some()
    }
}
