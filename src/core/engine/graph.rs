//! Who depends on whom, from process to process: built when a configuration is taken, which was checked when it was
//! loaded. Who may go now, and who has to go first, takes a look at the edges of one process. Without dependencies it
//! is three empty lists.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::Engine;
use crate::api::ProcId;
use crate::config::dependency_edges;
use crate::models::{Dependency, DependencyCondition, DependencyKind, DependencyTarget, ProgramConfig};
use crate::util::sort::sort_by;
use crate::util::sorted::SortedMap;
use crate::util::topology::Topology;

/// One process depends on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Link {
    /// Who depends.
    pub(super) from: ProcId,
    /// On whom.
    pub(super) on: ProcId,
    pub(super) kind: DependencyKind,
    pub(super) condition: DependencyCondition,
}

/// Where the links of a process are, and how deep it lies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Node {
    /// Its first link in `needs`, and how many there are.
    needs: (u32, u32),
    /// The same in `needed_by`.
    needed_by: (u32, u32),
    /// How many others have to start before it, one after the other.
    depth: u32,
}

/// See the [module](self).
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Graph {
    /// Sorted by who depends, then as it is configured.
    needs: Vec<Link>,
    /// The same, sorted by on whom.
    needed_by: Vec<Link>,
    /// Each process, if any has links.
    nodes: SortedMap<ProcId, Node>,
    /// Those that require something which is not in force, and its name: groups come and go one by one (`supervisorctl
    /// add`).
    absent: SortedMap<ProcId, Box<str>>,
}

impl Graph {
    /// The graph of these processes, in the order of their ids. Those that are leaving have theirs, but nobody else has
    /// them: what needs `web` needs its instances from the moment on in which it has some.
    fn new(programs: &[(ProcId, &ProgramConfig)], is_leaving: &dyn Fn(ProcId) -> bool) -> Graph {
        let present: Vec<_> = programs.iter().filter(|(id, _)| !is_leaving(*id)).copied().collect();
        let (mut needs, absent) = links(&present);
        if present.len() < programs.len() {
            needs.extend(links(programs).0.into_iter().filter(|link| is_leaving(link.from)));
            sort_by(&mut needs, |one, other| one.from.cmp(&other.from));
        }
        if needs.is_empty() {
            return Graph { absent, ..Graph::default() };
        }
        let place = |id: ProcId| programs.partition_point(|(other, _)| *other < id) as u32;
        let pairs: Vec<(u32, u32)> = needs.iter().map(|link| (place(link.from), place(link.on))).collect();
        let depths = Topology::new(programs.len(), &pairs).depths().unwrap_or_default();
        let mut needed_by = needs.clone();
        sort_by(&mut needed_by, |one, other| one.on.cmp(&other.on));
        let mut nodes: SortedMap<ProcId, Node> = SortedMap::default();
        let (mut next_need, mut next_dependant) = (0, 0);
        for (number, (id, _)) in programs.iter().enumerate() {
            let node = Node {
                needs: take_links(&needs, &mut next_need, |link| link.from == *id),
                needed_by: take_links(&needed_by, &mut next_dependant, |link| link.on == *id),
                depth: depths.get(number).copied().unwrap_or_default(),
            };
            nodes.insert(*id, node);
        }
        Graph { needs, needed_by, nodes, absent }
    }

    /// Nothing depends on anything.
    pub(super) fn is_empty(&self) -> bool {
        self.needs.is_empty()
    }

    /// What this process requires and is not in force: the first such thing.
    pub(super) fn absent(&self, id: ProcId) -> Option<&str> {
        self.absent.get(&id).map(AsRef::as_ref)
    }

    /// Ids are given from 0 on, one after the other: those of the first configuration are places.
    fn node(&self, id: ProcId) -> Node {
        self.nodes.get_near(id as usize, &id).copied().unwrap_or_default()
    }

    /// Where the links are by which others depend on this process; for who changes something between two of them.
    pub(super) fn dependant_places(&self, id: ProcId) -> Range<usize> {
        range(self.node(id).needed_by)
    }

    pub(super) fn dependant_at(&self, place: usize) -> Option<Link> {
        self.needed_by.get(place).copied()
    }

