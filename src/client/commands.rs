//! What operators ask for beyond the first commands.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::exchange::Pace;
use super::{ClientError, Controller};
use crate::codec::frames::{HistoryItem, Reread, Terms, Updated, WaitFor, Why};

/// Which daemon answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct DaemonVersion {
    /// Its version, for instance `0.1.0`.
    pub version: String,
    /// Its process.
    pub pid: i32,
}

impl Controller {
    /// As [`start_process`](Self::start_process), on these terms: with `wait: false` the daemon answers at once.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use supervice::client::{Controller, Terms};
    ///
    /// let controller = Controller::default();
    /// controller.start_process_with("web", Terms { wait: false, ..Terms::default() })?;
    /// controller.stop_process_with("db", Terms { timeout: Some(Duration::from_secs(5)), ..Terms::default() })?;
    /// # Ok::<(), supervice::client::ClientError>(())
    /// ```
    ///
    /// # Errors
    /// As [`start_process`](Self::start_process); the code is `TIMEOUT` when the time of the terms is over: the command
    /// goes on.
    pub fn start_process_with(&self, name: &str, terms: Terms) -> Result<String, ClientError> {
        self.on_terms("start", name, terms, &[])
    }

    /// As [`stop_process`](Self::stop_process), on these terms.
    ///
    /// # Errors
    /// As [`start_process_with`](Self::start_process_with).
    pub fn stop_process_with(&self, name: &str, terms: Terms) -> Result<String, ClientError> {
        self.on_terms("stop", name, terms, &[])
    }

    /// As [`restart_process`](Self::restart_process), on these terms.
    ///
    /// # Errors
    /// As [`start_process_with`](Self::start_process_with).
    pub fn restart_process_with(&self, name: &str, force: bool, terms: Terms) -> Result<String, ClientError> {
        self.on_terms("restart", name, terms, &[("force", force.into())])
    }

    /// As [`start_group`](Self::start_group), on these terms.
    ///
    /// # Errors
    /// As [`start_process_with`](Self::start_process_with).
    pub fn start_group_with(&self, name: &str, terms: Terms) -> Result<String, ClientError> {
        self.on_terms("startgroup", name, terms, &[])
    }

    /// As [`stop_group`](Self::stop_group), on these terms.
    ///
    /// # Errors
    /// As [`start_process_with`](Self::start_process_with).
    pub fn stop_group_with(&self, name: &str, terms: Terms) -> Result<String, ClientError> {
        self.on_terms("stopgroup", name, terms, &[])
    }

    /// Stops a process by SIGKILL to its process group, at once, also one that is being stopped already; the daemon's
    /// message when nothing of it is left.
    ///
    /// # Errors
    /// As [`start_process_with`](Self::start_process_with).
    pub fn kill_process(&self, name: &str, terms: Terms) -> Result<String, ClientError> {
        self.on_terms("kill", name, terms, &[])
    }

    /// Sends a signal to the main process of a program, and to none of its workers; the daemon's message. `signal` is a name
    /// (`HUP`, `SIGUSR1`) or a number.
    ///
    /// # Errors
    /// [`ClientError::Failed`] where the process has no run, or the signal is none.
    pub fn signal_process(&self, name: &str, signal: &str) -> Result<String, ClientError> {
        self.act("signal", &[("name", name.into()), ("signal", signal.into())])
    }

    /// As [`signal_process`](Self::signal_process), but to all of the process group.
    ///
    /// # Errors
    /// As [`signal_process`](Self::signal_process).
    pub fn signal_group(&self, name: &str, signal: &str) -> Result<String, ClientError> {
        self.act("signal", &[("name", name.into()), ("signal", signal.into()), ("group", true.into())])
    }

