use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

use super::*;

#[test]
fn every_byte_written_just_before_the_end_is_there() {
    let rig = Rig::new();
    let log = rig.path("x.log");
    rig.configure(1, Some(&log), |_| {});
    for generation in 0..1000 {
        let mut child = rig.attach(1, generation);
        child.write_all(b"x\n").unwrap();
        drop(child);
        rig.output.leader_exited(1, generation);
        rig.output.run_ended(1, generation);
        rig.output.wake();
    }
    let _ = rig.drain_to_file(1, 1000);
    assert_eq!(read(&log).len(), 2000);
}

#[test]
fn a_grandchild_that_holds_the_pipe_does_not_hide_the_exit() {
    let rig = Rig::new();
    let log = rig.path("x.log");
    rig.configure(1, Some(&log), |_| {});
    let mut leader = rig.attach(1, 7);
    let mut grandchild = leader.try_clone().unwrap();
    leader.write_all(b"from the leader\n").unwrap();
    drop(leader);
    assert_eq!(rig.drain(1, 7).as_deref(), Some("from the leader"));
    grandchild.write_all(b"from the grandchild\n").unwrap();
    wait_until("the grandchild's line", || read(&log).ends_with(b"from the grandchild\n"));
    rig.output.run_ended(1, 7);
    rig.output.wake();
    assert_eq!(rig.drain(1, 8).as_deref(), Some("from the grandchild"));
    // A child that another test forks has a copy of our end until it executes its program.
    wait_until("the pipe is closed", || grandchild.write_all(b"nobody listens\n").is_err());
}

#[test]
fn the_last_line_of_standard_error_comes_first_and_only_from_this_run() {
    let rig = Rig::new();
    rig.configure(1, None, |config| config.log_buffer = 0);
    let (out, mut out_end) = std::io::pipe().unwrap();
    let (err, mut err_end) = std::io::pipe().unwrap();
    rig.output.attach(1, 1, 1, Some(out.into()), Some(err.into()));
    rig.output.wake();
    out_end.write_all(b"working\n").unwrap();
    err_end.write_all(b"cannot bind port 80\n\n").unwrap();
    assert_eq!(rig.drain(1, 1).as_deref(), Some("cannot bind port 80"));
    assert_eq!(rig.tail(1, 100), b"", "log_buffer = 0 keeps nothing for tail");
    let (out, _out_end) = std::io::pipe().unwrap();
    let (err, _err_end) = std::io::pipe().unwrap();
    rig.output.attach(1, 2, 1, Some(out.into()), Some(err.into()));
    rig.output.wake();
    assert_eq!(rig.drain(1, 2), None);
}

#[test]
fn an_endless_writer_does_not_hold_up_the_answer() {
    let rig = Rig::new();
    rig.configure(1, Some(Path::new("/dev/null")), |_| {});
    let (reader, writer) = std::io::pipe().unwrap();
    let mut yes = Command::new("yes").stdout(Stdio::from(OwnedFd::from(writer))).spawn().unwrap();
    rig.output.attach(1, 1, 1, Some(reader.into()), None);
    rig.output.wake();
    wait_until("it writes", || rig.drain(1, 1).is_some());
    for _ in 0..20 {
        assert_eq!(rig.drain(1, 1).as_deref(), Some("y"));
    }
    yes.kill().unwrap();
    yes.wait().unwrap();
}

#[test]
fn a_chatty_child_does_not_starve_a_quiet_one() {
    let rig = Rig::new();
    rig.configure(1, Some(Path::new("/dev/null")), |_| {});
    let log = rig.path("quiet.log");
    rig.configure(2, Some(&log), |_| {});
    let (reader, writer) = std::io::pipe().unwrap();
    let mut yes = Command::new("yes").stdout(Stdio::from(OwnedFd::from(writer))).spawn().unwrap();
    rig.output.attach(1, 1, 1, Some(reader.into()), None);
    rig.output.wake();
    let mut quiet = rig.attach(2, 1);
    for n in 1..=50 {
        quiet.write_all(b"12345678\n").unwrap();
        wait_until("the quiet child's line", || read(&log).len() == n * 9);
    }
    yes.kill().unwrap();
    yes.wait().unwrap();
}

#[test]
fn closed_and_silent_pipes_cost_no_wake_up() {
    let rig = Rig::new();
    for id in 0..50 {
        rig.configure(id, None, |_| {});
    }
    let silent: Vec<_> = (0..25).map(|id| rig.attach(id, 1)).collect();
    // These close their output and live on.
    (25..50).for_each(|id| drop(rig.attach(id, 1)));
    let _ = rig.drain(49, 1);
    let is_at_rest = |_| {
        let before = switches(&rig);
        // Not a synchronisation: this is how long it must be at rest.
        std::thread::sleep(Duration::from_millis(1200));
        switches(&rig) == before
    };
    // On a busy machine it may sleep on its way to rest.
    assert!((0..20).any(is_at_rest), "the thread was woken up at rest");
    drop(silent);
}

/// How often the output thread was switched to or from, once it sleeps.
fn switches(rig: &Rig) -> Vec<String> {
    let task = format!("/proc/self/task/{}", rig.thread_id.load(Ordering::Acquire));
    let status = || fs::read_to_string(format!("{task}/status")).unwrap();
    wait_until("the output thread sleeps", || status().contains("State:\tS"));
    status().lines().filter(|line| line.contains("ctxt_switches")).map(str::to_owned).collect()
}

#[test]
fn output_without_a_file_is_in_memory() {
    let rig = Rig::new();
    rig.configure(1, None, |config| config.log_buffer = 10);
    let mut child = rig.attach(1, 1);
    child.write_all(b"0123456789abc\xff\0").unwrap();
    let _ = rig.drain(1, 1);
    assert_eq!(rig.tail(1, 100), b"56789abc\xff\0");
    assert_eq!(rig.tail(1, 3), b"c\xff\0");
    assert_eq!(rig.tail(99, 3), b"");
}

#[test]
fn shutdown_writes_out_what_is_in_the_pipes_and_later_calls_are_harmless() {
    let rig = Rig::new();
    let log = rig.path("x.log");
    rig.configure(1, Some(&log), |_| {});
    let mut child = rig.attach(1, 1);
    child.write_all(&vec![b'z'; 60_000]).unwrap();
    rig.output.shutdown(TEST_TIMEOUT);
    assert_eq!(read(&log).len(), 60_000);
    rig.output.reopen();
    rig.output.remove(1);
}

#[test]
fn a_removed_program_leaves_nothing_behind_in_its_pipe() {
    let rig = Rig::new();
    let log = rig.path("x.log");
    rig.configure(1, Some(&log), |_| {});
    let mut child = rig.attach(1, 1);
    child.write_all(b"last words").unwrap();
    rig.output.remove(1);
    wait_until("the last words", || read(&log) == b"last words");
}
