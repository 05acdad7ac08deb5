//! Commands that are run around programs, in the real daemon. Rows are those of the list of what went wrong elsewhere.

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Daemon, alive, wait_until, word_in};

/// The lines of a file in the daemon's directory.
fn lines(daemon: &Daemon, name: &str) -> Vec<String> {
    daemon.read(name).lines().map(str::to_owned).collect()
}

/// How often a line is in a file.
fn count(daemon: &Daemon, name: &str, line: &str) -> usize {
    lines(daemon, name).iter().filter(|other| *other == line).count()
}

/// Waits until the hook runs, and returns its process.
fn hook_pid(daemon: &Daemon, name: &str, hook: &str) -> i32 {
    let mut pid = 0;
    wait_until(&format!("{hook} of {name} runs"), || {
        let status = daemon.status(name);
        let text = status.description.unwrap_or_default();
        let found = text.split_once(&format!("{hook} runs (pid ")).and_then(|(_, rest)| rest.split(')').next());
        pid = found.and_then(|pid| pid.parse().ok()).unwrap_or_default();
        status.hook.as_deref() == Some(hook) && pid > 0
    });
    pid
}

#[test]
fn hooks_run_in_their_order_and_are_told_what_happens() {
    let daemon = Daemon::start(
        "[program:p]\ncommand = sh -c 'echo run >> said; exec sleep 1000'\n\
         pre_start =\n  sh -c 'echo pre $SUPERVICE_STATE from $SUPERVICE_FROM_STATE >> said'\n  sh -c 'echo second >> said'\n\
         post_start = sh -c 'echo post $SUPERVICE_STATE $SUPERVICE_PID $MAINPID >> said'\n\
         stop_command = sh -c 'echo stop $SUPERVICE_NAME $SUPERVICE_GROUP $SUPERVICE_HOOK >> said; kill $MAINPID'\n\
         post_stop = sh -c 'echo end $SUPERVICE_STATE code $SUPERVICE_EXIT_CODE signal $SUPERVICE_EXIT_SIGNAL: $SUPERVICE_CAUSE >> said'",
    );
    let pid = daemon.wait_state("p", "RUNNING").pid.expect("a process");
    wait_until("post_start has run", || lines(&daemon, "said").len() == 4);
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it lives");
    wait_until("it runs again", || daemon.status("p").pid.is_some_and(|other| other != pid));
    daemon.wait_state("p", "RUNNING");
    wait_until("post_start has run", || lines(&daemon, "said").len() == 9);
    let next = daemon.status("p").pid.expect("a process");
    daemon.controller().stop_process("p").expect("stop");
    let mut said = lines(&daemon, "said");
    // On a busy machine it says nothing of its own within the second after which it is up.
    for (run, post) in [(2, 3), (7, 8)] {
        if said[post] == "run" {
            said.swap(run, post);
        }
    }
    assert_eq!(said[..3], ["pre STARTING from STOPPED", "second", "run"]);
    assert_eq!(said[3], format!("post RUNNING {pid} {pid}"));
    assert!(said[4].starts_with("end EXITED code signal 9: killed by SIGKILL after "), "{said:?}");
    assert_eq!(said[5..9], ["pre STARTING from EXITED", "second", "run", &format!("post RUNNING {next} {next}")]);
    assert_eq!(said[9], "stop p p stop_command");
    assert!(said[10].starts_with("end STOPPING code signal 15: stop requested by uid "), "{said:?}");
    assert_eq!(said.len(), 11);
    daemon.terminate();
}

