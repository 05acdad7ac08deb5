//! `supervicectl flag`: what programs wait for by `start_when = flag:NAME`.

use serde_json::{Value, json};

use super::call::{Call, answer_code, code_of, explain, fail_at};
use super::exit::{DONE, USAGE};
use super::print::{print, print_error};
use super::text::printable;
use crate::client::Flag;
use crate::util::did_you_mean::closest;
use crate::util::width::columns;

/// What can be done with flags.
pub(super) const ACTIONS: [&str; 3] = ["set", "clear", "list"];

/// `flag set NAME...`, `flag clear NAME...`, `flag list`
pub(super) fn flag(call: &Call<'_>) -> u8 {
    let (action, names) = call.args.names.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    match (action, names) {
        ("list", []) => list(call),
        ("list", _) => usage("flag list takes no name"),
        ("set" | "clear", []) => usage(&format!("flag {action} takes one name at least")),
        ("set", names) => set(call, names, true),
        ("clear", names) => set(call, names, false),
        (other, _) => {
            let nearest = closest(other, ACTIONS.into_iter());
            let hint = nearest.map_or_else(String::new, |nearest| format!("; did you mean {nearest}?"));
            usage(&format!("flag takes set, clear or list, not '{other}'{hint}"))
        }
    }
}

fn usage(message: &str) -> u8 {
    print_error(&format!("{message}\nTry 'supervicectl --help'."));
    USAGE
}

/// Each of them, and the exit code of the first failure.
fn set(call: &Call<'_>, names: &[String], is_set: bool) -> u8 {
    let mut code = DONE;
    let mut told = Vec::new();
    for name in names {
        let result = match call.controller.set_flag(name, is_set) {
            Ok(message) if call.args.json() => {
                told.push(json!({"name": name, "status": "ok", "message": message}));
                DONE
            }
            Ok(message) => print(&format!("{}\n", printable(&message))),
            Err(error) => {
                let message = explain(call, &error);
                match call.args.json() {
                    true => told.push(
                        json!({"name": name, "status": "error", "code": answer_code(&error), "message": message}),
                    ),
                    false => print_error(&message),
                }
                code_of(&error)
            }
        };
        code = if code == DONE { result } else { code };
    }
    if call.args.json() {
        let status = if code == DONE { "ok" } else { "error" };
        print(&format!("{}\n", json!({"status": status, "results": told})));
    }
    code
}

fn list(call: &Call<'_>) -> u8 {
    let flags = match call.controller.flags() {
        Ok(flags) => flags,
        Err(error) => return fail_at(call, error),
    };
    if call.args.json() {
        let flags = crate::util::json::value_of(&flags);
        return print(&format!("{}\n", Value::from_iter([("status", "ok".into()), ("flags", flags)])));
    }
    if flags.is_empty() {
        return print("No flag is set, and no program waits for one\n");
    }
    print(&table(&flags))
}

fn table(flags: &[Flag]) -> String {
    let widest = flags.iter().map(|flag| columns(&flag.name)).max().unwrap_or(0).max("NAME".len());
    let line = |name: &str, state: &str, programs: &str| {
        let padding = " ".repeat(widest.saturating_sub(columns(name)));
        format!("{}\n", format!("{name}{padding}  {state:<5}  {programs}").trim_end())
    };
    let mut text = line("NAME", "STATE", "PROGRAMS");
    for flag in flags {
        let mut programs = flag.programs.join(", ");
        if flag.more > 0 {
            programs.push_str(&format!(" and {} more", flag.more));
        }
        let state = if flag.set { "set" } else { "clear" };
        text.push_str(&line(&printable(&flag.name), state, &printable(&programs)));
    }
    text
}
