//! What operators ask for: why, wait, kill, signal, update with and without a way back, events, history.

use std::fs;
use std::time::{Duration, Instant};

use supervice::client::{ClientError, Terms, WaitFor};

use crate::harness::{Daemon, alive, marked, wait_until, word_in};

const STUBBORN: &str = "[program:s]\ncommand = sh -c 'trap : TERM; echo up > DIR/up; while :; do sleep 1000 & wait; done'\n\
                        startsecs = 0\nstopwaitsecs = 600";

fn code(error: &ClientError) -> &str {
    match error {
        ClientError::Failed { code: Some(code), .. } => code,
        other => panic!("{other}"),
    }
}

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

#[test]
fn kill_ends_at_once_what_ignores_its_stop() {
    let daemon = Daemon::start(STUBBORN);
    word_in(&daemon.path("up"));
    let controller = daemon.controller();
    let taken = controller.stop_process_with("s", Terms { wait: false, ..Terms::default() }).expect("stop");
    assert_eq!(taken, "Stopping s");
    let status = daemon.wait_state("s", "STOPPING");
    assert!(status.kill_at > status.since.map(|since| since + 500), "{status:?}");
    let terms = Terms { timeout: Some(Duration::from_millis(50)), ..Terms::default() };
    let error = controller.stop_process_with("s", terms).expect_err("it ignores TERM");
    assert_eq!(code(&error), "TIMEOUT", "{error}");
    let why = controller.why("s").expect("why");
    assert_eq!(why.next.as_ref().map(|next| next.what.as_str()), Some("SIGKILL"), "{why:?}");
    let begin = Instant::now();
    assert_eq!(controller.kill_process("s", Terms::default()).expect("kill"), "Killed s");
    assert!(begin.elapsed() < Duration::from_secs(500), "not after stopwaitsecs");
    assert_eq!(daemon.status("s").state, "STOPPED");
    let causes: Vec<String> = controller.history(Some("s")).expect("history").into_iter().map(|h| h.cause).collect();
    let own = format!("by uid {}, pid {} (", nix::unistd::geteuid(), std::process::id());
    assert!(causes[2].starts_with(&format!("stop requested {own}")), "{causes:?}");
    assert!(causes[3].starts_with(&format!("kill requested {own}")), "{causes:?}");
    assert_eq!(causes[4], "killed by SIGKILL", "{causes:?}");
    assert_eq!(controller.kill_process("s", Terms::default()).expect("kill"), "s is not running");
    daemon.terminate();
}

#[test]
fn a_signal_reaches_the_group_and_is_remembered() {
    let daemon = Daemon::start(
        "[program:p]\ncommand = sh -c 'trap \"echo got > DIR/got\" USR1; echo up > DIR/up; while :; do sleep 0.02; done'\n\
         startsecs = 0\n[program:down]\ncommand = sleep 1000\nautostart = false",
    );
    word_in(&daemon.path("up"));
    let controller = daemon.controller();
    assert_eq!(controller.signal_process("p", "sigusr1").expect("signal"), "Sent SIGUSR1 to p");
    assert_eq!(word_in(&daemon.path("got")), "got");
    let lines = controller.why("p").expect("why").lines.join("\n");
    assert!(lines.contains("SIGUSR1 requested by uid"), "{lines}");
    let error = controller.signal_process("down", "USR1").expect_err("nothing runs");
    assert_eq!(
        (code(&error), error.to_string().as_str()),
        ("FAILED", "down has no process; it is STOPPED: not started")
    );
    assert_eq!(code(&controller.signal_process("p", "NOSUCH").expect_err("no signal")), "INVALID_REQUEST");
    daemon.terminate();
}

