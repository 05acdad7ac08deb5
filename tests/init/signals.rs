//! Every signal, from inside and from outside.

use super::GUISES;
use super::harness::{Running, as_pid_1, init, is_ignored_here, outcome, raw_kill, wait_for};

/// All but KILL and STOP, which nobody can catch, and CHLD, which is the init's own; and real-time ones.
fn catchable() -> impl Iterator<Item = i32> {
    (1..=31).filter(|signal| ![9, 17, 19].contains(signal) && !is_ignored_here(*signal)).chain([34, 40, 64])
}

/// What `called` is documented not to pass on: tini and catatonit leave alone what tells them of their own faults, which
/// PID 1 survives, and the stops of a terminal.
fn is_kept(called: &str, signal: i32) -> bool {
    let faults = [4, 5, 6, 7, 8, 11, 31].contains(&signal);
    match called {
        "tini" => faults || [21, 22].contains(&signal),
        "catatonit" => faults || [20, 21, 22].contains(&signal),
        // They become SIGSTOP, and stop the program.
        "dumb-init" => [20, 21, 22].contains(&signal),
        _ => false,
    }
}

/// Prints each signal that it gets; sends PID 1 those that it reads. It ends with 0 and not with the status of a `wait`
/// that the last signal interrupted.
fn reporter() -> String {
    let traps: String = catchable().map(|signal| format!("trap 'echo {signal}' {signal}\n")).collect();
    let all: Vec<String> = catchable().map(|signal| signal.to_string()).collect();
    format!(
        "exec 3<&0\n{traps}(trap '' {}; echo ready; while read s <&3; do kill -$s 1; done) &\n\
         while kill -0 $! 2>/dev/null; do wait; done; exit 0",
        all.join(" ")
    )
}

#[test]
fn each_signal_from_inside_and_outside_reaches_the_program_of_pid_1() {
    for called in GUISES {
        let Some(command) = as_pid_1(called, &["--", "sh", "-c", &reporter()]) else { return };
        let mut running = Running::start(command);
        assert_eq!(running.line(), "ready");
        let pid = running.inner_pid();
        // In a session of dumb-init's the sender within gets the signal too.
        let inside = called != "dumb-init";
        for signal in catchable().filter(|signal| !is_kept(called, *signal)) {
            raw_kill(pid, signal);
            assert_eq!(running.line(), signal.to_string(), "{called}, from outside");
            if inside {
                running.type_in(&format!("{signal}\n"));
                assert_eq!(running.line(), signal.to_string(), "{called}, from inside");
            }
        }
        if !inside {
            continue;
        }
        // Sent from inside: KILL and STOP don't reach PID 1, CHLD isn't passed on, and nothing of it does harm.
        for signal in (1..=31).filter(|signal| [9, 17, 19].contains(signal) || is_kept(called, *signal)) {
            running.type_in(&format!("{signal}\n"));
        }
        running.type_in("10\n");
        assert_eq!(running.line(), "10", "{called}: nothing else came before");
        running.stdin = None;
        assert_eq!(running.wait(), 0, "{called}");
    }
}

#[test]
fn each_signal_reaches_the_program_below_another_init() {
    for called in GUISES {
        let mut running = Running::start(init(called, &["--", "sh", "-c", &reporter()]));
        assert_eq!(running.line(), "ready");
        for signal in catchable().filter(|signal| !is_kept(called, *signal)) {
            running.send(signal);
            assert_eq!(running.line(), signal.to_string(), "{called}");
        }
        running.stdin = None;
        assert_eq!(running.wait(), 0, "{called}");
    }
}

#[test]
fn sigkill_from_outside_ends_the_namespace() {
    let Some(command) = as_pid_1("supervice", &["--", "sh", "-c", "echo ready; sleep 300"]) else { return };
    let mut running = Running::start(command);
    assert_eq!(running.line(), "ready");
    raw_kill(running.inner_pid(), 9);
    assert_ne!(running.wait(), 0);
    assert_eq!(running.line(), "", "nobody holds the pipe any more");
}

#[test]
fn a_signal_that_is_there_before_the_program_is_not_lost() {
    // It is there before even the init is: blocked, sent, and kept over the exec.
    let script = "kill -TERM $$; exec \"$0\" --init -r TERM:USR1 -- sleep 300";
    let mut command = std::process::Command::new("env");
    command.args(["--block-signal=TERM", "sh", "-c", script, super::harness::SUPERVICE]);
    assert_eq!(outcome(command).0, 138);
}

