//! The reason of the end where a container's runtime looks for it: `/dev/termination-log` is what Kubernetes shows
//! as the message of a container that has ended.

use std::io::Write;

use crate::sys::guarded_path::{self, Access};
use crate::util::truncate::to_bytes;

const DEFAULT: &str = "/dev/termination-log";

/// Kubernetes shows this much.
const MAX_BYTES: usize = 4096;

/// Writes one line into the file that `setting` (`[supervice] termination_log`) names, if it is there: it is never
/// created.
/// `auto` is the file of Kubernetes, for PID 1 alone.
pub(crate) fn write_message(setting: Option<&str>, reason: &str) {
    let path = match setting {
        None => return,
        Some("auto") if std::process::id() != 1 => return,
        Some("auto") => DEFAULT,
        Some(path) => path,
    };
    let line = format!("{}\n", to_bytes(reason, MAX_BYTES - 1));
    let written = guarded_path::open(path.as_ref(), Access::Overwrite).and_then(|mut file| {
        // In one piece: whoever looks meanwhile sees all of it or nothing.
        file.write_all(line.as_bytes())
    });
    if let Err(error) = written
        && error.kind() != std::io::ErrorKind::NotFound
    {
        log::warn!("cannot write the reason of the end to {path}: {}", crate::util::errno::reason(&error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_written_of_a_file_that_is_there_cut_between_two_characters() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let setting = path.to_str();
        write_message(setting, "nobody looks");
        assert!(!path.exists(), "it is never created");
        for (reason, wanted) in [
            ("short".to_owned(), "short\n".to_owned()),
            ("x".repeat(5000), "x".repeat(4095) + "\n"),
            // Two bytes each: the last one does not fit beside the end of the line.
            ("\u{e4}".repeat(3000), "\u{e4}".repeat(2047) + "\n"),
        ] {
            std::fs::write(&path, "of an earlier end\n".repeat(500)).unwrap();
            write_message(setting, &reason);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), wanted);
        }
    }
}
