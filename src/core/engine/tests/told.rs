//! What is answered and when, and what is done beside it.

use super::operate::quick;
use super::*;
use crate::codec::frames::{EventSelection, Updated, WaitFor};
use crate::models::AutoRestart;
use crate::process::Exit;
use crate::sys::machine::Power;

fn wait_for(seconds: u64) -> Terms {
    Terms { timeout: Some(Duration::from_secs(seconds)), ..Terms::default() }
}

fn update(confirm: Option<u64>) -> Request {
    Request::Update { confirm: confirm.map(Duration::from_secs) }
}

fn other(config: &ProgramConfig) -> ProgramConfig {
    ProgramConfig { command: name("other"), ..config.clone() }
}

impl House {
    fn updated(&self) -> &Updated {
        match self.last_answer().1 {
            Answer::Report(report) => match &**report {
                Report::Updated(updated) => updated,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_log_level_is_set_told_and_refused() {
    let mut house = House::new(&[]);
    let level = |level: Option<&str>| Request::LogLevel { level: level.map(name) };
    let told = |house: &House| match house.last_answer().1 {
        Answer::Report(report) => match &**report {
            Report::LogLevel(level) => level.clone(),
            other => panic!("{other:?}"),
        },
        _ => house.message(),
    };
    house.ask(1, level(None));
    assert_eq!(told(&house), "INFO");
    house.ask(1, level(Some(" debug ")));
    assert_eq!(told(&house), "DEBUG");
    house.ask(1, level(Some("loud")));
    assert!(told(&house).starts_with("INVALID_REQUEST loglevel: there is no level 'LOUD'"), "{}", told(&house));
    house.ask(1, level(None));
    assert_eq!(told(&house), "DEBUG", "it stays");
}

#[test]
fn a_group_that_is_misspelt_is_guessed() {
    let mut house = House::new(&[ProgramConfig { group: Some(name("workers")), ..quick("p") }]);
    house.ask(1, Request::StartGroup { name: name("wrokers"), terms: Terms::default() });
    assert_eq!(house.message(), "NOT_FOUND no group 'wrokers'; did you mean 'workers'?");
}

#[test]
fn only_those_who_listen_are_forgotten() {
    let mut house = House::new(&[quick("p")]);
    for conn in [7, 8] {
        house.ask(conn, Request::Events { selection: EventSelection::default(), history: 0 });
    }
    house.handle(Input::Gone(5));
    assert_eq!(house.world.forgotten, [0; 0]);
    house.handle(Input::Gone(7));
    assert_eq!(house.world.forgotten, [7]);
    house.world.told.clear();
    house.start(1, "p");
    assert!(!house.world.told.is_empty() && house.world.told.iter().all(|(conn, _)| *conn == 8));
}

#[test]
fn the_bytes_of_one_program_s_records_end_exactly_at_the_limit() {
    let text = "x".repeat(200);
    let record = |cause: usize| history::Past {
        at: Duration::ZERO,
        from: ProcessState::Stopped,
        to: ProcessState::Stopped,
        pid: None,
        cause: &text[..cause],
    };
    // With its head a record of 186 takes 200 bytes.
    let filled = |last: usize| {
        let mut history = history::History::default();
        (0..4).for_each(|_| history.push(record(186), history::MOST_RECORDS));
        history.push(record(last), history::MOST_RECORDS);
        history.len()
    };
    assert_eq!((filled(186), filled(187)), (history::MOST_BYTES, 801));
}

#[test]
fn records_become_few_only_beyond_the_limit_of_all() {
    let mut house = House::new(&[quick("p")]);
    for (in_all, kept) in [(history::MOST_IN_ALL, 6), (history::MOST_IN_ALL + 1, history::FEW_RECORDS)] {
        for text in ["a", "b", "c", "d", "e"] {
            house.engine.note(house.now, 0, text);
        }
        house.engine.history_bytes = in_all;
        house.engine.note(house.now, 0, "y");
        assert_eq!(house.engine.entries[&0].history.iter().count().min(6), kept);
    }
}

#[test]
fn a_wait_is_over_when_it_is_so_or_when_its_time_is() {
    let mut house = House::new(&[program("p")]);
    let wait = |timeout| Request::Wait { name: name("p"), until: WaitFor::Running, timeout };
    house.ask(2, wait(None));
    house.ask(3, wait(Some(Duration::from_secs(4))));
    house.handle(Input::Local { name: name("p"), command: Command::Start, reply: None });
    house.pass(3);
    assert_eq!(house.answers(), Vec::new(), "STARTING is not RUNNING");
    house.pass(1);
    assert_eq!(
        (house.last_answer().0, house.message().as_str()),
        (3, "TIMEOUT p is not running yet: STARTING: pid 1001, uptime 0:04")
    );
    house.pass(6);
    assert_eq!((house.last_answer().0, house.message().as_str()), (2, "p is running"));
}

#[test]
fn a_start_that_somebody_stops_is_answered_at_once() {
    let mut house = House::new(&[program("p")]);
    house.start(1, "p");
    house.ask(2, Request::Stop { name: name("p"), terms: Terms::default() });
    assert_eq!(
        (house.last_answer().0, house.message().as_str()),
        (1, "FAILED p did not start: STOPPING: it was stopped meanwhile")
    );
}

#[test]
fn a_start_that_ends_in_fatal_is_answered() {
    let mut house = House::new(&[ProgramConfig { startretries: 0, ..program("p") }]);
    house.start(1, "p");
    house.world.lingers = true;
    house.end(0, Exit::Code(3));
    house.pass(1);
    assert!(house.message().starts_with("FAILED p did not start: FATAL"), "{}", house.message());
}

#[test]
fn a_machine_is_turned_off_when_all_has_ended() {
    for (power, word) in [(Power::Off, "poweroff"), (Power::Reboot, "reboot"), (Power::Halt, "halt")] {
        let mut house = House::new(&[quick("p")]);
        house.handle(Input::Notice(Notice::Power(power)));
        assert_eq!((house.engine.is_ending(), house.engine.power()), (false, None), "it is not ours");
        house.engine.commands_machine(true);
        house.start(1, "p");
        house.ask(2, Request::Power(power));
        assert_eq!(house.message(), format!("{word}: everything is stopped"));
        assert_eq!((house.status("p").state.as_str(), house.engine.finished()), ("STOPPING", None));
        house.end(0, Exit::Signal(15));
        assert_eq!((house.engine.finished(), house.engine.power()), (Some(true), Some(power)));
    }
}

#[test]
fn the_console_is_set_up_anew_when_one_of_its_settings_has_changed() {
    let mut house = House::new(&[]);
    let mut config = SupervisorConfig::default();
    let mut outputs = Vec::new();
    for step in 0..4 {
        match step {
            1 => config.log_prefix = Some(name("> ")),
            2 => config.default_output = crate::models::DefaultOutput::Console,
            _ => config.shutdown_timeout += 1,
        }
        house.handle(Input::Notice(Notice::Reload));
        let loaded = Loaded { config: config.clone(), warnings: Vec::new(), logfile_given: false, files: Vec::new() };
        house.handle(Input::ConfigLoaded(Box::new(Ok(loaded))));
        outputs.push(house.world.outputs);
    }
    assert_eq!(outputs, [0, 1, 2, 2]);
}

#[test]
fn an_update_tells_what_it_has_done() {
    let programs = [quick("same"), quick("changed"), quick("removed")];
    let mut house = House::new(&programs);
    for program in &programs {
        house.start(1, &program.name);
    }
    house.ask(2, update(None));
    house.load(&[quick("same"), other(&quick("changed")), quick("added")]);
    house.end(1, Exit::Signal(15));
    house.end(2, Exit::Signal(15));
    let one = |text: &str| vec![name(text)];
    let wanted = Updated {
        added: one("added"),
        removed: one("removed"),
        changed: one("changed"),
        restarted: one("changed"),
        confirm_until: None,
    };
    assert_eq!(house.updated(), &wanted);
    assert_eq!((house.status("same").pid, house.status("same").state.as_str()), (Some(1001), "RUNNING"));
}

#[test]
fn an_update_without_a_change_needs_no_confirm() {
    let mut house = House::new(&[quick("p")]);
    house.start(1, "p");
    house.ask(2, update(Some(60)));
    house.load(&[quick("p")]);
    assert_eq!((house.updated(), house.engine.trial.is_none()), (&Updated::default(), true));
    house.ask(3, update(Some(60)));
    house.load(&[quick("p"), ProgramConfig { autostart: false, ..quick("q") }]);
    assert_eq!((house.updated().confirm_until, house.engine.trial.is_some()), (Some(1_700_000_060.0), true));
}

#[test]
fn what_fails_in_an_update_is_told_with_what_comes_of_it() {
    for (confirm, wanted) in [
        (None, "FAILED Updated, but failed for: p (BACKOFF: exit code 1 after 0.0 s, retry 1 of 3 in 1 s)"),
        (
            Some(60),
            "FAILED Updated, but failed for: p (BACKOFF: exit code 1 after 0.0 s, retry 1 of 3 in 1 s); \
             without a confirm the configuration before comes back",
        ),
    ] {
        let mut house = House::new(&[program("p")]);
        house.start(1, "p");
        house.pass(10);
        house.ask(2, update(confirm));
        house.load(&[other(&program("p"))]);
        house.end(0, Exit::Signal(15));
        house.end(0, Exit::Code(1));
        house.handle(Input::Output(Note::Drained { program: 0, generation: 2, last_line: None }));
        assert_eq!(house.message(), wanted);
    }
}

#[test]
fn what_was_down_before_an_update_is_down_when_it_is_taken_back() {
    let mut house = House::new(&[quick("up"), quick("down")]);
    house.start(1, "up");
    house.ask(2, update(Some(60)));
    house.load(&[other(&quick("up")), other(&quick("down"))]);
    house.end(0, Exit::Signal(15));
    house.pass(60);
    house.end(0, Exit::Signal(15));
    assert_eq!((house.status("up").state.as_str(), house.status("down").state.as_str()), ("RUNNING", "STOPPED"));
    assert_eq!((house.world.pids, house.status("up").pid), (3, Some(1003)));
}

#[test]
fn why_tells_of_what_is_left_of_a_group_and_of_a_paced_restart() {
    let never = ProgramConfig { autorestart: AutoRestart::Never, ..quick("never") };
    let mut house = House::new(&[program("crashes"), never, quick("paced")]);
    for name in ["crashes", "never", "paced"] {
        house.start(1, name);
    }
    house.end(2, Exit::Code(0));
    let next = |house: &mut House, name: &str| house.why(name).lines.pop().expect("a line");
    assert_eq!(next(&mut house, "paced"), "Next: a restart, in 1.0 s.");
    house.world.lingers = true;
    house.end(0, Exit::Code(1));
    house.end(1, Exit::Code(0));
    let left = "Next: SIGKILL for what is left of its process group, in 10:00.";
    assert_eq!((next(&mut house, "crashes").as_str(), next(&mut house, "never").as_str()), (left, left));
}

#[test]
fn a_command_s_own_time_is_counted_from_its_beginning() {
    let mut house = House::new(&[program("p")]);
    house.pass(5);
    house.ask(1, Request::Start { name: name("p"), terms: wait_for(4) });
    house.pass(3);
    assert_eq!(house.answers(), Vec::new());
    house.pass(1);
    assert_eq!(house.answers(), [(1, "failed")]);
}
