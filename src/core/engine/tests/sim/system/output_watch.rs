//! Programs whose output is watched: they are silent, or not, and say what they are watched for.

use std::time::Duration;

use super::super::SECOND;
use super::{FakeSystem, Pending};
use crate::api::ProcId;
use crate::models::ProgramConfig;
use crate::output::Note;
use crate::process::Generation;

impl FakeSystem {
    /// What a run will say that has just been spawned.
    pub(super) fn say_lines(&mut self, id: ProcId, generation: Generation, config: &ProgramConfig) {
        if config.restart.output_watch.is_empty() || self.calm {
            return;
        }
        while self.random.chance(40) {
            let pause = self.random.below(20 * SECOND);
            let (pattern, line) = ("lost".into(), "all is lost".into());
            let note = Note::WatchedLine { program: id, generation, pattern, line };
            self.later(pause, Pending::Output(note));
        }
    }

    /// All that is silent writes again.
    pub(super) fn write_again(&mut self) {
        let runs: Vec<(ProcId, Generation)> = self.runs.iter().map(|(id, run)| (*id, run.generation)).collect();
        for (program, generation) in runs {
            self.later(SECOND, Pending::Output(Note::OutputResumed { program, generation }));
        }
    }

    /// The output thread answers soon: nearly always that there was something a moment ago.
    pub(super) fn ask_silence(&mut self, id: ProcId, generation: Generation, long: Duration) {
        let silent = self.random.chance(20) && !self.calm;
        let silence = if silent { long } else { long.mul_f64(0.5) };
        let pause = self.random.pick(&[0, 0, 1, 40]);
        self.later(pause, Pending::Output(Note::Silent { program: id, generation, silence }));
        if silent && self.random.chance(50) {
            let pause = pause + self.random.below(3 * SECOND);
            self.later(pause, Pending::Output(Note::OutputResumed { program: id, generation }));
        }
    }
}
