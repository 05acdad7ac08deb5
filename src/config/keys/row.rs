//! One row of the key table: everything that is to be known about a key.

use std::any::Any;

use serde::Serialize;
use serde_json::Value;

use crate::config::diagnostic::Fault;
use crate::config::fields::Given;

/// A kind of section, for the keys that may stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// `[supervice]`
    Supervice,
    /// `[supervisord]`: the same keys, some in supervisord's spelling.
    Supervisord,
    /// `[unix_http_server]` of supervisord.
    UnixServer,
    /// `[include]`
    Include,
    /// `[program:NAME]`, in supervisord's files as well.
    Program,
    /// `[group:NAME]`
    Group,
}

impl Section {
    /// The name in its header, without that of the program or group.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Section::Supervice => "supervice",
            Section::Supervisord => "supervisord",
            Section::UnixServer => "unix_http_server",
            Section::Include => "include",
            Section::Program => "program",
            Section::Group => "group",
        }
    }
}

/// When a key is read, which decides what may be named in its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Before the other keys of its section: their values may name it.
    First,
    /// Once for a section, whatever the number of instances.
    Section,
    /// Once for each instance: the value may name the instance's number.
    Instance,
    /// While other sections are read: it has no [`KeyRow::read`], and stands only where [`KeyRow::also`] says.
    Elsewhere,
}

/// When a new value takes effect after a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reload {
    /// At once, or when the program starts or ends the next time.
    Live,
    /// At once if standard output has a pipe; otherwise as [`Restart`](Self::Restart).
    IfStdoutCaptured,
    /// At once if standard error has a pipe; otherwise as [`Restart`](Self::Restart).
    IfStderrCaptured,
    /// When the program is restarted; a key of the daemon: when the daemon is.
    Restart,
}

/// The value of one key in a configuration.
pub(crate) trait Setting: Any {
    /// Whether both values are the same.
    fn equals(&self, other: &(dyn Setting + 'static)) -> bool;

    /// The value as `--check --json` prints it.
    fn json(&self) -> Value;
}

impl<T: PartialEq + Serialize + 'static> Setting for T {
    fn equals(&self, other: &(dyn Setting + 'static)) -> bool {
        (other as &dyn Any).downcast_ref::<T>() == Some(self)
    }

    fn json(&self) -> Value {
        // Plain data with string keys: serialising it can't fail.
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// Parses the text of a key and sets the field.
pub(crate) type Read<C> = fn(&mut C, &mut Given<'_>) -> Result<(), Fault>;

/// Further sections in which a key may stand, and its spelling there.
pub(crate) type Spellings = &'static [(Section, &'static str)];

/// One key, of the configuration `C`.
pub(crate) struct KeyRow<C: 'static> {
    /// The name by which documents and the plan of a reload call it.
    pub name: &'static str,
    /// Where it stands under this name. What stands in `[supervice]` may stand in `[supervisord]` as well.
    pub section: Section,
    /// Where else it may stand. Of several that are present the first one counts: `section`, then these in their order.
    pub also: Spellings,
    /// Its field in the output of `--check --json` (a dot leads into an object), where that is not `name`.
    pub field: Option<&'static str>,
    pub scope: Scope,
    pub reload: Reload,
    pub get: fn(&C) -> &(dyn Setting + 'static),
    pub read: Option<Read<C>>,
    /// Its default as it would be written in a file; empty: none. The models hold the value itself.
    #[cfg(test)]
    pub default: &'static str,
    /// Its line in the README.
    #[cfg(test)]
    pub help: &'static str,
}

impl<C> KeyRow<C> {
    /// Its field in the output of `--check --json`; a dot leads into an object.
    pub(crate) fn field(&self) -> &'static str {
        self.field.unwrap_or(self.name)
    }

    /// The sections in which it may stand and its spelling there, in the order in which they count.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (Section, &'static str)> {
        let own = (self.scope != Scope::Elsewhere).then_some((self.section, self.name));
        let supervisord = (self.section == Section::Supervice).then_some((Section::Supervisord, self.name));
        own.into_iter().chain(supervisord).chain(self.also.iter().copied())
    }

    /// Whether both configurations agree in this key.
    pub(crate) fn is_same(&self, one: &C, other: &C) -> bool {
        (self.get)(one).equals((self.get)(other))
    }
}

/// Parses the value of a key into its field. One function for each type keeps the rows small.
pub(super) fn set<T>(field: &mut T, given: &Given<'_>, parse: fn(&str) -> Result<T, Fault>) -> Result<(), Fault> {
    *field = parse(given.text())?;
    Ok(())
}

/// `field`, unless it is `name`.
pub(super) const fn other_than(name: &str, field: &'static str) -> Option<&'static str> {
    let (one, other) = (name.as_bytes(), field.as_bytes());
    if one.len() != other.len() {
        return Some(field);
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return Some(field);
        }
        at += 1;
    }
    None
}

/// A row: `SECTION NAME => FIELD = PARSER; SCOPE RELOAD; DEFAULT; HELP`. Further spellings stand in brackets before the
/// arrow. `FIELD by FUNCTION` has the function set the field itself; `FIELD elsewhere` leaves that to other code.
macro_rules! key {
    ($section:ident $name:literal $([$($also:expr),+])? => $($field:ident).+ = $parse:expr; $($rest:tt)+) => {
        key!(@ $section, $name, [$($($also),+)?], $($field).+,
            Some(|config, given| set(&mut config.$($field).+, given, $parse)), $($rest)+)
    };
    ($section:ident $name:literal $([$($also:expr),+])? => $($field:ident).+ by $read:ident; $($rest:tt)+) => {
        key!(@ $section, $name, [$($($also),+)?], $($field).+, Some($read), $($rest)+)
    };
    ($section:ident $name:literal $([$($also:expr),+])? => $($field:ident).+ elsewhere; $($rest:tt)+) => {
        key!(@ $section, $name, [$($($also),+)?], $($field).+, None, $($rest)+)
    };
    (@ $section:ident, $name:literal, [$($also:expr),*], $($field:ident).+, $read:expr,
        $scope:ident $reload:ident; $default:literal; $help:literal) => {
        KeyRow {
            name: $name,
            section: Section::$section,
            also: &[$($also),*],
            field: other_than($name, stringify!($($field).+)),
            scope: Scope::$scope,
            reload: Reload::$reload,
            get: |config| &config.$($field).+,
            read: $read,
            #[cfg(test)]
            default: $default,
            #[cfg(test)]
            help: $help,
        }
    };
}

pub(crate) use key;
