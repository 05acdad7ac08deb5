//! What tells at once that a section lacks a key: most of those that are asked for are absent.

/// One or two of 64 bits, by what is at hand of a key.
pub(in crate::config) const fn mark_of(key: &str) -> u64 {
    let [first, .., last] = key.as_bytes() else { return 1 };
    let (length, first, last) = (key.len(), *first as usize, *last as usize);
    1 << ((length * 7 + first * 3 + last) % 64) | 1 << ((length * 11 + first + last * 5) % 64)
}
