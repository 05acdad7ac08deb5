//! What the kernel tells of network interfaces and default routes (rtnetlink).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, send, socket,
};

/// The most that one message of the kernel takes.
pub const MAX_MESSAGE_BYTES: usize = 32 * 1024;

/// Bytes of the header of a message: its length, type, flags, number and the port of its sender.
const HEADER: usize = 16;
/// Bytes of what a message about an interface begins with.
const LINK_HEADER: usize = 16;
/// Bytes of what a message about a route begins with.
const ROUTE_HEADER: usize = 12;
/// Bytes of the header of an attribute: its length and type.
const ATTRIBUTE_HEADER: usize = 4;

/// The dump has seen changes while it was made: it may lack something.
const DUMP_INTERRUPTED: u16 = 0x10;
/// A route that is not configured, but was looked up once.
const CLONED: u32 = 0x200;

/// A list that the kernel can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dump {
    /// All interfaces.
    Links,
    /// All routes.
    Routes,
}

/// News, or a row of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkMessage {
    /// This interface is there.
    Link {
        /// Its number.
        index: i32,
        /// Its name.
        name: String,
        /// It is up, and connected.
        is_up: bool,
    },
    /// The interface of this number has gone.
    LinkGone {
        /// Its number.
        index: i32,
    },
    /// There is a default route.
    DefaultRoute,
    /// A default route has gone; others may be there.
    DefaultRouteGone,
    /// The list that was asked for is over.
    DumpOver {
        /// Nothing has changed meanwhile.
        is_complete: bool,
    },
    /// The kernel does not give it.
    Refused {
        /// Why.
        errno: i32,
    },
}

/// Becomes readable when interfaces or routes change, and when a list comes that was asked for.
#[derive(Debug)]
pub struct NetworkEvents(OwnedFd);

impl NetworkEvents {
    /// Begins to listen.
    ///
    /// # Errors
    /// Where the kernel has no such socket, or no descriptor left.
    pub fn new() -> io::Result<NetworkEvents> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        let groups = libc::RTMGRP_LINK | libc::RTMGRP_IPV4_ROUTE | libc::RTMGRP_IPV6_ROUTE;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups.unsigned_abs()))?;
        Ok(NetworkEvents(socket))
    }

    /// See [`NetworkEvents`].
    pub fn raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Asks for a list; one at a time.
    ///
    /// # Errors
    /// Where the kernel does not take the question.
    pub fn ask(&self, dump: Dump) -> io::Result<()> {
        let (kind, body) = match dump {
            Dump::Links => (libc::RTM_GETLINK, LINK_HEADER),
            Dump::Routes => (libc::RTM_GETROUTE, ROUTE_HEADER),
        };
        let flags = libc::NLM_F_REQUEST | libc::NLM_F_DUMP;
        let length = HEADER + body;
        let mut message = Vec::with_capacity(length);
        message.extend_from_slice(&(length as u32).to_ne_bytes());
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&(flags as u16).to_ne_bytes());
        // All families, all tables, all interfaces: the rest is zero.
        message.resize(length, 0);
        send(self.raw_fd(), &message, MsgFlags::empty())?;
        Ok(())
    }

    /// Reads what the kernel has sent in one piece.
    ///
    /// # Errors
    /// `WouldBlock` where there is nothing; `ENOBUFS` where something was lost, because it was not read in time.
    pub fn receive(&self, buffer: &mut [u8], tell: &mut impl FnMut(NetworkMessage)) -> io::Result<()> {
        let (length, sender) = recvfrom::<NetlinkAddr>(self.raw_fd(), buffer)?;
        // Only the kernel knows.
        if sender.is_some_and(|sender| sender.pid() == 0) {
            read(buffer.get(..length).unwrap_or(buffer), tell);
        }
        Ok(())
    }
}

