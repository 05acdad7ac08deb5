//! The engine: all processes, the commands that wait for them, reload and shutdown.
//!
//! It is driven by inputs and the time, and acts through [`World`] alone, so that a simulated
//! world can put it through years of faults. One turn: [`Engine::handle`] what has come in, then
//! [`Engine::run_timers`] what is due, then sleep until [`Engine::poll_timeout`].

pub(super) mod adoption;
mod asker;
mod commands;
mod ending;
mod events;
mod history;
mod jobs;
mod machine;
mod reload;
mod shutdown;
mod status;
#[cfg(test)]
mod tests;
mod update;
mod why;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::roster::{ProcessShared, Roster};
use super::world::{Input, Notice, ProcId, Reaped, ReplyTo, World};
use crate::events::{Event, EventType};
use crate::health::HealthCheckResult;
use crate::models::{ProgramConfig, SupervisorConfig};
use crate::output::{Note, StreamKind};
use crate::process::Moment;
use crate::process::{self, Action, Generation, Machine, ProcessState, Transition};
use asker::Asker;
pub(crate) use ending::Verdict;
use events::Listeners;
use history::History;
use jobs::Jobs;
use reload::{Purpose, Reload};
use shutdown::Shutdown;
use update::Trial;

/// The kernel tells nobody when the last member of a process group goes, unless it is our own child:
/// a group that outlives its leader is looked at after this time, then after twice as long, …
const FIRST_LOOK: Duration = Duration::from_millis(2);
/// … and never less often than this.
const LAST_LOOK: Duration = Duration::from_millis(250);

/// How long the answer to a failed start may wait for the last line of the program's output.
const DRAIN_LIMIT: Duration = Duration::from_millis(100);

const SIGKILL: u8 = 9;

/// One process and what belongs to it.
struct Entry {
    machine: Machine,
    shared: Arc<ProcessShared>,
    /// As it stands in `timers`.
    wake: Option<Moment>,
    /// Set while something of the group outlives the leader: when to look next, and the pause after that.
    look: Option<(Moment, Duration)>,
    /// The end of the last run's output, for the description.
    last_line: Option<Box<str>>,
    /// Why its output can't be written, as long as it can't: of standard output, of standard error.
    output_trouble: [Option<Box<str>>; 2],
    /// Set while the output of a run that has just ended is being read.
    drain_until: Option<Moment>,
    /// The commands that wait for this process.
    jobs: Vec<jobs::JobId>,
    /// No longer in the configuration: goes as soon as it is down.
    leaving: bool,
    /// Who has asked for its last start, stop, kill or restart, what for, and when.
    asked: Asker,
    asked_for: Option<(&'static str, Moment)>,
    /// When it came into its present state.
    since: Option<Moment>,
    history: History,
}

impl Entry {
    fn config(&self) -> &Arc<ProgramConfig> {
        self.machine.config()
    }

    fn name(&self) -> &str {
        &self.config().name
    }

    fn next_wake(&self) -> Option<Moment> {
        let look = self.look.map(|(at, _)| at);
        [self.machine.poll_timeout(), look, self.drain_until].into_iter().flatten().min()
    }

    /// `true` if it is to go from the configuration and nothing is left that would have to end before.
    fn has_left(&self) -> bool {
        self.leaving && self.is_settled_down()
    }

