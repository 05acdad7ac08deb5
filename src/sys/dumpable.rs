//! Whether this process may dump core and be traced by its own user, over the spawn of a child of another user.

use std::ffi::c_ulong;
use std::sync::{Mutex, PoisonError};

/// Restores the mark when dropped.
#[derive(Debug)]
pub(super) struct Dumpable {
    is_kept: bool,
}

/// How many children of another user have our memory, and whether this process was dumpable before the first of them.
static KEPT: Mutex<(usize, bool)> = Mutex::new((0, false));

impl Dumpable {
    /// Two more system calls, and only for a child that changes its user.
    pub(super) fn keep(changes_user: bool) -> Dumpable {
        if changes_user {
            let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.0 == 0 {
                // SAFETY: only asks.
                kept.1 = unsafe { libc::prctl(libc::PR_GET_DUMPABLE) } == 1;
            }
            kept.0 += 1;
        }
        Dumpable { is_kept: changes_user }
    }
}

impl Drop for Dumpable {
    fn drop(&mut self) {
        if !self.is_kept {
            return;
        }
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        kept.0 = kept.0.saturating_sub(1);
        // Not while a pending child still has it: its user could read it.
        if *kept == (0, true) {
            // SAFETY: a plain number; the children have memory of their own by now or have ended.
            unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1 as c_ulong, 0, 0, 0) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::testing::in_own_process;

    #[test]
    fn the_daemon_is_not_dumpable_before_the_last_child_of_another_user_has_its_own_memory() {
        const NAME: &str =
            "sys::dumpable::tests::the_daemon_is_not_dumpable_before_the_last_child_of_another_user_has_its_own_memory";
        in_own_process(NAME, || {
            // SAFETY: a plain number; this process is the test's own.
            let set = |value: c_ulong| unsafe { libc::prctl(libc::PR_SET_DUMPABLE, value, 0, 0, 0) };
            // SAFETY: only asks.
            let is_set = || unsafe { libc::prctl(libc::PR_GET_DUMPABLE) } == 1;
            set(1);
            let first = Dumpable::keep(true);
            // As setuid does it in a child that shares the memory.
            set(0);
            let second = Dumpable::keep(true);
            drop(Dumpable::keep(false));
            drop(first);
            assert!(!is_set(), "the second still has our memory");
            drop(second);
            assert!(is_set());
            set(0);
            drop(Dumpable::keep(true));
            assert!(!is_set(), "it never was");
        });
    }
}
