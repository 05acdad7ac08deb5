//! What a child reads until it has executed its program.

use std::ffi::{CStr, CString, c_char, c_int};
use std::fmt;
use std::ptr;
use std::time::Duration;

use super::child::{CloseRest, Failure, Ids, Plan, Progress};
use super::spawn::{Command, Dumpable, STAMP, STAMP_OFFSET, Slots};
use super::stack::Stack;
use super::users::Credentials;
use crate::process::SpawnError;

/// The plan, everything that it points to, and the stack that the child runs on. The child runs at the same time as we
/// do, so all of it stays where it is until the child is done.
pub(super) struct Ready {
    pub(super) plan: Plan,
    pub(super) stack: Stack,
    pub(super) words: Words,
    _pointers: [Vec<*const c_char>; 3],
    _open: Vec<c_int>,
    /// The child writes into it.
    _stamped: Option<Vec<u8>>,
}

/// The strings.
pub(super) struct Words {
    pub(super) argv: Vec<CString>,
    pub(super) candidates: Vec<CString>,
    _env: Vec<CString>,
    pub(super) directory: Option<CString>,
    pub(super) credentials: Option<Credentials>,
}

/// How the descriptors get into their places.
pub(super) enum Descriptors {
    /// The table of descriptors is shared, and ends for the child with this one.
    Shared { stdio: [c_int; 3], last: c_int },
    /// These are to be closed one by one.
    Copied { stdio: [c_int; 3], open: Vec<c_int> },
}

impl Ready {
    pub(super) fn new(
        command: Command<'_>,
        candidates: Vec<CString>,
        descriptors: Descriptors,
        stack: Stack,
    ) -> Box<Ready> {
        let Command { argv, env, directory, credentials, pdeathsig, nofile, umask, .. } = command;
        let mut pointers = [pointers(&candidates), pointers(&argv), pointers(&env)];
        let [.., variables] = &mut pointers;
        let mut stamped = stamped(&env, variables);
        let [paths, arguments, variables] = pointers.each_ref().map(|list| list.as_ptr());
        let (stdio, close, open) = match descriptors {
            Descriptors::Shared { stdio, last } => (stdio, CloseRest::Unshare(last), Vec::new()),
            Descriptors::Copied { stdio, open } => {
                (stdio, CloseRest::List { open: open.as_ptr(), count: open.len() }, open)
            }
        };
        let plan = Plan {
            stdio,
            close,
            nofile,
            ids: credentials.as_ref().filter(|who| !who.are_ours()).map(|who| Ids {
                uid: who.uid,
                gid: who.gid,
                groups: who.groups.as_ptr(),
                groups_count: who.groups.len(),
            }),
            directory: directory.as_deref().map_or(ptr::null(), CStr::as_ptr),
            umask,
            // SAFETY: getpid has no preconditions.
            parent: unsafe { libc::getpid() },
            die_with_it: pdeathsig,
            candidates: paths,
            argv: arguments,
            envp: variables,
            stamp: stamped.as_mut().map_or(ptr::null_mut(), |entry| entry.as_mut_ptr().wrapping_add(STAMP_OFFSET)),
            failure: Failure::none(),
            progress: Progress::new(),
        };
        let words = Words { argv, candidates, _env: env, directory, credentials };
        // The buffers of these vectors and strings stay in their places when their owners are moved here.
        Box::new(Ready { plan, stack, words, _pointers: pointers, _open: open, _stamped: stamped })
    }
}

// SAFETY: what the pointers lead to belongs to this value alone and is not bound to a thread.
unsafe impl Send for Ready {}

/// A copy of the entry that is to be stamped, which takes its place in the list.
fn stamped(env: &[CString], list: &mut [*const c_char]) -> Option<Vec<u8>> {
    let (slot, entry) = list.iter_mut().zip(env).find(|(_, entry)| entry.to_bytes().starts_with(STAMP))?;
    let mut copy = entry.to_bytes_with_nul().to_vec();
    *slot = copy.as_mut_ptr().cast();
    Some(copy)
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

/// A child that had not executed its program when the spawn was no longer waited for: its directory or
/// program lies on a file system that does not answer.
pub(super) struct Late {
    /// Taken only by `drop`.
    ready: Option<Box<Ready>>,
    /// Until the child has executed, the daemon must not be traced by the child's user, who could read it.
    dumpable: Option<Dumpable>,
    /// The descriptors that the child still needs.
    pub(super) slots: Option<Slots>,
    /// What was waited.
    pub(super) waited: Duration,
}

impl Late {
    pub(super) fn new(ready: Box<Ready>, dumpable: Dumpable, slots: Option<Slots>, waited: Duration) -> Late {
        Late { ready: Some(ready), dumpable: Some(dumpable), slots, waited }
    }

    /// The child has executed its program or has ended.
    pub(super) fn is_done(&self) -> bool {
        self.ready.as_ref().is_none_or(|ready| ready.plan.progress.is_done())
    }

    /// Why the program was not executed after all; `None` if it was, or if that is still open.
    pub(super) fn failure(&self) -> Option<SpawnError> {
        let ready = self.ready.as_ref().filter(|ready| ready.plan.progress.is_done())?;
        let (stage, errno, index) = ready.plan.failure.get()?;
        Some(super::spawn::explain(&ready.words, stage, errno, index))
    }
}

impl fmt::Debug for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Late").field("waited", &self.waited).finish_non_exhaustive()
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        if !self.is_done() {
            // The child still runs on it. Better lost than freed.
            std::mem::forget((self.ready.take(), self.dumpable.take(), self.slots.take()));
        }
    }
}
