//! What operators ask for: commands and waits.

use super::bench::{BY, OWN_PID, act_on_terms, checked, quick, update, wait};
use super::*;
use crate::api::{LogLevel, NextStep, Query, Unreached};
use crate::core::effect::CheckPurpose;
use crate::models::{AutoRestart, Power};
use crate::process::{RemoteCaller, SignalTarget, SpawnStage};

const NO_WAIT: Terms = Terms { wait: false, timeout: None, only: false };

fn wait_for(seconds: u64) -> Terms {
    Terms { timeout: Some(Duration::from_secs(seconds)), ..Terms::default() }
}

#[test]
fn a_client_that_does_not_wait_is_answered_at_once_but_learns_what_is_known() {
    let mut bench = Bench::new(&[program("p"), quick("q")]);
    bench.ask(1, act_on_terms(Act::Start, "p", NO_WAIT));
    let on = Selector::Process(name("p"));
    assert_eq!((bench.reply(), bench.message().as_str()), (&Reply::Begun { act: Act::Start, on }, "Starting p"));
    bench.ask(1, act_on_terms(Act::Start, "q", NO_WAIT));
    assert_eq!(bench.message(), "Started q");
    assert_eq!(bench.engine.waiters.len(), 0);
}

#[test]
fn the_time_of_a_command_is_bounded_and_the_command_goes_on() {
    let mut bench = Bench::new(&[program("p")]);
    bench.ask(1, act_on_terms(Act::Start, "p", wait_for(4)));
    bench.pass(4);
    assert_eq!(bench.answers(), [(1, "timed_out")]);
    assert_eq!(bench.message(), "TIMEOUT p did not start: STARTING: pid 1001, uptime 0:04");
    bench.pass(6);
    assert_eq!(bench.state("p"), ProcessState::Running);
}

#[test]
fn kill_escalates_a_stop_and_the_time_out_of_a_stop_is_told() {
    let mut bench = Bench::new(&[quick("p"), quick("q")]);
    for name in ["p", "q"] {
        bench.start(1, name);
        bench.stop(2, name);
    }
    bench.ask(3, act(Act::Kill, "p"));
    assert_eq!(bench.system.signals, [(0, 15), (1, 15), (0, 9)]);
    bench.end(0, Exit::Signal(9));
    assert_eq!(bench.message(), "Killed p");
    assert_eq!(bench.causes("p")[3..], [format!("kill requested {BY}"), name("killed by SIGKILL")]);
    let kill_at = bench.now + Duration::from_secs(600);
    assert_eq!(bench.why("q").next, Some((NextStep::Kill, kill_at)));
    assert_eq!(bench.row("q").kill_at, Some(kill_at));
    bench.pass(600);
    assert_eq!(bench.causes("q").len(), 4, "told at the very moment");
    bench.pass(5);
    bench.pass(5);
    let causes = bench.causes("q");
    assert_eq!(causes[3..], ["SIGKILL: still there 600 s after its stop signal (stopwaitsecs)"], "once: {causes:?}");
    bench.ask(4, act(Act::Kill, "q"));
    assert_eq!(bench.causes("q")[4..], [format!("kill requested {BY}")], "and nothing after it");
}

#[test]
fn what_was_killed_by_hand_is_not_called_a_time_out_when_it_is_killed_again() {
    let mut bench = Bench::new(&[ProgramConfig { stopwaitsecs: 3, ..quick("p") }]);
    bench.start(1, "p");
    bench.stop(2, "p");
    bench.ask(3, act(Act::Kill, "p"));
    bench.pass(5);
    assert_eq!(bench.system.signals, [(0, 15), (0, 9), (0, 9)]);
    assert_eq!(bench.causes("p").last(), Some(&format!("kill requested {BY}")));
}

#[test]
fn nobody_is_told_of_a_time_out_when_a_shutdown_is_hurried() {
    let mut bench = Bench::new(&[quick("p")]);
    bench.start(1, "p");
    bench.handle(Input::Notice(Notice::Terminate(None)));
    bench.pass(1);
    bench.handle(Input::Notice(Notice::Terminate(None)));
    assert_eq!(bench.system.signals, [(0, 15), (0, 9)]);
    let causes = bench.causes("p");
    assert!(!causes.iter().any(|cause| cause.contains("stopwaitsecs")), "{causes:?}");
}

