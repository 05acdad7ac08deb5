//! What has to be there: worked out from what was asked for, what was answered, and the files.

use std::collections::{BTreeMap, BTreeSet};

use super::super::super::stored_state::StoredState;
use super::Asked;
use super::files::{File, Scaled};
use crate::api::{Act, RequestId};
use crate::util::sorted::SortedSet;

/// So many kinds of things are counted.
pub(super) const CASES: usize = 21;

/// What is to be kept of one kind: all that it was since it was known to be on the disk.
#[derive(Debug)]
pub(super) struct Persistence<T> {
    states: Vec<T>,
    kept: usize,
}

impl<T: Default> Default for Persistence<T> {
    fn default() -> Self {
        Persistence { states: vec![T::default()], kept: 0 }
    }
}

impl<T: Clone + PartialEq + std::fmt::Debug> Persistence<T> {
    pub(super) fn now(&self) -> &T {
        self.states.last().expect("there is always one")
    }

    pub(super) fn set(&mut self, state: T) {
        if *self.now() != state {
            self.states.push(state);
        }
    }

    /// Somebody was told that it is on the disk.
    pub(super) fn is_kept(&mut self, place: usize) {
        self.kept = self.kept.max(place);
    }

    pub(super) fn place(&self) -> usize {
        self.states.len() - 1
    }

    /// A daemon has found this.
    fn found(&mut self, what: &str, found: T) -> Result<(), String> {
        if !self.states[self.kept..].contains(&found) {
            return Err(format!("{what}: found {found:?}, of {:?}", &self.states[self.kept..]));
        }
        (self.states, self.kept) = (vec![found], 0);
        Ok(())
    }
}

/// What an update may be taken back to.
#[derive(Debug, Clone)]
pub(super) struct Before {
    programs: BTreeMap<String, u64>,
    force: File,
    scaled: Option<Scaled>,
    saved: Option<Scaled>,
    made: BTreeSet<String>,
    enabled: BTreeSet<String>,
    /// What was wanted up.
    up: Vec<String>,
}

/// A request, and what it has done to a program.
type Asking = (RequestId, Asked, Option<(Act, String)>);

#[derive(Debug, Default)]
pub(super) struct Model {
    /// The file in force.
    pub(super) force: Option<File>,
    /// The programs of the configuration in force.
    pub(super) programs: BTreeMap<String, u64>,
    pub(super) scaled: Option<Scaled>,
    /// Instances of templates that are in no file, or were so.
    pub(super) made: BTreeSet<String>,
    pub(super) disabled: Persistence<BTreeSet<String>>,
    pub(super) enabled: Persistence<BTreeSet<String>>,
    pub(super) saved: Persistence<Option<Scaled>>,
    /// Where each request that is to be kept stands among the states: of the disabled, the enabled, the saved.
    pub(super) promised: BTreeMap<RequestId, [usize; 3]>,
    pub(super) commit: Option<Box<Before>>,
    /// Whether these are to run, where that is known.
    pub(super) wanted: BTreeMap<String, bool>,
    /// Disabled ones that run because somebody wants that.
    pub(super) by_hand: BTreeSet<String>,
    /// Disabled since the update that waits to be confirmed.
    pub(super) disabled_since: BTreeSet<String>,
    /// Somebody has asked for the job.
    pub(super) job_asked: bool,
    /// What is asked in this turn.
    pub(super) asking: Option<Asking>,
    /// What was wanted up before this turn.
    pub(super) up: Vec<String>,
    // Of the present reading of the file.
    pub(super) read: Option<File>,
    pub(super) is_readable: bool,
    pub(super) before_reading: Vec<String>,
    pub(super) asked_with: Vec<String>,
}

fn set(names: &SortedSet<String>) -> BTreeSet<String> {
    names.iter().cloned().collect()
}

