//! Where somebody listens, and what is asked by HTTP there.

use std::fmt;

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The port of HTTP where none is named.
const HTTP_PORT: u16 = 80;

/// Where somebody listens.
///
/// Serialized as it is written in a configuration file: `"tcp:HOST:PORT"` or `"unix:PATH"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A port of a host.
    Tcp {
        /// An IPv4 or IPv6 address (in brackets), or a name.
        host: String,
        /// From 1 on.
        port: u16,
    },
    /// A Unix socket with an absolute path; in the abstract namespace where that begins with `@`.
    Unix(String),
}

impl Endpoint {
    /// As it is written; `None`: it is none.
    pub(crate) fn parse(text: &str) -> Option<Endpoint> {
        match text.split_once(':')? {
            ("tcp", address) => Endpoint::tcp(address),
            ("unix", path) => Endpoint::unix(path),
            _ => None,
        }
    }

    /// `HOST:PORT`
    fn tcp(address: &str) -> Option<Endpoint> {
        let (host, port) = address.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port > 0)?;
        is_host(host).then(|| Endpoint::Tcp { host: host.to_owned(), port })
    }

    fn unix(path: &str) -> Option<Endpoint> {
        let is_path = path.len() > 1 && (path.starts_with('/') || path.starts_with('@')) && !path.contains('\0');
        is_path.then(|| Endpoint::Unix(path.to_owned()))
    }
}

/// A name or an IPv4 address, or an IPv6 address in brackets: else its colons are taken for that of the port.
fn is_host(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok()),
        None => {
            let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
            !host.is_empty() && host.bytes().all(is_of_name)
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp { host, port } => write!(f, "tcp:{host}:{port}"),
            Endpoint::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

/// What is asked by HTTP, without TLS.
///
/// Serialized as it is written in a configuration file: `"http://HOST:PORT/PATH"`, or `"http://unix:SOCKET:/PATH"` as
/// nginx has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl {
    /// Whom.
    pub endpoint: Endpoint,
    /// For what: the path, with what stands behind it; it begins with `/`.
    pub target: String,
}

impl HttpUrl {
    /// As it is written; `None`: it is none, or asks for TLS.
    pub(crate) fn parse(text: &str) -> Option<HttpUrl> {
        let rest = text.strip_prefix("http://")?;
        let (endpoint, target) = match rest.strip_prefix("unix:") {
            Some(rest) => {
                let (socket, target) = rest.split_once(':').unwrap_or((rest, "/"));
                (Endpoint::unix(socket)?, target)
            }
            None => {
                let (address, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
                let plain = || is_host(address).then(|| Endpoint::Tcp { host: address.to_owned(), port: HTTP_PORT });
                (Endpoint::tcp(address).or_else(plain)?, target)
            }
        };
        let slash = if target.starts_with('/') { "" } else { "/" };
        // A blank or a line end would be another request.
        let is_sound = target.bytes().all(|byte| byte.is_ascii_graphic());
        // The fragment is the reader's own.
        let target = target.split('#').next().unwrap_or_default();
        is_sound.then(|| HttpUrl { endpoint, target: format!("{slash}{target}") })
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HttpUrl { endpoint, target } = self;
        match endpoint {
            Endpoint::Tcp { host, port: HTTP_PORT } => write!(f, "http://{host}{target}"),
            Endpoint::Tcp { host, port } => write!(f, "http://{host}:{port}{target}"),
            Endpoint::Unix(path) => write!(f, "http://unix:{path}:{target}"),
        }
    }
}

impl Serialize for HttpUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HttpUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        HttpUrl::parse(&text).ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &"an http URL"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_as_it_was() {
        for text in [
            "tcp:127.0.0.1:80",
            "tcp:localhost:1",
            "tcp:[::1]:65535",
            "tcp:db_1.example.com:5432",
            "unix:/run/x.sock",
            "unix:@x",
        ] {
            assert_eq!(Endpoint::parse(text).map(|endpoint| endpoint.to_string()).as_deref(), Some(text));
        }
        for text in ["http://localhost/", "http://[::1]:8080/a?b=c", "http://unix:/run/x.sock:/health"] {
            assert_eq!(HttpUrl::parse(text).map(|url| url.to_string()).as_deref(), Some(text));
        }
        for (text, whole) in [
            ("http://h:80", "http://h/"),
            ("http://h?a", "http://h/?a"),
            ("http://h/a#b", "http://h/a"),
            ("http://unix:/s", "http://unix:/s:/"),
        ] {
            assert_eq!(HttpUrl::parse(text).map(|url| url.to_string()).as_deref(), Some(whole));
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "tcp",
            "tcp:",
            "tcp:host",
            "tcp:host:",
            "tcp:host:0",
            "tcp:host:65536",
            "tcp::80",
            "tcp:::1:80",
            "tcp:[::1:80",
            "tcp:a b:80",
            "udp:host:80",
            "unix:",
            "unix:/",
            "unix:relative",
            "unix:/a\0b",
        ] {
            assert_eq!(Endpoint::parse(text), None, "{text:?}");
        }
        for text in [
            "",
            "http://",
            "http:///a",
            "https://host/",
            "host/",
            "http://host/a b",
            "http://host/\r\nX: y",
            "http://user@host/",
            "http://unix:relative:/",
            "http://host:0/",
        ] {
            assert_eq!(HttpUrl::parse(text), None, "{text:?}");
        }
    }
}
