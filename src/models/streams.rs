//! The streams of a program and the logs that are made of them.

use serde::{Deserialize, Serialize};

/// What a program has as its standard input.
///
/// Serialized as it is written in a configuration file: `"null"`, `"pipe"`, `"file:PATH"`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Stdin {
    /// The null device: whoever reads sees an end.
    #[default]
    Null,
    /// A pipe, into which clients write.
    Pipe,
    /// A file, which is opened at every start, as the program's user and from its directory.
    File(String),
}

/// How the trouble of a copy begins that is written beside the log: that has all of it.
pub(crate) const COPY_IS_LOST: &str = "the copy for syslog is lost: ";

/// What is told of a stream that is in this trouble.
pub(crate) fn what_is_lost(stream: &str, trouble: &str) -> String {
    match is_of_copy(trouble) {
        true => format!("{stream}: {trouble}"),
        false => format!("{stream} is lost: {trouble}"),
    }
}

/// Whether this trouble is that of a copy, beside which all is written.
pub(crate) fn is_of_copy(trouble: &str) -> bool {
    trouble.starts_with(COPY_IS_LOST)
}

/// Where reading a log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogStart {
    /// At this byte.
    At(u64),
    /// This many bytes before the end.
    BeforeEnd(u64),
}

/// Where a part of a log was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogPlace {
    /// In memory: there is no file for it, or its disk does not answer.
    #[default]
    Memory,
    /// In memory, because its file is not there.
    Missing,
    /// In its file.
    There {
        /// When that was written last, in seconds since 1970.
        modified: u64,
    },
}

/// One of the two streams of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamKind {
    /// Standard output; with `redirect_stderr` also standard error.
    Stdout,
    /// Standard error.
    Stderr,
}

impl StreamKind {
    /// `stdout` or `stderr`.
    pub fn as_str(self) -> &'static str {
        match self {
            StreamKind::Stdout => "stdout",
            StreamKind::Stderr => "stderr",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_is_lost_is_not_the_output() {
        let trouble = "cannot write to syslog (/dev/log): No such file or directory; lines for it are lost";
        assert_eq!(what_is_lost("stdout", trouble), format!("stdout is lost: {trouble}"));
        let copy = format!("{COPY_IS_LOST}{trouble}");
        assert_eq!(what_is_lost("stdout", &copy), format!("stdout: the copy for syslog is lost: {trouble}"));
    }
}
