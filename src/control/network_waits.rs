//! The network conditions that starts wait for: an interface that is up, a default route. One netlink socket for all of
//! them, as long as one is waited for.

use std::io;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use super::ready_pipes::ReadyRun;
use crate::api::ConditionId;
use crate::models::NetworkCondition;
use crate::sys::netlink::{Dump, MAX_MESSAGE_BYTES, NetworkEvents, NetworkMessage};
use crate::util::errno;

/// How soon the kernel is asked again that has refused.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// Pieces of news that are read before others get their turn.
const MAX_PER_TURN: usize = 64;

/// What a start waits for.
#[derive(Debug)]
pub struct AwaitedNetwork {
    /// The run that it is to become.
    pub run: ReadyRun,
    /// Which of the conditions it is.
    pub condition: ConditionId,
    /// What has to hold.
    pub what: NetworkCondition,
}

/// A condition has come to hold, or holds no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NetworkSeen {
    pub run: ReadyRun,
    pub condition: ConditionId,
    pub is_there: bool,
}

/// What is known of the network.
#[derive(Debug, Default)]
struct Known {
    /// The interfaces, and which of them are up.
    links: Vec<(i32, String, bool)>,
    has_route: bool,
    /// The lists that are to be asked for: what is known is not all, or not so any more.
    wants: Vec<Dump>,
    /// The list that comes.
    coming: Option<Dump>,
    /// The interfaces that were told of since that was asked for.
    seen: Vec<i32>,
    /// A default route was told of since then.
    seen_route: bool,
}

impl Known {
    fn want(&mut self, dump: Dump) {
        if !self.wants.contains(&dump) {
            self.wants.push(dump);
        }
    }

    fn learn(&mut self, news: NetworkMessage) {
        match news {
            NetworkMessage::Link { index, name, is_up } => {
                self.seen.push(index);
                self.links.retain(|(known, ..)| *known != index);
                self.links.push((index, name, is_up));
                self.doubt_route(is_up);
            }
            NetworkMessage::LinkGone { index } => {
                self.seen.retain(|seen| *seen != index);
                self.links.retain(|(known, ..)| *known != index);
                self.doubt_route(false);
            }
            NetworkMessage::DefaultRoute => (self.has_route, self.seen_route) = (true, true),
            NetworkMessage::DefaultRouteGone => self.want(Dump::Routes),
            NetworkMessage::DumpOver { is_complete } => {
                match self.coming.take() {
                    Some(dump) if !is_complete => self.want(dump),
                    Some(Dump::Links) => {
                        let seen = std::mem::take(&mut self.seen);
                        self.links.retain(|(index, ..)| seen.contains(index));
                    }
                    Some(Dump::Routes) => self.has_route = self.seen_route,
                    None => {}
                }
                self.seen = Vec::new();
            }
            // Told by `NetworkWaits`.
            NetworkMessage::Refused { .. } => {}
        }
    }

    /// The kernel does not tell of the routes that go with their interface.
    fn doubt_route(&mut self, is_up: bool) {
        if !is_up && self.has_route && self.coming != Some(Dump::Links) {
            self.want(Dump::Routes);
        }
    }

    fn holds(&self, what: &NetworkCondition) -> bool {
        match what {
            NetworkCondition::Link(wanted) => self.links.iter().any(|(_, name, is_up)| *is_up && name == wanted),
            NetworkCondition::Route => self.has_route,
        }
    }
}

/// Those that are waited for.
#[derive(Default)]
pub(super) struct NetworkWaits {
    /// Each, and what was last told of it.
    waits: Vec<(AwaitedNetwork, bool)>,
    events: Option<NetworkEvents>,
    buffer: Vec<u8>,
    known: Known,
    /// Something may be there to be read.
    unread: bool,
    /// The kernel has refused: when it is asked again.
    begin_again: Option<Instant>,
}

impl NetworkWaits {
    /// Waits for this.
    pub(super) fn add(&mut self, registry: &Registry, token: Token, awaited: AwaitedNetwork, now: Instant) {
        let needs = match awaited.what {
            NetworkCondition::Link(_) => Dump::Links,
            NetworkCondition::Route => Dump::Routes,
        };
        // One that waits for the same has had it asked for.
        let is_new = !self
            .waits
            .iter()
            .any(|(other, _)| std::mem::discriminant(&other.what) == std::mem::discriminant(&awaited.what));
        self.waits.push((awaited, false));
        if is_new {
            self.known.want(needs);
        }
        self.unread = true;
        self.begin(registry, token, now);
    }

    /// Nobody waits for anything of this run any more.
    pub(super) fn remove(&mut self, registry: &Registry, run: ReadyRun) {
        if self.waits.is_empty() {
            return;
        }
        self.waits.retain(|(awaited, _)| awaited.run != run);
        if self.waits.is_empty() {
            self.end(registry);
            *self = NetworkWaits::default();
        }
    }

    fn begin(&mut self, registry: &Registry, token: Token, now: Instant) {
        if self.events.is_some() || self.begin_again.is_some_and(|at| at > now) {
            return;
        }
        match begin_events(registry, token) {
            Ok(events) => {
                self.events = Some(events);
                self.buffer.resize(MAX_MESSAGE_BYTES, 0);
                self.begin_again = None;
            }
            Err(error) => self.fail(registry, &error, now),
        }
    }

    fn end(&mut self, registry: &Registry) {
        if let Some(events) = self.events.take() {
            let _ = registry.deregister(&mut SourceFd(&events.raw_fd()));
        }
    }

