//! The effects: what the engine wants done, done with system calls, in the order of its list. What came of an effect is
//! fed back as an input.

mod checks;
mod daemon_log;
mod descendants;
mod fcgi;
#[cfg(feature = "http")]
mod figures;
mod groups;
mod launch;
mod leftovers;
mod listeners;
mod loader;
mod main_process;
mod notify;
mod orphans;
mod output_client;
mod outputs;
mod panics;
mod reap;
mod replies;
#[cfg(feature = "attach")]
mod run_reader;
mod schedule;
mod signals;
mod state;
mod tasks;
#[cfg(feature = "attach")]
mod terminal;
mod usage;
mod watched_paths;

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::effect::{Effect, Input, Signal, TaskId};
use super::engine::adoption::Identity;
use super::environment::FormerLimits;
use super::handles::Handles;
use super::http_sockets::HttpSockets;
use super::inbox::Inputs;
use super::users::Users;
#[cfg(feature = "http")]
use crate::api::DaemonFigures;
use crate::api::{Announcement, Answer, ProcId, Reply};
use crate::config::LoadOptions;
use crate::control::server::{AwaitedNetwork, AwaitedPath, ReadyRun, Until};
use crate::events::EventBus;
use crate::health::HealthCheckResult;
use crate::models::{DefaultOutput, ListenerEvents, ProgramConfig};
use crate::output::Output;
use crate::process::{Generation, Moment};
use crate::sys;
use crate::sys::reap::ReapScope;
use crate::sys::signal::DeadGroups;
use crate::sys::signals::ChildSignals;
use crate::sys::spawn::{Child, Spawner};
use crate::util::quick_hash::QuickMap;
use checks::ChecksUnderWay;
use descendants::Inherited;
use fcgi::FcgiSockets;
use groups::GroupIndex;
use launch::BegunSpawn;
use leftovers::Leftovers;
use listeners::{Listener, ListenerStates};
pub use loader::Adjust;
use main_process::{ForkingRun, MainProcess};
use notify::NotifyRun;
use orphans::ProcessRefs;
pub(super) use orphans::identify;
use replies::Replies;
pub(super) use replies::ReplyTo;
#[cfg(feature = "simulate")]
pub(super) use schedule::time_after;
use schedule::{clock_reading, find_time};
pub(super) use state::{StateWriter, read as read_state};
use tasks::TaskChild;
#[cfg(feature = "attach")]
use terminal::WindowSizes;

/// How long the end of the daemon waits for a disk.
const STATE_LIMIT: Duration = Duration::from_secs(2);

/// The present run of a process, from its spawn until its group is gone.
struct Run {
    generation: Generation,
    /// What it was started with; its name is told in the log.
    config: Arc<ProgramConfig>,
    child: Child,
    /// The pipes of its output, by their inodes: what has left its session is known by them.
    outputs: [Option<NonZeroU64>; 2],
    /// It has a pipe on which it tells that it is ready.
    tells_ready: bool,
    /// Its main process, where that is not the one that was spawned.
    main: Option<Box<MainProcess>>,
    /// It has been named as the main process, but has still a parent.
    next_main: Option<i32>,
    /// What has left its process groups is none of its business.
    is_group_alone: bool,
    /// It is to put itself into the background.
    forking: Option<Box<ForkingRun>>,
    /// When the kernel has started it, where that may have to be known.
    started: Option<NonZeroU64>,
    /// It can tell of itself.
    notify: Option<NotifyRun>,
    /// When its main process ended, this process had inherited nothing that it did not know.
    left_no_orphan: bool,
    /// When the leader was reaped; from then on only the group is left.
    reaped: Option<Moment>,
    /// The last signal that all of it was sent.
    last_signal: Option<Signal>,
    /// The process groups that were sent it.
    signalled_groups: Vec<i32>,
}

/// Whom a child belongs to.
#[derive(Debug, Clone, Copy)]
enum Owner {
    Process(ProcId),
    /// It was the main process of a run, which has another one now.
    Former,
    Task(TaskId),
}

