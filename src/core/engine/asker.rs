//! Who has asked for what happens to a process.

use std::fmt;
use std::sync::Arc;

use super::super::world::World;
use crate::sys::net::Peer;

/// Letters of a client's command name that are kept.
const LONGEST_NAME: usize = 32;

/// Who has asked; reads on after `start requested`.
#[derive(Debug, Clone)]
pub(super) enum Asker {
    /// The daemon by itself, a signal, or the program that embeds it.
    Daemon(&'static str),
    /// A client: `by uid 0, pid 12 (supervicectl)`.
    Client(Arc<str>),
}

impl Asker {
    /// A client, as the kernel knows it. Its name is asked for now: it may be gone when somebody wants to know.
    pub(super) fn client(peer: Peer, world: &dyn World) -> Asker {
        let name = world.command_name(peer.pid);
        let text = match name.as_deref().map(str::trim).filter(|name| !name.is_empty()) {
            Some(name) => {
                let plain = |letter: char| if letter.is_control() { '?' } else { letter };
                let name: String = name.chars().take(LONGEST_NAME).map(plain).collect();
                format!("by uid {}, pid {} ({name})", peer.uid, peer.pid)
            }
            None => format!("by uid {}, pid {}", peer.uid, peer.pid),
        };
        Asker::Client(Arc::from(text))
    }

    /// A cause as the machine gives it, completed by who has asked; `None` where nobody has.
    pub(super) fn complete(&self, cause: &str) -> Option<String> {
        let end = ["start requested", "stop requested", "kill requested", "restart requested"]
            .into_iter()
            .find(|words| cause.starts_with(words))?
            .len();
        let (words, rest) = cause.split_at_checked(end)?;
        Some(format!("{words} {self}{rest}"))
    }
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Asker::Daemon(text) => f.write_str(text),
            Asker::Client(text) => f.write_str(text),
        }
    }
}
