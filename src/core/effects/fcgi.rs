//! The listening sockets of fcgi-programs. One is opened when the first process of its program is spawned, is the
//! standard input of all of them, stays over restarts, so that connections wait meanwhile, and is closed when the last
//! of them is down.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use super::super::environment::Prepared;
use super::super::users::Users;
use crate::api::ProcId;
use crate::models::{FcgiAddress, FcgiSocket, ProgramConfig};
use crate::process::{ProcessState, ProcessView, SpawnError, SpawnStage};
use crate::sys;
use crate::sys::fcgi_socket::{SocketFile, is_at_path};
use crate::util::errno;

/// Those that are open.
#[derive(Debug, Default)]
pub(super) struct FcgiSockets(Vec<OpenSocket>);

#[derive(Debug)]
struct OpenSocket {
    address: FcgiAddress,
    /// What it was opened with.
    settings: Settings,
    socket: Arc<OwnedFd>,
    /// Its file; a port has none.
    file: Option<SocketFile>,
    /// The processes that have it, or will have it again.
    users: Vec<ProcId>,
}

/// What a socket is opened with, besides its address.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Settings {
    socket: FcgiSocket,
    /// Whose the file is unless the socket's settings say otherwise.
    owner: (Option<u32>, Option<u32>),
}

impl FcgiSockets {
    /// The socket that a process is to have as its standard input, if it is to have one.
    pub(super) fn of(
        &mut self,
        id: ProcId,
        config: &ProgramConfig,
        prepared: &Prepared,
        users: &Users,
    ) -> Result<Option<Arc<OwnedFd>>, SpawnError> {
        let Some(address) = &config.fcgi.address else { return Ok(None) };
        // Another one that it has had with other settings.
        self.leave(id, Some(address));
        let settings = Settings { socket: (*config.fcgi).clone(), owner: prepared.owner() };
        let place = match self.0.iter().position(|open| open.address == *address) {
            Some(place) => place,
            None => {
                let (socket, file) = open(address, &settings, users)?;
                log::info!("the socket {address} is open");
                let (address, users) = (address.clone(), Vec::new());
                self.0.push(OpenSocket { address, settings: settings.clone(), socket, file, users });
                self.0.len() - 1
            }
        };
        let Some(found) = self.0.get_mut(place) else { return Ok(None) };
        let is_lost = !found.is_there(users);
        if is_lost {
            log::warn!(
                "the file of the socket {address} has gone: it is made anew, and processes that run need a restart"
            );
        }
        if is_lost || found.settings != settings {
            found.change(settings, users)?;
        }
        if !found.users.contains(&id) {
            found.users.push(id);
        }
        Ok(Some(Arc::clone(&found.socket)))
    }

    /// What has become of a process: one that is down needs no socket any more.
    pub(super) fn note(&mut self, id: ProcId, view: &ProcessView) {
        let is_down = match view.state {
            ProcessState::Stopped | ProcessState::Exited | ProcessState::Fatal => !view.should_run,
            ProcessState::Starting
            | ProcessState::Running
            | ProcessState::Unhealthy
            | ProcessState::Backoff
            | ProcessState::Stopping => false,
        };
        if is_down {
            self.leave(id, None);
        }
    }

    /// A process needs no other socket than the one at this address.
    pub(super) fn leave(&mut self, id: ProcId, but: Option<&FcgiAddress>) {
        self.0.retain_mut(|open| {
            if but != Some(&open.address) && open.users.contains(&id) {
                open.users.retain(|user| *user != id);
                if open.users.is_empty() {
                    log::info!("the socket {} is closed", open.address);
                    return false;
                }
            }
            true
        });
    }
}

impl OpenSocket {
    /// Whether clients find it. A disk that does not answer has it still, as far as anybody knows.
    fn is_there(&self, users: &Users) -> bool {
        let (FcgiAddress::Unix(path), Some(file)) = (&self.address, self.file) else { return true };
        let path = path.clone();
        users.look(&self.address.to_string(), move || is_at_path(Path::new(&path), file)).unwrap_or(true)
    }

