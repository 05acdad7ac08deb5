//! A call as XML: the grammar of XML-RPC, and nothing of XML beside it.

use std::fmt;

use xmlparser::{ElementEnd, Token, Tokenizer};

use super::value::{MethodCall, Value};
use crate::util::base64;

/// How deep arrays and structs may lie in one another.
const MAX_LEVELS: usize = 32;
/// Values of one call at most, those inside others included.
const MAX_VALUES: usize = 10_000;

/// Why a body is no call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// It is no UTF-8.
    NotUtf8,
    /// It is no XML, or has something that no call needs: a document type, an entity of its own.
    NotXml,
    /// It is XML, but no call.
    NotACall,
    /// There is too much in it, or too deep.
    TooMuch,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed::NotUtf8 => "the body is not UTF-8",
            Malformed::NotXml => "the body is not XML, or has a document type",
            Malformed::NotACall => "the body is no methodCall",
            Malformed::TooMuch => "the call has too many values, or they are nested too deep",
        })
    }
}

/// Reads a call.
///
/// # Errors
/// Why it is none.
pub fn parse(body: &[u8]) -> Result<MethodCall, Malformed> {
    let text = std::str::from_utf8(body).map_err(|_| Malformed::NotUtf8)?;
    let mut reader = Reader { tokens: Tokenizer::from(text), ahead: None, values: 0 };
    reader.open("methodCall")?;
    reader.open("methodName")?;
    let method = reader.text_until("methodName")?;
    let mut params = Vec::new();
    match reader.next_tag()? {
        Some(Tag::Close("methodCall")) => {}
        Some(Tag::Open("params")) => {
            params = reader.params()?;
            reader.close("methodCall")?;
        }
        Some(Tag::Open(_) | Tag::Close(_)) | None => return Err(Malformed::NotACall),
    }
    match reader.next_tag()? {
        None => Ok(MethodCall { method, params }),
        Some(_) => Err(Malformed::NotACall),
    }
}

