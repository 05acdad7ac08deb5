//! The io thread: one mio loop for the control socket, its connections, the signals, and the pipes on which programs tell
//! that they are ready. It knows no process: it hands requests and signals to a sink, and takes answers from a queue.

use std::collections::HashMap;
use std::io::{self, PipeReader};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use super::connection::{Connection, Fate};
use super::name_watch::{NameWatch, Tokens};
use super::names::{Looked, Names};
use super::output_feed::Source;
use super::ready_pipes::ReadyPipes;
pub use super::ready_pipes::ReadyRun;
use crate::api::{Answer, Request, WallClock};
use crate::codec::frames::{self, ErrorCode};
use crate::process::{Caller, ReadyReport};
use crate::sys;
use crate::sys::limits::nofile;
use crate::sys::net::{Peer, peer_credentials};
use crate::sys::signals::{Signal, SignalPipes};

/// Names a connection; never used again for another one.
pub type ConnId = u64;

/// A request with the one who asks.
#[derive(Debug, Clone)]
pub struct IncomingRequest {
    /// Where the answer goes.
    pub conn: ConnId,
    /// Who asks, as the kernel knows him. The name of his command is known for commands alone.
    pub caller: Caller,
    /// What for.
    pub request: Request,
}

/// What the io thread reports.
#[derive(Debug)]
pub enum ServerEvent {
    /// A signal has come.
    Signal(Signal),
    /// A client asks.
    Request(IncomingRequest),
    /// A client has gone, whatever it still waits for.
    Disconnected(ConnId),
    /// A program tells of its readiness.
    Readiness(ReadyRun, ReadyReport),
}

/// What a client may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time; the one that was answered and is idle for the longest is closed to make room for another, or
    /// else the one that has kept us waiting for the longest.
    pub connections: usize,
    /// For the rest of a half frame, and for taking an answer.
    pub patience: Duration,
    /// For whoever has just connected: until then it is not closed to make room, though it has not asked for anything.
    pub grace: Duration,
}

/// Connections at a time, where open files are not scarce.
const CONNECTIONS: usize = 512;

/// Connections at a time, however scarce open files are.
const LEAST_CONNECTIONS: usize = 8;

impl Default for Limits {
    /// 512 connections, but at most a quarter of the files that this process may have open: clients must not take
    /// from the programs what their next start needs. 10 seconds of patience, a quarter of one of grace.
    fn default() -> Self {
        let files = nofile().map_or(u64::MAX, |limit| limit.soft);
        Limits { connections: share_of(files), patience: Duration::from_secs(10), grace: Duration::from_millis(250) }
    }
}

/// The connections that so many open files leave room for.
fn share_of(files: u64) -> usize {
    usize::try_from(files / 4).unwrap_or(CONNECTIONS).clamp(LEAST_CONNECTIONS, CONNECTIONS)
}

/// After running out of descriptors, accepting is tried again after this time.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Clients that are accepted in one turn.
const ACCEPTS_PER_TURN: usize = 32;

const STACK: usize = 128 * 1024;

const WAKER: Token = Token(0);
const LISTENER: Token = Token(1);
const SIGNALS: Token = Token(2);
const NAMES: Tokens = Tokens { paths: Token(3), mounts: Token(4), lock: Token(5) };
/// Connections are counted from here on.
const FIRST_CONNECTION: u64 = 64;

enum Message {
    Reply(ConnId, Payload),
    Feed(ConnId, Arc<dyn Source>),
    Looked(Box<Looked>),
    AwaitReady(ReadyRun, PipeReader),
    ForgetReady(ReadyRun),
    Shutdown(Instant),
}

/// An answer on its way to a connection.
enum Payload {
    /// To be encoded on the io thread.
    Answer(Box<Answer>),
    #[cfg(test)]
    Frame(Vec<u8>),
}

impl Payload {
    fn frame(self) -> Vec<u8> {
        match self {
            Payload::Answer(answer) => frames::answer(&answer, WallClock::from(sys::time::wall_clock())),
            #[cfg(test)]
            Payload::Frame(frame) => frame,
        }
    }
}