/// A hook that hangs delays nobody else, and ends at its limit.
#[test]
fn row_67_a_hook_that_hangs_delays_no_restart_of_others_and_ends_at_its_limit() {
    const ROUNDS: usize = 30;
    const RESTARTS: usize = 60;
    let others = "[program:other]\ncommand = sleep 1000\nstartsecs = 0\n";
    let hangs = "[program:hangs]\ncommand = sleep 1000\npre_start = sleep 600\nhook_timeout = 600\n\
                 [program:ends]\ncommand = sleep 1000\npre_start = sleep 600\nhook_timeout = 1\nstartretries = 0\n";
    let (with, without) = (Daemon::start(&format!("{others}{hangs}")), Daemon::start(others));
    let hook = hook_pid(&with, "hangs", "pre_start");
    let time = |daemon: &Daemon| {
        let begun = Instant::now();
        daemon.controller().restart_process("other", false).expect("restart");
        begun.elapsed()
    };
    // One after the other, so that both meet the same load; a round that a busy machine spoils is done again.
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let mut pairs: Vec<(Duration, Duration)> = (0..RESTARTS).map(|_| (time(&with), time(&without))).collect();
        let mut median = |of: fn(&(Duration, Duration)) -> Duration| {
            pairs.sort_by_key(of);
            of(&pairs[RESTARTS / 2]).as_secs_f64()
        };
        ratios.push(median(|pair| pair.0) / median(|pair| pair.1));
        if ratios.last().is_some_and(|ratio| *ratio <= 1.05) {
            break;
        }
    }
    assert!(ratios.last().is_some_and(|ratio| *ratio <= 1.05), "{ratios:?}");
    assert!(alive(hook), "it has hung all the time");
    let status = with.wait_state("ends", "FATAL");
    let text = status.description.expect("a description");
    assert!(text.starts_with("pre_start failed: not finished within 1 s, killed by SIGTERM"), "{text}");
    without.terminate();
    with.terminate();
}

/// Programs of which each hangs in another hook.
const HANGING: &str = "[program:pre]\ncommand = sleep 1000\npre_start = sleep 600\npost_stop = sh -c 'echo pre >> cleaned'\n\
    [program:post]\ncommand = sleep 1000\nstartsecs = 0\npost_start = sleep 600\n\
    [program:stop]\ncommand = sleep 1000\nstartsecs = 0\nstop_command = sleep 600\nstopwaitsecs = 1\n\
    [program:end]\ncommand = sleep 1000\nstartsecs = 0\npost_stop = sleep 600\nhook_timeout = 1\n";

