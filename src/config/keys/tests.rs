//! The table against what must agree with it: the models, their defaults, a file that sets every key, the README and
//! the man page.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::row::KeyRow;
use super::*;
use crate::config::checks::Checks;
use crate::config::diagnostic::Report;
use crate::config::document::Document;
use crate::config::fields::Fields;
use crate::config::{LoadOptions, load};
use crate::models::{
    AccessRule, Confinement, Defaults, Dialect, FcgiSocket, Hooks, HttpConfig, ProgramConfig, RestartPolicy,
    ScheduleConfig, SupervisorConfig,
};

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Groups of settings, whose fields are the program's.
const GROUPS: [&str; 6] = ["healthcheck", "confinement", "hooks", "restart", "fcgi", "schedule"];

/// The fields of an object with their values; `skipped` ones are no settings.
fn fields(value: &Value, skipped: &[&str]) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for (name, value) in value.as_object().expect("an object") {
        match value.as_object() {
            Some(inner) if GROUPS.contains(&name.as_str()) => {
                found.extend(inner.iter().map(|(inner, value)| (format!("{name}.{inner}"), value.clone())));
            }
            _ if skipped.contains(&name.as_str()) => {}
            _ => drop(found.insert(name.clone(), value.clone())),
        }
    }
    found
}

fn program_fields(program: &ProgramConfig) -> BTreeMap<String, Value> {
    let mut program = serde_json::to_value(program).expect("JSON");
    // Absent where none of it is set.
    let groups = [
        ("confinement", serde_json::to_value(Confinement::default()).expect("JSON")),
        ("hooks", serde_json::to_value(Hooks::default()).expect("JSON")),
        ("restart", serde_json::to_value(RestartPolicy::default()).expect("JSON")),
        ("fcgi", serde_json::to_value(FcgiSocket::defaults()).expect("JSON")),
        ("schedule", serde_json::to_value(ScheduleConfig::default()).expect("JSON")),
    ];
    for (name, defaults) in groups {
        program.as_object_mut().expect("an object").entry(name).or_insert(defaults);
    }
    program.as_object_mut().expect("an object").entry("stop_scope").or_insert("run".into());
    // The name is the section's, the priority of its group another section's, and whether a key is there is in no file;
    // nor is what a dialect decides.
    fields(&program, &["name", "group_priority", "serverurl_given", "ignores_early_exits"])
}

fn daemon_fields(config: &SupervisorConfig) -> BTreeMap<String, Value> {
    // The programs are other sections.
    fields(&serde_json::to_value(config).expect("JSON"), &["programs", "http", "access", "dialect"])
}

fn values<C>(rows: &[KeyRow<C>], config: &C) -> BTreeMap<String, Value> {
    let found: BTreeMap<String, Value> =
        rows.iter().map(|row| (row.field().to_owned(), (row.get)(config).json())).collect();
    assert_eq!(found.len(), rows.len(), "two rows have the same field");
    found
}

#[test]
fn each_field_of_the_models_has_exactly_one_row_and_each_row_has_a_field() {
    let (program, config) = (ProgramConfig::new("p", "run"), SupervisorConfig::default());
    assert_eq!(values(PROGRAM, &program), program_fields(&program));
    assert_eq!(values(DAEMON, &config), daemon_fields(&config));
    let http = HttpConfig::new("http");
    // The name is the section's.
    assert_eq!(values(HTTP, &http), fields(&serde_json::to_value(&http).expect("JSON"), &["name"]));
    let rule = AccessRule::new("rule");
    assert_eq!(values(ACCESS, &rule), fields(&serde_json::to_value(&rule).expect("JSON"), &["name"]));
}

