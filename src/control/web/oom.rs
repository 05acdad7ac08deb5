//! Whom the kernel has killed for want of memory. Its own count tells that it has killed, and not whom; a program that SIGKILL
//! has ended in the meantime, where no stop was under way, is taken for that one.

use std::sync::{Mutex, PoisonError};

use crate::api::StatusRow;
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
struct Looked {
    /// The kernel's count at the last look.
    count: u64,
    /// What it has killed shortly before that, whose end we have not heard of: looked for once more.
    unheard: u64,
    programs: SortedMap<String, Tally>,
}

impl Looked {
    /// How often each has been killed by the kernel, whose count is this by now.
    fn look<'a>(&mut self, count: u64, programs: impl Iterator<Item = (&'a str, u64)>) -> Vec<u64> {
        let new = count.saturating_sub(std::mem::replace(&mut self.count, count));
        let mut left = new + self.unheard;
        let kills = programs.map(|(name, killed)| {
            let mut tally = self.programs.get(name).copied().unwrap_or_default();
            let taken = killed.saturating_sub(tally.killed).min(left);
            left -= taken;
            tally = Tally { killed, by_kernel: tally.by_kernel + taken };
            if killed > 0 {
                self.programs.insert(name.to_owned(), tally);
            }
            tally.by_kernel
        });
        let kills = kills.collect();
        self.unheard = left.min(new);
        kills
    }
}

static LOOKED: Mutex<Option<Looked>> = Mutex::new(None);

/// The daemon begins: what the kernel has killed before was none of its programs.
pub(in crate::control) fn begin() {
    let count = sys::proc::oom_kills().unwrap_or_default();
    let mut looked = LOOKED.lock().unwrap_or_else(PoisonError::into_inner);
    looked.get_or_insert_default().count = count;
}

/// How often the kernel has killed the program of each row. To be called where `/proc` may be waited for.
pub(super) fn kills(rows: &[StatusRow]) -> Vec<u64> {
    let mut looked = LOOKED.lock().unwrap_or_else(PoisonError::into_inner);
    let looked = looked.get_or_insert_default();
    let count = sys::proc::oom_kills().unwrap_or(looked.count);
    looked.look(count, rows.iter().map(|row| (row.program.name.as_str(), row.counts.killed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_killed_while_the_kernel_has_killed_counts_and_nobody_else() {
        let mut looked = Looked { count: 7, ..Looked::default() };
        let mut look = |count, killed: [u64; 2]| looked.look(count, ["a", "b"].into_iter().zip(killed));
        assert_eq!(look(7, [0, 1]), [0, 0], "somebody else has killed b");
        assert_eq!(look(8, [1, 1]), [1, 0]);
        assert_eq!(look(8, [2, 1]), [1, 0], "an administrator");
        // The end is heard of after the look, and counts then, but not for ever.
        assert_eq!(look(9, [2, 1]), [1, 0]);
        assert_eq!(look(9, [2, 2]), [1, 1]);
        assert_eq!(look(9, [3, 2]), [1, 1]);
        assert_eq!(look(10, [3, 2]), [1, 1]);
        assert_eq!(look(10, [3, 2]), [1, 1]);
        assert_eq!(look(10, [4, 2]), [1, 1], "too late to be told apart");
    }
}
