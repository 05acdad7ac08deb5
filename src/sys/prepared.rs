//! What a child reads until it has executed its program, and what is kept of a child that takes long.

use std::ffi::{CStr, CString, c_char, c_int};
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::child::{CloseRest, ENV_TAG_DIGITS, Failure, Ids, Plan, Progress, Proxied};
use super::confine::Confined;
use super::dumpable::Dumpable;
use super::exec_strings::{self, ExecStrings};
use super::fd_moves::{self, BadTarget, FdMove};
use super::fd_slots::{FdSlots, LoadedFds};
use super::launch::{ENV_TAG, ENV_TAG_OFFSET, Launch};
use super::stack::Stack;
use super::users::Credentials;
use super::variables::Variables;
use super::{raw, reap};
use crate::process::{SpawnError, SpawnStage};

/// The plan, everything that it points to, and the stack that the child runs on. The child runs at the same time as we
/// do, so all of it stays where it is until the child is done.
pub(super) struct PreparedExec {
    pub(super) plan: Plan,
    pub(super) stack: Stack,
    pub(super) strings: ExecStrings,
    _env: Variables,
    _pointers: [Vec<*const c_char>; 3],
    _moves: Vec<FdMove>,
    _gaps: Vec<(c_int, c_int)>,
    _open: Vec<c_int>,
    _confined: Option<Box<Confined>>,
    /// The child writes into them.
    _tagged: Option<Vec<u8>>,
    _own_pid: Option<Vec<u8>>,
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
        confined: Option<Confined>,
        stack: Stack,
    ) -> Box<PreparedExec> {
        let Launch {
            argv,
            argv_0_is_path,
            env,
            pid_variable,
            directory,
            stdin_file,
            credentials,
            pdeathsig,
            rlimits,
            umask,
            confinement,
            fds: _,
            #[cfg(feature = "attach")]
            has_terminal,
        } = launch;
        let confined = confined.map(Box::new);
        // Where the daemon is suspended anyway, it needs nobody to be in its place.
        let has_proxy = raw::ALONE && confined.as_ref().is_some_and(|confined| confined.oom_score_adj.is_some());
        let candidates = argv.first().map_or_else(Vec::new, |program| exec_strings::candidates(program, &env));
        let strings = |list: &[CString]| pointers(list.iter().map(CString::as_c_str));
        let mut pointers = [strings(&candidates), strings(&argv), pointers(env.iter())];
        let [_, arguments, variables] = &mut pointers;
        let mut tagged = tagged(&env, variables);
        let mut own_pid = pid_variable.map(|name| own_pid(name, variables));
        let arguments = arguments.as_mut_ptr();
        let [paths, _, variables] = pointers.each_ref().map(|list| list.as_ptr());
        let Unneeded { gaps, open, last } = Unneeded::of(descriptors);
        let plan = Plan {
            moves: moves.as_ptr(),
            moves_count: moves.len(),
            close: match last {
                Some(last) => CloseRest::Unshare { last, gaps: gaps.as_ptr(), count: gaps.len() },
                None => CloseRest::List { open: open.as_ptr(), count: open.len() },
            },
            rlimits: rlimits.as_ptr(),
            rlimits_count: rlimits.len(),
            confined: confined.as_deref().map_or(ptr::null(), ptr::from_ref),
            ids: credentials.as_ref().filter(|who| !who.are_ours()).map(ids),
            directory: directory.as_deref().map_or(ptr::null(), CStr::as_ptr),
            stdin_file: stdin_file.as_deref().map_or(ptr::null(), CStr::as_ptr),
            umask,
            #[cfg(feature = "attach")]
            has_terminal,
            // SAFETY: getpid has no preconditions.
            parent: unsafe { libc::getpid() },
            die_with_parent: pdeathsig,
            candidates: paths,
            argv: arguments,
            argv_0_is_path,
            envp: variables,
            env_tag: tagged.as_mut().map_or(ptr::null_mut(), |entry| entry.as_mut_ptr().wrapping_add(ENV_TAG_OFFSET)),
            proxied: has_proxy.then(|| Proxied::new(stack.middle(), last.is_some())),
            own_pid: match (&mut own_pid, pid_variable) {
                (Some(entry), Some(name)) => entry.as_mut_ptr().wrapping_add(name.count_bytes() + 1),
                (_, _) => ptr::null_mut(),
            },
            failure: Failure::none(),
            progress: Progress::new(has_proxy),
        };
        let strings = ExecStrings { argv, candidates, directory, stdin_file, credentials, rlimits, confinement };
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
            _confined: confined,
            _tagged: tagged,
            _own_pid: own_pid,
        })
    }
}

/// The descriptors that the child closes.
struct Unneeded {
    /// In a table that it shares: the ranges between those that it keeps, up to `last`.
    gaps: Vec<(c_int, c_int)>,
    /// In a table of its own: each of them.
    open: Vec<c_int>,
    /// The last one that it keeps of a shared table.
    last: Option<c_int>,
}

