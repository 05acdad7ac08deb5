//! The central dispatcher: the loop of the one thread that decides and acts.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::engine::Engine;
use super::kernel::Kernel;
use super::world::Input;
use crate::sys;

/// A turn that takes longer is worth a line in the log: something in it must have blocked.
const SLOW_TURN: Duration = Duration::from_millis(250);

/// So long nothing must happen after the start until it counts as over.
const SETTLED: Duration = Duration::from_secs(1);

/// Inputs that are taken in before due timers get their turn.
const BATCH: usize = 64;

/// Runs the engine until its shutdown has ended; `true` if no process is left.
pub(super) fn dispatch(engine: &mut Engine, kernel: &mut Kernel, queue: &Receiver<Input>) -> bool {
    let mut has_rested = false;
    loop {
        guarded("a timer", || engine.run_timers(sys::time::now(), kernel));
        while let Some(input) = kernel.take_deferred() {
            turn(engine, kernel, input);
        }
        if let Some(clean) = engine.finished() {
            return clean;
        }
        guarded("a look at late children", || kernel.look_at_late(sys::time::now()));
        kernel.wake_output();
        let timer = engine.poll_timeout().into_iter().chain(kernel.late_look()).min();
        let settled =
            (!has_rested).then(|| sys::time::now() + SETTLED).filter(|at| timer.is_none_or(|timer| timer > *at));
        let first = match settled.or(timer) {
            Some(at) => queue.recv_deadline(sys::time::instant_of(at)),
            None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match first {
            Ok(input) => turn(engine, kernel, input),
            Err(RecvTimeoutError::Timeout) => {
                // The first rest: what the start alone has needed goes.
                if settled.is_some() {
                    has_rested = true;
                    sys::memory::rest();
                }
                continue;
            }
            // Can't happen while a supervisor holds the sender; if it did, nobody could ever stop us.
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        for input in queue.try_iter().take(BATCH) {
            turn(engine, kernel, input);
        }
    }
}

fn turn(engine: &mut Engine, kernel: &mut Kernel, input: Input) {
    let begin = sys::time::now();
    let what = describe(&input);
    guarded(what, || engine.handle(begin, input, kernel));
    let took = sys::time::now().saturating_duration_since(begin);
    if took > SLOW_TURN {
        log::warn!("{what} took {} ms", took.as_millis());
    }
}

/// Survives a panic: whoever waits for this may not get an answer, but everything else goes on. Our end would be the
/// end of all programs.
fn guarded(what: &str, act: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(act)).is_err() {
        log::error!("{what}: an internal error of supervice (a panic), please report it");
    }
}

fn describe(input: &Input) -> &'static str {
    match input {
        Input::Notice(_) => "a signal",
        Input::Request(_) => "a client's request",
        Input::Gone(_) => "a client that has gone",
        Input::Local { .. } | Input::LocalReload { .. } => "a request by a thread",
        Input::Health { .. } => "a health report",
        Input::ScriptTimedOut { .. } => "a health check's time-out",
        Input::Output(_) => "a note of the output thread",
        Input::ConfigLoaded(_) => "applying a new configuration",
    }
}
