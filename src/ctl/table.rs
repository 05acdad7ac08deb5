//! The table of `status`: pure text.

use crate::rpc::protocol::ProcessStatus;

/// Below this many columns there is no room for the description.
const LEAST_DESCRIPTION: usize = 12;

/// One line for each process under a heading; columns as wide as their content. The description comes
/// last, cut to `width` columns where that is known, and is left out where no daemon gives one.
pub(super) fn render(processes: &[ProcessStatus], width: Option<usize>) -> String {
    let mut rows = vec![["NAME", "STATE", "PID", "UPTIME", "HEALTH", "DESCRIPTION"].map(str::to_owned)];
    rows.extend(processes.iter().map(row));
    let described = processes.iter().any(|process| process.description.is_some());
    let widths: [usize; 5] = std::array::from_fn(|column| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| columns(cell)).max().unwrap_or(0)
    });
    let before = widths.iter().map(|width| width + 2).sum::<usize>();
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(before));
    let with_description = described && room >= LEAST_DESCRIPTION;
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(columns(cell)) + 2));
        }
        if with_description && let [.., description] = row {
            line.push_str(&cut(description, room));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn row(process: &ProcessStatus) -> [String; 6] {
    let dash = || "-".to_owned();
    [
        printable(&process.name),
        printable(&process.state),
        process.pid.map_or_else(dash, |pid| pid.to_string()),
        process.uptime.map_or_else(dash, uptime),
        match process.healthy {
            Some(true) => "OK".to_owned(),
            Some(false) => "FAIL".to_owned(),
            None => dash(),
        },
        process.description.as_deref().map(printable).unwrap_or_default(),
    ]
}

/// `M:SS`, or `H:MM:SS` from an hour on.
fn uptime(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// What a program has written must not command the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if commands(c) { ' ' } else { c }).collect()
}

/// The same for a message of several lines.
pub(super) fn lines(text: &str) -> String {
    text.chars().map(|c| if c != '\n' && commands(c) { ' ' } else { c }).collect()
}

/// Control characters, and those that turn the direction of what follows.
fn commands(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The columns that a text takes on a terminal: East Asian characters and emoji take two, marks none.
fn columns(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(width).sum() }
}

fn width(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60 => 2,
        0xffe0..=0xffe6 | 0x1f300..=0x1f64f | 0x1f680..=0x1f6ff | 0x1f900..=0x1f9ff | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

fn cut(text: &str, room: usize) -> String {
    if columns(text) <= room {
        return text.to_owned();
    }
    let mut taken = 0;
    let fits = |c: &char| {
        taken += width(*c);
        taken < room
    };
    text.chars().take_while(fits).chain(std::iter::once('…')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(name: &str, state: &str) -> ProcessStatus {
        ProcessStatus { name: name.to_owned(), state: state.to_owned(), ..ProcessStatus::default() }
    }

    #[test]
    fn columns_are_as_wide_as_their_content() {
        let mut web = process("web", "RUNNING");
        (web.pid, web.uptime, web.healthy) = (Some(12), Some(3661), Some(true));
        let mut wide = process("データ", "FATAL");
        wide.healthy = Some(false);
        let wanted = "NAME    STATE    PID  UPTIME   HEALTH\n\
                      web     RUNNING  12   1:01:01  OK\n\
                      データ  FATAL    -    -        FAIL\n";
        assert_eq!(render(&[web, wide], Some(80)), wanted);
        assert_eq!(["🚀", "😀", "é", "e\u{301}"].map(columns), [2, 2, 1, 1]);
    }

    #[test]
    fn the_description_takes_the_room_that_is_left() {
        let mut web = process("web", "FATAL");
        web.description = Some("exit code 3: out of \u{1b}[31mluck and more".to_owned());
        let whole = "NAME  STATE  PID  UPTIME  HEALTH  DESCRIPTION\n\
                     web   FATAL  -    -       -       exit code 3: out of  [31mluck and more\n";
        assert_eq!(render(std::slice::from_ref(&web), None), whole);
        let cut = render(std::slice::from_ref(&web), Some(54));
        assert!(cut.ends_with("exit code 3: out of…\n"), "{cut}");
        assert!(cut.lines().all(|line| columns(line) <= 54));
        assert!(!render(&[web], Some(40)).contains("DESCRIPTION"));
    }
}
