//! What the programs know, the documents name: a rule that a machine checks.

use std::fs;
use std::path::Path;
use std::process::Command;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn help(program: &str) -> String {
    String::from_utf8(Command::new(program).arg("--help").output().expect("it runs").stdout).expect("UTF-8")
}

/// The long options and the commands (words at the beginning of an indented line) of a help text.
fn words_of(help: &str) -> (Vec<String>, Vec<String>) {
    let is_end = |c: char| !(c.is_ascii_lowercase() || c == '-');
    let options = help.match_indices("--").filter_map(|(at, _)| help.get(at + 2..)?.split(is_end).next());
    let options = options.filter(|option| option.len() > 1).map(str::to_owned).collect();
    let commands =
        help.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| line.starts_with(char::is_alphabetic));
    (options, commands.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
}

fn is_in_page(page: &str, options: &[String], commands: &[String]) {
    assert!(options.len() >= 5, "{options:?}");
    let text = read(page);
    for option in options {
        assert!(text.contains(&format!("Fl -{option}")), "{page} lacks --{option}: add it in the same commit");
    }
    for command in commands {
        assert!(text.contains(&format!(".It Cm {command}")), "{page} lacks {command}: add `.It Cm {command}`");
    }
}

#[test]
fn every_option_of_the_daemon_is_in_its_man_page_and_the_completions() {
    let (options, commands) = words_of(&help(env!("CARGO_BIN_EXE_supervice")));
    is_in_page("packaging/man/supervice.8", &options, &commands);
    for file in ["supervice.bash", "_supervice", "supervice.fish"] {
        let text = read(&format!("packaging/completions/{file}"));
        for word in options.iter().chain(&commands) {
            assert!(text.contains(word.as_str()), "{file} lacks {word}");
        }
    }
}

