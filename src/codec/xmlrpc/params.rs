//! The parameters of a call.

use super::fault::{Fault, FaultCode};
use super::value::Value;

/// The parameters of a call, of which there are as many as its method takes.
pub(super) struct Params(pub(super) Vec<Value>);

fn wrong() -> Fault {
    FaultCode::IncorrectParameters.bare()
}

impl Params {
    fn get(&self, place: usize) -> Option<&Value> {
        self.0.get(place)
    }

    /// A text, or bytes, as which a client may send one; nothing else is taken for it.
    pub(super) fn text(&self, place: usize) -> Result<String, Fault> {
        match self.get(place) {
            Some(Value::String(text)) => Ok(text.clone().into_owned()),
            Some(Value::Bytes(bytes)) => Ok(String::from_utf8_lossy(bytes).into_owned()),
            Some(_) | None => Err(wrong()),
        }
    }

    /// A text, or what Python makes of a number that is written into one.
    pub(super) fn said(&self, place: usize) -> Result<String, Fault> {
        match self.get(place) {
            Some(Value::Int(number)) => Ok(number.to_string()),
            Some(Value::Boolean(true)) => Ok("True".to_owned()),
            Some(Value::Boolean(false)) => Ok("False".to_owned()),
            Some(_) | None => self.text(place),
        }
    }

    /// What Python's `int` takes.
    pub(super) fn number(&self, place: usize) -> Result<i64, Fault> {
        match self.get(place) {
            Some(Value::Int(number)) => Ok(*number),
            Some(Value::Boolean(flag)) => Ok(i64::from(*flag)),
            Some(Value::Double(number)) if number.is_finite() => Ok(*number as i64),
            Some(Value::String(text)) => text.trim().parse().map_err(|_| wrong()),
            Some(_) | None => Err(wrong()),
        }
    }

    /// Whatever Python takes for true.
    pub(super) fn flag(&self, place: usize, default: bool) -> bool {
        match self.get(place) {
            None => default,
            Some(Value::Boolean(flag)) => *flag,
            Some(Value::Int(number)) => *number != 0,
            Some(Value::Double(number)) => *number != 0.0,
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::DateTime(_)) => true,
            Some(Value::Bytes(bytes)) => !bytes.is_empty(),
            Some(Value::Nil) => false,
            Some(Value::Array(values)) => !values.is_empty(),
            Some(Value::Struct(members)) => !members.is_empty(),
        }
    }

    /// A signal: its name in any case, or its number.
    pub(super) fn signal(&self, place: usize) -> Result<String, Fault> {
        match self.get(place) {
            Some(Value::Int(number)) => Ok(number.to_string()),
            Some(_) | None => self.text(place),
        }
    }

    /// Text, or bytes.
    pub(super) fn bytes(&self, place: usize) -> Result<Vec<u8>, Fault> {
        match self.get(place) {
            Some(Value::Bytes(bytes)) => Ok(bytes.clone()),
            Some(Value::Int(number)) => Err(FaultCode::IncorrectParameters.about(number.to_string())),
            Some(_) | None => self.text(place).map(String::into_bytes),
        }
    }

    /// An array.
    pub(super) fn array(self, place: usize) -> Result<Vec<Value>, Fault> {
        match self.0.into_iter().nth(place) {
            Some(Value::Array(values)) => Ok(values),
            Some(_) | None => Err(wrong()),
        }
    }
}
