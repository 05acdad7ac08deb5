//! The event bus: delivers every change of state and every health result to subscribers.
//!
//! Publishing never blocks: the queue is bounded, and when it is full the oldest event is dropped
//! (the state of the processes is authoritative, not the events). Handlers run one after the
//! other on a thread of their own, `events`, which exists only while the bus is started; a slow or
//! panicking handler delays or loses nothing but events.
//!
//! ```
//! use supervice::events::{Event, EventBus, EventType};
//!
//! let bus = EventBus::default();
//! let (tx, rx) = std::sync::mpsc::channel();
//! bus.subscribe(EventType::ProcessStateRunning, move |event: &Event| {
//!     let _ = tx.send(event.text("processname").unwrap_or_default().to_owned());
//! });
//! bus.start()?;
//! bus.publish(Event::new(EventType::ProcessStateRunning).with("processname", "web"));
//! assert_eq!(rx.recv().unwrap(), "web");
//! bus.stop();
//! # Ok::<(), std::io::Error>(())
//! ```

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::util::thread;

pub use crate::api::EventType;

/// The most events that wait for their handlers, unless [`EventBus::new`] is given another number.
pub const DEFAULT_QUEUE_SIZE: usize = 1000;

/// The handlers are the user's code: give them room.
const EVENTS_STACK: usize = 512 * 1024;

/// Something that has happened.
///
/// State events carry `processname`, `groupname`, `from_state`, `pid` (null where there is none) and
/// `cause`; health events `processname`, `groupname`, `pid` and `message`.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What kind of event it is.
    pub event_type: EventType,
    /// The fields.
    pub payload: Map<String, Value>,
}

impl Event {
    /// An event without fields.
    pub fn new(event_type: EventType) -> Self {
        Event { event_type, payload: Map::new() }
    }

    /// The same event with one more field.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.payload.insert(key.to_owned(), value.into());
        self
    }

    /// A field that is a text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.payload.get(key).and_then(Value::as_str)
    }

    /// A field that is a whole number.
    pub fn number(&self, key: &str) -> Option<i64> {
        self.payload.get(key).and_then(Value::as_i64)
    }
}

type Handler = Arc<dyn Fn(&Event) + Send + Sync>;

#[derive(Default)]
struct Inner {
    handlers: Vec<(EventType, Handler)>,
    queue: VecDeque<Event>,
    dropped: u64,
    /// Counts the starts: a thread of an earlier one ends when it sees a later number.
    epoch: u64,
    worker: Option<JoinHandle<()>>,
    /// Started, and not stopped since: the thread comes with the first subscriber.
    started: bool,
}

struct Shared {
    maxsize: usize,
    inner: Mutex<Inner>,
    news: Condvar,
}

/// Publish and subscribe; clones share one bus. See the [module](self) for the rules.
#[derive(Clone)]
pub struct EventBus {
    shared: Arc<Shared>,
}

impl Default for EventBus {
    fn default() -> Self {
        EventBus::new(DEFAULT_QUEUE_SIZE)
    }
}

impl EventBus {
    /// A bus whose queue holds at most `maxsize` events (at least 1).
    pub fn new(maxsize: usize) -> Self {
        let shared = Shared { maxsize: maxsize.max(1), inner: Mutex::default(), news: Condvar::new() };
        EventBus { shared: Arc::new(shared) }
    }

    /// Runs the handlers from now on, on a thread that is spawned for the first subscriber. Does nothing if the bus is
    /// started already.
    ///
    /// # Errors
    /// The system's, when it refuses another thread.
    pub fn start(&self) -> std::io::Result<()> {
        let mut inner = self.lock();
        inner.started = true;
        self.ensure_worker(&mut inner)
    }

    fn ensure_worker(&self, inner: &mut Inner) -> std::io::Result<()> {
        if inner.worker.is_some() || !inner.started || inner.handlers.is_empty() {
            return Ok(());
        }
        inner.epoch += 1;
        let (shared, epoch) = (Arc::clone(&self.shared), inner.epoch);
        inner.worker = Some(thread::spawn("events", EVENTS_STACK, move || run_handlers(&shared, epoch))?);
        Ok(())
    }

    /// Runs the handlers for the queued events, then ends the thread. Called from a handler, it does not wait.
    pub fn stop(&self) {
        if let Some(worker) = self.dismiss() {
            let _ = worker.join();
        }
    }

    /// As [`stop`](Self::stop), but returns `false` and leaves a handler running that has not ended within `limit`.
    pub(crate) fn stop_within(&self, limit: Duration) -> bool {
        let Some(worker) = self.dismiss() else { return true };
        let deadline = Instant::now() + limit;
        while !worker.is_finished() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = worker.join();
        true
    }

    /// Asks the thread to end; returns its handle.
    fn dismiss(&self) -> Option<JoinHandle<()>> {
        let worker = {
            let mut inner = self.lock();
            inner.epoch += 1;
            inner.started = false;
            inner.worker.take()
        };
        self.shared.news.notify_all();
        worker.filter(|worker| worker.thread().id() != std::thread::current().id())
    }

