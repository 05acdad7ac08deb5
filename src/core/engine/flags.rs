//! Flags: what an operator or a script says to be so (`supervicectl flag set`), for starts that wait for it
//! (`flag:NAME` in
//! `start_when`). A flag lives until the daemon ends.

use serde::{Deserialize, Serialize};

use super::Engine;
use super::access::Visibility;
use super::ledger::ReplyToken;
use crate::api::{FlagRow, Refusal, Reply};
use crate::models::{ProgramConfig, StartCondition};
use crate::util::sorted::{SortedMap, SortedSet};

/// The most flags that may be set at a time.
const MAX_FLAGS: usize = 1024;
/// Programs that are named for each flag.
const MAX_NAMED: usize = 8;

/// Those that are set.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Flags(SortedSet<String>);

impl Flags {
    pub(super) fn is_set(&self, flag: &str) -> bool {
        self.0.contains(flag)
    }

    /// Whether this is the condition of a flag that is set.
    pub(super) fn hold(&self, condition: &StartCondition) -> bool {
        matches!(condition, StartCondition::Flag(flag) if self.is_set(flag))
    }
}

/// The flags that a program waits for.
fn flags_of(program: &ProgramConfig) -> impl Iterator<Item = &String> {
    program
        .start_when
        .iter()
        .filter_map(|condition| if let StartCondition::Flag(flag) = condition { Some(flag) } else { None })
}

impl Engine {
    /// Sets or clears a flag. Those that wait for it start within the turn.
    pub(super) fn set_flag(&mut self, token: ReplyToken, name: &str, is_set: bool) {
        if is_set && !self.flags.is_set(name) && self.flags.0.len() >= MAX_FLAGS {
            return self.refuse(token, Refusal::TooManyFlags { most: MAX_FLAGS });
        }
        let has_changed = if is_set { self.flags.0.insert(name.to_owned()) } else { self.flags.0.remove(name) };
        let is_awaited = self.registry.iter().any(|(_, entry)| flags_of(entry.config()).any(|awaited| awaited == name));
        self.reply(token, Reply::FlagSet { name: name.to_owned(), is_set, has_changed, is_awaited });
        if has_changed {
            self.review_flag(name);
        }
    }

    /// The flags that are set, and those that programs name.
    pub(super) fn flag_rows(&self, visibility: &Visibility<'_>) -> Vec<FlagRow> {
        let mut rows: SortedMap<&String, FlagRow> = SortedMap::default();
        let row = |name: &String| FlagRow { name: name.clone(), is_set: self.flags.is_set(name), ..FlagRow::default() };
        for name in self.flags.0.iter() {
            rows.insert(name, row(name));
        }
        for (_, entry) in self.registry.iter().filter(|(_, entry)| visibility.can_see(entry)) {
            for name in flags_of(entry.config()) {
                if !rows.contains_key(name) {
                    if rows.len() >= 2 * MAX_FLAGS {
                        continue;
                    }
                    rows.insert(name, row(name));
                }
                if let Some(row) = rows.get_mut(name) {
                    match row.programs.len() < MAX_NAMED {
                        true => row.programs.push(entry.name().to_owned()),
                        false => row.more += 1,
                    }
                }
            }
        }
        rows.values().cloned().collect()
    }
}