#[test]
fn wait_answers_when_it_is_so_and_says_when_it_will_not_be() {
    let daemon = Daemon::start(
        "[program:p]\ncommand = sleep 1000\nautostart = false\nstartsecs = 0\n\
         [program:f]\ncommand = sh -c 'echo no such thing >&2; exit 3'\nautostart = false\nstartsecs = 60\nstartretries = 0\n\
         [program:once]\ncommand = sh -c 'exit 5'\nautostart = false\nstartsecs = 0\nautorestart = false",
    );
    let controller = daemon.controller();
    let error = controller.wait_for("p", WaitFor::Running, Some(Duration::from_millis(30))).expect_err("it is down");
    assert_eq!((code(&error), error.to_string().as_str()), ("TIMEOUT", "p is not running yet: STOPPED: not started"));
    std::thread::scope(|scope| {
        let waits: Vec<_> = [("p", WaitFor::Healthy), ("f", WaitFor::Running), ("once", WaitFor::Exited)]
            .map(|(name, goal)| {
                let controller = daemon.controller();
                scope.spawn(move || controller.wait_for(name, goal, seconds(60)))
            })
            .into();
        let _ = controller.start_process("f");
        controller.start_process("p").expect("start");
        let _ = controller.start_process("once");
        let mut answers = waits.into_iter().map(|wait| wait.join().expect("no panic"));
        assert_eq!(answers.next().expect("p").expect("healthy"), "p is healthy");
        let failed = answers.next().expect("f").expect_err("FATAL").to_string();
        let (begin, end) = ("f will not be running: FATAL: exit code 3 after ", " s: no such thing");
        assert!(failed.starts_with(begin) && failed.ends_with(end), "{failed}");
        // Asked before its start or after its end: either is over at once.
        let told = answers.next().expect("once").expect("exited");
        assert!(["once has exited", "once has not run yet"].contains(&told.as_str()), "{told}");
    });
    assert_eq!(controller.wait_for("p", WaitFor::Running, None).expect("at once"), "p is running");
    let why = controller.why("f").expect("why");
    assert_eq!((why.state.as_str(), why.stderr), ("FATAL", vec!["no such thing".to_owned()]));
    assert!(why.lines.last().is_some_and(|line| line.contains("it has given up")), "{:?}", why.lines);
    daemon.terminate();
}

const BEFORE: &str = "[program:stays]\ncommand = sleep 1000\nstartsecs = 0\n\
                      [program:changes]\ncommand = sleep 1000\nstartsecs = 0\n\
                      [program:goes]\ncommand = sleep 1000\nstartsecs = 0\n\
                      [program:soft]\ncommand = sleep 1000\nstartsecs = 0\n";

fn all_running(daemon: &Daemon, names: &[&str]) {
    names.iter().for_each(|name| drop(daemon.wait_state(name, "RUNNING")));
}

#[test]
fn update_restarts_what_has_changed_and_nothing_else() {
    // A mark is found in the whole machine: no other test may start a program with it.
    let daemon =
        Daemon::start(&BEFORE.replace("[program:goes]\n", "[program:goes]\nenvironment = MARK=update-goes-TEST\n"));
    all_running(&daemon, &["stays", "changes", "goes", "soft"]);
    let pid = |name: &str| daemon.status(name).pid;
    let before = ["stays", "changes", "soft"].map(pid);
    daemon.write_config(
        "[program:stays]\ncommand = sleep 1000\nstartsecs = 0\n[program:changes]\ncommand = sleep 999\nstartsecs = 0\n\
         [program:soft]\ncommand = sleep 1000\nstartsecs = 0\nautorestart = false\n[program:comes]\ncommand = sleep 1000\nstartsecs = 0\n",
        &[],
    );
    let controller = daemon.controller();
    let reread = controller.reread().expect("reread");
    assert_eq!(
        (reread.added.as_slice(), reread.removed.as_slice()),
        (&["comes".to_owned()][..], &["goes".to_owned()][..])
    );
    let change = &reread.changed["changes"][0];
    assert_eq!(
        (change.key.as_str(), change.old.as_str(), change.new.as_str()),
        ("command", Some("sleep 1000"), Some("sleep 999"))
    );
    assert_eq!(["stays", "changes", "soft"].map(pid), before, "nothing is done");
    let updated = controller.update(None).expect("update");
    assert_eq!(
        (updated.changed, updated.restarted),
        (vec!["changes".to_owned(), "soft".to_owned()], vec!["changes".to_owned()])
    );
    assert_eq!(marked("update-goes"), [] as [i32; 0], "gone when the answer comes");
    assert_eq!(daemon.status("comes").state, "RUNNING", "up when the answer comes");
    let after = ["stays", "changes", "soft"].map(pid);
    assert_eq!((after[0], after[2]), (before[0], before[2]));
    assert_ne!(after[1], before[1]);
    assert!(controller.confirm().is_err(), "nothing to confirm");
    // Nothing has changed: nothing waits, and the next update is not refused.
    assert_eq!(controller.update(seconds(600)).expect("update").confirm_until, None);
    assert!(controller.update(None).expect("update").restarted.is_empty());
    daemon.terminate();
}

