//! Those who watch a program's output as it comes.
//!
//! A follower first gets the newest output (the tail), then all that comes after it. The tail is read by the writer of
//! the log file, behind everything that was queued when the request came; what is read from the pipe meanwhile
//! is held back in a [`Subscription`] and follows the tail. So no byte comes twice and none is missing. What is held is
//! bounded by [`HOLD_LIMIT_BYTES`], and the wait by the reader's clock: at either bound the tail is what
//! memory had when the request came, which joins what is held without a gap as well.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::messages::{Follower, MAX_FOLLOWERS, StreamKind};
use super::responder::InternalError;

/// What is held back for one follower at most. Half of what may wait for a client, so that the tail has room before it.
pub(super) const HOLD_LIMIT_BYTES: usize = 512 * 1024;

/// The place of a follower in its stream.
enum FollowState {
    /// The tail is being read.
    Holding {
        /// The newest output in memory when the request came.
        memory: Vec<u8>,
        /// What came since.
        held: Vec<u8>,
        /// All that comes later is wanted, too.
        go_on: bool,
    },
    /// What comes is passed on at once.
    Live,
    /// The last call was made.
    Ended,
}

/// A follower with its place in the stream; shared by the reading thread and the writer that reads its tail.
pub(super) struct Subscription(Mutex<Inner>);

struct Inner {
    follower: Box<dyn Follower>,
    state: FollowState,
}

impl Subscription {
    /// A request on its way to the reading thread.
    pub fn new(follower: Box<dyn Follower>) -> Arc<Subscription> {
        let state = FollowState::Holding { memory: Vec::new(), held: Vec::new(), go_on: false };
        Arc::new(Subscription(Mutex::new(Inner { follower, state })))
    }

    /// The follower's place in the stream is here: `memory` is the newest output now; with `go_on` what comes is held.
    pub fn begin_here(&self, memory: Vec<u8>, go_on: bool) {
        self.lock().state = FollowState::Holding { memory, held: Vec::new(), go_on };
    }

    /// Passes on what came after the request, or holds it; `false`: nobody wants more.
    pub fn push(&self, bytes: &[u8]) -> bool {
        let mut inner = self.lock();
        if let FollowState::Holding { held, go_on: true, .. } = &mut inner.state {
            if held.len() + bytes.len() <= HOLD_LIMIT_BYTES {
                held.extend_from_slice(bytes);
                // Whoever was sent nothing yet cannot be asked whether it is still there; the tail comes soon.
                return true;
            }
            inner.begin(None);
        }
        match inner.state {
            FollowState::Live => inner.follower.push(bytes),
            FollowState::Holding { .. } | FollowState::Ended => false,
        }
    }

    /// The tail was read, up to the moment of the request. Does nothing if the follower has got one already.
    pub fn answer(&self, tail: Vec<u8>) {
        self.lock().begin(Some(tail));
    }

    /// The tail was not read in time: memory has to do.
    pub fn answer_from_memory(&self) {
        self.lock().begin(None);
    }

    /// Whether the follower still waits for its tail.
    pub fn is_waiting(&self) -> bool {
        matches!(self.lock().state, FollowState::Holding { .. })
    }

    /// The newest output in memory when the request came, while the follower waits.
    pub fn memory(&self) -> Option<Vec<u8>> {
        match &self.lock().state {
            FollowState::Holding { memory, .. } => Some(memory.clone()),
            FollowState::Live | FollowState::Ended => None,
        }
    }

    /// Nothing comes any more; a follower that waits for its tail still gets that.
    pub fn finish(&self) {
        let mut inner = self.lock();
        match &mut inner.state {
            FollowState::Holding { go_on, .. } => *go_on = false,
            FollowState::Live => inner.end(),
            FollowState::Ended => {}
        }
    }

    fn is_there(&self) -> bool {
        let inner = self.lock();
        matches!(inner.state, FollowState::Holding { .. }) || inner.follower.is_there()
    }

