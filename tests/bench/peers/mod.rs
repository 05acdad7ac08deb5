//! The supervisors that are compared: how each is told of N programs, started, asked and stopped.

mod bare;
mod dinit;
mod nitro;
mod runit;
mod s6;
mod supervice;
mod supervisord;

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use crate::error::Result;
use crate::site::Site;

pub use bare::{FLAG as BARE_LOOP_FLAG, NAME as BARE, run as run_bare_loop};
pub use dinit::NAME as DINIT;
pub use supervice::{NAME as OURS, Supervice};

/// Names a directory (the root of a Python virtual environment, whose `bin` is searched before the PATH)
/// that holds supervisord and the Python package supervice.
pub const VENV_VARIABLE: &str = "SUPERVICE_BENCH_VENV";

/// A supervisor.
pub trait Peer {
    /// Its name in the tables.
    fn name(&self) -> &'static str;

    /// What exactly is run, for the head of the report.
    fn about(&self) -> String;

    /// Writes its configuration into `site` and tells the command that runs it in the foreground.
    fn daemon(&self, site: &Site) -> Result<Command>;

    /// As [`daemon`](Self::daemon), with the standard output of each program in a file of its own in `site`, rotated as
    /// [`logging`](crate::logging) says; `None` if it has no such thing.
    fn capture(&self, _site: &Site) -> Option<Result<Command>> {
        None
    }

    /// As [`daemon`](Self::daemon), where each program is started when those that it needs in `site` are ready, which each is once it
    /// is executed, and stopped when those that need it have gone; `None` if it has no such thing.
    fn with_dependencies(&self, _site: &Site) -> Option<Result<Command>> {
        None
    }

    /// The command that checks the configuration of [`with_dependencies`](Self::with_dependencies) and starts nothing; `None` if
    /// it has no such thing.
    fn check(&self, _site: &Site) -> Option<Result<Command>> {
        None
    }

    /// The commands that together print the status of all programs; none if it has no such thing.
    fn status(&self, site: &Site) -> Vec<Command>;

    /// The control socket, where requests of supervice's protocol are answered.
    fn control_socket(&self, _site: &Site) -> Option<PathBuf> {
        None
    }

    /// The socket where supervisord's XML-RPC is answered.
    fn rpc_socket(&self, _site: &Site) -> Option<PathBuf> {
        None
    }

    /// The signal for an orderly end of the daemon with all its programs.
    fn stop_signal(&self) -> Signal {
        Signal::SIGTERM
    }

    /// The most programs that it can supervise.
    fn limit(&self) -> usize {
        usize::MAX
    }
}

/// All peers that are installed here, ours and the bare loop first.
pub fn installed() -> Vec<Box<dyn Peer>> {
    let mut peers: Vec<Box<dyn Peer>> = vec![Box::new(Supervice::ours()), Box::new(bare::Bare)];
    peers.extend(Supervice::before().map(|peer| Box::new(peer) as Box<dyn Peer>));
    peers.extend(runit::find().map(|peer| Box::new(peer) as Box<dyn Peer>));
    peers.extend(s6::find().map(|peer| Box::new(peer) as Box<dyn Peer>));
    for captures in [false, true] {
        peers.extend(dinit::find(captures).map(|peer| Box::new(peer) as Box<dyn Peer>));
    }
    peers.extend(nitro::find().map(|peer| Box::new(peer) as Box<dyn Peer>));
    peers.extend(supervisord::find().map(|peer| Box::new(peer) as Box<dyn Peer>));
    peers.extend(Supervice::python().map(|peer| Box::new(peer) as Box<dyn Peer>));
    peers
}

/// The program of this name in the virtual environment or on the PATH.
fn find(name: &str) -> Option<PathBuf> {
    let venv = env::var_os(VENV_VARIABLE).map(|root| Path::new(&root).join("bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    venv.into_iter().chain(env::split_paths(&path)).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// The first line that a command prints, as the version of a program.
fn first_line(program: &Path, argument: impl AsRef<OsStr>) -> String {
    let said = Command::new(program).arg(argument).output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&said).lines().next().unwrap_or("").trim().to_owned()
}
