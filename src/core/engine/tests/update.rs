//! New configurations: what they change, and the way back.

use super::bench::{checked, other, quick, update};
use super::dependencies::list;
use super::*;
use crate::api::{Changes, DaemonChanges, ReloadChange, Reread, RollbackReason, Updated, Watch};
use crate::config::Diagnostic;
use crate::models::{AccessRule, AutoRestart, DefaultOutput, HookCommand, HttpConfig, ProgramType};
use crate::process::{Cause, SpawnError, SpawnStage};

impl Bench {
    fn updated(&self) -> &Updated {
        match self.reply() {
            Reply::Updated(updated) => updated,
            other => panic!("{other:?}"),
        }
    }

    fn is_unconfirmed(&self) -> bool {
        self.engine.commit.pending_until().is_some()
    }
}

#[test]
fn an_update_that_makes_a_program_unhealthy_is_taken_back() {
    let mut bench = Bench::new(&[quick("p")]);
    bench.start(1, "p");
    let mut checked = ProgramConfig { command: name("other"), autorestart: AutoRestart::Never, ..checked("p") };
    checked.healthcheck.retries = 1;
    bench.ask(2, update(Some(60)));
    bench.load(&[checked]);
    bench.end(0, Exit::Signal(15));
    bench.health(0, 2, false);
    assert_eq!((bench.state("p"), bench.is_unconfirmed()), (ProcessState::Stopping, false));
    bench.end(0, Exit::Signal(15));
    assert_eq!(bench.state("p"), ProcessState::Running);
    assert_eq!(bench.entry(0).config().command, "sleep 1000");
    bench.ask(3, Request::Command(Command::Confirm));
    let cause = Cause::Unhealthy { failures: 1, message: "refused".into() };
    let reason = RollbackReason::Failed { name: name("p"), state: ProcessState::Unhealthy, cause };
    assert_eq!(bench.refusal(), &Refusal::NothingToConfirm { taken_back: Some(Box::new(reason.clone())) });
    assert!(bench.message().ends_with("p is UNHEALTHY: health check failed once: refused"), "{}", bench.message());
    assert!(bench.announced(&Announcement::Reload(ReloadChange::RolledBack(Arc::new(reason)))));
}

#[test]
fn an_update_is_done_for_a_client_that_has_gone_but_a_question_is_not() {
    let mut bench = Bench::new(&[quick("p")]);
    bench.start(1, "p");
    bench.ask(2, Request::Watch(Watch::Reread { secrets: false, file: None }));
    bench.ask(3, update(None));
    bench.gone(2);
    bench.gone(3);
    assert_eq!(bench.engine.reload.waiting(), 1);
    bench.load(&[quick("p")]);
    let changed = ProgramConfig { command: "sleep 5".to_owned(), ..quick("p") };
    bench.load(&[changed]);
    assert_eq!(bench.state("p"), ProcessState::Stopping);
    bench.end(0, Exit::Signal(15));
    assert_eq!((bench.state("p"), bench.system.pids), (ProcessState::Running, 2));
}

#[test]
fn an_update_starts_nothing_that_was_down() {
    let once = ProgramConfig { autorestart: AutoRestart::Never, ..quick("done") };
    let mut bench = Bench::new(&[quick("up"), quick("never"), quick("stopped"), once.clone()]);
    for name in ["up", "stopped", "done"] {
        bench.start(1, name);
    }
    bench.stop(2, "stopped");
    bench.end(2, Exit::Signal(15));
    bench.end(3, Exit::Code(0));
    bench.ask(3, update(None));
    bench.load(&[quick("up"), quick("never"), quick("stopped"), once].map(|config| other(&config)));
    bench.end(0, Exit::Signal(15));
    let states = ["up", "never", "stopped", "done"].map(|name| bench.state(name));
    let stopped = ProcessState::Stopped;
    assert_eq!(states, [ProcessState::Running, stopped, stopped, ProcessState::Exited]);
    assert_eq!(bench.system.pids, 4);
}

