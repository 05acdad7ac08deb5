//! The INI grammar of Python's `configparser.ConfigParser(interpolation=None, strict=False)`, read into rust-ini's
//! document, with file and line of every key. In supervisord's dialect `inline_comment_prefixes` are `;` and `#`.
//!
//! rust-ini's own parser reads many realistic files differently (a backslash at the end of a line, keys without a
//! value, comments and headers inside indented blocks) and knows no lines; its document is what we fill.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use ini::{Ini, Properties};

use super::diagnostic::{Fault, Place, Report, Shown, is_secret};
use super::marks::mark_of;
use super::mistakes::{
    continues_conditions, continues_on_purpose, header_fault, key_of, looks_like_header, unbracketed_header,
};
use super::sections::{SUPERVISORD_SECTION, name_in};
use crate::models::Dialect;
use crate::util::fnv::FnvState;

/// The section whose keys every other section has as well, unless it sets them itself.
pub(crate) const DEFAULT_SECTION: &str = "DEFAULT";
/// The section that names further files, and its key.
const INCLUDE_SECTION: &str = "include";
pub(crate) const INCLUDE_FILES: &str = "files";
/// The section whose keys every program below it has as well, unless it or its template sets them.
pub(crate) const PROGRAM_DEFAULTS_SECTION: &str = "defaults";

/// The template and the instance that a program's name tells: `worker@eu` is `eu` of `worker`.
fn instance_of(program: &str) -> Option<(&str, &str)> {
    program.split_once('@')
}

fn template_section(template: &str) -> String {
    format!("template:{template}")
}

/// Faults of grammar after which a file is given up: it is no configuration.
const MAX_SYNTAX_PROBLEMS: usize = 100;

/// A configuration as text: sections and keys in their order, merged across files, each with its place.
#[derive(Default)]
pub struct Document {
    /// The sections, keys and values.
    pub ini: Ini,
    /// The rules by which the files are read.
    pub dialect: Dialect,
    /// Of each named section, in their order.
    places: Vec<SectionPlaces>,
    /// Which of them is a section's.
    numbers: HashMap<String, usize, FnvState>,
    /// Continuation lines that look like keys of their own.
    pub(crate) swallowed: Vec<SwallowedKey>,
    /// Whether these are the right rules is to be found out; once they may not be, no more is read.
    guess: Option<Guess>,
}

/// What reading tells of a dialect that was guessed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Guess {
    /// Nothing has spoken against it.
    Holds,
    /// A section's name may be one of which a dialect is known, by these or by other rules.
    IsDoubtful,
}

/// A continuation line that begins like `key = value`.
pub(crate) struct SwallowedKey {
    pub section: String,
    /// The key whose value it continues, and the line of that.
    pub open: (String, u32),
    /// What would be its own key.
    pub key: String,
    pub place: Place,
}

/// Where a section and its keys stand.
struct SectionPlaces {
    header: Place,
    /// How many sections stand above it.
    order: usize,
    keys: HashMap<String, Place, FnvState>,
    /// The [marks](mark_of) of its keys: most of those that are asked for are absent, and this tells that at once.
    marks: u64,
}

/// One key as it stands in a file.
#[derive(Clone)]
pub(crate) struct Entry<'d> {
    pub section: &'d str,
    pub key: &'d str,
    pub value: &'d str,
    pub place: &'d Place,
}

/// A section's name, its keys, and where they stand.
type Keys<'d> = (&'d str, &'d Properties, &'d SectionPlaces);

/// One section of a [`Document`], with what it inherits.
#[derive(Clone, Copy)]
pub(crate) struct SectionView<'d> {
    pub name: &'d str,
    own: &'d Properties,
    places: &'d SectionPlaces,
    /// A program's template, `[defaults]` if it stands above the program, and `[DEFAULT]`: the first that has a key counts.
    inherited: [Option<Keys<'d>>; 3],
    /// The [marks](mark_of) of all these keys.
    marks: u64,
}

impl Document {
    /// An empty one.
    pub(crate) fn new(dialect: Dialect) -> Document {
        Document { dialect, ..Document::default() }
    }

    /// An empty one of supervice's dialect, to find out whether that is the right one.
    pub(crate) fn guess() -> Document {
        Document { guess: Some(Guess::Holds), ..Document::new(Dialect::Supervice) }
    }

