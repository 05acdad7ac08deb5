//! Text from elsewhere, made safe for a terminal.

use std::borrow::Cow;

use serde_json::Value;

use crate::util::escapes::sequence_length;
use crate::util::plural::counted;

/// The text without what could control the terminal: programs write it.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(cleaned(text, |_| false))
}

/// So many bytes, events or the like were not read in time, and stand nowhere.
pub(super) fn missing(count: u64, noun: &'static str) -> String {
    let (are, were, they) = match count {
        1 => ("is", "was", "it"),
        _ => ("are", "were", "they"),
    };
    format!("{} {are} missing here, because {they} {were} not read in time", counted(count, noun))
}

/// As [`printable`], for a message of several lines.
pub(super) fn printable_lines(text: &str) -> String {
    cleaned(text, |c| c == '\n')
}

/// Without escape sequences, whose rest would be read as text, and with blanks for what else controls a terminal.
fn cleaned(text: &str, is_kept: fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        // One that has no end here is shown: what follows may be text.
        let sequence = sequence_length(rest);
        if sequence.is_none() {
            shown.push(if is_control(c) && !is_kept(c) { ' ' } else { c });
        }
        rest = rest.get(sequence.unwrap_or(c.len_utf8())..).unwrap_or_default();
    }
    shown
}

/// Control characters, and characters that change the direction of the text behind them.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The keys whose numbers are read as octal ones.
const OCTAL_KEYS: [&str; 2] = ["umask", "socket_mode"];

/// The number of such a key as a file has it.
pub(super) fn octal(key: &str, value: &Value) -> Option<String> {
    let number = value.as_u64().filter(|_| OCTAL_KEYS.contains(&key))?;
    Some(format!("{number:04o}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_go_as_a_whole_and_what_only_begins_as_one_is_shown() {
        for (text, shown) in [
            ("\u{1b}[1;31mred\u{1b}[0m \u{1b}[2J\u{1b}[?25lend", "red end"),
            ("\u{1b}]0;title\u{7}a\u{1b}]8;;http://x\u{1b}\\b\u{1b}Pq#0\u{1b}\\c", "abc"),
            ("\u{1b}(Ba\u{1b}7b\u{1b}=c", "abc"),
            ("\u{1b}]0;no end of it", " ]0;no end of it"),
            ("\u{1b}]0;no end\u{1b}[31mred\u{7}", " ]0;no endred "),
            ("a\u{1b}", "a "),
            ("\u{1b}[31", " [31"),
            ("\u{1b}!", " !"),
            ("\u{1b}\u{e4}", " \u{e4}"),
            ("\u{9b}31m\r\u{202e}x\u{200f}", " 31m  x "),
        ] {
            assert_eq!(printable(text), shown, "{text:?}");
        }
        assert_eq!(printable_lines("a\n\u{1b}[31mb\n"), "a\nb\n");
        assert_eq!(printable_lines("\u{1b}]0;cut\nthe reason\nbell\u{7}\n"), " ]0;cut\nthe reason\nbell \n");
    }
}
