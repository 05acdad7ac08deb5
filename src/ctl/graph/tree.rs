//! The graph as a tree: pure text.

use std::collections::HashMap;

use crate::client::GraphItem;
use crate::ctl::text::printable;
use crate::ctl::tty;
use crate::models::DependencyCondition;
use crate::util::truncate::{middle_to_columns, to_columns};
use crate::util::width::columns;

/// Below so many there is no room to the right for what is deeper.
const MAX_LEVELS: usize = 40;
/// With fewer columns than this a description says nothing.
const MIN_DESCRIPTION: usize = 12;
/// A name is not made shorter than this for what stands left of it, in columns.
const MIN_NAME: usize = 12;

/// How the tree is drawn.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Style {
    pub colours: bool,
    /// From what is needed to those that need it.
    pub reverse: bool,
    /// The terminal's columns, to which descriptions and names are cut; `None`: no limit.
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

/// A tree for each of these processes; where none is named, for each that no other one of them leads to. What was shown
/// in full once is not shown so again.
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
            let is_cut = !below.is_empty() && (shown[line.node] || line.level == MAX_LEVELS);
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
    let state = printable(&item.state);
    let end = match cut {
        None => "",
        Some(true) => "  (as above)",
        Some(false) => "  (and so on)",
    };
    let condition = line.by.filter(|_| !style.reverse).and_then(|branch| branch.condition);
    let room = style.width.map(|width| width.saturating_sub(2 + columns(&state) + end.len()));
    let mut text = named(line, item, condition, room, style.reverse);
    text.push_str("  ");
    let used = columns(&text) + columns(&state) + 2 + end.len();
    tty::paint(&mut text, &state, style.colours.then(|| tty::of_state(&item.state)));
    // What is as it should be needs no words.
    let words = match condition.filter(|_| line.by.is_some_and(|branch| !branch.holds)) {
        Some(condition) if item.state == "RUNNING" => format!("not {} yet", printable(condition)),
        Some(_) | None if item.state == "RUNNING" => String::new(),
        Some(_) | None => printable(&item.description).into_owned(),
    };
    let room = style.width.map_or(usize::MAX, |width| width.saturating_sub(used));
    if !words.is_empty() && room >= MIN_DESCRIPTION.min(columns(&words)) {
        text.push_str(&format!("  {}", to_columns(&words, room)));
    }
    text.push_str(end);
    text.push('\n');
    text
}

/// `├─ requires cache:healthy`, in so many columns if that can be: a longer line would be wrapped, and the tree is none any more.
fn named(line: &Line<'_>, item: &GraphItem, condition: Option<&str>, room: Option<usize>, reverse: bool) -> String {
    let (mut left, mut by) = (String::new(), String::new());
    if let Some(branch) = line.by {
        left = format!("{}{}", line.indent, if line.is_last { "└─ " } else { "├─ " });
        let kind = printable(branch.kind);
        by = match (reverse, branch.condition) {
            (false, _) => format!("{kind} "),
            (true, None) => format!("{kind} it: "),
            (true, Some(condition)) => format!("{kind} it to be {}: ", printable(condition)),
        };
    }
    let condition = condition.map_or_else(String::new, |condition| format!(":{}", printable(condition)));
    let name = printable(&item.name);
    let Some(room) = room else { return format!("{left}{by}{name}{condition}") };
    // Without what stands left of it, but for the sign that something does.
    let most = room.saturating_sub(columns(&by) + columns(&condition) + 1);
    let room_of_name = (most + 1).saturating_sub(columns(&left)).max(MIN_NAME.min(most)).max(1);
    let name = middle_to_columns(&name, room_of_name);
    let rest = format!("{by}{name}{condition}");
    // Where the tree is deeper than the terminal is wide, the nearest branches are shown.
    let room_of_left = room.saturating_sub(columns(&rest));
    match columns(&left).checked_sub(room_of_left) {
        None | Some(0) => format!("{left}{rest}"),
        Some(surplus) => format!("…{}{rest}", left.chars().skip(surplus + 1).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_a_terminal_no_line_is_longer_than_it_is_wide() {
        let need = |on: &str, condition: &str| crate::client::GraphNeed {
            on: on.to_owned(),
            kind: "requires".to_owned(),
            condition: condition.to_owned(),
            ..Default::default()
        };
        let name = |at: usize| format!("a-program-with-a-name-longer-than-some-terminals:{at:02}");
        let mut items: Vec<GraphItem> = (0..60)
            .map(|at| GraphItem {
                name: name(at),
                state: "STARTING".to_owned(),
                description: "waits for another one that is not there yet".to_owned(),
                needs: vec![need(&name(at + 1), if at % 2 == 0 { "healthy" } else { "ready" }), need("z", "ready")],
            })
            .collect();
        items.push(GraphItem { name: "z".to_owned(), state: "RUNNING".to_owned(), ..GraphItem::default() });
        for reverse in [false, true] {
            let whole = draw(&items, &[], Style { reverse, ..Style::default() });
            assert!(whole.contains(&name(7)), "{whole}");
            for width in [60, 80, 132] {
                let drawn = draw(&items, &[], Style { width: Some(width), reverse, ..Style::default() });
                assert_eq!(drawn.lines().count(), whole.lines().count());
                let longest = drawn.lines().max_by_key(|line| columns(line)).expect("lines");
                assert!(columns(longest) <= width, "{width}: {longest}");
            }
        }
        let drawn = draw(&items, &[], Style { width: Some(60), ..Style::default() });
        let begin = "a-program-with-a-name-lo…er-than-some-terminals:00  STARTING\n\
             ├─ requires a-program-with…me-terminals:01:healthy  STARTING\n";
        assert!(drawn.starts_with(begin), "{drawn}");
    }

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
