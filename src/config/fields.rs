//! Reading the keys of one section: expanded, parsed, and reported with their place where they are wrong.

use std::borrow::Cow;

use super::checks::Checks;
use super::diagnostic::{Diagnostic, Fault, Report, is_secret};
use super::document::{Entry, SectionView};
use super::expand::{Scope, stays_literal};
use crate::models::Dialect;

/// One section being read.
pub(crate) struct Fields<'r, 'd> {
    pub view: SectionView<'d>,
    pub scope: Scope<'r>,
    pub report: &'r mut Report,
}

/// A key that is present, for the function that parses it.
pub(crate) struct Given<'g> {
    entry: &'g Entry<'g>,
    /// The value after expansion, as soon as it was asked for.
    expanded: Option<String>,
    in_file: bool,
    pub scope: Scope<'g>,
    report: &'g mut Report,
    pub checks: &'g mut Checks,
}

impl<'d> Fields<'_, 'd> {
    /// The value of a key as it stands in the file.
    // Inlined as [`SectionView::get`] is.
    #[inline(always)]
    pub(crate) fn entry(&self, key: &str) -> Option<Entry<'d>> {
        self.view.get(key)
    }

    /// Has a key parsed, if it is present, and reports what is wrong with it.
    pub(crate) fn parse(
        &mut self,
        key: &str,
        checks: &mut Checks,
        parse: &mut dyn FnMut(&mut Given<'_>) -> Result<(), Fault>,
    ) {
        if let Some(entry) = self.view.get(key) {
            self.parse_entry(&entry, true, checks, parse);
        }
    }

    /// Has a value parsed that is not in the file: the default of a key that the section lacks.
    pub(crate) fn parse_default(
        &mut self,
        key: &str,
        value: &str,
        checks: &mut Checks,
        parse: &mut dyn FnMut(&mut Given<'_>) -> Result<(), Fault>,
    ) {
        let entry = Entry { section: self.view.name, key, value, place: self.view.header() };
        self.parse_entry(&entry, false, checks, parse);
    }

    /// Has this entry parsed; `in_file`: it stands there, and is no default.
    pub(crate) fn parse_entry(
        &mut self,
        entry: &Entry<'_>,
        in_file: bool,
        checks: &mut Checks,
        parse: &mut dyn FnMut(&mut Given<'_>) -> Result<(), Fault>,
    ) {
        let mut given = Given { entry, expanded: None, in_file, scope: self.scope, report: self.report, checks };
        if let Err(fault) = parse(&mut given) {
            given.error(fault);
        }
    }

    pub(crate) fn error(&mut self, entry: &Entry<'_>, fault: Fault) {
        self.report.error(entry_diagnostic(entry, entry.value, fault));
    }

    pub(crate) fn warn(&mut self, entry: &Entry<'_>, fault: Fault) {
        self.report.warn(entry_diagnostic(entry, entry.value, fault));
    }

    /// Says that a key is not there without which the section has no effect.
    pub(crate) fn warn_missing(&mut self, key: &str, fault: Fault) {
        let mut diagnostic = section_diagnostic(&self.view, fault);
        diagnostic.key = Some(key.to_owned());
        self.report.warn(diagnostic);
    }

    /// Reports a key that should be there and is not.
    pub(crate) fn missing(&mut self, key: &str, fault: Fault) {
        let mut diagnostic = section_diagnostic(&self.view, fault);
        diagnostic.key = Some(key.to_owned());
        self.report.error(diagnostic);
    }
}

impl<'g> Given<'g> {
    /// The value after expansion.
    pub(crate) fn text(&mut self) -> Result<String, Fault> {
        self.borrowed_text().map(Cow::into_owned)
    }

    /// The same, for those who do not keep it.
    pub(crate) fn borrowed_text(&mut self) -> Result<Cow<'g, str>, Fault> {
        if !self.entry.value.contains('%') {
            return Ok(Cow::Borrowed(self.entry.value));
        }
        let text = self.scope.expand(self.entry.value, self.entry.place)?;
        if self.scope.dialect == Dialect::Supervice
            && let Some(form) = stays_literal(self.entry.value)
        {
            let fault = Fault::new(
                format!("{form} stays as it is: only %(process_num)s is replaced in supervice's dialect"),
                "write the text itself; a file with a [supervisord] section has supervisord's names",
            );
            self.report.warn(entry_diagnostic(self.entry, self.entry.value, fault));
        }
        self.expanded = Some(text.clone().into_owned());
        Ok(text)
    }

    /// The value after expansion, or `None` where it is empty.
    pub(crate) fn filled(&mut self) -> Result<Option<String>, Fault> {
        let text = self.borrowed_text()?;
        Ok((!text.is_empty()).then(|| text.into_owned()))
    }

    /// The value as it stands in the file.
    pub(crate) fn raw(&self) -> &'g str {
        self.entry.value
    }

    /// The key as it stands in the file.
    pub(crate) fn key(&self) -> &'g str {
        self.entry.key
    }

    /// Another text of the same place, expanded.
    pub(crate) fn expand(&self, text: &str) -> Result<String, Fault> {
        Ok(self.scope.expand(text, self.entry.place)?.into_owned())
    }

    /// It stands in the file: it is not the default.
    pub(crate) fn is_in_file(&self) -> bool {
        self.in_file
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.scope.dialect
    }

    pub(crate) fn error(&mut self, fault: Fault) {
        let diagnostic = entry_diagnostic(self.entry, self.shown(), fault);
        self.report.error(diagnostic);
    }

    pub(crate) fn warn(&mut self, fault: Fault) {
        let diagnostic = entry_diagnostic(self.entry, self.shown(), fault);
        self.report.warn(diagnostic);
    }

    /// The value for a message. What comes from a variable of the environment may be a secret: its name is shown.
    fn shown(&self) -> &str {
        let raw = self.entry.value;
        if raw.contains("%(ENV_") { raw } else { self.expanded.as_deref().unwrap_or(raw) }
    }
}

/// A fault of one key's value.
pub(crate) fn entry_diagnostic(entry: &Entry<'_>, value: &str, fault: Fault) -> Diagnostic {
    let value = (!is_secret(entry.key)).then(|| value.to_owned());
    let fault = match &value {
        Some(value) => fault.behind(value),
        None => fault,
    };
    let mut diagnostic = entry.place.diagnostic(fault);
    diagnostic.section = Some(entry.section.to_owned());
    diagnostic.key = Some(entry.key.to_owned());
    diagnostic.value = value;
    diagnostic
}

/// A fault of a whole section.
pub(crate) fn section_diagnostic(view: &SectionView<'_>, fault: Fault) -> Diagnostic {
    let mut diagnostic = view.header().diagnostic(fault);
    diagnostic.section = Some(view.name.to_owned());
    diagnostic
}