impl Model {
    /// A daemon begins with what it has found on the disk.
    pub(super) fn boot(&mut self, file: &File, found: &StoredState) -> Result<(), String> {
        let saved = found.scales.get("web").map(|scale| Scaled { instances: scale.instances, in_file: scale.in_file });
        self.disabled.found("disabled", set(&found.disabled))?;
        self.enabled.found("enabled", set(&found.instances))?;
        self.saved.found("scaled", saved)?;
        self.scaled = saved;
        self.made = self.enabled.now().clone();
        // Without an instance, what needs it could not start: then the number in the file counts.
        let needs_one = matches!(file.front, Some("requires" | "binds"));
        let scaled = saved.filter(|_| !(needs_one && file.web(saved).is_empty()));
        self.programs = file.programs(scaled, &self.made);
        self.force = Some(file.clone());
        self.commit = None;
        self.by_hand.clear();
        self.promised.clear();
        self.wanted = self.programs.keys().map(|name| (name.clone(), self.starts_by_itself(name))).collect();
        Ok(())
    }

    /// With the daemon, or with the reload that brings it.
    fn starts_by_itself(&self, name: &str) -> bool {
        name != "job" && !self.disabled.now().contains(name)
    }

    /// The file was read for this, and was taken or not: is that right?
    pub(super) fn judge_reading(&self, asked: &Asked, is_taken: bool) -> Result<(), String> {
        let may = self.is_readable && self.commit.is_none();
        match asked {
            // That it is disabled is forgotten, whether anything makes it or not.
            Asked::Make { name, enable: true } if self.disabled.now().contains(name) => Ok(()),
            Asked::Reload | Asked::Update { .. } if is_taken != may => Err(format!(
                "{asked:?}: readable {}, pending {}, taken {is_taken}",
                self.is_readable,
                self.commit.is_some()
            )),
            _ if is_taken && !may => Err(format!("{asked:?} was taken")),
            _ => Ok(()),
        }
    }

    /// The file was read for this, and it was taken.
    pub(super) fn applied(&mut self, asked: &Asked, there: &BTreeSet<String>) {
        let Some(file) = self.read.clone() else { return };
        // What is brought in starts what it needs.
        if matches!(asked, Asked::Reload | Asked::Update { .. } | Asked::Scale { .. }) {
            self.wanted.remove("db");
        }
        match asked {
            Asked::Reload | Asked::Update { .. } => {
                if matches!(asked, Asked::Update { confirm: Some(_) }) {
                    self.commit = self.before();
                    self.disabled_since.clear();
                }
                self.take(&file, there);
            }
            Asked::Scale { instances, save } => {
                let scaled = Scaled { instances: *instances, in_file: file.numprocs };
                self.scaled = (scaled.instances != scaled.in_file).then_some(scaled);
                if *save {
                    self.saved.set(self.scaled);
                }
                self.programs.retain(|name, _| !name.starts_with("web"));
                let web = file.versions[1];
                let all = file.web(self.scaled);
                for name in &all {
                    self.wanted.entry(name.clone()).or_insert(true);
                }
                self.programs.extend(all.into_iter().map(|name| (name, web)));
                self.wanted.retain(|name, _| self.programs.contains_key(name));
            }
            // An update that was taken back meanwhile may have brought it back.
            Asked::Make { name, .. } if self.programs.contains_key(name) => {}
            Asked::Make { name, enable } => {
                if let Some(version) = file.programs(None, &BTreeSet::from([name.clone()])).get(name) {
                    self.programs.insert(name.clone(), *version);
                    self.made.insert(name.clone());
                    self.wanted.insert(name.clone(), !enable);
                }
            }
            Asked::SetEnabled { .. } | Asked::Up { .. } | Asked::Other => {}
        }
    }

    fn before(&self) -> Option<Box<Before>> {
        Some(Box::new(Before {
            programs: self.programs.clone(),
            force: self.force.clone()?,
            scaled: self.scaled,
            saved: *self.saved.now(),
            made: self.made.clone(),
            enabled: self.enabled.now().clone(),
            up: self.up.clone(),
        }))
    }