#[test]
fn an_update_that_cannot_even_spawn_is_taken_back_and_nobody_hears_of_it_twice() {
    let mut bench = Bench::new(&[quick("p")]);
    bench.start(1, "p");
    let broken = ProgramConfig { command: "broken".to_owned(), startretries: 0, ..quick("p") };
    bench.ask(2, update(Some(60)));
    bench.load(&[broken, quick("new")]);
    assert_eq!(bench.system.names(), ["p", "new"]);
    bench.end(0, Exit::Signal(15));
    bench.end(0, Exit::Code(1));
    // `new` was started, and goes with the update.
    bench.end(1, Exit::Signal(15));
    assert_eq!(bench.system.names(), ["p"]);
    assert_eq!((bench.state("p"), bench.entry(0).config().command.as_str()), (ProcessState::Running, "sleep 1000"));
    assert!(!bench.is_unconfirmed());
    bench.ask(3, Request::Command(Command::Confirm));
    assert_eq!(
        bench.message(),
        "FAILED Nothing to confirm: the update was taken back, because p is FATAL: exit code 1 after 0.0 s"
    );
    bench.ask(3, Request::Command(Command::Confirm));
    assert_eq!(bench.message(), "FAILED Nothing to confirm: no update waits for it");
}

/// Whoever confirms an update that has changed nothing can't know that, and nothing was taken back.
#[test]
fn an_update_that_has_changed_nothing_can_be_confirmed_once() {
    const NONE: &str = "FAILED Nothing to confirm: no update waits for it";
    const NOTHING: &str = "Nothing to confirm: the update has changed nothing";
    const BACK: &str = "FAILED Nothing to confirm: the update was taken back, because nobody has confirmed it in time";
    fn confirm(bench: &mut Bench) -> String {
        bench.ask(9, Request::Command(Command::Confirm));
        bench.message()
    }
    let mut bench = Bench::new(&[quick("p")]);
    bench.start(1, "p");
    assert_eq!(confirm(&mut bench), NONE);
    bench.ask(2, update(None));
    bench.load(&[quick("p")]);
    assert_eq!(confirm(&mut bench), NONE, "nobody was to confirm that");
    bench.ask(3, update(Some(60)));
    bench.load(&[quick("p")]);
    assert_eq!((confirm(&mut bench).as_str(), confirm(&mut bench).as_str()), (NOTHING, NONE));
    // Another one that changes as little is no obstacle; one that changes something is the last one.
    for (config, told) in [(quick("p"), NOTHING), (other(&quick("p")), NONE)] {
        bench.ask(4, update(Some(60)));
        bench.load(&[quick("p")]);
        bench.ask(5, update(None));
        bench.load(&[config]);
        assert_eq!(confirm(&mut bench), told);
    }
    bench.end(0, Exit::Signal(15));
    // One that was taken back is told of, until another one follows it.
    for told in [BACK, NOTHING] {
        bench.ask(6, update(Some(60)));
        bench.load(&[quick("p")]);
        bench.end(0, Exit::Signal(15));
        bench.pass(60);
        bench.end(0, Exit::Signal(15));
        assert_eq!(bench.entry(0).config().command, other(&quick("p")).command, "it was taken back");
        if told == NOTHING {
            bench.ask(7, update(Some(60)));
            bench.load(&[other(&quick("p"))]);
        }
        assert_eq!(confirm(&mut bench), told);
    }
}

#[test]
fn the_console_is_set_up_anew_when_one_of_its_settings_has_changed() {
    let mut bench = Bench::new(&[]);
    let mut config = SupervisorConfig::default();
    let mut outputs = Vec::new();
    for step in 0..4 {
        match step {
            1 => config.log_prefix = Some(name("> ")),
            2 => config.default_output = DefaultOutput::Console,
            _ => config.shutdown_timeout += 1,
        }
        bench.handle(Input::Notice(Notice::Reload));
        bench.load_settings(config.clone());
        outputs.push(bench.system.outputs);
    }
    assert_eq!(outputs, [0, 1, 2, 2]);
}

