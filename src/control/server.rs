//! The io thread: one mio loop for the sockets that clients connect to, their connections, and the pipes on which
//! programs tell that they are ready. It knows no process: it hands requests to a sink, and takes answers from a queue.

mod accept;
mod handle;
mod messages;
#[cfg(feature = "http")]
mod sockets;
mod spare;
mod streams;

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
#[cfg(test)]
use std::sync::PoisonError;
#[cfg(feature = "http")]
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use mio::{Events, Interest, Poll, Token, Waker};

use handle::Message;
use spare::Spare;

use super::announcements::Followers;
use super::client::{Client, ClientWork};
use super::connection::Served;
use super::link::Stream;
use super::name_watch::{NameWatch, Tokens};
use super::names::Names;
pub use super::network_waits::AwaitedNetwork;
use super::network_waits::{NetworkSeen, NetworkWaits};
pub use super::notifications::Received;
use super::notifications::{Notifications, Read};
pub use super::path_waits::{AwaitedPath, Until};
use super::path_waits::{AwaitedPathInspected, PathWaits};
use super::peer::{CONNECTIONS_PER_USER, Who};
use super::ready_pipes::ReadyPipes;
pub use super::ready_pipes::ReadyRun;
use super::server_socket::{OpenSocket, ServerSocket};
pub use super::watched_paths::WatchedPath;
use super::watched_paths::{WatchedPaths, WatchedPathsInspected};
use crate::api::{ConditionId, Request, WallClock};
use crate::process::{Initiator, ReadyReport};
use crate::sys;
use crate::sys::clock_watch::ClockWatch;
use crate::sys::limits::nofile;
use crate::sys::net::SocketGuard;
pub use handle::ServerHandle;
#[cfg(feature = "http")]
pub use sockets::Place;

/// Names a connection; never used again for another one.
pub type ConnId = u64;

/// A request with the one who asks.
#[derive(Debug, Clone)]
pub struct IncomingRequest {
    /// Where the answer goes.
    pub conn: ConnId,
    /// Who asks. The name of a command of this machine is known for commands alone.
    pub by: Initiator,
    /// What for.
    pub request: Request,
}

/// What the io thread reports.
#[derive(Debug)]
pub enum ServerEvent {
    /// A client asks.
    Request(IncomingRequest),
    /// A client has gone, whatever it still waits for.
    Disconnected(ConnId),
    /// What a start waits for is there, or has gone.
    ConditionSeen {
        /// The run that it is to become.
        run: ReadyRun,
        /// Which of the conditions it is.
        condition: ConditionId,
        /// Which.
        is_there: bool,
    },
    /// What a path of a run leads to has changed (`restart_on_change`).
    Changed(ReadyRun, Arc<str>),
    /// A program tells of its readiness.
    Readiness(ReadyRun, ReadyReport),
    /// A message on `$NOTIFY_SOCKET`.
    Notified(Box<Received>),
    /// A descriptor that somebody wants closed when everything before it was handled.
    Barrier(OwnedFd),
    /// The wall clock was set, or the machine has slept.
    ClockSet,
    /// Everything was reported that programs had told before this was asked for: those that have ended may be reaped.
    ReadBeforeEnds,
    /// Everything was reported that was on `$NOTIFY_SOCKET` when this was asked for.
    NotificationsRead(ReadyRun),
}

/// What a client may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time; the one that was answered and is idle for the longest is closed to make room for another,
    /// or else the one that has kept us waiting for the longest.
    pub connections: usize,
    /// Those of them that one user of this machine may have, other than root and the daemon's own.
    pub per_user: usize,
    /// Those of them that may have come over the network: whoever floods it locks nobody of this machine out.
    pub remote: usize,
    /// For the rest of a half frame, and for taking an answer.
    pub stall_timeout: Duration,
    /// For whoever has just connected: until then it is not closed to make room, though it has not asked for anything.
    pub grace: Duration,
}

/// Connections at a time, where open files are not scarce.
const CONNECTIONS: usize = 512;

/// Connections over the network at a time.
const REMOTE_CONNECTIONS: usize = 128;

/// Connections at a time, however scarce open files are.
const MIN_CONNECTIONS: usize = 8;

