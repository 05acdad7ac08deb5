//! What the kernel is told of pages of this process.

use std::ffi::c_int;

/// Whole pages only: what begins or ends within a page may share it with something that was written to.
pub(super) fn advise(start: usize, length: usize, advice: c_int) {
    // SAFETY: a plain question.
    let page = match usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }) {
        Ok(page) if page.is_power_of_two() => page,
        Ok(_) | Err(_) => return,
    };
    let (first, end) = (start.next_multiple_of(page), (start + length) & !(page - 1));
    if first < end {
        // SAFETY: the pages are a private mapping of a file that nobody has written to, and are read again when needed;
        // or a part of the stack that no frame is in, or of the heap that nobody has.
        unsafe {
            libc::madvise(std::ptr::with_exposed_provenance_mut(first), end - first, advice);
        }
    }
}