/// Sockets are looked through where there is one before or after, also if it is the same; streams end with the rules by
/// which they were begun, and the log's level is set, where they have changed alone.
#[test]
fn an_update_reaches_the_sockets_the_streams_and_the_log() {
    let mut bench = Bench::new(&[]);
    let web = HttpConfig::new("web");
    let plain = SupervisorConfig::default();
    let steps = [
        plain.clone(),
        SupervisorConfig { http: vec![web.clone()], ..plain.clone() },
        SupervisorConfig { http: vec![web], access: vec![AccessRule::new("nobody")], ..plain.clone() },
        SupervisorConfig { loglevel: name("DEBUG"), ..plain.clone() },
        plain,
    ];
    let seen = steps.map(|config| {
        bench.handle(Input::Notice(Notice::Reload));
        bench.load_settings(config);
        (std::mem::take(&mut bench.system.sockets), bench.system.streams_ended, bench.system.log_levels.len())
    });
    assert_eq!(seen, [(vec![], 0, 0), (vec![1], 0, 0), (vec![1], 1, 0), (vec![0], 2, 1), (vec![], 2, 2)]);
}

/// What takes effect at once is in force, and seen, when the answer comes; what does not is named each time.
#[test]
fn an_update_of_the_daemon_alone_is_told_and_shown() {
    let mut bench = Bench::new(&[]);
    let config =
        SupervisorConfig { shutdown_timeout: 77, socket_mode: 0o660, log_backups: 3, ..SupervisorConfig::default() };
    let restart = vec![name("socket_mode")];
    for (request, live) in [(1, vec![name("log_backups"), name("shutdown_timeout")]), (2, Vec::new())] {
        bench.ask(request, update(None));
        bench.load_settings(config.clone());
        let daemon = DaemonChanges { live, restart: restart.clone() };
        assert_eq!(bench.updated(), &Updated { daemon, ..Updated::default() });
        let shown = bench.system.shown_settings.as_deref().expect("the settings are shown");
        assert_eq!((shown.shutdown_timeout, shown.socket_mode, shown.log_backups), (77, 0o600, 3));
    }
    assert_eq!(bench.system.log_limits, [(config.log_maxbytes, 3)]);
    assert!(bench.system.shown_settings.take().is_some());
    bench.ask(3, update(None));
    bench.load_settings(config);
    assert!(bench.system.shown_settings.is_none(), "nothing has changed since");
}

/// There is nothing to go back from where only the next start of the daemon brings a setting into force.
#[test]
fn what_needs_a_new_daemon_needs_no_confirmation() {
    let mut bench = Bench::new(&[]);
    bench.ask(1, update(Some(60)));
    bench.load_settings(SupervisorConfig { socket_mode: 0o660, ..SupervisorConfig::default() });
    assert!(!bench.is_unconfirmed());
    bench.ask(2, update(Some(60)));
    bench.load_settings(SupervisorConfig { shutdown_timeout: 77, ..SupervisorConfig::default() });
    assert!(bench.is_unconfirmed());
    bench.pass(60);
    let shown = bench.system.shown_settings.as_deref().expect("the settings are shown");
    assert_eq!(shown.shutdown_timeout, SupervisorConfig::default().shutdown_timeout, "it was taken back");
}

#[test]
fn an_update_tells_what_it_has_done() {
    let programs = [quick("same"), quick("changed"), quick("removed")];
    let mut bench = Bench::new(&programs);
    for program in &programs {
        bench.start(1, &program.name);
    }
    bench.ask(2, update(None));
    bench.load(&[quick("same"), other(&quick("changed")), quick("added")]);
    bench.end(1, Exit::Signal(15));
    bench.end(2, Exit::Signal(15));
    let one = |text: &str| vec![name(text)];
    let changes = Changes { added: one("added"), removed: one("removed"), changed: one("changed") };
    let wanted =
        Updated { changes: changes.clone(), restarted: one("changed"), confirm_until: None, ..Updated::default() };
    assert_eq!(bench.updated(), &wanted);
    assert!(bench.announced(&Announcement::Reload(ReloadChange::Applied(changes))));
    assert_eq!((bench.row("same").pid, bench.state("same")), (Some(1001), ProcessState::Running));
}

