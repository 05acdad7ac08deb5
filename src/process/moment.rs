//! [`Moment`]: our own point in time, so that a state can be written down and read back after a re-exec.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point on the monotonic clock, in nanoseconds. The clock starts with the machine and is never set, and its values
/// mean the same in every process until the next boot. Covers 584 years; arithmetic stops at the ends.
///
/// `sys::time` reads the clock; everything else is handed `now`, because code that reads the clock can only be tested by
/// sleeping. An `Option<Moment>` takes eight bytes.
///
/// ```
/// use std::time::Duration;
/// use supervice::internals::Moment;
///
/// let start = Moment::from_nanos(1_000);
/// let later = start + Duration::from_secs(2);
/// assert_eq!(later.saturating_duration_since(start), Duration::from_secs(2));
/// assert_eq!(start.saturating_duration_since(later), Duration::ZERO);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Moment(NonZeroU64);

impl Moment {
    /// The point `nanos` nanoseconds after the clock's start; 0 counts as 1.
    pub const fn from_nanos(nanos: u64) -> Moment {
        match NonZeroU64::new(nanos) {
            Some(nanos) => Moment(nanos),
            None => Moment(NonZeroU64::MIN),
        }
    }

    /// Nanoseconds since the clock's start; never 0.
    pub const fn as_nanos(self) -> u64 {
        self.0.get()
    }

    /// How long after `earlier` it is; zero if it is before.
    pub fn saturating_duration_since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.as_nanos().saturating_sub(earlier.as_nanos()))
    }

    /// How long after `earlier` it is; `None` if it is before.
    pub fn checked_duration_since(self, earlier: Moment) -> Option<Duration> {
        self.as_nanos().checked_sub(earlier.as_nanos()).map(Duration::from_nanos)
    }

    /// The point so long after this one; `None` where the clock has no room for it.
    pub fn checked_add(self, duration: Duration) -> Option<Moment> {
        let nanos = u64::try_from(duration.as_nanos()).ok()?;
        self.as_nanos().checked_add(nanos).map(Moment::from_nanos)
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    /// Stops at the end of the clock.
    fn add(self, duration: Duration) -> Moment {
        self.checked_add(duration).unwrap_or(Moment::from_nanos(u64::MAX))
    }
}

impl AddAssign<Duration> for Moment {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Moment {
    type Output = Moment;

    /// Stops at the start of the clock.
    fn sub(self, duration: Duration) -> Moment {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Moment::from_nanos(self.as_nanos().saturating_sub(nanos))
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Moment({:?})", Duration::from_nanos(self.as_nanos()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_stops_at_the_ends_of_the_clock() {
        let (first, last) = (Moment::from_nanos(0), Moment::from_nanos(u64::MAX));
        assert_eq!(first.as_nanos(), 1);
        assert_eq!(last + Duration::from_nanos(1), last);
        assert_eq!(first - Duration::MAX, first);
        assert_eq!(last.checked_add(Duration::from_nanos(1)), None);
        assert_eq!(first.checked_add(Duration::MAX), None);
        assert_eq!(first.checked_duration_since(last), None);
        assert_eq!(size_of::<Option<Moment>>(), 8);
    }
}