    fn holds_up(&self, now: Instant) -> bool {
        self.lock().follower.holds_up(now)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn begin(&mut self, tail: Option<Vec<u8>>) {
        let FollowState::Holding { memory, held, go_on } = &mut self.state else { return };
        let (memory, held, go_on) = (std::mem::take(memory), std::mem::take(held), *go_on);
        self.state = FollowState::Live;
        self.follower.push(&tail.unwrap_or(memory));
        if !held.is_empty() {
            self.follower.push(&held);
        }
        if !go_on {
            self.end();
        }
    }

    fn end(&mut self) {
        self.state = FollowState::Ended;
        self.follower.finish();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        match self.state {
            FollowState::Holding { .. } => self.follower.fail(InternalError),
            FollowState::Live => self.follower.finish(),
            FollowState::Ended => {}
        }
    }
}

/// The followers of one program; owns no memory while there are none.
#[derive(Default)]
pub(super) struct Followers(Vec<(StreamKind, Arc<Subscription>)>);

impl Followers {
    /// Adds one. Those that are gone make room for it, then the oldest does.
    pub fn add(&mut self, kind: StreamKind, subscription: Arc<Subscription>) {
        self.0.retain(|(_, subscription)| subscription.is_there());
        if self.0.len() >= MAX_FOLLOWERS {
            self.0.remove(0).1.finish();
        }
        self.0.push((kind, subscription));
    }

    /// Whether one of those who follow this stream has the program wait.
    pub fn hold_up(&self, kind: StreamKind, now: Instant) -> bool {
        self.0.iter().any(|(of, subscription)| *of == kind && subscription.holds_up(now))
    }

