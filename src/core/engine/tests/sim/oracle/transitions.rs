//! What each change of state says of what was before, and what it makes possible.

use super::times::least_delay;
use super::*;

impl Oracle {
    pub(super) fn moved(&mut self, now: Millis, name: &str, transition: &Transition) {
        let Transition { from, to, cause, .. } = transition;
        let (from, to) = (*from, *to);
        self.note(now, || format!("{name}: {from} -> {to}: {cause}"));
        let Some(id) = self.id_of(name) else {
            return self.rule(false, || format!("a transition of {name}, which is none"));
        };
        let Some(proc) = self.procs.get_mut(&id) else { return };
        let before = proc.state;
        let up = |state| matches!(state, ProcessState::Running | ProcessState::Unhealthy);
        // What has done its work is as good as up until it leaves that state.
        let was_completed = std::mem::replace(&mut proc.completed, matches!(cause, Cause::Completed { .. }));
        if up(before) || up(to) || was_completed || proc.completed {
            proc.last_up = Some(now);
        }
        // Announced right before the spawn, which looks at the time before.
        if to != ProcessState::Starting || before != ProcessState::Backoff {
            (proc.since, proc.delay) = (now, 0);
        }
        proc.state = to;
        if matches!(cause, Cause::FatalRetry { .. }) {
            // The start that was asked for has come to nothing before it was executed.
            (proc.after_fatal, proc.asked) = (true, false);
        }
        if ends_daemon(proc, to, cause) && self.ending.is_none() {
            self.fatal_end = self.fatal_end.or(Some(now));
        }
        let (limit, hopeless, unsure) = (proc.config.startretries, proc.hopeless, proc.unsure);
        match to {
            ProcessState::Running => {
                proc.rows[0] = 0;
                proc.up_since = proc.up_since.or(Some(now));
            }
            ProcessState::Backoff if matches!(cause, Cause::WaitsForRoom { .. }) => {
                proc.shortages += 1;
                proc.delay = Millis::from(proc.shortages.min(30)) * SECOND;
            }
            ProcessState::Backoff => {
                proc.retries += 1;
                let row = &mut proc.rows[row_of(proc, cause)];
                *row += 1;
                proc.delay = least_delay(&proc.config, *row);
            }
            ProcessState::Fatal if proc.config.restart.fatal_retry > 0 => {
                (proc.want, proc.hopeless) = (None, false);
                proc.delay = Millis::from(proc.config.restart.fatal_retry) * SECOND * 8 / 10;
            }
            ProcessState::Fatal => proc.want = Some(false),
            ProcessState::Exited => {
                proc.may_rest =
                    proc.completed || proc.config.autorestart != AutoRestart::Always || never_restarts(proc, cause);
                proc.rows[0] *= u32::from(!proc.completed);
            }
            ProcessState::Starting => {
                proc.for_age = matches!(cause, Cause::Requested { by: Initiator::Policy(reason), .. }
                    if matches!(**reason, RestartReason::MaxLifetime { .. }));
            }
            ProcessState::Stopping => proc.start_failed = matches!(cause, Cause::StartFailed { .. }),
            ProcessState::Stopped | ProcessState::Unhealthy => {}
        }
        if let Some(fault) = fault_of(cause) {
            if now >= proc.spawned + 60 * SECOND && matches!(cause, Cause::OutputFault { .. }) {
                proc.rows[1] = 0;
            }
            let began = proc.up_since.unwrap_or(proc.spawned);
            let long =
                matches!(fault, OutputFault::Silence { seconds } if Millis::from(*seconds) * SECOND > now - began);
            self.rule(!long, || format!("{name}: {fault}, but it runs since {began}"));
            self.counts.silences += 1;
        }
        self.counts.heard_again += u64::from(matches!(cause, Cause::HeardAgain));
        let failed = matches!(to, ProcessState::Fatal | ProcessState::Unhealthy);
        for commit in self.commit.iter_mut().filter(|_| failed) {
            commit.failed = true;
            commit.must_end |= commit.watched.contains(&id);
        }
        let by_reload = matches!(cause, Cause::Requested { by: Initiator::Reload { .. }, .. });
        if by_reload && to != ProcessState::Stopped {
            self.begun.insert(id);
        }
        self.rolled_back.iter_mut().for_each(|right| *right |= failed);
        let Some(proc) = self.procs.get(&id) else { return };
        let (retries, row) = (proc.retries, proc.rows[row_of(proc, cause)]);
        self.counts.fatal += u64::from(to == ProcessState::Fatal);
        let no_main = |failure: &Failure| matches!(failure, Failure::NoMain { .. } | Failure::LeftNothing { .. });
        let failed =
            matches!(cause, Cause::BackedOff { failure, .. } | Cause::GaveUp { failure, .. } if no_main(failure));
        self.counts.no_main += u64::from(failed);
        self.counts.missed += u64::from(matches!(cause, Cause::WatchdogMissed { .. }));
        self.counts.alive_again += u64::from(matches!(cause, Cause::AliveAgain));
        self.counts.unhealthy += u64::from(to == ProcessState::Unhealthy);
        self.rule(before == from, || format!("{name}: {from} -> {to} is announced, but it was {before}"));
        let counts = to == ProcessState::Backoff && !matches!(cause, Cause::WaitsForRoom { .. });
        self.rule(!counts || row <= limit, || format!("{name}: retry {row} of {limit}"));
        let is_for_outside = |failure: &Failure| matches!(failure, Failure::StartWhen { .. });
        let has_waited = matches!(cause, Cause::BackedOff { failure, .. } if is_for_outside(failure));
        self.rule(to != ProcessState::Backoff || !hopeless || has_waited, || {
            format!("{name}: BACKOFF for what will never succeed")
        });
        let proc = &self.procs[&id];
        let policy = &proc.config.restart;
        let otherwise =
            proc.after_fatal || policy.limit.is_some() || policy.fatal_retry > 0 || !policy.never_after.is_empty();
        let early = to == ProcessState::Fatal && !hopeless && !unsure && !otherwise && retries < limit;
        self.rule(!early, || format!("{name}: FATAL after {retries} retries of {limit}"));
    }
}