    /// Begins anew in a while, with all lists.
    fn fail(&mut self, registry: &Registry, error: &io::Error, now: Instant) {
        log::error!(
            "the kernel does not tell of the network: {}; what starts wait for there is tried again in {} s",
            errno::reason(error),
            RETRY_INTERVAL.as_secs()
        );
        self.end(registry);
        self.known = Known { wants: vec![Dump::Links, Dump::Routes], ..Known::default() };
        self.begin_again = now.checked_add(RETRY_INTERVAL);
    }

    pub(super) fn readable(&mut self) {
        self.unread = true;
    }

    /// More is there than one turn takes.
    pub(super) fn has_unread(&self) -> bool {
        self.unread
    }

    /// When [`inspect_due`](Self::inspect_due) is to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.begin_again
    }

    /// Asks the kernel again that has refused, if it is time to.
    pub(super) fn inspect_due(&mut self, registry: &Registry, token: Token, now: Instant) {
        if self.begin_again.is_some_and(|at| at <= now) {
            self.begin(registry, token, now);
            self.unread = self.events.is_some();
        }
    }

    /// Reads a share of what there is, and tells what follows from that.
    pub(super) fn read_some(&mut self, registry: &Registry, now: Instant, mut tell: impl FnMut(NetworkSeen)) {
        if !std::mem::take(&mut self.unread) {
            return;
        }
        if let Err(error) = self.read() {
            self.fail(registry, &error, now);
        }
        let known = &self.known;
        for (AwaitedNetwork { run, condition, what }, told) in &mut self.waits {
            let is_there = known.holds(what);
            if std::mem::replace(told, is_there) != is_there {
                tell(NetworkSeen { run: *run, condition: *condition, is_there });
            }
        }
    }

    fn read(&mut self) -> io::Result<()> {
        let NetworkWaits { events: Some(events), buffer, known, unread, .. } = self else { return Ok(()) };
        let mut refused = None;
        for _ in 0..MAX_PER_TURN {
            let mut learn = |news| match news {
                NetworkMessage::Refused { errno } => refused = Some(errno),
                other => known.learn(other),
            };
            match events.receive(buffer, &mut learn) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return match refused {
                        Some(errno) => Err(io::Error::from_raw_os_error(errno)),
                        None => ask_next(events, known),
                    };
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    known.want(Dump::Links);
                    known.want(Dump::Routes);
                }
                Err(error) => return Err(error),
            }
        }
        *unread = true;
        Ok(())
    }
}

/// Asks for the next list that is wanted, unless one comes. Its arrival is told by the poll.
fn ask_next(events: &NetworkEvents, known: &mut Known) -> io::Result<()> {
    if known.coming.is_some() {
        return Ok(());
    }
    let Some(dump) = known.wants.pop() else { return Ok(()) };
    (known.seen, known.seen_route) = (Vec::new(), false);
    events.ask(dump)?;
    known.coming = Some(dump);
    Ok(())
}

fn begin_events(registry: &Registry, token: Token) -> io::Result<NetworkEvents> {
    let events = NetworkEvents::new()?;
    registry.register(&mut SourceFd(&events.raw_fd()), token, Interest::READABLE)?;
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: i32, name: &str, is_up: bool) -> NetworkMessage {
        NetworkMessage::Link { index, name: name.to_owned(), is_up }
    }

    fn over(known: &mut Known, dump: Dump) {
        known.wants.retain(|wanted| *wanted != dump);
        known.coming = Some(dump);
        known.learn(NetworkMessage::DumpOver { is_complete: true });
    }

    #[test]
    fn an_interface_counts_while_it_is_up_under_this_name() {
        let eth0 = NetworkCondition::Link("eth0".to_owned());
        let mut known = Known::default();
        known.learn(link(2, "eth0", false));
        assert!(!known.holds(&eth0));
        known.learn(link(2, "eth0", true));
        assert!(known.holds(&eth0));
        known.learn(link(2, "wan", true));
        assert!(!known.holds(&eth0), "it was renamed");
        known.learn(link(2, "eth0", true));
        known.learn(NetworkMessage::LinkGone { index: 2 });
        assert!(!known.holds(&eth0));
    }

    /// News were lost: what the new list does not have has gone.
    #[test]
    fn a_new_list_takes_the_place_of_what_was_known() {
        let mut known = Known::default();
        known.learn(link(2, "eth0", true));
        known.learn(link(3, "eth1", true));
        known.learn(NetworkMessage::DefaultRoute);
        (known.seen, known.seen_route) = (Vec::new(), false);
        known.learn(link(3, "eth1", true));
        over(&mut known, Dump::Links);
        assert!(!known.holds(&NetworkCondition::Link("eth0".to_owned())));
        assert!(known.holds(&NetworkCondition::Link("eth1".to_owned())));
        over(&mut known, Dump::Routes);
        assert!(!known.holds(&NetworkCondition::Route));
    }

    #[test]
    fn a_route_that_may_have_gone_is_looked_for() {
        let mut known = Known::default();
        known.learn(NetworkMessage::DefaultRoute);
        known.learn(link(2, "eth0", true));
        assert_eq!(known.wants, []);
        known.learn(link(2, "eth0", false));
        assert_eq!((known.wants.as_slice(), known.holds(&NetworkCondition::Route)), (&[Dump::Routes][..], true));
        known.learn(NetworkMessage::DefaultRouteGone);
        assert_eq!(known.wants, [Dump::Routes]);
        known.coming = Some(Dump::Routes);
        known.learn(NetworkMessage::DumpOver { is_complete: false });
        assert_eq!(known.wants, [Dump::Routes], "it was interrupted");
    }
}
