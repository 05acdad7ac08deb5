//! What commands that are to leave nothing behind have left all the same, outside their process groups (by `setsid` or
//! `setpgid`): checks, and hooks that were ended. Like what programs leave, it becomes a child of this process, and is known by
//! its env tag or its session; see [`descendants`](super::descendants).

use std::thread;

use super::Effects;
use super::descendants::{MAX_STEPS, STEP};
use crate::sys::reap::ReapScope;
use crate::sys::{proc, signal};

const SIGKILL: u8 = 9;

/// So often those of one leader are killed, and others of it found afterwards. What stays nothing can end.
const MOST_ROUNDS: u32 = 16;

/// Leaders that have ended, of which something may be there, and how often that was killed already.
#[derive(Default)]
pub(super) struct Leftovers(Vec<(i32, u32)>);

impl Effects {
    /// The leader of such a command was reaped: what it has started ends with it.
    pub(super) fn end_all_of(&mut self, leader: i32) {
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
        // A number that was given to another child since tells nothing any more.
        self.leftovers.0.retain(|(leader, rounds)| *rounds < MOST_ROUNDS && !self.children.contains_key(leader));
        if self.leftovers.0.is_empty() {
            return;
        }
        let (ReapScope::All, Some(identity)) = (self.parts.scope, &self.parts.identity) else {
            return self.leftovers.0.clear();
        };
        for _ in 0..MAX_STEPS {
            self.inherited.forget_list();
            let is_known = |pid| self.children.contains_key(&pid) || self.foreign_children.contains(&pid);
            let mut others = proc::other_children(is_known);
            let leaders = &self.leftovers.0;
            let is_meant = |of| leaders.iter().any(|(leader, _)| *leader == of);
            let look = self.inherited.look(identity, &self.runs, &mut others, is_meant);
            if !look.left.living.is_empty() {
                let pids: Vec<i32> = look.left.living.iter().map(|stat| stat.pid).collect();
                log::info!(
                    "a check, or a hook that was ended, has left pids {pids:?} outside its process group: SIGKILL"
                );
                signal::signal_children_and_groups(&look.left.living, SIGKILL);
                return self.leftovers.0.iter_mut().for_each(|(_, rounds)| *rounds += 1);
            }
            if !look.left.is_unsure && look.ended.is_empty() {
                return self.leftovers.0.clear();
            }
            thread::sleep(STEP);
        }
    }
}
