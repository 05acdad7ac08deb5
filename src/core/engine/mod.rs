//! The engine: all processes, the requests that wait for them, reload and shutdown. Pure: it is told what happened and
//! when ([`Engine::handle`], [`Engine::run_timer`]), and answers with what is to be done ([`Engine::poll_effect`]) and
//! when it wants to be woken ([`Engine::poll_timeout`]). It calls nothing, so that a simulated world can put it through
//! years of faults.
//!
//! What must never happen
//!
//! - Two live children for one process, or a child after an acknowledged stop: see [`crate::process::Machine`].
//! - A request without an answer, or with two: see [`ledger`].
//! - A timer that stays due after it has fired, or work that is looked for in each turn: every wake-up is one
//!   [`TimerKey`], whose handler looks at nothing else.
//! - Recursion from one process's transition into another's: announcements are queued.

pub(super) mod adoption;
mod announce;
mod commands;
mod commit;
mod exit_policy;
mod explain;
mod followers;
mod graph;
mod history;
mod in_order;
mod ledger;
mod lifecycle;
mod power;
mod reconcile;
mod registry;
mod reload;
mod shutdown;
mod stages;
mod tasks;
#[cfg(test)]
mod tests;
mod timers;
mod waiters;
mod waiting;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::effect::{Effect, Input, Notice};
use crate::api::{Announcement, ProcId, RequestId};
use crate::failpoint;
use crate::models::{ProgramConfig, SupervisorConfig};
use crate::process::{self, Initiator, Moment, TaskEvent};
use crate::util::sorted::SortedMap;
use adoption::{Adoption, Identity};
use commit::Commit;
use exit_policy::ExitPolicy;
use graph::Graph;
use history::Histories;
use in_order::HeldCommand;
use ledger::Ledger;
use lifecycle::ExitFacts;
use power::Power;
use reconcile::EarlyRequest;
use registry::{Entry, Registry};
use reload::Reload;
use shutdown::Shutdown;
use tasks::Tasks;
use timers::{TimerKey, Timers};
use waiters::Waiters;

const SIGHUP: u8 = 1;

/// So long nothing must happen after the start until it counts as over.
const START_SETTLED: Duration = Duration::from_secs(1);

/// The first look at children that have not executed their program in time; the next ones come each after twice the
/// pause, because a disk may hang for days.
const PENDING_EXEC_PAUSE: Duration = Duration::from_millis(100);

/// See the [module](self).
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Engine {
    /// The daemon's process id.
    own_pid: i32,
    /// The moment of the present turn.
    now: Moment,
    /// The daemon's settings; the programs are in the registry.
    settings: SupervisorConfig,
    registry: Registry,
    /// What programs need of others.
    graph: Graph,
    /// Stops and restarts that wait for the end of dependants.
    held: SortedMap<ProcId, HeldCommand>,
    /// Processes that have changed in this turn, and on which others depend, or that depend on others.
    moved: Vec<ProcId>,
    timers: Timers,
    tasks: Tasks,
    ledger: Ledger,
    waiters: Waiters,
    reload: Reload,
    commit: Commit,
    shutdown: Shutdown,
    histories: Histories,
    exit_policy: ExitPolicy,
    power: Power,
    adoption: Adoption,
    /// What was asked for before it was known what an earlier daemon has left behind.
    early: Vec<EarlyRequest>,
    /// The pause after the next look at children that have not executed their program in time.
    pending_exec_pause: Option<Duration>,
    /// Nothing has happened yet for [`START_SETTLED`] since the start.
    settling: bool,
    /// The timer that is being handled; a panic leaves it here.
    #[serde(skip)]
    firing: Option<TimerKey>,
    /// What has happened and was not handed to every subscriber yet.
    #[serde(skip)]
    announcements: VecDeque<(Option<ProcId>, Arc<Announcement>)>,
    /// What is to be done.
    #[serde(skip)]
    effects: VecDeque<Effect>,
}

impl Engine {
    /// An engine with these programs, all of them down.
    pub(crate) fn new(
        now: Moment,
        own_pid: i32,
        identity: Option<Identity>,
        settings: SupervisorConfig,
        programs: Vec<Arc<ProgramConfig>>,
    ) -> Engine {
        let mut engine = Engine {
            own_pid,
            now,
            settings,
            registry: Registry::default(),
            graph: Graph::default(),
            held: SortedMap::default(),
            moved: Vec::new(),
            timers: Timers::default(),
            tasks: Tasks::default(),
            ledger: Ledger::default(),
            waiters: Waiters::default(),
            reload: Reload::default(),
            commit: Commit::default(),
            shutdown: Shutdown::No,
            histories: Histories::default(),
            exit_policy: ExitPolicy::default(),
            power: Power::default(),
            adoption: Adoption::new(identity),
            early: Vec::new(),
            pending_exec_pause: None,
            settling: true,
            firing: None,
            announcements: VecDeque::new(),
            effects: VecDeque::new(),
        };
        for program in programs {
            engine.add(program);
        }
        engine.rebuild_graph();
        engine
    }