#[test]
fn row_68_a_stop_and_the_end_of_the_daemon_in_each_hook_come_within_their_bound() {
    let daemon = Daemon::start(HANGING);
    let hooks = [hook_pid(&daemon, "pre", "pre_start"), hook_pid(&daemon, "post", "post_start")];
    let controller = daemon.controller();
    for name in ["pre", "post", "stop", "end"] {
        let begun = Instant::now();
        controller.stop_process(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(begun.elapsed() < Duration::from_secs(300), "{name} took {:?}", begun.elapsed());
        assert_eq!(daemon.status(name).state, "STOPPED");
    }
    assert!(hooks.into_iter().all(|pid| !alive(pid)));
    assert_eq!(lines(&daemon, "cleaned"), ["pre"]);
    daemon.wait_log("stop: SIGKILL: its stop_command has not ended within 1 s (stopwaitsecs)");
    daemon.wait_log("end: post_stop failed: not finished within 1 s, killed by SIGTERM");
    for name in ["pre", "post", "stop", "end"] {
        let _ = controller.start_process_with(name, supervice::client::Terms { wait: false, ..Default::default() });
    }
    hook_pid(&daemon, "pre", "pre_start");
    hook_pid(&daemon, "post", "post_start");
    let begun = Instant::now();
    daemon.terminate();
    assert!(begun.elapsed() < Duration::from_secs(300), "{:?}", begun.elapsed());
}

#[test]
fn row_68_the_shutdown_kills_hooks_when_its_time_is_up() {
    let sections = "[program:end]\ncommand = sleep 1000\nstartsecs = 0\n\
                    post_stop = sh -c 'trap : TERM; echo $$ > DIR/hook; sleep 600 & wait; sleep 600'";
    let mut daemon = Daemon::start_in(tempfile::tempdir().expect("a directory"), sections, &["shutdown_timeout = 10"]);
    daemon.wait_state("end", "RUNNING");
    let begun = Instant::now();
    daemon.signal(Signal::SIGTERM);
    daemon.wait();
    let pid: i32 = word_in(&daemon.path("hook")).parse().expect("a pid");
    assert!(begun.elapsed() < Duration::from_secs(300), "{:?}", begun.elapsed());
    wait_until("the hook is gone", || !alive(pid));
}

#[test]
fn row_69_a_stop_kill_or_restart_in_each_hook_ends_in_the_asked_state() {
    let hangs_once = |mark: &str| format!("sh -c 'test -e DIR/{mark} || {{ touch DIR/{mark}; exec sleep 600; }}'");
    let sections = format!(
        "[program:pre]\ncommand = sleep 1000\nstartsecs = 0\nautostart = false\npre_start = {}\n\
         [program:post]\ncommand = sleep 1000\nstartsecs = 0\nautostart = false\npost_start = {}\n\
         [program:stop]\ncommand = sleep 1000\nstartsecs = 0\nautostart = false\nstop_command = {}\nstopwaitsecs = 600\n\
         [program:end]\ncommand = sleep 1000\nstartsecs = 0\nautostart = false\npost_stop = {}\n",
        hangs_once("pre"),
        hangs_once("post"),
        hangs_once("stop"),
        hangs_once("end"),
    );
    let daemon = Daemon::start(&sections);
    let controller = daemon.controller();
    let cases = [("pre", "pre_start"), ("post", "post_start"), ("stop", "stop_command"), ("end", "post_stop")];
    for (name, hook) in cases {
        for asked in ["stop", "kill", "restart"] {
            let _ = std::fs::remove_file(daemon.path(name));
            let no_wait = supervice::client::Terms { wait: false, ..Default::default() };
            controller.start_process_with(name, no_wait).expect("start");
            match hook {
                "stop_command" | "post_stop" => {
                    daemon.wait_state(name, "RUNNING");
                    controller.stop_process_with(name, no_wait).expect("stop");
                }
                _ => {}
            }
            let pid = hook_pid(&daemon, name, hook);
            wait_until("it will hang no more", || daemon.path(name).exists());
            match asked {
                // A hook of the stop itself is not cut short by another stop.
                "stop" if name == "stop" || name == "end" => {
                    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it lives");
                    controller.stop_process(name).map(drop).expect("stop");
                }
                "stop" => controller.stop_process(name).map(drop).expect("stop"),
                "kill" => controller.kill_process(name, Default::default()).map(drop).expect("kill"),
                _ => controller.restart_process_with(name, true, Default::default()).map(drop).expect("restart"),
            }
            let wanted = if asked == "restart" { "RUNNING" } else { "STOPPED" };
            assert_eq!(daemon.status(name).state, wanted, "{asked} in {hook}");
            assert!(!alive(pid), "{asked} in {hook}");
            controller.kill_process(name, Default::default()).expect("down");
        }
    }
    daemon.terminate();
}

#[test]
fn row_70_post_stop_runs_once_for_each_run_that_began() {
    let cleans = |name: &str| format!("autorestart = false\npost_stop = sh -c 'echo {name} >> ends'\n");
    let sections = [
        format!("[program:exit]\ncommand = true\nstartsecs = 0\n{}", cleans("exit")),
        format!("[program:crash]\ncommand = sh -c 'kill -SEGV $$'\nstartsecs = 0\n{}", cleans("crash")),
        format!("[program:kill]\ncommand = sleep 1000\nstartsecs = 0\n{}", cleans("kill")),
        format!(
            "[program:late]\ncommand = sleep 1000\nready = fd:3\nstart_timeout = 1\nstartretries = 0\n{}",
            cleans("late")
        ),
        format!("[program:failed]\ncommand = true\npre_start = false\nstartretries = 0\n{}", cleans("failed")),
        format!("[program:stop]\ncommand = sleep 1000\nstartsecs = 0\n{}", cleans("stop")),
    ];
    let daemon = Daemon::start(&sections.concat());
    let pid = daemon.wait_state("kill", "RUNNING").pid.expect("a process");
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it lives");
    daemon.wait_state("stop", "RUNNING");
    daemon.controller().stop_process("stop").expect("stop");
    assert_eq!(count(&daemon, "ends", "stop"), 1, "it has run when the stop is answered");
    for (name, state) in
        [("exit", "EXITED"), ("crash", "EXITED"), ("kill", "EXITED"), ("late", "FATAL"), ("failed", "FATAL")]
    {
        daemon.wait_state(name, state);
        wait_until("nothing of it runs", || count(&daemon, "ends", name) > 0 && daemon.status(name).hook.is_none());
    }
    let kept = daemon.dir.path().join("ends");
    let mut ends: Vec<String> =
        std::fs::read_to_string(kept).expect("it is written").lines().map(str::to_owned).collect();
    ends.sort();
    assert_eq!(ends, ["crash", "exit", "failed", "kill", "late", "stop"]);
    daemon.terminate();
}

#[test]
fn row_71_post_stop_begins_when_nothing_of_the_group_is_left() {
    let daemon = Daemon::start(
        "[program:p]\nstartsecs = 0\nstopwaitsecs = 1\nautorestart = false\n\
         command = sh -c 'trap \"\" TERM; sleep 1000 & echo $! > worker; trap - TERM; wait'\n\
         post_stop = sh -c 'kill -0 $(cat worker) 2> /dev/null && echo alive > end || echo gone > end'",
    );
    let worker: i32 = word_in(&daemon.path("worker")).parse().expect("a pid");
    daemon.controller().stop_process("p").expect("stop");
    assert_eq!((daemon.read("end").as_str(), alive(worker)), ("gone\n", false));
    daemon.terminate();
}

#[test]
fn row_72_all_commands_of_post_stop_run_and_the_first_failure_is_reported() {
    let daemon = Daemon::start(
        "[program:p]\ncommand = sleep 1000\nstartsecs = 0\npost_stop =\n  -sh -c 'exit 2'\n  sh -c 'echo no luck; exit 3'\n\
         \x20 sh -c 'exit 4'\n  sh -c 'echo done > end'",
    );
    daemon.wait_state("p", "RUNNING");
    daemon.controller().stop_process("p").expect("stop");
    assert_eq!(daemon.read("end"), "done\n");
    let text = daemon.status("p").description.expect("a description");
    assert_eq!(text, "stopped by request; post_stop failed: exit code 3: no luck");
    daemon.wait_log("p: post_stop failed: exit code 3: no luck");
    daemon.terminate();
}

#[test]
fn row_73_start_restart_and_restart_by_itself_run_the_same_hooks() {
    let daemon = Daemon::start(
        "[program:p]\ncommand = sleep 1000\nstartsecs = 0\nautostart = false\n\
         pre_start = sh -c 'echo pre >> hooks'\npost_start = sh -c 'echo post >> hooks'",
    );
    let controller = daemon.controller();
    let ran = |times: usize| {
        wait_until("both have run", || lines(&daemon, "hooks").len() == 2 * times);
        assert_eq!((count(&daemon, "hooks", "pre"), count(&daemon, "hooks", "post")), (times, times));
    };
    controller.start_process("p").expect("start");
    ran(1);
    controller.restart_process("p", false).expect("restart");
    ran(2);
    controller.restart_process_with("p", true, Default::default()).expect("restart --force");
    ran(3);
    kill(Pid::from_raw(daemon.status("p").pid.expect("a process")), Signal::SIGKILL).expect("it lives");
    ran(4);
    daemon.terminate();
}

#[test]
fn row_74_the_last_lines_of_a_failing_hook_stand_in_why_and_in_the_log_of_the_program() {
    let daemon = Daemon::start(
        "[program:p]\ncommand = sleep 1000\nstdout_logfile = DIR/p.log\nstartretries = 0\nautostart = false\n\
         pre_start = sh -c 'for n in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $n; done; echo no such table >&2; exit 3'",
    );
    let controller = daemon.controller();
    let error = controller.start_process("p").expect_err("it fails").to_string();
    assert!(error.contains("pre_start failed: exit code 3: no such table"), "{error}");
    let why = controller.why("p").expect("why").lines;
    let told: Vec<&str> = why.iter().filter_map(|line| line.strip_prefix("  ")).collect();
    assert_eq!((told.len(), told.first(), told.last()), (10, Some(&"line 4"), Some(&"no such table")), "{why:?}");
    assert!(why.iter().any(|line| line.starts_with("The command of its pre_start that failed was sh -c ")), "{why:?}");
    wait_until("it is in the log", || daemon.read("p.log").ends_with("line 12\nno such table\n"));
    assert!(daemon.read("p.log").starts_with("line 1\n"));
    daemon.terminate();
}

#[test]
fn row_75_a_hook_has_the_user_directory_and_environment_of_its_program() {
    let facts = |file: &str| {
        format!(
            "sh -c '{{ id; pwd; umask; env | grep -v -e ^SUPERVICE_ -e ^_= -e ^MAINPID= -e ^PWD= | sort; }} > {file}'"
        )
    };
    let root = nix::unistd::geteuid().is_root();
    let user = if root { "user = nobody\n" } else { "" };
    let dir = tempfile::tempdir().expect("a directory");
    let work = dir.path().join("work");
    std::fs::create_dir(&work).expect("a directory");
    for path in [dir.path(), &work] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(path, mode).expect("its mode");
    }
    std::fs::write(dir.path().join("more.env"), "MORE=from a file\n").expect("a file");
    let sections = format!(
        "[program:p]\nstartsecs = 0\n{user}directory = DIR/work\numask = 027\nenvironment = COLOUR=red\nenv_file = DIR/more.env\n\
         command = sh -c '{}; exec sleep 1000'\npre_start =\n  {}\n  +{}\n",
        facts("program").trim_start_matches("sh -c '").trim_end_matches('\''),
        facts("hook"),
        facts("daemon"),
    );
    let daemon = Daemon::start_in(dir, &sections, &[]);
    let tagless = |name: &str| {
        wait_until("it is written", || daemon.read(name).contains("COLOUR="));
        // The tag by which a later daemon knows what is left of it differs from run to run.
        lines(&daemon, name).into_iter().filter(|line| !line.starts_with("SUPERVICE")).collect::<Vec<_>>()
    };
    let (program, hook) = (tagless("work/program"), tagless("work/hook"));
    assert_eq!(program, hook);
    assert!(hook.iter().any(|line| line == "COLOUR=red") && hook.iter().any(|line| line == "MORE=from a file"));
    if root {
        assert!(hook[0].contains("(nobody)"), "{hook:?}");
        assert!(lines(&daemon, "work/daemon")[0].starts_with("uid=0("), "+ is the daemon's user");
        assert_eq!(std::fs::metadata(daemon.path("work/daemon")).expect("it is there").uid(), 0);
    }
    daemon.terminate();
}

