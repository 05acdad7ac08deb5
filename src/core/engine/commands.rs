//! What clients and threads may ask for.

use std::time::Instant;

use crossbeam_channel::Sender;

use super::super::world::{Answer, ProcId, ReplyTo, World};
use super::Engine;
use super::jobs::{Goal, JobKind};
use crate::output::StreamKind;
use crate::process::{self, Command, ProcessState};
use crate::rpc::protocol::Request;
use crate::rpc::server::IncomingRequest;
use crate::suggest::closest;

impl Engine {
    /// A client asks.
    pub(super) fn request(&mut self, now: Instant, incoming: IncomingRequest, world: &mut dyn World) {
        let IncomingRequest { conn, peer, request } = incoming;
        let reply = ReplyTo::Connection(conn);
        let what = match &request {
            Request::Status { name, offset } => {
                let answer = self.status(now, name.as_deref(), offset.unwrap_or(0), world);
                return world.reply(&reply, answer);
            }
            Request::Start { name } => format!("start {name}"),
            Request::Stop { name } => format!("stop {name}"),
            Request::Restart { name, force: false } => format!("restart {name}"),
            Request::Restart { name, force: true } => format!("restart --force {name}"),
            Request::StartGroup { name } => format!("startgroup {name}"),
            Request::StopGroup { name } => format!("stopgroup {name}"),
            Request::Reload => "reload".to_owned(),
            Request::Tail { name, stderr, amount, follow } => {
                let Some(id) = self.find_or_refuse(name, &reply, world) else { return };
                let stream = if *stderr { StreamKind::Stderr } else { StreamKind::Stdout };
                return world.tail(id, stream, *amount, *follow, &reply);
            }
            Request::Clear { name } => format!("clear {name}"),
            Request::Reopen => "reopen".to_owned(),
        };
        log::info!("{what}: asked by uid {}, pid {}", peer.uid, peer.pid);
        match request {
            Request::Status { .. } | Request::Tail { .. } => {}
            Request::Start { name } => self.start(now, &name, reply, world),
            Request::Stop { name } => self.stop(now, &name, reply, process::Event::StopRequested, world),
            Request::Restart { name, force } => self.restart(now, &name, force, reply, world),
            Request::StartGroup { name } => self.start_group(now, &name, reply, world),
            Request::StopGroup { name } => self.stop_group(now, &name, reply, world),
            Request::Reload => self.request_reload(reply, world),
            Request::Clear { name } => {
                if let Some(id) = self.find_or_refuse(&name, &reply, world) {
                    world.clear_logs(id, &name, &reply);
                }
            }
            Request::Reopen => {
                world.reopen_logs();
                world.reply(&reply, Answer::Done("all log files are opened anew".to_owned()));
            }
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
        match command {
            Command::Start => self.start(now, name, reply, world),
            Command::Stop => self.stop(now, name, reply, process::Event::StopRequested, world),
            Command::Kill => self.stop(now, name, reply, process::Event::KillRequested, world),
        }
    }

    fn start(&mut self, now: Instant, name: &str, reply: ReplyTo, world: &mut dyn World) {
        let Some(id) = self.find_or_refuse(name, &reply, world) else { return };
        if self.refuse_when_ending(&reply, world) {
            return;
        }
        let running = |state| matches!(state, ProcessState::Running | ProcessState::Unhealthy);
        let already = self.entries.get(&id).is_some_and(|entry| running(entry.machine.state()));
        self.tell(now, id, process::Event::StartRequested, world);
        if already {
            return world.reply(&reply, Answer::Done(format!("{name} is already running")));
        }
        self.wait_for(now, reply, JobKind::Start, &[(id, Goal::Up)], world);
    }

    fn stop(&mut self, now: Instant, name: &str, reply: ReplyTo, event: process::Event, world: &mut dyn World) {
        let Some(id) = self.find_or_refuse(name, &reply, world) else { return };
        self.tell(now, id, event, world);
        self.wait_for(now, reply, JobKind::Stop, &[(id, Goal::Down)], world);
    }

    fn restart(&mut self, now: Instant, name: &str, force: bool, reply: ReplyTo, world: &mut dyn World) {
        let Some(id) = self.find_or_refuse(name, &reply, world) else { return };
        if self.refuse_when_ending(&reply, world) {
            return;
        }
        self.tell(now, id, process::Event::RestartRequested { force }, world);
        self.wait_for(now, reply, JobKind::Restart, &[(id, Goal::Up)], world);
    }

    fn start_group(&mut self, now: Instant, group: &str, reply: ReplyTo, world: &mut dyn World) {
        let Some(ids) = self.group_or_refuse(group, &reply, world) else { return };
        if self.refuse_when_ending(&reply, world) {
            return;
        }
        for &id in &ids {
            self.tell(now, id, process::Event::StartRequested, world);
        }
        let goals: Vec<(ProcId, Goal)> = ids.into_iter().map(|id| (id, Goal::Up)).collect();
        self.wait_for(now, reply, JobKind::StartGroup(group.to_owned()), &goals, world);
    }

    fn stop_group(&mut self, now: Instant, group: &str, reply: ReplyTo, world: &mut dyn World) {
        let Some(ids) = self.group_or_refuse(group, &reply, world) else { return };
        for &id in &ids {
            self.tell(now, id, process::Event::StopRequested, world);
        }
        let goals: Vec<(ProcId, Goal)> = ids.into_iter().map(|id| (id, Goal::Down)).collect();
        self.wait_for(now, reply, JobKind::StopGroup(group.to_owned()), &goals, world);
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
        if !self.members(name).is_empty() {
            return format!("'{name}' is a group; use startgroup or stopgroup, or the name of a member");
        }
        let known = self.entries.values().filter(|entry| !entry.leaving).map(|entry| entry.name());
        format!("no process '{name}'{}", did_you_mean(closest(name, known)))
    }
}

fn did_you_mean(name: Option<&str>) -> String {
    match name {
        Some(name) => format!("; did you mean '{name}'?"),
        None => String::new(),
    }
}
