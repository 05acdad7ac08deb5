//! One test for each interleaving, and a simulation of many lives.

use super::super::state::SpawnStage;
use super::*;

const LIMIT: Duration = Duration::from_secs(10);
const GRACE: Duration = Duration::from_secs(3);
const PID: i32 = 42;

fn at(millis: u64) -> Moment {
    Moment::from_nanos(1) + Duration::from_millis(millis)
}

/// A task and the actions that nobody has looked at yet.
struct Rig {
    task: Task,
    actions: Vec<TaskAction>,
}

impl Rig {
    fn spawning(kind: TaskKind) -> Rig {
        let mut actions = Vec::new();
        let task = Task::start(TaskSpec { kind, timeout: LIMIT }, &mut actions);
        assert_eq!(actions, [TaskAction::Spawn]);
        actions.clear();
        Rig { task, actions }
    }

    /// Spawned at 0 ms.
    fn running(kind: TaskKind) -> Rig {
        let mut rig = Rig::spawning(kind);
        assert_eq!(rig.event(0, TaskEvent::Spawned { pid: PID }), []);
        rig
    }

    fn event(&mut self, millis: u64, event: TaskEvent) -> Vec<TaskAction> {
        self.task.handle_event(at(millis), event, &mut self.actions);
        std::mem::take(&mut self.actions)
    }

    fn timeout(&mut self, millis: u64) -> Vec<TaskAction> {
        self.task.handle_timeout(at(millis), &mut self.actions);
        std::mem::take(&mut self.actions)
    }

    fn due(&self, millis: u64) -> bool {
        self.task.poll_timeout() == Some(at(millis))
    }
}

const HOOK: TaskKind = TaskKind::Hook { term_grace: GRACE };
const CHECK: TaskKind = TaskKind::HealthCheck;

fn signal(signal: u8, reason: SignalReason) -> TaskAction {
    TaskAction::SignalGroup { signal, reason }
}

/// What follows an exit: the group is cleared.
fn cleared() -> TaskAction {
    signal(SIGKILL, SignalReason::LeaderExited)
}

fn exited(code: u8, output: &str) -> TaskAction {
    TaskAction::Done(TaskEnd::Exited { exit: Exit::Code(code), output: output.into() })
}

fn timed_out(exit: Exit, output: &str) -> TaskAction {
    TaskAction::Done(TaskEnd::TimedOut { limit: LIMIT, exit, output: output.into() })
}

fn output(text: &str) -> TaskEvent {
    TaskEvent::Output(text.as_bytes().to_vec())
}

fn no_fork() -> Box<SpawnError> {
    Box::new(SpawnError::system(SpawnStage::Fork, "", 11))
}

const CANCEL: TaskEvent = TaskEvent::CancelRequested { force: false };
const FORCED_CANCEL: TaskEvent = TaskEvent::CancelRequested { force: true };
const KILLED: Exit = Exit::Signal(SIGKILL);

#[test]
fn output_end_before_exit_ends_the_task_with_its_exit() {
    let mut rig = Rig::running(CHECK);
    assert!(rig.due(10_000));
    assert_eq!(rig.event(1, output("first\nlast\n")), []);
    assert_eq!(rig.event(2, TaskEvent::Drained), []);
    assert_eq!(rig.event(3, TaskEvent::Exited(Exit::Code(1))), [cleared(), exited(1, "first\nlast")]);
    assert!(rig.task.has_ended());
    assert_eq!(rig.task.poll_timeout(), None);
    assert_eq!(rig.task.output, OutputTail::default(), "an ended task holds no output");
}

#[test]
fn output_after_exit_is_in_the_end() {
    let mut rig = Rig::running(CHECK);
    assert_eq!(rig.event(5, TaskEvent::Exited(Exit::Code(2))), [cleared()]);
    assert_eq!(rig.task.pid(), None);
    assert_eq!(rig.event(6, output("too late?")), []);
    assert_eq!(rig.event(7, TaskEvent::Drained), [exited(2, "too late?")]);
}

