//! The fake system: process groups whose tasks end by themselves, by signals, slowly, or not yet.

use super::super::subject::{Exit, SignalTarget};
use super::Millis;
use super::random::Random;

pub const SIGKILL: u8 = 9;

/// How a task ends.
#[derive(Debug, Clone)]
pub struct Task {
    /// Milliseconds from its birth to an end of its own.
    pub lives: Option<Millis>,
    pub exit: Exit,
    /// Milliseconds from the stop signal to its end; `None`: it ignores the signal.
    pub stops_in: Option<Millis>,
    /// Milliseconds that it hangs in the kernel before SIGKILL ends it.
    pub hangs: Millis,
    /// It is being forked when SIGKILL comes, which misses it that many times.
    pub slips: u32,
}

/// A program's script: its leader and what it forks.
#[derive(Debug, Clone)]
pub struct Life {
    pub leader: Task,
    pub members: Vec<Task>,
}

#[derive(Debug)]
struct Living {
    task: Task,
    dies_at: Option<Millis>,
    exit: Exit,
    /// Somebody has stopped it by SIGSTOP: it gets nothing but SIGKILL, until it is continued.
    paused: bool,
    /// The signal that it gets then.
    pending: Option<u8>,
}

impl Living {
    fn born(task: Task, now: Millis) -> Self {
        Living { dies_at: task.lives.map(|lives| now + lives), exit: task.exit, paused: false, pending: None, task }
    }

    fn alive(&self, now: Millis) -> bool {
        self.dies_at.is_none_or(|at| at > now)
    }

    fn die(&mut self, at: Millis, exit: Exit) {
        if self.dies_at.is_none_or(|earlier| earlier > at) {
            self.dies_at = Some(at);
            self.exit = exit;
        }
    }

    fn signal(&mut self, signal: u8, now: Millis) {
        if !self.alive(now) {
            return;
        }
        if signal == SIGKILL {
            if self.task.slips > 0 {
                self.task.slips -= 1;
            } else {
                self.die(now + self.task.hangs, Exit::Signal(SIGKILL));
            }
        } else if self.paused {
            self.pending = Some(signal);
        } else if let Some(stops_in) = self.task.stops_in {
            let exit = if stops_in % 2 == 0 { Exit::Signal(signal) } else { Exit::Code(0) };
            self.die(now + stops_in, exit);
        }
    }

    fn pause(&mut self, now: Millis) {
        if self.alive(now) {
            (self.paused, self.dies_at) = (true, None);
        }
    }

    fn resume(&mut self, now: Millis) {
        if std::mem::take(&mut self.paused)
            && let Some(signal) = self.pending.take()
        {
            self.signal(signal, now);
        }
    }
}

/// A group from its leader's birth until the daemon has been told that it is empty.
#[derive(Debug)]
struct Group {
    generation: u64,
    /// `None` once it is reaped.
    leader: Option<Living>,
    members: Vec<Living>,
}

impl Group {
    fn tasks(&mut self) -> impl Iterator<Item = &mut Living> {
        self.leader.iter_mut().chain(self.members.iter_mut())
    }

    fn alive(&self, now: Millis) -> usize {
        self.leader.iter().chain(&self.members).filter(|task| task.alive(now)).count()
    }
}

/// What the daemon's reaper finds out.
#[derive(Debug)]
pub enum Fact {
    Exited { generation: u64, exit: Exit },
    Empty { generation: u64 },
}

/// A signal, as the machine asks for it.
#[derive(Debug, Clone, Copy)]
pub struct Signal {
    pub number: u8,
    pub target: SignalTarget,
    pub resume: bool,
}

#[derive(Debug, Default)]
pub struct System {
    groups: Vec<Group>,
    pub spawned: u64,
    pub signals: u64,
    pub kills: u64,
}

impl System {
    pub fn spawn(&mut self, generation: u64, life: Life, now: Millis) -> i32 {
        self.spawned += 1;
        let members = life.members.into_iter().map(|task| Living::born(task, now)).collect();
        self.groups.push(Group { generation, leader: Some(Living::born(life.leader, now)), members });
        i32::try_from(self.spawned % 30_000).unwrap_or_default() + 2
    }

    pub fn signal(&mut self, generation: u64, signal: Signal, now: Millis, random: &mut Random) {
        let Signal { number: signal, target, resume } = signal;
        self.signals += 1;
        self.kills += u64::from(signal == SIGKILL);
        for group in self.groups.iter_mut().filter(|group| group.generation == generation) {
            let alone = target == SignalTarget::Leader;
            for task in group.leader.iter_mut().chain(group.members.iter_mut().filter(|_| !alone)) {
                task.signal(signal, now);
                if resume {
                    task.resume(now);
                }
            }
            // A signal handler may fork.
            if signal != SIGKILL && group.leader.is_some() && random.chance(1, 20) {
                let slips = u32::from(random.chance(1, 2));
                let task = Task { lives: None, exit: Exit::Code(0), stops_in: None, hangs: 0, slips };
                group.members.push(Living::born(task, now));
            }
        }
    }

    /// Somebody else pauses a whole group.
    pub fn pause(&mut self, now: Millis) {
        self.groups.iter_mut().flat_map(Group::tasks).for_each(|task| task.pause(now));
    }

    /// Somebody else kills a leader.
    pub fn strike(&mut self, now: Millis, random: &mut Random) {
        let exit = if random.chance(1, 2) { Exit::Signal(SIGKILL) } else { Exit::Signal(11) };
        if let Some(leader) = self.groups.iter_mut().find_map(|group| group.leader.as_mut()) {
            leader.die(now, exit);
        }
    }

    /// The next moment at which a task ends.
    pub fn next_death(&self) -> Option<Millis> {
        let tasks = self.groups.iter().flat_map(|group| group.leader.iter().chain(&group.members));
        tasks.filter_map(|task| task.dies_at).min()
    }

    /// What has happened by now and was not told yet.
    pub fn next_fact(&mut self, now: Millis) -> Option<Fact> {
        for group in &mut self.groups {
            group.members.retain(|task| task.alive(now));
            if let Some(leader) = group.leader.take_if(|leader| !leader.alive(now)) {
                return Some(Fact::Exited { generation: group.generation, exit: leader.exit });
            }
        }
        let index = self.groups.iter().position(|group| group.leader.is_none() && group.members.is_empty())?;
        Some(Fact::Empty { generation: self.groups.swap_remove(index).generation })
    }

    pub fn is_empty(&self, generation: u64, now: Millis) -> bool {
        self.groups.iter().filter(|group| group.generation == generation).all(|group| group.alive(now) == 0)
    }

    /// The daemon knows that the group is empty.
    pub fn forget(&mut self, generation: u64) {
        self.groups.retain(|group| group.generation != generation);
    }

    /// Tasks that live, in whatever group.
    pub fn alive(&self, now: Millis) -> usize {
        self.groups.iter().map(|group| group.alive(now)).sum()
    }

    /// Whether a group of this generation was not yet found empty by the daemon.
    pub fn knows(&self, generation: u64) -> bool {
        self.groups.iter().any(|group| group.generation == generation)
    }

    /// Whether a task of this generation lives on unless it is signalled (again).
    pub fn needs_signal(&self, generation: u64) -> bool {
        let groups = self.groups.iter().filter(|group| group.generation == generation);
        groups.flat_map(|group| group.leader.iter().chain(&group.members)).any(|task| task.dies_at.is_none())
    }
}