/// What the effects are made of; see [`Effects::new`].
pub(super) struct Parts {
    pub inputs: Inputs,
    pub bus: EventBus,
    pub output: Output,
    pub default_output: DefaultOutput,
    pub server: crate::control::server::ServerHandle,
    pub sockets: HttpSockets,
    /// To be told when children are about to be reaped.
    pub child_signals: ChildSignals,
    pub scope: ReapScope,
    pub former: FormerLimits,
    pub config_path: Option<PathBuf>,
    pub users: Users,
    pub reopen: fn(),
    pub load_options: LoadOptions,
    pub adjust: Adjust,
    pub identity: Option<Identity>,
    /// What outlives the daemon goes there.
    pub state: Option<StateWriter>,
    pub handles: Arc<Handles>,
}

/// See the [module](self).
pub(super) struct Effects {
    parts: Parts,
    spawner: Spawner,
    /// Boxed: up to half of the slots of a hash table are unused.
    runs: QuickMap<ProcId, Box<Run>>,
    tasks: QuickMap<TaskId, TaskChild>,
    children: QuickMap<i32, Owner>,
    /// One child was reaped by its pid: the others are to be looked at next.
    sweep_is_due: bool,
    /// Spawns that are under way, the oldest first.
    begun_spawns: VecDeque<BegunSpawn>,
    dead_groups: DeadGroups,
    inherited: Inherited,
    leftovers: Leftovers,
    /// Something that a check has left was told already.
    leftovers_reported: bool,
    /// Whatever outlives its parent becomes a child of this process, and ours to reap.
    inherits_orphans: bool,
    /// Checks of which a thread has not come back.
    checks: ChecksUnderWay,
    /// A look at what programs use has not come back.
    is_sampling: Arc<AtomicBool>,
    /// The name of the socket for messages of programs, once one needs it.
    notify_socket: Option<String>,
    /// A program has had a pipe to tell that it is ready.
    had_ready_pipe: bool,
    /// Children that were there before us (a shell that has executed us may leave some): not ours to signal.
    foreign_children: Vec<i32>,
    /// What fcgi-programs accept connections on.
    fcgi_sockets: FcgiSockets,
    #[cfg(feature = "attach")]
    window_sizes: WindowSizes,
    /// The event listeners, and all that they want to know.
    listeners: Vec<Listener>,
    wanted_events: ListenerEvents,
    /// While one of them asks for groups.
    groups: Option<GroupIndex>,
    listener_states: ListenerStates,
    /// What an earlier daemon has left behind.
    orphans: ProcessRefs,
    /// Who waits for which answer.
    replies: Replies,
    /// Begins and ends of runs that the output thread was not woken for yet, and when the first of them came.
    unannounced_runs: usize,
    unannounced_since: Option<Moment>,
    /// The daemon ends: nothing is started any more that could be delayed.
    is_ending: bool,
    /// What is counted of the daemon itself.
    #[cfg(feature = "http")]
    figures: DaemonFigures,
    /// The start is over: memory is to be given back before the dispatcher waits next.
    trim_wanted: bool,
}

impl Effects {
    /// What a drop would do beside freeing memory: nothing happens any more, and those who follow are told so.
    pub(super) fn end(&mut self) {
        self.replies.end();
        self.finish_state();
    }

    pub(super) fn new(parts: Parts) -> io::Result<Effects> {
        Ok(Effects {
            inherits_orphans: parts.scope == ReapScope::All && sys::reap::inherits_orphans(),
            listeners: Vec::new(),
            wanted_events: ListenerEvents::NONE,
            groups: None,
            listener_states: ListenerStates::default(),
            orphans: ProcessRefs::default(),
            replies: Replies::new(parts.server.clone()),
            spawner: match parts.scope {
                ReapScope::All => Spawner::for_sole_reaper()?,
                ReapScope::Known => Spawner::new()?,
            },
            parts,
            runs: QuickMap::default(),
            tasks: QuickMap::default(),
            children: QuickMap::default(),
            sweep_is_due: false,
            begun_spawns: VecDeque::new(),
            dead_groups: DeadGroups::default(),
            inherited: Inherited::default(),
            leftovers: Leftovers::default(),
            leftovers_reported: false,
            checks: ChecksUnderWay::default(),
            is_sampling: Arc::default(),
            notify_socket: None,
            had_ready_pipe: false,
            foreign_children: sys::proc::children(),
            fcgi_sockets: FcgiSockets::default(),
            #[cfg(feature = "attach")]
            window_sizes: WindowSizes::default(),
            unannounced_runs: 0,
            unannounced_since: None,
            is_ending: false,
            #[cfg(feature = "http")]
            figures: DaemonFigures::default(),
            trim_wanted: false,
        })
    }

