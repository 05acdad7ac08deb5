//! `supervicectl events`.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::verbs::Call;
use super::{DONE, complain, fail_at, print_part, table};
use crate::client::StreamedEvent;
use crate::codec::frames::EventItem;
use crate::sys::time::local;

/// Shows what happens until the daemon ends or the reader has enough.
pub(super) fn events(call: &Call<'_>) -> u8 {
    let types: Vec<&str> = call.args.names.iter().map(String::as_str).collect();
    let events = match call.controller.events(&types, call.args.history) {
        Ok(events) => events,
        Err(error) => return fail_at(call, error),
    };
    for event in events {
        let StreamedEvent { event, lost } = match event {
            Ok(event) => event,
            Err(error) => return fail_at(call, error),
        };
        if lost > 0 && !call.args.json() {
            complain(&format!("{lost} events are missing here, because they were not read in time"));
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
    let mut value = serde_json::to_value(event).unwrap_or_default();
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
    table::printable(&format!("{} {} {what}{pid}{why}", time(event.time, day), event.processname)).into_owned()
}

/// Time of day in the local zone with milliseconds, with the day before it where that is asked for.
pub(super) fn time(seconds: f64, day: bool) -> String {
    let since = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let time = local(UNIX_EPOCH + since);
    let clock = format!("{:02}:{:02}:{:02}.{:03}", time.hour, time.minute, time.second, time.millisecond);
    if day { format!("{}-{:02}-{:02} {clock}", time.year, time.month, time.day) } else { clock }
}
