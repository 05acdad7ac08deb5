//! A client that is attached to a program: what the program writes is on its way to it, what it types on its way to the
//! terminal. Both are bounded. What it types beyond a bound stays in its socket until the program has read.
//!
//! A terminal never waits for those who look at it: of what a client does not take in time the oldest is dropped and
//! counted. Who has run a program without a terminal has its output as he would have it by a pipe: the program waits as
//! long as he reads on, and at most [`STALLED_READER_TIMEOUT`] (see [`Progress`]) when he does not.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::feed::{Inbox, Item, Next, Source};
use super::output_feed::FEED_LIMIT;
use crate::codec::frames::AttachedInput;
use crate::models::{StreamKind, WindowSize};
use crate::util::progress::Progress;

/// Bytes in one piece: as many as fit a frame, however they are written there.
const PIECE: usize = 64 * 1024;

/// Bytes that wait for a client where there is no terminal: what pipes hold comes on top of what it waits from.
const PIPED_LIMIT: usize = 4 * FEED_LIMIT;

/// Beyond so many bytes a program without a terminal waits; a few reads of its pipes may follow.
const HELD_UP_FROM: usize = 256 * 1024;

/// How long it waits for somebody who takes nothing.
const STALLED_READER_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes that were typed and not taken; beyond that the client is not read.
const TYPED_LIMIT: usize = 64 * 1024;

struct State {
    /// What was written, in its order; neighbours are of different streams.
    pieces: VecDeque<(StreamKind, VecDeque<u8>)>,
    /// Of all pieces together.
    bytes: usize,
    lost: u64,
    /// When the client has taken something for the last time.
    taken: Progress,
    /// The io thread knows that there is something.
    is_notified: bool,
    begun: bool,
    /// The last answer was sent.
    over: bool,
    typed: VecDeque<u8>,
    /// The other end has been told of it, and has not taken it yet.
    size: Option<WindowSize>,
    /// The other end knows that something was typed.
    asked: bool,
    /// The client is not read until there is room.
    waits: bool,
    /// The client types nothing more, and is let go when everything was taken.
    is_leaving: bool,
}

/// See the [module](self).
pub struct Attachment {
    name: String,
    has_terminal: bool,
    state: Mutex<State>,
    /// Tells the other end that something was typed, or that the window has another size.
    ask: Box<dyn Fn() + Send + Sync>,
}

/// What was typed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The client was not read for a while, and can be again, or has left and waited for this: the io thread must be
    /// told.
    pub makes_room: bool,
}

impl Attachment {
    /// To this program. The io thread is to be handed it at once; `ask` is called when something was typed, or the
    /// window has another size.
    pub fn new(name: String, has_terminal: bool, ask: Box<dyn Fn() + Send + Sync>) -> Attachment {
        let state = State {
            pieces: VecDeque::new(),
            bytes: 0,
            lost: 0,
            taken: Progress::begin(Instant::now()),
            is_notified: true,
            begun: false,
            over: false,
            typed: VecDeque::new(),
            size: None,
            asked: false,
            waits: false,
            is_leaving: false,
        };
        Attachment { name, has_terminal, state: Mutex::new(state), ask }
    }

    /// Adds what was written; `true`: the io thread must be told.
    pub fn push(&self, stream: StreamKind, bytes: &[u8]) -> bool {
        let mut state = self.lock();
        if bytes.is_empty() || state.over {
            return false;
        }
        match state.pieces.back_mut() {
            Some((last, piece)) if *last == stream => piece.extend(bytes),
            Some(_) | None => state.pieces.push_back((stream, bytes.iter().copied().collect())),
        }
        state.bytes += bytes.len();
        state.drop_oldest(if self.has_terminal { FEED_LIMIT } else { PIPED_LIMIT });
        !std::mem::replace(&mut state.is_notified, true)
    }

    /// Whether the program is to wait until the client has taken some of it.
    pub fn holds_up(&self, now: Instant) -> bool {
        let mut state = self.lock();
        !self.has_terminal && state.bytes > HELD_UP_FROM && !state.taken.has_stalled(now, STALLED_READER_TIMEOUT)
    }

