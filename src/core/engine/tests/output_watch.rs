//! `output_watch`.

use super::dependencies::{ask, told};
use super::*;
use crate::models::{HealthAction, OutputRule, ProgramType};
use crate::process::{Generation, OutputFault};

fn watched(name: &str, rules: &[&str]) -> ProgramConfig {
    let mut program = ProgramConfig { startsecs: 1, ..program(name) };
    let rules = rules.iter().map(|rule| OutputRule::parse(rule).expect("a rule"));
    program.restart.output_watch = rules.collect();
    program
}

fn started(program: ProgramConfig) -> Bench {
    let name = program.name.clone();
    let mut bench = Bench::new(&[program]);
    ask(&mut bench, 1, Act::Start, &name);
    bench.pass(1);
    bench
}

impl Bench {
    fn run(&self, id: ProcId) -> Generation {
        self.entry(id).machine.generation()
    }

    /// It writes something that means nothing.
    fn writes(&mut self, id: ProcId) {
        self.system.heard.insert(id, self.now);
    }

    /// It does so after a silence that was told.
    fn writes_again(&mut self, id: ProcId) {
        self.writes(id);
        let generation = self.run(id);
        self.handle(Input::Output(Note::OutputResumed { program: id, generation }));
    }

    fn says(&mut self, id: ProcId, pattern: &str, line: &str) {
        let generation = self.run(id);
        let (pattern, line) = (pattern.into(), line.into());
        self.handle(Input::Output(Note::WatchedLine { program: id, generation, pattern, line }));
    }

    fn looks(&self) -> usize {
        self.system.asked_for_silence.len()
    }
}

#[test]
fn who_writes_nothing_is_restarted_and_who_writes_is_asked_for_as_seldom_as_can_be() {
    let mut bench = started(watched("web", &["silence:10"]));
    // Every two seconds: the first look finds that the rule can hold eight seconds later at the earliest.
    for _ in 0..30 {
        bench.pass(2);
        bench.writes(0);
    }
    assert_eq!((bench.state("web"), told(&bench).len()), (ProcessState::Running, 0));
    assert!((5..=8).contains(&bench.looks()), "{}", bench.looks());
    bench.pass(9);
    assert_eq!(bench.state("web"), ProcessState::Running);
    bench.pass(1);
    assert_eq!((bench.state("web"), told(&bench)), (ProcessState::Stopping, vec![0]));
    bench.end(0, Exit::Signal(15));
    assert_eq!(bench.state("web"), ProcessState::Backoff);
    bench.pass(3);
    assert_eq!(bench.state("web"), ProcessState::Running);
    let causes = bench.causes("web").join(", ");
    assert!(causes.contains("no output for 10 s (output_watch), retry 1 of 3 in 1 s"), "{causes}");
}

#[test]
fn one_that_hangs_again_and_again_at_once_is_given_up_and_one_that_hangs_now_and_then_is_not() {
    let mut bench = started(watched("web", &["silence:5"]));
    for _ in 0..4 {
        bench.pass(5);
        bench.end(0, Exit::Signal(15));
        bench.pass(4);
    }
    assert_eq!(bench.state("web"), ProcessState::Fatal);
    let mut bench = started(watched("web", &["silence:60"]));
    for _ in 0..20 {
        bench.pass(60);
        bench.end(0, Exit::Signal(15));
        bench.pass(2);
        assert_eq!(bench.state("web"), ProcessState::Running);
    }
}

#[test]
fn rules_act_one_after_the_other_on_one_silence_and_each_once_until_it_writes_again() {
    let mut bench = started(watched("web", &["silence:5 -> signal:USR1", "silence:20 -> restart"]));
    bench.pass(5);
    assert_eq!(bench.system.signals, [(0, 10)]);
    bench.pass(10);
    assert_eq!(bench.system.signals, [(0, 10)], "once");
    bench.writes_again(0);
    bench.pass(5);
    assert_eq!(bench.system.signals, [(0, 10), (0, 10)]);
    bench.pass(14);
    assert_eq!(bench.state("web"), ProcessState::Running);
    bench.pass(1);
    assert_eq!(bench.state("web"), ProcessState::Stopping);
    let causes = bench.causes("web").join(", ");
    assert!(causes.contains("SIGUSR1 requested by output_watch: no output for 5 s"), "{causes}");
    assert_eq!(bench.looks(), 3);
}

