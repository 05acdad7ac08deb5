//! Orphans are reaped, and what the program leaves behind is treated as documented.

use super::harness::{Running, as_pid_1, init, is_alive, outcome, wait_for};

/// Makes `count` orphans by double forks, waits for a line, then says how many zombies there are below us.
fn churn(count: u32) -> String {
    format!(
        "i=0; while [ $i -lt {count} ]; do (true & true & true & true & true & true & true & true & true & true &); \
         i=$((i+10)); done; echo made; read x; exit 9"
    )
}

pub fn zombies_below(pid: i32) -> usize {
    let is_zombie = |pid: &i32| super::harness::stat_field(*pid, 0).is_some_and(|state| state == "Z");
    children(pid).iter().filter(|pid| is_zombie(pid)).count()
}

#[test]
fn failures_12_ten_thousand_orphans_leave_no_zombie() {
    let Some(command) = as_pid_1("supervice", &["--", "sh", "-c", &churn(10_000)]) else { return };
    let mut running = Running::start(command);
    assert_eq!(running.line(), "made");
    let pid = running.inner_pid();
    wait_for("no zombie is left", || (zombies_below(pid) == 0).then_some(()));
    running.type_in("\n");
    assert_eq!(running.wait(), 9, "the program's code is exact amid the churn");
}

/// Where PID 1 reaps nothing, the init's own zombie is all that it leaves: the program, and what has ended with it, is reaped.
#[test]
fn what_has_ended_is_not_left_to_a_parent_that_does_not_reap() {
    let Some(options) = super::harness::unshare_options() else {
        println!("SKIPPED: unshare --pid is not permitted here");
        return;
    };
    for mode in [&["--init", "-s"][..], &["--init"]] {
        let mut command = std::process::Command::new("unshare");
        // `sleep` takes the shell's place as PID 1.
        let script = "\"$@\" <&0 & exec sleep 1000";
        command.args(options).args(["sh", "-c", script, "sh", super::harness::SUPERVICE]).args(mode);
        command.args(["--", "sh", "-c", "echo up; read x; exit 4"]);
        let mut running = Running::start(command);
        assert_eq!(running.line(), "up");
        let reaper = running.inner_pid();
        running.type_in("\n");
        wait_for("the init has ended", || (zombies_below(reaper) > 0).then_some(()));
        assert_eq!(zombies_below(reaper), 1, "{mode:?}");
        super::harness::raw_kill(reaper, 9);
    }
}

/// A group ends of one signal, its members one after the other. Where PID 1 reaps nothing, each that ends after the init would
/// stay: no round leaves more than the init's own zombie, and as PID 1 of a namespace inside of another not even the members'.
#[test]
fn a_group_that_is_told_to_stop_is_not_left_to_a_parent_that_does_not_reap() {
    let Some(options) = super::harness::unshare_options() else {
        println!("SKIPPED: unshare --pid is not permitted here");
        return;
    };
    let members = "sleep 1000 & sleep 1000 & sh -c 'sleep 1000 & wait' & sleep 1000 & echo up; wait";
    let nested = ["unshare", "--pid", "--fork", "--kill-child"];
    for (before, mode, own) in [(&[][..], "-g", 1), (&nested, "-g", 2)] {
        for round in 0..5 {
            let mut command = std::process::Command::new("unshare");
            // `sleep` takes the shell's place as PID 1.
            let script = "\"$@\" <&0 & exec sleep 1000";
            command.args(options).args(["sh", "-c", script, "sh"]).args(before);
            command.args([super::harness::SUPERVICE, "--init", mode, "--", "sh", "-c", members]);
            let mut running = Running::start(command);
            assert_eq!(running.line(), "up");
            let reaper = running.inner_pid();
            wait_for("all of them run", || (processes_below(reaper) >= 6 + own).then_some(()));
            super::harness::raw_kill(deepest_init(reaper), 15);
            wait_for("the init has ended", || (processes_below(reaper) == zombies_below(reaper)).then_some(()));
            assert!(zombies_below(reaper) <= 1, "round {round}, {before:?}: {} zombies", zombies_below(reaper));
            super::harness::raw_kill(reaper, 9);
        }
    }
}

/// Those of all its threads.
fn children(pid: i32) -> Vec<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>()).collect()
}

