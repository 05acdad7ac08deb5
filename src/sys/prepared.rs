//! What a child reads until it has executed its program, and what is kept of a child that takes long.

use std::ffi::{CStr, CString, c_char, c_int};
use std::fmt;
use std::ptr;
use std::time::Duration;

use super::child::{CloseRest, Failure, Ids, Plan, Progress};
use super::dumpable::Dumpable;
use super::exec_strings::{self, ExecStrings};
use super::fd_moves::{self, BadTarget, FdMove};
use super::fd_slots::{FdSlots, LoadedFds};
use super::launch::{ENV_TAG, ENV_TAG_OFFSET, Launch};
use super::limits::Rlimit;
use super::stack::Stack;
use crate::process::{SpawnError, SpawnStage};

/// The plan, everything that it points to, and the stack that the child runs on. The child runs at the same time as we
/// do, so all of it stays where it is until the child is done.
pub(super) struct PreparedExec {
    pub(super) plan: Plan,
    pub(super) stack: Stack,
    pub(super) strings: ExecStrings,
    _env: Vec<CString>,
    _pointers: [Vec<*const c_char>; 3],
    _moves: Vec<FdMove>,
    _gaps: Vec<(c_int, c_int)>,
    _open: Vec<c_int>,
    _rlimits: Vec<Rlimit>,
    /// The child writes into it.
    _tagged: Option<Vec<u8>>,
}

/// Where the child finds its descriptors.
pub(super) enum Descriptors {
    /// In the daemon's own table, which it shares at first and then copies up to the last of them.
    Shared(LoadedFds),
    /// In its copy of the whole table. These are open there.
    Copied { pairs: Vec<(c_int, c_int)>, open: Vec<c_int> },
}

/// The steps that put the descriptors in place.
pub(super) fn fd_moves(descriptors: &Descriptors) -> Result<Vec<FdMove>, SpawnError> {
    let pairs = match descriptors {
        Descriptors::Shared(loaded) => &loaded.pairs,
        Descriptors::Copied { pairs, .. } => pairs,
    };
    fd_moves::order(pairs).map_err(|error| {
        let (number, detail) = match error {
            BadTarget::Negative(number) => (number, "it is no number of a descriptor"),
            BadTarget::Twice(number) => (number, "it is given twice"),
        };
        SpawnError::other(SpawnStage::Prepare, format!("descriptor {number}"), detail)
    })
}

impl PreparedExec {
    pub(super) fn new(
        launch: Launch<'_>,
        descriptors: Descriptors,
        moves: Vec<FdMove>,
        stack: Stack,
    ) -> Box<PreparedExec> {
        let Launch { argv, argv_0_is_path, env, directory, credentials, pdeathsig, rlimits, umask, fds: _ } = launch;
        let candidates = argv.first().map_or_else(Vec::new, |program| exec_strings::candidates(program, &env));
        let mut pointers = [pointers(&candidates), pointers(&argv), pointers(&env)];
        let [_, arguments, variables] = &mut pointers;
        let mut tagged = tagged(&env, variables);
        let arguments = arguments.as_mut_ptr();
        let [paths, _, variables] = pointers.each_ref().map(|list| list.as_ptr());
        let (gaps, open, last) = match descriptors {
            Descriptors::Shared(LoadedFds { pairs, last }) => (fd_moves::gaps(&pairs, last), Vec::new(), Some(last)),
            Descriptors::Copied { pairs, mut open } => {
                open.retain(|number| pairs.iter().all(|(target, _)| target != number));
                (Vec::new(), open, None)
            }
        };
        let plan = Plan {
            moves: moves.as_ptr(),
            moves_count: moves.len(),
            close: match last {
                Some(last) => CloseRest::Unshare { last, gaps: gaps.as_ptr(), count: gaps.len() },
                None => CloseRest::List { open: open.as_ptr(), count: open.len() },
            },
            rlimits: rlimits.as_ptr(),
            rlimits_count: rlimits.len(),
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
            die_with_parent: pdeathsig,
            candidates: paths,
            argv: arguments,
            argv_0_is_path,
            envp: variables,
            env_tag: tagged.as_mut().map_or(ptr::null_mut(), |entry| entry.as_mut_ptr().wrapping_add(ENV_TAG_OFFSET)),
            failure: Failure::none(),
            progress: Progress::new(),
        };
        let strings = ExecStrings { argv, candidates, directory, credentials };
        // The buffers of these vectors and strings stay in their places when their owners are moved here.
        Box::new(PreparedExec {
            plan,
            stack,
            strings,
            _env: env,
            _pointers: pointers,
            _moves: moves,
            _gaps: gaps,
            _open: open,
            _rlimits: rlimits,
            _tagged: tagged,
        })
    }
}

// SAFETY: what the pointers lead to belongs to this value alone and is not bound to a thread.
unsafe impl Send for PreparedExec {}

/// A copy of the entry that the child writes its pid into, which replaces it in the list.
fn tagged(env: &[CString], list: &mut [*const c_char]) -> Option<Vec<u8>> {
    let (slot, entry) = list.iter_mut().zip(env).find(|(_, entry)| entry.to_bytes().starts_with(ENV_TAG))?;
    let mut copy = entry.to_bytes_with_nul().to_vec();
    *slot = copy.as_mut_ptr().cast();
    Some(copy)
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

/// A child that had not executed its program when the spawn stopped waiting for it: its directory or
/// program lies on a file system that does not answer.
pub(super) struct PendingExec {
    /// Taken only by `drop`.
    prepared: Option<Box<PreparedExec>>,
    /// Until the child has executed, the daemon must not be traced by the child's user, who could read it.
    dumpable: Option<Dumpable>,
    /// The descriptors that the child still needs.
    pub(super) slots: Option<FdSlots>,
    /// How long it was waited for.
    pub(super) waited: Duration,
}

impl PendingExec {
    pub(super) fn new(
        prepared: Box<PreparedExec>,
        dumpable: Dumpable,
        slots: Option<FdSlots>,
        waited: Duration,
    ) -> PendingExec {
        PendingExec { prepared: Some(prepared), dumpable: Some(dumpable), slots, waited }
    }

    /// The child has executed its program or has ended.
    pub(super) fn is_done(&self) -> bool {
        self.prepared.as_ref().is_none_or(|prepared| prepared.plan.progress.is_done())
    }

    /// Why the program was not executed after all; `None` if it was, or if that is still open.
    pub(super) fn failure(&self) -> Option<SpawnError> {
        let prepared = self.prepared.as_ref().filter(|prepared| prepared.plan.progress.is_done())?;
        let (stage, errno, index) = prepared.plan.failure.get()?;
        Some(prepared.strings.explain(stage, errno, index))
    }
}

impl fmt::Debug for PendingExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingExec").field("waited", &self.waited).finish_non_exhaustive()
    }
}

impl Drop for PendingExec {
    fn drop(&mut self) {
        if !self.is_done() {
            // The child still runs on it: a leak is harmless, freeing it would not be.
            std::mem::forget((self.prepared.take(), self.dumpable.take(), self.slots.take()));
        }
    }
}
