//! Do the rules bite? Each bug below is planted into a copy of the machine's sources, all copies are
//! compiled together with the simulation, and each of them has to be caught.
//!
//! A bug is an exact piece of the shipped source and what replaces it. If the piece is no longer found
//! exactly once, this test fails: then plant the bug anew where its rule lives now.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const TURNS: u64 = 150_000;
const SEED: u64 = 7;
const ENDLESS: &str = "a string takes everything";
const TURNS_ARGUMENT: &str = "    let turns = std::env::args().nth(1).unwrap().parse().unwrap();\n";
const VERDICT: &str = r#"
fn verdict(name: &str, broken: Option<String>) {
    let rule = broken.as_deref().and_then(|text| text.lines().next()).unwrap_or("every rule held");
    println!("{name}: {}", rule.chars().take(120).collect::<String>());
}
"#;
const MACHINE: &str = "src/process/machine";
const HARNESS: &str = "tests/sim/harness/mod.rs";

struct Bug {
    name: &'static str,
    file: &'static str,
    is: &'static str,
    becomes: &'static str,
}

const BUGS: [Bug; 24] = [
    Bug {
        name: "answers of old generations are taken in",
        file: "mod.rs",
        is: "generation != self.generation)",
        becomes: "generation > self.generation)",
    },
    Bug {
        name: "a restart does not wait for the group of the run before",
        file: "life.rs",
        is: "Phase::Exited { restart_at, remains: Some(Group::left_by(run)) }",
        becomes: "Phase::Exited { restart_at, remains: None }",
    },
    Bug {
        name: "a retry does not wait for the group of the run before",
        file: "life.rs",
        is: "self.failed_attempt(now, ProcessState::Exited, reason, Some(Group::left_by(run)))\n            }",
        becomes: "self.failed_attempt(now, ProcessState::Exited, reason, None)\n            }",
    },
    Bug {
        name: "STOPPED when the leader has gone, while its group lives",
        file: "life.rs",
        is: "self.note_end(now, &group.run, exit);\n                Phase::Stopping { leader: Leader::Gone, group, then }",
        becomes: "self.note_end(now, &group.run, exit);\n                self.stopped(now, &group.run, then)",
    },
    Bug {
        name: "a stop is forgotten once the child has gone",
        file: "commands.rs",
        is: "self.desired = Desired::Down;",
        becomes: "",
    },
    Bug {
        name: "a stop does not cancel the pending retry",
        file: "commands.rs",
        is: "                self.enter(from, Phase::Stopped, None, cause)\n",
        becomes: "                phase\n",
    },
    Bug {
        name: "a start during STOPPING is lost",
        file: "life.rs",
        is: "Desired::Up => self.start(ProcessState::Stopped, \"start requested\"),",
        becomes: "Desired::Up => phase,",
    },
    Bug {
        name: "SIGKILL at once instead of after stopwaitsecs",
        file: "commands.rs",
        is: "after(now, group.run.config.stopwaitsecs)",
        becomes: "after(now, 0)",
    },
    Bug {
        name: "SIGKILL never comes",
        file: "commands.rs",
        is: "Hunt::Told { kill_at }, ..group }",
        becomes: "Hunt::Told { kill_at: kill_at.and(None) }, ..group }",
    },
    Bug {
        name: "SIGKILL is not repeated",
        file: "commands.rs",
        is: "again_at: now.checked_add(KILL_AGAIN)",
        becomes: "again_at: now.checked_add(KILL_AGAIN * 1_000_000)",
    },
    Bug {
        name: "the timer of the repeated SIGKILL stays due",
        file: "commands.rs",
        is: "again_at: now.checked_add(KILL_AGAIN)",
        becomes: "again_at: now.checked_add(KILL_AGAIN * 0)",
    },
    Bug {
        name: "what lingers is not told to stop",
        file: "life.rs",
        is: "Hunt::Unseen => machine.tell(now, group),",
        becomes: "Hunt::Unseen => { let _ = (machine, now); group }",
    },
    Bug { name: "restarts are not paced", file: "life.rs", is: "paced.max(now))", becomes: "paced.min(now))" },
    Bug {
        name: "the delay of a retry is one second short",
        file: "life.rs",
        is: "let delay = number.min(LONGEST_DELAY);",
        becomes: "let delay = number.min(LONGEST_DELAY) - 1;",
    },
    Bug {
        name: "one retry too many",
        file: "life.rs",
        is: "number if number <= self.config.startretries => self.back_off(now, from, number, reason, remains),",
        becomes: "number if number <= self.config.startretries + 1 => self.back_off(now, from, number, reason, remains),",
    },
    Bug {
        name: "with startsecs = 0 nothing bounds the crashes",
        file: "life.rs",
        is: "run.config.startsecs == 0 {",
        becomes: "run.config.startsecs == u32::MAX {",
    },
    Bug {
        name: "a successful run does not end the row of failed attempts",
        file: "life.rs",
        is: "self.tally.attempts = 0;\n        let restart_at",
        becomes: "let restart_at",
    },
    Bug {
        name: "a permanent failure is tried again",
        file: "life.rs",
        is: "Desired::Up if permanent =>",
        becomes: "Desired::Up if permanent && now < now =>",
    },
    Bug {
        name: "an end in STARTING skips EXITED",
        file: "life.rs",
        is: "self.announce(ProcessState::Starting, ProcessState::Exited, Some(run.pid), &reason);",
        becomes: "",
    },
    Bug {
        name: "health restarts are not counted",
        file: "life.rs",
        is: "self.tally.health_restarts = self.tally.health_restarts.saturating_add(1);",
        becomes: "self.tally.health_restarts = 1;",
    },
    Bug {
        name: "two health checks at once",
        file: "checks.rs",
        is: "if let Some(given_up_at) = self.awaited {",
        becomes: "if let Some(given_up_at) = self.awaited.filter(|_| !is_due(self.next, now)) {",
    },
    Bug {
        name: "health checks drift with their answers",
        file: "checks.rs",
        is: "following(due, config.interval, now)",
        becomes: "due.max(now).checked_add(Duration::from_secs(config.interval.into()))",
    },
    Bug {
        name: "a check that never answers is waited for",
        file: "checks.rs",
        is: "Some(now.checked_add(Duration::from_secs(patience)))",
        becomes: "Some(now.checked_add(Duration::from_secs(patience)).and(None))",
    },
    Bug {
        name: "a reload changes the health check of the present run",
        file: "life.rs",
        is: "Checks::new(&run.config.healthcheck, now)",
        becomes: "Checks::new(&self.config.healthcheck, now)",
    },
];

