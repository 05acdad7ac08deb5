//! A configuration as text: sections and keys in their order, merged across files, each with its place, and what each
//! section inherits. [`reader`](super::reader) fills it.
//!
//! Ten thousand sections are read at each reload, so that a section costs few pieces of memory and a key is looked up
//! by a number: its name is hashed once, when its line is read.

use std::collections::HashMap;
use std::rc::Rc;

use ini::Properties;

use super::diagnostic::Place;
use super::marks::mark_of;
use super::sections::name_in;
use crate::models::Dialect;
use crate::util::quick_hash::QuickState;

/// The section whose keys every other section has as well, unless it sets them itself.
pub(crate) const DEFAULT_SECTION: &str = "DEFAULT";
/// The section that names further files, and its key.
pub(super) const INCLUDE_SECTION: &str = "include";
pub(crate) const INCLUDE_FILES: &str = "files";
/// The section whose keys every program below it has as well, unless it or its template sets them.
pub(crate) const PROGRAM_DEFAULTS_SECTION: &str = "defaults";
/// What stands before the name of a program.
const PROGRAM_PREFIX: &str = "program:";

/// The template and the instance that a program's name tells: `worker@eu` is `eu` of `worker`.
fn instance_of(program: &str) -> Option<(&str, &str)> {
    let at = program.bytes().position(|byte| byte == b'@')?;
    Some((program.get(..at)?, program.get(at + 1..)?))
}

fn template_section(template: &str) -> String {
    format!("template:{template}")
}

/// A configuration as text: sections and keys in their order, merged across files, each with its place.
#[derive(Default)]
pub struct Document {
    /// The rules by which the files are read.
    pub dialect: Dialect,
    /// In the order in which they first appear.
    sections: Vec<SectionText>,
    /// Which of them has this name.
    numbers: HashMap<Rc<str>, usize, QuickState>,
    names: KeyNames,
    /// Continuation lines that look like keys of their own.
    pub(crate) swallowed: Vec<SwallowedKey>,
    /// Whether these are the right rules is to be found out; once they may not be, no more is read.
    pub(super) guess: Option<Guess>,
}

/// What reading tells of a dialect that was guessed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Guess {
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

/// A name of a key, of which a document mostly has few: its place among [`KeyNames`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct KeyId(u32);

impl KeyId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// All names of keys, each with its [mark](mark_of).
#[derive(Default)]
struct KeyNames {
    names: Vec<(Rc<str>, u64)>,
    numbers: HashMap<Rc<str>, KeyId, QuickState>,
}

impl KeyNames {
    fn id_of(&mut self, name: &str) -> KeyId {
        if let Some(id) = self.numbers.get(name) {
            return *id;
        }
        // No file is so long.
        let id = KeyId(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        let name: Rc<str> = name.into();
        self.names.push((Rc::clone(&name), mark_of(&name)));
        self.numbers.insert(name, id);
        id
    }

    fn name(&self, id: KeyId) -> &str {
        self.names.get(id.index()).map_or("", |(name, _)| name)
    }

    fn mark(&self, id: KeyId) -> u64 {
        self.names.get(id.index()).map_or(0, |(_, mark)| *mark)
    }
}

/// Where the keys of a section stand, in the order in which they were first set.
#[derive(Default)]
struct KeyPlaces {
    places: Vec<(KeyId, Place)>,
    /// Where each is in the list, if these are not few.
    index: HashMap<KeyId, usize, QuickState>,
}

/// Among so many keys, a search from the first on is quicker than a hash.
const FEW_KEYS: usize = 32;

impl KeyPlaces {
    fn are_few(&self) -> bool {
        self.places.len() <= FEW_KEYS
    }

    fn position(&self, key: KeyId) -> Option<usize> {
        match self.are_few() {
            true => self.places.iter().position(|(other, _)| *other == key),
            false => self.index.get(&key).copied(),
        }
    }

    fn get(&self, key: KeyId) -> Option<&Place> {
        self.places.get(self.position(key)?).map(|(_, place)| place)
    }