#[test]
fn the_time_of_sigkill_is_that_of_the_shutdown_where_that_is_sooner() {
    let mut bench = Bench::new(&[ProgramConfig { stopwaitsecs: 1_000, ..quick("p") }]);
    bench.start(1, "p");
    bench.stop(2, "p");
    let left =
        |bench: &Bench| bench.row("p").kill_at.map(|at| at.saturating_duration_since(bench.engine.now).as_secs());
    assert_eq!(left(&bench), Some(1_000));
    bench.handle(Input::Notice(Notice::Terminate(None)));
    assert_eq!(left(&bench), Some(u64::from(bench.engine.settings.shutdown_timeout)));
}

#[test]
fn who_leaves_the_group_out_is_told_the_name_with_it_before_what_is_spelled_alike() {
    let in_group = ProgramConfig { name: "g:web".to_owned(), group: Some("g".to_owned()), ..quick("web") };
    let mut bench = Bench::new(&[in_group, quick("wep")]);
    bench.ask(1, act(Act::Restart { force: false }, "web"));
    assert!(bench.message().ends_with("did you mean 'g:web'?"), "{}", bench.message());
}

#[test]
fn clients_that_repeat_a_shutdown_kill_nothing_and_one_that_was_to_begin_anew_does_not() {
    let mut bench = Bench::new(&[quick("p")]);
    bench.engine.can_restart(true);
    bench.start(1, "p");
    bench.ask(2, Request::Command(Command::RestartDaemon));
    assert!(bench.engine.wants_restart());
    for conn in 3..5 {
        bench.ask(conn, Request::Command(Command::Shutdown));
        assert_eq!(bench.reply(), &Reply::ShuttingDown);
        assert!(!bench.engine.wants_restart());
    }
    assert_eq!(bench.system.signals, [(0, 15)]);
}

#[test]
fn a_signal_in_a_restart_ends_it_for_good_before_it_kills() {
    let mut bench = Bench::new(&[quick("p")]);
    bench.engine.can_restart(true);
    bench.start(1, "p");
    bench.ask(2, Request::Command(Command::RestartDaemon));
    bench.handle(Input::Notice(Notice::Terminate(None)));
    assert_eq!((bench.engine.wants_restart(), bench.system.signals.len()), (false, 1));
    bench.handle(Input::Notice(Notice::Terminate(None)));
    assert_eq!(bench.system.signals, [(0, 15), (0, 9)]);
}

#[test]
fn a_wait_has_no_end_of_its_own_and_is_forgotten_with_its_client() {
    let mut bench = Bench::new(&[program("p")]);
    bench.pass(2); // The start is over.
    bench.ask(1, wait("p", WaitFor::Running, None));
    assert_eq!((bench.engine.waiters.len(), bench.engine.poll_timeout()), (1, None));
    bench.pass(1_000_000);
    bench.gone(1);
    assert_eq!((bench.engine.waiters.len(), bench.answers()), (0, Vec::new()));
    bench.ask(2, wait("p", WaitFor::Running, None));
    bench.handle(Input::Notice(Notice::Terminate(None)));
    let (why, timed_out) = (Unreached::ShuttingDown, false);
    let until = WaitFor::Running;
    assert_eq!(bench.refusal(), &Refusal::WaitFailed { name: name("p"), until, why, timed_out });
    assert_eq!(bench.message(), "FAILED p will not be running: the daemon is shutting down");
}

#[test]
fn a_start_that_fails_right_before_the_end_is_answered() {
    let mut bench = Bench::new(&[ProgramConfig { startretries: 0, ..program("p") }]);
    bench.ask(1, act_on_terms(Act::Start, "p", Terms::default()));
    bench.end(0, Exit::Code(3));
    assert_eq!(bench.answers(), Vec::new(), "its last words are waited for");
    bench.handle(Input::Notice(Notice::Terminate(None)));
    bench.pass(0);
    assert!(bench.engine.finished().is_some());
    let message = bench.message();
    assert!(message.starts_with("FAILED p did not start: FATAL: exit code 3"), "{message}");
}