#[test]
fn every_planted_bug_is_caught() {
    // Two halves, for the compiler uses little more than one core for each.
    let (first, second) = BUGS.split_at(BUGS.len() / 2);
    let halves = [first, second].map(|bugs| std::thread::spawn(move || verdicts(bugs)));
    for (half, bugs) in halves.into_iter().zip([first, second]) {
        let text = half.join().expect("the copies are built and simulated");
        print!("{text}");
        assert_eq!(text.lines().count(), bugs.len() + 1, "{text}");
        assert!(text.starts_with("no bug: every rule held\n"), "{text}");
        let missed: Vec<&str> = text.lines().skip(1).filter(|line| line.ends_with(": every rule held")).collect();
        assert!(missed.is_empty(), "not caught: {missed:#?}");
    }
}

/// A line for the machine as it is and one for each bug: its name and the rule that it broke.
fn verdicts(bugs: &[Bug]) -> String {
    let dir = tempfile::tempdir().expect("a directory for the copies");
    let program = build(dir.path(), bugs);
    let output = Command::new(program).arg(TURNS.to_string()).output().expect("the simulations run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Compiles the machine as it is and once with each bug; returns the program that simulates them all.
fn build(dir: &Path, bugs: &[Bug]) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    write(&dir.join("models.rs"), &without_serde(&read(&root.join("src/models.rs"))));
    std::fs::copy(root.join("src/process/state.rs"), dir.join("state.rs")).expect("state.rs is copied");
    let mut main = "pub mod models;\npub mod state;\n".to_owned();
    // Tests of the daemon make a machine panic by this; here nobody does.
    main.push_str("pub mod planted { pub fn fault(_: &str, _: impl FnOnce() -> String) {} }\n");
    let mut calls = String::new();
    for (number, bug) in std::iter::once(None).chain(bugs.iter().map(Some)).enumerate() {
        let copy = dir.join(format!("copy{number}"));
        copy_machine(&root.join(MACHINE), &copy, bug);
        main.push_str(&module(number, &copy, &root.join(HARNESS)));
        let name = bug.map_or("no bug", |bug| bug.name);
        writeln!(calls, "    verdict({name:?}, copy{number}::harness::simulate(SEED, turns).err());").expect(ENDLESS);
    }
    write!(main, "const SEED: u64 = {SEED};\n{VERDICT}fn main() {{\n{TURNS_ARGUMENT}{calls}}}\n").expect(ENDLESS);
    write(&dir.join("main.rs"), &main);
    compile(&dir.join("main.rs"), &dir.join("planted"))
}

/// One copy of the machine, and the simulation compiled against it.
fn module(number: usize, copy: &Path, harness: &Path) -> String {
    format!(
        "mod copy{number} {{\n    use crate::state;\n    #[path = {:?}]\n    mod machine;\n    \
         mod subject {{ pub use super::machine::*; pub use crate::{{models, state::*}}; }}\n    \
         #[path = {harness:?}]\n    pub mod harness;\n}}\n",
        copy.join("mod.rs"),
    )
}

fn compile(main: &Path, program: &Path) -> PathBuf {
    let output = Command::new(rustc())
        .args(["--edition", "2024", "--cap-lints", "allow", "-C", "debuginfo=0", "-o"])
        .args([program, main])
        .output()
        .expect("rustc runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program.to_owned()
}

fn copy_machine(from: &Path, to: &Path, bug: Option<&Bug>) {
    std::fs::create_dir(to).expect("a directory for one copy");
    let mut planted = bug.is_none();
    for entry in std::fs::read_dir(from).expect("the machine's directory is read") {
        let path = entry.expect("its entries, too").path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let name = path.file_name().expect("files have names").to_string_lossy().into_owned();
        let mut text = read(&path);
        if let Some(bug) = bug.filter(|bug| bug.file == name) {
            let count = text.matches(bug.is).count();
            assert_eq!(count, 1, "«{}»: {name} shall hold this piece once: {}", bug.name, bug.is);
            text = text.replace(bug.is, bug.becomes);
            planted = true;
        }
        write(&to.join(name), &text);
    }
    assert!(planted, "there is no file for this bug");
}

/// The models without their only dependency, which the copies do not need.
fn without_serde(models: &str) -> String {
    let is_serde = |line: &str| {
        line.starts_with("use serde::") || line.trim_start().starts_with("#[serde(") || line == "mod written;"
    };
    let lines = models.lines().filter(|line| !is_serde(line));
    lines.map(|line| line.replace(", Serialize, Deserialize)]", ")]") + "\n").collect()
}

/// The compiler that belongs to the cargo which built this test.
fn rustc() -> PathBuf {
    if let Some(rustc) = std::env::var_os("RUSTC") {
        return rustc.into();
    }
    let sibling = Path::new(env!("CARGO")).with_file_name("rustc");
    if sibling.exists() { sibling } else { "rustc".into() }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
