//! What is to be executed, and how: one description, which the child applies in one place.
//!
//! Every property that a child gets from its parent is a field of [`Launch`], and `child` applies all of
//! them in the one order that works (its documentation lists it). A new property is one field here and one step there.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;

use super::child;
use super::limits::Rlimit;
use super::users::Credentials;
use super::variables::Variables;
use crate::models::{Confinement, Rare};
use crate::process::{SpawnError, SpawnStage};

/// The name of the variable that tells which daemon has started a process.
pub const ENV_TAG_NAME: &str = "SUPERVICE_ID";
/// How the variable begins that tells which daemon has started a process; see [`Launch::env`].
pub const ENV_TAG: &[u8] = b"SUPERVICE_ID=0000000000/";
/// Where its digits begin.
pub(super) const ENV_TAG_OFFSET: usize = b"SUPERVICE_ID=".len();
const _: () = assert!(ENV_TAG.len() == ENV_TAG_OFFSET + child::ENV_TAG_DIGITS + 1);

/// One descriptor of a child: the number that it has there, and what it is a copy of.
pub type ChildFd<'fd> = (RawFd, BorrowedFd<'fd>);

/// What is to be executed, and how.
#[derive(Debug, Clone)]
pub struct Launch<'fd> {
    /// The program and its arguments. The program is looked up in the PATH of `env` unless it contains a `/`.
    pub argv: Vec<CString>,
    /// The child's first word is the path at which the program was found, in place of the first of `argv`.
    pub argv_0_is_path: bool,
    /// The whole environment. In an entry that begins with [`ENV_TAG`] the child replaces the zeros
    /// by its own pid.
    pub env: Variables,
    /// A variable that the child sets to its own pid.
    pub pid_variable: Option<&'static CStr>,
    /// The working directory, entered with the rights of the child's user; `None`: the daemon's.
    pub directory: Option<CString>,
    /// A file that the child opens in the place of its standard input, with the rights of its user and from its
    /// directory.
    pub stdin_file: Option<CString>,
    /// The user to become; `None`: the daemon's.
    pub credentials: Option<Credentials>,
    /// The kernel kills the child (SIGKILL) when the thread that spawned it ends.
    pub pdeathsig: bool,
    /// The descriptors that the child has, and no others: targets in any order and with gaps, each once. A source may
    /// be given several times, and its number may be the target of another. Sources must be blocking if the program
    /// expects that: the child shares the open file description.
    pub fds: Vec<ChildFd<'fd>>,
    /// Its standard streams are a terminal, which becomes the terminal of its session.
    #[cfg(feature = "attach")]
    pub has_terminal: bool,
    /// The resource limits that differ from the daemon's, set in this order with the daemon's rights.
    pub rlimits: Vec<Rlimit>,
    /// The child's umask; `None`: the daemon's.
    pub umask: Option<u32>,
    /// What it may use and do. Of its limits and groups see `rlimits` and `credentials`; with a root directory of its
    /// own the directory and the program are looked up inside.
    pub confinement: Rare<Confinement>,
}

/// Standard input, output and error.
pub fn standard_fds<'fd>(
    stdin: BorrowedFd<'fd>,
    stdout: BorrowedFd<'fd>,
    stderr: BorrowedFd<'fd>,
) -> Vec<ChildFd<'fd>> {
    vec![(0, stdin), (1, stdout), (2, stderr)]
}

/// Text for the kernel; `what` names it in the error.
///
/// # Errors
///
/// A NUL byte inside, with the stage [`SpawnStage::Prepare`].
pub fn c_string(what: &str, text: impl AsRef<OsStr>) -> Result<CString, SpawnError> {
    CString::new(text.as_ref().as_bytes()).map_err(|error| {
        let detail = format!("it contains a NUL byte at position {}", error.nul_position());
        SpawnError::other(SpawnStage::Prepare, what, detail)
    })
}
