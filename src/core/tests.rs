use super::*;
use crate::models::{HealthCheckConfig, HealthCheckType};
use crate::process::ProcessState;

fn empty() -> Supervisor {
    Supervisor::with_config(SupervisorConfig {
        logfile: None,
        pidfile: None,
        socket_path: None,
        ..SupervisorConfig::default()
    })
}

#[test]
fn a_command_that_comes_as_the_supervisor_ends_is_refused_and_does_not_wait() {
    let supervisor = empty();
    let runner = supervisor.clone();
    let thread = std::thread::spawn(move || runner.run());
    supervisor.shutdown();
    thread.join().expect("no panic").expect("a clean end");
    // Past the look at the phase, as a thread may be that was interrupted right behind it.
    let (reply, answer) = bounded(1);
    let late = External::Local { request: Request::Command(Command::Reload { timeout: None }), reply: Some(reply) };
    assert!(supervisor.inner.inputs.send_timeout(late, Duration::from_secs(60)).is_err());
    assert!(answer.recv().is_err());
}

#[test]
fn what_waits_in_the_queue_when_the_supervisor_ends_is_let_go() {
    let supervisor = empty();
    let (reply, answer) = bounded(1);
    supervisor.shutdown();
    supervisor.shutdown();
    supervisor
        .inner
        .inputs
        .send(External::Local { request: Request::Command(Command::Reload { timeout: None }), reply: Some(reply) })
        .expect("room");
    supervisor.run().expect("a clean end");
    // Answered or not, depending on how the inputs were batched; but never waited for in vain.
    let _ = answer.recv();
    assert!(matches!(supervisor.run(), Err(RunError::NotIdle)));
    let error = supervisor.reload_config().expect_err("it has ended");
    assert_eq!(error, ProcessError::NotRunning);
    assert_eq!(error.to_string(), "the supervisor does not run: call Supervisor::run first");
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = crate::sys::time::now() + Duration::from_secs(60);
    while !done() {
        assert!(crate::sys::time::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn the_handle_of_a_process_tells_what_it_does() {
    let sleeper = ProgramConfig::new("sleeper", "sleep 1000");
    let healthcheck = HealthCheckConfig {
        check_type: HealthCheckType::Script,
        command: Some("true".to_owned()),
        interval: 1,
        start_period: 0,
        ..HealthCheckConfig::default()
    };
    let supervisor = Supervisor::with_config(SupervisorConfig {
        logfile: None,
        pidfile: None,
        socket_path: None,
        programs: vec![ProgramConfig { autostart: false, startsecs: 0, healthcheck: healthcheck.into(), ..sleeper }],
        ..SupervisorConfig::default()
    });
    let runner = supervisor.clone();
    let thread = std::thread::spawn(move || runner.run());
    let process = loop {
        match supervisor.process("sleeper") {
            Some(process) if process.start_process().is_ok() => break process,
            Some(_) | None => std::thread::yield_now(),
        }
    };
    let pid = process.pid().expect("it runs");
    assert_eq!(process.state(), ProcessState::Running);
    // Until the kernel has written down the new command line there is none, or that of the daemon where the child is
    // late.
    wait_for("the path at which it was found", || {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).expect("it lives");
        line.ends_with("/sleep\x001000\0")
    });
    assert!(process.should_run());
    wait_for("the first health check", || process.is_healthy() == Some(true));
    assert!(process.started_at().is_some_and(|at| at <= std::time::Instant::now()));
    let text = format!("{process:?}");
    assert!(text.contains("sleeper") && text.contains(&pid.to_string()), "{text}");
    process.stop_process().expect("stopped");
    assert_eq!((process.pid(), process.started_at(), process.should_run()), (None, None, false));
    assert_eq!((process.name(), process.is_healthy()), ("sleeper", None));
    for stop in [Process::stop, Process::force_kill] {
        process.start().expect("asked for");
        wait_for("the start", || process.state() == ProcessState::Running);
        stop(&process).expect("stopped");
        assert_eq!((process.state(), process.pid()), (ProcessState::Stopped, None));
    }
    supervisor.shutdown();
    thread.join().expect("no panic").expect("a clean end");
}

fn within_a_minute<T: Send + 'static>(what: &str, act: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = bounded(1);
    std::thread::spawn(move || drop(sender.send(act())));
    receiver.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

#[test]
fn nobody_waits_for_a_supervisor_that_could_not_begin() {
    let supervisor = Supervisor::with_config(SupervisorConfig {
        logfile: None,
        pidfile: None,
        socket_path: Some("/no/such/directory/socket".to_owned()),
        programs: vec![ProgramConfig::new("web", "sleep 1000")],
        ..SupervisorConfig::default()
    });
    assert!(matches!(supervisor.run(), Err(RunError::Socket(_))));
    let process = supervisor.process("web").expect("it is configured");
    let error = within_a_minute("the answer", move || process.stop_process()).expect_err("nobody is there");
    assert_eq!(error, ProcessError::NotRunning);
}

#[test]
fn a_configuration_that_is_loaded_replaces_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("supervice.conf");
    std::fs::write(&path, "[supervice]\nlogfile = none\n[program:new]\ncommand = true\n").unwrap();
    let supervisor = Supervisor::with_config(SupervisorConfig {
        programs: vec![ProgramConfig::new("old", "true")],
        ..SupervisorConfig::default()
    });
    supervisor.load_config(&path).expect("it can be read");
    assert!(supervisor.processes().keys().eq(["new"]));
    let text = format!("{supervisor:?}");
    assert!(text.contains("processes: 1"), "{text}");
}

#[test]
fn an_end_that_was_a_success_is_no_error() {
    let supervisor = Supervisor::with_config(SupervisorConfig {
        logfile: None,
        pidfile: None,
        socket_path: None,
        exit_when_idle: true,
        programs: vec![ProgramConfig {
            startsecs: 0,
            autorestart: crate::models::AutoRestart::Never,
            ..ProgramConfig::new("job", "true")
        }],
        ..SupervisorConfig::default()
    });
    within_a_minute("the end", move || supervisor.run()).expect("exit code 0");
}
