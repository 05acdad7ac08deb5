//! A client that speaks HTTP: bytes in, requests out; answers in, bytes out. Without a poll; the time is handed in.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::gate::{AccessGate, LoginCount, LoginResult};
use super::guard::{Forbidden, check_change, check_host};
use super::router::{self, Handler};
use super::step::{Context, Next, Step, Stream, Work};
use crate::api::{Answer, Request, WallClock};
use crate::codec::http::{
    self, CONTINUE, Delivery, Head, HeadReader, LAST_CHUNK, MAX_HEAD, Malformed, Method, Response, Status, chunk,
};
use crate::control::connection::{PIECES_A_TURN, REQUESTS_PER_VISIT, Served};
use crate::control::feed::{self, Source};
use crate::control::link::{CHUNK, Link};
use crate::control::peer::Who;

/// For a request to arrive whole, and for an answer to be taken.
const STALLED_CLIENT_TIMEOUT: Duration = Duration::from_secs(30);

/// Before somebody is told that what he has sent is wrong: whoever tries passwords is to be slow.
const WRONG_PASSWORD_DELAY: Duration = Duration::from_secs(1);

/// How long a client that was refused may still send what nobody reads.
const LINGER: Duration = Duration::from_secs(1);

/// After this silence a stream of server-sent events gets a keep-alive comment.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Bytes of a body from the network at most, of a client that has not logged in.
const ANONYMOUS_BODY: usize = 64 * 1024;

/// Letters of a name in the log.
const MAX_NAME_CHARS: usize = 32;

/// Where a request has got to.
enum Phase {
    /// Its head is not there whole.
    Head,
    /// Its body is not there whole.
    Body(Box<Arriving>),
    /// The dispatcher has been asked.
    InWork { delivery: Delivery, is_browser: bool, then: OnAnswer },
    /// Its answer is held back for a while.
    Delayed { until: Instant, response: Vec<u8> },
    /// It is answered bit by bit.
    Streaming { delivery: Delivery, stream: Stream },
}

/// A request that may come in.
struct Arriving {
    head: Head,
    handler: Handler,
    delivery: Delivery,
    user: Option<Arc<str>>,
}

/// Who serves a request, and the name that its sender has logged in with.
type Admitted = (Handler, Option<Arc<str>>);

/// What a request is answered that does not come in, and whether that is held back.
type Rejected = (Response, bool);

/// What becomes of an answer of the dispatcher.
enum OnAnswer {
    Next(Next),
    Stream(Stream),
    /// A thread answers.
    Work,
}

/// What a request asks of somebody else.
pub(in crate::control) enum WebWork {
    Dispatcher(Request),
    Thread(Work),
}

/// Hands that over, with the name that its sender has logged in with.
type Take<'t> = &'t mut dyn FnMut(WebWork, Option<&str>);

pub(in crate::control) struct WebConnection {
    gate: Arc<AccessGate>,
    who: Who,
    reader: HeadReader,
    phase: Phase,
    /// Of the request in work.
    user: Option<Arc<str>>,
    /// Of who has logged in last.
    login: Option<LoginCount>,
    /// When something of a stream was sent for the last time.
    told: Instant,
    has_asked: bool,
    /// Nothing more is read from it: it gets its answer, then it is closed.
    closing: bool,
    /// It may still be sending something that nobody reads.
    lingers: bool,
    /// Its answer is written: it is closed then at the latest.
    lingers_until: Option<Instant>,
    answered: Option<Answer>,
    work_done: Option<Step>,
    feed: Option<Arc<dyn Source>>,
}

impl WebConnection {
    pub(in crate::control) fn new(gate: Arc<AccessGate>, who: Who, now: Instant) -> WebConnection {
        WebConnection {
            gate,
            who,
            reader: HeadReader::default(),
            phase: Phase::Head,
            user: None,
            login: None,
            told: now,
            has_asked: false,
            closing: false,
            lingers: false,
            lingers_until: None,
            answered: None,
            work_done: None,
            feed: None,
        }
    }

    pub(in crate::control) fn has_asked(&self) -> bool {
        self.has_asked
    }

    /// It is answered bit by bit.
    pub(in crate::control) fn is_streaming(&self) -> bool {
        matches!(self.phase, Phase::Streaming { .. } | Phase::InWork { then: OnAnswer::Stream(_), .. })
    }

