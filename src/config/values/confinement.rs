//! Values of keys that bound what a program may use and do.

use super::{integer, number, size};
use crate::config::diagnostic::Fault;
use crate::models::{CAPABILITY_NAMES, Capabilities, CpuLimit, IoPriority, ResourceLimit, Scheduler};
use crate::util::did_you_mean::closest;
use crate::util::ranges;

/// The highest number of a processor that a configuration may name.
const MAX_CPU: u16 = 8191;

/// A limit of a number of things.
pub(crate) fn count_limit(text: &str) -> Result<Option<ResourceLimit>, Fault> {
    limit(text, "write a number, infinity, or SOFT:HARD", |one| number(one, 0, u32::MAX).map(u64::from))
}

/// A limit of bytes.
pub(crate) fn size_limit(text: &str) -> Result<Option<ResourceLimit>, Fault> {
    limit(text, "write bytes, a number with KB, MB or GB, infinity, or SOFT:HARD", size)
}

/// Bytes of memory, or nothing.
pub(crate) fn max_rss(text: &str) -> Result<Option<u64>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    match size(text)? {
        0 => Err(Fault::new("nothing runs without memory", "write bytes, or a number with KB, MB or GB")),
        bytes => Ok(Some(bytes)),
    }
}

/// `150%/60s`, or nothing.
pub(crate) fn max_cpu(text: &str) -> Result<Option<CpuLimit>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    let right = "write PERCENT%/SECONDSs, such as 150%/60s: a processor and a half, on an average of a minute";
    let Some((percent, seconds)) = text.split_once('/') else { return Err(Fault::new("the time is missing", right)) };
    let Some(percent) = percent.trim().strip_suffix('%') else {
        return Err(Fault::new("the share has no %", right));
    };
    let (percent, seconds) = (percent.trim(), seconds.trim());
    let seconds = seconds.strip_suffix('s').unwrap_or(seconds).trim();
    Ok(Some(CpuLimit { percent: number(percent, 1, 1_000_000)?, seconds: super::seconds(seconds, 1)? }))
}

/// A limit of seconds.
pub(crate) fn time_limit(text: &str) -> Result<Option<ResourceLimit>, Fault> {
    limit(text, "write seconds, infinity, or SOFT:HARD", |one| super::seconds(one, 0).map(u64::from))
}

/// The real-time priority up to which a program may go.
pub(crate) fn rtprio_limit(text: &str) -> Result<Option<ResourceLimit>, Fault> {
    limit(text, "write 0 to 99, or SOFT:HARD", |one| number(one, 0, 99).map(u64::from))
}

/// How far a program may lower its nice value.
pub(crate) fn nice_limit(text: &str) -> Result<Option<ResourceLimit>, Fault> {
    let right = "write 0 to 40 (20 minus the lowest nice value), or SOFT:HARD";
    limit(text, right, |one| number(one, 0, 40).map(u64::from))
}

fn limit(text: &str, right: &str, parse: impl Fn(&str) -> Result<u64, Fault>) -> Result<Option<ResourceLimit>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    let one = |text: &str| match text.trim() {
        "infinity" | "unlimited" => Ok(u64::MAX),
        // Its own remedy knows nothing of the other forms.
        other => parse(other).map_err(|fault| fault.with_remedy(right)),
    };
    let (soft, hard) = text.split_once(':').unwrap_or((text, text));
    let limit = ResourceLimit { soft: one(soft)?, hard: one(hard)? };
    if limit.soft > limit.hard {
        return Err(Fault::new("the soft limit is above the hard one", "write SOFT:HARD, the lower one first"));
    }
    Ok(Some(limit))
}

/// `-20` to `19`, or nothing.
pub(crate) fn nice(text: &str) -> Result<Option<i8>, Fault> {
    bounded(text, -20, 19)
}

/// `-1000` to `1000`, or nothing.
pub(crate) fn oom_score_adj(text: &str) -> Result<Option<i16>, Fault> {
    bounded(text, -1000, 1000)
}

fn bounded<T: TryFrom<i32>>(text: &str, min: i32, max: i32) -> Result<Option<T>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    let right = format!("write a whole number from {min} to {max}");
    let value = integer(text).map_err(|fault| fault.with_remedy(&right))?;
    let fitting = Some(value).filter(|value| (min..=max).contains(value)).and_then(|value| T::try_from(value).ok());
    fitting.map(Some).ok_or_else(|| Fault::new(if value < min { "too small" } else { "too large" }, right))
}

/// `idle`, `best-effort:0` to `7`, `realtime:0` to `7`, or nothing.
pub(crate) fn io_priority(text: &str) -> Result<Option<IoPriority>, Fault> {
    chosen(text, IoPriority::parse, "not a share of the disks", "write idle, best-effort:0 to 7 or realtime:0 to 7")
}

