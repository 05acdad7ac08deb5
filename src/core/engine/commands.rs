//! What clients and threads may ask for.

use std::sync::Arc;

use super::Engine;
use super::goals::Goal;
use super::in_order::Dependants;
use super::ledger::{Owner, ReplyToken};
use super::reload::Purpose;
use super::waiters::WaitKind;
use crate::api::{
    Act, Announcement, Command, DaemonFacts, LogLevel, LogSource, ProcId, Query, Refusal, Reply, Request, RequestId,
    Selector, Terms, WaitFor, Watch,
};
use crate::core::effect::{Effect, OutputJob, Signal};
use crate::failpoint;
use crate::models::{Right, StreamKind};
use crate::process::{self, Cause, Desired, Initiator, ProcessState, SignalTarget, Verb};

/// A command on processes: who asked, and how he wants to be answered. Without a token nobody waits for the answer.
pub(super) struct CommandContext {
    pub(super) token: ReplyToken,
    pub(super) by: Initiator,
    pub(super) terms: Terms,
}

impl Engine {
    /// Somebody asks.
    pub(super) fn request(&mut self, id: RequestId, by: Initiator, request: Request) {
        let token = self.token(id, &by);
        if self.finished().is_some() {
            // What waits was told of the end already; nobody would tell this one.
            return self.refuse(token, Refusal::ShuttingDown);
        }
        match request {
            Request::Query(query) => self.query(token, &by, query),
            Request::Watch(watch) => self.watch(token, by, watch),
            Request::Command(command) => self.command(token, by, Arc::new(command)),
        }
    }

    /// Answered within the turn; changes nothing.
    fn query(&mut self, token: ReplyToken, by: &Initiator, query: Query) {
        if is_about_states(&query) {
            self.probe_bystanders();
        }
        #[cfg(feature = "attach")]
        let seen: Vec<ProcId> = names_seen(&query).iter().filter_map(|name| self.registry.find(name)).collect();
        let visibility = self.visibility(by);
        let answer = match query {
            Query::Status { name, offset } => {
                let (now, ending) = (self.now, self.is_ending());
                self.rows(name.as_deref(), offset, &visibility).map(|rows| Reply::Status { rows, offset, now, ending })
            }
            #[cfg(feature = "xmlrpc")]
            Query::Find { names, right } => {
                let (rows, now, ending) = (self.rows_found(&names, right, &visibility), self.now, self.is_ending());
                Ok(Reply::Found { rows, now, ending })
            }
            Query::History { name } => self.history(name.as_deref(), &visibility).map(Reply::History),
            Query::Graph { names, offset } => {
                self.graph_rows(&names, offset, &visibility).map(|rows| Reply::Graph { rows, offset, now: self.now })
            }
            Query::Blame { names, offset } => {
                self.blame(&names, offset, &visibility).map(|blame| Reply::Blame(Box::new(blame)))
            }
            Query::Pid { name } => self.pid(name.as_deref()),
            Query::Ping => Ok(Reply::Pid(self.own_pid)),
            Query::Version => Ok(Reply::Version(self.own_pid)),
            Query::LogLevel => Ok(Reply::LogLevel(self.log_level().to_owned())),
            Query::Flags => Ok(Reply::Flags(self.flag_rows(&visibility))),
            Query::Daemon => Ok(Reply::Daemon(Box::new(DaemonFacts {
                pid: self.own_pid,
                identifier: self.settings.identifier.clone(),
                ending: self.is_ending(),
            }))),
            Query::Configuration => Ok(Reply::Configuration(self.configuration(by))),
            Query::Access => Ok(self.access_table(by)),
            #[cfg(feature = "http")]
            Query::Readiness => Ok(self.unready(by)),
        };
        self.answer(token, answer);
        #[cfg(feature = "attach")]
        for id in seen {
            self.note_seen(id);
        }
    }