/// Its end is one that no start follows.
fn never_restarts(proc: &Proc, cause: &Cause) -> bool {
    use crate::models::EndedBy;
    let never = &proc.config.restart.never_after;
    match cause {
        Cause::Exited { exit: Exit::Code(code), .. } => never.contains(&EndedBy::Code(*code)),
        Cause::Exited { exit: Exit::Signal(signal), .. } => never.contains(&EndedBy::Signal(*signal)),
        _ => false,
    }
}

/// Which row of retries it is that a `BACKOFF` belongs to.
fn row_of(proc: &Proc, cause: &Cause) -> usize {
    let for_health = |failure: &Failure| match failure {
        Failure::Output { .. } => !proc.start_failed,
        failure => matches!(failure, Failure::Unhealthy { .. } | Failure::Watchdog { .. }),
    };
    usize::from(matches!(cause, Cause::BackedOff { failure, .. } if for_health(failure)))
}

/// What its output has shown, for which it is in this state.
fn fault_of(cause: &Cause) -> Option<&OutputFault> {
    match cause {
        Cause::OutputFault { fault } => Some(fault),
        Cause::StartFailed { failure } => match &**failure {
            Failure::Output { fault } => Some(fault),
            _ => None,
        },
        _ => None,
    }
}

/// Does this end of a program end the daemon?
fn ends_daemon(proc: &Proc, to: ProcessState, cause: &Cause) -> bool {
    let failed = || match cause {
        Cause::Completed { .. } => false,
        Cause::Exited { exit: Exit::Code(code), .. } => !proc.config.exitcodes.contains(code),
        _ => true,
    };
    let fits = match proc.config.exit_on {
        ExitOn::Never => false,
        ExitOn::Exit => matches!(to, ProcessState::Exited | ProcessState::Fatal),
        ExitOn::Fatal => to == ProcessState::Fatal,
        ExitOn::Failure => to == ProcessState::Fatal || to == ProcessState::Exited && failed(),
    };
    fits && !proc.leaving
}