#[test]
fn rewriting_sends_another_signal_and_zero_drops_it() {
    for (called, rewrites) in
        [("supervice", ["--rewrite", "TERM:USR1", "-r", "HUP:0"]), ("dumb-init", ["--rewrite", "15:10", "-r", "1:0"])]
    {
        let script = reporter();
        let args = [&rewrites[..], &["--", "sh", "-c", &script]].concat();
        let mut running = Running::start(init(called, &args));
        assert_eq!(running.line(), "ready");
        running.send(1);
        running.send(15);
        assert_eq!(running.line(), "10", "{called}");
        running.send(12);
        assert_eq!(running.line(), "12", "{called}");
    }
}

/// A shell that shrugs SIGTERM off, and its child, which does not.
const GROUP: &str = "trap 'echo parent' 15; (trap 'echo child; exit' 15; echo ready; while :; do sleep 0.01; done) & \
                     while kill -0 $! 2>/dev/null; do wait; done; echo end";

#[test]
fn with_g_the_whole_group_is_signalled() {
    for called in ["supervice", "tini", "catatonit"] {
        let mut running = Running::start(init(called, &["-g", "--", "sh", "-c", GROUP]));
        assert_eq!(running.line(), "ready");
        running.send(15);
        let mut heard = [running.line(), running.line()];
        heard.sort();
        assert_eq!(heard, ["child", "parent"], "{called}");
        assert_eq!(running.line(), "end");
        assert_eq!(running.wait(), 0);
    }
}

#[test]
fn without_g_the_program_alone_is_signalled() {
    for called in ["supervice", "tini", "catatonit"] {
        let script = "trap 'echo parent; kill $!; exit 3' 15; sleep 300 & echo ready; wait";
        let mut running = Running::start(init(called, &["--", "sh", "-c", script]));
        assert_eq!(running.line(), "ready");
        running.send(15);
        assert_eq!((running.line().as_str(), running.wait()), ("parent", 3), "{called}");
    }
}

#[test]
fn the_program_starts_with_the_signals_that_we_were_started_with() {
    let script = "grep -E 'Sig(Blk|Ign)' /proc/self/status; exit 0";
    for (called, ignored) in [("supervice", true), ("tini", true), ("catatonit", true), ("dumb-init", false)] {
        // As after `nohup`, or below a service manager that ignores SIGPIPE: dumb-init undoes it, the others don't. ABRT
        // is one of those that tini and catatonit leave alone.
        let mut command = std::process::Command::new("bash");
        command.args(["-c", "trap '' HUP ABRT PIPE; exec -a \"$0\" \"$@\"", called, super::harness::SUPERVICE]);
        if called == "supervice" {
            command.arg("--init");
        }
        command.args(["--", "sh", "-c", script]);
        let (_, out, _) = outcome(command);
        assert!(out.contains("SigBlk:\t0000000000000000"), "{called}: {out}");
        let line = out.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("a line");
        let set = u64::from_str_radix(line.trim(), 16).expect("a set");
        for signal in [1, 6, 13] {
            assert_eq!(set >> (signal - 1) & 1 == 1, ignored, "{called}, signal {signal}: {out}");
        }
        // Without it nothing is added.
        let mut command = init(called, &["--", "sh", "-c", script]);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let (_, out, _) = outcome(command);
        let line = out.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("a line");
        let set = u64::from_str_radix(line.trim(), 16).expect("a set");
        for signal in [6, 13].into_iter().filter(|signal| !is_ignored_here(*signal)) {
            assert_eq!(set >> (signal - 1) & 1, 0, "{called}, signal {signal}: {out}");
        }
    }
}

#[test]
fn an_idle_init_never_wakes_up() {
    let mut running = Running::start(init("supervice", &["--", "sh", "-c", "echo ready; exec sleep 300"]));
    assert_eq!(running.line(), "ready");
    let path = format!("/proc/{}/status", running.pid());
    let switches = || {
        let status = std::fs::read_to_string(&path).expect("/proc");
        status.lines().find(|line| line.starts_with("voluntary")).expect("a line").to_owned()
    };
    let rests = |_| {
        wait_for("it sleeps", || (super::harness::stat_field(running.pid(), 0)? == "S").then_some(()));
        let before = switches();
        // Not a synchronisation: this is the time in which nothing must happen.
        std::thread::sleep(std::time::Duration::from_millis(1500));
        switches() == before
    };
    // On a busy machine it may sleep on its way to rest.
    assert!((0..20).any(rests), "it is woken up at rest");
    running.send(15);
    assert_eq!(running.wait(), 143);
}