#[test]
#[cfg_attr(
    not(all(feature = "schedules", feature = "attach")),
    ignore = "a file with every key has a schedule and a terminal, which this build refuses"
)]
fn each_key_of_a_file_with_all_of_them_reaches_its_field() {
    // The first file names its env file relative to the root of the package, in which tests run.
    for (file, only) in [("every_key", None), ("every_supervisord_key", Some(Dialect::Supervisord))] {
        let path = root(&format!("tests/config/recordings/{file}.ini"));
        let config = load(&path, &LoadOptions::default()).expect("it holds").config;
        let program = config.programs.first().expect("the program with every key");
        assert_eq!(values(PROGRAM, program), program_fields(program));
        assert_eq!(values(DAEMON, &config), daemon_fields(&config));
        for row in HTTP
            .iter()
            .filter(|row| only.is_none() || row.also().iter().any(|(section, _)| *section == Section::UnixServer))
        {
            let http = config.http.first().expect("a socket with every key");
            assert!(
                !row.is_same(http, &HttpConfig::new("")),
                "set {} to another value than its default in {path:?}",
                row.name
            );
        }
        for row in ACCESS {
            let rule = config.access.first().expect("a rule with every key");
            assert!(!row.is_same(rule, &AccessRule::new("")), "set {} in {path:?}", row.name);
        }
        let fresh = ProgramConfig::new("every", "");
        let listener = config.programs.iter().find(|program| program.is_listener());
        let fcgi = config.programs.iter().find(|program| program.fcgi.address.is_some());
        for row in PROGRAM.iter().filter(|row| row.only == only) {
            let program = match row.section {
                Section::EventListener => listener.expect("a listener"),
                Section::FcgiProgram => fcgi.expect("an fcgi-program"),
                _ => program,
            };
            assert!(!row.is_same(program, &fresh), "set {} to another value than its default in {path:?}", row.name);
        }
        for row in DAEMON.iter().filter(|row| row.only == only) {
            let fresh = SupervisorConfig::default();
            assert!(!row.is_same(&config, &fresh), "set {} to another value than its default in {path:?}", row.name);
        }
    }
}

#[test]
fn the_defaults_that_the_documents_tell_are_those_of_the_models() {
    fn check<C>(rows: &[KeyRow<C>], fresh: fn() -> C) {
        for row in rows {
            let default = fresh();
            let value = (row.get)(&default).json();
            let Some(read) = row.read.filter(|_| !row.default.is_empty()) else {
                let empty = [Value::Null, Value::from(""), Value::Array(Vec::new()), Value::Object(Default::default())];
                assert!(empty.contains(&value), "{} has the default {value} in the models, none in its row", row.name);
                continue;
            };
            let key = row.name;
            let dialect = row.only.unwrap_or_default();
            let (section, _) = row.sources(dialect).next().expect("a section");
            let text = format!("[{}]\n{key} = {}\n", section.name(), row.default);
            let document = Document::from_text_in(&text, dialect);
            let document = document.expect("a key");
            let (mut report, mut config) = (Report::default(), fresh());
            let view = document.section(section.name()).expect("the section");
            Fields { view, scope: crate::config::expand::Scope { dialect, ..Default::default() }, report: &mut report }
                .parse(key, &mut Checks::default(), &mut |given| read(&mut config, given));
            assert!(report.problems.is_empty(), "{}: {:?}", row.name, report.problems);
            assert_eq!((row.get)(&config).json(), value, "{} = {}", row.name, row.default);
        }
    }
    check(PROGRAM, || ProgramConfig::new("p", ""));
    check(DAEMON, SupervisorConfig::default);
    check(HTTP, || HttpConfig::new(""));
    check(ACCESS, || AccessRule::new(""));
}

#[test]
fn only_rows_that_are_read_elsewhere_have_no_reader() {
    for row in PROGRAM {
        assert_eq!(row.read.is_none(), row.scope == Scope::Elsewhere, "{}", row.name);
    }
    assert!(DAEMON.iter().all(|row| row.read.is_some() && row.scope == Scope::Section));
    assert!(DAEMON.iter().all(|row| matches!(row.reload, Reload::Live | Reload::Restart)));
}

/// A key as the documents show it: its name, its default and its line.
struct Documented {
    name: &'static str,
    /// It is of supervisord's dialect alone.
    is_supervisord: bool,
    default: &'static str,
    help: &'static str,
}

fn documented<C>(rows: &'static [KeyRow<C>], section: Section) -> Vec<Documented> {
    let rows = rows.iter().filter(|row| row.section == section);
    // That of the only dialect that knows the key.
    let default = |row: &KeyRow<C>| row.only.and_then(|dialect| row.default_in(dialect)).unwrap_or(row.default);
    rows.map(|row| Documented {
        name: row.name,
        is_supervisord: row.only.is_some(),
        default: default(row),
        help: row.help,
    })
    .collect()
}

