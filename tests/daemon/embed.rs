//! A Rust program embeds the supervisor.

use std::sync::mpsc::channel;

use supervice::core::Supervisor;
use supervice::events::EventType;
use supervice::models::{ProgramConfig, SupervisorConfig};
use supervice::process::{ProcessError, ProcessState};

use crate::harness::{alive, wait_until};

fn quiet(programs: Vec<ProgramConfig>) -> SupervisorConfig {
    SupervisorConfig { programs, logfile: None, pidfile: None, socket_path: None, ..SupervisorConfig::default() }
}

fn sleeper(name: &str) -> ProgramConfig {
    let mut program = ProgramConfig::new(name, "sleep 1000");
    program.startsecs = 0;
    program.autostart = false;
    program
}

#[test]
fn start_stop_and_events_from_another_thread() {
    let supervisor = Supervisor::with_config(quiet(vec![sleeper("web")]));
    let (tx, rx) = channel();
    for kind in [EventType::ProcessStateRunning, EventType::ProcessStateStopped] {
        let tx = tx.clone();
        supervisor.events().subscribe(kind, move |event| {
            tx.send((event.event_type, event.text("processname").map(str::to_owned), event.number("pid"))).unwrap();
        });
    }
    let runner = supervisor.clone();
    let thread = std::thread::spawn(move || runner.run());
    let web = supervisor.process("web").expect("configured");
    web.start_process().expect("start");
    assert_eq!((web.state(), web.should_run()), (ProcessState::Running, true));
    let pid = web.pid().expect("a pid");
    assert!(alive(pid) && web.started_at().is_some());
    assert_eq!(rx.recv().unwrap(), (EventType::ProcessStateRunning, Some("web".to_owned()), Some(i64::from(pid))));
    web.stop_process().expect("stop");
    assert!(!alive(pid));
    assert_eq!((web.state(), web.pid(), web.should_run()), (ProcessState::Stopped, None, false));
    assert_eq!(rx.recv().unwrap().0, EventType::ProcessStateStopped);
    web.start().expect("start without waiting");
    wait_until("web runs", || web.state() == ProcessState::Running);
    web.force_kill().expect("kill");
    assert_eq!(supervisor.groups()["web"], ["web"]);
    assert_eq!(supervisor.config().programs[0].name, "web");
    supervisor.shutdown();
    thread.join().expect("no panic").expect("a clean end");
    assert_eq!(web.start_process(), Err(ProcessError::NotRunning));
}

/// A child of the embedding program is not the supervisor's business.
#[test]
fn children_of_the_embedding_program_are_left_to_it() {
    let supervisor = Supervisor::with_config(quiet(vec![sleeper("web")]));
    let runner = supervisor.clone();
    let thread = std::thread::spawn(move || runner.run());
    let web = supervisor.process("web").expect("configured");
    for code in 0..20 {
        let mut child = std::process::Command::new("sh").args(["-c", &format!("exit {code}")]).spawn().unwrap();
        web.start_process().expect("start");
        web.stop_process().expect("stop");
        assert_eq!(child.wait().unwrap().code(), Some(code), "its status was stolen");
    }
    supervisor.shutdown();
    thread.join().expect("no panic").expect("a clean end");
}

/// Settings of the daemon that take effect at once are seen as soon as the reload is over; the others stay as they are.
#[test]
fn the_configuration_in_force_is_seen_after_a_reload() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("embedded.ini");
    let write = |more: &str| {
        let text = format!("[supervice]\nsocket = none\npidfile = none\nlogfile = none\n{more}\n");
        std::fs::write(&path, text).expect("written");
    };
    write("shutdown_timeout = 30");
    let supervisor = Supervisor::new();
    supervisor.load_config(&path).expect("loaded");
    let runner = supervisor.clone();
    let thread = std::thread::spawn(move || runner.run());
    write(
        "shutdown_timeout = 77\nlog_backups = 3\nlog_format = json\n[program:new]\ncommand = sleep 1000\nautostart = false",
    );
    let plan = supervisor.reload_config().expect("reloaded");
    let settings: Vec<_> = plan.daemon_settings_changed.iter().map(|setting| (setting.key, setting.live)).collect();
    assert_eq!(settings, [("log_backups", true), ("shutdown_timeout", true), ("log_format", false)]);
    let config = supervisor.config();
    assert_eq!((config.shutdown_timeout, config.log_backups, config.programs.len()), (77, 3, 1));
    supervisor.shutdown();
    thread.join().expect("no panic").expect("a clean end");
}

