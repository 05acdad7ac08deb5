//! The system's words for an error, as a user reads them.

use std::io;

/// The text of an error without the number that std appends: `No such file or directory`.
pub(crate) fn reason(error: &io::Error) -> String {
    let mut text = error.to_string();
    if text.ends_with(')')
        && let Some(number) = text.rfind(" (os error ")
    {
        text.truncate(number);
    }
    text
}

/// The text of an error number.
pub(crate) fn text(errno: i32) -> String {
    reason(&io::Error::from_raw_os_error(errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_left_out_wherever_it_stands() {
        assert_eq!(text(2), "No such file or directory");
        let wrapped = io::Error::other(format!("/x: {}", io::Error::from_raw_os_error(13)));
        assert_eq!(reason(&wrapped), "/x: Permission denied");
        assert_eq!(reason(&io::Error::other("(os error 2) is no number of ours")), "(os error 2) is no number of ours");
    }
}