    /// Gives back what the start alone has needed, if the engine wants that. To be called as the last thing before the
    /// thread waits: whatever runs afterwards brings its code back, sixteen pages at a time.
    pub(super) fn trim_if_wanted(&mut self) {
        if std::mem::take(&mut self.trim_wanted) {
            self.spawner.release_stacks();
            sys::memory::release_idle_memory();
        }
    }

    /// The daemon ends: from now on nobody waits for a restart.
    pub(super) fn begin_end(&mut self) {
        self.is_ending = true;
        self.parts.output.expect_ends();
    }

    /// A child may have sent `READY=1` before it ended: has the io thread deliver the messages that wait, and then tell
    /// of the ends.
    /// `false`: no program can send any, and the ends can be told at once.
    pub(super) fn read_notifications_before_reaping(&self) -> bool {
        (self.had_ready_pipe || self.notify_socket.is_some()) && self.parts.server.read_before_ends()
    }

    /// Has the io thread look whether its files are there.
    pub(super) fn check_names(&self) {
        self.parts.server.check_names();
    }

    pub(super) fn replies(&mut self) -> &mut Replies {
        &mut self.replies
    }

    /// Does it. What came of it goes to the end of `results`.
    pub(super) fn perform(&mut self, effect: Effect, results: &mut Vec<Input>) {
        match effect {
            Effect::Spawn { id, generation, config } => results.extend(self.spawn(id, generation, config)),
            Effect::Signal { id, generation, signal } => self.signal(id, generation, signal),
            Effect::Reap => self.reap(results),
            Effect::ProbeGroup { id, generation, thorough } => {
                self.inherited.forget_list();
                let group = self.probe_group(id, thorough);
                results.push(Input::GroupProbed { id, generation, group });
            }
            Effect::LeaderExited { id, generation } => self.leader_exited(id, generation),
            Effect::RunEnded { id, generation } => self.run_ended(id, generation),
            Effect::Check { id, generation, purpose, config } => {
                results.extend(self.check(id, generation, purpose, &config));
            }
            Effect::FindMain { id, generation, config } => results.push(self.find_main(id, generation, &config)),
            Effect::HandOver { id, generation, pid } => results.extend(self.hand_over(id, generation, pid)),
            Effect::ReadNotifications { id, generation } => self.read_notifications(id, generation),
            Effect::RefuseCheck { id, generation, purpose, reason } => {
                let result = HealthCheckResult { healthy: false, message: reason.to_owned() };
                results.push(Input::Checked { id, generation, purpose, result });
            }
            Effect::AwaitPath { id, generation, condition, path } => {
                let (run, path) = (ReadyRun { id, generation }, Path::new(&*path).into());
                self.parts.server.await_path(AwaitedPath { run, path, until: Until::Exists { condition } });
            }
            Effect::AwaitNetwork { id, generation, condition, what } => {
                self.parts.server.await_network(AwaitedNetwork { run: ReadyRun { id, generation }, condition, what });
            }
            Effect::ForgetConditions { id, generation } => {
                self.parts.server.forget_conditions(ReadyRun { id, generation });
            }
            Effect::WatchChanges { id, generation, config } => {
                self.parts.server.watch_changes(ReadyRun { id, generation }, watched_paths::watched_paths(&config));
            }
            Effect::ForgetChanges { id, generation } => {
                self.parts.server.forget_changes(ReadyRun { id, generation });
            }
            Effect::SampleUsage { runs } => self.sample_usage(&runs),
            Effect::AskSilence { id, generation, long } => self.parts.output.ask_silence(id, generation, long),
            Effect::StartTask { task, config, command } => results.push(self.start_task(task, &config, &command)),
            Effect::SignalTask { task, signal } => self.signal_task(task, signal),
            Effect::ForgetTask { task } => self.forget_task(task),
            Effect::Configure { id, config } => self.configure(id, &config),
            Effect::Register { id, config } => self.register(id, &config),
            Effect::Forget { id, config } => self.forget(id, &config),
            Effect::Show { id, view } => {
                self.fcgi_sockets.note(id, &view);
                self.parts.handles.show(id, view);
            }
            Effect::ShowSettings { settings } => self.parts.handles.show_settings(settings),
            Effect::LoadConfig { load, job } => results.extend(self.load_config(load, *job)),
            Effect::Reply { request, mut answer } => {
                add_paused(&mut answer);
                self.replies.answer(request, answer);
            }
            #[cfg(feature = "attach")]
            Effect::ReadRun { request, name, run } => results.extend(self.read_run(request, name, run)),
            #[cfg(feature = "attach")]
            Effect::Attach { request, id, attached } => self.attach_client(request, id, *attached),
            Effect::Delegate { request, job } => self.delegate(request, *job),
            Effect::Follow { request, kinds, past, reader } => self.replies.follow(request, kinds, past, reader),
            Effect::ChangeSockets { settings } => self.parts.sockets.change(settings, self.parts.server.clone()),
            Effect::EndStreams => self.parts.server.end_streams(),
            Effect::Unfollow { request } => self.replies.unfollow(request),
            Effect::Announce(announcement) => self.announce(&announcement),
            Effect::SignalOrphans { signal } => {
                let count = self.signal_inherited(signal);
                results.push(Input::OrphansCounted { count, signalled: signal.is_some() });
            }
            Effect::Adoption(output) => results.extend(self.adopt(&output).map(Input::Adoption)),
            Effect::ProbePendingExecs => {
                let left = self.probe_pending_execs(results);
                results.push(Input::PendingExecsProbed { left });
            }
            Effect::ReopenLogs => {
                self.parts.output.reopen();
                (self.parts.reopen)();
            }
            Effect::SetOutput { settings } => {
                self.parts.default_output = settings.default_output;
                self.parts.output.set_default(crate::output::Settings::of(&settings));
            }
            Effect::SetLogLevel { level } => {
                // The level was read from one of the known names.
                let _ = crate::logger::parse_level(level.as_str()).map(crate::logger::set_level);
            }
            Effect::WatchClock { watch } => self.parts.server.watch_clock(watch),
            Effect::ReadClock { id } => results.push(Input::ClockRead { id, clock: Some(clock_reading()) }),
            Effect::FindTime { id, config, from } => results.push(find_time(id, &config, from)),
            Effect::Keep { file, text } => {
                if let Some(state) = &self.parts.state {
                    state.keep(file, text);
                }
            }
            Effect::TrimMemory => self.trim_wanted = true,
            Effect::SetLogLimits { maxbytes, backups } => crate::logger::set_limits(maxbytes, backups),
        }
    }

