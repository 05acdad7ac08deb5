//! runit: runsvdir and one runsv a program.

use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;

use super::Peer;
use crate::error::Result;
use crate::site::Site;

/// runit, found here.
pub struct Runit {
    runsvdir: PathBuf,
    sv: PathBuf,
}

/// runit, if it is installed.
pub fn find() -> Option<Runit> {
    super::find("runsv")?;
    Some(Runit { runsvdir: super::find("runsvdir")?, sv: super::find("sv")? })
}

impl Peer for Runit {
    fn name(&self) -> &'static str {
        "runit"
    }

    fn about(&self) -> String {
        format!("{}, a runsv for each program; stopped by HUP; one sv status for all", self.runsvdir.display())
    }

    fn daemon(&self, site: &Site) -> Result<Command> {
        let mut command = Command::new(&self.runsvdir);
        command.arg(site.service_directories("service")?);
        Ok(command)
    }

    fn status(&self, site: &Site) -> Vec<Command> {
        let mut command = Command::new(&self.sv);
        command.arg("status").args(site.names().map(|name| site.path("service").join(name)));
        vec![command]
    }

    fn stop_signal(&self) -> Signal {
        // TERM would leave every runsv behind.
        Signal::SIGHUP
    }

    fn limit(&self) -> usize {
        // runsvdir ignores further directories.
        1000
    }
}
