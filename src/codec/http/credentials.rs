//! Who somebody says that he is.

use crate::util::base64;

/// What a client has sent to prove who it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A name and a password.
    Basic {
        /// The name: what stands before the first colon.
        user: String,
        /// The password: all that follows.
        password: String,
    },
    /// A token alone.
    Bearer(String),
}

impl Credentials {
    /// Reads the value of an `Authorization` field; `None`: it is of another kind, or not encoded as it should be.
    pub fn parse(value: &[u8]) -> Option<Credentials> {
        let text = std::str::from_utf8(value).ok()?.trim();
        let (scheme, rest) = text.split_once(' ')?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return (!rest.is_empty()).then(|| Credentials::Bearer(rest.to_owned()));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let text = String::from_utf8(base64::decode(rest)?).ok()?;
        let (user, password) = text.split_once(':')?;
        Some(Credentials::Basic { user: user.to_owned(), password: password.to_owned() })
    }
}

impl std::fmt::Debug for Credentials {
    /// Without what is secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Credentials::Basic { user, .. } => f.debug_struct("Basic").field("user", user).finish_non_exhaustive(),
            Credentials::Bearer(_) => f.write_str("Bearer"),
        }
    }
}
