//! `supervicectl access`: what whoever asks may do.

use serde_json::json;

use super::call::{Call, fail_at};
use super::query::show;
use super::text::printable;
use crate::client::Access;
use crate::models::{Right, Rights};
use crate::util::width::columns;

/// What the daemon itself is called in the list.
const DAEMON: &str = "(the daemon)";

/// Shows what the caller may do with each program that he may see, and with the daemon.
pub(super) fn access(call: &Call<'_>) -> u8 {
    match call.controller.access() {
        Ok(access) => {
            let Access { who, unlimited, daemon, programs } = &access;
            let answer =
                json!({"status": "ok", "who": who, "unlimited": unlimited, "daemon": daemon, "programs": programs});
            show(call, &answer, &text(&access))
        }
        Err(error) => fail_at(call, error),
    }
}

fn text(access: &Access) -> String {
    let mut text = format!("You are {}.\n", printable(&access.who));
    match access.unlimited.as_deref() {
        Some("no_rules") => text.push_str("There are no rules of access: whoever gets in may do all.\n"),
        Some(_) => text.push_str("Root and the daemon's own user may do all.\n"),
        None => {
            let width = access.programs.iter().map(|program| columns(&printable(&program.name))).max();
            let width = width.unwrap_or(0).max(DAEMON.len());
            let mut line = |name: &str, rights: Rights| {
                let name = printable(name);
                let gap = width - columns(&name);
                text.push_str(&format!("{name}{:gap$}  {}\n", "", words(rights)));
            };
            access.programs.iter().for_each(|program| line(&program.name, program.rights));
            line(DAEMON, access.daemon);
        }
    }
    text
}

fn words(rights: Rights) -> String {
    if rights == Rights::all() {
        return "all".to_owned();
    }
    match rights.iter().map(Right::as_str).collect::<Vec<&str>>().join(" ") {
        words if words.is_empty() => "nothing".to_owned(),
        words => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::ProgramRights;

    #[test]
    fn rights_are_listed_by_program_and_who_may_do_all_is_told_why() {
        let mut access = Access {
            who: "uid 1000, pid 7".to_owned(),
            unlimited: None,
            daemon: Rights::NONE,
            programs: vec![
                ProgramRights { name: "web".to_owned(), rights: [Right::Restart, Right::Read].into_iter().collect() },
                ProgramRights { name: "a-rather-long-name".to_owned(), rights: Rights::all() },
            ],
        };
        assert_eq!(
            text(&access),
            "You are uid 1000, pid 7.\nweb                 read restart\na-rather-long-name  all\n\
             (the daemon)        nothing\n"
        );
        access.unlimited = Some("no_rules".to_owned());
        assert!(text(&access).ends_with("whoever gets in may do all.\n"));
        access.unlimited = Some("own_user".to_owned());
        assert!(text(&access).ends_with("may do all.\n"));
    }
}