    /// `true` if no process exists and none will come by itself.
    fn is_settled_down(&self) -> bool {
        !self.machine.has_run() && self.machine.poll_timeout().is_none()
    }
}

/// See the [module](self).
pub(crate) struct Engine {
    /// The daemon's settings; the programs are in `entries`.
    settings: SupervisorConfig,
    /// Boxed: the nodes of a tree that grows at its end stay half empty.
    entries: BTreeMap<ProcId, Box<Entry>>,
    next_id: ProcId,
    roster: Arc<Roster>,
    timers: BTreeSet<(Moment, ProcId)>,
    jobs: Jobs,
    reload: Reload,
    shutdown: Shutdown,
    /// An update that waits to be confirmed.
    trial: Option<Box<Trial>>,
    /// Why the last one was taken back, for whoever comes too late to confirm it.
    taken_back: Option<Box<str>>,
    listeners: Listeners,
    /// What the times in all histories count from.
    first_record: Option<Moment>,
    /// Bytes of all histories.
    history_bytes: usize,
    ending: ending::Ending,
    machine: machine::Machine,
}

impl Engine {
    /// An engine with these programs, all of them down.
    pub(crate) fn new(
        settings: SupervisorConfig,
        programs: Vec<Arc<ProgramConfig>>,
        roster: Arc<Roster>,
        world: &mut dyn World,
    ) -> Engine {
        let mut engine = Engine {
            settings,
            entries: BTreeMap::new(),
            next_id: 0,
            roster,
            timers: BTreeSet::new(),
            jobs: Jobs::default(),
            reload: Reload::default(),
            shutdown: Shutdown::No,
            trial: None,
            taken_back: None,
            listeners: Listeners::default(),
            first_record: None,
            history_bytes: 0,
            ending: ending::Ending::default(),
            machine: machine::Machine::default(),
        };
        for program in programs {
            engine.add(program, world);
        }
        engine
    }

    /// Before anything is started: what an earlier daemon has left behind goes, as the remains of a run do.
    pub(crate) fn reconcile(&mut self, now: Moment, world: &mut dyn World) {
        let all: Vec<_> = self.entries.iter().map(|(id, entry)| (*id, Arc::clone(entry.config()))).collect();
        for (id, pid) in world.find_orphans(&all) {
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.look = Some((now, FIRST_LOOK));
            }
            self.tell(now, id, process::Event::OrphansFound { pid }, world);
        }
    }

    /// Starts what is to start with the daemon.
    pub(crate) fn autostart(&mut self, now: Moment, world: &mut dyn World) {
        let wanted = |entry: &&ProcId| self.entries.get(entry).is_some_and(|entry| entry.config().autostart);
        let ids: Vec<ProcId> = self.entries.keys().filter(wanted).copied().collect();
        for id in ids {
            self.command(now, id, process::Event::StartRequested, &Asker::Daemon("by autostart"), world);
        }
    }

    /// Takes in one input.
    pub(crate) fn handle(&mut self, now: Moment, input: Input, world: &mut dyn World) {
        match input {
            Input::Notice(Notice::Child) => self.sweep(now, world),
            Input::Notice(Notice::Terminate) => self.terminate(now, world),
            Input::Notice(Notice::Power(power)) => self.turn_off(now, power, world),
            Input::Notice(Notice::Reload) => {
                let by = Asker::Daemon("by a reload (SIGHUP)");
                self.request_reload(Purpose::Reload, ReplyTo::Nobody, by, world);
            }
            Input::Notice(Notice::Reopen) => {
                log::info!("log files are opened anew (SIGUSR2)");
                world.reopen_logs();
            }
            Input::Request(incoming) => self.request(now, *incoming, world),
            Input::Gone(conn) => self.client_gone(conn, world),
            Input::Local { name, command, reply } => self.local(now, &name, command, reply, world),
            Input::LocalReload { reply } => {
                let by = Asker::Daemon("by a reload (the embedding program)");
                self.request_reload(Purpose::Reload, ReplyTo::Thread(reply), by, world);
            }
            Input::Health { id, generation, result } => self.health(now, id, generation, result, world),
            Input::ScriptTimedOut { script } => world.kill_script(script),
            Input::Output(note) => self.output(now, note, world),
            Input::ConfigLoaded(result) => self.config_loaded(now, *result, world),
        }
    }

