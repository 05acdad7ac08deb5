//! Who may do what: rights, and the rules that give them.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What may be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// To see a program: its state, history, events and settings.
    Read,
    /// To start it.
    Start,
    /// To stop or kill it.
    Stop,
    /// To restart it.
    Restart,
    /// To send it a signal.
    Signal,
    /// To write to its standard input.
    Stdin,
    /// To read its output; without `programs` also the daemon's own log.
    Logs,
    /// To have it read its own configuration again; without `programs` also to have the daemon read and apply its own.
    Reload,
    /// To empty its logs; without `programs` also to end the daemon, to set its log level, and the like.
    Admin,
}

impl Right {
    /// All, in the order of the manual.
    pub const ALL: [Right; 9] = [
        Right::Read,
        Right::Start,
        Right::Stop,
        Right::Restart,
        Right::Signal,
        Right::Stdin,
        Right::Logs,
        Right::Reload,
        Right::Admin,
    ];

    /// The word in a configuration file.
    pub fn as_str(self) -> &'static str {
        match self {
            Right::Read => "read",
            Right::Start => "start",
            Right::Stop => "stop",
            Right::Restart => "restart",
            Right::Signal => "signal",
            Right::Stdin => "stdin",
            Right::Logs => "logs",
            Right::Reload => "reload",
            Right::Admin => "admin",
        }
    }

    /// What a word means.
    pub fn from_name(word: &str) -> Option<Right> {
        Right::ALL.into_iter().find(|right| right.as_str() == word)
    }
}

/// A set of rights. Serialized as their words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights(u16);

impl Rights {
    /// None at all.
    pub const NONE: Rights = Rights(0);

    /// Every right.
    pub fn all() -> Rights {
        Right::ALL.into_iter().collect()
    }

    /// Adds one.
    pub fn insert(&mut self, right: Right) {
        self.0 |= 1 << right as u16;
    }

    /// Whether it is among them.
    pub fn has(self, right: Right) -> bool {
        self.0 & 1 << right as u16 != 0
    }

    /// These, and those.
    #[must_use]
    pub fn with(self, others: Rights) -> Rights {
        Rights(self.0 | others.0)
    }

    /// Each, in the order of the manual.
    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(move |right| self.has(*right))
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Rights {
        let mut all = Rights::NONE;
        rights.into_iter().for_each(|right| all.insert(right));
        all
    }
}

impl Serialize for Rights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Right::as_str))
    }
}

impl<'de> Deserialize<'de> for Rights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words = Vec::<String>::deserialize(deserializer)?;
        let right = |word: &String| Right::from_name(word).ok_or_else(|| D::Error::custom("no right"));
        words.iter().map(right).collect()
    }
}

/// Somebody whom a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Principal {
    /// A user of this machine, on a unix socket.
    User {
        /// As it is written.
        name: String,
        /// Its number.
        uid: u32,
    },
    /// Whoever is in a group of this machine, on a unix socket.
    Group {
        /// As it is written.
        name: String,
        /// Its number.
        gid: u32,
    },
    /// Whoever has logged in by HTTP under this name.
    Http {
        /// The name.
        name: String,
    },
}

/// Programs that a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProgramPattern {
    /// Those with such a name; of a program with several processes, all of them.
    Name(String),
    /// The members of the groups with such a name.
    Group(String),
}

/// A rule of access: `[access:NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRule {
    /// The name of its section.
    pub name: String,
    /// Whom it is about: any one of them.
    pub who: Vec<Principal>,
    /// What it allows.
    pub allow: Rights,
    /// With which programs; empty: with all, and with the daemon itself.
    pub programs: Vec<ProgramPattern>,
}

impl AccessRule {
    /// A rule about nobody, which allows nothing.
    pub fn new(name: impl Into<String>) -> AccessRule {
        AccessRule { name: name.into(), who: Vec::new(), allow: Rights::NONE, programs: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_rights_is_written_as_words_and_read_back() {
        let some: Rights = [Right::Restart, Right::Read].into_iter().collect();
        let text = serde_json::to_string(&some).expect("JSON");
        assert_eq!(text, r#"["read","restart"]"#);
        assert_eq!(serde_json::from_str::<Rights>(&text).expect("rights"), some);
        assert!(serde_json::from_str::<Rights>(r#"["brew"]"#).is_err());
        assert!(Right::ALL.into_iter().all(|right| Rights::all().has(right) && !Rights::NONE.has(right)));
    }
}
