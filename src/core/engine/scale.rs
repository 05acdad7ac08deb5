//! Other numbers of instances than in the file (`scale`), and instances of templates that stand in none (`start
//! worker@us`): what somebody adds at run time. The file is read for it, so that what comes is as it would be by the
//! file; what else has changed in it waits for a reload.

use std::sync::Arc;
use std::time::Duration;

use super::apply::ApplyMode;
use super::commands::CommandContext;
use super::groups::circle_in;
use super::ledger::ReplyToken;
use super::reload::{InstanceChange, Purpose};
use super::stored_state::StoredScale;
use super::waiters::WaitKind;
use super::{Engine, Entry};
use crate::api::{Act, Persistence, Refusal, ReloadFailure, ScaleFault, Selector, Terms, Updated};
use crate::config::{Additions, Configuration, LoadResult, ScaleOverride, Scaled, diff_shared};
use crate::models::ProgramConfig;
use crate::process::{Desired, Initiator};

/// The most instances a program may have, as in the file.
pub(super) const MAX_INSTANCES: u32 = 10_000;

/// The most instances of templates that are in no file.
pub(super) const MAX_ADDED: usize = 10_000;

impl Engine {
    /// Somebody wants another number of instances of a program.
    pub(super) fn scale(
        &mut self,
        token: ReplyToken,
        program: &str,
        (instances, save): (u32, bool),
        timeout: Option<Duration>,
        by: Initiator,
    ) {
        let name = program.to_owned();
        if save && self.settings.state_dir.is_none() {
            return self.refuse(token, Refusal::NotScalable { name, why: ScaleFault::NoStateDir });
        }
        if instances > MAX_INSTANCES {
            return self.refuse(token, Refusal::NotScalable { name, why: ScaleFault::TooMany { most: MAX_INSTANCES } });
        }
        self.load_configuration(Some(token), Purpose::Scale { name, instances, save, timeout }, by);
    }

    /// What the file is to be read with for this purpose.
    pub(super) fn additions_for(&self, purpose: Option<&Purpose>) -> Additions {
        let mut additions = self.additions.clone();
        // One that is down goes with the next reload, unless it was enabled.
        additions.instances.retain(|name| {
            let entry = self.registry.find(name).and_then(|id| self.registry.get(id));
            let is_up = |entry: &Entry| entry.machine.desired() == Desired::Up || entry.machine.is_engaged();
            self.stored.instances.contains(name) || entry.is_some_and(is_up)
        });
        match purpose {
            Some(Purpose::Scale { name, instances, .. }) => {
                let former = self.additions.scales.iter().find(|scale| scale.program == *name);
                let at_most = former.map_or(0, |scale| scale.instances);
                additions.scales.retain(|scale| scale.program != *name);
                let program = name.clone();
                additions.scales.push(ScaleOverride { program, in_file: None, instances: *instances, at_most });
            }
            Some(Purpose::Make { names, .. }) => additions.instances.extend(names.iter().cloned()),
            Some(
                Purpose::Reread { .. }
                | Purpose::Settings { .. }
                | Purpose::Read
                | Purpose::Reload { .. }
                | Purpose::Update { .. },
            )
            | None => {}
        }
        additions
    }

    /// The file was read to change the number of instances.
    pub(super) fn scaled(
        &mut self,
        token: Option<ReplyToken>,
        loaded: &LoadResult,
        (program, instances, save): (&str, u32, bool),
        timeout: Option<Duration>,
        by: &Initiator,
    ) {
        match self.plan_scale(loaded, program) {
            Err(refusal) => {
                if let Some(token) = token {
                    self.refuse(token, refusal);
                }
            }
            Ok((new, in_file)) => {
                self.additions.scales.retain(|scale| scale.program != program);
                let is_other = instances != in_file;
                if is_other {
                    let (program, in_file) = (program.to_owned(), Some(in_file));
                    self.additions.scales.push(ScaleOverride { program, in_file, instances, at_most: instances });
                }
                self.note_scaled_away();
                if save {
                    self.keep_scale(program, is_other.then_some(StoredScale { instances, in_file }));
                }
                self.add_programs(token, new, (save, timeout), by);
            }
        }
    }

    /// What is added while an update waits to be confirmed would be lost on its way back.
    fn refusal_of_pending_commit(&self) -> Option<Refusal> {
        let until = self.commit.pending_until()?;
        let seconds = until.saturating_duration_since(self.now).as_secs();
        Some(Refusal::UpdateFailed(ReloadFailure::PendingCommit { seconds }))
    }

