//! Rules of the house that a machine can check. Each failure says what to do instead.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(dir: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(dir)];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).expect("a directory").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                // What a package below has built (the fuzz targets are one) is not written by us.
                if !entry.ends_with("target") {
                    open.push(entry);
                }
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&entry).expect("UTF-8");
                found.push((entry, text));
            }
        }
    }
    assert!(!found.is_empty(), "no sources below {dir}");
    found.sort();
    found
}

/// The part of a file that ships: without its tests and comments.
fn shipped(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let code = text.split("#[cfg(test)]").next().unwrap_or(text);
    code.lines()
        .enumerate()
        .map(|(number, line)| (number + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn is_test(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.contains("/tests/") || text.ends_with("tests.rs") || text.ends_with("testing.rs")
}

/// Which modules of the crate each module may use (its own always).
const ARROWS: &[(&str, &[&str])] = &[
    ("models", &[]),
    ("util", &[]),
    ("failpoint", &[]),
    ("process", &["models", "failpoint", "util"]),
    ("api", &["models", "process", "util"]),
    ("codec", &["api", "models", "process", "util"]),
    ("sys", &["process", "models", "util"]),
    ("config", &["models", "process", "sys", "util"]),
    ("events", &["api", "process"]),
    ("health", &["models", "failpoint", "process", "sys", "util"]),
    ("logger", &["models", "sys", "util"]),
    ("output", &["models", "failpoint", "process", "sys", "logger", "util"]),
    ("control", &["api", "codec", "failpoint", "process", "sys"]),
    (
        "core",
        &[
            "api", "codec", "config", "control", "events", "health", "logger", "models", "output", "process", "sys",
            "util",
        ],
    ),
    ("client", &["codec", "models", "sys", "util"]),
    ("ctl", &["client", "codec", "config", "models", "process", "sys", "util"]),
    ("init", &["process", "sys", "util"]),
    ("daemon", &["config", "core", "init", "logger", "models", "sys", "util"]),
];

#[test]
fn modules_use_only_what_lies_below_them() {
    let mut wrong = Vec::new();
    for (path, text) in sources("src").iter().filter(|(path, _)| !is_test(path)) {
        let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("below src");
        let module = below.components().next().expect("a name").as_os_str().to_string_lossy().replace(".rs", "");
        if module == "lib" {
            continue;
        }
        let allowed = ARROWS.iter().find(|(name, _)| *name == module);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("{module} is new: add its arrows here and in src/lib.rs"));
        for (number, line) in shipped(text) {
            for used in line.split("crate::").skip(1) {
                let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if !used.is_empty() && used != module && !allowed.contains(&used.as_str()) {
                    wrong.push(format!("{}:{number}: {module} may not use {used}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "move the code, or pass a message or closure instead:\n{}", wrong.join("\n"));
}

#[test]
fn nothing_that_ships_panics_on_purpose() {
    let mut wrong = Vec::new();
    for (path, text) in sources("src").iter().chain(&sources("bin")).filter(|(path, _)| !is_test(path)) {
        for (number, line) in shipped(text) {
            let calls = [".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!(", "unreachable!(", "dbg!("];
            if calls.iter().any(|call| line.contains(call)) {
                wrong.push(format!("{}:{number}: {}", path.display(), line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "a panic here takes every child down; return an error instead:\n{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_lives_in_sys_and_gives_its_reason() {
    let mut wrong = Vec::new();
    for (path, text) in sources("src").iter().chain(&sources("bin")) {
        let in_sys = path.components().any(|part| part.as_os_str() == "sys");
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or(line);
            if !code.contains("unsafe ") || code.contains("\"") {
                continue;
            }
            let reason = lines[number.saturating_sub(12)..=number]
                .iter()
                .any(|line| line.contains("SAFETY:") || line.contains("# Safety"));
            if !in_sys {
                wrong.push(format!("{}:{}: move it into src/sys", path.display(), number + 1));
            } else if !reason {
                wrong.push(format!("{}:{}: say why it is sound (// SAFETY: …)", path.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A program's user may put a link where its output goes: one function opens, renames and removes there.
#[test]
fn the_output_thread_trusts_no_path() {
    const DIRECT: [&str; 8] = [
        "OpenOptions",
        "File::open",
        "File::create",
        "fs::rename",
        "fs::remove_file",
        "fs::write",
        "fs::copy",
        "fs::hard_link",
    ];
    let mut wrong = Vec::new();
    for (path, text) in sources("src/output").iter().filter(|(path, _)| !is_test(path)) {
        for (number, line) in shipped(text).filter(|(_, line)| DIRECT.iter().any(|word| line.contains(word))) {
            wrong.push(format!("{}:{number}: {}", path.display(), line.trim()));
        }
    }
    assert!(wrong.is_empty(), "use crate::sys::guarded_path:\n{}", wrong.join("\n"));
}

#[test]
fn no_file_does_two_jobs() {
    let all = sources("src").into_iter().chain(sources("bin")).chain(sources("tests"));
    let long: Vec<String> = all
        .filter(|(_, text)| text.lines().count() > 700)
        .map(|(path, text)| format!("{}: {} lines", path.display(), text.lines().count()))
        .collect();
    assert!(long.is_empty(), "split by job:\n{}", long.join("\n"));
}

/// The page names a test for each of thirty rows, and each of them exists where it says.
#[test]
fn each_test_that_the_page_of_failures_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("packaging/failures.md")).expect("packaging/failures.md");
    let mut wrong = Vec::new();
    for row in 1..=30 {
        let begin = format!("| {row} | ");
        let Some(line) = page.lines().find(|line| line.starts_with(&begin)) else {
            wrong.push(format!("row {row} is not there"));
            continue;
        };
        let tests = line.rsplit(" | ").next().unwrap_or_default().trim_end_matches(" |");
        for test in tests.split(", ") {
            let named = test.split_once(" (").map(|(name, path)| (name.trim_matches('`'), path.trim_end_matches(')')));
            let exists = named.is_some_and(|(name, path)| {
                let text = fs::read_to_string(root.join(path)).unwrap_or_default();
                text.contains(&format!("\nfn {name}()")) || text.contains(&format!("\n    fn {name}()"))
            });
            if !exists {
                wrong.push(format!("row {row}: {test}"));
            }
        }
    }
    assert!(wrong.is_empty(), "write `fn name()` in the file, or mend packaging/failures.md:\n{}", wrong.join("\n"));
}

/// The version of the changelog, the package and the man pages belong together.
#[test]
fn the_readme_begins_with_two_commands_that_exist() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("README.md");
    let head: String = readme.lines().take(14).collect::<Vec<_>>().join("\n");
    assert!(head.contains("cargo run --release -- -n -c packaging/examples/demo.ini"), "{head}");
    assert!(head.contains("\ncargo test"), "{head}");
    let ci = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/run")).expect(".ci/run");
    assert!(ci.lines().any(|line| line == "cargo test"), ".ci/run calls the README's test command");
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/examples/demo.ini").exists());
}
