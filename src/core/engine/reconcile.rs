//! The beginning: what an earlier daemon has left behind is looked for ([`adoption`](super::adoption) decides), and
//! then what is to start with the daemon is started. Commands that come before that is known are held.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Engine;
use super::adoption::{Input, Output, Program};
use super::ledger::Owner;
use super::timers::TimerKey;
use crate::api::{Announcement, Command, ProcId, Request, RequestId};
use crate::core::effect::Effect;
use crate::models::{ProgramConfig, ProgramType};
use crate::process::{self, Initiator, Moment};

/// A command that came before it was known what an earlier daemon has left behind.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EarlyRequest {
    pub(super) request: RequestId,
    /// Somebody still waits for the answer.
    is_awaited: bool,
    by: Initiator,
    command: Arc<Command>,
}

fn program(id: ProcId, config: &ProgramConfig) -> Program {
    Program {
        id,
        name: config.name.clone(),
        reconcile: config.reconcile,
        pid_file: config.pidfile.clone().filter(|_| config.program_type == ProgramType::Forking),
    }
}

impl Engine {
    /// Begins.
    pub(crate) fn begin(&mut self, now: Moment) {
        self.begin_turn(now);
        self.announce(None, Announcement::Begun);
        let programs = self.registry.iter().map(|(id, entry)| program(id, entry.config())).collect();
        let outputs = self.adoption.begin(programs);
        self.perform_adoption(outputs);
        self.end_turn();
    }

    /// A program was added: what an earlier daemon has left of it has to go before it is started.
    pub(super) fn adopt_added(&mut self, id: ProcId) {
        let Some(entry) = self.registry.get(id) else { return };
        let outputs = self.adoption.add(self.now, program(id, entry.config()));
        self.perform_adoption(outputs);
    }

    /// The daemon before has ended in order: nothing is left of it that would have to be looked for.
    pub(crate) fn expect_no_orphans(&mut self) {
        self.adoption.expect_none();
    }

    pub(super) fn adoption_answered(&mut self, mut input: Input) {
        if let Input::PidFiles { named, written_since: _ } = &mut input
            && !named.is_empty()
        {
            // A program that has got another name has left its file to it.
            let own: HashSet<i32> = self.registry.iter().filter_map(|(_, entry)| entry.machine.pid()).collect();
            named.retain(|(_, pid)| !own.contains(pid));
        }
        let outputs = self.adoption.handle(self.now, input);
        self.perform_adoption(outputs);
    }

    pub(super) fn adoption_timer(&mut self) {
        let outputs = self.adoption.handle_timeout(self.now);
        self.perform_adoption(outputs);
    }

    /// Signals what an earlier daemon has left of this program.
    pub(super) fn signal_adopted(&mut self, id: ProcId, signal: u8) {
        let outputs = self.adoption.signal(self.now, id, signal);
        self.perform_adoption(outputs);
    }

    /// The process will never be heard of again.
    pub(super) fn forget_adopted(&mut self, id: ProcId) {
        let outputs = self.adoption.forget(id);
        self.perform_adoption(outputs);
    }

    /// Those that are left alone are told of in the answer to `status`: have it known by the next one which have ended.
    pub(super) fn probe_bystanders(&mut self) {
        let ids = self.registry.ids().into_iter();
        let probes: Vec<Output> = ids.filter_map(|id| self.adoption.probe_noted(id)).collect();
        self.perform_adoption(probes);
    }

    /// It is executed: of what is left alone beside it, some may have been stopped for that.
    pub(super) fn probe_bystanders_of(&mut self, id: ProcId) {
        if let Some(probe) = self.adoption.probe_noted(id) {
            self.perform_adoption(vec![probe]);
        }
    }

    fn perform_adoption(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::ReadPidFiles { .. }
                | Output::Scan
                | Output::Examine { .. }
                | Output::Probe { .. }
                | Output::Signal { .. }
                | Output::Release { .. } => self.effects.push_back(Effect::Adoption(Box::new(output))),
                Output::OrphansFound { id, pid } => self.handle_event(id, process::Event::OrphansFound { pid }),
                Output::Gone { id } => self.handle_event(id, process::Event::GroupEmpty { generation: 0 }),
                Output::Settled => self.settled(),
                Output::Log(note) => self.announce(None, Announcement::Orphans(note)),
            }
        }
        let at = self.adoption.poll_timeout();
        self.timers.set(TimerKey::Adoption, at);
    }

    /// It is known what has to go first: what is to start with the daemon is started, and what was held is done.
    fn settled(&mut self) {
        self.begin_awaited_shutdown();
        if !self.is_ending() {
            let wanted = self.registry.iter().filter(|(_, entry)| entry.config().autostart && !entry.disabled);
            let wanted: Vec<ProcId> = wanted.map(|(id, _)| id).collect();
            self.start_in_order(&wanted, &Initiator::Autostart);
            self.begin_schedules();
        }
        for EarlyRequest { request, is_awaited, by, command } in std::mem::take(&mut self.early) {
            let _ = self.ledger.take(request);
            let token = self.token(request, &by);
            self.command(token, by, command);
            if !is_awaited {
                self.requester_disconnected(request);
            }
        }
    }

    /// Answers a question; does a command, or holds it until it is known what has to go first.
    pub(super) fn request_or_hold(&mut self, request: RequestId, by: Initiator, asked: Request) {
        if let Err(refusal) = self.permit(&by, &asked) {
            let token = self.token(request, &by);
            return self.refuse(token, refusal);
        }
        let ends_the_daemon = |command: &Command| matches!(command, Command::Shutdown | Command::Power(_));
        match asked {
            Request::Command(command) if !self.adoption.is_settled() && !ends_the_daemon(&command) => {
                let command = Arc::new(command);
                let token = self.token(request, &by);
                let request = self.owe(token, Owner::Early);
                self.early.push(EarlyRequest { request, is_awaited: true, by, command });
            }
            asked => self.request(request, by, asked),
        }
    }

    /// Nobody waits for this answer any more; what was asked for is done all the same.
    pub(super) fn early_requester_disconnected(&mut self, request: RequestId) {
        for early in self.early.iter_mut().filter(|early| early.request == request) {
            early.is_awaited = false;
        }
    }
}