#[test]
fn row_76_a_failing_pre_start_obeys_the_rules_of_a_failing_program() {
    let daemon = Daemon::start(
        "[program:hook]\ncommand = sleep 1000\npre_start = sh -c 'date +%s%N >> hook; exit 1'\nstartretries = 2\n\
         [program:program]\ncommand = sh -c 'date +%s%N >> program; exit 1'\nstartsecs = 600\nstartretries = 2\n\
         [program:never]\ncommand = sleep 1000\npre_start = DIR\nstartretries = 2\n\
         [program:may]\ncommand = sleep 1000\npre_start = -false\nstartsecs = 0",
    );
    for name in ["hook", "program"] {
        daemon.wait_state(name, "FATAL");
        let times: Vec<u64> = lines(&daemon, name).iter().filter_map(|line| line.parse().ok()).collect();
        assert_eq!(times.len(), 3, "{name}: the first attempt and two retries");
        let gaps: Vec<u64> = times.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000_000_000).collect();
        assert!(gaps[0] >= 1 && gaps[1] >= 2, "{name}: {gaps:?}");
    }
    let text = daemon.status("hook").description.expect("a description");
    assert_eq!(text, "pre_start failed: exit code 1, gave up after 3 attempts");
    // What can't be executed is not tried again, as the program itself is not.
    let text = daemon.wait_state("never", "FATAL").description.expect("a description");
    assert!(text.starts_with("pre_start failed: cannot execute") && !text.contains("attempts"), "{text}");
    daemon.wait_state("may", "RUNNING");
    daemon.terminate();
}

