//! In which order a child puts its descriptors in place.
//!
//! All copies are made "at the same time": a number may be a source and the target of another source. What
//! the child is left with is computed before it exists, because it can neither allocate nor think long.

use std::os::fd::RawFd;

use crate::util::sorted::SortedSet;

/// One step: `to` becomes a copy of `from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FdMove {
    pub(super) from: RawFd,
    /// The same as `from`: it stays where it is, and loses its close-on-exec flag.
    pub(super) to: RawFd,
    /// Only needed until the other steps are done: the copy closes on exec.
    pub(super) is_temporary: bool,
}

/// Why a list of targets can't be satisfied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadTarget {
    Negative(RawFd),
    Twice(RawFd),
}

/// The steps that put each `(target, source)` in place, whichever numbers the lists have in common.
pub(super) fn order(pairs: &[(RawFd, RawFd)]) -> Result<Vec<FdMove>, BadTarget> {
    check(pairs)?;
    let mut moves = Vec::with_capacity(pairs.len());
    let mut open = pairs.to_vec();
    while !open.is_empty() {
        // A target that nobody needs as a source any more (but for staying where it is) may be overwritten.
        let is_free =
            |&(target, _): &(RawFd, RawFd)| open.iter().all(|&(other, source)| source != target || other == target);
        if let Some(index) = open.iter().position(is_free) {
            let (to, from) = open.swap_remove(index);
            moves.push(FdMove { from, to, is_temporary: false });
        } else if let Some(&(_, busy)) = open.first() {
            // Only cycles are left: a copy of one source elsewhere opens the way.
            let spare = spare_number(pairs);
            moves.push(FdMove { from: busy, to: spare, is_temporary: true });
            open.iter_mut().filter(|(_, source)| *source == busy).for_each(|(_, source)| *source = spare);
        }
    }
    Ok(moves)
}

fn check(pairs: &[(RawFd, RawFd)]) -> Result<(), BadTarget> {
    let mut seen = SortedSet::default();
    for &(target, _) in pairs {
        if target < 0 {
            return Err(BadTarget::Negative(target));
        }
        if !seen.insert(target) {
            return Err(BadTarget::Twice(target));
        }
    }
    Ok(())
}

/// The lowest number that is neither a source nor a target. One is enough: when a cycle has been opened, all of
/// it is put in place before the next one is looked at, because `order` prefers free targets.
fn spare_number(pairs: &[(RawFd, RawFd)]) -> RawFd {
    (0..).find(|number| pairs.iter().all(|(target, source)| target != number && source != number)).unwrap_or(RawFd::MAX)
}

/// The ranges of numbers up to `last` that are no target, in ascending order.
pub(super) fn gaps(pairs: &[(RawFd, RawFd)], last: RawFd) -> Vec<(RawFd, RawFd)> {
    let targets: SortedSet<RawFd> = pairs.iter().map(|(target, _)| *target).collect();
    let mut gaps = Vec::new();
    let mut first = 0;
    for target in targets {
        if first > last {
            break;
        }
        if first < target {
            gaps.push((first, last.min(target - 1)));
        }
        first = target.saturating_add(1);
    }
    if first <= last {
        gaps.push((first, last));
    }
    gaps
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Performs the steps on a table in which each descriptor is its own number.
    fn perform(moves: &[FdMove]) -> BTreeMap<RawFd, RawFd> {
        let mut table: BTreeMap<RawFd, RawFd> = BTreeMap::new();
        let mut kept = BTreeMap::new();
        for step in moves {
            let what = table.get(&step.from).copied().unwrap_or(step.from);
            table.insert(step.to, what);
            if step.is_temporary {
                kept.remove(&step.to);
            } else {
                kept.insert(step.to, what);
            }
        }
        kept
    }

    proptest! {
        #[test]
        fn every_target_gets_its_source(
            targets in proptest::collection::btree_set(0..12, 0..12),
            sources in proptest::collection::vec(0..12, 12),
        ) {
            let pairs: Vec<(RawFd, RawFd)> = targets.into_iter().zip(sources).collect();
            let moves = order(&pairs).unwrap();
            prop_assert_eq!(perform(&moves), pairs.iter().copied().collect::<BTreeMap<_, _>>());
            let cheap = pairs.iter().filter(|(target, source)| target != source).count();
            prop_assert!(moves.len() <= pairs.len() + cheap / 2, "a cycle of two or more costs one step: {:?}", moves);
        }

        #[test]
        fn the_gaps_are_what_is_no_target(targets in proptest::collection::btree_set(0..20, 0..12), last in -1..24) {
            let pairs: Vec<(RawFd, RawFd)> = targets.iter().map(|target| (*target, 0)).collect();
            let found: Vec<RawFd> = gaps(&pairs, last).into_iter().flat_map(|(first, end)| first..=end).collect();
            let wanted: Vec<RawFd> = (0..=last).filter(|number| !targets.contains(number)).collect();
            prop_assert_eq!(found, wanted);
        }
    }

    #[test]
    fn ordinary_lists_cost_one_step_each_and_one_gap() {
        let pairs = [(0, 3), (1, 4), (2, 4)];
        let moves = order(&pairs).unwrap();
        assert!(moves.len() == 3 && moves.iter().all(|step| !step.is_temporary), "{moves:?}");
        assert_eq!(gaps(&pairs, 5), [(3, 5)]);
    }

    #[test]
    fn a_target_is_given_once_and_is_a_number_of_a_descriptor() {
        assert_eq!(order(&[(3, 5), (3, 6)]), Err(BadTarget::Twice(3)));
        assert_eq!(order(&[(-1, 5)]), Err(BadTarget::Negative(-1)));
    }
}
