//! A run's main process where that is not the one that was spawned: what the pid file or a message names, once it is
//! our child. As the subreaper we inherit it when its parents have ended, and learn how it ends.

use std::io::Read;
use std::path::Path;

use super::super::effect::Input;
use super::signals::{SIGKILL, signal_apart};
use super::{Effects, Owner, Run};
use crate::api::ProcId;
use crate::models::{ProgramConfig, ProgramType};
use crate::process::{Generation, NoMain, SpawnError, SpawnStage};
use crate::sys::ancestry;
use crate::sys::guarded_path::{self, Access};
use crate::sys::path_events::FileState;
use crate::sys::proc::{self, Stat};
use crate::sys::reap::{ReapScope, set_subreaper};
use crate::sys::signal::GroupLeader;
use crate::sys::spawn::Child;

/// What is read of a pid file, in bytes.
const MAX_PID_FILE_BYTES: u64 = 64;

/// A main process that was not spawned by us.
pub(super) struct MainProcess {
    child: Child,
    /// As they were when it was last looked at.
    pgrp: i32,
    session: i32,
}

/// What is known of a program that is to put itself into the background.
#[derive(Debug, Clone, Copy)]
pub(super) struct ForkingRun {
    /// What was at the path of the pid file before the start.
    pub(super) pid_file: Option<FileState>,
}

impl Run {
    /// The process that is its main one.
    pub(super) fn main_pid(&self) -> i32 {
        self.main.as_ref().map_or(self.child.pid, |main| main.child.pid)
    }

    /// Takes a hold on its main process, which is about to be reaped.
    pub(super) fn hold_main(&mut self) {
        // It may have made a session of its own after its pid was known.
        self.refresh_main();
        match &mut self.main {
            Some(main) => main.child.hold(),
            None => self.child.hold(),
        }
    }

    /// To signal its main process.
    pub(super) fn leader(&self) -> GroupLeader<'_> {
        let reaped = self.reaped.is_some();
        self.main.as_ref().map_or_else(|| self.child.leader(reaped), |main| main.child.leader(reaped))
    }

    /// The process groups that are its own: that of the process that was spawned, and that of its main process.
    pub(super) fn groups(&self) -> impl Iterator<Item = GroupLeader<'_>> {
        let first = self.child.leader(self.reaped.is_some() || self.main.is_some());
        let main = self.main.as_ref().filter(|main| main.pgrp != self.child.pid).map(|main| {
            let leader = match main.pgrp == main.child.pid {
                true => main.child.leader(self.reaped.is_some()),
                // The process that gave the group its number may have ended long ago, and was not our child.
                false => GroupLeader { pid: main.pgrp, pidfd: None, reaped: true, session: main.session },
            };
            GroupLeader { session: main.session, ..leader }
        });
        [Some(first), main].into_iter().flatten()
    }

    /// Whether this process group is one of those.
    pub(super) fn has_group(&self, pgrp: i32) -> bool {
        pgrp == self.child.pid || self.main.as_ref().is_some_and(|main| main.pgrp == pgrp)
    }

    /// Whether what has this session, or names this leader in its tag, is of this run.
    pub(super) fn is_led_by(&self, leader: i32) -> bool {
        leader == self.child.pid || self.main.as_ref().is_some_and(|main| main.session == leader)
    }

    /// The leaders by which its processes are known.
    pub(super) fn leaders(&self) -> impl Iterator<Item = i32> {
        [Some(self.child.pid), self.main.as_ref().map(|main| main.session)].into_iter().flatten()
    }

    /// It has put itself into the background, and nobody knows its main process yet.
    pub(super) fn is_detached(&self) -> bool {
        self.forking.is_some() && self.main.is_none() && self.reaped.is_some()
    }

    /// The run is being stopped: its new main process is told so, if its group was not told with the others.
    fn pass_stop_on(&mut self, main: &Stat) {
        let Some(signal) = self.last_signal.filter(|signal| signal.resume || signal.number == SIGKILL) else { return };
        if main.pgrp != self.child.pid && !self.signalled_groups.contains(&main.pgrp) {
            self.signalled_groups.push(main.pgrp);
            signal_apart(&self.config.name, main, signal, self.child.pid);
        }
    }

    /// Looks anew where its main process has put itself.
    pub(super) fn refresh_main(&mut self) {
        if let Some(main) = self.main.as_mut().filter(|_| self.reaped.is_none())
            && let Some(stat) = proc::stat(main.child.pid)
        {
            (main.pgrp, main.session) = (stat.pgrp, stat.session);
        }
    }
}

impl Effects {
    /// Notes what there is before a program is started that will put itself into the background.
    pub(super) fn prepare_forking(&self, config: &ProgramConfig) -> Result<Option<ForkingRun>, SpawnError> {
        let (ProgramType::Forking, Some(path)) = (config.program_type, &config.pidfile) else { return Ok(None) };
        if self.parts.scope == ReapScope::Known {
            let detail = "what it leaves in the background would not be our child (RunOptions::reap_orphans)";
            return Err(SpawnError::other(SpawnStage::Prepare, "type = forking", detail));
        }
        set_subreaper().map_err(|error| {
            SpawnError::system(SpawnStage::Prepare, "type = forking", error.raw_os_error().unwrap_or(libc::EINVAL))
        })?;
        Ok(Some(ForkingRun { pid_file: self.parts.users.file_state(path)? }))
    }

