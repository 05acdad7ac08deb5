//! supervisord.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;

use super::{Peer, first_line};
use crate::error::Result;
use crate::logging::{BACKUPS, MAXBYTES, PREFIX};
use crate::site::Site;

/// supervisord, found here.
pub struct Supervisord {
    daemon: PathBuf,
    ctl: PathBuf,
}

/// supervisord, if it is installed.
pub fn find() -> Option<Supervisord> {
    Some(Supervisord { daemon: super::find("supervisord")?, ctl: super::find("supervisorctl")? })
}

impl Peer for Supervisord {
    fn name(&self) -> &'static str {
        "supervisord"
    }

    fn about(&self) -> String {
        first_line(&self.daemon, "--version")
    }

    fn daemon(&self, site: &Site) -> Result<Command> {
        self.run(site, |_| "NONE".to_owned())
    }

    fn capture(&self, site: &Site) -> Option<Result<Command>> {
        let file = |name: &str| {
            format!(
                "{}\nstdout_logfile_maxbytes={MAXBYTES}\nstdout_logfile_backups={BACKUPS}",
                site.path(&format!("{PREFIX}-{name}")).display()
            )
        };
        Some(self.run(site, file))
    }

    fn status(&self, site: &Site) -> Vec<Command> {
        let mut command = Command::new(&self.ctl);
        command.arg("-c").arg(site.path("supervisord.conf")).arg("status");
        vec![command]
    }

    fn rpc_socket(&self, site: &Site) -> Option<PathBuf> {
        Some(site.path("ctl.sock"))
    }
}

impl Supervisord {
    /// `stdout`: where the standard output of the program of this name goes.
    fn run(&self, site: &Site, stdout: impl Fn(&str) -> String) -> Result<Command> {
        let socket = site.path("ctl.sock");
        // Three pipes a program, so more descriptors than its default. No log files, as for all others.
        let mut text = format!(
            "[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={}\nminfds={}\n{user}\
             [unix_http_server]\nfile={socket}\n[supervisorctl]\nserverurl=unix://{socket}\n\
             [rpcinterface:supervisor]\n\
             supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n",
            site.path("pid").display(),
            site.n * 3 + 100,
            socket = socket.display(),
            // It warns at length where root does not say that it means it.
            user = if nix::unistd::geteuid().is_root() { "user=root\n" } else { "" },
        );
        for name in site.names() {
            let _ = write!(
                text,
                "[program:{name}]\ncommand={}\nautorestart=true\nstdout_logfile={}\nstderr_logfile=NONE\n",
                site.command_line(),
                stdout(&name)
            );
        }
        let file = site.write("supervisord.conf", &text)?;
        let mut command = Command::new(&self.daemon);
        command.arg("-n").arg("-c").arg(file);
        Ok(command)
    }
}
