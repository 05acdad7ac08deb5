//! JSON of the choices that are written as a word, a number or a truth value, as in a configuration file.

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{AutoRestart, ExitCode, Readiness};

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
        match text.split_once(':') {
            None if text == "startsecs" => Some(Readiness::Startsecs),
            None if text == "health" => Some(Readiness::Health),
            Some(("fd", name)) if is_name(name) => Some(Readiness::FdVariable(name.to_owned())),
            Some(("fd", number)) => number.parse().ok().filter(|fd| READY_FDS.contains(fd)).map(Readiness::Fd),
            Some(_) | None => None,
        }
    }
}

impl Serialize for Readiness {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Readiness::Startsecs => serializer.serialize_str("startsecs"),
            Readiness::Health => serializer.serialize_str("health"),
            Readiness::Fd(number) => serializer.collect_str(&format_args!("fd:{number}")),
            Readiness::FdVariable(name) => serializer.collect_str(&format_args!("fd:{name}")),
        }
    }
}

impl<'de> Deserialize<'de> for Readiness {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Readiness::parse(&text)
            .ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &"startsecs, fd:NUMBER, fd:NAME or health"))
    }
}
