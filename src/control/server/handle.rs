//! The way to the io thread, for all others.

use std::io::PipeReader;
#[cfg(feature = "http")]
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
#[cfg(feature = "http")]
use std::sync::atomic::{AtomicUsize, Ordering};
#[cfg(test)]
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
#[cfg(feature = "http")]
use crossbeam_channel::bounded;
use mio::Waker;

use super::ConnId;
#[cfg(feature = "http")]
use super::STACK;
#[cfg(feature = "http")]
use super::sockets::{Place, SocketChange};
use crate::api::{Announcement, Answer, RequestId};
#[cfg(feature = "http")]
use crate::codec::http::{Response, Status};
use crate::control::announcements::{AnnouncementQueue, Follower};
use crate::control::feed::Source;
use crate::control::names::NamesInspected;
use crate::control::network_waits::AwaitedNetwork;
use crate::control::path_waits::{AwaitedPath, AwaitedPathInspected};
use crate::control::ready_pipes::ReadyRun;
#[cfg(feature = "http")]
use crate::control::server_socket::ServerSocket;
use crate::control::watched_paths::{WatchedPath, WatchedPathsInspected};
#[cfg(feature = "http")]
use crate::control::web::{AccessGate, Step, Work};
#[cfg(feature = "http")]
use crate::models::HttpAddress;
#[cfg(feature = "http")]
use crate::sys::net::SocketGuard;
use crate::sys::notify_socket::NotifySocket;

pub(super) enum Message {
    Reply(ConnId, Payload),
    Feed(ConnId, Arc<dyn Source>),
    #[cfg(feature = "http")]
    Worked(ConnId, Box<Step>),
    NamesInspected(Box<NamesInspected>),
    AwaitReady(ReadyRun, PipeReader),
    ForgetReady(ReadyRun),
    AwaitPath(AwaitedPath),
    AwaitNetwork(AwaitedNetwork),
    ForgetConditions(ReadyRun),
    AwaitedPathInspected(AwaitedPathInspected),
    WatchChanges(ReadyRun, Arc<[WatchedPath]>),
    ForgetChanges(ReadyRun),
    WatchedPathsInspected(WatchedPathsInspected),
    ListenNotify(NotifySocket),
    ReadNotifications(ReadyRun),
    ReadBeforeEnds,
    LookAtNames,
    WatchClock(bool),
    EndStreams,
    AnnouncementQueue(Pace),
    #[cfg(feature = "http")]
    ChangeSockets(SocketChange),
    RemoveSockets,
    Shutdown(Instant),
}

/// How soon those who follow are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// At once: somebody waits for it.
    Now,
    /// With what follows closely.
    Gathered,
}

/// An answer on its way to a connection.
pub(super) enum Payload {
    /// To be encoded on the io thread.
    Answer(Box<Answer>),
    #[cfg(test)]
    Frame(Vec<u8>),
}

/// The way to the io thread; nothing waits for it.
#[derive(Clone)]
pub struct ServerHandle {
    /// Without a limit of its own: what can wait here is limited by the connections, which have one request under way
    /// each, by their feeds (see [`ServerHandle::feed`]), and by the runs that are watched.
    pub(super) messages: Sender<Message>,
    pub(super) waker: Arc<Waker>,
    pub(super) news: Arc<AnnouncementQueue>,
    /// How many clients there are.
    #[cfg(feature = "http")]
    pub(super) connections: Arc<AtomicUsize>,
    #[cfg(test)]
    pub(super) thread: Arc<Mutex<Option<std::thread::JoinHandle<super::Names>>>>,
}

impl ServerHandle {
    /// Children have ended. Reports what programs have told of themselves by now, and behind it that this was done.
    /// `false`: the io thread has ended, and reports nothing.
    pub fn read_before_ends(&self) -> bool {
        self.try_send(Message::ReadBeforeEnds)
    }

    /// Looks whether the socket and the pid file are there, and makes anew what has gone.
    pub fn check_names(&self) {
        self.send(Message::LookAtNames);
    }

    /// Sends an answer; dropped if the connection has gone.
    pub fn reply(&self, conn: ConnId, answer: Box<Answer>) {
        self.send(Message::Reply(conn, Payload::Answer(answer)));
    }

