//! What `%` means in a value. In supervice's dialect only the literal text `%(process_num)s` is replaced; in
//! supervisord's a value is formatted as Python's `%` operator does it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use super::diagnostic::{Fault, Place};
use crate::models::{Dialect, ProgramConfig};

/// What the names in `%(name)s` stand for, at one place and for one program.
#[derive(Clone, Copy, Default)]
pub(crate) struct Scope<'s> {
    pub dialect: Dialect,
    /// `host_node_name`, where it is known.
    pub host: Option<&'s str>,
    /// `program_name` and `group_name` of a program's section.
    pub program: Option<ProgramScope<'s>>,
    /// `process_num` and `numprocs`, where instances differ.
    pub process: Option<ProcessScope>,
    /// The variables that `[supervisord]` sets: known as `ENV_NAME` besides those of the daemon.
    pub globals: &'s [(String, String)],
    /// Those of the program itself.
    pub own: Option<&'s BTreeMap<String, String>>,
}

#[derive(Clone, Copy)]
pub(crate) struct ProgramScope<'s> {
    pub name: &'s str,
    pub group: &'s str,
    /// Which one it is of its template.
    pub instance: Option<&'s str>,
}

#[derive(Clone, Copy)]
pub(crate) struct ProcessScope {
    pub number: i64,
    pub count: u32,
}

/// What supervice's dialect replaces.
const PROCESS_NUM: &str = "%(process_num)s";
/// The same, in a program that is made from a template.
const INSTANCE: &str = "%(instance)s";

/// What a name stands for.
enum Value<'s> {
    Text(Cow<'s, str>),
    Number(i64),
}

impl<'s> Scope<'s> {
    /// `text` with what it names; `here` is the directory of the file that `place` is in.
    ///
    /// # Errors
    ///
    /// In supervisord's dialect: a name that is not known at this place, or a `%` that begins no form.
    pub(crate) fn expand<'t>(&self, text: &'t str, place: &Place) -> Result<Cow<'t, str>, Fault> {
        if !text.contains('%') {
            return Ok(Cow::Borrowed(text));
        }
        if self.dialect == Dialect::Supervisord {
            return self.format(text, place).map(Cow::Owned);
        }
        let mut text = Cow::Borrowed(text);
        if let Some(process) = self.process {
            text = Cow::Owned(text.replace(PROCESS_NUM, &format!("{:02}", process.number)));
        }
        if let Some(instance) = self.program.and_then(|program| program.instance) {
            text = Cow::Owned(text.replace(INSTANCE, instance));
        }
        Ok(text)
    }

    fn format(&self, text: &str, place: &Place) -> Result<String, Fault> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, form)) = rest.split_once('%') {
            out.push_str(before);
            if let Some(tail) = form.strip_prefix('%') {
                out.push('%');
                rest = tail;
                continue;
            }
            let (name, tail) = form.strip_prefix('(').and_then(form_name).ok_or_else(bare_percent)?;
            let (format, tail) = Format::parse(tail).ok_or_else(bare_percent)?;
            let value = self.value(name, place).ok_or_else(|| self.unknown_name(name))?;
            out.push_str(&format.apply(value).ok_or_else(|| no_number(name))?);
            rest = tail;
        }
        out.push_str(rest);
        Ok(out)
    }

    fn value(&self, name: &str, place: &Place) -> Option<Value<'s>> {
        let text = |text: &'s str| Some(Value::Text(Cow::Borrowed(text)));
        match name {
            "process_num" => self.process.map(|process| Value::Number(process.number)),
            "numprocs" => self.process.map(|process| Value::Number(i64::from(process.count))),
            "program_name" => text(self.program?.name),
            "group_name" => text(self.program?.group),
            "instance" => text(self.program?.instance?),
            "host_node_name" => text(self.host?),
            "here" => Some(Value::Text(Cow::Owned(here(&place.file)))),
            _ => self.variable(name.strip_prefix("ENV_")?).map(Value::Text),
        }
    }

    /// A variable of the environment: the program's own one, that of `[supervisord]`, the daemon's.
    fn variable(&self, name: &str) -> Option<Cow<'s, str>> {
        if let Some(value) = self.own.and_then(|own| own.get(name)) {
            return Some(Cow::Borrowed(value));
        }
        // The last of several counts.
        if let Some((_, value)) = self.globals.iter().rev().find(|(global, _)| global == name) {
            return Some(Cow::Borrowed(value));
        }
        if name.is_empty() || name.contains(['=', '\0']) {
            return None;
        }
        std::env::var(name).ok().map(Cow::Owned)
    }

    fn unknown_name(&self, name: &str) -> Fault {
        if let Some(variable) = name.strip_prefix("ENV_") {
            return Fault::new(
                format!("the variable {variable} is not set"),
                "set it before supervice is started, or in environment of [supervisord]",
            );
        }
        let names = [
            ("here", true),
            ("program_name", self.program.is_some()),
            ("group_name", self.program.is_some()),
            ("instance", self.program.is_some_and(|program| program.instance.is_some())),
            ("process_num", self.process.is_some()),
            ("numprocs", self.process.is_some()),
            ("host_node_name", self.host.is_some()),
        ];
        let known: Vec<&str> = names.iter().filter(|(_, known)| *known).map(|(name, _)| *name).collect();
        let hint = format!("here are known {} and ENV_NAME; write %% for a percent sign", known.join(", "));
        Fault::new(format!("nothing is known here as %({name})"), hint)
    }
}

/// The name up to the parenthesis that closes it, and what follows.
fn form_name(text: &str) -> Option<(&str, &str)> {
    let mut open = 1_u32;
    for (at, c) in text.char_indices() {
        match c {
            '(' => open += 1,
            ')' if open == 1 => return Some((text.get(..at)?, text.get(at + 1..)?)),
            ')' => open -= 1,
            _ => {}
        }
    }
    None
}