    /// A file is made anew: those who have the former one keep that. A port can be had once only.
    fn change(&mut self, settings: Settings, users: &Users) -> Result<(), SpawnError> {
        match &self.address {
            FcgiAddress::Unix(_) => (self.socket, self.file) = open(&self.address, &settings, users)?,
            FcgiAddress::Tcp { .. } => {
                let changed = sys::fcgi_socket::listen(&self.socket, settings.socket.backlog);
                changed.map_err(|error| failed(&self.address, &error))?;
            }
        }
        self.settings = settings;
        Ok(())
    }
}

/// A disk or a name server that does not answer holds up nobody else for long.
fn open(
    address: &FcgiAddress,
    settings: &Settings,
    users: &Users,
) -> Result<(Arc<OwnedFd>, Option<SocketFile>), SpawnError> {
    let (place, Settings { socket, owner }) = (address.clone(), settings.clone());
    let listen = move || match place {
        FcgiAddress::Tcp { host, port } => {
            sys::fcgi_socket::listen_at_port(&host, port, socket.backlog).map(|socket| (socket, None))
        }
        FcgiAddress::Unix(path) => {
            let owner = match &socket.owner {
                Some(named) => sys::users::lookup_owner(named).map_err(|error| io::Error::other(error.to_string()))?,
                None => owner,
            };
            sys::fcgi_socket::listen_at_path(Path::new(&path), socket.mode, owner, socket.backlog)
                .map(|(socket, file)| (socket, Some(file)))
        }
    };
    match users.look(&address.to_string(), listen) {
        Some(Ok((socket, file))) => Ok((Arc::new(socket), file)),
        Some(Err(error)) => Err(failed(address, &error)),
        None => {
            let why = "no answer; a file system or name server hangs";
            Err(SpawnError::other(SpawnStage::Prepare, subject(address), why))
        }
    }
}

fn failed(address: &FcgiAddress, error: &io::Error) -> SpawnError {
    let (stage, subject) = (SpawnStage::Prepare, subject(address));
    match error.raw_os_error() {
        Some(errno) => SpawnError::system(stage, subject, errno),
        None => SpawnError::other(stage, subject, errno::reason(error)),
    }
}

fn subject(address: &FcgiAddress) -> String {
    format!("the socket {address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web(address: &FcgiAddress, backlog: Option<u16>) -> ProgramConfig {
        let mut config = ProgramConfig::new("web", "true");
        config.fcgi = FcgiSocket { address: Some(address.clone()), backlog, owner: None, mode: 0o700 }.into();
        config
    }

    #[test]
    fn a_socket_is_shared_kept_over_restarts_and_closed_behind_the_last() {
        let dir = tempfile::tempdir().expect("a directory");
        let address = |name: &str| FcgiAddress::Unix(dir.path().join(name).display().to_string());
        let users = Users::default();
        let mut sockets = FcgiSockets::default();
        let socket_of = |sockets: &mut FcgiSockets, id, config: &ProgramConfig| {
            let prepared = Prepared::new(config, &["true"], &users, None).expect("prepared");
            let socket = sockets.of(id, config, &prepared, &users).expect("it opens").expect("an fcgi-program");
            Arc::as_ptr(&socket)
        };
        let (one, two) = (address("one"), address("two"));
        let first = socket_of(&mut sockets, 1, &web(&one, None));
        assert_eq!(socket_of(&mut sockets, 2, &web(&one, None)), first, "shared");
        assert_eq!(socket_of(&mut sockets, 1, &web(&one, None)), first, "kept");
        sockets.leave(1, None);
        assert_eq!(sockets.0.len(), 1, "the second has it");
        socket_of(&mut sockets, 2, &web(&one, Some(5)));
        assert_eq!(sockets.0[0].settings.socket.backlog, Some(5), "opened anew with other settings");
        socket_of(&mut sockets, 2, &web(&two, None));
        assert_eq!(sockets.0.iter().map(|open| &open.address).collect::<Vec<_>>(), [&two], "it has another address");
        sockets.leave(2, None);
        assert!(sockets.0.is_empty());
    }
}
