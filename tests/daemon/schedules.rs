//! Programs that the clock starts.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::{Daemon, stat, wait_for, wait_until, write_executable};

/// A job that notes whenever it begins, and whenever another one of it is there.
const JOB: &str = "#!/bin/sh\n\
    cd DIR\n\
    echo >> $1.starts\n\
    mkdir $1.lock 2>/dev/null || echo $1 >> overlaps\n\
    sleep $2\n\
    rmdir $1.lock\n";

fn with_job(sections: &str) -> Daemon {
    let dir = tempfile::tempdir().expect("a directory");
    write_executable(&dir.path().join("job"), JOB.replace("DIR", &dir.path().display().to_string()));
    Daemon::start_in(dir, sections, &[])
}

/// Seconds of the day at the beginning of a line of the log.
fn time_of(line: &str) -> f64 {
    let time = line.split_whitespace().find(|word| word.matches(':').count() == 2).expect("a time");
    time.split(':').fold(0.0, |seconds, part| seconds * 60.0 + part.parse::<f64>().expect("a number"))
}

/// A night of cron jobs. `SUPERVICE_SCHEDULE_RUNS=5000` makes it a longer one.
#[test]
fn a_night_of_jobs_never_runs_one_twice_at_once_and_loses_none() {
    let wanted = std::env::var("SUPERVICE_SCHEDULE_RUNS").map_or(120, |text| text.parse().expect("a number"));
    let mut sections = String::new();
    for number in 0..5 {
        for (name, sleep, overlap) in [("quick", "0.1", "queue"), ("slow", "1.5", "skip"), ("long", "1.2", "queue")] {
            sections += &format!(
                "[program:{name}{number}]\ncommand = DIR/job {name}{number} {sleep}\n\
                 schedule = every 1s\nschedule_overlap = {overlap}\n"
            );
        }
    }
    let daemon = with_job(&sections);
    let names: Vec<String> = daemon.all().into_iter().map(|process| process.name).collect();
    let runs = || names.iter().map(|name| daemon.read(&format!("{name}.starts")).lines().count()).sum::<usize>();
    // Each of these waits has its own patience. Where we stand still the daemon does, too: times that pass meanwhile are one.
    let (mut seen, mut looked, mut lost) = (0, Instant::now(), Duration::ZERO);
    while seen < wanted {
        seen = wait_for("more jobs run", || {
            let gap = looked.elapsed();
            looked = Instant::now();
            if gap > Duration::from_millis(300) {
                lost += gap;
            }
            Some(runs()).filter(|now| *now > seen)
        });
    }
    assert_eq!(daemon.read("overlaps"), "");
    let log = daemon.terminate();
    for name in &names {
        let its: Vec<&str> = log.lines().filter(|line| line.contains(&format!(" {name}: "))).collect();
        let count = |what: &str| its.iter().filter(|line| line.contains(what)).count();
        let (starts, skips) = (count("start requested by its schedule"), count("is skipped"));
        assert!(starts > 0, "{name} never ran");
        // Each second is a start, a skip, or waits for the end of a run, one at a time.
        let times: Vec<f64> = its.iter().filter(|line| line.contains("schedule")).map(|line| time_of(line)).collect();
        let (Some(first), Some(last)) = (times.first(), times.last()) else { panic!("no times of {name}") };
        let due = ((last - first).rem_euclid(86_400.0) - lost.as_secs_f64()) as usize;
        assert!(starts + skips + 1 >= due, "{name}: {starts} starts and {skips} skips in {due} s");
    }
}

