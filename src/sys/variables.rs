//! The environment of a child: what it inherits lies in memory once, for all children.

use std::cmp::Ordering;
use std::ffi::{CStr, CString};
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;

use crate::util::sort;

/// This process's own variables at one time, by name. While many children are on their way to their programs at one
/// time, a copy for each would leave holes in the heap for good.
#[derive(Clone, PartialEq, Eq)]
pub struct Inherited(Arc<[CString]>);

impl Inherited {
    /// The variables that there are now, but for those with these names.
    pub fn without(names: &[&str]) -> Inherited {
        let mut all: Vec<CString> = std::env::vars_os()
            .filter(|(name, _)| names.iter().all(|other| name != *other))
            .filter_map(|(mut entry, value)| {
                entry.push("=");
                entry.push(value);
                CString::new(entry.into_vec()).ok()
            })
            .collect();
        sort::sort_by(&mut all, |one, other| name_of(one).cmp(name_of(other)));
        // Where a name is there twice, what is found first is what getenv(3) finds.
        all.dedup_by(|one, other| name_of(one) == name_of(other));
        Inherited(all.into())
    }
}

impl fmt::Debug for Inherited {
    /// Without the values, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inherited").field("variables", &self.0.len()).finish()
    }
}

/// The variables of a child, each as `KEY=value`.
#[derive(Debug, Clone)]
pub struct Variables {
    /// Before all others: who reads the environment of a process may stop somewhere.
    first: Option<CString>,
    inherited: Inherited,
    /// By name.
    all: Vec<Entry>,
}

#[derive(Debug, Clone)]
enum Entry {
    /// The one with this index.
    Inherited(usize),
    Own(CString),
}

impl Variables {
    /// All that are inherited.
    pub fn new(inherited: &Inherited) -> Variables {
        let count = inherited.0.len();
        Variables { first: None, inherited: inherited.clone(), all: (0..count).map(Entry::Inherited).collect() }
    }

    /// Has this one come before all others, whose names are not its.
    pub fn put_first(&mut self, entry: CString) {
        self.remove(name_of(&entry));
        self.first = Some(entry);
    }

    /// Sets a variable, whatever it was before.
    pub fn set(&mut self, entry: CString) {
        match self.find(name_of(&entry)) {
            Ok(index) => {
                if let Some(before) = self.all.get_mut(index) {
                    *before = Entry::Own(entry);
                }
            }
            Err(index) => self.all.insert(index, Entry::Own(entry)),
        }
    }

    /// Leaves a variable out.
    pub fn remove(&mut self, name: &[u8]) {
        if let Ok(index) = self.find(name) {
            self.all.remove(index);
        }
    }

    /// The value of a variable.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        let entry = self.all.get(self.find(name).ok()?)?;
        // Behind the `=`.
        self.text(entry).to_bytes().get(name.len() + 1..)
    }

    /// All, in the order in which the child gets them.
    pub fn iter(&self) -> impl Iterator<Item = &CStr> {
        self.first.as_deref().into_iter().chain(self.all.iter().map(|entry| self.text(entry)))
    }

    fn find(&self, name: &[u8]) -> Result<usize, usize> {
        self.all.binary_search_by(|entry| -> Ordering { name_of(self.text(entry)).cmp(name) })
    }

    fn text<'a>(&'a self, entry: &'a Entry) -> &'a CStr {
        match entry {
            Entry::Inherited(index) => self.inherited.0.get(*index).map_or(c"", CString::as_c_str),
            Entry::Own(text) => text,
        }
    }
}

/// Each `KEY=value`; of several with one name the last.
impl FromIterator<CString> for Variables {
    fn from_iter<I: IntoIterator<Item = CString>>(entries: I) -> Variables {
        let mut variables = Variables { first: None, inherited: Inherited(Arc::new([])), all: Vec::new() };
        entries.into_iter().for_each(|entry| variables.set(entry));
        variables
    }
}

fn name_of(entry: &CStr) -> &[u8] {
    let entry = entry.to_bytes();
    // A name may begin with the sign, as it does where std reads them.
    let end = entry.iter().skip(1).position(|byte| *byte == b'=');
    end.and_then(|end| entry.get(..=end)).unwrap_or(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(variables: &Variables) -> Vec<&str> {
        variables.iter().map(|entry| entry.to_str().unwrap()).collect()
    }

    #[test]
    fn what_is_set_replaces_what_was_inherited_and_nobody_else_sees_it() {
        let inherited = Inherited(Arc::new([c"A=1".into(), c"B=2".into(), c"BB=3".into()]));
        let mut one = Variables::new(&inherited);
        one.set(c"B=x=y".into());
        one.set(c"C=".into());
        one.set(c"AB=4".into());
        one.remove(b"A");
        one.remove(b"none");
        one.put_first(c"Z=1".into());
        assert_eq!(entries(&one), ["Z=1", "AB=4", "B=x=y", "BB=3", "C="]);
        assert_eq!([one.get(b"B"), one.get(b"C"), one.get(b"A")], [Some(&b"x=y"[..]), Some(&b""[..]), None]);
        assert_eq!(entries(&Variables::new(&inherited)), ["A=1", "B=2", "BB=3"]);
    }

    #[test]
    fn this_process_s_own_are_inherited_but_for_those_that_are_named() {
        let all = Inherited::without(&[]);
        let (name, value) = std::env::vars_os().find(|(_, value)| !value.is_empty()).unwrap();
        let variables = Variables::new(&all);
        assert_eq!(variables.get(name.as_encoded_bytes()), Some(value.as_encoded_bytes()));
        assert_eq!(variables.iter().count(), std::env::vars_os().count());
        let others = Variables::new(&Inherited::without(&[name.to_str().unwrap()]));
        assert_eq!(others.get(name.as_encoded_bytes()), None);
    }
}
