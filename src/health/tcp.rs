//! The checks by a connection: does somebody accept one?

use std::time::Duration;

use super::connect::{Deadline, open, target};
use super::{HealthCheckResult, HealthChecker};
use crate::models::Endpoint;

/// Passes when a connection to `host:port` is accepted within the time-out, whatever the address family.
#[derive(Debug, Clone)]
pub struct TcpHealthChecker(ConnectionChecker);

impl TcpHealthChecker {
    /// A check of `host` (an IPv4 or IPv6 address, with or without brackets, or a name).
    pub fn new(host: &str, port: u16, timeout: Duration) -> Self {
        TcpHealthChecker(ConnectionChecker { endpoint: Endpoint::Tcp { host: host.to_owned(), port }, timeout })
    }
}

impl HealthChecker for TcpHealthChecker {
    fn check(&self) -> HealthCheckResult {
        self.0.check()
    }
}

/// Passes when a connection to a Unix socket is accepted within the time-out.
#[derive(Debug, Clone)]
pub struct UnixHealthChecker(ConnectionChecker);

impl UnixHealthChecker {
    /// A check of the socket with this path, in the abstract namespace where it begins with `@`.
    pub fn new(path: &str, timeout: Duration) -> Self {
        UnixHealthChecker(ConnectionChecker { endpoint: Endpoint::Unix(path.to_owned()), timeout })
    }
}

impl HealthChecker for UnixHealthChecker {
    fn check(&self) -> HealthCheckResult {
        self.0.check()
    }
}

/// Passes when a connection is accepted there within the time-out.
#[derive(Debug, Clone)]
pub(super) struct ConnectionChecker {
    pub(super) endpoint: Endpoint,
    pub(super) timeout: Duration,
}

impl HealthChecker for ConnectionChecker {
    fn check(&self) -> HealthCheckResult {
        match open(&self.endpoint, Deadline::after(self.timeout)) {
            Ok(_) => HealthCheckResult::passed(format!("connected to {}", target(&self.endpoint))),
            Err(reason) => HealthCheckResult::failed(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, ToSocketAddrs};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixListener;
    use std::time::Instant;

    use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, getsockname, listen, socket};

    use super::*;
    use crate::sys::testing::TEST_TIMEOUT;

    fn check(host: &str, port: u16) -> HealthCheckResult {
        TcpHealthChecker::new(host, port, TEST_TIMEOUT).check()
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

    /// Each address of a name is tried.
    #[test]
    fn row_116_a_server_that_listens_by_one_family_only_is_found_by_its_name() {
        let mut found = 0;
        for own in ("localhost", 0).to_socket_addrs().unwrap() {
            let Ok(listener) = TcpListener::bind((own.ip(), 0)) else { continue };
            let port = listener.local_addr().unwrap().port();
            let result = check("localhost", port);
            assert!(result.healthy, "{own}: {}", result.message);
            found += 1;
        }
        assert!(found > 0);
    }

    #[test]
    fn refused_says_where_and_why() {
        // Nobody else gets the port, and nobody listens there.
        let bound = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(bound.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
        let port = getsockname::<SockaddrIn>(bound.as_raw_fd()).unwrap().port();
        let result = check("127.0.0.1", port);
        assert!(!result.healthy);
        assert_eq!(result.message, format!("cannot connect to 127.0.0.1:{port}: Connection refused"));
    }

    #[test]
    fn silence_ends_at_the_time_out() {
        // A full backlog: the kernel drops further connection attempts, as a dead host would.
        let full = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(full.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
        listen(&full, Backlog::new(0).unwrap()).unwrap();
        let port = getsockname::<SockaddrIn>(full.as_raw_fd()).unwrap().port();
        // Nobody accepts: each check takes a place.
        let check = |_| TcpHealthChecker::new("127.0.0.1", port, Duration::from_secs(1)).check();
        let begin = Instant::now();
        let result = (0..100).map(check).find(|result| !result.healthy).expect("the backlog is full at some time");
        assert!(result.message.ends_with("no answer within 1 s"), "{}", result.message);
        assert!(begin.elapsed() < TEST_TIMEOUT);
    }

    #[test]
    fn a_unix_socket_is_reached_by_its_path_and_one_that_takes_no_more_is_no_answer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let path = path.to_str().unwrap();
        let check = |limit| UnixHealthChecker::new(path, limit).check();
        let missing = format!("cannot connect to {path}: No such file or directory");
        assert_eq!(check(TEST_TIMEOUT), HealthCheckResult::failed(missing));
        let listener = UnixListener::bind(path).unwrap();
        assert_eq!(check(TEST_TIMEOUT), HealthCheckResult::passed(format!("connected to {path}")));
        // Nobody accepts: the queue fills, and the kernel keeps whoever comes waiting.
        let begin = Instant::now();
        let refused = loop {
            let result = check(Duration::from_secs(1));
            if !result.healthy {
                break result;
            }
            assert!(begin.elapsed() < TEST_TIMEOUT, "the backlog never fills");
        };
        assert_eq!(refused.message, format!("cannot connect to {path}: no answer within 1 s"));
        drop(listener);
        // A child that another test forks has a copy of the listener until it executes its program.
        let (begin, refused) = (Instant::now(), format!("cannot connect to {path}: Connection refused"));
        while check(Duration::from_secs(1)).message != refused {
            assert!(begin.elapsed() < TEST_TIMEOUT, "somebody listens still");
        }
    }
}
