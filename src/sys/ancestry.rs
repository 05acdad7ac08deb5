//! Whose process one is: its ancestors, its session, and the tag in its environment.

use super::launch::ENV_TAG_NAME;
use super::{orphan_scan, proc};

/// More generations than that are no sensible tree of processes.
const MAX_ANCESTORS: usize = 64;

/// What tells of which run a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ancestry {
    /// The process itself, then its parent, and so on: those below this process. Where it does not descend from this
    /// process, itself alone.
    pub lineage: Vec<i32>,
    /// Its session: the leader of its run, unless it has made one of its own.
    pub session: i32,
    /// The value of the variable that every child of a daemon has, if it is still there.
    pub tag: Option<Box<[u8]>>,
}

/// The ancestry of a process that lives, or has ended and was not reaped yet; `None` for one that is gone.
pub fn of(pid: i32) -> Option<Ancestry> {
    // 0 is a process of another pid namespace.
    let itself = proc::stat(pid).filter(|_| pid > 0)?;
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let mut lineage = vec![pid];
    let mut parent = itself.ppid;
    while parent != own {
        let next = proc::stat(parent).filter(|_| parent > 1 && lineage.len() < MAX_ANCESTORS);
        let Some(next) = next else {
            lineage.truncate(1);
            break;
        };
        lineage.push(parent);
        parent = next.ppid;
    }
    let tagged = orphan_scan::examine(ENV_TAG_NAME, &[pid]).tagged;
    let tag = tagged.into_iter().next().map(|tagged| tagged.tag.into_boxed_slice());
    Some(Ancestry { lineage, session: itself.session, tag })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_child_and_its_child_descend_from_us_and_our_parent_does_not() {
        let mut child = Command::new("sh");
        child.args(["-c", "sleep 1000 & echo $!; wait"]).env(ENV_TAG_NAME, "7/8.9/web//s");
        child.stdout(std::process::Stdio::piped());
        let mut child = child.spawn().unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
        let (shell, sleep): (i32, i32) = (child.id().try_into().unwrap(), line.trim().parse().unwrap());
        // While it is being executed it has no environment.
        let tagged = || of(sleep).filter(|ancestry| ancestry.tag.is_some());
        let ancestry = std::iter::repeat_with(tagged).take(1_000_000).flatten().next().unwrap();
        assert_eq!(ancestry.lineage, [sleep, shell]);
        assert_eq!(ancestry.session, proc::stat(sleep).unwrap().session);
        assert_eq!(ancestry.tag.as_deref(), Some(b"7/8.9/web//s".as_slice()));
        let parent = proc::stat(std::process::id().try_into().unwrap()).unwrap().ppid;
        assert_eq!(of(parent).unwrap().lineage, [parent]);
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(sleep), nix::sys::signal::Signal::SIGKILL).unwrap();
        child.wait().unwrap();
        assert_eq!(of(shell), None, "it is gone");
        assert_eq!(of(0), None);
    }
}
