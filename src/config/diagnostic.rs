//! What is wrong with a configuration, said so that it can be put right: file, line, section, key,
//! value, the fault and the remedy.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::util::sort::sort_by;

/// A value longer than this many characters is cut where a diagnostic is printed.
const SHOWN_VALUE_CHARS: usize = 100;

/// One error or warning about one place in a configuration file.
///
/// Printed as `FILE:LINE: [section] key = value: what is wrong; what would be right`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file that the place is in.
    pub file: Arc<Path>,
    /// Its line, counted from 1; 0 where the fault is the whole file's.
    pub line: u32,
    /// The section's name without brackets, where there is one.
    pub section: Option<String>,
    /// The key, where the fault is one key's.
    pub key: Option<String>,
    /// The value as it was judged, where the fault is the value's.
    pub value: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What would be right; may be empty.
    pub hint: String,
}

impl Diagnostic {
    /// Something about the file as a whole.
    pub(crate) fn of_file(file: &Path, message: String) -> Diagnostic {
        let (section, key, value) = (None, None, None);
        Diagnostic { file: file.into(), line: 0, section, key, value, message, hint: String::new() }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:", self.line)?;
        }
        if let Some(section) = &self.section {
            write!(f, " [{}]", Shown(section))?;
        }
        match (&self.key, &self.value) {
            (Some(key), Some(value)) => write!(f, " {} = {}:", Shown(key), Shown(value))?,
            (Some(key), None) => write!(f, " {}:", Shown(key))?,
            (None, Some(value)) => write!(f, " {}:", Shown(value))?,
            (None, None) if self.section.is_some() => f.write_str(":")?,
            (None, None) => {}
        }
        write!(f, " {}", self.message)?;
        if !self.hint.is_empty() {
            write!(f, "; {}", self.hint)?;
        }
        Ok(())
    }
}

/// Text of a file as it may be shown on a terminal: one line, no control characters, not endless.
pub(crate) struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, c) in self.0.chars().enumerate() {
            if count == SHOWN_VALUE_CHARS {
                return f.write_str("…");
            }
            if c.is_control() || is_invisible(c) { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        Ok(())
    }
}

/// Keys whose values may be secrets, which no message repeats.
pub(super) const SECRET_KEYS: [&str; 4] = ["environment", "password", "username", "healthcheck_header"];

/// Whether the value of a key may be a secret, which no message repeats.
pub(crate) fn is_secret(key: &str) -> bool {
    SECRET_KEYS.contains(&key)
}

/// Characters that print nothing, or that turn the text around them: two names that look the same
/// would be different ones.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A configuration that was read but does not hold: every problem that was found.
///
/// Printed as one problem a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigValidationError {
    /// The problems in the order of files and lines; at least one.
    pub problems: Vec<Diagnostic>,
    /// What was worth a warning, in the same order.
    pub warnings: Vec<Diagnostic>,
}

impl fmt::Display for ConfigValidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigValidationError {}

/// Why no configuration could be loaded.
#[derive(Debug)]
pub enum ConfigError {
    /// There is no such file.
    NotFound {
        /// The file that was asked for.
        path: PathBuf,
    },
    /// The file is there but can't be read.
    Read {
        /// The file that was asked for.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file was read, and says something that can't be done.
    Validation(ConfigValidationError),
    /// The log can't be set up as the file says.
    Log(Box<dyn std::error::Error + Send + Sync>),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::NotFound { path } => {
                write!(f, "{}: no such configuration file; name one with -c FILE", path.display())
            }
            ConfigError::Read { path, error } => {
                write!(
                    f,
                    "{}: cannot read the configuration file: {}",
                    path.display(),
                    crate::util::errno::reason(error)
                )
            }
            ConfigError::Validation(error) => error.fmt(f),
            ConfigError::Log(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ConfigError::NotFound { .. } => None,
            ConfigError::Read { error, .. } => Some(error),
            ConfigError::Validation(error) => Some(error),
            ConfigError::Log(error) => Some(&**error),
        }
    }
}

impl From<ConfigValidationError> for ConfigError {
    fn from(error: ConfigValidationError) -> Self {
        ConfigError::Validation(error)
    }
}

/// What is wrong with one value and what would be right, before it is known where the value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub message: String,
    pub hint: String,
    /// A path that the message names, and the message without it: for where the path stands before the message anyway.
    named: Option<Box<(String, String)>>,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Fault { message: message.into(), hint: hint.into(), named: None }
    }

    /// The same with another remedy.
    pub(crate) fn with_remedy(self, hint: &str) -> Self {
        Fault { hint: hint.to_owned(), ..self }
    }

    /// The same with the message for a value that is this path itself.
    pub(crate) fn or_of_value(self, path: &str, message: impl Into<String>) -> Self {
        Fault { named: Some(Box::new((path.to_owned(), message.into()))), ..self }
    }

    /// As it is told behind this value.
    pub(crate) fn behind(mut self, value: &str) -> Self {
        if let Some(named) = self.named.take()
            && named.0 == value
        {
            self.message = named.1;
        }
        self
    }
}

/// Where a key or a section's header stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub file: Arc<Path>,
    pub line: u32,
}

impl Place {
    /// A diagnostic about this place, of no section yet.
    pub(crate) fn diagnostic(&self, fault: Fault) -> Diagnostic {
        Diagnostic {
            file: Arc::clone(&self.file),
            line: self.line,
            section: None,
            key: None,
            value: None,
            message: fault.message,
            hint: fault.hint,
        }
    }
}

/// The problems and warnings of one load, gathered as they are found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub problems: Vec<Diagnostic>,
    pub warnings: Vec<Diagnostic>,
    /// What the configuration does not know is an error.
    pub strict: bool,
}

impl Report {
    pub(crate) fn error(&mut self, diagnostic: Diagnostic) {
        self.problems.push(diagnostic);
    }

    pub(crate) fn warn(&mut self, diagnostic: Diagnostic) {
        self.warnings.push(diagnostic);
    }

    /// A key or section that means nothing here: a warning, or an error where `strict`.
    pub(crate) fn unknown(&mut self, diagnostic: Diagnostic) {
        if self.strict { self.problems.push(diagnostic) } else { self.warnings.push(diagnostic) }
    }

    /// Puts both lists into the order of `files` and lines.
    pub(crate) fn sort(&mut self, files: &[Arc<Path>]) {
        let order = |d: &Diagnostic| (files.iter().position(|file| *file == d.file).unwrap_or(files.len()), d.line);
        for list in [&mut self.problems, &mut self.warnings] {
            // A stable sort: those of one line stay in the order in which they were found.
            sort_by(list, |one, other| order(one).cmp(&order(other)));
            // What is wrong with a template is wrong with each program that is made from it.
            list.dedup();
        }
    }
}
