//! JSON of the choices that are written as a word, a number or a truth value, as in a configuration file.

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{AutoRestart, ExitCode};

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