#[test]
fn drained_that_never_comes_is_not_waited_for_beyond_the_bound() {
    let mut rig = Rig::running(CHECK);
    assert_eq!(rig.event(5, TaskEvent::Exited(Exit::Code(0))), [cleared()]);
    assert!(rig.due(105));
    assert_eq!(rig.timeout(104), []);
    assert_eq!(rig.timeout(105), [exited(0, "")]);
    assert_eq!(rig.event(106, TaskEvent::Drained), []);
}

#[test]
fn exit_before_spawned_is_impossible_and_changes_nothing() {
    let mut rig = Rig::spawning(CHECK);
    let before = rig.task.clone();
    assert_eq!(rig.event(0, TaskEvent::Exited(Exit::Code(0))), []);
    assert_eq!(rig.task, before);
}

#[test]
fn failed_spawn_is_the_end() {
    let mut rig = Rig::spawning(HOOK);
    let failed = TaskAction::Done(TaskEnd::SpawnFailed(no_fork()));
    assert_eq!(rig.event(0, TaskEvent::SpawnFailed(no_fork())), [failed]);
}

#[test]
fn exit_reported_in_the_moment_of_the_time_limit_is_an_ordinary_end() {
    let mut rig = Rig::running(CHECK);
    assert_eq!(rig.event(10_000, TaskEvent::Exited(Exit::Code(0))), [cleared()]);
    assert_eq!(rig.timeout(10_000), []);
    assert_eq!(rig.event(10_000, TaskEvent::Drained), [exited(0, "")]);
}

#[test]
fn timer_that_fires_in_the_moment_of_the_exit_is_a_time_out() {
    let mut rig = Rig::running(CHECK);
    assert_eq!(rig.timeout(10_000), [signal(SIGKILL, SignalReason::TimedOut)]);
    assert_eq!(rig.event(10_000, TaskEvent::Exited(Exit::Code(0))), [cleared()]);
    assert_eq!(rig.event(10_000, TaskEvent::Drained), [timed_out(Exit::Code(0), "")]);
}

#[test]
fn health_check_that_times_out_is_killed_at_once() {
    let mut rig = Rig::running(CHECK);
    rig.event(1, output("stuck\n"));
    assert_eq!(rig.timeout(9_999), []);
    assert_eq!(rig.timeout(10_000), [signal(SIGKILL, SignalReason::TimedOut)]);
    assert_eq!(rig.event(10_001, TaskEvent::Drained), []);
    assert_eq!(rig.event(10_002, TaskEvent::Exited(KILLED)), [cleared(), timed_out(KILLED, "stuck")]);
}

#[test]
fn hook_that_times_out_is_terminated_then_killed_after_its_grace() {
    let mut rig = Rig::running(HOOK);
    assert_eq!(rig.timeout(10_500), [signal(SIGTERM, SignalReason::TimedOut)]);
    assert!(rig.due(13_500), "the grace begins with SIGTERM");
    assert_eq!(rig.timeout(13_500), [signal(SIGKILL, SignalReason::GraceOver)]);
    assert_eq!(rig.event(13_501, TaskEvent::Exited(KILLED)), [cleared()]);
    assert_eq!(rig.event(13_502, TaskEvent::Drained), [timed_out(KILLED, "")]);
}

#[test]
fn hook_that_obeys_sigterm_is_not_sent_sigkill_while_it_lives() {
    let mut rig = Rig::running(HOOK);
    assert_eq!(rig.timeout(10_000), [signal(SIGTERM, SignalReason::TimedOut)]);
    assert_eq!(rig.event(11_000, TaskEvent::Exited(Exit::Code(7))), [cleared()]);
    assert_eq!(rig.timeout(11_099), []);
    assert_eq!(rig.timeout(11_100), [timed_out(Exit::Code(7), "")]);
}

