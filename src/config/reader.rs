//! The INI grammar of Python's `configparser.ConfigParser(interpolation=None, strict=False)`, read into a
//! [`Document`], with file and line of every key. In supervisord's dialect `inline_comment_prefixes` are `;` and `#`.
//!
//! rust-ini's own parser reads many realistic files differently (a backslash at the end of a line, keys without a
//! value, comments and headers inside indented blocks) and knows no lines; its lists of keys and values are what we
//! fill.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::diagnostic::{Fault, Place, Report, Shown, is_secret};
use super::document::{Document, Guess, INCLUDE_SECTION, SwallowedKey};
use super::mistakes::{
    MAX_LINES, continues_conditions, continues_on_purpose, header_fault, key_of, looks_like_header, unbracketed_header,
};
use super::sections::SUPERVISORD_SECTION;
use crate::models::Dialect;

/// Faults of grammar after which a file is given up: it is no configuration.
const MAX_SYNTAX_PROBLEMS: usize = 100;

impl Document {
    /// Reads a text (without includes) in the dialect that its sections tell, for tests and tools; `Err` lists the
    /// faults of grammar, one a line.
    ///
    /// # Errors
    ///
    /// The faults of grammar.
    #[cfg(any(test, feature = "internals"))]
    pub fn from_text(text: &str) -> Result<Document, String> {
        Document::from_text_of(text, Path::new("<text>"))
    }

    /// Reads a text (without includes) in the dialect that its sections tell; `Err` lists the faults of grammar, one a
    /// line, with the name of this file.
    pub(crate) fn from_text_of(text: &str, file: &Path) -> Result<Document, String> {
        let document = Document::read_in(text, Dialect::Supervice, file)?;
        if document.section(SUPERVISORD_SECTION).is_none() {
            return Ok(document);
        }
        Document::read_in(text, Dialect::Supervisord, file)
    }

    /// As [`from_text`](Self::from_text), in a given dialect.
    ///
    /// # Errors
    ///
    /// As [`from_text`](Self::from_text).
    #[cfg(any(test, feature = "internals"))]
    pub fn from_text_in(text: &str, dialect: Dialect) -> Result<Document, String> {
        Document::read_in(text, dialect, Path::new("<text>"))
    }

    fn read_in(text: &str, dialect: Dialect, file: &Path) -> Result<Document, String> {
        let mut document = Document::new(dialect);
        let mut report = Report::default();
        document.read(&Arc::from(file), true, text, &mut report);
        if report.problems.is_empty() {
            return Ok(document);
        }
        Err(report.problems.iter().map(|p| format!("{p}\n")).collect())
    }

    /// Adds the text of one file. `main`: it is the file that was asked for, the only one whose `[include]` counts.
    pub(crate) fn read(&mut self, file: &Arc<Path>, main: bool, text: &str, report: &mut Report) {
        let mut reader = Reader {
            document: self,
            file,
            main,
            report,
            section: None,
            open: None,
            indent: 0,
            behind_comment: false,
            commented_header: 0,
            problems: 0,
        };
        for (number, line) in (1..).zip(lines(text)) {
            if reader.line(number, line).is_break() || reader.document.guess == Some(Guess::IsDoubtful) {
                break;
            }
        }
        reader.close_key();
    }
}

/// Lines as Python's universal newlines end them: `\n`, `\r\n` and `\r`.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        // By bytes, which takes a tenth of the time of a search for characters.
        let end = rest.bytes().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
        let (line, tail) = rest.split_at(end);
        rest = tail.strip_prefix("\r\n").or_else(|| tail.get(1..)).unwrap_or("");
        Some(line)
    })
}

/// White space as Python's `str.isspace` has it: Unicode's, and the four ASCII separators.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// The same of a byte that is a character.
fn is_space_byte(byte: u8) -> bool {
    matches!(byte, b' ' | 9..=13 | 0x1c..=0x1f)
}