impl Default for Limits {
    /// 512 connections, 128 of them over the network, 64 of one user, but at most a quarter of the files that this
    /// process may have open: clients must not take from the programs what their next start needs. 10 seconds of
    /// stall_timeout, a quarter of one of grace.
    fn default() -> Self {
        let files = nofile().map_or(u64::MAX, |limit| limit.soft);
        let connections = share_of(files);
        let remote = REMOTE_CONNECTIONS.min(connections / 2);
        let per_user = CONNECTIONS_PER_USER.min(connections / 2);
        Limits {
            connections,
            per_user,
            remote,
            stall_timeout: Duration::from_secs(10),
            grace: Duration::from_millis(250),
        }
    }
}

/// The connections that so many open files leave room for.
fn share_of(files: u64) -> usize {
    usize::try_from(files / 4).unwrap_or(CONNECTIONS).clamp(MIN_CONNECTIONS, CONNECTIONS)
}

/// Connections with more to do that have their turn before answers and new requests have theirs.
const SERVED_PER_TURN: usize = 16;

#[cfg(any(test, feature = "http"))]
const STACK: usize = 128 * 1024;

const WAKER: Token = Token(0);
const NAMES: Tokens = Tokens { paths: Token(3), mounts: Token(4), lock: Token(5) };
const PATHS: Token = Token(6);
const NOTIFICATIONS: Token = Token(7);
const CHANGES: Token = Token(8);
const NETWORK: Token = Token(9);
const CLOCK: Token = Token(10);
/// Sockets are counted from here on.
const FIRST_SOCKET: usize = 11;
/// Connections are counted from here on.
const FIRST_CONNECTION: u64 = 64;
/// Sockets that clients may connect to, at most.
pub const MAX_SOCKETS: usize = FIRST_CONNECTION as usize - FIRST_SOCKET;

/// What the io thread reports to; may block for a moment.
pub type Sink = Arc<dyn Fn(ServerEvent) + Send + Sync>;

/// How the loop has ended, with the names to be dropped.
enum Ended {
    /// As it was told to.
    ByShutdown(Names),
    /// By a panic, or because the poll has failed.
    Early(Names),
}

/// The loop of the io thread, which has not begun.
pub struct Io {
    server: Box<Server>,
    sink: Sink,
}

impl Io {
    /// Runs it on this thread until it is [shut down](ServerHandle::shutdown). Gives back the names, to be dropped.
    pub fn run(self) -> Names {
        #[cfg(feature = "http")]
        super::web::begin_oom_count();
        let Io { server, sink } = self;
        // The daemon has to be able to end its programs even then.
        let ended = catch_unwind(AssertUnwindSafe(|| server.run())).unwrap_or(Ended::Early(Names::default()));
        match ended {
            Ended::ByShutdown(names) => names,
            Ended::Early(names) => {
                log::error!(
                    "the io thread has ended before its time: nobody can command the daemon any more, but for signals; \
                     its programs are supervised as before"
                );
                // The order may have been taken, or may have been in the queue, which is closed by now. Nobody else
                // would tell that it has been lost, and no child is reaped before.
                sink(ServerEvent::ReadBeforeEnds);
                names
            }
        }
    }
}

/// As [`start_with`], with the limits of the daemon.
///
/// # Errors
/// As [`start_with`].
#[cfg(test)]
pub fn start(sockets: impl IntoIterator<Item = ServerSocket>, names: Names, sink: Sink) -> io::Result<ServerHandle> {
    start_with(sockets, names, sink, Limits::default())
}

/// Starts an io thread of its own; see [`prepare`].
///
/// # Errors
/// The system's, when it refuses a thread or a descriptor.
#[cfg(test)]
pub fn start_with(
    sockets: impl IntoIterator<Item = ServerSocket>,
    names: Names,
    sink: Sink,
    limits: Limits,
) -> io::Result<ServerHandle> {
    let (handle, io) = prepare_with(sockets, names, sink, limits)?;
    let thread = std::thread::Builder::new().name("io".to_owned()).stack_size(STACK);
    let thread = thread.spawn(move || io.run())?;
    *handle.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
    Ok(handle)
}