fn bare_percent() -> Fault {
    Fault::new("a % that begins no %(name)s", "write %% for a percent sign")
}

fn no_number(name: &str) -> Fault {
    Fault::new(format!("%({name}) can't be written in this way"), format!("write %({name})s"))
}

/// The forms that stand in a value of supervice's dialect as if it were supervisord's: they stay as they are.
pub(crate) fn stays_literal(text: &str) -> Option<&str> {
    let mut forms = text.match_indices("%(").filter_map(|(at, _)| {
        let form = text.get(at..)?;
        let (name, tail) = form.get(2..)?.split_once(')')?;
        let conversion = tail.find(|c: char| c.is_ascii_alphabetic())? + 1;
        let length = 2 + name.len() + 1 + conversion;
        let known = ["here", "program_name", "group_name", "host_node_name", "process_num", "numprocs"];
        let is_form =
            tail.starts_with(['s', 'd', 'i', '0', '-']) && (known.contains(&name) || name.starts_with("ENV_"));
        (is_form && !form.starts_with(PROCESS_NUM)).then(|| form.get(..length))?
    });
    forms.next()
}

/// A value of an env file for one instance. In supervisord's dialect, which has no such files, it is literal.
pub(crate) fn instance_value(program: &ProgramConfig, value: String) -> String {
    if program.process_name.is_some() || !value.contains(PROCESS_NUM) {
        return value;
    }
    let number = program.name.rsplit_once(':').filter(|_| program.numprocs > 1).map_or("00", |(_, number)| number);
    value.replace(PROCESS_NUM, number)
}

/// The directory of a configuration file, absolute.
pub(crate) fn here(file: &Path) -> String {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    absolute.parent().unwrap_or(Path::new("/")).to_string_lossy().into_owned()
}

/// Conversion of one form: `%(name)-05d` is left-aligned, padded with zeros, 5 wide, decimal.
struct Format {
    left: bool,
    zero: bool,
    plus: bool,
    blank: bool,
    width: usize,
    precision: Option<usize>,
    conversion: Conversion,
}

enum Conversion {
    Text,
    Decimal,
    Hexadecimal { upper: bool },
    Octal,
}

/// Padding wider than this is a mistake.
const MAX_WIDTH: usize = 4096;

impl Format {
    fn parse(text: &str) -> Option<(Format, &str)> {
        let flags = text.bytes().take_while(|b| b"-0+ ".contains(b)).count();
        let (flags, rest) = text.split_at(flags);
        let (width, rest) = digits(rest);
        let (precision, rest) = match rest.strip_prefix('.') {
            Some(rest) => {
                let (precision, rest) = digits(rest);
                (Some(number(precision)?), rest)
            }
            None => (None, rest),
        };
        let rest = rest.strip_prefix(['h', 'l', 'L']).unwrap_or(rest);
        let conversion = match rest.chars().next()? {
            's' => Conversion::Text,
            'd' | 'i' | 'u' => Conversion::Decimal,
            'x' => Conversion::Hexadecimal { upper: false },
            'X' => Conversion::Hexadecimal { upper: true },
            'o' => Conversion::Octal,
            _ => return None,
        };
        let has = |flag| flags.contains(flag);
        let format = Format {
            left: has('-'),
            zero: has('0'),
            plus: has('+'),
            blank: has(' '),
            width: number(width)?,
            precision,
            conversion,
        };
        Some((format, rest.get(1..)?))
    }

    fn apply(&self, value: Value<'_>) -> Option<String> {
        let (text, is_number) = match (&self.conversion, value) {
            (Conversion::Text, Value::Text(text)) => (self.cut(text.into_owned()), false),
            (Conversion::Text, Value::Number(number)) => (self.cut(number.to_string()), false),
            (_, Value::Text(_)) => return None,
            (Conversion::Decimal, Value::Number(number)) => {
                (self.signed(number, number.unsigned_abs().to_string()), true)
            }
            (Conversion::Octal, Value::Number(number)) => {
                (self.signed(number, format!("{:o}", number.unsigned_abs())), true)
            }
            (Conversion::Hexadecimal { upper }, Value::Number(number)) => {
                let digits = format!("{:x}", number.unsigned_abs());
                (self.signed(number, if *upper { digits.to_uppercase() } else { digits }), true)
            }
        };
        let width = self.width;
        Some(match (self.left, self.zero && is_number) {
            (true, _) => format!("{text:<width$}"),
            (false, true) => {
                let digits = text.trim_start_matches(['-', '+', ' ']);
                let sign = text.get(..text.len() - digits.len()).unwrap_or("");
                let width = width.saturating_sub(sign.len());
                format!("{sign}{digits:0>width$}")
            }
            (false, false) => format!("{text:>width$}"),
        })
    }

    fn cut(&self, text: String) -> String {
        match self.precision {
            Some(most) => text.chars().take(most).collect(),
            None => text,
        }
    }

    fn signed(&self, number: i64, digits: String) -> String {
        let sign = match number {
            ..0 => "-",
            _ if self.plus => "+",
            _ if self.blank => " ",
            _ => "",
        };
        let least = self.precision.unwrap_or(0);
        format!("{sign}{digits:0>least$}")
    }
}

/// The digits at the beginning, and the rest.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// A width or precision; none is 0.
fn number(digits: &str) -> Option<usize> {
    if digits.is_empty() { Some(0) } else { digits.parse().ok().filter(|number| *number <= MAX_WIDTH) }
}

#[cfg(test)]
mod tests;