    /// It was read by a guess, which is none from now on: may it be supervisord's? Whatever the rules, by which more or less is a
    /// comment, all that could tell stands in the names of sections and in this value.
    pub(crate) fn take_doubt(&mut self) -> bool {
        let guess = self.guess.take();
        let files = self.section(INCLUDE_SECTION).and_then(|include| include.get(INCLUDE_FILES));
        guess == Some(Guess::IsDoubtful) || files.is_some_and(|files| files.value.contains([';', '#', '%']))
    }

    /// More may be read into it, or not.
    #[cfg(test)]
    pub(crate) fn is_guess(&self) -> bool {
        self.guess.is_some()
    }

    /// Reads a text (without includes) in the dialect that its sections tell, for tests and tools; `Err` lists the faults of
    /// grammar, one a line.
    ///
    /// # Errors
    ///
    /// The faults of grammar.
    pub fn from_text(text: &str) -> Result<Document, String> {
        let document = Document::from_text_in(text, Dialect::Supervice)?;
        if document.section(SUPERVISORD_SECTION).is_none() {
            return Ok(document);
        }
        Document::from_text_in(text, Dialect::Supervisord)
    }

    /// As [`from_text`](Self::from_text), in a given dialect.
    ///
    /// # Errors
    ///
    /// As [`from_text`](Self::from_text).
    pub fn from_text_in(text: &str, dialect: Dialect) -> Result<Document, String> {
        let mut document = Document::new(dialect);
        let mut report = Report::default();
        document.read(&Arc::from(Path::new("<text>")), true, text, &mut report);
        if report.problems.is_empty() {
            return Ok(document);
        }
        Err(report.problems.iter().map(|p| format!("{p}\n")).collect())
    }

    /// The sections in the order in which they first appear, without `[DEFAULT]`.
    pub(crate) fn sections(&self) -> impl Iterator<Item = SectionView<'_>> {
        let shared = self.shared();
        let sections = self.ini.iter().filter_map(|(name, own)| Some((name?, own)));
        // Both have one for each section that was entered, in this order.
        let sections = sections.zip(&self.places).map(|((name, own), places)| (name, own, places));
        let own = sections.filter(|(name, _, _)| *name != DEFAULT_SECTION);
        own.map(move |keys| self.view(keys, shared))
    }

    pub(crate) fn section(&self, name: &str) -> Option<SectionView<'_>> {
        Some(self.view(self.keys(name)?, self.shared()))
    }

    /// What more than one section inherits: `[defaults]` and `[DEFAULT]`.
    fn shared(&self) -> [Option<Keys<'_>>; 2] {
        [self.keys(PROGRAM_DEFAULTS_SECTION), self.keys(DEFAULT_SECTION)]
    }

    fn view<'d>(&'d self, (name, own, places): Keys<'d>, [defaults, all]: [Option<Keys<'d>>; 2]) -> SectionView<'d> {
        let program = name.strip_prefix("program:").map(|rest| name_in(rest, self.dialect));
        let template = program.and_then(instance_of).and_then(|(template, _)| self.keys(&template_section(template)));
        let defaults = defaults.filter(|(_, _, defaults)| program.is_some() && defaults.order < places.order);
        // Python's section has no place of its own in what is said.
        let all = all.map(|(_, values, places)| (name, values, places));
        let inherited = [template, defaults, all];
        let marks = inherited.iter().flatten().fold(places.marks, |marks, (_, _, places)| marks | places.marks);
        SectionView { name, own, places, inherited, marks }
    }

    fn keys(&self, section: &str) -> Option<Keys<'_>> {
        let (name, number) = self.numbers.get_key_value(section)?;
        Some((name, self.ini.section(Some(section))?, self.places.get(*number)?))
    }

    /// The instance that a program's name tells, where there is the template that it names.
    pub(crate) fn instance<'n>(&self, program: &'n str) -> Option<&'n str> {
        let (template, instance) = instance_of(program)?;
        self.numbers.contains_key(&template_section(template)).then_some(instance)
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

    /// Opens a section for more keys.
    pub(super) fn enter(&mut self, name: &str, place: Place) {
        if !self.numbers.contains_key(name) {
            let order = self.places.len();
            self.numbers.insert(name.to_owned(), order);
            self.places.push(SectionPlaces { header: place, order, keys: HashMap::default(), marks: 0 });
            self.ini.entry(Some(name.to_owned())).or_insert(Properties::new());
        }
    }

    /// Sets a key of a section that was entered.
    pub(super) fn set(&mut self, section: &str, key: String, value: String, place: Place) {
        let places = self.numbers.get(section).and_then(|number| self.places.get_mut(*number));
        let (Some(values), Some(places)) = (self.ini.section_mut(Some(section)), places) else { return };
        values.insert(key.clone(), value);
        places.marks |= mark_of(&key);
        places.keys.insert(key, place);
    }

    /// Where a section sets this key by now.
    fn place_of(&self, section: &str, key: &str) -> Option<Place> {
        self.places_of(section)?.keys.get(key).cloned()
    }

    fn places_of(&self, section: &str) -> Option<&SectionPlaces> {
        self.places.get(*self.numbers.get(section)?)
    }
}