#[test]
fn an_update_after_a_reload_restarts_what_still_runs_as_before() {
    let daemon = Daemon::start(BEFORE);
    all_running(&daemon, &["stays", "changes"]);
    let before = daemon.status("changes").pid;
    daemon.write_config(
        &BEFORE.replace("[program:changes]\ncommand = sleep 1000", "[program:changes]\ncommand = sleep 999"),
        &[],
    );
    let controller = daemon.controller();
    assert_eq!(controller.reload().expect("reload").changed, ["changes"]);
    assert_eq!(daemon.status("changes").pid, before);
    assert_eq!(controller.reread().expect("reread").changed.len(), 1);
    assert_eq!(controller.update(None).expect("update").restarted, ["changes"]);
    assert_ne!(daemon.status("changes").pid, before);
    daemon.terminate();
}

#[test]
fn an_update_that_nobody_confirms_is_taken_back() {
    let daemon = Daemon::start(BEFORE);
    all_running(&daemon, &["stays", "changes", "goes", "soft"]);
    let controller = daemon.controller();
    controller.stop_process("soft").expect("stop");
    let stays = daemon.status("stays").pid;
    daemon.write_config("[program:stays]\ncommand = sleep 1000\nstartsecs = 0\n[program:comes]\ncommand = sleep 1000\nstartsecs = 0\nenvironment = MARK=update-comes-TEST", &[]);
    let updated = controller.update(seconds(15)).expect("update");
    assert!(updated.confirm_until.is_some());
    assert_eq!(daemon.all().len(), 2);
    let error = controller.reload().expect_err("one after the other").to_string();
    assert!(error.contains("waits to be confirmed"), "{error}");
    wait_until("it is taken back", || {
        daemon.all().iter().any(|process| process.name == "goes" && process.state == "RUNNING")
    });
    wait_until("comes has left", || daemon.all().len() == 4);
    assert_eq!(marked("update-comes"), [] as [i32; 0]);
    assert_eq!(daemon.status("stays").pid, stays);
    assert_eq!(daemon.status("soft").state, "STOPPED", "it was down before");
    let error = controller.confirm().expect_err("too late").to_string();
    assert!(error.contains("nobody has confirmed it in time"), "{error}");
    daemon.terminate();
}

#[test]
fn an_unconfirmed_update_that_breaks_a_program_is_taken_back_at_once() {
    let daemon = Daemon::start(BEFORE);
    all_running(&daemon, &["stays", "changes"]);
    let controller = daemon.controller();
    daemon.write_config(
        &BEFORE.replace(
            "[program:changes]\ncommand = sleep 1000",
            "[program:changes]\nstartretries = 1\ncommand = sh -c 'exit 3'",
        ),
        &[],
    );
    let _ = controller.update(seconds(600));
    wait_until("it is taken back", || {
        controller
            .history(Some("changes"))
            .is_ok_and(|all| all.iter().any(|item| item.cause.contains("by the rollback of an update")))
    });
    daemon.wait_state("changes", "RUNNING");
    let error = controller.confirm().expect_err("too late").to_string();
    assert!(error.contains("changes is FATAL: exit code 3"), "{error}");
    // A confirmed one stays.
    daemon.write_config(
        &BEFORE.replace("[program:changes]\ncommand = sleep 1000", "[program:changes]\ncommand = sleep 998"),
        &[],
    );
    controller.update(seconds(600)).expect("update");
    controller.confirm().expect("confirm");
    assert!(controller.confirm().is_err());
    daemon.terminate();
}