#[test]
fn every_option_and_command_of_supervicectl_is_in_its_man_page_and_offered_to_shells() {
    let (mut options, commands) = words_of(&help(env!("CARGO_BIN_EXE_supervicectl")));
    let offered = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_supervicectl"));
        let output = command.args(["-s", "/nonexistent", "complete", "--"]).args(words).output().expect("it runs");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        text.lines().filter_map(|line| line.split('\t').next()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(offered(&[""]), commands);
    for command in &commands {
        let about = Command::new(env!("CARGO_BIN_EXE_supervicectl")).args(["help", command]).output().expect("it runs");
        let about = String::from_utf8(about.stdout).expect("UTF-8");
        let listed = about.lines().filter(|line| line.trim_start().starts_with('-')).collect::<Vec<_>>().join("\n");
        let (own, _) = words_of(&listed);
        let mut known = offered(&[command, "--"]);
        known.iter_mut().for_each(|option| drop(option.drain(..2)));
        assert!(own.iter().all(|option| known.contains(option)), "{command}: {own:?} {known:?}");
        options.extend(known);
    }
    is_in_page("packaging/man/supervicectl.1", &options, &commands);
    for file in ["supervicectl.bash", "_supervicectl", "supervicectl.fish"] {
        assert!(read(&format!("packaging/completions/{file}")).contains(" complete -- "), "{file} asks supervicectl");
    }
}

/// What is missing on this machine is a warning; that a form means nothing is one as well.
#[test]
fn every_configuration_of_the_manual_is_read_without_an_error() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("example.conf");
    let mut count = 0;
    let page = read("packaging/man/supervice.conf.5");
    let examples = page.split(".Bd -literal").skip(1).filter_map(|text| text.split(".Ed").next());
    for example in examples.filter(|example| example.contains("[program:")) {
        let lines = example.lines().skip(1).filter(|line| !line.starts_with('.')).collect::<Vec<_>>().join("\n");
        fs::write(&file, lines.replace("\\e", "\\").replace("\\&", "")).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_supervice"));
        let output = command.args(["--check", "-c"]).arg(&file).output().expect("it runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !told.contains("stays as it is"), "{told}{example}");
        count += 1;
    }
    assert!(count >= 2, "{count}");
}

#[test]
fn every_command_of_the_protocol_and_every_code_is_in_its_man_page() {
    let page = read("packaging/man/supervice-protocol.7");
    let source = read("src/codec/frames/mod.rs");
    let codes = source.split("fn as_str").nth(1).expect("the codes").split("\n    }\n").next().expect("an end");
    for code in codes.split('"').skip(1).step_by(2) {
        assert!(page.contains(code), "supervice-protocol.7 lacks {code}");
    }
    let source = read("src/codec/frames/request.rs");
    let matches = source.split("match command {").skip(1).filter_map(|text| text.split("_ =>").next());
    let lines = matches.flat_map(str::lines);
    let commands: Vec<_> = lines.filter_map(|line| line.strip_prefix("        \"")?.split('"').next()).collect();
    assert!(commands.len() >= 52, "{commands:?}");
    for command in commands {
        assert!(page.contains(&format!(".It Cm {command}")), "supervice-protocol.7 lacks `.It Cm {command}`");
    }
}

/// The words of the variants of an enum as serde writes them, and the members of those and of a struct.
fn serialised_words(source: &str, name: &str) -> Vec<String> {
    let definition = |kind: &str| source.split(&format!("pub {kind} {name} {{")).nth(1);
    let body = definition("enum").or_else(|| definition("struct")).expect("the type").split("\n}\n").next();
    let body = body.expect("an end");
    let mut words = Vec::new();
    let mut is_skipped = false;
    for line in body.lines().filter(|line| !line.trim_start().starts_with("//")) {
        if std::mem::replace(&mut is_skipped, line.trim() == "#[serde(skip)]") {
            continue;
        }
        let word = line.trim().trim_start_matches("pub ");
        let word: String = word.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let indent = line.len() - line.trim_start().len();
        if indent == 4 && word.starts_with(char::is_uppercase) {
            let snake = word.chars().enumerate().fold(String::new(), |mut snake, (at, c)| {
                snake.extend((at > 0 && c.is_uppercase()).then_some('_'));
                snake.push(c.to_ascii_lowercase());
                snake
            });
            words.push(snake);
        } else if line.contains(": ") && word != "exit" && word != "note" {
            words.push(word);
        }
    }
    words
}

/// As an item of a list or a word in quotes, or as a member.
fn page_names(page: &str, word: &str) -> bool {
    let is_word = |text: &str| text.split([' ', ',']).any(|part| part == word);
    page.lines().any(|line| ["Ql ", "Cm "].iter().any(|mark| line.contains(mark)) && is_word(line))
}

#[test]
fn every_refusal_and_every_kind_of_cause_is_in_the_page_of_the_protocol() {
    let page = read("packaging/man/supervice-protocol.7");
    let source = read("src/api/refusal.rs");
    let source: String =
        source.lines().filter(|line| !line.contains("#[cfg(")).map(|line| format!("{line}\n")).collect();
    let refusals: Vec<&str> = source
        .split("fn kind(")
        .skip(1)
        .flat_map(|text| text.split("\n    }\n").next().expect("an end").split('"').skip(1).step_by(2))
        .collect();
    assert!(refusals.contains(&"no_such_process") && refusals.contains(&"commit_pending"), "{refusals:?}");
    for refusal in refusals {
        assert!(page.contains(&format!(".It Ql {refusal}\n")), "supervice-protocol.7 lacks `.It Ql {refusal}`");
    }
    let page = page.split(".Ss A cause\n").nth(1).expect("the section").split("\n.Ss ").next().expect("an end");
    let causes = read("src/process/cause.rs");
    for kind in serialised_words(&causes, "Cause") {
        assert!(page_names(page, &kind), "supervice-protocol.7 lacks {kind} of a cause");
    }
    for kind in serialised_words(&read("src/process/schedule_note.rs"), "ScheduleNote") {
        assert!(page_names(page, &kind), "supervice-protocol.7 lacks {kind} of a schedule");
    }
    let (state, initiator) = (read("src/process/state.rs"), read("src/process/initiator.rs"));
    let (tries, failure) = (read("src/process/cause/tries.rs"), read("src/process/failure.rs"));
    let others =
        [(&failure, "Failure"), (&causes, "Verb"), (&tries, "Tries"), (&state, "Exit"), (&state, "SpawnStage")];
    let more = [
        (&state, "SpawnError"),
        (&initiator, "Initiator"),
        (&initiator, "Caller"),
        (&initiator, "Related"),
        (&initiator, "Relation"),
    ];
    for (source, name) in others.into_iter().chain(more) {
        let words = serialised_words(source, name);
        assert!(words.len() >= 2, "{name}: {words:?}");
        for word in words {
            assert!(page_names(page, &word), "supervice-protocol.7 lacks {word} of {name}");
        }
    }
}

#[test]
fn man_pages_are_clean() {
    for page in
        ["supervice.8", "supervicectl.1", "supervice.conf.5", "supervice-protocol.7", "supervice-dependencies.7"]
    {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/man").join(page);
        let Ok(output) = Command::new("groff").args(["-man", "-mdoc", "-ww", "-Tutf8", "-z"]).arg(&path).output()
        else {
            return println!("SKIPPED: groff is not installed");
        };
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{page}");
    }
}

#[test]
fn every_example_of_dependencies_is_a_configuration_without_a_fault() {
    let page = read("packaging/man/supervice-dependencies.7");
    let examples: Vec<&str> =
        page.split(".Bd -literal -offset indent\n").skip(1).filter_map(|text| text.split("\n.Ed").next()).collect();
    assert!(examples.len() >= 4, "{examples:?}");
    let dir = tempfile::tempdir().expect("a directory");
    for example in examples {
        let path = dir.path().join("example.conf");
        fs::write(&path, format!("[supervice]\nlogfile = none\npidfile = none\n{example}\n")).expect("written");
        let output = Command::new(env!("CARGO_BIN_EXE_supervice"))
            .args(["--check", "--strict", "--graph", "-c"])
            .arg(&path)
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !said.contains("warning"), "{example}\n{said}");
    }
}