#[test]
fn an_update_without_a_change_needs_no_confirm() {
    let mut bench = Bench::new(&[quick("p")]);
    bench.start(1, "p");
    bench.ask(2, update(Some(60)));
    bench.load(&[quick("p")]);
    assert_eq!((bench.updated(), bench.is_unconfirmed()), (&Updated::default(), false));
    bench.ask(3, update(Some(60)));
    bench.load(&[quick("p"), ProgramConfig { autostart: false, ..quick("q") }]);
    let until = bench.now + Duration::from_secs(60);
    assert_eq!((bench.updated().confirm_until, bench.is_unconfirmed()), (Some(until), true));
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
        let mut bench = Bench::new(&[program("p")]);
        bench.start(1, "p");
        bench.pass(10);
        bench.ask(2, update(confirm));
        bench.load(&[other(&program("p"))]);
        bench.end(0, Exit::Signal(15));
        bench.end(0, Exit::Code(1));
        bench.drained(0, 2, None);
        assert_eq!(bench.message(), wanted);
        assert_eq!(bench.answers().last(), Some(&(2, "update_incomplete")));
    }
}

#[test]
fn what_was_down_before_an_update_is_down_when_it_is_taken_back() {
    let mut bench = Bench::new(&[quick("up"), quick("down")]);
    bench.start(1, "up");
    bench.ask(2, update(Some(60)));
    bench.load(&[other(&quick("up")), other(&quick("down"))]);
    bench.end(0, Exit::Signal(15));
    bench.pass(60);
    bench.end(0, Exit::Signal(15));
    assert_eq!((bench.state("up"), bench.state("down")), (ProcessState::Running, ProcessState::Stopped));
    assert_eq!((bench.system.pids, bench.row("up").pid), (3, Some(1003)));
}

#[test]
fn a_reread_tells_of_the_daemon_and_of_each_program_by_itself() {
    let mut bench = Bench::new(&[quick("p"), quick("old")]);
    bench.ask(1, Request::Watch(Watch::Reread { secrets: false, file: None }));
    let config = SupervisorConfig {
        shutdown_timeout: 77,
        programs: vec![
            ProgramConfig {
                command: name("other"),
                environment: [(name("KEY"), name("s3cret"))].into_iter().collect(),
                ..quick("p")
            },
            quick("new"),
        ],
        ..SupervisorConfig::default()
    };
    let odd = Diagnostic {
        file: Arc::from(std::path::Path::new("x.conf")),
        line: 3,
        section: None,
        key: None,
        value: None,
        message: name("odd"),
        hint: String::new(),
    };
    let loaded = Loaded {
        config,
        warnings: vec![odd],
        logfile_given: false,
        pidfile_given: false,
        files: Vec::new(),
        origins: Vec::new(),
        scaled: Vec::new(),
    };
    bench.loaded(1, Ok(loaded.clone()));
    let Reply::Reread(reread) = bench.reply() else { panic!("a reread") };
    let Reread { added, removed, changed, warnings, daemon } = &**reread;
    let live = DaemonChanges { live: vec![name("shutdown_timeout")], restart: Vec::new() };
    assert_eq!(daemon, &live);
    assert_eq!((added, removed, warnings), (&vec![name("new")], &vec![name("old")], &vec![name("x.conf:3: odd")]));
    let keys: Vec<(&str, Vec<&str>)> = changed
        .iter()
        .map(|(name, changes)| (name.as_str(), changes.iter().map(|change| change.key.as_str()).collect()))
        .collect();
    assert_eq!(keys, [("[supervice]", vec!["shutdown_timeout"]), ("p", vec!["command", "environment.KEY"])]);
    assert!(!format!("{reread:?}").contains("s3cret"), "{reread:?}");
    bench.ask(2, Request::Watch(Watch::Reread { secrets: true, file: None }));
    bench.loaded(2, Ok(loaded));
    let Reply::Reread(reread) = bench.reply() else { panic!("a reread") };
    assert!(format!("{reread:?}").contains("s3cret"), "shown where it is asked for: {reread:?}");
}