/// Whoever asked for it learns what has brought it down, and not how what was up before fares.
#[test]
fn an_unconfirmed_update_that_fails_before_it_is_up_has_failed() {
    let with = |command: &str, more: &str| {
        format!(
            "[program:web]\ncommand = {command}\nstartretries = 0\nstartsecs = 2\n\
             [program:app]\ncommand = sleep 1000\nstartsecs = 0\nrequires = web\n{more}"
        )
    };
    let once = "[program:once]\ntype = oneshot\ncommand = sh -c 'exit 7'\nstartretries = 0\n";
    let daemon = Daemon::start(&with("sleep 1000", ""));
    all_running(&daemon, &["web", "app"]);
    for (after, why) in [
        (with("false", ""), "web is FATAL: exit code 1 after "),
        (with("sleep 1000", once), "once is FATAL: exit code 7 after "),
        (with("/dev/null", ""), "web is FATAL: "),
    ] {
        daemon.write_config(&after, &[]);
        let (code, said, errors) = daemon.ctl(&["update", "--confirm", "300"]);
        let wanted = format!("The update was taken back: {why}");
        assert!(code == 1 && errors.contains(&wanted), "{code} {said}{errors}");
        all_running(&daemon, &["web", "app"]);
        wait_until("all is as before", || daemon.all().len() == 2);
    }
    daemon.terminate();
}

#[test]
fn an_unconfirmed_update_that_makes_a_program_unhealthy_is_taken_back() {
    let program = "[program:p]\ncommand = sleep 1000\nstartsecs = 0\nautorestart = false\nhealthcheck_type = script\n\
                   healthcheck_interval = 1\nhealthcheck_start_period = 0\nhealthcheck_retries = 1\nhealthcheck_command = ";
    let daemon = Daemon::start(&format!("{program}true"));
    daemon.wait_state("p", "RUNNING");
    let controller = daemon.controller();
    let mut events = controller.events(&["unhealthy", "healthcheck_failed"], 0).expect("events");
    daemon.write_config(&format!("{program}sh -c 'echo not well >&2 && false'"), &[]);
    assert_eq!(controller.update(seconds(600)).expect("update").restarted, ["p"]);
    let failed = events.next().expect("one").expect("event").event;
    assert!(failed.message.as_deref().is_some_and(|message| message.contains("not well")), "{failed:?}");
    let unhealthy = events.next().expect("one").expect("event").event;
    assert_eq!((unhealthy.from_state.as_deref(), unhealthy.pid), (Some("RUNNING"), failed.pid));
    assert_eq!(controller.wait_for("p", WaitFor::Healthy, seconds(60)).expect("as before"), "p is healthy");
    assert!(controller.reread().expect("reread").changed.contains_key("p"), "the file is as it was");
    daemon.terminate();
}

#[test]
fn two_clients_are_answered_each_by_the_state_that_was_reached() {
    let daemon = Daemon::start(STUBBORN);
    word_in(&daemon.path("up"));
    std::thread::scope(|scope| {
        let stop = scope.spawn(|| daemon.controller().stop_process("s"));
        daemon.wait_state("s", "STOPPING");
        let kill = scope.spawn(|| daemon.controller().kill_process("s", Terms::default()));
        assert_eq!(stop.join().expect("no panic").expect("stop"), "Stopped s");
        assert_eq!(kill.join().expect("no panic").expect("kill"), "Killed s");
    });
    daemon.terminate();
}

#[test]
fn events_are_streamed_from_the_moment_of_the_call() {
    let daemon = Daemon::start("[program:p]\ncommand = sleep 1000\nstartsecs = 0\nautostart = false");
    let controller = daemon.controller();
    let mut all = controller.events(&[], 0).expect("events");
    let mut stops = controller.events(&["stopped"], 0).expect("events");
    controller.start_process("p").expect("start");
    controller.stop_process("p").expect("stop");
    let states: Vec<String> = all.by_ref().take(4).map(|event| event.expect("event").event.event_type).collect();
    let names = ["STARTING", "RUNNING", "STOPPING", "STOPPED"].map(|state| format!("PROCESS_STATE_{state}"));
    assert_eq!(states, names);
    let stopped = stops.next().expect("one").expect("event").event;
    assert_eq!((stopped.processname.as_str(), stopped.from_state.as_deref()), ("p", Some("STOPPING")));
    let mut past = controller.events(&[], 3).expect("events");
    let replayed: Vec<String> = past.by_ref().take(3).map(|event| event.expect("event").event.event_type).collect();
    assert_eq!(replayed, names[1..]);
    assert_eq!(code(&controller.events(&["dancing"], 0).expect_err("no type")), "INVALID_REQUEST");
    daemon.terminate();
    // The stream ends with the daemon, and without an error.
    let last = all.next();
    assert!(last.is_none(), "{last:?}");
}