    /// Waits until a process is what is waited for (at once if it is already); the daemon's message. Without `timeout` for as
    /// long as it takes.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use supervice::client::{Controller, WaitFor};
    ///
    /// Controller::default().wait_for("web", WaitFor::Healthy, Some(Duration::from_secs(30)))?;
    /// # Ok::<(), supervice::client::ClientError>(())
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Failed`] when it can't come any more (the process is `FATAL` or was removed), and with the code
    /// `TIMEOUT` when the time is over.
    pub fn wait_for(&self, name: &str, until: WaitFor, timeout: Option<Duration>) -> Result<String, ClientError> {
        let mut parameters = vec![("name", name.into()), ("for", until.as_str().into())];
        parameters.extend(timeout.map(|timeout| ("timeout", timeout.as_secs_f64().into())));
        self.act("wait", &parameters)
    }

    /// What [`update`](Self::update) would change; nothing is done.
    ///
    /// # Errors
    /// [`ClientError::Failed`] with everything that is wrong with the configuration.
    pub fn reread(&self) -> Result<Reread, ClientError> {
        self.ask("reread", &[], Pace::WhenDone)
    }

    /// Has the daemon read its configuration again and apply all of it: what is new is started (if `autostart`), what is gone is
    /// stopped and removed, what has changed is restarted. What has not changed keeps its process.
    ///
    /// With `confirm` the daemon goes back to the configuration before unless [`confirm`](Self::confirm) comes in this
    /// time, and at once when a program that was added or restarted becomes `FATAL` or `UNHEALTHY`.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let controller = supervice::client::Controller::default();
    /// let updated = controller.update(Some(Duration::from_secs(60)))?;
    /// println!("restarted: {:?}", updated.restarted);
    /// controller.confirm()?;
    /// # Ok::<(), supervice::client::ClientError>(())
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Failed`] with everything that is wrong with the configuration (then nothing was changed), or with the
    /// programs that did not do what they should.
    pub fn update(&self, confirm: Option<Duration>) -> Result<Updated, ClientError> {
        let confirm: Vec<(&str, Value)> =
            confirm.map(|confirm| ("confirm", confirm.as_secs_f64().into())).into_iter().collect();
        self.ask("update", &confirm, Pace::WhenDone)
    }

    /// Keeps what an [`update`](Self::update) has changed; the daemon's message.
    ///
    /// # Errors
    /// [`ClientError::Failed`] where nothing waits to be confirmed.
    pub fn confirm(&self) -> Result<String, ClientError> {
        self.act("confirm", &[])
    }

    /// The last transitions of a process, or of all, oldest first. The daemon remembers a few of each process.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn history(&self, name: Option<&str>) -> Result<Vec<HistoryItem>, ClientError> {
        #[derive(Deserialize)]
        struct Answer {
            history: Vec<HistoryItem>,
        }
        self.ask("history", &named(name), Pace::AtOnce).map(|answer: Answer| answer.history)
    }

    /// How a process came to its state, and what comes next.
    ///
    /// ```no_run
    /// for line in supervice::client::Controller::default().why("web")?.lines {
    ///     println!("{line}");
    /// }
    /// # Ok::<(), supervice::client::ClientError>(())
    /// ```
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn why(&self, name: &str) -> Result<Why, ClientError> {
        self.ask("why", &[("name", name.into())], Pace::AtOnce)
    }

    /// Ends the daemon in order, as SIGTERM does; its message, which comes before its end.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn shutdown(&self) -> Result<String, ClientError> {
        self.act("shutdown", &[])
    }

    /// The process id of a process, or of the daemon.
    ///
    /// # Errors
    /// [`ClientError::Failed`] where there is no process.
    pub fn pid(&self, name: Option<&str>) -> Result<i32, ClientError> {
        self.ask("pid", &named(name), Pace::AtOnce).map(|answer: DaemonVersion| answer.pid)
    }

    /// Whether the daemon answers; its process id.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn ping(&self) -> Result<i32, ClientError> {
        self.ask("ping", &[], Pace::AtOnce).map(|answer: DaemonVersion| answer.pid)
    }

    /// Which version the daemon is.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn version(&self) -> Result<DaemonVersion, ClientError> {
        self.ask("version", &[], Pace::AtOnce)
    }

    /// The level of the daemon's own log, after it was set to `level` (for instance `DEBUG`) where that is given.
    ///
    /// # Errors
    /// [`ClientError::Failed`] for a level that is none.
    pub fn log_level(&self, level: Option<&str>) -> Result<String, ClientError> {
        #[derive(Deserialize)]
        struct Answer {
            level: String,
        }
        let level: Vec<(&str, Value)> = level.map(|level| ("level", level.into())).into_iter().collect();
        self.ask("loglevel", &level, Pace::AtOnce).map(|answer: Answer| answer.level)
    }

    fn on_terms(&self, command: &str, name: &str, terms: Terms, more: &[(&str, Value)]) -> Result<String, ClientError> {
        let mut parameters = vec![("name", Value::from(name))];
        // Only what is asked for: an older daemon does not know the others.
        parameters.extend((!terms.wait).then_some(("wait", Value::Bool(false))));
        parameters.extend(terms.timeout.map(|timeout| ("timeout", timeout.as_secs_f64().into())));
        parameters.extend(terms.only.then(|| ("only", true.into())));
        parameters.extend_from_slice(more);
        self.act(command, &parameters)
    }

    /// An answer with particulars.
    fn ask<T: DeserializeOwned>(
        &self,
        command: &str,
        parameters: &[(&str, Value)],
        pace: Pace,
    ) -> Result<T, ClientError> {
        let body = self.send_until(command, parameters, pace, Instant::now() + self.timeout)?;
        self.particulars(&body, &format!("none to {command}"))
    }
}

fn named(name: Option<&str>) -> Vec<(&'static str, Value)> {
    name.map(|name| ("name", name.into())).into_iter().collect()
}