#[test]
fn a_wait_that_comes_during_a_shutdown_is_answered() {
    let mut bench = Bench::new(&[quick("p"), program("q")]);
    bench.start(1, "p");
    bench.handle(Input::Notice(Notice::Terminate(None)));
    bench.ask(2, wait("q", WaitFor::Healthy, None));
    assert_eq!(bench.message(), "FAILED q will not be healthy: the daemon is shutting down");
}

#[test]
fn a_wait_for_health_waits_for_the_first_answer_where_there_are_checks() {
    let mut bench = Bench::new(&[checked("p"), quick("q")]);
    bench.start(1, "p");
    bench.start(1, "q");
    bench.ask(2, wait("q", WaitFor::Healthy, None));
    assert_eq!(bench.message(), "q is healthy");
    bench.ask(3, wait("p", WaitFor::Healthy, None));
    assert_eq!(bench.last_client(), 2, "RUNNING is not enough");
    bench.health(0, 1, true);
    assert_eq!((bench.last_client(), bench.message().as_str()), (3, "p is healthy"));
}

#[test]
fn a_wait_ends_when_nothing_will_bring_what_is_waited_for() {
    let checked = ProgramConfig { autorestart: AutoRestart::Never, ..checked("p") };
    let mut bench = Bench::new(&[checked, ProgramConfig { autorestart: AutoRestart::Never, ..quick("q") }]);
    bench.start(1, "p");
    bench.ask(2, wait("p", WaitFor::Healthy, None));
    for _ in 0..3 {
        bench.health(0, 1, false);
        bench.pass(60_000);
    }
    let message = bench.message();
    assert!(message.starts_with("FAILED p will not be healthy: UNHEALTHY: "), "{message}");

    bench.start(1, "q");
    bench.pass(10_000);
    bench.end(1, Exit::Code(0));
    bench.pass(1_000);
    for until in [WaitFor::Healthy, WaitFor::Running] {
        bench.ask(3, wait("q", until, None));
        assert!(bench.message().contains(&format!("q will not be {until}: EXITED: ")), "{}", bench.message());
    }
}

#[test]
fn whoever_waits_for_one_that_somebody_stops_learns_so() {
    let mut bench = Bench::new(&[checked("p")]);
    bench.start(1, "p");
    bench.ask(2, wait("p", WaitFor::Healthy, None));
    bench.ask(4, act_on_terms(Act::Restart { force: false }, "p", Terms::default()));
    bench.end(0, Exit::Signal(15));
    assert_eq!(bench.last_client(), 4, "a restart passes through STOPPED");
    bench.stop(3, "p");
    bench.end(0, Exit::Signal(15));
    let answers = bench.answers();
    assert!(answers.iter().any(|(client, kind)| (*client, *kind) == (2, "wait_failed")), "{answers:?}");
}

#[test]
fn an_answer_about_a_run_that_is_over_is_nobodys() {
    let mut bench = Bench::new(&[checked("p")]);
    bench.start(1, "p");
    bench.health(0, 0, true);
    bench.health(0, 2, true);
    assert_eq!(bench.row("p").healthy, None);
    bench.stop(2, "p");
    bench.end(0, Exit::Signal(15));
    bench.health(0, 1, true);
    assert!(!bench.events().contains(&EventType::HealthcheckPassed), "{:?}", bench.events());
    bench.start(3, "p");
    bench.health(0, 2, true);
    assert_eq!((bench.row("p").healthy, bench.events().last()), (Some(true), Some(&EventType::HealthcheckPassed)));
}

#[test]
fn a_signal_goes_to_what_runs_and_only_to_that() {
    let mut bench = Bench::new(&[quick("p")]);
    let target = SignalTarget::Leader;
    let signal = |signal| Request::Command(Command::Signal { name: name("p"), signal, target });
    bench.ask(1, signal(1));
    assert_eq!(bench.answers(), [(1, "not_running")]);
    assert_eq!(bench.message(), "FAILED p has no process; it is STOPPED: not started");
    bench.start(1, "p");
    bench.ask(1, signal(1));
    assert_eq!((bench.message().as_str(), bench.system.signals.as_slice()), ("Sent SIGHUP to p", &[(0, 1)][..]));
    bench.ask(1, signal(40));
    assert_eq!(bench.reply(), &Reply::SignalSent { name: name("p"), signal: 40, target: SignalTarget::Leader });
    assert_eq!(bench.message(), "Sent SIGRTMIN+6 to p");
    let target = SignalTarget::Group;
    bench.ask(1, Request::Command(Command::Signal { name: name("p"), signal: 1, target }));
    assert_eq!(bench.message(), "Sent SIGHUP to the process group of p");
}

