//! Schedules as they are written.

use std::str::FromStr;

use super::{Calendar, Schedule};

/// Why a text is no schedule, and what to write in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoSchedule {
    /// What is wrong with it.
    pub message: String,
    /// What to write.
    pub remedy: String,
}

impl NoSchedule {
    fn new(message: impl Into<String>, remedy: impl Into<String>) -> NoSchedule {
        NoSchedule { message: message.into(), remedy: remedy.into() }
    }
}

/// The longest interval: a year.
const MAX_INTERVAL: u64 = 366 * 86_400;

const FORMS: &str = "write five fields (minute hour day month weekday) such as 0 3 * * *, @daily, or every 15m";

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The most days of each month.
const DAYS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Words for whole lines.
const NICKNAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// What may stand in a field.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

const fn field(name: &'static str, least: u32, most: u32) -> Field {
    Field { name, least, most, names: &[] }
}

const SECOND: Field = field("second", 0, 59);
const MINUTE: Field = field("minute", 0, 59);
const HOUR: Field = field("hour", 0, 23);
const DAY: Field = field("day of the month", 1, 31);
const MONTH: Field = Field { names: &MONTHS, ..field("month", 1, 12) };
/// 7 is Sunday as well.
const WEEKDAY: Field = Field { names: &WEEKDAYS, ..field("weekday", 0, 7) };

/// The values that match, as bits; whether it begins with `*`.
#[derive(Clone, Copy)]
struct Matches {
    bits: u64,
    is_any: bool,
}

impl FromStr for Schedule {
    type Err = NoSchedule;

    fn from_str(text: &str) -> Result<Schedule, NoSchedule> {
        if !cfg!(feature = "schedules") {
            return Err(NoSchedule::new(
                "this supervice was built without schedules",
                "remove the key, or build it with the feature schedules",
            ));
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            [] => Err(NoSchedule::new("no time", FORMS)),
            ["every", rest @ ..] => interval(rest),
            ["@reboot"] => Ok(Schedule::Reboot),
            [nickname] if nickname.starts_with('@') => {
                let known = NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(nickname));
                let Some((name, line)) = known else {
                    let remedy = "write @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually or @reboot";
                    return Err(NoSchedule::new(format!("{nickname} is not known"), remedy));
                };
                let fields: Vec<&str> = line.split(' ').collect();
                calendar(name, &fields)
            }
            fields => calendar(&fields.join(" "), fields),
        }
    }
}

/// `15m`, `90s after end`
fn interval(words: &[&str]) -> Result<Schedule, NoSchedule> {
    let right = "write a number and s, m, h or d, such as every 15m, every 1h30m, every 90s after end";
    let (time, after_end) = match words {
        [time] => (time, false),
        [time, "after", "end"] => (time, true),
        _ => return Err(NoSchedule::new("not an interval", right)),
    };
    let mut seconds = 0_u64;
    let mut rest = *time;
    while !rest.is_empty() {
        let end = rest.find(|byte: char| !byte.is_ascii_digit()).unwrap_or(rest.len());
        let (number, behind) = rest.split_at(end);
        let unit = match behind.chars().next() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3600,
            Some('d') => 86_400,
            Some(_) | None => return Err(NoSchedule::new("not an interval", right)),
        };
        let number: u64 = number.parse().map_err(|_| NoSchedule::new("not an interval", right))?;
        seconds = seconds.saturating_add(number.saturating_mul(unit));
        // The unit is one byte.
        rest = behind.get(1..).unwrap_or_default();
    }
    match u32::try_from(seconds) {
        Ok(0) => Err(NoSchedule::new("an interval of nothing", "write every 1s or more")),
        Ok(seconds) if u64::from(seconds) <= MAX_INTERVAL => Ok(Schedule::Interval { seconds, after_end }),
        Ok(_) | Err(_) => Err(NoSchedule::new("an interval of more than a year", "write every 366d or less")),
    }
}

