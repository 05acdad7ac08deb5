//! Look-ups of names with a limit on their time.
//!
//! The system's resolver takes as long as it likes, and nothing ends it. So it is asked on a thread of its own, one for
//! each name however often that is asked for meanwhile, and whoever asks waits no longer than he wants.

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::util::thread;

/// Room for the system's resolver. Only touched pages count.
const STACK_BYTES: usize = 256 * 1024;
/// Names that may be waited for at the same time.
const MAX_UNDER_WAY: usize = 64;

/// The addresses of a name, or why there are none.
pub(super) type Found = Result<Vec<IpAddr>, String>;

/// The addresses of `host`; `None`: no answer until the deadline.
pub(super) fn resolve(host: &str, deadline: Instant) -> Option<Found> {
    static LOOKUPS: Lookups = Lookups::new();
    LOOKUPS.run(host, deadline, |host| match (host, 0).to_socket_addrs() {
        Ok(addresses) => Ok(addresses.map(|address| address.ip()).collect()),
        Err(error) => Err(crate::util::errno::reason(&error)),
    })
}

struct Lookups {
    under_way: Mutex<Vec<(String, Arc<Answer>)>>,
}

/// The answer to those who wait for it.
#[derive(Default)]
struct Answer {
    found: Mutex<Option<Found>>,
    given: Condvar,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lookups {
    const fn new() -> Lookups {
        Lookups { under_way: Mutex::new(Vec::new()) }
    }

    fn run(&'static self, host: &str, deadline: Instant, ask: fn(&str) -> Found) -> Option<Found> {
        match self.join_or_ask(host, ask) {
            Ok(answer) => answer.wait(deadline),
            Err(reason) => Some(Err(reason)),
        }
    }

    fn join_or_ask(&'static self, host: &str, ask: fn(&str) -> Found) -> Result<Arc<Answer>, String> {
        let mut under_way = lock(&self.under_way);
        if let Some((_, answer)) = under_way.iter().find(|(name, _)| name == host) {
            return Ok(Arc::clone(answer));
        }
        if under_way.len() >= MAX_UNDER_WAY {
            return Err("too many look-ups wait for an answer; does the name server answer?".to_owned());
        }
        let answer = Arc::new(Answer::default());
        under_way.push((host.to_owned(), Arc::clone(&answer)));
        // Where there is no thread its end takes the lock.
        drop(under_way);
        let lookup = Lookup { all: self, name: host.to_owned(), answer: Arc::clone(&answer), found: None };
        let asked = thread::spawn("lookup", STACK_BYTES, move || lookup.run(ask));
        asked.map_err(|error| format!("no thread to ask: {}", crate::util::errno::reason(&error)))?;
        Ok(answer)
    }
}

/// A look-up that is under way until this is dropped, which answers all who wait for it: also where its thread panics.
struct Lookup {
    all: &'static Lookups,
    name: String,
    answer: Arc<Answer>,
    found: Option<Found>,
}

impl Lookup {
    fn run(mut self, ask: fn(&str) -> Found) {
        self.found = Some(ask(&self.name));
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        // First: whoever asks from here on wants a new answer.
        lock(&self.all.under_way).retain(|(other, _)| *other != self.name);
        let found = self.found.take().unwrap_or_else(|| Err("the look-up has ended without an answer".to_owned()));
        *lock(&self.answer.found) = Some(found);
        self.answer.given.notify_all();
    }
}

impl Answer {
    fn wait(&self, deadline: Instant) -> Option<Found> {
        let mut found = lock(&self.found);
        while found.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return None;
            }
            found = self.given.wait_timeout(found, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        found.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Asked for so often; answers when it is opened.
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    static GATE: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

    fn behind_the_gate(_: &str) -> Found {
        ASKED.fetch_add(1, Ordering::SeqCst);
        let open = GATE.1.wait_while(GATE.0.lock().unwrap(), |open| !*open);
        drop(open);
        Ok(vec![IpAddr::from([127, 0, 0, 9])])
    }

    #[test]
    fn a_resolver_that_hangs_costs_the_time_that_was_given_and_one_thread() {
        static LOOKUPS: Lookups = Lookups::new();
        let in_a_moment = || Instant::now() + Duration::from_millis(20);
        let in_a_while = || Instant::now() + Duration::from_secs(60);
        for _ in 0..5 {
            assert_eq!(LOOKUPS.run("db", in_a_moment(), behind_the_gate), None);
        }
        let begin = Instant::now();
        while ASKED.load(Ordering::SeqCst) == 0 {
            assert!(begin.elapsed() < Duration::from_secs(60), "nobody asks for the name");
            std::thread::yield_now();
        }
        assert_eq!(ASKED.load(Ordering::SeqCst), 1, "one thread asks for a name");
        let other = LOOKUPS.run("cache", in_a_while(), |_| Ok(Vec::new()));
        assert_eq!(other, Some(Ok(Vec::new())), "another name is not held up");
        let waiting = std::thread::spawn(move || LOOKUPS.run("db", in_a_while(), behind_the_gate));
        *GATE.0.lock().unwrap() = true;
        GATE.1.notify_all();
        assert_eq!(waiting.join().unwrap(), Some(Ok(vec![IpAddr::from([127, 0, 0, 9])])));
        assert_eq!(
            LOOKUPS.run("db", in_a_while(), |_| Err("gone".to_owned())),
            Some(Err("gone".to_owned())),
            "no memory"
        );
    }

    #[test]
    fn a_look_up_that_panics_is_answered_and_the_name_is_asked_for_again() {
        static LOOKUPS: Lookups = Lookups::new();
        let in_a_while = || Instant::now() + Duration::from_secs(60);
        let answer = LOOKUPS.run("db", in_a_while(), |_| panic!("on purpose"));
        assert_eq!(answer, Some(Err("the look-up has ended without an answer".to_owned())));
        assert_eq!(LOOKUPS.run("db", in_a_while(), |_| Ok(Vec::new())), Some(Ok(Vec::new())));
    }

    #[test]
    fn the_number_of_look_ups_is_bounded() {
        static LOOKUPS: Lookups = Lookups::new();
        static OPEN: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());
        let hang = |_: &str| {
            drop(OPEN.1.wait_while(OPEN.0.lock().unwrap(), |open| !*open));
            Ok(Vec::new())
        };
        for number in 0..MAX_UNDER_WAY {
            assert_eq!(LOOKUPS.run(&format!("host-{number}"), Instant::now(), hang), None);
        }
        let refused = LOOKUPS.run("one-more", Instant::now(), hang);
        assert!(matches!(refused, Some(Err(reason)) if reason.starts_with("too many look-ups")));
        *OPEN.0.lock().unwrap() = true;
        OPEN.1.notify_all();
    }
}
