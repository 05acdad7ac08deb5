//! Events on their way to one client: bounded, and never waited for by whoever tells them.
//!
//! The answer to `events` is a series of frames. Each has an `event`, but for the first one, which comes at once;
//! `lost` counts the events that were dropped just before it because the client did not keep up; `more` is true in
//! all but the last one.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::protocol;
use super::stream::{Next, Source};

/// Events that wait for one client; beyond that the oldest go.
pub const MOST_EVENTS: usize = 1000;

/// Bytes of events that wait for one client; beyond that the oldest go.
pub const MOST_BYTES: usize = 256 * 1024;

#[derive(Debug, Default)]
struct State {
    /// JSON objects.
    events: VecDeque<Box<str>>,
    bytes: usize,
    lost: u64,
    /// The io thread knows that there is something.
    told: bool,
    /// The first frame has gone.
    begun: bool,
    finished: bool,
}

/// A queue of events with one writer and the io thread as its reader.
#[derive(Debug)]
pub struct EventFeed {
    state: Mutex<State>,
}

impl Default for EventFeed {
    /// A feed that the io thread is about to be told of.
    fn default() -> Self {
        EventFeed { state: Mutex::new(State { told: true, ..State::default() }) }
    }
}

impl EventFeed {
    /// Adds an event, a JSON object; `true`: the io thread must be told.
    pub fn push(&self, event: &str) -> bool {
        let mut state = self.lock();
        while state.events.len() >= MOST_EVENTS || (state.bytes + event.len() > MOST_BYTES && !state.events.is_empty())
        {
            let oldest = state.events.pop_front();
            state.bytes -= oldest.map_or(0, |oldest| oldest.len());
            state.lost += 1;
        }
        state.bytes += event.len();
        state.events.push_back(event.into());
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

impl Source for EventFeed {
    fn next(&self) -> Next {
        let mut state = self.lock();
        if !state.begun {
            state.begun = true;
            return Next::Frame(protocol::frame(br#"{"status":"ok","lost":0,"more":true}"#));
        }
        let Some(event) = state.events.pop_front() else {
            if state.finished {
                let last = format!(r#"{{"status":"ok","lost":{},"more":false}}"#, state.lost);
                return Next::Last(protocol::frame(last.as_bytes()));
            }
            state.told = false;
            state.events = VecDeque::new();
            return Next::Nothing;
        };
        state.bytes -= event.len();
        let lost = std::mem::take(&mut state.lost);
        drop(state);
        Next::Frame(protocol::frame(
            format!(r#"{{"status":"ok","event":{event},"lost":{lost},"more":true}}"#).as_bytes(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(next: &Next) -> String {
        match next {
            Next::Frame(frame) | Next::Last(frame) => {
                String::from_utf8(frame[protocol::HEADER..].to_vec()).expect("UTF-8")
            }
            Next::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    fn the_first_frame_comes_at_once_and_the_last_says_so() {
        let feed = EventFeed::default();
        assert_eq!(body(&feed.next()), r#"{"status":"ok","lost":0,"more":true}"#);
        assert_eq!(feed.next(), Next::Nothing);
        assert!(feed.push(r#"{"type":"X"}"#), "the io thread has gone to rest");
        assert!(!feed.push(r#"{"type":"Y"}"#), "it knows already");
        assert_eq!(body(&feed.next()), r#"{"status":"ok","event":{"type":"X"},"lost":0,"more":true}"#);
        assert!(!feed.finish());
        assert_eq!(body(&feed.next()), r#"{"status":"ok","event":{"type":"Y"},"lost":0,"more":true}"#);
        let last = feed.next();
        assert!(matches!(last, Next::Last(_)));
        assert_eq!(body(&last), r#"{"status":"ok","lost":0,"more":false}"#);
    }

    #[test]
    fn a_listener_that_does_not_keep_up_loses_the_oldest_and_learns_how_many() {
        let feed = EventFeed::default();
        feed.next();
        for number in 0..MOST_EVENTS + 7 {
            feed.push(&format!("{number}"));
        }
        assert_eq!(body(&feed.next()), r#"{"status":"ok","event":7,"lost":7,"more":true}"#);
        assert_eq!(body(&feed.next()), r#"{"status":"ok","event":8,"lost":0,"more":true}"#);
        let large = format!("\"{}\"", "x".repeat(MOST_BYTES / 2));
        for _ in 0..3 {
            feed.push(&large);
        }
        assert!(feed.lock().bytes <= MOST_BYTES, "{}", feed.lock().bytes);
    }
}
