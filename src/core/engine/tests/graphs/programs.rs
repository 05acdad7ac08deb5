//! Random programs with dependencies that run in no circle, and such that do.

use std::collections::BTreeMap;

use super::Sim;
use crate::models::{
    AutoRestart, Dependency, DependencyCondition, DependencyKind, DependencyTarget, HealthAction, HealthCheckType,
    HookCommand, ProgramConfig, ProgramType, Readiness,
};

/// The group whose members come early in the order.
const GROUP: &str = "early";

/// What a program that is drawn later has to know of one.
struct Known {
    name: String,
    /// It may complete.
    ends: bool,
    has_check: bool,
}

impl Sim {
    /// Programs with dependencies that run in no circle; so many of a hundred are there.
    pub(super) fn draw(&mut self, share: u64) -> BTreeMap<String, ProgramConfig> {
        let mut programs: BTreeMap<String, ProgramConfig> = BTreeMap::new();
        let mut known: Vec<Known> = Vec::new();
        let order = self.order.clone();
        for (place, name) in order.iter().enumerate() {
            if !self.random.chance(share) {
                continue;
            }
            let mut program = self.draw_program(name);
            let is_early = place < order.len() / 3;
            program.group = (is_early && self.random.chance(30)).then(|| GROUP.to_owned());
            if !is_early && self.random.chance(10) {
                self.depend(&mut program, DependencyTarget::Group(GROUP.to_owned()), false, false);
            }
            if self.random.chance(5) {
                self.depend(&mut program, DependencyTarget::Program("absent".to_owned()), false, false);
            }
            for _ in 0..self.random.below(4).min(known.len() as u64) {
                let Known { name, ends, has_check } = &known[self.random.below(known.len() as u64) as usize];
                self.depend(&mut program, DependencyTarget::Program(name.clone()), *ends, *has_check);
            }
            let ends = program.autorestart != AutoRestart::Always || program.program_type == ProgramType::Oneshot;
            let has_check = program.healthcheck.check_type != HealthCheckType::None;
            known.push(Known { name: name.clone(), ends, has_check });
            programs.insert(name.clone(), program);
        }
        programs
    }

    /// A program that needs nobody.
    fn draw_program(&mut self, name: &str) -> ProgramConfig {
        let mut program = ProgramConfig {
            startsecs: self.random.small(3),
            startretries: self.random.small(3),
            stopwaitsecs: 1 + self.random.small(10),
            autostart: self.random.chance(60),
            autorestart: self.random.pick(&[AutoRestart::Always, AutoRestart::Never, AutoRestart::Unexpected]),
            program_type: if self.random.chance(15) { ProgramType::Oneshot } else { ProgramType::Simple },
            start_timeout: 60,
            ..ProgramConfig::new(name, "x")
        };
        if self.random.chance(25) {
            program.hooks.timeout = 1 + self.random.small(3);
            program.hooks.pre_start = self.commands(50);
            program.hooks.post_start = self.commands(50);
            program.hooks.post_stop = self.commands(50);
        }
        let is_oneshot = program.program_type == ProgramType::Oneshot;
        program.hooks.stop_command = self.commands(if is_oneshot { 60 } else { 5 });
        if !is_oneshot && self.random.chance(20) {
            program.ready = Readiness::Notify;
            program.start_timeout = self.random.pick(&[3, 60]);
        }
        if !is_oneshot && self.random.chance(30) {
            program.healthcheck.check_type = HealthCheckType::Tcp;
            program.healthcheck.interval = 3;
            program.healthcheck.retries = 2;
            program.healthcheck.start_period = 1;
            program.healthcheck.action = self.random.pick(&[HealthAction::Restart, HealthAction::None]);
        }
        program
    }

    fn depend(&mut self, program: &mut ProgramConfig, target: DependencyTarget, ends: bool, has_check: bool) {
        let condition = match (ends && self.random.chance(30), has_check && self.random.chance(50)) {
            (true, _) => DependencyCondition::Completed,
            (false, true) => DependencyCondition::Healthy,
            (false, false) => self.random.pick(&[DependencyCondition::Ready, DependencyCondition::Started]),
        };
        // Groups may be empty.
        let may_be_absent = match &target {
            DependencyTarget::Program(name) => !self.order.contains(name),
            DependencyTarget::Group(_) => true,
        };
        let kind = self.random.pick(&DependencyKind::ALL);
        kind.of_mut(program).push(Dependency { target, condition, optional: may_be_absent });
    }

    /// One or two commands, with this chance.
    fn commands(&mut self, share: u64) -> Vec<HookCommand> {
        let count = if self.random.chance(share) { 1 + self.random.below(2) } else { 0 };
        let command = |_| HookCommand { command: "x".to_owned(), may_fail: false, as_daemon: false };
        (0..count).map(command).collect()
    }

    /// Somebody comes to depend on one that depends on him. `false`: nobody depends on anybody.
    pub(super) fn close_circle(&mut self, programs: &mut BTreeMap<String, ProgramConfig>) -> bool {
        let mut pairs = Vec::new();
        for (from, program) in programs.iter() {
            for dependency in DependencyKind::ALL.iter().flat_map(|kind| kind.of(program)) {
                if let DependencyTarget::Program(on) = &dependency.target
                    && programs.contains_key(on)
                {
                    pairs.push((from.clone(), on.clone()));
                }
            }
        }
        if pairs.is_empty() {
            return false;
        }
        let (from, on) = self.random.pick(&pairs);
        if let Some(program) = programs.get_mut(&on) {
            self.depend(program, DependencyTarget::Program(from), false, false);
        }
        true
    }

    /// The processes on which this one depends by these kinds, by their names.
    pub(super) fn needs(&self, name: &str, kinds: &[DependencyKind]) -> Vec<(String, DependencyCondition)> {
        let Some(program) = self.programs.get(name) else { return Vec::new() };
        let mut needs = Vec::new();
        for dependency in kinds.iter().flat_map(|kind| kind.of(program)) {
            match &dependency.target {
                DependencyTarget::Program(on) => needs.push((on.clone(), dependency.condition)),
                DependencyTarget::Group(group) => {
                    let members = self.programs.values().filter(|member| member.group.as_ref() == Some(group));
                    needs.extend(members.map(|member| (member.name.clone(), dependency.condition)));
                }
            }
        }
        needs.retain(|(on, _)| self.programs.contains_key(on));
        needs
    }
}
