//! `supervicectl events`.

use serde_json::{Value, json};

use super::call::{Call, fail_at};
use super::clock::time_of_day;
use super::exit::DONE;
use super::print::{print_error, print_part, while_read};
use super::text::{missing, printable};
use crate::client::{EventItem, EventStream, StreamedEvent};

/// Shows what happens until the daemon ends or the reader has enough.
pub(super) fn follow_events(call: &Call<'_>) -> u8 {
    let types: Vec<&str> = call.args.names.iter().map(String::as_str).collect();
    let events = match call.controller.events(&types, call.args.history) {
        Ok(events) => events,
        Err(error) => return fail_at(call, error),
    };
    for event in while_read(events, EventStream::is_ready) {
        let StreamedEvent { event, lost } = match event {
            Ok(event) => event,
            Err(error) => return fail_at(call, error),
        };
        if lost > 0 && !call.args.json() {
            print_error(&missing(lost, "event"));
        }
        let line = if call.args.json() { as_json(&event, lost).to_string() } else { as_text(&event) };
        let shown = print_part(format!("{line}\n").as_bytes());
        if shown != DONE {
            return shown;
        }
    }
    DONE
}

fn as_json(event: &EventItem, lost: u64) -> Value {
    let mut value = crate::util::json::value_of(event);
    if let Some(object) = value.as_object_mut().filter(|_| lost > 0) {
        object.insert("lost".to_owned(), json!(lost));
    }
    value
}

fn as_text(event: &EventItem) -> String {
    let what = match (&event.from_state, &event.to_state) {
        (Some(from), Some(to)) => format!("{from} -> {to}"),
        _ => event.event_type.clone(),
    };
    let pid = event.pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
    let why = event.cause.as_deref().or(event.message.as_deref()).filter(|why| !why.is_empty());
    let why = why.map_or_else(String::new, |why| format!(": {why}"));
    let day = false;
    printable(&format!("{} {} {what}{pid}{why}", time_of_day(event.time, day), event.processname)).into_owned()
}
