//! Whom the kernel has killed for want of memory. Its own count tells that it has killed, and not whom; a program that
//! SIGKILL has ended in the meantime, where no stop was under way, is taken for that one.
//!
//! All programs are looked at, whoever asks and whichever of them it may see: a kill is told apart at the first look
//! after it or never.

use std::sync::{Mutex, PoisonError};

use crate::api::Metrics;
use crate::process::Moment;
use crate::sys;
use crate::util::sorted::SortedMap;

/// What is known of a program.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    /// How often SIGKILL had ended it at the last look.
    killed: u64,
    /// For how many of these the kernel is taken to be the one.
    by_kernel: u64,
}

#[derive(Debug, Default)]
struct OomCounts {
    /// The kernel's count at the last look.
    count: u64,
    /// What it has killed shortly before that, whose end we have not heard of: looked for once more.
    unheard: u64,
    /// What the last look was at was so then.
    at: Option<Moment>,
    /// Of the programs that SIGKILL has ended.
    programs: SortedMap<String, Tally>,
}

impl OomCounts {
    /// Takes in how often SIGKILL has ended each program at this moment, and the kernel's count, which is not older.
    fn update(&mut self, at: Moment, killed: &[(String, u64)], count: u64) {
        // Of two who ask at the same time the second may be here first.
        if self.at.is_some_and(|last| at < last) {
            return;
        }
        self.at = Some(at);
        let new = count.saturating_sub(std::mem::replace(&mut self.count, count));
        let mut left = new + self.unheard;
        let tallies = killed.iter().map(|(name, killed)| {
            // One that has been killed less often than before is another one of the same name.
            let last = self.programs.get(name).filter(|last| last.killed <= *killed).copied().unwrap_or_default();
            let taken = (killed - last.killed).min(left);
            left -= taken;
            (name.clone(), Tally { killed: *killed, by_kernel: last.by_kernel + taken })
        });
        self.programs = tallies.collect();
        self.unheard = left.min(new);
    }

    /// How often the kernel has killed this program.
    fn kills(&self, name: &str) -> u64 {
        self.programs.get(name).map_or(0, |tally| tally.by_kernel)
    }
}

static COUNTS: Mutex<Option<OomCounts>> = Mutex::new(None);

/// The daemon begins: what the kernel has killed before was none of its programs.
pub(in crate::control) fn begin() {
    let count = sys::proc::oom_kills().unwrap_or_default();
    let mut counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    counts.get_or_insert_default().count = count;
}

/// How often the kernel has killed the program of each row. To be called where `/proc` may be waited for.
pub(super) fn kills(metrics: &Metrics) -> Vec<u64> {
    let mut counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    let counts = counts.get_or_insert_default();
    let count = sys::proc::oom_kills().unwrap_or(counts.count);
    counts.update(metrics.now, &metrics.killed, count);
    metrics.rows.iter().map(|row| counts.kills(&row.program.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is known after looks, one after the other.
    struct Updates(OomCounts, u64);

    impl Updates {
        fn update(&mut self, count: u64, killed: &[(&str, u64)]) -> [u64; 2] {
            self.1 += 1;
            self.update_at(self.1, count, killed)
        }

        fn update_at(&mut self, at: u64, count: u64, killed: &[(&str, u64)]) -> [u64; 2] {
            let killed: Vec<_> = killed.iter().map(|(name, killed)| ((*name).to_owned(), *killed)).collect();
            self.0.update(Moment::from_nanos(at), &killed, count);
            ["a", "b"].map(|name| self.0.kills(name))
        }
    }

    fn updates() -> Updates {
        Updates(OomCounts { count: 7, ..OomCounts::default() }, 0)
    }

    #[test]
    fn who_was_killed_while_the_kernel_has_killed_counts_and_nobody_else() {
        let mut updates = updates();
        assert_eq!(updates.update(7, &[("b", 1)]), [0, 0], "somebody else has killed b");
        assert_eq!(updates.update(8, &[("a", 1), ("b", 1)]), [1, 0]);
        assert_eq!(updates.update(8, &[("a", 2), ("b", 1)]), [1, 0], "an administrator");
        // The end is heard of after the look, and counts then, but not for ever.
        assert_eq!(updates.update(9, &[("a", 2), ("b", 1)]), [1, 0]);
        assert_eq!(updates.update(9, &[("a", 2), ("b", 2)]), [1, 1]);
        assert_eq!(updates.update(9, &[("a", 3), ("b", 2)]), [1, 1]);
        assert_eq!(updates.update(10, &[("a", 3), ("b", 2)]), [1, 1]);
        assert_eq!(updates.update(10, &[("a", 3), ("b", 2)]), [1, 1]);
        assert_eq!(updates.update(10, &[("a", 4), ("b", 2)]), [1, 1], "too late to be told apart");
    }

    #[test]
    fn who_comes_again_under_the_same_name_begins_anew() {
        let mut updates = updates();
        assert_eq!(updates.update(9, &[("a", 2)]), [2, 0]);
        assert_eq!(updates.update(9, &[]), [0, 0], "removed");
        assert_eq!(updates.update(10, &[("a", 1)]), [1, 0]);
        assert_eq!(updates.update(12, &[("a", 3)]), [3, 0]);
        assert_eq!(
            updates.update(12, &[("a", 1)]),
            [0, 0],
            "removed, added and killed by somebody else between two looks"
        );
    }

    #[test]
    fn an_answer_that_is_overtaken_by_a_later_one_changes_nothing() {
        let mut updates = updates();
        assert_eq!(updates.update_at(2, 8, &[("a", 1)]), [1, 0]);
        assert_eq!(updates.update_at(1, 9, &[]), [1, 0]);
        assert_eq!(updates.update_at(3, 9, &[("a", 1), ("b", 1)]), [1, 1]);
    }
}
