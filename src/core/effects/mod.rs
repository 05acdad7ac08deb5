//! The effects: what the engine wants done, done with system calls, in the order of its list. What came of an effect is
//! fed back as an input.

mod checks;
mod descendants;
mod launch;
mod loader;
mod orphans;
mod outputs;
mod panics;
mod reap;
mod replies;
mod tasks;

use std::collections::HashMap;
use std::io::{self, PipeWriter};
use std::path::PathBuf;
use std::sync::Arc;

use crossbeam_channel::Sender;

use super::effect::{Effect, External, Input, Signal, TaskId};
use super::engine::adoption::Identity;
use super::environment::Users;
use super::handles::Handles;
use crate::api::{Answer, ProcId, Reply};
use crate::config::LoadOptions;
use crate::events::EventBus;
use crate::health::{HealthCheckResult, Worker};
use crate::models::DefaultOutput;
use crate::output::Output;
use crate::process::{Generation, Moment};
use crate::sys;
use crate::sys::reap::ReapScope;
use crate::sys::signal::DeadGroups;
use crate::sys::spawn::{Child, Spawner};
use descendants::Inherited;
pub use loader::Adjust;
use orphans::Held;
pub(super) use orphans::identify;
use replies::Replies;
pub(super) use replies::ReplyTo;
use tasks::TaskChild;

/// The present run of a process, from its spawn until its group is gone.
struct Run {
    generation: Generation,
    child: Child,
    /// The writing end of its standard input, where that is a pipe. Nothing is written: it is open as long as the leader lives.
    stdin: Option<PipeWriter>,
    /// It has a pipe on which it tells that it is ready.
    tells_ready: bool,
    /// When the leader was reaped; from then on only the group is left.
    reaped: Option<Moment>,
    /// The last signal that all of it was sent.
    told: Option<Signal>,
    /// The process groups of what has left that of the run, and was sent it, too.
    told_outside: Vec<i32>,
}

/// Whom a child belongs to.
#[derive(Debug, Clone, Copy)]
enum Owner {
    Process(ProcId),
    Task(TaskId),
}

/// What the effects are made of; see [`Effects::new`].
pub(super) struct Parts {
    pub inputs: Sender<External>,
    pub bus: EventBus,
    pub output: Output,
    pub default_output: DefaultOutput,
    pub server: crate::control::server::ServerHandle,
    pub scope: ReapScope,
    pub nofile: Option<sys::limits::Limit>,
    pub config_path: Option<PathBuf>,
    pub users: Users,
    pub reopen: Box<dyn Fn()>,
    pub load_options: LoadOptions,
    pub adjust: Adjust,
    pub identity: Option<Identity>,
    pub handles: Arc<Handles>,
}

/// See the [module](self).
pub(super) struct Effects {
    parts: Parts,
    spawner: Spawner,
    runs: HashMap<ProcId, Run>,
    tasks: HashMap<TaskId, TaskChild>,
    children: HashMap<i32, Owner>,
    dead_groups: DeadGroups,
    inherited: Inherited,
    workers: HashMap<ProcId, Worker>,
    /// Children that were there before us (a shell that has executed us may leave some): not ours to signal.
    foreign_children: Vec<i32>,
    /// What an earlier daemon has left behind.
    held: Held,
    /// Reads of the configuration that have not come back.
    replies: Replies,
    /// Begins and ends of runs that the output thread was not woken for yet.
    unannounced_runs: usize,
    /// The start is over: memory is to be given back before the dispatcher waits next.
    trim_wanted: bool,
}

impl Effects {
    pub(super) fn new(parts: Parts) -> io::Result<Effects> {
        Ok(Effects {
            held: Held::default(),
            replies: Replies::new(parts.server.clone()),
            spawner: Spawner::new()?,
            parts,
            runs: HashMap::new(),
            tasks: HashMap::new(),
            children: HashMap::new(),
            dead_groups: DeadGroups::default(),
            inherited: Inherited::default(),
            workers: HashMap::new(),
            foreign_children: sys::proc::children(),
            unannounced_runs: 0,
            trim_wanted: false,
        })
    }

    /// Gives back what the start alone has needed, if the engine wants that. To be called as the last thing before the thread
    /// waits: whatever runs afterwards brings its code back, sixteen pages at a time.
    pub(super) fn trim_if_wanted(&mut self) {
        if std::mem::take(&mut self.trim_wanted) {
            sys::memory::rest();
        }
    }

    pub(super) fn replies(&mut self) -> &mut Replies {
        &mut self.replies
    }

    /// Does it. What came of it goes to the end of `results`.
    pub(super) fn perform(&mut self, effect: Effect, results: &mut Vec<Input>) {
        match effect {
            Effect::Spawn { id, generation, config } => results.push(self.spawn(id, generation, &config)),
            Effect::Signal { id, generation, signal } => self.signal(id, generation, signal),
            Effect::Reap => self.reap(results),
            Effect::ProbeGroup { id, generation, thorough } => {
                self.inherited.forget_list();
                let group = self.probe_group(id, thorough);
                results.push(Input::GroupProbed { id, generation, group });
            }
            Effect::LeaderExited { id, generation } => self.leader_exited(id, generation),
            Effect::RunEnded { id, generation } => self.run_ended(id, generation),
            Effect::CheckHealth { id, generation, config } => {
                results.extend(self.check_health(id, generation, &config));
            }
            Effect::RefuseCheck { id, generation, reason } => {
                let result = HealthCheckResult { healthy: false, message: reason.to_owned() };
                results.push(Input::Health { id, generation, result });
            }
            Effect::StartTask { task, config, command } => results.push(self.start_task(task, &config, &command)),
            Effect::SignalTask { task, signal } => self.signal_task(task, signal),
            Effect::ForgetTask { task } => self.forget_task(task),
            Effect::Configure { id, config } => self.parts.output.configure(id, &config),
            Effect::Register { id, config } => self.parts.handles.insert(id, &config),
            Effect::Forget { id, config } => self.forget(id, &config.name),
            Effect::Show { id, view } => self.parts.handles.show(id, view),
            Effect::ShowSettings { settings } => self.parts.handles.show_settings(settings),
            Effect::LoadConfig { load } => results.extend(self.load_config(load)),
            Effect::Reply { request, mut answer } => {
                add_paused(&mut answer);
                self.replies.answer(request, answer);
            }
            Effect::Delegate { request, job } => self.delegate(request, *job),
            Effect::Follow { request, kinds, past } => self.replies.follow(request, kinds, past),
            Effect::Unfollow { request } => self.replies.unfollow(request),
            Effect::Announce(announcement) => {
                if let Some(level) = announcement.level() {
                    log::log!(level, "{announcement}");
                }
                replies::publish(&self.parts.bus, &announcement);
                self.replies.tell_followers(&announcement);
            }
            Effect::SignalOrphans { signal } => {
                let count = self.signal_inherited(signal);
                results.push(Input::OrphansCounted { count, signalled: signal.is_some() });
            }
            Effect::Adoption(output) => results.extend(self.held.perform_guarded(&output).map(Input::Adoption)),
            Effect::ProbePendingExecs => {
                let left = self.probe_pending_execs();
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
            Effect::TrimMemory => self.trim_wanted = true,
            Effect::SetLogLimits { maxbytes, backups } => crate::logger::set_limits(maxbytes, backups),
        }
    }

    fn forget(&mut self, id: ProcId, name: &str) {
        self.parts.handles.remove(id, name);
        self.workers.remove(&id);
        self.parts.output.remove(id);
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
