//! What others have for the io thread: answers, news, and what is to be watched.

use std::io::PipeReader;
use std::time::Instant;

use mio::unix::SourceFd;
use mio::{Interest, Token};

use super::handle::{Message, Pace, Payload};
use super::{
    CHANGES, CLOCK, ConnId, NETWORK, NOTIFICATIONS, PATHS, ReadyRun, Server, ServerEvent, clock, report_changes,
    report_notification, report_path,
};
use crate::control::client::Client;
use crate::control::path_waits::PathReport;
use crate::process::ReadyReport;
use crate::sys::clock_watch::ClockWatch;
use crate::sys::notify_socket::NotifySocket;

impl Server {
    pub(super) fn take_messages(&mut self, now: Instant) {
        // Answers that come meanwhile have their own wake-up: the thread goes back to the poll in between.
        for message in self.queue.try_iter().take(self.queue.len()).collect::<Vec<_>>() {
            self.take_message(message, now);
        }
    }

    fn take_message(&mut self, message: Message, now: Instant) {
        match message {
            Message::Reply(conn, payload) => self.answer(conn, payload, now),
            Message::Feed(conn, feed) => self.feed(conn, feed, now),
            #[cfg(feature = "http")]
            Message::Worked(conn, step) => {
                if let Some(client) = self.clients.get_mut(&conn) {
                    client.work_done(*step);
                    self.serve(now, conn);
                }
            }
            Message::NamesInspected(inspected) => {
                if let Some(listener) = self.names.inspected(*inspected, now, self.poll.registry()) {
                    self.replace_listener(listener, now);
                }
            }
            Message::AwaitReady(run, pipe) => self.await_ready(run, pipe),
            Message::ForgetReady(run) => {
                self.ready_pipes.remove(self.poll.registry(), run);
                self.path_waits.remove(self.poll.registry(), run);
            }
            Message::ForgetConditions(run) => {
                self.path_waits.remove(self.poll.registry(), run);
                self.network_waits.remove(self.poll.registry(), run);
            }
            Message::AwaitNetwork(awaited) => self.network_waits.add(self.poll.registry(), NETWORK, awaited, now),
            Message::AwaitPath(awaited) => {
                self.path_waits.add(self.poll.registry(), PATHS, awaited, report_path(&self.report));
            }
            Message::AwaitedPathInspected(inspected) => {
                let news =
                    self.path_waits.inspected(self.poll.registry(), inspected, now, || report_path(&self.report));
                self.report_path(news);
            }
            Message::WatchChanges(run, paths) => {
                self.changes.add(self.poll.registry(), CHANGES, run, paths, report_changes(&self.report));
            }
            Message::ForgetChanges(run) => self.changes.remove(self.poll.registry(), run),
            Message::WatchedPathsInspected(inspected) => {
                if let Some((run, path)) = self.changes.inspected(inspected, now) {
                    (self.sink)(ServerEvent::Changed(run, path));
                }
            }
            Message::ListenNotify(socket) => self.listen_notify(socket),
            Message::ReadNotifications(run) => {
                self.notifications.read_all(|read| report_notification(&self.sink, read));
                (self.sink)(ServerEvent::NotificationsRead(run));
            }
            Message::ReadBeforeEnds => self.read_before_ends(),
            Message::LookAtNames => self.names.inspect_now(now),
            Message::WatchClock(watch) => self.watch_clock(watch),
            Message::AnnouncementQueue(Pace::Now) => self.hand_out(),
            Message::AnnouncementQueue(Pace::Gathered) => self.hand_out_soon(now),
            Message::EndStreams => self.end_streams(),
            #[cfg(feature = "http")]
            Message::ChangeSockets(change) => self.change_sockets(change, now),
            Message::RemoveSockets => {
                self.sockets.iter_mut().for_each(|socket| drop(socket.guard.take()));
                self.names.remove_socket();
            }
            Message::Shutdown(end) => self.begin_end(end, now),
        }
    }

    fn answer(&mut self, conn: ConnId, payload: Payload, now: Instant) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        match payload {
            Payload::Answer(answer) => client.answer(*answer, clock()),
            #[cfg(test)]
            Payload::Frame(frame) => client.answer_frame(frame),
        }
        self.serve(now, conn);
    }

    fn report_path(&self, news: Option<PathReport>) {
        match news {
            Some(PathReport::Ready(run)) => (self.sink)(ServerEvent::Readiness(run, ReadyReport::Ready)),
            Some(PathReport::Seen { run, condition, is_there }) => {
                (self.sink)(ServerEvent::ConditionSeen { run, condition, is_there });
            }
            None => {}
        }
    }

    /// What programs have told before they ended is told before their ends are. What was written after the poll of this
    /// turn is not among its events.
    fn read_before_ends(&mut self) {
        let sink = &self.sink;
        self.ready_pipes.read_all(self.poll.registry(), |run, report| sink(ServerEvent::Readiness(run, report)));
        self.notifications.read_all(|read| report_notification(sink, read));
        sink(ServerEvent::ReadBeforeEnds);
    }

    /// Takes nothing more: what is answered is still sent, until `end`.
    fn begin_end(&mut self, end: Instant, now: Instant) {
        self.ending = Some(end);
        for mut socket in self.sockets.drain(..) {
            let _ = self.poll.registry().deregister(socket.source());
            self.guards.extend(socket.guard.take());
        }
        self.hand_out();
        self.end_feeds(now);
        self.clients.values_mut().for_each(Client::finish);
        let all: Vec<ConnId> = self.clients.keys().copied().collect();
        all.into_iter().for_each(|conn| self.serve(now, conn));
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

    fn listen_notify(&mut self, socket: NotifySocket) {
        if let Err(error) = self.notifications.listen(self.poll.registry(), NOTIFICATIONS, socket) {
            let reason = crate::util::errno::reason(&error);
            log::error!("cannot listen to $NOTIFY_SOCKET: {reason}; programs that are ready by it will not be");
        }
    }

    /// Without it times are missed only until the next one comes.
    fn watch_clock(&mut self, watch: bool) {
        self.clock = None;
        if !watch {
            return;
        }
        let clock = ClockWatch::new().and_then(|clock| {
            self.poll.registry().register(&mut SourceFd(&clock.raw_fd()), CLOCK, Interest::READABLE)?;
            Ok(clock)
        });
        match clock {
            Ok(clock) => self.clock = Some(clock),
            Err(error) => {
                let reason = crate::util::errno::reason(&error);
                log::error!("cannot notice when the clock is set: {reason}; schedules follow at their next time");
            }
        }
    }
}