/// A slow reader is told how many events it has lost, and delays nobody; the history of a process stays bounded.
#[test]
fn a_slow_reader_of_events_loses_the_oldest_and_delays_nobody() {
    let daemon = Daemon::start("[program:p]\ncommand = sleep 1000\nstartsecs = 0\nautostart = false");
    let controller = daemon.controller();
    let slow = controller.events(&[], 0).expect("events");
    let rounds = 1250; // Four transitions each.
    for _ in 0..rounds {
        controller.start_process("p").expect("start");
        controller.kill_process("p", Terms::default()).expect("kill");
    }
    let history = controller.history(None).expect("history");
    assert_eq!(history.len(), 8);
    assert!(history.windows(2).all(|pair| pair[0].time <= pair[1].time && pair[0].to_state == pair[1].from_state));
    let (mut seen, mut lost) = (0, 0);
    for event in slow {
        let event = event.expect("event");
        (seen, lost) = (seen + 1, lost + event.lost);
        if seen + lost >= 4 * rounds {
            break;
        }
    }
    assert_eq!(seen + lost, 4 * rounds);
    assert!(lost > 0, "it could not keep up");
    daemon.terminate();
}

#[test]
fn the_daemon_tells_of_itself_and_ends_when_it_is_asked_to() {
    let mut daemon = Daemon::start("[program:p]\ncommand = sleep 1000\nstartsecs = 0");
    let pid = daemon.wait_state("p", "RUNNING").pid.expect("it runs");
    let status = daemon.status("p");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    assert!(status.since.is_some_and(|since| since.abs_diff(now) < 600), "{status:?}");
    assert_eq!(status.autostart, Some(true));
    let controller = daemon.controller();
    assert_eq!(controller.ping().expect("ping"), daemon.pid());
    assert_eq!(controller.pid(None).expect("pid"), daemon.pid());
    assert_eq!(controller.pid(Some("p")).expect("pid"), pid);
    let version = controller.version().expect("version");
    assert_eq!((version.version.as_str(), version.pid), (env!("CARGO_PKG_VERSION"), daemon.pid()));
    assert_eq!(controller.log_level(None).expect("level"), "DEBUG");
    assert_eq!(controller.log_level(Some("warning")).expect("level"), "WARNING");
    assert_eq!(controller.log_level(None).expect("level"), "WARNING");
    assert_eq!(code(&controller.log_level(Some("loud")).expect_err("no level")), "INVALID_REQUEST");
    let history = controller.history(Some("p")).expect("history");
    assert_eq!(history[0].cause, "start requested by autostart");
    assert_eq!(controller.shutdown().expect("shutdown"), "The daemon is shutting down");
    assert!(daemon.wait().success(), "{}", daemon.log());
    assert!(!alive(pid));
}

