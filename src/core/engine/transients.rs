//! Programs that somebody runs by hand, beside those of the configuration: supervised as any other, no part of what a
//! reload compares, and gone when they have ended and somebody was told so. And clients that are attached to a run.
//!
//! Their settings are read by a thread, as the configuration is: a user's name may have to be looked up. What a run
//! writes goes from the output thread to the client; the engine answers when the run has ended, behind all that was
//! written.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::goals::Goal;
use super::ledger::{Owner, ReplyToken};
use super::transient::Transient;
use super::waiters::WaitKind;
use super::{Engine, Entry};
use crate::api::{
    Answer, ProcId, Refusal, ReloadFailure, Reply, RequestId, Run, RunRefusal, Terms, Unreached, WaitFor,
};
use crate::config::Configuration;
use crate::core::effect::{Attached, Effect, OutputJob};
use crate::models::{ProgramConfig, WindowSize};
use crate::process::{Generation, Initiator, ProcessState};

/// The most runs that may wait for their settings to be read: this bounds the threads that hang.
const MAX_READING: usize = 8;

/// The most ended runs that are kept when nobody has asked for them.
const MAX_UNSEEN: usize = 32;

/// Somebody who wants to run a program, whose settings are being read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PendingRun {
    request: RequestId,
    /// Somebody still waits for the answer.
    is_awaited: bool,
    by: Initiator,
    run: Arc<Run>,
}

/// See the [module](self).
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Transients {
    pending: Vec<PendingRun>,
    /// The number in the name of the last one that was given none.
    last: u32,
}

impl Transients {
    /// Whether this request is answered when its settings have been read.
    pub(super) fn answers(&self, request: RequestId) -> bool {
        self.pending.iter().any(|pending| pending.request == request)
    }
}

impl Engine {
    /// Somebody wants to run a program.
    pub(super) fn run(&mut self, token: ReplyToken, run: &Arc<Run>, by: Initiator) {
        let refused = |why| Refusal::Run { name: run.name.clone(), why };
        if self.is_ending() {
            return self.refuse(token, Refusal::ShuttingDown);
        }
        if self.transients.pending.len() >= MAX_READING {
            return self.refuse(token, refused(RunRefusal::TooMany));
        }
        if let Some(why) = run.name.as_deref().and_then(|name| self.name_taken(name)) {
            return self.refuse(token, refused(why));
        }
        let name = run.name.clone().unwrap_or_else(|| self.next_name());
        let request = self.owe(token, Owner::Run);
        self.transients.pending.push(PendingRun { request, is_awaited: true, by, run: Arc::clone(run) });
        self.effects.push_back(Effect::ReadRun { request, name, run: Arc::clone(run) });
    }

    /// Nobody waits for it any more: it is not run.
    pub(super) fn run_requester_disconnected(&mut self, request: RequestId) {
        for pending in self.transients.pending.iter_mut().filter(|pending| pending.request == request) {
            pending.is_awaited = false;
        }
    }

    /// Its settings were read, or are no good.
    pub(super) fn run_read(&mut self, request: RequestId, result: Result<Box<ProgramConfig>, String>) {
        let place = self.transients.pending.iter().position(|pending| pending.request == request);
        let Some(PendingRun { is_awaited, by, run, .. }) = place.map(|place| self.transients.pending.remove(place))
        else {
            return;
        };
        let Some(token) = self.ledger.take(request).filter(|_| is_awaited) else { return };
        let refused = |name: &str, why| Refusal::Run { name: Some(name.to_owned()), why };
        let program = match result {
            Ok(program) => program,
            Err(faults) => {
                return self.refuse(token, Refusal::Run { name: run.name.clone(), why: RunRefusal::Settings(faults) });
            }
        };
        if self.is_ending() {
            return self.refuse(token, Refusal::ShuttingDown);
        }
        // It may have been taken meanwhile.
        if let Some(why) = self.name_taken(&program.name) {
            return self.refuse(token, refused(&program.name, why));
        }
        self.forget_unseen(Some(&program.name));
        let id = self.add(Arc::from(program));
        if let Some(entry) = self.registry.get_mut(id) {
            entry.transient = Some(Transient::default());
            // That is of a program of the configuration with this name.
            entry.disabled = false;
        }
        self.rebuild_graph();
        self.begin_run(token, id, &run, &by);
    }

