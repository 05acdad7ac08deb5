mod operate;
mod sim;
mod told;
mod words;

use crossbeam_channel::{Receiver, bounded};

use super::super::world::Answer;
use super::*;

mod endings;
use crate::codec::frames::{Amount, ProcessStatus, Report, Request, Terms, Why};
use crate::config::{ConfigError, Loaded};
use crate::control::server::{ConnId, IncomingRequest};
use crate::models::{HealthCheckType, SupervisorConfig};
use crate::process::Moment;
use crate::process::{Command, Desired, SpawnError};
use crate::sys::net::Peer;

/// A world in which every spawn succeeds and every group is empty once its leader has ended.
#[derive(Default)]
struct Fake {
    roster: Arc<Roster>,
    pids: i32,
    ended: Vec<Reaped>,
    /// Answers to connections, each with the names that the roster held at that moment.
    answers: Vec<(ConnId, Answer, Vec<String>)>,
    events: Vec<EventType>,
    refuse_checks: bool,
    /// What listeners were told.
    told: Vec<(ConnId, String)>,
    /// Signals to the group of a process.
    signals: Vec<(ProcId, u8)>,
    /// Something is left of the process group of every leader that ends.
    lingers: bool,
    /// The same for this one alone.
    lingers_of: Option<ProcId>,
    /// Processes that a program has left behind, and what they were told.
    orphans: usize,
    orphan_signals: Vec<Option<u8>>,
    /// The events of the past that each listener was given.
    past: Vec<Vec<String>>,
    refuse_spawns: Option<SpawnError>,
    loads: usize,
    /// Connections that are told nothing any more.
    forgotten: Vec<ConnId>,
    /// How often the console's output was set up anew.
    outputs: usize,
}

impl Fake {
    fn names(&self) -> Vec<String> {
        self.roster.all().into_iter().map(|(name, _)| name.to_string()).collect()
    }
}

impl World for Fake {
    fn spawn(&mut self, _: ProcId, _: Generation, _: &Arc<ProgramConfig>) -> Result<i32, SpawnError> {
        if let Some(error) = &self.refuse_spawns {
            return Err(error.clone());
        }
        self.pids += 1;
        Ok(1000 + self.pids)
    }
    fn signal_group(&mut self, id: ProcId, signal: u8) {
        self.signals.push((id, signal));
    }
    fn sweep(&mut self) -> Vec<Reaped> {
        std::mem::take(&mut self.ended)
    }
    fn group_is_empty(&mut self, id: ProcId) -> bool {
        !self.lingers && self.lingers_of != Some(id)
    }
    fn signal_orphans(&mut self, signal: Option<u8>) -> usize {
        self.orphan_signals.push(signal);
        self.orphans
    }
    fn leader_exited(&mut self, _: ProcId, _: Generation) {}
    fn run_ended(&mut self, _: ProcId, _: Generation) {}
    fn check_health(&mut self, _: ProcId, _: Generation, _: &Arc<ProgramConfig>) -> Result<(), String> {
        if self.refuse_checks { Err("no thread for the check".to_owned()) } else { Ok(()) }
    }
    fn kill_script(&mut self, _: u64) {}
    fn configure(&mut self, _: ProcId, _: &Arc<ProgramConfig>) {}
    fn forget(&mut self, _: ProcId) {}
    fn load_config(&mut self) {
        self.loads += 1;
    }
    fn reply(&mut self, to: &ReplyTo, answer: Answer) {
        match to {
            ReplyTo::Connection(conn) => self.answers.push((*conn, answer, self.names())),
            ReplyTo::Thread(reply) => drop(reply.try_send(answer)),
            ReplyTo::Nobody => {}
        }
    }
    fn wants(&self, _: EventType) -> bool {
        true
    }
    fn publish(&mut self, event: Event) {
        self.events.push(event.event_type);
    }
    fn tail(&mut self, _: ProcId, _: StreamKind, _: Amount, _: bool, _: &ReplyTo) {}
    fn clear_logs(&mut self, _: ProcId, _: &str, _: &ReplyTo) {}
    fn reopen_logs(&mut self) {}
    fn set_output(&mut self, _: &SupervisorConfig) {
        self.outputs += 1;
    }
    fn set_log_level(&mut self, level: &str) -> bool {
        level == "DEBUG"
    }
    fn wall(&self) -> Duration {
        Duration::from_secs(1_700_000_000)
    }
    fn command_name(&self, pid: i32) -> Option<String> {
        (pid > 0).then(|| "supervicectl".to_owned())
    }
    fn listen(&mut self, conn: ConnId, past: Vec<String>) {
        self.told.push((conn, past.len().to_string()));
        self.past.push(past);
    }
    fn tell_listener(&mut self, conn: ConnId, event: &str) {
        self.told.push((conn, event.to_owned()));
    }
    fn forget_listener(&mut self, conn: ConnId) {
        self.forgotten.push(conn);
    }
    fn explain(&mut self, _: ProcId, _: StreamKind, why: Why, to: &ReplyTo) {
        self.reply(to, Answer::report(Report::Why(why)));
    }
}