impl Unneeded {
    fn of(descriptors: Descriptors) -> Unneeded {
        match descriptors {
            Descriptors::Shared(LoadedFds { pairs, last }) => {
                Unneeded { gaps: fd_moves::gaps(&pairs, last), open: Vec::new(), last: Some(last) }
            }
            Descriptors::Copied { pairs, mut open } => {
                open.retain(|number| pairs.iter().all(|(target, _)| target != number));
                Unneeded { gaps: Vec::new(), open, last: None }
            }
        }
    }
}

/// They point into the credentials.
fn ids(who: &Credentials) -> Ids {
    Ids { uid: who.uid, gid: who.gid, groups: who.groups.as_ptr(), groups_count: who.groups.len() }
}

// SAFETY: what the pointers lead to belongs to this value alone and is not bound to a thread.
unsafe impl Send for PreparedExec {}

/// A copy of the entry that the child writes its pid into, which replaces it in the list.
fn tagged(env: &Variables, list: &mut [*const c_char]) -> Option<Vec<u8>> {
    let (slot, entry) = list.iter_mut().zip(env.iter()).find(|(_, entry)| entry.to_bytes().starts_with(ENV_TAG))?;
    let mut copy = entry.to_bytes_with_nul().to_vec();
    *slot = copy.as_mut_ptr().cast();
    Some(copy)
}

/// An entry that the child completes by its own pid, added to the list.
fn own_pid(name: &CStr, list: &mut Vec<*const c_char>) -> Vec<u8> {
    let mut entry = [name.to_bytes(), b"="].concat();
    // Those behind the digits are the end of the text.
    entry.resize(entry.len() + ENV_TAG_DIGITS + 1, 0);
    // Before the null at its end.
    list.insert(list.len().saturating_sub(1), entry.as_mut_ptr().cast_const().cast());
    entry
}

fn pointers<'a>(strings: impl Iterator<Item = &'a CStr>) -> Vec<*const c_char> {
    strings.map(CStr::as_ptr).chain([ptr::null()]).collect()
}

/// How long a look at a proxy that has not made its child yet waits for the next one.
const PROXY_WAIT: Duration = Duration::from_millis(1);

/// A child that has not executed its program yet. One for which the spawn has stopped waiting has its directory or
/// program on a file system that does not answer.
pub(super) struct PendingExec {
    /// Taken only by `drop`.
    prepared: Option<Box<PreparedExec>>,
    /// Until the child has executed, the daemon must not be traced by the child's user, who could read it.
    dumpable: Option<Dumpable>,
    /// The descriptors that the child still needs.
    pub(super) slots: Option<FdSlots>,
    /// How long it was waited for.
    pub(super) waited: Duration,
    /// The pidfd of the proxy that has made it.
    proxy: Option<OwnedFd>,
}

impl PendingExec {
    pub(super) fn new(prepared: Box<PreparedExec>, dumpable: Dumpable, slots: Option<FdSlots>) -> PendingExec {
        PendingExec { prepared: Some(prepared), dumpable: Some(dumpable), slots, waited: Duration::ZERO, proxy: None }
    }

    /// Waits until it is done; `false`: it was not within `limit`.
    pub(super) fn wait(&mut self, limit: Duration) -> bool {
        self.waited = limit;
        self.prepared.as_ref().is_none_or(|prepared| prepared.plan.progress.wait(limit))
    }

    /// The child has its descriptors, in a table of its own.
    pub(super) fn has_fds(&self) -> bool {
        self.prepared.as_ref().is_none_or(|prepared| prepared.plan.progress.has_fds())
    }

    /// The proxy that has made it, once that has done so: its pid is then the child's.
    pub(super) fn wait_for_proxy(&self) -> Option<i32> {
        let prepared = self.prepared.as_ref()?;
        let proxied = prepared.plan.proxied.as_ref()?;
        while proxied.pid.load(Ordering::Relaxed) == 0 && !prepared.plan.progress.is_done() {
            // It waits for nothing but a processor.
            prepared.plan.progress.wait(PROXY_WAIT);
        }
        Some(proxied.pid.load(Ordering::Relaxed))
    }

    /// The proxy is reaped when the child has executed its program.
    pub(super) fn keep_proxy(&mut self, proxy: Option<OwnedFd>) {
        self.proxy = proxy;
    }

    /// Once it is done: the stack, and why the program was not executed.
    pub(super) fn take_result(&mut self) -> Option<(Stack, Option<SpawnError>)> {
        let is_done = self.prepared.as_ref()?.plan.progress.is_done();
        let prepared = self.prepared.take_if(|_| is_done)?;
        self.dumpable = None;
        let PreparedExec { plan, stack, strings, .. } = *prepared;
        let failure = plan.failure.get().map(|(stage, errno, index)| strings.explain(stage, errno, index));
        Some((stack, failure))
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
        } else if let Some(proxy) = &self.proxy {
            reap::reap_by_pidfd(proxy.as_fd());
        }
    }
}