    /// What this process depends on.
    pub(super) fn needs(&self, id: ProcId) -> &[Link] {
        self.needs.get(range(self.node(id).needs)).unwrap_or_default()
    }

    /// Who depends on this process.
    pub(super) fn needed_by(&self, id: ProcId) -> &[Link] {
        self.needed_by.get(self.dependant_places(id)).unwrap_or_default()
    }

    /// Nothing lies deeper than what it depends on.
    pub(super) fn depth(&self, id: ProcId) -> u32 {
        self.node(id).depth
    }
}

/// From each of these to what it needs of them; and what each requires that is none of them.
fn links(programs: &[(ProcId, &ProgramConfig)]) -> (Vec<Link>, SortedMap<ProcId, Box<str>>) {
    let configs: Vec<&ProgramConfig> = programs.iter().map(|(_, program)| *program).collect();
    let id = |number: u32| programs.get(number as usize).map_or(ProcId::MAX, |(id, _)| *id);
    let mut absent = SortedMap::default();
    // All names of a file were checked when it was loaded; but not all of it may be in force.
    let mut note = |from: usize, kind: DependencyKind, on: &Dependency| {
        if kind.is_hard() && absent.get(&id(from as u32)).is_none() {
            let name = match &on.target {
                DependencyTarget::Program(name) => name.as_str().into(),
                DependencyTarget::Group(name) => format!("group:{name}").into(),
            };
            absent.insert(id(from as u32), name);
        }
    };
    let edges = dependency_edges(&configs, usize::MAX, &mut note).unwrap_or_default();
    let links = edges.iter().map(|edge| Link {
        from: id(edge.from),
        on: id(edge.to),
        kind: edge.kind,
        condition: edge.condition,
    });
    (links.collect(), absent)
}

fn range((first, count): (u32, u32)) -> Range<usize> {
    first as usize..first as usize + count as usize
}

/// How many of the next links are so, and where the first of them is.
fn take_links(links: &[Link], next: &mut u32, is_so: impl Fn(&Link) -> bool) -> (u32, u32) {
    let first = *next;
    let count = links.iter().skip(first as usize).take_while(|link| is_so(link)).count() as u32;
    *next += count;
    (first, count)
}

impl Engine {
    /// The configuration has changed. Those that are leaving keep their place in the order until they have gone.
    pub(super) fn rebuild_graph(&mut self) {
        let programs: Vec<(ProcId, &ProgramConfig)> =
            self.registry.iter().map(|(id, entry)| (id, entry.config().as_ref())).collect();
        let is_leaving = |id| self.registry.get(id).is_some_and(|entry| entry.leaving);
        self.graph = Graph::new(&programs, &is_leaving);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(name: &str, requires: &[&str]) -> ProgramConfig {
        let requires = requires.iter().map(|text| text.parse().expect("a name")).collect();
        ProgramConfig { requires, ..ProgramConfig::new(name, "/bin/true") }
    }

    #[test]
    fn each_process_has_its_links_and_its_depth() {
        let programs = [program("db", &[]), program("web", &["api", "db"]), program("api", &["db"]), program("x", &[])];
        let programs: Vec<(ProcId, &ProgramConfig)> = (10..).step_by(10).zip(&programs).collect();
        let graph = Graph::new(&programs, &|_| false);
        let on: Vec<ProcId> = graph.needs(20).iter().map(|link| link.on).collect();
        let from: Vec<ProcId> = graph.needed_by(10).iter().map(|link| link.from).collect();
        assert_eq!((on, from), (vec![30, 10], vec![20, 30]));
        assert_eq!([10, 20, 30, 40, 50].map(|id| graph.depth(id)), [0, 2, 1, 0, 0]);
        assert!(graph.needs(40).is_empty() && graph.needed_by(5).is_empty() && !graph.is_empty());
    }

    #[test]
    fn without_dependencies_nothing_is_allocated() {
        let programs = [program("db", &[]), program("web", &[])];
        let programs: Vec<(ProcId, &ProgramConfig)> = (0..).zip(&programs).collect();
        let Graph { needs, needed_by, nodes, absent } = Graph::new(&programs, &|_| false);
        assert_eq!((needs.capacity(), needed_by.capacity(), nodes.len(), absent.len()), (0, 0, 0, 0));
    }
}
