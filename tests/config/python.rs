//! Python is the judge of its own grammar: thousands of generated inputs through both readers.

use std::io::Write;
use std::process::{Command, Stdio};

use supervice::config::split_command;
use supervice::internals::Document;
use supervice::models::Dialect;

const FILES: usize = 12_000;
const COMMANDS: usize = 50_000;

/// Small, repeatable random numbers (xorshift64*).
pub struct Random(u64);

impl Random {
    /// With the seed of `SUPERVICE_TEST_SEED`, else a fixed one.
    pub fn seeded() -> Random {
        random()
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    pub fn pick<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.below(of.len())]
    }

    fn soup(&mut self, of: &[&str], most: usize) -> String {
        (0..self.below(most + 1)).map(|_| self.pick(of)).collect()
    }
}

/// The seed: `SUPERVICE_TEST_SEED`, else a fixed one.
fn random() -> Random {
    let seed = std::env::var("SUPERVICE_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_260_101);
    println!("seed {seed} (set SUPERVICE_TEST_SEED for another)");
    Random(seed)
}

/// Runs a Python program on JSON; `None`, and a visible word, where there is no Python.
fn python(program: &str, input: &serde_json::Value) -> Option<serde_json::Value> {
    let child = Command::new("python3").args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        // Past the capture of the test harness, so that it is seen.
        let _ = writeln!(std::io::stderr(), "SKIPPED: comparison with Python: there is no python3");
        return None;
    };
    let mut stdin = child.stdin.take().expect("stdin");
    let text = serde_json::to_string(input).expect("json");
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("python3");
    writer.join().expect("writer").expect("input written");
    assert!(output.status.success(), "the Python side failed");
    Some(serde_json::from_slice(&output.stdout).expect("json"))
}

const CONFIGPARSER: &str = r#"
import configparser, io, json, re, sys
configparser.RawConfigParser.SECTCRE = re.compile(r"\[(?P<header>.+)\]")
answers = []
for text, inline in json.load(sys.stdin):
    prefixes = (';', '#') if inline else None
    parser = configparser.ConfigParser(interpolation=None, strict=False, inline_comment_prefixes=prefixes)
    try:
        parser.read_file(io.StringIO(text.removeprefix("\ufeff"), newline=None))
    except configparser.Error:
        answers.append(None)
    else:
        sections = [["DEFAULT", sorted(list(i) for i in parser.defaults().items())]]
        sections += [[n, sorted(list(i) for i in parser._sections[n].items())] for n in parser.sections()]
        answers.append(sections)
json.dump(answers, sys.stdout)
"#;

/// Our reading in the shape of Python's answer; keys by name, for a key that is set twice moves to its last place.
fn ours(document: &Document) -> serde_json::Value {
    let keys = |name: &str| -> Vec<[String; 2]> {
        let section = document.values(name);
        let mut keys: Vec<_> =
            section.map(|s| s.iter().map(|(k, v)| [k.to_owned(), v.to_owned()]).collect()).unwrap_or_default();
        keys.sort();
        keys
    };
    let mut sections = vec![serde_json::json!(["DEFAULT", keys("DEFAULT")])];
    let names = document.section_names().filter(|name| *name != "DEFAULT");
    sections.extend(names.map(|name| serde_json::json!([name, keys(name)])));
    sections.into()
}

