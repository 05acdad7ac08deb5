//! What a program's output is watched for, and what follows.

use std::fmt;

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One rule of `output_watch`.
///
/// Serialized as it is written in a configuration file: `"silence:300 -> restart"`, `"pattern:^panic -> signal:USR1"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputRule {
    /// What is watched for.
    pub sign: OutputSign,
    /// What follows.
    pub action: OutputAction,
}

/// A sign in its output by which a program is taken for hung or broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputSign {
    /// It writes nothing for so many seconds; at least 1.
    Silence(u32),
    /// It writes a line that holds a match of this regular expression.
    Pattern(String),
}

/// What follows when a rule of `output_watch` holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OutputAction {
    /// It is restarted; a start that has not come about has failed.
    #[default]
    Restart,
    /// It is `UNHEALTHY`, and what follows is what `healthcheck_action` says.
    Unhealthy,
    /// Its main process gets the signal of this name.
    Signal(String),
    /// This shell command is run.
    Command(String),
}

/// Between what is watched for and what follows. With its blanks: `->` alone may be a part of an expression.
const ARROW: &str = " -> ";

impl OutputRule {
    /// As it is written. Neither the expression nor the name of a signal is looked at.
    ///
    /// # Errors
    /// What it is that is none.
    pub(crate) fn parse(text: &str) -> Result<OutputRule, NoOutputRule> {
        let (sign, action) = split(text)?;
        let sign = match sign.trim().split_once(':') {
            Some(("silence", seconds)) => match seconds.trim().parse() {
                Ok(seconds) if seconds > 0 => OutputSign::Silence(seconds),
                Ok(_) | Err(_) => return Err(NoOutputRule::Seconds),
            },
            Some(("pattern", expression)) if !expression.trim().is_empty() => {
                OutputSign::Pattern(expression.trim().to_owned())
            }
            Some(_) | None => return Err(NoOutputRule::Sign),
        };
        Ok(OutputRule { sign, action })
    }

    /// The seconds of silence, where it is such a rule.
    pub(crate) fn silence(&self) -> Option<u32> {
        match self.sign {
            OutputSign::Silence(seconds) => Some(seconds),
            OutputSign::Pattern(_) => None,
        }
    }
}

/// What is watched for, and what follows. An expression and a command may have an arrow of their own: it is the first
/// one that an action follows.
fn split(text: &str) -> Result<(&str, OutputAction), NoOutputRule> {
    let arrows: Vec<usize> = text.match_indices(ARROW).map(|(at, _)| at).collect();
    let action_behind = |at: &usize| {
        let (sign, rest) = text.split_at(*at);
        Some((sign, OutputAction::parse(rest.strip_prefix(ARROW)?.trim())?))
    };
    match arrows.iter().find_map(action_behind) {
        Some(found) => Ok(found),
        None if arrows.is_empty() => Ok((text, OutputAction::default())),
        None => Err(NoOutputRule::Action),
    }
}

/// Why a text is no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoOutputRule {
    /// It begins with nothing that can be watched for.
    Sign,
    /// It has no number of seconds.
    Seconds,
    /// No action follows its arrow.
    Action,
}

impl OutputAction {
    fn parse(text: &str) -> Option<OutputAction> {
        let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        match text.split_once(':') {
            None if text == "restart" => Some(OutputAction::Restart),
            None if text == "unhealthy" => Some(OutputAction::Unhealthy),
            Some(("signal", name)) => filled(name.trim()).map(OutputAction::Signal),
            Some(("command", command)) => filled(command.trim()).map(OutputAction::Command),
            Some(_) | None => None,
        }
    }
}

impl fmt::Display for OutputSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OutputSign::Silence(seconds) => write!(f, "silence:{seconds}"),
            OutputSign::Pattern(expression) => write!(f, "pattern:{expression}"),
        }
    }
}

impl fmt::Display for OutputAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OutputAction::Restart => f.write_str("restart"),
            OutputAction::Unhealthy => f.write_str("unhealthy"),
            OutputAction::Signal(name) => write!(f, "signal:{name}"),
            OutputAction::Command(command) => write!(f, "command:{command}"),
        }
    }
}

impl fmt::Display for OutputRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{ARROW}{}", self.sign, self.action)
    }
}

impl Serialize for OutputRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for OutputRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let expected = &"silence:SECONDS or pattern:REGEX, -> restart, unhealthy, signal:NAME or command:COMMAND";
        OutputRule::parse(&text).map_err(|_| D::Error::invalid_value(Unexpected::Str(&text), expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, NoOutputRule> {
        OutputRule::parse(text).map(|rule| rule.to_string())
    }

    #[test]
    fn a_rule_is_written_as_it_is_read_and_restarts_where_it_says_nothing_else() {
        for (text, rule) in [
            ("silence:300", "silence:300 -> restart"),
            ("silence: 5 -> unhealthy", "silence:5 -> unhealthy"),
            ("pattern:^panic: .*", "pattern:^panic: .* -> restart"),
            ("pattern:a->b", "pattern:a->b -> restart"),
            ("pattern:a -> b -> signal:USR1", "pattern:a -> b -> signal:USR1"),
            ("pattern:x -> command:echo a -> restart", "pattern:x -> command:echo a -> restart"),
        ] {
            assert_eq!(parsed(text).as_deref(), Ok(rule), "{text}");
            assert_eq!(parsed(rule).as_deref(), Ok(rule));
        }
    }

    #[test]
    fn what_is_no_rule_says_what_is_wrong_with_it() {
        for (text, why) in [
            ("", NoOutputRule::Sign),
            ("silence", NoOutputRule::Sign),
            ("quiet:3", NoOutputRule::Sign),
            ("pattern:", NoOutputRule::Sign),
            ("pattern: -> restart", NoOutputRule::Sign),
            ("silence:0", NoOutputRule::Seconds),
            ("silence:5m", NoOutputRule::Seconds),
            ("silence:-1", NoOutputRule::Seconds),
            ("silence:5 -> reboot", NoOutputRule::Action),
            ("silence:5 -> signal:", NoOutputRule::Action),
        ] {
            assert_eq!(parsed(text), Err(why), "{text}");
        }
    }
}
