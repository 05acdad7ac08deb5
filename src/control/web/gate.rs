//! Who gets in at a socket: names, passwords and tokens.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use subtle::{Choice, ConstantTimeEq};

use crate::codec::http::Credentials;
use crate::control::peer::CONNECTIONS_PER_USER;
use crate::util::sorted::SortedMap;

/// What proves who somebody is.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The password itself.
    Plain(String),
    /// Its SHA-1, as supervisord has it.
    Sha1([u8; 20]),
    /// Its SHA-256.
    Sha256([u8; 32]),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Secret {
    /// Reads `{SHA256}hex`, `{SHA}hex`, or a password. What looks like a hash and is none is a password, as in
    /// supervisord.
    pub fn parse(text: &str) -> Secret {
        let hash = text.strip_prefix("{SHA256}").and_then(bytes_of).map(Secret::Sha256);
        let hash = hash.or_else(|| text.strip_prefix("{SHA}").and_then(bytes_of).map(Secret::Sha1));
        hash.unwrap_or_else(|| Secret::Plain(text.to_owned()))
    }

    /// Whether this is what it was made of. How long that takes tells nothing about where it differs.
    fn is_made_of(&self, offered: &Offered<'_>) -> Choice {
        match self {
            Secret::Plain(text) => text.as_bytes().ct_eq(offered.text.as_bytes()),
            Secret::Sha1(hash) => hash.ct_eq(&offered.sha1),
            Secret::Sha256(hash) => hash.ct_eq(&offered.sha256),
        }
    }
}

/// This many bytes in lower-case hexadecimal.
fn bytes_of<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let digits: Option<Vec<u8>> = hex.bytes().map(digit).collect();
    let bytes: Vec<u8> =
        digits?.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    bytes.try_into().ok().filter(|_| hex.len() == 2 * N)
}

fn digit(letter: u8) -> Option<u8> {
    match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        _ => None,
    }
}

/// Somebody who may come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// His name.
    pub name: Arc<str>,
    /// What he has to know.
    pub secret: Secret,
}

/// What was offered, hashed once whatever it is compared with.
struct Offered<'t> {
    text: &'t str,
    sha1: [u8; 20],
    sha256: [u8; 32],
}

/// The rules of a socket.
#[derive(Debug, Default)]
pub struct AccessGate {
    /// Who may log in; empty: everybody may use it, unless it is closed.
    pub users: Vec<User>,
    /// Nobody may use it, because the users are not known.
    pub is_closed: bool,
    /// The names by which we are known, in small letters, besides addresses and `localhost`.
    pub hosts: Vec<String>,
    /// It leads to the network: a browser may have been sent there by a name that is not ours.
    pub is_remote: bool,
    /// Whether we live and are ready is told to everybody.
    pub open_probes: bool,
    /// The number of connections of each user who has logged in.
    pub logins: Arc<LoginCounts>,
}

/// The number of connections of each user who has logged in.
#[derive(Debug, Default)]
pub struct LoginCounts(Mutex<SortedMap<Arc<str>, usize>>);

impl LoginCounts {
    fn lock(&self) -> MutexGuard<'_, SortedMap<Arc<str>, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more connection of this user; `None`: he has as many as he may.
    pub(super) fn take(self: &Arc<LoginCounts>, user: &Arc<str>) -> Option<LoginCount> {
        let mut taken = self.lock();
        let count = taken.get(user).copied().unwrap_or(0);
        if count >= CONNECTIONS_PER_USER {
            return None;
        }
        taken.insert(Arc::clone(user), count + 1);
        Some(LoginCount { user: Arc::clone(user), logins: Arc::clone(self) })
    }
}

/// A connection of somebody who has logged in, until it is dropped.
#[derive(Debug)]
pub(super) struct LoginCount {
    pub(super) user: Arc<str>,
    logins: Arc<LoginCounts>,
}

impl Drop for LoginCount {
    fn drop(&mut self) {
        let mut taken = self.logins.lock();
        match taken.get(&self.user).copied() {
            Some(count) if count > 1 => drop(taken.insert(Arc::clone(&self.user), count - 1)),
            Some(_) | None => drop(taken.remove(&self.user)),
        }
    }
}

/// The result of checking a request's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LoginResult {
    /// Nobody is asked for his name here.
    Open,
    /// It is this one.
    User(Arc<str>),
    /// It has to log in first.
    Unknown,
    /// What it has sent is wrong. The name that it has given, if it was one.
    Wrong(Option<String>),
}

impl AccessGate {
    /// Somebody has to log in.
    pub fn asks_for_a_password(&self) -> bool {
        self.is_closed || !self.users.is_empty()
    }

    /// Whether the other one has the same rules.
    pub fn is_same(&self, other: &AccessGate) -> bool {
        let facts = |gate: &AccessGate| (gate.is_remote, gate.open_probes, gate.is_closed);
        facts(self) == facts(other) && self.users == other.users && self.hosts == other.hosts
    }

