//! What programs saw of the world, and how two such views differ.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::Original;

/// Of one program: a name for each fact.
pub type Facts = BTreeMap<String, String>;

/// What a run came to.
#[derive(Debug)]
pub struct Seen {
    /// By command line and names.
    pub programs: Vec<Facts>,
    /// The files in `logs`, with their modes and owners.
    logs: BTreeMap<String, String>,
    /// What a client is told of.
    names: Vec<String>,
}

impl Seen {
    pub fn read(dir: &Path, mut names: Vec<String>) -> Seen {
        names.sort();
        let mut programs: Vec<Facts> =
            entries(&dir.join("facts")).map(|name| program(&dir.join("facts").join(name))).collect();
        programs.sort_by_key(|facts| {
            ["argv", "$SUPERVISOR_GROUP_NAME", "$SUPERVISOR_PROCESS_NAME"].map(|key| facts.get(key).cloned())
        });
        let logs = dir.join("logs");
        let logs = entries(&logs).map(|name| (name.clone(), file(&logs.join(name)))).collect();
        Seen { programs, logs, names }
    }

    pub fn assert_same(&self, theirs: &Seen, original: Original) {
        let mut differences = Vec::new();
        let mut expected: Vec<Facts> = theirs.programs.iter().map(|facts| adapted(facts, original)).collect();
        // With a small `minfds` descriptors of the daemon's own get through to programs there.
        expected.iter_mut().for_each(|facts| drop(facts.insert("descriptors".to_owned(), String::new())));
        let mine: Vec<Facts> = self.programs.iter().map(|facts| adapted(facts, original)).collect();
        for (ours, theirs) in mine.iter().zip(&expected) {
            for key in ours.keys().chain(theirs.keys().filter(|key| !ours.contains_key(*key))) {
                if ours.get(key) != theirs.get(key) {
                    let name = &theirs["argv"];
                    differences.push(format!("{name}: {key}: here {:?}, there {:?}", ours.get(key), theirs.get(key)));
                }
            }
        }
        if mine.len() != expected.len() {
            differences.push(format!("{} programs here, {} there", mine.len(), expected.len()));
        }
        if self.logs != theirs.logs {
            differences.push(format!("logs: here {:#?}, there {:#?}", self.logs, theirs.logs));
        }
        if self.names != theirs.names {
            differences.push(format!("names: here {:?}, there {:?}", self.names, theirs.names));
        }
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    }
}

fn entries(dir: &Path) -> impl Iterator<Item = String> {
    fs::read_dir(dir)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
}

fn file(path: &Path) -> String {
    use std::os::unix::fs::MetadataExt;
    let meta = fs::metadata(path).expect("a file");
    let text = fs::read_to_string(path).expect("UTF-8");
    let mut lines: Vec<&str> = text.lines().collect();
    // Two processes that share a file write in no order.
    lines.sort_unstable();
    format!("{:o} {}:{} {}", meta.mode() & 0o7777, meta.uid(), meta.gid(), lines.join("|"))
}

fn program(dir: &Path) -> Facts {
    let bytes = |name: &str| fs::read(dir.join(name)).expect("a fact");
    let text = |name: &str| String::from_utf8_lossy(&bytes(name)).trim().to_owned();
    let mut facts = Facts::new();
    let mut tell = |name: &str, value: String| facts.insert(name.to_owned(), value);
    let words = String::from_utf8_lossy(&bytes("cmdline")).into_owned();
    tell("argv", format!("{:?}", words.split_terminator('\0').collect::<Vec<_>>()));
    let environ = String::from_utf8_lossy(&bytes("environ")).into_owned();
    for entry in environ.split_terminator('\0') {
        let (name, value) = entry.split_once('=').unwrap_or((entry, "(no value)"));
        tell(&format!("${name}"), value.to_owned());
    }
    for line in text("status").lines() {
        let (name, value) = line.split_once(':').unwrap_or_default();
        let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        if ["Uid", "Gid", "Groups", "Umask", "SigBlk", "CapEff", "CapPrm", "CapBnd", "NoNewPrivs"].contains(&name) {
            tell(name, value);
        }
    }
    for line in text("limits").lines().skip(1) {
        let (name, values) = line.split_at(line.len().min(26));
        tell(name.trim(), values.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
    }
    let kind = |name: &str| text(name).split('[').next().unwrap_or_default().to_owned();
    tell("stdin", kind("stdin"));
    tell("stdout", kind("stdout"));
    tell("stderr", kind("stderr"));
    tell("stderr is stdout", (text("stdout") == text("stderr")).to_string());
    // Of the shell's own are 10 and 11.
    let strange = |fd: &&str| !["0", "1", "2", "10", "11"].contains(fd);
    tell("descriptors", text("fds").split_ascii_whitespace().filter(strange).collect::<Vec<_>>().join(" "));
    for name in ["cwd", "exe", "oom"] {
        tell(name, text(name));
    }
    let stat = text("stat");
    let field = |number: usize| {
        stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().nth(number - 3).map(str::to_owned)
    };
    tell("leads its process group", (field(5).as_deref() == stat.split(' ').next()).to_string());
    tell("nice", field(19).unwrap_or_default());
    facts
}

/// Without what differs on purpose.
fn adapted(facts: &Facts, original: Original) -> Facts {
    let mut facts = facts.clone();
    // That the user's own group is in the list as well gives nothing.
    let (gid, groups) = (facts["Gid"].clone(), facts["Groups"].clone());
    let own = gid.split(' ').next().unwrap_or_default();
    facts.insert("Groups".to_owned(), groups.split(' ').filter(|group| *group != own).collect::<Vec<_>>().join(" "));
    // The daemon's own mark on what it has started.
    facts.retain(|name, _| !name.starts_with("$SUPERVICE_"));
    // With `user`, these follow it (point 10 of the list).
    for name in ["$HOME", "$USER", "$LOGNAME", "$SHELL"] {
        facts.remove(name);
    }
    match original {
        // Without a log file the newest output is kept in memory (point 2); there it is thrown away.
        Original::Supervice => {
            for name in ["stdout", "stderr", "stderr is stdout"] {
                facts.remove(name);
            }
        }
        Original::Supervisord => {}
    }
    facts
}
