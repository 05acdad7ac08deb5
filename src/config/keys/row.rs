//! One row of the key table: everything that is to be known about a key.

use std::any::Any;

use serde::Serialize;
use serde_json::Value;

use crate::config::diagnostic::Fault;
use crate::config::fields::Given;
use crate::models::Dialect;
use crate::util::json;

/// A kind of section, for the keys that may stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// `[supervice]`
    Supervice,
    /// `[supervisord]`: the same keys, some in supervisord's spelling.
    Supervisord,
    /// `[http]` and `[http:NAME]`
    Http,
    /// `[unix_http_server]` of supervisord.
    UnixServer,
    /// `[inet_http_server]` of supervisord.
    InetServer,
    /// `[access:NAME]`
    Access,
    /// `[include]`
    Include,
    /// `[program:NAME]`, in supervisord's files as well.
    Program,
    /// `[eventlistener:NAME]`, which has the keys of programs as well.
    EventListener,
    /// `[fcgi-program:NAME]`, which has the keys of programs as well.
    FcgiProgram,
    /// `[group:NAME]`
    Group,
}

impl Section {
    /// Whether a dialect has it.
    pub(crate) fn is_in(self, dialect: Dialect) -> bool {
        match self {
            Section::Supervice | Section::Http => dialect == Dialect::Supervice,
            Section::Supervisord | Section::UnixServer | Section::InetServer => dialect == Dialect::Supervisord,
            Section::Access
            | Section::Include
            | Section::Program
            | Section::EventListener
            | Section::FcgiProgram
            | Section::Group => true,
        }
    }

    /// The name in its header, without that of the program or group.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Section::Supervice => "supervice",
            Section::Supervisord => "supervisord",
            Section::Http => "http",
            Section::UnixServer => "unix_http_server",
            Section::InetServer => "inet_http_server",
            Section::Access => "access",
            Section::Include => "include",
            Section::Program => "program",
            Section::EventListener => "eventlistener",
            Section::FcgiProgram => "fcgi-program",
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
    /// Once for each instance, before its other keys: their values may name the variables that it sets.
    Variables,
    /// Once for each instance: the value may name the instance's number.
    Instance,
    /// While other sections are read: it has no [`KeyRow::read`], and stands only where [`Rare::also`] says.
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
        json::value_of(self)
    }
}

/// Parses the text of a key and sets the field.
pub(crate) type Read<C> = fn(&mut C, &mut Given<'_>) -> Result<(), Fault>;

/// Further sections in which a key may stand, and its spelling there.
pub(crate) type Spellings = &'static [(Section, &'static str)];

/// What few keys have. Apart from the rows, which the loader relocates: what they take, each process has of its own.
pub(crate) struct Rare {
    /// Where else it may stand. The first place that is present counts: the row's section, then these in their order.
    pub also: Spellings,
    /// Its field in the output of `--check --json` (a dot leads into an object), where that is not its name.
    pub field: Option<&'static str>,
    /// Its default in supervisord's dialect as it would be written in a file, where it is another than that of the
    /// models.
    pub there: Option<&'static str>,
}

impl Rare {
    /// A key has nothing of this kind.
    pub(super) const fn is_empty(&self) -> bool {
        self.also.is_empty() && self.field.is_none() && self.there.is_none()
    }
}

