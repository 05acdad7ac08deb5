//! The real world: what the engine wants done, done with system calls.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::Sender;

use super::environment::{self, Prepared, Users};
use super::listeners::Listeners;
use super::orphans::{Identity, Orphans};
use super::run::Adjust;
use super::world::{Answer, Input, ProcId, Reaped, ReplyTo, World};
use crate::config::{self, ConfigError, LoadOptions};
use crate::events::{Event, EventBus, EventType};
use crate::health::{
    CheckRequest, RunningScript, TcpHealthChecker, Work, Worker, capture_pipe, no_pipe, script_command, tell_exit,
};
use crate::models::{DefaultOutput, HealthCheckType, ProgramConfig, SupervisorConfig};
use crate::output::{self, Follower, InternalError, Output, Responder, StreamKind};
use crate::process::{Exit, Generation, SpawnError};
use crate::rpc::protocol::{self, Amount, Report, Why};
use crate::rpc::server::{ConnId, ServerHandle};
use crate::rpc::stream::{Feed, Source};
use crate::sys;
use crate::sys::reap::ReapScope;
use crate::sys::signal::{DeadGroups, GroupSignal};
use crate::sys::spawn::{Child, Spawner};

const SIGKILL: u8 = 9;

/// Room for NSS, which the checks of users may call. Only touched pages count.
const LOADER_STACK: usize = 512 * 1024;

/// The end of a program's output that `why` shows: lines, and bytes to look for them.
const LAST_LINES: usize = 5;
const LAST_WORDS: usize = 4096;

/// The present run of a process, from its spawn until its group is gone.
struct Run {
    generation: Generation,
    child: Child,
    /// When the leader was reaped; from then on only the group is left.
    reaped: Option<Instant>,
    /// How often the group was found not to be empty since.
    looks: u32,
}

/// After so many looks /proc is asked whether the group consists of zombies alone: those of a parent that
/// does not reap (a container without an init) would hold up a stop for ever.
const PATIENT_LOOKS: u32 = 4;
/// The first look at a child that has not executed its program in time; the next ones come each after twice the pause.
const LATE_LOOK: Duration = Duration::from_millis(100);

/// So many begins and ends of runs at most wait for the output thread to be woken.
const GATHERED: usize = 16;

/// A health check script, from its spawn until it is reaped.
struct Script {
    owner: ProcId,
    child: Child,
    exit: io::PipeWriter,
}

/// Whom a child belongs to.
#[derive(Debug, Clone, Copy)]
enum Owner {
    Process(ProcId),
    Script(u64),
}

/// What the kernel is made of; see [`Kernel::new`].
pub(super) struct Parts {
    pub inputs: Sender<Input>,
    pub bus: EventBus,
    pub output: Output,
    pub default_output: DefaultOutput,
    pub server: ServerHandle,
    pub scope: ReapScope,
    pub nofile: Option<sys::limits::Limit>,
    pub config_path: Option<PathBuf>,
    pub users: Users,
    pub reopen: Box<dyn Fn()>,
    pub adjust: Adjust,
    pub identity: Option<Identity>,
}

/// See the [module](self).
pub(super) struct Kernel {
    parts: Parts,
    spawner: Spawner,
    null: Arc<OwnedFd>,
    runs: HashMap<ProcId, Run>,
    scripts: HashMap<u64, Script>,
    next_script: u64,
    children: HashMap<i32, Owner>,
    dead_groups: DeadGroups,
    workers: HashMap<ProcId, Worker>,
    /// Children that were there before us (a shell that has executed us may leave some): not ours to signal.
    strangers: Vec<i32>,
    /// What an earlier daemon has left behind.
    orphans: Orphans,
    /// Inputs that this thread has for itself: it must not wait for room in its own queue.
    deferred: VecDeque<Input>,
    listeners: Listeners,
    /// When children that have not executed their program in time are looked at, and how long that was put off.
    late_look: Option<(Instant, Duration)>,
    /// What the output thread was left since it was woken.
    gathered: usize,
}

impl Kernel {
    pub(super) fn new(mut parts: Parts) -> io::Result<Kernel> {
        let spawner = Spawner::new()?;
        Ok(Kernel {
            orphans: Orphans::new(parts.identity.take()),
            parts,
            null: spawner.null(),
            spawner,
            runs: HashMap::new(),
            scripts: HashMap::new(),
            next_script: 0,
            children: HashMap::new(),
            dead_groups: DeadGroups::default(),
            workers: HashMap::new(),
            strangers: sys::proc::children(),
            deferred: VecDeque::new(),
            listeners: Listeners::default(),
            late_look: None,
            gathered: 0,
        })
    }

