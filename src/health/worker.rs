//! The worker threads: one for each program that runs and is checked by tcp, so that a check that takes its time (a name
//! server, a dead host) delays nobody else's.

use std::io;

use crossbeam_channel::{Sender, TrySendError, bounded};

use super::{HealthCheckResult, HealthChecker, TcpHealthChecker};
use crate::process::Generation;

/// Only touched pages count.
const WORKER_STACK: usize = 128 * 1024;

/// Why a worker takes no request any more.
pub(crate) const THREAD_DIED: &str = "the health check's thread has died";

/// One check of one run.
pub(crate) struct CheckRequest {
    pub generation: Generation,
    pub checker: TcpHealthChecker,
}

/// The dispatcher's end of a worker thread, which ends when this is dropped.
pub(crate) struct Worker {
    requests: Sender<CheckRequest>,
}

impl Worker {
    /// Starts the thread `health:<name>`; `report` is called on it with every answer.
    pub(crate) fn start(
        name: &str,
        report: impl Fn(Generation, HealthCheckResult) + Send + 'static,
    ) -> io::Result<Worker> {
        // The state machine has one check outstanding; a second place takes the next one when it has
        // given up waiting for an answer.
        let (requests, work) = bounded::<CheckRequest>(1);
        // A configuration that was made by a program may hold anything; a NUL in a thread's name panics.
        let thread =
            std::thread::Builder::new().name(format!("health:{name}").replace('\0', " ")).stack_size(WORKER_STACK);
        thread.spawn(move || {
            for request in work {
                report(request.generation, perform(&request.checker));
            }
        })?;
        Ok(Worker { requests })
    }

    /// Hands a check to the thread; never blocks.
    ///
    /// # Errors
    /// Gives the request back with the reason when the thread is still at an earlier one, or has died.
    pub(crate) fn request(&self, request: CheckRequest) -> Result<(), &'static str> {
        self.requests.try_send(request).map_err(|error| match error {
            TrySendError::Full(_) => "the check before has not ended yet",
            TrySendError::Disconnected(_) => THREAD_DIED,
        })
    }
}

/// A check that panics has failed; its thread lives on.
fn perform(checker: &TcpHealthChecker) -> HealthCheckResult {
    let check = std::panic::AssertUnwindSafe(|| {
        crate::failpoint::hit("health", String::new);
        checker.check()
    });
    std::panic::catch_unwind(check)
        .unwrap_or_else(|_| HealthCheckResult::failed("the health check panicked (a bug in supervice)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_will_do() {
        assert!(Worker::start("a\0b, and longer than the kernel takes", |_, _| {}).is_ok());
    }
}
