//! Lines that a typing mistake has turned into something else than was meant: a header that is a key, a value or a
//! comment, a key that is part of the value above it.

use super::diagnostic::Fault;
use crate::models::{Dialect, StartCondition};
use crate::util::command_line::split_command;

/// The first words of the sections of both dialects.
const KINDS: [&str; 13] = [
    "program",
    "template",
    "defaults",
    "group",
    "supervice",
    "supervisord",
    "include",
    "unix_http_server",
    "inet_http_server",
    "supervisorctl",
    "fcgi-program",
    "eventlistener",
    "rpcinterface",
];

fn is_kind(word: &str) -> bool {
    KINDS.contains(&word)
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// Whether a line was probably meant as the header of a section.
pub(super) fn looks_like_header(line: &str) -> bool {
    let Some(inner) = line.strip_prefix('[') else { return false };
    let (name, is_closed) = match inner.split_once(']') {
        Some((name, _)) => (name.trim(), true),
        None => (inner.trim(), false),
    };
    match name.split_once(':') {
        Some((kind, rest)) => is_kind(kind.trim()) || (is_closed && is_word(kind) && is_word(rest)),
        None => is_kind(name),
    }
}

/// What is wrong with a line at the margin that names a section and does not begin with its bracket.
pub(super) fn unbracketed_header(line: &str) -> Option<&'static str> {
    // Hardly a line has one of these.
    let is_bracket = |byte: u8| matches!(byte, b'(' | b'{' | b'<' | b')' | b'}' | b'>' | b']');
    if !line.bytes().any(is_bracket) {
        return None;
    }
    let inner = line.trim_start_matches(['(', '{', '<']);
    let name = inner.split([')', '}', '>', ']']).next().unwrap_or_default();
    if line.starts_with('[') || name == line {
        return None;
    }
    let is_name = match name.split_once(':') {
        Some((kind, rest)) => is_kind(kind.trim()) && is_word(rest.trim()),
        None => is_kind(name),
    };
    let is_bare = inner.len() == line.len();
    is_name.then_some(if is_bare { "the section's [ is missing" } else { "a section's name stands in [ and ]" })
}

/// What is probably a mistake in a section's header; only `name` of it counts.
pub(super) fn header_fault(name: &str, line: &str, dialect: Dialect) -> Option<Fault> {
    // Most lines are the header, which ends with a letter or digit, and nothing else.
    if line.len() == name.len() + 2 && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b']') {
        return None;
    }
    let behind = line.rsplit(']').next().unwrap_or_default().trim_start();
    if name.contains(']') {
        return Some(Fault::new("the name goes up to the last ] of the line", "write [NAME] alone on its line"));
    }
    if !behind.is_empty() && !behind.starts_with([';', '#']) {
        return Some(Fault::new("what follows the ] has no effect", "write it on a line of its own"));
    }
    let (kind, rest) = name.split_once(':').filter(|(kind, _)| ["program", "group"].contains(kind))?;
    let trimmed = rest.trim();
    // supervisord takes it away as well.
    if trimmed == rest || trimmed.is_empty() || dialect == Dialect::Supervisord {
        return None;
    }
    Some(Fault::new("white space around a name is part of it", format!("write [{kind}:{trimmed}]")))
}

/// The key that a line would set if it were none that continues a value.
pub(super) fn key_of(line: &str) -> Option<String> {
    let (key, _) = line.split_once(['=', ':'])?;
    let key = key.trim();
    is_word(key).then(|| key.to_lowercase())
}

/// Whether a line that continues `start_when` is a condition, though it looks like a key: `command:test -e x`.
pub(super) fn continues_conditions(open_key: &str, line: &str) -> bool {
    open_key.eq_ignore_ascii_case("start_when")
        && StartCondition::parse(line.trim().trim_end_matches(',').trim_end()).is_some()
}

/// A value of more lines than this is not looked into.
pub(super) const MAX_LINES: usize = 100;

/// Whether a value plainly goes on in the next line, whatever that looks like: it has not begun yet, or it ends with a
/// comma, within quotes, or with a backslash.
pub(super) fn continues_on_purpose(lines: &[&str]) -> bool {
    let value = if lines.len() > MAX_LINES { String::new() } else { lines.join("\n") };
    let value = value.trim();
    value.is_empty() || value.ends_with(',') || split_command(value).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_within_values_are_recognised() {
        for line in [
            "[program:b]",
            "[program:b",
            "[ program:b ]",
            "[group:g]",
            "[supervice]",
            "[supervice",
            "[include]",
            "[eventlistener:x",
            "[a:b]",
        ] {
            assert!(looks_like_header(line), "{line}");
        }
        for line in ["[ -f x ]", "[a]", "[x:y z]", "x [program:b]", "[0-9:]", "[a:b", "[programs]"] {
            assert!(!looks_like_header(line), "{line}");
        }
    }

    #[test]
    fn headers_without_their_bracket_are_recognised() {
        for line in ["program:a]", "group:a ] ; comment", "include]", "supervisord]"] {
            assert_eq!(unbracketed_header(line), Some("the section's [ is missing"), "{line}");
        }
        for line in ["{program:a}", "(program:a]", "<program: a>", "{program:a"] {
            assert_eq!(unbracketed_header(line), Some("a section's name stands in [ and ]"), "{line}");
        }
        for line in
            ["program:a", "programs: a]", "command = [program:a]", "[program:a]", "files = a]", "program = x y]"]
        {
            assert_eq!(unbracketed_header(line), None, "{line}");
        }
    }

    #[test]
    fn a_condition_on_a_line_of_its_own_is_no_key() {
        for line in ["command:test -e x", "command: test -e x", "  path:/x,", "route", "tcp:db:5432"] {
            assert!(continues_conditions("start_when", line), "{line}");
        }
        assert!(!continues_conditions("start_when", "command = run"));
        assert!(!continues_conditions("environment", "command:test -e x"));
    }

    #[test]
    fn what_goes_on_on_purpose_is_no_mistake() {
        for value in ["", "A=1,", "sh -c '", "run \\", "A=\"1\",\nB=\"2\","] {
            assert!(continues_on_purpose(&value.lines().collect::<Vec<_>>()), "{value}");
        }
        for value in ["run", "A=\"1\"", "sh -c 'x'"] {
            assert!(!continues_on_purpose(&[value]), "{value}");
        }
        assert!(!continues_on_purpose(&["x"; MAX_LINES]) && continues_on_purpose(&["x"; MAX_LINES + 1]));
    }
}
