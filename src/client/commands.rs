//! What operators ask for beyond the first commands.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::exchange::Pace;
use super::{ClientError, Controller};
use crate::codec::frames::{
    Access, Blame, Flag, GraphItem, HistoryItem, ProgramSettings, Reread, Terms, Updated, WaitFor, Why,
};

/// What a command on several processes came to.
#[derive(Debug)]
pub struct Results {
    /// For each, in the order in which they were named, the daemon's message or why it was not done. Behind them those
    /// that need these and did not do what they should.
    pub results: Vec<(String, Result<String, ClientError>)>,
    /// Those that were stopped or restarted as well, because they need these.
    pub also: Vec<String>,
}

/// What `enable` and `disable` came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct EnabledSet {
    /// The daemon's message.
    pub message: String,
    /// Why it could not be written, and ends with the daemon.
    pub unsaved: Option<String>,
}

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

    /// Starts these in one operation: what they need comes first, and whoever waits for another one is started when
    /// that is there. What it came to for each; an error of its own, for instance for a name that there is not, keeps
    /// no other one from being started.
    ///
    /// ```no_run
    /// use supervice::client::{Controller, Terms};
    ///
    /// let names = ["web".to_owned(), "db".to_owned()];
    /// for (name, result) in Controller::default().start_processes(&names, Terms::default())?.results {
    ///     match result {
    ///         Ok(message) => println!("{message}"),
    ///         Err(error) => eprintln!("{name}: {error}"),
    ///     }
    /// }
    /// # Ok::<(), supervice::client::ClientError>(())
    /// ```
    ///
    /// # Errors
    /// As [`start_process_with`](Self::start_process_with), where nothing was begun; the code is `INVALID_REQUEST` of a
    /// daemon that takes one name only.
    pub fn start_processes(&self, names: &[String], terms: Terms) -> Result<Results, ClientError> {
        self.on_all("start", names, terms, &[])
    }

    /// Stops these in one operation: each when those of them that need it, or want it, or come after it, have gone.
    ///
    /// # Errors
    /// As [`start_processes`](Self::start_processes).
    pub fn stop_processes(&self, names: &[String], terms: Terms) -> Result<Results, ClientError> {
        self.on_all("stop", names, terms, &[])
    }

    /// Stops these (with `force` by SIGKILL) and starts them again, in one operation.
    ///
    /// # Errors
    /// As [`start_processes`](Self::start_processes).
    pub fn restart_processes(&self, names: &[String], force: bool, terms: Terms) -> Result<Results, ClientError> {
        self.on_all("restart", names, terms, &[("force", force.into())])
    }

    /// Kills these, as [`kill_process`](Self::kill_process) does one, in one operation.
    ///
    /// # Errors
    /// As [`start_processes`](Self::start_processes).
    pub fn kill_processes(&self, names: &[String], terms: Terms) -> Result<Results, ClientError> {
        self.on_all("kill", names, terms, &[])
    }

    /// Sends a signal to the main process of a program, and to none of its workers; the daemon's message. `signal` is a
    /// name (`HUP`, `SIGUSR1`) or a number.
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

    /// Stops all of a process in its place (SIGSTOP) until [`resume`](Self::resume): its health checks rest, and its
    /// watchdog.
    ///
    /// # Errors
    /// [`ClientError::Failed`] where it is not `RUNNING` or `UNHEALTHY`.
    pub fn pause(&self, name: &str) -> Result<String, ClientError> {
        self.act("pause", &[("name", name.into())])
    }

    /// Resumes what was paused, whoever has paused it.
    ///
    /// # Errors
    /// [`ClientError::Failed`] where it has no process.
    pub fn resume(&self, name: &str) -> Result<String, ClientError> {
        self.act("resume", &[("name", name.into())])
    }

    /// The daemon itself starts it no more: neither with the daemon, nor because another needs it, nor by its schedule.
    /// Where there is a `state_dir`, the answer comes when that is on the disk.
    ///
    /// # Errors
    /// As [`start_process`](Self::start_process).
    pub fn disable(&self, name: &str) -> Result<String, ClientError> {
        self.set_enabled(name, false).map(|set| set.message)
    }

    /// Takes [`disable`](Self::disable) back.
    ///
    /// # Errors
    /// As [`start_process`](Self::start_process).
    pub fn enable(&self, name: &str) -> Result<String, ClientError> {
        self.set_enabled(name, true).map(|set| set.message)
    }

    /// Either, with whether it was written to where it should be.
    pub(crate) fn set_enabled(&self, name: &str, enabled: bool) -> Result<EnabledSet, ClientError> {
        let command = if enabled { "enable" } else { "disable" };
        self.ask(command, &[("name", name.into())], Pace::WhenDone)
    }

    /// Has a process read its own configuration again, by its `reload_command` and `reload_signal`; the daemon's
    /// message when that is done.
    ///
    /// ```no_run
    /// println!("{}", supervice::client::Controller::default().reload_process("web")?);
    /// # Ok::<(), supervice::client::ClientError>(())
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Failed`] where the process has no run, has neither of the two, or the command has failed.
    pub fn reload_process(&self, name: &str) -> Result<String, ClientError> {
        self.act("reloadprocess", &[("name", name.into())])
    }

    /// Waits until a process is what is waited for (at once if it is already); the daemon's message. Without `timeout`
    /// for as long as it takes.
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

    /// What [`update`](Self::update) would change; nothing is done. Values of variables, which may be secret, are
    /// hidden.
    ///
    /// # Errors
    /// [`ClientError::Failed`] with everything that is wrong with the configuration.
    pub fn reread(&self) -> Result<Reread, ClientError> {
        self.ask("reread", &[], Pace::WhenDone)
    }

    /// As [`reread`](Self::reread), with the values of variables.
    ///
    /// # Errors
    /// As [`reread`](Self::reread).
    pub fn reread_with_secrets(&self) -> Result<Reread, ClientError> {
        self.ask("reread", &[("secrets", true.into())], Pace::WhenDone)
    }

    /// As [`reread`](Self::reread), of another file than the daemon's own, which the daemon reads: an absolute path.
    /// Only for root and the daemon's own user.
    ///
    /// # Errors
    /// As [`reread`](Self::reread).
    pub fn reread_file(&self, file: &str, secrets: bool) -> Result<Reread, ClientError> {
        self.ask("reread", &[("file", file.into()), ("secrets", secrets.into())], Pace::WhenDone)
    }

    /// Has so many instances of a program, whose file says `numprocs` = 2 or more: what was added is up when the answer
    /// comes, and what is to go has ended. `save`: after a restart of the daemon as well.
    ///
    /// # Errors
    /// [`ClientError::Failed`] where it can't have them, or with those that did not do what they should.
    pub fn scale(&self, program: &str, instances: u32, save: bool) -> Result<Updated, ClientError> {
        self.scale_within(program, instances, save, None)
    }

    /// The same; when the time is over the daemon tells how far it has come.
    pub(crate) fn scale_within(
        &self,
        program: &str,
        instances: u32,
        save: bool,
        timeout: Option<Duration>,
    ) -> Result<Updated, ClientError> {
        let mut fields = vec![("name", program.into()), ("instances", instances.into()), ("save", save.into())];
        fields.extend(timeout.map(|timeout| ("timeout", timeout.as_secs_f64().into())));
        self.ask("scale", &fields, Pace::WhenDone)
    }

    /// What a program is: the settings that it runs with, and where the configuration file sets each of them. Values of
    /// variables and the like, which may be secret, are hidden unless `secrets` asks for them.
    ///
    /// ```no_run
    /// let settings = supervice::client::Controller::default().settings("web", false)?;
    /// for setting in settings.settings.iter().filter(|setting| setting.source.is_some()) {
    ///     println!("{} = {}", setting.key, setting.value);
    /// }
    /// # Ok::<(), supervice::client::ClientError>(())
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Failed`] where there is no such program.
    pub fn settings(&self, name: &str, secrets: bool) -> Result<ProgramSettings, ClientError> {
        self.ask("cat", &[("name", name.into()), ("secrets", secrets.into())], Pace::WhenDone)
    }

    /// Has the daemon read its configuration again and apply all of it: what is new is started (if `autostart`), what
    /// is gone is stopped and removed, what has changed is restarted. What has not changed keeps its process.
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
    /// [`ClientError::Failed`] with everything that is wrong with the configuration (then nothing was changed), or with
    /// the programs that did not do what they should.
    pub fn update(&self, confirm: Option<Duration>) -> Result<Updated, ClientError> {
        self.update_within(confirm, None)
    }

    /// The same; when the time is over the daemon tells how far it has come.
    pub(crate) fn update_within(
        &self,
        confirm: Option<Duration>,
        timeout: Option<Duration>,
    ) -> Result<Updated, ClientError> {
        let given = [("confirm", confirm), ("timeout", timeout)].into_iter();
        let given: Vec<(&str, Value)> =
            given.filter_map(|(key, time)| Some((key, time?.as_secs_f64().into()))).collect();
        self.ask("update", &given, Pace::WhenDone)
    }

    /// Keeps what an [`update`](Self::update) has changed; the daemon's message.
    ///
    /// # Errors
    /// [`ClientError::Failed`] where nothing waits to be confirmed; an update that was to be, and has changed nothing,
    /// is none of these.
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

    /// Who needs whom: of all processes, or of these, what they need and who needs them, directly or not; in the order
    /// of the configuration.
    ///
    /// ```no_run
    /// for process in supervice::client::Controller::default().graph(&["web".to_owned()])? {
    ///     let needs: Vec<String> = process.needs.into_iter().map(|need| need.on).collect();
    ///     println!("{} needs {}", process.name, needs.join(", "));
    /// }
    /// # Ok::<(), supervice::client::ClientError>(())
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Failed`] with the code `NOT_FOUND` where there is no process of one of these names.
    pub fn graph(&self, names: &[String]) -> Result<Vec<GraphItem>, ClientError> {
        let names: Vec<(&str, Value)> = if names.is_empty() { Vec::new() } else { vec![("names", names.into())] };
        self.pages("graph", &names)
    }

    /// How long the starts have taken that were last asked for, what they waited for, and the way to the one that was
    /// ready last: of all processes, or of these and of what they waited for.
    ///
    /// ```no_run
    /// let blame = supervice::client::Controller::default().blame(&[])?;
    /// println!("the start took so long because of {}", blame.critical_path.join(", because of "));
    /// # Ok::<(), supervice::client::ClientError>(())
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Failed`] with the code `NOT_FOUND` where there is no process of one of these names.
    pub fn blame(&self, names: &[String]) -> Result<Blame, ClientError> {
        let names: Vec<(&str, Value)> = if names.is_empty() { Vec::new() } else { vec![("names", names.into())] };
        let mut all: Blame = self.ask("blame", &names, Pace::AtOnce)?;
        while let Some(next) = all.next.take().filter(|next| *next >= all.processes.len()) {
            let mut parameters = names.clone();
            parameters.push(("offset", next.into()));
            let page: Blame = self.ask("blame", &parameters, Pace::AtOnce)?;
            all.processes.extend(page.processes);
            all.next = page.next.filter(|further| *further > next);
        }
        Ok(all)
    }

    /// What whoever calls this may do.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn access(&self) -> Result<Access, ClientError> {
        self.ask("access", &[], Pace::AtOnce)
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

    /// Sets a flag, for which starts may wait (`start_when = flag:NAME`), or clears it; what came of that.
    ///
    /// # Errors
    /// [`ClientError::Failed`] for a name that is none.
    pub fn set_flag(&self, name: &str, is_set: bool) -> Result<String, ClientError> {
        self.act(if is_set { "setflag" } else { "clearflag" }, &[("name", name.into())])
    }

    /// The flags that are set, and those that programs name.
    ///
    /// # Errors
    /// As for [`status`](Self::status).
    pub fn flags(&self) -> Result<Vec<Flag>, ClientError> {
        #[derive(Deserialize)]
        struct Answer {
            flags: Vec<Flag>,
        }
        self.ask("flags", &[], Pace::AtOnce).map(|answer: Answer| answer.flags)
    }

    fn on_terms(&self, command: &str, name: &str, terms: Terms, more: &[(&str, Value)]) -> Result<String, ClientError> {
        self.act(command, &with_terms(("name", name.into()), terms, more))
    }

    fn on_all(
        &self,
        command: &str,
        names: &[String],
        terms: Terms,
        more: &[(&str, Value)],
    ) -> Result<Results, ClientError> {
        #[derive(Deserialize)]
        struct Answer {
            results: Vec<Map<String, Value>>,
            #[serde(default)]
            also: Vec<String>,
        }
        let parameters = with_terms(("names", names.into()), terms, more);
        let Answer { results, also } = self.ask(command, &parameters, Pace::WhenDone)?;
        let text = |answer: &Map<String, Value>, key: &str| answer.get(key).and_then(Value::as_str).map(str::to_owned);
        let results = results.into_iter().map(|answer| {
            let name = text(&answer, "name").unwrap_or_default();
            (name, self.done(answer).map(|answer| text(&answer, "message").unwrap_or_default()))
        });
        Ok(Results { results: results.collect(), also })
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

/// Only what is asked for: an older daemon does not know the others.
fn with_terms<'a>(whom: (&'a str, Value), terms: Terms, more: &[(&'a str, Value)]) -> Vec<(&'a str, Value)> {
    let mut parameters = vec![whom];
    parameters.extend((!terms.wait).then_some(("wait", Value::Bool(false))));
    parameters.extend(terms.timeout.map(|timeout| ("timeout", timeout.as_secs_f64().into())));
    parameters.extend(terms.only.then(|| ("only", true.into())));
    parameters.extend_from_slice(more);
    parameters
}

fn named(name: Option<&str>) -> Vec<(&'static str, Value)> {
    name.map(|name| ("name", name.into())).into_iter().collect()
}
