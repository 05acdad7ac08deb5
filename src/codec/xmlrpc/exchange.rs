//! How a call is answered: request by request to the api, each of which depends on the answer before.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::calls::{Call, LogRange, Many, One};
use super::fault::{Fault, FaultCode};
use super::info::{LocalClock, can_stop, is_running, is_signallable, process_info};
use super::logs::{has_no_log, log_of, log_part, no_tail};
use super::member::Member;
use super::methods;
use super::names::Namespec;
use super::results::{found, plain, settings_of, together, unexpected};
use super::value::{MethodCall, Value};
use crate::api::{
    Act, Answer, Command, ConfigRow, LogSource, Query, Reply, Request, Selector, StatusRow, Terms, Watch,
};
use crate::models::{ProgramConfig, Right};
use crate::process::{ProcessState, SignalTarget, signal_number};
use crate::util::quick_hash::QuickState;
use crate::util::sort;

/// The method whose parameters are calls.
const MULTICALL: &str = "system.multicall";

/// The results of a multicall take so many bytes, and the last of them comes on top; what is left of it then is not
/// done. One request could otherwise ask for the table of all processes thousands of times.
const MAX_RESULT_BYTES: usize = 16 * 1024 * 1024;

/// The signal that only asks whether there is somebody to get one.
const NO_SIGNAL: &str = "0";

/// What is to be done next for a call.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// To be asked; the answer is handed to [`Exchange::answered`].
    Ask(Request),
    /// Whether each of these has a command that can be executed; what is found is handed to [`Exchange::inspected`].
    Inspect(Vec<Arc<ProgramConfig>>),
    /// The numbers of the users with these names; what is found is handed to [`Exchange::users_found`].
    FindUsers(Vec<String>),
    /// That is the result.
    Done(Result<Value, Fault>),
}

/// What is waited for.
#[derive(Debug)]
enum Waiting {
    /// The one answer that a call without names needs.
    Plain(Call),
    /// Whether the daemon ends already.
    Shutdown,
    /// Which process is meant. Whoever may not do that to it is told so, and nothing else.
    Find { spec: Namespec, what: One },
    /// What was asked of the process that was found.
    Found { written: String, what: One },
    /// A part of the log of the process that was found: where that is, and whether it has ever run.
    Log { what: One, path: Option<String>, has_run: bool },
    /// Whether the command of a process that is to start can be executed.
    Inspected { member: Member, state: ProcessState, written: String, wait: bool },
    /// The same of several; what is to be told of those that are not started.
    InspectedAll { members: Vec<Member>, results: Vec<Value>, wait: bool },
    /// The numbers of the users that are named in these settings.
    Users { rows: Vec<ConfigRow>, names: Vec<String> },
    /// All processes.
    Rows { group: Option<Namespec>, what: Many },
    /// A start or stop of several; what is told of others before.
    Together { members: Vec<Member>, before: Vec<Value>, is_start: bool },
    /// What is asked of several one after the other: the first of `left` is asked.
    Each { left: VecDeque<Member>, results: Vec<Value>, what: Many },
}

/// A call under way.
#[derive(Debug)]
pub struct Exchange {
    waiting: Option<Waiting>,
    multi: Option<Multi>,
}

/// A multicall: what is left of it, and what it has come to so far.
#[derive(Debug)]
struct Multi {
    left: VecDeque<Value>,
    results: Vec<Value>,
    /// Of the results.
    bytes: usize,
}

impl Multi {
    fn add(&mut self, result: Result<Value, Fault>) {
        let result = result.unwrap_or_else(|fault| fault.to_value());
        self.bytes = self.bytes.saturating_add(result.size());
        self.results.push(result);
    }

    /// The next call; a fault where there is no room for what it comes to.
    fn next(&mut self) -> Option<Result<Call, Fault>> {
        let call = self.left.pop_front()?;
        if self.bytes < MAX_RESULT_BYTES {
            return Some(inner_call(call));
        }
        let why = "not done: the results of the calls before take 16 MiB; send this call in another request";
        Some(Err(FaultCode::Failed.about(why)))
    }
}

impl Exchange {
    /// Begins a call.
    pub fn begin(call: MethodCall) -> (Exchange, Step) {
        let mut exchange = Exchange { waiting: None, multi: None };
        let step = match methods::read(call) {
            Err(fault) => Step::Done(Err(fault)),
            Ok(Call::Multi(calls)) => {
                exchange.multi = Some(Multi { left: calls.into(), results: Vec::new(), bytes: 0 });
                exchange.next_of_multi()
            }
            Ok(call) => exchange.begin_single(call),
        };
        (exchange, step)
    }

