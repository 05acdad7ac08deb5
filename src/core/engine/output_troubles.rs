//! What is wrong with the output of a process: of each stream and kind the newest trouble, until it is over.

use serde::{Deserialize, Serialize};

use crate::models::{OutputTrouble, OutputTroubleKind, StreamKind};

/// Most processes have none: that costs a pointer.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct OutputTroubles(Option<Box<Troubles>>);

/// Sorted, the worst first.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Troubles(Vec<(StreamKind, OutputTrouble)>);

impl OutputTroubles {
    pub(super) fn begin(&mut self, stream: StreamKind, trouble: OutputTrouble) {
        self.end(stream, trouble.kind);
        let Troubles(troubles) = &mut **self.0.get_or_insert_default();
        let at = troubles.partition_point(|(of, before)| (before.kind, *of as u8) < (trouble.kind, stream as u8));
        troubles.insert(at, (stream, trouble));
    }

    pub(super) fn end(&mut self, stream: StreamKind, kind: OutputTroubleKind) {
        if let Some(troubles) = &mut self.0 {
            troubles.0.retain(|(of, trouble)| (*of, trouble.kind) != (stream, kind));
        }
        self.0.take_if(|troubles| troubles.0.is_empty());
    }

    /// The worst, of standard output first.
    pub(super) fn worst(&self) -> Option<OutputTrouble> {
        self.0.as_ref()?.0.first().map(|(_, trouble)| trouble.clone())
    }
}