#[test]
fn an_unhealthy_one_is_well_again_when_it_writes_and_stays_so_where_checks_fail() {
    let mut program = watched("web", &["silence:5 -> unhealthy", "pattern:lost -> unhealthy"]);
    program.healthcheck.action = HealthAction::None;
    let mut bench = started(program);
    bench.pass(5);
    assert_eq!((bench.state("web"), bench.row("web").healthy), (ProcessState::Unhealthy, Some(false)));
    assert!(bench.describe("web").contains("no output for 5 s"), "{}", bench.describe("web"));
    bench.writes_again(0);
    assert_eq!((bench.state("web"), bench.row("web").healthy), (ProcessState::Running, None));
    bench.says(0, "lost", "all is lost");
    assert_eq!(bench.state("web"), ProcessState::Unhealthy);
    bench.writes_again(0);
    assert_eq!(bench.state("web"), ProcessState::Unhealthy, "a line is no silence");
    let causes = bench.causes("web").join(", ");
    assert!(causes.contains("it writes again") && causes.contains("its output says 'all is lost' (output_watch)"));
    // What follows from it is what follows from checks that fail.
    let mut bench = started(watched("web", &["silence:5 -> unhealthy"]));
    bench.pass(5);
    assert_eq!(bench.state("web"), ProcessState::Stopping);
}

#[test]
fn a_line_acts_at_once_and_before_it_is_up_the_start_has_failed() {
    let mut bench = started(watched("web", &["pattern:panic"]));
    bench.says(0, "panic", "panic: x");
    assert_eq!(bench.state("web"), ProcessState::Stopping);
    bench.says(0, "panic", "panic: y");
    bench.end(0, Exit::Signal(15));
    bench.pass(1);
    assert_eq!((bench.state("web"), bench.run(0)), (ProcessState::Starting, 2));
    bench.says(0, "other", "not of these settings");
    assert_eq!(bench.state("web"), ProcessState::Starting);
    bench.says(0, "panic", "panic: z");
    assert_eq!(bench.state("web"), ProcessState::Stopping);
    bench.end(0, Exit::Signal(15));
    assert_eq!(bench.state("web"), ProcessState::Backoff);
    let causes = bench.causes("web").join(", ");
    assert!(causes.contains("its output says 'panic: z' (output_watch), retry 1 of 3 in 1 s"), "{causes}");
}

#[test]
fn a_command_is_run_once_at_a_time_and_its_end_is_noted() {
    let mut bench = started(watched("web", &["pattern:lost -> command:page somebody"]));
    bench.says(0, "lost", "lost");
    bench.says(0, "lost", "lost again");
    assert_eq!(bench.system.tasks.values().collect::<Vec<_>>(), ["page somebody"]);
    bench.handle(Input::TaskExited { task: 0, exit: Exit::Code(3) });
    bench.handle(Input::Output(Note::TaskOutput { task: 0, tail: Vec::new() }));
    assert_eq!(bench.state("web"), ProcessState::Running);
    let causes = bench.causes("web").join(", ");
    assert!(causes.contains("the command for its output (output_watch): exit code 3"), "{causes}");
}

#[test]
fn a_oneshot_that_hangs_has_failed() {
    let program = ProgramConfig { program_type: ProgramType::Oneshot, ..watched("job", &["silence:30"]) };
    let mut bench = started(program);
    bench.pass(28);
    assert_eq!(bench.state("job"), ProcessState::Starting);
    bench.pass(1);
    assert_eq!(bench.state("job"), ProcessState::Stopping);
    bench.end(0, Exit::Signal(15));
    assert_eq!(bench.state("job"), ProcessState::Backoff);
}

#[test]
fn neither_a_pause_nor_a_time_in_which_this_process_did_not_run_is_a_silence() {
    let mut bench = started(watched("web", &["silence:10"]));
    bench.pass(9);
    bench.ask(2, Request::Command(Command::Pause { name: name("web") }));
    bench.pass(600);
    bench.ask(3, Request::Command(Command::Resume { name: name("web") }));
    bench.pass(9);
    assert_eq!((bench.state("web"), bench.looks()), (ProcessState::Running, 0));
    // The timer fires an hour late.
    bench.now += Duration::from_secs(3600);
    bench.run_timers();
    bench.pass(9);
    assert_eq!((bench.state("web"), bench.looks()), (ProcessState::Running, 0));
    bench.pass(1);
    assert_eq!(bench.state("web"), ProcessState::Stopping);
}

#[test]
fn what_comes_of_a_former_run_or_of_one_that_is_to_end_changes_nothing() {
    let mut bench = started(watched("web", &["silence:10", "pattern:x"]));
    let note = |generation| {
        let silence = Duration::from_secs(100);
        Input::Output(Note::Silent { program: 0, generation, silence })
    };
    bench.handle(note(0));
    bench.handle(note(7));
    bench.handle(note(1));
    assert_eq!(bench.state("web"), ProcessState::Running, "it was not RUNNING for so long");
    ask(&mut bench, 2, Act::Stop, "web");
    bench.handle(note(1));
    bench.says(0, "x", "x");
    bench.end(0, Exit::Signal(15));
    bench.pass(100);
    assert_eq!((bench.state("web"), told(&bench).len()), (ProcessState::Stopped, 1));
    assert_eq!(bench.looks(), 0);
    let fault = OutputFault::Line { line: "x".into() };
    assert_eq!(serde_json::to_value(&fault).unwrap(), serde_json::json!({ "sign": "line", "line": "x" }));
}