    /// Takes the answer to what was asked.
    pub fn answered(&mut self, answer: Answer, clock: LocalClock) -> Step {
        let Some(waiting) = self.waiting.take() else { return Step::Done(Err(FaultCode::Failed.bare())) };
        let step = self.advance(waiting, answer, clock);
        self.settle(step)
    }

    /// What is done next; a result may be that of one call of several.
    fn settle(&mut self, step: Step) -> Step {
        match step {
            Step::Done(result) if self.multi.is_some() => self.collect(result),
            step => step,
        }
    }

    /// Takes why each of the commands that were to be inspected can't be executed; `None`: it can.
    pub fn inspected(&mut self, faults: Vec<Option<Fault>>) -> Step {
        let step = match self.waiting.take() {
            Some(Waiting::Inspected { member, state, written, wait }) => match faults.into_iter().next().flatten() {
                Some(fault) => Step::Done(Err(fault)),
                None => self.start(member, state, written, wait),
            },
            Some(Waiting::InspectedAll { members, mut results, wait }) => {
                let (mut fit, mut faults) = (Vec::new(), faults.into_iter());
                for member in members {
                    // What may not be started was not inspected: the dispatcher refuses it.
                    match if member.permitted { faults.next().flatten() } else { None } {
                        Some(fault) => results.push(member.result(Some(&fault))),
                        None => fit.push(member),
                    }
                }
                self.act_together(fit, results, Act::Start, wait)
            }
            Some(_) | None => Step::Done(Err(FaultCode::Failed.bare())),
        };
        self.settle(step)
    }

    /// Takes the numbers of the users that were to be found; `None`: there is no such user.
    pub fn users_found(&mut self, uids: Vec<Option<u32>>) -> Step {
        let step = match self.waiting.take() {
            Some(Waiting::Users { rows, names }) => {
                let users: Vec<(String, u32)> =
                    names.into_iter().zip(uids).filter_map(|(name, uid)| Some((name, uid?))).collect();
                Step::Done(Ok(settings_of(&rows, &users)))
            }
            Some(_) | None => Step::Done(Err(FaultCode::Failed.bare())),
        };
        self.settle(step)
    }

    /// The settings of all programs. supervisord tells users by number, and tells a name that is none.
    fn settings(&mut self, mut rows: Vec<ConfigRow>) -> Step {
        let name = |row: &ConfigRow| row.program.group_and_process().1.to_owned();
        sort::sort_by(&mut rows, |one, other| name(one).cmp(&name(other)));
        let named = rows.iter().filter_map(|row| row.program.user.clone());
        let mut names: Vec<String> = named.filter(|user| user.parse::<u32>().is_err()).collect();
        sort::sort(&mut names);
        names.dedup();
        if names.is_empty() {
            return Step::Done(Ok(settings_of(&rows, &[])));
        }
        self.waiting = Some(Waiting::Users { rows, names: names.clone() });
        Step::FindUsers(names)
    }

    /// A start of a process whose command is there.
    fn start(&mut self, member: Member, state: ProcessState, written: String, wait: bool) -> Step {
        if is_running(state) {
            return Step::Done(Err(FaultCode::AlreadyStarted.about(written)));
        }
        // It can't be RUNNING before it has ended: supervisord does not wait for that.
        if state == ProcessState::Stopping && wait {
            return Step::Done(Err(FaultCode::AbnormalTermination.about(written)));
        }
        let (on, terms) = (Selector::Process(member.name), Terms { wait, ..Terms::default() });
        let request = Request::Command(Command::Act { act: Act::Start, on, terms });
        self.ask(request, Waiting::Found { written, what: One::Start { wait } })
    }

    fn ask(&mut self, request: Request, waiting: Waiting) -> Step {
        self.waiting = Some(waiting);
        Step::Ask(request)
    }

    /// One of several calls has its result.
    fn collect(&mut self, result: Result<Value, Fault>) -> Step {
        if let Some(multi) = &mut self.multi {
            multi.add(result);
        }
        self.next_of_multi()
    }