#[test]
fn a_stop_command_stops_a_real_server_and_a_failed_one_is_followed_by_the_signal() {
    let serves = "command = sh -c 'trap \"echo $1 >> DIR/got; exit 0\" TERM; trap \"echo int >> DIR/got; exit 0\" INT; \
                  echo up > DIR/up-$0; while :; do sleep 0.02; done' ";
    let daemon = Daemon::start(&format!(
        "[program:good]\n{serves}good\nstartsecs = 0\nstop_command = sh -c 'kill -INT $MAINPID'\n\
         [program:bad]\n{serves}bad\nstartsecs = 0\nstop_command = sh -c 'echo no such socket >&2; exit 5'\nstopwaitsecs = 600\n\
         [program:idle]\n{serves}idle\nstartsecs = 0\nstop_command = true\nstopwaitsecs = 10\n"
    ));
    for name in ["good", "bad", "idle"] {
        // Its traps are set, too.
        word_in(&daemon.path(&format!("up-{name}")));
    }
    daemon.controller().stop_process("good").expect("stop");
    assert_eq!(daemon.read("got"), "int\n");
    daemon.controller().stop_process("bad").expect("stop");
    daemon.wait_log("bad: stop_command failed: exit code 5: no such socket");
    daemon.controller().stop_process("idle").expect("stop");
    // So long as is left of them when the command has ended.
    daemon.wait_log("idle: SIGTERM: still there ");
    daemon.wait_log(" s after its stop_command");
    daemon.terminate();
}

