//! The exit codes of `supervicectl`.

pub(super) const DONE: u8 = 0;
pub(super) const FAILED: u8 = 1;
pub(super) const USAGE: u8 = 2;
pub(super) const NO_DAEMON: u8 = 3;
pub(super) const TIME_OUT: u8 = 4;
/// What a shell reports of a command that Ctrl-C has ended.
pub(super) const INTERRUPTED: u8 = 130;
