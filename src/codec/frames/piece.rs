//! Pieces of output, as the answer to `tail` carries them.

use serde::{Deserialize, Serialize};

use crate::util::base64;

/// One frame of the answer to `tail`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    /// Bytes that were dropped just before this piece.
    #[serde(default)]
    pub lost: u64,
    /// Further frames follow.
    #[serde(default)]
    pub more: bool,
}

impl Piece {
    /// A piece of output.
    pub fn new(bytes: &[u8], lost: u64, more: bool) -> Piece {
        let text = std::str::from_utf8(bytes).ok().map(str::to_owned);
        let base64 = text.is_none().then(|| base64::encode(bytes));
        Piece { status: "ok".to_owned(), text, base64, lost, more }
    }

    /// The bytes; `None` where they are not encoded as they should be.
    pub fn into_bytes(self) -> Option<Vec<u8>> {
        match (self.text, self.base64) {
            (Some(text), _) => Some(text.into_bytes()),
            (None, Some(base64)) => base64::decode(&base64),
            (None, None) => Some(Vec::new()),
        }
    }

    /// Its frame.
    pub(crate) fn frame(&self) -> Vec<u8> {
        // Strings and numbers always serialize.
        super::frame(&serde_json::to_vec(self).unwrap_or_default())
    }
}