    fn next_of_multi(&mut self) -> Step {
        loop {
            let Some(multi) = &mut self.multi else { return Step::Done(Err(FaultCode::Failed.bare())) };
            let step = match multi.next() {
                Some(Ok(call)) => self.begin_single(call),
                Some(Err(fault)) => Step::Done(Err(fault)),
                None => return Step::Done(Ok(Value::Array(std::mem::take(&mut multi.results)))),
            };
            match (step, &mut self.multi) {
                (Step::Done(result), Some(multi)) => multi.add(result),
                (step, _) => return step,
            }
        }
    }

    fn begin_single(&mut self, call: Call) -> Step {
        let request = match &call {
            Call::Constant(value) => return Step::Done(Ok(value.clone())),
            Call::ApiVersion | Call::SupervisorVersion | Call::Identification | Call::State | Call::Pid => {
                Request::Query(Query::Daemon)
            }
            Call::ReadLog(Err(fault)) => return Step::Done(Err(fault.clone())),
            Call::ReadLog(Ok(LogRange { from, length })) => {
                Request::Watch(Watch::ReadLog { source: LogSource::Daemon, from: *from, length: *length })
            }
            Call::ClearLog => Request::Command(Command::ClearDaemonLog),
            // While it ends already that is another answer.
            Call::Shutdown => return self.ask(Request::Query(Query::Daemon), Waiting::Shutdown),
            Call::Restart => Request::Command(Command::RestartDaemon),
            Call::ReloadConfig => Request::Command(Command::ReadConfiguration),
            Call::AddGroup(name) => Request::Command(Command::AddGroup { name: name.clone() }),
            Call::RemoveGroup(name) => Request::Command(Command::RemoveGroup { name: name.clone() }),
            Call::AllConfigInfo => Request::Query(Query::Configuration),
            Call::RemoteEvent { kind, data } => {
                Request::Command(Command::RemoteEvent { kind: kind.clone(), data: data.clone() })
            }
            Call::One { spec, what } => {
                let Some(request) = spec.find(what.right()) else {
                    return Step::Done(Err(FaultCode::BadName.about(spec.written.clone())));
                };
                return self.ask(request, Waiting::Find { spec: spec.clone(), what: what.clone() });
            }
            Call::Many { group, what } => {
                let waiting = Waiting::Rows { group: group.clone(), what: what.clone() };
                return self.ask(find(Vec::new(), what.right()), waiting);
            }
            Call::Multi(_) => return Step::Done(Err(recursive())),
        };
        self.ask(request, Waiting::Plain(call))
    }

    fn advance(&mut self, waiting: Waiting, answer: Answer, clock: LocalClock) -> Step {
        match waiting {
            Waiting::Plain(call) => match (call, answer) {
                (Call::AllConfigInfo, Ok(Reply::Configuration(rows))) => self.settings(rows),
                (call, answer) => Step::Done(plain(&call, answer)),
            },
            Waiting::Shutdown => match answer {
                Ok(Reply::Daemon(facts)) if !facts.ending => {
                    self.ask(Request::Command(Command::Shutdown), Waiting::Plain(Call::Shutdown))
                }
                answer => Step::Done(plain(&Call::Shutdown, answer)),
            },
            Waiting::Find { spec, what } => self.look(spec, what, answer, clock),
            Waiting::Found { written, what } => Step::Done(found(&written, &what, answer)),
            Waiting::Log { what, path, has_run } => Step::Done(log_part(&what, path, has_run, answer)),
            Waiting::Rows { group, what } => self.rows(group, what, answer, clock),
            Waiting::Together { members, before, is_start } => Step::Done(together(&members, before, is_start, answer)),
            // These are no questions to the dispatcher.
            Waiting::Inspected { .. } | Waiting::InspectedAll { .. } | Waiting::Users { .. } => {
                Step::Done(Err(FaultCode::Failed.bare()))
            }
            Waiting::Each { mut left, mut results, what } => {
                if let Some(member) = left.pop_front() {
                    let fault = answer.err().map(|refusal| Fault::of(&refusal, &member.written()));
                    results.push(member.result(fault.as_ref()));
                }
                self.each(left, results, what)
            }
        }
    }