    /// A whole file counts from now on.
    fn take(&mut self, file: &File, there: &BTreeSet<String>) {
        let holds = |scaled: &Scaled| scaled.in_file == file.numprocs;
        // What stands in another file than when it was asked for counts no more.
        let is_over = self.scaled.is_some_and(|scaled| !holds(&scaled));
        self.scaled = self.scaled.filter(holds);
        if is_over {
            self.saved.set(None);
        }
        let enabled = self.enabled.now().clone();
        // One that is down goes with it; one that has been stopped since the file was begun to be read may do so.
        let (up, with) = (&self.before_reading, &self.asked_with);
        let stays = |name: &String| {
            let must = enabled.contains(name) || up.contains(name);
            // One that stands in the file for a while is still one that somebody has made.
            let is_in_file = file.has_eu && name == "worker@eu";
            must || is_in_file || with.contains(name) && there.contains(name)
        };
        let all = file.programs(None, &self.made);
        self.made.retain(|name| stays(name) && all.contains_key(name));
        let enabled = enabled.into_iter().filter(|name| all.contains_key(name)).collect();
        self.enabled.set(enabled);
        let programs = file.programs(self.scaled, &self.made);
        let brought: Vec<String> = programs.keys().filter(|name| !self.programs.contains_key(*name)).cloned().collect();
        self.wanted.retain(|name, _| programs.contains_key(name));
        for name in brought {
            let starts = self.starts_by_itself(&name);
            self.wanted.insert(name, starts);
        }
        self.programs = programs;
        self.force = Some(file.clone());
    }

    /// The update was taken back.
    pub(super) fn rolled_back(&mut self) -> Result<(), String> {
        let Some(before) = self.commit.take() else { return Err("nothing was to be confirmed".to_owned()) };
        let Before { programs, force, scaled, saved, made, enabled, up } = *before;
        // They come back as they were, whether the daemon would start them or not.
        // A run of the job that the update has cut short is made anew.
        let is_down = |name: &String| !self.up.contains(name) && self.disabled_since.contains(name);
        let up: Vec<String> = up.into_iter().filter(|name| !is_down(name)).collect();
        self.job_asked |= up.iter().any(|name| name == "job");
        self.by_hand.extend(up);
        // What became of these meanwhile is not known here.
        let has_template = |file: Option<&File>| file.is_some_and(|file| file.has_template);
        let is_same = has_template(Some(&force)) == has_template(self.force.as_ref());
        self.wanted.remove("db");
        self.wanted.retain(|name, _| {
            programs.get(name) == self.programs.get(name) && (is_same || !name.starts_with("worker"))
        });
        // Others may have been enabled or disabled since; the update has forgotten those that it has unmade.
        let unmade = enabled.into_iter().filter(|name| !self.made.contains(name));
        let enabled = self.enabled.now().iter().cloned().chain(unmade).collect();
        self.enabled.set(enabled);
        self.saved.set(saved);
        (self.programs, self.force, self.scaled, self.made) = (programs, Some(force), scaled, made);
        Ok(())
    }

    /// Somebody has disabled or enabled it, and that was taken.
    pub(super) fn set_enabled(&mut self, name: &str, enabled: bool) {
        let mut disabled = self.disabled.now().clone();
        if !enabled {
            self.disabled_since.insert(name.to_owned());
        }
        let is_other = if enabled { disabled.remove(name) } else { disabled.insert(name.to_owned()) };
        if is_other {
            self.disabled.set(disabled);
        }
        if self.made.contains(name) {
            let mut instances = self.enabled.now().clone();
            let _ = if enabled { instances.insert(name.to_owned()) } else { instances.remove(name) };
            self.enabled.set(instances);
        }
    }

    /// Where everything that is to be kept stands now.
    pub(super) fn places(&self) -> [usize; 3] {
        [self.disabled.place(), self.enabled.place(), self.saved.place()]
    }
}
