//! What a program needs of others: the value of `requires`, `binds`, `wants` and `after`.
//!
//! The syntax needs no knowledge of what is configured, so that the same text means the same in every file:
//! - `group:NAME` is a group, whatever follows.
//! - Of all else the last `:word` is the condition where `word` is one. A process whose own name ends like a condition
//!   (`g:ready` in supervisord's dialect) is written with its condition: `g:ready:ready`.
//! - A `?` at the end, or behind the name, lets the target be absent.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ProgramConfig;

/// What comes before the name of a group.
const GROUP: &str = "group:";

/// Whom a dependency is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DependencyTarget {
    /// A program, of which all instances are meant, or one process.
    Program(String),
    /// All members of a group.
    Group(String),
}

/// When a dependency holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DependencyCondition {
    /// It is `RUNNING`, or a oneshot that has completed.
    #[default]
    Ready,
    /// Its process runs.
    Started,
    /// A health check has passed in this run.
    Healthy,
    /// It has ended with success.
    Completed,
}

impl DependencyCondition {
    /// Every condition.
    pub const ALL: [DependencyCondition; 4] = [
        DependencyCondition::Ready,
        DependencyCondition::Started,
        DependencyCondition::Healthy,
        DependencyCondition::Completed,
    ];

    /// The word behind the colon: `ready`.
    pub fn as_str(self) -> &'static str {
        match self {
            DependencyCondition::Ready => "ready",
            DependencyCondition::Started => "started",
            DependencyCondition::Healthy => "healthy",
            DependencyCondition::Completed => "completed",
        }
    }

    /// A name with this condition, as it is written: `db`, `cache:healthy`.
    pub(crate) fn of(self, name: &str) -> Cow<'_, str> {
        if self == DependencyCondition::default() {
            return Cow::Borrowed(name);
        }
        Cow::Owned(format!("{name}:{}", self.as_str()))
    }

    fn from_word(word: &str) -> Option<DependencyCondition> {
        DependencyCondition::ALL.into_iter().find(|condition| condition.as_str() == word)
    }
}

/// What a dependency does beyond the order, which all have: whoever depends starts later and stops earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DependencyKind {
    /// It is started too, and has to get there.
    Requires,
    /// As `Requires`; its end is the end of whoever is bound to it.
    Binds,
    /// It is started too; its failure is no obstacle.
    Wants,
    /// Nothing but the order.
    After,
}

impl DependencyKind {
    /// Every kind, in the order of the manual.
    pub const ALL: [DependencyKind; 4] =
        [DependencyKind::Requires, DependencyKind::Binds, DependencyKind::Wants, DependencyKind::After];

    /// Its key.
    pub fn as_str(self) -> &'static str {
        match self {
            DependencyKind::Requires => "requires",
            DependencyKind::Binds => "binds",
            DependencyKind::Wants => "wants",
            DependencyKind::After => "after",
        }
    }

    /// Nothing starts while this can't be fulfilled, and a stop of the target stops whoever depends.
    pub fn is_hard(self) -> bool {
        matches!(self, DependencyKind::Requires | DependencyKind::Binds)
    }

    /// A start starts the target as well.
    pub fn starts(self) -> bool {
        self != DependencyKind::After
    }

    /// The dependencies of this kind that a program has.
    pub fn of(self, program: &ProgramConfig) -> &[Dependency] {
        match self {
            DependencyKind::Requires => &program.requires,
            DependencyKind::Binds => &program.binds,
            DependencyKind::Wants => &program.wants,
            DependencyKind::After => &program.after,
        }
    }

    /// As [`of`](Self::of), to be changed.
    pub(crate) fn of_mut(self, program: &mut ProgramConfig) -> &mut Vec<Dependency> {
        match self {
            DependencyKind::Requires => &mut program.requires,
            DependencyKind::Binds => &mut program.binds,
            DependencyKind::Wants => &mut program.wants,
            DependencyKind::After => &mut program.after,
        }
    }
}

