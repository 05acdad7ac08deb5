//! When the timers of a machine fire.

use std::time::Duration;

use super::super::moment::Moment;

/// When a timer fires. `None`: never, because the clock has no room for a moment so far away.
pub(super) type Due = Option<Moment>;

/// `true` when a timer is to fire at `now`.
pub(super) fn is_due(due: Due, now: Moment) -> bool {
    due.is_some_and(|at| at <= now)
}

/// `seconds` after `now`.
pub(super) fn after(now: Moment, seconds: u32) -> Due {
    now.checked_add(Duration::from_secs(u64::from(seconds)))
}

/// The earlier one of two.
pub(super) fn earlier(one: Due, other: Due) -> Due {
    [one, other].into_iter().flatten().min()
}

/// The middle between now and then.
pub(super) fn half_way(now: Moment, until: Due) -> Due {
    let left = until.map(|at| at.saturating_duration_since(now));
    left.and_then(|left| now.checked_add(left / 2))
}

/// How long ago, rounded.
pub(super) fn whole_seconds(now: Moment, since: Moment) -> u32 {
    let seconds = (now.saturating_duration_since(since) + Duration::from_millis(500)).as_secs();
    u32::try_from(seconds).unwrap_or(u32::MAX)
}