/// What serves who comes in by `sockets` and sees to it that `names` stay.
///
/// # Errors
/// The system's, when it refuses a descriptor.
pub fn prepare(
    sockets: impl IntoIterator<Item = ServerSocket>,
    names: Names,
    sink: Sink,
) -> io::Result<(ServerHandle, Io)> {
    prepare_with(sockets, names, sink, Limits::default())
}

fn prepare_with(
    sockets: impl IntoIterator<Item = ServerSocket>,
    names: Names,
    sink: Sink,
    limits: Limits,
) -> io::Result<(ServerHandle, Io)> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
    let mut open = Vec::new();
    for (number, socket) in sockets.into_iter().take(MAX_SOCKETS).enumerate() {
        let mut socket = OpenSocket::new(socket);
        poll.registry().register(socket.source(), Token(FIRST_SOCKET + number), Interest::READABLE)?;
        open.push(socket);
    }
    let names = NameWatch::new(names, poll.registry(), NAMES)?;
    let (messages, queue) = unbounded();
    let report = ServerHandle {
        messages,
        waker,
        news: Arc::default(),
        #[cfg(test)]
        thread: Arc::default(),
        #[cfg(feature = "http")]
        connections: Arc::default(),
    };
    let handle = report.clone();
    let mut server = Server {
        poll,
        sockets: open,
        names,
        report,
        sink: Arc::clone(&sink),
        limits,
        queue,
        clients: HashMap::new(),
        followers: Followers::default(),
        hand_out_at: None,
        client_due: None,
        next: FIRST_CONNECTION,
        waits_for_room: None,
        accept_again: None,
        accept_fails: false,
        spare: Spare::default(),
        unfinished: Vec::new(),
        ready_pipes: ReadyPipes::default(),
        path_waits: PathWaits::default(),
        changes: WatchedPaths::default(),
        network_waits: NetworkWaits::default(),
        notifications: Notifications::default(),
        clock: None,
        guards: Vec::new(),
        ending: None,
    };
    server.spare.refill();
    Ok((handle, Io { server: Box::new(server), sink }))
}

struct Server {
    poll: Poll,
    sockets: Vec<OpenSocket>,
    names: NameWatch,
    /// For what a thread of ours reports.
    report: ServerHandle,
    sink: Sink,
    limits: Limits,
    queue: Receiver<Message>,
    clients: HashMap<ConnId, Client>,
    /// Those who are told of what happens.
    followers: Followers,
    /// When they are told of what has happened since the last time.
    hand_out_at: Option<Instant>,
    /// When the first of the clients is to be looked at although nothing comes from it.
    client_due: Option<Instant>,
    next: ConnId,
    /// The next one, where there are too many and one of them is soon to be closed.
    waits_for_room: Option<(Stream, Who, usize)>,
    /// Out of descriptors or room: when to accept again.
    accept_again: Option<Instant>,
    /// That was said in the log.
    accept_fails: bool,
    spare: Spare,
    /// Connections with more to do in the next turn. The poll reports news only, and this is none.
    unfinished: Vec<ConnId>,
    ready_pipes: ReadyPipes,
    path_waits: PathWaits,
    changes: WatchedPaths,
    network_waits: NetworkWaits,
    notifications: Notifications,
    /// Tells that the wall clock was set, while somebody goes by it.
    clock: Option<ClockWatch>,
    /// They remove the files of sockets when everything is over.
    guards: Vec<SocketGuard>,
    /// Set by a shutdown: when even unsent answers are given up.
    ending: Option<Instant>,
}