    pub(super) fn take_deferred(&mut self) -> Option<Input> {
        self.deferred.pop_front()
    }

    /// When [`look_at_late`](Kernel::look_at_late) wants to be called.
    pub(super) fn late_look(&self) -> Option<Instant> {
        self.late_look.map(|(at, _)| at)
    }

    /// Wakes the output thread if runs have begun or ended. Where many do, a wake-up for each would take the processor from
    /// the programs.
    pub(super) fn wake_output(&mut self) {
        if std::mem::take(&mut self.gathered) > 0 {
            self.parts.output.wake();
        }
    }

    fn gather(&mut self) {
        self.gathered += 1;
        if self.gathered >= GATHERED {
            self.wake_output();
        }
    }

    /// Frees what late children no longer need; ever more rarely, because a disk may hang for days. (Nothing tells of an
    /// exec. A script's child is let go of at its end, which has a bound.)
    pub(super) fn look_at_late(&mut self, now: Instant) {
        let Some((_, pause)) = self.late_look.filter(|(at, _)| *at <= now) else { return };
        let mut is_open = false;
        for run in self.runs.values_mut().filter(|run| run.child.is_late().is_some()) {
            is_open |= self.spawner.settle(&mut run.child);
            if run.child.is_late().is_none() {
                log::info!("pid {} has executed its program in the meantime", run.child.pid);
            }
        }
        let pause = pause * 2;
        self.late_look = is_open.then(|| (now + pause, pause));
    }

    /// The end of a health check script: the worker that waits learns its exit, its group is cleared.
    fn script_ended(&mut self, script: u64, exit: Exit) {
        if let Some(script) = self.scripts.remove(&script) {
            kill_group(&script.child, true);
            tell_exit(script.exit, exit);
        }
    }

    fn spawn_script(&mut self, id: ProcId, config: &ProgramConfig, command: &str) -> Result<RunningScript, SpawnError> {
        let prepared = Prepared::new(config, &script_command(command), &self.parts.users, self.orphans.identity())?;
        let (stderr, child_end) = capture_pipe()?;
        let (exit_reader, exit_writer) = io::pipe().map_err(no_pipe)?;
        let null = self.null.as_fd();
        let command = prepared.command(null, null, child_end.as_fd(), self.parts.nofile, true);
        let child = self.spawner.spawn(command)?;
        warn_if_late(&config.name, &child);
        let script = self.next_script;
        self.next_script += 1;
        self.children.insert(child.pid, Owner::Script(script));
        self.scripts.insert(script, Script { owner: id, child, exit: exit_writer });
        let timeout = Duration::from_secs(u64::from(config.healthcheck.timeout));
        let inputs = self.parts.inputs.clone();
        Ok(RunningScript {
            stderr,
            exit: exit_reader,
            deadline: Instant::now() + timeout,
            timeout,
            kill: Box::new(move || {
                let _ = inputs.send(Input::ScriptTimedOut { script });
            }),
        })
    }

    fn work(&mut self, id: ProcId, config: &ProgramConfig) -> Result<Work, String> {
        let check = &config.healthcheck;
        let incomplete = || "the health check's settings are incomplete".to_owned();
        match check.check_type {
            HealthCheckType::None => Err(incomplete()),
            HealthCheckType::Tcp => {
                let timeout = Duration::from_secs(u64::from(check.timeout));
                Ok(Work::Tcp(TcpHealthChecker::new(&check.host, check.port.ok_or_else(incomplete)?, timeout)))
            }
            HealthCheckType::Script => {
                let command = check.command.as_deref().ok_or_else(incomplete)?;
                self.spawn_script(id, config, command).map(Work::Script).map_err(|error| error.to_string())
            }
        }
    }

    fn worker(&mut self, id: ProcId, name: &str) -> Result<&Worker, String> {
        if !self.workers.contains_key(&id) {
            let inputs = self.parts.inputs.clone();
            let report = move |generation, result| {
                let _ = inputs.send(Input::Health { id, generation, result });
            };
            let worker = Worker::start(name, report).map_err(|error| format!("no thread for the check: {error}"))?;
            self.workers.insert(id, worker);
        }
        self.workers.get(&id).ok_or_else(|| "no thread for the check".to_owned())
    }
}