/// The rows of the README's table. A key of standard error that is like its twin of standard output shares the line.
fn table(keys: &[Documented]) -> String {
    let twin_of = |name: &str, prefix: &str, other: &str| {
        let twin = format!("{other}{}", name.strip_prefix(prefix)?);
        keys.iter().find(|key| key.name == twin)
    };
    let mut lines = String::new();
    for key in keys {
        if twin_of(key.name, "stderr_", "stdout_").is_some_and(|twin| twin.help == key.help) {
            continue;
        }
        let twin = twin_of(key.name, "stdout_", "stderr_").filter(|twin| twin.help == key.help);
        let names = twin.map_or_else(String::new, |twin| format!(", `{}`", twin.name));
        let default = match key.default {
            "" => String::new(),
            number if number.parse::<u32>().is_ok_and(|value| value.to_string() == number) => format!("{number} "),
            text => format!("`{text}` "),
        };
        lines.push_str(&format!("| `{}`{names} | {default}| {} |\n", key.name, key.help));
    }
    lines
}

#[test]
fn the_tables_of_the_readme_are_those_of_the_keys() {
    let path = root("README.md");
    let readme = fs::read_to_string(&path).expect("README.md");
    let mut wanted = readme.clone();
    for (section, keys) in [
        ("`[supervice]`", documented(DAEMON, Section::Supervice)),
        ("`[http]`, `[http:NAME]`", documented(HTTP, Section::Http)),
        ("`[access:NAME]`", documented(ACCESS, Section::Access)),
        ("`[program:NAME]`", documented(PROGRAM, Section::Program)),
        ("`[eventlistener:NAME]`", documented(PROGRAM, Section::EventListener)),
        ("`[fcgi-program:NAME]`", documented(PROGRAM, Section::FcgiProgram)),
    ] {
        let head = format!("{section}\n\n| key | default | meaning |\n|---|---|---|\n");
        let (before, after) = wanted.split_once(&head).unwrap_or_else(|| panic!("the README lacks {head}"));
        let after: String = after.split_inclusive('\n').skip_while(|line| line.starts_with('|')).collect();
        wanted = format!("{before}{head}{}{after}", table(&keys));
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return fs::write(&path, wanted).expect("written");
    }
    assert!(readme == wanted, "UPDATE_GOLDEN=1 cargo test --lib tables_of_the_readme writes the tables anew");
}

/// The text of an item of the man page, macros removed: from its `.It` to that of the next key.
fn item(page: &str, name: &str, all: &[&str]) -> Option<String> {
    let names = |line: &str| -> Vec<String> {
        line.strip_prefix(".It Cm ").unwrap_or_default().split([' ', ',']).map(str::to_owned).collect()
    };
    let mut lines = page.lines().skip_while(|line| !names(line).iter().any(|word| word == name));
    lines.next()?;
    let is_end = |line: &str| {
        line.starts_with(".Sh ")
            || line.starts_with(".Ss ")
            || names(line).iter().any(|word| all.contains(&word.as_str()))
    };
    let words = lines.take_while(|line| !is_end(line)).map(|line| match line.strip_prefix('.') {
        Some(call) => call.split_once(' ').map_or("", |(_, arguments)| arguments),
        None => line,
    });
    Some(words.collect::<Vec<_>>().join(" "))
}

