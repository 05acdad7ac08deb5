//! The few `%(…)` forms that are replaced in values. Every other `%` is literal.

use std::borrow::Cow;
use std::path::Path;

use super::diagnostic::Place;

/// What the names in `%(name)s` stand for, at one place and for one program.
#[derive(Clone, Copy, Default)]
pub(crate) struct Scope<'s> {
    /// `host_node_name`
    pub host: &'s str,
    /// `program_name`, `group_name` and `numprocs` of a program's section.
    pub program: Option<ProgramScope<'s>>,
    /// `process_num`, where instances differ.
    pub process_num: Option<u32>,
}

#[derive(Clone, Copy)]
pub(crate) struct ProgramScope<'s> {
    pub name: &'s str,
    pub group: &'s str,
    pub numprocs: u32,
}

/// What a name stands for.
enum Value<'s> {
    Text(Cow<'s, str>),
    Number(u32),
}

/// Conversion of one form: `%(name)-05d` is left-aligned, padded with zeros, 5 wide, decimal.
struct Format {
    left: bool,
    zero: bool,
    width: usize,
    decimal: bool,
}

/// Padding wider than this is taken for text that only looks like a form.
const MAX_WIDTH: usize = 64;

impl<'s> Scope<'s> {
    /// `text` with the known forms replaced; `here` is the directory of the file that `place` is in.
    pub(crate) fn expand<'t>(&self, text: &'t str, place: &Place) -> Cow<'t, str> {
        if !text.contains("%(") {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, form)) = rest.split_once("%(") {
            out.push_str(before);
            rest = match self.form(form, place) {
                Some((replacement, tail)) => {
                    out.push_str(&replacement);
                    tail
                }
                None => {
                    out.push_str("%(");
                    form
                }
            };
        }
        out.push_str(rest);
        Cow::Owned(out)
    }

    /// What replaces the form whose text after `%(` is `text`, and what follows it.
    fn form<'t>(&self, text: &'t str, place: &Place) -> Option<(String, &'t str)> {
        let (name, tail) = text.split_once(')')?;
        let (format, tail) = Format::parse(tail)?;
        Some((format.apply(self.value(name, place)?)?, tail))
    }

    fn value(&self, name: &str, place: &Place) -> Option<Value<'s>> {
        let text = |text: &'s str| Some(Value::Text(Cow::Borrowed(text)));
        match name {
            "process_num" => self.process_num.map(Value::Number),
            "numprocs" => self.program.map(|program| Value::Number(program.numprocs)),
            "program_name" => text(self.program?.name),
            "group_name" => text(self.program?.group),
            "host_node_name" => text(self.host),
            "here" => Some(Value::Text(Cow::Owned(here(&place.file)))),
            _ => std::env::var(name.strip_prefix("ENV_")?).ok().map(|value| Value::Text(Cow::Owned(value))),
        }
    }
}

/// The first form in `text` that names a variable of the environment which is not set.
pub(crate) fn unset_variable(text: &str) -> Option<&str> {
    let mut forms = text.split("%(ENV_").skip(1);
    forms.find_map(|form| {
        let (name, tail) = form.split_once(')')?;
        Format::parse(tail)?;
        let plain = !name.is_empty() && !name.contains(['=', '\0']);
        (plain && std::env::var(name).is_err()).then_some(name)
    })
}

/// The directory of a configuration file, absolute.
pub(crate) fn here(file: &Path) -> String {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    absolute.parent().unwrap_or(Path::new("/")).to_string_lossy().into_owned()
}

impl Format {
    fn parse(text: &str) -> Option<(Format, &str)> {
        let flags = text.bytes().take_while(|b| matches!(b, b'-' | b'0')).count();
        let (flags, rest) = text.split_at(flags);
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (width, rest) = rest.split_at(digits);
        let width = if width.is_empty() { 0 } else { width.parse().ok().filter(|width| *width <= MAX_WIDTH)? };
        let left = flags.contains('-');
        let decimal = match rest.chars().next()? {
            's' => false,
            'd' | 'i' => true,
            _ => return None,
        };
        let tail = rest.get(1..)?;
        Some((Format { left, zero: flags.contains('0') && !left && decimal, width, decimal }, tail))
    }

    fn apply(&self, value: Value<'_>) -> Option<String> {
        let text = match value {
            Value::Text(_) if self.decimal => return None,
            Value::Text(text) => text.into_owned(),
            Value::Number(number) => number.to_string(),
        };
        let width = self.width;
        Some(match (self.left, self.zero) {
            (true, _) => format!("{text:<width$}"),
            (false, true) => format!("{text:0>width$}"),
            (false, false) => format!("{text:>width$}"),
        })
    }
}

#[cfg(test)]
mod tests;