struct House {
    now: Moment,
    engine: Engine,
    world: Fake,
}

impl House {
    fn new(programs: &[ProgramConfig]) -> House {
        House::with(SupervisorConfig::default(), programs)
    }

    fn with(settings: SupervisorConfig, programs: &[ProgramConfig]) -> House {
        let mut world = Fake::default();
        let programs = programs.iter().cloned().map(Arc::new).collect();
        let engine = Engine::new(settings, programs, Arc::clone(&world.roster), &mut world);
        House { now: crate::sys::time::now(), engine, world }
    }

    fn handle(&mut self, input: Input) {
        self.engine.handle(self.now, input, &mut self.world);
        self.engine.run_timers(self.now, &mut self.world);
    }

    fn ask(&mut self, conn: ConnId, request: Request) {
        let peer = Peer { pid: 1, uid: 0, gid: 0 };
        self.handle(Input::Request(Box::new(IncomingRequest { conn, peer, request })));
    }

    fn local(&mut self, name: &str, command: Command) -> Receiver<Answer> {
        let (reply, answer) = bounded(1);
        self.handle(Input::Local { name: name.to_owned(), command, reply: Some(reply) });
        answer
    }

    /// The time goes by as it does for the dispatcher: nothing is looked at before the engine has said that it wants to.
    fn pass(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        self.engine.run_timers(self.now, &mut self.world);
        let mut stuck = 0;
        while let Some(at) = self.engine.poll_timeout().filter(|at| *at <= end) {
            stuck = if at > self.now { 0 } else { stuck + 1 };
            assert!(stuck < 100, "a timer stays due");
            self.now = self.now.max(at);
            self.engine.run_timers(self.now, &mut self.world);
        }
        self.now = end;
    }

    fn end(&mut self, id: ProcId, exit: process::Exit) {
        let generation = self.engine.entries[&id].machine.generation();
        self.world.ended.push(Reaped { id, generation, exit });
        self.handle(Input::Notice(Notice::Child));
    }

    fn load(&mut self, programs: &[ProgramConfig]) {
        let config = SupervisorConfig { programs: programs.to_vec(), ..SupervisorConfig::default() };
        let loaded = Loaded { config, warnings: Vec::new(), logfile_given: false, files: Vec::new() };
        self.handle(Input::ConfigLoaded(Box::new(Ok(loaded))));
    }

    fn status(&mut self, name: &str) -> ProcessStatus {
        match self.engine.status(self.now, Some(name), 0, &self.world) {
            Answer::Status { mut processes, .. } => processes.remove(0),
            other => panic!("{other:?}"),
        }
    }

    fn answers(&self) -> Vec<(ConnId, &'static str)> {
        let kind = |answer: &Answer| match answer {
            Answer::Done(_) => "done",
            Answer::Failed { .. } => "failed",
            Answer::Status { .. } => "status",
            Answer::Reloaded(_) => "reloaded",
            Answer::Report(_) => "report",
        };
        self.world.answers.iter().map(|(conn, answer, _)| (*conn, kind(answer))).collect()
    }
}

fn program(name: &str) -> ProgramConfig {
    ProgramConfig { startsecs: 10, stopwaitsecs: 600, ..ProgramConfig::new(name, "sleep 1000") }
}

fn name(name: &str) -> String {
    name.to_owned()
}

#[test]
fn nothing_is_kept_for_a_client_that_has_gone_but_its_commands_are_done() {
    let mut house = House::new(&[program("p")]);
    for conn in 0..100 {
        house.ask(conn, Request::Start { name: name("p"), terms: Terms::default() });
        house.handle(Input::Gone(conn));
    }
    house.ask(100, Request::Start { name: name("p"), terms: Terms::default() });
    assert_eq!((house.engine.jobs.open(), house.engine.entries[&0].jobs.len()), (1, 1));
    house.pass(10);
    assert_eq!(house.status("p").state, "RUNNING");
    assert_eq!(house.answers(), [(100, "done")]);
    assert_eq!((house.engine.jobs.open(), house.engine.entries[&0].jobs.len()), (0, 0));
}

#[test]
fn starts_that_nobody_waits_for_leave_nothing_behind() {
    let mut house = House::new(&[program("p")]);
    for _ in 0..100 {
        house.handle(Input::Local { name: name("p"), command: Command::Start, reply: None });
    }
    assert_eq!((house.world.pids, house.engine.jobs.open()), (1, 0));
}

#[test]
fn a_storm_of_reloads_while_the_file_is_read_is_one_more_look() {
    let mut house = House::new(&[program("p")]);
    for conn in 0..100 {
        house.handle(Input::Notice(Notice::Reload));
        house.ask(conn, Request::Reload);
        house.handle(Input::Gone(conn));
    }
    house.ask(100, Request::Reload);
    assert_eq!(
        (house.world.loads, house.engine.reload.waiting()),
        (1, 3),
        "one is being read, nobody and one client wait for the next"
    );
    house.load(&[program("p"), program("q")]);
    assert_eq!(house.world.loads, 2, "the file may have changed since");
    house.load(&[program("p"), program("q")]);
    assert_eq!(house.answers(), [(100, "reloaded")]);
    assert_eq!((house.world.loads, house.engine.reload.waiting()), (2, 0));
}

