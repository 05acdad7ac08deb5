//! How long a program was silent.

use super::*;

impl Pump {
    /// The output of a new run is watched, where its settings say so.
    pub(super) fn begin_watch(&mut self, now: Instant, program: ProgramId, generation: Generation) {
        if let Some(program) = self.programs.get_mut(&program) {
            program.output_watch = OutputWatch::of(now, &program.config, generation);
        }
    }

    /// Tells for how long a run has written nothing, and if it is that long, when it writes again. What is in its pipes
    /// and was not read yet counts, however busy this thread is.
    pub(super) fn report_silence(&mut self, now: Instant, program: ProgramId, generation: Generation, long: Duration) {
        if self.silence(now, program, generation).is_some_and(|silence| silence >= long) {
            for token in self.tokens(program, |pipe| pipe.generation == generation) {
                self.look_into(now, token);
            }
        }
        let Some(silence) = self.silence(now, program, generation) else { return };
        if silence >= long
            && let Some(watch) = self.programs.get_mut(&program).and_then(|program| program.output_watch.as_mut())
        {
            watch.reset_silence();
        }
        self.pool.notify(Note::Silent { program, generation, silence });
    }

    fn silence(&self, now: Instant, program: ProgramId, generation: Generation) -> Option<Duration> {
        let watch = self.programs.get(&program)?.output_watch.as_ref();
        watch.filter(|watch| watch.generation == generation).map(|watch| watch.silence(now))
    }

    /// Reads a pipe of which nothing was told.
    fn look_into(&mut self, now: Instant, token: usize) {
        match self.read(now, token, false) {
            Outcome::Empty | Outcome::Paused => {}
            Outcome::More if self.pipes.get(&token).is_some_and(|pipe| pipe.queued) => {}
            Outcome::More => self.queue(token),
            Outcome::Closed => self.close(token),
        }
    }
}
