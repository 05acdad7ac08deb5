use super::*;
use crate::sys::testing::{TEST_TIMEOUT, in_own_process};
use std::process::Command;
use std::time::{Duration, Instant};

fn collect(scope: ReapScope, known: &mut HashMap<i32, u8>) -> HashMap<i32, Exit> {
    let deadline = Instant::now() + 2 * TEST_TIMEOUT;
    let mut exits = HashMap::new();
    while !known.is_empty() {
        for (pid, exit) in sweep(scope, known, |_| {}).exits {
            assert!(known.remove(&pid).is_some(), "an unknown or repeated pid {pid}");
            exits.insert(pid, exit);
        }
        assert!(Instant::now() < deadline, "{} exits were never seen", known.len());
        std::thread::sleep(Duration::from_millis(1));
    }
    exits
}

#[allow(clippy::zombie_processes, reason = "the sweep under test is what reaps")]
fn shell(script: &str) -> i32 {
    i32::try_from(Command::new("/bin/sh").args(["-c", script]).spawn().unwrap().id()).unwrap()
}

#[test]
fn five_hundred_exits_at_once_are_all_seen_exactly_amid_strangers() {
    in_own_process("sys::reap::tests::five_hundred_exits_at_once_are_all_seen_exactly_amid_strangers", || {
        set_subreaper().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let gate = dir.path().join("gate");
        nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::from_bits_retain(0o600)).unwrap();
        // Each makes an orphan, waits at the gate and exits with its own code.
        let script = |code: u32| format!("(: &) ; read _ < {}; exit {}", gate.display(), code % 256);
        let codes: HashMap<i32, u32> = (0..500).map(|code| (shell(&script(code)), code % 256)).collect();
        let mut known: HashMap<i32, u8> = codes.keys().map(|pid| (*pid, 0)).collect();
        // Whoever comes to the gate gets its end of file when we have gone; late ones need another opening.
        let opener = std::thread::spawn({
            let gate = gate.clone();
            move || while std::fs::OpenOptions::new().write(true).open(&gate).is_ok() {}
        });
        let exits = collect(ReapScope::All, &mut known);
        for (pid, code) in codes {
            assert_eq!(exits.get(&pid), Some(&Exit::Code(u8::try_from(code).unwrap())));
        }
        std::fs::OpenOptions::new().read(true).write(true).open(&gate).unwrap();
        std::fs::remove_file(&gate).unwrap();
        drop(opener);
        while nix::sys::wait::waitpid(None, Some(nix::sys::wait::WaitPidFlag::WNOHANG)).is_ok() {
            sweep(ReapScope::All, &HashMap::<i32, ()>::new(), |()| {});
        }
    });
}

#[test]
fn in_known_scope_a_strangers_status_is_never_taken() {
    in_own_process("sys::reap::tests::in_known_scope_a_strangers_status_is_never_taken", || {
        let stranger = shell("exit 42");
        // It is a zombie before the others end, so that it is what a look at any child finds.
        while !crate::sys::proc::stat(stranger).unwrap().is_dead() {
            std::thread::yield_now();
        }
        let mut known: HashMap<i32, u8> = (0..20).map(|code| (shell(&format!("exit {code}")), code)).collect();
        let codes = known.clone();
        let exits = collect(ReapScope::Known, &mut known);
        assert!(codes.iter().all(|(pid, code)| exits.get(pid) == Some(&Exit::Code(*code))));
        assert_eq!(reap(stranger), Some(Exit::Code(42)));
        assert_eq!(reap(stranger), None);
    });
}

#[test]
fn without_children_a_sweep_finds_nothing() {
    in_own_process("sys::reap::tests::without_children_a_sweep_finds_nothing", || {
        let swept = sweep(ReapScope::All, &HashMap::<i32, ()>::new(), |()| {});
        assert!(swept.exits.is_empty() && swept.is_childless);
        assert!(sweep(ReapScope::Known, &HashMap::from([(1, ())]), |()| {}).exits.is_empty());
    });
}

#[test]
fn by_its_pid_a_known_child_is_reaped_once_it_has_ended_and_nobody_else_is() {
    in_own_process("sys::reap::tests::by_its_pid_a_known_child_is_reaped_once_it_has_ended_and_nobody_else_is", || {
        let gate = tempfile::tempdir().unwrap();
        let gate = gate.path().join("gate");
        nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::from_bits_retain(0o600)).unwrap();
        let (stranger, child) = (shell("exit 1"), shell(&format!("read _ < {}; exit 2", gate.display())));
        while !crate::sys::proc::stat(stranger).unwrap().is_dead() {
            std::thread::yield_now();
        }
        let known = HashMap::from([(child, 7)]);
        assert_eq!(reap_known(child, &known, |_| unreachable!("it lives")), None);
        assert_eq!(reap_known(stranger, &known, |_| unreachable!("it is not known")), None);
        drop(std::fs::OpenOptions::new().write(true).open(&gate).unwrap());
        while !crate::sys::proc::stat(child).unwrap().is_dead() {
            std::thread::yield_now();
        }
        let mut owner = None;
        let mut before_reaping = |of: &u8| {
            owner = Some(*of);
            assert!(crate::sys::proc::stat(child).is_some(), "its pid is still its own");
        };
        assert_eq!(reap_known(child, &known, &mut before_reaping), Some((child, Exit::Code(2))));
        assert_eq!(reap_known(child, &known, before_reaping), None, "somebody has taken it");
        assert_eq!(owner, Some(7));
        assert_eq!(reap(stranger), Some(Exit::Code(1)));
    });
}

#[test]
fn whoever_is_reaped_beside_a_stranger_that_is_left_alone_is_told_of_before() {
    in_own_process(
        "sys::reap::tests::whoever_is_reaped_beside_a_stranger_that_is_left_alone_is_told_of_before",
        || {
            let (stranger, ours) = (shell("exit 1"), shell("exit 2"));
            // Both have ended, the stranger stands before ours.
            for pid in [stranger, ours] {
                let deadline = Instant::now() + TEST_TIMEOUT;
                while wait(libc::P_PID, u32::try_from(pid).unwrap(), libc::WNOWAIT).is_none() {
                    assert!(Instant::now() < deadline, "{pid} has not ended");
                }
            }
            let mut told = Vec::new();
            let swept = sweep(ReapScope::Known, &HashMap::from([(ours, "ours")]), |owner| told.push(*owner));
            assert_eq!((swept.exits, told), (vec![(ours, Exit::Code(2))], vec!["ours"]));
            let swept = sweep(ReapScope::All, &HashMap::<i32, ()>::new(), |()| {});
            assert_eq!((swept.strangers, swept.is_childless), (vec![stranger], true));
        },
    );
}
