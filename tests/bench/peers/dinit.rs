//! dinit.

use std::path::PathBuf;
use std::process::Command;

use super::{Peer, first_line};
use crate::error::{Context, Result};
use crate::site::Site;

/// Its name in the tables.
pub const NAME: &str = "dinit";

/// dinit, found here.
pub struct Dinit {
    daemon: PathBuf,
    ctl: PathBuf,
    // Into memory, one pipe for both streams: ours captures, too.
    captures: bool,
}

/// dinit, if it is installed.
pub fn find(captures: bool) -> Option<Dinit> {
    Some(Dinit { daemon: super::find("dinit")?, ctl: super::find("dinitctl")?, captures })
}

impl Peer for Dinit {
    fn name(&self) -> &'static str {
        if self.captures { "dinit.captures" } else { NAME }
    }

    fn about(&self) -> String {
        first_line(&self.daemon, "--version")
    }

    fn daemon(&self, site: &Site) -> Result<Command> {
        let services = site.path("dinit.d");
        std::fs::create_dir(&services).context(format!("cannot make {}", services.display()))?;
        for (name, needs) in site.names_with_needs() {
            let log = if self.captures { "log-type = buffer\n" } else { "" };
            let mut text = format!(
                "type = process\ncommand = {}\nrestart = true\nsmooth-recovery = true\n{log}",
                site.command_line()
            );
            text.extend(needs.iter().map(|need| format!("depends-on = {need}\n")));
            site.write(&format!("dinit.d/{name}"), &text)?;
        }
        let mut command = Command::new(&self.daemon);
        command.arg("--user").arg("--quiet").arg("--services-dir").arg(services);
        command.arg("--socket-path").arg(site.path("ctl.sock")).arg("--log-file").arg(site.path("log"));
        command.args(site.names());
        Ok(command)
    }

    fn with_dependencies(&self, site: &Site) -> Option<Result<Command>> {
        Some(self.daemon(site))
    }

    fn status(&self, site: &Site) -> Vec<Command> {
        let mut command = Command::new(&self.ctl);
        command.arg("--socket-path").arg(site.path("ctl.sock")).arg("list");
        vec![command]
    }
}