    /// Answered later, or bit by bit; changes nothing.
    fn watch(&mut self, token: ReplyToken, by: Initiator, watch: Watch) {
        match watch {
            Watch::Wait { name, until, timeout } => {
                let terms = Terms { timeout, ..Terms::default() };
                self.wait_until(token, name, until, terms);
            }
            Watch::Events { kinds, history } => {
                let past = self.past_events(kinds, history, &self.visibility(&by));
                let request = self.owe(token, Owner::Follower);
                let reader = self.reader(&by);
                self.effects.push_back(Effect::Follow { request, kinds, past, reader });
            }
            Watch::Tail { name, stream, amount, follow } => match self.registry.find_or_refuse(&name) {
                Ok(id) => self.delegate(token, OutputJob::Tail { id, stream, amount, follow }),
                Err(refusal) => self.refuse(token, refusal),
            },
            Watch::ReadLog { source: LogSource::Process { name, stream }, from, length } => {
                match self.registry.find_or_refuse(&name) {
                    Ok(id) => self.delegate(token, OutputJob::Read { id, stream, from, length }),
                    Err(refusal) => self.refuse(token, refusal),
                }
            }
            Watch::ReadLog { source: LogSource::Daemon, from, length } => {
                self.delegate(token, OutputJob::ReadDaemonLog { from, length });
            }
            #[cfg(feature = "xmlrpc")]
            Watch::FollowDaemonLog { bytes } => self.delegate(token, OutputJob::FollowDaemonLog { bytes }),
            #[cfg(feature = "http")]
            Watch::Metrics => {
                self.probe_bystanders();
                let job = self.metrics_job(&by);
                self.delegate(token, OutputJob::Metrics(Box::new(job)));
            }
            Watch::Reread { secrets, file } => self.reread_file(token, secrets, file, by),
            Watch::Settings { name, secrets } => match self.registry.find_or_refuse(&name) {
                #[cfg(feature = "attach")]
                Ok(_) if self.is_transient(&name) => self.answer_settings_of_run(token, &name, secrets),
                Ok(_) => self.load_configuration(Some(token), Purpose::Settings { name, secrets }, by),
                Err(refusal) => self.refuse(token, refusal),
            },
            Watch::Why { name } => match self.registry.find_or_refuse(&name) {
                Ok(id) => self.why(token, id, &by),
                Err(refusal) => self.refuse(token, refusal),
            },
        }
    }

    fn why(&mut self, token: ReplyToken, id: ProcId, by: &Initiator) {
        self.probe_bystanders();
        let Some(mut why) = self.explain(id) else { return self.refuse(token, Refusal::Internal) };
        self.visibility(by).redact_why(&mut why);
        if !self.may(by, Right::Logs, &why.program.name) {
            why.last_words = None;
            return self.reply(token, Reply::Why(Box::new(why)));
        }
        let stream = if why.program.redirect_stderr { StreamKind::Stdout } else { StreamKind::Stderr };
        self.delegate(token, OutputJob::Why { id, stream, why: Box::new(why) });
    }

    fn wait_until(&mut self, token: ReplyToken, name: String, until: WaitFor, terms: Terms) {
        match self.registry.find_or_refuse(&name) {
            Ok(id) => self.wait_for(Some(token), terms, WaitKind::Wait { name, until }, &[(id, Goal::Reach(until))]),
            Err(refusal) => return self.refuse(token, refusal),
        }
        if self.is_ending() {
            self.abandon_waits();
        }
    }

    /// Changes something.
    pub(super) fn command(&mut self, token: ReplyToken, by: Initiator, command: Arc<Command>) {
        // What the embedding program does it may log itself.
        if by.is_client() && !self.continues_stdin(&by, &command) {
            self.announce(None, Announcement::Asked { command: Arc::clone(&command), by: by.clone() });
            self.deliver_announcements();
        }
        failpoint::hit("command", || format!("{command:?}"));
        match &*command {
            Command::Act { act, on, terms } => {
                let context = CommandContext { token, by, terms: *terms };
                self.act(*act, on.clone(), context);
            }
            Command::EndRun { name } => self.end_run(name, CommandContext { token, by, terms: Terms::default() }),
            Command::Signal { name, signal, target } => self.signal(token, name, *signal, *target, by),
            Command::Pause { name } => self.pause(token, name, by),
            Command::Resume { name } => self.resume(token, name, by),
            Command::SetEnabled { name, enabled } => self.enable_or_disable(token, name, *enabled, by),
            Command::ReloadProcess { name } => self.reload_process(token, name, by),
            Command::Scale { program, instances, save, timeout } => {
                self.scale(token, program, (*instances, *save), *timeout, by);
            }
            Command::Reload { timeout } => {
                self.load_configuration(Some(token), Purpose::Reload { timeout: *timeout }, reload_by(by));
            }
            Command::Update { confirm, timeout } => {
                let purpose = Purpose::Update { confirm: *confirm, timeout: *timeout };
                self.load_configuration(Some(token), purpose, reload_by(by));
            }
            Command::Confirm => self.confirm(token),
            Command::SetLogLevel { level } => self.set_log_level(token, *level),
            Command::SetFlag { name, is_set } => self.set_flag(token, name, *is_set),
            Command::ClearLogs { name } => match self.registry.find_or_refuse(name) {
                Ok(id) => self.delegate(token, OutputJob::Clear { id, name: name.clone() }),
                Err(refusal) => self.refuse(token, refusal),
            },
            Command::Stdin { name, bytes } => self.stdin(token, name, bytes),
            #[cfg(feature = "attach")]
            Command::Run(run) => self.run(token, run, by),
            #[cfg(feature = "attach")]
            Command::Attach { name, size } => self.attach(token, name, *size),
            Command::ClearDaemonLog => self.delegate(token, OutputJob::ClearDaemonLog),
            Command::ReadConfiguration => self.load_configuration(Some(token), Purpose::Read, by),
            Command::AddGroup { name } => self.add_group(token, name, reload_by(by)),
            Command::RemoveGroup { name } => self.remove_group(token, name, reload_by(by)),
            Command::RemoteEvent { kind, data } => {
                let event = Announcement::RemoteEvent { kind: kind.as_str().into(), data: data.as_str().into() };
                self.announce(None, event);
                self.reply(token, Reply::EventSent);
            }
            Command::RestartDaemon => self.restart_daemon(token),
            Command::ReopenLogs => {
                self.effects.push_back(Effect::ReopenLogs);
                self.reply(token, Reply::LogsReopened);
            }
            Command::Shutdown => self.shut_down(token, &by),
            Command::Power(power) => self.request_power(token, *power),
        }
    }

