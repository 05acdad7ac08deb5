//! One process in the answer to `status`, written by hand: with a thousand processes it is most of what that
//! answer costs, and a serializer that is made for every shape takes four times as long in code that is made small.

use super::ProcessStatus;

/// Appends the object, as [`serde_json`] would write it.
pub(super) fn write(body: &mut Vec<u8>, process: &ProcessStatus) {
    // Taken apart without `..`: a new member must find its way here.
    let ProcessStatus {
        name,
        state,
        pid,
        uptime,
        healthy,
        group,
        description,
        exit_code,
        exit_signal,
        restarts,
        since,
        autostart,
        kill_at,
        retry_at,
        next_run,
        paused,
        pause_requested,
        disabled,
        ready,
        completed,
        waiting_for,
        waiting_for_more,
        hook,
        status_text,
    } = process;
    body.extend_from_slice(b"{\"name\":");
    string(body, name);
    body.extend_from_slice(b",\"state\":");
    string(body, state);
    body.extend_from_slice(b",\"pid\":");
    match pid {
        Some(pid) => integer(body, *pid < 0, u64::from(pid.unsigned_abs())),
        None => body.extend_from_slice(b"null"),
    }
    number(body, "uptime", *uptime);
    boolean(body, "healthy", *healthy);
    text(body, "group", group.as_deref());
    text(body, "description", description.as_deref());
    number(body, "exit_code", exit_code.map(u64::from));
    number(body, "exit_signal", exit_signal.map(u64::from));
    number(body, "restarts", *restarts);
    number(body, "since", *since);
    boolean(body, "autostart", *autostart);
    number(body, "kill_at", *kill_at);
    number(body, "retry_at", *retry_at);
    number(body, "next_run", *next_run);
    number(body, "paused", paused.map(u64::from));
    boolean(body, "pause_requested", *pause_requested);
    boolean(body, "disabled", *disabled);
    boolean(body, "ready", *ready);
    boolean(body, "completed", *completed);
    if !waiting_for.is_empty() {
        member(body, "waiting_for");
        // Strings and numbers always serialize.
        body.extend_from_slice(serde_json::to_string(waiting_for).unwrap_or_default().as_bytes());
    }
    number(body, "waiting_for_more", (*waiting_for_more > 0).then_some(*waiting_for_more as u64));
    text(body, "hook", hook.as_deref());
    text(body, "status_text", status_text.as_deref());
    body.push(b'}');
}

fn member(body: &mut Vec<u8>, name: &str) {
    body.extend_from_slice(b",\"");
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(b"\":");
}

fn number(body: &mut Vec<u8>, name: &str, value: Option<u64>) {
    if let Some(value) = value {
        member(body, name);
        integer(body, false, value);
    }
}

fn boolean(body: &mut Vec<u8>, name: &str, value: Option<bool>) {
    if let Some(value) = value {
        member(body, name);
        body.extend_from_slice(if value { b"true" } else { b"false" });
    }
}

fn text(body: &mut Vec<u8>, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        member(body, name);
        string(body, value);
    }
}

fn string(body: &mut Vec<u8>, text: &str) {
    if text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        // A string always serializes.
        body.extend_from_slice(serde_json::to_string(text).unwrap_or_default().as_bytes());
        return;
    }
    body.push(b'"');
    body.extend_from_slice(text.as_bytes());
    body.push(b'"');
}

fn integer(body: &mut Vec<u8>, negative: bool, mut value: u64) {
    let mut digits = [0u8; 21];
    let mut first = digits.len();
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        // The remainder is below ten.
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
        first = at;
        if value == 0 {
            break;
        }
    }
    if negative {
        body.push(b'-');
    }
    body.extend_from_slice(digits.get(first..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::frames::WaitingFor;

    fn any_text() -> impl Strategy<Value = String> {
        proptest::collection::vec(any::<char>(), 0..12).prop_map(|chars| chars.into_iter().collect())
    }

    proptest! {
        #[test]
        fn it_is_what_the_serializer_writes(
            name in any_text(),
            pid in any::<Option<i32>>(),
            times in any::<[Option<u64>; 4]>(),
            flags in any::<[Option<bool>; 6]>(),
            texts in [(); 4].map(|()| proptest::option::of(any_text())),
            exits in any::<[Option<u8>; 3]>(),
            counts in any::<[Option<u64>; 2]>(),
            waiting in proptest::collection::vec(any_text(), 0..3),
        ) {
            let [uptime, kill_at, retry_at, next_run] = times;
            let [healthy, autostart, ready, completed, disabled, pause_requested] = flags;
            let [group, description, hook, status_text] = texts;
            let [exit_code, exit_signal, paused] = exits;
            let [restarts, since] = counts;
            let waiting_for_more = waiting.len().saturating_sub(1);
            let waiting_for = waiting.into_iter().map(|kind| WaitingFor { kind, ..WaitingFor::default() }).collect();
            let state = "RUNNING".to_owned();
            let process = ProcessStatus {
                name, state, pid, uptime, healthy, group, description, exit_code, exit_signal, restarts, since, autostart,
    kill_at, retry_at, next_run, paused, pause_requested, disabled, ready, completed, status_text, waiting_for, waiting_for_more, hook,
            };
            let mut written = Vec::new();
            write(&mut written, &process);
            prop_assert_eq!(String::from_utf8(written).expect("text"), serde_json::to_string(&process).expect("text"));
        }
    }
}
