//! What somebody has asked for at run time in addition to what the file says: other numbers of instances, and instances
//! of templates.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::document::Document;
use super::names::name_fault;
use super::{ConfigError, LoadOptions, Loaded};
use crate::models::{Dependency, DependencyKind, DependencyTarget, Dialect, ProgramConfig};

/// How many instances of a program somebody wants in place of those of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ScaleOverride {
    /// The program that has several.
    pub program: String,
    /// The `numprocs` of the file for which this holds; `None`: it holds whatever the file says.
    pub in_file: Option<u32>,
    /// How many are wanted.
    pub instances: u32,
    /// How many there may be: the names of these are listed.
    pub at_most: u32,
}

/// See the [module](self).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Additions {
    /// One for each program at most.
    pub scales: Vec<ScaleOverride>,
    /// Programs of templates, `worker@us`.
    pub instances: Vec<String>,
}

/// What a file says of a program that is scaled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scaled {
    /// Which.
    pub program: String,
    /// The group of its instances.
    pub group: String,
    /// Its `numprocs` there.
    pub in_file: u32,
    /// How many instances are wanted.
    pub wanted: u32,
    /// The names of its instances, of those as well that are not wanted.
    pub names: Vec<String>,
}

impl Scaled {
    /// What dependencies on its instances name.
    fn target_names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().chain([&self.program]).map(String::as_str)
    }

    /// Whether this is one of its instances, all of them, or their group.
    fn is_meant_by(&self, target: &DependencyTarget) -> bool {
        match target {
            DependencyTarget::Program(name) => *name == self.program || self.names.contains(name),
            DependencyTarget::Group(name) => *name == self.group,
        }
    }
}

/// These programs; those of them that a reading of the same file has with other instances of what is scaled among their
/// dependencies, and otherwise the same, as they are there. In supervisord's dialect they name each instance.
pub(super) fn with_their_instances(
    programs: Vec<Arc<ProgramConfig>>,
    read: &[Arc<ProgramConfig>],
    scaled: &[Scaled],
) -> Vec<Arc<ProgramConfig>> {
    let targets: HashSet<&str> = scaled.iter().flat_map(Scaled::target_names).collect();
    if targets.is_empty() {
        return programs;
    }
    let read: HashMap<&str, &Arc<ProgramConfig>> =
        read.iter().map(|program| (program.name.as_str(), program)).collect();
    let newest = |program: Arc<ProgramConfig>| match read.get(program.name.as_str()) {
        Some(other) if needs_the_same(&program, other, &targets) => Arc::clone(other),
        Some(_) | None => program,
    };
    programs.into_iter().map(newest).collect()
}

/// Whether two programs differ in nothing but which of these they name.
fn needs_the_same(one: &Arc<ProgramConfig>, other: &Arc<ProgramConfig>, targets: &HashSet<&str>) -> bool {
    if Arc::ptr_eq(one, other) {
        return false;
    }
    let is_one =
        |need: &Dependency| matches!(&need.target, DependencyTarget::Program(name) if targets.contains(name.as_str()));
    let names_any = |program: &ProgramConfig, kind: DependencyKind| kind.of(program).iter().any(is_one);
    let both_or_none = |kind: &DependencyKind| names_any(one, *kind) == names_any(other, *kind);
    let without = |program: &ProgramConfig| {
        let mut program = program.clone();
        DependencyKind::ALL.into_iter().for_each(|kind| kind.of_mut(&mut program).retain(|need| !is_one(need)));
        program
    };
    DependencyKind::ALL.iter().all(both_or_none)
        && DependencyKind::ALL.iter().any(|kind| names_any(one, *kind))
        && without(one) == without(other)
}

