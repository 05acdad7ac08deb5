//! Scripts and commands of hooks: processes that end by themselves, at their time limit, slowly, or not at all.

use super::hooks::hook_of;
use super::*;
use crate::models::Hook;

/// A script or a command of a hook, from the effect that starts it until the engine forgets it.
#[derive(Debug)]
pub(in super::super) struct Script {
    pub(super) owner: ProcId,
    pub(super) command: TaskCommand,
    /// Which hook it is, and the number of its command.
    pub(super) hook: Option<(Hook, usize)>,
    /// `None` once it was reaped, or where it was never spawned.
    pub(super) leader: Option<Task>,
    /// What it has written is told.
    told: bool,
}

impl FakeSystem {
    /// Living scripts and commands of hooks.
    pub(in super::super) fn scripts_alive(&self) -> usize {
        let leaders = self.scripts.values().filter_map(|script| script.leader.as_ref());
        leaders.filter(|leader| leader.alive(self.now)).count()
    }

    /// Living scripts that check a process.
    pub(super) fn checks_alive(&self, owner: ProcId) -> usize {
        let is_check = |script: &&Script| script.owner == owner && script.hook.is_none();
        let scripts = self.scripts.values().filter(is_check);
        scripts.filter_map(|script| script.leader.as_ref()).filter(|leader| leader.alive(self.now)).count()
    }

    pub(super) fn start_task(&mut self, task: TaskId, config: &Arc<ProgramConfig>, command: TaskCommand) -> Input {
        let owner = match &command {
            TaskCommand::Hook(launch) => {
                self.hook_begins(launch, config);
                launch.program
            }
            TaskCommand::Script(_) | TaskCommand::Action(_) => {
                let owner = self.oracle.id_of(&config.name);
                self.oracle.rule(owner.is_some(), || {
                    format!("{}: a health check of a program that is not there", config.name)
                });
                owner.unwrap_or_default()
            }
        };
        // Several clients may ask for a reload at the same time.
        let hook = hook_of(&command);
        let is_single = !matches!(hook, Some((Hook::ReloadCommand, _)));
        let same = |script: &Script| match (&script.command, &command) {
            (TaskCommand::Script(one), TaskCommand::Script(other))
            | (TaskCommand::Action(one), TaskCommand::Action(other)) => one == other,
            (_, _) => script.hook.map(|(hook, _)| hook) == hook.map(|(hook, _)| hook),
        };
        let is_other = |script: &Script| is_single && script.owner == owner && same(script);
        // One that was killed may take its time: what it was run for is not wanted any more.
        let lives = |leader: &Task| leader.alive(self.now) && !leader.killed;
        let lives = |script: &Script| script.leader.as_ref().is_some_and(lives);
        let others = self.scripts.values().any(|script| is_other(script) && lives(script));
        self.oracle.rule(!others, || format!("{}: a second script", config.name));
        if self.random.chance(self.profile.refused) && !self.calm {
            self.scripts.insert(task, Script { owner, command, hook, leader: None, told: true });
            let error = Box::new(SpawnError::system(SpawnStage::Fork, "fork", 11));
            return Input::TaskSpawnFailed { task, error };
        }
        let mut leader = self.task();
        let pause = self.random.pick(&[0, 1, 500, SECOND, 2 * SECOND, 30 * SECOND]);
        let pause = if self.calm { pause.min(500) } else { pause };
        let endless = self.random.chance(self.profile.unanswered) && !self.calm;
        leader.dies_at = (!endless).then_some(self.now + pause);
        let healthy = !self.random.chance(self.profile.unhealthy) || self.calm;
        leader.exit = Exit::Code(u8::from(!healthy));
        self.ring(leader.dies_at);
        let told = self.random.chance(20);
        if told {
            // It closes what it writes to before it ends.
            let pause = self.random.below(pause + 1);
            self.later(pause, Pending::TaskOutput { task });
        }
        self.scripts.insert(task, Script { owner, command, hook, leader: Some(leader), told });
        self.pids += 1;
        Input::TaskSpawned { task, pid: self.pids }
    }

    pub(super) fn signal_task(&mut self, task: TaskId, signal: u8) {
        let (now, deaf) = (self.now, self.distortion == Some(Distortion::DeafGroups));
        let Some(script) = self.scripts.get_mut(&task) else {
            return self.oracle.rule(false, || format!("signal {signal} to task {task}, which is none"));
        };
        if let Some(leader) = script.leader.as_mut().filter(|_| !deaf) {
            leader.signal(signal, now);
            let ends = leader.dies_at;
            self.ring(ends);
        }
    }

    pub(super) fn reap_scripts(&mut self, results: &mut Vec<Input>) {
        let (now, mut told, mut ended) = (self.now, Vec::new(), Vec::new());
        for (&task, script) in &mut self.scripts {
            if let Some(leader) = script.leader.take_if(|leader| !leader.alive(now)) {
                ended.push((script.owner, script.hook, leader.exit));
                results.push(Input::TaskExited { task, exit: leader.exit });
                told.extend((!std::mem::replace(&mut script.told, true)).then_some(task));
            }
        }
        for (owner, hook, exit) in ended {
            self.hook_ended(owner, hook, exit);
        }
        for task in told {
            if !self.random.chance(self.profile.unanswered) {
                let pause = self.random.pick(&[0, 0, 1, 20, 99, 100, 101, 5 * SECOND]);
                self.later(pause, Pending::TaskOutput { task });
            }
        }
    }

    pub(super) fn forget_task(&mut self, task: TaskId) {
        let ended = self.scripts.remove(&task).is_some_and(|script| script.leader.is_none());
        self.oracle.rule(ended, || format!("task {task} is forgotten, which has not ended or never was"));
    }
}