    /// Takes what was typed. When that is nothing, `ask` is called for what comes.
    pub fn take_typed(&self, most: usize) -> Taken {
        let mut state = self.lock();
        let count = state.typed.len().min(most);
        let bytes: Vec<u8> = state.typed.drain(..count).collect();
        if bytes.is_empty() {
            state.asked = false;
            state.typed = VecDeque::new();
        }
        let is_awaited = state.typed.is_empty() && std::mem::take(&mut state.is_leaving);
        let makes_room = is_awaited || (state.typed.len() < TYPED_LIMIT && std::mem::take(&mut state.waits));
        Taken { bytes, makes_room }
    }

    /// The window has this size.
    pub fn resize(&self, size: WindowSize) {
        self.take(AttachedInput::resized(size));
    }

    /// The size of the window, if it is another one.
    pub fn take_size(&self) -> Option<WindowSize> {
        self.lock().size.take()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn drop_oldest(&mut self, limit: usize) {
        while let Some(over) = self.bytes.checked_sub(limit).filter(|over| *over > 0)
            && let Some((_, piece)) = self.pieces.front_mut()
        {
            let count = over.min(piece.len());
            piece.drain(..count);
            if piece.is_empty() {
                self.pieces.pop_front();
            }
            self.bytes -= count;
            self.lost += count as u64;
        }
    }

    fn next_piece(&mut self) -> Option<Item> {
        let (stream, piece) = self.pieces.front_mut()?;
        let (stream, count) = (*stream, piece.len().min(PIECE));
        let bytes: Vec<u8> = piece.drain(..count).collect();
        if piece.is_empty() {
            self.pieces.pop_front();
        }
        self.bytes -= count;
        self.taken.note(Instant::now());
        Some(Item::Written { stream, bytes, lost: std::mem::take(&mut self.lost) })
    }
}

impl Source for Attachment {
    fn next(&self) -> Next {
        let mut state = self.lock();
        if !std::mem::replace(&mut state.begun, true) {
            return Next::Item(Item::Attached { name: self.name.clone(), tty: self.has_terminal });
        }
        match state.next_piece() {
            Some(item) => Next::Item(item),
            None => {
                state.is_notified = false;
                state.pieces = VecDeque::new();
                Next::Nothing
            }
        }
    }

    fn inbox(&self) -> Option<&dyn Inbox> {
        Some(self)
    }
}

impl Inbox for Attachment {
    fn has_room(&self) -> bool {
        let mut state = self.lock();
        state.waits = state.typed.len() >= TYPED_LIMIT;
        !state.waits
    }

    fn take(&self, mut typed: AttachedInput) {
        if !self.has_terminal {
            return;
        }
        let (bytes, size) = (typed.bytes(), typed.size());
        let mut state = self.lock();
        state.typed.extend(bytes);
        // A size does not wait until the program has read what was typed before.
        let is_sized = size.is_some() && state.size.is_none();
        state.size = size.or(state.size);
        let is_typed = !state.typed.is_empty() && !std::mem::replace(&mut state.asked, true);
        if is_sized || is_typed {
            drop(state);
            (self.ask)();
        }
    }

    fn is_delivered(&self) -> bool {
        let mut state = self.lock();
        state.is_leaving = !state.typed.is_empty();
        !state.is_leaving
    }

    fn end(&self) {
        self.lock().over = true;
    }

