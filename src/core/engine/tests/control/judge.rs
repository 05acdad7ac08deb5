//! What has to be true after each turn, and at rest.

use std::collections::BTreeMap;

use super::*;
use crate::config::needs_restart;
use crate::models::{DependencyTarget, ProgramType};

impl Sim {
    /// The programs of the configuration, each with its version.
    pub(super) fn configured(&self) -> BTreeMap<String, u64> {
        let version =
            |config: &ProgramConfig| config.environment.get("V").and_then(|text| text.parse().ok()).unwrap_or(0);
        let entries = self.engine.registry.configured().map(|(_, entry)| entry);
        entries.map(|entry| (entry.name().to_owned(), version(entry.config()))).collect()
    }

    pub(super) fn is_wanted_up(&self, name: &str) -> bool {
        let entry = self.engine.registry.find(name).and_then(|id| self.engine.registry.get(id));
        entry.is_some_and(|entry| entry.machine.desired() == Desired::Up)
    }

    pub(super) fn judge_turn(&mut self) -> Result<(), String> {
        self.judge_spawns()?;
        let there = self.configured();
        if there != self.model.programs {
            return Err(format!("there is {there:?}, but {:?} is to be", self.model.programs));
        }
        for (id, entry) in self.engine.registry.iter() {
            let (name, machine) = (entry.name(), &entry.machine);
            let child = self.system.children.get(&id);
            if child.is_some_and(|child| child.is_paused != machine.is_paused()) {
                return Err(format!("{name} is paused, or is not, and the daemon thinks otherwise"));
            }
            if entry.is_configured() && entry.disabled != self.model.disabled.now().contains(name) {
                return Err(format!("{name}: disabled is {}", entry.disabled));
            }
        }
        let (registry, asked, by_hand) = (&self.engine.registry, &self.asked, &mut self.model.by_hand);
        by_hand.retain(|name| {
            let entry = registry.find(name).and_then(|id| registry.get(id));
            let is_held = asked.values().any(|asked| matches!(asked, Asked::Up { name: held } if held == name));
            // One that is on its way out comes back as it was, where an update is taken back.
            let may_come = |entry: &Entry| {
                entry.machine.desired() == Desired::Up || entry.machine.state() == ProcessState::Stopping
            };
            is_held || entry.is_some_and(may_come)
        });
        if self.system.open.len() != self.engine.owed() {
            return Err(format!("{} answers are owed, {} are open", self.engine.owed(), self.system.open.len()));
        }
        self.up_before = self.up_now();
        if !self.model.programs.contains_key("job") || self.model.disabled.now().contains("job") {
            self.minutes.begin(false);
        }
        self.look_at_clock();
        Ok(())
    }

    fn up_now(&self) -> Vec<String> {
        let up = self.engine.registry.configured().filter(|(_, entry)| entry.machine.desired() == Desired::Up);
        up.map(|(_, entry)| entry.name().to_owned()).collect()
    }

    fn judge_spawns(&mut self) -> Result<(), String> {
        let there = self.configured();
        for (id, config, states) in std::mem::take(&mut self.system.spawned) {
            let name = &config.name;
            let Some(entry) = self.engine.registry.get(id) else { return Err(format!("{name} is spawned and gone")) };
            if !entry.is_configured() {
                continue;
            }
            if self.model.disabled.now().contains(name) && !self.model.by_hand.contains(name) {
                return Err(format!("{name} is started, which is disabled"));
            }
            if needs_restart(&config, entry.config()) {
                return Err(format!("{name} is started with settings of before"));
            }
            for need in config.requires.iter().chain(&config.binds) {
                let DependencyTarget::Program(target) = &need.target else { continue };
                let of_it = |name: &String| {
                    name.strip_prefix(target.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
                };
                let lacks = |(name, state): (&String, &ProcessState)| {
                    of_it(name) && there.contains_key(name) && *state != ProcessState::Running
                };
                if let Some((lacking, state)) = states.iter().find(|(name, state)| lacks((name, state))) {
                    return Err(format!("{name} is started while {lacking} is {state}"));
                }
            }
            if config.program_type == ProgramType::Oneshot {
                *self.counts.entry("jobs").or_default() += 1;
                if !std::mem::take(&mut self.model.job_asked) {
                    let wall = self.system.clock.wall(self.now);
                    if !self.minutes.is_due(wall) {
                        return Err(format!("{name} is started at {wall}"));
                    }
                    self.minutes.start(wall)?;
                }
            }
        }
        Ok(())
    }

    /// Nobody does anything any more: everything comes to what it is to be.
    pub(super) fn judge_rest(&mut self) -> Result<(), String> {
        self.put_clock_right()?;
        self.pass(200)?;
        if self.model.commit.is_some() {
            return Err("an update waits to be confirmed for ever".to_owned());
        }
        if let Some((id, asked)) = self.asked.first_key_value() {
            return Err(format!("{id:?} was never answered: {asked:?}"));
        }
        self.judge_states()?;
        let jobs = self.counts.get("jobs").copied().unwrap_or(0);
        self.pass(180)?;
        let runs = self.counts.get("jobs").copied().unwrap_or(0) - jobs;
        let has_job = self.model.programs.contains_key("job");
        if has_job != (runs > 0) && !self.model.disabled.now().contains("job") {
            return Err(format!("{runs} runs of the job in three minutes"));
        }
        self.judge_update()
    }

    /// What is to run runs. What needs others may wait for them.
    fn judge_states(&self) -> Result<(), String> {
        for (name, is_wanted) in &self.model.wanted {
            let stands_alone = name == "db" || name.starts_with("worker@");
            let is_running = self.system.states.get(name) == Some(&ProcessState::Running);
            if stands_alone && is_running != *is_wanted {
                return Err(format!("{name} is to run: {is_wanted}; it is {:?}", self.system.states.get(name)));
            }
        }
        Ok(())
    }

    /// An update brings the file into force, and another one changes nothing.
    fn judge_update(&mut self) -> Result<(), String> {
        self.file.is_broken = false;
        self.write_file();
        let refused = self.update()?;
        if refused {
            // No instance is left of what something needs: that is told, and stays so until one of the two is changed.
            return Ok(());
        }
        let before = self.engine.effective();
        let pids = self.system.children.iter().map(|(id, child)| (*id, child.generation)).collect::<Vec<_>>();
        self.update()?;
        let after = self.system.children.iter().map(|(id, child)| (*id, child.generation)).collect::<Vec<_>>();
        if self.engine.effective() != before || pids != after {
            return Err("an update of the same file has changed something".to_owned());
        }
        let stale = |(id, entry): (ProcId, &Entry)| {
            let child = self.system.children.get(&id);
            child.is_some_and(|child| needs_restart(&child.config, entry.config())).then(|| entry.name().to_owned())
        };
        match self.engine.registry.configured().find_map(stale) {
            Some(name) => Err(format!("{name} runs with settings of before")),
            None => Ok(()),
        }
    }

    /// `true`: it was refused.
    fn update(&mut self) -> Result<bool, String> {
        let command = Command::Update { confirm: None, timeout: None };
        self.ask(Request::Command(command), Asked::Update { confirm: None })?;
        self.pass(30)?;
        // Jobs come and go.
        while self.system.children.values().any(|child| child.config.program_type == ProgramType::Oneshot) {
            self.pass(1)?;
        }
        Ok(!self.model.is_readable)
    }
}