#[test]
fn hook_without_a_grace_is_killed_at_once() {
    let mut rig = Rig::running(TaskKind::Hook { term_grace: Duration::ZERO });
    assert_eq!(rig.timeout(10_000), [signal(SIGKILL, SignalReason::TimedOut)]);
}

#[test]
fn cancel_while_spawning_stops_it_when_it_is_spawned() {
    let mut rig = Rig::spawning(HOOK);
    assert_eq!(rig.event(0, CANCEL), []);
    assert_eq!(rig.event(1, TaskEvent::Spawned { pid: PID }), [signal(SIGTERM, SignalReason::Cancelled)]);
    assert!(rig.due(3_001));
    assert_eq!(rig.event(2, TaskEvent::Exited(Exit::Signal(SIGTERM))), [cleared()]);
    assert_eq!(rig.event(3, TaskEvent::Drained), [TaskAction::Done(TaskEnd::Cancelled)]);
}

#[test]
fn forced_cancel_while_spawning_outlasts_a_gentle_one() {
    let mut rig = Rig::spawning(HOOK);
    assert_eq!(rig.event(0, FORCED_CANCEL), []);
    assert_eq!(rig.event(0, CANCEL), []);
    assert_eq!(rig.event(1, TaskEvent::Spawned { pid: PID }), [signal(SIGKILL, SignalReason::Cancelled)]);
}

#[test]
fn cancel_while_spawning_and_failed_spawn_is_cancelled() {
    for cancel in [CANCEL, FORCED_CANCEL] {
        let mut rig = Rig::spawning(CHECK);
        assert_eq!(rig.event(0, cancel), []);
        assert_eq!(rig.event(1, TaskEvent::SpawnFailed(no_fork())), [TaskAction::Done(TaskEnd::Cancelled)]);
    }
}

#[test]
fn cancel_of_a_health_check_kills_it() {
    let mut rig = Rig::running(CHECK);
    assert_eq!(rig.event(1, CANCEL), [signal(SIGKILL, SignalReason::Cancelled)]);
    assert_eq!(rig.event(2, CANCEL), []);
    assert_eq!(rig.event(2, FORCED_CANCEL), []);
    assert_eq!(rig.event(3, TaskEvent::Exited(KILLED)), [cleared()]);
    assert_eq!(rig.event(4, TaskEvent::Drained), [TaskAction::Done(TaskEnd::Cancelled)]);
}

#[test]
fn forced_cancel_cuts_the_grace_short_and_keeps_the_first_reason() {
    let mut rig = Rig::running(HOOK);
    assert_eq!(rig.timeout(10_000), [signal(SIGTERM, SignalReason::TimedOut)]);
    assert_eq!(rig.event(10_001, CANCEL), []);
    assert_eq!(rig.event(10_002, FORCED_CANCEL), [signal(SIGKILL, SignalReason::Cancelled)]);
    assert!(rig.due(15_002));
    assert_eq!(rig.event(10_003, TaskEvent::Exited(KILLED)), [cleared()]);
    assert_eq!(rig.event(10_004, TaskEvent::Drained), [timed_out(KILLED, "")]);
}

#[test]
fn cancel_after_the_exit_does_not_change_what_came_of_it() {
    let mut rig = Rig::running(HOOK);
    assert_eq!(rig.event(1, TaskEvent::Exited(Exit::Code(0))), [cleared()]);
    assert_eq!(rig.event(2, FORCED_CANCEL), []);
    assert_eq!(rig.event(3, TaskEvent::Drained), [exited(0, "")]);
}

