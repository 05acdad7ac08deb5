//! Variables of a program: the `environment` key and files of `KEY=VALUE` lines.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::file::{ReadError, read_guarded_text};
use crate::util::errno;

/// An env file may hold this many bytes.
const MAX_ENV_FILE_BYTES: u64 = 1024 * 1024;

/// Why the value of an `environment` key can't be understood. The values themselves are never repeated: they may be
/// secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvironmentError {
    /// Text without a `=`.
    NoValue {
        /// The variable before it; empty at the beginning.
        after: String,
    },
    /// A variable's name that is empty or holds white space, quotes or NUL.
    BadName {
        /// The variable before it; empty at the beginning.
        after: String,
    },
    /// A quotation mark that is never closed.
    UnclosedQuote {
        /// The variable; empty where it is not known.
        name: String,
        /// The mark.
        quote: char,
    },
    /// Something other than a comma after a closing quotation mark.
    AfterQuote {
        /// The variable.
        name: String,
    },
    /// A value without quotation marks that ends within: supervisord's hold few signs without.
    Unquoted {
        /// The variable.
        name: String,
    },
    /// A quotation mark at the end of a value that does not begin with one.
    StrayQuote {
        /// The variable.
        name: String,
        /// The mark.
        quote: char,
    },
}

impl fmt::Display for EnvironmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |after: &str| match after {
            "" => "at the beginning".to_owned(),
            name => format!("behind the value of {name}"),
        };
        match self {
            EnvironmentError::NoValue { after } => write!(f, "no KEY=value {}", place(after)),
            EnvironmentError::BadName { after } => write!(f, "no name of a variable {}", place(after)),
            EnvironmentError::UnclosedQuote { name, quote } if name.is_empty() => {
                write!(f, "a quotation mark {quote} is not closed")
            }
            EnvironmentError::UnclosedQuote { name, quote } => {
                write!(f, "the quotation mark {quote} in the value of {name} is not closed")
            }
            EnvironmentError::AfterQuote { name } => {
                write!(f, "no comma after the closing quotation mark of {name}'s value")
            }
            EnvironmentError::Unquoted { name } => {
                write!(
                    f,
                    "the value of {name} holds what must be in quotation marks: all but letters, digits and _/.+-():"
                )
            }
            EnvironmentError::StrayQuote { name, quote } => {
                write!(f, "the quotation mark {quote} at the end of {name}'s value is not opened")
            }
        }
    }
}

impl std::error::Error for EnvironmentError {}