    /// Takes in one input.
    pub(crate) fn handle(&mut self, now: Moment, input: Input) {
        self.begin_turn(now);
        match input {
            Input::Notice(notice) => self.notice(notice),
            Input::Request { id, by, request } => self.request_or_hold(id, by, request),
            Input::Gone { id } => self.requester_gone(id),
            Input::Spawned { id, generation, pid, pending } => self.spawned(id, generation, pid, pending),
            Input::SpawnFailed { id, generation, error } => {
                self.tell(id, process::Event::SpawnFailed { generation, error });
            }
            Input::Exited { id, generation, exit, late, group, descendant } => {
                self.exited(id, generation, ExitFacts { exit, late, group, descendant });
            }
            Input::Swept => self.probe_lingering_groups(),
            Input::GroupProbed { id, generation, group } => self.group_probed(id, generation, group),
            Input::Health { id, generation, result } => self.health(id, generation, result),
            Input::Readiness { id, generation, report } => {
                self.tell(id, process::Event::ReadyReported { generation, report });
            }
            Input::TaskSpawned { task, pid } => self.tell_task(task, TaskEvent::Spawned { pid }),
            Input::TaskSpawnFailed { task, error } => self.tell_task(task, TaskEvent::SpawnFailed(error)),
            Input::TaskExited { task, exit } => self.tell_task(task, TaskEvent::Exited(exit)),
            Input::Adoption(input) => self.adoption_answered(input),
            Input::OrphansCounted { count, signalled } => self.orphans_counted(count, signalled),
            Input::PendingExecsProbed { left } => self.pending_execs_probed(left),
            Input::Output(note) => self.output(note),
            Input::ConfigLoaded { load, result } => self.config_loaded(load, *result),
        }
        self.end_turn();
    }

    /// Does the first thing that is due at `now`; `false`: nothing is. What it wants done is to be done before the next one:
    /// a retry and the roll-back that stops its program may be due at the same moment.
    pub(crate) fn run_timer(&mut self, now: Moment) -> bool {
        let Some(key) = self.timers.take_due(now) else { return false };
        self.begin_turn(now);
        self.firing = Some(key);
        self.fire(key);
        self.firing = None;
        self.end_turn();
        true
    }

    /// After a panic: a timer that was being handled fires once more, unless it was set again. Without it a process would
    /// never be started again, or a stop never come to SIGKILL.
    pub(crate) fn recover(&mut self, now: Moment) {
        if let Some(key) = self.firing.take()
            && self.timers.get(key).is_none()
        {
            self.timers.set(key, now.checked_add(RETRY_PAUSE));
        }
    }

    fn fire(&mut self, key: TimerKey) {
        failpoint::hit("timer", || format!("{key:?}"));
        match key {
            TimerKey::OutputDrain(id) => self.drained(id),
            TimerKey::GroupProbe(id) => self.probe_group(id),
            TimerKey::Process(id) => self.process_timer(id),
            TimerKey::Task(task) => self.task_timer(task),
            TimerKey::Waiter(waiter) => self.waiter_timed_out(waiter),
            TimerKey::ConfigLoad(load) => self.config_load_timed_out(load),
            TimerKey::Commit => self.roll_back(),
            TimerKey::ExitPolicy => self.evaluate_exit(),
            TimerKey::ShutdownStage => self.shutdown_stage(),
            TimerKey::OrphanProbe => self.probe_orphans(),
            TimerKey::PendingExec => self.effects.push_back(Effect::ProbePendingExecs),
            TimerKey::TrimMemory => {
                self.settling = false;
                self.timers.set(key, None); // This turn has set it again.
                self.effects.push_back(Effect::TrimMemory);
            }
            TimerKey::Adoption => self.adoption_timer(),
        }
    }

    /// When [`run_timer`](Self::run_timer) is to be called next; `None`: not before something comes in.
    pub(crate) fn poll_timeout(&self) -> Option<Moment> {
        self.timers.next()
    }

    /// The next thing to be done; call until `None`.
    pub(crate) fn poll_effect(&mut self) -> Option<Effect> {
        let effect = self.effects.pop_front();
        if effect.is_none() && self.effects.capacity() > MOST_EFFECTS_KEPT {
            // The start of thousands of programs must not hold its memory for ever.
            self.effects = VecDeque::new();
        }
        effect
    }

    fn begin_turn(&mut self, now: Moment) {
        self.now = now;
        if self.settling {
            self.timers.set(TimerKey::TrimMemory, now.checked_add(START_SETTLED));
        }
    }

    fn end_turn(&mut self) {
        self.review_moved();
        self.deliver_announcements();
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Child => self.effects.push_back(Effect::Reap),
            Notice::Terminate => self.terminate(),
            Notice::Power(power) => self.turn_off(power),
            Notice::Reload => {
                let by = Initiator::Reload { by: Arc::new(Initiator::Signal { signal: SIGHUP }) };
                self.reload_by_signal(by);
            }
            Notice::Reopen => {
                self.announce(None, Announcement::LogsReopened);
                self.effects.push_back(Effect::ReopenLogs);
            }
        }
    }

    fn requester_gone(&mut self, request: RequestId) {
        match self.ledger.owner(request) {
            Some(ledger::Owner::Waiter(waiter)) => drop(self.close_waiter(waiter)),
            Some(ledger::Owner::Loader) => self.reload.forget(request),
            Some(ledger::Owner::Early) => self.early_gone(request),
            Some(ledger::Owner::Follower) => self.effects.push_back(Effect::Unfollow { request }),
            None => {}
        }
        let _ = self.ledger.take(request);
    }

    fn pending_execs_probed(&mut self, left: bool) {
        self.pending_exec_pause = self.pending_exec_pause.filter(|_| left).map(|pause| pause.saturating_mul(2));
        let at = self.pending_exec_pause.and_then(|pause| self.now.checked_add(pause));
        self.timers.set(TimerKey::PendingExec, at);
    }

    /// Adds a program, down.
    fn add(&mut self, config: Arc<ProgramConfig>) -> ProcId {
        let id = self.registry.insert(Entry::new(Arc::clone(&config)));
        self.effects.push_back(Effect::Register { id, config: Arc::clone(&config) });
        self.effects.push_back(Effect::Configure { id, config });
        id
    }
}

/// How long after a panic its timer fires again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Effects whose room is kept from one turn to the next.
const MOST_EFFECTS_KEPT: usize = 64;
