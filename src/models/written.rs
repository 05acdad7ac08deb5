//! JSON of the choices that are written as a word, a number or a truth value, as in a configuration file.

use std::fmt;

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{AutoRestart, Endpoint, ExitCode, HttpUrl, Readiness, Stdin};

/// What is written where a configuration file takes a word, a number or a truth value.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Bool(bool),
    Code(u8),
    Word(String),
}

impl Written {
    /// The error for what is written, where something else was expected.
    fn instead_of<E: Error>(&self, expected: &str) -> E {
        let found = match self {
            Written::Bool(value) => Unexpected::Bool(*value),
            Written::Code(code) => Unexpected::Unsigned(u64::from(*code)),
            Written::Word(word) => Unexpected::Str(word),
        };
        E::invalid_value(found, &expected)
    }
}

impl Serialize for AutoRestart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            AutoRestart::Never => serializer.serialize_bool(false),
            AutoRestart::Always => serializer.serialize_bool(true),
            AutoRestart::Unexpected => serializer.serialize_str("unexpected"),
        }
    }
}

impl<'de> Deserialize<'de> for AutoRestart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Bool(false) => Ok(AutoRestart::Never),
            Written::Bool(true) => Ok(AutoRestart::Always),
            Written::Word(word) if word == "unexpected" => Ok(AutoRestart::Unexpected),
            other => Err(other.instead_of("true, false or unexpected")),
        }
    }
}

impl Serialize for ExitCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            ExitCode::Program => serializer.serialize_str("program"),
            ExitCode::Fixed(code) => serializer.serialize_u8(*code),
        }
    }
}

impl<'de> Deserialize<'de> for ExitCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Code(code) => Ok(ExitCode::Fixed(code)),
            Written::Word(word) if word == "program" => Ok(ExitCode::Program),
            other => Err(other.instead_of("program, or a number from 0 to 255")),
        }
    }
}

/// The numbers of descriptors that a program may be given: below are its standard streams.
const READY_FDS: std::ops::RangeInclusive<u16> = 3..=1023;

impl Readiness {
    /// As it is written; `None`: it is no way to be ready.
    pub(crate) fn parse(text: &str) -> Option<Readiness> {
        let is_name = |name: &str| {
            let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            !name.is_empty() && name.bytes().all(letters) && !name.as_bytes().first().is_some_and(u8::is_ascii_digit)
        };
        let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        match text.split_once(':') {
            None if text == "startsecs" => Some(Readiness::Startsecs),
            None if text == "notify" => Some(Readiness::Notify),
            None if text == "health" => Some(Readiness::Health),
            Some(("fd", name)) if is_name(name) => Some(Readiness::FdVariable(name.to_owned())),
            Some(("fd", number)) => number.parse().ok().filter(|fd| READY_FDS.contains(fd)).map(Readiness::Fd),
            Some(("path", path)) => filled(path).filter(|path| path.starts_with('/')).map(Readiness::Path),
            Some(("tcp" | "unix", _)) => Endpoint::parse(text).map(|endpoint| Readiness::Accepts(Box::new(endpoint))),
            Some(("http", url)) => {
                HttpUrl::parse(text).or_else(|| HttpUrl::parse(url)).map(|url| Readiness::Http(Box::new(url)))
            }
            Some(("log", regex)) => filled(regex).map(Readiness::Log),
            Some(("command", command)) => filled(command).map(Readiness::Command),
            Some(_) | None => None,
        }
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Readiness::Startsecs => f.write_str("startsecs"),
            Readiness::Notify => f.write_str("notify"),
            Readiness::Health => f.write_str("health"),
            Readiness::Fd(number) => write!(f, "fd:{number}"),
            Readiness::FdVariable(name) => write!(f, "fd:{name}"),
            Readiness::Path(path) => write!(f, "path:{path}"),
            Readiness::Accepts(endpoint) => endpoint.fmt(f),
            Readiness::Http(url) => url.fmt(f),
            Readiness::Log(regex) => write!(f, "log:{regex}"),
            Readiness::Command(command) => write!(f, "command:{command}"),
        }
    }
}

impl Serialize for Readiness {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Readiness {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Readiness::parse(&text).ok_or_else(|| {
            D::Error::invalid_value(Unexpected::Str(&text), &"a way to be ready, such as startsecs or fd:3")
        })
    }
}

impl Stdin {
    /// As it is written; `None`: it is no standard input.
    pub(crate) fn parse(text: &str) -> Option<Stdin> {
        match text.split_once(':') {
            None if text == "null" => Some(Stdin::Null),
            None if text == "pipe" => Some(Stdin::Pipe),
            Some(("file", path)) if !path.is_empty() => Some(Stdin::File(path.to_owned())),
            Some(_) | None => None,
        }
    }
}

impl Serialize for Stdin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Stdin::Null => serializer.serialize_str("null"),
            Stdin::Pipe => serializer.serialize_str("pipe"),
            Stdin::File(path) => serializer.collect_str(&format_args!("file:{path}")),
        }
    }
}

impl<'de> Deserialize<'de> for Stdin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Stdin::parse(&text).ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &"null, pipe or file:PATH"))
    }
}