#[test]
fn a_oneshot_with_a_stop_command_is_up_and_is_stopped_in_order() {
    let daemon = Daemon::start(
        "[program:mount]\ntype = oneshot\ncommand = sh -c 'echo mount >> order'\nstop_command = sh -c 'echo umount >> order'\n\
         [program:web]\ncommand = sh -c 'trap \"echo end web >> order; exit 0\" TERM; echo web >> order; while :; do sleep 0.02; done'\n\
         requires = mount\nstartsecs = 0",
    );
    daemon.wait_state("web", "RUNNING");
    wait_until("it has begun", || lines(&daemon, "order").len() == 2);
    let (code, out, _) = daemon.ctl(&["start", "mount"]);
    assert_eq!((code, out.as_str()), (0, "mount is already running\n"));
    let text = daemon.status("mount").description.expect("a description");
    assert!(text.starts_with("up, completed after "), "{text}");
    let (code, out, _) = daemon.ctl(&["stop", "mount"]);
    assert_eq!((code, out.as_str()), (0, "Stopped mount, and what needs it: web\n"));
    assert_eq!(lines(&daemon, "order"), ["mount", "web", "end web", "umount"]);
    daemon.controller().start_process("web").expect("start");
    wait_until("it has begun", || lines(&daemon, "order").len() == 6);
    // The directory goes with the daemon: its last words are kept elsewhere.
    let kept = tempfile::NamedTempFile::new().expect("a file").path().with_extension("order");
    std::fs::hard_link(daemon.path("order"), &kept).expect("the same file system");
    daemon.terminate();
    let told = std::fs::read_to_string(&kept).expect("the order");
    std::fs::remove_file(&kept).expect("it is there");
    assert_eq!(told.lines().skip(6).collect::<Vec<_>>(), ["end web", "umount"]);
}