impl<'d> SectionView<'d> {
    pub(crate) fn header(&self) -> &'d Place {
        &self.places.header
    }

    /// The key's entry: the section's own, else one that it inherits.
    pub(crate) fn get(&self, key: &str) -> Option<Entry<'d>> {
        self.get_marked(key, mark_of(key))
    }

    /// As [`get`](Self::get), for one who knows the key's [mark](mark_of).
    pub(crate) fn get_marked(&self, key: &str, mark: u64) -> Option<Entry<'d>> {
        if self.marks & mark != mark {
            return None;
        }
        let inherited = || self.inherited.iter().flatten().find_map(|keys| entry(*keys, key));
        self.own_entry(key).or_else(inherited)
    }

    fn own_entry(&self, key: &str) -> Option<Entry<'d>> {
        entry((self.name, self.own, self.places), key)
    }

    /// The section's own keys in their order.
    pub(crate) fn own_entries(&self) -> impl Iterator<Item = Entry<'d>> + use<'d> {
        let view = *self;
        view.own.iter().filter_map(move |(key, _)| view.own_entry(key))
    }
}

fn entry<'d>((section, values, places): Keys<'d>, key: &str) -> Option<Entry<'d>> {
    let mark = mark_of(key);
    if places.marks & mark != mark {
        return None;
    }
    let (key, place) = places.keys.get_key_value(key)?;
    Some(Entry { section, key, value: values.get(key)?, place })
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

fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Where the comment begins: at a `;` or `#` that is the line's first character; in supervisord's dialect also at one after
/// white space.
fn comment_start(line: &str, dialect: Dialect) -> Option<usize> {
    if line.trim_start_matches(is_space).starts_with(['#', ';']) {
        return Some(0);
    }
    match dialect {
        Dialect::Supervice => None,
        Dialect::Supervisord => inline_comment(line),
    }
}

/// The comment behind a value. Python compares the first `;` with the first `#`, then the second ones, and so on, and is
/// content with the first pair of which one begins a comment: that of the other mark may have begun earlier.
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

/// The name in `[name]`, whatever follows the last bracket.
fn section_header(line: &str) -> Option<&str> {
    let (name, _) = line.strip_prefix('[')?.rsplit_once(']')?;
    (!name.is_empty()).then_some(name)
}

/// A key whose value may still go on.
struct OpenKey<'t> {
    key: String,
    place: Place,
    value: Vec<&'t str>,
}

struct Reader<'r, 't> {
    document: &'r mut Document,
    file: &'r Arc<Path>,
    main: bool,
    report: &'r mut Report,
    section: Option<&'t str>,
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
    fn line(&mut self, number: u32, line: &'t str) -> std::ops::ControlFlow<()> {
        let comment = comment_start(line, self.document.dialect);
        let text = trim(line.get(..comment.unwrap_or(line.len())).unwrap_or(line));
        let indent = line.chars().take_while(|c| is_space(*c)).count();
        if text.is_empty() {
            self.behind_comment |= comment.is_some() && indent <= self.indent;
            if comment.is_some() && looks_like_header(line.trim_start_matches(|c| is_space(c) || ";#".contains(c))) {
                self.commented_header = number;
            }
            // An empty line belongs to a value that goes on after it; a comment does not.
            if let (None, Some(open)) = (comment, &mut self.open) {
                open.value.push("");
            }
            return std::ops::ControlFlow::Continue(());
        }
        if indent > self.indent && self.open.is_some() {
            self.continuation(number, text);
            return std::ops::ControlFlow::Continue(());
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
            return std::ops::ControlFlow::Break(());
        } else {
            self.key(number, text);
        }
        if self.problems < MAX_SYNTAX_PROBLEMS {
            return std::ops::ControlFlow::Continue(());
        }
        self.fault(number, text, "too many lines that are no configuration", "the rest of the file was not read");
        std::ops::ControlFlow::Break(())
    }

