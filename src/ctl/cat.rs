//! `cat`: what a program is, and where the configuration says so.

use serde_json::Value;

use super::call::{Call, answer_for, fail_at};
use super::exit::{DONE, FAILED};
use super::progress::waited_for;
use super::query::{ok, show};
use super::targets::{Kind, targets};
use super::text::octal;
use super::verb::Opt;
use crate::client::{ProgramSettings, Setting};
use crate::util::width::columns;

/// Longer lines do not move the column of the places to the right.
const MAX_ALIGNED_WIDTH: usize = 60;

pub(super) fn cat(call: &Call<'_>) -> u8 {
    let (names, unknown) = match targets(call, Kind::Processes, &call.args.names) {
        Ok(found) => found,
        Err(error) => return fail_at(call, error),
    };
    let (secrets, defaults) = (call.args.has(Opt::Secrets), call.args.has(Opt::Defaults));
    let mut code = DONE;
    for (number, name) in names.iter().enumerate() {
        let outcome = match waited_for(call, || call.controller.settings(name, secrets)) {
            Ok(mut settings) => {
                settings.settings.retain(|setting| defaults || is_set(setting));
                let gap = if number > 0 { "\n" } else { "" };
                show(call, &ok(&settings), &format!("{gap}{}", listing(&settings)))
            }
            Err(error) => fail_at(call, error),
        };
        code = if code == DONE { outcome } else { code };
    }
    answer_for(call, &unknown);
    if code == DONE && !unknown.is_empty() { FAILED } else { code }
}

/// A file says something about it, or would.
fn is_set(setting: &Setting) -> bool {
    setting.source.is_some() || setting.in_file.is_some()
}

/// `key = value  # FILE:LINE`, a line for each setting.
fn listing(settings: &ProgramSettings) -> String {
    let lines: Vec<(String, &Setting)> =
        settings.settings.iter().map(|setting| (first_line(setting), setting)).collect();
    let widths = lines.iter().map(|(line, _)| columns(line)).filter(|width| *width <= MAX_ALIGNED_WIDTH);
    let widest = widths.max().unwrap_or_default();
    let mut text = format!("[program:{}]\n", settings.name);
    if let Some(why) = &settings.file_error {
        text.extend(why.lines().map(|line| format!("# {line}\n")));
        text.push_str("# what the program runs with:\n");
    }
    if !settings.in_file {
        text.push_str("# it is in no file: somebody runs it by hand, or an update removes it\n");
    }
    for (line, setting) in &lines {
        let room = widest.saturating_sub(columns(line));
        text.push_str(&format!("{line}{:room$}  # {}\n", "", origin(&settings.name, setting)));
        for value in lines_of(&setting.value) {
            text.push_str(&format!("    {}\n", text_of(value)));
        }
        if let Some(value) = &setting.in_file {
            text.push_str(&format!("#   the file says {}: an update applies it\n", value_of(&setting.key, value)));
        }
    }
    text
}

/// `key = value`, or `key =` where each value has a line of its own below.
fn first_line(setting: &Setting) -> String {
    match lines_of(&setting.value) {
        [] => format!("{} = {}", setting.key, value_of(&setting.key, &setting.value)),
        _ => format!("{} =", setting.key),
    }
}

/// The values that stand on a line each in a file: several commands and the like, which may contain commas themselves.
fn lines_of(value: &Value) -> &[Value] {
    let needs_line = |value: &Value| value.as_str().is_some_and(|text| text.contains([' ', ',']));
    match value {
        Value::Array(values) if values.len() > 1 && values.iter().any(needs_line) => values,
        _ => &[],
    }
}

/// Where it is set: `/etc/supervice.conf:12`, with the section where that is not the program's own.
fn origin(name: &str, setting: &Setting) -> String {
    let Some(source) = &setting.source else { return "default".to_owned() };
    if source.line == 0 {
        // No file says it: somebody runs it by hand.
        return source.file.clone();
    }
    let is_own = source.section.split_once(':').is_some_and(|(_, own)| own == name);
    let section = if is_own { String::new() } else { format!("[{}] ", source.section) };
    format!("{section}{}:{}", source.file, source.line)
}

/// The value of a key as it could stand in a file: permissions are in octal there.
fn value_of(key: &str, value: &Value) -> String {
    octal(key, value).unwrap_or_else(|| text_of(value))
}

/// A value as it could stand in a file.
fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(value) => value.clone(),
        Value::Array(values) => values.iter().map(text_of).collect::<Vec<_>>().join(", "),
        Value::Object(_) => value.to_string(),
    }
}
