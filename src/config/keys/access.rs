//! The keys of a rule of access, in the order of the manual.

use super::row::{KeyRow, Rare, Reload, Scope, Section, field, key, other_than, set, there};
use crate::config::diagnostic::Fault;
use crate::config::fields::Given;
use crate::models::{AccessRule, Principal, ProgramPattern, Right, Rights};
use crate::sys::users::{lookup_group, lookup_user};
use crate::util::did_you_mean::closest;

/// Every key of `[access:NAME]`.
pub(crate) static ACCESS: &[KeyRow<AccessRule>] = &[
    key!(Access "who" => who by who; Section Live; "";
        "`user:NAME`, `group:NAME` (on a unix socket), `http:NAME` (who has logged in by HTTP): any one of them"),
    key!(Access "allow" => allow = allow; Section Live; "";
        "`read`, `start`, `stop`, `restart`, `signal`, `stdin`, `logs`, `reload`, `admin`, or `all` of it"),
    key!(Access "programs" => programs = programs; Section Live; "";
        "patterns of names, and `group:NAME`; else all programs, and the daemon itself"),
];

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', '\n']).map(str::trim).filter(|word| !word.is_empty())
}

fn who(rule: &mut AccessRule, given: &mut Given<'_>) -> Result<(), Fault> {
    let text = given.text()?;
    rule.who = words(&text).map(principal).collect::<Result<Vec<Principal>, Fault>>()?;
    Ok(())
}

fn principal(word: &str) -> Result<Principal, Fault> {
    let hint = "write user:NAME, group:NAME or http:NAME";
    let (kind, name) = word.split_once(':').unwrap_or(("", word));
    let name = name.trim();
    if name.is_empty() {
        return Err(Fault::new(format!("{word} names nobody"), hint));
    }
    let unknown = |what: &str| {
        Fault::new(format!("there is no {what} {name}"), "write the name of one of this system, or a numeric id")
    };
    let name = name.to_owned();
    match kind.trim() {
        "user" => {
            let user = lookup_user(&name).map_err(|_| unknown("user"))?;
            Ok(Principal::User { name, uid: user.uid })
        }
        "group" => {
            let gid = lookup_group(&name).map_err(|_| unknown("group"))?;
            Ok(Principal::Group { name, gid })
        }
        "http" => Ok(Principal::Http { name }),
        _ => Err(Fault::new(format!("{word} is neither user:, group: nor http:"), hint)),
    }
}

fn allow(text: &str) -> Result<Rights, Fault> {
    let mut rights = Rights::NONE;
    for word in words(text) {
        match (word, Right::from_name(word)) {
            ("all", _) => rights = Rights::all(),
            (_, Some(right)) => rights.insert(right),
            (_, None) => {
                let hint = match closest(word, Right::ALL.iter().map(|right| right.as_str())) {
                    Some(right) => format!("did you mean {right}?"),
                    None => "write read, start, stop, restart, signal, stdin, logs, reload, admin or all".to_owned(),
                };
                return Err(Fault::new(format!("{word} is no right"), hint));
            }
        }
    }
    Ok(rights)
}

fn programs(text: &str) -> Result<Vec<ProgramPattern>, Fault> {
    let pattern = |word: &str| match word.split_once(':') {
        Some(("group", "")) => Err(Fault::new("group: without a name", "write group:NAME")),
        Some(("group", name)) => Ok(ProgramPattern::Group(name.trim().to_owned())),
        Some(_) | None => Ok(ProgramPattern::Name(word.to_owned())),
    };
    let patterns: Vec<ProgramPattern> = words(text).map(pattern).collect::<Result<_, Fault>>()?;
    // No pattern means all programs: a key that names none may not be taken for that.
    if patterns.is_empty() {
        return Err(Fault::new("names no program", "write patterns of names, or remove the key if all are meant"));
    }
    Ok(patterns)
}
