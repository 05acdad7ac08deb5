//! Values of keys about how a program is started again.

use super::{line_pattern, number, seconds, signal};
use crate::config::diagnostic::Fault;
use crate::models::{
    ChangeAction, DelayGrowth, EndedBy, NoOutputRule, OutputAction, OutputRule, OutputSign, RestartLimit, Share,
    UNLIMITED_RETRIES,
};
use crate::process::signal_number;

/// How many restarts a limit may count: the daemon remembers the moment of each.
const MAX_COUNTED_RESTARTS: u32 = 1000;

/// How many rules of `output_watch` a program may have: each is looked at for each line.
const MAX_OUTPUT_RULES: usize = 32;

/// A rule of `output_watch` on each line, or nothing.
pub(crate) fn output_rules(text: &str) -> Result<Vec<OutputRule>, Fault> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.len() > MAX_OUTPUT_RULES {
        return Err(Fault::new("too many rules", format!("write at most {MAX_OUTPUT_RULES}")));
    }
    let named = |line: &str, fault: Fault| match lines.len() {
        1 => fault,
        _ => Fault::new(format!("{} ('{line}')", fault.message), fault.hint),
    };
    lines.iter().map(|line| output_rule(line).map_err(|fault| named(line, fault))).collect()
}

fn output_rule(line: &str) -> Result<OutputRule, Fault> {
    let mut rule = OutputRule::parse(line).map_err(|why| match why {
        NoOutputRule::Sign => Fault::new("nothing that can be watched for", "write silence:SECONDS or pattern:REGEX"),
        NoOutputRule::Seconds => Fault::new("not a time", "write silence: and whole seconds, at least 1"),
        NoOutputRule::Action => {
            Fault::new("not an action", "write restart, unhealthy, signal:NAME or command:COMMAND behind the arrow")
        }
    })?;
    if let OutputSign::Pattern(regex) = &rule.sign {
        line_pattern(regex)?;
    }
    if let OutputAction::Signal(name) = &mut rule.action {
        *name = signal(name)?;
    }
    Ok(rule)
}

/// A whole number, or `unlimited`.
pub(crate) fn retries(text: &str) -> Result<u32, Fault> {
    if text.eq_ignore_ascii_case("unlimited") {
        return Ok(UNLIMITED_RETRIES);
    }
    number(text, 0, UNLIMITED_RETRIES).map_err(|fault| {
        let hint = format!("{}, or unlimited", fault.hint);
        fault.with_remedy(&hint)
    })
}

/// `none`, `linear` or `double`.
pub(crate) fn delay_growth(text: &str) -> Result<DelayGrowth, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "none" => Ok(DelayGrowth::None),
        "linear" | "" => Ok(DelayGrowth::Linear),
        "double" => Ok(DelayGrowth::Double),
        _ => Err(Fault::new("not a way to grow", "write none, linear or double")),
    }
}

/// `0` to `1`.
pub(crate) fn share(text: &str) -> Result<Share, Fault> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let share = text.parse().ok().filter(|_| is_number).and_then(Share::new);
    share.ok_or_else(|| Fault::new("not a part of a whole", "write a number from 0 to 1, such as 0.5"))
}

/// `5/60`, or nothing.
pub(crate) fn restart_limit(text: &str) -> Result<Option<RestartLimit>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    let right = "write RESTARTS/SECONDS, such as 5/60";
    let Some((restarts, within)) = text.split_once('/') else {
        return Err(Fault::new("the time is missing", right));
    };
    let restarts = number(restarts.trim(), 0, MAX_COUNTED_RESTARTS)?;
    Ok(Some(RestartLimit { restarts, seconds: seconds(within.trim(), 1)? }))
}

/// Exit codes and signals with commas between them: `2, 78, SIGUSR1`.
pub(crate) fn ends(text: &str) -> Result<Vec<EndedBy>, Fault> {
    let mut list = Vec::new();
    for word in text.split([',', '\n']).map(str::trim).filter(|word| !word.is_empty()) {
        if word.starts_with(|first: char| first.is_ascii_digit() || first == '-') {
            let code = word.parse().map_err(|_| Fault::new("not an exit code", "write numbers from 0 to 255"))?;
            list.push(EndedBy::Code(code));
        } else {
            list.extend(signal_number(&signal(word)?).map(EndedBy::Signal));
        }
    }
    Ok(list)
}

/// `restart` or `reload`.
pub(crate) fn change_action(text: &str) -> Result<ChangeAction, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "restart" | "" => Ok(ChangeAction::Restart),
        "reload" => Ok(ChangeAction::Reload),
        _ => Err(Fault::new("not an action", "write restart or reload")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault<T: std::fmt::Debug>(result: Result<T, Fault>) -> String {
        let fault = result.expect_err("a fault");
        format!("{}; {}", fault.message, fault.hint)
    }

    #[test]
    fn retries_may_have_no_end() {
        assert_eq!((retries("0"), retries("Unlimited")), (Ok(0), Ok(u32::MAX)));
        assert_eq!(fault(retries("many")), "not a whole number; write a whole number, at least 0, or unlimited");
    }

    #[test]
    fn a_share_is_a_number_up_to_1() {
        assert_eq!(
            ["0", "0.25", "1", ".5"].map(|text| share(text).map(Share::thousandths)),
            [Ok(0), Ok(250), Ok(1000), Ok(500)]
        );
        for wrong in ["", "1.1", "-0.1", "50%", "nan", "1e-1", "0,5"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_limit_names_a_number_and_a_time() {
        assert_eq!(restart_limit("5/60"), Ok(Some(RestartLimit { restarts: 5, seconds: 60 })));
        assert_eq!(restart_limit("0 / 1"), Ok(Some(RestartLimit { restarts: 0, seconds: 1 })));
        assert_eq!(restart_limit(""), Ok(None));
        assert_eq!(fault(restart_limit("5")), "the time is missing; write RESTARTS/SECONDS, such as 5/60");
        assert!(restart_limit("5/0").is_err() && restart_limit("1001/60").is_err() && restart_limit("5/1m").is_err());
    }

    #[test]
    fn ends_are_told_by_code_and_by_signal() {
        use EndedBy::{Code, Signal};
        assert_eq!(ends("2, 78,SIGUSR1, kill"), Ok(vec![Code(2), Code(78), Signal(10), Signal(9)]));
        assert_eq!(ends(""), Ok(Vec::new()));
        assert!(ends("256").is_err() && ends("NOSUCH").is_err());
    }
}
