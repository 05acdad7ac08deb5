//! Variables of a program: the `environment` key and files of `KEY=VALUE` lines.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::file::{ReadError, read_text};

/// An env file may hold this many bytes.
const MAX_ENV_FILE_BYTES: u64 = 1024 * 1024;

/// Why the value of an `environment` key can't be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvironmentError {
    /// Text without a `=`.
    NoValue(String),
    /// A variable's name that is empty or holds white space, quotes or NUL.
    BadName(String),
    /// A quotation mark that is never closed.
    UnclosedQuote {
        /// The variable.
        name: String,
        /// The mark.
        quote: char,
    },
    /// Something other than a comma after a closing quotation mark.
    AfterQuote {
        /// The variable.
        name: String,
    },
}

impl fmt::Display for EnvironmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EnvironmentError::NoValue(text) => write!(f, "`{text}` is no KEY=value"),
            EnvironmentError::BadName(name) => write!(f, "`{}` is no name of a variable", name.escape_debug()),
            EnvironmentError::UnclosedQuote { name, quote } => {
                write!(f, "the quotation mark {quote} in the value of {name} is not closed")
            }
            EnvironmentError::AfterQuote { name } => {
                write!(f, "no comma after the closing quotation mark of {name}'s value")
            }
        }
    }
}

impl std::error::Error for EnvironmentError {}

/// Parses `KEY=value,KEY2="with, comma"`: single or double quotes, white space and line ends around
/// names, values and commas are ignored. A later value of the same name comes later in the list.
///
/// # Errors
///
/// The first thing that is no `KEY=value`.
///
/// ```
/// let pairs = supervice::config::parse_environment(r#"A=1, B="x, y""#)?;
/// assert_eq!(pairs, [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "x, y".to_owned())]);
/// # Ok::<(), supervice::config::EnvironmentError>(())
/// ```
pub fn parse_environment(text: &str) -> Result<Vec<(String, String)>, EnvironmentError> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start_matches(is_gap);
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or_else(|| EnvironmentError::NoValue(first_line(rest)))?;
        let name = name.trim();
        check_name(name)?;
        let after = after.trim_start_matches([' ', '\t']);
        let (value, tail) = match after.chars().next() {
            Some(quote @ ('"' | '\'')) => quoted_value(name, quote, after)?,
            _ => {
                let end = after.find([',', '\n']).unwrap_or(after.len());
                let (value, tail) = after.split_at(end);
                (value.trim(), tail)
            }
        };
        pairs.push((name.to_owned(), value.to_owned()));
        rest = tail.trim_start_matches(is_gap);
    }
    Ok(pairs)
}

/// What may stand between two variables.
fn is_gap(c: char) -> bool {
    c == ',' || c.is_whitespace()
}

/// The text between the quotes that `text` begins with, and what follows them.
fn quoted_value<'t>(name: &str, quote: char, text: &'t str) -> Result<(&'t str, &'t str), EnvironmentError> {
    let inner = text.get(1..).unwrap_or("");
    let Some((value, tail)) = inner.split_once(quote) else {
        return Err(EnvironmentError::UnclosedQuote { name: name.to_owned(), quote });
    };
    let tail = tail.trim_start_matches([' ', '\t']);
    if tail.is_empty() || tail.starts_with([',', '\n']) {
        return Ok((value, tail));
    }
    Err(EnvironmentError::AfterQuote { name: name.to_owned() })
}

fn check_name(name: &str) -> Result<(), EnvironmentError> {
    let bad = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '\0');
    if name.is_empty() || name.contains(bad) {
        return Err(EnvironmentError::BadName(name.to_owned()));
    }
    Ok(())
}

fn first_line(text: &str) -> String {
    text.split(['\n', ',']).next().unwrap_or("").trim().to_owned()
}

/// Why an env file could not be read.
#[derive(Debug)]
pub struct EnvFileError {
    /// The file.
    pub path: PathBuf,
    /// The line that is wrong, counted from 1; 0 where it is the whole file.
    pub line: u32,
    /// What is wrong.
    pub kind: EnvFileErrorKind,
}

/// What can be wrong with an env file.
#[derive(Debug)]
pub enum EnvFileErrorKind {
    /// The system does not give it to us.
    Io(io::Error),
    /// Its contents are no text, or too long, or a line is no `KEY=VALUE`.
    Content(String),
}

impl fmt::Display for EnvFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.path.display())?;
        if self.line > 0 {
            write!(f, "{}:", self.line)?;
        }
        match &self.kind {
            EnvFileErrorKind::Io(error) => write!(f, " {}", crate::util::errno::reason(error)),
            EnvFileErrorKind::Content(message) => write!(f, " {message}"),
        }
    }
}

impl std::error::Error for EnvFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            EnvFileErrorKind::Io(error) => Some(error),
            EnvFileErrorKind::Content(_) => None,
        }
    }
}

/// Reads a file of `KEY=VALUE` lines in their order: blank lines and lines that begin with `#` are skipped, one
/// pair of quotes around a value is stripped, `export ` before the name is allowed. It never blocks: only a
/// regular file of at most 1 MiB is read.
///
/// # Errors
///
/// [`EnvFileError`] with the file, the line where there is one, and what is wrong. Values are never repeated in it:
/// they may be secrets.
pub fn read_env_file(path: impl AsRef<Path>) -> Result<Vec<(String, String)>, EnvFileError> {
    let path = path.as_ref();
    let fail = |line, kind| EnvFileError { path: path.to_owned(), line, kind };
    let text = read_text(path, MAX_ENV_FILE_BYTES).map_err(|error| match error {
        ReadError::Io(error) => fail(0, EnvFileErrorKind::Io(error)),
        ReadError::Content { line, fault } => fail(line, EnvFileErrorKind::Content(fault.message)),
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut pairs = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        pairs.push(env_line(line).map_err(|message| fail(number, EnvFileErrorKind::Content(message.to_owned())))?);
    }
    Ok(pairs)
}

fn env_line(line: &str) -> Result<(String, String), &'static str> {
    let (name, value) = line.split_once('=').ok_or("not KEY=VALUE; # begins a comment")?;
    let name = name.trim();
    let name = match name.strip_prefix("export") {
        Some(exported) if exported.starts_with([' ', '\t']) => exported.trim_start(),
        _ => name,
    };
    check_name(name).map_err(|_| "no name of a variable before the =; write KEY=VALUE")?;
    let value = value.trim();
    let inner = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    Ok((name.to_owned(), inner.unwrap_or(value).to_owned()))
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[test]
    fn a_name_is_not_empty_and_has_no_gap_and_no_quotes() {
        for bad in ["=1", "A B=1", "A\"=1", "'A'=1"] {
            assert!(matches!(parse_environment(bad), Err(EnvironmentError::BadName(_))), "{bad}");
        }
        assert_eq!(parse_environment("A-B=1").expect("a name"), [("A-B".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn a_file_that_is_not_there_has_a_cause_and_a_bad_line_is_one_itself() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("env");
        assert!(read_env_file(&path).expect_err("it is not there").source().is_some());
        std::fs::write(&path, "A=1\nnonsense\n").expect("written");
        let error = read_env_file(&path).expect_err("a bad line");
        assert!(error.source().is_none());
        assert_eq!(error.line, 2);
    }
}
