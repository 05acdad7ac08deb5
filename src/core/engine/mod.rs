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

mod access;
mod additions;
pub(super) mod adoption;
mod announce;
mod apply;
mod blame;
mod checks;
mod commands;
mod commit;
mod counts;
mod disabled;
mod each;
mod each_summary;
mod exit_policy;
mod explain;
mod flags;
mod goals;
mod graph;
mod groups;
mod history;
mod hooks;
mod in_order;
mod ledger;
mod lifecycle;
mod lifetimes;
mod main_process;
mod milestones;
mod notify;
mod on_fatal;
mod output_troubles;
mod output_watch;
mod overview;
mod past;
mod pause;
mod power;
mod reconcile;
mod registry;
mod reload;
mod reread;
mod restart;
mod restart_on_change;
mod scale;
mod schedules;
mod settings;
mod shutdown;
mod shutdown_stages;
mod start_conditions;
mod start_record;
mod start_slots;
mod stdin_log;
pub(super) mod stored_state;
mod tasks;
#[cfg(test)]
mod tests;
mod time_limits;
mod timers;
#[cfg(feature = "attach")]
mod transient;
#[cfg(feature = "attach")]
mod transients;
mod usage;
mod waiters;
mod waiting;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::effect::{Effect, Input, Notice};
use crate::api::{Announcement, Command, LogLevel, ProcId, RequestId};
use crate::config::Additions;
use crate::failpoint;
use crate::models::{ProgramConfig, SupervisorConfig};
use crate::process::{self, Initiator, Moment, SpawnError, TaskEvent};
use crate::util::sorted::SortedMap;
use adoption::{Adoption, Identity};
use commit::Commit;
use exit_policy::ExitPolicy;
use flags::Flags;
use graph::Graph;
use history::Histories;
use hooks::StateNotices;
use in_order::HeldCommand;
use ledger::Ledger;
use lifecycle::ExitFacts;
use lifetimes::Lifetimes;
use notify::UnknownSenders;
use output_watch::Silences;
use power::Power;
use reconcile::EarlyRequest;
use registry::{Entry, Registry};
use reload::Reload;
use restart::Restart;
use schedules::Schedules;
use shutdown::Shutdown;
use shutdown_stages::StopOrder;
use start_conditions::Outside;
use start_slots::StartSlots;
use stdin_log::StdinLog;
use stored_state::StoredState;
use tasks::Tasks;
use timers::{TimerKey, Timers};
#[cfg(feature = "attach")]
use transients::Transients;
use usage::Usages;
use waiters::Waiters;

const SIGHUP: u8 = 1;

/// The start counts as over when nothing has happened for this long.
const START_SETTLED: Duration = Duration::from_secs(1);

/// A shortage counts as over this long after the last failed spawn. Those that wait try again at least twice a minute.
const SHORTAGE_OVER: Duration = Duration::from_secs(60);

/// The first look at children that have not executed their program in time: nothing tells of an exec. The next ones
/// come each after twice the pause, because a disk may hang for days, …
const FIRST_EXEC_PROBE: Duration = Duration::from_millis(10);
/// … and never less often than this: until then the program is not taken for one that runs.
const LAST_EXEC_PROBE: Duration = Duration::from_secs(1);