/// Parses `KEY=value,KEY2="with, comma"` as the Python package does: single or double quotes; white space around names,
/// values and commas is ignored. A later value of the same name comes later in the list.
///
/// # Errors
///
/// The first thing that is no `KEY=value`. The package takes it for something in silence.
///
/// ```
/// let pairs = supervice::config::parse_environment(r#"A=1, B="x, y""#)?;
/// assert_eq!(pairs, [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "x, y".to_owned())]);
/// # Ok::<(), supervice::config::EnvironmentError>(())
/// ```
pub fn parse_environment(text: &str) -> Result<Vec<(String, String)>, EnvironmentError> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut rest = text.trim_start_matches(is_gap);
    while !rest.is_empty() {
        let after = || pairs.last().map_or_else(String::new, |(name, _)| name.clone());
        let (name, tail) = rest.split_once('=').ok_or_else(|| EnvironmentError::NoValue { after: after() })?;
        let name = name.trim();
        check_name(name).map_err(|()| EnvironmentError::BadName { after: after() })?;
        let tail = tail.trim_start_matches([' ', '\t']);
        let (value, tail) = match tail.chars().next() {
            Some(quote @ ('"' | '\'')) => quoted_value(name, quote, tail)?,
            _ => bare_value(name, tail)?,
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

/// The text up to the next comma, and what follows.
fn bare_value<'t>(name: &str, text: &'t str) -> Result<(&'t str, &'t str), EnvironmentError> {
    let (value, tail) = text.split_at(text.find(',').unwrap_or(text.len()));
    let value = value.trim();
    match value.chars().next_back() {
        Some(quote @ ('"' | '\'')) if value.matches(quote).count() % 2 == 1 => {
            Err(EnvironmentError::StrayQuote { name: name.to_owned(), quote })
        }
        _ => Ok((value, tail)),
    }
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

/// Parses `KEY=value,KEY2="with, comma"` as supervisord does, whose words are those of Python's `shlex` without POSIX
/// rules: a bare value holds ASCII letters, digits and `_/.+-():`; `#` begins a comment.
pub(crate) fn parse_supervisord_environment(text: &str) -> Result<Vec<(String, String)>, EnvironmentError> {
    let tokens = tokens(text)?;
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut separator = ",";
    for words in tokens.chunks(4) {
        let after = pairs.last().map_or_else(String::new, |(name, _)| name.clone());
        let (name, value) = match words {
            [name, equals, value, ..] if equals == "=" => (name, value),
            _ if separator == "," => return Err(EnvironmentError::NoValue { after }),
            _ => return Err(EnvironmentError::Unquoted { name: after }),
        };
        // The fourth is the comma; anything else in its place is ignored.
        separator = words.get(3).map_or(",", String::as_str);
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(EnvironmentError::BadName { after });
        }
        pairs.push((name.clone(), value.trim_matches(['"', '\'']).to_owned()));
    }
    Ok(pairs)
}

/// What supervisord takes away from such a text, or ignores of it, without a word: probably a mistake with quotes or
/// commas.
pub(crate) fn lost_in_supervisord_environment(text: &str) -> Option<String> {
    let tokens = tokens(text).ok()?;
    tokens.chunks(4).find_map(|words| match words {
        [name, _, _, comma, ..] if comma != "," => {
            Some(format!("no comma behind the value of {name}: a part of what follows is ignored"))
        }
        [name, _, value, ..] if value.ends_with(['"', '\'']) && !value.starts_with(['"', '\'']) => {
            Some(format!("the quotation mark at the end of {name}'s value is not its beginning's, and is removed"))
        }
        _ => None,
    })
}

/// The words of `shlex.shlex(text)` with `/.+-():` among its word characters.
fn tokens(text: &str) -> Result<Vec<String>, EnvironmentError> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_/.+-():".contains(c);
    let is_blank = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            _ if is_blank(c) => {}
            '#' => skip_line(&mut rest),
            '"' | '\'' => {
                let mut token = String::from(c);
                let closed = rest.by_ref().any(|next| {
                    token.push(next);
                    next == c
                });
                if !closed {
                    return Err(EnvironmentError::UnclosedQuote { name: String::new(), quote: c });
                }
                tokens.push(token);
            }
            _ if is_word(c) => {
                let mut token = String::from(c);
                while let Some(next) = rest.peek().copied() {
                    if next == '#' {
                        // A comment within a word: the word goes on in the next line.
                        skip_line(&mut rest);
                        continue;
                    }
                    if !is_word(next) && !matches!(next, '"' | '\'') {
                        break;
                    }
                    token.push(next);
                    rest.next();
                }
                tokens.push(token);
            }
            _ => tokens.push(String::from(c)),
        }
    }
    Ok(tokens)
}

fn skip_line(rest: &mut impl Iterator<Item = char>) {
    for c in rest {
        if c == '\n' {
            return;
        }
    }
}

fn check_name(name: &str) -> Result<(), ()> {
    let bad = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '\0');
    if name.is_empty() || name.contains(bad) { Err(()) } else { Ok(()) }
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
            EnvFileErrorKind::Io(error) => write!(f, " {}", errno::reason(error)),
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

/// Reads a file of `KEY=VALUE` lines in their order: blank lines and lines that begin with `#` are skipped, one pair of
/// quotes around a value is stripped, `export ` before the name is allowed. It never blocks: only a regular file of at
/// most 1 MiB is read. A link that is neither root's nor the caller's is followed to files of its owner alone.
///
/// # Errors
///
/// [`EnvFileError`] with the file, the line where there is one, and what is wrong. Values are never repeated in it:
/// they may be secrets.
pub fn read_env_file(path: impl AsRef<Path>) -> Result<Vec<(String, String)>, EnvFileError> {
    let path = path.as_ref();
    let fail = |line, kind| EnvFileError { path: path.to_owned(), line, kind };
    let text = read_guarded_text(path, MAX_ENV_FILE_BYTES).map_err(|error| match error {
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
            assert!(matches!(parse_environment(bad), Err(EnvironmentError::BadName { .. })), "{bad}");
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