    /// Passes output on to all who follow this stream.
    pub fn push(&mut self, kind: StreamKind, data: &[u8]) {
        if self.0.is_empty() {
            return;
        }
        self.0.retain(|(of, subscription)| *of != kind || subscription.push(data));
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
    }
}

impl Drop for Followers {
    fn drop(&mut self) {
        self.0.iter().for_each(|(_, subscription)| subscription.finish());
    }
}

/// The last `count` lines; what follows the last newline counts as one.
pub(super) fn last_lines(mut bytes: Vec<u8>, count: usize) -> Vec<u8> {
    let ends = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let begin = match count.checked_sub(1) {
        None => bytes.len(),
        Some(before) => {
            let newlines = ends.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
            newlines.map(|(at, _)| at + 1).nth(before).unwrap_or(0)
        }
    };
    bytes.drain(..begin);
    bytes
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_counted_from_the_end() {
        for (count, wanted) in [(0, ""), (1, "c\n"), (2, "b\nc\n"), (3, "a\nb\nc\n"), (9, "a\nb\nc\n")] {
            assert_eq!(last_lines(b"a\nb\nc\n".to_vec(), count), wanted.as_bytes(), "{count}");
        }
        assert_eq!(last_lines(b"a\nb".to_vec(), 1), b"b");
        assert_eq!(last_lines(b"\n\n".to_vec(), 1), b"\n");
        assert_eq!(last_lines(Vec::new(), 3), b"");
    }

    /// What a follower was told.
    #[derive(Debug, Default)]
    struct Told {
        bytes: Vec<u8>,
        pushes: u32,
        finished: u32,
        failed: u32,
    }

    struct Recorder(Arc<Mutex<Told>>);

    impl Follower for Recorder {
        fn push(&self, bytes: &[u8]) -> bool {
            let mut told = self.0.lock().unwrap();
            assert_eq!((told.finished, told.failed), (0, 0), "pushed after the last call");
            told.bytes.extend_from_slice(bytes);
            told.pushes += 1;
            true
        }
        // As with a client: its connection learns of it with the first that it is sent.
        fn is_there(&self) -> bool {
            self.0.lock().unwrap().pushes > 0
        }
        fn finish(&self) {
            self.0.lock().unwrap().finished += 1;
        }
        fn fail(&self, _: InternalError) {
            self.0.lock().unwrap().failed += 1;
        }
    }

    /// Output that comes while the tail is being read, and another one who begins to follow, let nobody go.
    #[test]
    fn who_waits_for_the_tail_goes_on_to_follow() {
        let (kind, mut followers) = (StreamKind::Stdout, Followers::default());
        let follow = |followers: &mut Followers| {
            let told = Arc::new(Mutex::new(Told::default()));
            let subscription = Subscription::new(Box::new(Recorder(Arc::clone(&told))));
            subscription.begin_here(Vec::new(), true);
            followers.add(kind, Arc::clone(&subscription));
            (told, subscription)
        };
        let (one, first) = follow(&mut followers);
        followers.push(kind, b"first\n");
        let (two, second) = follow(&mut followers);
        first.answer(b"before\n".to_vec());
        second.answer(b"first\n".to_vec());
        followers.push(kind, b"second\n");
        assert_eq!(one.lock().unwrap().bytes, b"before\nfirst\nsecond\n");
        assert_eq!(two.lock().unwrap().bytes, b"first\nsecond\n");
    }

    /// What a child writes, from each of the 251 places on at which it may be.
    static STREAM: LazyLock<Vec<u8>> = LazyLock::new(|| (0..300_000 + 251).map(|at| (at % 251) as u8).collect());

    #[derive(Debug, Clone)]
    enum Step {
        /// The child writes so many bytes.
        Write(usize),
        /// The writer has read the tail.
        Answer,
        /// The reader's clock has run out.
        Expire,
        /// The program is removed.
        Finish,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let write = prop_oneof![1_usize..2000, 100_000_usize..300_000].prop_map(Step::Write);
        let step = prop_oneof![6 => write, 1 => Just(Step::Answer), 1 => Just(Step::Expire), 1 => Just(Step::Finish)];
        prop::collection::vec(step, 0..24)
    }

    proptest! {
        /// However requests, answers, time and output are interleaved: what a follower gets is one piece of the
        /// stream, from its tail on, with no byte twice and none missing, and it is told the end exactly once.
        #[test]
        fn a_follower_gets_one_piece_of_the_stream(
            before in 0_usize..5000, memory in 0_usize..5000, tail in 0_usize..5000, go_on: bool, steps in steps(),
        ) {
            let mut stream: Vec<u8> = Vec::new();
            let write = |stream: &mut Vec<u8>, count: usize| {
                let begin = stream.len();
                stream.extend_from_slice(&STREAM[begin % 251..][..count]);
                begin
            };
            write(&mut stream, before);
            let (memory, tail) = (memory.min(before), tail.min(before));
            let told = Arc::new(Mutex::new(Told::default()));
            let subscription = Subscription::new(Box::new(Recorder(Arc::clone(&told))));
            subscription.begin_here(stream[before - memory..].to_vec(), go_on);
            let (mut wanted, mut wants_more, mut given) = (before, go_on, None);
            for step in steps {
                match step {
                    Step::Write(count) => {
                        let begin = write(&mut stream, count);
                        subscription.push(&stream[begin..]);
                        if wants_more {
                            wanted = stream.len();
                            if given.is_none() && wanted - before > HOLD_LIMIT_BYTES {
                                given = Some(memory);
                            }
                        }
                    }
                    Step::Answer => {
                        subscription.answer(stream[before - tail..before].to_vec());
                        given = given.or(Some(tail));
                    }
                    Step::Expire => {
                        subscription.answer_from_memory();
                        given = given.or(Some(memory));
                    }
                    Step::Finish => {
                        subscription.finish();
                        wants_more = false;
                    }
                }
                prop_assert_eq!(subscription.is_waiting(), given.is_none());
            }
            drop(subscription);
            let told = told.lock().unwrap();
            match given {
                Some(given) => {
                    prop_assert!(told.bytes == stream[before - given..wanted], "{} bytes", told.bytes.len());
                    prop_assert_eq!((told.finished, told.failed), (1, 0));
                }
                None => prop_assert_eq!((told.bytes.len(), told.finished, told.failed), (0, 0, 1)),
            }
        }
    }
}