/// See the [module](self).
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Engine {
    /// The daemon's process id.
    own_pid: i32,
    /// The user that it runs as.
    own_uid: u32,
    /// When the daemon began.
    began: Moment,
    /// The moment of the present turn.
    now: Moment,
    /// The daemon's settings; the programs are in the registry.
    settings: SupervisorConfig,
    /// How much is logged because somebody has asked for it, whatever the settings say.
    log_level: Option<LogLevel>,
    registry: Registry,
    /// What programs need of others.
    graph: Graph,
    /// What starts wait for outside.
    outside: SortedMap<ProcId, Outside>,
    /// What somebody has set for starts to wait for.
    flags: Flags,
    /// What outlives the daemon.
    stored: StoredState,
    /// What was added to the file.
    additions: Additions,
    /// Stops and restarts that wait for the end of dependants.
    held: SortedMap<ProcId, HeldCommand>,
    /// Who may be `STARTING` at one time.
    slots: StartSlots,
    /// Processes that have changed in this turn, and on which others depend, or that depend on others.
    moved: Vec<ProcId>,
    timers: Timers,
    tasks: Tasks,
    /// Changes of state that wait to be told.
    state_notices: StateNotices,
    ledger: Ledger,
    waiters: Waiters,
    lifetimes: Lifetimes,
    usages: Usages,
    silences: Silences,
    reload: Reload,
    commit: Commit,
    shutdown: Shutdown,
    /// Who may be told to stop in the shutdown.
    stop_order: StopOrder,
    histories: Histories,
    unknown_senders: UnknownSenders,
    exit_policy: ExitPolicy,
    power: Power,
    restart: Restart,
    schedules: Schedules,
    #[cfg(feature = "attach")]
    transients: Transients,
    adoption: Adoption,
    /// What was asked for before it was known what an earlier daemon has left behind.
    early: Vec<EarlyRequest>,
    /// The pause after the next look at children that have not executed their program in time.
    pending_exec_pause: Option<Duration>,
    /// When a spawn came to nothing for the last time because the daemon was short of something.
    last_shortage: Option<Moment>,
    /// Where the random delays of programs come from.
    seed: u32,
    /// Nothing has happened yet for [`START_SETTLED`] since the start.
    settling: bool,
    /// Which input the log was told of.
    #[serde(default)]
    inputs: StdinLog,
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
            own_uid: 0,
            began: now,
            now,
            settings,
            log_level: None,
            registry: Registry::default(),
            graph: Graph::default(),
            outside: SortedMap::default(),
            flags: Flags::default(),
            stored: StoredState::default(),
            additions: Additions::default(),
            held: SortedMap::default(),
            slots: StartSlots::default(),
            moved: Vec::new(),
            timers: Timers::default(),
            tasks: Tasks::default(),
            state_notices: StateNotices::default(),
            ledger: Ledger::default(),
            waiters: Waiters::default(),
            lifetimes: Lifetimes::default(),
            usages: Usages::default(),
            silences: Silences::default(),
            reload: Reload::default(),
            commit: Commit::default(),
            shutdown: Shutdown::No,
            stop_order: StopOrder::default(),
            histories: Histories::default(),
            unknown_senders: UnknownSenders::default(),
            exit_policy: ExitPolicy::default(),
            power: Power::default(),
            restart: Restart::default(),
            schedules: Schedules::default(),
            #[cfg(feature = "attach")]
            transients: Transients::default(),
            adoption: Adoption::new(identity),
            early: Vec::new(),
            pending_exec_pause: None,
            last_shortage: None,
            seed: 0,
            settling: true,
            inputs: StdinLog::default(),
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

    /// Makes the random delays of programs others than those of a daemon with another seed.
    pub(crate) fn seed(&mut self, seed: u32) {
        self.seed = seed;
        for id in self.registry.ids() {
            self.seed_machine(id);
        }
    }

    fn seed_machine(&mut self, id: ProcId) {
        let seed = self.seed.wrapping_add(id.wrapping_mul(0x85eb_ca77));
        if let Some(entry) = self.registry.get_mut(id) {
            entry.machine.seed(seed);
        }
    }

    /// Takes in one input.
    pub(crate) fn handle(&mut self, now: Moment, input: Input) {
        self.begin_turn(now);
        match input {
            Input::Notice(notice) => self.notice(notice),
            Input::Request { id, by, request } => self.request_or_hold(id, by, request),
            Input::Gone { id } => self.requester_disconnected(id),
            Input::Spawned { id, generation, pid, pending } => self.spawned(id, generation, pid, pending),
            Input::SpawnFailed { id, generation, error } => {
                self.note_shortage(&error);
                self.handle_event(id, process::Event::SpawnFailed { generation, error });
            }
            Input::Exited { id, generation, exit, late, group, descendant } => {
                self.exited(id, generation, ExitFacts { exit, late, group, descendant });
            }
            Input::Swept => self.probe_lingering_groups(),
            Input::GroupProbed { id, generation, group } => self.group_probed(id, generation, group),
            Input::CheckMissed { id, generation, error } => self.check_missed(id, generation, &error),
            Input::Checked { id, generation, purpose, result } => self.checked(id, generation, purpose, result),
            Input::UsageSampled { samples } => self.usage_sampled(&samples),
            Input::PathChanged { id, generation, path } => self.path_changed(id, generation, &path),
            Input::Readiness { id, generation, report } => {
                self.handle_event(id, process::Event::ReadyReported { generation, report });
            }
            Input::Notified { id, generation, pid, is_main, message } => {
                self.notified(id, generation, (pid, is_main), message);
            }
            Input::NotifiedByStranger { pid, uid, is_gone } => self.notified_by_unknown_sender(pid, uid, is_gone),
            Input::MainFound { id, generation, pid } => self.main_found(id, generation, pid),
            Input::NoMain { id, generation, found } => {
                self.handle_event(id, process::Event::NoMain { generation, found })
            }
            Input::MainRefused { id, generation, found } => self.main_refused(id, generation, found),
            Input::NotificationsRead { id, generation } => {
                self.handle_event(id, process::Event::NotificationsRead { generation });
            }
            Input::ConditionSeen { id, generation, condition, is_there } => {
                self.condition_seen(id, generation, condition, is_there);
            }
            Input::TaskSpawned { task, pid } => self.handle_task_event(task, TaskEvent::Spawned { pid }),
            Input::TaskSpawnFailed { task, error } => self.handle_task_event(task, TaskEvent::SpawnFailed(error)),
            Input::TaskExited { task, exit } => self.handle_task_event(task, TaskEvent::Exited(exit)),
            Input::Adoption(input) => self.adoption_answered(input),
            Input::OrphansCounted { count, signalled } => self.orphans_counted(count, signalled),
            Input::Executed { id, generation } => {
                self.handle_event(id, process::Event::Executed { generation });
                self.take_slot_back(id);
            }
            Input::PendingExecsProbed { left } => self.pending_execs_probed(left),
            Input::ClockRead { id, clock } => self.clock_read(id, clock),
            Input::TimeFound { id, clock, found } => self.time_found(id, clock, found),
            Input::Output(note) => self.output(note),
            #[cfg(feature = "attach")]
            Input::RunRead { request, result } => self.run_read(request, result),
            Input::ConfigLoaded { load, result } => self.config_loaded(load, *result),
        }
        self.end_turn();
    }

    /// Does the first thing that is due at `now`; `false`: nothing is. What it wants done is to be done before the next
    /// one: a retry and the roll-back that stops its program may be due at the same moment.
    pub(crate) fn run_timer(&mut self, now: Moment) -> bool {
        let Some(key) = self.timers.take_due(now) else { return false };
        self.begin_turn(now);
        self.firing = Some(key);
        self.fire(key);
        self.firing = None;
        self.end_turn();
        true
    }

    /// After a panic: a timer that was being handled fires once more, unless it was set again. Without it a process
    /// would never be started again, or a stop never come to SIGKILL.
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
            TimerKey::Silence(id) => self.silence_timer(id),
            TimerKey::Usage => self.sample_usage(),
            TimerKey::Lifetime(id) => self.lifetime_over(id),
            TimerKey::StartWhen(id) => self.start_when_timer(id),
            TimerKey::Schedule(id) => self.schedule_timer(id),
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
            TimerKey::KeepTimes => self.keep_times(),
        }
    }

    /// When [`run_timer`](Self::run_timer) is to be called next; `None`: not before something comes in.
    pub(crate) fn poll_timeout(&self) -> Option<Moment> {
        self.timers.next()
    }

    /// The next thing to be done; call until `None`.
    pub(crate) fn poll_effect(&mut self) -> Option<Effect> {
        while self.effects.is_empty() && self.stop_next() {}
        let effect = loop {
            match self.effects.pop_front() {
                Some(Effect::Spawn { id, generation, .. }) if self.take_spawn_back(id, generation) => self.end_turn(),
                effect => break effect,
            }
        };
        if effect.is_none() && self.effects.capacity() > MAX_EFFECTS_KEPT {
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
        self.stop_free();
        self.review_moved();
        while self.fill_slots() {
            self.review_moved();
        }
        self.deliver_announcements();
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Child => self.effects.push_back(Effect::Reap),
            Notice::Terminate(signal) => {
                if let Some(signal) = signal.filter(|_| !self.is_ending()) {
                    self.announce_asked(Command::Shutdown, signal);
                }
                self.terminate();
            }
            Notice::Power(power) => self.turn_off(power),
            Notice::ClockSet => self.clock_set(),
            Notice::Reload => {
                if !self.is_ending() {
                    self.announce_asked(Command::Reload { timeout: None }, SIGHUP);
                }
                let by = Initiator::Reload { by: Arc::new(Initiator::Signal { signal: SIGHUP }) };
                self.reload_by_signal(by);
            }
            Notice::Reopen => {
                self.announce(None, Announcement::LogsReopened);
                self.effects.push_back(Effect::ReopenLogs);
            }
        }
    }

    /// The log names the signal by which somebody asks.
    fn announce_asked(&mut self, command: Command, signal: u8) {
        let by = Initiator::Signal { signal };
        self.announce(None, Announcement::Asked { command: Arc::new(command), by });
    }

    /// The daemon's own trouble is told once, however many programs wait for its end.
    pub(super) fn note_shortage(&mut self, error: &SpawnError) {
        if !error.is_shortage() {
            return;
        }
        let last = self.last_shortage.replace(self.now);
        if last.is_none_or(|last| self.now.saturating_duration_since(last) > SHORTAGE_OVER) {
            self.announce(None, Announcement::Shortage { error: Arc::new(error.clone()) });
        }
    }

    fn requester_disconnected(&mut self, request: RequestId) {
        match self.ledger.owner(request) {
            Some(ledger::Owner::Waiter(waiter)) => drop(self.close_waiter(waiter)),
            Some(ledger::Owner::Loader) => self.reload.forget(request),
            Some(ledger::Owner::Early) => self.early_requester_disconnected(request),
            #[cfg(feature = "attach")]
            Some(ledger::Owner::Run) => self.run_requester_disconnected(request),
            Some(ledger::Owner::Hook) => self.hook_requester_disconnected(request),
            Some(ledger::Owner::Follower) => self.effects.push_back(Effect::Unfollow { request }),
            None => {}
        }
        let _ = self.ledger.take(request);
    }

    fn pending_execs_probed(&mut self, left: bool) {
        self.review_slots();
        let longer = |pause: Duration| pause.saturating_mul(2).min(LAST_EXEC_PROBE);
        self.pending_exec_pause = self.pending_exec_pause.filter(|_| left).map(longer);
        let at = self.pending_exec_pause.and_then(|pause| self.now.checked_add(pause));
        self.timers.set(TimerKey::PendingExec, at);
    }

    /// Adds a program, down.
    fn add(&mut self, config: Arc<ProgramConfig>) -> ProcId {
        let disabled = self.stored.disabled.contains(&config.name);
        let id = self.registry.insert(Entry { disabled, ..Entry::new(Arc::clone(&config)) });
        self.seed_machine(id);
        self.effects.push_back(Effect::Register { id, config: Arc::clone(&config) });
        self.effects.push_back(Effect::Configure { id, config });
        id
    }
}

/// How long after a panic its timer fires again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Effects whose room is kept from one turn to the next.
const MAX_EFFECTS_KEPT: usize = 64;
