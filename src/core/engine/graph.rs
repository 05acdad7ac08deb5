//! Who depends on whom, from process to process: built when a configuration is taken, which was checked when it was loaded.
//! Who may go now, and who has to go first, takes a look at the edges of one process. Without dependencies it is three empty
//! lists.

use serde::{Deserialize, Serialize};

use super::Engine;
use crate::api::ProcId;
use crate::config::dependency_edges;
use crate::models::{DependencyCondition, DependencyKind, ProgramConfig};
use crate::util::sort::sort_by;
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

/// See the [module](self).
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Graph {
    /// Sorted by who depends, then as it is configured.
    needs: Vec<Link>,
    /// The same, sorted by on whom.
    needed_by: Vec<Link>,
    /// Sorted by process: how many others have to start before it, one after the other; those with dependencies.
    depths: Vec<(ProcId, u32)>,
}

impl Graph {
    /// The graph of these processes, in the order of their ids.
    fn new(programs: &[(ProcId, &ProgramConfig)]) -> Graph {
        let configs: Vec<&ProgramConfig> = programs.iter().map(|(_, program)| *program).collect();
        // The names were checked when the configuration was loaded.
        let edges = dependency_edges(&configs, usize::MAX, &mut |_, _, _| ()).unwrap_or_default();
        if edges.is_empty() {
            return Graph::default();
        }
        let pairs: Vec<(u32, u32)> = edges.iter().map(|edge| (edge.from, edge.to)).collect();
        let depths = Topology::new(programs.len(), &pairs).depths().unwrap_or_default();
        let id = |number: u32| programs.get(number as usize).map_or(ProcId::MAX, |(id, _)| *id);
        let links = edges.iter().map(|edge| Link {
            from: id(edge.from),
            on: id(edge.to),
            kind: edge.kind,
            condition: edge.condition,
        });
        let needs: Vec<Link> = links.collect();
        let mut needed_by = needs.clone();
        sort_by(&mut needed_by, |one, other| one.on.cmp(&other.on));
        let depths = programs.iter().map(|(id, _)| *id).zip(depths).filter(|(_, depth)| *depth > 0).collect();
        Graph { needs, needed_by, depths }
    }

    /// Nothing depends on anything.
    pub(super) fn is_empty(&self) -> bool {
        self.needs.is_empty()
    }

    /// What this process depends on.
    pub(super) fn needs(&self, id: ProcId) -> &[Link] {
        slice(&self.needs, |link| link.from, id)
    }

    /// Who depends on this process.
    pub(super) fn needed_by(&self, id: ProcId) -> &[Link] {
        slice(&self.needed_by, |link| link.on, id)
    }

    /// Nothing lies deeper than what it depends on.
    pub(super) fn depth(&self, id: ProcId) -> u32 {
        let place = self.depths.binary_search_by(|(other, _)| other.cmp(&id));
        place.ok().and_then(|place| self.depths.get(place)).map_or(0, |(_, depth)| *depth)
    }
}

/// The links with this key, which are neighbours.
fn slice(links: &[Link], key: impl Fn(&Link) -> ProcId, wanted: ProcId) -> &[Link] {
    let from = links.partition_point(|link| key(link) < wanted);
    let to = links.partition_point(|link| key(link) <= wanted);
    links.get(from..to).unwrap_or_default()
}

impl Engine {
    /// The configuration has changed. Those that are leaving keep their place in the order until they have gone.
    pub(super) fn rebuild_graph(&mut self) {
        let programs: Vec<(ProcId, &ProgramConfig)> =
            self.registry.iter().map(|(id, entry)| (id, entry.config().as_ref())).collect();
        self.graph = Graph::new(&programs);
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
        let graph = Graph::new(&programs);
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
        let Graph { needs, needed_by, depths } = Graph::new(&programs);
        assert_eq!((needs.capacity(), needed_by.capacity(), depths.capacity()), (0, 0, 0));
    }
}