/// All descendants, what has ended included.
fn processes_below(pid: i32) -> usize {
    children(pid).into_iter().map(|child| 1 + processes_below(child)).sum()
}

/// The init below this process, whatever stands between them.
fn deepest_init(pid: i32) -> i32 {
    let is_init = |pid: &i32| {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.starts_with(super::harness::SUPERVICE))
    };
    let below = children(pid);
    below.iter().copied().find(is_init).unwrap_or_else(|| below.first().map_or(0, |child| deepest_init(*child)))
}

#[test]
fn as_subreaper_it_inherits_and_reaps_orphans_too() {
    for (called, args) in [("supervice", &[][..]), ("tini", &["-s"]), ("catatonit", &[])] {
        let script = churn(200);
        let mut running = Running::start(init(called, &[args, &["--", "sh", "-c", &script]].concat()));
        assert_eq!(running.line(), "made");
        let pid = running.pid();
        wait_for("no zombie is left", || (zombies_below(pid) == 0).then_some(()));
        running.type_in("\n");
        assert_eq!(running.wait(), 9, "{called}");
    }
}

#[test]
fn tini_subreaper_by_variable_and_a_warning_without() {
    let script =
        "(sh -c 'echo $PPID; sleep 0.05; ps -o ppid= -p $$ 2>/dev/null || cut -d\" \" -f4 /proc/$$/stat' &); sleep 0.3";
    let mut command = init("tini", &["--", "sh", "-c", script]);
    command.env("TINI_SUBREAPER", "");
    let (_, _, errors) = outcome(command);
    assert_eq!(errors, "", "a subreaper has nothing to warn of");
    let (code, _, errors) = outcome(init("tini", &["--", "true"]));
    assert!(code == 0 && errors.contains("subreaper"), "{errors}");
    let mut quiet = init("tini", &["--", "true"]);
    quiet.env("TINI_VERBOSITY", "0");
    assert_eq!(outcome(quiet), (0, String::new(), String::new()));
}

#[test]
fn with_w_each_reaped_orphan_is_told_of() {
    for called in ["supervice", "tini"] {
        // It is there until it is reaped.
        let script =
            "left=$(sh -c 'sleep 0 >/dev/null & echo $!'); while kill -0 $left 2>/dev/null; do sleep 0.01; done";
        let (code, _, errors) = outcome(init(called, &["-s", "-w", "--", "sh", "-c", script]));
        assert!(code == 0 && errors.contains("reaped the orphan"), "{called}: {errors}");
    }
}

/// Leaves a process in its own group behind that names itself.
const LEAVER: &str = "sleep 300 >/dev/null 2>&1 & echo $!; exit 4";

#[test]
fn failures_15_a_program_that_leaves_daemons_behind_ends_pid_1_and_the_kernel_ends_them() {
    let mark = format!("3{:05}", std::process::id() % 100_000);
    let script = format!("setsid sleep {mark} & exit 4");
    let Some(command) = as_pid_1("supervice", &["--", "sh", "-c", &script]) else { return };
    assert_eq!(outcome(command).0, 4);
    let survivors = std::fs::read_dir("/proc").expect("/proc").flatten().filter(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).eq([b"sleep", mark.as_bytes(), b""])
    });
    assert_eq!(survivors.count(), 0);
}

#[test]
fn elsewhere_what_the_program_leaves_behind_lives_on() {
    for called in ["supervice", "tini", "catatonit"] {
        let mut running = Running::start(init(called, &["--", "sh", "-c", LEAVER]));
        let left: i32 = running.line().parse().expect("a pid");
        assert_eq!(running.wait(), 4);
        assert!(is_alive(left), "{called}");
        super::harness::raw_kill(left, 9);
    }
}

#[test]
fn dumb_init_sends_sigterm_to_what_is_left_of_the_session() {
    let mut running = Running::start(init("dumb-init", &["sh", "-c", LEAVER]));
    let left: i32 = running.line().parse().expect("a pid");
    assert_eq!(running.wait(), 4);
    // Its zombie may stay, if nobody above reaps: dead is dead.
    wait_for("it has ended", || {
        let state = super::harness::stat_field(left, 0);
        state.is_none_or(|state| state == "Z").then_some(())
    });
}