    fn begin_run(&mut self, token: ReplyToken, id: ProcId, run: &Run, by: &Initiator) {
        let Some(config) = self.registry.get(id).map(|entry| Arc::clone(entry.config())) else {
            return self.refuse(token, Refusal::Internal);
        };
        let name = config.name.clone();
        if !run.attached {
            self.start_in_order(&[id], by);
            let terms = Terms { timeout: run.timeout, ..Terms::default() };
            return self.wait_for(Some(token), terms, WaitKind::Run { name }, &[(id, Goal::Up)]);
        }
        // Before it is executed: nothing of what it writes is missing, and its terminal has its size from the
        // beginning.
        let token =
            self.attach_to(token, id, Attached { name: name.clone(), has_terminal: config.tty, size: run.size });
        self.start_in_order(&[id], by);
        self.wait_for_end(token, id, name, 0);
    }

    /// Somebody sits down at the terminal of a run.
    pub(super) fn attach(&mut self, token: ReplyToken, name: &str, size: Option<WindowSize>) {
        let id = match self.registry.find_or_refuse(name) {
            Ok(id) => id,
            Err(refusal) => return self.refuse(token, refusal),
        };
        let Some(entry) = self.registry.get(id) else { return self.refuse(token, Refusal::Internal) };
        let machine = &entry.machine;
        if machine.pid().is_none() || machine.state() == ProcessState::Stopping {
            let reached = entry.reached(self.now);
            return self.refuse(token, Refusal::NotRunning { name: name.to_owned(), reached });
        }
        if !machine.run_config().is_some_and(|config| config.tty) {
            return self.refuse(token, Refusal::NoTerminal { name: name.to_owned() });
        }
        let before = machine.generation().saturating_sub(1);
        let token = self.attach_to(token, id, Attached { name: name.to_owned(), has_terminal: true, size });
        self.wait_for_end(token, id, name.to_owned(), before);
    }

    fn attach_to(&mut self, token: ReplyToken, id: ProcId, attached: Attached) -> ReplyToken {
        let request = token.request();
        self.effects.push_back(Effect::Attach { request, id, attached: Box::new(attached) });
        token
    }

    fn wait_for_end(&mut self, token: ReplyToken, id: ProcId, name: String, after: Generation) {
        let kind = WaitKind::Attached { name, after };
        self.wait_for(Some(token), Terms::default(), kind, &[(id, Goal::Reach(WaitFor::Exited))]);
    }

    /// The run that somebody was attached to has ended, or never began: the answer follows all its output.
    pub(super) fn report_end(&mut self, token: ReplyToken, id: ProcId, name: String, after: Generation) {
        let entry = self.registry.get(id);
        let ended = entry.and_then(|entry| entry.machine.last_run()).filter(|run| run.generation > after);
        let answer: Answer = match (ended, entry) {
            (Some(run), _) => Ok(Reply::RunEnded { name, exit: run.exit }),
            (None, Some(entry)) => {
                let why = Unreached::Reached(entry.reached(self.now));
                Err(Refusal::WaitFailed { name, until: WaitFor::Running, why, timed_out: false })
            }
            (None, None) => Err(Refusal::Internal),
        };
        self.delegate(token, OutputJob::AfterOutput { answer: Box::new(answer) });
    }

    /// Whether this is a program that somebody runs by hand.
    pub(super) fn is_transient(&self, name: &str) -> bool {
        let entry = self.registry.id_of(name).and_then(|id| self.registry.get(id));
        entry.is_some_and(Entry::is_transient)
    }

    /// Somebody is told of the state of this process.
    pub(super) fn note_seen(&mut self, id: ProcId) {
        let Some(entry) = self.registry.get_mut(id) else { return };
        let state = entry.machine.state();
        let Some(transient) = &mut entry.transient else { return };
        let ended = [ProcessState::Stopped, ProcessState::Exited, ProcessState::Fatal, ProcessState::Backoff];
        transient.seen |= ended.contains(&state);
        self.review_transient(id);
        self.remove_departed(id);
    }