/// Each setting is told with its place, values that may be secret only where they are asked for, and what the file says by now.
#[test]
fn cat_tells_what_a_program_is_and_where_that_stands() {
    let program = "[program:p@eu]\nautorestart = true\n[program:q]\ncommand = sleep 1001\ngroup = nogroup\n";
    let above = "[defaults]\nstopwaitsecs = 3\n[template:p]\ncommand = sleep 1000\nenvironment = TOKEN=s3cret\n";
    let groups = "[group:back]\nprograms = q\n";
    let daemon = Daemon::start(&format!("{above}{program}{groups}"));
    let path = daemon.path("supervice.conf");
    let line_of = |text: &str| {
        let file = fs::read_to_string(&path).expect("the configuration");
        let at = file.lines().position(|line| line == text).expect("it is there");
        u32::try_from(at + 1).expect("a short file")
    };
    let controller = daemon.controller();
    let found = controller.settings("p@eu", false).expect("settings");
    let set: Vec<_> = found.settings.iter().filter(|setting| setting.source.is_some()).collect();
    let told: Vec<_> = set
        .iter()
        .map(|setting| {
            let source = setting.source.as_ref().expect("a source");
            assert_eq!(source.file, path.display().to_string());
            (setting.key.as_str(), setting.value.to_string(), source.section.as_str(), source.line)
        })
        .collect();
    let text = |value: &str| format!("{value:?}");
    assert_eq!(
        told,
        [
            ("command", text("sleep 1000"), "template:p", line_of("command = sleep 1000")),
            ("autorestart", "true".to_owned(), "program:p@eu", line_of("autorestart = true")),
            ("stopwaitsecs", "3".to_owned(), "defaults", line_of("stopwaitsecs = 3")),
            ("environment.TOKEN", text("(hidden)"), "template:p", line_of("environment = TOKEN=s3cret")),
        ]
    );
    assert!(found.in_file && found.settings.iter().all(|setting| setting.in_file.is_none()));
    assert!(controller.settings("p@eu", true).expect("settings").settings.iter().any(|s| s.value == "s3cret"));
    // A group of programs and a group of the system are two keys of one name.
    let groups: Vec<_> = controller.settings("q", false).expect("settings").settings;
    let groups: Vec<_> = groups.iter().filter(|setting| setting.key == "group").collect();
    let sections = groups.iter().map(|setting| setting.source.as_ref().map(|source| source.section.as_str()));
    assert_eq!(sections.collect::<Vec<_>>(), [Some("program:q"), Some("group:back")]);

    let text = fs::read_to_string(&path).expect("the configuration");
    fs::write(&path, text.replace("sleep 1001", "sleep 1002")).expect("written");
    let found = controller.settings("q", false).expect("settings");
    let command = found.settings.iter().find(|setting| setting.key == "command").expect("each program has one");
    assert_eq!((&command.value, command.in_file.as_ref()), (&"sleep 1001".into(), Some(&"sleep 1002".into())));
    fs::write(&path, text.split("[program:q]").next().expect("the others")).expect("written");
    assert!(!controller.settings("q", false).expect("it still runs").in_file);
    fs::write(&path, "[program").expect("written");
    let found = controller.settings("q", false).expect("what is in force");
    assert!(found.file_error.is_some_and(|why| why.contains("supervice.conf:1:")));
    assert!(controller.settings("nix", false).expect_err("none").to_string().contains("no process 'nix'"));
    daemon.terminate();
}

/// It is then that what runs matters most.
#[test]
fn settings_in_force_are_shown_when_the_file_is_broken_or_gone() {
    let daemon = Daemon::start("[program:web]\ncommand = sleep 1000\nstopwaitsecs = 3\nenvironment = KEY=\"secret\"\n");
    let broken = "[program:web]\ncommand = sleep 2000\n[program:zz]\nstartsecs = 1\n";
    for (told, spoil) in [
        ("[program:zz]", Box::new(|| daemon.write_config(broken, &[])) as Box<dyn Fn()>),
        ("supervice.conf", Box::new(|| std::fs::remove_file(daemon.path("supervice.conf")).expect("it is there"))),
    ] {
        spoil();
        let (code, text, errors) = daemon.ctl(&["cat", "web"]);
        assert_eq!((code, errors.as_str()), (0, ""), "{text}");
        for line in ["command = sleep 1000", "stopwaitsecs = 3", "environment.KEY = (hidden)"] {
            let found = text.lines().find(|shown| shown.starts_with(line));
            assert!(found.is_some_and(|found| found.ends_with("# in force")), "{line}: {text}");
        }
        assert!(text.lines().any(|line| line.starts_with("# ") && line.contains(told)), "{told}: {text}");
        assert!(!text.contains("secret") && !text.contains("in no file"), "{text}");
        let (code, text, _) = daemon.ctl(&["cat", "--json", "web"]);
        let answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert!(code == 0 && answer["file_error"].as_str().is_some_and(|why| why.contains(told)), "{text}");
    }
    daemon.terminate();
}

