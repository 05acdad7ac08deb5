//! Maps and sets as sorted lists. They are for few entries, or for keys that mostly come in rising order: each type of
//! key or value of a `BTreeMap` makes the program 5 KB larger, one of a list 0.5 KB.

use std::borrow::Borrow;

use serde::{Deserialize, Serialize, Serializer};

/// What a list keeps allocated although it is empty.
const KEPT_CAPACITY: usize = 4;

/// A map whose entries are in the order of their keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SortedMap<K, V> {
    entries: Vec<(K, V)>,
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> SortedMap<K, V> {
        SortedMap { entries: Vec::new() }
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    /// Where the key is, or where it would have to be.
    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.entries.binary_search_by(|(other, _)| other.borrow().cmp(key))
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.get_key_value(key).map(|(_, value)| value)
    }

    /// As [`get`](Self::get); the entry is most likely at this place.
    pub(crate) fn get_near(&self, place: usize, key: &K) -> Option<&V> {
        match self.entries.get(place) {
            Some((other, value)) if other == key => Some(value),
            Some(_) | None => self.get(key),
        }
    }

    /// As [`get_mut`](Self::get_mut); the entry is most likely at this place.
    pub(crate) fn get_mut_near(&mut self, place: usize, key: &K) -> Option<&mut V> {
        let is_there = self.entries.get(place).is_some_and(|(other, _)| other == key);
        let place = if is_there { place } else { self.place(key).ok()? };
        self.entries.get_mut(place).map(|(_, value)| value)
    }

    pub(crate) fn get_key_value<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&(K, V)>
    where
        K: Borrow<Q>,
    {
        self.entries.get(self.place(key).ok()?)
    }

    pub(crate) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key).ok()?;
        self.entries.get_mut(place).map(|(_, value)| value)
    }

    pub(crate) fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.place(key).is_ok()
    }

    /// The value that the key had before.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place(&key) {
            Ok(place) => self.entries.get_mut(place).map(|(_, old)| std::mem::replace(old, value)),
            Err(place) => {
                self.entries.insert(place, (key, value));
                None
            }
        }
    }

    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key).ok()?;
        let (_, value) = self.entries.remove(place);
        if self.entries.capacity() > KEPT_CAPACITY.max(4 * self.entries.len()) {
            self.entries.shrink_to(2 * self.entries.len());
        }
        Some(value)
    }

    pub(crate) fn get_or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let place = self.place(&key).unwrap_or_else(|place| {
            self.entries.insert(place, (key, V::default()));
            place
        });
        &mut self.entries[place].1
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.entries.retain_mut(|(key, value)| keep(key, value));
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// As an object and not as a list of pairs: for keys that are texts.
    pub(crate) fn serialize_map<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>
    where
        K: Serialize,
        V: Serialize,
    {
        serializer.collect_map(self.iter())
    }

    pub(crate) fn extend(&mut self, entries: impl IntoIterator<Item = (K, V)>) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&K, &V)> + DoubleEndedIterator {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.entries.iter_mut().map(|(key, value)| (&*key, value))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.iter().map(|(key, _)| key)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.iter().map(|(_, value)| value)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.iter_mut().map(|(_, value)| value)
    }
}

impl<K, V> IntoIterator for SortedMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for SortedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> SortedMap<K, V> {
        let mut map = SortedMap::default();
        map.extend(entries);
        map
    }
}

/// A set in the order of its items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct SortedSet<T> {
    items: SortedMap<T, ()>,
}

impl<T> Default for SortedSet<T> {
    fn default() -> SortedSet<T> {
        SortedSet { items: SortedMap::default() }
    }
}

impl<T: Ord> SortedSet<T> {
    pub(crate) fn contains<Q: Ord + ?Sized>(&self, item: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.items.contains_key(item)
    }

    /// `false` if it is there already.
    pub(crate) fn insert(&mut self, item: T) -> bool {
        self.items.insert(item, ()).is_none()
    }

    /// `false` if it was not there.
    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, item: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.items.remove(item).is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.keys()
    }

    pub(crate) fn extend(&mut self, items: impl IntoIterator<Item = T>) {
        for item in items {
            self.insert(item);
        }
    }
}

impl<T> IntoIterator for SortedSet<T> {
    type Item = T;
    type IntoIter = std::iter::Map<std::vec::IntoIter<(T, ())>, fn((T, ())) -> T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter().map(|(item, ())| item)
    }
}

impl<T: Ord> FromIterator<T> for SortedSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> SortedSet<T> {
        let mut set = SortedSet::default();
        set.extend(items);
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn they_do_what_those_of_the_standard_library_do(steps in proptest::collection::vec((0..30u8, 0..3u8), 0..300)) {
            let (mut map, mut set) = (SortedMap::default(), SortedSet::default());
            let (mut wanted_map, mut wanted_set) = (BTreeMap::new(), BTreeSet::new());
            for (number, (key, step)) in steps.into_iter().enumerate() {
                match step {
                    0 => {
                        prop_assert_eq!(map.insert(key, number), wanted_map.insert(key, number));
                        prop_assert_eq!(set.insert(key), wanted_set.insert(key));
                    }
                    1 => {
                        prop_assert_eq!(map.remove(&key), wanted_map.remove(&key));
                        prop_assert_eq!(set.remove(&key), wanted_set.remove(&key));
                    }
                    _ => prop_assert_eq!(map.get_or_default(key), wanted_map.entry(key).or_default()),
                }
                prop_assert_eq!(map.get(&key), wanted_map.get(&key));
                prop_assert_eq!(set.contains(&key), wanted_set.contains(&key));
                prop_assert!(set.iter().eq(&wanted_set));
                prop_assert!(map.iter().eq(&wanted_map));
            }
            prop_assert_eq!(map.len(), wanted_map.len());
            prop_assert_eq!(map.clone().into_iter().collect::<BTreeMap<_, _>>(), wanted_map);
            prop_assert_eq!(set.into_iter().collect::<Vec<_>>(), wanted_set.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn memory_of_many_entries_that_have_gone_is_given_back() {
        let mut map: SortedMap<usize, usize> = (0..1000).map(|key| (key, key)).collect();
        for key in 0..999 {
            map.remove(&key);
        }
        assert_eq!(map.get(&999), Some(&999));
        assert!(map.entries.capacity() <= KEPT_CAPACITY);
    }
}
