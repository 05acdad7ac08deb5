//! Every kind of value: what is taken, and what is said of the rest.

use super::*;

fn fault<T: std::fmt::Debug>(result: Result<T, Fault>) -> String {
    let fault = result.expect_err("a fault");
    format!("{}; {}", fault.message, fault.hint)
}

#[test]
fn booleans() {
    for text in ["true", "YES", "On", "1"] {
        assert_eq!(boolean(text), Ok(true));
    }
    for text in ["false", "No", "OFF", "0"] {
        assert_eq!(boolean(text), Ok(false));
    }
    for text in ["", "2", "y", "unexpected"] {
        assert_eq!(fault(boolean(text)), "neither true nor false; write true or false");
    }
}

#[test]
fn numbers_and_seconds() {
    assert_eq!(number("+7", 0, 10), Ok(7));
    assert_eq!(number("007", 0, 10), Ok(7));
    assert_eq!(fault(number("11", 1, 10)), "too large; write a whole number from 1 to 10");
    assert_eq!(fault(number("0", 1, u32::MAX)), "too small; write a whole number, at least 1");
    assert_eq!(fault(number("-1", 0, u32::MAX)), "below zero; write a whole number, at least 0");
    for text in ["-", "-x", "+", ""] {
        assert_eq!(fault(number(text, 0, u32::MAX)), "not a whole number; write a whole number, at least 0", "{text}");
    }
    assert_eq!(fault(number("1.5", 0, u32::MAX)), "not a whole number; write a whole number, at least 0");
    assert_eq!(fault(number("99999999999999999999", 0, u32::MAX)), "too large; write a whole number, at least 0");
    assert_eq!(fault(seconds("10s", 0)), "a number with a unit; durations are in seconds: write the number alone");
    assert_eq!(fault(seconds("", 0)), "not a whole number; write a whole number, at least 0");
}

#[test]
fn sizes_and_their_units() {
    for (text, bytes) in [("0", 0), ("123", 123), ("50MB", 50 << 20), ("1kb", 1024), ("2 Gb", 2 << 30)] {
        assert_eq!(size(text), Ok(bytes), "{text}");
    }
    let right = "write bytes, or a number with KB, MB or GB, such as 50MB; 0: no limit";
    for (text, message) in [
        ("50M", "`M` is not a unit"),
        ("1MiB", "`MIB` is not a unit"),
        ("1.5MB", "`.5MB` is not a unit"),
        ("MB", "not a size"),
        ("", "not a size"),
        ("-1", "not a size"),
        ("99999999999GB", "too large"),
    ] {
        assert_eq!(fault(size(text)), format!("{message}; {right}"), "{text}");
    }
}

#[test]
fn modes_are_octal() {
    assert_eq!((mode("0660"), mode("700"), mode("0o600")), (Ok(0o660), Ok(0o700), Ok(0o600)));
    for text in ["", "0888", "+700", "rw", "017777", "-1"] {
        assert!(mode(text).is_err(), "{text}");
        assert!(umask(text).is_err() != text.is_empty(), "{text}");
    }
    assert_eq!((umask("022"), umask("0o027"), umask("0")), (Ok(Some(0o22)), Ok(Some(0o27)), Ok(Some(0))));
    assert_eq!((umask("777"), umask("")), (Ok(Some(0o777)), Ok(None)));
    let right = "write the bits that new files do not get, in octal, such as 022";
    assert_eq!(fault(umask("1000")), format!("more than permission bits; {right}"));
    assert_eq!(fault(umask("u=rwx")), format!("not an octal number; {right}"));
}

#[test]
fn choices() {
    assert_eq!(auto_restart("Unexpected"), Ok(AutoRestart::Unexpected));
    assert_eq!(auto_restart("off"), Ok(AutoRestart::Never));
    assert_eq!(fault(auto_restart("maybe")), "not one of the choices; write true, false or unexpected");
    assert_eq!(exit_codes("0, 2,255"), Ok(vec![0, 2, 255]));
    for text in ["", "256", "0,,1", "a"] {
        assert!(exit_codes(text).is_err(), "{text}");
    }
    assert_eq!(log_level("warn").as_deref(), Ok("WARNING"));
    assert_eq!(log_level("blather").as_deref(), Ok("DEBUG"));
    assert!(log_level("loud").is_err());
    assert_eq!(health_check_type("TCP"), Ok(HealthCheckType::Tcp));
    assert_eq!(fault(health_check_type("https")), "not a kind of health check; write none, tcp, unix, http or script");
    assert_eq!((child_log("AUTO"), child_log("None"), child_log("")), (None, None, None));
    assert_eq!(path_or_none("auto").as_deref(), Some("auto"));
}

