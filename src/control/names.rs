//! The names in the file system by which others find the daemon: its control socket and its pid file. Whoever may write
//! to their directories can remove them, exchange a directory, or hide all of it under a mount; the daemon looks at
//! them again then, and makes anew what has gone.
//!
//! What it finds there that is somebody else's is left alone, and said.

use std::io;
use std::os::unix::net::UnixListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use crate::sys::instance_lock::InstanceLock;
use crate::sys::limits::nofile;
use crate::sys::net::{SocketGuard, bind_control_socket};
use crate::sys::path_watch::PathWatch;
use crate::sys::pidfile::PidFile;
use crate::util::errno;

/// With fewer open files they are left to the programs.
const MIN_FILES_TO_WATCH: u64 = 64;

/// A control socket that has a file.
#[derive(Debug)]
pub struct SocketName {
    /// As it was bound.
    pub path: PathBuf,
    /// The permission bits.
    pub mode: u32,
    /// User and group.
    pub owner: (Option<u32>, Option<u32>),
    /// Removes the file at the end.
    pub guard: SocketGuard,
}

/// All that the daemon holds for as long as it runs; see the [module](self).
#[derive(Debug, Default)]
pub struct Names {
    /// The control socket, if there is one with a file.
    pub socket: Option<SocketName>,
    /// The pid file.
    pub pid_file: Option<PidFile>,
    /// Further sockets with a file, which nobody makes anew.
    pub more_sockets: Vec<SocketGuard>,
    /// What keeps a second daemon away whatever becomes of the files.
    pub lock: Option<InstanceLock>,
    /// What was said of a name that can't be made anew, so that it is said once.
    troubles: [Option<String>; 2],
    /// That nothing can be watched was said.
    is_unwatched: bool,
}

/// What a look has come to.
pub(super) struct NamesInspected {
    pub(super) names: Names,
    /// Of a socket that was made anew.
    pub(super) listener: Option<UnixListener>,
    pub(super) watch: Option<PathWatch>,
    /// Something was made anew.
    pub(super) renewed: bool,
    /// It has vanished again meanwhile.
    pub(super) is_gone: bool,
}

impl Names {
    /// These; nothing was said of them yet.
    pub fn new(socket: Option<SocketName>, pid_file: Option<PidFile>, lock: Option<InstanceLock>) -> Names {
        Names { socket, pid_file, lock, ..Names::default() }
    }

    /// Nothing can vanish.
    pub(super) fn is_empty(&self) -> bool {
        self.socket.is_none() && self.pid_file.is_none()
    }

    /// There are paths to be watched, and descriptors for it.
    pub(super) fn may_be_watched(&self) -> bool {
        !self.is_empty() && nofile().map_or(true, |limit| limit.soft >= MIN_FILES_TO_WATCH)
    }

    /// Watches the paths as they are now.
    pub(super) fn watch(&mut self) -> Option<PathWatch> {
        if self.is_empty() {
            return None;
        }
        let socket = self.socket.as_ref().map(|socket| socket.path.as_path());
        let paths = socket.into_iter().chain(self.pid_file.as_ref().map(PidFile::path));
        let watch = match self.may_be_watched() {
            true => PathWatch::new(paths),
            false => Err(io::Error::other("too few open files are allowed")),
        };
        match watch {
            Ok(watch) => Some(watch),
            Err(error) => {
                if !std::mem::replace(&mut self.is_unwatched, true) {
                    log::warn!(
                        "cannot watch the control socket and the pid file: {}; should they vanish, SIGHUP and SIGUSR2 bring them back",
                        errno::reason(&error)
                    );
                }
                None
            }
        }
    }

    /// Looks at the names and makes anew what has gone. May wait for a disk, and for another daemon: not for the io
    /// thread.
    pub(super) fn inspect(mut self) -> NamesInspected {
        let (mut listener, mut watch, mut renewed, mut is_gone) = (None, None, false, false);
        let sound = catch_unwind(AssertUnwindSafe(|| {
            // In this order: what goes after it was looked at is told.
            watch = self.watch();
            renewed = [self.renew_socket(&mut listener), self.renew_pid_file()].contains(&true);
            if renewed {
                watch = self.watch();
                is_gone = !self.are_there();
            }
        }));
        if sound.is_err() {
            log::error!("a look at the control socket: an internal error of supervice (a panic), please report it");
        }
        NamesInspected { names: self, listener, watch, renewed, is_gone }
    }

    fn are_there(&self) -> bool {
        self.socket.as_ref().is_none_or(|socket| socket.guard.is_there())
            && self.pid_file.as_ref().is_none_or(PidFile::is_there)
    }

    fn renew_socket(&mut self, listener: &mut Option<UnixListener>) -> bool {
        let Names { socket: Some(socket), troubles: [trouble, _], .. } = self else { return false };
        if socket.guard.is_there() {
            *trouble = None;
            return false;
        }
        match bind_control_socket(&socket.path, socket.mode, socket.owner) {
            Ok((new, guard)) => {
                *listener = Some(new);
                socket.guard = guard;
                *trouble = None;
                log::warn!("the control socket {} had vanished; it is there again", socket.path.display());
                true
            }
            Err(error) => log_once(trouble, "the control socket", &socket.path, &errno::reason(&error)),
        }
    }

    fn renew_pid_file(&mut self) -> bool {
        let Names { pid_file: Some(pid_file), troubles: [_, trouble], .. } = self else { return false };
        let was_empty = pid_file.unwritten().is_some();
        match pid_file.renew() {
            Ok(renewed) => {
                *trouble = None;
                if renewed && was_empty {
                    log::info!("there is room for the pid file {} again; it was written", pid_file.path().display());
                } else if renewed {
                    log::warn!("the pid file {} had vanished; it is there again", pid_file.path().display());
                }
                renewed
            }
            Err(error) => log_once(trouble, "the pid file", pid_file.path(), &error.to_string()),
        }
    }
}

/// That a name can't be made anew; `false`, for it was not.
fn log_once(trouble: &mut Option<String>, what: &str, path: &Path, reason: &str) -> bool {
    if trouble.as_deref() != Some(reason) {
        log::error!(
            "{what} {} has vanished, and is not to be had again: {reason}; tried again when its directory changes, and at SIGHUP and SIGUSR2",
            path.display()
        );
        *trouble = Some(reason.to_owned());
    }
    false
}
