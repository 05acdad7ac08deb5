use super::*;

fn process(name: &str, state: &str) -> ProcessStatus {
    ProcessStatus { name: name.to_owned(), state: state.to_owned(), ..ProcessStatus::default() }
}

fn in_columns(width: usize) -> Style<'static> {
    Style { width: Some(width), ..Style::default() }
}

#[test]
fn columns_are_as_wide_as_their_content() {
    let mut web = process("web", "RUNNING");
    (web.pid, web.uptime, web.healthy) = (Some(12), Some(3661), Some(true));
    let mut wide = process("データ", "FATAL");
    wide.healthy = Some(false);
    let wanted = "NAME    STATE    PID  UPTIME   HEALTH\n\
                  web     RUNNING  12   1:01:01  OK\n\
                  データ  FATAL    -    -        FAIL\n";
    assert_eq!(render(&[web, wide], &in_columns(80)), wanted);
}

#[test]
fn the_description_takes_the_room_that_is_left() {
    let mut web = process("web", "FATAL");
    web.description = Some("exit code 3: out of \u{1b}[31mluck and more".to_owned());
    let whole = "NAME  STATE  PID  UPTIME  HEALTH  DESCRIPTION\n\
                 web   FATAL  -    -       -       exit code 3: out of luck and more\n";
    assert_eq!(render(std::slice::from_ref(&web), &Style::default()), whole);
    let cut = render(std::slice::from_ref(&web), &in_columns(54));
    assert!(cut.ends_with("exit code 3: out of…\n"), "{cut}");
    assert!(cut.lines().all(|line| columns(line) <= 54));
    assert!(!render(&[web], &in_columns(40)).contains("DESCRIPTION"));
}

#[test]
fn a_narrow_terminal_gets_what_fits() {
    let mut web = process("a-program-with-a-long-name-データ", "RUNNING");
    (web.pid, web.uptime, web.healthy) = (Some(123_456), Some(3661), Some(true));
    let sample = UsageSample::default();
    for width in 20..100 {
        let table = render(std::slice::from_ref(&web), &Style { usage: Some(&sample), ..in_columns(width) });
        assert!(table.lines().all(|line| columns(line) <= width), "{width}:\n{table}");
        assert!(table.contains("RUNNING"), "{width}:\n{table}");
    }
    let wanted = "NAME         STATE   PID    UPTIME\n\
                  a-program-w… RUNNING 123456 1:01:01\n";
    assert_eq!(render(std::slice::from_ref(&web), &in_columns(40)), wanted);
}

#[test]
fn scripts_get_tabs_and_seconds() {
    let mut web = process("my web", "RUNNING");
    (web.pid, web.uptime, web.healthy, web.group) = (Some(12), Some(3661), Some(true), Some("g".to_owned()));
    assert_eq!(plain(&[web]), "my web\tRUNNING\t12\t3661\tOK\t-\tg\n");
}

#[test]
fn colours_do_not_count_as_columns() {
    let table = render(&[process("web", "FATAL")], &Style { colours: true, ..in_columns(40) });
    let wanted = "\x1b[1mNAME\x1b[0m  \x1b[1mSTATE\x1b[0m  \x1b[1mPID\x1b[0m  \x1b[1mUPTIME\x1b[0m  \x1b[1mHEALTH\x1b[0m\n\
                  web   \x1b[1;31mFATAL\x1b[0m  -    -       \x1b[2m-\x1b[0m\n";
    assert_eq!(table, wanted);
}
