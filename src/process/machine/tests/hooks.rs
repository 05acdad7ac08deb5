//! Hooks: what waits for them, and what follows from their ends.

use super::super::super::hook::HookFailure;
use super::super::super::task::TaskEnd;
use super::*;
use crate::models::{HookCommand, ProgramType};

const ENOEXEC: i32 = 8;
const EAGAIN: i32 = 11;

fn command() -> Vec<HookCommand> {
    vec![HookCommand { command: "/bin/hook".to_owned(), may_fail: false, as_daemon: false }]
}

/// Every hook of a run.
fn hooked(config: &mut ProgramConfig) {
    config.hooks.pre_start = command();
    config.hooks.post_start = command();
    config.hooks.stop_command = command();
    config.hooks.post_stop = command();
}

fn cleaned(config: &mut ProgramConfig) {
    config.hooks.post_stop = command();
}

fn prepared(config: &mut ProgramConfig) {
    config.hooks.pre_start = command();
    config.hooks.post_stop = command();
}

fn failure(hook: Hook, end: TaskEnd) -> Option<HookFailure> {
    Some(HookFailure { hook, command: "/bin/hook".into(), end })
}

fn exit_code(code: u8) -> TaskEnd {
    TaskEnd::Exited { exit: Exit::Code(code), output: "no such database".into() }
}

impl Bench {
    fn hook_ended(&mut self, hook: Hook, end: TaskEnd) {
        let failure = if end.is_success() { None } else { failure(hook, end) };
        let generation = self.machine.generation();
        self.feed(Event::HookEnded { generation, hook, failure });
    }

    fn hook_succeeded(&mut self, hook: Hook) {
        self.hook_ended(hook, exit_code(0));
    }

    fn hooks(&mut self) -> Vec<Hook> {
        std::mem::take(&mut self.hooks)
    }

    fn cancelled(&mut self) -> Vec<bool> {
        std::mem::take(&mut self.cancelled)
    }
}

#[test]
fn pre_start_comes_before_the_spawn_and_has_no_pid() {
    let mut bench = Bench::started(hooked);
    assert_eq!((bench.hooks(), bench.spawns, bench.machine.pid()), (vec![Hook::PreStart], 0, None));
    assert_eq!((bench.machine.state(), bench.machine.poll_timeout()), (Starting, None));
    bench.wait(3_600_000);
    assert_eq!(bench.describe(), "not executed yet");
    bench.hook_succeeded(Hook::PreStart);
    assert_eq!((bench.machine.state(), bench.spawns), (Starting, 1));
    bench.wait(1_000);
    assert_eq!((bench.seen(), bench.hooks()), (vec![Starting, Running], vec![Hook::PostStart]));
}

/// Row 76: a `pre_start` that fails is a failed attempt, with the delays and the limit of one.
#[test]
fn a_failed_pre_start_is_retried_as_a_program_that_ends_too_soon() {
    let mut bench = Bench::started(|config| {
        config.hooks.pre_start = command();
        config.startretries = 2;
    });
    for number in 1..=2 {
        bench.hook_ended(Hook::PreStart, exit_code(3));
        let wanted = format!("pre_start failed: exit code 3: no such database, retry {number} of 2 in {number} s");
        assert_eq!((bench.machine.state(), bench.describe()), (Backoff, wanted));
        bench.wait(number * 1_000);
        assert_eq!(bench.machine.state(), Starting);
    }
    bench.hook_ended(Hook::PreStart, exit_code(3));
    assert_eq!(bench.describe(), "pre_start failed: exit code 3: no such database, gave up after 3 attempts");
    assert_eq!((bench.machine.state(), bench.spawns, bench.machine.restarts()), (Fatal, 0, 0));
    // As of a program, an operator's start begins a new row.
    bench.feed(start());
    bench.hook_succeeded(Hook::PreStart);
    bench.wait(1_000);
    assert_eq!((bench.machine.state(), bench.spawns), (Running, 1));
}

