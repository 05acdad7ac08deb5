//! Rules of the house that a machine can check. Each failure says what to do instead.

mod arrows;
mod modules;

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

/// The lines of a file that ship, with their numbers: without comments, and without what is for tests alone.
fn shipped(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut lines = text.lines().enumerate();
    std::iter::from_fn(move || {
        loop {
            let (number, line) = lines.next()?;
            if line.trim() == "#[cfg(test)]" {
                // The item behind it ends with the first line that is indented as its attribute was and ends it.
                let is_end = |next: &str| indent(next) == indent(line) && next.ends_with([';', '}', ','].as_slice());
                lines.find(|(_, next)| is_end(next));
            } else if !line.trim_start().starts_with("//") {
                return Some((number + 1, line));
            }
        }
    })
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[test]
fn what_ships_is_told_from_what_is_for_tests() {
    let text = "mod a;\n#[cfg(test)]\nmod tests;\nmod b;\n#[cfg(test)]\nmod more {\n    use c;\n}\n// no\nfn f() {\n    \
        #[cfg(test)]\n    count(|| {\n        1;\n    });\n    g();\n}\n#[cfg(test)]\n#[allow(x)]\nfn\n  long() -> i32 {\n    1\n}\nfn h() {}";
    let lines: Vec<&str> = shipped(text).map(|(_, line)| line).collect();
    assert_eq!(lines, ["mod a;", "mod b;", "fn f() {", "    g();", "}", "fn h() {}"]);
    assert_eq!(shipped(text).last().map(|(number, _)| number), Some(23));
}

fn is_test(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.contains("/tests/") || text.ends_with("tests.rs") || text.ends_with("testing.rs")
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

/// Whoever owns a directory may put a link there: one function opens, renames and removes where others can write.
#[test]
fn no_path_is_trusted_but_in_the_files_that_say_why() {
    const DIRECT: [&str; 10] = [
        "OpenOptions",
        "File::open",
        "File::create",
        "fs::rename",
        "fs::remove_file",
        "fs::write",
        "fs::read(",
        "fs::read_to_string",
        "fs::copy",
        "fs::hard_link",
    ];
    const TRUSTED: [(&str, &str); 16] = [
        ("src/sys/proc.rs", "reads /proc, and writes its own score there"),
        ("src/sys/orphan_scan.rs", "reads /proc"),
        ("src/sys/lock_holder.rs", "reads /proc"),
        ("src/ctl/usage.rs", "reads /proc"),
        ("src/init/system/mounts.rs", "reads /proc"),
        ("src/sys/stdio.rs", "opens /dev/null"),
        ("src/sys/machine.rs", "opens /dev/console, as PID 1 of a machine"),
        ("src/sys/users.rs", "reads /etc/passwd and /etc/group"),
        ("src/sys/host_id.rs", "reads /etc/machine-id"),
        ("src/sys/zones.rs", "reads the zone database, below /usr/share/zoneinfo"),
        ("src/sys/net.rs", "opens the directory of the socket, to lock it, and a handle on what it has bound"),
        ("src/sys/fcgi_socket.rs", "opens a handle on the socket that it has bound"),
        ("src/sys/path_changes.rs", "compares what regular files hold, and tells nobody what that is"),
        ("src/sys/exec_trouble.rs", "reads the first bytes of a program, and repeats its interpreter's name alone"),
        (
            "src/config/file.rs",
            "reads the configuration, whose writers are root's equals: config/ownership.rs warns of others",
        ),
        ("src/ctl/socket.rs", "reads the operator's configuration as the operator"),
    ];
    let mut wrong = Vec::new();
    for (path, text) in sources("src").iter().filter(|(path, _)| !is_test(path)) {
        // `LogFile::open` is no `File::open`.
        let is_whole = |before: &str| !before.ends_with(char::is_alphanumeric);
        let names = |line: &str, word: &str| line.match_indices(word).any(|(at, _)| is_whole(&line[..at]));
        let mut direct = shipped(text).filter(|(_, line)| DIRECT.iter().any(|word| names(line, word))).peekable();
        if TRUSTED.iter().any(|(trusted, _)| path.ends_with(trusted)) {
            assert!(direct.peek().is_some(), "{} opens nothing: remove it from this list", path.display());
            continue;
        }
        wrong.extend(direct.map(|(number, line)| format!("{}:{number}: {}", path.display(), line.trim())));
    }
    assert!(wrong.is_empty(), "use crate::sys::guarded_path:\n{}", wrong.join("\n"));
}

/// One word, one meaning: what was renamed to the field's own term stays renamed.
#[test]
fn bounds_are_named_max_and_min_and_no_retired_name_comes_back() {
    const RETIRED: [(&str, &str); 26] = [
        ("const MOST_", "MAX_"),
        ("const LONGEST", "MAX_ with the unit"),
        ("const LARGEST", "MAX_ with the unit"),
        ("const BIGGEST", "MAX_ with the unit"),
        ("const LEAST_", "MIN_"),
        ("const SHORTEST", "MIN_"),
        ("enum Leader ", "LeaderState"),
        ("struct Leader<", "GroupLeader"),
        ("struct Held(", "ProcessRefs"),
        ("enum StopStage ", "StopProgress"),
        ("struct Stage ", "ShutdownStage"),
        ("struct Search ", "MainSearch or ScanRequest"),
        ("Awaited {", "PendingCheck or Prerequisite"),
        ("enum Turn ", "CheckAction"),
        ("struct Scale ", "ScaleOverride or StoredScale"),
        ("struct Reading ", "LoadResult or PendingRun"),
        ("struct Eyes", "Visibility"),
        ("struct Told ", "NotifyState or SharedEvent"),
        ("Heard {", "OutputResumed, StreamEvent or SignalState"),
        ("struct Door ", "ServerSocket"),
        ("enum Fate ", "Served"),
        ("enum Crowd ", "Quota"),
        ("fn tell(", "handle_event, report, notify or print"),
        ("fn tell_", "report_, notify_ or answer_"),
        ("fn told(", "the name of what is returned"),
        ("fn heard(", "handle_output or output_resumed"),
    ];
    let mut wrong = Vec::new();
    for (path, text) in sources("src").iter().filter(|(path, _)| !is_test(path)) {
        for (number, line) in shipped(text) {
            for (_, instead) in RETIRED.iter().filter(|(name, _)| line.contains(name)) {
                wrong.push(format!("{}:{number}: name it {instead}: {}", path.display(), line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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

/// The page names a test for each row, and each of them exists where it says, or tells why there is none.
#[test]
fn each_test_that_the_page_of_failures_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("packaging/failures.md")).expect("packaging/failures.md");
    let mut wrong = Vec::new();
    for row in 1..=148 {
        let begin = format!("| {row} | ");
        let Some(line) = page.lines().find(|line| line.starts_with(&begin)) else {
            wrong.push(format!("row {row} is not there"));
            continue;
        };
        let tests = line.rsplit(" | ").next().unwrap_or_default().trim_end_matches(" |");
        for test in tests.split(", ").filter(|_| !tests.starts_with("none: ")) {
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

/// Each recipe of the crate documentation names three files at most, and what it names in a file is there.
#[test]
fn the_recipes_of_the_crate_documentation_name_what_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("src/lib.rs")).expect("src/lib.rs");
    let recipes = text.split("//! # Where to add what\n").nth(1).expect("the recipes").split("\n\n").next();
    let recipes: Vec<&str> =
        recipes.expect("their end").split("\n//!\n").filter(|text| text.contains("//! - ")).collect();
    assert_eq!(recipes.len(), 6);
    for recipe in recipes {
        let steps: Vec<&str> = recipe.lines().filter_map(|line| line.strip_prefix("//! - ")).collect();
        assert!(steps.len() <= 3, "a change of one kind has one obvious place:\n{recipe}");
        for step in steps {
            let words = step.split('`').skip(1).step_by(2);
            let mut file = String::new();
            for word in words {
                match word.starts_with("src/") {
                    true => {
                        file = fs::read_to_string(root.join(word)).unwrap_or_else(|error| panic!("{word}: {error}"))
                    }
                    false => assert!(file.contains(word), "there is no {word} in the file of this step: {step}"),
                }
            }
        }
    }
}

/// The page shows names and output of programs: what they hold must not become markup, nor a script.
#[test]
fn the_page_writes_text_and_loads_nothing_from_elsewhere() {
    const FORBIDDEN: [(&str, &str); 12] = [
        ("innerHTML", "build elements with `el`, and give it the text"),
        ("outerHTML", "build elements with `el`, and give it the text"),
        ("insertAdjacentHTML", "build elements with `el`, and give it the text"),
        ("document.write", "build elements with `el`, and give it the text"),
        ("DOMParser", "build elements with `el`, and give it the text"),
        ("createContextualFragment", "build elements with `el`, and give it the text"),
        ("setHTML", "build elements with `el`, and give it the text"),
        ("eval(", "say it in code"),
        ("new Function", "say it in code"),
        ("style=", "write a rule into page.css: the policy forbids styles in markup"),
        ("//cdn", "put the file beside the others: it works without a network"),
        ("@import", "put it into page.css"),
    ];
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/control/web/page");
    let served = fs::read_to_string(dir.with_extension("rs")).expect("UTF-8");
    let mut wrong = Vec::new();
    for path in fs::read_dir(&dir).expect("a directory").map(|entry| entry.expect("an entry").path()) {
        let text = fs::read_to_string(&path).expect("UTF-8");
        let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8");
        if !served.contains(&format!("include_bytes!(\"page/{name}\")")) {
            wrong.push(format!("{name} is not served: name it in web/page.rs, or remove it"));
        }
        for (number, line) in text.lines().enumerate() {
            for (word, instead) in FORBIDDEN {
                if line.contains(word) {
                    wrong.push(format!("{name}:{}: {word}: {instead}", number + 1));
                }
            }
            let foreign = line.replace("http://www.w3.org/", "");
            if foreign.contains("http://") || foreign.contains("https://") {
                wrong.push(format!("{name}:{}: an address elsewhere: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