    fn set(&mut self, key: KeyId, place: Place) {
        if let Some((_, former)) = self.position(key).and_then(|position| self.places.get_mut(position)) {
            *former = place;
            return;
        }
        self.places.push((key, place));
        if !self.are_few() {
            let missing = self.places.iter().enumerate().skip(self.index.len());
            self.index.extend(missing.map(|(position, (key, _))| (*key, position)));
        }
    }
}

/// One section.
struct SectionText {
    name: Rc<str>,
    header: Place,
    /// How many sections stand above it.
    order: usize,
    /// It is a program's.
    is_program: bool,
    /// Its name may tell a template.
    may_be_instance: bool,
    values: Properties,
    places: KeyPlaces,
    /// The [marks](mark_of) of its keys: most of those that are asked for are absent, and this tells that at once.
    marks: u64,
}

/// One key as it stands in a file.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'d> {
    pub section: &'d str,
    pub key: &'d str,
    pub value: &'d str,
    pub place: &'d Place,
}

/// One section of a [`Document`], with what it inherits.
#[derive(Clone, Copy)]
pub(crate) struct SectionView<'d> {
    pub name: &'d str,
    names: &'d KeyNames,
    own: &'d SectionText,
    inherited: Inherited<'d>,
    /// The [marks](mark_of) of all these keys.
    marks: u64,
}

/// What a section has besides its own keys: the first that has a key counts.
#[derive(Clone, Copy)]
struct Inherited<'d> {
    /// A program's template.
    template: Option<&'d SectionText>,
    /// `[defaults]`, if it stands above the program.
    defaults: Option<&'d SectionText>,
    /// `[DEFAULT]`. Python's section has no place of its own in what is said.
    all: Option<&'d SectionText>,
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

    /// It was read by a guess, which is none from now on: may it be supervisord's? Whatever the rules, by which more or
    /// less is a comment, all that could tell stands in the names of sections and in this value.
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

    /// The sections in the order in which they first appear, without `[DEFAULT]`.
    pub(crate) fn sections(&self) -> impl Iterator<Item = SectionView<'_>> {
        let shared = self.shared();
        let own = self.sections.iter().filter(|section| *section.name != *DEFAULT_SECTION);
        own.map(move |section| self.view(section, shared))
    }

    /// The same without those that are called `[program:NAME]`, which are mostly nearly all.
    pub(crate) fn other_sections(&self) -> impl Iterator<Item = SectionView<'_>> {
        let shared = self.shared();
        let others = self.sections.iter().filter(|section| !section.is_program && *section.name != *DEFAULT_SECTION);
        others.map(move |section| self.view(section, shared))
    }

    pub(crate) fn section(&self, name: &str) -> Option<SectionView<'_>> {
        Some(self.view(self.text(name)?, self.shared()))
    }

    /// The names of all sections, `[DEFAULT]` among them, for tests and tools.
    #[cfg(any(test, feature = "internals"))]
    pub fn section_names(&self) -> impl Iterator<Item = &str> {
        self.sections.iter().map(|section| &*section.name)
    }

    /// What a section itself sets, for tests and tools.
    #[cfg(any(test, feature = "internals"))]
    pub fn values(&self, section: &str) -> Option<&Properties> {
        self.text(section).map(|section| &section.values)
    }

    /// The names of all keys, each under its [number](KeyId).
    pub(super) fn key_names(&self) -> impl Iterator<Item = &str> {
        self.names.names.iter().map(|(name, _)| &**name)
    }

    fn text(&self, section: &str) -> Option<&SectionText> {
        self.sections.get(*self.numbers.get(section)?)
    }

    /// What more than one section inherits: `[defaults]` and `[DEFAULT]`.
    fn shared(&self) -> [Option<&SectionText>; 2] {
        [self.text(PROGRAM_DEFAULTS_SECTION), self.text(DEFAULT_SECTION)]
    }

    fn view<'d>(&'d self, own: &'d SectionText, [defaults, all]: [Option<&'d SectionText>; 2]) -> SectionView<'d> {
        let name = &*own.name;
        let template = own.may_be_instance.then(|| self.template_of(name)).flatten();
        let above = defaults.filter(|defaults| own.is_program && defaults.order < own.order);
        let inherited = Inherited { template, defaults: above, all };
        let others = [template, above, all].into_iter().flatten();
        let marks = others.fold(own.marks, |marks, section| marks | section.marks);
        SectionView { name, names: &self.names, own, inherited, marks }
    }

    /// The section of the template that the name of a program's section tells.
    fn template_of(&self, name: &str) -> Option<&SectionText> {
        let program = name_in(name.strip_prefix(PROGRAM_PREFIX)?, self.dialect);
        self.text(&template_section(instance_of(program)?.0))
    }

    /// The instance that a program's name tells, where there is the template that it names.
    pub(crate) fn instance<'n>(&self, program: &'n str) -> Option<&'n str> {
        let (template, instance) = instance_of(program)?;
        self.numbers.contains_key(&*template_section(template)).then_some(instance)
    }

    /// The number of a section that was entered.
    pub(super) fn number_of(&self, section: &str) -> Option<usize> {
        self.numbers.get(section).copied()
    }

    /// Where a section's header stands.
    pub(super) fn header_of(&self, section: usize) -> Option<&Place> {
        self.sections.get(section).map(|section| &section.header)
    }

    /// Opens a section for more keys; its number.
    pub(super) fn enter(&mut self, name: &str, place: Place) -> usize {
        if let Some(number) = self.number_of(name) {
            return number;
        }
        let order = self.sections.len();
        let name: Rc<str> = name.into();
        self.numbers.insert(Rc::clone(&name), order);
        let is_program = name.starts_with(PROGRAM_PREFIX);
        self.sections.push(SectionText {
            may_be_instance: is_program && name.bytes().any(|byte| byte == b'@'),
            name,
            header: place,
            order,
            is_program,
            values: Properties::new(),
            places: KeyPlaces::default(),
            marks: 0,
        });
        order
    }

    /// The number of a key's name.
    pub(super) fn key_id(&mut self, name: &str) -> KeyId {
        self.names.id_of(name)
    }

    /// Sets a key of a section that was entered.
    pub(super) fn set(&mut self, section: usize, key: KeyId, value: String, place: Place) {
        let Some(section) = self.sections.get_mut(section) else { return };
        section.values.insert(self.names.name(key), value);
        section.marks |= self.names.mark(key);
        section.places.set(key, place);
    }

    /// Where a section sets this key by now.
    pub(super) fn place_of(&self, section: usize, key: KeyId) -> Option<&Place> {
        self.sections.get(section)?.places.get(key)
    }
}

