//! `supervicectl status`.

use std::io::{PipeReader, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::call::{Call, fail_at, report_unknown, with_unknown};
use super::exit::{DONE, FAILED, NO_DAEMON};
use super::keys::milliseconds;
use super::names::{Known, choose, is_pattern};
use super::print::{print, print_error, print_part, wait_readable};
use super::table::{self, Style};
use super::targets::unmatched_messages;
use super::tty;
use super::usage::{self, UsageSample};
use super::verb::Opt;
use crate::client::{ClientError, EventStream, ProcessStatus};
use crate::sys::terminal::signals;
use crate::sys::time::local;
use crate::util::truncate::to_columns;

/// A storm of events is shown ten times a second and no more often.
const MIN_PAUSE: Duration = Duration::from_millis(100);

/// The states that need somebody, the worst first.
const TROUBLE: [&str; 3] = ["FATAL", "UNHEALTHY", "BACKOFF"];

/// Shows the named processes, all where none is named.
pub(super) fn status(call: &Call<'_>) -> u8 {
    if call.args.has(Opt::Watch) {
        return watch(call);
    }
    match page(call) {
        Ok(Page { text, unknown, .. }) => {
            let shown = print(&text);
            report_unknown(call, &unknown);
            if unknown.is_empty() { shown } else { FAILED }
        }
        Err(error) => fail_at(call, error),
    }
}

/// What is shown.
#[derive(Default)]
struct Page {
    text: String,
    /// What is to be said of names that are none.
    unknown: Vec<String>,
    /// Of a table: the states of its last lines, one each.
    states: Vec<String>,
}

fn page(call: &Call<'_>) -> Result<Page, ClientError> {
    if call.args.json() { json_page(call) } else { table_page(call) }
}

/// What the daemon says of all processes, or only of the one that is named. Where it has none of that name, all are
/// needed to tell what may have been meant.
fn all<T: DeserializeOwned>(call: &Call<'_>) -> Result<Vec<T>, ClientError> {
    if let [name] = call.args.names.as_slice()
        && !is_pattern(name)
    {
        match call.controller.status_of(Some(name)) {
            Err(ClientError::Failed { .. }) => {}
            answer => return answer,
        }
    }
    call.controller.status_of(None)
}

fn chosen<T>(call: &Call<'_>, all: Vec<T>, known: impl Fn(&T) -> Known<'_>) -> (Vec<T>, Vec<String>) {
    if call.args.names.is_empty() {
        return (all, Vec::new());
    }
    let (numbers, unknown) = choose(&all.iter().map(known).collect::<Vec<_>>(), &call.args.names);
    // In the daemon's order: a table is easier to find one's way in when it is always the same.
    let kept = all.into_iter().enumerate().filter(|(number, _)| numbers.contains(number)).map(|(_, one)| one);
    (kept.collect(), unmatched_messages(call.controller, unknown))
}

fn table_page(call: &Call<'_>) -> Result<Page, ClientError> {
    let (chosen, unknown) = chosen(call, all(call)?, |process: &ProcessStatus| Known::from(process));
    let states = chosen.iter().map(|process| process.state.clone()).collect();
    if call.args.has(Opt::Plain) {
        return Ok(Page { text: table::plain(&chosen), unknown, states });
    }
    if chosen.is_empty() && !unknown.is_empty() {
        // No heading over nothing.
        return Ok(Page { unknown, ..Page::default() });
    }
    // All of /proc is read only where somebody asks for what it says: the plain table takes two milliseconds.
    let sample = call.args.has(Opt::Long).then(|| usage::sample(call.controller, usage::pids(&chosen)));
    let clock = |seconds: u64| {
        let today = local(SystemTime::now());
        let time = local(UNIX_EPOCH + Duration::from_secs(seconds));
        if (time.year, time.month, time.day) == (today.year, today.month, today.day) {
            format!("{:02}:{:02}:{:02}", time.hour, time.minute, time.second)
        } else {
            format!("{}-{:02}-{:02}", time.year, time.month, time.day)
        }
    };
    let style = Style {
        width: tty::size().map(|(columns, _)| columns),
        colours: tty::has_colours(),
        usage: sample.as_ref(),
        clock: Some(&clock),
    };
    Ok(Page { text: table::render(&chosen, &style), unknown, states })
}

/// The answer as it came, with what only a newer daemon knows; with `--long` also what this side has measured.
fn json_page(call: &Call<'_>) -> Result<Page, ClientError> {
    fn text<'a>(process: &'a Value, key: &str) -> Option<&'a str> {
        process.get(key).and_then(Value::as_str)
    }
    let (mut chosen, unknown) = chosen(call, all(call)?, |process: &Value| Known {
        name: text(process, "name").unwrap_or_default(),
        group: text(process, "group"),
        state: text(process, "state").unwrap_or_default(),
    });
    if call.args.has(Opt::Long) {
        let pid = |process: &Value| i32::try_from(process.get("pid")?.as_i64()?).ok();
        let sample = usage::sample(call.controller, chosen.iter().filter_map(pid));
        chosen.iter_mut().for_each(|process| add_usage(process, pid(process), &sample));
    }
    let answer = with_unknown(json!({ "processes": chosen }), &unknown);
    Ok(Page { text: format!("{answer}\n"), unknown, ..Page::default() })
}