impl World for Kernel {
    fn spawn(&mut self, id: ProcId, generation: Generation, config: &Arc<ProgramConfig>) -> Result<i32, SpawnError> {
        let words = environment::words(config)?;
        let prepared = Prepared::new(config, &words, &self.parts.users, self.orphans.identity())?;
        let console = self.parts.default_output == DefaultOutput::Console;
        // The output thread makes its ends non-blocking.
        let open = |wanted: bool| wanted.then(|| io::pipe().map_err(no_pipe)).transpose();
        let stdout = open(console || config.captures_stdout())?;
        let stderr = open(!config.redirect_stderr && (console || config.captures_stderr()))?;
        let null = self.null.as_fd();
        let child_stdout = stdout.as_ref().map_or(null, |(_, child_end)| child_end.as_fd());
        let child_stderr = match &stderr {
            Some((_, child_end)) => child_end.as_fd(),
            None if config.redirect_stderr => child_stdout,
            None => null,
        };
        let command = prepared.command(null, child_stdout, child_stderr, self.parts.nofile, config.pdeathsig);
        let child = self.spawner.spawn(command)?;
        let pid = child.pid;
        warn_if_late(&config.name, &child);
        if child.is_late().is_some() {
            self.late_look = Some((Instant::now() + LATE_LOOK, LATE_LOOK));
        }
        let ours = |pipe: Option<(io::PipeReader, io::PipeWriter)>| pipe.map(|(reader, _)| OwnedFd::from(reader));
        self.parts.output.attach(id, generation, pid, ours(stdout), ours(stderr));
        self.gather();
        self.children.insert(pid, Owner::Process(id));
        self.runs.insert(id, Run { generation, child, reaped: None, looks: 0 });
        Ok(pid)
    }

    fn signal_group(&mut self, id: ProcId, signal: u8) {
        let Some(run) = self.runs.get(&id) else { return self.orphans.signal(id, signal) };
        match sys::signal::signal_group(run.child.leader(run.reaped.is_some()), signal) {
            Ok(GroupSignal::Delivered | GroupSignal::Gone) => {}
            Ok(GroupSignal::Denied) => log::error!(
                "signal {signal} to process group {} was denied: it runs as a user whom this daemon may not signal",
                run.child.pid
            ),
            Err(error) => log::error!("signal {signal} to process group {}: {error}", run.child.pid),
        }
    }

    fn sweep(&mut self) -> Vec<Reaped> {
        let exits = sys::reap::sweep(self.parts.scope, &self.children);
        let mut reaped = Vec::new();
        for (pid, exit) in exits {
            match self.children.remove(&pid) {
                Some(Owner::Process(id)) => {
                    let Some(run) = self.runs.get_mut(&id) else { continue };
                    run.reaped = Some(Instant::now());
                    reaped.push(Reaped { id, generation: run.generation, exit });
                }
                Some(Owner::Script(script)) => self.script_ended(script, exit),
                None => {}
            }
        }
        reaped
    }

    fn late_failure(&mut self, id: ProcId) -> Option<SpawnError> {
        self.runs.get(&id).and_then(|run| run.child.late_failure())
    }

    fn group_is_empty(&mut self, id: ProcId) -> bool {
        let Some(run) = self.runs.get_mut(&id) else { return self.orphans.are_gone(id, Instant::now()) };
        let Some(reaped) = run.reaped else { return false };
        // A health check of the run belongs to it: it was killed, and is gone before the run is.
        if self.scripts.values().any(|script| script.owner == id) {
            return false;
        }
        run.looks += 1;
        let group = run.child.leader(true);
        sys::signal::group_is_empty(group)
            || (run.looks > PATIENT_LOOKS && self.dead_groups.contains(group, reaped, Instant::now()))
    }

    fn signal_orphans(&mut self, signal: Option<u8>) -> usize {
        if self.parts.scope == ReapScope::Known {
            return 0;
        }
        // Ours to reap, so that no number among them can be used again meanwhile.
        let orphans = sys::proc::children();
        let orphans =
            orphans.into_iter().filter(|pid| !self.children.contains_key(pid) && !self.strangers.contains(pid));
        orphans.inspect(|pid| signal.into_iter().for_each(|signal| sys::signal::signal_child(*pid, signal))).count()
    }

    fn find_orphans(&mut self, programs: &[(ProcId, Arc<ProgramConfig>)]) -> Vec<(ProcId, i32)> {
        self.orphans.find(programs)
    }

    fn bystanders(&self, id: ProcId) -> Option<String> {
        self.orphans.note(id)
    }

    fn leader_exited(&mut self, id: ProcId, generation: Generation) {
        self.parts.output.leader_exited(id, generation);
        self.gather();
        for script in self.scripts.values().filter(|script| script.owner == id) {
            kill_group(&script.child, false);
        }
    }

