//! `supervicectl graph`: who needs whom.

mod dot;
mod tree;

use serde_json::json;

use super::call::{Call, fail_at, report_unknown, with_unknown};
use super::exit::FAILED;
use super::print::print;
use super::targets::{Kind, targets};
use super::tty;
use super::verb::Opt;
use crate::client::{ClientError, GraphItem};

/// Shows what the named processes need, or those that need them; of all where none is named.
pub(super) fn graph(call: &Call<'_>) -> u8 {
    let Part { names, items, unknown } = match ask(call) {
        Ok(found) => found,
        Err(error) => return fail_at(call, error),
    };
    let text = if call.args.json() {
        format!("{}\n", with_unknown(json!({ "processes": items }), &unknown))
    } else if call.args.has(Opt::Dot) {
        dot::draw(&items)
    } else {
        let width = tty::size().map(|(columns, _)| columns);
        let style = tree::Style { colours: tty::has_colours(), reverse: call.args.has(Opt::Reverse), width };
        tree::draw(&items, &names, style)
    };
    let shown = print(&text);
    report_unknown(call, &unknown);
    if unknown.is_empty() { shown } else { FAILED }
}

/// What is to be shown.
struct Part {
    /// The names that were meant.
    names: Vec<String>,
    items: Vec<GraphItem>,
    /// An error for each word that names none.
    unknown: Vec<String>,
}

fn ask(call: &Call<'_>) -> Result<Part, ClientError> {
    let (names, unknown) = targets(call, Kind::Processes, &call.args.names)?;
    // Words that select nothing are no reason to show all.
    let items = if names.is_empty() && !unknown.is_empty() { Vec::new() } else { call.controller.graph(&names)? };
    Ok(Part { names, items, unknown })
}
