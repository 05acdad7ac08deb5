//! Whether this process has more children than it knows of, without a list of them.
//!
//! The kernel prints the list of children a piece at a time, and begins each piece with the number of the child where the last
//! one has ended. A descriptor whose list was read to its end so asks for "child number n": next to nothing, where printing
//! the list takes a quarter of a microsecond a child.

use std::fs::File;
use std::io::{self, Read};

/// What is read at a time: the kernel's own buffer.
const STEP: usize = 4096;

/// See the [module](self).
#[derive(Debug, Default)]
pub struct ChildCount {
    list: Option<File>,
    /// The children that were printed so far.
    printed: usize,
}

impl ChildCount {
    /// Whether there are more than `known` children of the main thread, zombies included; `None` where nothing tells.
    pub fn exceeds(&mut self, known: usize) -> Option<bool> {
        // There is no way back but to the beginning.
        if self.printed > known {
            self.list = None;
        }
        if self.list.is_none() {
            self.list = Some(super::proc::list_of_children().ok()?);
            self.printed = 0;
        }
        match self.print(known) {
            Ok(exceeds) => Some(exceeds),
            Err(_) => {
                self.list = None;
                None
            }
        }
    }

    /// Reads on behind what was printed before.
    fn print(&mut self, known: usize) -> io::Result<bool> {
        let Some(list) = &mut self.list else { return Ok(false) };
        let mut piece = [0; STEP];
        loop {
            match list.read(&mut piece) {
                Ok(0) => return Ok(self.printed > known),
                // Each number has a space behind it.
                Ok(count) => self.printed += piece.iter().take(count).filter(|byte| **byte == b' ').count(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;
    use crate::sys::testing::in_own_process;

    #[test]
    fn one_more_is_told_whoever_has_ended_before() {
        in_own_process("sys::child_count::tests::one_more_is_told_whoever_has_ended_before", || {
            // The list is that of the main thread; a test runs on another one.
            let spawn = || Command::new("sleep").arg("1000").spawn().unwrap();
            let end = |mut child: Child| {
                child.kill().unwrap();
                child.wait().unwrap();
            };
            let own = std::process::id();
            let thread = std::fs::read_link("/proc/thread-self").unwrap();
            let path = std::path::Path::new("/proc").join(thread).join("children");
            let mut count = ChildCount { list: File::open(&path).ok(), printed: 0 };
            assert_ne!(path, std::path::PathBuf::from(format!("/proc/{own}/task/{own}/children")));
            let mut children: Vec<Child> = (0..1500).map(|_| spawn()).collect();
            assert_eq!(count.exceeds(children.len()), Some(false));
            assert_eq!(count.exceeds(children.len()), Some(false), "nothing has changed");
            // The first one, and another in its place.
            end(children.remove(0));
            children.push(spawn());
            assert_eq!(count.exceeds(children.len()), Some(false));
            let stranger = spawn();
            assert_eq!(count.exceeds(children.len()), Some(true));
            end(stranger);
            children.into_iter().for_each(end);
        });
    }

    #[test]
    fn after_one_more_the_list_is_read_from_its_beginning() {
        let mut count = ChildCount { list: File::open("/dev/null").ok(), printed: 3 };
        // Those of the main thread of the tests: none are made on it.
        assert_eq!(count.exceeds(2), Some(false));
        assert_eq!(count.printed, 0);
    }
}
