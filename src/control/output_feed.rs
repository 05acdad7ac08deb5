//! Output on its way to one client: bounded, and never waited for by whoever writes it.
//!
//! The answer to `tail` is a series of frames. Each carries a piece of output as `text`, or as `base64` where it is
//! no UTF-8; `lost` counts bytes that were dropped just before it because the client did not keep
//! up; `more` is true in all but the last one.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::codec::frames::Piece;

/// Bytes that wait for one client; beyond that the oldest go.
pub const FEED_LIMIT: usize = 1024 * 1024;

/// Bytes of output in one frame: six times as many in the worst of JSON still fit.
const PIECE: usize = 64 * 1024;

#[derive(Debug, Default)]
struct State {
    bytes: VecDeque<u8>,
    lost: u64,
    /// The io thread knows that there is something.
    told: bool,
    /// The first frame, empty or not, has gone: it tells the client that its request was understood.
    begun: bool,
    finished: bool,
}

/// A queue of output with one writer and the io thread as its reader.
#[derive(Debug, Default)]
pub struct Feed {
    state: Mutex<State>,
}

/// Something that answers a request frame by frame.
pub trait Source: Send + Sync {
    /// What is to be sent next. After [`Next::Nothing`] the io thread must be told when there is something.
    fn next(&self) -> Next;
}

/// What the io thread is to do about a feed.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Send this.
    Frame(Vec<u8>),
    /// Send this; nothing follows.
    Last(Vec<u8>),
    /// Wait to be told.
    Nothing,
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
        !std::mem::replace(&mut state.told, true)
    }

    /// Nothing follows; `true`: the io thread must be told.
    pub fn finish(&self) -> bool {
        let mut state = self.lock();
        state.finished = true;
        !std::mem::replace(&mut state.told, true)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Feed {
    fn next(&self) -> Next {
        let mut state = self.lock();
        if state.bytes.is_empty() && !state.finished && state.begun {
            state.told = false;
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
        let frame = Piece::new(&piece, lost, more).frame();
        if more { Next::Frame(frame) } else { Next::Last(frame) }
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
    use crate::codec::frames;

    fn decoded(frame: &[u8]) -> Piece {
        serde_json::from_slice(&frame[frames::HEADER..]).expect("JSON")
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
        let Next::Frame(frame) = feed.next() else { panic!("a frame") };
        let piece = decoded(&frame);
        assert_eq!(piece.lost, 60);
        let bytes = piece.into_bytes().expect("text");
        assert_eq!((bytes.len(), &bytes[38..42]), (PIECE, &b"aabb"[..]));
    }

    #[test]
    fn the_last_frame_says_so_and_a_quiet_feed_keeps_no_memory() {
        let feed = Feed::default();
        assert!(feed.push(b"x"));
        assert!(matches!(feed.next(), Next::Frame(_)));
        assert_eq!(feed.next(), Next::Nothing);
        assert_eq!(feed.lock().bytes.capacity(), 0);
        assert!(feed.finish());
        let Next::Last(frame) = feed.next() else { panic!("the last") };
        assert!(!decoded(&frame).more);
    }

    #[test]
    fn the_largest_piece_fits_a_frame() {
        let feed = Feed::default();
        feed.push(&vec![0; 2 * PIECE]);
        let Next::Frame(frame) = feed.next() else { panic!("a frame") };
        assert!(frame.len() <= frames::MAX_FRAME, "{}", frame.len());
    }
}