#[test]
fn the_man_page_names_each_key_with_its_default() {
    let page = fs::read_to_string(root("packaging/man/supervice.conf.5")).expect("the page");
    let mut keys = documented(DAEMON, Section::Supervice);
    keys.extend(documented(HTTP, Section::Http));
    keys.extend(documented(ACCESS, Section::Access));
    keys.extend(documented(PROGRAM, Section::Program));
    keys.extend(documented(PROGRAM, Section::EventListener));
    let fcgi = documented(PROGRAM, Section::FcgiProgram);
    let all: Vec<&str> = keys.iter().map(|key| key.name).collect();
    let (_, theirs) = page.split_once(".Sh CONFIGURATIONS OF SUPERVISORD").expect("the section");
    // Some of its keys are called as those of the daemon's own socket.
    let (_, fcgi_page) = page.split_once(".Sh SECTIONS [fcgi-program:NAME]").expect("the section");
    let fcgi = fcgi.iter().map(|key| (key, fcgi_page));
    let others = keys.iter().map(|key| (key, if key.is_supervisord { theirs } else { page.as_str() }));
    for (key, part) in others.chain(fcgi) {
        let text = item(part, key.name, &all);
        let text = text.unwrap_or_else(|| panic!("supervice.conf.5 lacks `.It Cm {}`", key.name));
        if key.default.is_empty() {
            continue;
        }
        let default = text.rsplit_once("Default: ").map_or("", |(_, default)| default);
        let told = default.split(' ').next().unwrap_or_default().trim_end_matches(['.', ',']);
        assert_eq!(told, key.default, "the default of {} in supervice.conf.5", key.name);
    }
    let sections = [Section::Supervisord, Section::UnixServer, Section::InetServer, Section::Group, Section::Include];
    for section in sections {
        for key in known_in(section, Dialect::Supervisord) {
            assert!(page.contains(key), "supervice.conf.5 lacks {key} of [{}]", section.name());
        }
    }
}

/// Items of a list of the manual: a head, and the names of these keys in lines of at most 120 columns.
fn items_of_keys(head: &str, keys: &[&str]) -> String {
    const BEGIN: &str = ".Cm ";
    let mut text = format!(".It {head}\n");
    let mut line = BEGIN.to_owned();
    for (number, key) in keys.iter().enumerate() {
        let last = number + 1 == keys.len();
        if line.len() + key.len() + 2 > 120 {
            text.push_str(line.trim_end());
            text.push('\n');
            line = BEGIN.to_owned();
        }
        line.push_str(key);
        line.push_str(if last { "" } else { " , " });
    }
    text + &line + "\n"
}

fn names_of<C>(rows: &[KeyRow<C>], reload: impl Fn(Reload) -> bool) -> Vec<&'static str> {
    // What a group says of its members is a row of theirs, and no key.
    let is_key = |row: &&KeyRow<C>| row.scope != Scope::Elsewhere;
    let its = rows.iter().filter(is_key).filter(|row| reload(row.reload));
    let mut names: Vec<&str> = its.map(|row| row.name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// `UPDATE_GOLDEN=1` writes the list anew.
#[test]
fn the_man_page_tells_of_each_key_when_a_change_takes_effect() {
    const BEGIN: &str = ".\\\" This list is made from the table of keys.\n.Bl -tag -width Ds\n";
    let path = root("packaging/man/supervice.conf.5");
    let page = fs::read_to_string(&path).expect("the page");
    let (before, after) =
        page.split_once(BEGIN).expect("supervice.conf.5 lacks the list of when a change takes effect");
    let (_, after) = after.split_once(".El\n").expect("its end");
    let if_captured = |reload| matches!(reload, Reload::IfStdoutCaptured | Reload::IfStderrCaptured);
    let list = [
        (
            "Of a program: at once, or when it starts or ends the next time",
            names_of(PROGRAM, |reload| reload == Reload::Live),
        ),
        (
            "Of a program: at once where the stream is captured already, else by its restart",
            names_of(PROGRAM, if_captured),
        ),
        ("Of a program: by its restart", names_of(PROGRAM, |reload| reload == Reload::Restart)),
        ("Of the daemon: at once", names_of(DAEMON, |reload| reload == Reload::Live)),
        ("Of the daemon: by its restart", names_of(DAEMON, |reload| reload == Reload::Restart)),
    ];
    let list: String = list.iter().map(|(head, keys)| items_of_keys(head, keys)).collect();
    let wanted = format!("{before}{BEGIN}{list}.El\n{after}");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return fs::write(&path, wanted).expect("written");
    }
    assert!(page == wanted, "UPDATE_GOLDEN=1 cargo test --features internals --lib when_a_change writes the list anew");
    assert!(HTTP.iter().map(|row| row.reload).chain(ACCESS.iter().map(|row| row.reload)).all(|at| at == Reload::Live));
}

