//! Sorting in little code: each sort of the standard library is 4 KB more for every type, and nothing here is sorted
//! often or long.

use std::cmp::Ordering;

/// Sorts by heap sort: in place, never slower than n log n. What is equal may change places.
pub(crate) fn sort_by<T>(items: &mut [T], mut order: impl FnMut(&T, &T) -> Ordering) {
    let order: &mut dyn FnMut(&T, &T) -> Ordering = &mut order;
    let count = items.len();
    for root in (0..count / 2).rev() {
        sift(items, root, order);
    }
    for end in (1..count).rev() {
        items.swap(0, end);
        if let Some(heap) = items.get_mut(..end) {
            sift(heap, 0, order);
        }
    }
}

/// Sorts by the items' own order.
pub(crate) fn sort<T: Ord>(items: &mut [T]) {
    sort_by(items, T::cmp);
}

/// Sinks the item at `root` to where no item below it is greater.
fn sift<T>(heap: &mut [T], mut root: usize, order: &mut dyn FnMut(&T, &T) -> Ordering) {
    loop {
        let (left, right) = (2 * root + 1, 2 * root + 2);
        let greater = match (heap.get(left), heap.get(right)) {
            (Some(one), Some(other)) if order(one, other).is_lt() => right,
            (Some(_), _) => left,
            (None, _) => return,
        };
        match (heap.get(root), heap.get(greater)) {
            (Some(own), Some(below)) if order(own, below).is_lt() => heap.swap(root, greater),
            _ => return,
        }
        root = greater;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_sorts_as_the_standard_library_does(mut items in proptest::collection::vec(0..50u32, 0..200)) {
            let mut wanted = items.clone();
            wanted.sort();
            sort(&mut items);
            prop_assert_eq!(items, wanted);
        }
    }
}
