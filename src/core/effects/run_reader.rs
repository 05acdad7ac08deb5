//! Reading the settings of a program that somebody wants to run, on a thread of its own: a name server may be asked for
//! its user.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::super::effect::{External, Input};
use super::Effects;
use crate::api::{RequestId, Run};
use crate::config::TransientProgram;
use crate::util::thread;

/// Room for NSS, which the checks of users may call. Only touched pages count.
const READER_STACK: usize = 512 * 1024;

impl Effects {
    /// Begins to read them; what can be said at once is returned.
    pub(super) fn read_run(&mut self, request: RequestId, name: String, run: Arc<Run>) -> Option<Input> {
        let (inputs, users) = (self.parts.inputs.clone(), self.parts.users.clone());
        let spawned = thread::spawn("run", READER_STACK, move || {
            let read = || {
                let Run { command, settings, tty, term, .. } = &*run;
                let program =
                    TransientProgram { name: &name, command, settings, tty: *tty, term: term.as_deref() }.read()?;
                users.learn(std::iter::once(&program));
                Ok(Box::new(program))
            };
            let result = catch_unwind(AssertUnwindSafe(read))
                .unwrap_or_else(|_| Err("the thread that read them panicked (a bug)".to_owned()));
            let _ = inputs.send(External::Input(Input::RunRead { request, result }));
        });
        let failed = |error: std::io::Error| format!("no thread to read them: {}", crate::util::errno::reason(&error));
        spawned.err().map(|error| Input::RunRead { request, result: Err(failed(error)) })
    }
}