#[test]
fn kill_that_does_not_end_it_is_repeated_every_five_seconds_and_said() {
    let mut rig = Rig::running(CHECK);
    assert_eq!(rig.timeout(10_000), [signal(SIGKILL, SignalReason::TimedOut)]);
    for kills in 1..4 {
        let due = 10_000 + 5_000 * u64::from(kills);
        assert!(rig.due(due));
        assert_eq!(rig.timeout(due - 1), []);
        assert_eq!(rig.timeout(due), [signal(SIGKILL, SignalReason::SurvivedKill { kills })]);
        assert_eq!(rig.task.pid(), Some(PID));
    }
    assert_eq!(rig.event(30_000, TaskEvent::Drained), []);
    assert_eq!(rig.event(3_600_000, TaskEvent::Exited(KILLED)), [cleared(), timed_out(KILLED, "")]);
    let text = [1, 2].map(|kills| SignalReason::SurvivedKill { kills }.to_string());
    assert_eq!(text, ["it has not ended after SIGKILL", "it has not ended after SIGKILL was sent 2 times"]);
}

#[test]
fn an_end_has_one_text() {
    let (exit, output) = (Exit::Signal(SIGTERM), "first\nlast".into());
    let end = TaskEnd::TimedOut { limit: LIMIT, exit, output };
    assert_eq!(end.to_string(), "not finished within 10 s, killed by SIGTERM: last");
    assert_eq!(TaskEnd::Exited { exit: Exit::Code(0), output: "".into() }.to_string(), "exit code 0");
    assert_eq!(TaskEnd::SpawnFailed(no_fork()).to_string(), no_fork().to_string());
    assert_eq!(TaskEnd::Cancelled.to_string(), "cancelled");
}

#[test]
fn a_task_and_its_actions_are_small() {
    assert!(size_of::<Task>() <= 88, "{}", size_of::<Task>());
    assert!(size_of::<TaskAction>() <= 48, "{}", size_of::<TaskAction>());
}

/// Random numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

/// What the kernel and the owner of a task know of it, apart from the task.
#[derive(Default)]
struct Oracle {
    spawned: bool,
    reaped: bool,
    /// The group was sent SIGKILL after the leader's end.
    cleared: bool,
    cancelled: bool,
    interrupted: bool,
    done: Option<TaskEnd>,
}

impl Oracle {
    fn lives(&self) -> bool {
        self.spawned && !self.reaped
    }

    fn check(&mut self, action: &TaskAction) {
        assert_eq!(self.done, None, "{action:?} after Done");
        match action {
            TaskAction::Spawn => panic!("a second spawn"),
            TaskAction::SignalGroup { signal, reason: SignalReason::LeaderExited } => {
                assert!(self.reaped && !self.cleared && *signal == SIGKILL, "{action:?}");
                self.cleared = true;
            }
            TaskAction::SignalGroup { .. } => {
                assert!(self.lives(), "{action:?} to a leader that does not live");
                self.interrupted = true;
            }
            TaskAction::Done(end) => {
                assert!(!self.lives(), "{end:?} while the leader lives");
                assert_eq!(self.spawned, self.cleared, "{end:?} with a group that was not cleared");
                match end {
                    TaskEnd::Exited { .. } => assert!(self.spawned && !self.interrupted),
                    TaskEnd::TimedOut { .. } => assert!(self.interrupted),
                    TaskEnd::SpawnFailed(_) => assert!(!self.spawned && !self.cancelled),
                    TaskEnd::Cancelled => assert!(self.cancelled),
                }
                self.done = Some(end.clone());
            }
        }
    }
}

/// One input of a life: what the kernel may do next, or what never should come and must change nothing.
fn next_event(random: &mut Random, oracle: &mut Oracle) -> TaskEvent {
    let exit = if random.below(2) == 0 { Exit::Code(random.below(3) as u8) } else { KILLED };
    match random.below(9) {
        0 | 1 => {
            oracle.spawned |= oracle.done.is_none();
            TaskEvent::Spawned { pid: PID }
        }
        2 if !oracle.spawned => TaskEvent::SpawnFailed(no_fork()),
        2 | 3 => {
            oracle.reaped |= oracle.spawned;
            TaskEvent::Exited(exit)
        }
        4 | 5 => TaskEvent::Output(vec![if random.below(3) == 0 { b'\n' } else { b'x' }; random.below(600) as usize]),
        6 => TaskEvent::Drained,
        _ => {
            oracle.cancelled |= oracle.done.is_none();
            TaskEvent::CancelRequested { force: random.below(2) == 0 }
        }
    }
}