/// `kill` ends a run, not the supervision: as in the Python package the next run follows where one is meant to be.
#[test]
fn kill_ends_the_run_and_leaves_what_is_meant_to_run() {
    let supervisor = Supervisor::with_config(quiet(vec![sleeper("web")]));
    let runner = supervisor.clone();
    let thread = std::thread::spawn(move || runner.run());
    let web = supervisor.process("web").expect("configured");
    web.kill().expect("there is nothing to do");
    assert_eq!((web.state(), web.should_run()), (ProcessState::Stopped, false));
    web.start_process().expect("start");
    let first = web.pid().expect("a pid");
    web.kill().expect("kill");
    assert!(!alive(first));
    assert_eq!((web.state(), web.should_run()), (ProcessState::Running, true));
    assert_ne!(web.pid(), Some(first));
    web.stop_process().expect("stop");
    web.kill().expect("there is nothing to do");
    assert_eq!((web.state(), web.should_run()), (ProcessState::Stopped, false));
    supervisor.shutdown();
    thread.join().expect("no panic").expect("a clean end");
}

/// A logger of the embedding program.
struct OwnLogger;

impl log::Log for OwnLogger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, _: &log::Record<'_>) {}
    fn flush(&self) {}
}

/// The two tests below, each in a process of its own: a process has one logger.
fn in_own_process(name: &str, test: impl FnOnce()) {
    const MARK: &str = "SUPERVICE_TEST_OWN_PROCESS";
    if std::env::var(MARK).is_ok_and(|mark| mark == name) {
        return test();
    }
    let mut command = std::process::Command::new(std::env::current_exe().expect("this program"));
    let status = command.args([name, "--exact", "--nocapture"]).env(MARK, name).status().expect("it runs");
    assert!(status.success());
}

fn configuration(dir: &std::path::Path, level: &str) -> std::path::PathBuf {
    let path = dir.join("embedded.ini");
    let log = dir.join("own.log");
    let text = format!("[supervice]\nsocket = none\npidfile = none\nloglevel = {level}\nlogfile = {}\n", log.display());
    std::fs::write(&path, text).expect("written");
    path
}

#[test]
fn load_config_sets_up_the_log() {
    in_own_process("embed::load_config_sets_up_the_log", || {
        let dir = tempfile::tempdir().expect("a directory");
        let lost = configuration(&dir.path().join("."), "INFO");
        Supervisor::new().load_config(&lost).expect("loaded");
        log::info!("said by the program");
        log::debug!("not said");
        assert!(supervice::logger::flush(std::time::Duration::from_secs(60)));
        let text = std::fs::read_to_string(dir.path().join("own.log")).expect("the log is there");
        assert!(text.contains("said by the program") && !text.contains("not said"), "{text}");
        let nowhere = dir.path().join("nowhere.ini");
        std::fs::write(&nowhere, format!("[supervice]\nlogfile = {}/no/such/x.log\n", dir.path().display())).unwrap();
        let error = Supervisor::new().load_config(&nowhere).expect_err("there is no such directory").to_string();
        assert!(error.contains("x.log") && !error.contains("os error"), "{error}");
    });
}

#[test]
fn a_logger_of_the_programs_own_is_left_alone() {
    in_own_process("embed::a_logger_of_the_programs_own_is_left_alone", || {
        log::set_logger(&OwnLogger).expect("the first one");
        log::set_max_level(log::LevelFilter::Trace);
        let dir = tempfile::tempdir().expect("a directory");
        let path = configuration(dir.path(), "ERROR");
        let supervisor = Supervisor::new();
        supervisor.load_config(&path).expect("loaded");
        assert!(!dir.path().join("own.log").exists(), "no file is made that nobody writes to");
        let runner = supervisor.clone();
        let thread = std::thread::spawn(move || runner.run());
        configuration(dir.path(), "WARNING");
        let plan = supervisor.reload_config().expect("reloaded");
        assert_eq!(plan.daemon_settings_changed.len(), 1);
        assert_eq!(log::max_level(), log::LevelFilter::Trace);
        supervisor.shutdown();
        thread.join().expect("no panic").expect("a clean end");
    });
}

#[test]
fn a_failed_start_tells_why() {
    let mut broken = sleeper("broken");
    broken.command = "/no/such/program".to_owned();
    let supervisor = Supervisor::with_config(quiet(vec![broken]));
    let runner = supervisor.clone();
    let thread = std::thread::spawn(move || runner.run());
    let error = supervisor.process("broken").expect("configured").start_process().expect_err("it can't");
    assert!(error.to_string().contains("cannot execute /no/such/program: the directory /no does not exist"), "{error}");
    supervisor.shutdown();
    thread.join().expect("no panic").expect("a clean end");
}
