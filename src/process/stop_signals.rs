//! The signals of a stop, one after the other: what `stopsignal` says.

use super::state::signal_number;
use crate::models::ProgramConfig;

const SIGKILL: u8 = 9;
const SIGTERM: u8 = 15;

/// One step of a stop: this signal, and so many seconds until the next one, at last SIGKILL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopStep {
    /// The signal's number.
    pub signal: u8,
    /// `None`: as `stopwaitsecs` says.
    pub seconds: Option<u32>,
}

impl StopStep {
    /// `TERM` or `TERM:30`.
    ///
    /// ```
    /// use supervice::internals::StopStep;
    ///
    /// assert_eq!(StopStep::parse("QUIT:30"), Some(StopStep { signal: 3, seconds: Some(30) }));
    /// assert_eq!(StopStep::parse("TERM:soon"), None);
    /// ```
    pub fn parse(text: &str) -> Option<StopStep> {
        let (name, seconds) = match text.split_once(':') {
            // A step that takes no time would be none.
            Some((name, seconds)) => (name, Some(seconds.trim().parse::<u32>().ok()?.max(1))),
            None => (text, None),
        };
        Some(StopStep { signal: signal_number(name)?, seconds })
    }

    /// The step with this number, from 0; `None`: SIGKILL, which may be written as the last one. The text was checked
    /// when it was loaded; if not, a stop begins with SIGTERM.
    pub(super) fn of(config: &ProgramConfig, number: usize) -> Option<StopStep> {
        // Nearly all programs have this alone, and it is looked up in each stop.
        if config.stopsignal == "TERM" {
            return (number == 0).then_some(StopStep { signal: SIGTERM, seconds: None });
        }
        let step = config.stopsignal.split(',').nth(number).and_then(StopStep::parse);
        let step = step.filter(|step| number == 0 || step.signal != SIGKILL);
        step.or((number == 0).then_some(StopStep { signal: SIGTERM, seconds: None }))
    }

    /// How long it takes.
    pub(super) fn wait(self, config: &ProgramConfig) -> u32 {
        self.seconds.unwrap_or(config.stopwaitsecs)
    }
}

/// The first signal of a stop.
#[cfg(feature = "xmlrpc")]
pub(crate) fn first_stop_signal(config: &ProgramConfig) -> u8 {
    StopStep::of(config, 0).map_or(SIGTERM, |step| step.signal)
}

/// Seconds from the first signal of a stop to SIGKILL.
pub(crate) fn stop_seconds(config: &ProgramConfig) -> u32 {
    seconds_behind(config, 0)
}

/// Seconds from the beginning of a step to SIGKILL.
pub(super) fn seconds_behind(config: &ProgramConfig, first: usize) -> u32 {
    let steps = (first..).map_while(|number| StopStep::of(config, number));
    steps.fold(0, |sum: u32, step| sum.saturating_add(step.wait(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(stopsignal: &str) -> (Vec<(u8, u32)>, u32) {
        let config = ProgramConfig { stopsignal: stopsignal.to_owned(), ..ProgramConfig::new("p", "true") };
        let all = (0..).map_while(|number| StopStep::of(&config, number));
        (all.map(|step| (step.signal, step.wait(&config))).collect(), stop_seconds(&config))
    }

    #[test]
    fn a_step_without_seconds_takes_stopwaitsecs() {
        assert_eq!(steps("TERM"), (vec![(15, 10)], 10));
        assert_eq!(steps("QUIT:30,TERM:5"), (vec![(3, 30), (15, 5)], 35));
        assert_eq!(steps("QUIT:30, TERM"), (vec![(3, 30), (15, 10)], 40));
        assert_eq!(steps("INT:0"), (vec![(2, 1)], 1));
    }

    #[test]
    fn sigkill_ends_the_row() {
        assert_eq!(steps("QUIT:3,KILL"), (vec![(3, 3)], 3));
    }

    #[test]
    fn what_is_no_signal_is_sigterm_first_and_sigkill_later() {
        assert_eq!(steps("nonsense"), (vec![(15, 10)], 10));
        assert_eq!(steps(""), (vec![(15, 10)], 10));
        assert_eq!(steps("HUP:2,nonsense,TERM:9"), (vec![(1, 2)], 2));
    }

    #[test]
    fn the_sum_of_all_steps_has_its_bound() {
        assert_eq!(steps("HUP:4294967295,TERM:4294967295").1, u32::MAX);
    }
}
