//! Whether there can be orphans at all: reading every process of the machine is not free.

use serde::{Deserialize, Serialize};

/// What an earlier daemon has left at one place in the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Trace {
    /// No file there could tell: none is configured, or the socket has only a name (`@…`).
    Mute,
    /// Nothing lay there. A daemon removes its files only when it ends in order.
    Nothing,
    /// A socket on which nobody listens, or a pid file that nobody holds, empty or with any number in it.
    Left,
}

/// What an earlier daemon has left at the places that this one has taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Traces {
    /// At the control socket.
    pub socket: Trace,
    /// At the pid file.
    pub pid_file: Trace,
}

impl Traces {
    /// What is known where nobody has looked: every process has to be asked.
    pub(crate) const UNKNOWN: Traces = Traces { socket: Trace::Mute, pid_file: Trace::Mute };
}

/// Whether every process has to be asked for its tag.
///
/// - A daemon that was killed, or that the kernel has ended for lack of memory, leaves its files: `Left`.
/// - A daemon that ended in order has removed them: `Nothing`, and then nothing else of it is there either. It must
///   therefore leave its files if it gives up on processes that it could not end, and if it panics.
/// - Files in a directory that is emptied at boot, or that is made anew with a container, go together with all
///   processes: `Nothing` is true.
/// - An abstract socket and a daemon without files leave no trace: `Mute` proves nothing.
/// - A cleaner of old files, or a person, may remove one of the two. As long as the other is there, it tells.
///
/// Only where every place that can tell says `Nothing`, and at least one can, nobody looks.
pub(crate) fn needs_scan(traces: Traces) -> bool {
    match (traces.socket, traces.pid_file) {
        (Trace::Left, _) | (_, Trace::Left) | (Trace::Mute, Trace::Mute) => true,
        (Trace::Nothing, Trace::Nothing | Trace::Mute) | (Trace::Mute, Trace::Nothing) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_looks_only_where_a_file_would_have_been_left() {
        use Trace::{Left, Mute, Nothing};
        for (socket, pid_file, wanted) in [
            (Left, Left, true),
            (Left, Nothing, true),
            (Left, Mute, true),
            (Nothing, Left, true),
            (Mute, Left, true),
            (Mute, Mute, true),
            (Nothing, Nothing, false),
            (Nothing, Mute, false),
            (Mute, Nothing, false),
        ] {
            let traces = Traces { socket, pid_file };
            assert_eq!(needs_scan(traces), wanted, "{traces:?}");
        }
        assert!(needs_scan(Traces::UNKNOWN));
    }
}
