//! The table of `status`: pure text.

use std::borrow::Cow;

use super::text::printable;
use super::tty::{self, Sgr};
use super::usage::{self, UsageSample};
use crate::client::ProcessStatus;
use crate::util::truncate::to_columns;
use crate::util::width::columns;

/// Below this many columns there is no room for the description.
const MIN_DESCRIPTION: usize = 12;
/// Names are cut to no less, where the terminal is narrow.
const MIN_NAME: usize = 12;

/// The columns that every table begins with; programs read them.
const FIRST: usize = 5;
/// Those of the long table.
const LONG: usize = 4;

/// How a table is drawn.
#[derive(Default)]
pub(super) struct Style<'a> {
    /// The terminal's columns; `None`: no limit, and nothing is left out.
    pub width: Option<usize>,
    pub colours: bool,
    /// The long table, with what the processes use.
    pub usage: Option<&'a UsageSample>,
    /// Turns seconds since 1970 into a time of day or a day.
    pub clock: Option<&'a dyn Fn(u64) -> String>,
}

/// One line for each process under a heading; columns as wide as their content. The description comes
/// last, cut to the columns that are left where these are known, and is left out where no daemon gives one.
pub(super) fn render(processes: &[ProcessStatus], style: &Style<'_>) -> String {
    let heads = ["NAME", "STATE", "PID", "UPTIME", "HEALTH", "RESTARTS", "SINCE", "CPU", "RSS"].map(Cow::Borrowed);
    let mut widths = [0; FIRST + LONG];
    // With a thousand processes the time goes into small pieces of text: what can be borrowed is.
    let mut rows = Vec::with_capacity(processes.len() + 1);
    rows.push(heads);
    rows.extend(processes.iter().map(|process| row(process, style)));
    for (column, width) in widths.iter_mut().enumerate() {
        *width = rows.iter().filter_map(|row| row.get(column)).map(|cell| columns(cell)).max().unwrap_or(0);
    }
    let mut widths =
        widths.get(..if style.usage.is_some() { FIRST + LONG } else { FIRST }).unwrap_or_default().to_vec();
    let mut gap = 2;
    if let Some(width) = style.width {
        gap = fit(&mut widths, width);
    }
    let before = widths.iter().map(|width| width + gap).sum::<usize>();
    let room = style.width.map_or(usize::MAX, |width| width.saturating_sub(before));
    let described = processes.iter().any(|process| process.description.is_some());
    let with_description = described && room >= MIN_DESCRIPTION;
    let mut text = String::with_capacity(rows.len().saturating_mul(before + 40));
    let descriptions = std::iter::once("DESCRIPTION").chain(processes.iter().map(description));
    for (number, (row, description)) in rows.iter().zip(descriptions).enumerate() {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let cell = to_columns(cell, *width);
            let padding = width.saturating_sub(columns(&cell)) + gap;
            tty::paint(&mut text, &cell, colour(style.colours, number, column, &cell));
            pad(&mut text, padding);
        }
        if with_description {
            let shown = printable(description);
            let cell = to_columns(&shown, room);
            tty::paint(&mut text, &cell, colour(style.colours, number, FIRST + LONG, &cell));
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

fn pad(text: &mut String, mut count: usize) {
    const SPACES: &str = "                ";
    while count > 0 {
        let some = SPACES.get(..count).unwrap_or(SPACES);
        text.push_str(some);
        count -= some.len();
    }
}

/// Makes the columns fit: those at the end are left out first, then names are cut; the gap between columns.
fn fit(widths: &mut Vec<usize>, width: usize) -> usize {
    // There is no gap behind the last.
    let total = |widths: &[usize], gap: usize| widths.iter().map(|width| width + gap).sum::<usize>() - gap;
    while widths.len() > FIRST && total(widths, 2) > width {
        widths.pop();
    }
    let gap = if total(widths, 2) > width { 1 } else { 2 };
    let excess = total(widths, gap).saturating_sub(width);
    if let Some(name) = widths.first_mut() {
        *name = name.saturating_sub(excess).max(MIN_NAME.min(*name));
    }
    // Of a terminal that is narrower still: health, uptime, pid.
    while widths.len() > 2 && total(widths, gap) > width {
        widths.pop();
    }
    gap
}

fn colour(colours: bool, row: usize, column: usize, cell: &str) -> Option<Sgr> {
    match (colours, row, column) {
        (false, ..) => None,
        (true, 0, _) => Some(tty::BOLD),
        (true, _, 1) => Some(tty::of_state(cell)),
        (true, _, 4) => Some(tty::of_health(cell)),
        (true, ..) => None,
    }
}

fn row<'p>(process: &'p ProcessStatus, style: &Style<'_>) -> [Cow<'p, str>; FIRST + LONG] {
    let mut cells = [const { Cow::Borrowed("-") }; FIRST + LONG];
    let [name, state, pid, up, well, restarts, since, cpu, rss] = &mut cells;
    *name = printable(&process.name);
    *state = printable(&process.state);
    *well = Cow::Borrowed(health(process));
    let set = |cell: &mut Cow<'p, str>, text: Option<String>| {
        if let Some(text) = text {
            *cell = Cow::Owned(text);
        }
    };
    set(pid, process.pid.map(|pid| pid.to_string()));
    set(up, process.uptime.map(uptime));
    if let Some(sample) = style.usage {
        let usage = process.pid.and_then(|pid| sample.usage.get(&pid));
        set(restarts, process.restarts.map(|restarts| restarts.to_string()));
        set(since, process.since.zip(style.clock).map(|(since, clock)| clock(since)));
        set(cpu, process.pid.and_then(|pid| sample.average(pid)).map(|cpu| format!("{cpu:.1}%")));
        set(rss, usage.map(|usage| usage::size(usage.rss)));
    }
    cells
}

pub(super) fn health(process: &ProcessStatus) -> &'static str {
    match process.healthy {
        Some(true) => "OK",
        Some(false) => "FAIL",
        None => "-",
    }
}

fn description(process: &ProcessStatus) -> &str {
    process.description.as_deref().unwrap_or_default()
}

/// For scripts: the same in lines of cells separated by tabs, without a heading; times are seconds.
pub(super) fn plain(processes: &[ProcessStatus]) -> String {
    let or_dash = |value: Option<String>| value.map_or(Cow::Borrowed("-"), Cow::Owned);
    let lines = processes.iter().map(|process| {
        let cells = [
            printable(&process.name),
            printable(&process.state),
            or_dash(process.pid.map(|pid| pid.to_string())),
            or_dash(process.uptime.map(|uptime| uptime.to_string())),
            Cow::Borrowed(health(process)),
            or_dash(process.restarts.map(|restarts| restarts.to_string())),
            process.group.as_deref().map_or(Cow::Borrowed("-"), printable),
            printable(description(process)),
        ];
        format!("{}\n", cells.join("\t").trim_end_matches('\t'))
    });
    lines.collect()
}

/// `M:SS`, or `H:MM:SS` from an hour on.
pub(super) fn uptime(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests;