#[test]
fn the_log_tells_what_a_reload_has_changed() {
    let mut bench = Bench::new(&[quick("c")]);
    let log = |bench: &Bench| bench.system.announced.last().expect("an announcement").to_string();
    bench.handle(Input::Notice(Notice::Reload));
    bench.load(&[other(&quick("c")), quick("a"), quick("b")].map(|it| ProgramConfig { autostart: false, ..it }));
    assert_eq!(log(&bench), "reload: added a, b; changed c");
    bench.handle(Input::Notice(Notice::Reload));
    bench.load(&[other(&quick("c")), quick("a"), quick("b")].map(|it| ProgramConfig { autostart: false, ..it }));
    assert_eq!(log(&bench), "reload: no changes");
}

/// What was read is shared with what is in force: whatever the files say one after the other, what is told of them and
/// what is in force is as if each had been read for itself.
#[test]
fn each_file_is_brought_into_force_whatever_was_there_before() {
    let mut random = super::sim::random::Random::new(7);
    for _ in 0..200 {
        let mut bench = Bench::new(&[]);
        let mut before: Vec<ProgramConfig> = Vec::new();
        for client in 1..8 {
            let mut file = before.clone();
            for number in 0..8 {
                let fresh = ProgramConfig {
                    startsecs: random.small(2),
                    autostart: false,
                    ..ProgramConfig::new(format!("p{number}"), "sleep 1000")
                };
                let place = file.iter().position(|program| program.name == fresh.name);
                match place {
                    Some(place) if random.chance(15) => drop(file.remove(place)),
                    Some(place) if random.chance(20) => file[place] = fresh,
                    Some(place) if random.chance(10) => {
                        let moved = file.remove(place);
                        file.insert(0, moved);
                    }
                    None if random.chance(40) => file.push(fresh),
                    Some(_) | None => {}
                }
            }
            let settings = |bench: &Bench| -> Vec<Arc<ProgramConfig>> {
                bench.engine.registry.configured().map(|(_, entry)| Arc::clone(entry.config())).collect()
            };
            let held = settings(&bench);
            bench.ask(client, update(None));
            bench.load(&file);
            let plan = crate::config::diff(
                &SupervisorConfig { programs: before, ..SupervisorConfig::default() },
                &SupervisorConfig { programs: file.clone(), ..SupervisorConfig::default() },
            );
            let Changes { added, removed, changed } = &bench.updated().changes;
            assert_eq!((added, removed, changed), (&plan.added, &plan.removed, &plan.changed));
            let mut placed: Vec<(u32, ProgramConfig)> = Vec::new();
            for (_, entry) in bench.engine.registry.configured() {
                placed.push((entry.place, ProgramConfig::clone(entry.config())));
                let same = held.iter().find(|former| *former == entry.config());
                assert!(same.is_none_or(|same| Arc::ptr_eq(same, entry.config())), "no copy of what has not changed");
            }
            placed.sort_by_key(|(place, _)| *place);
            assert_eq!(placed, (0..).zip(file.clone()).collect::<Vec<_>>());
            before = file;
        }
    }
}

