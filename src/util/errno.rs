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

/// What this process is short of where the system says this, and what to do about it; `None`: of nothing.
pub(crate) fn shortage(errno: i32) -> Option<&'static str> {
    match errno {
        libc::EMFILE => Some("file descriptors; raise its limit (`ulimit -n`, `LimitNOFILE=`)"),
        libc::ENFILE => Some("file descriptors: the system has none left (fs.file-max)"),
        libc::EAGAIN => Some("processes; raise the limit (`ulimit -u`, `TasksMax=`, `pids.max`)"),
        libc::ENOMEM => Some("memory; raise its limit (`ulimit -v`, `MemoryMax=`, `memory.max`)"),
        _ => None,
    }
}

/// [`reason`], with the remedy where the daemon is short of something.
pub(crate) fn reason_with_remedy(error: &io::Error) -> String {
    let reason = reason(error);
    match error.raw_os_error().and_then(shortage) {
        Some(shortage) => format!("{reason}; the daemon is short of {shortage}"),
        None => reason,
    }
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

    #[test]
    fn who_is_short_of_something_is_told_of_what_and_all_others_the_reason_alone() {
        let told = |number| reason_with_remedy(&io::Error::from_raw_os_error(number));
        assert!(told(libc::EMFILE).starts_with("Too many open files; the daemon is short of file descriptors; raise"));
        assert!(told(libc::EAGAIN).contains("`ulimit -u`") && told(libc::ENOMEM).contains("`ulimit -v`"));
        assert_eq!(told(libc::EACCES), "Permission denied");
    }
}
