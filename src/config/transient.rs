//! A program that stands in no file: its keys come one by one.

use std::path::Path;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Place, Report};
use super::document::Document;
use super::expand::Scope;
use super::{Additions, BuildOptions, build};
use crate::models::{Dialect, ProgramConfig};

/// A program that somebody runs by hand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TransientProgram<'p> {
    /// Its name.
    pub name: &'p str,
    /// The program and its arguments.
    pub command: &'p [String],
    /// Keys and values.
    pub settings: &'p [(String, String)],
    /// It has a terminal, of this type if that is known.
    pub tty: bool,
    pub term: Option<&'p str>,
}

/// It is to run once, and counts from the first moment on.
const DEFAULTS: [(&str, &str); 4] =
    [("autostart", "false"), ("autorestart", "false"), ("startsecs", "0"), ("startretries", "0")];

/// A shell at a terminal ends by that alone.
const TERMINAL_DEFAULTS: [(&str, &str); 2] = [("tty", "true"), ("stopsignal", "HUP")];

/// Keys that are about other programs, or make several of one.
const NOT_FOR_ONE: [&str; 6] = ["numprocs", "requires", "binds", "wants", "after", "command"];

impl TransientProgram<'_> {
    /// Its settings, checked as those of a file are; else what is wrong with them, a line for each fault.
    pub(crate) fn read(&self) -> Result<ProgramConfig, String> {
        if let Some((key, _)) = self.settings.iter().find(|(key, _)| NOT_FOR_ONE.contains(&key.as_str())) {
            return Err(format!("{key} can't be set for a program that is run by hand"));
        }
        let mut report = Report { strict: true, ..Report::default() };
        let document = self.document();
        let host = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
        let scope = Scope { dialect: Dialect::Supervice, ..Scope::default() };
        let options = BuildOptions { host: &host, reload: true, additions: &Additions::default() };
        let built = build(&document, scope, options, &mut report);
        if !report.problems.is_empty() {
            let faults: Vec<String> = report.problems.iter().map(worded).collect();
            return Err(faults.join("\n"));
        }
        let mut programs = built.config.programs.into_iter();
        let mut program = programs.next().ok_or_else(|| "a program with these settings is none".to_owned())?;
        program.command = quoted(self.command);
        if let Some(term) = self.term.filter(|_| self.tty) {
            program.environment.entry("TERM".to_owned()).or_insert_with(|| term.to_owned());
        }
        Ok(program)
    }

    fn document(&self) -> Document {
        let place = Place { file: Arc::from(Path::new("--set")), line: 0 };
        let section = format!("program:{}", self.name);
        let mut document = Document::new(Dialect::Supervice);
        let number = document.enter(&section, place.clone());
        let own = self.settings.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let of_terminal = TERMINAL_DEFAULTS.into_iter().filter(|_| self.tty);
        // What it is to execute is no text of a file: nothing in it is replaced.
        let command = [("command", "true")];
        for (key, value) in DEFAULTS.into_iter().chain(of_terminal).chain(own).chain(command) {
            let key = document.key_id(key);
            document.set(number, key, value.to_owned(), place.clone());
        }
        document
    }
}

/// Without a file.
fn worded(problem: &Diagnostic) -> String {
    let mut text = match (&problem.key, &problem.value) {
        (Some(key), Some(value)) => format!("{key} = {value}: {}", problem.message),
        (Some(key), None) => format!("{key}: {}", problem.message),
        (None, _) => problem.message.clone(),
    };
    if !problem.hint.is_empty() {
        text.push_str("; ");
        text.push_str(&problem.hint);
    }
    text
}

/// These words as one command, which is split into the same ones.
fn quoted(words: &[String]) -> String {
    let is_plain = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte))
    };
    let quote = |word: &String| match is_plain(word) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::split_command;

    fn read(settings: &[(&str, &str)], tty: bool) -> Result<ProgramConfig, String> {
        let settings: Vec<(String, String)> =
            settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let command = ["sh".to_owned(), "-c".to_owned(), "echo '%(process_num)s' $1".to_owned(), String::new()];
        TransientProgram { name: "x", command: &command, settings: &settings, tty, term: Some("vt220") }.read()
    }

    #[test]
    fn what_is_executed_is_what_was_typed() {
        let program = read(&[("directory", "/")], false).expect("it holds");
        let words = split_command(&program.command).expect("words");
        assert_eq!(words, ["sh", "-c", "echo '%(process_num)s' $1", ""]);
        assert_eq!((program.startsecs, program.startretries, program.autostart), (0, 0, false));
        assert_eq!((program.directory.as_deref(), program.tty, program.environment.len()), (Some("/"), false, 0));
    }

    #[test]
    fn a_terminal_has_the_type_of_that_of_its_client_unless_it_is_set() {
        let program = read(&[], true);
        if cfg!(feature = "attach") {
            let program = program.expect("it holds");
            assert_eq!((program.tty, program.stopsignal.as_str()), (true, "HUP"));
            assert_eq!(program.environment.get("TERM").map(String::as_str), Some("vt220"));
            let program = read(&[("environment", "TERM=dumb"), ("stopsignal", "TERM")], true).expect("it holds");
            assert_eq!(program.environment.get("TERM").map(String::as_str), Some("dumb"));
            assert_eq!(program.stopsignal, "TERM");
        }
    }

    #[test]
    fn faults_are_told_without_a_file() {
        for (settings, wanted) in [
            ([("startsecs", "x")], "startsecs = x: not a whole number"),
            ([("no_such_key", "1")], "no_such_key"),
            ([("requires", "web")], "requires can't be set for a program that is run by hand"),
            ([("numprocs", "2")], "numprocs can't be set"),
        ] {
            let told = read(&settings, false).expect_err("a fault");
            assert!(told.starts_with(wanted), "{settings:?}: {told}");
        }
        // A value is a value, whatever it looks like.
        let program = read(&[("directory", "/\n[program:y]\ncommand = z")], false);
        assert!(program.is_err() || program.is_ok_and(|program| program.name == "x"));
    }
}