#[test]
fn a_log_level_is_set_and_told() {
    let mut bench = Bench::new(&[]);
    let level = |text: &str| Reply::LogLevel(text.to_owned());
    bench.ask(1, Request::Query(Query::LogLevel));
    assert_eq!(bench.reply(), &level("INFO"));
    assert_eq!(LogLevel::from_name("loud"), None);
    let debug = LogLevel::from_name(" debug ").expect("a level");
    bench.ask(1, Request::Command(Command::SetLogLevel { level: debug }));
    assert_eq!((bench.reply(), bench.system.log_levels.as_slice()), (&level("DEBUG"), &[name("DEBUG")][..]));
    bench.ask(1, Request::Query(Query::LogLevel));
    assert_eq!(bench.reply(), &level("DEBUG"), "it stays");
}

/// Whoever looks for a fault with DEBUG changes the file meanwhile, again and again.
#[test]
fn a_log_level_that_was_set_stays_until_the_file_has_another_one() {
    let mut bench = Bench::new(&[]);
    let debug = LogLevel::from_name("DEBUG").expect("a level");
    let with = |loglevel: &str, shutdown_timeout| SupervisorConfig {
        loglevel: name(loglevel),
        shutdown_timeout,
        ..SupervisorConfig::default()
    };
    bench.ask(1, Request::Command(Command::SetLogLevel { level: debug }));
    let none: [String; 0] = [];
    for (config, live, level) in [
        (SupervisorConfig::default(), &none[..], "DEBUG"),
        (with("INFO", 77), &[name("shutdown_timeout")], "DEBUG"),
        (with("ERROR", 77), &[name("loglevel")], "ERROR"),
        (with("INFO", 77), &[name("loglevel")], "INFO"),
    ] {
        bench.ask(2, update(None));
        bench.load_settings(config);
        let Reply::Updated(updated) = bench.reply() else { panic!("{:?}", bench.reply()) };
        assert_eq!(updated.daemon.live, live);
        bench.ask(1, Request::Query(Query::LogLevel));
        assert_eq!(bench.reply(), &Reply::LogLevel(level.to_owned()));
        assert_eq!(bench.system.shown_settings.as_ref().map(|shown| shown.loglevel.as_str()), Some(level));
    }
    assert_eq!(bench.system.log_levels, ["DEBUG", "ERROR", "INFO"]);
}

#[test]
fn a_group_that_is_misspelt_is_guessed() {
    let mut bench = Bench::new(&[ProgramConfig { group: Some(name("workers")), ..quick("p") }]);
    let on = Selector::Group(name("wrokers"));
    bench.ask(1, Request::Command(Command::Act { act: Act::Start, on, terms: Terms::default() }));
    let nearest = Some(name("workers"));
    assert_eq!(bench.refusal(), &Refusal::NoSuchGroup { name: name("wrokers"), nearest });
    assert_eq!(bench.message(), "NOT_FOUND no group 'wrokers'; did you mean 'workers'?");
}

#[test]
fn a_wait_is_over_when_it_is_so_or_when_its_time_is() {
    let mut bench = Bench::unbegun(SupervisorConfig::default(), &[program("p")]);
    bench.ask(2, wait("p", WaitFor::Running, None));
    bench.ask(3, wait("p", WaitFor::Running, Some(4)));
    bench.begin();
    bench.pass(3);
    assert_eq!(bench.answers(), Vec::new(), "STARTING is not RUNNING");
    bench.pass(1);
    assert_eq!(
        (bench.last_client(), bench.message().as_str()),
        (3, "TIMEOUT p is not running yet: STARTING: pid 1001, uptime 0:04")
    );
    bench.pass(6);
    assert_eq!((bench.last_client(), bench.message().as_str()), (2, "p is running"));
    assert_eq!(bench.reply(), &Reply::WaitOver { name: name("p"), until: WaitFor::Running, never_ran: false });
}

