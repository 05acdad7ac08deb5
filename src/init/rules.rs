//! What becomes of a signal, and of an exit. Pure.

use crate::process::Exit;

/// The highest signal number.
const LAST: usize = 64;
const CHLD: u8 = 17;
const CONT: u8 = 18;
const STOP: u8 = 19;
const TSTP: u8 = 20;
pub(super) const TTIN: u8 = 21;
pub(super) const TTOU: u8 = 22;

/// The signals by which a terminal stops a job.
pub(super) const JOB_STOPS: [u8; 3] = [TSTP, TTIN, TTOU];
/// The signals that tell a process of its own faults; tini and catatonit don't wait for these.
pub(super) const FAULTS: [u8; 7] = [4, 5, 6, 7, 8, 11, 31];
/// What ends what is left.
pub(super) const TERM: u8 = 15;

/// Whether a process that does nothing about this signal ends of it.
pub(super) fn ends_by_default(signal: u8) -> bool {
    const URG: u8 = 23;
    const WINCH: u8 = 28;
    !JOB_STOPS.contains(&signal) && ![CHLD, CONT, STOP, URG, WINCH].contains(&signal)
}

/// What to do with a signal that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignalAction {
    /// See whose end it tells.
    Reap,
    /// Send this one to the program.
    Forward(u8),
    /// The job goes on: it needs its terminal before the program is continued.
    Continue(u8),
    /// Nothing: it was asked to be dropped.
    Drop,
}

/// For each signal the one that is sent in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rules {
    /// At the signal's number; 0: none.
    send: [u8; LAST + 1],
}

impl Rules {
    /// Every signal as it is.
    pub(super) fn new() -> Rules {
        let mut send = [0; LAST + 1];
        send.iter_mut().zip(0..).for_each(|(entry, number)| *entry = number);
        Rules { send }
    }

    /// Sends `to` in place of `from`; 0: nothing.
    pub(super) fn rewrite(&mut self, from: u8, to: u8) {
        if let Some(entry) = self.send.get_mut(usize::from(from)) {
            *entry = to;
        }
    }

    pub(super) fn of(&self, signal: u8) -> SignalAction {
        match (signal, self.send.get(usize::from(signal)).copied().unwrap_or(0)) {
            (CHLD, _) => SignalAction::Reap,
            (_, 0) => SignalAction::Drop,
            (CONT, to) => SignalAction::Continue(to),
            (_, to) => SignalAction::Forward(to),
        }
    }

    /// As dumb-init has it where the program has a session of its own: nobody there could continue it, so that the
    /// kernel does not let these signals stop it, and only SIGSTOP does.
    pub(super) fn stop_for_certain(&mut self) {
        JOB_STOPS.into_iter().for_each(|signal| self.rewrite(signal, STOP));
    }
}

/// The exit codes that count as 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Forgiven([u64; 4]);

impl Forgiven {
    pub(super) fn add(&mut self, code: u8) {
        if let Some(word) = self.0.get_mut(usize::from(code >> 6)) {
            *word |= 1 << (code & 63);
        }
    }

    /// Our exit code after this end of the program: its own, or 128 and the signal.
    pub(super) fn code(&self, exit: Exit) -> u8 {
        let code = match exit {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128 | signal,
        };
        let word = self.0.get(usize::from(code >> 6)).copied().unwrap_or(0);
        if word >> (code & 63) & 1 == 1 { 0 } else { code }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_but_sigchld_is_forwarded_as_it_is() {
        let rules = Rules::new();
        for signal in (1..=64).filter(|signal| ![CHLD, CONT].contains(signal)) {
            assert_eq!(rules.of(signal), SignalAction::Forward(signal));
        }
        assert_eq!(
            (rules.of(CHLD), rules.of(CONT), rules.of(0)),
            (SignalAction::Reap, SignalAction::Continue(CONT), SignalAction::Drop)
        );
        assert_eq!(rules.of(65), SignalAction::Drop);
    }

    #[test]
    fn rewriting_changes_one_signal_and_zero_drops_it() {
        let mut rules = Rules::new();
        rules.rewrite(15, 3);
        rules.rewrite(1, 0);
        assert_eq!(
            (rules.of(15), rules.of(1), rules.of(3)),
            (SignalAction::Forward(3), SignalAction::Drop, SignalAction::Forward(3))
        );
        rules.rewrite(CHLD, 0);
        assert_eq!(rules.of(CHLD), SignalAction::Reap, "reaping can't be rewritten away");
    }

    #[test]
    fn the_code_is_the_programs_or_128_and_the_signal_unless_forgiven() {
        let mut forgiven = Forgiven::default();
        assert!((0..=255).all(|code| forgiven.code(Exit::Code(code)) == code));
        assert!((1..=64).all(|signal| forgiven.code(Exit::Signal(signal)) == 128 + signal));
        forgiven.add(143);
        forgiven.add(7);
        forgiven.add(255);
        assert_eq!(forgiven.code(Exit::Signal(15)), 0);
        assert!((0..=255).all(|code| (forgiven.code(Exit::Code(code)) == 0) == [0, 7, 143, 255].contains(&code)));
    }
}