    fn run_ended(&mut self, id: ProcId, generation: Generation) {
        if self.orphans.end_hunt(id) {
            return;
        }
        self.runs.remove(&id);
        self.parts.output.run_ended(id, generation);
        self.gather();
    }

    fn check_health(&mut self, id: ProcId, generation: Generation, config: &Arc<ProgramConfig>) -> Result<(), String> {
        // The thread first: a script without one to wait for it would be spawned for nothing.
        self.worker(id, &config.name)?;
        let script = self.next_script;
        let work = self.work(id, config)?;
        let taken = self.worker(id, &config.name)?.request(CheckRequest { generation, work });
        if taken.is_err() {
            // Nobody would ever stop a script that no thread waits for.
            self.kill_script(script);
        }
        if taken.is_err_and(|reason| reason == crate::health::THREAD_DIED) {
            self.workers.remove(&id); // The next check gets a new one.
        }
        taken.map_err(str::to_owned)
    }

    fn kill_script(&mut self, script: u64) {
        if let Some(script) = self.scripts.get(&script) {
            kill_group(&script.child, false);
        }
    }

    fn configure(&mut self, id: ProcId, config: &Arc<ProgramConfig>) {
        self.parts.output.configure(id, config);
    }

    fn forget(&mut self, id: ProcId) {
        self.workers.remove(&id);
        self.orphans.forget(id);
        self.parts.output.remove(id);
    }

    fn load_config(&mut self) {
        let Some(path) = self.parts.config_path.clone() else {
            let error = io::Error::new(io::ErrorKind::NotFound, "this supervisor was not given a configuration file");
            let result = Err(ConfigError::Read { path: PathBuf::new(), error });
            return self.deferred.push_back(Input::ConfigLoaded(Box::new(result)));
        };
        let (inputs, users, failed_path) = (self.parts.inputs.clone(), self.parts.users.clone(), path.clone());
        let adjust = Arc::clone(&self.parts.adjust);
        let thread = std::thread::Builder::new().name("config".to_owned()).stack_size(LOADER_STACK);
        let spawned = thread.spawn(move || {
            let read = || {
                let mut result = config::load(&path, &LoadOptions::default());
                if let Ok(loaded) = &mut result {
                    adjust(&mut loaded.config);
                    users.learn(loaded.config.programs.iter());
                }
                result
            };
            // `adjust` is somebody else's code. Without an answer no reload would ever come to an end.
            let result = catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
                let error = io::Error::other("the thread that read it panicked (a bug)");
                Err(ConfigError::Read { path: path.clone(), error })
            });
            let _ = inputs.send(Input::ConfigLoaded(Box::new(result)));
            sys::memory::trim_heap();
        });
        if let Err(error) = spawned {
            let result = Err(ConfigError::Read { path: failed_path, error });
            self.deferred.push_back(Input::ConfigLoaded(Box::new(result)));
        }
    }

    fn reply(&mut self, to: &ReplyTo, answer: Answer) {
        match to {
            ReplyTo::Connection(conn) => self.parts.server.reply(*conn, encode(&answer)),
            // Room for the one answer; a thread that has gone away does not want it.
            ReplyTo::Thread(reply) => drop(reply.try_send(answer)),
            ReplyTo::Nobody => {}
        }
    }

    fn wants(&self, event_type: EventType) -> bool {
        self.parts.bus.wants(event_type)
    }

    fn publish(&mut self, event: Event) {
        self.parts.bus.publish(event);
    }

    fn tail(&mut self, id: ProcId, stream: StreamKind, amount: Amount, follow: bool, to: &ReplyTo) {
        let ReplyTo::Connection(conn) = to else { return self.reply(to, for_clients_alone()) };
        let client = Client { server: self.parts.server.clone(), conn: *conn, feed: Arc::default() };
        let amount = match amount {
            Amount::Lines(lines) => output::Amount::Lines(lines),
            Amount::Bytes(bytes) => output::Amount::Bytes(bytes),
        };
        self.parts.output.follow(id, stream, amount, follow, Box::new(client));
    }

    fn clear_logs(&mut self, id: ProcId, name: &str, to: &ReplyTo) {
        let ReplyTo::Connection(conn) = to else { return self.reply(to, for_clients_alone()) };
        let (server, conn, name) = (self.parts.server.clone(), *conn, name.to_owned());
        let responder = Responder::new(move |result: Result<Result<(), String>, InternalError>| {
            let answer = match result {
                Ok(Ok(())) => Answer::Done(format!("{name}: its logs are empty")),
                Ok(Err(message)) => Answer::failed(format!("{name}: {message}")),
                Err(error) => internal(error),
            };
            server.reply(conn, encode(&answer));
        });
        self.parts.output.clear(id, responder);
    }

    fn reopen_logs(&mut self) {
        self.parts.output.reopen();
        (self.parts.reopen)();
    }

    fn set_output(&mut self, settings: &SupervisorConfig) {
        self.parts.default_output = settings.default_output;
        self.parts.output.set_default(output::Settings::of(settings));
    }

    fn set_log_level(&mut self, level: &str) -> bool {
        let level = crate::logger::parse_level(level);
        level.map(crate::logger::set_level).is_ok()
    }

    fn wall(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    fn command_name(&self, pid: i32) -> Option<String> {
        sys::proc::command_name(pid)
    }

    fn listen(&mut self, conn: ConnId, past: Vec<String>) {
        self.listeners.add(conn, past, &self.parts.server);
    }

    fn tell_listener(&mut self, conn: ConnId, event: &str) {
        self.listeners.tell(conn, event);
    }

    fn forget_listener(&mut self, conn: ConnId) {
        self.listeners.forget(conn);
    }

    fn explain(&mut self, id: ProcId, stream: StreamKind, mut why: Why, to: &ReplyTo) {
        let ReplyTo::Connection(conn) = to else { return self.reply(to, for_clients_alone()) };
        let (server, conn) = (self.parts.server.clone(), *conn);
        let responder = Responder::new(move |result: Result<Vec<u8>, InternalError>| {
            let frame = match result {
                Ok(bytes) => {
                    why.stderr = last_lines(&bytes);
                    protocol::report_frame(&Report::Why(why))
                }
                Err(error) => encode(&internal(error)),
            };
            server.reply(conn, frame);
        });
        self.parts.output.tail(id, stream, LAST_WORDS, responder);
    }
}

