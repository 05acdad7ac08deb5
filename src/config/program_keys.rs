//! What the keys of a document are to programs: found out once for each name, of which ten thousand sections mostly
//! have few.

use super::document::{Document, Entry, KeyId, SectionView};
use super::keys::{self, KeyRow, Section, is_known_in};
use super::sections::ProgramKind;
use crate::models::{Dialect, ProgramConfig};

/// Rows of [`keys::PROGRAM`], by their places in it.
#[derive(Clone, Copy, Default)]
struct Rows([u64; WORDS]);

const WORDS: usize = 4;

impl Rows {
    fn insert(&mut self, row: usize) {
        if let Some(word) = self.0.get_mut(row / 64) {
            *word |= 1 << (row % 64);
        }
    }

    fn has(self, row: usize) -> bool {
        self.0.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    fn add(&mut self, others: Rows) {
        self.0.iter_mut().zip(others.0).for_each(|(word, other)| *word |= other);
    }

    fn iter(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().zip(0..).flat_map(|(mut word, place)| {
            std::iter::from_fn(move || {
                let bit = (word != 0).then_some(word.trailing_zeros() as usize)?;
                word &= word - 1;
                Some(place * 64 + bit)
            })
        })
    }
}

/// What one name means to a kind of program.
#[derive(Clone, Copy, Default)]
struct Meaning {
    /// The keys that it sets.
    rows: Rows,
    /// It may stand in the section.
    is_known: bool,
}

/// See the [module](self).
pub(crate) struct ProgramKeys {
    /// Of each name, under its number, to each kind of program.
    meanings: Vec<[Meaning; KINDS]>,
    /// All keys that a kind of program knows.
    known: [Rows; KINDS],
    /// Those that a section has a value for in any case: the dialect's default.
    defaults: [Rows; KINDS],
}

const KINDS: usize = 3;

fn place_of(kind: ProgramKind) -> usize {
    match kind {
        ProgramKind::Plain => 0,
        ProgramKind::EventListener => 1,
        ProgramKind::Fcgi => 2,
    }
}

/// The section that has the keys of a kind of program, besides those of every program.
pub(crate) fn section_of(kind: ProgramKind) -> Section {
    match kind {
        ProgramKind::Plain => Section::Program,
        ProgramKind::EventListener => Section::EventListener,
        ProgramKind::Fcgi => Section::FcgiProgram,
    }
}

/// A key that a section has a value for.
pub(crate) struct GivenKey<'d> {
    pub row: &'static KeyRow<ProgramConfig>,
    /// `None`: the dialect's default.
    pub entry: Option<Entry<'d>>,
}

impl ProgramKeys {
    pub(crate) fn of(document: &Document) -> ProgramKeys {
        let dialect = document.dialect;
        let kinds = [ProgramKind::Plain, ProgramKind::EventListener, ProgramKind::Fcgi];
        let meaning = |kind, name: &str| Meaning {
            rows: rows(kind, dialect, |row| row.name == name),
            is_known: is_known_in(section_of(kind), dialect, name),
        };
        ProgramKeys {
            meanings: document.key_names().map(|name| kinds.map(|kind| meaning(kind, name))).collect(),
            known: kinds.map(|kind| rows(kind, dialect, |_| true)),
            defaults: kinds.map(|kind| rows(kind, dialect, |row| row.default_in(dialect).is_some())),
        }
    }

    fn meaning(&self, key: KeyId, kind: usize) -> Option<&Meaning> {
        self.meanings.get(key.index())?.get(kind)
    }

    /// Whether a section has only keys of its own that it may have.
    pub(crate) fn knows_all(&self, view: &SectionView<'_>, kind: ProgramKind) -> bool {
        view.own_keys().all(|key| self.meaning(key, place_of(kind)).is_some_and(|meaning| meaning.is_known))
    }

    /// The keys that a section has values for, of those that its kind of program knows, in the order of the table.
    pub(crate) fn given<'d>(&self, view: SectionView<'d>, kind: ProgramKind) -> Vec<GivenKey<'d>> {
        let kind = place_of(kind);
        let defaults = self.defaults.get(kind).copied().unwrap_or_default();
        let given = |place, entry: Option<Entry<'d>>| {
            let row = keys::PROGRAM.get(place).filter(|_| entry.is_some() || defaults.has(place))?;
            Some(GivenKey { row, entry })
        };
        if !view.has_few_keys() {
            let rows = self.known.get(kind).copied().unwrap_or_default().iter();
            return rows.filter_map(|place| given(place, view.get(keys::PROGRAM.get(place)?.name))).collect();
        }
        // Which of a few keys sets a row is found sooner than the number of a name.
        let sets = |key: KeyId, place| self.meaning(key, kind).is_some_and(|meaning| meaning.rows.has(place));
        let rows_of = |key| self.meaning(key, kind).map_or_else(Rows::default, |meaning| meaning.rows);
        let mut rows = defaults;
        view.all_keys().for_each(|key| rows.add(rows_of(key)));
        let entry = |place| view.entry(view.all_keys().find(|key| sets(*key, place))?);
        rows.iter().filter_map(|place| given(place, entry(place))).collect()
    }
}

