//! Command lines: split into words as Python's `shlex.split` does it, which is a POSIX shell's quoting.

use std::fmt;

/// Why a command line could not be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitError {
    /// A quotation mark that is never closed.
    UnclosedQuote(char),
    /// A backslash with nothing after it.
    TrailingBackslash,
}

impl fmt::Display for SplitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SplitError::UnclosedQuote(quote) => write!(f, "the quotation mark {quote} is not closed"),
            SplitError::TrailingBackslash => f.write_str("nothing follows the backslash at the end"),
        }
    }
}

impl std::error::Error for SplitError {}

/// Splits `command` at white space. Inside single quotes everything is literal; inside double quotes a
/// backslash keeps its meaning before `"` and `\` only; elsewhere it makes the next character literal.
/// No shell is involved: `#`, `$`, `*`, `|` and `&` are ordinary characters.
///
/// # Errors
///
/// [`SplitError`] for an unclosed quotation mark or a backslash at the end.
///
/// ```
/// use supervice::config::split_command;
///
/// assert_eq!(split_command(r#"sh -c "echo 'a b'" c\ d"#)?, ["sh", "-c", "echo 'a b'", "c d"]);
/// # Ok::<(), supervice::config::SplitError>(())
/// ```
pub fn split_command(command: &str) -> Result<Vec<String>, SplitError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = command.chars();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\\' => word.get_or_insert_default().push(rest.next().ok_or(SplitError::TrailingBackslash)?),
            '\'' | '"' => quoted(c, &mut rest, word.get_or_insert_default())?,
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// The rest of a quotation, up to and with its closing mark.
fn quoted(quote: char, rest: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), SplitError> {
    while let Some(c) = rest.next() {
        match c {
            _ if c == quote => return Ok(()),
            '\\' if quote == '"' => match rest.next() {
                Some(escaped @ ('"' | '\\')) => word.push(escaped),
                Some(other) => word.extend(['\\', other]),
                None => return Err(SplitError::TrailingBackslash),
            },
            _ => word.push(c),
        }
    }
    Err(SplitError::UnclosedQuote(quote))
}
