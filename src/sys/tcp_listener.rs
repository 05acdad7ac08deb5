//! Listening sockets of the network.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn6, bind, listen, setsockopt, socket, sockopt,
};

/// Connections that may wait to be accepted, as with std.
const BACKLOG: i32 = 128;

/// Listens at the first of these addresses that can be had. One of IPv6 takes connections of IPv6 alone, so that
/// `[::]:9001` and `0.0.0.0:9001` can be had together, by whichever program, in either order.
///
/// # Errors
///
/// The system's reason for the last address; there is none.
pub fn listen_tcp(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpListener> {
    let mut failed = io::Error::new(io::ErrorKind::InvalidInput, "the host has no address");
    for address in addresses {
        let listener = match address {
            SocketAddr::V4(_) => TcpListener::bind(address),
            SocketAddr::V6(address) => listen_six(SockaddrIn6::from(address)).map_err(io::Error::from),
        };
        match listener {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn listen_six(address: SockaddrIn6) -> nix::Result<TcpListener> {
    let socket = socket(AddressFamily::Inet6, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    bind(socket.as_raw_fd(), &address)?;
    listen(&socket, Backlog::new(BACKLOG)?)?;
    Ok(TcpListener::from(socket))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};

    use super::*;

    fn at(address: impl Into<std::net::IpAddr>, port: u16) -> io::Result<TcpListener> {
        listen_tcp(std::iter::once(SocketAddr::new(address.into(), port)))
    }

    /// Row 105: all addresses of IPv4 beside all of IPv6, in both orders, and each alone.
    #[test]
    fn row_105_both_families_listen_at_one_port_and_each_alone() {
        crate::sys::testing::in_own_process(
            "sys::tcp_listener::tests::row_105_both_families_listen_at_one_port_and_each_alone",
            || {
                let Ok(six) = at(Ipv6Addr::UNSPECIFIED, 0) else { return println!("SKIPPED: there is no IPv6") };
                let port = six.local_addr().expect("an address").port();
                let reaches = |address: std::net::IpAddr| TcpStream::connect(SocketAddr::new(address, port)).is_ok();
                let (loopback4, loopback6) = (Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into());
                // Another process may have the port of IPv4.
                let Ok(four) = at(Ipv4Addr::UNSPECIFIED, port) else { return println!("SKIPPED: {port} is in use") };
                assert!(reaches(loopback4) && reaches(loopback6));
                assert_eq!(at(Ipv6Addr::UNSPECIFIED, port).expect_err("it is in use").kind(), io::ErrorKind::AddrInUse);
                drop(six);
                assert!(reaches(loopback4) && !reaches(loopback6));
                let six = at(Ipv6Addr::UNSPECIFIED, port).expect("the other order");
                drop(four);
                assert!(reaches(loopback6) && !reaches(loopback4));
                drop(six);
            },
        );
    }

    #[test]
    fn the_first_address_that_can_be_had_is_taken() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addresses = [taken.local_addr().expect("an address"), SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
        listen_tcp(addresses.into_iter()).expect("the second");
        assert_eq!(
            listen_tcp(addresses[..1].iter().copied()).expect_err("it is in use").kind(),
            io::ErrorKind::AddrInUse
        );
        assert_eq!(listen_tcp(std::iter::empty()).expect_err("none").kind(), io::ErrorKind::InvalidInput);
    }
}