/// A client that takes output.
struct Client {
    server: ServerHandle,
    conn: ConnId,
    feed: Arc<Feed>,
}

impl Follower for Client {
    fn push(&self, bytes: &[u8]) -> bool {
        let first = self.feed.push(bytes);
        if first {
            self.server.feed(self.conn, Arc::clone(&self.feed) as Arc<dyn Source>);
        }
        first || self.is_there()
    }

    fn is_there(&self) -> bool {
        // The connection, or the message on its way to it, holds the other one.
        Arc::strong_count(&self.feed) > 1
    }

    fn finish(&self) {
        if self.feed.finish() {
            self.server.feed(self.conn, Arc::clone(&self.feed) as Arc<dyn Source>);
        }
    }

    fn fail(&self, error: InternalError) {
        self.server.reply(self.conn, encode(&internal(error)));
    }
}

/// What the output thread owes and did not give.
fn internal(error: InternalError) -> Answer {
    Answer::Failed { code: protocol::ErrorCode::InternalError, message: error.to_string() }
}

/// Output goes to connections; nobody else asks for it.
fn for_clients_alone() -> Answer {
    Answer::failed("only clients of the control socket can ask for this")
}

/// The last whole lines of the end of a stream.
fn last_lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let cut = usize::from(bytes.len() == LAST_WORDS);
    let lines: Vec<&str> = text.lines().skip(cut).collect();
    let skip = lines.len().saturating_sub(LAST_LINES);
    lines.into_iter().skip(skip).map(str::to_owned).collect()
}

/// SIGKILL to a health check script's group; it may have gone by itself.
fn kill_group(script: &Child, reaped: bool) {
    let _ = sys::signal::signal_group(script.leader(reaped), SIGKILL);
}

/// The frame that carries an answer.
fn encode(answer: &Answer) -> Vec<u8> {
    match answer {
        Answer::Done(message) => protocol::ok(message),
        Answer::Failed { code, message } => protocol::error(*code, message),
        Answer::Status { processes, offset } => protocol::status(processes, *offset),
        Answer::Reloaded(plan) => protocol::reload(&plan.added, &plan.removed, &plan.changed),
        Answer::Report(report) => protocol::report_frame(report),
    }
}

fn warn_if_late(name: &str, child: &Child) {
    if let Some(waited) = child.is_late() {
        log::warn!(
            "{name}: pid {} has not executed its program within {} ms; does the file system of its directory, its program or \
             its interpreter answer?",
            child.pid,
            waited.as_millis()
        );
    }
}