    fn finish_state(&self) {
        if let Some(state) = &self.parts.state {
            state.finish(STATE_LIMIT);
        }
    }

    /// A process has these settings from now on.
    fn configure(&mut self, id: ProcId, config: &Arc<ProgramConfig>) {
        self.notify_changed_group(id, config);
        self.note_listener(id, config);
        self.parts.output.configure(id, config);
    }

    /// A process has come into the configuration.
    fn register(&mut self, id: ProcId, config: &Arc<ProgramConfig>) {
        self.parts.handles.insert(id, config);
        if config.is_listener() {
            // Before it is told of its own group.
            self.configure(id, config);
        }
        self.notify_group_added(id, config);
    }

    /// A process has left the configuration, and nothing of it is left.
    fn forget(&mut self, id: ProcId, config: &ProgramConfig) {
        self.notify_group_removed(id, config);
        self.forget_listener(id, &config.name);
        self.fcgi_sockets.leave(id, None);
        #[cfg(feature = "attach")]
        self.forget_window_size(id);
        self.parts.handles.remove(id, &config.name);
        self.parts.output.remove(id);
    }

    /// Something has happened: for the log, the event bus, followers, event listeners and metrics.
    fn announce(&mut self, announcement: &Arc<Announcement>) {
        if let Some(level) = announcement.level() {
            log::log!(level, "{announcement}");
        }
        replies::publish(&self.parts.bus, announcement);
        self.replies.notify_followers(announcement);
        self.notify_listeners(announcement);
        #[cfg(feature = "http")]
        self.count(announcement);
    }
}

impl Drop for Effects {
    fn drop(&mut self) {
        self.finish_state();
    }
}

/// Looks up which of the processes that an answer tells of are paused: the engine is told of no such thing, because
/// nothing follows from it, and who asks seldom must not cost those who rest.
fn add_paused(answer: &mut Answer) {
    let Ok(Reply::Status { rows, .. }) = answer else { return };
    if rows.len() > 1 && !sys::reap::any_stopped() {
        return;
    }
    for row in rows {
        row.paused = row.pid.and_then(sys::reap::stopped_now);
    }
}
