//! [`WallClock`]: monotonic moments as the wall clock tells them.

use std::time::Duration;

use crate::process::Moment;

/// Tells monotonic moments by the wall clock of the present one. Times are kept monotonic and told when somebody asks:
/// a board that starts in 1970 tells the right times as soon as its clock is set.
#[derive(Debug, Clone, Copy)]
pub struct WallClock {
    /// The present moment.
    pub now: Moment,
    /// The same moment, since 1970.
    pub wall: Duration,
}

impl From<(Moment, Duration)> for WallClock {
    fn from((now, wall): (Moment, Duration)) -> WallClock {
        WallClock { now, wall }
    }
}

impl WallClock {
    fn since_1970(self, at: Moment) -> Duration {
        match at.checked_duration_since(self.now) {
            Some(ahead) => self.wall.saturating_add(ahead),
            None => self.wall.saturating_sub(self.now.saturating_duration_since(at)),
        }
    }

    /// Whole seconds since 1970.
    pub fn seconds(self, at: Moment) -> u64 {
        self.since_1970(at).as_secs()
    }

    /// Seconds since 1970 with three decimals.
    pub fn stamp(self, at: Moment) -> f64 {
        self.since_1970(at).as_millis() as f64 / 1000.0
    }
}
