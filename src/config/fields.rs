//! Reading the keys of one section: expanded, parsed, and reported with their place where they are wrong.

use std::borrow::Cow;

use super::checks::Checks;
use super::diagnostic::{Diagnostic, Fault, Report};
use super::expand::{Scope, unset_variable};
use super::reader::{Entry, SectionView};

/// One section being read.
pub(crate) struct Fields<'r, 'd> {
    pub view: SectionView<'d>,
    pub scope: Scope<'r>,
    pub report: &'r mut Report,
}

/// A value after expansion, and the entry that it came from.
pub(crate) struct Text<'d> {
    pub entry: Entry<'d>,
    pub value: Cow<'d, str>,
}

/// A key that is present, for the function that parses it.
pub(crate) struct Given<'g> {
    text: &'g Text<'g>,
    scope: Scope<'g>,
    report: &'g mut Report,
    pub checks: &'g mut Checks,
}

impl<'d> Fields<'_, 'd> {
    /// The value of a key, expanded; `None` where the key is absent.
    pub(crate) fn text(&mut self, key: &str) -> Option<Text<'d>> {
        let entry = self.view.get(key)?;
        let value = self.scope.expand(entry.value, entry.place);
        if let Some(name) = unset_variable(entry.value) {
            let fault = Fault::new(
                format!("the variable {name} is not in the daemon's environment: %(ENV_{name})s stays as it is"),
                "set it before supervice is started",
            );
            self.report.warn(entry_diagnostic(&entry, entry.value, fault));
        }
        Some(Text { entry, value })
    }

    /// The value of a key, or `None` where it is absent or empty.
    pub(crate) fn filled(&mut self, key: &str) -> Option<Text<'d>> {
        self.text(key).filter(|text| !text.value.is_empty())
    }

    /// Has a key parsed, if it is present, and reports what is wrong with it.
    pub(crate) fn parse(
        &mut self,
        key: &str,
        checks: &mut Checks,
        parse: &mut dyn FnMut(&mut Given<'_>) -> Result<(), Fault>,
    ) {
        let Some(text) = self.text(key) else { return };
        let mut given = Given { text: &text, scope: self.scope, report: self.report, checks };
        if let Err(fault) = parse(&mut given) {
            given.error(fault);
        }
    }

    pub(crate) fn error(&mut self, text: &Text<'_>, fault: Fault) {
        self.report.error(entry_diagnostic(&text.entry, &text.value, fault));
    }

    pub(crate) fn warn(&mut self, text: &Text<'_>, fault: Fault) {
        self.report.warn(entry_diagnostic(&text.entry, &text.value, fault));
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
    pub(crate) fn text(&self) -> &'g str {
        &self.text.value
    }

    /// The value after expansion, or `None` where it is empty.
    pub(crate) fn filled(&self) -> Option<&'g str> {
        Some(self.text()).filter(|text| !text.is_empty())
    }

    /// The value as it stands in the file.
    pub(crate) fn raw(&self) -> &'g str {
        self.text.entry.value
    }

    /// A part of the raw value, expanded.
    pub(crate) fn expand(&self, part: &str) -> String {
        self.scope.expand(part, self.text.entry.place).into_owned()
    }

    pub(crate) fn error(&mut self, fault: Fault) {
        self.report.error(entry_diagnostic(&self.text.entry, &self.text.value, fault));
    }

    pub(crate) fn warn(&mut self, fault: Fault) {
        self.report.warn(entry_diagnostic(&self.text.entry, &self.text.value, fault));
    }
}

/// A fault of one key's value.
pub(crate) fn entry_diagnostic(entry: &Entry<'_>, value: &str, fault: Fault) -> Diagnostic {
    let mut diagnostic = entry.place.diagnostic(fault);
    diagnostic.section = Some(entry.section.to_owned());
    diagnostic.key = Some(entry.key.to_owned());
    diagnostic.value = Some(value.to_owned());
    diagnostic
}

/// A fault of a whole section.
pub(crate) fn section_diagnostic(view: &SectionView<'_>, fault: Fault) -> Diagnostic {
    let mut diagnostic = view.header().diagnostic(fault);
    diagnostic.section = Some(view.name.to_owned());
    diagnostic
}
