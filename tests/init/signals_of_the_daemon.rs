//! Each signal to the daemon as PID 1, from inside and from outside. PID 1 has no default actions: what is not
//! documented to do something does nothing.

use super::container::{Container, program};
use super::harness::{raw_kill, wait_for};

const SIGNALS: [i32; 32] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
    40,
];
/// INT, QUIT, TERM, PWR.
const ENDING: [i32; 4] = [2, 3, 15, 30];
/// The kernel lets an ancestor's namespace send these two to PID 1.
const UNSTOPPABLE: [i32; 2] = [9, 19];

#[test]
fn what_is_not_documented_to_end_it_does_not() {
    let Some(mut container) = Container::start("", &program("p", "sleep 1000", "startsecs = 0")) else { return };
    let before = container.wait_state("p", "RUNNING");
    let pid = container.pid();
    for signal in SIGNALS.into_iter().filter(|signal| !ENDING.contains(signal)) {
        // From inside: into its pid namespace, as its child would.
        let inside = format!("--target={pid}");
        let args = [inside.as_str(), "--pid", "sh", "-c", &format!("kill -{signal} 1")];
        let entered = std::process::Command::new("nsenter").args(args).status();
        if !entered.is_ok_and(|status| status.success()) && signal == 1 {
            println!("SKIPPED: nsenter is not permitted here");
        }
        if !UNSTOPPABLE.contains(&signal) {
            raw_kill(pid, signal);
        }
    }
    wait_for("it has reloaded and reopened", || {
        let log = container.log();
        (log.contains("reload: no changes") && log.contains("opened anew")).then_some(())
    });
    // Stopped from outside it does nothing; continued, it goes on.
    raw_kill(pid, 19);
    raw_kill(pid, 18);
    assert_eq!(container.wait_state("p", "RUNNING").pid, before.pid);
    container.signal(15);
    assert_eq!(container.end().0, 0);
}

#[test]
fn each_that_ends_it_does_so_in_order_from_inside_and_outside() {
    for signal in ENDING {
        for inside in [false, true] {
            let Some(mut container) = Container::start("", &program("p", "sleep 1000", "startsecs = 0")) else {
                return;
            };
            container.wait_state("p", "RUNNING");
            let pid = container.pid();
            if inside {
                let args = [&format!("--target={pid}"), "--pid", "sh", "-c", &format!("kill -{signal} 1")];
                let entered = std::process::Command::new("nsenter").args(args).status();
                if !entered.is_ok_and(|status| status.success()) {
                    return println!("SKIPPED: nsenter is not permitted here");
                }
            } else {
                raw_kill(pid, signal);
            }
            let (code, log) = container.end();
            assert!(code == 0 && log.contains("p: STOPPING -> STOPPED"), "{signal} {inside} {code}\n{log}");
        }
    }
}

#[test]
fn without_n_pid_1_stays_in_the_foreground_and_says_so() {
    let config = format!("[supervice]\nsocket = DIR/ctl.sock\npidfile = none\n{}", program("p", "sleep 1000", ""));
    let Some(mut container) = Container::arranged("cd DIR; exec \"$0\" -c DIR/conf;", &config) else { return };
    container.wait_state("p", "RUNNING");
    wait_for("the warning", || container.log().contains("WARN  stays in the foreground: PID 1 can't").then_some(()));
    raw_kill(container.pid(), 15);
    assert_eq!(container.end().0, 0);
}