/// The number at this place.
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// The number at this place.
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Takes a piece apart into its messages. What is cut off, or unknown, is left out.
fn read(mut bytes: &[u8], tell: &mut impl FnMut(NetworkMessage)) {
    while let Some((length, kind, flags)) = header(bytes) {
        let Some(body) = bytes.get(HEADER..length) else { return };
        if let Some(news) = understand(kind, flags, body) {
            tell(news);
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
}

/// The length, type and flags of the first message.
fn header(bytes: &[u8]) -> Option<(usize, u16, u16)> {
    let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
    (length >= HEADER).then_some((length, u16_at(bytes, 4)?, u16_at(bytes, 6)?))
}

fn understand(kind: u16, flags: u16, body: &[u8]) -> Option<NetworkMessage> {
    match kind {
        libc::RTM_NEWLINK | libc::RTM_DELLINK => link(kind == libc::RTM_NEWLINK, body),
        libc::RTM_NEWROUTE | libc::RTM_DELROUTE if is_default_route(body)? => Some(match kind == libc::RTM_NEWROUTE {
            true => NetworkMessage::DefaultRoute,
            false => NetworkMessage::DefaultRouteGone,
        }),
        _ if i32::from(kind) == libc::NLMSG_DONE => {
            Some(NetworkMessage::DumpOver { is_complete: flags & DUMP_INTERRUPTED == 0 })
        }
        _ if i32::from(kind) == libc::NLMSG_ERROR => {
            let errno = u32_at(body, 0)?.cast_signed().saturating_neg();
            (errno != 0).then_some(NetworkMessage::Refused { errno })
        }
        _ => None,
    }
}

fn link(is_there: bool, body: &[u8]) -> Option<NetworkMessage> {
    // Others are about a part of it, for instance that it has left a bridge.
    if i32::from(*body.first()?) != libc::AF_UNSPEC {
        return None;
    }
    let (index, flags) = (u32_at(body, 4)?.cast_signed(), u32_at(body, 8)?.cast_signed());
    if !is_there {
        return Some(NetworkMessage::LinkGone { index });
    }
    let name = attribute(body.get(LINK_HEADER..)?, libc::IFLA_IFNAME)?;
    let name = String::from_utf8_lossy(name.split(|byte| *byte == 0).next()?).into_owned();
    let wanted = libc::IFF_UP | libc::IFF_RUNNING;
    Some(NetworkMessage::Link { index, name, is_up: flags & wanted == wanted })
}

/// A route to everywhere, of the table that everything takes, by which something can be reached.
fn is_default_route(body: &[u8]) -> Option<bool> {
    let (&family, &prefix, &table, &kind) = (body.first()?, body.get(1)?, body.get(4)?, body.get(7)?);
    let flags = u32_at(body, 8)?;
    let is_ip = [libc::AF_INET, libc::AF_INET6].contains(&i32::from(family));
    Some(is_ip && prefix == 0 && table == libc::RT_TABLE_MAIN && kind == libc::RTN_UNICAST && flags & CLONED == 0)
}

fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let (length, kind) = (usize::from(u16_at(bytes, 0)?), u16_at(bytes, 2)?);
        let value = bytes.get(ATTRIBUTE_HEADER..length)?;
        if kind == wanted {
            return Some(value);
        }
        bytes = bytes.get(length.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(bytes: &[u8]) -> Vec<NetworkMessage> {
        let mut found = Vec::new();
        read(bytes, &mut |news| found.push(news));
        found
    }

    fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
        let mut message = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
        message.extend([kind.to_ne_bytes(), flags.to_ne_bytes()].concat());
        message.extend([0; 8]);
        message.extend(body);
        message.resize(message.len().next_multiple_of(4), 0);
        message
    }

    /// What `ip link` shows as `lo`.
    #[test]
    fn the_interfaces_of_this_machine_are_told() {
        let Ok(events) = NetworkEvents::new() else {
            assert!(std::env::var_os("SUPERVICE_TEST_REQUIRE").is_none(), "netlink sockets are needed");
            return println!("SKIPPED: there are no netlink sockets here");
        };
        events.ask(Dump::Links).expect("asked");
        let (mut found, mut buffer) = (Vec::new(), vec![0; MAX_MESSAGE_BYTES]);
        while !found.iter().any(|news| matches!(news, NetworkMessage::DumpOver { .. })) {
            match events.receive(&mut buffer, &mut |news| found.push(news)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(error) => panic!("{error}"),
            }
        }
        let is_lo = |news: &NetworkMessage| matches!(news, NetworkMessage::Link { index: 1, name, .. } if name == "lo");
        assert!(found.iter().any(is_lo), "{found:?}");
    }

    #[test]
    fn links_routes_and_ends_are_understood() {
        let link = |family: u8, flags: i32| {
            let mut body = vec![family, 0, 0, 0];
            body.extend([7_i32.to_ne_bytes(), flags.to_ne_bytes(), [0; 4]].concat());
            // An attribute before the name, and its padding.
            body.extend([5, 0, 42, 0, 1, 0, 0, 0, 9, 0, 3, 0]);
            body.extend(b"eth0\0");
            body
        };
        let up = libc::IFF_UP | libc::IFF_RUNNING;
        let told = |is_up| vec![NetworkMessage::Link { index: 7, name: "eth0".to_owned(), is_up }];
        assert_eq!(news(&message(libc::RTM_NEWLINK, 0, &link(0, up))), told(true));
        assert_eq!(news(&message(libc::RTM_NEWLINK, 0, &link(0, libc::IFF_UP))), told(false));
        assert_eq!(news(&message(libc::RTM_DELLINK, 0, &link(0, up))), [NetworkMessage::LinkGone { index: 7 }]);
        assert_eq!(news(&message(libc::RTM_DELLINK, 0, &link(7, up))), [], "it has left a bridge");
        let route = |prefix, table, kind, flags: u32| {
            let mut body = vec![libc::AF_INET as u8, prefix, 0, 0, table, 0, 0, kind];
            body.extend(flags.to_ne_bytes());
            news(&message(libc::RTM_NEWROUTE, 0, &body))
        };
        assert_eq!(route(0, libc::RT_TABLE_MAIN, libc::RTN_UNICAST, 0), [NetworkMessage::DefaultRoute]);
        assert_eq!(route(8, libc::RT_TABLE_MAIN, libc::RTN_UNICAST, 0), []);
        assert_eq!(route(0, libc::RT_TABLE_LOCAL, libc::RTN_UNICAST, 0), []);
        assert_eq!(route(0, libc::RT_TABLE_MAIN, libc::RTN_UNREACHABLE, 0), []);
        assert_eq!(route(0, libc::RT_TABLE_MAIN, libc::RTN_UNICAST, CLONED), []);
        let both =
            [message(libc::NLMSG_DONE as u16, DUMP_INTERRUPTED, &[0; 4]), message(2, 0, &(-13_i32).to_ne_bytes())];
        let expected = [NetworkMessage::DumpOver { is_complete: false }, NetworkMessage::Refused { errno: 13 }];
        assert_eq!(news(&both.concat()), expected);
    }

    #[test]
    fn what_is_cut_off_or_nonsense_is_left_out() {
        let mut whole = message(libc::RTM_NEWLINK, 0, &[0; 40]);
        whole.extend(message(libc::NLMSG_DONE as u16, 0, &[]));
        for end in 0..whole.len() {
            news(&whole[..end]);
        }
        let mut seed = 1_u32;
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..64)
                .map(|at| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    // A plausible length and type lead further in.
                    match at {
                        0 => 40,
                        1..4 | 5 => 0,
                        4 => [16, 17, 24, 2, 3][(seed >> 24) as usize % 5],
                        _ => (seed >> 24) as u8,
                    }
                })
                .collect();
            news(&bytes);
        }
    }
}
