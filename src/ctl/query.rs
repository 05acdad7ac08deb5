//! Verbs that ask the daemon one thing and print its answer.

use serde_json::{Value, json};

use super::call::{Call, answer_for, fail_at, report_unknown, with_unknown};
use super::clock::time_of_day;
use super::exit::{DONE, FAILED, USAGE};
use super::print::{VERSION, print, print_error};
use super::progress::waited_for;
use super::targets::{Kind, targets};
use super::text::{octal, printable, printable_lines};
use super::verb::Opt;
use crate::client::{
    ClientError, Controller, DaemonChanges, HistoryItem, KeyChange, ProcessStatus, Reloaded, Reread, Updated, Why,
};

/// Prints the answer: as text, or as it is with `--json`.
pub(super) fn show(call: &Call<'_>, json: &Value, text: &str) -> u8 {
    if call.args.json() { print(&format!("{json}\n")) } else { print(&printable_lines(text)) }
}

/// The particulars of an answer, as the daemon sends them.
pub(super) fn ok(particulars: impl serde::Serialize) -> Value {
    let mut value = crate::util::json::value_of(&particulars);
    if let Some(object) = value.as_object_mut() {
        object.insert("status".to_owned(), "ok".into());
    }
    value
}

fn usage(call: &Call<'_>, message: &str) -> u8 {
    print_error(&format!("{}: {message}\nTry 'supervicectl help {}'.", call.verb.name(), call.verb.name()));
    USAGE
}

/// `reopen`, `confirm`, `shutdown` and whatever else is answered by a message.
pub(super) fn message(call: &Call<'_>, send: fn(&Controller) -> Result<String, ClientError>) -> u8 {
    match send(call.controller) {
        Ok(message) => show(call, &json!({"status": "ok", "message": message}), &format!("{message}\n")),
        Err(error) => fail_at(call, error),
    }
}

pub(super) fn ping(call: &Call<'_>) -> u8 {
    match call.controller.ping() {
        Ok(pid) => show(call, &json!({"status": "ok", "pid": pid}), &format!("the daemon answers (pid {pid})\n")),
        Err(error) => fail_at(call, error),
    }
}

/// The pid of the daemon, or of one process; of `all` each on a line, as supervisorctl tells them: 0 for what does not
/// run.
pub(super) fn pid(call: &Call<'_>) -> u8 {
    if call.args.names == ["all"] {
        return pids(call);
    }
    match call.controller.pid(call.args.names.first().map(String::as_str)) {
        Ok(pid) => show(call, &json!({"status": "ok", "pid": pid}), &format!("{pid}\n")),
        Err(error) => fail_at(call, error),
    }
}

fn pids(call: &Call<'_>) -> u8 {
    match call.controller.status() {
        Ok(all) => {
            let pid = |process: &ProcessStatus| process.pid.unwrap_or(0);
            let pids: Vec<i32> = all.iter().map(pid).collect();
            let text: String = pids.iter().map(|pid| format!("{pid}\n")).collect();
            show(call, &json!({"status": "ok", "pids": pids}), &text)
        }
        Err(error) => fail_at(call, error),
    }
}

pub(super) fn log_level(call: &Call<'_>) -> u8 {
    match call.controller.log_level(call.args.names.first().map(String::as_str)) {
        Ok(level) => show(call, &json!({"status": "ok", "level": level}), &format!("{level}\n")),
        Err(error) => fail_at(call, error),
    }
}

/// The version of this program always, and the daemon's where there is one.
pub(super) fn version(call: &Call<'_>) -> u8 {
    let own = format!("supervicectl {VERSION}\n");
    let (daemon, note) = match call.controller.version() {
        Ok(daemon) if daemon.version == VERSION => {
            (Some(daemon.version.clone()), format!("daemon {} (pid {})\n", daemon.version, daemon.pid))
        }
        Ok(daemon) => {
            let note = format!("daemon {} (pid {}): another version than this\n", daemon.version, daemon.pid);
            (Some(daemon.version), note)
        }
        Err(ClientError::NoDaemon { .. }) => (None, format!("no daemon at {}\n", call.controller.socket_path())),
        Err(ClientError::Failed { .. }) => {
            (None, "the daemon does not tell its version: another program, or an older one\n".to_owned())
        }
        Err(error) => {
            // What was asked of this program is answered all the same.
            if !call.args.json() {
                print(&own);
            }
            return fail_at(call, error);
        }
    };
    let matches = daemon.as_deref().map(|daemon| daemon == VERSION);
    show(call, &json!({"status": "ok", "client": VERSION, "daemon": daemon, "match": matches}), &format!("{own}{note}"))
}

