//! The originals are the judges: thousands of generated files through `supervice` 0.4.2's and `supervisor` 4.3.0's own parsers
//! and through ours. What comes out is the same, but for the list at the end of supervice.conf(5).
//!
//! `SUPERVICE_TEST_PYTHON` is a Python that has both packages. `SUPERVICE_TEST_FILES=100000 SUPERVICE_TEST_SEED=1 cargo test
//! --test config differential` is a longer run.

mod compare;
mod generate;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use supervice::config::{ConfigError, LoadOptions, Loaded, load};
use supervice::models::Dialect;

use crate::python::Random;
use generate::File;

const FILES: usize = 3000;
const ORIGINALS: &str = include_str!("originals.py");

/// What both originals say to each of these files; `None`, and a visible word, where they are not there.
fn originals(input: &[(&str, PathBuf)]) -> Option<Vec<Value>> {
    let Some(python) = std::env::var_os("SUPERVICE_TEST_PYTHON") else {
        assert!(
            std::env::var_os("SUPERVICE_TEST_REQUIRE").is_none(),
            "SUPERVICE_TEST_PYTHON names no Python with supervice and supervisor"
        );
        let _ = writeln!(std::io::stderr(), "SKIPPED: comparison with both originals: set SUPERVICE_TEST_PYTHON");
        return None;
    };
    let mut child = Command::new(python)
        .args(["-W", "ignore", "-c", ORIGINALS])
        .env("SUPERVICE_TEST_WORD", "a word, \"quoted\"")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python");
    let mut stdin = child.stdin.take().expect("stdin");
    let text = serde_json::to_string(input).expect("JSON");
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("Python");
    writer.join().expect("writer").expect("input written");
    assert!(output.status.success(), "the Python side failed");
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

fn ours(path: &PathBuf) -> Result<Loaded, ConfigError> {
    load(path, &LoadOptions::default())
}

/// Writes generated files, has all three read them, and tells the differences.
fn differences(dialect: Dialect, generate: fn(&mut Random) -> Vec<File>) {
    let mut random = Random::seeded();
    let count = std::env::var("SUPERVICE_TEST_FILES").ok().and_then(|count| count.parse().ok()).unwrap_or(FILES);
    let dir = tempfile::tempdir().expect("a directory");
    let mut paths = Vec::new();
    for number in 0..count {
        let home = dir.path().join(number.to_string());
        for File { name, text } in generate(&mut random) {
            let path = home.join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            std::fs::write(path, text).expect("written");
        }
        paths.push((dialect.as_str(), home.join("main.conf")));
    }
    let Some(answers) = originals(&paths) else { return };
    let (mut found, mut loaded) = (Vec::new(), 0);
    for ((_, path), theirs) in paths.iter().zip(&answers) {
        loaded += usize::from(theirs.get("error").is_none());
        if let Err(difference) = compare::compare(dialect, path, &ours(path), theirs) {
            let text = std::fs::read_to_string(path).expect("the file");
            found.push(format!("--- {}\n{text}\n=> {difference}", path.display()));
        }
    }
    println!("{loaded} of {count} files load there");
    assert!(loaded > count / 3 && loaded < count, "the generator makes good and bad files: {loaded} of {count}");
    let shown: Vec<&str> = found.iter().take(5).map(String::as_str).collect();
    assert!(found.is_empty(), "{} of {count} differ:\n{}", found.len(), shown.join("\n"));
}

#[test]
fn differential_supervisord() {
    differences(Dialect::Supervisord, generate::supervisord);
}

#[test]
fn differential_supervice() {
    differences(Dialect::Supervice, generate::supervice);
}
