//! Stops: while it starts, of what does not end, and against other commands.

use super::*;

#[test]
fn stop_while_starting_is_not_restarted() {
    let mut bench = Bench::started(|_| {});
    bench.feed(stop());
    bench.end(Exit::Code(1));
    assert_eq!(bench.seen(), [Starting, Stopping, Stopped]);
    assert_eq!(bench.machine.poll_timeout(), None);
    assert_eq!(bench.describe(), "stopped by request");
}

#[test]
fn stop_before_the_answer_to_the_spawn_stops_the_child_that_comes() {
    for (command, signal) in [(stop(), TERM), (kill(), KILL)] {
        let mut machine = Machine::new(Arc::new(config(|_| {})));
        let now = crate::sys::time::now();
        machine.handle_event(now, start());
        machine.handle_event(now, command);
        machine.handle_event(now, Event::Spawned { generation: 1, pid: 7 });
        assert_eq!(machine.state(), Stopping);
        let actions: Vec<Action> = std::iter::from_fn(|| machine.poll_action()).collect();
        let (why, target, resume) = (KillWhy::Requested, SignalTarget::Group, signal != KILL);
        assert_eq!(actions.last(), Some(&Action::Signal { generation: 1, signal, target, resume, why }));
        let caused = |action: &Action| match action {
            Action::Announce(transition) => Some(transition.cause.clone()),
            Action::Spawn { .. }
            | Action::Signal { .. }
            | Action::RunHook { .. }
            | Action::CancelHooks { .. }
            | Action::CheckHealth { .. }
            | Action::ProbeReadiness { .. }
            | Action::AskNotifications { .. }
            | Action::NoteRefused { .. }
            | Action::FindMain { .. }
            | Action::HandOver { .. }
            | Action::NoteMain { .. }
            | Action::NoteReadiness { .. }
            | Action::RunHealthCommand { .. } => None,
        };
        let (verb, by, _) = machine.last_request().expect("just made").clone();
        assert_eq!(actions.iter().rev().find_map(caused), Some(Cause::RequestedDuringSpawn { verb, by }));
    }
}

#[test]
fn stop_before_a_spawn_that_fails_is_stopped() {
    let mut machine = Machine::new(Arc::new(config(|_| {})));
    let now = crate::sys::time::now();
    machine.handle_event(now, start());
    machine.handle_event(now, stop());
    let error = SpawnError::system(SpawnStage::Exec, "/bin/web", ENOENT);
    machine.handle_event(now, Event::SpawnFailed { generation: 1, error });
    assert_eq!(machine.state(), Stopped);
}

#[test]
fn stopped_comes_when_the_group_is_empty_not_when_the_leader_has_ended() {
    let mut bench = Bench::running(|_| {});
    bench.feed(stop());
    bench.exit(Exit::Code(0));
    bench.lingers();
    assert_eq!(bench.seen(), [Stopping]);
    assert_eq!(bench.signals(), [TERM]);
    assert_eq!(bench.describe(), "stopping what pid 11 left of its process group, SIGKILL in 10 s");
    bench.wait(10_000);
    assert_eq!(bench.signals(), [KILL]);
    bench.empty();
    assert_eq!(bench.seen(), [Stopped]);
}

#[test]
fn what_sigkill_does_not_end_gets_it_again_every_five_seconds() {
    let mut bench = Bench::running(|config| config.stopwaitsecs = 1);
    bench.feed(stop());
    assert_eq!(bench.machine.kill_at(), Some(bench.now + Duration::from_secs(1)));
    bench.wait(11_000);
    assert_eq!(bench.signals(), [TERM, KILL, KILL, KILL]);
    assert_eq!(bench.machine.kill_at(), None);
    assert_eq!(bench.describe(), "stopping, SIGKILL was sent but it has not ended yet");
}

#[test]
fn a_stop_signal_kill_is_sent_once() {
    let mut bench = Bench::running(|config| config.stopsignal = "SIGKILL".to_owned());
    bench.feed(stop());
    bench.wait(4_000);
    assert_eq!(bench.signals(), [KILL]);
}

#[test]
fn kill_escalates_a_stop() {
    let mut bench = Bench::running(|_| {});
    bench.feed(stop());
    bench.feed(kill());
    bench.feed(kill());
    assert_eq!(bench.signals(), [TERM, KILL]);
}

#[test]
fn start_during_stopping_waits_for_the_group() {
    let mut bench = Bench::running(|_| {});
    bench.feed(stop());
    bench.feed(start());
    bench.exit(Exit::Signal(TERM));
    bench.lingers();
    assert_eq!(bench.spawns, 1);
    bench.empty();
    assert_eq!(bench.seen(), [Stopping, Stopped, Starting]);
    assert_eq!(bench.spawns, 2);
}

#[test]
fn stop_after_restart_wins() {
    let mut bench = Bench::running(|_| {});
    bench.feed(restart(false));
    bench.feed(stop());
    bench.end(Exit::Signal(TERM));
    assert_eq!(bench.seen(), [Stopping, Stopped]);
    assert_eq!(bench.machine.desired(), Desired::Down);
}

#[test]
fn restart_by_force_sends_sigkill_at_once() {
    let mut bench = Bench::running(|_| {});
    bench.feed(restart(true));
    assert_eq!(bench.signals(), [KILL]);
    bench.end(Exit::Signal(KILL));
    assert_eq!(bench.seen(), [Stopping, Stopped, Starting]);
    assert_eq!(bench.machine.restarts(), 0);
}