impl<'d> SectionView<'d> {
    pub(crate) fn header(&self) -> &'d Place {
        &self.own.header
    }

    /// The key's entry: the section's own, else one that it inherits.
    // Inlined, since the mark of a key that is written there is known then.
    #[inline(always)]
    pub(crate) fn get(&self, key: &str) -> Option<Entry<'d>> {
        let mark = mark_of(key);
        if self.marks & mark == mark { self.look_up(key) } else { None }
    }

    /// As [`get`](Self::get), of a key that is probably there.
    fn look_up(&self, key: &str) -> Option<Entry<'d>> {
        self.entry(*self.names.numbers.get(key)?)
    }

    /// The entry of the key with this number.
    pub(super) fn entry(&self, key: KeyId) -> Option<Entry<'d>> {
        let Inherited { template, defaults, all } = self.inherited;
        let named = [Some(self.own), template, defaults].into_iter().flatten().map(|section| (&*section.name, section));
        named.chain(all.map(|all| (self.name, all))).find_map(|(name, section)| self.entry_in(name, section, key))
    }

    fn entry_in(&self, name: &'d str, section: &'d SectionText, key: KeyId) -> Option<Entry<'d>> {
        let place = section.places.get(key)?;
        let key = self.names.name(key);
        Some(Entry { section: name, key, value: section.values.get(key)?, place })
    }

    /// The section's own keys in the order in which they were first set.
    pub(crate) fn own_entries(&self) -> impl Iterator<Item = Entry<'d>> + use<'d> {
        let view = *self;
        view.own_keys().filter_map(move |key| view.entry_in(view.name, view.own, key))
    }

    /// Their numbers.
    pub(super) fn own_keys(&self) -> impl Iterator<Item = KeyId> + use<'d> {
        self.own.places.places.iter().map(|(key, _)| *key)
    }

    /// To go through all its keys and those that it inherits takes no longer than a few look-ups.
    pub(super) fn has_few_keys(&self) -> bool {
        let Inherited { template, defaults, all } = self.inherited;
        [Some(self.own), template, defaults, all].into_iter().flatten().all(|section| section.places.are_few())
    }

    /// The numbers of its own keys and of those that it inherits; one may come more than once.
    pub(super) fn all_keys(&self) -> impl Iterator<Item = KeyId> + use<'d> {
        let Inherited { template, defaults, all } = self.inherited;
        let others = [template, defaults, all].into_iter().flatten();
        self.own_keys().chain(others.flat_map(|section| section.places.places.iter().map(|(key, _)| *key)))
    }
}
