//! The configuration as a whole: files in, configurations, warnings and golden errors out; and the
//! comparison with Python's own readers.

mod cases;
mod differential;
mod errors;
mod loading;
mod properties;
mod python;
mod recordings;
mod roundtrip;
mod support;
mod warnings;