#[test]
fn nobody_waits_for_a_file_that_is_read_for_ever_when_the_daemon_ends() {
    let mut house = House::new(&[program("p")]);
    house.ask(1, Request::Reload);
    house.ask(2, Request::Reload);
    house.handle(Input::Notice(Notice::Terminate));
    assert_eq!(house.answers(), [(1, "failed"), (2, "failed")]);
    assert_eq!(house.engine.finished(), Some(true));
}

#[test]
fn what_a_reload_removes_is_gone_when_it_is_answered() {
    let mut house = House::new(&[program("down"), program("up"), program("stays")]);
    house.ask(1, Request::Start { name: name("up"), terms: Terms::default() });
    house.ask(2, Request::Reload);
    house.load(&[program("stays")]);
    assert!(!house.answers().contains(&(2, "reloaded")), "one is still stopping");
    let message = house.engine.unknown_process("up");
    assert_eq!(message, "'up' was removed from the configuration and is still stopping");
    house.end(1, process::Exit::Signal(15));
    let (conn, answer, names) = house.world.answers.last().expect("an answer");
    assert!(matches!((conn, answer), (2, Answer::Reloaded(_))), "{answer:?}");
    assert_eq!(names, &["stays"], "gone for every thread when the answer is sent");
    // The same for one that was down already.
    house.ask(3, Request::Reload);
    house.load(&[]);
    let (conn, _, names) = house.world.answers.last().expect("an answer");
    assert_eq!((*conn, names.len()), (3, 0));
}

#[test]
fn a_removed_program_that_comes_back_while_it_stops_settles_both_reloads() {
    let mut house = House::new(&[program("p")]);
    house.ask(1, Request::Start { name: name("p"), terms: Terms::default() });
    house.pass(10);
    house.ask(2, Request::Reload);
    house.load(&[]);
    house.ask(3, Request::Reload);
    house.load(&[program("p")]);
    assert_eq!(house.answers(), [(1, "done"), (3, "reloaded")]);
    house.end(0, process::Exit::Signal(15));
    assert_eq!(house.answers(), [(1, "done"), (3, "reloaded"), (2, "reloaded")]);
    assert_eq!((house.world.pids, house.status("p").state.as_str()), (2, "STARTING"));
}

#[test]
fn a_stop_is_answered_although_a_start_follows_it_at_once() {
    let mut house = House::new(&[program("p")]);
    house.ask(1, Request::Start { name: name("p"), terms: Terms::default() });
    house.pass(10);
    let stop = house.local("p", Command::Stop);
    let start = house.local("p", Command::Start);
    house.end(0, process::Exit::Signal(15));
    assert!(matches!(stop.try_recv(), Ok(Answer::Done(_))));
    assert!(start.try_recv().is_err(), "it is only STARTING");
    house.pass(10);
    assert!(matches!(start.try_recv(), Ok(Answer::Done(_))));
}

#[test]
fn a_check_that_can_not_begin_is_told_like_one_that_failed() {
    let mut checked = program("p");
    checked.healthcheck.check_type = HealthCheckType::Tcp;
    checked.healthcheck.start_period = 0;
    checked.healthcheck.retries = 1;
    let mut house = House::new(&[checked]);
    house.world.refuse_checks = true;
    house.ask(1, Request::Start { name: name("p"), terms: Terms::default() });
    house.pass(10);
    let begin = house.world.events.iter().position(|kind| *kind == EventType::HealthcheckFailed);
    let then = house.world.events.iter().position(|kind| *kind == EventType::ProcessStateUnhealthy);
    assert!(begin.is_some() && begin < then, "{:?}", house.world.events);
    assert_eq!(house.engine.entries[&0].machine.desired(), Desired::Up);
}

#[test]
fn trouble_with_one_stream_is_not_over_when_the_other_is_well_again() {
    let mut house = House::new(&[program("p")]);
    for stream in [StreamKind::Stdout, StreamKind::Stderr] {
        let text = format!("{} full", stream.as_str());
        house.handle(Input::Output(Note::Trouble { program: 0, stream, text }));
    }
    house.handle(Input::Output(Note::Recovered { program: 0, stream: StreamKind::Stderr, lost_bytes: 1 }));
    let status = house.status("p");
    assert!(status.description.as_deref().is_some_and(|text| text.ends_with("stdout full")), "{status:?}");
    house.handle(Input::Output(Note::Recovered { program: 0, stream: StreamKind::Stdout, lost_bytes: 1 }));
    assert_eq!(house.status("p").description.as_deref(), Some("not started"));
}

#[test]
fn an_unreadable_file_changes_nothing() {
    let mut house = House::new(&[program("p")]);
    house.ask(1, Request::Reload);
    let error = std::io::Error::other("unreadable");
    house.handle(Input::ConfigLoaded(Box::new(Err(ConfigError::Read { path: "x".into(), error }))));
    assert_eq!((house.answers(), house.world.names()), (vec![(1, "failed")], vec![name("p")]));
}
