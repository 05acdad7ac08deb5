//! What `top` draws: pure text from what is known.

use std::cmp::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use super::super::clock::time_of_day;
use super::super::text::printable;
use super::super::{table, tty, usage};
use super::model::{Sort, Top};
use crate::client::ProcessStatus;
use crate::util::sort::sort_by;
use crate::util::truncate::to_columns;
use crate::util::width::columns;

/// The most needed first: where the terminal is narrow the last ones are left out.
const KEYS: [&str; 8] = ["q leave", "↑↓ select", "s start", "x stop", "r restart", "K kill", "o order", "e out/err"];
/// Fewer lines than this have no room for a message beside the keys.
const ROOM_FOR_MESSAGE: usize = 6;

/// The processes in the order in which they are shown.
pub(super) fn order<'t>(top: &'t Top<'_>) -> Vec<&'t ProcessStatus> {
    let mut all: Vec<(usize, &ProcessStatus)> = top.processes.iter().enumerate().collect();
    let memory =
        |process: &ProcessStatus| process.pid.and_then(|pid| top.sample.usage.get(&pid)).map_or(0, |used| used.rss);
    sort_by(&mut all, |(_, a), (_, b)| match top.sort {
        Sort::Order => Ordering::Equal,
        Sort::Name => a.name.cmp(&b.name),
        Sort::State => urgency(&a.state).cmp(&urgency(&b.state)),
        Sort::Cpu => cpu(top, b).unwrap_or(-1.0).total_cmp(&cpu(top, a).unwrap_or(-1.0)),
        Sort::Memory => memory(b).cmp(&memory(a)),
    });
    all.into_iter().map(|(_, process)| process).collect()
}

/// What needs somebody comes first.
fn urgency(state: &str) -> usize {
    let order = ["FATAL", "UNHEALTHY", "BACKOFF", "STOPPING", "STARTING", "RUNNING", "EXITED", "STOPPED"];
    order.iter().position(|known| *known == state).unwrap_or(0)
}

fn cpu(top: &Top<'_>, process: &ProcessStatus) -> Option<f64> {
    top.sample.since(&top.before, process.pid?)
}

/// The whole screen.
pub(super) fn draw(top: &Top<'_>) -> String {
    let (width, height) = tty::size().unwrap_or((80, 24));
    let colours = tty::has_colours();
    let mut lines = vec![header(top), String::new()];
    let message = message_lines(&top.message, width, height);
    // Header, heading, a line above the output, and the keys.
    let fixed = 4 + message.len();
    let room = height.saturating_sub(fixed);
    let output_rows = if room >= 8 { (room / 3).max(room.saturating_sub(top.processes.len())) } else { 0 };
    let table_rows = room.saturating_sub(output_rows).max(1);
    table_lines(top, width, table_rows, colours, &mut lines);
    if output_rows > 0 {
        let stream = if top.stderr { "stderr" } else { "stdout" };
        let title = format!("── {stream} of {} ", top.selected);
        lines.push(format!("{title}{}", "─".repeat(width.saturating_sub(columns(&title)))));
        let skip = top.output.len().saturating_sub(output_rows);
        lines.extend(top.output.iter().skip(skip).cloned());
    }
    let above = height.saturating_sub(1 + message.len());
    lines.truncate(above);
    lines.resize(above, String::new());
    lines.extend(message);
    lines.push(match height < ROOM_FOR_MESSAGE && !top.message.is_empty() {
        true => top.message.clone(),
        false => keys(width),
    });
    let mut text = String::from("\x1b[H");
    for (number, line) in lines.iter().enumerate() {
        // Coloured lines are made to fit where they are made.
        let line = if line.contains("\x1b[") { line.clone() } else { to_columns(&printable(line), width).into_owned() };
        // Erased before and not behind: at the end of a full line the cursor still stands on its last character.
        text.push_str("\x1b[K");
        text.push_str(&line);
        text.push_str(if number + 1 < lines.len() { "\n" } else { "" });
    }
    text
}

