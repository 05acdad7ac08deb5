//! `supervice --simulate` in a build without it.

use super::args::{Args, SimulateOptions};
use super::{USAGE, fail};

/// Says so.
pub(super) fn main(_: &Args, _: &SimulateOptions, _: bool) -> u8 {
    fail(USAGE, "this build of supervice has no simulation (the feature 'simulate' was left out)")
}
