//! [`Bench`]: the engine in a small world that does at once what it wants done, by the rule of the dispatcher: effects
//! in the order of the list, the results of one handled before the next, what follows from them behind all that was
//! there.

mod system;

use std::collections::BTreeMap;

use super::*;
use crate::api::{Answer, EventKinds, HistoryRow, Persistence, Query, Refusal, Reply, StatusRow, Watch, Why};
#[cfg(feature = "http")]
use crate::api::{DaemonFigures, Metrics};
use crate::codec::frames::{self, EventItem};
#[cfg(feature = "http")]
use crate::core::effect::MetricsJob;
use crate::core::effect::{
    CheckPurpose, ClockReading, FoundTime, GroupLeft, OutputJob, SearchFrom, TaskCommand, TaskId, UsageSample,
};
#[cfg(feature = "attach")]
use crate::models::AutoRestart;
use crate::process::{Caller, Generation, NoMain, SpawnError};
use crate::schedule;
use system::FakeSystem;

/// Somebody who asks: a connection, or a thread of the embedding program.
pub(super) type Client = u64;

/// What the daemon takes for its own process id.
pub(super) const OWN_PID: i32 = 4242;

/// The wall clock, whenever it is looked at.
pub(super) const WALL: Duration = Duration::from_secs(1_700_000_000);

/// What clients are called in causes.
pub(super) const BY: &str = "by uid 0, pid 1 (supervicectl)";

/// The initiator that has this name.
pub(super) fn client() -> Initiator {
    Initiator::Client(Arc::new(Caller {
        uid: 0,
        pid: 1,
        command: Some("supervicectl".into()),
        user: None,
        groups: Box::default(),
    }))
}

pub(super) struct Bench {
    pub now: Moment,
    /// So much time goes by for each thing that comes of an effect, as it does outside.
    pub tick: Duration,
    pub engine: Engine,
    pub system: FakeSystem,
}

impl Bench {
    pub(super) fn new(programs: &[ProgramConfig]) -> Bench {
        Bench::with(SupervisorConfig::default(), programs)
    }

    /// A daemon that has begun, but none of whose programs was started.
    pub(super) fn with(settings: SupervisorConfig, programs: &[ProgramConfig]) -> Bench {
        let mut bench = Bench::unbegun(settings, &[]);
        bench.begin();
        for program in programs {
            bench.engine.add(Arc::new(program.clone()));
        }
        bench.engine.rebuild_graph();
        bench.turn(|_, _| ());
        bench
    }

    /// A daemon that is about to begin.
    pub(super) fn unbegun(settings: SupervisorConfig, programs: &[ProgramConfig]) -> Bench {
        let now = Moment::from_nanos(86_400_000_000_000);
        let programs = programs.iter().cloned().map(Arc::new).collect();
        let engine = Engine::new(now, OWN_PID, None, settings, programs);
        let mut bench = Bench { now, tick: Duration::ZERO, engine, system: FakeSystem::default() };
        bench.turn(|_, _| ());
        bench
    }

    /// What is to start with the daemon is started.
    pub(super) fn begin(&mut self) {
        self.turn(Engine::begin);
        self.run_timers();
    }

    pub(super) fn clock(&self) -> WallClock {
        WallClock { now: self.now, wall: WALL }
    }

    /// One turn, at the end of which the ledger agrees with those who wait.
    pub(super) fn turn(&mut self, tell: impl FnOnce(&mut Engine, Moment)) {
        tell(&mut self.engine, self.now);
        let mut results = Vec::new();
        while let Some(effect) = self.engine.poll_effect() {
            self.system.perform(effect, self.clock(), &mut results);
            for input in results.drain(..) {
                self.now += self.tick;
                self.engine.handle(self.now, input);
            }
        }
        let lost: Vec<_> = self.system.open.keys().filter(|request| !self.engine.owns(**request)).collect();
        assert!(lost.is_empty(), "nobody owes the answers to {lost:?}");
        assert_eq!(self.system.open.len(), self.engine.owed(), "answers are owed to nobody");
    }

    /// Everything that is due by now.
    pub(super) fn run_timers(&mut self) {
        for _ in 0..100 {
            let mut fired = true;
            while fired {
                self.turn(|engine, now| fired = engine.run_timer(now));
            }
            if self.engine.poll_timeout().is_none_or(|at| at > self.now) {
                return;
            }
        }
        panic!("a timer stays due");
    }