    fn act(&mut self, act: Act, on: Selector, context: CommandContext) {
        match self.instances_to_make(act, &on, context.terms) {
            Some(purpose) => self.load_configuration(Some(context.token), purpose, context.by),
            None => self.act_on(act, on, context),
        }
    }

    /// As [`act`](Self::act), on what is there.
    pub(super) fn act_on(&mut self, act: Act, on: Selector, context: CommandContext) {
        let found = match &on {
            Selector::Process(name) => self.registry.find_or_refuse(name).map(|id| vec![id]),
            Selector::Group(group) => self.registry.members_or_refuse(group),
            Selector::Processes(_) => Ok(Vec::new()),
        };
        let ids = match found {
            Ok(ids) => ids,
            Err(refusal) => return self.refuse(context.token, refusal),
        };
        let goal = Goal::of(act);
        if goal == Goal::Up && self.is_ending() {
            return self.refuse(context.token, Refusal::ShuttingDown);
        }
        let already = match on {
            Selector::Processes(names) => return self.act_on_each(act, names, context),
            Selector::Process(ref name) => self.is_already(act, &ids).then(|| name.clone()),
            Selector::Group(_) => None,
        };
        let CommandContext { token, by, terms } = context;
        let dependants = match act {
            Act::Start => {
                self.start_in_order(&ids, &by);
                Vec::new()
            }
            Act::Kill | Act::Restart { .. } if already.is_some() => Vec::new(),
            Act::Stop | Act::Kill | Act::Restart { .. } => self.act_for_client(act, &ids, &by, terms),
        };
        self.note_request(act, &ids, &dependants);
        // Those that need what does not run may have to stop all the same.
        if let Some(name) = already.filter(|_| dependants.is_empty()) {
            return self.reply(token, Reply::AlreadyThere { act, name });
        }
        let also = self.names_shown_to(&by, &dependants);
        let named = ids.len();
        let goals: Vec<(ProcId, Goal)> = ids.into_iter().chain(dependants).map(|id| (id, goal)).collect();
        self.wait_for(Some(token), terms, WaitKind::Act { act, on, named, also }, &goals);
    }

    /// Stops, kills or restarts these for somebody who has named them. Returns who goes with them.
    pub(super) fn act_for_client(&mut self, act: Act, ids: &[ProcId], by: &Initiator, terms: Terms) -> Dependants {
        let dependants = self.act_in_order(act, ids, by, terms.only);
        if terms.only {
            self.perform_alone(ids);
        }
        dependants
    }

    /// Ends the present run; the next one begins at once where the process is meant to run.
    fn end_run(&mut self, name: &str, context: CommandContext) {
        let id = match self.registry.find_or_refuse(name) {
            Ok(id) => id,
            Err(refusal) => return self.refuse(context.token, refusal),
        };
        let machine = self.registry.get(id).map(|entry| &entry.machine);
        let has_run = machine.is_some_and(|machine| machine.is_engaged());
        let is_wanted = machine.is_some_and(|machine| machine.desired() == Desired::Up);
        let act = match (has_run, is_wanted) {
            (false, _) => {
                let already = Reply::AlreadyThere { act: Act::Stop, name: name.to_owned() };
                return self.reply(context.token, already);
            }
            (true, true) => Act::Restart { force: false },
            (true, false) => Act::Stop,
        };
        self.act(act, Selector::Process(name.to_owned()), context);
    }

