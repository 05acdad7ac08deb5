//! FNV-1a: a hash that is the same in each version and on each machine.

use std::hash::{BuildHasherDefault, Hasher};

/// For maps with short keys that nobody chooses to make them slow: the standard library's hash takes several times as long.
pub(crate) type FnvState = BuildHasherDefault<Fnv>;

/// A hash that is being made.
#[derive(Clone, Copy)]
pub(crate) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The hash of these bytes, one after the other.
pub(crate) fn hash<'b>(parts: impl IntoIterator<Item = &'b [u8]>) -> u64 {
    let mut hash = Fnv::default();
    parts.into_iter().for_each(|part| hash.write(part));
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_are_found() {
        assert_eq!(hash([]), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash([&b"foo"[..], b"bar"]), 0x8594_4171_f739_67e8);
    }
}
