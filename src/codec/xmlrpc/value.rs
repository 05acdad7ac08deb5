//! What XML-RPC carries.

use std::borrow::Cow;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `int` or `i4`. What is written is bounded to 32 bits: no client of supervisord reads more.
    Int(i64),
    /// `boolean`.
    Boolean(bool),
    /// `string`, an `i8`, or a value without a type. What XML can't carry is replaced when it is written.
    String(Cow<'static, str>),
    /// `double`.
    Double(f64),
    /// `dateTime.iso8601`, as it is written.
    DateTime(String),
    /// `base64`, decoded.
    Bytes(Vec<u8>),
    /// `nil`.
    Nil,
    /// `array`.
    Array(Vec<Value>),
    /// `struct`: its members in their order.
    Struct(Vec<(Cow<'static, str>, Value)>),
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<Cow<'static, str>>) -> Value {
        Value::String(text.into())
    }

    /// The member of a struct.
    pub fn member(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Struct(members) => members.iter().find(|(known, _)| known == name).map(|(_, value)| value),
            Value::Int(_)
            | Value::Boolean(_)
            | Value::String(_)
            | Value::Double(_)
            | Value::DateTime(_)
            | Value::Bytes(_)
            | Value::Nil
            | Value::Array(_) => None,
        }
    }

    /// How much memory it takes, about, in bytes.
    pub(super) fn size(&self) -> usize {
        let text = |text: &Cow<'static, str>| match text {
            Cow::Owned(text) => text.len(),
            Cow::Borrowed(_) => 0,
        };
        let inside = match self {
            Value::String(string) => text(string),
            Value::DateTime(time) => time.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::Array(values) => values.iter().map(Value::size).sum(),
            Value::Struct(members) => {
                members.iter().map(|(name, value)| size_of_val(name) + text(name) + value.size()).sum()
            }
            Value::Int(_) | Value::Boolean(_) | Value::Double(_) | Value::Nil => 0,
        };
        size_of::<Value>() + inside
    }
}

/// A call as it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodCall {
    /// The name of the method, as it is written.
    pub method: String,
    /// Its parameters.
    pub params: Vec<Value>,
}
