//! Text from elsewhere, made safe for a terminal.

use std::borrow::Cow;

/// The text without what could control the terminal: programs write it.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(cleaned(text, |_| false))
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
        let sequence = if c == ESCAPE { sequence_length(rest) } else { None };
        if sequence.is_none() {
            shown.push(if is_control(c) && !is_kept(c) { ' ' } else { c });
        }
        rest = rest.get(sequence.unwrap_or(c.len_utf8())..).unwrap_or_default();
    }
    shown
}

const ESCAPE: char = '\u{1b}';

/// The bytes of the escape sequence that a text begins with; `None` where it has no end here: what follows may be text.
fn sequence_length(text: &str) -> Option<usize> {
    let (_, behind) = text.split_at_checked(2)?;
    match text.as_bytes().get(1)? {
        b'[' => {
            let parameters = behind.bytes().take_while(|byte| (b' '..=b'?').contains(byte)).count();
            let end = behind.as_bytes().get(parameters)?;
            (b'@'..=b'~').contains(end).then_some(2 + parameters + 1)
        }
        // A title, a link and the like, up to a bell or `ESC \`. One that has no end on its line must not take what follows it.
        b']' | b'P' | b'X' | b'^' | b'_' => {
            let at = behind.find(['\u{7}', ESCAPE, '\n', '\r'])?;
            let end = behind.get(at..)?;
            let length = if end.starts_with("\u{1b}\\") { 2 } else { end.starts_with('\u{7}').then_some(1)? };
            Some(2 + at + length)
        }
        b' '..=b'/' => {
            let more = behind.bytes().take_while(|byte| (b' '..=b'/').contains(byte)).count();
            (b'0'..=b'~').contains(behind.as_bytes().get(more)?).then_some(2 + more + 1)
        }
        b'0'..=b'~' => Some(2),
        _ => None,
    }
}

/// Control characters, and characters that change the direction of the text behind them.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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
