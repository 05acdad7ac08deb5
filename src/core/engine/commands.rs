//! What clients and threads may ask for.

use std::time::Instant;

use crossbeam_channel::Sender;

use super::super::world::{Answer, ProcId, ReplyTo, World};
use super::Engine;
use super::asker::Asker;
use super::jobs::{Goal, JobKind};
use super::reload::Purpose;
use crate::output::StreamKind;
use crate::process::{self, Command, ProcessState, signal_name, signal_number};
use crate::rpc::protocol::{ErrorCode, Report, Request, Terms};
use crate::rpc::server::IncomingRequest;
use crate::util::did_you_mean::closest;

/// Who has asked, and how he wants to be answered.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub reply: ReplyTo,
    pub by: Asker,
    pub terms: Terms,
}

impl Engine {
    /// A client asks.
    pub(super) fn request(&mut self, now: Instant, incoming: IncomingRequest, world: &mut dyn World) {
        let IncomingRequest { conn, peer, request } = incoming;
        let reply = ReplyTo::Connection(conn);
        let Some(what) = wording(&request) else { return self.question(now, request, &reply, world) };
        let by = Asker::client(peer, &*world);
        log::info!("{what}: asked {by}");
        let order = |terms| Order { reply: reply.clone(), by: by.clone(), terms };
        match request {
            Request::Start { name, terms } => self.start(now, &name, order(terms), world),
            Request::Stop { name, terms } => self.stop(now, &name, order(terms), world),
            Request::Restart { name, force, terms } => self.restart(now, &name, force, order(terms), world),
            Request::StartGroup { name, terms } => self.start_group(now, &name, order(terms), world),
            Request::StopGroup { name, terms } => self.stop_group(now, &name, order(terms), world),
            Request::Kill { name, terms } => self.kill(now, &name, order(terms), world),
            Request::Signal { name, signal } => self.signal(now, &name, &signal, &order(Terms::default()), world),
            Request::Update { confirm } => self.request_reload(Purpose::Update { confirm }, reply, by, world),
            Request::Reload => self.request_reload(Purpose::Reload, reply, by, world),
            Request::Confirm => self.confirm(&reply, world),
            Request::Shutdown => {
                world.reply(&reply, Answer::Done("The daemon is shutting down".to_owned()));
                self.terminate(now, world);
            }
            Request::LogLevel { level } => self.log_level(level, &reply, world),
            Request::Clear { name } => {
                if let Some(id) = self.find_or_refuse(&name, &reply, world) {
                    world.clear_logs(id, &name, &reply);
                }
            }
            Request::Power(power) => self.request_power(now, power, &reply, world),
            Request::Reopen => {
                world.reopen_logs();
                world.reply(&reply, Answer::Done("all log files are opened anew".to_owned()));
            }
            // Without a wording: see `question`.
            Request::Status { .. }
            | Request::Tail { .. }
            | Request::Wait { .. }
            | Request::Reread
            | Request::Events { .. }
            | Request::History { .. }
            | Request::Why { .. }
            | Request::Pid { .. }
            | Request::Ping
            | Request::Version => {}
        }
    }

