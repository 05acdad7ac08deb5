//! What `--check` and `--check --json` print for a configuration, to the letter: the recordings in
//! `tests/config/recordings` and those of the examples. `UPDATE_GOLDEN=1 cargo test --test config recorded` writes them
//! anew, to be read before they are committed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

/// A recording's name, and the configuration that it is of.
const RECORDED: &[(&str, &str)] = &[
    ("demo", "packaging/examples/demo.ini"),
    ("container", "packaging/container/example/supervice.conf"),
    ("every_key", "tests/config/recordings/every_key.ini"),
    ("supervisord", "tests/config/recordings/supervisord.ini"),
    ("every_supervisord_key", "tests/config/recordings/every_supervisord_key.ini"),
    ("supervisord_umask", "tests/config/recordings/supervisord_umask.ini"),
    ("wrong", "tests/config/recordings/wrong.ini"),
    ("fuzz_health", "tests/fuzz/corpus/configuration/health"),
    ("fuzz_instances", "tests/fuzz/corpus/configuration/instances"),
    ("fuzz_plain", "tests/fuzz/corpus/configuration/plain"),
    ("fuzz_wrong", "tests/fuzz/corpus/configuration/wrong"),
];

/// Standard output and error and the exit code of one call, without what differs from machine to machine.
fn transcript(root: &Path, file: &str, options: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_supervice"));
    let output = command.current_dir(root).args(options).args(["-c", file]).output().expect("it runs");
    let text = |bytes: &[u8], mark: &str| -> String {
        let text = String::from_utf8_lossy(bytes).replace(&root.display().to_string(), "ROOT");
        // Only root may start programs as another user: that the others hear of it depends on who runs the test.
        let lines = text.lines().filter(|line| !line.contains(": only root can start programs as another user"));
        // When a schedule comes next depends on the day.
        let timeless = |line: &str| match line.split_once(": next ") {
            Some((name, times)) => {
                format!("{name}: next{}", times.find("; ").and_then(|end| times.get(end..)).unwrap_or_default())
            }
            None => line.to_owned(),
        };
        lines.map(|line| format!("{mark}{}\n", timeless(line))).collect()
    };
    let code = output.status.code().map_or_else(|| "none".to_owned(), |code| code.to_string());
    format!(
        "$ supervice {} -c {file}\n{}{}exit code {code}\n",
        options.join(" "),
        text(&output.stdout, "  "),
        text(&output.stderr, "! ")
    )
}

#[test]
fn what_a_check_prints_is_as_it_was_recorded() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_others = |path: &Path| fs::metadata(path).is_ok_and(|found| found.uid() != 0 || found.mode() & 0o022 != 0);
    if nix::unistd::geteuid().is_root() && RECORDED.iter().any(|(_, file)| is_others(&root.join(file))) {
        println!("SKIPPED: root is warned of files that others can write to, as those of this checkout are");
        return;
    }
    let mut wrong = Vec::new();
    for (name, file) in RECORDED {
        let now: String = [&["--check"][..], &["--check", "--json"], &["--check", "--strict"]]
            .iter()
            .map(|options| transcript(root, file, options))
            .collect();
        let path = root.join("tests/config/recordings").join(format!("{name}.txt"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &now).expect("written");
        }
        let before = fs::read_to_string(&path).unwrap_or_default();
        if let Some((line, (before, now))) =
            (1..).zip(before.lines().zip(now.lines())).find(|(_, (before, now))| before != now)
        {
            wrong.push(format!("{name}.txt:{line}:\n  was {before}\n  is  {now}"));
        } else if before != now {
            wrong.push(format!("{name}.txt: {} lines, not {}", now.lines().count(), before.lines().count()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_example_is_a_configuration_without_a_fault() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let examples = fs::read_dir(root.join("packaging/examples")).expect("the examples");
    let files = examples.map(|entry| entry.expect("an entry").path());
    let files: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "ini")).collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        let mut command = Command::new(env!("CARGO_BIN_EXE_supervice"));
        let output = command.args(["--check", "-c"]).arg(&file).output().expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        // Root is warned of a checkout that others can write to.
        let faults: Vec<&str> = errors.lines().filter(|line| !line.contains("can write to")).collect();
        assert!(output.status.success() && faults.is_empty(), "{}: {faults:?}", file.display());
    }
}
