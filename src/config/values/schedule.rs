//! Values of keys about schedules.

use crate::config::diagnostic::Fault;
use crate::models::{Catchup, NoSchedule, Overlap, Schedule};

/// A schedule on each line, or nothing.
pub(crate) fn schedules(text: &str) -> Result<Vec<Schedule>, Fault> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let parse = |line: &str| {
        line.parse().map_err(|NoSchedule { message, remedy }: NoSchedule| match text.trim() == line {
            true => Fault::new(message, remedy),
            false => Fault::new(format!("{message} ('{line}')"), remedy),
        })
    };
    lines.map(parse).collect()
}

/// `skip`, `queue` or `restart`.
pub(crate) fn overlap(text: &str) -> Result<Overlap, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "skip" | "" => Ok(Overlap::Skip),
        "queue" => Ok(Overlap::Queue),
        "restart" => Ok(Overlap::Restart),
        _ => Err(Fault::new("not known", "write skip, queue or restart")),
    }
}

/// `false` or `once`.
pub(crate) fn catchup(text: &str) -> Result<Catchup, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "once" => Ok(Catchup::Once),
        "false" | "no" | "off" | "0" | "" => Ok(Catchup::Never),
        _ => Err(Fault::new("not known", "write false or once")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "schedules")]
    #[test]
    fn each_line_is_a_schedule() {
        let two = schedules("\n 0 3 * * *\n\n every 15m \n").expect("two lines");
        assert_eq!(two.iter().map(ToString::to_string).collect::<Vec<_>>(), ["0 3 * * *", "every 15m"]);
        assert_eq!(schedules(""), Ok(Vec::new()));
        let fault = schedules("@daily\n0 3 * *").expect_err("four fields");
        assert_eq!(fault.message, "only 4 of the five fields ('0 3 * *')");
    }

    #[test]
    fn choices_are_words() {
        assert_eq!((overlap("Queue"), overlap("")), (Ok(Overlap::Queue), Ok(Overlap::Skip)));
        assert_eq!((catchup("once"), catchup("False")), (Ok(Catchup::Once), Ok(Catchup::Never)));
        assert!(overlap("wait").is_err() && catchup("true").is_err());
    }
}