    /// One that has ended for good, and of which somebody knows that, goes.
    pub(super) fn review_transient(&mut self, id: ProcId) {
        let Some(entry) = self.registry.get_mut(id) else { return };
        if entry.transient == Some(Transient { seen: true }) && entry.is_settled_down() {
            entry.leaving = true;
        }
    }

    /// Its next run begins: nobody knows how that ends.
    pub(super) fn transient_begins(&mut self, id: ProcId) {
        if let Some(transient) = self.registry.get_mut(id).and_then(|entry| entry.transient.as_mut()) {
            transient.seen = false;
        }
    }

    /// Those that have ended and that nobody has asked for make room: the one of this name, and the oldest of too many.
    fn forget_unseen(&mut self, name: Option<&str>) {
        let unseen = self.registry.iter().filter(|(_, entry)| entry.transient.is_some() && entry.is_settled_down());
        let unseen: Vec<(ProcId, bool)> = unseen.map(|(id, entry)| (id, Some(entry.name()) == name)).collect();
        let too_many = (unseen.len() + 1).saturating_sub(MAX_UNSEEN);
        for (place, (id, is_it)) in unseen.into_iter().enumerate() {
            if is_it || place < too_many {
                self.note_seen(id);
            }
        }
    }

    /// Why no program may be run by this name; of one that has ended it may.
    fn name_taken(&self, name: &str) -> Option<RunRefusal> {
        let kept = self.commit.names_before();
        if kept.is_some_and(|before| before.iter().any(|program| program.name == name || program.group_name() == name))
        {
            return Some(RunRefusal::Configured);
        }
        match self.registry.id_of(name).and_then(|id| self.registry.get(id)) {
            Some(entry) if entry.transient.is_none() => Some(RunRefusal::Configured),
            Some(entry) if !entry.is_settled_down() => Some(RunRefusal::InUse),
            Some(_) => None,
            None => self.registry.members_or_refuse(name).is_ok().then_some(RunRefusal::Configured),
        }
    }

    fn next_name(&mut self) -> String {
        loop {
            self.transients.last = self.transients.last.wrapping_add(1);
            let name = format!("run-{}", self.transients.last);
            if self.registry.id_of(&name).is_none() && self.name_taken(&name).is_none() {
                return name;
            }
        }
    }

    /// Why this configuration can't be brought about: a program that somebody runs by hand has a name that it gives to
    /// another. Those that have ended are forgotten.
    pub(super) fn taken_by_transient(&mut self, new: &Configuration) -> Option<ReloadFailure> {
        let ended = self.transients_in(new).filter(|(_, entry)| entry.is_settled_down()).map(|(id, _)| id);
        for id in ended.collect::<Vec<ProcId>>() {
            self.note_seen(id);
        }
        self.obstacle_by_transient(new).map(|text| ReloadFailure::Config(text.into()))
    }

    /// The same in words, for those who only ask.
    pub(super) fn obstacle_by_transient(&self, new: &Configuration) -> Option<String> {
        let (_, entry) = self.transients_in(new).find(|(_, entry)| !entry.is_settled_down())?;
        let name = entry.name();
        Some(format!("'{name}' was started by supervicectl run; stop it first (supervicectl stop {name})"))
    }

    /// The programs that somebody runs by hand, and whose names this configuration gives to others.
    fn transients_in<'a>(&'a self, new: &'a Configuration) -> impl Iterator<Item = (ProcId, &'a Entry)> {
        let is_named =
            |name: &str| new.programs.iter().any(|program| program.name == name || program.group_name() == name);
        self.registry.iter().filter(move |(_, entry)| entry.transient.is_some() && is_named(entry.name()))
    }

    /// The daemon ends: nothing is run any more.
    pub(super) fn abandon_runs(&mut self) {
        for pending in std::mem::take(&mut self.transients.pending) {
            if let Some(token) = self.ledger.take(pending.request).filter(|_| pending.is_awaited) {
                self.refuse(token, Refusal::ShuttingDown);
            }
        }
    }
}