/// Row 76.
#[test]
fn a_pre_start_that_can_never_be_executed_is_not_tried_again() {
    let mut bench = Bench::started(prepared);
    let error = SpawnError::system(SpawnStage::Exec, "/bin/hook", ENOEXEC);
    bench.hook_ended(Hook::PreStart, TaskEnd::SpawnFailed(Box::new(error)));
    assert_eq!((bench.machine.state(), bench.hooks()), (Fatal, vec![Hook::PreStart, Hook::PostStop]));
    assert_eq!(bench.describe(), "pre_start failed: cannot execute /bin/hook: Exec format error");
}

/// Row 70: once per run that began, however it ended, and after a failed `pre_start`.
#[test]
fn post_stop_runs_once_for_each_run_that_began() {
    type Ends = (&'static str, fn(&mut Bench));
    let ends: [Ends; 6] = [
        ("an exit", |bench| bench.end(Exit::Code(0))),
        ("a crash", |bench| bench.end(Exit::Signal(11))),
        ("a stop", |bench| {
            bench.feed(stop());
            bench.end(Exit::Signal(TERM));
        }),
        ("a kill", |bench| {
            bench.feed(kill());
            bench.end(Exit::Signal(KILL));
        }),
        ("a stop that takes too long", |bench| {
            bench.feed(stop());
            bench.wait(10_000);
            bench.end(Exit::Signal(KILL));
        }),
        ("a crash that leaves workers", |bench| {
            bench.exit(Exit::Signal(11));
            bench.lingers();
            assert!(bench.hooks.is_empty(), "row 71: not beside what is left of it");
            bench.empty();
        }),
    ];
    for (what, end) in ends {
        let mut bench = Bench::running(cleaned);
        end(&mut bench);
        assert_eq!(bench.hooks(), [Hook::PostStop], "{what}");
        let (generation, hook) = (bench.machine.generation(), Hook::PostStop);
        bench.hook_succeeded(hook);
        assert!(bench.hooks().is_empty(), "{what}");
        // Told once more, nothing changes.
        let before = format!("{:?}", bench.machine);
        bench.feed(Event::HookEnded { generation, hook, failure: None });
        assert_eq!(format!("{:?}", bench.machine), before, "{what}");
    }
    let mut bench = Bench::started(prepared);
    bench.hook_ended(Hook::PreStart, exit_code(1));
    assert_eq!(bench.hooks(), [Hook::PreStart, Hook::PostStop]);
    bench.hook_succeeded(Hook::PostStop);
    bench.wait(1_000);
    // It has run, but the program could not be spawned.
    bench.spawn_error = Some(SpawnError::system(SpawnStage::Fork, "", EAGAIN));
    bench.hook_succeeded(Hook::PreStart);
    assert_eq!((bench.machine.state(), bench.hooks()), (Backoff, vec![Hook::PreStart, Hook::PostStop]));
}

#[test]
fn what_has_not_begun_is_not_cleaned_up() {
    let mut bench = Bench::new(cleaned);
    bench.spawn_error = Some(SpawnError::system(SpawnStage::Fork, "", EAGAIN));
    bench.feed(start());
    bench.feed(stop());
    assert_eq!((bench.machine.state(), bench.hooks()), (Stopped, vec![]));
    // Nor is what an earlier daemon has left: that was its run.
    let mut bench = Bench::new(cleaned);
    bench.feed(Event::OrphansFound { pid: 7 });
    bench.empty();
    assert_eq!((bench.machine.state(), bench.hooks()), (Stopped, vec![]));
}

#[test]
fn a_crash_is_exited_at_once_and_the_restart_waits_for_post_stop() {
    let mut bench = Bench::running(cleaned);
    bench.end(Exit::Code(1));
    assert_eq!(bench.describe(), "exit code 1 after 24:00:00, restart after its post_stop");
    bench.wait(30_000);
    assert_eq!((bench.seen(), bench.spawns), (vec![Exited], 1));
    bench.hook_succeeded(Hook::PostStop);
    assert_eq!((bench.seen(), bench.spawns), (vec![Starting], 2));
}

#[test]
fn the_delay_of_a_retry_counts_from_the_end_of_post_stop() {
    let mut bench = Bench::started(cleaned);
    bench.end(Exit::Code(1));
    bench.wait(30_000);
    assert_eq!(bench.seen(), [Starting, Exited, Backoff]);
    bench.hook_ended(Hook::PostStop, exit_code(1));
    bench.wait(999);
    assert_eq!(bench.machine.state(), Backoff);
    bench.wait(1);
    assert_eq!((bench.machine.state(), bench.spawns), (Starting, 2));
}

#[test]
fn a_stop_is_stopped_when_post_stop_has_ended() {
    let mut bench = Bench::running(cleaned);
    bench.feed(stop());
    bench.end(Exit::Signal(TERM));
    assert_eq!((bench.seen(), bench.machine.is_engaged(), bench.machine.has_run()), (vec![Stopping], true, false));
    bench.hook_ended(Hook::PostStop, exit_code(1));
    assert_eq!((bench.seen(), bench.machine.is_engaged()), (vec![Stopped], false));
}

/// Rows 68 and 69: in every phase of a hook a stop, a kill and a restart end in what was asked for.
#[test]
fn a_stop_kill_or_restart_in_each_phase_of_a_hook_ends_as_asked() {
    type Phase = (&'static str, fn() -> Bench);
    let phases: [Phase; 7] = [
        ("pre_start", || Bench::started(hooked)),
        ("post_start", || {
            let mut bench = Bench::started(hooked);
            bench.hook_succeeded(Hook::PreStart);
            bench.wait(1_000);
            bench
        }),
        ("stop_command", || {
            let mut bench = Bench::started(hooked);
            bench.hook_succeeded(Hook::PreStart);
            bench.wait(1_000);
            bench.feed(stop());
            bench
        }),
        ("post_stop of a stop", || {
            let mut bench = Bench::running(cleaned);
            bench.feed(stop());
            bench.end(Exit::Signal(TERM));
            bench
        }),
        ("post_stop of a crash", || {
            let mut bench = Bench::running(cleaned);
            bench.end(Exit::Signal(11));
            bench
        }),
        ("post_stop of a failed attempt", || {
            let mut bench = Bench::started(cleaned);
            bench.end(Exit::Signal(11));
            bench
        }),
        ("post_stop of what was given up", || {
            let mut bench = Bench::started(|config| {
                cleaned(config);
                config.startretries = 0;
            });
            bench.end(Exit::Signal(11));
            bench
        }),
    ];
    for (name, phase) in phases {
        for (asked, up) in
            [(stop(), false), (kill(), false), (restart(false), true), (restart(true), true), (start(), true)]
        {
            let mut bench = phase();
            let before = bench.spawns;
            bench.feed(asked.clone());
            bench.settle();
            let wanted = if up { [Running].as_slice() } else { &[Stopped] };
            assert!(wanted.contains(&bench.machine.state()), "{name}, {asked:?}: {}", bench.machine.state());
            assert_eq!(bench.machine.pid().is_some(), up, "{name}, {asked:?}");
            assert!(bench.spawns <= before + 1, "{name}, {asked:?}");
        }
    }
}

impl Bench {
    /// Everything ends that is waited for: each hook, and the program by whatever signal.
    fn settle(&mut self) {
        for _ in 0..20 {
            for hook in self.hooks() {
                self.hook_succeeded(hook);
            }
            if self.machine.state() == Stopping && self.machine.pid().is_some() && !self.signals().is_empty() {
                self.end(Exit::Signal(KILL));
            }
            self.wait(1_000);
        }
    }
}

#[test]
fn a_stop_during_pre_start_ends_it_and_cleans_up() {
    for (asked, force) in [(stop(), false), (kill(), true), (restart(true), true)] {
        let mut bench = Bench::started(prepared);
        bench.hooks();
        bench.feed(asked);
        assert_eq!((bench.cancelled(), bench.machine.state()), (vec![force], Stopping));
        assert_eq!(bench.describe(), "stopping");
        bench.hook_ended(Hook::PreStart, TaskEnd::Cancelled);
        assert_eq!((bench.hooks(), bench.spawns), (vec![Hook::PostStop], 0));
    }
    // Twice is by force.
    let mut bench = Bench::started(prepared);
    bench.feed(stop());
    bench.feed(kill());
    assert_eq!(bench.cancelled(), [false, true]);
}

#[test]
fn a_stop_during_post_start_ends_it() {
    let mut bench = Bench::running(hooked_start);
    assert_eq!(bench.hooks(), [Hook::PostStart]);
    bench.feed(stop());
    assert_eq!((bench.cancelled(), bench.signals()), (vec![false], vec![TERM]));
}

fn hooked_start(config: &mut ProgramConfig) {
    config.hooks.post_start = command();
}

/// Row 73: the same hooks, whatever has led to the start.
#[test]
fn each_start_has_the_same_hooks() {
    let mut bench = Bench::started(hooked);
    for number in 1..=4 {
        assert_eq!(bench.hooks(), [Hook::PreStart], "start {number}");
        bench.hook_succeeded(Hook::PreStart);
        bench.wait(1_000);
        assert_eq!((bench.machine.state(), bench.hooks()), (Running, vec![Hook::PostStart]), "start {number}");
        match number {
            1 => bench.end(Exit::Code(1)),
            2 => {
                bench.feed(restart(false));
                assert_eq!(bench.hooks(), [Hook::StopCommand]);
                bench.exit(Exit::Code(0));
                bench.lingers();
                bench.hook_succeeded(Hook::StopCommand);
                bench.empty();
            }
            3 => {
                bench.feed(restart(true));
                assert!(bench.hooks().is_empty());
                bench.end(Exit::Signal(KILL));
            }
            _ => break,
        }
        assert_eq!(bench.hooks(), [Hook::PostStop], "end {number}");
        bench.hook_succeeded(Hook::PostStop);
    }
}

#[test]
fn stop_command_comes_in_place_of_the_signal() {
    let mut bench = Bench::running(|config| config.hooks.stop_command = command());
    bench.feed(stop());
    assert_eq!((bench.hooks(), bench.signals()), (vec![Hook::StopCommand], vec![]));
    assert_eq!(bench.describe(), "stopping, SIGTERM in 5 s, SIGKILL in 10 s");
    // Its leader ends while the command goes on: nothing is sent meanwhile.
    bench.exit(Exit::Code(0));
    bench.lingers();
    bench.wait(4_999);
    assert!(bench.signals().is_empty());
    bench.hook_succeeded(Hook::StopCommand);
    assert_eq!((bench.signals(), bench.whys()), (vec![TERM], vec![KillWhy::Remains]));
    bench.empty();
    assert_eq!(bench.seen(), [Stopping, Stopped]);
}

#[test]
fn the_signal_follows_a_failed_stop_command_at_once_and_stopwaitsecs_covers_both() {
    let mut bench = Bench::running(|config| config.hooks.stop_command = command());
    bench.feed(stop());
    bench.wait(4_000);
    bench.hook_ended(Hook::StopCommand, exit_code(1));
    assert_eq!((bench.signals(), bench.describe().as_str()), (vec![TERM], "stopping, SIGKILL in 6 s"));
    bench.wait(5_999);
    assert!(bench.signals().is_empty());
    bench.wait(1);
    assert_eq!(bench.signals(), [KILL]);
    assert_eq!(bench.whys(), [KillWhy::Requested, KillWhy::StopTimeout { seconds: 10 }]);
}

#[test]
fn after_a_stop_command_that_succeeds_the_signal_comes_at_half_of_what_is_left() {
    let mut bench = Bench::running(|config| config.hooks.stop_command = command());
    bench.feed(stop());
    bench.wait(2_000);
    bench.hook_succeeded(Hook::StopCommand);
    assert_eq!(bench.describe(), "stopping, SIGTERM in 4 s, SIGKILL in 8 s");
    bench.wait(3_999);
    assert!(bench.signals().is_empty());
    bench.wait(1);
    assert_eq!((bench.signals(), bench.whys()), (vec![TERM], vec![KillWhy::OutlivedCommand { seconds: 4 }]));
    bench.wait(4_000);
    assert_eq!((bench.signals(), bench.whys()), (vec![KILL], vec![KillWhy::StopTimeout { seconds: 10 }]));
}

#[test]
fn a_stop_command_that_hangs_is_killed_with_its_program_when_stopwaitsecs_is_over() {
    let mut bench = Bench::running(|config| config.hooks.stop_command = command());
    bench.feed(stop());
    bench.wait(10_000);
    assert_eq!((bench.cancelled(), bench.signals()), (vec![true], vec![TERM, KILL]));
    assert_eq!(bench.whys(), [KillWhy::CommandHangs { seconds: 5 }, KillWhy::CommandTimeout { seconds: 10 }]);
    bench.hook_ended(Hook::StopCommand, TaskEnd::Cancelled);
    bench.end(Exit::Signal(KILL));
    assert_eq!(bench.machine.state(), Stopped);
}

#[test]
fn the_signal_comes_at_half_time_where_the_stop_command_hangs_and_the_program_may_still_end_by_it() {
    let mut bench = Bench::running(|config| config.hooks.stop_command = command());
    bench.feed(stop());
    assert_eq!(bench.describe(), "stopping, SIGTERM in 5 s, SIGKILL in 10 s");
    bench.wait(4_999);
    assert!(bench.signals().is_empty());
    bench.wait(1);
    assert_eq!((bench.signals(), bench.cancelled()), (vec![TERM], vec![]), "the command goes on");
    bench.end(Exit::Signal(TERM));
    assert_eq!((bench.signals(), bench.machine.state()), (vec![], Stopped));
}

#[test]
fn a_stop_command_that_ends_behind_its_half_time_changes_nothing() {
    for end in [None, Some(exit_code(1))] {
        let mut bench = Bench::running(|config| config.hooks.stop_command = command());
        bench.feed(stop());
        bench.wait(5_000);
        assert_eq!(bench.signals(), [TERM]);
        bench.wait(1_000);
        match end {
            None => bench.hook_succeeded(Hook::StopCommand),
            Some(end) => bench.hook_ended(Hook::StopCommand, end),
        }
        assert!(bench.signals().is_empty());
        bench.wait(4_000);
        assert_eq!((bench.cancelled(), bench.signals()), (vec![], vec![KILL]), "no command is there to be ended");
        assert_eq!(bench.whys().last(), Some(&KillWhy::StopTimeout { seconds: 10 }));
    }
}

#[test]
fn a_kill_does_not_wait_for_the_stop_command() {
    let mut bench = Bench::running(|config| config.hooks.stop_command = command());
    bench.feed(kill());
    assert_eq!((bench.hooks(), bench.signals()), (vec![], vec![KILL]));
    let mut bench = Bench::running(|config| config.hooks.stop_command = command());
    bench.feed(stop());
    bench.feed(kill());
    assert_eq!((bench.cancelled(), bench.signals()), (vec![true], vec![KILL]));
}

#[test]
fn several_stop_signals_behind_a_stop_command_end_with_all_their_seconds() {
    let mut bench = Bench::running(|config| {
        config.hooks.stop_command = command();
        config.stopsignal = "QUIT:5,TERM:5".to_owned();
    });
    bench.feed(stop());
    bench.wait(3_000);
    bench.hook_ended(Hook::StopCommand, exit_code(1));
    bench.wait(7_000);
    assert_eq!(bench.signals(), [3, TERM, KILL]);
}

fn mount(config: &mut ProgramConfig) {
    config.program_type = ProgramType::Oneshot;
    config.hooks.stop_command = command();
    config.hooks.post_stop = command();
}

#[test]
fn a_oneshot_with_a_stop_command_is_up_until_a_stop_has_run_it() {
    let mut bench = Bench::started(mount);
    bench.end(Exit::Code(0));
    assert!(bench.machine.is_up() && bench.machine.has_completed() && bench.machine.is_up_or_starting());
    assert_eq!((bench.hooks(), bench.machine.poll_timeout()), (vec![], None));
    assert_eq!(bench.describe(), "up, completed after 0.0 s");
    // It is up already.
    bench.feed(start());
    assert_eq!((bench.seen(), bench.spawns), (vec![Starting, Exited], 1));
    bench.feed(stop());
    assert_eq!((bench.seen(), bench.hooks()), (vec![Stopping], vec![Hook::StopCommand]));
    bench.hook_ended(Hook::StopCommand, exit_code(32));
    assert_eq!(bench.hooks(), [Hook::PostStop]);
    bench.hook_succeeded(Hook::PostStop);
    assert_eq!((bench.seen(), bench.machine.is_engaged()), (vec![Stopped], false));
}

#[test]
fn the_stop_command_of_a_oneshot_that_is_up_has_stopwaitsecs() {
    let mut bench = Bench::started(mount);
    bench.end(Exit::Code(0));
    bench.feed(stop());
    bench.wait(9_999);
    assert!(bench.cancelled().is_empty());
    bench.wait(1);
    assert_eq!(bench.cancelled(), [true]);
    bench.hook_ended(Hook::StopCommand, TaskEnd::Cancelled);
    bench.hook_succeeded(Hook::PostStop);
    assert_eq!(bench.machine.state(), Stopped);
}

#[test]
fn a_restart_of_a_oneshot_that_is_up_stops_it_first_and_a_kill_skips_its_stop_command() {
    let mut bench = Bench::started(mount);
    bench.end(Exit::Code(0));
    bench.feed(restart(false));
    assert_eq!(bench.hooks(), [Hook::StopCommand]);
    bench.hook_succeeded(Hook::StopCommand);
    bench.hook_succeeded(Hook::PostStop);
    assert_eq!((bench.machine.state(), bench.spawns), (Starting, 2));
    bench.end(Exit::Code(0));
    bench.hooks();
    bench.feed(kill());
    assert_eq!(bench.hooks(), [Hook::PostStop]);
}

#[test]
fn a_oneshot_that_fails_is_not_up_and_is_cleaned_up() {
    let mut bench = Bench::started(mount);
    bench.end(Exit::Code(1));
    assert_eq!((bench.machine.is_up(), bench.hooks()), (false, vec![Hook::PostStop]));
}

#[test]
fn a_run_keeps_the_settings_that_its_pre_start_was_run_with() {
    let mut bench = Bench::started(prepared);
    let other = config(|config| config.command = "/bin/other".to_owned());
    bench.feed(Event::ConfigChanged(Arc::new(other)));
    bench.hook_succeeded(Hook::PreStart);
    let run = bench.machine.run_config().expect("it runs");
    assert_eq!((run.command.as_str(), run.hooks.post_stop.len()), ("/bin/web", 1));
    bench.wait(1_000);
    bench.end(Exit::Code(1));
    bench.hook_succeeded(Hook::PostStop);
    let run = bench.machine.run_config().expect("it runs");
    assert_eq!((run.command.as_str(), run.hooks.post_stop.len()), ("/bin/other", 0));
}

#[test]
fn a_dependency_that_is_lost_between_pre_start_and_spawn_is_waited_for_after_the_clean_up() {
    let mut bench = Bench::started(prepared);
    let held = |bench: &mut Bench| {
        let generation = bench.machine.generation();
        bench.machine.handle_event(bench.now, Event::HookEnded { generation, hook: Hook::PreStart, failure: None });
        bench.machine.handle_event(bench.now, Event::Held { generation });
        generation
    };
    let generation = held(&mut bench);
    assert!(bench.machine.is_waiting() && bench.machine.is_engaged());
    // Once it is back the spawn follows, without another pre_start.
    while bench.machine.poll_action().is_some() {}
    bench.hooks();
    bench.feed(Event::Released { generation, on: None });
    assert_eq!((bench.hooks(), bench.spawns), (vec![], 1));
    bench.feed(stop());
    bench.end(Exit::Signal(TERM));
    bench.hook_succeeded(Hook::PostStop);
    bench.feed(start());
    let generation = held(&mut bench);
    while bench.machine.poll_action().is_some() {}
    bench.hooks();
    let lost = Event::DependencyLost { generation, on: "db".into(), state: Some(Fatal) };
    bench.feed(lost);
    assert_eq!((bench.machine.state(), bench.hooks()), (Stopping, vec![Hook::PostStop]));
    bench.hook_succeeded(Hook::PostStop);
    assert_eq!((bench.machine.state(), bench.hooks()), (Starting, vec![Hook::PreStart]), "it asks once more");
}
