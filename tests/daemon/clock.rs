//! Row 1: the wall clock jumps. A library that is loaded before the C library moves it, for the daemon alone.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{Daemon, wait_until};

/// Adds so many seconds as the first eight bytes of the file `$CLOCK_OFFSET` say to the wall clock; every other clock is
/// the kernel's own.
const LIBRARY: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static volatile long long *offset;
__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("CLOCK_OFFSET");
  int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return;
  void *map = mmap(0, sizeof *offset, PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if (map != MAP_FAILED) offset = map;
}
int clock_gettime(clockid_t id, struct timespec *now) {
  int result = (int)syscall(SYS_clock_gettime, id, now);
  if (result == 0 && offset && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += *offset;
  return result;
}
time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}
int gettimeofday(struct timeval *out, void *zone) {
  struct timespec now;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1000;
  return 0;
}
"#;

const PROGRAMS: &str = "\
    [program:steady]\ncommand = sleep 1000\nstartsecs = 0\n\
    healthcheck_type = script\nhealthcheck_command = echo x >> DIR/checks\nhealthcheck_interval = 1\n\
    healthcheck_start_period = 0\n\
    [program:slow]\ncommand = sleep 1000\nstartsecs = 1\nautostart = false\n\
    [program:deaf]\ncommand = sh -c 'trap : TERM;echo ready > DIR/deaf;while :;do sleep 0.05;done'\nstartsecs = 0\n\
    stopwaitsecs = 1\nautostart = false\n\
    [program:crash]\ncommand = sh -c 'echo x >> DIR/crashes;exit 1'\nstartsecs = 0\nstartretries = 1\nautostart = false\n";

/// No later than this after what was due, on a machine that is busy.
const LATE: Duration = Duration::from_secs(100);

fn clock(daemon: &Daemon, offset: i64) {
    let file = fs::OpenOptions::new().write(true).open(daemon.path("offset")).expect("the offset");
    std::os::unix::fs::FileExt::write_all_at(&file, &offset.to_ne_bytes(), 0).expect("the offset");
}

fn launched() -> Daemon {
    let dir = tempfile::tempdir().expect("a directory");
    let library = dir.path().join("clock.so");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-xc", "-o"]).arg(&library).arg("-").stdin(Stdio::piped());
    let mut cc = cc.spawn().expect("the C compiler that links Rust, too");
    cc.stdin.take().expect("piped").write_all(LIBRARY.as_bytes()).expect("the source");
    assert!(cc.wait().expect("cc").success());
    fs::write(dir.path().join("offset"), 0_i64.to_ne_bytes()).expect("the offset");
    let mut daemon = Daemon::unstarted(dir);
    daemon.write_config(PROGRAMS, &[]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_supervice"));
    command.env("LD_PRELOAD", &library).env("CLOCK_OFFSET", daemon.path("offset"));
    daemon.launch(command);
    daemon.wait_ready();
    daemon
}

/// Runs `work`, steps the clock once it has `begun`, and tells how long the work took.
fn stepped(daemon: &Daemon, offset: i64, begun: impl Fn() -> bool, work: impl FnOnce() + Send) -> Duration {
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let begin = Instant::now();
            work();
            begin.elapsed()
        });
        wait_until("it has begun", begun);
        clock(daemon, offset);
        worker.join().expect("no panic")
    })
}

#[test]
fn failures_01_a_clock_that_jumps_moves_no_timer_and_no_uptime() {
    let daemon = launched();
    daemon.wait_state("steady", "RUNNING");
    // On a busy machine one of them may be over before it was seen.
    let in_state = |name: &'static str, states: [&'static str; 2]| {
        let daemon = &daemon;
        move || states.contains(&daemon.status(name).state.as_str())
    };
    for offset in [-3600, 500_000_000, 0] {
        // STARTING: as long as startsecs.
        let took = stepped(&daemon, offset, in_state("slow", ["STARTING", "RUNNING"]), || {
            assert_eq!(daemon.ctl(&["start", "slow"]).0, 0);
        });
        assert!(took >= Duration::from_secs(1) && took < LATE, "{took:?} in STARTING at {offset}");

        // STOPPING: SIGKILL after stopwaitsecs.
        assert_eq!(daemon.ctl(&["start", "deaf"]).0, 0);
        wait_until("it ignores TERM", || daemon.path("deaf").exists());
        let took = stepped(&daemon, -offset, in_state("deaf", ["STOPPING", "STOPPED"]), || {
            assert_eq!(daemon.ctl(&["stop", "deaf"]).0, 0);
        });
        assert!(took >= Duration::from_secs(1) && took < LATE, "{took:?} in STOPPING at {}", -offset);
        fs::remove_file(daemon.path("deaf")).expect("it was written");

        // BACKOFF: the next attempt comes, and then FATAL.
        let begin = Instant::now();
        let _ = daemon.controller().send_command("start", &[("name", "crash".into()), ("wait", false.into())]);
        wait_until("it waits for the next attempt", in_state("crash", ["BACKOFF", "FATAL"]));
        clock(&daemon, offset);
        let checks = daemon.read("checks").len();
        daemon.wait_state("crash", "FATAL");
        assert!(begin.elapsed() < LATE, "{:?} in BACKOFF at {offset}", begin.elapsed());

        // RUNNING: checked on, with the uptime of a clock that nobody sets.
        wait_until("the health checks go on", || daemon.read("checks").len() > checks + 2);
        let steady = daemon.status("steady");
        assert_eq!((steady.state.as_str(), steady.restarts.unwrap_or(0)), ("RUNNING", 0));
        assert!(steady.uptime.is_some_and(|seconds| seconds < 600), "{steady:?}");
        daemon.controller().stop_process("slow").expect("it stops");
    }
    // One that has lived for a second, on a machine that stands still, is no failed attempt.
    let crashes = daemon.read("crashes").lines().count();
    assert!(crashes >= 6, "two attempts at each of three clocks: {crashes}");
    daemon.terminate();
}

/// The library does what it shall, or the test above proves nothing.
#[test]
fn the_daemon_of_the_test_sees_the_clock_jump() {
    let daemon = launched();
    clock(&daemon, 500_000_000);
    let before = daemon.status("slow").since;
    daemon.controller().start_process("slow").expect("it starts");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let since = daemon.status("slow").since.expect("it has changed its state");
    assert!(since > now + 400_000_000, "{before:?} {since} {now}");
    daemon.terminate();
}
