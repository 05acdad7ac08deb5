//! What standard output can show: is it a terminal, has it colours, how wide is it.

use std::io::{self, IsTerminal};

use crate::sys::terminal;

/// The pen of something: numbers of an ANSI sequence.
pub(super) type Pen = &'static str;

pub(super) const BOLD: Pen = "1";
pub(super) const DIM: Pen = "2";
pub(super) const REVERSE: Pen = "7";
const RED: Pen = "1;31";
const GREEN: Pen = "32";
const YELLOW: Pen = "33";
const CYAN: Pen = "36";

pub(super) fn is_terminal(output: impl IsTerminal) -> bool {
    output.is_terminal()
}

/// Somebody types and reads.
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

pub(super) fn of_state(state: &str) -> Pen {
    match state {
        "RUNNING" => GREEN,
        "STARTING" | "STOPPING" => CYAN,
        "BACKOFF" => YELLOW,
        "FATAL" | "UNHEALTHY" => RED,
        _ => DIM,
    }
}

pub(super) fn of_health(cell: &str) -> Pen {
    match cell {
        "OK" => GREEN,
        "FAIL" => RED,
        _ => DIM,
    }
}

/// Appends the text in this pen.
pub(super) fn paint(to: &mut String, text: &str, pen: Option<Pen>) {
    match pen {
        Some(pen) => to.push_str(&painted(text, pen)),
        None => to.push_str(text),
    }
}

/// The text in this pen.
pub(super) fn painted(text: &str, pen: Pen) -> String {
    format!("\x1b[{pen}m{text}\x1b[0m")
}
