//! How often each case was met.

/// How often the cases were met, so that a simulation that never meets one is found out.
#[derive(Debug, Default, Clone)]
pub(super) struct Counts {
    pub(super) turns: u64,
    /// Those with an input or a timer.
    pub(super) full_turns: u64,
    /// What the engine was told from outside, and timers that have fired: several in a turn, or none.
    pub(super) inputs: u64,
    pub(super) runs: u64,
    pub(super) refused: u64,
    pub(super) done: u64,
    pub(super) failed: u64,
    pub(super) timeouts: u64,
    pub(super) gone: u64,
    pub(super) reloads: u64,
    pub(super) fatal: u64,
    pub(super) unhealthy: u64,
    pub(super) quiet: u64,
    pub(super) clean_ends: u64,
    pub(super) given_up: u64,
    pub(super) confirmed: u64,
    pub(super) rolled_back: u64,
    pub(super) load_timeouts: u64,
    pub(super) late_loads: u64,
    pub(super) streams: u64,
    pub(super) delegated: u64,
    pub(super) copies: u64,
    pub(super) looked_at: u64,
    pub(super) own_ends: u64,
    pub(super) missed: u64,
    pub(super) alive_again: u64,
    pub(super) hooks: u64,
    pub(super) backgrounded: u64,
    pub(super) handed_over: u64,
    pub(super) no_main: u64,
    pub(super) silences: u64,
    pub(super) heard_again: u64,
}

impl Counts {
    fn all(&mut self) -> [&mut u64; 32] {
        [
            &mut self.turns,
            &mut self.full_turns,
            &mut self.inputs,
            &mut self.runs,
            &mut self.refused,
            &mut self.done,
            &mut self.failed,
            &mut self.timeouts,
            &mut self.gone,
            &mut self.reloads,
            &mut self.fatal,
            &mut self.unhealthy,
            &mut self.quiet,
            &mut self.clean_ends,
            &mut self.given_up,
            &mut self.confirmed,
            &mut self.rolled_back,
            &mut self.load_timeouts,
            &mut self.late_loads,
            &mut self.streams,
            &mut self.delegated,
            &mut self.copies,
            &mut self.looked_at,
            &mut self.own_ends,
            &mut self.missed,
            &mut self.alive_again,
            &mut self.hooks,
            &mut self.backgrounded,
            &mut self.handed_over,
            &mut self.no_main,
            &mut self.silences,
            &mut self.heard_again,
        ]
    }

    pub(super) fn add(&mut self, other: &Counts) {
        let mut other = other.clone();
        self.all().into_iter().zip(other.all()).for_each(|(sum, more)| *sum += *more);
    }

    pub(super) fn rarest(&self) -> u64 {
        self.clone().all().into_iter().map(|count| *count).min().unwrap_or(0)
    }
}
