//! What there is to count: of the programs, and of the daemon itself.

use std::time::Duration;

use super::status::StatusRow;
use crate::process::Moment;

/// How long it took until a program was executed, counted by how long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpawnLatency {
    /// How many took at most as long as the bound of the same place in [`BOUNDS_US`](Self::BOUNDS_US); the last:
    /// longer.
    pub counts: [u64; SpawnLatency::BOUNDS_US.len() + 1],
    /// All of them together.
    pub sum: Duration,
}

impl SpawnLatency {
    /// The bounds, in microseconds.
    pub const BOUNDS_US: [u64; 9] = [500, 1_000, 2_000, 5_000, 10_000, 25_000, 100_000, 500_000, 2_500_000];

    /// One more.
    pub fn add(&mut self, took: Duration) {
        let place = Self::BOUNDS_US.iter().position(|bound| took.as_micros() <= u128::from(*bound));
        if let Some(count) = self.counts.get_mut(place.unwrap_or(Self::BOUNDS_US.len())) {
            *count += 1;
        }
        self.sum += took;
    }
}

/// What the daemon has counted of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DaemonFigures {
    /// Spawns that have succeeded.
    pub spawns: SpawnLatency,
    /// What its loop has taken longest for, the start apart.
    pub longest_turn: Duration,
    /// Configurations that were read and applied since it began.
    pub reloads: u64,
    /// Such as could not be.
    pub failed_reloads: u64,
    /// The last one was such.
    pub last_reload_failed: bool,
    /// What clients have asked for and no rule of access allows.
    pub denied: u64,
    /// Clients that are connected.
    pub connections: usize,
}

/// Everything that is counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// Programs.
    pub rows: Vec<StatusRow>,
    /// What each of them has written to standard output and error, in bytes; in the same order.
    pub written: Vec<[u64; 2]>,
    /// How often SIGKILL has ended each program that it has ended, where no stop was under way; also of programs that
    /// who asks may not see.
    pub killed: Vec<(String, u64)>,
    /// The daemon.
    pub daemon: DaemonFigures,
    /// When it began.
    pub began: Moment,
    /// When that was so.
    pub now: Moment,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_longer_than_every_bound_is_counted_too() {
        let mut latency = SpawnLatency::default();
        for micros in [0, 500, 501, 2_500_000, 2_500_001, 99_000_000] {
            latency.add(Duration::from_micros(micros));
        }
        assert_eq!(latency.counts, [2, 1, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(latency.sum, Duration::from_micros(500 + 501 + 5_000_001 + 99_000_000));
    }
}
