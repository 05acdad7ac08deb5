//! The world: children that live until they are told to end, and a disk that takes its time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::sim::random::Random;
use super::super::*;
use super::clock::Clock;
use super::files::File;
use crate::api::{Answer, Persistence, ReloadChange};
use crate::core::effect::{FoundTime, GroupLeft, LoadJob, OutputJob, SearchFrom};
use crate::models::ProgramType;
use crate::process::{Generation, ProcessView};
use crate::schedule;

const SIGKILL: u8 = 9;
const SIGCONT: u8 = 18;
const SIGSTOP: u8 = 19;

pub(super) struct Child {
    pub(super) generation: Generation,
    pub(super) config: Arc<ProgramConfig>,
    pub(super) is_paused: bool,
    pub(super) ends: Option<(Moment, Exit)>,
}

/// What the thread that writes has to do, in its order.
pub(super) enum Write {
    Text(StateFile, Box<str>),
    Reply(RequestId, Reply),
}

/// What goes wrong, to see whether it is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Distortion {
    /// What was told to be on the disk is not.
    WritesLost,
    /// A daemon begins with the file alone.
    AdditionsForgotten,
    /// What is paused hears nothing of going on.
    ContinuedNever,
    /// What is disabled is started all the same.
    StartsDisabled,
}

/// The file as it was when somebody began to read it.
pub(super) struct Loading {
    pub(super) load: u64,
    pub(super) job: LoadJob,
    pub(super) file: File,
}

#[derive(Default)]
pub(super) struct System {
    pub(super) distortion: Option<Distortion>,
    pub(super) children: BTreeMap<ProcId, Child>,
    pub(super) names: BTreeMap<ProcId, String>,
    pub(super) states: BTreeMap<String, ProcessState>,
    pub(super) open: BTreeSet<RequestId>,
    /// Those that the thread that writes has to answer.
    pub(super) delegated: BTreeSet<RequestId>,
    pub(super) answers: Vec<(RequestId, Answer)>,
    /// Spawns of this turn, each with the states of all at that moment.
    pub(super) spawned: Vec<(ProcId, Arc<ProgramConfig>, BTreeMap<String, ProcessState>)>,
    /// An update was taken back in this turn.
    pub(super) has_rolled_back: bool,
    pub(super) commit_begins: bool,
    pub(super) writes: VecDeque<Write>,
    pub(super) write_at: Option<Moment>,
    pub(super) disk: BTreeMap<&'static str, String>,
    pub(super) loading: Option<(u64, LoadJob)>,
    pub(super) broken: Option<String>,
    pub(super) pids: i32,
    pub(super) clock: Clock,
}

impl System {
    pub(super) fn rule(&mut self, holds: bool, rule: impl FnOnce() -> String) {
        if !holds && self.broken.is_none() {
            self.broken = Some(rule());
        }
    }

    /// When something happens by itself.
    pub(super) fn next(&self) -> Option<Moment> {
        let ends = self.children.values().filter_map(|child| child.ends.map(|(at, _)| at));
        ends.chain(self.write_at).min()
    }

    /// Everything up to here is written; what was to be answered then is.
    pub(super) fn write_due(&mut self, now: Moment) {
        if self.write_at.is_some_and(|at| at <= now) {
            self.write(usize::MAX);
        }
    }

    /// Writes so much of what is to be written, in order.
    pub(super) fn write(&mut self, most: usize) {
        let is_lost = self.distortion == Some(Distortion::WritesLost);
        for write in self.writes.drain(..most.min(self.writes.len())).collect::<Vec<_>>() {
            match write {
                Write::Text(_, _) if is_lost => {}
                Write::Text(file, text) => drop(self.disk.insert(file.name(), text.into())),
                Write::Reply(request, reply) => self.answers.push((request, Ok(reply.kept(Persistence::Stored)))),
            }
        }
        self.write_at = self.write_at.filter(|_| !self.writes.is_empty());
    }

    pub(super) fn unwritten(&self) -> usize {
        self.writes.len()
    }

    /// The daemon has died: its children die with it, and what it was about to do is not done.
    pub(super) fn die(&mut self) {
        let (disk, distortion, clock) = (std::mem::take(&mut self.disk), self.distortion, self.clock);
        *self = System { disk, distortion, clock, pids: self.pids, ..System::default() };
    }

    fn write_later(&mut self, now: Moment, random: &mut Random, write: Write) {
        self.writes.push_back(write);
        let delay = Duration::from_millis(random.pick(&[0, 5, 3_000]));
        self.write_at.get_or_insert(now + delay);
    }