    /// A client wants to know something; nothing of this changes anything.
    fn question(&mut self, now: Instant, request: Request, reply: &ReplyTo, world: &mut dyn World) {
        match request {
            Request::Status { name, offset } => {
                let answer = self.status(now, name.as_deref(), offset.unwrap_or(0), &*world);
                world.reply(reply, answer);
            }
            Request::Tail { name, stderr, amount, follow } => {
                let Some(id) = self.find_or_refuse(&name, reply, world) else { return };
                let stream = if stderr { StreamKind::Stderr } else { StreamKind::Stdout };
                world.tail(id, stream, amount, follow, reply);
            }
            Request::Wait { name, until, timeout } => {
                let Some(id) = self.find_or_refuse(&name, reply, world) else { return };
                let terms = Terms { wait: true, timeout };
                self.wait_for(now, reply.clone(), terms, JobKind::Wait(until), &[(id, Goal::Reach(until))], world);
                if self.is_ending() {
                    self.abandon_waits(world);
                }
            }
            Request::Reread => self.request_reload(Purpose::Reread, reply.clone(), Asker::Daemon(""), world),
            Request::Events { selection, history } => self.listen(now, &selection, history, reply, world),
            Request::History { name } => {
                let answer = self.history(now, name.as_deref(), &*world);
                world.reply(reply, answer);
            }
            Request::Why { name } => {
                if let Some(id) = self.find_or_refuse(&name, reply, world) {
                    self.explain(now, id, reply, world);
                }
            }
            Request::Pid { name } => {
                let answer = self.pid(now, name.as_deref());
                world.reply(reply, answer);
            }
            Request::Ping => world.reply(reply, Answer::report(Report::Pid(own_pid()))),
            Request::Version => world.reply(reply, Answer::report(Report::Version(own_pid()))),
            Request::LogLevel { .. } => self.log_level(None, reply, world),
            // With a wording: see `request`.
            Request::Start { .. }
            | Request::Stop { .. }
            | Request::Restart { .. }
            | Request::StartGroup { .. }
            | Request::StopGroup { .. }
            | Request::Kill { .. }
            | Request::Signal { .. }
            | Request::Update { .. }
            | Request::Confirm
            | Request::Reload
            | Request::Shutdown
            | Request::Clear { .. }
            | Request::Power(_)
            | Request::Reopen => {}
        }
    }

    /// A thread of this program asks.
    pub(super) fn local(
        &mut self,
        now: Instant,
        name: &str,
        command: Command,
        reply: Option<Sender<Answer>>,
        world: &mut dyn World,
    ) {
        let reply = reply.map_or(ReplyTo::Nobody, ReplyTo::Thread);
        let order = Order { reply, by: Asker::Daemon("by the embedding program"), terms: Terms::default() };
        match command {
            Command::Start => self.start(now, name, order, world),
            Command::Stop => self.stop(now, name, order, world),
            Command::Kill => self.kill(now, name, order, world),
        }
    }

    fn start(&mut self, now: Instant, name: &str, order: Order, world: &mut dyn World) {
        let Some(id) = self.find_or_refuse(name, &order.reply, world) else { return };
        if self.refuse_when_ending(&order.reply, world) {
            return;
        }
        let running = |state| matches!(state, ProcessState::Running | ProcessState::Unhealthy);
        let already = self.entries.get(&id).is_some_and(|entry| running(entry.machine.state()));
        self.command(now, id, process::Event::StartRequested, &order.by, world);
        if already {
            return world.reply(&order.reply, Answer::Done(format!("{name} is already running")));
        }
        self.wait_for(now, order.reply, order.terms, JobKind::Start, &[(id, Goal::Up)], world);
    }

    fn stop(&mut self, now: Instant, name: &str, order: Order, world: &mut dyn World) {
        let Some(id) = self.find_or_refuse(name, &order.reply, world) else { return };
        self.command(now, id, process::Event::StopRequested, &order.by, world);
        self.wait_for(now, order.reply, order.terms, JobKind::Stop, &[(id, Goal::Down)], world);
    }

    fn kill(&mut self, now: Instant, name: &str, order: Order, world: &mut dyn World) {
        let Some(id) = self.find_or_refuse(name, &order.reply, world) else { return };
        let Some(entry) = self.entries.get(&id) else { return };
        if entry.is_settled_down() {
            return world.reply(&order.reply, Answer::Done(format!("{name} is not running")));
        }
        if entry.machine.state() == ProcessState::Stopping {
            self.note(now, id, &format!("kill requested {}", order.by));
        }
        self.command(now, id, process::Event::KillRequested, &order.by, world);
        self.wait_for(now, order.reply, order.terms, JobKind::Kill, &[(id, Goal::Down)], world);
    }

    fn restart(&mut self, now: Instant, name: &str, force: bool, order: Order, world: &mut dyn World) {
        let Some(id) = self.find_or_refuse(name, &order.reply, world) else { return };
        if self.refuse_when_ending(&order.reply, world) {
            return;
        }
        self.command(now, id, process::Event::RestartRequested { force }, &order.by, world);
        self.wait_for(now, order.reply, order.terms, JobKind::Restart, &[(id, Goal::Up)], world);
    }

