//! The stack on which a child runs from `clone` to `exec`.

use std::io;
use std::ptr;

/// What the child needs is a few hundred bytes in a release build; pages that are not touched cost nothing.
const SIZE: usize = 64 * 1024;

/// A mapping with an inaccessible page at its lower end, so that an overflow is a fault of the child
/// and not a silent write into the daemon's memory, which the child shares.
#[derive(Debug)]
pub(super) struct Stack {
    base: *mut libc::c_void,
    length: usize,
}

// SAFETY: the mapping belongs to this value alone and is not bound to a thread.
unsafe impl Send for Stack {}

impl Stack {
    pub(super) fn new() -> io::Result<Stack> {
        // SAFETY: sysconf has no preconditions.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
        let length = SIZE.next_multiple_of(page) + page;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no other memory.
        let base = unsafe { libc::mmap(ptr::null_mut(), length, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = Stack { base, length };
        // SAFETY: the first page of the mapping made above, which nothing refers to yet.
        if unsafe { libc::mprotect(base, page, libc::PROT_NONE) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(stack)
    }

    /// The upper end, where a stack that grows downwards begins; page-aligned.
    pub(super) fn top(&self) -> *mut libc::c_void {
        self.base.cast::<u8>().wrapping_add(self.length).cast()
    }

    /// Gives back the pages that were touched. To be called while no child runs on it.
    pub(super) fn release(&mut self) {
        // SAFETY: our own mapping, on which nothing runs; what is read there next is zero.
        unsafe { libc::madvise(self.base, self.length, libc::MADV_DONTNEED) };
    }

    /// Half-way down, where the stack of a second process begins; as aligned.
    pub(super) fn middle(&self) -> *mut libc::c_void {
        self.top().cast::<u8>().wrapping_sub(SIZE / 2).cast()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: base and length are those of our own mapping; no child runs on it, because the
        // spawn that lent it out has returned.
        unsafe { libc::munmap(self.base, self.length) };
    }
}