fn add_usage(process: &mut Value, pid: Option<i32>, sample: &UsageSample) {
    let Some((pid, object)) = pid.zip(process.as_object_mut()) else { return };
    if let Some(usage) = sample.usage.get(&pid) {
        object.insert("cpu_seconds".to_owned(), (usage.ticks as f64 / usage::TICKS).into());
        object.insert("rss_bytes".to_owned(), usage.rss.into());
        object.insert("tree_processes".to_owned(), usage.count.into());
    }
    if let Some(cpu) = sample.average(pid) {
        object.insert("cpu_percent".to_owned(), ((cpu * 10.0).round() / 10.0).into());
    }
}

/// Shows everything anew when something has happened, and sleeps otherwise.
fn watch(call: &Call<'_>) -> u8 {
    // First the events, then the state: nothing that happens between is missed.
    let mut events = match call.controller.events(&[], 0) {
        Ok(events) => events,
        Err(error) => return fail_at(call, error),
    };
    let on_terminal = tty::size().is_some() && !call.args.json();
    // Without them the table fits again at the next change.
    let mut resized = if on_terminal { signals(&[libc::SIGWINCH]).ok() } else { None };
    let mut first = true;
    loop {
        let Page { text, unknown, states } = match page(call) {
            Ok(page) => page,
            Err(error) => return fail_at(call, error),
        };
        let text = match (on_terminal, first) {
            (true, true) => format!("\x1b[2J{}", redrawn(&text, &states)),
            (true, false) => redrawn(&text, &states),
            (false, false) if !call.args.json() => format!("\n{text}"),
            (false, _) => text,
        };
        let shown = print_part(text.as_bytes());
        if shown != DONE {
            return shown;
        }
        if first {
            report_unknown(call, &unknown);
        }
        first = false;
        match next_change(&mut events, resized.as_mut()) {
            Ok(true) => {}
            Ok(false) => {
                print_error(&format!("the daemon at {} has ended", call.controller.socket_path()));
                return NO_DAEMON;
            }
            Err(error) => return fail_at(call, error),
        }
    }
}

/// Over what was there before, line by line so that nothing flickers. As many lines as the terminal has, so that the
/// heading stays in view; how many are missing the last one tells, and what is wrong with these.
fn redrawn(text: &str, states: &[String]) -> String {
    let rows = tty::size().map_or(usize::MAX, |(_, rows)| rows.saturating_sub(1)).max(2);
    let count = text.lines().count();
    let shown = if count > rows { rows - 1 } else { count };
    let mut drawn = "\x1b[H".to_owned();
    for line in text.lines().take(shown) {
        // Erased before and not behind: at the end of a full line the cursor still stands on its last character.
        drawn.push_str(&format!("\x1b[K{line}\n"));
    }
    if count > shown {
        let hidden = states.get(states.len().saturating_sub(count - shown)..).unwrap_or_default();
        let line = format!("({} more{}: name some, or see top)", count - shown, in_trouble(hidden));
        let columns = tty::size().map_or(usize::MAX, |(columns, _)| columns);
        drawn.push_str(&format!("\x1b[K{}\n", to_columns(&line, columns)));
    }
    drawn.push_str("\x1b[J");
    drawn
}

/// `, 1 FATAL, 2 BACKOFF`
fn in_trouble(states: &[String]) -> String {
    let count = |state: &&str| states.iter().filter(|other| other == state).count();
    let counts = TROUBLE.iter().map(|state| (count(state), *state)).filter(|(count, _)| *count > 0);
    counts.map(|(count, state)| format!(", {count} {state}")).collect()
}

/// Waits for an event and takes those that follow at once, or for another size of the terminal; `false`: there will be
/// no event any more.
fn next_change(events: &mut EventStream, mut resized: Option<&mut PipeReader>) -> Result<bool, ClientError> {
    if !events.is_ready() {
        let fds: Vec<_> = std::iter::once(events.as_fd()).chain(resized.as_deref().map(AsFd::as_fd)).collect();
        if wait_readable(&fds) == Some(1) {
            if let Some(resized) = &mut resized {
                let _ = resized.read(&mut [0; 64]);
            }
            return Ok(true);
        }
    }
    match events.next() {
        None => return Ok(false),
        Some(event) => event?,
    };
    let until = Instant::now() + MIN_PAUSE;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if !events.is_ready() {
            let mut fds = [PollFd::new(events.as_fd(), PollFlags::POLLIN)];
            let timeout = PollTimeout::try_from(milliseconds(left)).unwrap_or(PollTimeout::ZERO);
            // What is wrong with the connection the next read tells.
            if poll(&mut fds, timeout) == Ok(0) {
                return Ok(true);
            }
        }
        if left.is_zero() {
            return Ok(true);
        }
        match events.next() {
            None => return Ok(false),
            Some(event) => event?,
        };
    }
}