/// What a command came to, or is to be confirmed, in as many lines as it needs, at most a third of all.
fn message_lines(message: &str, width: usize, height: usize) -> Vec<String> {
    if message.is_empty() || height < ROOM_FOR_MESSAGE {
        return Vec::new();
    }
    let mut lines = vec![String::new()];
    for word in printable(message).split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if columns(line) + 1 + columns(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines.truncate(height / 3);
    lines
}

/// As many keys as the terminal shows as a whole. The last column stays free: some terminals draw an arrow two columns
/// wide.
fn keys(width: usize) -> String {
    let mut line = String::new();
    for key in KEYS {
        let gap = if line.is_empty() { "" } else { "  " };
        if columns(&line) + gap.len() + columns(key) >= width && !line.is_empty() {
            break;
        }
        line.push_str(gap);
        line.push_str(key);
    }
    line
}

fn header(top: &Top<'_>) -> String {
    let mut states: Vec<(&str, usize)> = Vec::new();
    for process in &top.processes {
        match states.iter_mut().find(|(state, _)| *state == process.state) {
            Some((_, count)) => *count += 1,
            None => states.push((&process.state, 1)),
        }
    }
    sort_by(&mut states, |(one, _), (other, _)| urgency(one).cmp(&urgency(other)));
    let states: Vec<String> = states.into_iter().map(|(state, count)| format!("{count} {state}")).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let clock = time_of_day(now as f64, false);
    let clock = clock.split('.').next().unwrap_or_default();
    format!("{clock}  {}  by {}  {}", states.join(", "), top.sort.name(), top.socket)
}

/// The heading (in place of the last line) and as many processes as fit, with the selected one among them.
fn table_lines(top: &Top<'_>, width: usize, rows: usize, colours: bool, lines: &mut Vec<String>) {
    let all = order(top);
    let name_width = all.iter().map(|process| columns(&process.name)).max().unwrap_or(0);
    let name_width = name_width.clamp(4, (width / 3).max(8));
    let heading = format!(
        "{:name_width$}  {:9}  {:>7}  {:>6}  {:>5}  {:>9}  {:6}  DESCRIPTION",
        "NAME", "STATE", "PID", "CPU", "RSS", "UPTIME", "HEALTH"
    );
    if let Some(last) = lines.last_mut() {
        *last = tty::painted(&to_columns(&heading, width), tty::BOLD);
    }
    let selected = all.iter().position(|process| process.name == top.selected).unwrap_or(0);
    let first = (selected + 1).saturating_sub(rows);
    for process in all.into_iter().skip(first).take(rows) {
        let is_selected = process.name == top.selected;
        let name = printable(&process.name);
        let name = to_columns(&name, name_width);
        let padding = name_width.saturating_sub(columns(&name));
        let state = format!("{:9}", printable(&process.state));
        let rest = format!("  {}", rest_of_line(top, process));
        let before = format!("{name}{:padding$}  ", "");
        let room = width.saturating_sub(columns(&before) + state.len());
        let rest = to_columns(&rest, room);
        lines.push(if is_selected {
            let line = format!("{before}{state}{rest}");
            let line = to_columns(&line, width);
            let fill = width.saturating_sub(columns(&line));
            tty::painted(&format!("{line}{:fill$}", ""), tty::REVERSE)
        } else if columns(&before) + state.len() <= width {
            let mut line = before;
            tty::paint(&mut line, &state, colours.then(|| tty::of_state(&process.state)));
            line.push_str(&rest);
            line
        } else {
            to_columns(&format!("{before}{state}"), width).into_owned()
        });
    }
}

fn rest_of_line(top: &Top<'_>, process: &ProcessStatus) -> String {
    let dash = || "-".to_owned();
    let memory = process.pid.and_then(|pid| top.sample.usage.get(&pid)).map_or_else(dash, |used| usage::size(used.rss));
    let cpu = cpu(top, process).map_or_else(dash, |cpu| format!("{cpu:.1}%"));
    let description = printable(process.description.as_deref().unwrap_or_default());
    format!(
        "{:>7}  {cpu:>6}  {memory:>5}  {:>9}  {:6}  {description}",
        process.pid.map_or_else(dash, |pid| pid.to_string()),
        process.uptime.map_or_else(dash, table::uptime),
        table::health(process),
    )
}
