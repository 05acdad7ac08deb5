//! Whether this process has inherited a child, without a look at those that it has made.
//!
//! The kernel gives an orphan to the first thread of the process that inherits it: the main thread. Where another
//! thread makes the children, those on the list of the main thread are the orphans alone, as a rule none: one short
//! read, however many children there are.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// What is read at once: the kernel's own buffer.
const STEP: usize = 4096;

/// With fewer open files permitted than this, the list is opened for each look: what was kept open behind the first end
/// of a program might be what its next start lacks.
const MIN_NOFILE_TO_KEEP: u64 = 64;

/// See the [module](self).
#[derive(Debug)]
pub struct InheritedList {
    open: Option<File>,
    keeps_open: bool,
}

impl Default for InheritedList {
    /// Opens nothing yet.
    fn default() -> Self {
        let is_scarce = super::limits::nofile().is_ok_and(|limit| limit.soft < MIN_NOFILE_TO_KEEP);
        InheritedList { open: None, keeps_open: !is_scarce }
    }
}

impl InheritedList {
    /// Whether a child of the main thread is there, zombies included, that `is_known` does not know; `None` where
    /// nothing tells. What does not fit into one read counts as such.
    pub fn has_other(&mut self, is_known: impl Fn(i32) -> bool) -> Option<bool> {
        let list = match self.open.take() {
            Some(list) => list,
            None => super::proc::list_of_children().ok()?,
        };
        let mut piece = [0; STEP];
        // From its beginning the kernel makes the list anew.
        let length = list.read_at(&mut piece, 0).ok()?;
        self.open = self.keeps_open.then_some(list);
        let is_whole = length < STEP - MAX_ENTRY_BYTES;
        let piece = piece.get(..length).unwrap_or_default();
        Some(!is_whole || super::proc::pids_in(piece).any(|pid| !is_known(pid)))
    }
}

/// The digits of the largest process id that there can be, and the space behind it.
const MAX_ENTRY_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::sys::testing::in_own_process;

    #[test]
    fn what_another_thread_has_made_is_not_on_the_list_and_an_orphan_is() {
        in_own_process(
            "sys::inherited_list::tests::what_another_thread_has_made_is_not_on_the_list_and_an_orphan_is",
            || {
                // A test does not run on the main thread.
                crate::sys::reap::set_subreaper().unwrap();
                let mut list = InheritedList::default();
                let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
                assert_eq!(list.has_other(|_| false), Some(false));
                // It must not keep the pipes open.
                let script = "sleep 1000 >/dev/null 2>&1 & echo $!";
                let output = Command::new("sh").args(["-c", script]).output().unwrap();
                let orphan: i32 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
                assert_eq!(list.has_other(|_| false), Some(true));
                assert_eq!(list.has_other(|pid| pid == orphan), Some(false), "it is known");
                crate::sys::signal::signal_child(orphan, 9);
                while crate::sys::reap::reap(orphan).is_none() {
                    std::thread::yield_now();
                }
                assert_eq!(list.has_other(|_| false), Some(false));
                child.kill().unwrap();
                child.wait().unwrap();
            },
        );
    }
}
