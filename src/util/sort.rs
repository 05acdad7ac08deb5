//! Sorting with one instantiation of std's sort: each further type would make the program 3 KB larger, and nothing here is
//! sorted often or long.

use std::cmp::Ordering;

/// Sorts as `slice::sort_by` does: what is equal stays in its order.
pub(crate) fn sort_by<T>(items: &mut Vec<T>, mut compare: impl FnMut(&T, &T) -> Ordering) {
    let mut old: Vec<Option<T>> = items.drain(..).map(Some).collect();
    let order = order(old.len(), &mut |one, other| match (old.get(one), old.get(other)) {
        (Some(Some(one)), Some(Some(other))) => compare(one, other),
        _ => Ordering::Equal,
    });
    items.extend(order.into_iter().filter_map(|index| old.get_mut(index).and_then(Option::take)));
}

/// Sorts by the items' own order.
pub(crate) fn sort<T: Ord>(items: &mut Vec<T>) {
    sort_by(items, T::cmp);
}

/// The indexes of so many items in their order.
fn order(count: usize, compare: &mut dyn FnMut(usize, usize) -> Ordering) -> Vec<usize> {
    let mut indexes: Vec<usize> = (0..count).collect();
    indexes.sort_unstable_by(|one, other| compare(*one, *other).then(one.cmp(other)));
    indexes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_sorts_as_the_standard_library_does(items in proptest::collection::vec((0..20u32, 0..1000u32), 0..200)) {
            let (mut wanted, mut sorted) = (items.clone(), items);
            wanted.sort_by_key(|item| item.0);
            sort_by(&mut sorted, |one, other| one.0.cmp(&other.0));
            prop_assert_eq!(&sorted, &wanted);
            sort(&mut sorted);
            wanted.sort();
            prop_assert_eq!(sorted, wanted);
        }
    }
}