    /// Whether this process is where the command would bring it.
    pub(super) fn is_already(&self, act: Act, ids: &[ProcId]) -> bool {
        let Some((id, entry)) = ids.first().and_then(|id| Some((id, self.registry.get(*id)?))) else { return false };
        match act {
            // What is only held back from its end is not there to stay.
            Act::Start => {
                let is_up = matches!(entry.machine.state(), ProcessState::Running | ProcessState::Unhealthy);
                (is_up || entry.machine.is_up()) && !self.is_held(*id)
            }
            Act::Kill => entry.is_settled_down(),
            Act::Stop => entry.machine.state() == ProcessState::Stopped && !self.is_held(*id),
            Act::Restart { .. } => false,
        }
    }

    pub(super) fn do_act(&mut self, act: Act, id: ProcId, by: &Initiator) {
        let by = by.clone();
        let event = match act {
            Act::Start => process::Event::StartRequested { by },
            Act::Stop => process::Event::StopRequested { by },
            Act::Restart { force } => process::Event::RestartRequested { force, by },
            Act::Kill => {
                let stopping = |entry: &super::Entry| entry.machine.state() == ProcessState::Stopping;
                if self.registry.get(id).is_some_and(stopping) {
                    self.note(id, Cause::Requested { verb: Verb::Kill, by: by.clone(), remains_of: None });
                }
                process::Event::KillRequested { by }
            }
        };
        self.handle_event(id, event);
    }

    /// Sends a signal to the present run.
    fn signal(&mut self, token: ReplyToken, name: &str, number: u8, target: SignalTarget, by: Initiator) {
        let id = match self.registry.find_or_refuse(name) {
            Ok(id) => id,
            Err(refusal) => return self.refuse(token, refusal),
        };
        let Some(entry) = self.registry.get(id) else { return self.refuse(token, Refusal::Internal) };
        let is_there = match target {
            SignalTarget::Leader => entry.machine.pid().is_some(),
            SignalTarget::Group => entry.machine.has_run(),
        };
        if !is_there {
            let reached = entry.reached(self.now);
            return self.refuse(token, Refusal::NotRunning { name: name.to_owned(), reached });
        }
        let generation = entry.machine.generation();
        self.send_signal(id, generation, Signal { number, target, resume: false });
        self.note(id, Cause::SignalRequested { signal: number, target, by });
        self.reply(token, Reply::SignalSent { name: name.to_owned(), signal: number, target });
    }

    /// Writes to the standard input of the present run. One that is being stopped takes nothing any more.
    fn stdin(&mut self, token: ReplyToken, name: &str, bytes: &Arc<[u8]>) {
        let id = match self.registry.find_or_refuse(name) {
            Ok(id) => id,
            Err(refusal) => return self.refuse(token, refusal),
        };
        let Some(entry) = self.registry.get(id) else { return self.refuse(token, Refusal::Internal) };
        if entry.machine.pid().is_none() || entry.machine.state() == ProcessState::Stopping {
            let reached = entry.reached(self.now);
            return self.refuse(token, Refusal::NotRunning { name: name.to_owned(), reached });
        }
        self.delegate(token, OutputJob::Stdin { id, name: name.to_owned(), bytes: Arc::clone(bytes) });
    }

    fn pid(&self, name: Option<&str>) -> Result<Reply, Refusal> {
        let Some(name) = name else { return Ok(Reply::Pid(self.own_pid)) };
        let id = self.registry.find_or_refuse(name)?;
        let Some(entry) = self.registry.get(id) else { return Err(Refusal::Internal) };
        match entry.machine.pid() {
            Some(pid) => Ok(Reply::Pid(pid)),
            None => Err(Refusal::NotRunning { name: name.to_owned(), reached: entry.reached(self.now) }),
        }
    }

    /// How much is logged now.
    pub(super) fn log_level(&self) -> &str {
        match self.log_level {
            Some(level) => level.as_str(),
            None => &self.settings.loglevel,
        }
    }

    fn set_log_level(&mut self, token: ReplyToken, level: LogLevel) {
        self.effects.push_back(Effect::SetLogLevel { level });
        self.log_level = Some(level);
        self.show_settings();
        self.reply(token, Reply::LogLevel(level.as_str().to_owned()));
    }
}

/// Its answer tells the states of processes.
fn is_about_states(query: &Query) -> bool {
    #[cfg(feature = "xmlrpc")]
    if matches!(query, Query::Find { .. }) {
        return true;
    }
    matches!(query, Query::Status { .. })
}

/// Whose states whoever asks wants to know.
#[cfg(feature = "attach")]
fn names_seen(query: &Query) -> &[String] {
    #[cfg(feature = "xmlrpc")]
    if let Query::Find { names, right: Right::Read } = query {
        return names;
    }
    if let Query::Status { name: Some(name), .. } = query { std::slice::from_ref(name) } else { &[] }
}

/// Who is behind what a reload does.
fn reload_by(by: Initiator) -> Initiator {
    Initiator::Reload { by: Arc::new(by) }
}
