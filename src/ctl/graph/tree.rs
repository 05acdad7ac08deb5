//! The graph as a tree: pure text.

use std::collections::HashMap;

use crate::client::GraphItem;
use crate::ctl::text::printable;
use crate::ctl::tty;
use crate::models::DependencyCondition;
use crate::util::truncate::to_columns;
use crate::util::width::columns;

/// Below so many there is no room to the right for what is deeper.
const MOST_LEVELS: usize = 40;
/// With fewer columns than this a description says nothing.
const LEAST_DESCRIPTION: usize = 12;

/// How the tree is drawn.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Style {
    pub colours: bool,
    /// From what is needed to those that need it.
    pub reverse: bool,
    /// The terminal's columns, to which descriptions are cut; `None`: no limit.
    pub width: Option<usize>,
}

/// An edge of the tree, as it is shown: from a process to the one below it.
struct Branch<'a> {
    /// The process below.
    to: usize,
    kind: &'a str,
    /// `None`: the usual one.
    condition: Option<&'a str>,
    holds: bool,
}

/// A line that is still to be drawn.
struct Line<'a> {
    node: usize,
    /// How it is reached; `None`: it is a root.
    by: Option<&'a Branch<'a>>,
    /// What stands left of its branches.
    indent: String,
    is_last: bool,
    level: usize,
}

/// A tree for each of these processes; where none is named, for each that no other one of them leads to. What was shown in
/// full once is not shown so again.
pub(super) fn draw(items: &[GraphItem], names: &[String], style: Style) -> String {
    let numbers: HashMap<&str, usize> = items.iter().enumerate().map(|(at, item)| (item.name.as_str(), at)).collect();
    let branches = branches(items, &numbers, style.reverse);
    let mut has_parent = vec![false; items.len()];
    branches.iter().flatten().for_each(|branch| has_parent[branch.to] = true);
    let roots: Vec<usize> = match names {
        [] => (0..items.len()).filter(|at| !has_parent[*at]).collect(),
        names => names.iter().filter_map(|name| numbers.get(name.as_str()).copied()).collect(),
    };
    let mut text = String::new();
    let mut shown = vec![false; items.len()];
    for root in roots {
        let mut open = vec![Line { node: root, by: None, indent: String::new(), is_last: true, level: 0 }];
        while let Some(line) = open.pop() {
            let below = &branches[line.node];
            let is_cut = !below.is_empty() && (shown[line.node] || line.level == MOST_LEVELS);
            text.push_str(&drawn(&line, &items[line.node], is_cut.then_some(shown[line.node]), style));
            if is_cut {
                continue;
            }
            shown[line.node] = true;
            let indent = match (&line.by, line.is_last) {
                (None, _) => String::new(),
                (Some(_), true) => format!("{}   ", line.indent),
                (Some(_), false) => format!("{}│  ", line.indent),
            };
            for (number, branch) in below.iter().enumerate().rev() {
                let (indent, is_last) = (indent.clone(), number + 1 == below.len());
                open.push(Line { node: branch.to, by: Some(branch), indent, is_last, level: line.level + 1 });
            }
        }
    }
    text
}

/// What is below each process.
fn branches<'a>(items: &'a [GraphItem], numbers: &HashMap<&str, usize>, reverse: bool) -> Vec<Vec<Branch<'a>>> {
    let usual = DependencyCondition::default().as_str();
    let mut branches: Vec<Vec<Branch<'a>>> = items.iter().map(|_| Vec::new()).collect();
    for (from, item) in items.iter().enumerate() {
        for need in &item.needs {
            let Some(&on) = numbers.get(need.on.as_str()) else { continue };
            let (above, to) = if reverse { (on, from) } else { (from, on) };
            let condition = Some(need.condition.as_str()).filter(|condition| *condition != usual);
            branches[above].push(Branch { to, kind: &need.kind, condition, holds: need.holds });
        }
    }
    branches
}

/// `├─ requires cache:healthy  STARTING  pid 12, uptime 0:03`. `cut`: what is below it is not shown; it was already.
fn drawn(line: &Line<'_>, item: &GraphItem, cut: Option<bool>, style: Style) -> String {
    let mut text = String::new();
    if let Some(branch) = line.by {
        let corner = if line.is_last { "└─ " } else { "├─ " };
        text.push_str(&format!("{}{corner}", line.indent));
        let kind = printable(branch.kind);
        text.push_str(&match (style.reverse, branch.condition) {
            (false, _) => format!("{kind} "),
            (true, None) => format!("{kind} it: "),
            (true, Some(condition)) => format!("{kind} it to be {}: ", printable(condition)),
        });
    }
    text.push_str(&printable(&item.name));
    let condition = line.by.filter(|_| !style.reverse).and_then(|branch| branch.condition);
    if let Some(condition) = condition {
        text.push_str(&format!(":{}", printable(condition)));
    }
    text.push_str("  ");
    let state = printable(&item.state);
    let end = match cut {
        None => "",
        Some(true) => "  (as above)",
        Some(false) => "  (and so on)",
    };
    let used = columns(&text) + columns(&state) + 2 + end.len();
    tty::paint(&mut text, &state, style.colours.then(|| tty::of_state(&item.state)));
    // What is as it should be needs no words.
    let words = match condition.filter(|_| line.by.is_some_and(|branch| !branch.holds)) {
        Some(condition) if item.state == "RUNNING" => format!("not {} yet", printable(condition)),
        Some(_) | None if item.state == "RUNNING" => String::new(),
        Some(_) | None => printable(&item.description).into_owned(),
    };
    let room = style.width.map_or(usize::MAX, |width| width.saturating_sub(used));
    if !words.is_empty() && room >= LEAST_DESCRIPTION.min(columns(&words)) {
        text.push_str(&format!("  {}", to_columns(&words, room)));
    }
    text.push_str(end);
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_terminal_has_shorter_descriptions_or_none() {
        let item = GraphItem {
            name: "web".to_owned(),
            state: "FATAL".to_owned(),
            description: "exit code 3 after 0.0 s: no disk".to_owned(),
            ..GraphItem::default()
        };
        let at = |width| draw(std::slice::from_ref(&item), &[], Style { width, ..Style::default() });
        assert_eq!(at(None), "web  FATAL  exit code 3 after 0.0 s: no disk\n");
        assert_eq!(at(Some(30)), "web  FATAL  exit code 3 after…\n");
        assert_eq!(at(Some(20)), "web  FATAL\n");
    }
}
