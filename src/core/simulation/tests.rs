use super::*;
use crate::config::LoadOptions;
use crate::models::StartCondition;
use crate::process::Exit;

/// The configuration of these lines.
fn config(lines: &str) -> SupervisorConfig {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), format!("[supervice]\nsocket = none\nlogfile = none\n{lines}")).expect("written");
    crate::config::load(file.path(), &LoadOptions::default()).expect("a configuration").config
}

fn program(name: &str, lines: &str) -> String {
    format!("[program:{name}]\ncommand = sleep 1000\n{lines}\n")
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn target(name: &str) -> DependencyTarget {
    DependencyTarget::Program(name.to_owned())
}

/// The end, and the lines `1000 web STARTING RUNNING` of the transitions, with their times in milliseconds.
fn run(lines: &str, plan: Plan) -> (Outcome, Vec<String>) {
    let mut seen = Vec::new();
    let outcome = simulate(config(lines), plan, &mut |at, happening| {
        if let SimulationEvent::Announced(announcement) = happening
            && let Announcement::Transition { program, transition, .. } = &**announcement
        {
            seen.push(format!("{} {} {} {}", at.as_millis(), program.name, transition.from, transition.to));
        }
    });
    (outcome, seen)
}

fn prospects(outcome: &Outcome) -> Vec<(ProcessState, FinalState)> {
    outcome.rows.iter().map(|(row, prospect)| (row.state, *prospect)).collect()
}

/// All the ways to be ready, of one process each.
const KINDS: [&str; 10] = [
    "ready = notify",
    "ready = fd:3",
    "ready = fd:READY",
    "ready = path:/run/ready",
    "ready = tcp:127.0.0.1:9",
    "ready = unix:/run/socket",
    "ready = http://127.0.0.1:9/",
    "ready = command:test -e x",
    "ready = health\nhealthcheck_type = tcp\nhealthcheck_port = 9",
    "ready = health\nhealthcheck_type = script\nhealthcheck_command = true",
];

#[test]
fn every_kind_of_readiness_is_simulated() {
    for kind in KINDS.into_iter().chain(cfg!(feature = "regex").then_some("ready = log:^up")) {
        let lines = program("web", &format!("{kind}\nstartretries = 0"));
        let plan = |after, duration| Plan {
            duration: seconds(duration),
            readiness: vec![(target("web"), after)],
            ..Plan::default()
        };
        let (outcome, seen) = run(&lines, plan(Some(seconds(5)), 60));
        assert_eq!(prospects(&outcome), [(ProcessState::Running, FinalState::Fine)], "{kind}");
        let at: u64 = seen.last().and_then(|line| line.split(' ').next()?.parse().ok()).expect("a time");
        assert!((5_000..=6_100).contains(&at), "{kind}: {seen:?}");
        let (outcome, _) = run(&lines, plan(None, 90));
        assert_eq!(prospects(&outcome), [(ProcessState::Fatal, FinalState::Fatal)], "{kind}");
        // To look a day ahead takes long: at one that tells, one that is looked at, and one that a command looks at.
        if ["ready = notify", "ready = tcp:127.0.0.1:9", "ready = command:test -e x"].contains(&kind) {
            let (outcome, _) = run(&(lines + "start_timeout = 0"), plan(None, 90));
            assert_eq!(prospects(&outcome), [(ProcessState::Starting, FinalState::WaitsForEver)], "{kind}");
        }
    }
}

#[test]
fn a_program_with_a_watchdog_tells_it_that_it_is_alive() {
    let plan = Plan { duration: seconds(3_600), ..Plan::default() };
    let (outcome, seen) = run(&program("web", "ready = notify\nwatchdog = 2"), plan);
    assert_eq!(prospects(&outcome), [(ProcessState::Running, FinalState::Fine)]);
    assert_eq!(seen, ["0 web STOPPED STARTING", "1000 web STARTING RUNNING"]);
}

#[test]
fn what_a_start_waits_for_outside_holds_when_it_is_told() {
    for condition in
        ["path:/dev/x", "tcp:10.0.0.7:5", "unix:/run/x", "command:test -e x", "link:eth0", "route", "flag:go"]
    {
        let lines = program("web", &format!("start_when = {condition}"));
        let plan = |after| Plan {
            duration: seconds(20),
            conditions: vec![(StartCondition::parse(condition).expect("a condition"), after)],
            ..Plan::default()
        };
        let (outcome, seen) = run(&lines, plan(Some(seconds(3))));
        assert_eq!(prospects(&outcome), [(ProcessState::Running, FinalState::Fine)], "{condition}");
        assert_eq!(seen.len(), 2, "{condition}: {seen:?}");
        let (outcome, _) = run(&lines, plan(None));
        assert_eq!(prospects(&outcome), [(ProcessState::Starting, FinalState::WaitsForEver)], "{condition}");
        let (outcome, _) = run(&(lines + "start_when_timeout = 5\nstartretries = 0"), plan(None));
        assert_eq!(prospects(&outcome), [(ProcessState::Fatal, FinalState::Fatal)], "{condition}");
    }
}

#[test]
fn hooks_run_and_a_stop_command_ends_it() {
    let lines = "pre_start = a\npost_start = b\nstop_command = c\n d\npost_stop = e\non_state = f";
    let steps = vec![Step { at: seconds(5), what: StepKind::Stop { on: target("web") } }];
    let plan = Plan { duration: seconds(20), steps, ..Plan::default() };
    let (outcome, seen) = run(&program("web", lines), plan);
    assert_eq!(prospects(&outcome), [(ProcessState::Stopped, FinalState::Fine)]);
    let expected = [
        "0 web STOPPED STARTING",
        "1000 web STARTING RUNNING",
        "5000 web RUNNING STOPPING",
        "5000 web STOPPING STOPPED",
    ];
    assert_eq!(seen, expected);
    let exit = outcome.rows.first().and_then(|(row, _)| row.last_exit);
    assert_eq!(exit, Some(Exit::Code(0)));
}

#[test]
fn the_end_of_a_program_may_be_that_of_the_daemon() {
    let steps = vec![Step { at: seconds(5), what: StepKind::Fail { on: target("web"), exit: Exit::Code(3) } }];
    let plan = Plan { duration: seconds(20), steps, ..Plan::default() };
    let lines = program("web", "exit_on = failure\nautorestart = false") + &program("other", "");
    let (outcome, seen) = run(&lines, plan);
    assert_eq!(outcome.decision.as_ref().map(|decision| decision.code != 0), Some(true), "{seen:?}");
    assert!(outcome.at >= seconds(5) && outcome.at < seconds(20), "{:?}", outcome.at);
    assert_eq!(seen.last().map(String::as_str), Some("5000 other STOPPING STOPPED"), "{seen:?}");
}

#[test]
fn a_program_that_forks_is_stopped_and_fails_as_any_other() {
    let fail = Step { at: seconds(5), what: StepKind::Fail { on: target("web"), exit: Exit::Signal(11) } };
    let stop = Step { at: seconds(10), what: StepKind::Stop { on: target("web") } };
    let plan = Plan { duration: seconds(20), steps: vec![fail, stop], ..Plan::default() };
    let (outcome, seen) = run(&program("web", "type = forking\npidfile = /run/x.pid\nready = notify"), plan);
    assert_eq!(prospects(&outcome), [(ProcessState::Stopped, FinalState::Fine)]);
    let expected = [
        "0 web STOPPED STARTING",
        "1000 web STARTING RUNNING",
        "5000 web RUNNING EXITED",
        "5000 web EXITED STARTING",
        "6000 web STARTING RUNNING",
        "10000 web RUNNING STOPPING",
        "10000 web STOPPING STOPPED",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_thousand_programs_in_a_chain_start_one_after_the_other() {
    let each = |number: u32| match number {
        0 => program("p0", "ready = notify"),
        _ => program(&format!("p{number}"), &format!("ready = notify\nrequires = p{}", number - 1)),
    };
    let lines: String = (0..1_000).map(each).collect();
    let (outcome, seen) = run(&lines, Plan { duration: seconds(2_000), ..Plan::default() });
    assert!(prospects(&outcome).iter().all(|found| *found == (ProcessState::Running, FinalState::Fine)));
    assert_eq!(seen.last().map(String::as_str), Some("1000000 p999 STARTING RUNNING"));
}
