//! The graph in the language of Graphviz.

use crate::client::{GraphItem, GraphNeed};
use crate::models::{DependencyCondition, DependencyKind};

/// One digraph: an arrow leads from each process to what it needs.
pub(super) fn draw(items: &[GraphItem]) -> String {
    let mut text = "digraph supervice {\n  node [shape=box];\n".to_owned();
    for item in items {
        text.push_str(&format!(
            "  {} [label={}];\n",
            quoted(&item.name),
            quoted(&format!("{}\n{}", item.name, item.state))
        ));
    }
    for item in items {
        for need in &item.needs {
            text.push_str(&format!("  {} -> {} [{}];\n", quoted(&item.name), quoted(&need.on), attributes(need)));
        }
    }
    text + "}\n"
}

/// How binding it is is how thick the line is; what does not hold is red.
fn attributes(need: &GraphNeed) -> String {
    let label = match need.condition == DependencyCondition::default().as_str() {
        true => need.kind.clone(),
        false => format!("{}\n{}", need.kind, need.condition),
    };
    let style = match DependencyKind::ALL.into_iter().find(|kind| kind.as_str() == need.kind) {
        Some(DependencyKind::Binds) => ", style=bold",
        Some(DependencyKind::Wants) => ", style=dashed",
        Some(DependencyKind::After) => ", style=dotted",
        Some(DependencyKind::Requires) | None => "",
    };
    let colour = if need.holds { "" } else { ", color=red" };
    format!("label={}{style}{colour}", quoted(&label))
}

/// A line feed in it begins a new line of a label.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        assert_eq!(quoted("a\"b\\c\u{1b}\nd"), "\"a\\\"b\\\\c \\nd\"");
    }
}
