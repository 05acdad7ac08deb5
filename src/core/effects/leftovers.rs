//! What commands that are to leave nothing behind have left all the same, outside their process groups (by `setsid` or
//! `setpgid`): checks, and hooks that were ended. Like what programs leave, it becomes a child of this process, and is known by
//! its env tag or its session; see [`descendants`](super::descendants).

use std::thread;

use super::Effects;
use super::descendants::{MAX_STEPS, STEP};
use super::signals::SIGKILL;
use crate::sys::reap::ReapScope;
use crate::sys::{proc, signal};

/// How many rounds of search and kill the leftovers of one leader get. What survives them can't be killed, or its owner
/// can't be determined.
const MAX_ROUNDS: u32 = 16;

/// The leader of such a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EndedLeader {
    pub(super) pid: i32,
    /// When the kernel has started it. What has begun before is of another one with the same number: a service that a
    /// hook has started may be there for years, and its tag names a leader that has gone since.
    pub(super) start_time: u64,
}

/// Leaders that have ended and may have left something, and how often that was searched for already.
#[derive(Default)]
pub(super) struct Leftovers(Vec<(EndedLeader, u32)>);

impl Leftovers {
    /// Begins a round; whether there is anybody to be looked for. A number that was given to another child since tells
    /// nothing any more.
    fn begin_round(&mut self, is_child: impl Fn(i32) -> bool) -> bool {
        self.0.retain_mut(|(leader, rounds)| {
            *rounds += 1;
            *rounds <= MAX_ROUNDS && !is_child(leader.pid)
        });
        !self.0.is_empty()
    }

    /// Whether one of them may have left what is known by this number.
    fn has(&self, pid: i32) -> bool {
        self.0.iter().any(|(leader, _)| leader.pid == pid)
    }

    /// Whether one of them has left what is known by this number and was started then.
    fn has_left(&self, pid: i32, start_time: u64) -> bool {
        self.0.iter().any(|(leader, _)| leader.pid == pid && leader.start_time <= start_time)
    }
}

impl Effects {
    /// The leader of such a command was reaped: what it has started ends with it.
    pub(super) fn end_all_of(&mut self, leader: EndedLeader) {
        let Effects { inherited, children, foreign_children, .. } = self;
        let is_known = |pid| children.contains_key(&pid) || foreign_children.contains(&pid);
        // As a rule nothing is left, which is told by one short read.
        if self.inherits_orphans && !inherited.is_nothing(is_known) {
            self.leftovers.0.push((leader, 0));
            self.end_leftovers();
        }
    }

    /// Kills what is there of them. The end of each wakes us up, and what it has left in turn is our child by then.
    pub(super) fn end_leftovers(&mut self) {
        if !self.leftovers.begin_round(|pid| self.children.contains_key(&pid)) {
            return;
        }
        let (ReapScope::All, Some(identity)) = (self.parts.scope, &self.parts.identity) else {
            return self.leftovers.0.clear();
        };
        for _ in 0..MAX_STEPS {
            self.inherited.forget_list();
            let is_known = |pid| self.children.contains_key(&pid) || self.foreign_children.contains(&pid);
            let mut others = proc::other_children(is_known);
            let mut look = self.inherited.scan(identity, &self.runs, &mut others, |of| self.leftovers.has(of));
            look.left.living.retain(|stat| {
                let of = self.inherited.leader_of(stat.pid);
                of.is_some_and(|of| self.leftovers.has_left(of, stat.start_time))
            });
            if !look.left.living.is_empty() {
                let pids: Vec<i32> = look.left.living.iter().map(|stat| stat.pid).collect();
                // A check may leave something each time.
                let level = if self.leftovers_reported { log::Level::Debug } else { log::Level::Info };
                self.leftovers_reported = true;
                log::log!(
                    level,
                    "a check, or a hook that was ended, has left pids {pids:?} outside its process group: SIGKILL \
                     (further ones at DEBUG)"
                );
                return signal::signal_children_and_groups(&look.left.living, SIGKILL);
            }
            if !look.left.is_unsure && look.ended.is_empty() {
                return self.leftovers.0.clear();
            }
            // What one that has ended has left is our child by now, and is seen by the next look.
            if look.left.is_unsure {
                thread::sleep(STEP);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_by(pid: i32, start_time: u64) -> Leftovers {
        Leftovers(vec![(EndedLeader { pid, start_time }, 0)])
    }

    #[test]
    fn what_has_begun_before_is_of_an_earlier_leader_with_the_same_number() {
        let leftovers = left_by(70, 5000);
        assert!(leftovers.has(70) && !leftovers.has(71));
        assert!(leftovers.has_left(70, 5000) && leftovers.has_left(70, 5001));
        assert!(!leftovers.has_left(70, 4999) && !leftovers.has_left(71, 5001));
    }

    #[test]
    fn what_cannot_be_told_is_not_looked_for_for_ever_nor_by_a_number_that_is_another_childs() {
        let mut leftovers = left_by(70, 5000);
        assert_eq!((0..100).filter(|_| leftovers.begin_round(|_| false)).count(), MAX_ROUNDS as usize);
        assert!(!left_by(70, 5000).begin_round(|pid| pid == 70));
    }
}