    fn is_over(&self) -> bool {
        self.lock().over
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn attachment(has_terminal: bool) -> (Attachment, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let ask = Box::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        (Attachment::new("a".to_owned(), has_terminal, ask), asked)
    }

    fn written(next: Next) -> (StreamKind, Vec<u8>, u64) {
        match next {
            Next::Item(Item::Written { stream, bytes, lost }) => (stream, bytes, lost),
            other => panic!("nothing was written: {other:?}"),
        }
    }

    #[test]
    fn streams_keep_the_order_in_which_they_were_read() {
        let (attachment, _) = attachment(false);
        assert_eq!(attachment.next(), Next::Item(Item::Attached { name: "a".to_owned(), tty: false }));
        assert_eq!(attachment.next(), Next::Nothing);
        for (stream, bytes) in [(StreamKind::Stdout, "a"), (StreamKind::Stdout, "b"), (StreamKind::Stderr, "c")] {
            attachment.push(stream, bytes.as_bytes());
        }
        assert_eq!(written(attachment.next()), (StreamKind::Stdout, b"ab".to_vec(), 0));
        assert_eq!(written(attachment.next()), (StreamKind::Stderr, b"c".to_vec(), 0));
        assert_eq!(attachment.next(), Next::Nothing);
    }

    #[test]
    fn a_client_that_does_not_keep_up_loses_the_oldest_and_learns_how_much() {
        let (attachment, _) = attachment(true);
        let _ = attachment.next();
        attachment.push(StreamKind::Stderr, &[b'a'; 100]);
        attachment.push(StreamKind::Stdout, &vec![b'b'; FEED_LIMIT - 40]);
        let (_, bytes, lost) = written(attachment.next());
        assert_eq!((bytes.len(), lost), (40, 60));
        attachment.push(StreamKind::Stdout, &vec![b'c'; 2 * FEED_LIMIT]);
        let (_, bytes, lost) = written(attachment.next());
        assert_eq!((bytes[0], bytes.len(), lost), (b'c', PIECE, (2 * FEED_LIMIT - 40) as u64));
    }

    #[test]
    fn a_program_without_a_terminal_waits_for_who_reads_on() {
        let (attachment, _) = attachment(false);
        let _ = attachment.next();
        let now = Instant::now();
        attachment.push(StreamKind::Stdout, &vec![b'a'; HELD_UP_FROM]);
        assert!(!attachment.holds_up(now));
        attachment.push(StreamKind::Stderr, b"b");
        assert!(
            attachment.holds_up(now) && attachment.holds_up(now + 2 * STALLED_READER_TIMEOUT),
            "we may have been stopped"
        );
        assert!(!attachment.holds_up(now + 3 * STALLED_READER_TIMEOUT));
        let _ = attachment.next();
        assert!(!attachment.holds_up(now));
        let (terminal, _) = self::attachment(true);
        terminal.push(StreamKind::Stdout, &vec![b'a'; FEED_LIMIT]);
        assert!(!terminal.holds_up(now), "a terminal waits for nobody");
    }

    #[test]
    fn who_leaves_is_let_go_when_everything_that_was_typed_has_been_taken() {
        let (attachment, _) = attachment(true);
        assert!(attachment.is_delivered(), "nothing was typed");
        attachment.take(AttachedInput::keys(b"abc"));
        assert!(!attachment.is_delivered());
        assert_eq!(attachment.take_typed(2), Taken { bytes: b"ab".to_vec(), makes_room: false });
        assert_eq!(attachment.take_typed(2), Taken { bytes: b"c".to_vec(), makes_room: true });
        assert!(attachment.is_delivered());
    }

    #[test]
    fn who_types_faster_than_the_program_reads_is_not_read_until_it_has() {
        let (attachment, asked) = attachment(true);
        let some = vec![b'k'; TYPED_LIMIT / 2];
        for _ in 0..2 {
            assert!(attachment.has_room());
            attachment.take(AttachedInput::keys(&some));
        }
        assert_eq!((attachment.has_room(), asked.load(Ordering::Relaxed)), (false, 1));
        let taken = attachment.take_typed(10);
        assert_eq!((taken.bytes.len(), taken.makes_room), (10, true));
        assert!(attachment.has_room() && !attachment.take_typed(usize::MAX).makes_room);
        assert_eq!(attachment.take_typed(1), Taken::default());
        attachment.take(AttachedInput::resized(WindowSize { rows: 1, columns: 2 }));
        assert_eq!(asked.load(Ordering::Relaxed), 2, "it is asked again, for the size alone as well");
        assert_eq!(attachment.take_size(), Some(WindowSize { rows: 1, columns: 2 }));
    }

    #[test]
    fn a_size_is_told_of_while_what_was_typed_before_waits_for_the_program() {
        let (attachment, asked) = attachment(true);
        attachment.take(AttachedInput::keys(b"more than it takes"));
        assert_eq!(attachment.take_typed(4).bytes, b"more");
        for rows in [1, 2] {
            attachment.take(AttachedInput::resized(WindowSize { rows, columns: 80 }));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 2, "once until it is taken, however often the size changes");
        assert_eq!(attachment.take_size(), Some(WindowSize { rows: 2, columns: 80 }));
        attachment.take(AttachedInput::resized(WindowSize { rows: 3, columns: 80 }));
        attachment.take(AttachedInput::keys(b"!"));
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }
}
