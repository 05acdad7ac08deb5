//! Errors are sentences: a benchmark has nobody who would match on them.

use std::fmt::Display;

/// What failed, on what.
pub type Result<T> = std::result::Result<T, String>;

/// Puts what was tried in front of an error.
pub trait Context<T> {
    /// `what` reads like "cannot write /tmp/x".
    fn context(self, what: impl Display) -> Result<T>;
}

impl<T, E: Display> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl Display) -> Result<T> {
        self.map_err(|error| format!("{what}: {error}"))
    }
}