    pub(super) fn handle(&mut self, input: Input) {
        self.turn(|engine, now| engine.handle(now, input));
        self.run_timers();
    }

    /// A client of the control socket asks.
    pub(super) fn ask(&mut self, client: Client, request: Request) {
        self.ask_by(client, self::client(), request);
    }

    /// A thread of the embedding program asks.
    pub(super) fn ask_locally(&mut self, client: Client, request: Request) {
        self.ask_by(client, Initiator::Embedder, request);
    }

    /// This one asks.
    pub(super) fn ask_by(&mut self, client: Client, by: Initiator, request: Request) {
        let id = RequestId(self.system.next_request);
        self.system.next_request += 1;
        self.system.open.insert(id, client);
        self.handle(Input::Request { id, by, request });
    }

    /// The client has gone, whatever it waits for.
    pub(super) fn gone(&mut self, client: Client) {
        let its: Vec<RequestId> =
            self.system.open.iter().filter(|(_, other)| **other == client).map(|(id, _)| *id).collect();
        for id in its {
            self.system.open.remove(&id);
            self.handle(Input::Gone { id });
        }
    }

    /// The time goes by as it does for the dispatcher: nothing is looked at before the engine has said that it wants
    /// to.
    pub(super) fn pass(&mut self, seconds: u64) {
        self.pass_millis(seconds * 1000);
    }

