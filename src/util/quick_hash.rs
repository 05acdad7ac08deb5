//! A hash for maps with short keys that nobody chooses to make them slow, such as the names in a configuration: the
//! standard library's takes several times as long. It takes eight bytes at a time, as rustc's own does.
//!
//! FNV is none for these maps: of names that differ in their last letters the upper bits are the same, by which the
//! standard library's tables tell the entries of a group apart, and most of a look-up goes into comparing names.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// For maps.
pub(crate) type QuickState = BuildHasherDefault<QuickHash>;

/// A map with this hash.
pub(crate) type QuickMap<K, V> = HashMap<K, V, QuickState>;

/// A hash that is being made.
#[derive(Clone, Copy, Default)]
pub(crate) struct QuickHash(u64);

/// 2^64 by the golden ratio: its bits have no pattern.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl QuickHash {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(SPREAD);
    }
}

impl Hasher for QuickHash {
    fn write(&mut self, mut bytes: &[u8]) {
        while let Some((word, rest)) = bytes.split_first_chunk() {
            self.add(u64::from_le_bytes(*word));
            bytes = rest;
        }
        if !bytes.is_empty() {
            self.add(bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.add(u64::from(byte));
    }

    fn write_u32(&mut self, number: u32) {
        self.add(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.add(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.add(number as u64);
    }

    /// Tables take the lowest bits for the place and the uppermost to tell its entries apart: all bits go into both.
    fn finish(&self) -> u64 {
        let wide = u128::from(self.0) * u128::from(SPREAD);
        (wide >> 64) as u64 ^ wide as u64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::{BuildHasher, Hash};

    use super::*;

    fn hash(key: impl Hash) -> u64 {
        QuickState::default().hash_one(key)
    }

    /// How many of so many places are taken, of what chance would take: about 0.63 of as many as there are keys.
    fn spread(keys: &[String], place: impl Fn(u64) -> u64, places: usize) -> f64 {
        let taken: HashSet<u64> = keys.iter().map(|key| place(hash(key))).collect();
        let chance = places as f64 * (1.0 - (1.0 - 1.0 / places as f64).powi(keys.len() as i32));
        taken.len() as f64 / chance
    }

    #[test]
    fn names_that_differ_in_a_few_letters_are_spread_by_the_lowest_and_the_uppermost_bits() {
        for name in [
            |number| format!("p{number}"),
            |number| format!("program:worker-{number:05}"),
            |number| format!("{number:x}@template"),
        ] {
            let keys: Vec<String> = (0..4096).map(name).collect();
            let (low, high) = (spread(&keys, |hash| hash & 4095, 4096), spread(&keys, |hash| hash >> 52, 4096));
            assert!(low > 0.9 && high > 0.9, "{}: {low} {high}", keys[7]);
        }
    }

    #[test]
    fn numbers_in_a_row_are_spread_by_the_lowest_and_the_uppermost_bits() {
        let taken = |place: fn(u64) -> u64| (0..4096_u64).map(|key| place(hash(key))).collect::<HashSet<_>>().len();
        assert!(taken(|hash| hash & 4095) > 2400 && taken(|hash| hash >> 52) > 2400);
    }

    #[test]
    fn what_is_equal_has_one_hash_and_each_part_counts() {
        assert_eq!(hash("program"), hash(String::from("program")));
        let all = ["", "a", "b", "ab", "ba", "12345678", "123456789", "12345678\u{0}", "1234567"];
        assert_eq!(all.iter().map(hash).collect::<HashSet<_>>().len(), all.len());
        assert_ne!(hash(1_u32), hash(2_u32));
    }
}
