use super::*;

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
    let late = Input::LocalReload { reply };
    assert!(supervisor.inner.inputs.send_timeout(late, Duration::from_secs(60)).is_err());
    assert!(answer.recv().is_err());
}

#[test]
fn what_waits_in_the_queue_when_the_supervisor_ends_is_let_go() {
    let supervisor = empty();
    let (reply, answer) = bounded(1);
    supervisor.shutdown();
    supervisor.shutdown();
    supervisor.inner.inputs.send(Input::LocalReload { reply }).expect("room");
    supervisor.run().expect("a clean end");
    // Answered or not, depending on how the inputs were batched; but never waited for in vain.
    let _ = answer.recv();
    assert!(matches!(supervisor.run(), Err(RunError::NotIdle)));
    assert_eq!(supervisor.reload_config().expect_err("it has ended"), ProcessError::NotRunning);
}
