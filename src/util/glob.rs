//! Shell patterns: `*`, `?`, `[a-z]`, `[!a-z]`. Include patterns of the configuration and names on the command line
//! follow the same rules.

/// Whether the text holds a character that makes it a pattern.
pub(crate) fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Whether the pattern matches the whole text. `[` without a closing `]` is an ordinary character, and `]` is one
/// where it comes first in a set.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // The position of the last `*`, and the position in the text up to which it has matched. Only the last one is ever
    // extended, which bounds the time by the product of the lengths.
    let mut star: Option<(usize, usize)> = None;
    while let Some(&c) = text.get(t) {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, t));
            p += 1;
        } else if let Some(length) = pattern.get(p..).and_then(|rest| match_one(rest, c)) {
            p += length;
            t += 1;
        } else if let Some((at, matched)) = star {
            star = Some((at, matched + 1));
            p = at + 1;
            t = matched + 1;
        } else {
            return false;
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

/// Matches one character against the front of the pattern; returns how much of the pattern it used.
fn match_one(pattern: &[char], c: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => match bracket(pattern) {
            Some((set, length)) => in_set(set, c).then_some(length),
            None => (c == '[').then_some(1),
        },
        literal => (*literal == c).then_some(1),
    }
}

/// The inside of the `[…]` at the front, and the length of the whole.
fn bracket(pattern: &[char]) -> Option<(&[char], usize)> {
    let negated = usize::from(matches!(pattern.get(1), Some('!' | '^')));
    let from = 2 + negated;
    let end = from + pattern.get(from..)?.iter().position(|c| *c == ']')?;
    Some((pattern.get(1..end)?, end + 1))
}

fn in_set(set: &[char], c: char) -> bool {
    let (negated, mut set) = match set {
        ['!' | '^', rest @ ..] => (true, rest),
        all => (false, all),
    };
    let mut found = false;
    loop {
        set = match set {
            [low, '-', high, rest @ ..] => {
                found |= (*low..=*high).contains(&c);
                rest
            }
            [one, rest @ ..] => {
                found |= *one == c;
                rest
            }
            [] => return found != negated,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, text, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("*b*b", "abab", true),
            ("*b*c", "abab", false),
            ("web*", "web", true),
            ("web*", "aweb", false),
            ("worker:*", "worker:00", true),
            ("?.ini", "é.ini", true),
            ("w?b", "wb", false),
            ("[a-c]?", "bz", true),
            ("[!a-c]?", "bz", false),
            ("[^a-c]?", "dz", true),
            ("[]x]", "]", true),
            ("[]]", "]", true),
            ("[a-]", "-", true),
            ("[", "[", true),
            ("[ab", "[ab", true),
            ("a[", "a[", true),
            ("[!]a]", "]", false),
            ("[!]a]", "b", true),
            ("x[!a]y", "xby", true),
            ("x[a-]y", "x-y", true),
            ("[c-a]", "b", false),
            ("*", "", true),
            ("**", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn only_wildcards_make_a_pattern() {
        for pattern in ["*", "a?", "[a]", "x["] {
            assert!(has_wildcard(pattern), "{pattern}");
        }
        for name in ["", "web", "a]", "worker:00"] {
            assert!(!has_wildcard(name), "{name}");
        }
    }

    #[test]
    fn a_pattern_of_stars_takes_no_exponential_time() {
        assert!(!matches(&"*a".repeat(50), &"a".repeat(255).replace("aaaa", "bbbb")));
    }
}
