//! Descriptors whose closing takes long, closed by the kernel in its own time.
//!
//! The last `close` of an inotify instance waits until nobody in the kernel can be looking at its watches any more: 5
//! to 20 ms, also where the end of the process is what closes it. So the last reference is not ours: it lies in a
//! message that nobody can ever read, on a socket whose only reference lies in the same message. Such cycles the kernel
//! collects in the background (before Linux 6.10 in whoever closes a socket next, where it takes as long as it would
//! have).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixDatagram;

/// The way to that message, to be dropped right behind the descriptor: the last of these closings is what has the
/// kernel begin. As the last field of whoever owns the descriptor, filled when that is dropped.
#[derive(Debug)]
pub(super) struct LateClose {
    _sockets: [UnixDatagram; 2],
}

impl LateClose {
    /// Makes the closing of this descriptor one that takes no time. `None`: it takes its time.
    pub(super) fn of(fd: BorrowedFd<'_>) -> Option<LateClose> {
        let (writer, reader) = UnixDatagram::pair().ok()?;
        send(&writer, [fd.as_raw_fd(), reader.as_raw_fd()]).ok()?;
        Some(LateClose { _sockets: [writer, reader] })
    }
}

/// The room for two descriptors, in the units of its alignment.
const CONTROL: usize = 4;

fn send(writer: &UnixDatagram, fds: [RawFd; 2]) -> io::Result<()> {
    let mut byte = [0u8];
    let mut data = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: byte.len() };
    let mut control = [0u64; CONTROL];
    // SAFETY: all zeros are an empty header. It leads to buffers that live until the call returns; that for control
    // messages is aligned, and larger than the one message, whose head and data the macros find in it.
    let sent = unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        header.msg_iov = &raw mut data;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = libc::CMSG_SPACE(size_of_val(&fds) as u32) as _;
        if header.msg_controllen as usize > size_of_val(&control) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let Some(head) = libc::CMSG_FIRSTHDR(&raw const header).as_mut() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        head.cmsg_level = libc::SOL_SOCKET;
        head.cmsg_type = libc::SCM_RIGHTS;
        head.cmsg_len = libc::CMSG_LEN(size_of_val(&fds) as u32) as _;
        libc::CMSG_DATA(head).cast::<[RawFd; 2]>().write_unaligned(fds);
        libc::sendmsg(writer.as_raw_fd(), &raw const header, libc::MSG_DONTWAIT)
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn what_is_left_to_the_kernel_is_closed_all_the_same() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let late_close = LateClose::of(theirs.as_fd()).unwrap();
        drop(theirs);
        drop(late_close);
        ours.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let deadline = Instant::now() + crate::sys::testing::TEST_TIMEOUT;
        // The collection begins where a socket is closed while messages hold descriptors.
        while io::Read::read(&mut ours, &mut [0]).is_err() {
            assert!(Instant::now() < deadline, "it is still open");
            drop(UnixDatagram::pair().unwrap());
        }
    }
}
