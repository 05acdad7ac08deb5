//! What was added to the file at run time (see [`scale`](super::scale)), on its way to the disk and back from an
//! update.

use serde::{Deserialize, Serialize};

use super::Engine;
use super::stored_state::StoredScale;
use crate::config::Additions;
use crate::core::effect::StateFile;

/// What was added before an update.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AdditionsBefore {
    additions: Additions,
    kept: Vec<(String, StoredScale)>,
    instances: Vec<String>,
}

impl Engine {
    /// Has this outlive the daemon; `None`: what is in the file.
    pub(super) fn keep_scale(&mut self, program: &str, scale: Option<StoredScale>) {
        let before = match scale {
            Some(scale) => self.stored.scales.insert(program.to_owned(), scale),
            None => self.stored.scales.remove(program),
        };
        if before != scale {
            self.keep(StateFile::Scales);
        }
    }

    /// Has instances of templates outlive the daemon, or no more: all of them, by one write.
    pub(super) fn keep_instances(&mut self, names: &[String], kept: bool) {
        let mut is_other = false;
        for name in names {
            is_other |= match kept {
                true => self.stored.instances.insert(name.clone()),
                false => self.stored.instances.remove(name),
            };
        }
        if is_other {
            self.keep(StateFile::Instances);
        }
    }

    /// What was added, to go back to.
    pub(super) fn additions_before(&self) -> AdditionsBefore {
        let kept = self.stored.scales.iter().map(|(name, scale)| (name.clone(), *scale)).collect();
        let instances = self.stored.instances.iter().cloned().collect();
        AdditionsBefore { additions: self.additions.clone(), kept, instances }
    }

    /// The way back of an update.
    pub(super) fn restore_additions(&mut self, AdditionsBefore { additions, kept, instances }: AdditionsBefore) {
        // Others may have been enabled or disabled meanwhile; the update itself has forgotten those that it has made
        // impossible.
        let forgotten: Vec<String> =
            instances.into_iter().filter(|name| !self.additions.instances.contains(name)).collect();
        self.additions = additions;
        self.note_scaled_away();
        let kept = kept.into_iter().collect();
        if self.stored.scales != kept {
            self.stored.scales = kept;
            self.keep(StateFile::Scales);
        }
        self.keep_instances(&forgotten, true);
    }
}
