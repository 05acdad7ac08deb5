//! Health check scripts: processes that end by themselves, at their time limit, slowly, or not at all.

use super::*;

/// A health check script, from the effect that starts it until the engine forgets it.
#[derive(Debug)]
pub(in super::super) struct Script {
    owner: ProcId,
    /// `None` once it was reaped, or where it was never spawned.
    pub(super) leader: Option<Task>,
    /// What it has written is told.
    told: bool,
}

impl FakeSystem {
    /// Living scripts of a process, or of all.
    pub(in super::super) fn scripts_alive(&self, owner: Option<ProcId>) -> usize {
        let scripts = self.scripts.values().filter(|script| owner.is_none_or(|owner| owner == script.owner));
        scripts.filter_map(|script| script.leader.as_ref()).filter(|leader| leader.alive(self.now)).count()
    }

    pub(super) fn start_task(&mut self, task: TaskId, config: &Arc<ProgramConfig>) -> Input {
        let owner = self.oracle.id_of(&config.name);
        self.oracle.rule(owner.is_some(), || format!("{}: a health check of a program that is not there", config.name));
        let owner = owner.unwrap_or_default();
        let others = self.scripts_alive(Some(owner));
        self.oracle.rule(others == 0, || format!("{}: a second script", config.name));
        if self.random.chance(self.profile.refused) && !self.calm {
            self.scripts.insert(task, Script { owner, leader: None, told: true });
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
        self.scripts.insert(task, Script { owner, leader: Some(leader), told });
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
        let (now, mut told) = (self.now, Vec::new());
        for (&task, script) in &mut self.scripts {
            if let Some(leader) = script.leader.take_if(|leader| !leader.alive(now)) {
                results.push(Input::TaskExited { task, exit: leader.exit });
                told.extend((!std::mem::replace(&mut script.told, true)).then_some(task));
            }
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