    #[cfg(test)]
    pub(in crate::control) fn reply_frame(&self, conn: ConnId, frame: Vec<u8>) {
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

    /// Tells whenever it changes whether this holds of the network.
    pub fn await_network(&self, awaited: AwaitedNetwork) {
        self.send(Message::AwaitNetwork(awaited));
    }

    /// The start of this run waits for no path any more, and for nothing of the network.
    pub fn forget_conditions(&self, run: ReadyRun) {
        self.send(Message::ForgetConditions(run));
    }

    /// Tells when the path of a run is as it has to be.
    pub fn await_path(&self, awaited: AwaitedPath) {
        self.send(Message::AwaitPath(awaited));
    }

    /// Tells when what one of these paths leads to is another thing than now, for as long as the run lives.
    pub fn watch_changes(&self, run: ReadyRun, paths: Arc<[WatchedPath]>) {
        self.send(Message::WatchChanges(run, paths));
    }

    /// The run has ended: its paths are watched no longer.
    pub fn forget_changes(&self, run: ReadyRun) {
        self.send(Message::ForgetChanges(run));
    }

    /// The run has ended; closes the pipe if it has told nothing, and waits for its path no longer.
    pub fn forget_ready(&self, run: ReadyRun) {
        self.send(Message::ForgetReady(run));
    }

    /// Reports the messages that come on this socket.
    pub fn listen_notify(&self, socket: NotifySocket) {
        self.send(Message::ListenNotify(socket));
    }

    /// Reads what is on that socket by now, and reports behind it that this was done.
    pub fn read_notifications(&self, run: ReadyRun) {
        self.send(Message::ReadNotifications(run));
    }

    /// Whether it is to be reported when the wall clock is set.
    pub fn watch_clock(&self, watch: bool) {
        self.send(Message::WatchClock(watch));
    }

    /// Has the io thread remove the files of its sockets while others still end: it takes as long as the file system
    /// takes. Who has connected is served, and a socket in the abstract namespace keeps the next daemon away until the
    /// [end](Self::shutdown).
    pub fn remove_sockets(&self) {
        self.send(Message::RemoveSockets);
    }

    /// Has the io thread take no more connections or requests, write what is to be written within `limit`, and end.
    pub fn shutdown(&self, limit: Duration) {
        self.send(Message::Shutdown(Instant::now() + limit));
        #[cfg(test)]
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }

    /// Has a thread of its own answer a client.
    #[cfg(feature = "http")]
    pub(super) fn work(&self, conn: ConnId, work: Work) {
        let report = self.clone();
        let failed = self.clone();
        let error = |status, message| Box::new(Step::Respond(Response::error(status, message, false)));
        let spawned = crate::util::thread::spawn("web", STACK, move || {
            let step = catch_unwind(AssertUnwindSafe(work));
            let step = step.map_or_else(|_| error(Status::InternalError, "an internal error of supervice"), Box::new);
            report.send(Message::Worked(conn, step));
        });
        if spawned.is_err() {
            failed.send(Message::Worked(conn, error(Status::Unavailable, "there is no thread for it now")));
        }
    }

    /// From now on this one is told of what happens.
    pub fn follow(&self, follower: Follower) {
        self.news.follow(follower);
        self.send(Message::AnnouncementQueue(Pace::Now));
    }

    /// It is told no more.
    pub fn unfollow(&self, request: RequestId) {
        self.news.unfollow(request);
        self.send(Message::AnnouncementQueue(Pace::Now));
    }

    /// Something has happened: those who follow are to be told. Takes as long for many of them as for one.
    pub fn happened(&self, announcement: &Arc<Announcement>) {
        if self.news.happened(announcement) {
            self.send(Message::AnnouncementQueue(Pace::Gathered));
        }
    }

    /// Nothing happens any more.
    pub fn end_news(&self) {
        self.news.end();
        self.send(Message::AnnouncementQueue(Pace::Now));
    }

    /// Ends what is answered bit by bit, but for root and the daemon's own user on this machine.
    pub fn end_streams(&self) {
        self.send(Message::EndStreams);
    }

    /// How many clients are connected.
    #[cfg(feature = "http")]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Opens, changes and closes sockets. Waits until it is done, and gives back what removes the files of those that
    /// were closed: the io thread does not wait for a disk.
    #[cfg(feature = "http")]
    pub fn change_sockets(
        &self,
        close: Vec<HttpAddress>,
        open: Vec<ServerSocket>,
        gates: Vec<(Place, Arc<AccessGate>)>,
    ) -> Vec<SocketGuard> {
        let (done, closed) = bounded(1);
        self.send(Message::ChangeSockets(SocketChange { close, open, gates, done }));
        closed.recv().unwrap_or_default()
    }

    pub(super) fn send(&self, message: Message) {
        let _ = self.try_send(message);
    }

    /// `false`: the io thread has ended.
    fn try_send(&self, message: Message) -> bool {
        let is_there = self.messages.send(message).is_ok();
        if is_there {
            let _ = self.waker.wake();
        }
        is_there
    }
}
