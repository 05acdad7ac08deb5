//! Order in a directed graph: how deep each node lies, and where it runs in circles. All of it takes time in proportion
//! to nodes and edges, and none of it recurses: a chain may be as long as there are nodes.

/// A graph of nodes from 0 on, each with the nodes that it needs.
pub(crate) struct Topology {
    /// Where the targets of each node begin, and at last where they end.
    starts: Vec<usize>,
    targets: Vec<u32>,
}

/// No component was found yet.
const NONE: u32 = u32::MAX;

impl Topology {
    /// From pairs `(node, what it needs)`; both are below `nodes`.
    pub(crate) fn new(nodes: usize, edges: &[(u32, u32)]) -> Topology {
        let mut starts = vec![0; nodes + 1];
        for (from, _) in edges {
            starts[*from as usize + 1] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        let mut next = starts.clone();
        let mut targets = vec![0; edges.len()];
        for (from, to) in edges {
            let place = &mut next[*from as usize];
            targets[*place] = *to;
            *place += 1;
        }
        Topology { starts, targets }
    }

    fn len(&self) -> usize {
        self.starts.len() - 1
    }

    fn targets(&self, node: u32) -> &[u32] {
        &self.targets[self.starts[node as usize]..self.starts[node as usize + 1]]
    }

    /// The length of the longest way from each node to one that needs nothing. `None`: it runs in circles.
    pub(crate) fn depths(&self) -> Option<Vec<u32>> {
        let edges: Vec<(u32, u32)> = (0..self.len() as u32)
            .flat_map(|node| self.targets(node).iter().map(move |target| (*target, node)))
            .collect();
        let needed_by = Topology::new(self.len(), &edges);
        let mut open: Vec<usize> = self.starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mut ready: Vec<u32> = (0..self.len() as u32).filter(|node| open[*node as usize] == 0).collect();
        let mut depths = vec![0; self.len()];
        let mut done = 0;
        while let Some(node) = ready.get(done).copied() {
            done += 1;
            for &user in needed_by.targets(node) {
                let user = user as usize;
                depths[user] = depths[user].max(depths[node as usize] + 1);
                open[user] -= 1;
                if open[user] == 0 {
                    ready.push(user as u32);
                }
            }
        }
        (done == self.len()).then_some(depths)
    }

    /// Circles, at most so many, until every node that is on one is in one of them: each from its smallest node on.
    pub(crate) fn circles(&self, most: usize) -> Vec<Vec<u32>> {
        let components = self.components();
        let mut sizes = vec![0; self.len()];
        components.iter().for_each(|component| sizes[*component as usize] += 1);
        let mut told = vec![false; self.len()];
        let mut circles: Vec<Vec<u32>> = Vec::new();
        for node in 0..self.len() as u32 {
            if circles.len() == most {
                break;
            }
            let alone = sizes[components[node as usize] as usize] == 1 && !self.targets(node).contains(&node);
            if alone || told[node as usize] {
                continue;
            }
            let mut circle = self.way_back(node, &components);
            circle.iter().for_each(|member| told[*member as usize] = true);
            let smallest = circle.iter().enumerate().min_by_key(|(_, member)| **member).map_or(0, |(place, _)| place);
            circle.rotate_left(smallest);
            circles.push(circle);
        }
        circles
    }

    /// The shortest way from a node back to itself, which has to exist: it lies within the node's component.
    fn way_back(&self, node: u32, components: &[u32]) -> Vec<u32> {
        let mut came_from = vec![NONE; self.len()];
        let mut queue = vec![node];
        let mut next = 0;
        while let Some(at) = queue.get(next).copied() {
            next += 1;
            for &target in self.targets(at) {
                if target == node {
                    let mut way = vec![at];
                    while let Some(last) = way.last().copied().filter(|last| *last != node) {
                        way.push(came_from[last as usize]);
                    }
                    way.reverse();
                    return way;
                }
                let known = came_from[target as usize] != NONE;
                if !known && components[target as usize] == components[node as usize] {
                    came_from[target as usize] = at;
                    queue.push(target);
                }
            }
        }
        vec![node]
    }

    /// The strongly connected component of each node (Tarjan's algorithm, with its own stack).
    fn components(&self) -> Vec<u32> {
        let mut component = vec![NONE; self.len()];
        let mut number = vec![NONE; self.len()];
        let mut lowest = vec![NONE; self.len()];
        let (mut numbers, mut components) = (0, 0);
        let mut open: Vec<u32> = Vec::new();
        // Nodes on the way down, and how many of their targets were looked at.
        let mut way: Vec<(u32, usize)> = Vec::new();
        for root in 0..self.len() as u32 {
            if number[root as usize] == NONE {
                way.push((root, 0));
            }
            while let Some((node, looked_at)) = way.pop() {
                let at = node as usize;
                if looked_at == 0 {
                    number[at] = numbers;
                    lowest[at] = numbers;
                    numbers += 1;
                    open.push(node);
                } else if let Some(child) = self.targets(node).get(looked_at - 1) {
                    lowest[at] = lowest[at].min(lowest[*child as usize]);
                }
                let rest = self.targets(node).iter().enumerate().skip(looked_at);
                let mut below = None;
                for (place, &target) in rest {
                    if number[target as usize] == NONE {
                        below = Some((place, target));
                        break;
                    }
                    if component[target as usize] == NONE {
                        lowest[at] = lowest[at].min(number[target as usize]);
                    }
                }
                if let Some((place, target)) = below {
                    way.push((node, place + 1));
                    way.push((target, 0));
                } else if lowest[at] == number[at] {
                    while let Some(member) = open.pop() {
                        component[member as usize] = components;
                        if member == node {
                            break;
                        }
                    }
                    components += 1;
                }
            }
        }
        component
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether a way leads from one node to the other: the simplest thing that can be right.
    fn reaches(nodes: u32, edges: &[(u32, u32)], from: u32, to: u32) -> bool {
        let mut seen = vec![false; nodes as usize];
        let mut open = vec![from];
        while let Some(node) = open.pop() {
            for (_, target) in edges.iter().filter(|(source, _)| *source == node) {
                if *target == to {
                    return true;
                }
                if !std::mem::replace(&mut seen[*target as usize], true) {
                    open.push(*target);
                }
            }
        }
        false
    }

    proptest! {
        #[test]
        fn what_is_on_a_circle_is_told_and_nothing_else(
            nodes in 1u32..12,
            edges in prop::collection::vec((0u32..12, 0u32..12), 0..24),
        ) {
            let edges: Vec<(u32, u32)> = edges.iter().map(|(from, to)| (from % nodes, to % nodes)).collect();
            let topology = Topology::new(nodes as usize, &edges);
            let circles = topology.circles(usize::MAX);
            for circle in &circles {
                for (place, node) in circle.iter().enumerate() {
                    let next = circle[(place + 1) % circle.len()];
                    prop_assert!(edges.contains(&(*node, next)), "{circle:?}");
                }
                let mut members = circle.clone();
                members.sort_unstable();
                members.dedup();
                prop_assert_eq!(members.len(), circle.len(), "twice in {:?}", circle);
                prop_assert_eq!(members.first(), circle.first());
            }
            for node in 0..nodes {
                let told = circles.iter().any(|circle| circle.contains(&node));
                prop_assert_eq!(told, reaches(nodes, &edges, node, node), "{}", node);
            }
            match topology.depths() {
                None => prop_assert!(!circles.is_empty()),
                Some(depths) => {
                    prop_assert!(circles.is_empty());
                    for node in 0..nodes {
                        let below = edges.iter().filter(|(from, _)| *from == node).map(|(_, to)| depths[*to as usize] + 1);
                        prop_assert_eq!(depths[node as usize], below.max().unwrap_or(0));
                    }
                }
            }
        }
    }

    #[test]
    fn a_long_chain_and_a_long_circle_take_no_stack() {
        let nodes = 200_000;
        let mut edges: Vec<(u32, u32)> = (1..nodes).map(|node| (node, node - 1)).collect();
        let depths = Topology::new(nodes as usize, &edges).depths().expect("no circle");
        assert_eq!(depths.last(), Some(&(nodes - 1)));
        edges.push((0, nodes - 1));
        let circles = Topology::new(nodes as usize, &edges).circles(10);
        assert_eq!(circles.iter().map(Vec::len).collect::<Vec<_>>(), [nodes as usize]);
    }

    #[test]
    fn no_more_circles_are_told_than_asked_for() {
        let edges: Vec<(u32, u32)> =
            (0..10).flat_map(|pair| [(2 * pair, 2 * pair + 1), (2 * pair + 1, 2 * pair)]).collect();
        assert_eq!(Topology::new(20, &edges).circles(3), [[0, 1], [2, 3], [4, 5]]);
    }
}
