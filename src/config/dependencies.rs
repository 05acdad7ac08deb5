//! Dependencies between programs: names become edges between processes, and what can't work is told with its place.

mod edges;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

use super::additions::{Scaled, left_out};
use super::diagnostic::{Fault, Report};
use super::document::{Entry, SectionView};
use super::expand::Scope;
use super::fields::{Fields, entry_diagnostic};
use crate::models::{
    AutoRestart, Dependency, DependencyCondition, DependencyKind, DependencyTarget, Dialect, HealthCheckType,
    ProgramConfig, ProgramType, SupervisorConfig,
};
use crate::util::did_you_mean::closest;
use crate::util::topology::Topology;
pub(crate) use edges::{Edge, edges};

/// Circles that are told at most.
const MAX_CIRCLES: usize = 50;

/// How many unknown names are compared with all known ones.
const MAX_SUGGESTIONS: usize = 100;

/// Dependencies from process to process that a configuration may have. Those of many instances on many instances
/// multiply.
const MAX_EDGES: usize = 1_000_000;

/// The section that a process comes from.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'d> {
    pub name: &'d str,
    pub view: SectionView<'d>,
}

/// Checks the dependencies of all programs; `origins` has their sections, in the same order.
pub(crate) fn check(
    programs: &mut [ProgramConfig],
    origins: &[Origin<'_>],
    scaled: &[Scaled],
    scope: Scope<'_>,
    report: &mut Report,
) {
    if programs.iter().all(|program| DependencyKind::ALL.iter().all(|kind| kind.of(program).is_empty())) {
        return;
    }
    if scope.dialect == Dialect::Supervisord {
        name_processes(programs, origins);
    }
    let mut checker = Checker { programs, origins, scope, report, told: HashSet::new() };
    let programs = checker.programs;
    let mut unknown = Vec::new();
    let edges = edges(programs, MAX_EDGES, &mut |from, kind, dependency| unknown.push((from, kind, dependency)));
    for (from, kind, dependency) in unknown {
        let fault = match left_out(scaled, &dependency.target) {
            // Of what is scaled down the order and the wish hold for as many as there are.
            Some(_) if !kind.is_hard() => continue,
            Some(scaled) => too_few(scaled, dependency),
            None => checker.unknown(dependency),
        };
        checker.report(from, kind, &dependency.to_string(), fault);
    }
    let Some(edges) = edges else {
        let message = format!("more than {MAX_EDGES} dependencies from process to process");
        let fault = Fault::new(message, "depend on fewer instances, or on a program that depends on them");
        let first =
            programs.iter().position(|program| DependencyKind::ALL.iter().any(|kind| !kind.of(program).is_empty()));
        return checker.report_any(first.unwrap_or(0), fault);
    };
    for edge in &edges {
        checker.condition(edge);
    }
    checker.circles(&edges);
}

/// The names of programs each of which waits for the next, and the last one for the first. No file is taken that has
/// such, but what is in force may be of two readings of one.
pub(crate) fn circle<'p>(programs: &'p [Arc<ProgramConfig>]) -> Option<Vec<&'p str>> {
    let programs: Vec<&'p ProgramConfig> = programs.iter().map(AsRef::as_ref).collect();
    let edges = edges(&programs, usize::MAX, &mut |_, _, _| ())?;
    let others = edges.iter().filter(|edge| edge.from != edge.to);
    let pairs: Vec<(u32, u32)> = others.map(|edge| (edge.from, edge.to)).collect();
    let topology = Topology::new(programs.len(), &pairs);
    if topology.depths().is_some() {
        return None;
    }
    let circle = topology.circles(1).into_iter().next()?;
    Some(
        circle
            .into_iter()
            .filter_map(|number| programs.get(number as usize))
            .map(|program| program.name.as_str())
            .collect(),
    )
}

