//! What is no request.

use super::Status;

/// Why what was read is no request. Nothing that follows it can be understood: the connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// The status of the answer.
    pub status: Status,
    /// What is wrong, for people.
    pub message: &'static str,
}

/// It is none by any reading.
pub(super) const fn bad(message: &'static str) -> Malformed {
    Malformed { status: Status::BadRequest, message }
}