#[test]
fn status_and_why_say_when_it_comes_and_a_failure_lasts_until_then() {
    let daemon = Daemon::start(
        "[program:yearly]\ncommand = true\nschedule = 0 3 1 1 *\nschedule_timezone = UTC\n\
         [program:fails]\ncommand = sh -c 'echo no >&2; exit 3'\nschedule = every 1h\n\
         [program:boot]\ncommand = true\nschedule = @reboot\n",
    );
    daemon.wait_state("boot", "EXITED");
    let yearly = daemon.status("yearly");
    let description = yearly.description.expect("a description");
    assert!(
        description.contains("not started; next 20") && description.contains("-01-01 03:00:00 UTC (in "),
        "{description}"
    );
    assert_eq!((yearly.state.as_str(), yearly.autostart), ("STOPPED", Some(false)));
    assert!(yearly.next_run.is_some_and(|at| at % 86_400 == 3 * 3600));
    let (code, text, _) = daemon.ctl(&["start", "fails"]);
    assert_eq!(code, 1, "{text}");
    daemon.wait_state("fails", "FATAL");
    let (_, why, _) = daemon.ctl(&["why", "fails"]);
    assert!(why.contains("By its schedule (every 1h): next in "), "{why}");
    assert!(!why.contains("Nothing is due"), "{why}");
    let (code, text, _) = daemon.ctl(&["start", "yearly"]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(daemon.status("yearly").next_run, yearly.next_run, "that was a run beside");
    daemon.terminate();
}

/// Row 99.
#[test]
fn row_99_a_scheduled_run_has_the_environment_of_a_manual_one() {
    let program = "command = sh -c 'env | sort > DIR/$0.new && mv DIR/$0.new DIR/$0' NAME\nenvironment = A=\"b c\"\numask = 027\n";
    let section = |name: &str, rest: &str| format!("[program:{name}]\n{}{rest}", program.replace("NAME", name));
    let manual = section("manual", "type = oneshot\nautostart = false\n");
    let daemon = Daemon::start(&(manual + &section("clock", "schedule = * * * * * *\n")));
    let (code, text, _) = daemon.ctl(&["start", "manual"]);
    assert_eq!(code, 0, "{text}");
    wait_until("the clock starts it", || daemon.path("clock").exists());
    let of = |name: &str| {
        let text = daemon.read(name).replace(name, "NAME");
        // It names the run.
        let lines = text.lines().filter(|line| !line.starts_with("SUPERVICE_ID="));
        let mut lines: Vec<String> = lines.map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    let (manual, clock) = (of("manual"), of("clock"));
    let different: Vec<&String> = manual.iter().filter(|line| !clock.contains(line)).collect();
    assert!(manual.len() == clock.len() && different.is_empty(), "only by hand: {different:?}");
    daemon.terminate();
}

/// Row 95.
#[test]
fn row_95_whatever_is_done_to_it_the_next_run_comes() {
    let sections = |seconds: u32| {
        format!("[program:p]\ncommand = sh -c 'echo >> DIR/p.starts'\nschedule = */{seconds} * * * * *\n")
    };
    let daemon = Daemon::start(&sections(1));
    let comes_again = || {
        let before = daemon.read("p.starts").lines().count();
        // The second is one that began after what was done.
        wait_until("the next run comes", || daemon.read("p.starts").lines().count() >= before + 2);
    };
    comes_again();
    for round in 1..=2_u32 {
        daemon.ctl(&["start", "p"]);
        comes_again();
        daemon.ctl(&["stop", "p"]);
        comes_again();
        daemon.ctl(&["kill", "p"]);
        daemon.write_config(&sections(1 + round % 2), &[]);
        let (code, text, _) = daemon.ctl(&["update"]);
        assert_eq!(code, 0, "{text}");
        comes_again();
        daemon.ctl(&["restart", "p"]);
        comes_again();
    }
    daemon.write_config("", &[]);
    daemon.ctl(&["update"]);
    daemon.write_config(&sections(1), &[]);
    daemon.ctl(&["update"]);
    comes_again();
    daemon.terminate();
}

/// A thousand programs with schedules cost no wake-up between two times.
#[test]
fn a_thousand_schedules_cost_nothing_until_the_next_time() {
    let programs: String = (0..1000)
        .map(|number| {
            let (minute, hour) = (number % 60, number % 24);
            format!("[program:p{number}]\ncommand = true\nschedule = {minute} {hour} 29 2 *\n")
        })
        .collect();
    let daemon = Daemon::start(&programs);
    let switches = || -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", daemon.pid())).expect("/proc");
        let text = |task: fs::DirEntry| fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let count = |text: String| {
            let lines = text.lines().filter(|line| line.contains("ctxt_switches"));
            lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum::<u64>()
        };
        tasks.flatten().map(|task| count(text(task))).sum()
    };
    wait_for("it is quiet for two seconds", || {
        let (before, begin) = (switches(), Instant::now());
        wait_until("two seconds are over", || begin.elapsed() >= Duration::from_secs(2));
        (switches() == before).then_some(())
    });
    daemon.terminate();
}

/// Row 97.
#[test]
fn row_97_check_tells_the_next_times() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("x.conf");
    let sections = "[supervice]\nsocket = none\npidfile = none\nlogfile = none\n\
        [program:a]\ncommand = true\nschedule =\n    30 0 3 * * *\n    every 90m\nschedule_timezone = UTC\n\
        [program:plain]\ncommand = true\n";
    fs::write(&path, sections).expect("a file");
    let output =
        std::process::Command::new(env!("CARGO_BIN_EXE_supervice")).args(["--check", "-c"]).arg(&path).output();
    let text = String::from_utf8(output.expect("an end").stdout).expect("text");
    let line = text.lines().nth(1).expect("a second line");
    assert_eq!(text.lines().count(), 2, "{text}");
    assert_eq!((line.matches(" 03:00:30").count(), line.ends_with(" UTC; every 90m")), (3, true), "{line}");
    assert!(line.starts_with("a: next 20"), "{line}");
}

/// A frozen container, or ^Z: when it goes on, the end of a run and the next time are there at once.
#[test]
fn a_run_that_has_ended_while_the_daemon_was_stopped_is_not_taken_for_one_that_still_runs() {
    // With a program that tells of itself, ends are heard by a detour: what was told before them comes first.
    for other in ["", "[program:other]\ncommand = sleep 1000\nready = notify\n"] {
        let daemon = Daemon::start(&format!("[program:job]\ncommand = sleep 1\nschedule = every 3s\n{other}"));
        if !other.is_empty() {
            wait_until("the other one is there", || daemon.status("other").pid.is_some());
        }
        let pid = wait_for("it runs", || daemon.status("job").pid);
        let begun = Instant::now();
        daemon.signal(Signal::SIGSTOP);
        wait_until("it has ended", || stat(pid).is_none_or(|(_, _, state)| state == 'Z'));
        wait_until("its next time has passed", || begun.elapsed() > Duration::from_secs(4));
        daemon.signal(Signal::SIGCONT);
        wait_until("it has run again", || daemon.log().matches("start requested by its schedule").count() > 1);
        let log = daemon.terminate();
        assert!(!log.contains("is skipped"), "{log}");
    }
}

/// The C library takes UTC in silence.
#[test]
fn a_time_zone_that_is_not_installed_is_told_once_at_the_start() {
    for (zone, is_told) in [("Europe/Nowhere", true), ("CET-1CEST,M3.5.0,M10.5.0/3", false)] {
        let mut daemon = Daemon::unstarted(tempfile::tempdir().expect("a directory"));
        daemon.write_config("", &[]);
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_supervice"));
        command.env("TZ", zone);
        daemon.launch(command);
        daemon.wait_ready();
        let log = daemon.terminate();
        assert_eq!(log.matches(&format!("TZ={zone}: ")).count(), usize::from(is_told), "{log}");
        assert_eq!(log.contains("in UTC; install tzdata"), is_told, "{log}");
    }
}