/// The way to the io thread; nothing but [`shutdown`](Self::shutdown) waits for it.
#[derive(Clone)]
pub struct ServerHandle {
    /// Without a limit of its own: there is at most one answer for each connection, whose number is limited.
    messages: Sender<Message>,
    waker: Arc<Waker>,
    thread: Arc<Mutex<Option<JoinHandle<Names>>>>,
}

impl ServerHandle {
    /// Sends an answer; dropped if the connection has gone.
    pub fn reply(&self, conn: ConnId, answer: Box<Answer>) {
        self.send(Message::Reply(conn, Payload::Answer(answer)));
    }

    #[cfg(test)]
    pub(super) fn reply_frame(&self, conn: ConnId, frame: Vec<u8>) {
        self.send(Message::Reply(conn, Payload::Frame(frame)));
    }

    /// A feed of the client has something to be sent. To be called where its `push` or `finish` says so, so
    /// that at most one such message waits for each feed.
    pub fn feed(&self, conn: ConnId, feed: Arc<dyn Source>) {
        self.send(Message::Feed(conn, feed));
    }

    /// Tells when this run writes a line feed to its pipe, or has closed it without one.
    pub fn await_ready(&self, run: ReadyRun, pipe: PipeReader) {
        self.send(Message::AwaitReady(run, pipe));
    }

    /// The run has ended; closes the pipe if it has told nothing.
    pub fn forget_ready(&self, run: ReadyRun) {
        self.send(Message::ForgetReady(run));
    }

    /// Takes no more connections or requests, writes what is to be written within `limit`, and ends the thread. Gives back
    /// the names, to be dropped.
    pub fn shutdown(&self, limit: Duration) -> Names {
        self.send(Message::Shutdown(Instant::now() + limit));
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.and_then(|thread| thread.join().ok()).unwrap_or_default()
    }

    fn send(&self, message: Message) {
        if self.messages.send(message).is_ok() {
            let _ = self.waker.wake();
        }
    }
}

/// What the io thread reports to; may block for a moment.
pub type Sink = Box<dyn Fn(ServerEvent) + Send>;

/// Starts the io thread, which serves `listener` (non-blocking), listens to `signals` and sees to it that `names` stay.
///
/// # Errors
/// The system's, when it refuses a thread or a descriptor.
pub fn start(
    listener: Option<UnixListener>,
    names: Names,
    signals: SignalPipes,
    sink: Sink,
) -> io::Result<ServerHandle> {
    start_with(listener, names, signals, sink, Limits::default())
}

/// As [`start`], with other limits.
///
/// # Errors
/// As [`start`].
pub fn start_with(
    listener: Option<UnixListener>,
    names: Names,
    signals: SignalPipes,
    sink: Sink,
    limits: Limits,
) -> io::Result<ServerHandle> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
    poll.registry().register(&mut SourceFd(&signals.fd().as_raw_fd()), SIGNALS, Interest::READABLE)?;
    let mut listener = listener.map(mio::net::UnixListener::from_std);
    if let Some(listener) = &mut listener {
        poll.registry().register(listener, LISTENER, Interest::READABLE)?;
    }
    // A socket without a path has no mode that could tell who may use it.
    let has_path = |listener: &mio::net::UnixListener| listener.local_addr().is_ok_and(|at| at.as_pathname().is_some());
    let own_user_only = listener.as_ref().is_some_and(|listener| !has_path(listener));
    let names = NameWatch::new(names, poll.registry(), NAMES)?;
    let (messages, queue) = unbounded();
    let report = ServerHandle { messages, waker, thread: Arc::default() };
    let handle = report.clone();
    let server = Server {
        poll,
        listener,
        names,
        report,
        signals,
        sink,
        limits,
        own_user_only,
        queue,
        connections: HashMap::new(),
        next: FIRST_CONNECTION,
        waits_for_room: None,
        accept_again: None,
        accept_fails: false,
        unfinished: Vec::new(),
        ready_pipes: ReadyPipes::default(),
        ending: None,
    };
    let thread = std::thread::Builder::new().name("io".to_owned()).stack_size(STACK);
    let thread = thread.spawn(move || server.run())?;
    *handle.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
    Ok(handle)
}

