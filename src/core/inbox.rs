//! What the dispatcher is told: a queue with a bound, and the bell that wakes it, which signals ring as well.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::effect::External;
use crate::process::Moment;
use crate::sys::doorbell::{Doorbell, Sleeper};

/// The way to the dispatcher.
#[derive(Clone)]
pub(super) struct Inputs {
    /// Boxed: the channel allocates all of its slots, and is almost always empty.
    sender: Sender<Box<External>>,
    bell: Arc<Doorbell>,
}

/// The dispatcher's end, which can't be waited at yet.
pub(super) struct Unopened {
    queue: Receiver<Box<External>>,
    bell: Arc<Doorbell>,
}

/// The dispatcher's end. When it is dropped, whatever is in it is dropped as well and nothing more can be sent.
pub(super) struct Inbox {
    queue: Receiver<Box<External>>,
    sleeper: Sleeper,
}

/// The dispatcher has ended, or had no room in time.
#[derive(Debug)]
pub(super) struct NotTaken;

/// Both ends of a queue with room for so many.
pub(super) fn inbox(room: usize) -> (Inputs, Unopened) {
    let (sender, queue) = bounded(room);
    let bell = Arc::new(Doorbell::default());
    (Inputs { sender, bell: Arc::clone(&bell) }, Unopened { queue, bell })
}

impl Inputs {
    /// Waits for room.
    pub(super) fn send(&self, input: External) -> Result<(), NotTaken> {
        self.sender.send(Box::new(input)).map_err(|_| NotTaken)?;
        self.bell.ring();
        Ok(())
    }

    /// Waits for room, but no longer than this.
    pub(super) fn send_timeout(&self, input: External, limit: Duration) -> Result<(), NotTaken> {
        self.sender.send_timeout(Box::new(input), limit).map_err(|_| NotTaken)?;
        self.bell.ring();
        Ok(())
    }
}

impl Unopened {
    /// For others who have something for the dispatcher.
    pub(super) fn bell(&self) -> Arc<Doorbell> {
        Arc::clone(&self.bell)
    }

    /// From now on it can be waited at.
    ///
    /// # Errors
    /// The system's, when it refuses a descriptor.
    pub(super) fn open(self) -> io::Result<Inbox> {
        Ok(Inbox { queue: self.queue, sleeper: self.bell.sleeper()? })
    }
}

impl Inbox {
    /// What is there by now.
    pub(super) fn try_iter(&self) -> impl Iterator<Item = External> {
        self.queue.try_iter().map(|input| *input)
    }

    /// Sleeps until something comes, or until this moment; may return for nothing.
    pub(super) fn wait(&mut self, until: Option<Moment>) {
        self.sleeper.wait(until);
    }
}
