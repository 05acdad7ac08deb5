//! The reason of the end where a container's runtime looks for it: `/dev/termination-log` is what Kubernetes shows
//! as the message of a container that has ended.

use std::fs::OpenOptions;
use std::io::Write;

const DEFAULT: &str = "/dev/termination-log";

/// Kubernetes shows this much.
const MAX_BYTES: usize = 4096;

/// Writes one line into the file that `setting` (`[supervice] termination_log`) names, if it is there: it is never created.
/// `auto` is the file of Kubernetes, for PID 1 alone.
pub(crate) fn tell(setting: Option<&str>, reason: &str) {
    let path = match setting {
        None => return,
        Some("auto") if std::process::id() != 1 => return,
        Some("auto") => DEFAULT,
        Some(path) => path,
    };
    let mut end = reason.len().min(MAX_BYTES - 1);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let line = format!("{}\n", reason.get(..end).unwrap_or_default());
    let written = OpenOptions::new().write(true).truncate(true).open(path).and_then(|mut file| {
        // In one piece: whoever looks meanwhile sees all of it or nothing.
        file.write_all(line.as_bytes())
    });
    if let Err(error) = written
        && error.kind() != std::io::ErrorKind::NotFound
    {
        log::warn!("cannot write the reason of the end to {path}: {error}");
    }
}