    fn look(&mut self, spec: Namespec, what: One, answer: Answer, clock: LocalClock) -> Step {
        let (rows, now) = match answer {
            Ok(Reply::Found { ending: true, .. }) => return Step::Done(Err(FaultCode::ShutdownState.bare())),
            Ok(Reply::Found { rows, now, .. }) => (rows, now),
            answer => return Step::Done(Err(unexpected(answer, &spec.written))),
        };
        let Some(row) = spec.of(rows) else { return Step::Done(Err(FaultCode::BadName.about(spec.written))) };
        match what {
            One::Info => Step::Done(Ok(process_info(&row, now, clock))),
            One::Start { wait } => {
                let (state, program) = (row.state, Arc::clone(&row.program));
                let member = Member::of(&(row, true));
                self.waiting = Some(Waiting::Inspected { member, state, written: spec.written, wait });
                Step::Inspect(vec![program])
            }
            One::Tail { stream, .. } if has_no_log(&row.program, stream) => Step::Done(Ok(no_tail())),
            what => match request_for(&row, &what, &spec.written) {
                Ok(request) => self.ask(request, waiting_for(&row, what, spec.written)),
                Err(fault) => Step::Done(Err(fault)),
            },
        }
    }

    fn rows(&mut self, group: Option<Namespec>, what: Many, answer: Answer, clock: LocalClock) -> Step {
        let (mut rows, now) = match answer {
            Ok(Reply::Found { ending: true, .. }) => return Step::Done(Err(FaultCode::ShutdownState.bare())),
            Ok(Reply::Found { rows, now, .. }) => (rows, now),
            answer => {
                let written = group.as_ref().map_or("", |spec| spec.written.as_str());
                return Step::Done(Err(unexpected(answer, written)));
            }
        };
        if let Some(spec) = group {
            rows.retain(|(row, _)| row.program.group_name() == spec.group);
            if rows.is_empty() {
                return Step::Done(Err(FaultCode::BadName.about(spec.written)));
            }
        }
        sort_by_priority(&mut rows);
        match what {
            Many::Info => {
                sort::sort_by(&mut rows, |(one, _), (other, _)| {
                    one.program.group_and_process().cmp(&other.program.group_and_process())
                });
                Step::Done(Ok(Value::Array(rows.iter().map(|(row, _)| process_info(row, now, clock)).collect())))
            }
            Many::Start { wait } => self.start_together(&rows, wait),
            Many::Stop { wait } => {
                rows.retain(|(row, _)| can_stop(row));
                self.act_together(rows.iter().map(Member::of).collect(), Vec::new(), Act::Stop, wait)
            }
            Many::Signal(_) => {
                rows.retain(|(row, _)| is_signallable(row.state));
                self.each(rows.iter().map(Member::of).collect(), Vec::new(), what)
            }
            Many::Clear => self.each(rows.iter().map(Member::of).collect(), Vec::new(), what),
        }
    }

    fn start_together(&mut self, rows: &[(StatusRow, bool)], wait: bool) -> Step {
        let (mut results, mut members, mut programs) = (Vec::new(), Vec::new(), Vec::new());
        for found @ (row, permitted) in rows.iter().filter(|(row, _)| !is_running(row.state)) {
            let member = Member::of(found);
            if *permitted && row.state == ProcessState::Stopping && wait {
                // As of one that is started alone.
                results.push(member.result(Some(&FaultCode::AbnormalTermination.about(member.written()))));
            } else {
                programs.extend(permitted.then(|| Arc::clone(&row.program)));
                members.push(member);
            }
        }
        if programs.is_empty() {
            return self.act_together(members, results, Act::Start, wait);
        }
        self.waiting = Some(Waiting::InspectedAll { members, results, wait });
        Step::Inspect(programs)
    }

    fn act_together(&mut self, members: Vec<Member>, before: Vec<Value>, act: Act, wait: bool) -> Step {
        if members.is_empty() {
            return Step::Done(Ok(Value::Array(before)));
        }
        let on = Selector::Processes(members.iter().map(|member| member.name.clone()).collect());
        let request = Request::Command(Command::Act { act, on, terms: Terms { wait, ..Terms::default() } });
        self.ask(request, Waiting::Together { members, before, is_start: act == Act::Start })
    }

    fn each(&mut self, mut left: VecDeque<Member>, mut results: Vec<Value>, what: Many) -> Step {
        while let Some(member) = left.front() {
            let name = member.name.clone();
            let request = match &what {
                // It gets none, and is told to be there; or whoever may not send it any is refused.
                Many::Signal(signal) if signal == NO_SIGNAL || !member.permitted => find(vec![name], what.right()),
                Many::Signal(signal) => match signal_number(signal) {
                    Some(signal) => Request::Command(Command::Signal { name, signal, target: SignalTarget::Leader }),
                    None => {
                        let fault = FaultCode::BadSignal.about(signal.clone());
                        results.push(member.result(Some(&fault)));
                        left.pop_front();
                        continue;
                    }
                },
                Many::Clear | Many::Info | Many::Start { .. } | Many::Stop { .. } => {
                    Request::Command(Command::ClearLogs { name })
                }
            };
            return self.ask(request, Waiting::Each { left, results, what });
        }
        Step::Done(Ok(Value::Array(results)))
    }
}

