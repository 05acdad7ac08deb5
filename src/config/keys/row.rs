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
    /// While other sections are read: it has no [`KeyRow::read`].
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

/// The sections in which a key may stand, and its spelling there. The first one that is present counts.
pub(crate) type Sources = &'static [(Section, &'static str)];

/// One key, of the configuration `C`.
pub(crate) struct KeyRow<C: 'static> {
    /// The name by which documents and the plan of a reload call it.
    pub name: &'static str,
    pub sources: Sources,
    /// Its field in the output of `--check --json`; a dot leads into an object.
    pub field: &'static str,
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
    /// Whether both configurations agree in this key.
    pub(crate) fn is_same(&self, one: &C, other: &C) -> bool {
        (self.get)(one).equals((self.get)(other))
    }
}

/// A row: `WHERE NAME => FIELD = PARSER; SCOPE RELOAD; DEFAULT; HELP`, with `program`, `daemon` or a list of sources as
/// WHERE. `FIELD by FUNCTION` has the function set the field itself; `FIELD elsewhere` leaves that to other code.
macro_rules! key {
    (program $name:literal => $($rest:tt)+) => {
        key!(@ &[(Section::Program, $name)], $name, $($rest)+)
    };
    (daemon $name:literal => $($rest:tt)+) => {
        key!(@ &[(Section::Supervice, $name), (Section::Supervisord, $name)], $name, $($rest)+)
    };
    ($sources:ident $name:literal => $($rest:tt)+) => {
        key!(@ $sources, $name, $($rest)+)
    };
    (@ $sources:expr, $name:literal, $($field:ident).+ = $parse:expr; $($rest:tt)+) => {
        key!(@@ $sources, $name, $($field).+, Some(|config, given| {
            config.$($field).+ = ($parse)(given.text())?;
            Ok(())
        }), $($rest)+)
    };
    (@ $sources:expr, $name:literal, $($field:ident).+ by $read:ident; $($rest:tt)+) => {
        key!(@@ $sources, $name, $($field).+, Some($read), $($rest)+)
    };
    (@ $sources:expr, $name:literal, $($field:ident).+ elsewhere; $($rest:tt)+) => {
        key!(@@ $sources, $name, $($field).+, None, $($rest)+)
    };
    (@@ $sources:expr, $name:literal, $($field:ident).+, $read:expr,
        $scope:ident $reload:ident; $default:literal; $help:literal) => {
        KeyRow {
            name: $name,
            sources: $sources,
            field: stringify!($($field).+),
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
