//! The known word that is closest to a mistyped one, for messages such as "did you mean web?".

/// The candidate with the fewest edits from `text`, if they are few for its length.
pub(crate) fn closest<'k>(text: &str, candidates: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let length = text.chars().count();
    let allowed = (length / 3).clamp(1, 3);
    // A difference in length needs at least as many edits; this rejects most candidates cheaply.
    let near = candidates.filter(|candidate| candidate.chars().count().abs_diff(length) <= allowed);
    let scored = near.map(|candidate| (edits(text, candidate), candidate));
    scored.filter(|(edits, _)| *edits <= allowed).min_by_key(|(edits, _)| *edits).map(|(_, candidate)| candidate)
}

/// The number of insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. A long text is
/// never close to anything: it is not a misspelt name, and the comparison would be slow.
fn edits(a: &str, b: &str) -> usize {
    const MAX_CHARS: usize = 64;
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(MAX_CHARS + 1).collect(), b.chars().collect());
    if a.len() > MAX_CHARS {
        return usize::MAX;
    }
    let width = b.len() + 1;
    let mut table: Vec<usize> = (0..width * (a.len() + 1)).map(|i| if i < width { i } else { i / width }).collect();
    for i in 1..=a.len() {
        for j in 1..width {
            let at = |i: usize, j: usize| table[i * width + j];
            let replaced = at(i - 1, j - 1) + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(at(i - 1, j) + 1).min(at(i, j - 1) + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(at(i - 2, j - 2) + 1);
            }
            table[i * width + j] = best;
        }
    }
    table[width * (a.len() + 1) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_unrelated_ones_are_not() {
        let known = ["web", "worker:00", "startsecs", "stopsignal"];
        let guess = |word| closest(word, known.into_iter());
        assert_eq!(guess("wbe"), Some("web"));
        assert_eq!(guess("startsec"), Some("startsecs"));
        assert_eq!(guess("stopsingal"), Some("stopsignal"));
        assert_eq!(guess("worker:01"), Some("worker:00"));
        assert_eq!(guess("database"), None);
        assert_eq!(guess(""), None);
    }

    #[test]
    fn edits_count_swaps_once() {
        for (a, b, n) in [("", "", 0), ("", "ab", 2), ("ab", "ba", 1), ("kitten", "sitting", 3), ("a", "", 1)] {
            assert_eq!(edits(a, b), n, "{a} {b}");
        }
    }
}