/// Where man is groff's of 1.22.4 (Debian), what `Ql` quotes ends at the end of the line only: `Ql a No and Ql b` is ‘a and ‘b’’.
#[test]
fn in_the_manual_what_is_quoted_ends_where_it_is_to_end() {
    const OTHERS: [&str; 17] =
        ["Ql", "No", "Ta", "Cm", "Ev", "Pa", "Li", "Xr", "Fl", "Dv", "Va", "Dq", "Pq", "Sq", "Sy", "Em", "So"];
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/man");
    for page in fs::read_dir(directory).expect("the manual") {
        let page = page.expect("an entry").path();
        let text = fs::read_to_string(&page).expect("UTF-8");
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| line.starts_with('.')) {
            let mut words = line.trim_start_matches('.').split(' ').skip_while(|word| *word != "Ql").skip(1);
            let next = words.find(|word| OTHERS.contains(word));
            let place = format!("{}:{number}", page.display());
            assert!(next.is_none(), "{place}: write `So TEXT Sc` for what is not the last on its line: {line}");
        }
    }
}

#[test]
fn every_place_of_a_configuration_is_named_by_the_message_the_help_and_the_manual() {
    let nowhere = tempfile::tempdir().expect("a directory");
    let output = Command::new(env!("CARGO_BIN_EXE_supervice")).arg("--check").current_dir(nowhere.path()).output();
    let errors = String::from_utf8(output.expect("it runs").stderr).expect("UTF-8");
    let Some((_, places)) = errors.split_once("none of ") else {
        println!("SKIPPED: this machine has a configuration: {errors}");
        return;
    };
    let places: Vec<_> = places.split(" exists").next().unwrap_or_default().split(", ").collect();
    assert_eq!(places.len(), 5, "{errors}");
    let (manual, command) = (read("packaging/man/supervice.conf.5"), read("packaging/man/supervice.8"));
    for place in places {
        assert!(manual.contains(place) && command.contains(place), "{place} is in no manual");
    }
    let help = help(env!("CARGO_BIN_EXE_supervice"));
    assert!(["/etc/supervice.conf", "etc/supervisord.conf", "/etc/supervisor"].iter().all(|word| help.contains(word)));
}