/// One key, of the configuration `C`.
pub(crate) struct KeyRow<C: 'static> {
    /// The name by which documents and the plan of a reload call it.
    pub name: &'static str,
    /// What tells at once that a section lacks it, see [`mark_of`](crate::config::marks::mark_of).
    pub mark: u64,
    /// What few keys have.
    pub rare: Option<&'static Rare>,
    /// Where it stands under this name. What stands in `[supervice]` stands in `[supervisord]` in that dialect.
    pub section: Section,
    pub scope: Scope,
    /// The dialect that knows it; `None`: both do.
    pub only: Option<Dialect>,
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
        self.rare.and_then(|rare| rare.field).unwrap_or(self.name)
    }

    /// Where else it may stand, see [`Rare::also`].
    pub(crate) fn also(&self) -> Spellings {
        self.rare.map_or(&[], |rare| rare.also)
    }

    /// The sections of a dialect in which it may stand and its spelling there, in the order in which they count.
    pub(crate) fn sources(&self, dialect: Dialect) -> impl Iterator<Item = (Section, &'static str)> {
        let section = match (self.section, dialect) {
            (Section::Supervice, Dialect::Supervisord) => Section::Supervisord,
            (section, _) => section,
        };
        let own = (self.scope != Scope::Elsewhere).then_some((section, self.name));
        let all = own.into_iter().chain(self.also().iter().copied());
        all.filter(move |(section, _)| self.only.is_none_or(|only| only == dialect) && section.is_in(dialect))
    }

    /// Its default where the section lacks it and the models have another.
    pub(crate) fn default_in(&self, dialect: Dialect) -> Option<&'static str> {
        self.rare.and_then(|rare| rare.there).filter(|_| dialect == Dialect::Supervisord)
    }

    /// Whether both configurations agree in this key.
    pub(crate) fn is_same(&self, one: &C, other: &C) -> bool {
        (self.get)(one).equals((self.get)(other))
    }
}

/// Parses the value of a key into its field. One function for each type keeps the rows small.
pub(super) fn set<T>(field: &mut T, given: &mut Given<'_>, parse: fn(&str) -> Result<T, Fault>) -> Result<(), Fault> {
    *field = parse(&given.borrowed_text()?)?;
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

/// A default of supervisord's dialect, or none.
macro_rules! there {
    () => {
        None
    };
    ($default:literal) => {
        Some($default)
    };
}

/// A field in the output of `--check --json`: as it is called there, or its path.
macro_rules! field {
    ($called:literal, $($path:tt)+) => {
        $called
    };
    (, $field:ident $(. $within:ident)*) => {
        concat!(stringify!($field) $(, ".", stringify!($within))*)
    };
}

/// A row: `SECTION NAME => FIELD = PARSER; SCOPE RELOAD; DEFAULT; HELP`. Further spellings stand in brackets before the
/// arrow, and behind `as` what `--check --json` calls the field where that is not its path; another default of
/// supervisord's dialect stands behind `there`. `FIELD by FUNCTION` has the function set the field itself; `FIELD
/// elsewhere` leaves that to other code.
macro_rules! key {
    ($section:ident $name:literal $([$($also:expr),+])? $(as $called:literal)? => $field:ident $(. $within:ident)* = $parse:expr; $($rest:tt)+) => {
        key!(@ $section, $name, [$($($also),+)?], [$($called)?], $field $(. $within)*,
            Some(|config, given| set(&mut config.$field $(. $within)*, given, $parse)), $($rest)+)
    };
    ($section:ident $name:literal $([$($also:expr),+])? $(as $called:literal)? => $field:ident $(. $within:ident)* by $read:ident; $($rest:tt)+) => {
        key!(@ $section, $name, [$($($also),+)?], [$($called)?], $field $(. $within)*, Some($read), $($rest)+)
    };
    ($section:ident $name:literal $([$($also:expr),+])? $(as $called:literal)? => $field:ident $(. $within:ident)* elsewhere; $($rest:tt)+) => {
        key!(@ $section, $name, [$($($also),+)?], [$($called)?], $field $(. $within)*, None, $($rest)+)
    };
    (@ $section:ident, $name:literal, [$($also:expr),*], [$($called:literal)?], $field:ident $(. $within:ident)*, $read:expr,
        $scope:ident $reload:ident; $default:literal $(there $there:literal)?; $help:literal) => {
        KeyRow {
            name: $name,
            mark: $crate::config::marks::mark_of($name),
            rare: {
                const RARE: Rare = Rare {
                    also: &[$($also),*],
                    field: other_than($name, field!($($called)?, $field $(. $within)*)),
                    there: there!($($there)?),
                };
                if RARE.is_empty() { None } else { Some(&RARE) }
            },
            section: Section::$section,
            scope: Scope::$scope,
            only: None,
            reload: Reload::$reload,
            get: |config| &config.$field $(. $within)*,
            read: $read,
            #[cfg(test)]
            default: $default,
            #[cfg(test)]
            help: $help,
        }
    };
}

pub(crate) use {field, key, there};