    /// Nothing is in work, half read or half written, and it has asked before.
    pub(in crate::control) fn is_idle(&self, link: &Link) -> bool {
        self.has_asked && matches!(self.phase, Phase::Head) && link.input.is_empty() && !link.wants_write()
    }

    /// Takes no more requests. Whether there is an answer to be sent before it is closed.
    pub(in crate::control) fn drain(&mut self, link: &Link) -> bool {
        self.closing = true;
        let is_at_work = matches!(self.phase, Phase::InWork { .. } | Phase::Delayed { .. }) && !self.is_streaming();
        is_at_work || link.wants_write() && !self.is_streaming()
    }

    /// Takes no more requests: what is answered is still written, but for what the client does not take.
    pub(in crate::control) fn finish(&mut self, link: &mut Link) {
        self.closing = true;
        link.input = Vec::new();
        if matches!(self.phase, Phase::Streaming { .. }) {
            link.drop_output();
        }
        self.phase = Phase::Head;
        self.feed = None;
    }

    /// Takes the feed that answers the request in work, or learns that there is more in it.
    pub(in crate::control) fn feed(&mut self, feed: Arc<dyn Source>) {
        if matches!(self.phase, Phase::InWork { .. } | Phase::Streaming { .. }) {
            self.feed = Some(feed);
        }
    }

    /// Takes the answer of the dispatcher.
    pub(in crate::control) fn answer(&mut self, answer: Answer) {
        self.answered = Some(answer);
    }

    /// Takes what a thread has come to.
    pub(in crate::control) fn work_done(&mut self, step: Step) {
        self.work_done = Some(step);
    }