struct Server {
    poll: Poll,
    listener: Option<mio::net::UnixListener>,
    names: NameWatch,
    /// For what a thread of ours reports.
    report: ServerHandle,
    signals: SignalPipes,
    sink: Sink,
    limits: Limits,
    /// Serve root and the user of this process alone.
    own_user_only: bool,
    queue: Receiver<Message>,
    connections: HashMap<ConnId, Connection>,
    next: ConnId,
    /// The next one, where there are too many and one of them is soon to be closed.
    waits_for_room: Option<mio::net::UnixStream>,
    /// Out of descriptors or room: when to accept again.
    accept_again: Option<Instant>,
    /// That was said in the log.
    accept_fails: bool,
    /// Connections with more to do in the next turn. The poll reports news only, and this is none.
    unfinished: Vec<ConnId>,
    ready_pipes: ReadyPipes,
    /// Set by a shutdown: when even unsent answers are given up.
    ending: Option<Instant>,
}

impl Server {
    fn run(mut self) -> Names {
        let mut events = Events::with_capacity(64);
        loop {
            let timeout = match self.unfinished.is_empty() {
                true => self.next_deadline().map(|at| at.saturating_duration_since(Instant::now())),
                false => Some(Duration::ZERO),
            };
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    log::error!(
                        "the io thread cannot poll: {}; the control socket and signals are dead",
                        crate::util::errno::reason(&error)
                    );
                    return self.names.end();
                }
            }
            let now = Instant::now();
            for conn in std::mem::take(&mut self.unfinished) {
                self.serve(now, conn);
            }
            for event in &events {
                match event.token() {
                    WAKER => {}
                    LISTENER => self.accept(now),
                    SIGNALS => self.signals(now),
                    token if self.names.event(token, now) => {}
                    Token(number) => {
                        let conn = number as u64;
                        if let Some(connection) = self.connections.get_mut(&conn) {
                            // Both directions: a client that has only closed its own still reads.
                            if event.is_write_closed() {
                                connection.hang_up();
                            } else if event.is_readable() {
                                connection.readable();
                            }
                            self.serve(now, conn);
                        } else if let Some((run, report)) =
                            self.ready_pipes.readable(self.poll.registry(), event.token())
                        {
                            (self.sink)(ServerEvent::Readiness(run, report));
                        }
                    }
                }
            }
            self.take_messages(now);
            self.expire(now);
            let is_done = self.connections.is_empty() && !self.names.is_looking();
            match self.ending {
                None => self.look_at_names(now),
                Some(end) if end <= now || is_done => return self.names.end(),
                Some(_) => {}
            }
        }
    }

    fn look_at_names(&mut self, now: Instant) {
        let report = self.report.clone();
        self.names.begin_look(now, move |looked| report.send(Message::Looked(Box::new(looked))));
    }

    /// The control socket was made anew. Who has connected to the old one is still served.
    fn replace_listener(&mut self, listener: UnixListener, now: Instant) {
        self.accept(now);
        let mut listener = mio::net::UnixListener::from_std(listener);
        if self.ending.is_some() || self.poll.registry().register(&mut listener, LISTENER, Interest::READABLE).is_err()
        {
            return;
        }
        if let Some(mut old) = self.listener.replace(listener) {
            let _ = self.poll.registry().deregister(&mut old);
        }
    }

    fn signals(&mut self, now: Instant) {
        for (signal, times) in self.signals.take() {
            if matches!(signal, Signal::Reload | Signal::Reopen) {
                self.names.look_now(now);
            }
            // Two quick TERMs are two orders; any number of dead children is one sweep.
            let reports = if signal == Signal::Terminate { times.min(2) } else { times.min(1) };
            for _ in 0..reports {
                (self.sink)(ServerEvent::Signal(signal));
            }
        }
    }

    fn accept(&mut self, now: Instant) {
        if self.accept_again.is_some() {
            return;
        }
        if let Some(stream) = self.waits_for_room.take() {
            self.welcome(stream, now);
        }
        for _ in 0..ACCEPTS_PER_TURN {
            if self.accept_again.is_some() {
                return;
            }
            let Some(listener) = &self.listener else { return };
            match listener.accept() {
                Ok((stream, _)) => self.welcome(stream, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.accept_fails = false;
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                // An idle client's descriptor serves a busy one; so does that of a client that keeps us waiting.
                Err(error) if is_out_of_descriptors(&error) && self.make_room(now) => {}
                Err(error) => {
                    if is_out_of_descriptors(&error)
                        && let Some(end) = self.grace_ends()
                    {
                        self.accept_again = Some(end);
                        return;
                    }
                    if !self.accept_fails {
                        log::warn!(
                            "cannot accept a client: {}; tried again every second",
                            crate::util::errno::reason(&error)
                        );
                    }
                    self.accept_fails = true;
                    self.accept_again = Some(now + ACCEPT_PAUSE);
                    return;
                }
            }
        }
        // Without a new event: those who wait have been announced already.
        self.accept_again = Some(now);
    }

    fn welcome(&mut self, mut stream: mio::net::UnixStream, now: Instant) {
        if self.ending.is_some() {
            return;
        }
        if self.connections.len() >= self.limits.connections && !self.make_room(now) {
            if let Some(end) = self.grace_ends() {
                self.waits_for_room = Some(stream);
                self.accept_again = Some(end);
                return;
            }
            let message = format!("more than {} clients at a time; try again later", self.limits.connections);
            let _ = io::Write::write(&mut stream, &frames::error(ErrorCode::Failed, &message));
            return;
        }
        let peer = {
            use std::os::fd::AsFd;
            peer_credentials(stream.as_fd())
        };
        let Ok(peer) = peer else { return };
        if self.own_user_only && peer.uid != 0 && peer.uid != nix::unistd::geteuid().as_raw() {
            let message = "only root and the daemon's own user may use a socket in the abstract namespace";
            let _ = io::Write::write(&mut stream, &frames::error(ErrorCode::Failed, message));
            return;
        }
        let conn = self.next;
        self.next += 1;
        let Ok(token) = usize::try_from(conn) else { return };
        // Room to write is of interest only while an answer waits for it: it would wake us at every answer.
        if self.poll.registry().register(&mut stream, Token(token), Interest::READABLE).is_err() {
            return;
        }
        self.connections.insert(conn, Connection::new(stream, peer, now));
        self.serve(now, conn);
    }

    /// When the first of those who have only just come may be closed: until then, others wait. Nobody is turned away for the
    /// sake of clients that say nothing.
    fn grace_ends(&self) -> Option<Instant> {
        let came = self.connections.values().filter_map(Connection::silent_since).min();
        came.map(|came| came + self.limits.grace)
    }

    /// Closes a connection: the one that was answered and is idle for the longest; else the one that has kept half a frame or
    /// an answer, or has said nothing at all, for the longest. `false` if all are busy, or have only just come.
    fn make_room(&mut self, now: Instant) -> bool {
        let all = || self.connections.iter();
        let idle = all().filter(|(_, connection)| connection.is_idle());
        let idle = idle.map(|(conn, connection)| (connection.last_active, *conn)).min();
        let keeps_waiting = |connection: &Connection| match connection.silent_since() {
            Some(since) => Some(since).filter(|since| now.saturating_duration_since(*since) >= self.limits.grace),
            None => connection.stuck_since,
        };
        let waiting = all().filter_map(|(conn, connection)| Some((keeps_waiting(connection)?, *conn)));
        let Some((_, conn)) = idle.or_else(|| waiting.min()) else { return false };
        self.close(conn);
        true
    }

    fn serve(&mut self, now: Instant, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        let (peer, sink) = (connection.peer, &self.sink);
        let serve = AssertUnwindSafe(|| {
            connection.serve(now, |request| {
                crate::failpoint::hit("connection", || format!("{request:?}"));
                let caller = caller(peer, &request);
                sink(ServerEvent::Request(IncomingRequest { conn, caller, request }));
            })
        });
        let fate = catch_unwind(serve).unwrap_or_else(|_| {
            log::error!("connection {conn}: closed after an internal error of supervice (a panic), please report it");
            Fate::Over
        });
        match fate {
            Fate::Over => self.close(conn),
            Fate::Lives => self.watch(conn),
            Fate::Unfinished => {
                if !self.unfinished.contains(&conn) {
                    self.unfinished.push(conn);
                }
                self.watch(conn);
            }
        }
    }

    /// Has the poll report room to write exactly while an answer waits for it.
    fn watch(&mut self, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        let wants = connection.wants_write();
        let Ok(token) = usize::try_from(conn) else { return };
        if wants == connection.watches_write {
            return;
        }
        connection.watches_write = wants;
        let interest = if wants { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        if self.poll.registry().reregister(&mut connection.stream, Token(token), interest).is_err() {
            self.close(conn);
        }
    }

    fn close(&mut self, conn: ConnId) {
        if let Some(mut connection) = self.connections.remove(&conn) {
            let _ = self.poll.registry().deregister(&mut connection.stream);
            (self.sink)(ServerEvent::Disconnected(conn));
            // There is a descriptor again.
            self.accept_again = self.accept_again.map(|_| connection.last_active);
        }
    }

    fn take_messages(&mut self, now: Instant) {
        // Answers that come meanwhile have their own wake-up: the thread goes back to the poll in between.
        for message in self.queue.try_iter().take(self.queue.len()).collect::<Vec<_>>() {
            match message {
                Message::Reply(conn, payload) => {
                    if let Some(connection) = self.connections.get_mut(&conn) {
                        connection.answer(payload.frame());
                        self.serve(now, conn);
                    }
                }
                Message::Feed(conn, feed) => {
                    if let Some(connection) = self.connections.get_mut(&conn) {
                        connection.feed(feed);
                        self.serve(now, conn);
                    }
                }
                Message::Looked(looked) => {
                    if let Some(listener) = self.names.looked(*looked, now, self.poll.registry()) {
                        self.replace_listener(listener, now);
                    }
                }
                Message::AwaitReady(run, pipe) => self.await_ready(run, pipe),
                Message::ForgetReady(run) => self.ready_pipes.remove(self.poll.registry(), run),
                Message::Shutdown(end) => {
                    self.ending = Some(end);
                    if let Some(mut listener) = self.listener.take() {
                        let _ = self.poll.registry().deregister(&mut listener);
                    }
                    self.connections.values_mut().for_each(Connection::finish);
                    let all: Vec<ConnId> = self.connections.keys().copied().collect();
                    all.into_iter().for_each(|conn| self.serve(now, conn));
                }
            }
        }
    }

    fn await_ready(&mut self, run: ReadyRun, pipe: PipeReader) {
        let number = self.next;
        self.next += 1;
        let Ok(token) = usize::try_from(number) else { return };
        if let Err(error) = self.ready_pipes.add(self.poll.registry(), Token(token), run, pipe) {
            let reason = crate::util::errno::reason(&error);
            log::error!("cannot wait for a program's line feed on its readiness descriptor: {reason}");
            (self.sink)(ServerEvent::Readiness(run, ReadyReport::Never));
        }
    }

    /// Closes who has kept half a frame, or has not taken its answer, for too long.
    fn expire(&mut self, now: Instant) {
        if self.accept_again.is_some_and(|at| at <= now) {
            self.accept_again = None;
            self.accept(now);
        }
        let patience = self.limits.patience;
        let late = |since: Instant| now.saturating_duration_since(since) >= patience;
        let late: Vec<ConnId> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.stuck_since.is_some_and(late))
            .map(|(conn, _)| *conn)
            .collect();
        for conn in late {
            log::debug!("connection {conn}: closed, half a frame or an answer that was not taken for too long");
            self.close(conn);
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let stuck = self.connections.values().filter_map(|connection| connection.stuck_since).min();
        let stuck = stuck.and_then(|since| since.checked_add(self.limits.patience));
        let look = self.names.deadline().filter(|_| self.ending.is_none());
        [stuck, self.accept_again, look, self.ending].into_iter().flatten().min()
    }
}

/// Letters of a client's command name that are kept.
const LONGEST_NAME: usize = 32;

/// Who asks. The name of his command is asked for now, and only where it will be told: he may be gone when somebody wants to
/// know.
fn caller(peer: Peer, request: &Request) -> Caller {
    let command = match request {
        Request::Command(_) => sys::proc::command_name(peer.pid),
        Request::Query(_) | Request::Watch(_) => None,
    };
    let command = command.as_deref().map(str::trim).filter(|name| !name.is_empty()).map(|name| {
        let plain = |letter: char| if letter.is_control() { '?' } else { letter };
        name.chars().take(LONGEST_NAME).map(plain).collect::<String>().into()
    });
    Caller { uid: peer.uid, pid: peer.pid, command }
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

#[cfg(test)]
mod tests;