/// In supervisord's dialect the name of a process does not tell its section: what names a section names its processes
/// from here on.
fn name_processes(programs: &mut [ProgramConfig], origins: &[Origin<'_>]) {
    let mut sections: Vec<(&str, String)> =
        origins.iter().zip(programs.iter()).map(|(origin, program)| (origin.name, program.name.clone())).collect();
    crate::util::sort::sort(&mut sections);
    let processes = |section: &str| -> Vec<String> {
        let from = sections.partition_point(|(name, _)| *name < section);
        let all = sections.iter().skip(from).take_while(|(name, _)| *name == section);
        all.map(|(_, process)| process.clone()).collect()
    };
    for program in programs {
        for kind in DependencyKind::ALL {
            let old = std::mem::take(kind.of_mut(program));
            for dependency in old {
                let names = match &dependency.target {
                    DependencyTarget::Program(name) => processes(name),
                    DependencyTarget::Group(_) => Vec::new(),
                };
                if names.is_empty() {
                    kind.of_mut(program).push(dependency);
                    continue;
                }
                let each = names.into_iter();
                let each =
                    each.map(|name| Dependency { target: DependencyTarget::Program(name), ..dependency.clone() });
                kind.of_mut(program).extend(each);
            }
        }
    }
}

/// The programs in the stages in which they start if all are started at once: each waits for some of the stage before.
pub(crate) fn start_stages(config: &SupervisorConfig) -> Vec<Vec<&str>> {
    let edges = edges(&config.programs, usize::MAX, &mut |_, _, _| ()).unwrap_or_default();
    let pairs: Vec<(u32, u32)> = edges.iter().map(|edge| (edge.from, edge.to)).collect();
    let depths = Topology::new(config.programs.len(), &pairs).depths().unwrap_or_default();
    let mut stages: Vec<Vec<&str>> = Vec::new();
    for (program, depth) in config.programs.iter().zip(depths) {
        let depth = depth as usize;
        if stages.len() <= depth {
            stages.resize(depth + 1, Vec::new());
        }
        if let Some(stage) = stages.get_mut(depth) {
            stage.push(&program.name);
        }
    }
    stages
}

/// A dependency on an instance that is left out because somebody wants fewer than in the file.
fn too_few(scaled: &Scaled, dependency: &Dependency) -> Fault {
    let Scaled { program, wanted, in_file, names, .. } = scaled;
    let place = match &dependency.target {
        DependencyTarget::Program(name) => names.iter().position(|instance| instance == name),
        DependencyTarget::Group(_) => None,
    };
    let least = place.unwrap_or_default() + 1;
    Fault::new(
        format!("not there while {program} is scaled to {wanted} (numprocs = {in_file})"),
        format!("supervicectl scale {program} {least} (or more) keeps it; or put a ? behind it if it may be absent"),
    )
}

struct Checker<'c, 'd, 's, 'r> {
    programs: &'c [ProgramConfig],
    origins: &'c [Origin<'d>],
    scope: Scope<'s>,
    report: &'r mut Report,
    /// What was told already: instances of one section have the same faults.
    told: HashSet<String>,
}