    /// Until when its answer, which is a refusal, is held back.
    pub(in crate::control) fn put_off_until(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Delayed { until, .. } => Some(*until),
            Phase::Head | Phase::Body(_) | Phase::InWork { .. } | Phase::Streaming { .. } => None,
        }
    }

    /// When it is to be looked at again although nothing comes from it.
    pub(in crate::control) fn deadline(&self, link: &Link) -> Option<Instant> {
        let delayed = self.put_off_until();
        let stuck = link.stuck_since.and_then(|since| since.checked_add(STALLED_CLIENT_TIMEOUT));
        let quiet = self.keep_alive(link).and_then(|_| self.told.checked_add(KEEP_ALIVE));
        [delayed, stuck, self.lingers_until, quiet].into_iter().flatten().min()
    }

    /// What a stream sends when there is nothing else, so that nobody between takes it for dead; `None`: nothing.
    fn keep_alive(&self, link: &Link) -> Option<(&'static [u8], Delivery)> {
        let Phase::Streaming { delivery, stream } = &self.phase else { return None };
        Some((stream.keep_alive.filter(|_| !link.wants_write())?, *delivery))
    }

    /// Its time is up. Whether it still has something to do; else it is to be closed.
    pub(in crate::control) fn time_is_up(&mut self, link: &mut Link, now: Instant, clock: WallClock) -> bool {
        if self.lingers_until.is_some_and(|until| until <= now) {
            return false;
        }
        if let Some((bytes, delivery)) = self.keep_alive(link)
            && now.saturating_duration_since(self.told) >= KEEP_ALIVE
        {
            self.told = now;
            link.send(if delivery.minor > 0 { chunk(bytes) } else { bytes.to_vec() });
            return true;
        }
        if link.stuck_since.is_none_or(|since| now.saturating_duration_since(since) < STALLED_CLIENT_TIMEOUT) {
            // What was held back is due.
            return true;
        }
        let is_arriving = match self.phase {
            Phase::Head => !link.input.is_empty(),
            Phase::Body(_) => true,
            Phase::InWork { .. } | Phase::Delayed { .. } | Phase::Streaming { .. } => false,
        };
        if self.closing || link.wants_write() || !is_arriving {
            return false;
        }
        let message = "the request did not come whole within 30 s";
        self.refuse(link, Malformed { status: Status::RequestTimeout, message }, clock);
        true
    }

    /// Reads, takes in requests (each is handed to `take`), and writes, as far as it goes.
    pub(in crate::control) fn serve(
        &mut self,
        link: &mut Link,
        now: Instant,
        clock: WallClock,
        take: Take<'_>,
    ) -> Served {
        let mut turns = 0;
        loop {
            let limit = self.limit(link.wants_write());
            let Ok(read) = link.fill(|_| limit) else { return Served::Over };
            let moved = self.advance(link, now, clock, take);
            let had_output = link.wants_write();
            let Ok(flushed) = link.flush() else { return Served::Over };
            let Ok(pieces) = self.pump(link, now) else { return Served::Over };
            let progress = moved || (had_output && flushed) || pieces > 0;
            if progress {
                link.stuck_since = None;
            }
            if !(read || progress) {
                return self.wait_for_more(link, now);
            }
            link.last_active = now;
            turns += 1;
            if turns == REQUESTS_PER_VISIT || pieces == PIECES_A_TURN {
                return Served::Unfinished;
            }
        }
    }

    /// Bytes that may lie in the input: the head or body that is being read, or a little ahead of the request in work.
    fn limit(&self, is_writing: bool) -> usize {
        match &self.phase {
            Phase::Head if self.closing => {
                if self.lingers_until.is_some() {
                    CHUNK
                } else {
                    0
                }
            }
            Phase::Head if !is_writing => MAX_HEAD,
            Phase::Body(arriving) => arriving.head.length.max(CHUNK),
            Phase::Head | Phase::InWork { .. } | Phase::Delayed { .. } | Phase::Streaming { .. } => CHUNK,
        }
    }

    /// Takes the next step, if there is one to be taken.
    fn advance(&mut self, link: &mut Link, now: Instant, clock: WallClock, take: Take<'_>) -> bool {
        match std::mem::replace(&mut self.phase, Phase::Head) {
            Phase::Head if self.closing => {
                link.input.clear();
                false
            }
            Phase::Head if link.wants_write() => false,
            Phase::Head => match self.reader.take(&mut link.input) {
                Ok(None) => false,
                Ok(Some(head)) => {
                    self.admit(link, head, now, clock);
                    true
                }
                Err(malformed) => {
                    self.refuse(link, malformed, clock);
                    true
                }
            },
            Phase::Body(arriving) if link.input.len() < arriving.head.length => {
                self.phase = Phase::Body(arriving);
                false
            }
            Phase::Body(arriving) => {
                self.handle(link, *arriving, clock, take);
                true
            }
            Phase::InWork { delivery, is_browser, then } => {
                match self.outcome(then, Context { clock, is_browser }) {
                    Ok(step) => self.step(link, step, delivery, is_browser, take),
                    Err(OnAnswer::Stream(stream)) if self.feed.is_some() => {
                        self.begin_stream(link, stream, delivery, now)
                    }
                    Err(then) => {
                        self.phase = Phase::InWork { delivery, is_browser, then };
                        return false;
                    }
                }
                true
            }
            Phase::Delayed { until, response } if until <= now => {
                link.send(response);
                true
            }
            Phase::Delayed { until, response } => {
                self.phase = Phase::Delayed { until, response };
                false
            }
            // Whoever fills the feed has failed. Without its last chunk the answer is seen to be cut.
            Phase::Streaming { .. } if self.answered.take().is_some() => {
                self.closing = true;
                self.feed = None;
                true
            }
            Phase::Streaming { delivery, stream } => {
                self.phase = Phase::Streaming { delivery, stream };
                false
            }
        }
    }

    /// Has a request handled that is there whole.
    fn handle(&mut self, link: &mut Link, arriving: Arriving, clock: WallClock, take: Take<'_>) {
        let Arriving { head, handler, delivery, user } = arriving;
        let body = link.take_input(head.length);
        self.user = user;
        let context = Context { clock, is_browser: is_browser(&head) };
        let step = handler(&http::Request { head, body }, context);
        self.step(link, step, delivery, context.is_browser, take);
    }

    fn begin_stream(&mut self, link: &mut Link, stream: Stream, delivery: Delivery, now: Instant) {
        link.send(stream.head.write(delivery));
        self.told = now;
        self.phase = Phase::Streaming { delivery, stream };
    }

    /// What the request in work has come to; what it waits for where that is still to come.
    fn outcome(&mut self, then: OnAnswer, context: Context) -> Result<Step, OnAnswer> {
        match (then, self.answered.take()) {
            (OnAnswer::Work, _) => self.work_done.take().ok_or(OnAnswer::Work),
            (OnAnswer::Next(next), Some(answer)) => Ok(next(answer, context)),
            (OnAnswer::Stream(stream), Some(answer)) => Ok((stream.refused)(answer, context)),
            (then @ (OnAnswer::Next(_) | OnAnswer::Stream(_)), None) => Err(then),
        }
    }

    fn step(&mut self, link: &mut Link, step: Step, delivery: Delivery, is_browser: bool, take: Take<'_>) {
        let (asks, then) = match step {
            Step::Respond(response) => return self.respond(link, &response, delivery),
            Step::Ask(request, next) => (WebWork::Dispatcher(request), OnAnswer::Next(next)),
            Step::Work(work) => (WebWork::Thread(work), OnAnswer::Work),
            // What it would be answered is not known without beginning it, and then it would have to be ended.
            Step::Stream(_, stream) if delivery.head_only => {
                self.closing = true;
                return link.send(stream.head.write(Delivery { keep_alive: false, ..delivery }));
            }
            Step::Stream(request, stream) => (WebWork::Dispatcher(request), OnAnswer::Stream(stream)),
        };
        self.phase = Phase::InWork { delivery, is_browser, then };
        take(asks, self.user.as_deref());
    }

    fn respond(&mut self, link: &mut Link, response: &Response, delivery: Delivery) {
        self.closing |= !delivery.keep_alive;
        self.user = None;
        link.send(response.write(Delivery { keep_alive: !self.closing, ..delivery }));
    }

    /// What was read is no request: that is said, and nothing more is understood.
    fn refuse(&mut self, link: &mut Link, malformed: Malformed, clock: WallClock) {
        let delivery = Delivery { minor: 1, keep_alive: false, head_only: false, now: clock.wall.as_secs() };
        self.phase = Phase::Head;
        self.lingers = true;
        // What can't be parsed may still tell that a person reads the answer.
        let for_browser = link.input.windows(9).any(|part| part == b"text/html");
        link.input.clear();
        self.respond(link, &Response::error(malformed.status, malformed.message, for_browser), delivery);
    }

    /// A head has come: its body may follow, or it is answered at once.
    fn admit(&mut self, link: &mut Link, head: Head, now: Instant, clock: WallClock) {
        self.has_asked = true;
        let is_head = head.method == Method::Head;
        let delivery = Delivery {
            minor: head.minor,
            keep_alive: head.keeps_alive(),
            head_only: is_head,
            now: clock.wall.as_secs(),
        };
        let judged = self.admit_request(&head).and_then(|(handler, user)| match self.count_login(user.as_ref()) {
            true => Ok((handler, user)),
            false => {
                self.closing = true;
                let message = "this user has too many connections; try again later";
                Err((Response::error(Status::Unavailable, message, is_browser(&head)), false))
            }
        });
        let (response, delay) = match judged {
            Ok((handler, user)) => {
                if head.expects_continue() && link.input.len() < head.length {
                    link.send(CONTINUE.to_vec());
                }
                self.phase = Phase::Body(Box::new(Arriving { head, handler, delivery, user }));
                return;
            }
            Err(refused) => refused,
        };
        // The body of a request that is refused is not waited for; what follows it can't be told from it.
        let is_whole = link.input.len() >= head.length;
        self.lingers |= !is_whole;
        let delivery = Delivery { keep_alive: delivery.keep_alive && is_whole, ..delivery };
        link.take_input(head.length);
        if delay {
            self.closing |= !delivery.keep_alive;
            let response = response.write(Delivery { keep_alive: !self.closing, ..delivery });
            self.phase = Phase::Delayed { until: now + WRONG_PASSWORD_DELAY, response };
        } else {
            self.respond(link, &response, delivery);
        }
    }

    /// Counts this connection as one of this user; `false`: he has as many as he may.
    fn count_login(&mut self, user: Option<&Arc<str>>) -> bool {
        if let Some(user) = user
            && self.login.as_ref().is_none_or(|login| login.user != *user)
        {
            self.login = self.gate.logins.take(user);
            return self.login.is_some();
        }
        true
    }

    /// Who serves this request, and who has sent it.
    fn admit_request(&self, head: &Head) -> Result<Admitted, Rejected> {
        let error = |status, message: &str| Response::error(status, message, is_browser(head));
        let barred = |Forbidden { status, message }: Forbidden| (error(status, &message), false);
        check_host(&self.gate, head).map_err(barred)?;
        let resource = router::find(&head.target.segments);
        let user = if self.gate.open_probes && resource.is_some_and(|resource| resource.is_probe) {
            None
        } else {
            self.log_in(head).map_err(|delay| {
                let response = error(Status::Unauthorized, "a name and a password, or a token, are needed");
                (response.with("WWW-Authenticate", "Basic realm=\"default\""), delay)
            })?
        };
        let Some(resource) = resource else {
            return Err((error(Status::NotFound, "there is no such page"), false));
        };
        let Some(handler) = resource.handler(head.method) else {
            let response =
                error(Status::MethodNotAllowed, &format!("this takes no such method: use {}", resource.usual()));
            return Err((response.with("Allow", resource.allowed()), false));
        };
        check_change(head, resource.takes)
            .inspect_err(|barred| log::warn!("{}: a request is refused: {}", self.who, barred.message))
            .map_err(barred)?;
        if head.length > ANONYMOUS_BODY && user.is_none() && self.gate.is_remote {
            return Err((error(Status::ContentTooLarge, "a body of more than 64 KiB needs a password"), false));
        }
        Ok((handler, user))
    }

    /// Who it is; or whether he has tried and failed.
    fn log_in(&self, head: &Head) -> Result<Option<Arc<str>>, bool> {
        match self.gate.enter(head.credentials()) {
            LoginResult::Open => Ok(None),
            LoginResult::User(name) => Ok(Some(name)),
            LoginResult::Unknown => Err(false),
            LoginResult::Wrong(name) => {
                let name = name.unwrap_or_default();
                let name: String = name.chars().filter(|letter| !letter.is_control()).take(MAX_NAME_CHARS).collect();
                log::warn!("{}: a wrong password or token for '{name}'", self.who);
                Err(true)
            }
        }
    }

    /// Sends what the feed has, as long as the client takes it; how many pieces.
    fn pump(&mut self, link: &mut Link, now: Instant) -> io::Result<usize> {
        let mut pieces = 0;
        while pieces < PIECES_A_TURN && !link.wants_write() && self.gather(link, now, &mut pieces) {
            link.flush()?;
        }
        Ok(pieces)
    }

    /// Takes from the feed what can be written at once; whether there was anything.
    fn gather(&mut self, link: &mut Link, now: Instant, pieces: &mut usize) -> bool {
        let before = *pieces;
        while *pieces < PIECES_A_TURN && link.gathers() {
            let (Phase::Streaming { delivery, stream }, Some(feed)) = (&mut self.phase, &self.feed) else { break };
            let (item, more) = match feed.next() {
                feed::Next::Item(item) => (item, true),
                feed::Next::Last(item) => (item, false),
                feed::Next::Nothing => break,
            };
            let bytes = (stream.encode)(&item, more);
            let is_chunked = delivery.minor > 0;
            if !bytes.is_empty() {
                self.told = now;
            }
            link.send(if is_chunked { chunk(&bytes) } else { bytes });
            if !more {
                self.closing |= !is_chunked || !delivery.keep_alive;
                if is_chunked {
                    link.send(LAST_CHUNK.to_vec());
                }
                (self.phase, self.feed, self.user) = (Phase::Head, None, None);
            }
            *pieces += 1;
        }
        *pieces > before
    }

    /// Nothing more can be done now: what is the connection waiting for?
    fn wait_for_more(&mut self, link: &mut Link, now: Instant) -> Served {
        let (is_head, is_writing) = (matches!(self.phase, Phase::Head), link.wants_write());
        if is_head && !is_writing && (self.closing || link.read_closed) {
            if !self.lingers || link.read_closed {
                return Served::Over;
            }
            // Closed with something unread, the connection would be reset, and the answer might be lost with it.
            if self.lingers_until.is_none() {
                self.lingers_until = Some(now + LINGER);
                link.end_output();
                return Served::Unfinished;
            }
            return Served::Lives;
        }
        let has_gone = link.read_closed
            && match &self.phase {
                Phase::Body(_) => true,
                Phase::Streaming { stream, .. } | Phase::InWork { then: OnAnswer::Stream(stream), .. } => {
                    stream.is_endless
                }
                Phase::Head | Phase::InWork { .. } | Phase::Delayed { .. } => false,
            };
        if has_gone || link.hung_up {
            return Served::Over;
        }
        let is_arriving = match &self.phase {
            Phase::Head => !link.input.is_empty() || (!self.has_asked && self.gate.is_remote),
            Phase::Body(_) => true,
            Phase::InWork { .. } | Phase::Delayed { .. } | Phase::Streaming { .. } => false,
        };
        link.stuck_since = if is_writing || is_arriving { link.stuck_since.or(Some(now)) } else { None };
        Served::Lives
    }
}

/// It shows what it gets to a person.
fn is_browser(head: &Head) -> bool {
    head.accepts("text/html")
}
