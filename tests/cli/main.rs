//! `supervicectl` against a daemon that says what the test wants, and checks that the documents name everything.

mod commands;
mod completion;
mod docs;
mod failures;
mod fake;
mod golden;
#[cfg(feature = "simulate")]
mod simulation;
