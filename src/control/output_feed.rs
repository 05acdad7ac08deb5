//! Output on its way to one client: bounded, and never waited for by whoever writes it. What a client does not take in
//! time is dropped, the oldest first, and counted.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::feed::{Item, Next, Source};

/// Bytes that wait for one client; beyond that the oldest go.
pub const FEED_LIMIT: usize = 1024 * 1024;

/// Bytes of output in one piece: six times as many, which they are in the worst of JSON, still fit a frame.
const PIECE: usize = 64 * 1024;

#[derive(Debug, Default)]
struct State {
    bytes: VecDeque<u8>,
    lost: u64,
    /// The io thread knows that there is something.
    is_notified: bool,
    /// The first piece, empty or not, has gone: it tells the client that its request was understood.
    begun: bool,
    finished: bool,
}

/// A queue of output with one writer and the io thread as its reader.
#[derive(Debug, Default)]
pub struct Feed {
    state: Mutex<State>,
}

impl Feed {
    /// Adds output; `true`: the io thread must be told.
    pub fn push(&self, bytes: &[u8]) -> bool {
        let mut state = self.lock();
        let skip = bytes.len().saturating_sub(FEED_LIMIT);
        let bytes = bytes.get(skip..).unwrap_or_default();
        let over = (state.bytes.len() + bytes.len()).saturating_sub(FEED_LIMIT);
        state.bytes.drain(..over);
        state.lost += (skip + over) as u64;
        state.bytes.extend(bytes);
        !std::mem::replace(&mut state.is_notified, true)
    }

    /// Nothing follows; `true`: the io thread must be told.
    pub fn finish(&self) -> bool {
        let mut state = self.lock();
        state.finished = true;
        !std::mem::replace(&mut state.is_notified, true)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Feed {
    fn next(&self) -> Next {
        let mut state = self.lock();
        if state.bytes.is_empty() && !state.finished && state.begun {
            state.is_notified = false;
            state.bytes = VecDeque::new();
            return Next::Nothing;
        }
        state.begun = true;
        let count = state.bytes.len().min(PIECE);
        let mut piece: Vec<u8> = state.bytes.drain(..count).collect();
        // A character that is cut is completed by the next piece, if there is one already.
        let cut = cut_character(&piece);
        if cut > 0 && cut < piece.len() && !state.bytes.is_empty() {
            for byte in piece.drain(piece.len() - cut..).rev() {
                state.bytes.push_front(byte);
            }
        }
        let lost = std::mem::take(&mut state.lost);
        let more = !(state.finished && state.bytes.is_empty());
        drop(state);
        let item = Item::Output { bytes: piece, lost };
        if more { Next::Item(item) } else { Next::Last(item) }
    }
}

/// How many bytes at the end belong to a character that is not complete.
fn cut_character(piece: &[u8]) -> usize {
    match std::str::from_utf8(piece) {
        Err(error) if error.error_len().is_none() => piece.len() - error.valid_up_to(),
        Ok(_) | Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::frames::{self, Piece};

    fn output(next: Next) -> (Vec<u8>, u64) {
        match next {
            Next::Item(Item::Output { bytes, lost }) | Next::Last(Item::Output { bytes, lost }) => (bytes, lost),
            other => panic!("no output: {other:?}"),
        }
    }

    #[test]
    fn bytes_are_bytes() {
        for bytes in [&b""[..], b"a", b"\xff", b"\xff\xfe", b"\xff\0\xfe", b"\x80abc\n", "für".as_bytes()] {
            let piece = Piece::new(bytes, 3, true);
            let back: Piece = serde_json::from_slice(&serde_json::to_vec(&piece).expect("JSON")).expect("JSON");
            assert_eq!((back.lost, back.more), (3, true));
            assert_eq!(back.into_bytes().as_deref(), Some(bytes));
        }
    }

    #[test]
    fn a_client_that_does_not_keep_up_loses_the_oldest_and_learns_how_much() {
        let feed = Feed::default();
        assert!(feed.push(&[b'a'; 100]));
        assert!(!feed.push(&vec![b'b'; FEED_LIMIT - 40]), "told already");
        let (bytes, lost) = output(feed.next());
        assert_eq!((lost, bytes.len(), &bytes[38..42]), (60, PIECE, &b"aabb"[..]));
    }

    #[test]
    fn the_last_piece_says_so_and_a_quiet_feed_keeps_no_memory() {
        let feed = Feed::default();
        assert!(feed.push(b"x"));
        assert!(matches!(feed.next(), Next::Item(_)));
        assert_eq!(feed.next(), Next::Nothing);
        assert_eq!(feed.lock().bytes.capacity(), 0);
        assert!(feed.finish());
        assert!(matches!(feed.next(), Next::Last(_)));
    }

    #[test]
    fn the_largest_piece_fits_a_frame() {
        let feed = Feed::default();
        feed.push(&vec![0; 2 * PIECE]);
        let (bytes, lost) = output(feed.next());
        let frame = Piece::new(&bytes, lost, true).frame();
        assert!(frame.len() <= frames::MAX_FRAME, "{}", frame.len());
    }
}
