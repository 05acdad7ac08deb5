//! One test for each interleaving that has a rule of its own. Random interleavings: `tests/sim`.

mod forking;
mod health;
mod hooks;
mod leftovers;
mod notified;
mod oneshot;
mod pause;
mod pending;
mod policy;
mod readiness;
mod reports;
mod retries;
mod stop_steps;
mod stops;
mod watchdog;

use std::sync::Arc;
use std::time::Duration;

use super::super::cause::{Cause, Verb};
use super::super::initiator::{Caller, Initiator};
use super::super::last_words::LastWords;
use super::super::moment::Moment;
use super::super::signal_target::SignalTarget;
use super::super::state::{Exit, ProcessState, SpawnError, SpawnStage};
use super::{Action, Condition, Desired, Event, KillWhy, Machine};
use crate::models::{AutoRestart, HealthCheckType, Hook, ProgramConfig};
use ProcessState::{Backoff, Exited, Fatal, Running, Starting, Stopped, Stopping, Unhealthy};

const TERM: u8 = 15;
const KILL: u8 = 9;
const ENOENT: i32 = 2;
const EACCES: i32 = 13;

/// A machine and a clock; spawns succeed unless told otherwise.
struct Bench {
    machine: Machine,
    start: Moment,
    now: Moment,
    /// States announced since the last look.
    seen: Vec<ProcessState>,
    signals: Vec<u8>,
    /// Whom each of them was for.
    targets: Vec<SignalTarget>,
    /// Why the signals since the last look were sent.
    whys: Vec<KillWhy>,
    checks: u32,
    probes: u32,
    /// Commands for bad health.
    commands: u32,
    spawns: u32,
    /// Why the states since the last look were entered.
    causes: Vec<String>,
    /// The hooks that were to be run, in order.
    hooks: Vec<Hook>,
    /// Whether each cancellation of hooks was by force.
    cancelled: Vec<bool>,
    spawn_error: Option<SpawnError>,
    /// Programs are not executed before `Executed`.
    exec_hangs: bool,
    /// How often messages of programs were to be read.
    reads: u32,
    /// Who has sent a message that is not taken.
    refused: Vec<i32>,
    /// How often the main process was looked for.
    looks: u32,
    /// What was named as the main process.
    named: Vec<i32>,
}

impl Bench {
    fn new(change: impl FnOnce(&mut ProgramConfig)) -> Self {
        let now = crate::sys::time::now();
        Bench {
            machine: Machine::new(Arc::new(config(change))),
            start: now,
            now,
            seen: Vec::new(),
            signals: Vec::new(),
            targets: Vec::new(),
            whys: Vec::new(),
            checks: 0,
            probes: 0,
            commands: 0,
            spawns: 0,
            causes: Vec::new(),
            hooks: Vec::new(),
            cancelled: Vec::new(),
            spawn_error: None,
            exec_hangs: false,
            reads: 0,
            refused: Vec::new(),
            looks: 0,
            named: Vec::new(),
        }
    }

    fn started(change: impl FnOnce(&mut ProgramConfig)) -> Self {
        let mut bench = Bench::new(change);
        bench.feed(start());
        bench
    }

    /// Started, and a day old.
    fn running(change: impl FnOnce(&mut ProgramConfig)) -> Self {
        let mut bench = Bench::started(change);
        bench.wait(86_400_000);
        assert_eq!(bench.machine.state(), Running);
        bench.seen.clear();
        bench.causes.clear();
        bench
    }

    fn feed(&mut self, event: Event) {
        self.machine.handle_event(self.now, event);
        self.act();
    }

