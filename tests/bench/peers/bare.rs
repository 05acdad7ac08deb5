//! The floor: a loop that spawns the children and spawns each again when it dies. Whatever a supervisor
//! takes beyond this is its own.

use std::env;
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::Pid;

use super::Peer;
use crate::error::{Context, Result};
use crate::site::Site;

/// Its name in the tables.
pub const NAME: &str = "bare";
/// The first argument that turns the benchmark's own binary into the loop.
pub const FLAG: &str = "--bare-loop";

/// The bare loop as a peer.
pub struct Bare;

impl Peer for Bare {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> String {
        "a process that only spawns (posix_spawn, so a vfork), waits and spawns again".to_owned()
    }

    fn daemon(&self, site: &Site) -> Result<Command> {
        let myself = env::current_exe().context("cannot find the benchmark's own program")?;
        let mut command = Command::new(myself);
        command.arg(FLAG).arg(site.n.to_string()).arg(&site.child).arg(site.fifo());
        Ok(command)
    }

    /// Nobody captures: the program itself, whose output [`Running`](crate::running::Running) puts into a file.
    fn capture(&self, site: &Site) -> Option<Result<Command>> {
        let mut command = Command::new(&site.child);
        command.arg(site.fifo()).args(site.load.split_whitespace());
        (site.n == 1).then_some(Ok(command))
    }

    fn status(&self, _: &Site) -> Vec<Command> {
        Vec::new()
    }
}

/// What runs behind [`FLAG`]: `arguments` are the number of children, their program and their argument.
/// Ends with success when SIGTERM has come and all children have gone.
pub fn run(mut arguments: impl Iterator<Item = OsString>) -> Result<()> {
    let n = arguments.next().and_then(|word| word.to_str()?.parse::<usize>().ok()).ok_or("no number of children")?;
    let program = PathBuf::from(arguments.next().ok_or("no program")?);
    let fifo = PathBuf::from(arguments.next().ok_or("no FIFO")?);
    let spawn = || Command::new(&program).arg(&fifo).spawn().context(format!("cannot run {}", program.display()));

    let stopping = Arc::new(AtomicBool::new(false));
    let pids = Arc::new(Mutex::new(Vec::with_capacity(n)));
    stop_on_term(Arc::clone(&stopping), Arc::clone(&pids))?;
    for _ in 0..n {
        let child = spawn()?;
        pids.lock().unwrap_or_else(PoisonError::into_inner).push(pid_of(&child));
    }
    loop {
        match wait() {
            Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, _, _)) => {
                if stopping.load(Ordering::SeqCst) {
                    continue;
                }
                let child = spawn()?;
                let mut pids = pids.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(slot) = pids.iter_mut().find(|slot| **slot == pid) {
                    *slot = pid_of(&child);
                }
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(Errno::ECHILD) => return Ok(()),
            Err(error) => return Err(format!("cannot wait for children: {error}")),
        }
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX))
}

/// On SIGTERM: no more spawns, and SIGTERM to every child.
fn stop_on_term(stopping: Arc<AtomicBool>, pids: Arc<Mutex<Vec<Pid>>>) -> Result<()> {
    let (mut reader, writer) = UnixStream::pair().context("cannot make a socket pair")?;
    signal_hook::low_level::pipe::register(libc::SIGTERM, writer).context("cannot watch for SIGTERM")?;
    std::thread::spawn(move || {
        if reader.read_exact(&mut [0]).is_ok() {
            stopping.store(true, Ordering::SeqCst);
            for &pid in pids.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                // One that has died in this moment is what is wanted.
                let _ = kill(pid, Signal::SIGTERM);
            }
        }
    });
    Ok(())
}
