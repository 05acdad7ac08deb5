//! s6: s6-svscan and one s6-supervise a program.

use std::path::PathBuf;
use std::process::Command;

use super::Peer;
use crate::error::Result;
use crate::site::Site;

/// s6, found here.
pub struct S6 {
    svscan: PathBuf,
    svstat: PathBuf,
}

/// s6, if it is installed.
pub fn find() -> Option<S6> {
    super::find("s6-supervise")?;
    Some(S6 { svscan: super::find("s6-svscan")?, svstat: super::find("s6-svstat")? })
}

impl Peer for S6 {
    fn name(&self) -> &'static str {
        "s6"
    }

    fn about(&self) -> String {
        format!("{}, an s6-supervise for each program; one s6-svstat call for each", self.svscan.display())
    }

    fn daemon(&self, site: &Site) -> Result<Command> {
        let mut command = Command::new(&self.svscan);
        command.arg("-c").arg((site.n + 10).to_string()).arg(site.service_directories("service")?);
        Ok(command)
    }

    fn status(&self, site: &Site) -> Vec<Command> {
        let status = |name: String| {
            let mut command = Command::new(&self.svstat);
            command.arg(site.path("service").join(name));
            command
        };
        site.names().map(status).collect()
    }
}