/// Five fields, or six with the seconds before them.
fn calendar(text: &str, fields: &[&str]) -> Result<Schedule, NoSchedule> {
    let (second, fields) = match fields {
        [second, rest @ ..] if rest.len() == 5 => (*second, rest),
        fields => ("0", fields),
    };
    let [minute, hour, day, month, weekday] = fields else {
        let message = match fields.len() {
            count @ 0..5 => format!("only {count} of the five fields"),
            count => format!("{count} fields"),
        };
        return Err(NoSchedule::new(message, FORMS));
    };
    let second = matches(&SECOND, second)?;
    let minute = matches(&MINUTE, minute)?;
    let hour = matches(&HOUR, hour)?;
    let day = matches(&DAY, day)?;
    let month = matches(&MONTH, month)?;
    let weekday = matches(&WEEKDAY, weekday)?;
    let either_day = !day.is_any && !weekday.is_any;
    let is_there = |(number, most): (u32, &u32)| {
        let days = u64::MAX >> (63 - most);
        month.bits & (1 << number) != 0 && day.bits & days != 0
    };
    if !either_day && !(1..).zip(&DAYS).any(is_there) {
        return Err(NoSchedule::new("no month that it names has that day: it would never come", "name another day"));
    }
    let sundays = weekday.bits >> 7 & 1;
    Ok(Schedule::Calendar(Box::new(Calendar {
        text: text.into(),
        seconds: second.bits,
        minutes: minute.bits,
        // Each field has values that fit.
        hours: hour.bits as u32,
        days: day.bits as u32,
        months: month.bits as u16,
        weekdays: ((weekday.bits | sundays) & 0x7f) as u8,
        either_day,
        follows_elapsed: second.is_any || minute.is_any || hour.is_any,
    })))
}

/// `1,5-10/2`
fn matches(field: &Field, text: &str) -> Result<Matches, NoSchedule> {
    let mut bits = 0;
    for item in text.split(',') {
        bits |= item_bits(field, item)?;
    }
    Ok(Matches { bits, is_any: text.starts_with('*') })
}

/// `*`, `*/5`, `3`, `1-5`, `1-30/2`, `mon-fri`
fn item_bits(field: &Field, item: &str) -> Result<u64, NoSchedule> {
    let Field { name, least, most, .. } = *field;
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (item, None),
    };
    // Sunday has two numbers, of which `*` means one.
    let last = if most == 7 { 6 } else { most };
    let (from, to) = match range.split_once('-') {
        _ if range == "*" => (least, last),
        Some((from, to)) => (value(field, from)?, value(field, to)?),
        None => {
            let one = value(field, range)?;
            if let Some(step) = step {
                let message = format!("'{item}' in the field {name}: a step needs a range");
                return Err(NoSchedule::new(message, format!("write {one}-{last}/{step}")));
            }
            (one, one)
        }
    };
    if from > to {
        let message = format!("'{range}' in the field {name} runs backwards");
        // Sunday ends a week as well as it begins one.
        let remedy = match (most, to) {
            (7, 0) => format!("write {from}-7"),
            _ => format!("write {from}-{last},{least}-{to}"),
        };
        return Err(NoSchedule::new(message, remedy));
    }
    let step: u32 = match step {
        None => 1,
        Some(step) => step.parse().ok().filter(|step| is_number(step, most)).ok_or_else(|| {
            let message = format!("'{item}' in the field {name}: the step is not a number from 1 to {most}");
            NoSchedule::new(message, "write */5 and the like; for longer intervals every 90m and the like")
        })?,
    };
    let steps = usize::try_from(step).unwrap_or(1);
    Ok((from..=to).step_by(steps).fold(0, |bits, value| bits | 1 << value))
}

fn is_number(step: &u32, most: u32) -> bool {
    (1..=most).contains(step)
}

/// A number or a name.
fn value(field: &Field, text: &str) -> Result<u32, NoSchedule> {
    let Field { name, least, most, names } = *field;
    let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
    if let Some(place) = named.and_then(|place| u32::try_from(place).ok()) {
        return Ok(place + least);
    }
    let is_digits = !text.is_empty() && text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| is_digits && (least..=most).contains(number));
    number.ok_or_else(|| {
        let names = match names {
            [first, .., last] => format!(", or {first} to {last}"),
            [] | [_] => String::new(),
        };
        let message = format!("'{text}' is no {name}");
        NoSchedule::new(message, format!("write a number from {least} to {most}{names}, ranges, lists or */STEP"))
    })
}