    fn start_group(&mut self, now: Instant, group: &str, order: Order, world: &mut dyn World) {
        let Some(ids) = self.group_or_refuse(group, &order.reply, world) else { return };
        if self.refuse_when_ending(&order.reply, world) {
            return;
        }
        for &id in &ids {
            self.command(now, id, process::Event::StartRequested, &order.by, world);
        }
        let goals: Vec<(ProcId, Goal)> = ids.into_iter().map(|id| (id, Goal::Up)).collect();
        self.wait_for(now, order.reply, order.terms, JobKind::StartGroup(group.to_owned()), &goals, world);
    }

    fn stop_group(&mut self, now: Instant, group: &str, order: Order, world: &mut dyn World) {
        let Some(ids) = self.group_or_refuse(group, &order.reply, world) else { return };
        for &id in &ids {
            self.command(now, id, process::Event::StopRequested, &order.by, world);
        }
        let goals: Vec<(ProcId, Goal)> = ids.into_iter().map(|id| (id, Goal::Down)).collect();
        self.wait_for(now, order.reply, order.terms, JobKind::StopGroup(group.to_owned()), &goals, world);
    }

    /// Sends a signal to the group of the present run.
    fn signal(&mut self, now: Instant, name: &str, signal: &str, order: &Order, world: &mut dyn World) {
        let Some(id) = self.find_or_refuse(name, &order.reply, world) else { return };
        let Some(number) = signal_number(signal) else {
            let message = format!("signal: '{signal}' is no signal; use HUP, USR1, TERM and the like, or a number");
            return world.reply(&order.reply, Answer::Failed { code: ErrorCode::InvalidRequest, message });
        };
        let Some(entry) = self.entries.get(&id) else { return };
        if !entry.machine.has_run() {
            return world.reply(&order.reply, Answer::failed(self.without_process(now, id)));
        }
        let signal = match signal_name(number) {
            Some(name) => format!("SIG{name}"),
            None => format!("signal {number}"),
        };
        world.signal_group(id, number);
        self.note(now, id, &format!("{signal} requested {}", order.by));
        world.reply(&order.reply, Answer::Done(format!("Sent {signal} to {name}")));
    }

    /// The answer to `pid`.
    fn pid(&self, now: Instant, name: Option<&str>) -> Answer {
        let Some(name) = name else { return Answer::report(Report::Pid(own_pid())) };
        let Some(id) = self.find(name) else { return Answer::not_found(self.unknown_process(name)) };
        match self.entries.get(&id).and_then(|entry| entry.machine.pid()) {
            Some(pid) => Answer::report(Report::Pid(pid)),
            None => Answer::failed(self.without_process(now, id)),
        }
    }

    fn without_process(&self, now: Instant, id: ProcId) -> String {
        let Some(entry) = self.entries.get(&id) else { return String::new() };
        format!("{} has no process; it is {}", entry.name(), super::jobs::reached(now, entry))
    }

    fn log_level(&mut self, level: Option<String>, reply: &ReplyTo, world: &mut dyn World) {
        if let Some(level) = level {
            let level = level.trim().to_ascii_uppercase();
            if !world.set_log_level(&level) {
                let message =
                    format!("loglevel: there is no level '{level}'; use DEBUG, INFO, WARNING, ERROR or CRITICAL");
                return world.reply(reply, Answer::Failed { code: ErrorCode::InvalidRequest, message });
            }
            self.settings.loglevel = level;
        }
        world.reply(reply, Answer::report(Report::LogLevel(self.settings.loglevel.clone())));
    }

