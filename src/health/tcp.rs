//! The tcp check: does somebody accept a connection?

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::{HealthCheckResult, HealthChecker, lookup};

/// Passes when a connection to `host:port` is accepted within the time-out, whatever the address family.
#[derive(Debug, Clone)]
pub struct TcpHealthChecker {
    host: String,
    port: u16,
    timeout: Duration,
}

impl TcpHealthChecker {
    /// A check of `host` (an IPv4 or IPv6 address, with or without brackets, or a name).
    pub fn new(host: &str, port: u16, timeout: Duration) -> Self {
        let host = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
        TcpHealthChecker { host: host.to_owned(), port, timeout }
    }

    /// Numbers never ask the resolver, so that they can't be delayed by a name server.
    fn addresses(&self, deadline: Instant) -> Result<Vec<SocketAddr>, String> {
        let found = match self.host.parse::<IpAddr>() {
            Ok(ip) => vec![ip],
            Err(_) => lookup::resolve(&self.host, deadline).unwrap_or_else(|| Err(self.no_answer()))?,
        };
        Ok(found.into_iter().map(|ip| SocketAddr::new(ip, self.port)).collect())
    }

    fn no_answer(&self) -> String {
        format!("no answer within {} s", self.timeout.as_secs())
    }

    fn target(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl HealthChecker for TcpHealthChecker {
    fn check(&self) -> HealthCheckResult {
        let deadline = Instant::now() + self.timeout;
        let addresses = match self.addresses(deadline) {
            Ok(addresses) => addresses,
            Err(reason) => return HealthCheckResult::failed(format!("cannot resolve {}: {reason}", self.host)),
        };
        let mut last = None;
        for (address, untried) in addresses.iter().zip((1..=addresses.len()).rev()) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            // An address that does not answer leaves time for the next: a host may have lost one family of addresses.
            let share = left / u32::try_from(untried).unwrap_or(u32::MAX);
            match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
                Ok(_) => return HealthCheckResult::passed(format!("connected to {}", self.target())),
                Err(error) => last = Some(error),
            }
        }
        let reason = match last {
            Some(error) if error.kind() != io::ErrorKind::TimedOut => crate::util::errno::reason(&error),
            _ if addresses.is_empty() => "the name has no address".to_owned(),
            _ => self.no_answer(),
        };
        HealthCheckResult::failed(format!("cannot connect to {}: {reason}", self.target()))
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn check(host: &str, port: u16) -> HealthCheckResult {
        TcpHealthChecker::new(host, port, Duration::from_secs(5)).check()
    }

    #[test]
    fn ipv4_ipv6_and_names() {
        let v4 = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = v4.local_addr().unwrap().port();
        assert!(check("127.0.0.1", port).healthy);
        assert!(check("localhost", port).healthy, "{:?}", check("localhost", port));
        if let Ok(v6) = TcpListener::bind("[::1]:0") {
            let port = v6.local_addr().unwrap().port();
            assert!(check("::1", port).healthy);
            assert!(check("[::1]", port).healthy);
        } else {
            println!("SKIPPED: no IPv6 on this machine");
        }
    }

    #[test]
    fn refused_says_where_and_why() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let result = check("127.0.0.1", port);
        assert!(!result.healthy);
        assert_eq!(result.message, format!("cannot connect to 127.0.0.1:{port}: Connection refused"));
    }

    #[test]
    fn silence_ends_at_the_time_out() {
        // A full backlog: the kernel drops further connection attempts, as a dead host would.
        use nix::sys::socket::{
            AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, getsockname, listen, socket,
        };
        use std::os::fd::AsRawFd;
        let full = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(full.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
        listen(&full, Backlog::new(0).unwrap()).unwrap();
        let port = getsockname::<SockaddrIn>(full.as_raw_fd()).unwrap().port();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut held = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            held.push(stream);
            assert!(held.len() < 100, "the backlog never fills");
        }
        let begin = Instant::now();
        let result = TcpHealthChecker::new("127.0.0.1", address.port(), Duration::from_secs(1)).check();
        assert!(!result.healthy);
        assert!(result.message.ends_with("no answer within 1 s"), "{}", result.message);
        assert!(begin.elapsed() < Duration::from_secs(4));
    }
}
