//! Where a stream goes, as configured.

use std::path::PathBuf;

use crate::logger::ConsoleStream;
use crate::models::{DefaultOutput, ProgramConfig};

use super::messages::StreamKind;

/// Where the bytes of one stream go, besides the ring in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Nothing,
    Console { stream: ConsoleStream, prefix: bool },
    Syslog,
    File(PathBuf),
}

impl Target {
    /// What the settings say about one stream.
    pub fn of(config: &ProgramConfig, kind: StreamKind, default_output: DefaultOutput) -> Target {
        let (setting, own) = match kind {
            StreamKind::Stdout => (&config.stdout_logfile, ConsoleStream::Stdout),
            StreamKind::Stderr => (&config.stderr_logfile, ConsoleStream::Stderr),
        };
        let Some(setting) = setting.as_deref().map(str::trim) else {
            return match default_output {
                DefaultOutput::None => Target::Nothing,
                DefaultOutput::Console => Target::Console { stream: own, prefix: true },
            };
        };
        if setting.is_empty() || setting.eq_ignore_ascii_case("none") || setting.eq_ignore_ascii_case("auto") {
            return Target::Nothing;
        }
        if setting.eq_ignore_ascii_case("syslog") {
            return Target::Syslog;
        }
        // These names mean the daemon's own descriptors. They are never opened: another user's
        // terminal, a socket or a container's pipe refuses that.
        match setting {
            "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1" | "/proc/1/fd/1" => {
                Target::Console { stream: ConsoleStream::Stdout, prefix: false }
            }
            "/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2" | "/proc/1/fd/2" => {
                Target::Console { stream: ConsoleStream::Stderr, prefix: false }
            }
            path => Target::File(PathBuf::from(path)),
        }
    }
}