    /// Does everything that is due at `now`.
    pub(crate) fn run_timers(&mut self, now: Moment, world: &mut dyn World) {
        while let Some(&(at, id)) = self.timers.first() {
            if at > now {
                break;
            }
            self.timers.pop_first();
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            entry.wake = None;
            if entry.drain_until.is_some_and(|until| until <= now) {
                entry.drain_until = None;
            }
            // First the look: a group that has gone needs no SIGKILL any more.
            if entry.look.is_some_and(|(at, _)| at <= now) {
                self.look_at_group(now, id, world);
            }
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.machine.handle_timeout(now);
            }
            self.pump(now, id, world);
        }
        self.expire_jobs(now, world);
        self.review_trial(now, world);
        self.review_ending(now, world);
        self.shutdown_timers(now, world);
        if self.finished().is_some() {
            self.end_jobs(now, world);
        }
    }

    /// When [`run_timers`](Self::run_timers) is to be called next; `None`: not before something comes in.
    pub(crate) fn poll_timeout(&self) -> Option<Moment> {
        let timer = self.timers.first().map(|(at, _)| *at);
        let trial = self.trial.as_ref().map(|trial| trial.until);
        [timer, self.jobs.next_deadline(), self.shutdown.next_deadline(), trial].into_iter().flatten().min()
    }

    /// Adds a program, down.
    fn add(&mut self, config: Arc<ProgramConfig>, world: &mut dyn World) -> ProcId {
        let id = self.next_id;
        self.next_id += 1;
        let shared = self.roster.insert(id, &config);
        world.configure(id, &config);
        let machine = Machine::new(config);
        let entry = Entry {
            machine,
            shared,
            wake: None,
            look: None,
            last_line: None,
            output_trouble: [None, None],
            drain_until: None,
            jobs: Vec::new(),
            leaving: false,
            asked: Asker::Daemon("by nobody"),
            asked_for: None,
            since: None,
            history: History::default(),
        };
        self.entries.insert(id, Box::new(entry));
        id
    }

    /// Tells a process's machine what happened, and does what follows.
    fn tell(&mut self, now: Moment, id: ProcId, event: process::Event, world: &mut dyn World) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.machine.handle_event(now, event);
            self.pump(now, id, world);
        }
    }

    /// Does what a machine wants done, then brings timers, views and waiting commands up to date.
    fn pump(&mut self, now: Moment, id: ProcId, world: &mut dyn World) {
        while let Some(entry) = self.entries.get_mut(&id)
            && let Some(action) = entry.machine.poll_action()
        {
            match action {
                Action::Spawn { generation } => spawn(now, id, entry, generation, world),
                Action::SignalGroup { generation: _, signal } => {
                    world.signal_group(id, signal);
                    let late = signal == SIGKILL && entry.machine.state() == ProcessState::Stopping;
                    if entry.look.is_some() {
                        entry.look = Some((now + FIRST_LOOK, FIRST_LOOK));
                    }
                    if late {
                        self.note_kill(now, id);
                    }
                }
                Action::CheckHealth { generation } => {
                    let config = Arc::clone(entry.machine.run_config().unwrap_or(entry.machine.config()));
                    if let Err(message) = world.check_health(id, generation, &config) {
                        let result = HealthCheckResult { healthy: false, message };
                        self.health(now, id, generation, result, world);
                    }
                }
                Action::Announce(transition) => self.announce(now, id, transition, world),
            }
        }
        self.refile(id);
        self.review_jobs(now, id, world);
        self.note_settled(id);
        self.depart(id, world);
    }

    /// Files the entry's next wake-up and shows its state to other threads.
    fn refile(&mut self, id: ProcId) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let wake = entry.next_wake();
        if wake != entry.wake {
            if let Some(old) = entry.wake {
                self.timers.remove(&(old, id));
            }
            if let Some(new) = wake {
                self.timers.insert((new, id));
            }
            entry.wake = wake;
        }
        entry.shared.update(&entry.machine);
    }

    /// Removes a process that has left the configuration, once nothing of it is left.
    fn depart(&mut self, id: ProcId, world: &mut dyn World) {
        if !self.entries.get(&id).is_some_and(|entry| entry.has_left()) {
            return;
        }
        let Some(entry) = self.entries.remove(&id) else { return };
        self.history_bytes = self.history_bytes.saturating_sub(entry.history.len());
        if let Some(wake) = entry.wake {
            self.timers.remove(&(wake, id));
        }
        self.roster.remove(id, entry.name());
        world.forget(id);
        log::info!("{}: removed", entry.name());
        self.settle_jobs_of_departed(id, entry.jobs, world);
    }

    fn sweep(&mut self, now: Moment, world: &mut dyn World) {
        for Reaped { id, generation, exit } in world.sweep() {
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            entry.drain_until = now.checked_add(DRAIN_LIMIT);
            world.leader_exited(id, generation);
            if let Some(error) = world.late_failure(id) {
                log::error!("{}: {error}", entry.name());
                entry.last_line = Some(error.to_string().into_boxed_str());
            }
            entry.machine.handle_event(now, process::Event::Exited { generation, exit });
            entry.look = Some((now, FIRST_LOOK));
            if !self.look_at_group(now, id, world)
                && let Some(entry) = self.entries.get_mut(&id)
            {
                entry.machine.handle_event(now, process::Event::GroupLingers { generation });
            }
            self.pump(now, id, world);
        }
        // Orphans of a group may have been ours to reap (PID 1, subreaper): look at once.
        let lingering = self.entries.iter().filter_map(|(id, entry)| entry.look.is_some().then_some(*id));
        let lingering: Vec<ProcId> = lingering.collect();
        for id in lingering {
            if self.look_at_group(now, id, world) {
                self.pump(now, id, world);
            }
        }
    }

    /// Looks whether the group of an ended leader is empty by now; `true` if so.
    fn look_at_group(&mut self, now: Moment, id: ProcId, world: &mut dyn World) -> bool {
        let Some(entry) = self.entries.get_mut(&id) else { return true };
        let Some((_, pause)) = entry.look else { return true };
        if world.group_is_empty(id) {
            entry.look = None;
            let generation = entry.machine.generation();
            world.run_ended(id, generation);
            entry.machine.handle_event(now, process::Event::GroupEmpty { generation });
            return true;
        }
        entry.look = Some((now + pause, (pause * 2).min(LAST_LOOK)));
        false
    }

    fn health(
        &mut self,
        now: Moment,
        id: ProcId,
        generation: Generation,
        result: HealthCheckResult,
        world: &mut dyn World,
    ) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.machine.generation() != generation || entry.machine.pid().is_none() {
            return;
        }
        let HealthCheckResult { healthy, message } = result;
        let kind = if healthy { EventType::HealthcheckPassed } else { EventType::HealthcheckFailed };
        if healthy {
            log::debug!("{}: health check passed: {message}", entry.name());
        } else {
            log::warn!("{}: health check failed: {message}", entry.name());
        }
        if world.wants(kind) {
            let event = Event::new(kind)
                .with("processname", entry.name())
                .with("groupname", entry.config().group_name())
                .with("pid", entry.machine.pid())
                .with("message", message.as_str());
            world.publish(event);
        }
        self.tell_health(now, id, kind, &message, world);
        self.tell(now, id, process::Event::HealthReported { generation, healthy, message }, world);
    }

    fn output(&mut self, now: Moment, note: Note, world: &mut dyn World) {
        match note {
            Note::Drained { program, generation, last_line } => {
                let Some(entry) = self.entries.get_mut(&program) else { return };
                if entry.machine.generation() == generation {
                    entry.last_line = last_line.map(String::into_boxed_str).or(entry.last_line.take());
                    entry.drain_until = None;
                    self.refile(program);
                    self.review_jobs(now, program, world);
                }
            }
            Note::Trouble { program, stream, text } => {
                let Some(entry) = self.entries.get_mut(&program) else { return };
                log::error!("{}: {} is lost: {text}", entry.name(), stream.as_str());
                *trouble_of(entry, stream) = Some(text.into_boxed_str());
            }
            Note::Recovered { program, stream, lost_bytes } => {
                let Some(entry) = self.entries.get_mut(&program) else { return };
                let name = entry.name();
                log::warn!("{name}: {} is written again; {lost_bytes} bytes were lost", stream.as_str());
                *trouble_of(entry, stream) = None;
            }
        }
    }

    fn announce(&mut self, now: Moment, id: ProcId, mut transition: Transition, world: &mut dyn World) {
        self.note_arrival(id, transition.to);
        self.weigh(id, &transition);
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.since = Some(now);
        if let Some(cause) = entry.asked.complete(&transition.cause) {
            transition.cause = cause;
        }
        log_transition(entry.name(), &transition);
        self.publish(id, &transition, world);
        self.remember(now, id, &transition);
        self.tell_transition(now, id, &transition, world);
        self.weigh_trial(id, &transition);
    }

    fn publish(&self, id: ProcId, transition: &Transition, world: &mut dyn World) {
        let kind = EventType::of_state(transition.to);
        let Some(entry) = self.entries.get(&id).filter(|_| world.wants(kind)) else { return };
        let event = Event::new(kind)
            .with("processname", entry.name())
            .with("groupname", entry.config().group_name())
            .with("from_state", transition.from.as_str())
            .with("pid", transition.pid)
            .with("cause", transition.cause.as_str());
        world.publish(event);
    }

    /// SIGKILL goes to a process that is being stopped: why?
    fn note_kill(&mut self, now: Moment, id: ProcId) {
        let Some(entry) = self.entries.get(&id) else { return };
        let patience = Duration::from_secs(entry.machine.run_config().map_or(0, |run| u64::from(run.stopwaitsecs)));
        let waited = entry.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        // Else somebody has asked for it, who stands in the record before; or it gets it again.
        let told = |cause: &str| cause.starts_with("kill requested") || cause.starts_with("SIGKILL");
        if waited < patience || entry.history.iter().last().is_some_and(|last| told(last.cause)) {
            return;
        }
        let cause = format!("SIGKILL: still there {} s after its stop signal (stopwaitsecs)", patience.as_secs());
        log::warn!("{}: {cause}", entry.name());
        self.note(now, id, &cause);
    }

    /// The id of the process with this name, unless it has left the configuration.
    fn find(&self, name: &str) -> Option<ProcId> {
        let id = self.roster.id_of(name)?;
        self.entries.get(&id).filter(|entry| !entry.leaving).map(|_| id)
    }

    /// The members of a group, in the order of the configuration; empty where there is no such group.
    fn members(&self, group: &str) -> Vec<ProcId> {
        let is_member = |entry: &Entry| !entry.leaving && entry.config().group_name() == group;
        self.entries.iter().filter_map(|(id, entry)| is_member(entry).then_some(*id)).collect()
    }
}

