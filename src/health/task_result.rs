//! What the end of a health check script says of the program's health.

use std::time::Duration;

use super::HealthCheckResult;
use crate::process::{Exit, TaskEnd};

/// How a shell ends that has not found the command, or could not execute it.
const NOT_FOUND: Exit = Exit::Code(127);
const NOT_EXECUTABLE: Exit = Exit::Code(126);

impl HealthCheckResult {
    /// There was no answer in time; the last line that the script wrote until then.
    pub(crate) fn no_answer(limit: Duration, last_line: Option<&str>) -> Self {
        let seconds = limit.as_secs();
        HealthCheckResult::failed(match last_line {
            Some(line) => format!("no answer within {seconds} s: {line}"),
            None => format!("no answer within {seconds} s"),
        })
    }
}

impl HealthCheckResult {
    /// The same of a check, which may be at fault itself: one that can't be run says nothing of the program, and the
    /// remedy is another one.
    pub(crate) fn of_check(end: &TaskEnd) -> Self {
        match (end, HealthCheckResult::from(end)) {
            (TaskEnd::SpawnFailed(_), HealthCheckResult { message, .. }) => HealthCheckResult::never_run(&message),
            // What the check runs may end so, too.
            (TaskEnd::Exited { exit: NOT_FOUND | NOT_EXECUTABLE, .. }, HealthCheckResult { message, .. }) => {
                HealthCheckResult::failed(format!("the check itself may not have run: {message}"))
            }
            (TaskEnd::Exited { .. } | TaskEnd::TimedOut { .. } | TaskEnd::Cancelled, result) => result,
        }
    }

    /// The check itself can't be run.
    pub(crate) fn never_run(why: &str) -> Self {
        HealthCheckResult::failed(format!("the check itself cannot be run: {why}"))
    }
}

impl From<&TaskEnd> for HealthCheckResult {
    /// Passed with exit code 0. The message names the last line that the script wrote, where there is one.
    fn from(end: &TaskEnd) -> Self {
        match end {
            TaskEnd::TimedOut { limit, .. } => HealthCheckResult::no_answer(*limit, end.last_line()),
            TaskEnd::Exited { .. } | TaskEnd::SpawnFailed(_) | TaskEnd::Cancelled => {
                HealthCheckResult { healthy: end.is_success(), message: end.to_string() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Exit, SpawnError, SpawnStage};

    fn result(end: TaskEnd) -> (bool, String) {
        let HealthCheckResult { healthy, message } = HealthCheckResult::from(&end);
        (healthy, message)
    }

    #[test]
    fn exit_code_decides_and_the_last_line_explains() {
        let exited = |exit, output: &str| result(TaskEnd::Exited { exit, output: output.into() });
        assert_eq!(exited(Exit::Code(0), ""), (true, "exit code 0".to_owned()));
        assert_eq!(exited(Exit::Code(0), "fine"), (true, "exit code 0: fine".to_owned()));
        assert_eq!(exited(Exit::Code(3), "first\nno space left"), (false, "exit code 3: no space left".to_owned()));
        assert_eq!(exited(Exit::Signal(15), ""), (false, "killed by SIGTERM".to_owned()));
    }

    #[test]
    fn a_check_that_cannot_be_run_is_told_from_one_that_fails() {
        let check = |end| HealthCheckResult::of_check(&end).message;
        let exited = |code| TaskEnd::Exited { exit: Exit::Code(code), output: "sh: /x: not found".into() };
        assert_eq!(check(exited(127)), "the check itself may not have run: exit code 127: sh: /x: not found");
        assert_eq!(check(exited(126)), "the check itself may not have run: exit code 126: sh: /x: not found");
        assert_eq!(check(exited(1)), "exit code 1: sh: /x: not found");
        let error = SpawnError::system(SpawnStage::Directory, "/x", 2);
        let told = format!("the check itself cannot be run: {error}");
        assert_eq!(check(TaskEnd::SpawnFailed(Box::new(error))), told);
    }

    #[test]
    fn time_out_failed_spawn_and_cancel_are_failures() {
        let (limit, exit) = (Duration::from_secs(1), Exit::Code(0));
        let timed_out = |output: &str| result(TaskEnd::TimedOut { limit, exit, output: output.into() });
        assert_eq!(timed_out(""), (false, "no answer within 1 s".to_owned()));
        assert_eq!(timed_out("first\nstuck"), (false, "no answer within 1 s: stuck".to_owned()));
        let error = SpawnError::system(SpawnStage::Exec, "/bin/sh", 2);
        assert_eq!(result(TaskEnd::SpawnFailed(Box::new(error.clone()))), (false, error.to_string()));
        assert_eq!(result(TaskEnd::Cancelled), (false, "cancelled".to_owned()));
    }
}
