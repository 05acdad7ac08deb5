//! Low descriptors through which a child gets those of its list.
//!
//! A child keeps the table of descriptors up to the highest slot and no more. Copying and closing all that a
//! daemon with a thousand programs holds would be dearer than everything else in a spawn. Between spawns the slots lead
//! to the null device.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use super::launch::ChildFd;
use crate::process::{SpawnError, SpawnStage};

/// How many there are from the beginning: standard input, output and error.
const FIRST_SLOTS: usize = 3;

#[derive(Debug)]
pub(super) struct FdSlots {
    null: Arc<OwnedFd>,
    fds: Vec<OwnedFd>,
    /// How many of them lead elsewhere than to the null device.
    loaded: usize,
}

/// Where the sources of a list lie now.
#[derive(Debug)]
pub(super) struct LoadedFds {
    /// Targets and sources.
    pub(super) pairs: Vec<(RawFd, RawFd)>,
    /// The highest source; -1: there is none.
    pub(super) last: RawFd,
}

impl FdSlots {
    pub(super) fn new(null: &Arc<OwnedFd>) -> io::Result<FdSlots> {
        let mut slots = FdSlots { null: Arc::clone(null), fds: Vec::with_capacity(FIRST_SLOTS), loaded: 0 };
        for _ in 0..FIRST_SLOTS {
            slots.grow()?;
        }
        Ok(slots)
    }

    /// `try_clone` takes the lowest free number from 3 on, and closes on exec.
    fn grow(&mut self) -> io::Result<()> {
        self.fds.push(self.null.try_clone()?);
        Ok(())
    }

    /// The highest number.
    pub(super) fn last(&self) -> c_int {
        self.fds.iter().map(AsRawFd::as_raw_fd).max().unwrap_or(2)
    }

    /// Leads slots to the sources: each source to one, and the null device to none, which lies low itself. A list that
    /// is longer than any before makes more slots, which are kept.
    pub(super) fn load(&mut self, fds: &[ChildFd<'_>]) -> Result<LoadedFds, SpawnError> {
        let loaded = self.try_load(fds);
        if loaded.is_err() {
            self.unload();
        }
        loaded.map_err(|error| SpawnError::system(SpawnStage::Stdio, "", error.raw_os_error().unwrap_or(0)))
    }

    fn try_load(&mut self, fds: &[ChildFd<'_>]) -> io::Result<LoadedFds> {
        let null = self.null.as_raw_fd();
        let mut sources: Vec<RawFd> = Vec::with_capacity(FIRST_SLOTS);
        let mut pairs = Vec::with_capacity(fds.len());
        for (target, source) in fds {
            let source = source.as_raw_fd();
            if source == null && null < self.last() {
                pairs.push((*target, null));
                continue;
            }
            let place = match sources.iter().position(|known| *known == source) {
                Some(place) => place,
                None => {
                    sources.push(source);
                    sources.len() - 1
                }
            };
            if place >= self.fds.len() {
                self.grow()?;
            }
            let slot = self.fds.get(place).map_or(null, AsRawFd::as_raw_fd);
            if place >= self.loaded {
                lead(slot, source)?;
                self.loaded = place + 1;
            }
            pairs.push((*target, slot));
        }
        let last = pairs.iter().map(|(_, source)| *source).max().unwrap_or(-1);
        Ok(LoadedFds { pairs, last })
    }

    /// Leads the slots back to the null device: a pipe that stayed open here would never end.
    pub(super) fn unload(&mut self) {
        for slot in self.fds.iter().take(self.loaded) {
            // Can't fail: both are open. If it did, the next load would replace it.
            let _ = lead(slot.as_raw_fd(), self.null.as_fd().as_raw_fd());
        }
        self.loaded = 0;
    }

    #[cfg(test)]
    pub(super) fn numbers(&self) -> Vec<RawFd> {
        self.fds.iter().map(AsRawFd::as_raw_fd).collect()
    }
}

fn lead(slot: RawFd, source: RawFd) -> io::Result<()> {
    // SAFETY: what lies at the slot is ours and meant to be replaced; the source is borrowed by the caller.
    if unsafe { libc::dup3(source, slot, libc::O_CLOEXEC) } < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
