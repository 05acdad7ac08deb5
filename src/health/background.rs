//! Checks that may take their time (a name server, a dead host or disk): each on a thread of its own, which ends with
//! it.

use std::io;

use super::{HealthCheckResult, HealthChecker};
use crate::util::thread;

/// Only touched pages count.
const STACK_BYTES: usize = 128 * 1024;

/// Checks on a new thread, `health:<name>`; `report` is called on it with the answer, and then it ends.
pub(crate) fn check_on_thread(
    name: &str,
    checker: Box<dyn HealthChecker>,
    report: impl FnOnce(HealthCheckResult) + Send + 'static,
) -> io::Result<()> {
    thread::spawn(&format!("health:{name}"), STACK_BYTES, move || report(perform(&*checker))).map(drop)
}

/// A check that panics has failed.
fn perform(checker: &dyn HealthChecker) -> HealthCheckResult {
    let check = std::panic::AssertUnwindSafe(|| {
        crate::failpoint::hit("health", String::new);
        checker.check()
    });
    std::panic::catch_unwind(check)
        .unwrap_or_else(|_| HealthCheckResult::failed("the check panicked (a bug in supervice)"))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    struct Panics;

    impl HealthChecker for Panics {
        fn check(&self) -> HealthCheckResult {
            panic!("on purpose");
        }
    }

    #[test]
    fn a_panic_is_a_failed_check_and_any_name_will_do() {
        let (tell, told) = channel();
        let report = move |result| drop(tell.send(result));
        check_on_thread("a\0b, and longer than the kernel takes", Box::new(Panics), report).expect("a thread");
        let result: HealthCheckResult = told.recv_timeout(Duration::from_secs(60)).expect("an answer");
        assert_eq!((result.healthy, result.message.as_str()), (false, "the check panicked (a bug in supervice)"));
    }
}
