//! nitro.

use std::path::PathBuf;
use std::process::Command;

use super::Peer;
use crate::error::Result;
use crate::site::Site;

/// nitro, found here.
pub struct Nitro {
    daemon: PathBuf,
    ctl: PathBuf,
}

/// nitro, if it is installed.
pub fn find() -> Option<Nitro> {
    Some(Nitro { daemon: super::find("nitro")?, ctl: super::find("nitroctl")? })
}

impl Peer for Nitro {
    fn name(&self) -> &'static str {
        "nitro"
    }

    fn about(&self) -> String {
        "nitro (it tells no version)".to_owned()
    }

    fn daemon(&self, site: &Site) -> Result<Command> {
        let services = site.service_directories("nitro")?;
        let mut command = Command::new(&self.daemon);
        command.arg(services).env("NITRO_SOCK", site.path("ctl.sock"));
        Ok(command)
    }

    fn status(&self, site: &Site) -> Vec<Command> {
        let mut command = Command::new(&self.ctl);
        command.arg("list").env("NITRO_SOCK", site.path("ctl.sock"));
        vec![command]
    }

    /// Its table has room for so many services and their logs.
    fn limit(&self) -> usize {
        LIMIT
    }
}

/// `MAXSV` there, less what it keeps for itself.
const LIMIT: usize = 498;
