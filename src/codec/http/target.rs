//! What a request is about: its path and query.

use super::malformed::{Malformed, bad};
use super::{MAX_TARGET, Status};

/// The target of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The path as it was sent, without the query.
    pub path: String,
    /// Its parts between the slashes, decoded; one that is empty at the end is left out.
    pub segments: Vec<String>,
    /// The parameters behind the question mark, decoded.
    pub query: Vec<(String, String)>,
    /// The host and port of a target that is a whole URL, which counts in the place of the header field.
    pub authority: Option<String>,
}

impl Target {
    /// Takes it apart.
    ///
    /// # Errors
    /// What it is that no server of ours has.
    pub fn parse(text: &str) -> Result<Target, Malformed> {
        if text.len() > MAX_TARGET {
            return Err(Malformed { status: Status::UriTooLong, message: "the target is longer than 8 KiB" });
        }
        let (authority, rest) = match text.strip_prefix("http://") {
            Some(url) => {
                let end = url.find(['/', '?']).unwrap_or(url.len());
                let (authority, rest) = url.split_at_checked(end).unwrap_or((url, ""));
                (Some(authority.to_owned()), if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") })
            }
            None => (None, text.to_owned()),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let Some(inner) = path.strip_prefix('/') else { return Err(bad("the target is no path")) };
        let mut segments = Vec::new();
        for part in inner.strip_suffix('/').unwrap_or(inner).split('/').filter(|_| !inner.is_empty()) {
            let segment = decode(part, false).ok_or(bad("the target is not encoded as it should be"))?;
            if matches!(segment.as_str(), "." | "..") {
                return Err(bad("the target has a dot segment"));
            }
            segments.push(segment);
        }
        let mut parameters = Vec::new();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (Some(name), Some(value)) = (decode(name, true), decode(value, true)) else {
                return Err(bad("the query is not encoded as it should be"));
            };
            parameters.push((name, value));
        }
        Ok(Target { path: path.to_owned(), segments, query: parameters, authority })
    }

    /// The first parameter of this name.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Text without its percent signs; `None`: it is not encoded so, is no UTF-8, or has control characters.
fn decode(text: &str, is_query: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            b'+' if is_query => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains(char::is_control))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