/// One end of an element. Prefixes and attributes mean nothing here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag<'a> {
    Open(&'a str),
    Close(&'a str),
}

/// What comes next.
enum Event<'a> {
    Tag(Tag<'a>),
    Text(&'a str),
    /// Text without entities.
    Verbatim(&'a str),
}

struct Reader<'a> {
    tokens: Tokenizer<'a>,
    /// The end of an empty element, whose beginning was told.
    ahead: Option<Tag<'a>>,
    values: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<Event<'a>>, Malformed> {
        if let Some(tag) = self.ahead.take() {
            return Ok(Some(Event::Tag(tag)));
        }
        let mut opened = None;
        loop {
            let Some(token) = self.tokens.next() else {
                // The tokenizer tells an end within an element by an error.
                return if opened.is_none() { Ok(None) } else { Err(Malformed::NotXml) };
            };
            match token.map_err(|_| Malformed::NotXml)? {
                Token::Declaration { .. } | Token::ProcessingInstruction { .. } | Token::Comment { .. } => {}
                Token::DtdStart { .. }
                | Token::EmptyDtd { .. }
                | Token::EntityDeclaration { .. }
                | Token::DtdEnd { .. } => {
                    return Err(Malformed::NotXml);
                }
                Token::ElementStart { local, .. } => opened = Some(local.as_str()),
                Token::Attribute { .. } => {}
                Token::ElementEnd { end, .. } => match (end, opened) {
                    (ElementEnd::Open, Some(name)) => return Ok(Some(Event::Tag(Tag::Open(name)))),
                    (ElementEnd::Empty, Some(name)) => {
                        self.ahead = Some(Tag::Close(name));
                        return Ok(Some(Event::Tag(Tag::Open(name))));
                    }
                    (ElementEnd::Close(_, name), None) => return Ok(Some(Event::Tag(Tag::Close(name.as_str())))),
                    (ElementEnd::Open | ElementEnd::Empty, None) | (ElementEnd::Close(..), Some(_)) => {
                        return Err(Malformed::NotXml);
                    }
                },
                Token::Text { text } => return Ok(Some(Event::Text(text.as_str()))),
                Token::Cdata { text, .. } => return Ok(Some(Event::Verbatim(text.as_str()))),
            }
        }
    }

    /// The next end of an element; between them there is nothing but white space.
    fn next_tag(&mut self) -> Result<Option<Tag<'a>>, Malformed> {
        loop {
            match self.next()? {
                None => return Ok(None),
                Some(Event::Tag(tag)) => return Ok(Some(tag)),
                Some(Event::Text(text)) if text.trim_ascii().is_empty() => {}
                Some(Event::Text(_) | Event::Verbatim(_)) => return Err(Malformed::NotACall),
            }
        }
    }

    fn open(&mut self, name: &str) -> Result<(), Malformed> {
        (self.next_tag()? == Some(Tag::Open(name))).then_some(()).ok_or(Malformed::NotACall)
    }

    fn close(&mut self, name: &str) -> Result<(), Malformed> {
        (self.next_tag()? == Some(Tag::Close(name))).then_some(()).ok_or(Malformed::NotACall)
    }

    /// The text of an element that was opened, and its end.
    fn text_until(&mut self, name: &str) -> Result<String, Malformed> {
        let mut found = String::new();
        loop {
            match self.next()? {
                Some(Event::Text(text)) => unescape(text, &mut found)?,
                Some(Event::Verbatim(text)) => found.push_str(text),
                Some(Event::Tag(Tag::Close(closed))) if closed == name => return Ok(found),
                Some(Event::Tag(_)) | None => return Err(Malformed::NotACall),
            }
        }
    }

    fn params(&mut self) -> Result<Vec<Value>, Malformed> {
        let mut params = Vec::new();
        loop {
            match self.next_tag()? {
                Some(Tag::Open("param")) => {
                    self.open("value")?;
                    params.push(self.value(0)?);
                    self.close("param")?;
                }
                Some(Tag::Close("params")) => return Ok(params),
                Some(Tag::Open(_) | Tag::Close(_)) | None => return Err(Malformed::NotACall),
            }
        }
    }

    /// What is in a `value` that was opened, and its end.
    fn value(&mut self, level: usize) -> Result<Value, Malformed> {
        self.values += 1;
        if level > MAX_LEVELS || self.values > MAX_VALUES {
            return Err(Malformed::TooMuch);
        }
        let mut text = String::new();
        loop {
            match self.next()? {
                Some(Event::Text(part)) => unescape(part, &mut text)?,
                Some(Event::Verbatim(part)) => text.push_str(part),
                // Without a type it is a string.
                Some(Event::Tag(Tag::Close("value"))) => return Ok(Value::text(text)),
                Some(Event::Tag(Tag::Open(kind))) if text.trim_ascii().is_empty() => {
                    let value = self.typed(kind, level)?;
                    self.close("value")?;
                    return Ok(value);
                }
                Some(Event::Tag(_)) | None => return Err(Malformed::NotACall),
            }
        }
    }

    /// A value of this type, whose element was opened, and the end of that.
    fn typed(&mut self, kind: &'a str, level: usize) -> Result<Value, Malformed> {
        match kind {
            "array" => return self.array(level),
            "struct" => return self.members(level),
            _ => {}
        }
        let text = self.text_until(kind)?;
        let plain = text.trim_ascii();
        match kind {
            "string" => Ok(Value::text(text)),
            // As there: what supervisord's library does not know is text, and numbers are read out of texts.
            "i8" => Ok(Value::text(plain.to_owned())),
            "int" | "i4" => plain.parse().map(Value::Int).map_err(|_| Malformed::NotACall),
            "boolean" => Ok(Value::Boolean(matches!(plain, "1" | "true"))),
            "double" => plain.parse().map(Value::Double).map_err(|_| Malformed::NotACall),
            "dateTime.iso8601" => Ok(Value::DateTime(text)),
            "base64" => {
                let letters: String = plain.split_ascii_whitespace().collect();
                base64::decode(&letters).map(Value::Bytes).ok_or(Malformed::NotACall)
            }
            "nil" => Ok(Value::Nil),
            _ => Err(Malformed::NotACall),
        }
    }

    fn array(&mut self, level: usize) -> Result<Value, Malformed> {
        let mut values = Vec::new();
        self.open("data")?;
        loop {
            match self.next_tag()? {
                Some(Tag::Open("value")) => values.push(self.value(level + 1)?),
                Some(Tag::Close("data")) => break,
                Some(Tag::Open(_) | Tag::Close(_)) | None => return Err(Malformed::NotACall),
            }
        }
        self.close("array")?;
        Ok(Value::Array(values))
    }

    fn members(&mut self, level: usize) -> Result<Value, Malformed> {
        let mut members = Vec::new();
        loop {
            match self.next_tag()? {
                Some(Tag::Open("member")) => {
                    self.open("name")?;
                    let name = self.text_until("name")?;
                    self.open("value")?;
                    members.push((name.into(), self.value(level + 1)?));
                    self.close("member")?;
                }
                Some(Tag::Close("struct")) => return Ok(Value::Struct(members)),
                Some(Tag::Open(_) | Tag::Close(_)) | None => return Err(Malformed::NotACall),
            }
        }
    }
}

/// Adds a text with its entities in place.
fn unescape(text: &str, found: &mut String) -> Result<(), Malformed> {
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        found.push_str(before);
        let (entity, after) = behind.split_once(';').ok_or(Malformed::NotXml)?;
        let letter = match entity {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            number => numbered(number).ok_or(Malformed::NotXml)?,
        };
        found.push(letter);
        rest = after;
    }
    found.push_str(rest);
    Ok(())
}

/// `#10` or `#xA`.
fn numbered(entity: &str) -> Option<char> {
    let number = entity.strip_prefix('#')?;
    let number = match number.strip_prefix('x') {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => number.parse().ok()?,
    };
    char::from_u32(number).filter(|letter| super::write::is_allowed(*letter))
}
