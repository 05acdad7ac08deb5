//! dinit.

use std::path::PathBuf;
use std::process::Command;

use super::{Peer, first_line};
use crate::error::{Context, Result};
use crate::site::Site;

/// dinit, found here.
pub struct Dinit {
    daemon: PathBuf,
    ctl: PathBuf,
}

/// dinit, if it is installed.
pub fn find() -> Option<Dinit> {
    Some(Dinit { daemon: super::find("dinit")?, ctl: super::find("dinitctl")? })
}

impl Peer for Dinit {
    fn name(&self) -> &'static str {
        "dinit"
    }

    fn about(&self) -> String {
        first_line(&self.daemon, "--version")
    }

    fn daemon(&self, site: &Site) -> Result<Command> {
        let services = site.path("dinit.d");
        std::fs::create_dir(&services).context(format!("cannot make {}", services.display()))?;
        for name in site.names() {
            let text =
                format!("type = process\ncommand = {}\nrestart = true\nsmooth-recovery = true\n", site.command_line());
            site.write(&format!("dinit.d/{name}"), &text)?;
        }
        let mut command = Command::new(&self.daemon);
        command.arg("--user").arg("--quiet").arg("--services-dir").arg(services);
        command.arg("--socket-path").arg(site.path("ctl.sock")).arg("--log-file").arg(site.path("log"));
        command.args(site.names());
        Ok(command)
    }

    fn status(&self, site: &Site) -> Vec<Command> {
        let mut command = Command::new(&self.ctl);
        command.arg("--socket-path").arg(site.path("ctl.sock")).arg("list");
        vec![command]
    }
}
