//! `supervicectl blame`: what the start took its time for.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::call::{Call, fail_at, report_unknown, with_unknown};
use super::exit::FAILED;
use super::print::print;
use super::targets::{Kind, targets};
use super::text::printable;
use super::tty;
use crate::client::{Blame, BlameItem, ClientError};
use crate::util::truncate::to_columns;
use crate::util::width::columns;

const COLUMNS: usize = 7;
/// Names are cut to no less, where the terminal is narrow.
const MIN_NAME: usize = 12;

/// Shows how long the starts of the named processes took, and of what they waited for; of all where none is named.
pub(super) fn blame(call: &Call<'_>) -> u8 {
    let (blame, unknown) = match ask(call) {
        Ok(found) => found,
        Err(error) => return fail_at(call, error),
    };
    let text = match blame.processes.is_empty() && unknown.is_empty() {
        _ if call.args.json() => json(&blame, &unknown),
        true => "Nothing was asked to start yet\n".to_owned(),
        false => table(&blame, tty::size().map(|(columns, _)| columns)) + &critical_path(&blame),
    };
    let shown = print(&text);
    report_unknown(call, &unknown);
    if unknown.is_empty() { shown } else { FAILED }
}

/// The answer, and an error for each word that names nothing.
fn ask(call: &Call<'_>) -> Result<(Blame, Vec<String>), ClientError> {
    let (names, unknown) = targets(call, Kind::Processes, &call.args.names)?;
    // Words that select nothing are no reason to show all.
    let blame =
        if names.is_empty() && !unknown.is_empty() { Blame::default() } else { call.controller.blame(&names)? };
    Ok((blame, unknown))
}

fn json(blame: &Blame, unknown: &[String]) -> String {
    let answer = crate::util::json::value_of(blame);
    format!("{}\n", with_unknown(answer, unknown))
}

/// How long it took from the execution until it was ready.
fn took(item: &BlameItem) -> Option<f64> {
    item.ready.zip(item.spawned).map(|(ready, spawned)| ready - spawned)
}

/// The slowest first, those that are not ready yet before all; times in seconds, from the daemon's start on. `room`:
/// the columns of the terminal.
fn table(blame: &Blame, room: Option<usize>) -> String {
    if blame.processes.is_empty() {
        // No heading over nothing.
        return String::new();
    }
    let heads = ["NAME", "STATE", "ASKED", "WAITED", "TOOK", "READY", "WAITED FOR"].map(str::to_owned);
    let mut items: Vec<&BlameItem> = blame.processes.iter().collect();
    items.sort_by(|one, other| match (took(one), took(other)) {
        (Some(one), Some(other)) => other.total_cmp(&one),
        (Some(_), None) => Ordering::Greater,
        (None, Some(_)) => Ordering::Less,
        (None, None) => Ordering::Equal,
    });
    let rows: Vec<[String; COLUMNS]> =
        std::iter::once(heads).chain(items.iter().map(|item| row(item, blame.began))).collect();
    let mut widths = vec![0; COLUMNS];
    for (column, width) in widths.iter_mut().enumerate() {
        *width = rows.iter().filter_map(|row| row.get(column)).map(|cell| columns(cell)).max().unwrap_or(0);
    }
    if let Some(room) = room {
        fit(&mut widths, room);
    }
    let mut text = String::new();
    for row in &rows {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let cell = to_columns(cell, *width);
            let padding = " ".repeat(width.saturating_sub(columns(&cell)));
            // Numbers stand below each other.
            text.push_str(&if (2..6).contains(&column) {
                format!("{padding}{cell}  ")
            } else {
                format!("{cell}{padding}  ")
            });
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

/// Makes the columns fit: names are cut first, then what stands behind them is left out from the end on.
fn fit(widths: &mut Vec<usize>, room: usize) {
    let total = |widths: &[usize]| widths.iter().map(|width| width + 2).sum::<usize>() - 2;
    let excess = total(widths).saturating_sub(room);
    if let Some(name) = widths.first_mut() {
        *name = name.saturating_sub(excess).max(MIN_NAME.min(*name));
    }
    while widths.len() > 2 && total(widths) > room {
        widths.pop();
    }
}

fn row(item: &BlameItem, began: f64) -> [String; COLUMNS] {
    let seconds = |seconds: Option<f64>| seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.3}"));
    let waited_for = item.waited_for.as_ref();
    // What is no process is called by its kind: `start slot`.
    let mut last = waited_for.map_or("-".to_owned(), |what| what.name.clone().unwrap_or(what.kind.replace('_', " ")));
    if item.attempts > 1 {
        last.push_str(&format!(" ({} attempts)", item.attempts));
    }
    [
        printable(&item.name).into_owned(),
        printable(&item.state).into_owned(),
        seconds(Some(item.asked - began)),
        seconds(item.waiting.or(item.spawned.map(|at| at - item.asked))),
        seconds(took(item)),
        seconds(item.ready.map(|at| at - began)),
        printable(&last).into_owned(),
    ]
}

/// From the first one on the way to the one that was ready last.
fn critical_path(blame: &Blame) -> String {
    let items: HashMap<&str, &BlameItem> = blame.processes.iter().map(|item| (item.name.as_str(), item)).collect();
    let way: Vec<&BlameItem> =
        blame.critical_path.iter().rev().filter_map(|name| items.get(name.as_str()).copied()).collect();
    let ends = way.first().map(|first| first.asked).zip(way.last().and_then(|last| last.ready));
    let Some((begin, end)) = ends else { return String::new() };
    let mut text = format!("\nThe critical path took {:.3} s:\n", end - begin);
    for item in way {
        let (ready, took) = (item.ready.unwrap_or(item.asked), took(item).unwrap_or_default());
        text.push_str(&format!(
            "  {:.3}  {} was ready, {took:.3} s after it was executed\n",
            ready - blame.began,
            printable(&item.name)
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_terminal_has_shorter_names_and_fewer_columns() {
        let item =
            |name: &str| BlameItem { name: name.to_owned(), state: "RUNNING".to_owned(), ..BlameItem::default() };
        let blame = Blame { processes: vec![item(&"n".repeat(60)), item("データベース")], ..Blame::default() };
        let longest = |room| table(&blame, room).lines().map(columns).max();
        assert!(longest(None) > Some(100));
        for room in [80, 60, 40, 30] {
            assert!(longest(Some(room)) <= Some(room), "{room}: {}", table(&blame, Some(room)));
        }
        assert!(table(&blame, Some(40)).contains("nnnnnnnnnnn…  RUNNING"), "{}", table(&blame, Some(40)));
    }
}
