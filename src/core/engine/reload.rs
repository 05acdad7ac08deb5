//! Reload: the configuration is read by a thread of its own (a slow disk or name server delays
//! nobody), compared with what is in force, and applied as a whole or not at all.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::super::world::{Answer, ProcId, ReplyTo, World};
use super::Engine;
use super::jobs::{Goal, JobKind};
use crate::config::{self, ConfigError, Loaded, ReloadPlan};
use crate::models::{ProgramConfig, SupervisorConfig};
use crate::process;
use crate::rpc::server::ConnId;

/// Who waits for the file that is being read, and who came too late for it.
#[derive(Default)]
pub(super) struct Reload {
    /// Set while the file is being read: whoever asked before that began.
    reading: Option<Vec<ReplyTo>>,
    /// Asked since: the file may have changed, so it is read once more for these.
    next: Vec<ReplyTo>,
}

impl Reload {
    /// How many wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.reading.as_ref().map_or(0, Vec::len) + self.next.len()
    }

    /// A client has gone: what it has asked for is done all the same.
    pub(super) fn forget(&mut self, conn: ConnId) {
        let its = |reply: &ReplyTo| matches!(reply, ReplyTo::Connection(to) if *to == conn);
        if let Some(reading) = &mut self.reading {
            reading.retain(|reply| !its(reply));
        }
        let waiting = self.next.len();
        self.next.retain(|reply| !its(reply) && !matches!(reply, ReplyTo::Nobody));
        if self.next.len() < waiting {
            self.next.push(ReplyTo::Nobody);
        }
    }
}

impl Engine {
    /// At the end nobody waits for a file that may hang on a dead disk.
    pub(super) fn abandon_reload(&mut self, world: &mut dyn World) {
        let reading = self.reload.reading.as_mut().map(std::mem::take).unwrap_or_default();
        let next = std::mem::take(&mut self.reload.next);
        for reply in reading.iter().chain(&next) {
            world.reply(reply, Answer::failed("Reload failed, nothing was changed: the daemon is shutting down"));
        }
    }

    pub(super) fn request_reload(&mut self, reply: ReplyTo, world: &mut dyn World) {
        if self.refuse_when_ending(&reply, world) {
            return;
        }
        if self.reload.reading.is_some() {
            // Signals that come faster than the file can be read ask for one more look, not for many.
            let nobody = |reply: &ReplyTo| matches!(reply, ReplyTo::Nobody);
            if !(nobody(&reply) && self.reload.next.iter().any(nobody)) {
                self.reload.next.push(reply);
            }
        } else {
            self.reload.reading = Some(vec![reply]);
            world.load_config();
        }
    }

    pub(super) fn config_loaded(&mut self, now: Instant, result: Result<Loaded, ConfigError>, world: &mut dyn World) {
        let waiting = self.reload.reading.take().unwrap_or_default();
        if !self.reload.next.is_empty() {
            self.reload.reading = Some(std::mem::take(&mut self.reload.next));
            world.load_config();
        }
        if self.is_ending() {
            return;
        }
        match result {
            Err(error) => {
                log::error!("reload failed, nothing was changed: {error}");
                let answer = Answer::failed(format!("Reload failed, nothing was changed: {error}"));
                waiting.iter().for_each(|reply| world.reply(reply, answer.clone()));
            }
            Ok(loaded) => {
                loaded.warnings.iter().for_each(|warning| log::warn!("{warning}"));
                self.apply(now, loaded.config, &waiting, world);
            }
        }
    }

    fn apply(&mut self, now: Instant, new: SupervisorConfig, waiting: &[ReplyTo], world: &mut dyn World) {
        let plan = config::diff(&self.effective(), &new);
        log::info!("{}", describe(&plan));
        self.apply_settings(&plan, &new, world);
        let mut programs: HashMap<String, ProgramConfig> =
            new.programs.into_iter().map(|program| (program.name.clone(), program)).collect();
        let mut goals: Vec<(ProcId, Goal)> = Vec::new();
        for name in &plan.removed {
            let Some(id) = self.find(name) else { continue };
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.leaving = true;
            }
            goals.push((id, Goal::Down));
        }
        for name in &plan.changed {
            let (Some(id), Some(program)) = (self.find(name), programs.remove(name)) else { continue };
            self.change(now, id, program, world);
        }
        for name in &plan.added {
            if let Some(program) = programs.remove(name) {
                self.bring_in(now, program, world);
            }
        }
        let removed: Vec<ProcId> = goals.iter().map(|(id, _)| *id).collect();
        for reply in waiting {
            self.wait_for(now, reply.clone(), JobKind::Reload(plan.clone()), &goals, world);
        }
        for id in removed {
            self.tell(now, id, process::Event::StopRequested, world);
        }
    }

    fn change(&mut self, now: Instant, id: ProcId, program: ProgramConfig, world: &mut dyn World) {
        let config = Arc::new(program);
        world.configure(id, &config);
        self.tell(now, id, process::Event::ConfigChanged(config), world);
    }

    /// Adds a program; one that has just been removed and is still stopping comes back.
    fn bring_in(&mut self, now: Instant, program: ProgramConfig, world: &mut dyn World) {
        let autostart = program.autostart;
        let id = match self.roster.id_of(&program.name) {
            Some(id) => {
                if let Some(entry) = self.entries.get_mut(&id) {
                    entry.leaving = false;
                }
                self.change(now, id, program, world);
                id
            }
            None => self.add(Arc::new(program), world),
        };
        if autostart {
            self.tell(now, id, process::Event::StartRequested, world);
        }
    }

    fn apply_settings(&mut self, plan: &ReloadPlan, new: &SupervisorConfig, world: &mut dyn World) {
        for key in &plan.daemon_settings_changed {
            match *key {
                "loglevel" => world.set_log_level(&new.loglevel),
                "shutdown_timeout" | "exit_when_idle" => {}
                other => log::warn!("[supervice] {other} has changed; it takes effect when the daemon is started anew"),
            }
        }
        self.settings.loglevel.clone_from(&new.loglevel);
        self.settings.shutdown_timeout = new.shutdown_timeout;
        self.settings.exit_when_idle = new.exit_when_idle;
    }

    /// The configuration in force, put together again from the daemon's settings and the processes.
    fn effective(&self) -> SupervisorConfig {
        let mut config = self.settings.clone();
        let present = self.entries.values().filter(|entry| !entry.leaving);
        config.programs = present.map(|entry| ProgramConfig::clone(entry.config())).collect();
        config
    }
}

fn describe(plan: &ReloadPlan) -> String {
    let parts: Vec<String> = [("added", &plan.added), ("removed", &plan.removed), ("changed", &plan.changed)]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what} {}", names.join(", ")))
        .collect();
    if parts.is_empty() { "reload: no changes".to_owned() } else { format!("reload: {}", parts.join("; ")) }
}
