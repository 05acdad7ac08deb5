//! What happens, on its way to those who follow it. The dispatcher leaves it here once, however many they are; the io
//! thread hands it to each of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::event_feed::EventFeed;
use super::feed::{FeedItem, SharedEvent, Source};
use crate::api::{Announcement, EventKinds, HistoryRow, Reader, RequestId};

/// So much may wait for the io thread; beyond that the oldest goes, and everybody who follows is told how much.
const MAX_QUEUED: usize = 10_000;

/// A client that follows what happens.
pub struct Follower {
    /// What it has asked by.
    pub request: RequestId,
    /// Which connection that is.
    pub conn: u64,
    kinds: EventKinds,
    /// What it may read; `None`: everything.
    reader: Option<Box<Reader>>,
    feed: Arc<EventFeed>,
}

impl Follower {
    /// One that is told of these kinds, and first of this past.
    pub fn new(
        (request, conn): (RequestId, u64),
        kinds: EventKinds,
        past: Vec<HistoryRow>,
        reader: Option<Box<Reader>>,
    ) -> Follower {
        let feed = EventFeed::default();
        for row in past {
            feed.push(FeedItem::Past(row));
        }
        Follower { request, conn, kinds, reader, feed: Arc::new(feed) }
    }

    /// What it is told of this, which others are told as well: without the names of programs that it may not read, and
    /// nothing at all of those.
    fn shown(&self, announcement: &Arc<Announcement>, told: &Arc<SharedEvent>) -> Option<Arc<SharedEvent>> {
        let event = announcement.event().filter(|event| self.kinds.has(event.event_type()))?;
        let Some(reader) = self.reader.as_deref() else { return Some(Arc::clone(told)) };
        if !reader.can_see(event.program()) {
            return None;
        }
        let mut shown = Announcement::clone(announcement);
        if let Announcement::Transition { transition, .. } = &mut shown {
            transition.cause.hide_names(&|name| reader.can_see_name(name));
        }
        Some(Arc::new(SharedEvent::new(Arc::new(shown))))
    }
}

/// One thing that the io thread is to know, in the order in which it came about.
enum Item {
    Happened(Arc<Announcement>),
    Follow(Box<Follower>),
    Unfollow(RequestId),
    /// Nothing follows.
    End,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    lost: u64,
    /// The io thread knows that there is something.
    is_notified: bool,
}

/// The queue between the dispatcher and the io thread.
#[derive(Default)]
pub(super) struct AnnouncementQueue(Mutex<State>);

impl AnnouncementQueue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds something; `true`: the io thread must be woken.
    fn push(&self, item: Item) -> bool {
        let mut state = self.lock();
        if state.items.len() >= MAX_QUEUED
            && let Some(oldest) = state.items.iter().position(|item| matches!(item, Item::Happened(_)))
        {
            state.items.remove(oldest);
            state.lost += 1;
        }
        state.items.push_back(item);
        !std::mem::replace(&mut state.is_notified, true)
    }

    /// `true`: the io thread must be woken. The other items wake it in any case.
    pub(super) fn happened(&self, announcement: &Arc<Announcement>) -> bool {
        self.push(Item::Happened(Arc::clone(announcement)))
    }

    pub(super) fn follow(&self, follower: Follower) {
        self.push(Item::Follow(Box::new(follower)));
    }

    pub(super) fn unfollow(&self, request: RequestId) {
        self.push(Item::Unfollow(request));
    }

    pub(super) fn end(&self) {
        self.push(Item::End);
    }

    fn take(&self) -> (VecDeque<Item>, u64) {
        let mut state = self.lock();
        state.is_notified = false;
        (std::mem::take(&mut state.items), std::mem::take(&mut state.lost))
    }
}

/// Those who follow, as the io thread knows them.
#[derive(Default)]
pub(super) struct Followers(Vec<Follower>);