    fn act(&mut self) {
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Spawn { generation } => {
                    self.spawns += 1;
                    let pid = 10 + i32::try_from(self.spawns).unwrap();
                    let event = match self.spawn_error.clone() {
                        Some(error) => Event::SpawnFailed { generation, error },
                        None if self.exec_hangs => Event::SpawnPending { generation, pid },
                        None => Event::Spawned { generation, pid },
                    };
                    self.machine.handle_event(self.now, event);
                }
                Action::Signal { signal, why, target, resume, .. } => {
                    // What stops it in its place, or lets it go on, is not followed by anything.
                    let in_place = matches!(signal, 18 | 19);
                    assert_eq!(resume, signal != KILL && why != KillWhy::HealthAction && !in_place);
                    self.signals.push(signal);
                    self.targets.push(target);
                    self.whys.push(why);
                }
                Action::RunHook { hook, .. } => self.hooks.push(hook),
                Action::CancelHooks { force, .. } => self.cancelled.push(force),
                Action::CheckHealth { .. } => self.checks += 1,
                Action::ProbeReadiness { .. } => self.probes += 1,
                Action::AskNotifications { .. } => self.reads += 1,
                Action::NoteRefused { pid } => self.refused.push(pid),
                Action::RunHealthCommand { .. } => self.commands += 1,
                Action::FindMain { .. } => self.looks += 1,
                Action::HandOver { pid, .. } => self.named.push(pid),
                Action::NoteMain { .. } => {}
                Action::NoteReadiness { lost } => self.causes.push(format!("{lost:?}")),
                Action::Announce(transition) => {
                    self.seen.push(transition.to);
                    self.causes.push(transition.cause.to_string());
                }
            }
        }
        self.reread();
    }

    /// Every state can be written down and read back; the machine goes on with what was read.
    fn reread(&mut self) {
        let text = serde_json::to_string(&self.machine).expect("plain data");
        let machine: Machine = serde_json::from_str(&text).expect("what was written");
        assert_eq!(format!("{machine:?}"), format!("{:?}", self.machine));
        self.machine = machine;
    }

    /// Lets milliseconds pass, with every timer at its moment.
    fn wait(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(at) = self.machine.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.machine.handle_timeout(self.now);
            self.act();
        }
        self.now = end;
    }

    fn exit(&mut self, exit: Exit) {
        let generation = self.machine.generation();
        self.feed(Event::Exited { generation, exit, descendant: None });
    }

    fn empty(&mut self) {
        let generation = self.machine.generation();
        self.feed(Event::GroupEmpty { generation });
    }

    fn lingers(&mut self) {
        let generation = self.machine.generation();
        self.feed(Event::GroupLingers { generation });
    }

    /// The leader ends and leaves nothing.
    fn end(&mut self, exit: Exit) {
        self.exit(exit);
        self.empty();
    }

    fn health(&mut self, healthy: bool) {
        let message = if healthy { "connected" } else { "connection refused" }.to_owned();
        let generation = self.machine.generation();
        self.feed(Event::HealthReported { generation, healthy, message });
    }

    /// A try whether it is ready has its answer.
    fn probed(&mut self, ready: bool) {
        let message = if ready { "connected" } else { "connection refused" }.to_owned();
        let generation = self.machine.generation();
        self.feed(Event::Probed { generation, ready, message });
    }

    fn seen(&mut self) -> Vec<ProcessState> {
        std::mem::take(&mut self.seen)
    }

    fn signals(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.signals)
    }

    fn whys(&mut self) -> Vec<KillWhy> {
        std::mem::take(&mut self.whys)
    }

    fn causes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.causes)
    }

    fn describe(&self) -> String {
        self.machine.condition().describe(self.now, None)
    }
}

fn client(pid: i32) -> Initiator {
    Initiator::Client(Arc::new(Caller {
        uid: 0,
        pid,
        command: Some("supervicectl".into()),
        user: None,
        groups: Box::default(),
    }))
}

fn start() -> Event {
    Event::StartRequested { by: Initiator::Autostart }
}

fn stop() -> Event {
    Event::StopRequested { by: client(1) }
}

fn kill() -> Event {
    Event::KillRequested { by: client(2) }
}

fn restart(force: bool) -> Event {
    Event::RestartRequested { force, by: client(3) }
}

fn config(change: impl FnOnce(&mut ProgramConfig)) -> ProgramConfig {
    // By its name its first check is not staggered.
    let mut config = ProgramConfig::new("tbox", "/bin/web");
    change(&mut config);
    config
}

fn checked(config: &mut ProgramConfig) {
    config.healthcheck.check_type = HealthCheckType::Tcp;
    config.healthcheck.start_period = 10;
    config.healthcheck.interval = 30;
    config.healthcheck.retries = 2;
}

