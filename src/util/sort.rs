//! The standard library's stable sort, compiled once: for each type it would make the program 3 to 5 KB larger, and
//! nothing here is sorted often.

use std::cmp::Ordering;

/// Sorts as `slice::sort_by` does: what is equal stays in its order.
pub(crate) fn sort_by<T>(items: &mut Vec<T>, mut compare: impl FnMut(&T, &T) -> Ordering) {
    let mut old: Vec<Option<T>> = items.drain(..).map(Some).collect();
    let mut order: Vec<usize> = (0..old.len()).collect();
    sort_indexes(&mut order, &mut |one, other| match (old.get(one), old.get(other)) {
        (Some(Some(one)), Some(Some(other))) => compare(one, other),
        _ => Ordering::Equal,
    });
    items.extend(order.into_iter().filter_map(|index| old.get_mut(index).and_then(Option::take)));
}

/// Sorts by the items' own order.
pub(crate) fn sort<T: Ord>(items: &mut Vec<T>) {
    sort_by(items, T::cmp);
}

/// These indexes in the order of their items.
fn sort_indexes(indexes: &mut [usize], compare: &mut dyn FnMut(usize, usize) -> Ordering) {
    indexes.sort_by(|one, other| compare(*one, *other));
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