/// Whether its last words are still to be read, something waits for it, it is new, or was never executed: whoever waits
/// for the update learns what has brought it down, and not what the way back does to the programs.
#[test]
fn an_update_that_is_taken_back_is_answered_by_why() {
    let strict = |name: &str| ProgramConfig { startretries: 0, ..program(name) };
    let needing = |on: &str| ProgramConfig { requires: list(on), ..program("app") };
    let once = ProgramConfig { program_type: ProgramType::Oneshot, autorestart: AutoRestart::Never, ..strict("once") };
    let before = [strict("p"), needing("p")];
    let cases: [(&[ProgramConfig], ProcId, &str); 3] = [
        (&[other(&strict("p")), needing("p")], 0, "p is FATAL: exit code 7 after 0.0 s"),
        (&[strict("p"), needing("p"), once], 2, "once is FATAL: exit code 7 after 0.0 s"),
        (&[strict("p"), needing("p"), strict("new")], 2, "new is FATAL: exit code 7 after 0.0 s"),
    ];
    for (after, fails, why) in cases {
        let mut bench = Bench::new(&before);
        bench.start(1, "p");
        bench.pass(10);
        bench.start(1, "app");
        bench.pass(10);
        let told = bench.answers().len();
        bench.ask(2, update(Some(60)));
        bench.load(after);
        if fails == 0 {
            bench.end(1, Exit::Signal(15));
            bench.end(0, Exit::Signal(15));
        }
        bench.end(fails, Exit::Code(7));
        assert_eq!(bench.answers()[told..], [(2, "update_taken_back")], "{why}");
        assert_eq!(bench.message(), format!("FAILED The update was taken back: {why}"));
        assert!(bench.refusal().cause().is_some());
        bench.pass(60);
        assert_eq!(["p", "app"].map(|name| bench.state(name)), [ProcessState::Running; 2]);
        assert_eq!(bench.answers().len(), told + 1, "it is told once");
    }
}

#[test]
fn an_update_that_cannot_be_executed_is_answered_by_that() {
    let strict = |command: &str| ProgramConfig { command: name(command), ..program("p") };
    let mut bench = Bench::new(&[strict("sleep 1000")]);
    bench.start(1, "p");
    bench.pass(10);
    bench.ask(2, update(Some(60)));
    bench.load(&[strict("other")]);
    bench.system.refuse_spawns = Some(SpawnError::system(SpawnStage::Exec, "/bin/other", 13));
    bench.end(0, Exit::Signal(15));
    assert_eq!(bench.answers().last(), Some(&(2, "update_taken_back")));
    assert!(bench.message().starts_with("FAILED The update was taken back: p is FATAL: "), "{}", bench.message());
}

#[test]
fn an_update_that_nobody_confirms_before_it_is_up_was_taken_back() {
    let mut bench = Bench::new(&[program("p")]);
    bench.start(1, "p");
    bench.pass(10);
    bench.ask(2, update(Some(5)));
    bench.load(&[other(&program("p"))]);
    bench.end(0, Exit::Signal(15));
    bench.pass(5);
    assert_eq!(bench.message(), "FAILED The update was taken back: nobody has confirmed it in time");
    assert_eq!((bench.last_client(), bench.state("p")), (2, ProcessState::Stopping));
}

#[test]
fn nobody_confirms_an_update_that_has_failed_in_the_same_moment() {
    let mut bench = Bench::new(&[program("p")]);
    bench.start(1, "p");
    bench.pass(10);
    bench.ask(2, update(Some(60)));
    bench.load(&[ProgramConfig { startretries: 0, ..other(&program("p")) }]);
    bench.end(0, Exit::Signal(15));
    bench.system.ended.push((0, 2, Exit::Code(1)));
    bench.turn(|engine, now| engine.handle(now, Input::Notice(Notice::Child)));
    bench.ask(3, Request::Command(Command::Confirm));
    let told: Vec<_> = bench.answers().into_iter().skip(1).collect();
    assert_eq!(told, [(2, "update_taken_back"), (3, "nothing_to_confirm")]);
    assert_eq!((bench.state("p"), bench.entry(0).config().command.as_str()), (ProcessState::Starting, "sleep 1000"));
}

#[test]
fn an_update_that_is_confirmed_before_it_is_up_tells_of_no_way_back() {
    let mut bench = Bench::new(&[program("p")]);
    bench.start(1, "p");
    bench.pass(10);
    bench.ask(2, update(Some(60)));
    bench.load(&[other(&program("p"))]);
    bench.ask(3, Request::Command(Command::Confirm));
    bench.end(0, Exit::Signal(15));
    bench.pass(10);
    assert_eq!((bench.last_client(), bench.updated().confirm_until), (2, None));
}