#[test]
fn a_start_that_somebody_stops_is_answered_at_once() {
    let mut bench = Bench::new(&[program("p")]);
    bench.start(1, "p");
    bench.stop(2, "p");
    assert_eq!(
        (bench.last_client(), bench.message().as_str()),
        (1, "FAILED p did not start: STOPPING: it was stopped meanwhile")
    );
    let members = vec![(name("p"), Unreached::StoppedMeanwhile(ProcessState::Stopping))];
    let on = Selector::Process(name("p"));
    assert_eq!(bench.refusal(), &Refusal::NotReached { act: Act::Start, on, members, timed_out: false });
}

/// Whoever stops a database to copy its files is to know that it is not down.
#[test]
fn a_stop_that_somebody_undoes_is_answered_with_that() {
    let both = Selector::Processes(vec![name("p"), name("q")]);
    for on in [Selector::Process(name("p")), both] {
        let mut bench = Bench::new(&[quick("p"), quick("q")]);
        bench.start(1, "p");
        bench.start(1, "q");
        bench.ask(2, act_on_terms(Act::Stop, "p", Terms::default()));
        bench.ask(3, Request::Command(Command::Act { act: Act::Stop, on: on.clone(), terms: Terms::default() }));
        bench.start(4, "p");
        bench.end(0, Exit::Signal(15));
        bench.end(1, Exit::Signal(15));
        assert_eq!(bench.state("p"), ProcessState::Running);
        let told: Vec<String> = bench
            .system
            .answers
            .iter()
            .filter_map(|(client, answer, _)| match answer {
                Ok(Reply::Each { results, .. }) if *client == 3 => results[0].1.as_ref().map(ToString::to_string).ok(),
                Ok(reply) if *client == 2 || *client == 3 => Some(reply.to_string()),
                _ => None,
            })
            .collect();
        assert_eq!(told, ["Stopped p; it was started again meanwhile"; 2], "{on}");
        // One that is undone when it has been answered was one.
        bench.stop(5, "p");
        bench.end(0, Exit::Signal(15));
        assert_eq!((bench.last_client(), bench.message().as_str()), (5, "Stopped p"));
    }
}

#[test]
fn a_start_that_ends_in_fatal_is_answered() {
    let mut bench = Bench::new(&[ProgramConfig { startretries: 0, ..program("p") }]);
    bench.start(1, "p");
    bench.system.lingers = true;
    bench.end(0, Exit::Code(3));
    bench.pass(1);
    assert!(bench.message().starts_with("FAILED p did not start: FATAL"), "{}", bench.message());
}

#[test]
fn a_machine_is_turned_off_when_all_has_ended() {
    for (power, word) in [(Power::Off, "poweroff"), (Power::Reboot, "reboot"), (Power::Halt, "halt")] {
        let mut bench = Bench::new(&[quick("p")]);
        bench.handle(Input::Notice(Notice::Power(power)));
        assert_eq!((bench.engine.is_ending(), bench.engine.power()), (false, None), "it is not ours");
        bench.engine.commands_machine(true);
        bench.start(1, "p");
        bench.ask(2, Request::Command(Command::Power(power)));
        assert_eq!(bench.reply(), &Reply::PowerBegun(power));
        assert_eq!(bench.message(), format!("{word}: everything is stopped"));
        assert_eq!((bench.state("p"), bench.engine.finished()), (ProcessState::Stopping, None));
        bench.end(0, Exit::Signal(15));
        assert_eq!((bench.engine.finished(), bench.engine.power()), (Some(true), Some(power)));
    }
}

#[test]
fn a_command_s_own_time_is_counted_from_its_beginning() {
    let mut bench = Bench::new(&[program("p")]);
    bench.pass(5);
    bench.ask(1, act_on_terms(Act::Start, "p", wait_for(4)));
    bench.pass(3);
    assert_eq!(bench.answers(), Vec::new());
    bench.pass(1);
    assert_eq!(bench.answers(), [(1, "timed_out")]);
}

