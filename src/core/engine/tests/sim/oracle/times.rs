//! How long things take, by the settings: at least, or at most.

use super::super::{Millis, SECOND};
use crate::models::{Hook, ProgramConfig, ProgramType, Readiness};

/// What death by SIGKILL, and everything around it, may take.
pub(in super::super) const MARGIN: Millis = 5 * SECOND;

/// How long the retry with this number waits at least.
pub(super) fn least_delay(config: &ProgramConfig, number: u32) -> Millis {
    use crate::models::DelayGrowth;
    let policy = &config.restart;
    let seconds = match policy.delay_growth {
        DelayGrowth::None => u64::from(policy.delay),
        DelayGrowth::Linear => u64::from(policy.delay) * u64::from(number),
        DelayGrowth::Double => u64::from(policy.delay) * (1 << (number - 1).min(31)),
    };
    let certain = 1000 - u64::from(policy.jitter.thousandths());
    (seconds.min(policy.delay_max.into()) * certain / 1000 * SECOND).max(SECOND)
}

/// From the first signal of a stop to SIGKILL.
pub(in super::super) fn time_of_stop(config: &ProgramConfig) -> Millis {
    let steps = config.stopsignal.split(',').map(|step| step.split_once(':').and_then(|(_, own)| own.parse().ok()));
    let all: Millis = steps.map(|own| SECOND * own.unwrap_or(Millis::from(config.stopwaitsecs))).sum();
    // Its watchdog's signal is the only one before SIGKILL.
    if config.watchdog > 0 { all.max(Millis::from(config.stopwaitsecs) * SECOND) } else { all }
}

/// What the commands of a hook may take.
fn time_of_hook(config: &ProgramConfig, hook: Hook) -> Millis {
    hook.of(config).len() as Millis * Millis::from(config.hooks.timeout + 5) * SECOND
}

/// What the hooks of a stop may take beside it: the end of a `pre_start`, and the clean-up.
pub(in super::super) fn time_of_clean_up(config: &ProgramConfig) -> Millis {
    let cancelled = if config.hooks.pre_start.is_empty() { 0 } else { 5 * SECOND };
    time_of_hook(config, Hook::PostStop) + cancelled
}

/// Until a start has come about or failed.
pub(in super::super) fn time_of_start(config: &ProgramConfig) -> Millis {
    let stop = time_of_stop(config) + time_of_clean_up(config);
    let limit = Millis::from(config.start_timeout.max(config.startsecs)) * SECOND + stop;
    let start = match (config.program_type, &config.ready) {
        (ProgramType::Simple, Readiness::Startsecs) => Millis::from(config.startsecs) * SECOND,
        (ProgramType::Simple | ProgramType::Oneshot | ProgramType::Forking, _) => limit,
    };
    start + time_of_hook(config, Hook::PreStart)
}
