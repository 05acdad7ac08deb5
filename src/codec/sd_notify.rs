//! Messages on `$NOTIFY_SOCKET`, as sd_notify(3) describes them: lines of `NAME=value`. Pure.

use std::time::Duration;

use crate::process::{Moment, NoMain, Notification, WatchdogReport};
use crate::util::truncate::to_bytes;

/// Bytes of a status that are kept: it comes from outside.
const MAX_STATUS_BYTES: usize = 200;

/// What a message says. Lines that say nothing to us, and values that are none, are passed over.
pub fn parse(message: &[u8]) -> Notification {
    let mut told = Notification::default();
    for line in message.split(|byte| *byte == b'\n') {
        let Some(equals) = line.iter().position(|byte| *byte == b'=') else { continue };
        let (name, value) = line.split_at(equals);
        learn(&mut told, name, value.get(1..).unwrap_or_default());
    }
    told
}

/// The message is a barrier: its descriptor is to be closed when everything before it was handled.
pub fn is_barrier(message: &[u8]) -> bool {
    message.split(|byte| *byte == b'\n').any(|line| line == b"BARRIER=1")
}

fn learn(told: &mut Notification, name: &[u8], value: &[u8]) {
    match (name, value) {
        (b"READY", b"1") => told.ready = true,
        (b"STOPPING", b"1") => told.stopping = true,
        (b"RELOADING", b"1") => told.reloading = true,
        (b"MONOTONIC_USEC", value) => told.since = microseconds(value).and_then(moment),
        (b"STATUS", value) => told.status = Some(plain(value).into()),
        (b"ERRNO", value) => told.errno = number(value).and_then(|errno| i32::try_from(errno).ok()),
        (b"EXIT_STATUS", value) => told.exit_status = number(value).and_then(|code| u8::try_from(code).ok()),
        // Which of them can be it is not for us to say: what is refused is told with the reason.
        (b"MAINPID", value) => {
            told.main_pid = Some(number(value).and_then(|pid| i32::try_from(pid).ok()).ok_or(NoMain::NoPid));
        }
        (b"EXTEND_TIMEOUT_USEC", value) => told.extend = microseconds(value),
        (b"WATCHDOG", b"1") => told.watchdog = Some(WatchdogReport::Alive),
        (b"WATCHDOG", b"trigger") => told.watchdog = Some(WatchdogReport::Trigger),
        // Names and values of an open protocol.
        (_, _) => {}
    }
}

fn number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

fn microseconds(value: &[u8]) -> Option<Duration> {
    number(value).map(Duration::from_micros)
}

fn moment(since_boot: Duration) -> Option<Moment> {
    u64::try_from(since_boot.as_nanos()).ok().map(Moment::from_nanos)
}

/// Text that can be shown wherever a line is: without anything that controls a terminal, ends a line, or turns its
/// direction round.
fn plain(text: &[u8]) -> String {
    let is_plain = |letter: char| {
        !letter.is_control()
            && !matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    // What is cut off in the end need not be looked at.
    let start = text.get(..MAX_STATUS_BYTES * 2).unwrap_or(text);
    let text: String =
        String::from_utf8_lossy(start).chars().map(|letter| if is_plain(letter) { letter } else { '?' }).collect();
    to_bytes(text.trim(), MAX_STATUS_BYTES).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_word_of_the_protocol_is_understood() {
        let message =
            b"READY=1\nSTATUS=Serving 3 clients\nMAINPID=4711\nERRNO=2\nEXIT_STATUS=7\nSTOPPING=1\nRELOADING=1\n\
                        MONOTONIC_USEC=1500000\nEXTEND_TIMEOUT_USEC=2000000\nWATCHDOG=1";
        let told = Notification {
            ready: true,
            stopping: true,
            reloading: true,
            since: Some(Moment::from_nanos(1_500_000_000)),
            status: Some("Serving 3 clients".into()),
            errno: Some(2),
            exit_status: Some(7),
            main_pid: Some(Ok(4711)),
            extend: Some(Duration::from_secs(2)),
            watchdog: Some(WatchdogReport::Alive),
        };
        assert_eq!(parse(message), told);
        assert_eq!(parse(b"WATCHDOG=trigger").watchdog, Some(WatchdogReport::Trigger));
    }

    #[test]
    fn what_is_unknown_or_no_value_is_passed_over() {
        let nothing = b"X_MINE=1\nFDSTORE=1\nFDNAME=a\nREADY=0\nREADY=\nREADY\n=1\n\n\
                        ERRNO=99999999999\nEXIT_STATUS=256\nWATCHDOG=2\nSTOPPING=2\nEXTEND_TIMEOUT_USEC=1s\nBARRIER=1\n";
        assert_eq!(parse(nothing), Notification::default());
        assert_eq!(parse(b""), Notification::default());
    }

    #[test]
    fn a_main_process_without_a_pid_is_told_and_not_passed_over() {
        for word in ["", "x", "-5", "1x", "99999999999"] {
            assert_eq!(parse(format!("MAINPID={word}").as_bytes()).main_pid, Some(Err(NoMain::NoPid)), "{word}");
        }
        assert_eq!(parse(b"MAINPID=1").main_pid, Some(Ok(1)));
    }

    #[test]
    fn a_barrier_is_a_line_of_its_own() {
        assert!(is_barrier(b"BARRIER=1") && is_barrier(b"BARRIER=1\n"));
        assert!(!is_barrier(b"BARRIER=") && !is_barrier(b"STATUS=BARRIER=1"));
    }

    #[test]
    fn a_status_is_one_line_of_plain_text() {
        let status =
            |text: &[u8]| parse(&[b"STATUS=".as_slice(), text].concat()).status.map(|status| status.to_string());
        assert_eq!(status(b"\x1b[31mred\x07\r\t!").as_deref(), Some("?[31mred???!"));
        assert_eq!(status("gespr\u{e4}ch".as_bytes()).as_deref(), Some("gespr\u{e4}ch"));
        assert_eq!(status(b"a\xffb\xc3").as_deref(), Some("a\u{fffd}b\u{fffd}"));
        assert_eq!(status("abc\u{202e}def\u{2029}".as_bytes()).as_deref(), Some("abc?def?"));
        assert_eq!(status("\u{e4}".repeat(300).as_bytes()).map(|text| text.len()), Some(MAX_STATUS_BYTES));
        assert_eq!(status(b"a=b").as_deref(), Some("a=b"));
        assert_eq!(status(b"  ").as_deref(), Some(""));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_survived_and_shown_plainly(message in proptest::collection::vec(any::<u8>(), 0..600)) {
            let status = parse(&[b"STATUS=".as_slice(), &message].concat()).status.unwrap_or_default();
            prop_assert!(status.len() <= MAX_STATUS_BYTES && !status.chars().any(char::is_control), "{status:?}");
            parse(&message);
        }
    }
}