    /// A further line of the open value. What is probably none of it is said.
    fn continuation(&mut self, number: u32, text: &'t str) {
        let behind_comment = std::mem::take(&mut self.behind_comment);
        let Some(open) = &mut self.open else { return };
        let is_meant = || continues_on_purpose(&open.value) || continues_conditions(&open.key, text);
        let swallowed = key_of(text).filter(|_| !is_meant());
        open.value.push(text);
        let (key, first) = (open.key.clone(), open.place.line);
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
                let (section, place) = (section.to_owned(), self.place(number));
                self.document.swallowed.push(SwallowedKey { section, open: (key, first), key: own, place });
            }
            return;
        };
        let mut diagnostic = self.place(number).diagnostic(fault);
        diagnostic.section = self.section.map(str::to_owned);
        diagnostic.key = Some(key);
        self.report.warn(diagnostic);
    }

    fn header(&mut self, number: u32, name: &'t str, text: &str) {
        self.close_key();
        let may_tell = name.contains(SUPERVISORD_SECTION) || name.contains(INCLUDE_SECTION) && name != INCLUDE_SECTION;
        if may_tell && let Some(guess) = &mut self.document.guess {
            *guess = Guess::IsDoubtful;
        }
        self.section = Some(name);
        self.commented_header = 0;
        let place = self.place(number);
        if let Some(fault) = header_fault(name, text, self.document.dialect) {
            let mut diagnostic = place.diagnostic(fault);
            diagnostic.section = Some(name.to_owned());
            self.report.warn(diagnostic);
        }
        self.warn_second(name, &place);
        if name == INCLUDE_SECTION && !self.main {
            let fault = Fault::new(
                "an included file includes no further files: this section has no effect",
                "list the files in the [include] of the main file",
            );
            let mut diagnostic = place.diagnostic(fault);
            diagnostic.section = Some(name.to_owned());
            self.report.warn(diagnostic);
            return;
        }
        self.document.enter(name, place);
    }

    /// The Python package takes a section that is written twice in a file for an error.
    fn warn_second(&mut self, name: &str, place: &Place) {
        let Some(first) = self.document.places_of(name).map(|places| &places.header) else { return };
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
        self.open = Some(OpenKey { key: key.to_lowercase(), place, value: vec![trim(value)] });
    }

    /// The open key has all its lines: it goes into the document.
    fn close_key(&mut self) {
        let (Some(open), Some(section)) = (self.open.take(), self.section) else { return };
        if section == INCLUDE_SECTION && !self.main {
            return;
        }
        let mut value = open.value.join("\n");
        value.truncate(value.trim_end_matches(is_space).len());
        let Some(before) = self.document.place_of(section, &open.key) else {
            return self.document.set(section, open.key, value, open.place);
        };
        self.document.set(section, open.key.clone(), value.clone(), open.place.clone());
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
        diagnostic.section = Some(section.to_owned());
        diagnostic.value = (!is_secret(&open.key)).then_some(value);
        diagnostic.key = Some(open.key);
        self.report.warn(diagnostic);
    }

    fn place(&self, line: u32) -> Place {
        Place { file: Arc::clone(self.file), line }
    }

    fn fault(&mut self, number: u32, text: &str, message: &str, hint: &str) {
        self.problems += 1;
        let mut diagnostic = self.place(number).diagnostic(Fault::new(message, hint));
        diagnostic.section = self.section.map(str::to_owned);
        // A line that has lost its indentation may be the rest of a secret.
        let secret = self.open.as_ref().is_some_and(|open| is_secret(&open.key));
        diagnostic.value = (!secret).then(|| format!("`{}`", Shown(text)));
        self.report.error(diagnostic);
    }
}

#[cfg(test)]
mod tests;