/// One dependency. Its text is what stands in a configuration file, and its JSON: `db`, `cache:healthy`,
/// `group:back:started`, `metrics?`.
///
/// ```
/// use supervice::models::{Dependency, DependencyCondition, DependencyTarget};
///
/// let cache: Dependency = "cache:healthy?".parse()?;
/// assert_eq!(cache.target, DependencyTarget::Program("cache".to_owned()));
/// assert_eq!((cache.condition, cache.optional), (DependencyCondition::Healthy, true));
/// # Ok::<(), supervice::models::NoName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Whom it is on.
    pub target: DependencyTarget,
    /// When it holds.
    pub condition: DependencyCondition,
    /// The target may be absent from the configuration.
    pub optional: bool,
}

/// A dependency without the name of its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoName;

impl fmt::Display for NoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a dependency without a name")
    }
}

impl std::error::Error for NoName {}

/// The text before the last `:word`, and the condition, where `word` is one.
fn split_condition(text: &str) -> (&str, Option<DependencyCondition>) {
    match text.rsplit_once(':').map(|(name, word)| (name, DependencyCondition::from_word(word))) {
        Some((name, Some(condition))) => (name, Some(condition)),
        Some((_, None)) | None => (text, None),
    }
}

impl FromStr for Dependency {
    type Err = NoName;

    fn from_str(text: &str) -> Result<Dependency, NoName> {
        let (text, at_end) = text.strip_suffix('?').map_or((text, false), |text| (text, true));
        let (group, rest) = text.strip_prefix(GROUP).map_or((false, text), |rest| (true, rest));
        let (name, condition) = split_condition(rest);
        let (name, behind) = name.strip_suffix('?').map_or((name, false), |name| (name, true));
        if name.is_empty() {
            return Err(NoName);
        }
        let name = name.to_owned();
        Ok(Dependency {
            target: if group { DependencyTarget::Group(name) } else { DependencyTarget::Program(name) },
            condition: condition.unwrap_or_default(),
            optional: at_end || behind,
        })
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.target {
            DependencyTarget::Program(name) => name,
            DependencyTarget::Group(name) => {
                f.write_str(GROUP)?;
                name
            }
        };
        f.write_str(name)?;
        if self.condition != DependencyCondition::default() || split_condition(name).1.is_some() {
            write!(f, ":{}", self.condition.as_str())?;
        }
        f.write_str(if self.optional { "?" } else { "" })
    }
}

impl Serialize for Dependency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Dependency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(target: DependencyTarget, condition: DependencyCondition, optional: bool) -> Dependency {
        Dependency { target, condition, optional }
    }

    #[test]
    fn names_of_instances_and_conditions_are_told_apart() {
        let program = |name: &str| DependencyTarget::Program(name.to_owned());
        let group = |name: &str| DependencyTarget::Group(name.to_owned());
        use DependencyCondition::{Completed, Healthy, Ready, Started};
        for (text, wanted) in [
            ("db", on(program("db"), Ready, false)),
            ("db?", on(program("db"), Ready, true)),
            ("db:started", on(program("db"), Started, false)),
            ("db:started?", on(program("db"), Started, true)),
            ("web:00", on(program("web:00"), Ready, false)),
            ("web:00:healthy", on(program("web:00"), Healthy, false)),
            ("g:ready:ready", on(program("g:ready"), Ready, false)),
            ("group:back", on(group("back"), Ready, false)),
            ("group:back:completed?", on(group("back"), Completed, true)),
            ("group:ready", on(group("ready"), Ready, false)),
            ("db:helthy", on(program("db:helthy"), Ready, false)),
        ] {
            let read: Dependency = text.parse().expect("a name");
            assert_eq!(read, wanted, "{text}");
            assert_eq!(read.to_string(), text);
            let json = serde_json::to_string(&read).expect("JSON");
            assert_eq!(json, format!("{text:?}"));
            assert_eq!(serde_json::from_str::<Dependency>(&json).expect("read again"), read);
        }
        // Spelt otherwise, and the same.
        assert_eq!("db:ready".parse::<Dependency>().expect("a name").to_string(), "db");
        assert_eq!("db?:healthy".parse::<Dependency>().expect("a name").to_string(), "db:healthy?");
        for text in ["", "?", ":ready", "group:", "group:?", "group::started"] {
            assert_eq!(text.parse::<Dependency>(), Err(NoName), "{text}");
        }
        assert!(serde_json::from_str::<Dependency>("\"\"").is_err());
    }
}
