//! Reading the keys of one section: expanded, parsed, and reported with their place where they are wrong.

use std::borrow::Cow;

use super::diagnostic::{Diagnostic, Fault, Report};
use super::expand::{Scope, unset_variable};
use super::keys::{self, Foreign};
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

    /// A key parsed, or its default where it is absent or wrong.
    pub(crate) fn parse<T>(&mut self, key: &str, default: T, parse: impl FnOnce(&str) -> Result<T, Fault>) -> T {
        let Some(text) = self.text(key) else { return default };
        match parse(&text.value) {
            Ok(value) => value,
            Err(fault) => {
                self.error(&text, fault);
                default
            }
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

/// Reports every key of a section that is neither in `known` nor harmless: `foreign` ones as without
/// effect, the others with a guess what was meant.
pub(crate) fn check_keys(view: &SectionView<'_>, known: &[&[&str]], foreign: &[Foreign], report: &mut Report) {
    for entry in view.own_entries() {
        if known.iter().any(|keys| keys.contains(&entry.key)) {
            continue;
        }
        if let Some(other) = foreign.iter().find(|foreign| foreign.key == entry.key) {
            if !other.harmless.contains(&entry.value.to_ascii_lowercase().as_str()) {
                report.warn(entry_diagnostic(
                    &entry,
                    entry.value,
                    Fault::new("this key has no effect here", other.instead),
                ));
            }
            continue;
        }
        let known: Vec<&str> = known.iter().flat_map(|keys| keys.iter().copied()).collect();
        let hint = match keys::guess(entry.key, &known) {
            Some(key) => format!("did you mean {key}?"),
            None => "it has no effect: remove it, or see supervice.conf(5) for the keys of this section".to_owned(),
        };
        report.unknown(entry_diagnostic(&entry, entry.value, Fault::new("unknown key", hint)));
    }
}