#[test]
fn reload_sends_the_signal_and_runs_the_command_or_says_what_is_missing() {
    let serves =
        "command = sh -c 'trap \"echo hup >> DIR/got\" HUP; echo up > DIR/up-$0; while :; do sleep 0.02; done' ";
    let daemon = Daemon::start(&format!(
        "[program:signal]\n{serves}signal\nstartsecs = 0\nreload_signal = HUP\n\
         [program:both]\n{serves}both\nstartsecs = 0\nreload_signal = SIGHUP\nreload_command = sh -c 'echo checked >> got'\n\
         [program:wrong]\n{serves}wrong\nstartsecs = 0\nreload_signal = HUP\nreload_command = sh -c 'echo bad value >&2; exit 1'\n\
         [program:none]\ncommand = sleep 1000\nstartsecs = 0\n\
         [program:down]\ncommand = sleep 1000\nautostart = false\nreload_signal = HUP\n"
    ));
    for name in ["signal", "both", "wrong"] {
        word_in(&daemon.path(&format!("up-{name}")));
    }
    let (code, out, _) = daemon.ctl(&["reload", "signal"]);
    assert_eq!((code, out.as_str()), (0, "Reloaded signal (SIGHUP)\n"));
    wait_until("it has got it", || daemon.read("got") == "hup\n");
    assert_eq!(daemon.controller().reload_process("both").expect("reload"), "Reloaded both (SIGHUP)");
    wait_until("it has got it", || daemon.read("got") == "hup\nchecked\nhup\n");
    let (code, _, error) = daemon.ctl(&["reload", "wrong"]);
    assert_eq!((code, error.as_str()), (1, "supervicectl: wrong: reload_command failed: exit code 1: bad value\n"));
    let (code, _, error) = daemon.ctl(&["reload", "none"]);
    assert!(code == 1 && error.contains("set reload_signal or reload_command"), "{error}");
    let (code, _, error) = daemon.ctl(&["reload", "down"]);
    assert!(code == 1 && error.contains("down has no process"), "{error}");
    let why = daemon.controller().why("signal").expect("why").lines.join("\n");
    assert!(why.contains("while RUNNING") && why.contains("reload requested by uid "), "{why}");
    // Without a name it is the daemon's own.
    assert_eq!(daemon.ctl(&["reload"]), (0, "No changes\n".to_owned(), String::new()));
    assert_eq!(daemon.read("got"), "hup\nchecked\nhup\n");
    daemon.terminate();
}

#[test]
fn on_state_tells_each_change_in_order_to_the_end_and_holds_up_nothing() {
    let daemon = Daemon::start(
        "[program:p]\ncommand = sleep 1000\nstartsecs = 0\n\
         on_state = sh -c 'sleep 0.05; echo $SUPERVICE_FROM_STATE $SUPERVICE_STATE >> states'\n\
         [program:deaf]\ncommand = sleep 1000\nstartsecs = 0\non_state = sleep 600",
    );
    daemon.wait_state("p", "RUNNING");
    let begun = Instant::now();
    for _ in 0..20 {
        daemon.controller().restart_process("deaf", false).expect("restart");
    }
    assert!(begun.elapsed() < Duration::from_secs(300), "{:?}", begun.elapsed());
    daemon.wait_log("deaf: on_state does not keep up and is not told that it is ");
    daemon.controller().stop_process("p").expect("stop");
    wait_until("all is told", || lines(&daemon, "states").len() == 4);
    assert_eq!(
        lines(&daemon, "states"),
        ["STOPPED STARTING", "STARTING RUNNING", "RUNNING STOPPING", "STOPPING STOPPED"]
    );
    let begun = Instant::now();
    daemon.terminate();
    assert!(begun.elapsed() < Duration::from_secs(300), "what hangs is not waited for: {:?}", begun.elapsed());
}

#[test]
fn a_file_of_supervisord_has_hooks_too() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().display().to_string();
    let text = format!(
        "[supervisord]\nnodaemon = true\nlogfile = /dev/stdout\nlogfile_maxbytes = 0\npidfile = {path}/daemon.pid\n\
         [unix_http_server]\nfile = {path}/ctl.sock\n\
         [program:p]\ncommand = sleep 1000\nstartsecs = 0\ndirectory = {path}\n\
         pre_start = sh -c 'echo $SUPERVICE_NAME $SUPERVISOR_PROCESS_NAME > pre'\nreload_signal = USR1\n"
    );
    std::fs::write(dir.path().join("supervice.conf"), text).expect("the configuration");
    let mut daemon = Daemon::unstarted(dir);
    daemon.launch(std::process::Command::new(env!("CARGO_BIN_EXE_supervice")));
    daemon.wait_ready();
    daemon.wait_state("p", "RUNNING");
    assert_eq!(daemon.read("pre"), "p p\n");
    daemon.terminate();
}
