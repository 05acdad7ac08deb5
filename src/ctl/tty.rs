//! What standard output can show: whether it is a terminal, its size and its colours.

use std::io::{self, IsTerminal};

use crate::sys::terminal;

/// The parameters of an ANSI "select graphic rendition" sequence.
pub(super) type Sgr = &'static str;

pub(super) const BOLD: Sgr = "1";
pub(super) const DIM: Sgr = "2";
pub(super) const REVERSE: Sgr = "7";
const RED: Sgr = "1;31";
const GREEN: Sgr = "32";
const YELLOW: Sgr = "33";
const CYAN: Sgr = "36";

pub(super) fn is_terminal(output: impl IsTerminal) -> bool {
    output.is_terminal()
}

/// Whether a person types and reads.
pub(super) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Columns and rows; `None` where standard output is no terminal.
pub(super) fn size() -> Option<(usize, usize)> {
    terminal::size(io::stdout())
}

/// Colours are for terminals that have them, unless `NO_COLOR` is set.
pub(super) fn has_colours() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb
}

pub(super) fn of_state(state: &str) -> Sgr {
    match state {
        "RUNNING" => GREEN,
        "STARTING" | "STOPPING" => CYAN,
        "BACKOFF" => YELLOW,
        "FATAL" | "UNHEALTHY" => RED,
        _ => DIM,
    }
}

pub(super) fn of_health(cell: &str) -> Sgr {
    match cell {
        "OK" => GREEN,
        "FAIL" => RED,
        _ => DIM,
    }
}

/// Appends the text in this rendition; `None`: as it is.
pub(super) fn paint(to: &mut String, text: &str, sgr: Option<Sgr>) {
    match sgr {
        Some(sgr) => to.push_str(&painted(text, sgr)),
        None => to.push_str(text),
    }
}

/// The text in this rendition.
pub(super) fn painted(text: &str, sgr: Sgr) -> String {
    format!("\x1b[{sgr}m{text}\x1b[0m")
}
