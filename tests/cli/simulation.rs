//! What `supervice --simulate` prints, to the letter: `tests/cli/simulation/transcripts.txt`. It is its own script, as those of
//! `supervicectl` are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/simulation")
}

fn transcript(script: &str) -> String {
    let mut said = String::new();
    for line in script.lines() {
        if line.starts_with('#') {
            said.push_str(&format!("{}{line}\n", if said.is_empty() { "" } else { "\n" }));
        } else if let Some(command) = line.strip_prefix("$ supervice") {
            let args = supervice::config::split_command(&format!("x{command}")).expect("words").split_off(1);
            let mut command = Command::new(env!("CARGO_BIN_EXE_supervice"));
            // Berlin, without its file.
            command.env("TZ", "CET-1CEST,M3.5.0,M10.5.0/3");
            let output = command.args(args).current_dir(directory()).output().expect("it runs");
            said.push_str(&format!("\n{line}\n"));
            for (mark, bytes) in [("  ", &output.stdout), ("! ", &output.stderr)] {
                for line in String::from_utf8_lossy(bytes).lines() {
                    said.push_str(format!("{mark}{line}").trim_end());
                    said.push('\n');
                }
            }
            match output.status.code() {
                Some(0) => {}
                code => said.push_str(&format!("[exit {}]\n", code.unwrap_or(-1))),
            }
        }
    }
    said
}

#[test]
fn golden_simulations_come_out_as_they_are_written() {
    let path = directory().join("transcripts.txt");
    let wanted = fs::read_to_string(&path).expect("UTF-8");
    let found = transcript(&wanted);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return fs::write(&path, found).expect("written");
    }
    let differs = wanted.lines().zip(found.lines()).enumerate().find(|(_, (wanted, found))| wanted != found);
    if let Some((line, (wanted, found))) = differs {
        panic!(
            "{}:{}: wanted {wanted:?}, found {found:?} (UPDATE_GOLDEN=1 writes what was found)",
            path.display(),
            line + 1
        );
    }
    assert_eq!(wanted.lines().count(), found.lines().count(), "as many lines");
}

/// Whoever pipes it to `head` has enough at some point.
#[test]
fn a_simulation_whose_reader_goes_away_ends_as_it_would() {
    let shell = format!("'{}' --simulate -c simple.conf --for 5s | head -n 1", env!("CARGO_BIN_EXE_supervice"));
    let output = Command::new("sh").args(["-c", &shell]).current_dir(directory()).output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(String::from_utf8_lossy(&output.stdout).contains("FROM -> TO"));
}