/// The text without white space around it. Bytes are looked at as long as they tell: characters take five times as
/// long.
fn trim(text: &str) -> &str {
    let is_text = |byte: &u8| !is_space_byte(*byte);
    let (Some(start), Some(last)) =
        (text.bytes().position(|byte| is_text(&byte)), text.bytes().rposition(|byte| is_text(&byte)))
    else {
        return "";
    };
    let inner = text.get(start..=last).unwrap_or(text);
    let is_plain = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii);
    match is_plain(inner.as_bytes().first()) && is_plain(inner.as_bytes().last()) {
        true => inner,
        false => text.trim_matches(is_space),
    }
}

/// How many characters of white space a line begins with.
fn indent_of(line: &str) -> usize {
    match line.bytes().find(|byte| !is_space_byte(*byte)) {
        Some(first) if !first.is_ascii() => line.chars().take_while(|c| is_space(*c)).count(),
        Some(_) | None => line.bytes().take_while(|byte| is_space_byte(*byte)).count(),
    }
}

/// Where the comment begins: at a `;` or `#` that is the line's first character; in supervisord's dialect also at one
/// after white space.
fn comment_start(line: &str, text: &str, dialect: Dialect) -> Option<usize> {
    if text.starts_with(['#', ';']) {
        return Some(0);
    }
    match dialect {
        Dialect::Supervice => None,
        Dialect::Supervisord if !line.bytes().any(|byte| matches!(byte, b'#' | b';')) => None,
        Dialect::Supervisord => inline_comment(line),
    }
}

/// The comment behind a value. Python compares the first `;` with the first `#`, then the second ones, and so on, and
/// is content with the first pair of which one begins a comment: that of the other mark may have begun earlier.
fn inline_comment(line: &str) -> Option<usize> {
    let begins = |at: &usize| line.get(..*at).and_then(|before| before.chars().next_back()).is_some_and(is_space);
    let (mut semicolons, mut hashes) = (line.match_indices(';'), line.match_indices('#'));
    loop {
        let pair = [semicolons.next(), hashes.next()];
        if pair.iter().all(Option::is_none) {
            return None;
        }
        let comment = pair.iter().flatten().map(|(at, _)| *at).filter(begins).min();
        if comment.is_some() {
            return comment;
        }
    }
}

/// Whether one text holds the other. The standard library's search prepares itself for long texts, which takes ten
/// times as long as to look through a name.
fn holds(text: &str, other: &str) -> bool {
    text.as_bytes().windows(other.len()).any(|window| window == other.as_bytes())
}

/// The name in `[name]`, whatever follows the last bracket.
fn section_header(line: &str) -> Option<&str> {
    let (name, _) = line.strip_prefix('[')?.rsplit_once(']')?;
    (!name.is_empty()).then_some(name)
}

/// A key whose value may still go on.
struct OpenKey<'t> {
    key: Cow<'t, str>,
    place: Place,
    value: &'t str,
    /// The lines behind the first one.
    more: Vec<&'t str>,
}

impl OpenKey<'_> {
    fn text(&self) -> String {
        if self.more.is_empty() {
            return self.value.to_owned();
        }
        let mut text = self.lines().join("\n");
        text.truncate(text.trim_end_matches(is_space).len());
        text
    }

    /// A list of many lines is a list of many lines; it is not put together for each of them.
    fn continues_on_purpose(&self) -> bool {
        self.more.len() >= MAX_LINES || continues_on_purpose(&self.lines())
    }

    fn lines(&self) -> Vec<&str> {
        [self.value].into_iter().chain(self.more.iter().copied()).collect()
    }
}

/// The section that keys are read into.
#[derive(Clone, Copy)]
struct OpenSection<'t> {
    name: &'t str,
    /// `None`: nothing of it counts.
    number: Option<usize>,
}

struct Reader<'r, 't> {
    document: &'r mut Document,
    file: &'r Arc<Path>,
    main: bool,
    report: &'r mut Report,
    section: Option<OpenSection<'t>>,
    open: Option<OpenKey<'t>>,
    /// Indentation, in characters, of the line that began the open key or section.
    indent: usize,
    /// The line before was a comment at the place of a key: the open value has been interrupted.
    behind_comment: bool,
    /// The line of the last comment that looks like a section's header; 0: none in this section.
    commented_header: u32,
    problems: usize,
}