#[test]
fn what_is_misspelt_is_guessed() {
    let mut bench = Bench::new(&[program("worker")]);
    bench.ask(1, act(Act::Start, "wroker"));
    let hint = NameHint::Nearest(name("worker"));
    assert_eq!(bench.refusal(), &Refusal::NoSuchProcess { name: name("wroker"), hint });
    assert!(bench.message().ends_with("; did you mean 'worker'?"), "{}", bench.message());
    bench.ask(1, act(Act::Start, "x"));
    assert!(!bench.message().contains("did you mean"), "{}", bench.message());
}

#[test]
fn only_the_init_of_a_machine_turns_it_off() {
    let mut bench = Bench::new(&[quick("p")]);
    bench.start(1, "p");
    bench.ask(2, Request::Command(Command::Power(Power::Off)));
    assert_eq!(bench.refusal(), &Refusal::NotInit);
    assert!(bench.message().starts_with("FAILED this daemon is not the init of the machine"), "{}", bench.message());
    assert!(!bench.engine.is_ending());
}

#[test]
fn a_start_that_fails_is_answered_with_the_last_line_it_has_written() {
    let mut bench = Bench::new(&[program("p")]);
    bench.start(1, "p");
    bench.end(0, Exit::Code(3));
    assert_eq!(bench.answers(), Vec::new(), "its last words are waited for");
    bench.drained(0, 1, Some("no database"));
    let message = bench.message();
    assert!(message.starts_with("FAILED p did not start: BACKOFF: exit code 3"), "{message}");
    assert!(message.ends_with("no database"), "{message}");
    assert!(bench.refusal().cause().is_some(), "{:?}", bench.refusal());
    // And without it where it does not come.
    bench.start(2, "p");
    bench.end(0, Exit::Code(4));
    bench.pass(1);
    assert!(bench.message().contains("exit code 4"), "{}", bench.message());
}

#[test]
fn the_daemon_knows_its_own_pid() {
    let mut bench = Bench::new(&[quick("p")]);
    bench.ask(1, Request::Query(Query::Pid { name: None }));
    assert_eq!(bench.reply(), &Reply::Pid(OWN_PID));
    bench.ask(1, Request::Query(Query::Version));
    assert_eq!(bench.reply(), &Reply::Version(OWN_PID));
}

#[test]
fn a_start_waits_until_nothing_is_left_of_the_run_before() {
    let once = ProgramConfig { autorestart: AutoRestart::Never, ..quick("p") };
    let mut bench = Bench::new(&[once]);
    bench.start(1, "p");
    bench.system.lingers = true;
    bench.end(0, Exit::Code(0));
    bench.start(2, "p");
    bench.pass(1);
    assert_eq!((bench.last_client(), bench.system.pids), (1, 1), "not answered, and not started beside it");
    bench.system.lingers = false;
    bench.pass(5);
    assert_eq!((bench.last_client(), bench.message().as_str(), bench.system.pids), (2, "Started p", 2));
}

#[test]
fn orphans_that_nothing_ends_hold_up_the_end_for_a_while_only() {
    let mut bench = Bench::new(&[quick("p")]);
    bench.system.orphans = 2;
    bench.handle(Input::Notice(Notice::Terminate(None)));
    assert_eq!(bench.system.orphan_signals, [Some(15)], "asked to end");
    // Two seconds to end, two more after the SIGKILL, which comes again: for those that have become orphans by it.
    let mut before = 0;
    for (are_killed, finished) in [(false, None), (true, None), (true, None), (true, Some(false))] {
        bench.pass(1);
        let kills = bench.system.orphan_signals.iter().filter(|signal| **signal == Some(9)).count();
        assert_eq!((kills > before, bench.engine.finished()), (are_killed, finished));
        before = kills;
    }
}

/// What the daemon is short of says nothing of the program, and is told until a check has been made.
#[test]
fn a_health_check_that_the_daemon_could_not_make_is_told_of_the_program() {
    let mut bench = Bench::new(&[quick("p")]);
    bench.start(1, "p");
    let (pid, generation) = (bench.describe("p"), bench.entry(0).machine.generation());
    let error = Box::new(SpawnError::system(SpawnStage::Fork, "a process", 11));
    bench.handle(Input::CheckMissed { id: 0, generation, error });
    assert!(bench.describe("p").contains("; its health cannot be checked: "), "{}", bench.describe("p"));
    let result = HealthCheckResult { healthy: true, message: "fine".to_owned() };
    bench.handle(Input::Checked { id: 0, generation, purpose: CheckPurpose::Health, result });
    assert_eq!(bench.describe("p"), pid);
}

