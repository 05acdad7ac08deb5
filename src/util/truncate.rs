//! The beginning of a text that is too long.

use std::borrow::Cow;

use super::width::{char_columns, columns};

/// The beginning of at most `limit` bytes. No character is split.
pub(crate) fn to_bytes(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// The beginning that fits into `room` columns of a terminal. A text that was cut ends with `…`.
pub(crate) fn to_columns(text: &str, room: usize) -> Cow<'_, str> {
    if columns(text) <= room {
        return Cow::Borrowed(text);
    }
    let mut taken = 0;
    let fits = |c: &char| {
        taken += char_columns(*c);
        taken < room
    };
    Cow::Owned(text.chars().take_while(fits).chain((room > 0).then_some('…')).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_is_split() {
        assert_eq!(["abc", "aü", "aüb", "データ", ""].map(|text| to_bytes(text, 2)), ["ab", "a", "a", "", ""]);
        assert_eq!(to_bytes("aü", 3), "aü");
    }

    #[test]
    fn what_was_cut_ends_with_an_ellipsis() {
        for (room, wanted) in [(6, "データ"), (5, "デー…"), (4, "デ…"), (1, "…"), (0, "")] {
            assert_eq!(to_columns("データ", room), wanted, "{room}");
        }
    }
}