fn spawn(now: Moment, id: ProcId, entry: &mut Entry, generation: Generation, world: &mut dyn World) {
    let config = Arc::clone(entry.machine.config());
    entry.last_line = None;
    entry.drain_until = None;
    entry.look = None;
    let event = match world.spawn(id, generation, &config) {
        Ok(pid) => process::Event::Spawned { generation, pid },
        Err(error) => process::Event::SpawnFailed { generation, error },
    };
    entry.machine.handle_event(now, event);
}

fn trouble_of(entry: &mut Entry, stream: StreamKind) -> &mut Option<Box<str>> {
    let [stdout, stderr] = &mut entry.output_trouble;
    match stream {
        StreamKind::Stdout => stdout,
        StreamKind::Stderr => stderr,
    }
}

fn log_transition(name: &str, transition: &Transition) {
    let Transition { from, to, pid, cause } = transition;
    let level = match to {
        ProcessState::Fatal => log::Level::Error,
        ProcessState::Backoff | ProcessState::Unhealthy => log::Level::Warn,
        ProcessState::Starting => log::Level::Debug,
        ProcessState::Stopped | ProcessState::Running | ProcessState::Stopping | ProcessState::Exited => {
            log::Level::Info
        }
    };
    match pid {
        Some(pid) => log::log!(level, "{name}: {from} -> {to} (pid {pid}): {cause}"),
        None => log::log!(level, "{name}: {from} -> {to}: {cause}"),
    }
}
