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

/// As much of the beginning and of the end as fits into `room` columns, with `…` between: of names of several instances
/// the ends tell which is which.
pub(crate) fn middle_to_columns(text: &str, room: usize) -> Cow<'_, str> {
    if columns(text) <= room {
        return Cow::Borrowed(text);
    }
    let beginning = to_columns(text, room.div_ceil(2));
    let mut left = room.saturating_sub(columns(&beginning));
    let fits = |c: &char| {
        let takes = char_columns(*c);
        let fits = takes <= left;
        left = left.saturating_sub(takes);
        fits
    };
    let end: Vec<char> = text.chars().rev().take_while(fits).collect();
    Cow::Owned(beginning.chars().chain(end.into_iter().rev()).collect())
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

    #[test]
    fn of_what_is_cut_in_the_middle_both_ends_stay() {
        for (room, wanted) in
            [(9, "worker:07"), (8, "wor…r:07"), (7, "wor…:07"), (3, "w…7"), (2, "…7"), (1, "…"), (0, "")]
        {
            assert_eq!(middle_to_columns("worker:07", room), wanted, "{room}");
        }
        for (room, wanted) in [(6, "データ"), (5, "デ…タ"), (4, "…タ"), (3, "…タ"), (2, "…")] {
            assert_eq!(middle_to_columns("データ", room), wanted, "{room}");
        }
    }
}