impl Followers {
    /// Hands out what has come; the feeds in which something waits that their connections do not know of.
    pub(super) fn hand_out(&mut self, news: &AnnouncementQueue) -> Vec<(u64, Arc<dyn Source>)> {
        let (items, lost) = news.take();
        let mut fresh: Vec<(u64, Arc<dyn Source>)> = Vec::new();
        let mut tell = |follower: &Follower| fresh.push((follower.conn, Arc::clone(&follower.feed) as Arc<dyn Source>));
        if lost > 0 {
            self.0.iter().for_each(|follower| follower.feed.note_lost(lost));
        }
        for item in items {
            match item {
                Item::Happened(announcement) => {
                    let told = Arc::new(SharedEvent::new(Arc::clone(&announcement)));
                    for follower in &self.0 {
                        let Some(shown) = follower.shown(&announcement, &told) else { continue };
                        if follower.feed.push(FeedItem::Present(shown)) {
                            tell(follower);
                        }
                    }
                }
                Item::Follow(follower) => {
                    // The first frame, which has no event, is to be sent in any case.
                    tell(&follower);
                    self.0.push(*follower);
                }
                Item::Unfollow(request) => {
                    self.0.retain(|follower| follower.request != request);
                    self.0.shrink_to_fit();
                }
                Item::End => {
                    self.0.drain(..).filter(|follower| follower.feed.finish()).for_each(|follower| tell(&follower))
                }
            }
        }
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::feed::{self, Next};
    use crate::models::ProgramConfig;
    use crate::process::{Cause, Moment, ProcessState, Transition};

    fn happened(name: &str) -> Arc<Announcement> {
        let (from, to) = (ProcessState::Starting, ProcessState::Running);
        Arc::new(Announcement::Transition {
            program: Arc::new(ProgramConfig::new(name, "true")),
            at: Moment::from_nanos(1),
            transition: Transition { from, to, pid: None, cause: Cause::Executed },
        })
    }

    fn follower(number: u64) -> Follower {
        Follower::new((RequestId(number), number), EventKinds::ALL, Vec::new(), None)
    }

    fn told(source: &dyn Source) -> Vec<(String, u64)> {
        let mut all = Vec::new();
        while let Next::Item(item) | Next::Last(item) = source.next() {
            match item {
                feed::Item::Event { event: FeedItem::Present(told), lost } => {
                    let name = told.announcement().event().map(|event| event.program().name.clone());
                    all.push((name.unwrap_or_default(), lost));
                }
                feed::Item::Event { event: FeedItem::Past(_), .. } => {}
                feed::Item::End { lost } => {
                    all.push(("end".to_owned(), lost));
                    break;
                }
                feed::Item::Begun | feed::Item::Output { .. } => {}
                #[cfg(feature = "attach")]
                feed::Item::Attached { .. } | feed::Item::Written { .. } => {}
            }
        }
        all
    }

    #[test]
    fn who_follows_is_told_of_what_comes_after_that_and_of_nothing_twice() {
        let (news, mut followers) = (AnnouncementQueue::default(), Followers::default());
        assert!(news.happened(&happened("before")), "the io thread has to be told");
        news.follow(follower(1));
        assert!(!news.happened(&happened("behind")), "it knows already");
        let fresh = followers.hand_out(&news);
        assert_eq!(fresh.iter().map(|(conn, _)| *conn).collect::<Vec<u64>>(), [1]);
        assert_eq!(told(fresh[0].1.as_ref()), [("behind".to_owned(), 0)]);
        assert!(news.happened(&happened("more")));
        news.unfollow(RequestId(1));
        news.happened(&happened("less"));
        assert_eq!(told(followers.hand_out(&news)[0].1.as_ref()), [("more".to_owned(), 0)]);
        news.follow(follower(2));
        news.end();
        news.happened(&happened("after"));
        assert_eq!(told(followers.hand_out(&news)[0].1.as_ref()), [("end".to_owned(), 0)]);
        assert!(followers.0.is_empty());
    }

    #[test]
    fn an_io_thread_that_does_not_keep_up_loses_the_oldest_and_everybody_learns_how_many() {
        let (news, mut followers) = (AnnouncementQueue::default(), Followers::default());
        news.follow(follower(1));
        let feed = followers.hand_out(&news).remove(0).1;
        assert!(told(feed.as_ref()).is_empty());
        let web = happened("web");
        for _ in 0..MAX_QUEUED + 7 {
            news.happened(&web);
        }
        followers.hand_out(&news);
        let all = told(feed.as_ref());
        let lost: u64 = all.iter().map(|(_, lost)| lost).sum();
        assert_eq!(all.len() as u64 + lost, MAX_QUEUED as u64 + 7);
    }
}