    /// Looks for the process that the pid file of a run names.
    pub(super) fn find_main(&mut self, id: ProcId, generation: Generation, config: &ProgramConfig) -> Input {
        match self.try_find_main(id, config) {
            Ok(pid) => Input::MainFound { id, generation, pid },
            Err(found) => Input::NoMain { id, generation, found },
        }
    }

    fn try_find_main(&mut self, id: ProcId, config: &ProgramConfig) -> Result<i32, NoMain> {
        let path = config.pidfile.as_deref().ok_or(NoMain::NoFile)?;
        let forking = self.runs.get(&id).and_then(|run| run.forking.as_deref().copied()).ok_or(NoMain::NoFile)?;
        let file = path.to_owned();
        let read = self.parts.users.look(path, move || read_pid_file(file.as_ref(), forking.pid_file));
        let pid = read.unwrap_or(Err(NoMain::Unreadable { errno: libc::ETIMEDOUT }))?;
        self.take_over(id, pid)?;
        Ok(pid)
    }

    /// A run names its main process; nothing follows where that has to wait for the end of another one.
    pub(super) fn hand_over(&mut self, id: ProcId, generation: Generation, pid: i32) -> Option<Input> {
        match self.take_over(id, pid) {
            Ok(()) => Some(Input::MainFound { id, generation, pid }),
            Err(found) => {
                if let (NoMain::HasParent { .. }, Some(run)) = (found, self.runs.get_mut(&id)) {
                    run.next_main = Some(pid);
                }
                Some(Input::MainRefused { id, generation, found })
            }
        }
    }

    /// The main process of a run has ended. Where it has named another one before, that is the main one now.
    pub(super) fn next_main(&mut self, id: ProcId) -> Option<Input> {
        let run = self.runs.get_mut(&id)?;
        let (generation, pid) = (run.generation, run.next_main.take()?);
        self.take_over(id, pid).ok()?;
        Some(Input::MainFound { id, generation, pid })
    }

    /// Makes a process the main one of a run, if it is of that, and our child.
    fn take_over(&mut self, id: ProcId, pid: i32) -> Result<(), NoMain> {
        let stat = proc::stat(pid).filter(|stat| !stat.is_dead()).ok_or(NoMain::Gone { pid })?;
        let stranger = NoMain::Stranger { pid };
        let is_younger = |run: &Run| run.started.is_none_or(|start| start.get() <= stat.start_time);
        let run = self.runs.get(&id).filter(|run| is_younger(run)).ok_or(stranger)?;
        let was = run.main_pid();
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        match self.run_of(pid) {
            Some(of) if of == id => {}
            // It shows neither tag nor session, as what has set a title for `ps` and made a session; but its parents
            // were ours.
            None if run.is_detached() && stat.ppid == own && !self.children.contains_key(&pid) => {}
            Some(_) | None => return Err(stranger),
        }
        if stat.ppid != own {
            return Err(NoMain::HasParent { pid, parent: stat.ppid });
        }
        self.children.insert(pid, Owner::Process(id));
        self.inherited.forget_list();
        let Stat { pgrp, session, .. } = stat;
        if let Some(run) = self.runs.get_mut(&id) {
            if run.reaped.take().is_none() && was != pid {
                self.children.insert(was, Owner::Former);
            }
            run.main =
                (pid != run.child.pid).then(|| Box::new(MainProcess { child: Child::inherited(pid), pgrp, session }));
            run.pass_stop_on(&stat);
        }
        Ok(())
    }

    /// The run that a process is of.
    fn run_of(&self, pid: i32) -> Option<ProcId> {
        self.run_of_ancestry(&ancestry::of(pid)?)
    }
}

/// The pid in a file, if that was written since it was like this.
pub(super) fn read_pid_file(path: &Path, before: Option<FileState>) -> Result<i32, NoMain> {
    let state = FileState::of(path);
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => NoMain::NoFile,
        _ => NoMain::Unreadable { errno: error.raw_os_error().unwrap_or(libc::EACCES) },
    };
    let file = guarded_path::open(path, Access::Read).map_err(unreadable)?;
    if state.is_some() && state == before {
        return Err(NoMain::Stale);
    }
    let mut text = String::new();
    file.take(MAX_PID_FILE_BYTES).read_to_string(&mut text).map_err(|_| NoMain::NoPid)?;
    let word = text.split_ascii_whitespace().next().ok_or(NoMain::NoPid)?;
    let number: i64 = word.parse().map_err(|_| NoMain::NoPid)?;
    i32::try_from(number).ok().filter(|pid| *pid > 1).ok_or(NoMain::Impossible { number })
}
