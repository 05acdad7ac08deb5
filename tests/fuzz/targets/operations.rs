//! Bytes as a life: commands, exits, answers and time for one state machine, and the rules that hold at each step.

use std::sync::Arc;
use std::time::Duration;

use supervice::internals::{Action, Event, Machine, Moment};
use supervice::models::{AutoRestart, HealthCheckType, ProgramConfig};
use supervice::process::{Exit, Initiator, ProcessState, SpawnError, SpawnStage};

/// The kernel's side: which run lives, and what is left of its group.
struct Life {
    machine: Machine,
    now: Moment,
    /// The run whose leader lives.
    leader: Option<u64>,
    /// The run whose leader is gone and whose group is not.
    rest: Option<u64>,
    spawned: u64,
    fails: bool,
    last: ProcessState,
}

/// Runs a list of operations: eight bytes of settings, then one operation for each two bytes.
pub fn run(data: &[u8]) {
    let Some((settings, operations)) = data.split_first_chunk::<8>() else { return };
    let machine = Machine::new(Arc::new(config(*settings)));
    let last = machine.state();
    let mut life =
        Life { machine, now: Moment::from_nanos(1), leader: None, rest: None, spawned: 0, fails: false, last };
    for operation in operations.chunks_exact(2).take(4096) {
        life.step(operation[0], operation[1]);
    }
    // Whatever came before: a stop settles in bounded time with a kernel that kills.
    life.fails = false;
    life.event(Event::KillRequested { by: Initiator::Embedder });
    for _ in 0..8 {
        if let Some(generation) = life.leader {
            life.exit(generation, Exit::Signal(9), false);
        }
        if let Some(generation) = life.rest.take() {
            life.event(Event::GroupEmpty { generation });
        }
    }
    assert!(life.machine.state().is_down(), "a kill ends in a down state, not {:?}", life.machine.state());
}

fn config(settings: [u8; 8]) -> ProgramConfig {
    let [restart, startsecs, retries, stopwait, check, interval, failures, period] = settings;
    let mut config = ProgramConfig::new("p", "/bin/p");
    config.autorestart = [AutoRestart::Never, AutoRestart::Unexpected, AutoRestart::Always][usize::from(restart % 3)];
    config.startsecs = if startsecs == 255 { u32::MAX } else { u32::from(startsecs % 8) };
    config.startretries = u32::from(retries % 8);
    config.stopwaitsecs = if stopwait == 255 { u32::MAX } else { u32::from(stopwait % 16) };
    let checks = [HealthCheckType::None, HealthCheckType::Tcp, HealthCheckType::Script];
    config.healthcheck.check_type = checks[usize::from(check % 3)];
    config.healthcheck.interval = u32::from(interval % 31) + 1;
    config.healthcheck.retries = u32::from(failures % 4) + 1;
    config.healthcheck.start_period = if period == 255 { u32::MAX } else { u32::from(period % 16) };
    config
}

impl Life {
    fn step(&mut self, what: u8, detail: u8) {
        // Half of what speaks of a run speaks of an old one, or of one that is to come.
        let generation = if detail & 1 == 0 { self.machine.generation() } else { u64::from(detail >> 1) };
        match what % 14 {
            0 => self.event(Event::StartRequested { by: Initiator::Embedder }),
            1 => self.event(Event::StopRequested { by: Initiator::Embedder }),
            2 => self.event(Event::KillRequested { by: Initiator::Embedder }),
            3 => self.event(Event::RestartRequested { force: detail & 1 == 0, by: Initiator::Embedder }),
            4 | 5 => {
                if let Some(leader) = self.leader {
                    let exit = if detail & 2 == 0 { Exit::Code(detail >> 3) } else { Exit::Signal(detail % 64 + 1) };
                    self.exit(leader, exit, detail & 4 != 0);
                }
            }
            6 => {
                if let Some(generation) = self.rest.take() {
                    self.event(Event::GroupEmpty { generation });
                }
            }
            7 | 8 => {
                let healthy = detail & 2 == 0;
                self.event(Event::HealthReported { generation, healthy, message: "said".to_owned() });
            }
            9 => {
                self.now += Duration::from_millis(u64::from(detail) * 50);
                self.time();
            }
            10 => {
                // To the next timer, and past it.
                if let Some(at) = self.machine.poll_timeout() {
                    self.now = self.now.max(at.min(self.now + Duration::from_secs(1_000_000)));
                    self.time();
                }
            }
            11 => self.fails = detail & 1 == 0,
            12 => self.event(Event::ConfigChanged(Arc::new(config([detail; 8])))),
            // A stale exit: of a run that is not the living one.
            _ => {
                let generation = u64::from(detail);
                if Some(generation) != self.leader && generation < self.machine.generation() && self.rest.is_none() {
                    let before = (self.machine.state(), self.machine.pid());
                    self.event(Event::Exited { generation, exit: Exit::Code(1), descendant: None });
                    assert_eq!(before, (self.machine.state(), self.machine.pid()), "an old exit changes nothing");
                }
            }
        }
    }