    pub(super) fn pass_millis(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        self.run_timers();
        while let Some(at) = self.engine.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.run_timers();
        }
        self.now = end;
    }

    /// The leader of the present run has ended.
    pub(super) fn end(&mut self, id: ProcId, exit: Exit) {
        let generation = self.entry(id).machine.generation();
        self.system.ended.push((id, generation, exit));
        self.handle(Input::Notice(Notice::Child));
    }

    /// A health check of this run has its answer.
    pub(super) fn health(&mut self, id: ProcId, generation: Generation, healthy: bool) {
        let message = if healthy { "connected" } else { "refused" }.to_owned();
        let (purpose, result) = (CheckPurpose::Health, HealthCheckResult { healthy, message });
        self.handle(Input::Checked { id, generation, purpose, result });
    }

    /// The last words of this run were read.
    pub(super) fn drained(&mut self, id: ProcId, generation: Generation, last_line: Option<&str>) {
        let last_line = last_line.map(str::to_owned);
        self.handle(Input::Output(Note::Drained { program: id, generation, last_line }));
    }

    /// The file that is being read has these programs.
    pub(super) fn load(&mut self, programs: &[ProgramConfig]) {
        self.load_settings(SupervisorConfig { programs: programs.to_vec(), ..SupervisorConfig::default() });
    }

    pub(super) fn load_settings(&mut self, config: SupervisorConfig) {
        let loaded = Loaded {
            config,
            warnings: Vec::new(),
            logfile_given: false,
            pidfile_given: false,
            files: Vec::new(),
            origins: Vec::new(),
            scaled: Vec::new(),
        };
        self.loaded(self.system.loads, Ok(loaded));
    }

    pub(super) fn loaded(&mut self, load: u64, result: Result<Loaded, ConfigError>) {
        let result = result.map(|loaded| LoadResult::new(loaded, &self.system.in_force));
        self.handle(Input::ConfigLoaded { load, result: Box::new(result) });
    }

    pub(super) fn entry(&self, id: ProcId) -> &Entry {
        self.engine.registry.get(id).expect("it is there")
    }

    pub(super) fn row(&self, name: &str) -> StatusRow {
        self.engine.rows(Some(name), 0, &self.engine.visibility(&Initiator::Embedder)).expect("it is there").remove(0)
    }

    pub(super) fn state(&self, name: &str) -> ProcessState {
        self.row(name).state
    }

    pub(super) fn describe(&self, name: &str) -> String {
        self.row(name).describe(self.now)
    }

    /// Who was answered, and how: the kind of the refusal, or `ok`.
    pub(super) fn answers(&self) -> Vec<(Client, &'static str)> {
        let kind = |answer: &Answer| answer.as_ref().map_or_else(Refusal::kind, |_| "ok");
        self.system.answers.iter().map(|(client, answer, _)| (*client, kind(answer))).collect()
    }

    pub(super) fn last_client(&self) -> Client {
        self.system.answers.last().expect("an answer").0
    }

    pub(super) fn reply(&self) -> &Reply {
        self.system.answers.last().expect("an answer").1.as_ref().expect("a reply")
    }

    pub(super) fn refusal(&self) -> &Refusal {
        self.system.answers.last().expect("an answer").1.as_ref().expect_err("a refusal")
    }

    /// The sentence of the last answer; a refusal with the code that it has in a frame.
    pub(super) fn message(&self) -> String {
        let (_, answer, _) = self.system.answers.last().expect("an answer");
        let frame = frames::answer(answer, self.clock());
        let frame: serde_json::Value = serde_json::from_slice(&frame[frames::HEADER..]).expect("JSON");
        let message = match answer {
            Ok(reply) => reply.to_string(),
            Err(refusal) => refusal.to_string(),
        };
        assert_eq!(frame["message"].as_str(), Some(message.as_str()), "{answer:?}");
        match frame["code"].as_str() {
            Some(code) => format!("{code} {message}"),
            None => message,
        }
    }

    pub(super) fn history(&mut self, program: &str) -> Vec<HistoryRow> {
        self.ask(99, Request::Query(Query::History { name: Some(name(program)) }));
        match self.reply() {
            Reply::History(rows) => rows.clone(),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn causes(&mut self, program: &str) -> Vec<String> {
        self.history(program).into_iter().map(|row| row.cause.to_string()).collect()
    }

    pub(super) fn why(&mut self, program: &str) -> Why {
        self.ask(99, Request::Watch(Watch::Why { name: name(program) }));
        match self.reply() {
            Reply::Why(why) => (**why).clone(),
            other => panic!("{other:?}"),
        }
    }

    /// What has happened, as far as it is an event.
    pub(super) fn events(&self) -> Vec<EventType> {
        self.system
            .announced
            .iter()
            .filter_map(|announcement| announcement.event().map(|event| event.event_type()))
            .collect()
    }

    /// Whether this was announced.
    pub(super) fn announced(&self, wanted: &Announcement) -> bool {
        self.system.announced.iter().any(|announcement| **announcement == *wanted)
    }

    pub(super) fn start(&mut self, client: Client, program: &str) {
        self.ask(client, act(Act::Start, program));
    }

    pub(super) fn stop(&mut self, client: Client, program: &str) {
        self.ask(client, act(Act::Stop, program));
    }
}

/// A command to one process whose effect is waited for.
pub(super) fn act(act: Act, program: &str) -> Request {
    act_on_terms(act, program, Terms::default())
}

pub(super) fn act_on_terms(act: Act, program: &str, terms: Terms) -> Request {
    Request::Command(Command::Act { act, on: Selector::Process(name(program)), terms })
}

pub(super) fn reload() -> Request {
    Request::Command(Command::Reload { timeout: None })
}

pub(super) fn update(confirm: Option<u64>) -> Request {
    Request::Command(Command::Update { confirm: confirm.map(Duration::from_secs), timeout: None })
}

pub(super) fn wait(program: &str, until: WaitFor, seconds: Option<u64>) -> Request {
    Request::Watch(Watch::Wait { name: name(program), until, timeout: seconds.map(Duration::from_secs) })
}

pub(super) fn program(name: &str) -> ProgramConfig {
    ProgramConfig { startsecs: 10, stopwaitsecs: 600, ..ProgramConfig::new(name, "sleep 1000") }
}

/// One that is running as soon as it is executed.
pub(super) fn quick(name: &str) -> ProgramConfig {
    ProgramConfig { startsecs: 0, ..program(name) }
}

/// The same, with health checks from the beginning.
pub(super) fn checked(name: &str) -> ProgramConfig {
    let mut config = quick(name);
    config.healthcheck.check_type = HealthCheckType::Tcp;
    config.healthcheck.start_period = 0;
    config
}

/// The same program with another command.
pub(super) fn other(config: &ProgramConfig) -> ProgramConfig {
    ProgramConfig { command: name("other"), ..config.clone() }
}

pub(super) fn name(name: &str) -> String {
    name.to_owned()
}
