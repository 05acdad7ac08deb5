//! Chance.

/// A number that nobody can foretell, where the kernel has one to give: early in the boot of a small machine it may
/// not. Then the time and the process id have to do.
pub fn seed() -> u32 {
    let mut bytes = [0u8; 4];
    // SAFETY: the buffer is writable and of the length that is said.
    let filled = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), libc::GRND_NONBLOCK) };
    if usize::try_from(filled) == Ok(bytes.len()) {
        return u32::from_ne_bytes(bytes);
    }
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    time.subsec_nanos().rotate_left(16) ^ time.as_secs() as u32 ^ std::process::id()
}

/// Sixteen bytes that nobody can guess, from the kernel.
///
/// # Errors
///
/// The system's, where the kernel has no source of them.
#[cfg(feature = "http")]
pub fn sixteen_bytes() -> std::io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    // SAFETY: the pointer and the length are those of the array. So few bytes come whole.
    let count = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if count == 16 { Ok(bytes) } else { Err(std::io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_are_not_the_same() {
        assert_ne!(super::seed(), super::seed());
    }
}
