//! The completion of bash, as readline calls it: without the package bash-completion, which small machines lack.

use std::process::{Command, Stdio};

use crate::fake::{Fake, send};

const STATUS: &str = r#"{"status":"ok","processes":[
    {"name":"web","state":"RUNNING","pid":1,"group":"front"},{"name":"worker:00","state":"RUNNING","pid":2,"group":"back"},
    {"name":"worker:01","state":"FATAL","pid":null,"group":"back"},{"name":"my job","state":"FATAL","pid":null,"group":"g"}]}"#;

/// Splits as readline does: at spaces, and before and behind `:` and `=`, but not in quotation marks. What is offered
/// is printed a word a line.
const SCRIPT: &str = r#"
source "$1"; COMP_LINE=$2; COMP_POINT=${#COMP_LINE}; shift 2; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_supervicectl && ((${#COMPREPLY[@]})) && printf '%s\n' "${COMPREPLY[@]}"
"#;

fn offered(fake: &Fake, line: &str, words: &[&str]) -> Option<Vec<String>> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/completions/supervicectl.bash");
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_supervicectl")).parent().expect("a directory");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("bash");
    command.args(["--norc", "-c", SCRIPT, "bash", script, line, "supervicectl"]).args(words).env("PATH", path);
    command.env("SUPERVICE_SOCKET", fake.socket()).stderr(Stdio::inherit());
    match command.output() {
        Ok(output) => Some(String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect()),
        Err(error) => {
            println!("SKIPPED: no bash: {error}");
            None
        }
    }
}

#[test]
fn bash_completes_commands_options_and_names() {
    let fake = Fake::new(|_, stream| send(stream, STATUS));
    for (line, words, wanted) in [
        ("supervicectl stat", &["stat"][..], &["status"][..]),
        ("supervicectl stop w", &["stop", "w"], &["web", "worker:00", "worker:01"]),
        // For bash what stands before the colon is another word.
        ("supervicectl stop worker:", &["stop", "worker", ":"], &["00", "01"]),
        ("supervicectl stop worker:0", &["stop", "worker", ":", "0"], &["00", "01"]),
        ("supervicectl stop worker:00 worker:", &["stop", "worker", ":", "00", "worker", ":"], &["01"]),
        ("supervicectl stop group:b", &["stop", "group", ":", "b"], &["back"]),
        ("supervicectl stop my", &["stop", "my"], &["my\\ job"]),
        ("supervicectl stop my\\ j", &["stop", "my\\ j"], &["my\\ job"]),
        ("supervicectl stop 'my", &["stop", "'my"], &["my job"]),
        ("supervicectl stop \"worker:", &["stop", "\"worker:"], &["worker:00", "worker:01"]),
        ("supervicectl wait --for=h", &["wait", "--for", "=", "h"], &["healthy"]),
        ("supervicectl wait --for ", &["wait", "--for", ""], &["running", "healthy", "stopped", "exited"]),
        ("supervicectl --timeout 5  stop  we", &["--timeout", "5", "stop", "we"], &["web"]),
        ("supervicectl startgroup ", &["startgroup", ""], &["front", "back", "g"]),
        ("supervicectl reread ", &["reread", ""], &[]),
        ("supervicectl reload we", &["reload", "we"], &["web"]),
    ] {
        let Some(found) = offered(&fake, line, words) else { return };
        assert_eq!(found, wanted, "{line}");
    }
}