#[test]
fn every_choice_is_taken_in_any_case_and_nothing_else() {
    use {AutoRestart as A, DefaultOutput as D, ExitCode as C, ExitOn as O, HealthCheckType as H};
    use {LogFormat as F, LogSync as S, Reconcile as R};
    for (text, wanted) in [("auto", R::Auto), ("KILL", R::Kill), ("warn", R::Warn), ("off", R::Off)] {
        assert_eq!(reconcile(text), Ok(wanted));
    }
    for (text, wanted) in [("true", A::Always), ("No", A::Never), ("unexpected", A::Unexpected)] {
        assert_eq!(auto_restart(text), Ok(wanted));
    }
    for (text, wanted) in [("none", D::None), ("", D::None), ("Console", D::Console)] {
        assert_eq!(default_output(text), Ok(wanted));
    }
    for (text, wanted) in [("text", F::Text), ("", F::Text), ("JSON", F::Json)] {
        assert_eq!(log_format(text), Ok(wanted));
    }
    for (text, wanted) in [("Never", S::Never), ("rotate", S::Rotate), ("line", S::Line)] {
        assert_eq!(log_sync(text), Ok(wanted));
    }
    for (text, wanted) in [("never", O::Never), ("failure", O::Failure), ("EXIT", O::Exit), ("fatal", O::Fatal)] {
        assert_eq!(exit_on(text), Ok(wanted));
    }
    for (text, wanted) in [("Program", C::Program), ("0", C::Fixed(0)), ("255", C::Fixed(255))] {
        assert_eq!(exit_code(text), Ok(wanted));
    }
    for (text, wanted) in [("none", H::None), ("tcp", H::Tcp), ("Script", H::Script)] {
        assert_eq!(health_check_type(text), Ok(wanted));
    }
    for text in ["x", "1.5", "autos"] {
        assert!(reconcile(text).is_err() && auto_restart(text).is_err() && default_output(text).is_err());
        assert!(log_format(text).is_err() && log_sync(text).is_err() && exit_on(text).is_err());
        assert!(exit_code(text).is_err() && health_check_type(text).is_err(), "{text}");
    }
    for (text, wanted) in [
        ("critical", "CRITICAL"),
        ("error", "ERROR"),
        ("WARN", "WARNING"),
        ("warning", "WARNING"),
        ("info", "INFO"),
        ("debug", "DEBUG"),
    ] {
        assert_eq!(log_level(text).as_deref(), Ok(wanted));
    }
}

#[test]
fn signals_by_name_and_number() {
    for text in ["TERM", "sigterm", "SIGTERM", "15", "Term"] {
        assert_eq!(signal(text).as_deref(), Ok("TERM"), "{text}");
    }
    for number in 1..=31u8 {
        let name = signal(&number.to_string()).expect("a signal");
        assert_eq!(signal_number(&name), Some(number));
    }
    assert_eq!(signal("SIGRTMIN+3").as_deref(), Ok("RTMIN+3"));
    assert_eq!(signal("RTMAX").ok().and_then(|name| signal_number(&name)), Some(64));
    assert_eq!(signal("34").as_deref(), Ok("RTMIN+0"));
    for text in ["", "0", "65", "32", "RTMIN-1", "RTMIN+99", "RTMIN+", "RTMAX+1", "SIG", "BREAK", "99999999999"] {
        assert!(signal(text).is_err(), "{text}");
    }
    assert_eq!(stop_signals("sigquit: 30 ,15:5, int").as_deref(), Ok("QUIT:30,TERM:5,INT"));
    assert_eq!(stop_signals("KILL").as_deref(), Ok("KILL"));
    for (text, wanted) in [
        ("QUIT,TERM:5", "QUIT is followed by another signal, but not said when; write QUIT:SECONDS"),
        ("QUIT:0", "too small; write a whole number, at least 1"),
        ("QUIT:1,KILL", "SIGKILL follows the last signal by itself; remove KILL"),
        ("QUIT:1,", "not a signal; write a name such as TERM, INT, QUIT, HUP, USR1, USR2 or KILL"),
        ("INT:1,INT:1,INT:1,INT:1,INT:1,INT:1,INT:1,INT:1,INT:1", "too many signals; write at most 8"),
    ] {
        assert_eq!(fault(stop_signals(text)), wanted, "{text}");
    }
    assert_eq!(fault(signal("TREM")), "not a signal; did you mean TERM?");
}

#[test]
fn prefixes_of_lines() {
    assert_eq!(log_prefix(""), Ok(String::new()));
    assert_eq!(log_prefix("%(process_name)s|"), Ok("%(process_name)s| ".to_owned()));
    assert_eq!(fault(log_prefix("%(pdi)s")), "unknown variable %(pdi)s; did you mean %(pid)s?");
    assert!(fault(log_prefix("[%(pid] x")).starts_with("`)s` is missing behind %(pid] x; write %(NAME)s with one of"));
    assert_eq!(fault(log_prefix("%(pid")), "`)s` is missing behind %(pid; did you mean %(pid)s?");
}