/// `other`, `batch`, `idle`, `fifo:1` to `99`, `rr:1` to `99`, or nothing.
pub(crate) fn scheduler(text: &str) -> Result<Option<Scheduler>, Fault> {
    chosen(text, Scheduler::parse, "not a scheduler", "write other, batch, idle, fifo:1 to 99 or rr:1 to 99")
}

fn chosen<T>(text: &str, parse: fn(&str) -> Option<T>, wrong: &str, right: &str) -> Result<Option<T>, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "" => Ok(None),
        text => parse(text).map(Some).ok_or_else(|| Fault::new(wrong, right)),
    }
}

/// Numbers of processors: `0,2-3`, or nothing.
pub(crate) fn cpus(text: &str) -> Result<Vec<u16>, Fault> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    ranges::parse(text, MAX_CPU)
        .ok_or_else(|| Fault::new("not a list of processors", "write numbers and ranges, such as 0,2-3"))
}

/// Names of capabilities with commas between them; nothing: none of them.
pub(crate) fn capabilities(text: &str) -> Result<Option<Capabilities>, Fault> {
    let mut all = Capabilities::default();
    for name in text.split([',', '\n']).map(str::trim).filter(|name| !name.is_empty()) {
        if !all.insert(name) {
            let bare = name.to_ascii_lowercase();
            let hint = match closest(bare.strip_prefix("cap_").unwrap_or(&bare), CAPABILITY_NAMES.into_iter()) {
                Some(known) => format!("did you mean {known}?"),
                None => "write names such as net_bind_service, sys_nice; capabilities(7) has them all".to_owned(),
            };
            return Err(Fault::new(format!("no capability is called {name}"), hint));
        }
    }
    Ok(Some(all))
}

/// Names of groups with commas between them; nothing: none.
pub(crate) fn names(text: &str) -> Option<Vec<String>> {
    let names = text.split([',', '\n']).map(str::trim).filter(|name| !name.is_empty());
    Some(names.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault<T: std::fmt::Debug>(result: Result<T, Fault>) -> String {
        let fault = result.expect_err("a fault");
        format!("{}; {}", fault.message, fault.hint)
    }

    #[test]
    fn a_limit_is_one_value_or_two() {
        let limit = |soft, hard| Ok(Some(ResourceLimit { soft, hard }));
        assert_eq!(count_limit(""), Ok(None));
        assert_eq!(count_limit("1024"), limit(1024, 1024));
        assert_eq!(count_limit("1024:4096"), limit(1024, 4096));
        assert_eq!(count_limit("0 : infinity"), limit(0, u64::MAX));
        assert_eq!(size_limit("64KB:unlimited"), limit(65536, u64::MAX));
        assert_eq!(time_limit("60"), limit(60, 60));
        assert_eq!(
            fault(count_limit("2:1")),
            "the soft limit is above the hard one; write SOFT:HARD, the lower one first"
        );
        assert_eq!(fault(count_limit("many")), "not a whole number; write a number, infinity, or SOFT:HARD");
        assert!(size_limit("1TB").is_err() && time_limit("1m").is_err() && count_limit(":1").is_err());
        assert!(rtprio_limit("100").is_err() && nice_limit("41").is_err() && nice_limit("40").is_ok());
    }

    #[test]
    fn numbers_with_a_sign_have_their_bounds() {
        assert_eq!((nice("-20"), nice("19"), nice("")), (Ok(Some(-20)), Ok(Some(19)), Ok(None)));
        assert_eq!(fault(nice("20")), "too large; write a whole number from -20 to 19");
        assert_eq!(fault(oom_score_adj("-1001")), "too small; write a whole number from -1000 to 1000");
        assert_eq!(fault(oom_score_adj("x")), "not a whole number; write a whole number from -1000 to 1000");
    }

    #[test]
    fn priorities_of_disk_and_processor_have_their_forms() {
        assert_eq!(io_priority("best-effort:7"), Ok(Some(IoPriority::BestEffort(7))));
        assert_eq!(scheduler("RR:99"), Ok(Some(Scheduler::RoundRobin(99))));
        for wrong in ["best-effort", "best-effort:8", "idle:1", "realtime:", "nice"] {
            assert!(io_priority(wrong).is_err(), "{wrong}");
        }
        for wrong in ["fifo", "fifo:0", "rr:100", "other:1", "deadline"] {
            assert!(scheduler(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn capabilities_are_known_by_name() {
        let names = |text| capabilities(text).map(|all| all.map(|all| all.to_string()));
        assert_eq!(names("sys_nice, CAP_NET_BIND_SERVICE"), Ok(Some("net_bind_service, sys_nice".to_owned())));
        assert_eq!(names(""), Ok(Some(String::new())));
        assert_eq!(
            fault(capabilities("net_bind_servise")),
            "no capability is called net_bind_servise; did you mean net_bind_service?"
        );
    }
}