/// Before the keys of `[supervice]` that a reload can't bring into force.
const NEEDS_RESTART: &str = "Needs a restart of the daemon";

pub(super) fn reload(call: &Call<'_>) -> u8 {
    match waited_for(call, || call.outlasting_daemon().reload_within(call.args.timeout)) {
        Ok(Reloaded { added, removed, changed, needs_restart, daemon }) => {
            let mut json =
                json!({"status": "ok", "added": added, "removed": removed, "changed": changed, "daemon": daemon});
            if let Some(needs_restart) = &needs_restart {
                json["needs_restart"] = needs_restart.as_slice().into();
            }
            let (outdated, others): (Vec<_>, Vec<_>) =
                changed.into_iter().partition(|name| needs_restart.as_ref().is_none_or(|needs| needs.contains(name)));
            let mut text = listed(&[
                ("Added", &added),
                ("Removed", &removed),
                ("Changed", &others),
                ("Changed (restart to apply)", &outdated),
            ]);
            text.push_str(&daemon_keys(&daemon));
            show(call, &json, &or_nothing(text))
        }
        Err(error) => fail_at(call, error),
    }
}

fn listed(lists: &[(&str, &[String])]) -> String {
    let told = lists.iter().filter(|(_, names)| !names.is_empty());
    told.map(|(what, names)| format!("{what}: {}\n", names.join(", "))).collect()
}

/// What has become of the keys of `[supervice]`.
fn daemon_keys(DaemonChanges { live, restart }: &DaemonChanges) -> String {
    listed(&[("Changed in the daemon", live), (NEEDS_RESTART, restart)])
}

fn or_nothing(text: String) -> String {
    if text.is_empty() { "No changes\n".to_owned() } else { text }
}

pub(super) fn update(call: &Call<'_>) -> u8 {
    match waited_for(call, || call.outlasting_daemon().update_within(call.args.confirm, call.args.timeout)) {
        Ok(updated) => show(call, &ok(&updated), &update_message(call, updated)),
        Err(error) => fail_at(call, error),
    }
}

fn update_message(call: &Call<'_>, updated: Updated) -> String {
    let Updated { added, removed, changed, restarted, from_next_run, confirm_until, daemon, unsaved: _ } = updated;
    let is_told = |name: &String| restarted.contains(name) || from_next_run.contains(name);
    let others: Vec<String> = changed.into_iter().filter(|name| !is_told(name)).collect();
    let lists: [(&str, &[String]); 5] = [
        ("Added", &added),
        ("Removed", &removed),
        ("Restarted", &restarted),
        ("Changed", &others),
        ("Changed (from the next run on)", &from_next_run),
    ];
    let mut text = or_nothing(listed(&lists) + &daemon_keys(&daemon));
    if let (Some(until), Some(confirm)) = (confirm_until, call.args.confirm) {
        text.push_str(&format!(
            "Goes back to the configuration before in {} s (at {}), or as soon as one of them fails.\n\
             Keep it with: supervicectl confirm\n",
            confirm.as_secs_f64(),
            time_of_day(until, false)
        ));
    }
    text
}

/// `scale [--save] NAME NUMBER`
pub(super) fn scale(call: &Call<'_>) -> u8 {
    let [name, number] = call.args.names.as_slice() else { return usage(call, "it takes a name and a number") };
    let Ok(instances) = number.parse() else { return usage(call, &format!("'{number}' is no number of instances")) };
    let save = call.args.has(Opt::Save);
    match waited_for(call, || call.outlasting_daemon().scale_within(name, instances, save, call.args.timeout)) {
        Ok(updated) => scaled(call, updated),
        Err(error) => fail_at(call, error),
    }
}

/// What could not be written ends with the daemon: that is a failure, though all else is done.
fn scaled(call: &Call<'_>, updated: Updated) -> u8 {
    let mut answer = ok(&updated);
    let Some(why) = updated.unsaved.clone() else { return show(call, &answer, &update_message(call, updated)) };
    let message = format!("not saved, it ends with the daemon: {why}");
    if call.args.json() {
        answer["status"] = "error".into();
        answer["message"] = message.into();
    } else {
        print_error(&message);
    }
    show(call, &answer, &update_message(call, updated));
    FAILED
}

