//! From the names in `requires`, `binds`, `wants` and `after` to edges between processes.

use std::borrow::Borrow;
use std::cell::OnceCell;
use std::collections::HashMap;

use crate::models::{Dependency, DependencyCondition, DependencyKind, DependencyTarget, ProgramConfig};
use crate::util::quick_hash::QuickState;
use crate::util::sort::sort;

/// One process depends on another. Both are numbers in the list of programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edge {
    pub from: u32,
    pub to: u32,
    pub kind: DependencyKind,
    pub condition: DependencyCondition,
    /// Its place among the dependencies of this kind.
    place: u32,
}

impl Edge {
    /// The dependency that it is of.
    pub(crate) fn dependency<'p>(&self, from: &'p ProgramConfig) -> Option<&'p Dependency> {
        self.kind.of(from).get(self.place as usize)
    }
}

/// Names in their order, each with the number of its process.
struct Names<'p>(Vec<(&'p str, u32)>);

impl<'p> Names<'p> {
    fn new(names: impl Iterator<Item = &'p str>) -> Names<'p> {
        let mut names: Vec<(&str, u32)> = names.zip(0..).collect();
        sort(&mut names);
        Names(names)
    }

    /// Those that begin with `start` and of which `is_meant` holds, which are neighbours.
    fn find(&self, start: &str, is_meant: impl Fn(&str) -> bool) -> impl Iterator<Item = u32> {
        let from = self.0.partition_point(|(name, _)| *name < start);
        let found = self.0.iter().skip(from).take_while(move |(name, _)| is_meant(name));
        found.map(|(_, number)| *number)
    }
}

/// The dependencies of all programs, process by process. Names that are none and have to be known are told to
/// `unknown`.
/// `None`: there are more than `most`.
pub(crate) fn edges<'p, P: Borrow<ProgramConfig>>(
    programs: &'p [P],
    most: usize,
    unknown: &mut dyn FnMut(usize, DependencyKind, &'p Dependency),
) -> Option<Vec<Edge>> {
    let name_of = |program: &'p P| program.borrow().name.as_str();
    let by_name: HashMap<&str, u32, QuickState> = programs.iter().map(name_of).zip(0..).collect();
    // Most configurations name neither all instances of a program nor a group.
    let names = OnceCell::new();
    let names = || names.get_or_init(|| Names::new(programs.iter().map(name_of)));
    let groups = OnceCell::new();
    let groups = || groups.get_or_init(|| Names::new(programs.iter().map(|program| program.borrow().group_name())));
    let mut edges: Vec<Edge> = Vec::new();
    for (from, program) in (0..).zip(programs) {
        for kind in DependencyKind::ALL {
            for (place, dependency) in (0..).zip(kind.of(program.borrow())) {
                let before = edges.len();
                let edge = |to| Edge { from, to, kind, condition: dependency.condition, place };
                match &dependency.target {
                    DependencyTarget::Group(group) => {
                        edges.extend(groups().find(group, |name| name == group).map(edge))
                    }
                    DependencyTarget::Program(name) => {
                        edges.extend(by_name.get(name.as_str()).copied().map(edge));
                        if edges.len() == before {
                            let instances = format!("{name}:");
                            edges.extend(names().find(&instances, |known| known.starts_with(&instances)).map(edge));
                        }
                    }
                }
                if edges.len() == before && !dependency.optional {
                    unknown(from as usize, kind, dependency);
                }
                if edges.len() > most {
                    return None;
                }
            }
        }
    }
    Some(edges)
}
