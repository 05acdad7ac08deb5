//! System calls without the C library, which leaves its `errno` behind in the memory of the calling thread.
//!
//! A child that shares our memory and runs at the same time as we do must not write there. Where the instruction is
//! not spelt out below, [`ALONE`] is false and such a child must not run at the same time.

use std::ffi::{c_int, c_long};

/// Whether [`call`] writes nothing to memory but what the kernel was asked to write.
pub(super) const ALONE: bool =
    cfg!(any(all(target_arch = "x86_64", target_pointer_width = "64"), target_arch = "aarch64"));

/// The result, or the error number.
///
/// # Safety
///
/// That of the system call.
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
pub(super) unsafe fn call(number: c_long, arguments: [usize; 5]) -> Result<usize, c_int> {
    let [a, b, c, d, e] = arguments;
    let result: isize;
    // SAFETY: the kernel's calling convention; it clobbers rcx and r11, and memory as the call says.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    outcome(result)
}

/// The result, or the error number.
///
/// # Safety
///
/// That of the system call.
#[cfg(target_arch = "aarch64")]
pub(super) unsafe fn call(number: c_long, arguments: [usize; 5]) -> Result<usize, c_int> {
    let [a, b, c, d, e] = arguments;
    let result: isize;
    // SAFETY: the kernel's calling convention; it clobbers memory as the call says.
    unsafe {
        std::arch::asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a => result,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e,
            options(nostack),
        );
    }
    outcome(result)
}

/// The result, or the error number.
///
/// # Safety
///
/// That of the system call.
#[cfg(not(any(all(target_arch = "x86_64", target_pointer_width = "64"), target_arch = "aarch64")))]
pub(super) unsafe fn call(number: c_long, arguments: [usize; 5]) -> Result<usize, c_int> {
    let [a, b, c, d, e] = arguments;
    // SAFETY: the caller's.
    let result = unsafe { libc::syscall(number, a, b, c, d, e) };
    usize::try_from(result).map_err(|_| super::errno())
}

/// The kernel tells an error as its negative number.
#[cfg(any(all(target_arch = "x86_64", target_pointer_width = "64"), target_arch = "aarch64"))]
fn outcome(result: isize) -> Result<usize, c_int> {
    usize::try_from(result).map_err(|_| c_int::try_from(-result).unwrap_or(libc::EINVAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_and_errors() {
        // SAFETY: asks for a number.
        let pid = unsafe { call(libc::SYS_getpid, [0; 5]) };
        assert_eq!(pid, Ok(std::process::id() as usize));
        // SAFETY: no descriptor has this number.
        let closed = unsafe { call(libc::SYS_close, [usize::MAX, 0, 0, 0, 0]) };
        assert_eq!(closed, Err(libc::EBADF));
    }
}
