//! Which names programs and groups may have.

use super::diagnostic::{Fault, Place, is_invisible};
use crate::models::Dialect;

/// Bytes that a program's name may have.
const MAX_NAME_BYTES: usize = 128;

/// Why a program or group can't have this name.
pub(crate) fn name_fault(name: &str, what: &str, dialect: Dialect) -> Option<Fault> {
    // Nearly all names are of these.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    if (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_plain) {
        return None;
    }
    let message = if name.trim().is_empty() {
        format!("the {what} has no name")
    } else if name.len() > MAX_NAME_BYTES {
        format!("a name of more than {MAX_NAME_BYTES} bytes")
    } else if name.contains(|c: char| c.is_control() || is_invisible(c)) {
        "characters in the name that can't be printed".to_owned()
    } else if let Some(c) =
        name.chars().find(|c| matches!(c, '/' | ':') || (*c == ' ' && dialect == Dialect::Supervisord))
    {
        format!("`{c}` in the name")
    } else {
        return None;
    };
    Some(Fault::new(message, format!("write [{what}:NAME] with letters, digits, - _ and .")))
}

/// Why a process of supervisord's dialect can't have this name, which may still hold `%(…)`.
pub(crate) fn process_name_fault(name: &str) -> Option<Fault> {
    let c = name.trim().chars().find(|c| matches!(c, ' ' | '/' | ':'))?;
    Some(Fault::new(format!("`{c}` in the name"), "write letters, digits, - _ and ."))
}

/// Two sections that differ in white space only.
pub(crate) fn same_name(name: &str, what: &str, first: &Place) -> Fault {
    Fault::new(
        format!("a second {what} called {name}: the first is in {}:{}", first.file.display(), first.line),
        "give it a name of its own",
    )
}