pub(super) fn reread(call: &Call<'_>) -> u8 {
    let with_secrets = call.args.has(Opt::Secrets);
    let file = match call.args.file.as_deref().map(std::path::absolute).transpose() {
        Ok(file) => file.map(|file| file.display().to_string()),
        Err(error) => return usage(call, &error.to_string()),
    };
    let ask = || match (&file, with_secrets) {
        (Some(file), secrets) => call.controller.reread_file(file, secrets),
        (None, true) => call.controller.reread_with_secrets(),
        (None, false) => call.controller.reread(),
    };
    match waited_for(call, ask) {
        Ok(plan) => {
            let json = ok(&plan);
            let Reread { added, removed, changed, warnings, daemon } = plan;
            let mut text: String = warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
            let before = text.len();
            text.extend(added.iter().map(|name| format!("{name}: added\n")));
            text.extend(removed.iter().map(|name| format!("{name}: removed\n")));
            for (name, keys) in &changed {
                text.extend(keys.iter().map(|change| changed_key(name, change)));
            }
            text.push_str(&listed(&[(NEEDS_RESTART, &daemon.restart)]));
            if text.len() == before {
                text.push_str("No changes\n");
            }
            show(call, &json, &text)
        }
        Err(error) => fail_at(call, error),
    }
}

fn changed_key(name: &str, KeyChange { key, old, new }: &KeyChange) -> String {
    // Values of variables are hidden: that they differ is all there is to tell.
    if old == new {
        return format!("{name}: {key} changed\n");
    }
    let shown = |value: &Value| match value {
        Value::Null => "none".to_owned(),
        _ => octal(key, value).unwrap_or_else(|| value.to_string()),
    };
    format!("{name}: {key} {} → {}\n", shown(old), shown(new))
}

/// The transitions of several processes, in the order in which they happened.
pub(super) fn history(call: &Call<'_>) -> u8 {
    let (names, unknown) = match targets(call, Kind::Processes, &call.args.names) {
        Ok(found) => found,
        Err(error) => return fail_at(call, error),
    };
    let is_of_all = call.args.names.is_empty();
    let items = match names.as_slice() {
        [] if is_of_all => call.controller.history(None),
        names => {
            names.iter().map(|name| call.controller.history(Some(name))).collect::<Result<Vec<_>, _>>().map(in_order)
        }
    };
    match items {
        Ok(items) => {
            let text: String = items.iter().map(past).collect();
            let is_silent = text.is_empty() && unknown.is_empty();
            let text = if is_silent { "Nothing has happened yet\n".to_owned() } else { text };
            let printed = show(call, &with_unknown(json!({"history": items}), &unknown), &text);
            report_unknown(call, &unknown);
            if unknown.is_empty() { printed } else { FAILED }
        }
        Err(error) => fail_at(call, error),
    }
}

fn in_order(of_each: Vec<Vec<HistoryItem>>) -> Vec<HistoryItem> {
    let mut all: Vec<HistoryItem> = of_each.into_iter().flatten().collect();
    all.sort_by(|one, other| one.time.total_cmp(&other.time));
    all
}

fn past(item: &HistoryItem) -> String {
    let HistoryItem { time: at, name, from_state, to_state, pid, cause, .. } = item;
    let pid = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
    let what = if from_state == to_state { format!("({to_state})") } else { format!("{from_state} -> {to_state}") };
    let cause = printable(cause);
    format!("{} {} {what}{pid}: {cause}\n", time_of_day(*at, true), printable(name))
}

/// One answer for each name, in their order.
pub(super) fn why(call: &Call<'_>) -> u8 {
    let (names, unknown) = match targets(call, Kind::Processes, &call.args.names) {
        Ok(found) => found,
        Err(error) => return fail_at(call, error),
    };
    let mut code = DONE;
    for (number, name) in names.iter().enumerate() {
        let outcome = match call.controller.why(name) {
            Ok(why) => {
                let gap = if number > 0 { "\n" } else { "" };
                show(call, &ok(&why), &format!("{gap}{}", explanation(&why)))
            }
            Err(error) => fail_at(call, error),
        };
        code = if code == DONE { outcome } else { code };
    }
    answer_for(call, &unknown);
    if code == DONE && !unknown.is_empty() { FAILED } else { code }
}

fn explanation(why: &Why) -> String {
    let mut text: String = why.lines.iter().map(|line| format!("{}\n", printable(line))).collect();
    if !why.stderr.is_empty() {
        text.push_str("Its last words:\n");
        text.extend(why.stderr.iter().map(|line| format!("  {}\n", printable(line))));
    }
    text
}