/// Words that are keys and something else as well: options and commands, a form in a value, a kind of section.
const ALSO_OTHER_WORDS: [&str; 7] = ["ready", "logfile", "loglevel", "numprocs", "group", "stdin", "events"];

/// The keys that are arms of a `match` in the part of a file that ships.
fn arms<'k>(text: &str, keys: &[&'k str]) -> Vec<&'k str> {
    let code = text.split("#[cfg(test)]").next().unwrap_or(text);
    let quoting: Vec<&str> = code.lines().filter(|line| line.contains('"')).collect();
    let is_arm = |line: &str, quoted: &str| {
        let mut after = line.split(quoted).skip(1);
        after.any(|rest| {
            let rest = rest.trim_start_matches([')', ' ']);
            rest.starts_with("=>") || rest.starts_with("| \"")
        })
    };
    let is_told_apart = |key: &&str| {
        let quoted = format!("\"{key}\"");
        quoting.iter().any(|line| is_arm(line, &quoted))
    };
    keys.iter().copied().filter(is_told_apart).collect()
}

#[test]
fn nothing_but_the_table_tells_keys_apart_by_name() {
    let sections = [
        Section::Supervice,
        Section::Supervisord,
        Section::Http,
        Section::Access,
        Section::UnixServer,
        Section::InetServer,
        Section::EventListener,
        Section::FcgiProgram,
    ];
    let dialects = [Dialect::Supervice, Dialect::Supervisord];
    let known = |section| dialects.into_iter().flat_map(move |dialect| known_in(section, dialect));
    let mut keys: Vec<&str> = sections.into_iter().flat_map(known).collect();
    keys.retain(|key| !ALSO_OTHER_WORDS.contains(key));
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(arms("match key {\n    \"user\" => 1,\n    (\"pidfile\" | \"umask\") => 2,", &keys).len(), 3);
    let mut wrong = Vec::new();
    let mut open = vec![root("src")];
    while let Some(path) = open.pop() {
        if path.ends_with("config/keys") {
            // The table itself.
        } else if path.is_dir() {
            open.extend(fs::read_dir(&path).expect("a directory").map(|entry| entry.expect("an entry").path()));
        } else if !path.ends_with("tests.rs") && !path.components().any(|part| part.as_os_str() == "tests") {
            let found = arms(&fs::read_to_string(&path).expect("UTF-8"), &keys);
            // One alone may be a word of another language, such as a field of a message.
            if found.len() > 1 {
                wrong.push(format!("{}: {found:?}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "give the row what the code asks for, and go through the table:\n{}", wrong.join("\n"));
}

#[test]
fn a_key_is_known_where_it_is_on_the_list() {
    let sections = [
        Section::Supervice,
        Section::Supervisord,
        Section::Http,
        Section::UnixServer,
        Section::InetServer,
        Section::Access,
        Section::Include,
        Section::Program,
        Section::EventListener,
        Section::FcgiProgram,
        Section::Group,
    ];
    let both = [Dialect::Supervice, Dialect::Supervisord];
    let lists = |dialect| sections.iter().flat_map(move |section| known_in(*section, dialect));
    let keys: std::collections::BTreeSet<&str> = both.into_iter().flat_map(lists).chain(["no_key"]).collect();
    for (dialect, section) in both.into_iter().flat_map(|dialect| sections.map(|section| (dialect, section))) {
        let known = known_in(section, dialect);
        for key in &keys {
            assert_eq!(is_known_in(section, dialect, key), known.contains(key), "{key} in {section:?}, {dialect:?}");
        }
    }
}

#[test]
fn what_no_message_repeats_are_keys() {
    let both = [Dialect::Supervice, Dialect::Supervisord];
    for key in crate::config::diagnostic::SECRET_KEYS {
        let is_known = |section| both.into_iter().any(|dialect| is_known_in(section, dialect, key));
        let sections = [Section::Program, Section::Http, Section::InetServer, Section::UnixServer, Section::Supervice];
        assert!(sections.into_iter().any(is_known), "{key} is no key any more");
    }
}