impl Server {
    fn run(mut self: Box<Self>) -> Ended {
        let mut events = Events::with_capacity(64);
        loop {
            let is_idle =
                self.unfinished.is_empty() && !self.notifications.has_unread() && !self.network_waits.has_unread();
            let deadline = self.next_deadline();
            let timeout = match is_idle {
                true => deadline.map(|at| at.saturating_duration_since(Instant::now())),
                false => Some(Duration::ZERO),
            };
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    log::error!("the io thread cannot poll: {}", crate::util::errno::reason(&error));
                    return Ended::Early(self.end());
                }
            }
            let now = Instant::now();
            self.turn(&events, now);
            let is_done = self.clients.is_empty() && !self.names.is_inspecting();
            match self.ending {
                None => self.check_names(now),
                Some(end) if end <= now || is_done => return Ended::ByShutdown(self.end()),
                Some(_) => {}
            }
        }
    }

    /// Does what the poll has told of. Apart from the loop, whose frame is there while it waits: this one is large.
    #[inline(never)]
    fn turn(&mut self, events: &Events, now: Instant) {
        let some = self.unfinished.len().min(SERVED_PER_TURN);
        for conn in self.unfinished.drain(..some).collect::<Vec<_>>() {
            self.serve(now, conn);
        }
        for event in events {
            match event.token() {
                WAKER => {}
                PATHS => self.path_waits.happened(|| report_path(&self.report)),
                CHANGES => self.changes.happened(now),
                NOTIFICATIONS => self.notifications.readable(),
                NETWORK => self.network_waits.readable(),
                CLOCK => {
                    if self.clock.as_ref().is_some_and(ClockWatch::was_set) {
                        (self.sink)(ServerEvent::ClockSet);
                    }
                }
                token if self.names.event(token, now) => {}
                Token(number) if number < FIRST_SOCKET + MAX_SOCKETS => self.accept(now),
                Token(number) => {
                    let conn = number as u64;
                    if let Some(client) = self.clients.get_mut(&conn) {
                        // Both directions: a client that has only closed its own still reads.
                        if event.is_write_closed() {
                            client.link.hang_up();
                        } else if event.is_readable() {
                            client.link.readable();
                        }
                        self.serve(now, conn);
                    } else if let Some((run, report)) = self.ready_pipes.readable(self.poll.registry(), event.token()) {
                        (self.sink)(ServerEvent::Readiness(run, report));
                    }
                }
            }
        }
        let sink = &self.sink;
        self.notifications.read_some(|read| report_notification(sink, read));
        self.network_waits.read_some(self.poll.registry(), now, |NetworkSeen { run, condition, is_there }| {
            sink(ServerEvent::ConditionSeen { run, condition, is_there });
        });
        self.take_messages(now);
        self.expire(now);
    }

    /// What is left to be removed when everything is over.
    fn end(self: Box<Self>) -> Names {
        let mut names = self.names.end();
        names.more_sockets = self.guards;
        names
    }

    fn check_names(&mut self, now: Instant) {
        let report = self.report.clone();
        self.names.begin_inspection(now, move |inspected| report.send(Message::NamesInspected(Box::new(inspected))));
    }

    /// The control socket was made anew. Who has connected to the old one is still served.
    fn replace_listener(&mut self, listener: UnixListener, now: Instant) {
        self.accept(now);
        let place = self.sockets.iter().position(OpenSocket::is_control);
        let Some((place, socket)) = place.and_then(|place| Some((place, self.sockets.get_mut(place)?))) else { return };
        let _ = self.poll.registry().deregister(socket.source());
        socket.replace(listener);
        if let Err(error) =
            self.poll.registry().register(socket.source(), Token(FIRST_SOCKET + place), Interest::READABLE)
        {
            let reason = crate::util::errno::reason(&error);
            log::error!("the control socket is there again, but cannot be watched: {reason}");
        }
    }

    fn serve(&mut self, now: Instant, conn: ConnId) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        let sink = &self.sink;
        #[cfg(feature = "http")]
        let report = &self.report;
        let serve = AssertUnwindSafe(|| {
            client.serve(now, clock(), &mut |wanted| match wanted {
                ClientWork::Answer(by, request) => {
                    crate::failpoint::hit("connection", || format!("{request:?}"));
                    sink(ServerEvent::Request(IncomingRequest { conn, by, request }));
                }
                #[cfg(feature = "http")]
                ClientWork::Work(work) => report.work(conn, work),
            })
        });
        let fate = catch_unwind(serve).unwrap_or_else(|_| {
            log::error!("connection {conn}: closed after an internal error of supervice (a panic), please report it");
            Served::Over
        });
        match fate {
            Served::Over => self.close(conn),
            Served::Lives => self.watch(conn),
            Served::Unfinished => {
                self.serve_later(conn);
                self.watch(conn);
            }
        }
    }

    /// In one of the next turns, when others have had theirs.
    fn serve_later(&mut self, conn: ConnId) {
        if !self.unfinished.contains(&conn) {
            self.unfinished.push(conn);
        }
    }

    /// Has the poll report room to write exactly while an answer waits for it.
    fn watch(&mut self, conn: ConnId) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        let link = &mut client.link;
        let wants = link.wants_write();
        let Ok(token) = usize::try_from(conn) else { return };
        if wants == link.watches_write {
            return;
        }
        link.watches_write = wants;
        let interest = if wants { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        if self.poll.registry().reregister(&mut link.stream, Token(token), interest).is_err() {
            self.close(conn);
        }
    }

    fn close(&mut self, conn: ConnId) {
        if let Some(mut client) = self.clients.remove(&conn) {
            let _ = self.poll.registry().deregister(&mut client.link.stream);
            (self.sink)(ServerEvent::Disconnected(conn));
            self.count_clients();
            // There is a descriptor again.
            self.accept_again = self.accept_again.map(|_| client.link.last_active);
            drop(client);
            self.spare.refill();
        }
    }

    /// For those who want to know how many there are.
    fn count_clients(&self) {
        #[cfg(feature = "http")]
        self.report.connections.store(self.clients.len(), Ordering::Relaxed);
    }

    /// Does what is due: looks at paths of which nothing tells, accepts again, tells those who follow.
    fn expire(&mut self, now: Instant) {
        self.path_waits.inspect_due(now, || report_path(&self.report));
        self.changes.inspect_due(now, || report_changes(&self.report));
        self.network_waits.inspect_due(self.poll.registry(), NETWORK, now);
        if self.accept_again.is_some_and(|at| at <= now) {
            self.accept_again = None;
            self.accept(now);
        }
        if self.hand_out_at.is_some_and(|at| at <= now) {
            self.hand_out();
        }
        if self.client_due.is_some_and(|at| at <= now) {
            self.expire_clients(now);
        }
    }

    /// Closes who has kept half a request, or has not taken its answer, for too long; goes on with what was held back.
    fn expire_clients(&mut self, now: Instant) {
        let stall_timeout = self.limits.stall_timeout;
        let is_due = |client: &Client| client.deadline(stall_timeout).is_some_and(|at| at <= now);
        let due = self.clients.iter().filter(|(_, client)| is_due(client));
        for conn in due.map(|(conn, _)| *conn).collect::<Vec<_>>() {
            if self.clients.get_mut(&conn).is_some_and(|client| client.time_is_up(now, clock())) {
                self.serve(now, conn);
            } else {
                log::debug!("connection {conn}: closed, half a request or an answer that was not taken for too long");
                self.close(conn);
            }
        }
    }

    fn next_deadline(&mut self) -> Option<Instant> {
        self.client_due = self.clients.values().filter_map(|client| client.deadline(self.limits.stall_timeout)).min();
        let inspect = self.names.deadline().filter(|_| self.ending.is_none());
        let waits = [self.path_waits.deadline(), self.changes.deadline(), self.network_waits.deadline()];
        let waits = waits.into_iter().flatten().min();
        [self.client_due, self.hand_out_at, self.accept_again, inspect, waits, self.ending].into_iter().flatten().min()
    }
}

/// What a look at a path calls when it has ended.
fn report_path(report: &ServerHandle) -> impl FnOnce(AwaitedPathInspected) + Send + 'static {
    let report = report.clone();
    move |inspected| report.send(Message::AwaitedPathInspected(inspected))
}

/// What a look at what may have changed calls when it has ended.
fn report_changes(report: &ServerHandle) -> impl FnOnce(WatchedPathsInspected) + Send + 'static {
    let report = report.clone();
    move |inspected| report.send(Message::WatchedPathsInspected(inspected))
}

/// Reports what was read from `$NOTIFY_SOCKET`.
fn report_notification(sink: &Sink, read: Read) {
    sink(match read {
        Read::Message(received) => ServerEvent::Notified(received),
        Read::Barrier(fd) => ServerEvent::Barrier(fd),
    });
}

/// The present time.
fn clock() -> WallClock {
    WallClock::from(sys::time::wall_clock())
}

#[cfg(test)]
mod tests;