/// The rows of which this holds, of those that a dialect and a kind of program know.
fn rows(kind: ProgramKind, dialect: Dialect, holds: impl Fn(&KeyRow<ProgramConfig>) -> bool) -> Rows {
    let is_of_another_kind =
        |section| matches!(section, Section::EventListener | Section::FcgiProgram) && section != section_of(kind);
    let mut rows = Rows::default();
    for (place, row) in keys::PROGRAM.iter().enumerate() {
        if holds(row) && row.only.is_none_or(|only| only == dialect) && !is_of_another_kind(row.section) {
            rows.insert(place);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn there_is_room_for_all_rows() {
        assert!(keys::PROGRAM.len() <= WORDS * 64, "make WORDS larger");
        let mut rows = Rows::default();
        let places = [0, 1, 63, 64, 127, 200, 255];
        places.into_iter().for_each(|place| rows.insert(place));
        assert_eq!(rows.iter().collect::<Vec<_>>(), places);
        assert!((0..256).all(|place| rows.has(place) == places.contains(&place)));
    }

    /// A key that one row or another is called, or none, and the section that it stands in.
    fn key() -> impl Strategy<Value = (usize, String)> {
        let known = 0..keys::PROGRAM.len();
        let name = prop_oneof![9 => known.prop_map(|row| keys::PROGRAM[row].name.to_owned()), 1 => "[a-z]{2}"];
        (0..6_usize, name)
    }

    proptest! {
        /// Whatever a section and those that it inherits from set, few keys or many: each row is given whose key is
        /// there.
        #[test]
        fn the_rows_that_are_given_are_those_of_the_keys_that_are_there(
            keys in prop_oneof![proptest::collection::vec(key(), 0..8), proptest::collection::vec(key(), 0..400)],
        ) {
            let headers = [
                "DEFAULT", "defaults", "template:t", "program:t@x", "eventlistener:e", "fcgi-program:f",
            ];
            let section = |(header, number): (&&str, usize)| {
                let own = keys.iter().filter(|(section, _)| *section == number);
                let own: String = own.map(|(_, key)| format!("{key} = 1\n")).collect();
                format!("[{header}]\n{own}")
            };
            let text: String = headers.iter().zip(0..).map(section).collect();
            for dialect in [Dialect::Supervice, Dialect::Supervisord] {
                let document = Document::from_text_in(&text, dialect).expect("grammar");
                let all = ProgramKeys::of(&document);
                for (kind, name) in [
                    (ProgramKind::Plain, "program:t@x"),
                    (ProgramKind::EventListener, "eventlistener:e"),
                    (ProgramKind::Fcgi, "fcgi-program:f"),
                ] {
                    let view = document.section(name).expect("it is there");
                    let of_kind = rows(kind, dialect, |_| true);
                    let known = keys::PROGRAM.iter().enumerate().filter(|(place, _)| of_kind.has(*place));
                    let wanted: Vec<_> = known
                        .map(|(place, row)| (place, view.get(row.name), row.default_in(dialect)))
                        .filter(|(_, entry, default)| entry.is_some() || default.is_some())
                        .map(|(place, entry, _)| (place, entry.map(|entry| (entry.section, entry.place.line))))
                        .collect();
                    let place = |row| keys::PROGRAM.iter().position(|other| std::ptr::eq(other, row)).expect("a row");
                    let given = all.given(view, kind).into_iter().map(|GivenKey { row, entry }| {
                        (place(row), entry.map(|entry| (entry.section, entry.place.line)))
                    });
                    prop_assert_eq!(given.collect::<Vec<_>>(), wanted, "{} in {}", name, text);
                    let is_known = |key: &str| is_known_in(section_of(kind), dialect, key);
                    prop_assert_eq!(all.knows_all(&view, kind), view.own_entries().all(|entry| is_known(entry.key)));
                }
            }
        }
    }
}