    fn exit(&mut self, generation: u64, exit: Exit, lingers: bool) {
        self.leader = None;
        self.rest = Some(generation);
        self.event(Event::Exited { generation, exit, descendant: None });
        if lingers {
            self.event(Event::GroupLingers { generation });
        } else {
            self.rest = None;
            self.event(Event::GroupEmpty { generation });
        }
    }

    fn time(&mut self) {
        // A spawn may bring a timer that is due at once, such as the first health check; never one after the other.
        for _ in 0..4 {
            self.machine.handle_timeout(self.now);
            self.act();
            if self.machine.poll_timeout().is_none_or(|at| at > self.now) {
                return;
            }
        }
        panic!("a timer stays due after it has fired: the daemon would spin");
    }

    fn event(&mut self, event: Event) {
        self.machine.handle_event(self.now, event);
        self.act();
    }

    fn act(&mut self) {
        let mut actions = 0;
        while let Some(action) = self.machine.poll_action() {
            actions += 1;
            assert!(actions < 100, "the machine goes round in circles");
            match action {
                Action::Spawn { generation } => self.spawn(generation),
                Action::Signal { generation, signal, target: _, resume: _, why: _ } => {
                    assert!(
                        self.leader == Some(generation) || self.rest == Some(generation),
                        "a stranger is signalled"
                    );
                    assert!((1..=64).contains(&signal));
                }
                Action::RunHook { hook, .. } => panic!("{hook} is not configured"),
                Action::CancelHooks { .. } => panic!("no hook runs"),
                Action::CheckHealth { generation } | Action::AskNotifications { generation } => {
                    assert_eq!(self.leader, Some(generation));
                }
                Action::NoteRefused { pid } | Action::HandOver { pid, .. } => panic!("{pid} has sent no message"),
                Action::NoteReadiness { .. } => panic!("it is not tried"),
                Action::FindMain { .. } | Action::NoteMain { .. } => panic!("it has one main process"),
                Action::RunHealthCommand { generation } | Action::ProbeReadiness { generation } => {
                    assert_eq!(self.leader, Some(generation))
                }
                Action::Announce(transition) => {
                    assert_eq!(transition.from, self.last, "announcements chain");
                    self.last = transition.to;
                }
            }
        }
        let state = self.machine.state();
        assert_eq!(state, self.last, "every change is announced");
        assert!(!(state.is_down() && self.leader.is_some()), "{state:?} with a child");
        let waits = self.leader.is_some() || self.rest.is_some() || self.machine.poll_timeout().is_some();
        assert!(waits || state.is_down(), "{state:?} and nothing to wait for");
    }

    fn spawn(&mut self, generation: u64) {
        assert!(self.leader.is_none() && self.rest.is_none(), "two runs at once");
        let event = if self.fails {
            Event::SpawnFailed { generation, error: SpawnError::system(SpawnStage::Fork, "", 11) }
        } else {
            self.spawned += 1;
            self.leader = Some(generation);
            Event::Spawned { generation, pid: i32::try_from(self.spawned % 30_000).unwrap_or(1) + 2 }
        };
        self.machine.handle_event(self.now, event);
    }
}