/// The note comes from another thread: by then the listener may have been restarted.
#[test]
fn what_a_listener_has_said_wrongly_is_of_its_run() {
    let mut bench = Bench::new(&[quick("listener")]);
    bench.start(1, "listener");
    let lost = |generation| Input::Output(Note::ListenerLost { program: 0, generation, said: name("oops") });
    let generation = bench.entry(0).machine.generation();
    bench.handle(lost(generation));
    assert_eq!(bench.row("listener").listener_said.as_deref(), Some("oops"));
    bench.ask(2, act(Act::Restart { force: false }, "listener"));
    bench.end(0, Exit::Signal(15));
    bench.handle(lost(generation));
    assert_eq!((bench.state("listener"), bench.row("listener").listener_said), (ProcessState::Running, None));
}

/// What is down already and stays as it is was not stopped.
#[test]
fn a_stop_of_what_was_given_up_says_so() {
    let mut bench = Bench::new(&[ProgramConfig { startretries: 0, ..program("p") }, quick("q")]);
    bench.start(1, "p");
    bench.end(0, Exit::Code(1));
    assert_eq!(bench.state("p"), ProcessState::Fatal);
    bench.stop(2, "p");
    assert_eq!((bench.last_client(), bench.message().as_str()), (2, "p was not running, and is still FATAL"));
    bench.start(3, "q");
    let on = Selector::Processes(vec![name("p"), name("q")]);
    bench.ask(4, Request::Command(Command::Act { act: Act::Stop, on, terms: Terms::default() }));
    bench.end(1, Exit::Signal(15));
    let Reply::Each { results, .. } = bench.reply() else { panic!("{:?}", bench.reply()) };
    let told: Vec<String> =
        results.iter().filter_map(|(_, result)| result.as_ref().ok().map(Reply::to_string)).collect();
    assert_eq!(told, ["p was not running, and is still FATAL", "Stopped q"]);
}

#[test]
fn a_wait_for_the_end_of_what_never_ran_is_over_and_says_so() {
    let mut bench = Bench::new(&[quick("p")]);
    bench.ask(1, wait("p", WaitFor::Exited, None));
    assert_eq!((bench.last_client(), bench.message().as_str()), (1, "p has not run yet"));
    bench.start(2, "p");
    bench.ask(3, wait("p", WaitFor::Exited, None));
    bench.end(0, Exit::Code(0));
    assert!(
        bench.system.answers.iter().any(|(client, answer, _)| *client == 3
            && answer.as_ref().is_ok_and(|reply| reply.to_string() == "p has exited"))
    );
}

/// A file that is sent in pieces of 64 KiB is one line of the log.
#[test]
fn input_in_pieces_is_logged_once() {
    let mut bench = Bench::new(&[quick("p"), quick("q")]);
    bench.start(1, "p");
    bench.start(2, "q");
    let logged = |bench: &Bench| {
        let is_input = |announcement: &&Arc<Announcement>| matches!(&***announcement, Announcement::Asked { command, .. } if matches!(**command, Command::Stdin { .. }));
        bench.system.announced.iter().filter(is_input).count()
    };
    let write = |name: &str| Request::Command(Command::Stdin { name: name.to_owned(), bytes: b"x".as_slice().into() });
    for client in 3..8 {
        bench.ask(client, write("p"));
        bench.pass(20);
    }
    assert_eq!(logged(&bench), 1);
    bench.ask(9, write("q"));
    assert_eq!(logged(&bench), 2, "another program");
    bench.ask_by(10, Initiator::Remote(Arc::new(RemoteCaller { address: "[::1]:9".into(), user: None })), write("q"));
    assert_eq!(logged(&bench), 3, "somebody else");
    bench.pass(120);
    bench.ask(11, write("p"));
    assert_eq!(logged(&bench), 4, "long after");
    bench.end(0, Exit::Code(1));
    bench.pass(2);
    bench.ask(12, write("p"));
    assert_eq!(logged(&bench), 5, "another run");
}