/// Loads a file with what was added to it; where it does not hold with that, with as much of it as it holds with: what
/// is wrong with one number of instances must not cost the others. Also tells whose numbers were left out, and why.
///
/// # Errors
///
/// As [`load`](super::load): it does not hold with the instances of templates alone.
pub(crate) fn load_with_most(
    path: &Path,
    options: &LoadOptions,
    additions: &Additions,
) -> Result<(Loaded, Vec<(String, ConfigError)>), ConfigError> {
    let load = |additions: &Additions| super::load_with(path, options, &[], additions);
    let error = match load(additions) {
        Ok(loaded) => return Ok((loaded, Vec::new())),
        Err(error) => error,
    };
    let mut most = Additions { scales: Vec::new(), ..additions.clone() };
    let Ok(mut loaded) = load(&most) else { return Err(error) };
    let mut left_out = Vec::new();
    for scale in &additions.scales {
        most.scales.push(scale.clone());
        match load(&most) {
            Ok(with_it) => loaded = with_it,
            Err(error) => {
                most.scales.pop();
                left_out.push((scale.program.clone(), error));
            }
        }
    }
    Ok((loaded, left_out))
}

/// The program whose number of instances is why nothing is there by this name.
pub(crate) fn left_out<'s>(scaled: &'s [Scaled], target: &DependencyTarget) -> Option<&'s Scaled> {
    scaled.iter().find(|scaled| scaled.is_meant_by(target))
}

impl Additions {
    /// Nothing was.
    pub(crate) fn is_empty(&self) -> bool {
        self.scales.is_empty() && self.instances.is_empty()
    }

    /// The programs whose numbers hold no more by what a file says: it has another number now, or was read without
    /// theirs.
    pub(crate) fn ended_scales(&self, scaled: &[Scaled]) -> Vec<String> {
        let holds = |scale: &ScaleOverride| {
            scaled.iter().any(|found| found.program == scale.program && scale.in_file == Some(found.in_file))
        };
        self.scales.iter().filter(|scale| !holds(scale)).map(|scale| scale.program.clone()).collect()
    }

    /// How many instances of a program are wanted, and of how many the names are to be told.
    pub(crate) fn of(&self, program: &str, in_file: u32) -> Option<(u32, u32)> {
        let scale = self.scales.iter().find(|scale| scale.program == program)?;
        let counts = in_file > 1 && scale.in_file.is_none_or(|number| number == in_file);
        let wanted = if counts { scale.instances } else { in_file };
        Some((wanted, scale.at_most.max(in_file).max(wanted)))
    }

    /// These programs, which were read without the additions, with what a reading of the same file has that had them;
    /// and the instances that nothing makes any more.
    pub(crate) fn applied(
        &self,
        programs: Vec<Arc<ProgramConfig>>,
        loaded: &Loaded,
    ) -> (Vec<Arc<ProgramConfig>>, Vec<&str>) {
        let is_instance =
            |name: &str| loaded.scaled.iter().any(|scaled| scaled.names.iter().any(|other| other == name));
        let read: Vec<_> = loaded.config.programs.iter().cloned().map(Arc::new).collect();
        let programs = with_their_instances(programs, &read, &loaded.scaled);
        let its = read.iter().filter(|program| is_instance(&program.name)).cloned();
        let place = programs.iter().position(|program| is_instance(&program.name)).unwrap_or(programs.len());
        let mut all: Vec<_> = programs.into_iter().filter(|program| !is_instance(&program.name)).collect();
        let place = place.min(all.len());
        all.splice(place..place, its);
        let mut unmade = Vec::new();
        for name in &self.instances {
            match loaded.config.programs.iter().find(|program| program.name == *name) {
                // It may be in the file itself by now.
                Some(program) if all.iter().all(|other| other.name != *name) => all.push(Arc::new(program.clone())),
                Some(_) => {}
                None => unmade.push(name.as_str()),
            }
        }
        (all, unmade)
    }

    /// The sections that are missing in a document, whose templates it has.
    pub(crate) fn sections(&self, document: &Document) -> String {
        let is_missing = |name: &&String| {
            let is_name = name_fault(name, "program", Dialect::Supervisord).is_none() && !name.contains([']', '\n']);
            let has_template = document.instance(name).is_some_and(|instance| !instance.is_empty());
            is_name && has_template && document.section(&format!("program:{name}")).is_none()
        };
        self.instances.iter().filter(is_missing).map(|name| format!("[program:{name}]\n")).collect()
    }
}
