//! What the daemon keeps in memory while it rests.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};

use super::heap;
use super::pages::advise;

/// The process is the daemon, and not some program that has a supervisor in it.
static IS_DAEMON: AtomicBool = AtomicBool::new(false);

/// The code was let go of.
static IS_RELEASED: AtomicBool = AtomicBool::new(false);

/// Says that this process is the daemon, whose memory is ours to arrange. To be called before the first thread is made:
/// it keeps glibc from reserving an arena (64 MB of address space) for each.
pub fn keep_small() {
    IS_DAEMON.store(true, Ordering::Relaxed);
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt only sets a parameter of the allocator.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives memory that was freed back to the system: worth it after something large is done with, such as
/// reading a configuration. Of the C libraries, only glibc gives memory back.
pub fn trim_heap() {
    heap::release_unused_pages();
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim touches only what is free.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Gives back what the start has needed and a daemon at rest does not.
pub fn release_idle_memory() {
    trim_heap();
    // Somebody else's program may have written to its code: a profiler, a debugger, a live patch.
    if IS_DAEMON.load(Ordering::Relaxed) {
        release_code();
        release_stack();
    }
}

/// What of the stack stays below the frame of [`release_stack`], in bytes: more than the call takes that lets go of the
/// rest.
const STACK_KEPT: usize = 1024;
/// How far below a stack is looked at, in bytes: farther than the start comes.
const STACK_RELEASED: usize = 96 * 1024;

/// The least stack of a thread that gives back what is below its frame.
pub const MIN_STACK: usize = 1024 * 1024;

/// Lets go of the pages of this thread's stack that only deeper calls have used, in the daemon. To be called not far
/// from the beginning of a stack of [`MIN_STACK`], or on the main thread.
pub fn rest_stack() {
    if IS_DAEMON.load(Ordering::Relaxed) {
        release_stack();
    }
}

fn release_stack() {
    let here = std::hint::black_box(0u8);
    let address = (&raw const here).addr();
    let end = address.saturating_sub(STACK_KEPT);
    // What was never touched is no mapping yet, and is told as an error behind what was released.
    advise(end.saturating_sub(STACK_RELEASED), STACK_RELEASED, libc::MADV_DONTNEED);
}

/// Maps this program's own code again, all at once: for what is about to use much of it after a rest, page by page,
/// each of which would take as long as twenty do here. Before Linux 5.14 it does nothing.
pub fn prefetch_code() {
    if IS_RELEASED.swap(false, Ordering::Relaxed) {
        advise_program(libc::MADV_POPULATE_READ);
    }
}

/// Lets go of this program's own code and constants. The kernel has them in its cache of files and maps again what is
/// really used, sixteen pages at a time; the rest, which the start alone has needed, counts as nobody's and may go when
/// memory is short. Where this fails nothing is lost.
pub fn release_code() {
    IS_RELEASED.store(true, Ordering::Relaxed);
    advise_program(libc::MADV_DONTNEED);
}

fn advise_program(advice: c_int) {
    // SAFETY: the callback has the wanted signature and does not unwind; what it is given lives until the walk has
    // ended.
    unsafe {
        libc::dl_iterate_phdr(Some(advise_segments), (&raw const advice).cast_mut().cast());
    }
}

/// Called for the program itself first; ends the walk there: the libraries are shared with others. `advice` is a number
/// that
/// `madvise` knows.
///
/// A segment that can't be written is as it is in the file: relocations are in others (linkers refuse them in code).
unsafe extern "C" fn advise_segments(info: *mut libc::dl_phdr_info, _: usize, advice: *mut c_void) -> c_int {
    const END: c_int = 1;
    // SAFETY: the loader passes a pointer that is valid during this call, or none; the other one is ours.
    let (Some(info), Some(advice)) = (unsafe { (info.as_ref(), advice.cast::<c_int>().as_ref()) }) else { return END };
    if info.dlpi_phdr.is_null() {
        return END;
    }
    // SAFETY: so many headers lie there, for as long as the program is loaded.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    for header in headers {
        // Only the code is sure to be used again.
        let is_meant = *advice == libc::MADV_DONTNEED || header.p_flags & libc::PF_X != 0;
        if header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0 && is_meant {
            advise(info.dlpi_addr as usize + header.p_vaddr as usize, header.p_memsz as usize, *advice);
        }
    }
    END
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What of the code is mapped, in KiB.
    fn code() -> u64 {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let program = std::env::current_exe().unwrap();
        let mut lines =
            maps.lines().skip_while(|line| !(line.contains(" r-xp ") && line.ends_with(program.to_str().unwrap())));
        let rss = lines.find_map(|line| line.strip_prefix("Rss:")).unwrap();
        rss.trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[test]
    fn code_that_is_not_used_is_let_go_and_comes_back_when_it_is() {
        crate::sys::testing::in_own_process(
            "sys::memory::tests::code_that_is_not_used_is_let_go_and_comes_back_when_it_is",
            || {
                let parse = || "0x1p3 nan 1e9".split(' ').filter_map(|text| text.parse::<f64>().ok()).count() == 2;
                assert!(parse());
                let before = code();
                release_code();
                let after = code();
                assert!(after < before, "{before} KiB before, {after} KiB after");
                assert!(parse());
                prefetch_code();
                let back = code();
                // A kernel before 5.14 can't.
                assert!(back > after, "{after} KiB, then {back} KiB");
                prefetch_code();
                assert_eq!(code(), back, "it is all there");
            },
        );
    }
}