    pub(super) fn perform(&mut self, effect: Effect, now: Moment, random: &mut Random, results: &mut Vec<Input>) {
        match effect {
            Effect::Register { id, config } => drop(self.names.insert(id, config.name.clone())),
            Effect::Forget { id, config } => {
                self.rule(!self.children.contains_key(&id), || format!("{} is forgotten while it lives", config.name));
                self.names.remove(&id);
                self.states.remove(&config.name);
            }
            Effect::Show { id, view } => self.show(id, &view),
            Effect::Spawn { id, generation, config } => {
                self.pids += 1;
                results.push(Input::Spawned { id, generation, pid: 1000 + self.pids, pending: false });
                self.spawn(id, generation, config, now, random);
            }
            Effect::Signal { id, generation, signal } => {
                let ends = now + Duration::from_millis(random.pick(&[0, 0, 100, 2_000]));
                self.signal(id, generation, (signal.number, signal.resume), ends);
            }
            Effect::Reap => self.reap(now, results),
            Effect::ProbeGroup { id, generation, .. } => {
                results.push(Input::GroupProbed { id, generation, group: GroupLeft::Empty });
            }
            Effect::ProbePendingExecs => results.push(Input::PendingExecsProbed { left: false }),
            Effect::SignalOrphans { signal } => {
                results.push(Input::OrphansCounted { count: 0, signalled: signal.is_some() });
            }
            Effect::ReadClock { id } => results.push(Input::ClockRead { id, clock: Some(self.clock.reading(now)) }),
            Effect::FindTime { id, config, from } => {
                let after = match from {
                    SearchFrom::Now => self.clock.wall(now),
                    SearchFrom::After(seconds) => seconds,
                };
                let found = schedule::next(&config.schedule, &|_| 0, after);
                let found = found.map(|at| FoundTime { nominal: at, due: at, offset: 0 });
                results.push(Input::TimeFound { id, clock: Some(self.clock.reading(now)), found });
            }
            Effect::LoadConfig { load, job } => {
                self.rule(self.loading.is_none(), || "two files are read at once".to_owned());
                self.loading = Some((load, *job));
            }
            #[cfg(feature = "attach")]
            Effect::ReadRun { request, name, run } => {
                let config = ProgramConfig {
                    autostart: false,
                    startsecs: 0,
                    startretries: 0,
                    ..ProgramConfig::new(name, run.command.join(" "))
                };
                results.push(Input::RunRead { request, result: Ok(Box::new(config)) });
            }
            Effect::Reply { request, answer } => self.answers.push((request, *answer)),
            Effect::Delegate { request, job } => match *job {
                OutputJob::Keep { reply, .. } => {
                    let is_open = self.open.remove(&request) && self.delegated.insert(request);
                    self.rule(is_open, || format!("{request:?} is delegated, which is not open"));
                    self.write_later(now, random, Write::Reply(request, *reply));
                }
                other => self.rule(false, || format!("nobody has asked for {other:?}")),
            },
            Effect::Keep { file, text } => self.write_later(now, random, Write::Text(file, text)),
            Effect::Announce(announcement) => match &*announcement {
                Announcement::Reload(ReloadChange::RolledBack(_)) => self.has_rolled_back = true,
                Announcement::Reload(ReloadChange::CommitPending { .. }) => self.commit_begins = true,
                _ => {}
            },
            other => drop(other),
        }
    }

    fn show(&mut self, id: ProcId, view: &ProcessView) {
        if let Some(name) = self.names.get(&id) {
            self.states.insert(name.clone(), view.state);
        }
    }

    fn spawn(
        &mut self,
        id: ProcId,
        generation: Generation,
        config: Arc<ProgramConfig>,
        now: Moment,
        random: &mut Random,
    ) {
        self.rule(!self.children.contains_key(&id), || format!("{} has two children", config.name));
        let ends = (config.program_type == ProgramType::Oneshot).then(|| {
            let after = Duration::from_millis(random.pick(&[0, 500, 20_000, 70_000]));
            (now + after, Exit::Code(0))
        });
        self.spawned.push((id, Arc::clone(&config), self.states.clone()));
        self.children.insert(id, Child { generation, config, is_paused: false, ends });
    }

    fn signal(&mut self, id: ProcId, generation: Generation, (number, resume): (u8, bool), ends: Moment) {
        let is_deaf = self.distortion == Some(Distortion::ContinuedNever);
        let Some(child) = self.children.get_mut(&id).filter(|child| child.generation == generation) else { return };
        match number {
            SIGSTOP => child.is_paused = true,
            SIGCONT => child.is_paused &= is_deaf,
            SIGKILL => child.ends = Some((ends, Exit::Signal(SIGKILL))),
            number => {
                child.is_paused &= !resume || is_deaf;
                if child.is_paused {
                    let name = child.config.name.clone();
                    return self.rule(false, || format!("{name} is paused, and told to end all the same"));
                }
                child.ends = Some((ends, Exit::Signal(number)));
            }
        }
    }

    /// Somebody else has killed one.
    pub(super) fn strike(&mut self, now: Moment, random: &mut Random) -> Option<String> {
        let ids: Vec<ProcId> = self.children.keys().copied().collect();
        let id = (!ids.is_empty()).then(|| random.pick(&ids))?;
        let child = self.children.get_mut(&id)?;
        child.ends = Some((now, Exit::Signal(11)));
        Some(child.config.name.clone())
    }

    /// Something of it has ended.
    pub(super) fn has_news(&self, now: Moment) -> bool {
        self.children.values().any(|child| child.ends.is_some_and(|(at, _)| at <= now))
    }

    fn reap(&mut self, now: Moment, results: &mut Vec<Input>) {
        let is_over = |child: &Child| child.ends.is_some_and(|(at, _)| at <= now);
        let over: Vec<ProcId> = self.children.iter().filter(|(_, child)| is_over(child)).map(|(id, _)| *id).collect();
        for id in over {
            let Some(Child { generation, ends: Some((_, exit)), .. }) = self.children.remove(&id) else { continue };
            results.push(Input::Exited { id, generation, exit, late: None, group: GroupLeft::Empty, descendant: None });
        }
        results.push(Input::Swept);
    }
}
