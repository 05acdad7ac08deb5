//! Programs whose main process is another one than that which was spawned: a member of the group takes the leader's
//! place.

use super::{FakeSystem, Task};
use crate::api::ProcId;
use crate::core::effect::Input;
use crate::models::{ProgramConfig, ProgramType};
use crate::process::{Exit, Generation, NoMain};

impl FakeSystem {
    /// A program that is to put itself into the background mostly does so, soon.
    pub(super) fn put_into_background(
        &mut self,
        config: &ProgramConfig,
        mut leader: Task,
        mut members: Vec<Task>,
    ) -> (Task, Vec<Task>) {
        if config.program_type == ProgramType::Forking && (self.calm || self.random.chance(90)) {
            let pause = self.random.pick(&[0, 0, 5, 700]);
            let exit = if self.calm || self.random.chance(90) { Exit::Code(0) } else { Exit::Code(1) };
            (leader.dies_at, leader.exit) = (Some(self.now + pause), exit);
            if members.is_empty() && (self.calm || self.random.chance(90)) {
                members.push(self.task());
            }
        }
        (leader, members)
    }

    pub(super) fn find_main(&mut self, id: ProcId, generation: Generation) -> Input {
        let found = match self.random.below(10) {
            _ if self.calm => None,
            0 => Some(NoMain::Stranger { pid: 99 }),
            1..4 => Some(NoMain::NoFile),
            4 => Some(NoMain::Stale),
            _ => None,
        };
        match found.map_or_else(|| self.promote(id, generation), Err) {
            Ok(pid) => {
                self.oracle.counts.backgrounded += 1;
                Input::MainFound { id, generation, pid }
            }
            Err(found) => Input::NoMain { id, generation, found },
        }
    }

    pub(super) fn hand_over(&mut self, id: ProcId, generation: Generation, pid: i32) -> Input {
        match self.promote(id, generation) {
            Ok(pid) => {
                self.oracle.counts.handed_over += 1;
                Input::MainFound { id, generation, pid }
            }
            Err(_) => Input::MainRefused { id, generation, found: NoMain::Stranger { pid } },
        }
    }

    /// A living member becomes the leader.
    fn promote(&mut self, id: ProcId, generation: Generation) -> Result<i32, NoMain> {
        let now = self.now;
        self.pids += 1;
        let pid = self.pids;
        let run = self.runs.get_mut(&id).filter(|run| run.generation == generation).ok_or(NoMain::NoFile)?;
        let place = run.members.iter().position(|task| task.alive(now)).ok_or(NoMain::Gone { pid })?;
        let main = run.members.swap_remove(place);
        run.members.extend(run.leader.replace(main));
        run.pid = pid;
        self.ring_for(id);
        Ok(pid)
    }
}