/// The daemon is well: it waits for a program, as it does for a start.
#[test]
fn an_update_or_reload_whose_time_is_over_tells_how_far_it_has_come() {
    let web = |startsecs: u32| format!("[program:web]\ncommand = sleep 1000\nstartsecs = {startsecs}\n");
    let slow = "[program:slow]\ncommand = sh -c 'trap \"\" TERM; echo up > DIR/up; while true; do sleep 1000; done'\n\
                startsecs = 0\nstopwaitsecs = 600\n";
    let daemon = Daemon::start(&(web(0) + slow));
    daemon.wait_state("web", "RUNNING");
    crate::harness::wait_until("it can't be stopped", || daemon.path("up").exists());
    let slow_pid = daemon.status("slow").pid;
    daemon.write_config(&(web(600) + slow), &[]);
    let (code, _, errors) = daemon.ctl(&["--timeout", "1", "update"]);
    assert!(
        code == 4 && errors.contains("not done yet for: web (STARTING") && !errors.contains("overloaded"),
        "{errors}"
    );
    daemon.write_config(&web(600), &[]);
    let (code, _, errors) = daemon.ctl(&["--timeout", "1", "reload"]);
    assert!(
        code == 4 && errors.contains("not stopped yet: slow (STOPPING") && !errors.contains("overloaded"),
        "{errors}"
    );
    // By now no command can name it.
    let pid = nix::unistd::Pid::from_raw(slow_pid.expect("it runs"));
    nix::sys::signal::killpg(pid, nix::sys::signal::Signal::SIGKILL).expect("it lives");
    daemon.terminate();
}

#[test]
fn history_and_health_take_patterns_and_several_names() {
    let programs = ["a1", "a2", "b"].map(|name| format!("[program:{name}]\ncommand = sleep 1000\nstartsecs = 0\n"));
    let daemon = Daemon::start(&programs.concat());
    for name in ["a1", "a2", "b"] {
        daemon.wait_state(name, "RUNNING");
    }
    assert_eq!(daemon.ctl(&["stop", "b"]).0, 0);
    for (words, a, b) in [(&["a*"][..], true, false), (&["a1", "b"], true, true), (&["state:stopped"], false, true)] {
        let (code, text, errors) = daemon.ctl(&[&["history"], words].concat());
        assert_eq!((code, errors.as_str()), (0, ""), "{words:?}");
        assert_eq!((text.contains(" a1 "), text.contains(" b ")), (a, b), "{words:?}: {text}");
    }
    let (code, text, errors) = daemon.ctl(&["history", "a*", "group:x"]);
    assert!(code == 1 && text.contains(" a2 ") && errors.contains("no group 'x'"), "{text}{errors}");
    assert_eq!(daemon.ctl(&["health", "a*", "group:a1"]), (0, "healthy: 2 processes\n".to_owned(), String::new()));
    assert_eq!(daemon.ctl(&["health", "state:stopped"]).0, 1);
    daemon.terminate();
}

#[test]
fn a_kill_leaves_alone_what_needs_the_killed_only_if_it_is_told_to() {
    let daemon = Daemon::start(
        "[program:a]\ncommand = sleep 1000\nstartsecs = 0\n[program:b]\ncommand = sleep 1000\nstartsecs = 0\nrequires = a\n",
    );
    let pid = daemon.wait_state("b", "RUNNING").pid;
    assert_eq!(daemon.ctl(&["kill", "--only", "a"]).0, 0);
    assert_eq!(daemon.status("b").pid, pid);
    assert_eq!(daemon.ctl(&["start", "a"]).0, 0);
    assert_eq!(daemon.ctl(&["kill", "a"]).0, 0);
    assert_eq!(daemon.status("b").state, "STOPPED");
    daemon.terminate();
}

/// It was an empty answer, and with `-f` a wait for ever.
#[test]
fn tail_tells_that_standard_error_is_in_standard_output_and_what_the_last_word_may_be() {
    let daemon =
        Daemon::start("[program:p]\ncommand = sh -c 'echo there >&2; exec sleep 1000'\nredirect_stderr = true");
    daemon.wait_state("p", "RUNNING");
    wait_until("it has written", || daemon.ctl(&["tail", "p"]) == (0, "there\n".to_owned(), String::new()));
    let told =
        "supervicectl: p has redirect_stderr = true: what it writes to standard error is in its standard output\n";
    for args in [&["tail", "p", "stderr"][..], &["tail", "-f", "p", "stderr"]] {
        assert_eq!(daemon.ctl(args), (1, String::new(), told.to_owned()), "{args:?}");
    }
    let (code, out, err) = daemon.ctl(&["tail", "p", "sderr"]);
    assert_eq!((code, out.as_str()), (1, "==> p <==\nthere\n"));
    assert_eq!(err, "supervicectl: no process 'sderr'; write stdout, stderr or nothing after the names\n");
}
