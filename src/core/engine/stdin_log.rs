//! Which input of clients to programs the log is told of: a file comes in pieces of 64 KiB, and is one line.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Engine;
use crate::api::{Command, ProcId};
use crate::process::{Generation, Initiator, Moment};

/// A piece that comes later than this after the one before is logged again.
const SAME_INPUT_INTERVAL: Duration = Duration::from_secs(60);

/// The most inputs that are known at a time; beyond that, each piece is logged.
const MAX_STDIN_WRITES: usize = 16;

/// The inputs of the last while.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct StdinLog(Vec<StdinWrite>);

/// What somebody writes to one run.
#[derive(Debug, Serialize, Deserialize)]
struct StdinWrite {
    id: ProcId,
    generation: Generation,
    by: Initiator,
    last: Moment,
}

impl Engine {
    /// Whether this is a further piece of an input that the log was told of.
    pub(super) fn continues_stdin(&mut self, by: &Initiator, command: &Command) -> bool {
        let Command::Stdin { name, .. } = command else { return false };
        let Some(id) = self.registry.find(name) else { return false };
        let Some(generation) = self.registry.get(id).map(|entry| entry.machine.generation()) else { return false };
        let now = self.now;
        let inputs = &mut self.inputs.0;
        inputs.retain(|input| now.saturating_duration_since(input.last) < SAME_INPUT_INTERVAL);
        let is_same = |input: &&mut StdinWrite| (input.id, input.generation) == (id, generation) && input.by == *by;
        if let Some(input) = inputs.iter_mut().find(is_same) {
            input.last = now;
            return true;
        }
        if inputs.len() < MAX_STDIN_WRITES {
            inputs.push(StdinWrite { id, generation, by: by.clone(), last: now });
        }
        false
    }
}
