//! Where others find the daemon: its control socket, the loop that serves it, and the lock that keeps a second daemon
//! away.

use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Supervisor;
use super::effect::{External, Input, Notice};
use super::http_sockets::HttpSockets;
use super::run_error::{RunError, system};
use crate::control::names::{Names, SocketName};
use crate::control::server::{self, Io, ReadyRun, ServerEvent, ServerHandle};
use crate::models::SupervisorConfig;
use crate::sys;
use crate::sys::instance_lock::{Claim, InstanceLock};
use crate::sys::pidfile::PidFile;

/// With fewer open files than this, the files alone keep a second daemon away.
const MIN_FILES_TO_LOCK: u64 = 32;

/// Takes the lock that keeps a second daemon of this configuration away though the files of the first have gone. A
/// socket in the abstract namespace is such a lock itself; without socket and pid file, nothing tells one daemon from
/// another.
pub(super) fn claim(config: &SupervisorConfig) -> io::Result<Option<InstanceLock>> {
    let Some(path) = config.socket_path.as_deref().or(config.pidfile.as_deref()) else { return Ok(None) };
    if is_abstract(Path::new(path)) {
        return Ok(None);
    }
    if let Some(socket) = config.socket_path.as_deref() {
        make_directory_of(Path::new(socket));
    }
    // The one descriptor is what the next start of a program may need.
    if sys::limits::nofile().is_ok_and(|limit| limit.soft < MIN_FILES_TO_LOCK) {
        return Ok(None);
    }
    match InstanceLock::claim(Path::new(path))? {
        Claim::Acquired(lock) => Ok(Some(lock)),
        Claim::Unavailable(reason) => {
            log::warn!(
                "no lock on this configuration: {reason}; a second daemon is refused for as long as the files of this one are there"
            );
            Ok(None)
        }
    }
}

/// The mode of a directory that is made for a socket: others may pass through it, the socket's own mode says who may
/// connect.
const SOCKET_DIRECTORY_MODE: u32 = 0o755;

/// Makes the last part of the directory of a socket: `/run` is empty after each boot.
fn make_directory_of(socket: &Path) {
    let Some(directory) = socket.parent().filter(|parent| !parent.as_os_str().is_empty() && !parent.exists()) else {
        return;
    };
    match sys::guarded_path::make_directory(directory, SOCKET_DIRECTORY_MODE) {
        Ok(()) => log::info!("the directory {} was missing, and is made for the control socket", directory.display()),
        // The socket can't be bound then, which tells the rest.
        Err(error) => {
            log::error!("cannot make the directory {}: {}", directory.display(), crate::util::errno::reason(&error))
        }
    }
}

/// The loop of the io thread, and what setting it up has found.
pub(super) struct Served {
    pub(super) server: ServerHandle,
    pub(super) io: Io,
    pub(super) sockets: HttpSockets,
    /// An earlier daemon may have left something running: it has not removed its files, as it does when all has ended,
    /// or has none.
    pub(super) may_have_orphans: bool,
}

/// Binds the control socket and makes what serves it.
pub(super) fn serve(
    supervisor: &Supervisor,
    config: &SupervisorConfig,
    pid_file: Option<PidFile>,
    lock: Option<InstanceLock>,
) -> Result<Served, RunError> {
    let (listener, socket) = config.socket_path.as_deref().map(|path| bind(path, config)).transpose()?.unzip();
    // One without a file can't vanish.
    let socket = socket.filter(|name| !is_abstract(&name.path));
    let files = [socket.as_ref().map(|name| name.guard.was_there()), pid_file.as_ref().map(PidFile::was_there)];
    let may_have_orphans = files.contains(&Some(true)) || files == [None, None];
    let names = Names::new(socket, pid_file, lock);
    let (sockets, open) = HttpSockets::open(config, listener).map_err(RunError::Socket)?;
    let inputs = supervisor.inner.inputs.clone();
    let sink = Arc::new(move |event| {
        let input = match event {
            ServerEvent::ReadBeforeEnds => External::Input(Input::Notice(Notice::Child)),
            ServerEvent::Request(request) => External::Request(Box::new(request)),
            ServerEvent::Disconnected(conn) => External::Disconnected(conn),
            ServerEvent::Notified(received) => External::Notified(received),
            ServerEvent::Barrier(fd) => External::Barrier(fd),
            ServerEvent::ClockSet => External::Input(Input::Notice(Notice::ClockSet)),
            ServerEvent::NotificationsRead(ReadyRun { id, generation }) => {
                External::Input(Input::NotificationsRead { id, generation })
            }
            ServerEvent::ConditionSeen { run: ReadyRun { id, generation }, condition, is_there } => {
                External::Input(Input::ConditionSeen { id, generation, condition, is_there })
            }
            ServerEvent::Changed(ReadyRun { id, generation }, path) => {
                External::Input(Input::PathChanged { id, generation, path })
            }
            ServerEvent::Readiness(ReadyRun { id, generation }, report) => {
                External::Input(Input::Readiness { id, generation, report })
            }
        };
        let _ = inputs.send(input);
    });
    let (server, io) = server::prepare(open, names, sink).map_err(system("the io thread"))?;
    Ok(Served { server, io, sockets, may_have_orphans })
}

fn is_abstract(socket: &Path) -> bool {
    socket.as_os_str().as_encoded_bytes().starts_with(b"@")
}

/// Binds the control socket.
fn bind(path: &str, config: &SupervisorConfig) -> Result<(UnixListener, SocketName), RunError> {
    let owner = config.socket_owner.as_deref().map_or(Ok((None, None)), sys::users::lookup_owner);
    let owner = owner.map_err(|error| RunError::Socket(io::Error::other(format!("socket_owner: {error}"))))?;
    let mode = config.socket_mode;
    let (listener, guard) = sys::net::bind_control_socket(Path::new(path), mode, owner).map_err(RunError::Socket)?;
    warn_of_squatters(path);
    Ok((listener, SocketName { path: PathBuf::from(path), mode, owner, guard }))
}

/// In a directory that others can write to, somebody else could put a socket of the same name there
/// while the daemon is down.
fn warn_of_squatters(path: &str) {
    if is_abstract(Path::new(path)) {
        log::warn!(
            "anybody may connect to {path}: a name in the abstract namespace has no mode; only root and this user are served"
        );
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    let directory = Path::new(path).parent().filter(|parent| !parent.as_os_str().is_empty());
    let Ok(metadata) = directory.unwrap_or(Path::new(".")).metadata() else { return };
    if metadata.permissions().mode() & 0o022 != 0 {
        log::warn!(
            "others can write to the directory of the control socket {path}; a private one, as /run/supervice, is safer"
        );
    }
}
