//! Resource limits: those of the daemon itself, and those that a child is given.

use std::io;

/// A limit as the kernel keeps it; `u64::MAX` is "unlimited".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Limit {
    /// What is enforced.
    pub soft: u64,
    /// Up to where the process may raise the soft limit.
    pub hard: u64,
}

/// A limit that a child is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rlimit {
    /// The kernel's number, `RLIMIT_…`.
    pub resource: u32,
    /// The new values.
    pub limit: Limit,
}

impl Rlimit {
    /// The limit on open files.
    pub fn nofile(limit: Limit) -> Rlimit {
        Rlimit { resource: NOFILE, limit }
    }
}

/// `prlimit64` has the same layout and the same 64-bit fields on every architecture and C library,
/// which `setrlimit` has not.
fn prlimit(resource: u32, new: Option<&Limit>) -> io::Result<Limit> {
    let mut old = Limit { soft: 0, hard: 0 };
    let new = new.map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `new` is null or points to a live Limit, `old` to a writable one; both have the kernel's layout.
    let result = unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, new, &raw mut old) };
    if result == 0 { Ok(old) } else { Err(io::Error::last_os_error()) }
}

/// The number of `RLIMIT_NOFILE`; its type differs between the C libraries, its value does not.
#[allow(clippy::unnecessary_cast, reason = "the constant's type differs between C libraries")]
const NOFILE: u32 = libc::RLIMIT_NOFILE as u32;

/// The present limit on open files.
///
/// # Errors
///
/// Where the kernel refuses `prlimit64` (a seccomp filter).
pub fn nofile() -> io::Result<Limit> {
    prlimit(NOFILE, None)
}

/// The present limit of this process, which children inherit.
pub(super) fn inherited(resource: u32) -> io::Result<Limit> {
    prlimit(resource, None)
}

/// What a configuration may ask for at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Open files of a process.
    OpenFiles,
    /// Processes of the user.
    Processes,
}

#[allow(clippy::unnecessary_cast, reason = "the constant's type differs between C libraries")]
const NPROC: u32 = libc::RLIMIT_NPROC as u32;

/// Raises the soft limit to `least`, and the hard one where it is lower; never lowers any. Children inherit it.
///
/// # Errors
///
/// Where the kernel refuses: only root may raise the hard limit.
pub fn require(resource: Resource, least: u64) -> io::Result<()> {
    let resource = match resource {
        Resource::OpenFiles => NOFILE,
        Resource::Processes => NPROC,
    };
    let before = prlimit(resource, None)?;
    if before.soft >= least {
        return Ok(());
    }
    prlimit(resource, Some(&Limit { soft: least, hard: before.hard.max(least) })).map(drop)
}

/// Raises the soft limit on open files to the hard one and returns what it was before, which is what
/// children get back: programs that use `select` break above 1,024. `None`: nothing was changed.
pub fn raise_nofile() -> Option<Limit> {
    let before = nofile().ok()?;
    if before.soft >= before.hard {
        return None;
    }
    prlimit(NOFILE, Some(&Limit { soft: before.hard, hard: before.hard })).ok()?;
    Some(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raising_returns_what_was_before_and_a_second_time_nothing() {
        crate::sys::testing::in_own_process(
            "sys::limits::tests::raising_returns_what_was_before_and_a_second_time_nothing",
            || {
                let hard = nofile().unwrap().hard;
                prlimit(NOFILE, Some(&Limit { soft: 64, hard })).unwrap();
                assert_eq!(raise_nofile(), Some(Limit { soft: 64, hard }));
                assert_eq!(nofile().unwrap().soft, hard);
                assert_eq!(raise_nofile(), None);
            },
        );
    }
}
