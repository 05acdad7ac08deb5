//! Answers as XML, in the form in which Python writes them: its clients are the ones that read them.

use std::fmt::Write as _;

use super::fault::Fault;
use super::value::Value;

const BEGIN: &str = "<?xml version='1.0'?>\n<methodResponse>\n";
const END: &str = "</methodResponse>\n";

/// The answer to a call.
pub fn response(result: &Result<Value, Fault>) -> Vec<u8> {
    let mut text = String::from(BEGIN);
    match result {
        Ok(value) => {
            text.push_str("<params>\n<param>\n");
            write(value, &mut text);
            text.push_str("</param>\n</params>\n");
        }
        Err(fault) => {
            text.push_str("<fault>\n");
            write(&fault.to_value(), &mut text);
            text.push_str("</fault>\n");
        }
    }
    text.push_str(END);
    text.into_bytes()
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Int(number) => {
            let bounded = (*number).clamp(i64::from(i32::MIN), i64::from(i32::MAX));
            text.push_str("<value><int>");
            let _ = write!(text, "{bounded}");
            text.push_str("</int></value>\n");
        }
        Value::Boolean(true) => text.push_str("<value><boolean>1</boolean></value>\n"),
        Value::Boolean(false) => text.push_str("<value><boolean>0</boolean></value>\n"),
        Value::Double(number) => {
            let _ = writeln!(text, "<value><double>{number}</double></value>");
        }
        Value::DateTime(time) => {
            text.push_str("<value><dateTime.iso8601>");
            escape(time, text);
            text.push_str("</dateTime.iso8601></value>\n");
        }
        Value::String(string) => string_value(string, text),
        // Never nil and no bytes: not every client of supervisord knows these.
        Value::Nil => string_value("", text),
        Value::Bytes(bytes) => string_value(&String::from_utf8_lossy(bytes), text),
        Value::Array(values) => {
            text.push_str("<value><array><data>\n");
            values.iter().for_each(|value| write(value, text));
            text.push_str("</data></array></value>\n");
        }
        Value::Struct(members) => {
            text.push_str("<value><struct>\n");
            for (name, value) in members {
                text.push_str("<member>\n<name>");
                escape(name, text);
                text.push_str("</name>\n");
                write(value, text);
                text.push_str("</member>\n");
            }
            text.push_str("</struct></value>\n");
        }
    }
}

fn string_value(string: &str, text: &mut String) {
    text.push_str("<value><string>");
    escape(string, text);
    text.push_str("</string></value>\n");
}

/// Whatever a log holds, the document stays one: what XML forbids is replaced.
fn escape(content: &str, text: &mut String) {
    // Mostly there is nothing to be done, which its bytes tell, and then the whole is copied at once.
    if content.bytes().all(is_plain) {
        return text.push_str(content);
    }
    for letter in content.chars() {
        match letter {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            // As it is a reader would take it for a line end.
            '\r' => text.push_str("&#13;"),
            letter if is_allowed(letter) => text.push(letter),
            _ => text.push('\u{fffd}'),
        }
    }
}

/// A byte that stands in a document as it is, whatever is beside it.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b' '..=b'~') && !matches!(byte, b'&' | b'<' | b'>')
}

/// Whether XML can carry it.
pub(super) fn is_allowed(letter: char) -> bool {
    !matches!(letter, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}')
}
