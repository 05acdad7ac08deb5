//! Text from elsewhere, made safe for a terminal.

use std::borrow::Cow;

/// The text without what could control the terminal: programs write it.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if is_control(c) { ' ' } else { c }).collect())
}

/// As [`printable`], for a message of several lines.
pub(super) fn printable_lines(text: &str) -> String {
    text.chars().map(|c| if c != '\n' && is_control(c) { ' ' } else { c }).collect()
}

/// Control characters, and characters that change the direction of the text behind them.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