/// As supervisord goes through several, be it to start or to stop them: by the priority of the groups, within a group
/// by that of the programs. Where these are equal, as they stand in the file.
fn sort_by_priority(rows: &mut Vec<(StatusRow, bool)>) {
    let programs: Vec<Arc<ProgramConfig>> = rows.iter().map(|(row, _)| Arc::clone(&row.program)).collect();
    let mut firsts: HashMap<&str, usize, QuickState> = HashMap::default();
    for (place, program) in programs.iter().enumerate() {
        firsts.entry(program.group_name()).or_insert(place);
    }
    let key = |(row, _): &(StatusRow, bool)| {
        let program = &row.program;
        (program.group_priority, firsts.get(program.group_name()).copied(), program.priority)
    };
    sort::sort_by(rows, |one, other| key(one).cmp(&key(other)));
}

fn find(names: Vec<String>, right: Right) -> Request {
    Request::Query(Query::Find { names, right })
}

fn recursive() -> Fault {
    FaultCode::IncorrectParameters.about("Recursive system.multicall forbidden")
}

/// One call of a multicall.
fn inner_call(call: Value) -> Result<Call, Fault> {
    let method = match call.member("methodName") {
        Some(Value::String(name)) => name.clone().into_owned(),
        Some(_) | None => return Err(FaultCode::IncorrectParameters.about("No methodName")),
    };
    // Whatever its parameters are.
    if method == MULTICALL {
        return Err(recursive());
    }
    let params = match call.member("params") {
        Some(Value::Array(params)) => params.clone(),
        None => Vec::new(),
        Some(_) => return Err(FaultCode::IncorrectParameters.bare()),
    };
    methods::read(MethodCall { method, params })
}

/// What is waited for once it was asked.
fn waiting_for(row: &StatusRow, what: One, written: String) -> Waiting {
    let (One::Read { stream, .. } | One::Tail { stream, .. }) = &what else { return Waiting::Found { written, what } };
    let (path, has_run) = (log_of(&row.program, *stream).cloned(), row.last_started.is_some());
    Waiting::Log { what, path, has_run }
}

/// The request that does this to the process of a row.
fn request_for(row: &StatusRow, what: &One, written: &str) -> Result<Request, Fault> {
    let name = row.program.name.clone();
    let log = |stream, LogRange { from, length }: LogRange| {
        let source = LogSource::Process { name: name.clone(), stream };
        Request::Watch(Watch::ReadLog { source, from, length })
    };
    match what {
        One::Why => Ok(Request::Watch(Watch::Why { name })),
        // It is known already, or its command is inspected before.
        One::Info | One::Start { .. } => Err(FaultCode::Failed.bare()),
        One::Stop { .. } if !can_stop(row) => Err(FaultCode::NotRunning.about(written)),
        One::Stop { wait } => {
            let (on, terms) = (Selector::Process(name), Terms { wait: *wait, ..Terms::default() });
            Ok(Request::Command(Command::Act { act: Act::Stop, on, terms }))
        }
        One::Signal(signal) => {
            let number = match signal_number(signal) {
                None if signal != NO_SIGNAL => return Err(FaultCode::BadSignal.about(signal.clone())),
                number => number,
            };
            if !is_signallable(row.state) {
                return Err(FaultCode::NotRunning.about(written));
            }
            Ok(match number {
                Some(signal) => Request::Command(Command::Signal { name, signal, target: SignalTarget::Leader }),
                // It is told to be there.
                None => find(vec![name], what.right()),
            })
        }
        // There is no such log: it goes into the other one.
        One::Read { stream, .. } if has_no_log(&row.program, *stream) => Err(FaultCode::NoFile.bare()),
        One::Read { stream, range } => Ok(log(*stream, range.clone()?)),
        One::Tail { stream, length, .. } => Ok(log(*stream, LogRange::end(u64::try_from(*length).unwrap_or(0)))),
        One::Clear => Ok(Request::Command(Command::ClearLogs { name })),
        One::Stdin(bytes) => Ok(Request::Command(Command::Stdin { name, bytes: bytes.as_slice().into() })),
    }
}