    /// Calls `handler` for every event of this type that is published from now on.
    pub fn subscribe(&self, event_type: EventType, handler: impl Fn(&Event) + Send + Sync + 'static) {
        let mut inner = self.lock();
        inner.handlers.push((event_type, Arc::new(handler)));
        if let Err(error) = self.ensure_worker(&mut inner) {
            log::error!(
                "no thread for the event handlers: {}; events wait for the next subscriber",
                crate::util::errno::reason(&error)
            );
        }
    }

    /// Queues an event, dropping the oldest if the queue is full; never blocks on a handler. An
    /// event of a type that nobody subscribed to costs nothing.
    pub fn publish(&self, event: Event) {
        let mut inner = self.lock();
        if !inner.handlers.iter().any(|(wanted, _)| *wanted == event.event_type) {
            return;
        }
        if inner.queue.len() >= self.shared.maxsize {
            inner.queue.pop_front();
            inner.dropped += 1;
        }
        inner.queue.push_back(event);
        drop(inner);
        self.shared.news.notify_one();
    }

    /// Whether this type has a subscriber; saves making an event that nobody would get.
    pub fn wants(&self, event_type: EventType) -> bool {
        self.lock().handlers.iter().any(|(wanted, _)| *wanted == event_type)
    }

    /// How many events were dropped since the bus was made because its queue was full.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.shared)
    }
}

/// Handlers never run under the lock, so a poisoned one holds sound data all the same.
fn lock(shared: &Shared) -> MutexGuard<'_, Inner> {
    shared.inner.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run_handlers(shared: &Shared, epoch: u64) {
    loop {
        let (event, handlers) = {
            let mut inner = lock(shared);
            loop {
                if let Some(event) = inner.queue.pop_front() {
                    let wanted = |(kind, _): &&(EventType, Handler)| *kind == event.event_type;
                    let handlers: Vec<Handler> =
                        inner.handlers.iter().filter(wanted).map(|(_, handler)| Arc::clone(handler)).collect();
                    break (event, handlers);
                }
                if inner.epoch != epoch {
                    return;
                }
                inner = shared.news.wait(inner).unwrap_or_else(PoisonError::into_inner);
            }
        };
        for handler in handlers {
            if catch_unwind(AssertUnwindSafe(|| handler(&event))).is_err() {
                log::error!("a subscriber to {} panicked; the event is lost to it", event.event_type.as_str());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn numbered(n: i64) -> Event {
        Event::new(EventType::ProcessStateRunning).with("n", n)
    }

    #[test]
    fn full_queue_drops_the_oldest_and_counts() {
        let bus = EventBus::new(3);
        let (tx, rx) = channel();
        bus.subscribe(EventType::ProcessStateRunning, move |event| tx.send(event.number("n").unwrap()).unwrap());
        for n in 0..5 {
            bus.publish(numbered(n));
        }
        bus.start().unwrap();
        bus.stop();
        assert_eq!(rx.try_iter().collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(bus.dropped(), 2);
    }

    #[test]
    fn a_panicking_handler_harms_no_other() {
        let bus = EventBus::default();
        let (tx, rx) = channel();
        bus.subscribe(EventType::ProcessStateRunning, |_| panic!("failpoint"));
        bus.subscribe(EventType::ProcessStateRunning, move |event| tx.send(event.number("n").unwrap()).unwrap());
        bus.start().unwrap();
        bus.publish(numbered(1));
        bus.publish(numbered(2));
        bus.stop();
        assert_eq!(rx.try_iter().collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn a_handler_that_never_ends_is_left_behind() {
        let bus = EventBus::default();
        let (tx, rx) = channel::<()>();
        let rx = std::sync::Mutex::new(rx);
        bus.subscribe(EventType::HealthcheckPassed, move |_| {
            let _ = rx.lock().unwrap().recv();
        });
        bus.start().unwrap();
        bus.publish(Event::new(EventType::HealthcheckPassed));
        assert!(!bus.stop_within(Duration::from_millis(20)));
        drop(tx);
        assert!(bus.stop_within(Duration::from_secs(60)), "it was dismissed already");
    }

    #[test]
    fn stop_from_a_handler_and_start_again() {
        let bus = EventBus::default();
        let (tx, rx) = channel();
        let inside = bus.clone();
        bus.subscribe(EventType::HealthcheckPassed, move |_| {
            inside.stop();
            tx.send(()).unwrap();
        });
        bus.start().unwrap();
        bus.publish(Event::new(EventType::HealthcheckPassed));
        rx.recv().unwrap();
        bus.start().unwrap();
        bus.publish(Event::new(EventType::HealthcheckPassed));
        rx.recv().unwrap();
        bus.stop();
    }

    #[test]
    fn events_that_nobody_wants_are_not_kept() {
        let bus = EventBus::default();
        bus.publish(numbered(1));
        assert!(!bus.wants(EventType::ProcessStateRunning));
        assert!(bus.lock().queue.is_empty());
    }
}