/// Lines as people write them, with what goes wrong in them.
fn realistic(random: &mut Random) -> String {
    const NAMES: &[&str] =
        &["program:web", "supervice", "DEFAULT", "group:a b", "a]b", " x ", "program:web ; c", "Ä", "", "include"];
    const KEYS: &[&str] = &["command", "Command", "env file", "k", "KEY ", "Ä", "a[0]", "stdout_logfile", "", "[k"];
    const VALUES: &[&str] = &[
        "/bin/x --a=b",
        "date +%s",
        "v ; comment",
        "v;no",
        "v\t;c ;d",
        "",
        "  ",
        "\\",
        "a \\",
        "\"q ; r\"",
        "a # b",
        "[s]",
        "A=\"1\",B='2'",
        ": x",
        "= y",
        "%(process_num)02d",
        "é\u{a0}",
        "x \u{85}y",
    ];
    const INDENTS: &[&str] = &["", "", "", "", " ", "  ", "\t", "\u{a0}", "    "];
    const ENDS: &[&str] = &["\n", "\n", "\n", "\r\n", "\r", "\n\n", " \n"];
    let mut text = String::from(random.pick(&["", "", "", "\u{feff}", "; c\n", "\n", " \n# x\n"]));
    if random.below(20) > 0 {
        text.push_str("[first]\n");
    }
    for _ in 0..random.below(14) {
        text.push_str(random.pick(INDENTS));
        match random.below(12) {
            0 | 1 => text.push_str(&format!("[{}]{}", random.pick(NAMES), random.pick(&["", "", " ;c", " x", "]"]))),
            2 => text.push_str(&format!("{} comment", random.pick(&["#", ";", " ;", "\t#"]))),
            3 => {}
            4 | 5 => text.push_str(&format!("  {}", random.pick(VALUES))),
            6 if random.below(6) == 0 => text.push_str(random.pick(VALUES)),
            _ => {
                let delimiter = random.pick(&["=", " = ", ":", " : ", "\t=", "=:"]);
                text.push_str(&format!("{}{delimiter}{}", random.pick(KEYS), random.pick(VALUES)));
            }
        }
        text.push_str(random.pick(ENDS));
    }
    text
}

/// The grammar's marks in any order.
fn marks(random: &mut Random) -> String {
    const MARKS: &[&str] = &[
        "[", "]", "a", "B", "=", ":", ";", "#", " ", "  ", "\t", "\n", "\n", "\n ", "\r\n", "\r", "\\", "\"", "%",
        "[s]\n", "k=v", "\u{b}", "\u{c}", "\u{1c}", "\u{1f}", "\u{85}", "\u{a0}", "\u{2028}", "é", "\n\n  x", " ;",
    ];
    format!("{}{}", random.pick(&["[s]\n", "[s]\nk = v\n", ""]), random.soup(MARKS, 30))
}

#[test]
fn the_reader_reads_what_configparser_reads() {
    let mut random = random();
    let texts: Vec<(String, bool)> = (0..FILES)
        .map(|i| (if i % 2 == 0 { realistic(&mut random) } else { marks(&mut random) }, random.below(2) == 0))
        .collect();
    let Some(answers) = python(CONFIGPARSER, &serde_json::json!(texts)) else { return };
    let answers = answers.as_array().expect("a list");
    assert_eq!(answers.len(), FILES);
    let read = answers.iter().filter(|answer| !answer.is_null()).count();
    println!("{read} of {FILES} files hold");
    assert!(read > FILES / 4 && read < FILES, "the generator makes good and bad files");
    for ((text, inline), theirs) in texts.iter().zip(answers) {
        let dialect = if *inline { Dialect::Supervisord } else { Dialect::Supervice };
        match Document::from_text_in(text, dialect) {
            Ok(document) => assert_eq!(&ours(&document), theirs, "configparser differs for {text:?}"),
            // A key can begin with a bracket there: mostly it is a section that has lost its own.
            Err(error) if error.contains("the section's ] is missing") => {}
            Err(error) => assert!(theirs.is_null(), "configparser reads {text:?}: {error}"),
        }
    }
}

const SHLEX: &str = r#"
import json, shlex, sys
def split(text):
    try:
        return shlex.split(text)
    except ValueError:
        return None
json.dump([split(text) for text in json.load(sys.stdin)], sys.stdout)
"#;

#[test]
fn the_splitter_splits_like_shlex() {
    const MARKS: &[&str] = &[
        "a", "b c", " ", "\t", "\n", "\r", "'", "\"", "\\", "\\\\", "\\\n", "\\\"", "\\'", "\\$", "#", "#c", "$x",
        "''", "\"\"", "=", ";", "|", "&&", "*", "é", "\u{a0}", "\u{c}", "~", "(", "!", "`",
    ];
    let mut random = random();
    let texts: Vec<String> = (0..COMMANDS).map(|_| random.soup(MARKS, 12)).collect();
    let Some(answers) = python(SHLEX, &serde_json::json!(texts)) else { return };
    let answers = answers.as_array().expect("a list");
    assert_eq!(answers.len(), COMMANDS);
    for (text, theirs) in texts.iter().zip(answers) {
        assert_eq!(&serde_json::json!(split_command(text).ok()), theirs, "shlex differs for {text:?}");
    }
}
