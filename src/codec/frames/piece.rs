//! Pieces of output, as the answer to `tail` carries them.

use serde::{Deserialize, Serialize};

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
        let base64 = text.is_none().then(|| encode_base64(bytes));
        Piece { status: "ok".to_owned(), text, base64, lost, more }
    }

    /// The bytes; `None` where they are not encoded as they should be.
    pub fn into_bytes(self) -> Option<Vec<u8>> {
        match (self.text, self.base64) {
            (Some(text), _) => Some(text.into_bytes()),
            (None, Some(base64)) => decode_base64(&base64),
            (None, None) => Some(Vec::new()),
        }
    }

    /// Its frame.
    pub(crate) fn frame(&self) -> Vec<u8> {
        // Strings and numbers always serialize.
        super::frame(&serde_json::to_vec(self).unwrap_or_default())
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encode_base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (number, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let letter = ALPHABET.get((bits >> shift & 63) as usize).copied().unwrap_or(b'=');
            text.push(if number <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for group in text.trim_end_matches('=').as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for letter in group {
            bits = bits << 6 | u32::try_from(ALPHABET.iter().position(|known| known == letter)?).ok()?;
        }
        bits <<= 6 * (4 - group.len());
        let [_, first, second, third] = bits.to_be_bytes();
        bytes.extend_from_slice([first, second, third].get(..group.len().checked_sub(1)?)?);
    }
    Some(bytes)
}
