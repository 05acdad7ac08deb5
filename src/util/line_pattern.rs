//! [`LinePattern`]: what the lines of a program are held against.

#[cfg(feature = "regex")]
use regex_lite::{Regex, RegexBuilder};

/// Bytes that a compiled expression may take: what is counted again and again (`a{1000}{1000}`) is refused.
#[cfg(feature = "regex")]
const SIZE_LIMIT: usize = 256 * 1024;

/// A regular expression of which a line has to hold a match. (Built without the feature `regex`: plain text.)
#[derive(Debug, Clone)]
pub struct LinePattern {
    /// What every match holds: looked for first, because that is a hundred times as fast. Empty: nothing is known.
    literal: String,
    #[cfg(feature = "regex")]
    regex: Regex,
}

impl LinePattern {
    /// # Errors
    /// Why it is none.
    #[cfg(feature = "regex")]
    pub fn new(text: &str) -> Result<LinePattern, String> {
        let regex = RegexBuilder::new(text).size_limit(SIZE_LIMIT).build();
        let regex = regex.map_err(|error| format!("not a regular expression: {error}"))?;
        Ok(LinePattern { literal: needed_literal(text), regex })
    }

    /// # Errors
    /// Why it is none.
    #[cfg(not(feature = "regex"))]
    pub fn new(text: &str) -> Result<LinePattern, String> {
        match text.contains(is_special) {
            true => Err("this supervice was built without regular expressions".to_owned()),
            false => Ok(LinePattern { literal: text.to_owned() }),
        }
    }

    /// Whether the line holds a match.
    pub fn matches(&self, line: &[u8]) -> bool {
        let line = String::from_utf8_lossy(line);
        if !line.contains(&self.literal) {
            return false;
        }
        #[cfg(feature = "regex")]
        return self.regex.is_match(&line);
        #[cfg(not(feature = "regex"))]
        return true;
    }
}

fn is_special(letter: char) -> bool {
    matches!(letter, '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$')
}

/// The longest text that every match of a (sound) expression holds; empty where that is not plain to see.
#[cfg(feature = "regex")]
fn needed_literal(regex: &str) -> String {
    // Flags may change what a letter means.
    if regex.contains("(?") || regex.contains('|') {
        return String::new();
    }
    let (mut longest, mut run) = (String::new(), String::new());
    let mut close = |run: &mut String| {
        if run.len() > longest.len() {
            longest.clone_from(run);
        }
        run.clear();
    };
    let mut letters = regex.chars();
    let (mut groups, mut in_class) = (0_u32, false);
    while let Some(letter) = letters.next() {
        // What stands before it may be there any number of times.
        if matches!(letter, '*' | '?' | '{') && groups == 0 && !in_class {
            run.pop();
        }
        let meant = match letter {
            '\\' => letters.next().filter(|escaped| is_special(*escaped)),
            _ if is_special(letter) => None,
            plain => Some(plain),
        };
        match letter {
            '[' => in_class = true,
            ']' => in_class = false,
            '(' if !in_class => groups += 1,
            ')' if !in_class => groups = groups.saturating_sub(1),
            // How often: no text.
            '{' if !in_class => drop(letters.by_ref().find(|end| *end == '}')),
            _ => {}
        }
        match meant.filter(|_| groups == 0 && !in_class) {
            Some(letter) => run.push(letter),
            None => close(&mut run),
        }
    }
    close(&mut run);
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_found_anywhere_in_a_line() {
        let pattern = LinePattern::new("ready to serve").unwrap();
        assert!(pattern.matches(b"12:00 [info] ready to serve on :80"));
        assert!(pattern.matches("bytes \u{fffd} that are no text: ready to serve".as_bytes()));
        assert!(pattern.matches(b"\xff\xfe ready to serve"));
        assert!(!pattern.matches(b"ready to server"[..13].as_ref()));
        assert!(!pattern.matches(b""));
    }

    #[cfg(feature = "regex")]
    #[test]
    fn the_literal_that_is_looked_for_first_is_in_every_match() {
        for (regex, literal) in [
            ("ready", "ready"),
            ("^ready$", "ready"),
            ("listening on [0-9.]+:\\d+", "listening on "),
            ("port \\(tcp\\)", "port (tcp)"),
            ("abcd?", "abc"),
            ("abcd*e", "abc"),
            ("abcd+e", "abcd"),
            ("ab(cdef)?gh", "ab"),
            ("a{2,3}bc", "bc"),
            ("x{12}", ""),
            ("a|bc", ""),
            ("(?i)ready", ""),
            ("[abc]", ""),
            ("[a(]bc", "bc"),
            ("\\d+ \\w", " "),
            ("é+", "é"),
        ] {
            assert_eq!(needed_literal(regex), literal, "{regex}");
            assert!(LinePattern::new(regex).is_ok(), "{regex}");
        }
        let pattern = LinePattern::new("listening on [0-9.]+:\\d+$").unwrap();
        assert!(pattern.matches(b"now listening on 127.0.0.1:80"));
        assert!(!pattern.matches(b"now listening on 127.0.0.1:80 not"));
    }

    #[cfg(feature = "regex")]
    #[test]
    fn what_is_no_expression_or_far_too_large_is_refused() {
        for regex in ["(", "[a", "*", "a{1000}{1000}{1000}"] {
            let reason = LinePattern::new(regex).expect_err(regex);
            assert!(reason.starts_with("not a regular expression: "), "{reason}");
        }
    }
}