    /// Tells a process's machine what somebody wants, and remembers who.
    pub(super) fn command(
        &mut self,
        now: Instant,
        id: ProcId,
        event: process::Event,
        by: &Asker,
        world: &mut dyn World,
    ) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.asked = by.clone();
            entry.asked_for = Some((verb(&event), now));
        }
        self.tell(now, id, event, world);
    }

    /// During a shutdown nothing is started any more.
    pub(super) fn refuse_when_ending(&self, reply: &ReplyTo, world: &mut dyn World) -> bool {
        let ending = self.is_ending();
        if ending {
            world.reply(reply, Answer::failed("the daemon is shutting down; nothing is started any more"));
        }
        ending
    }

    fn find_or_refuse(&self, name: &str, reply: &ReplyTo, world: &mut dyn World) -> Option<ProcId> {
        let found = self.find(name);
        if found.is_none() {
            world.reply(reply, Answer::not_found(self.unknown_process(name)));
        }
        found
    }

    fn group_or_refuse(&self, group: &str, reply: &ReplyTo, world: &mut dyn World) -> Option<Vec<ProcId>> {
        let ids = self.members(group);
        if ids.is_empty() {
            let present = self.entries.values().filter(|entry| !entry.leaving);
            let known = present.map(|entry| entry.config().group_name());
            let hint = did_you_mean(closest(group, known));
            world.reply(reply, Answer::not_found(format!("no group '{group}'{hint}")));
            return None;
        }
        Some(ids)
    }

    /// The error for a name that is none.
    pub(super) fn unknown_process(&self, name: &str) -> String {
        if self.roster.id_of(name).is_some() {
            return format!("'{name}' was removed from the configuration and is still stopping");
        }
        if let Some(first) = self.members(name).first().and_then(|id| self.entries.get(id)) {
            let first = first.name();
            return format!("'{name}' is a group; name its members ('{first}' ...), or use startgroup or stopgroup");
        }
        let known = || self.entries.values().filter(|entry| !entry.leaving).map(|entry| entry.name());
        let instances = format!("{name}:");
        if let Some(first) = known().find(|known| known.starts_with(&instances)) {
            return format!("no process '{name}'; its processes are '{first}' ...");
        }
        format!("no process '{name}'{}", did_you_mean(closest(name, known())))
    }
}

/// What the log says of a request that changes something; `None` for one that does not.
fn wording(request: &Request) -> Option<String> {
    let text = match request {
        Request::Start { name, .. } => format!("start {name}"),
        Request::Stop { name, .. } => format!("stop {name}"),
        Request::Restart { name, force: false, .. } => format!("restart {name}"),
        Request::Restart { name, force: true, .. } => format!("restart --force {name}"),
        Request::StartGroup { name, .. } => format!("startgroup {name}"),
        Request::StopGroup { name, .. } => format!("stopgroup {name}"),
        Request::Kill { name, .. } => format!("kill {name}"),
        Request::Signal { name, signal } => format!("signal {signal} {name}"),
        Request::Update { confirm: None } => "update".to_owned(),
        Request::Update { confirm: Some(time) } => format!("update --confirm {}", time.as_secs()),
        Request::Reload => "reload".to_owned(),
        Request::Confirm => "confirm".to_owned(),
        Request::Shutdown => "shutdown".to_owned(),
        Request::LogLevel { level: Some(level) } => format!("loglevel {level}"),
        Request::Clear { name } => format!("clear {name}"),
        Request::Reopen => "reopen".to_owned(),
        Request::Power(power) => power.command().to_owned(),
        Request::LogLevel { level: None }
        | Request::Status { .. }
        | Request::Tail { .. }
        | Request::Wait { .. }
        | Request::Reread
        | Request::Events { .. }
        | Request::History { .. }
        | Request::Why { .. }
        | Request::Pid { .. }
        | Request::Ping
        | Request::Version => return None,
    };
    Some(text)
}

/// What a command asks for, in the machine's words.
fn verb(event: &process::Event) -> &'static str {
    match event {
        process::Event::StartRequested => "start requested",
        process::Event::StopRequested => "stop requested",
        process::Event::KillRequested => "kill requested",
        process::Event::RestartRequested { .. } => "restart requested",
        process::Event::Spawned { .. }
        | process::Event::SpawnFailed { .. }
        | process::Event::Exited { .. }
        | process::Event::GroupEmpty { .. }
        | process::Event::GroupLingers { .. }
        | process::Event::HealthReported { .. }
        | process::Event::OrphansFound { .. }
        | process::Event::ConfigChanged(_) => "nothing",
    }
}

fn own_pid() -> i32 {
    i32::try_from(std::process::id()).unwrap_or(0)
}

fn did_you_mean(name: Option<&str>) -> String {
    match name {
        Some(name) => format!("; did you mean '{name}'?"),
        None => String::new(),
    }
}
