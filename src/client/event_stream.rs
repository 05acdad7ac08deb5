//! Events as they happen.

use std::os::fd::{AsFd, BorrowedFd};

use serde_json::json;

use super::output_stream::Frames;
use super::{ClientError, Controller};
use crate::codec::frames::{EventFrame, EventItem};

/// An event, and how many are missing before it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StreamedEvent {
    /// What has happened.
    pub event: EventItem,
    /// Events that are missing before this one: the daemon drops the oldest where a client does not keep up.
    pub lost: u64,
}

/// Transitions and health results as they happen; ends when the daemon ends.
///
/// ```no_run
/// use supervice::client::Controller;
///
/// let controller = Controller::new("/run/supervice/ctl.sock");
/// for event in controller.events(&["RUNNING", "HEALTHCHECK"], 0)? {
///     let event = event?.event;
///     println!("{} {}", event.processname, event.event_type);
/// }
/// # Ok::<(), supervice::client::ClientError>(())
/// ```
#[derive(Debug)]
pub struct EventStream {
    frames: Frames,
    over: bool,
}

impl Controller {
    /// Everything that happens from now on, after the last `history` transitions. `types` are names of event types, in
    /// any case, whole or in part: `PROCESS_STATE_RUNNING`, `FATAL`, `healthcheck`; none: all.
    ///
    /// When this returns the daemon is listening for us: whatever happens from then on is in the stream.
    ///
    /// # Errors
    /// [`ClientError::Failed`] with the code `INVALID_REQUEST` for a type that is none; see [`ClientError`] for the
    /// others.
    pub fn events(&self, types: &[&str], history: usize) -> Result<EventStream, ClientError> {
        let request = json!({ "command": "events", "types": types, "history": history });
        let mut stream = EventStream { frames: self.open(&request)?, over: false };
        // The first frame comes at once and has no event.
        let first = stream.receive(true)?;
        stream.over = !first.more;
        stream.frames.wait_for_ever()?;
        Ok(stream)
    }
}

impl EventStream {
    fn receive(&mut self, in_time: bool) -> Result<EventFrame, ClientError> {
        self.frames.receive(in_time, "no event")
    }

    /// `true` if an event was read from the socket already, or there will be none: [`next`](Iterator::next) does not wait, and
    /// [`as_fd`](AsFd::as_fd) may stay silent.
    pub fn is_ready(&self) -> bool {
        self.over || self.frames.has_frame()
    }
}

/// The socket, for `poll`: readable when an event comes. See [`EventStream::is_ready`].
impl AsFd for EventStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.frames.as_fd()
    }
}

impl Iterator for EventStream {
    type Item = Result<StreamedEvent, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.over {
            match self.receive(false) {
                Ok(frame) => {
                    self.over = !frame.more;
                    if let Some(event) = frame.event {
                        return Some(Ok(StreamedEvent { event, lost: frame.lost }));
                    }
                }
                Err(error) => {
                    self.over = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}
