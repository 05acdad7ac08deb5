//! Who may use whom, and that no files use each other in a circle.

use std::path::{Path, PathBuf};

use crate::modules::{ModulePath, Modules};
use crate::{is_test, sources};

/// Which rooms each room may use (itself always, and what lies inside it). A room is a module of the crate, or one inside
/// another; a file belongs to the innermost. An entry with an item's name allows that item alone.
const ARROWS: &[(&str, &[&str])] = &[
    ("models", &[]),
    ("util", &[]),
    ("failpoint", &[]),
    ("process", &["models", "failpoint", "util"]),
    // What a warning about the file is: plain data.
    ("api", &["models", "process", "util", "config::Diagnostic"]),
    ("codec", &["api", "models", "process", "util"]),
    ("schedule", &["models", "util"]),
    ("sys", &["process", "models", "util"]),
    ("config", &["models", "process", "sys", "util"]),
    ("events", &["api", "process", "util"]),
    ("health", &["models", "failpoint", "process", "sys", "util"]),
    ("logger", &["models", "sys", "util"]),
    ("output", &["models", "failpoint", "process", "sys", "logger", "util"]),
    ("control", &["api", "codec", "failpoint", "models", "process", "sys", "util"]),
    ("core", CORE),
    (
        "core/engine",
        &[
            "api",
            "failpoint",
            "models",
            "process",
            "util",
            "core/effect",
            // The plan of a reload, which is pure, and what the loader hands over.
            "config::Additions",
            "config::ConfigError",
            "config::Configuration",
            "config::KeyDiff",
            "config::ProgramOrigins",
            "config::LoadResult",
            "config::ReloadPlan",
            "config::ScaleOverride",
            "config::Scaled",
            "config::all_keys",
            "config::changed_keys",
            "config::changed_settings",
            "config::dependency_circle",
            "config::dependency_edges",
            "config::diff_shared",
            "config::differ_in_number_alone",
            "config::needs_restart",
            // Plain data that inputs carry from the threads: the type is public there, or belongs to them alone.
            "health::HealthCheckResult",
            "output::Note",
        ],
    ),
    // The language between the engine and the effects: inputs and effects, plain data of both sides.
    (
        "core/effect",
        &["api", "config", "control", "health", "models", "output", "process", "core/engine", "core/effects"],
    ),
    ("core/effects", CORE),
    ("client", &["api", "codec", "models", "process", "sys", "util"]),
    ("ctl", &["client", "codec", "config", "models", "process", "sys", "util"]),
    ("init", &["process", "sys", "util"]),
    ("daemon", &["api", "config", "core", "init", "logger", "models", "process", "schedule", "sys", "util"]),
];

/// What performs the engine's decisions reaches everything around them.
const CORE: &[&str] = &[
    "failpoint",
    "api",
    "codec",
    "config",
    "control",
    "core",
    "core/effect",
    "core/effects",
    "core/engine",
    "events",
    "health",
    "logger",
    "models",
    "output",
    "process",
    "schedule",
    "sys",
    "util",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn modules() -> Modules {
    let files: Vec<_> = sources("src").into_iter().filter(|(path, _)| !is_test(path)).collect();
    Modules::read(&root(), files.iter().map(|(path, text)| (path.as_path(), text.as_str())))
}

/// The innermost room of a module.
fn room_of(module: &ModulePath) -> Option<(&'static str, &'static [&'static str])> {
    let is_inside = |room: &str| room.split('/').zip(module.iter()).filter(|(part, name)| part == name).count();
    let rooms = ARROWS.iter().filter(|(room, _)| is_inside(room) == room.split('/').count());
    rooms.max_by_key(|(room, _)| room.len()).copied()
}

#[test]
fn modules_use_only_what_lies_below_them() {
    let modules = modules();
    let mut wrong = Vec::new();
    for (name, file) in modules.all().filter(|(name, _)| !name.is_empty()) {
        let Some((room, allowed)) = room_of(name) else {
            panic!("{file} is new: add its arrows here and in src/lib.rs")
        };
        for found in modules.uses(name) {
            let path = found.path.join("::");
            // The module that the path names: what that one re-exports is its own affair.
            let Some(target) = modules.targets(&found.path).into_iter().next().filter(|target| !target.is_empty())
            else {
                continue;
            };
            let Some((used, _)) = room_of(&target) else { panic!("{path} in {file} is in no room") };
            if used != room && !allowed.contains(&used) && !allowed.contains(&path.as_str()) {
                wrong.push(format!("{file}:{}: {room} may not use {path}", found.line));
            }
        }
    }
    assert!(wrong.is_empty(), "move the code, or pass a message or closure instead:\n{}", wrong.join("\n"));
}

/// What the picture of the rooms promises, whatever is added to the table.
#[test]
fn the_pure_rooms_stay_pure() {
    for room in ["process", "api", "codec", "core/engine"] {
        let (_, allowed) = ARROWS.iter().find(|(name, _)| *name == room).expect("a room");
        for reach in ["sys", "control", "core/effects", "events", "logger", "client"] {
            assert!(!allowed.contains(&reach), "{room} decides and describes; {reach} does");
        }
    }
    let (_, allowed) = ARROWS.iter().find(|(name, _)| *name == "control").expect("a room");
    assert!(!allowed.iter().any(|used| used.starts_with("core")), "control knows the core by what api says");
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let circles: Vec<String> = modules().circles().iter().map(|circle| circle.join("\n  ")).collect();
    assert!(circles.is_empty(), "move what they share into a file below both:\n{}", circles.join("\n\n"));
}
