//! This project's daemon, and the Python package of the same name: both read the same configuration and
//! speak the same protocol.

use std::collections::HashMap;
use std::env;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;

use super::{Peer, find, first_line};
use crate::error::Result;
use crate::logging::{BACKUPS, MAXBYTES, PREFIX};
use crate::site::Site;

/// The name of this project's daemon in the tables.
pub const NAME: &str = "supervice";

/// Names a directory with the two binaries of an earlier build, to be measured beside this one.
pub const BEFORE_VARIABLE: &str = "SUPERVICE_BENCH_BEFORE";

/// One of the two.
pub struct Supervice {
    name: &'static str,
    daemon: PathBuf,
    ctl: PathBuf,
    // The Python package has no way to have no log file.
    can_do_without_log: bool,
}

impl Supervice {
    /// The binaries that cargo built for this run.
    pub fn ours() -> Self {
        Self {
            name: NAME,
            daemon: env!("CARGO_BIN_EXE_supervice").into(),
            ctl: env!("CARGO_BIN_EXE_supervicectl").into(),
            can_do_without_log: true,
        }
    }

    /// An earlier build of ours, where one is named.
    pub fn before() -> Option<Self> {
        let directory = PathBuf::from(env::var_os(BEFORE_VARIABLE)?);
        let (daemon, ctl) = (directory.join("supervice"), directory.join("supervicectl"));
        Some(Self { name: "supervice.before", daemon, ctl, can_do_without_log: true })
    }

    /// The Python package, if it is installed.
    pub fn python() -> Option<Self> {
        let (daemon, ctl) = (find("supervice")?, find("supervicectl")?);
        // Not ours under the same name: the scripts of a Python package begin with `#!`.
        let script = std::fs::read(&daemon).is_ok_and(|bytes| bytes.starts_with(b"#!"));
        script.then_some(Self { name: "supervice.py", daemon, ctl, can_do_without_log: false })
    }

    /// The configuration of the N programs of `site`; `each` is added to the section of each.
    pub fn configuration(&self, site: &Site, each: &str) -> String {
        self.configuration_with(site, |_| each.to_owned())
    }

    fn configuration_with(&self, site: &Site, each: impl Fn(&str) -> String) -> String {
        let logfile = if self.can_do_without_log { "none".into() } else { site.path("log") };
        let mut text = format!(
            "[supervice]\nsocket = {}\npidfile = {}\nlogfile = {}\n",
            Self::socket(site).display(),
            site.path("pid").display(),
            logfile.display(),
        );
        if !self.can_do_without_log {
            // Else two supervisors would share the file that names the children of a crashed one.
            let _ = writeln!(text, "state_file = {}", site.path("state").display());
        }
        for name in site.names() {
            let _ = write!(text, "[program:{name}]\ncommand = {}\n{}", site.command_line(), each(&name));
        }
        text
    }

    /// Each program requires those that it needs in `site`, and is ready once it is executed.
    fn graph(&self, site: &Site) -> String {
        let needs: HashMap<String, Vec<String>> = site.names_with_needs().collect();
        self.configuration_with(site, |name| match needs.get(name).filter(|needs| !needs.is_empty()) {
            Some(needs) => format!("startsecs = 0\nrequires = {}\n", needs.join(", ")),
            None => "startsecs = 0\n".to_owned(),
        })
    }

    /// The control socket of the daemon in `site`.
    pub fn socket(site: &Site) -> PathBuf {
        site.path("ctl.sock")
    }

    /// The command that runs the daemon with this configuration.
    pub fn run(&self, site: &Site, configuration: &str) -> Result<Command> {
        let file = site.write("supervice.conf", configuration)?;
        let mut command = Command::new(&self.daemon);
        command.arg("-n").arg("-c").arg(file);
        Ok(command)
    }
}

impl Peer for Supervice {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> String {
        first_line(&self.daemon, "--version")
    }

    fn daemon(&self, site: &Site) -> Result<Command> {
        self.run(site, &self.configuration(site, ""))
    }

    fn with_dependencies(&self, site: &Site) -> Option<Result<Command>> {
        // The Python package has no dependencies.
        self.can_do_without_log.then(|| self.run(site, &self.graph(site)))
    }

    fn check(&self, site: &Site) -> Option<Result<Command>> {
        self.can_do_without_log.then(|| {
            let file = site.write("supervice.conf", &self.graph(site))?;
            let mut command = Command::new(&self.daemon);
            command.arg("--check").arg("-c").arg(file);
            Ok(command)
        })
    }

    fn capture(&self, site: &Site) -> Option<Result<Command>> {
        let file = |name: &str| {
            format!(
                "stdout_logfile = {}\nstdout_logfile_maxbytes = {MAXBYTES}\nstdout_logfile_backups = {BACKUPS}\n",
                site.path(&format!("{PREFIX}-{name}")).display()
            )
        };
        Some(self.run(site, &self.configuration_with(site, file)))
    }

    fn status(&self, site: &Site) -> Vec<Command> {
        let mut command = Command::new(&self.ctl);
        command.arg("-s").arg(Self::socket(site)).arg("status");
        vec![command]
    }

    fn control_socket(&self, site: &Site) -> Option<PathBuf> {
        Some(Self::socket(site))
    }

    fn rpc_socket(&self, site: &Site) -> Option<PathBuf> {
        // The Python package has no HTTP.
        self.can_do_without_log.then(|| Self::socket(site))
    }
}