impl<'t> Reader<'_, 't> {
    fn line(&mut self, number: u32, line: &'t str) -> ControlFlow<()> {
        let text = trim(line);
        let comment = comment_start(line, text, self.document.dialect);
        let text = comment.map_or(text, |start| trim(line.get(..start).unwrap_or(line)));
        let indent = indent_of(line);
        if text.is_empty() {
            self.empty(number, line, comment.is_some(), indent);
            return ControlFlow::Continue(());
        }
        if indent > self.indent && self.open.is_some() {
            self.continuation(number, text);
            return ControlFlow::Continue(());
        }
        self.behind_comment = false;
        self.indent = indent;
        if let Some(name) = section_header(text) {
            self.header(number, name, text);
        } else if let Some(message) = unbracketed_header(text) {
            self.close_key();
            self.fault(number, text, message, "write [NAME] alone on its line");
        } else if text.starts_with('[') && !text.contains(']') {
            self.close_key();
            self.fault(number, text, "the section's ] is missing", "write [NAME] alone on its line");
        } else if self.section.is_none() {
            self.fault(number, text, "the file begins without a section", "put a line like [program:NAME] above it");
            // Everything up to the first header is the same fault.
            return ControlFlow::Break(());
        } else {
            self.key(number, text);
        }
        if self.problems < MAX_SYNTAX_PROBLEMS {
            return ControlFlow::Continue(());
        }
        self.fault(number, text, "too many lines that are no configuration", "the rest of the file was not read");
        ControlFlow::Break(())
    }

    /// A line without a text: an empty one belongs to a value that goes on after it; a comment does not.
    fn empty(&mut self, number: u32, line: &str, is_comment: bool, indent: usize) {
        if is_comment {
            self.behind_comment |= indent <= self.indent;
            if looks_like_header(line.trim_start_matches(|c| is_space(c) || ";#".contains(c))) {
                self.commented_header = number;
            }
        } else if let Some(open) = &mut self.open {
            open.more.push("");
        }
    }

    /// A further line of the open value. A line that probably does not belong to it is reported.
    fn continuation(&mut self, number: u32, text: &'t str) {
        let behind_comment = std::mem::take(&mut self.behind_comment);
        let Some(open) = &mut self.open else { return };
        let is_meant = || open.continues_on_purpose() || continues_conditions(&open.key, text);
        let swallowed = key_of(text).filter(|_| !is_meant());
        open.more.push(text);
        let (key, first) = (open.key.clone().into_owned(), open.place.line);
        let fault = if looks_like_header(text) {
            let name = Shown(text).to_string();
            Fault::new(
                format!("this indented line is no section: {name} continues the value of line {first}"),
                "begin it at the margin if a section is meant",
            )
        } else if behind_comment {
            Fault::new(
                format!("an indented line behind a comment continues the value of line {first}"),
                "make the line a comment too, or put the comment elsewhere",
            )
        } else {
            if let (Some(own), Some(section)) = (swallowed, self.section) {
                let (section, place) = (section.name.to_owned(), self.place(number));
                self.document.swallowed.push(SwallowedKey { section, open: (key, first), key: own, place });
            }
            return;
        };
        let mut diagnostic = self.place(number).diagnostic(fault);
        diagnostic.section = self.section_name();
        diagnostic.key = Some(key);
        self.report.warn(diagnostic);
    }

    fn header(&mut self, number: u32, name: &'t str, text: &str) {
        self.close_key();
        let may_tell = || holds(name, SUPERVISORD_SECTION) || name != INCLUDE_SECTION && holds(name, INCLUDE_SECTION);
        if self.document.guess.is_some() && may_tell() {
            self.document.guess = Some(Guess::IsDoubtful);
        }
        self.commented_header = 0;
        let place = self.place(number);
        if let Some(fault) = header_fault(name, text, self.document.dialect) {
            let mut diagnostic = place.diagnostic(fault);
            diagnostic.section = Some(name.to_owned());
            self.report.warn(diagnostic);
        }
        let known = self.document.number_of(name);
        if let Some(known) = known {
            self.warn_second(name, known, &place);
        }
        if name == INCLUDE_SECTION && !self.main {
            self.section = Some(OpenSection { name, number: None });
            let fault = Fault::new(
                "an included file includes no further files: this section has no effect",
                "list the files in the [include] of the main file",
            );
            let mut diagnostic = place.diagnostic(fault);
            diagnostic.section = Some(name.to_owned());
            self.report.warn(diagnostic);
            return;
        }
        let number = known.unwrap_or_else(|| self.document.enter(name, place));
        self.section = Some(OpenSection { name, number: Some(number) });
    }

    /// The Python package takes a section that is written twice in a file for an error.
    fn warn_second(&mut self, name: &str, known: usize, place: &Place) {
        let Some(first) = self.document.header_of(known) else { return };
        if self.document.dialect == Dialect::Supervisord || first.file != place.file {
            return;
        }
        let fault = Fault::new(
            format!("this section begins in line {} already: both are one", first.line),
            "give it a name of its own, or put its keys there",
        );
        let mut diagnostic = place.diagnostic(fault);
        diagnostic.section = Some(name.to_owned());
        self.report.warn(diagnostic);
    }

    fn key(&mut self, number: u32, text: &'t str) {
        let end = text.bytes().position(|byte| matches!(byte, b'=' | b':'));
        let Some((key, value)) = end.and_then(|end| Some((text.get(..end)?, text.get(end + 1..)?))) else {
            self.fault(
                number,
                text,
                "neither a section nor a key with a value",
                "write key = value, or # for a comment",
            );
            return;
        };
        let key = trim(key);
        if key.is_empty() {
            self.fault(number, text, "a value without a key", "write key = value");
            return;
        }
        self.close_key();
        let place = self.place(number);
        let is_lower = key.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
        let key = if is_lower { Cow::Borrowed(key) } else { Cow::Owned(key.to_lowercase()) };
        self.open = Some(OpenKey { key, place, value: trim(value), more: Vec::new() });
    }

    /// The open key has all its lines: it goes into the document.
    fn close_key(&mut self) {
        let (Some(open), Some(section)) = (self.open.take(), self.section) else { return };
        let Some(number) = section.number else { return };
        let (value, id) = (open.text(), self.document.key_id(&open.key));
        let Some(before) = self.document.place_of(number, id).cloned() else {
            return self.document.set(number, id, value, open.place);
        };
        self.document.set(number, id, value.clone(), open.place.clone());
        let is_here = before.file == open.place.file;
        let commented = Some(self.commented_header).filter(|line| is_here && *line > before.line);
        let hint = match commented {
            Some(line) => format!("is the section's header in line {line} a comment by mistake?"),
            None if self.document.dialect == Dialect::Supervisord => return,
            None => "remove one of the two".to_owned(),
        };
        let first = if is_here {
            format!("line {}", before.line)
        } else {
            format!("{}:{}", before.file.display(), before.line)
        };
        let fault = Fault::new(format!("set before in {first}: this value, the last, counts"), hint);
        let mut diagnostic = open.place.diagnostic(fault);
        diagnostic.section = Some(section.name.to_owned());
        diagnostic.value = (!is_secret(&open.key)).then_some(value);
        diagnostic.key = Some(open.key.into_owned());
        self.report.warn(diagnostic);
    }

    fn section_name(&self) -> Option<String> {
        self.section.map(|section| section.name.to_owned())
    }

    fn place(&self, line: u32) -> Place {
        Place { file: Arc::clone(self.file), line }
    }

    fn fault(&mut self, number: u32, text: &str, message: &str, hint: &str) {
        self.problems += 1;
        let mut diagnostic = self.place(number).diagnostic(Fault::new(message, hint));
        diagnostic.section = self.section_name();
        // A line that has lost its indentation may be the rest of a secret.
        let secret = self.open.as_ref().is_some_and(|open| is_secret(&open.key));
        diagnostic.value = (!secret).then(|| format!("`{}`", Shown(text)));
        self.report.error(diagnostic);
    }
}

#[cfg(test)]
mod tests;