#[test]
fn a_start_reaches_running_after_startsecs() {
    let mut bench = Bench::started(|config| config.startsecs = 3);
    bench.wait(2_999);
    assert_eq!(bench.seen(), [Starting]);
    bench.wait(1);
    assert_eq!(bench.seen(), [Running]);
    assert_eq!(bench.describe(), "pid 11, uptime 0:03");
    assert_eq!(bench.machine.poll_timeout(), None);
}

#[test]
fn startsecs_0_is_running_as_soon_as_it_is_executed() {
    let mut bench = Bench::started(|config| config.startsecs = 0);
    assert_eq!(bench.seen(), [Starting, Running]);
}

#[test]
fn the_longest_startsecs_does_no_harm() {
    let mut bench = Bench::started(|config| {
        config.startsecs = u32::MAX;
        config.stopwaitsecs = u32::MAX;
    });
    bench.wait(1_000_000);
    bench.feed(stop());
    bench.end(Exit::Signal(TERM));
    assert_eq!(bench.seen(), [Starting, Stopping, Stopped]);
}

#[test]
fn an_end_in_starting_goes_through_exited_to_backoff() {
    let mut bench = Bench::started(|_| {});
    bench.wait(200);
    bench.end(Exit::Code(3));
    assert_eq!(bench.seen(), [Starting, Exited, Backoff]);
    assert_eq!(bench.describe(), "exit code 3 after 0.2 s, retry 1 of 3 in 1 s");
}

#[test]
fn an_end_that_was_reported_before_a_late_timer_is_judged_by_its_time() {
    let mut bench = Bench::started(|_| {});
    bench.now += Duration::from_secs(2);
    bench.end(Exit::Code(0));
    assert_eq!(bench.seen(), [Starting, Running, Exited, Starting]);
}

#[test]
fn stop_in_backoff_cancels_the_retry() {
    let mut bench = Bench::started(|_| {});
    bench.end(Exit::Code(1));
    bench.feed(stop());
    assert_eq!(bench.seen(), [Starting, Exited, Backoff, Stopped]);
    assert_eq!(bench.machine.poll_timeout(), None);
}

#[test]
fn a_retry_that_comes_due_while_something_lingers_waits_for_it() {
    let mut bench = Bench::started(|_| {});
    bench.exit(Exit::Code(1));
    bench.lingers();
    assert_eq!(bench.signals(), [TERM]);
    bench.wait(5_000);
    assert_eq!(bench.machine.state(), Backoff);
    assert_eq!(bench.spawns, 1);
    assert!(bench.describe().ends_with("retry 1 of 3 when the process group of pid 11 has gone"));
    bench.wait(5_000);
    assert_eq!(bench.signals(), [KILL]);
    bench.empty();
    assert_eq!(bench.spawns, 2);
}

#[test]
fn an_operators_start_while_something_lingers_goes_through_stopping() {
    let mut bench = Bench::running(|config| config.autorestart = AutoRestart::Never);
    bench.exit(Exit::Code(1));
    bench.lingers();
    bench.feed(start());
    assert_eq!(bench.seen(), [Exited, Stopping]);
    assert_eq!(bench.signals(), [TERM]);
    bench.empty();
    assert_eq!(bench.seen(), [Stopped, Starting]);
}

#[test]
fn stop_after_an_exit_keeps_the_truth_about_it() {
    let mut bench = Bench::running(|config| config.autorestart = AutoRestart::Unexpected);
    bench.end(Exit::Code(0));
    bench.feed(stop());
    assert_eq!(bench.seen(), [Exited]);
    assert_eq!(bench.describe(), "exit code 0 after 24:00:00");
}

#[test]
fn autorestart_unexpected_looks_at_exitcodes() {
    for (exit, again) in
        [(Exit::Code(0), false), (Exit::Code(2), false), (Exit::Code(1), true), (Exit::Signal(2), true)]
    {
        let mut bench = Bench::running(|config| {
            config.autorestart = AutoRestart::Unexpected;
            config.exitcodes = vec![0, 2];
        });
        bench.end(exit);
        assert_eq!(bench.machine.state() == Starting, again, "{exit}");
    }
}

