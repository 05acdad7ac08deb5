//! Programs on a terminal, and the clients that sit at it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::super::effect::Attached;
use super::super::environment::Prepared;
use super::Effects;
use crate::api::{ProcId, RequestId};
use crate::control::attachment::{Attachment, Taken};
use crate::control::server::{ConnId, ServerHandle};
use crate::models::{ProgramConfig, StreamKind, WindowSize};
use crate::output::{Follower, InternalError, TerminalInput};
use crate::process::{Generation, SpawnError, SpawnStage};
use crate::sys::pty::{self, Pty};
use crate::util::sorted::SortedMap;

/// How large the terminals of programs are that clients sit at, or have sat at.
pub(super) type WindowSizes = SortedMap<ProcId, WindowSize>;

impl Effects {
    /// The terminal of a new run, if it is to have one: our end, and the child's.
    pub(super) fn open_terminal(
        &self,
        id: ProcId,
        config: &ProgramConfig,
        prepared: &mut Prepared,
    ) -> Result<Option<(OwnedFd, OwnedFd)>, SpawnError> {
        if !config.tty {
            return Ok(None);
        }
        let size = self.window_sizes.get(&id).copied().unwrap_or_default();
        let (owner, _) = prepared.owner();
        let failed =
            |error: io::Error| SpawnError::system(SpawnStage::Terminal, "", error.raw_os_error().unwrap_or_default());
        let Pty { ours, childs } = pty::open(size, owner).map_err(failed)?;
        prepared.set_terminal()?;
        Ok(Some((ours, childs)))
    }

    /// The output thread has it from now on.
    pub(super) fn attach_terminal(&self, id: ProcId, generation: Generation, pid: i32, terminal: OwnedFd) {
        self.parts.output.attach_terminal(id, generation, pid, terminal);
    }

    /// Whoever has asked is sent what the program writes from now on. The request stays open: the engine answers it
    /// when the run has ended.
    pub(super) fn attach_client(&mut self, request: RequestId, id: ProcId, attached: Attached) {
        let Some(conn) = self.replies.connection(request) else { return };
        let Attached { name, has_terminal, size } = attached;
        let (server, output) = (self.parts.server.clone(), self.parts.output.clone());
        let client = Arc::new_cyclic(|client: &Weak<Attachment>| {
            let typist = Arc::new(ClientInput { client: client.clone(), server: server.clone(), conn });
            let ask = move || output.write_input(id, Arc::clone(&typist) as Arc<dyn TerminalInput>);
            Attachment::new(name, has_terminal, Box::new(ask))
        });
        let streams: &[StreamKind] = match has_terminal {
            true => &[StreamKind::Stdout],
            false => &[StreamKind::Stdout, StreamKind::Stderr],
        };
        for stream in streams {
            let viewer =
                ClientOutput { client: Arc::downgrade(&client), server: server.clone(), conn, stream: *stream };
            self.parts.output.watch(id, *stream, Box::new(viewer));
        }
        if let Some(size) = size.filter(|_| has_terminal) {
            self.window_sizes.insert(id, size);
            client.resize(size);
        }
        server.feed(conn, client);
    }

    /// The size of a terminal that will never be opened.
    pub(super) fn forget_window_size(&mut self, id: ProcId) {
        self.window_sizes.remove(&id);
    }
}

/// Takes one stream of what a program writes, for a client. The connection alone keeps that alive.
struct ClientOutput {
    client: Weak<Attachment>,
    server: ServerHandle,
    conn: ConnId,
    stream: StreamKind,
}

impl Follower for ClientOutput {
    fn push(&self, bytes: &[u8]) -> bool {
        let Some(client) = self.client.upgrade() else { return false };
        if client.push(self.stream, bytes) {
            self.server.feed(self.conn, client);
        }
        true
    }

    fn is_there(&self) -> bool {
        self.client.strong_count() > 0
    }

    fn holds_up(&self, now: Instant) -> bool {
        self.client.upgrade().is_some_and(|client| client.holds_up(now))
    }

    /// The end is told by the engine, which knows how the program has ended.
    fn finish(&self) {}

    fn fail(&self, _: InternalError) {}
}

/// What a client types.
struct ClientInput {
    client: Weak<Attachment>,
    server: ServerHandle,
    conn: ConnId,
}

impl TerminalInput for ClientInput {
    fn take(&self, most: usize) -> Vec<u8> {
        let Some(client) = self.client.upgrade() else { return Vec::new() };
        let Taken { bytes, makes_room } = client.take_typed(most);
        if makes_room {
            self.server.feed(self.conn, client);
        }
        bytes
    }

    fn take_size(&self) -> Option<WindowSize> {
        self.client.upgrade()?.take_size()
    }

    fn is_there(&self) -> bool {
        self.client.strong_count() > 0
    }
}
