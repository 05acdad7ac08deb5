//! What was added to the file at run time (see [`scale`](super::scale)), on its way to the disk and back from an update.

use serde::{Deserialize, Serialize};

use super::Engine;
use super::kept::Scale;
use crate::config::Additions;
use crate::core::effect::KeptFile;

/// What was added before an update.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AdditionsBefore {
    additions: Additions,
    kept: Vec<(String, Scale)>,
    instances: Vec<String>,
}

impl Engine {
    /// Has this outlive the daemon; `None`: what is in the file.
    pub(super) fn keep_scale(&mut self, program: &str, scale: Option<Scale>) {
        let before = match scale {
            Some(scale) => self.kept.scales.insert(program.to_owned(), scale),
            None => self.kept.scales.remove(program),
        };
        if before != scale {
            self.keep(KeptFile::Scales);
        }
    }

    /// Has instances of templates outlive the daemon, or no more: all of them, by one write.
    pub(super) fn keep_instances(&mut self, names: &[String], kept: bool) {
        let mut is_other = false;
        for name in names {
            is_other |= match kept {
                true => self.kept.instances.insert(name.clone()),
                false => self.kept.instances.remove(name),
            };
        }
        if is_other {
            self.keep(KeptFile::Instances);
        }
    }

    /// What was added, to go back to.
    pub(super) fn additions_before(&self) -> AdditionsBefore {
        let kept = self.kept.scales.iter().map(|(name, scale)| (name.clone(), *scale)).collect();
        let instances = self.kept.instances.iter().cloned().collect();
        AdditionsBefore { additions: self.additions.clone(), kept, instances }
    }

    /// The way back of an update.
    pub(super) fn bring_additions_back(&mut self, AdditionsBefore { additions, kept, instances }: AdditionsBefore) {
        // Others may have been enabled or disabled meanwhile; the update itself has forgotten those that it has made impossible.
        let forgotten: Vec<String> =
            instances.into_iter().filter(|name| !self.additions.instances.contains(name)).collect();
        self.additions = additions;
        self.note_scaled_away();
        let kept = kept.into_iter().collect();
        if self.kept.scales != kept {
            self.kept.scales = kept;
            self.keep(KeptFile::Scales);
        }
        self.keep_instances(&forgotten, true);
    }
}
