//! What answers a request bit by bit, on its way to one client: filled by another thread, bounded, and encoded on the
//! io thread in the protocol that the client speaks.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

#[cfg(feature = "http")]
use crate::api::PublicEvent;
use crate::api::{Announcement, HistoryRow, WallClock};
use crate::codec::frames::{self, Event, Piece};
#[cfg(feature = "attach")]
use crate::codec::frames::{Attached, AttachedInput};
#[cfg(feature = "attach")]
use crate::models::StreamKind;
use crate::sys;

/// Something that has just happened. It is written down when the first of those who follow is sent it; all others get
/// the same.
#[derive(Debug)]
pub struct SharedEvent {
    announcement: Arc<Announcement>,
    written: OnceLock<Written>,
}

/// An event as it is sent.
#[derive(Debug, Clone)]
pub(super) struct Written {
    /// Its type.
    #[cfg(feature = "http")]
    pub(super) kind: &'static str,
    /// Its JSON.
    pub(super) json: Box<str>,
}

impl SharedEvent {
    /// This; nobody was told of it yet.
    pub fn new(announcement: Arc<Announcement>) -> SharedEvent {
        SharedEvent { announcement, written: OnceLock::new() }
    }

    /// What has happened.
    #[cfg(test)]
    pub(super) fn announcement(&self) -> &Announcement {
        &self.announcement
    }
}

impl PartialEq for SharedEvent {
    fn eq(&self, other: &SharedEvent) -> bool {
        self.announcement == other.announcement
    }
}

/// What a client is to be told of. It becomes text when it is sent, on the io thread.
#[derive(Debug, Clone, PartialEq)]
pub enum FeedItem {
    /// A transition of the past.
    Past(HistoryRow),
    /// What has just happened; every follower shares it.
    Present(Arc<SharedEvent>),
}

impl FeedItem {
    /// As an event, told by the clock of when it was first told.
    pub(super) fn written(&self) -> Cow<'_, Written> {
        let clock = || WallClock::from(sys::time::wall_clock());
        match self {
            FeedItem::Past(row) => Cow::Owned(write(&frames::past_event(row, clock()))),
            FeedItem::Present(told) => Cow::Borrowed(told.written.get_or_init(|| {
                let event = told.announcement.event();
                write(&event.map(|event| frames::event(&event, clock())).unwrap_or_default())
            })),
        }
    }
}

fn write(event: &Event<'_>) -> Written {
    Written {
        #[cfg(feature = "http")]
        kind: event.kind(),
        json: frames::event_text(event).into(),
    }
}

#[cfg(feature = "http")]
impl FeedItem {
    /// The process that it is about, and when it was, in nanoseconds since the machine's start.
    pub(super) fn subject(&self) -> Option<(&str, u64)> {
        let (program, at) = match self {
            FeedItem::Past(row) => (&row.program, row.at),
            FeedItem::Present(told) => match told.announcement.event()? {
                PublicEvent::Transition { program, at, .. }
                | PublicEvent::Health { program, at, .. }
                | PublicEvent::Readiness { program, at, .. } => (program, at),
            },
        };
        Some((&program.name, at.as_nanos()))
    }
}

/// One bit of an answer.
#[derive(Debug, PartialEq)]
pub enum Item {
    /// The request was understood; events follow.
    Begun,
    /// Something that happened; `lost` events were dropped just before it.
    Event {
        /// What.
        event: FeedItem,
        /// How many.
        lost: u64,
    },
    /// No event follows; `lost` were dropped at last.
    End {
        /// How many.
        lost: u64,
    },
    /// The client is attached to this program.
    #[cfg(feature = "attach")]
    Attached {
        /// Its name.
        name: String,
        /// It has a terminal.
        tty: bool,
    },
    /// What that has written; `lost` bytes were dropped just before it.
    #[cfg(feature = "attach")]
    Written {
        /// Where.
        stream: StreamKind,
        /// What.
        bytes: Vec<u8>,
        /// How many.
        lost: u64,
    },
    /// Output of a program; `lost` bytes were dropped just before it.
    Output {
        /// As it was written.
        bytes: Vec<u8>,
        /// How many.
        lost: u64,
    },
}

impl Item {
    /// It as a frame. `more` is true in all but the last one.
    pub(super) fn frame(&self, more: bool) -> Vec<u8> {
        match self {
            Item::Begun => frames::frame(br#"{"status":"ok","lost":0,"more":true}"#),
            Item::Event { event, lost } => frames::event_frame(&event.written().json, *lost),
            Item::End { lost } => frames::frame(format!(r#"{{"status":"ok","lost":{lost},"more":false}}"#).as_bytes()),
            // More always follows: the answer.
            #[cfg(feature = "attach")]
            Item::Attached { name, tty } => Attached::begun(name, *tty).frame(),
            #[cfg(feature = "attach")]
            Item::Written { stream, bytes, lost } => Attached::written(*stream, bytes, *lost).frame(),
            Item::Output { bytes, lost } => Piece::new(bytes, *lost, more).frame(),
        }
    }
}

/// Something that answers a request bit by bit.
pub trait Source: Send + Sync {
    /// What is to be sent next. After [`Next::Nothing`] the io thread must be told when there is something.
    fn next(&self) -> Next;

    /// Who takes what the client sends meanwhile; `None`: it has to wait. Such a feed never says that something is the
    /// last: the answer to the request is.
    #[cfg(feature = "attach")]
    fn inbox(&self) -> Option<&dyn Inbox> {
        None
    }
}

/// Takes what a client sends while it is answered.
#[cfg(feature = "attach")]
pub trait Inbox {
    /// Whether something can be taken. After `false` the io thread must be told when it can again.
    fn has_room(&self) -> bool;
    /// Takes it.
    fn take(&self, typed: AttachedInput);
    /// Whether all of it is where it should go. After `false` the io thread must be told when it is.
    fn is_delivered(&self) -> bool;
    /// The answer was sent: nothing is any more.
    fn end(&self);
    /// Whether that is so.
    fn is_over(&self) -> bool;
}

/// What the io thread is to do about a feed.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// Send this.
    Item(Item),
    /// Send this; nothing follows.
    Last(Item),
    /// Wait to be told.
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::frames::HEADER;

    fn body(bytes: &[u8]) -> &str {
        std::str::from_utf8(&bytes[HEADER..]).expect("UTF-8")
    }

    #[test]
    fn a_stream_of_events_begins_with_a_frame_without_one_and_its_last_says_so() {
        assert_eq!(body(&Item::Begun.frame(true)), r#"{"status":"ok","lost":0,"more":true}"#);
        assert_eq!(body(&Item::End { lost: 7 }.frame(false)), r#"{"status":"ok","lost":7,"more":false}"#);
        let output = Item::Output { bytes: b"x".to_vec(), lost: 2 };
        assert_eq!(body(&output.frame(false)), r#"{"status":"ok","text":"x","lost":2,"more":false}"#);
    }
}