#[test]
fn new_settings_wait_for_the_next_start() {
    let mut bench = Bench::running(|_| {});
    let changed = config(|config| config.stopsignal = "INT".to_owned());
    bench.feed(Event::ConfigChanged(Arc::new(changed)));
    bench.feed(restart(false));
    assert_eq!(bench.signals(), [TERM]);
    bench.end(Exit::Signal(TERM));
    bench.feed(stop());
    assert_eq!(bench.signals(), [2]);
}

#[test]
fn answers_of_another_run_change_nothing() {
    let mut bench = Bench::started(checked);
    bench.wait(20_000);
    bench.end(Exit::Code(0));
    let before = format!("{:?}", bench.machine);
    for generation in [0, 1, 3] {
        bench.feed(Event::Exited { generation, exit: Exit::Code(1), descendant: None });
        bench.feed(Event::GroupEmpty { generation });
        bench.feed(Event::HealthReported { generation, healthy: false, message: "stale".to_owned() });
    }
    assert_eq!(format!("{:?}", bench.machine), before);
}

#[test]
fn a_machine_at_rest_is_small_and_holds_no_queue() {
    assert!(size_of::<Machine>() <= 256, "{} bytes", size_of::<Machine>());
    let bench = Bench::running(|_| {});
    assert_eq!(bench.machine.actions.capacity(), 0);
}

#[test]
fn spans_of_time_are_told_as_people_read_them() {
    use crate::process::span;
    for (millis, wanted) in [
        (0, "0.0 s"),
        (250, "0.2 s"),
        (9_999, "9.9 s"),
        (10_000, "10 s"),
        (59_999, "59 s"),
        (60_000, "1:00"),
        (754_000, "12:34"),
        (3_599_999, "59:59"),
        (3_600_000, "1:00:00"),
        (360_061_000, "100:01:01"),
    ] {
        assert_eq!(span(Duration::from_millis(millis)), wanted);
    }
}

#[test]
fn seconds_that_are_left_are_rounded_up() {
    let mut bench = Bench::running(|config| config.stopwaitsecs = 10);
    bench.feed(stop());
    assert_eq!(bench.describe(), "stopping, SIGKILL in 10 s");
    bench.wait(500);
    assert_eq!(bench.describe(), "stopping, SIGKILL in 10 s");
    bench.wait(600);
    assert_eq!(bench.describe(), "stopping, SIGKILL in 9 s");
}

#[test]
fn a_run_of_a_whole_second_is_no_instant_failure() {
    for (millis, state) in [(999, Backoff), (1_000, Starting)] {
        let mut bench = Bench::started(|config| config.startsecs = 0);
        bench.wait(millis);
        bench.seen();
        bench.end(Exit::Code(1));
        assert_eq!(bench.seen()[..2], [Exited, state], "{millis}");
    }
}

#[test]
fn an_exit_with_startsecs_0_is_an_end_as_any_other_where_it_is_to_be_one() {
    let mut bench = Bench::started(|config| {
        config.startsecs = 0;
        config.startretries = 1;
        config.ignores_early_exits = true;
    });
    for round in 1..10 {
        bench.seen();
        bench.wait(300);
        bench.end(Exit::Code(1));
        assert_eq!(bench.machine.state(), Exited, "round {round}");
        bench.wait(699);
        assert_eq!(bench.spawns, round, "not before a second is over");
        bench.wait(1);
        assert_eq!((bench.spawns, bench.machine.state()), (round + 1, Running));
    }
}

#[test]
fn a_run_that_lasted_before_it_was_unhealthy_forgives_the_failed_starts_before() {
    for (millis, attempts) in [(1_000, 1), (999, 2)] {
        let mut bench = Bench::started(|config| {
            checked(config);
            config.startsecs = 0;
            config.healthcheck.retries = 1;
            config.healthcheck.start_period = 0;
        });
        bench.end(Exit::Code(1));
        assert_eq!(bench.machine.retry().map(|(number, ..)| number), Some(1));
        bench.wait(1_000);
        bench.wait(millis);
        bench.health(false);
        bench.end(Exit::Signal(TERM));
        assert_eq!(bench.machine.state(), Backoff);
        while bench.spawns < 3 {
            bench.wait(10);
        }
        bench.end(Exit::Code(1));
        assert_eq!(bench.machine.retry().map(|(number, ..)| number), Some(attempts), "after {millis} ms");
    }
}