impl<'d> Checker<'_, 'd, '_, '_> {
    /// Where a key of the section of this process stands.
    fn entry(&self, process: usize, kind: DependencyKind) -> Option<Entry<'d>> {
        self.origins.get(process)?.view.get(kind.as_str())
    }

    /// Reports what is wrong with one of the dependencies of a process.
    fn report(&mut self, process: usize, kind: DependencyKind, value: &str, fault: Fault) {
        let Some(origin) = self.origins.get(process) else { return };
        let Some(entry) = self.entry(process, kind) else { return };
        if self.told.insert(format!("{} {} {value} {}", origin.name, kind.as_str(), fault.message)) {
            self.report.error(entry_diagnostic(&entry, value, fault));
        }
    }

    /// Reports what is wrong with the dependencies of a process taken together.
    fn report_any(&mut self, process: usize, fault: Fault) {
        let entry = DependencyKind::ALL.into_iter().find_map(|kind| self.entry(process, kind));
        let Some((origin, entry)) = self.origins.get(process).zip(entry) else { return };
        Fields { view: origin.view, scope: self.scope, report: self.report }.error(&entry, fault);
    }

    fn unknown(&self, dependency: &Dependency) -> Fault {
        let remedy = "or put a ? behind it if it may be absent";
        match &dependency.target {
            DependencyTarget::Group(name) => {
                let known = self.programs.iter().map(ProgramConfig::group_name);
                let hint = match closest(name, known) {
                    Some(nearest) => format!("did you mean group:{nearest}?"),
                    None => format!("name a group that is configured, {remedy}"),
                };
                Fault::new(format!("no such group: {name}"), hint)
            }
            DependencyTarget::Program(name) => {
                Fault::new(format!("no such program: {name}"), self.nearest(name, dependency, remedy))
            }
        }
    }

    /// What may have been meant by the name of a program that is none.
    fn nearest(&self, name: &str, dependency: &Dependency, remedy: &str) -> String {
        if self.told.len() >= MAX_SUGGESTIONS {
            return format!("name a program that is configured, {remedy}");
        }
        let is_known = |name: &str| self.origins.iter().any(|origin| origin.name == name);
        if let Some((program, word)) = name.rsplit_once(':')
            && is_known(program)
            && dependency.condition == DependencyCondition::default()
        {
            let words = DependencyCondition::ALL.map(DependencyCondition::as_str);
            return match closest(word, words.into_iter()) {
                Some(word) => format!("did you mean {program}:{word}?"),
                None => format!("write {program}, or {program} with one of :{}", words.join(" :")),
            };
        }
        if self.programs.iter().any(|program| program.group_name() == name) {
            return format!("write group:{name} for the members of that group");
        }
        let sections = self.origins.iter().map(|origin| origin.name);
        match closest(name, sections.chain(self.programs.iter().map(|program| program.name.as_str()))) {
            Some(nearest) => format!("did you mean {nearest}?"),
            None => format!("name a program that is configured, {remedy}"),
        }
    }

    /// A condition that can never hold, and a program that depends on itself.
    fn condition(&mut self, edge: &Edge) {
        let (from, to) = (edge.from as usize, edge.to as usize);
        let Some(target) = self.programs.get(to) else { return };
        let name = &target.name;
        let fault = match edge.condition {
            _ if from == to => Fault::new(format!("{name} depends on itself"), "remove it"),
            DependencyCondition::Healthy if target.healthcheck.check_type == HealthCheckType::None => Fault::new(
                format!("never so: {name} has no health check"),
                format!("write healthcheck_type into [program:…] of {name}, or depend on it without :healthy"),
            ),
            DependencyCondition::Healthy if target.program_type == ProgramType::Oneshot => Fault::new(
                format!("never so: {name} is a oneshot, whose health is not checked"),
                "depend on it without :healthy",
            ),
            DependencyCondition::Completed
                if target.program_type == ProgramType::Simple && target.autorestart == AutoRestart::Always =>
            {
                Fault::new(
                    format!("never so: {name} is started again after each end"),
                    format!(
                        "write type = oneshot or autorestart = unexpected for {name}, or depend on it without :completed"
                    ),
                )
            }
            DependencyCondition::Ready
            | DependencyCondition::Started
            | DependencyCondition::Healthy
            | DependencyCondition::Completed => return,
        };
        let Some(text) = self.programs.get(from).and_then(|program| edge.dependency(program)) else { return };
        let text = text.to_string();
        self.report(from, edge.kind, &text, fault);
    }

    /// Every circle with its whole path; each program in it with the place of its key.
    fn circles(&mut self, edges: &[Edge]) {
        let others = edges.iter().filter(|edge| edge.from != edge.to);
        let pairs: Vec<(u32, u32)> = others.map(|edge| (edge.from, edge.to)).collect();
        let topology = Topology::new(self.programs.len(), &pairs);
        if topology.depths().is_some() {
            return;
        }
        for circle in topology.circles(MAX_CIRCLES) {
            let Some(first) = circle.first().copied() else { continue };
            let mut path = String::new();
            let mut start = None;
            for (place, &from) in circle.iter().enumerate() {
                let to = circle.get(place + 1).copied().unwrap_or(first);
                let Some(edge) = edges.iter().find(|edge| (edge.from, edge.to) == (from, to)) else { continue };
                let name = self.programs.get(from as usize).map_or("", |program| &program.name);
                path.push_str(name);
                match self.entry(from as usize, edge.kind).filter(|_| place > 0) {
                    Some(Entry { place, .. }) => {
                        path.push_str(&format!(" ({}:{}) -> ", place.file.display(), place.line));
                    }
                    None => path.push_str(" -> "),
                }
                start = start.or_else(|| {
                    let dependency = self.programs.get(from as usize).and_then(|program| edge.dependency(program))?;
                    Some((edge.kind, dependency.to_string()))
                });
            }
            path.push_str(self.programs.get(first as usize).map_or("", |program| &program.name));
            if let Some((kind, text)) = start {
                let fault = Fault::new(format!("each waits for the next: {path}"), "remove one of these dependencies");
                self.report(first as usize, kind, &text, fault);
            }
        }
    }
}
