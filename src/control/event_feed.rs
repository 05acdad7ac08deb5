//! Events on their way to one client: bounded, and never waited for by whoever tells them.
//!
//! The answer to `events` is a series of frames. Each has an `event`, but for the first one, which comes at once;
//! `lost` counts the events that were dropped just before it because the client did not keep up; `more` is true in
//! all but the last one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::output_feed::{Next, Source};
use crate::api::{Announcement, HistoryRow, WallClock};
use crate::codec::frames::{self, Event};
use crate::sys;

/// Events that wait for one client; beyond that the oldest go.
pub const MOST_EVENTS: usize = 1000;

/// What a client is to be told of. It becomes text when it is sent, on the io thread.
#[derive(Debug, Clone)]
pub enum FeedItem {
    /// A transition of the past.
    Past(HistoryRow),
    /// What has just happened; every follower shares it.
    Present(Arc<Announcement>),
}

impl FeedItem {
    fn event(&self) -> Option<Event<'_>> {
        let clock = WallClock::from(sys::time::wall_clock());
        match self {
            FeedItem::Past(row) => Some(frames::past_event(row, clock)),
            FeedItem::Present(announcement) => announcement.event().map(|event| frames::event(&event, clock)),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<FeedItem>,
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
    /// Adds an event; `true`: the io thread must be told.
    pub fn push(&self, item: FeedItem) -> bool {
        let mut state = self.lock();
        while state.items.len() >= MOST_EVENTS {
            state.items.pop_front();
            state.lost += 1;
        }
        state.items.push_back(item);
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
            return Next::Frame(frames::frame(br#"{"status":"ok","lost":0,"more":true}"#));
        }
        let Some(item) = state.items.pop_front() else {
            if state.finished {
                let last = format!(r#"{{"status":"ok","lost":{},"more":false}}"#, state.lost);
                return Next::Last(frames::frame(last.as_bytes()));
            }
            state.told = false;
            state.items = VecDeque::new();
            return Next::Nothing;
        };
        let lost = std::mem::take(&mut state.lost);
        drop(state);
        Next::Frame(frames::event_frame(&item.event().unwrap_or_default(), lost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::ProgramConfig;
    use crate::process::{Cause, Moment, ProcessState};

    fn body(next: &Next) -> String {
        match next {
            Next::Frame(frame) | Next::Last(frame) => {
                String::from_utf8(frame[frames::HEADER..].to_vec()).expect("UTF-8")
            }
            Next::Nothing => "nothing".to_owned(),
        }
    }

    fn item(number: usize) -> FeedItem {
        FeedItem::Past(HistoryRow {
            program: Arc::new(ProgramConfig::new(format!("p{number}"), "true")),
            at: Moment::from_nanos(1),
            from: ProcessState::Starting,
            to: ProcessState::Running,
            pid: None,
            cause: Cause::Executed,
        })
    }

    #[test]
    fn the_first_frame_comes_at_once_and_the_last_says_so() {
        let feed = EventFeed::default();
        assert_eq!(body(&feed.next()), r#"{"status":"ok","lost":0,"more":true}"#);
        assert_eq!(feed.next(), Next::Nothing);
        assert!(feed.push(item(1)), "the io thread has gone to rest");
        assert!(!feed.push(item(2)), "it knows already");
        let first = body(&feed.next());
        assert!(
            first.contains(r#""type":"PROCESS_STATE_RUNNING""#) && first.contains(r#""processname":"p1""#),
            "{first}"
        );
        assert!(first.ends_with(r#""lost":0,"more":true}"#), "{first}");
        assert!(!feed.finish());
        assert!(body(&feed.next()).contains(r#""processname":"p2""#));
        let last = feed.next();
        assert!(matches!(last, Next::Last(_)));
        assert_eq!(body(&last), r#"{"status":"ok","lost":0,"more":false}"#);
    }

    #[test]
    fn a_follower_that_does_not_keep_up_loses_the_oldest_and_learns_how_many() {
        let feed = EventFeed::default();
        feed.next();
        for number in 0..MOST_EVENTS + 7 {
            feed.push(item(number));
        }
        let first = body(&feed.next());
        assert!(first.contains(r#""processname":"p7""#) && first.contains(r#""lost":7"#), "{first}");
        assert!(body(&feed.next()).contains(r#""lost":0"#));
    }
}