/// Each step is taken by a task and by a twin that is written down and read back before it.
fn live(seed: u64) -> TaskEnd {
    let mut random = Random(seed);
    let kind = if random.below(2) == 0 { CHECK } else { HOOK };
    let mut actions = Vec::new();
    let mut task = Task::start(TaskSpec { kind, timeout: LIMIT }, &mut actions);
    let (mut oracle, mut now, mut quiet_steps) = (Oracle::default(), at(0), 0);
    while quiet_steps < 10 {
        let text = serde_json::to_string(&task).expect("JSON");
        let mut twin: Task = serde_json::from_str(&text).expect("a task");
        assert_eq!(twin, task, "seed {seed}: {text}");
        let (mut actions, mut twin_actions) = (Vec::new(), Vec::new());
        let before = task.clone();
        match task.poll_timeout() {
            Some(due) if random.below(3) == 0 => {
                now = now.max(due + Duration::from_millis(random.below(2) * random.below(20_000)));
                task.handle_timeout(now, &mut actions);
                twin.handle_timeout(now, &mut twin_actions);
                assert_ne!(task, before, "seed {seed}: a timer that does nothing");
            }
            _ => {
                now += Duration::from_millis(random.below(50));
                let event = next_event(&mut random, &mut oracle);
                task.handle_event(now, event.clone(), &mut actions);
                twin.handle_event(now, event, &mut twin_actions);
                task.handle_timeout(now, &mut actions);
                twin.handle_timeout(now, &mut twin_actions);
            }
        }
        assert_eq!((&twin, &twin_actions), (&task, &actions), "seed {seed}: after {text}");
        assert!(task.poll_timeout().is_none_or(|due| due > now), "seed {seed}: {task:?} is due after {now:?}");
        if oracle.done.is_some() {
            assert_eq!(task, before, "seed {seed}: an ended task has changed");
            quiet_steps += 1;
        }
        actions.iter().for_each(|action| oracle.check(action));
        assert_eq!(task.has_ended(), oracle.done.is_some(), "seed {seed}");
        assert_eq!(task.pid().is_some(), oracle.lives(), "seed {seed}");
        let waits_for_an_event = !oracle.spawned || oracle.done.is_some();
        assert!(waits_for_an_event || task.poll_timeout().is_some(), "seed {seed}: {task:?} waits for nothing");
    }
    oracle.done.expect("it has ended")
}

#[test]
fn many_lives_keep_the_rules_at_every_step_and_across_a_round_trip() {
    let mut seen = [0; 4];
    for seed in 0..if cfg!(miri) { 5 } else { 1_000 } {
        let index = match live(seed) {
            TaskEnd::Exited { .. } => 0,
            TaskEnd::TimedOut { .. } => 1,
            TaskEnd::SpawnFailed(_) => 2,
            TaskEnd::Cancelled => 3,
        };
        seen[index] += 1;
    }
    assert!(seen.iter().all(|count| *count > 15), "some ends were hardly reached: {seen:?}");
}

#[test]
fn ends_and_actions_survive_a_round_trip() {
    let ends = [
        TaskEnd::Exited { exit: Exit::Code(3), output: "last".into() },
        TaskEnd::TimedOut { limit: LIMIT, exit: KILLED, output: "".into() },
        TaskEnd::SpawnFailed(no_fork()),
        TaskEnd::Cancelled,
    ];
    for action in ends.map(TaskAction::Done).into_iter().chain([TaskAction::Spawn, cleared()]) {
        let text = serde_json::to_string(&action).expect("JSON");
        assert_eq!(serde_json::from_str::<TaskAction>(&text).expect("an action"), action, "{text}");
    }
}