    /// What is in force afterwards, and what the file says.
    fn plan_scale(&self, loaded: &LoadResult, program: &str) -> Result<(Configuration, u32), Refusal> {
        let fault = |why| Refusal::NotScalable { name: program.to_owned(), why };
        if let Some(refusal) = self.refusal_of_pending_commit() {
            return Err(refusal);
        }
        let found = loaded.scaled.iter().find(|scaled| scaled.program == program);
        let Some(Scaled { in_file, names, .. }) = found else { return Err(fault(ScaleFault::NoProgram)) };
        if *in_file < 2 {
            return Err(fault(ScaleFault::One));
        }
        let old = self.effective();
        let mut new = old.clone();
        let is_instance = |name: &String| names.contains(name);
        // The number in the file has changed and is not in force yet: some would stay that are no instances any more.
        let is_of_before = |config: &Arc<ProgramConfig>| {
            config.name == program || (is_instance(&config.name) && config.numprocs != *in_file)
        };
        if old.programs.iter().any(is_of_before) {
            return Err(fault(ScaleFault::FileChanged));
        }
        let place = new.programs.iter().position(|program| is_instance(&program.name)).unwrap_or(new.programs.len());
        new.programs.retain(|program| !is_instance(&program.name));
        let its = loaded.config.programs.iter().filter(|program| is_instance(&program.name)).cloned();
        new.programs.splice(place..place, its);
        if !diff_shared(&old.settings, &old.programs, &new).changed.is_empty() {
            return Err(fault(ScaleFault::FileChanged));
        }
        new.programs = loaded.with_their_instances(new.programs);
        match circle_in(&new) {
            Some(why) => Err(Refusal::UpdateFailed(why)),
            None => Ok((new, *in_file)),
        }
    }

    /// Takes programs into force, and others out of it, without any other change.
    fn add_programs(
        &mut self,
        token: Option<ReplyToken>,
        new: Configuration,
        (save, timeout): (bool, Option<Duration>),
        by: &Initiator,
    ) {
        let change = self.apply_config(new, &ApplyMode::Scale, by);
        let saved = save.then_some(Persistence::Stored);
        let updated = Updated { saved, ..change.updated(None) };
        let terms = Terms { timeout, ..Terms::default() };
        self.wait_for(token, terms, WaitKind::Update(Box::new(updated)), &change.goals());
        self.stop_removed(&change, by);
    }

    /// What the file is to be read for first where somebody starts what may be an instance of a template.
    pub(super) fn instances_to_make(&self, act: Act, on: &Selector, terms: Terms) -> Option<Purpose> {
        if act != Act::Start || self.is_ending() || self.additions.instances.len() >= MAX_ADDED {
            return None;
        }
        let named = match on {
            Selector::Process(name) => std::slice::from_ref(name),
            Selector::Processes(names) => names.as_slice(),
            Selector::Group(_) => &[],
        };
        let is_made = |name: &&String| name.contains('@') && self.registry.find(name).is_none();
        let names: Vec<String> = named.iter().filter(is_made).cloned().collect();
        (!names.is_empty()).then(|| Purpose::Make { names, wanted: InstanceChange::Start { on: on.clone(), terms } })
    }

    /// The file was read to make these. What it has no template for is refused as any name that is none.
    pub(super) fn made(
        &mut self,
        token: Option<ReplyToken>,
        loaded: &LoadResult,
        (names, wanted): (&[String], &InstanceChange),
        by: &Initiator,
    ) {
        let mut new = self.effective();
        let its = loaded.config.programs.iter().filter(|program| names.contains(&program.name));
        // Whoever has asked at the same time may have made it.
        let its: Vec<_> = its.filter(|program| self.registry.find(&program.name).is_none()).cloned().collect();
        let its_names: Vec<String> = its.iter().map(|program| program.name.clone()).collect();
        new.programs.extend(its);
        let refusal = || self.refusal_of_pending_commit().or_else(|| circle_in(&new).map(Refusal::UpdateFailed));
        if let (false, Some(refusal)) = (its_names.is_empty(), refusal()) {
            if let Some(token) = token {
                self.refuse(token, refusal);
            }
            return;
        }
        if !its_names.is_empty() {
            self.additions.instances.extend(its_names);
            let change = self.apply_config(new, &ApplyMode::Add, by);
            self.stop_removed(&change, by);
        }
        let (Some(token), by) = (token, by.clone()) else { return };
        match (wanted, names) {
            (InstanceChange::Start { on, terms }, _) => {
                self.act_on(Act::Start, on.clone(), CommandContext { token, by, terms: *terms });
            }
            (InstanceChange::Enable, names) => {
                self.set_enabled(token, names.first().map_or("", String::as_str), true, by)
            }
        }
    }

    /// As many instances of these programs are wanted as the file says, also by daemons to come.
    pub(crate) fn end_scales(&mut self, programs: &[String]) {
        self.additions.scales.retain(|scale| !programs.contains(&scale.program));
        self.note_scaled_away();
        for program in programs {
            self.keep_scale(program, None);
        }
    }

    /// Whoever names what is not there is told why.
    pub(super) fn note_scaled_away(&mut self) {
        let away = self.additions.scales.iter().filter(|scale| scale.instances == 0);
        self.registry.set_scaled_away(away.map(|scale| scale.program.clone()).collect());
    }

    /// A whole configuration was applied: requests that refer to an earlier content of the file end.
    pub(super) fn review_additions(&mut self, scaled: &[Scaled], new: &Configuration) {
        self.end_scales(&self.additions.ended_scales(scaled));
        let is_made = |name: &String| new.program(name).is_some();
        self.additions.instances.retain(is_made);
        let unmade: Vec<String> = self.stored.instances.iter().filter(|name| !is_made(name)).cloned().collect();
        self.keep_instances(&unmade, false);
    }
}
