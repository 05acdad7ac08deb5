//! Events on their way to one client: bounded, and never waited for by whoever tells them. What a client does not take
//! in time is dropped, the oldest first, and counted.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::feed::{FeedItem, Item, Next, Source};

/// Events that wait for one client; beyond that the oldest go.
pub const MAX_EVENTS: usize = 1000;

#[derive(Debug, Default)]
struct State {
    items: VecDeque<FeedItem>,
    lost: u64,
    /// The io thread knows that there is something.
    is_notified: bool,
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
        EventFeed { state: Mutex::new(State { is_notified: true, ..State::default() }) }
    }
}

impl EventFeed {
    /// Adds an event; `true`: the io thread must be told.
    pub fn push(&self, item: FeedItem) -> bool {
        let mut state = self.lock();
        while state.items.len() >= MAX_EVENTS {
            state.items.pop_front();
            state.lost += 1;
        }
        state.items.push_back(item);
        !std::mem::replace(&mut state.is_notified, true)
    }

    /// Counts events that were lost on their way here.
    pub(super) fn note_lost(&self, count: u64) {
        self.lock().lost += count;
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

impl Source for EventFeed {
    fn next(&self) -> Next {
        let mut state = self.lock();
        if !state.begun {
            state.begun = true;
            return Next::Item(Item::Begun);
        }
        let Some(event) = state.items.pop_front() else {
            if state.finished {
                return Next::Last(Item::End { lost: state.lost });
            }
            state.is_notified = false;
            state.items = VecDeque::new();
            return Next::Nothing;
        };
        Next::Item(Item::Event { event, lost: std::mem::take(&mut state.lost) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::api::HistoryRow;
    use crate::models::ProgramConfig;
    use crate::process::{Cause, Moment, ProcessState};

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
    fn the_first_item_comes_at_once_and_the_last_says_so() {
        let feed = EventFeed::default();
        assert_eq!(feed.next(), Next::Item(Item::Begun));
        assert_eq!(feed.next(), Next::Nothing);
        assert!(feed.push(item(1)), "the io thread has gone to rest");
        assert!(!feed.push(item(2)), "it knows already");
        assert_eq!(feed.next(), Next::Item(Item::Event { event: item(1), lost: 0 }));
        assert!(!feed.finish());
        assert_eq!(feed.next(), Next::Item(Item::Event { event: item(2), lost: 0 }));
        assert_eq!(feed.next(), Next::Last(Item::End { lost: 0 }));
    }

    #[test]
    fn a_follower_that_does_not_keep_up_loses_the_oldest_and_learns_how_many() {
        let feed = EventFeed::default();
        feed.next();
        for number in 0..MAX_EVENTS + 7 {
            feed.push(item(number));
        }
        assert_eq!(feed.next(), Next::Item(Item::Event { event: item(7), lost: 7 }));
        assert_eq!(feed.next(), Next::Item(Item::Event { event: item(8), lost: 0 }));
    }
}