/// It is FATAL before the daemon begins to wait for a confirmation.
#[test]
fn an_update_that_needs_what_cannot_get_there_is_taken_back_at_once() {
    let db = quick("db");
    let mut bench = Bench::new(std::slice::from_ref(&db));
    bench.ask(1, Request::Command(Command::SetEnabled { name: name("db"), enabled: false }));
    bench.ask(2, update(Some(60)));
    bench.load(&[db, ProgramConfig { requires: list("db"), ..quick("app") }]);
    let wanted = "FAILED The update was taken back: app is FATAL: it needs db, which is STOPPED";
    assert_eq!((bench.last_client(), bench.message().as_str()), (2, wanted));
    assert_eq!(bench.system.names(), ["db"]);
    assert!(!bench.is_unconfirmed());
}

/// `web`, whose `pre_start` was run, and which waits for `db`, that has crashed meanwhile.
fn prepared(bench: &mut Bench) {
    bench.start(1, "web");
    bench.end(0, Exit::Code(1));
    let task = *bench.system.tasks.keys().next().expect("its pre_start runs");
    end_task(bench, task);
    assert_eq!(bench.describe("web"), "waiting for db (BACKOFF, retry 1 of 3 in 1 s)");
}

fn end_task(bench: &mut Bench, task: u64) {
    bench.handle(Input::TaskExited { task, exit: Exit::Code(0) });
    bench.handle(Input::Output(Note::TaskOutput { task, tail: Vec::new() }));
}

fn with_pre_start(post_stop: &[&str]) -> ProgramConfig {
    let command = |command: &str| HookCommand { command: name(command), may_fail: false, as_daemon: false };
    let mut web = ProgramConfig { requires: list("db"), ..quick("web") };
    web.hooks.pre_start = vec![command("prepare")];
    web.hooks.post_stop = post_stop.iter().map(|text| command(text)).collect();
    web
}

#[test]
fn what_was_prepared_with_old_settings_is_prepared_anew() {
    for post_stop in [&[][..], &["clean"]] {
        let web = with_pre_start(post_stop);
        let mut bench = Bench::new(&[quick("db"), web.clone()]);
        prepared(&mut bench);
        bench.ask(2, update(None));
        bench.load(&[quick("db"), other(&web)]);
        if !post_stop.is_empty() {
            assert_eq!((bench.state("web"), bench.system.tasks.len()), (ProcessState::Stopping, 1));
            let clean = *bench.system.tasks.keys().next().expect("what was prepared is cleaned up");
            end_task(&mut bench, clean);
        }
        bench.pass(2);
        assert_eq!(bench.state("db"), ProcessState::Running);
        let task = *bench.system.tasks.keys().next().expect("its pre_start runs again");
        end_task(&mut bench, task);
        assert_eq!(bench.state("web"), ProcessState::Running);
        assert_eq!(bench.entry(1).machine.run_config().map(|config| &*config.command), Some("other"));
    }
}

/// Who has failed at first and is up when the last one is has done what it should; and who has been given up by then is
/// told of as such.
#[test]
fn an_answer_tells_the_states_of_its_own_time() {
    let slow = ProgramConfig { startsecs: 20, ..program("slow") };
    for (retries, wanted) in [
        (3, "Updated"),
        (1, "FAILED Updated, but failed for: flaky (FATAL: exit code 1 after 0.0 s, gave up after 2 attempts)"),
    ] {
        let flaky = ProgramConfig { startsecs: 1, startretries: retries, ..program("flaky") };
        let mut bench = Bench::new(&[]);
        bench.ask(1, update(None));
        bench.load(&[flaky, slow.clone()]);
        for _ in 0..2 {
            bench.end(0, Exit::Code(1));
            bench.pass(u64::from(bench.state("flaky") == ProcessState::Backoff));
        }
        bench.pass(30);
        // Answers that are data have no sentence in a frame.
        let message = match bench.system.answers.last() {
            Some((1, Ok(Reply::Updated(_)), _)) => "Updated".to_owned(),
            _ => bench.message(),
        };
        assert_eq!(message, wanted);
    }
}