    /// Whether this is somebody who may come in. `sent`: what a head has for credentials.
    pub(super) fn enter(&self, sent: Option<Option<Credentials>>) -> LoginResult {
        if !self.asks_for_a_password() {
            return LoginResult::Open;
        }
        let (name, text) = match sent {
            None => return LoginResult::Unknown,
            Some(None) => return LoginResult::Wrong(None),
            Some(Some(Credentials::Basic { user, password })) => (Some(user), password),
            Some(Some(Credentials::Bearer(token))) => (None, token),
        };
        let offered = Offered {
            sha1: sha1_smol::Sha1::from(&text).digest().bytes(),
            sha256: hmac_sha256::Hash::hash(text.as_bytes()),
            text: &text,
        };
        let mut found = None;
        // Everybody is looked at: the time that it takes does not tell who there is.
        for user in &self.users {
            let is_named = name.as_ref().map_or(Choice::from(1), |name| name.as_bytes().ct_eq(user.name.as_bytes()));
            if bool::from(is_named & user.secret.is_made_of(&offered)) && found.is_none() {
                found = Some(Arc::clone(&user.name));
            }
        }
        found.map_or(LoginResult::Wrong(name), LoginResult::User)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(users: &[(&str, &str)]) -> AccessGate {
        let users = users.iter().map(|(name, secret)| User { name: (*name).into(), secret: Secret::parse(secret) });
        AccessGate { users: users.collect(), ..AccessGate::default() }
    }

    fn basic(user: &str, password: &str) -> Option<Option<Credentials>> {
        Some(Some(Credentials::Basic { user: user.to_owned(), password: password.to_owned() }))
    }

    fn bearer(token: &str) -> Option<Option<Credentials>> {
        Some(Some(Credentials::Bearer(token.to_owned())))
    }

    #[test]
    fn passwords_are_taken_in_clear_and_as_their_hashes() {
        let gate = gate(&[
            ("plain", "thepassword"),
            ("sha", "{SHA}82ab876d1387bfafe46cc1c8a2ef074eae50cb1d"),
            ("sha256", "{SHA256}a90ef8a2a47ed5bdbd0a5b8ba8a8b5dfd4e34c1f0c9eb0f9ecc1b6e9d3f37b6d"),
            ("odd", "{SHA}82AB876D1387BFAFE46CC1C8A2EF074EAE50CB1D"),
        ]);
        for user in ["plain", "sha"] {
            assert_eq!(gate.enter(basic(user, "thepassword")), LoginResult::User(user.into()), "{user}");
        }
        assert_eq!(
            gate.enter(basic("odd", "thepassword")),
            LoginResult::Wrong(Some("odd".to_owned())),
            "no upper case"
        );
        assert_eq!(gate.enter(basic("sha256", "thepassword")), LoginResult::Wrong(Some("sha256".to_owned())));
        assert_eq!(gate.enter(basic("plain", "thepasswor")), LoginResult::Wrong(Some("plain".to_owned())));
        assert_eq!(gate.enter(basic("nobody", "thepassword")), LoginResult::Wrong(Some("nobody".to_owned())));
        assert_eq!((gate.enter(None), gate.enter(Some(None))), (LoginResult::Unknown, LoginResult::Wrong(None)));
    }

    #[test]
    fn a_token_names_its_owner() {
        // Of the text "abc".
        let hash = "{SHA256}ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let gate = gate(&[("a", "{SHA}00"), ("b", hash)]);
        assert_eq!(gate.enter(bearer("abc")), LoginResult::User("b".into()));
        assert_eq!(gate.enter(basic("b", "abc")), LoginResult::User("b".into()));
        assert_eq!(gate.enter(bearer(hash)), LoginResult::Wrong(None));
        assert_eq!(gate.enter(bearer("")), LoginResult::Wrong(None));
    }

    #[test]
    fn one_user_has_so_many_connections_and_another_one_his_own() {
        let (logins, [bob, eve]) = (Arc::<LoginCounts>::default(), ["bob", "eve"].map(Arc::<str>::from));
        let mut taken: Vec<LoginCount> =
            (0..CONNECTIONS_PER_USER).map(|_| logins.take(&bob).expect("a seat")).collect();
        assert!(logins.take(&bob).is_none());
        let other = logins.take(&eve).expect("a seat of his own");
        taken.pop();
        assert!(logins.take(&bob).is_some());
        drop((taken, other));
        assert_eq!(logins.lock().keys().count(), 0);
    }

    #[test]
    fn without_users_nobody_is_asked() {
        let gate = AccessGate::default();
        assert_eq!((gate.enter(None), gate.enter(basic("", ""))), (LoginResult::Open, LoginResult::Open));
        assert!(!gate.asks_for_a_password());
    }

    #[test]
    fn a_closed_one_lets_nobody_in() {
        let gate = AccessGate { is_closed: true, ..AccessGate::default() };
        let tried = [gate.enter(None), gate.enter(basic("", "")), gate.enter(bearer(""))];
        assert_eq!(tried, [LoginResult::Unknown, LoginResult::Wrong(Some(String::new())), LoginResult::Wrong(None)]);
        assert!(gate.asks_for_a_password() && !gate.is_same(&AccessGate::default()));
    }
}
