//! Every request is answered once, whatever it asks for. [`Bench`] compares its list of those who wait with the ledger
//! after each turn; here each kind of request comes by, in a calm moment, while a run ends, and during a shutdown.

use super::bench::{Client, OWN_PID, act_on_terms, checked, other, quick, update, wait};
use super::*;
use crate::api::{Amount, EventKinds, LogLevel, LogSource, Query, Unreached, Watch};
use crate::models::{LogStart, Power};
use crate::process::{SpawnError, SpawnStage};

/// One request of each kind, and of each way to be answered.
fn one_of_each() -> Vec<Request> {
    let text = || name("p");
    let no_wait = Terms { wait: false, ..Terms::default() };
    let level = LogLevel::from_name("DEBUG").expect("a level");
    let group = |act| Command::Act { act, on: Selector::Group(text()), terms: Terms::default() };
    let queries = [
        Query::Status { name: None, offset: 0 },
        Query::Status { name: Some(text()), offset: 0 },
        #[cfg(feature = "xmlrpc")]
        Query::Find { names: Vec::new(), right: crate::models::Right::Stop },
        #[cfg(feature = "xmlrpc")]
        Query::Find { names: vec![text()], right: crate::models::Right::Stop },
        Query::History { name: None },
        Query::Pid { name: None },
        Query::Pid { name: Some(text()) },
        Query::Ping,
        Query::Version,
        Query::LogLevel,
        Query::Flags,
        Query::Daemon,
        Query::Configuration,
    ];
    let watches = [
        Watch::Events { kinds: EventKinds::ALL, history: 3 },
        Watch::Tail { name: text(), stream: StreamKind::Stdout, amount: Amount::Lines(3), follow: false },
        Watch::Reread { secrets: true, file: None },
        #[cfg(feature = "xmlrpc")]
        Watch::FollowDaemonLog { bytes: 9 },
        Watch::ReadLog { source: LogSource::Daemon, from: LogStart::At(0), length: None },
        Watch::ReadLog {
            source: LogSource::Process { name: text(), stream: StreamKind::Stderr },
            from: LogStart::BeforeEnd(9),
            length: Some(9),
        },
        Watch::Why { name: text() },
    ];
    let commands = [
        group(Act::Start),
        group(Act::Stop),
        Command::EndRun { name: text() },
        Command::Signal { name: text(), signal: 1, target: crate::process::SignalTarget::Leader },
        Command::Reload { timeout: None },
        Command::Confirm,
        Command::SetLogLevel { level },
        Command::SetFlag { name: text(), is_set: true },
        Command::Scale { program: text(), instances: 3, save: false, timeout: None },
        Command::SetEnabled { name: text(), enabled: false },
        Command::ClearLogs { name: text() },
        Command::Stdin { name: text(), bytes: b"x".as_slice().into() },
        #[cfg(feature = "attach")]
        Command::Attach { name: text(), size: None },
        #[cfg(feature = "attach")]
        Command::Run(super::transients::run(None, true)),
        #[cfg(feature = "attach")]
        Command::Run(super::transients::run(Some("p"), false)),
        Command::ReopenLogs,
        Command::ClearDaemonLog,
        Command::ReadConfiguration,
        Command::RemoveGroup { name: name("nobody") },
        Command::AddGroup { name: text() },
        Command::RemoteEvent { kind: text(), data: text() },
        Command::RestartDaemon,
        Command::Power(Power::Off),
        Command::Shutdown,
    ];
    let waits = [WaitFor::Running, WaitFor::Healthy, WaitFor::Stopped, WaitFor::Exited];
    let acts = [Act::Start, Act::Stop, Act::Restart { force: false }, Act::Restart { force: true }, Act::Kill];
    let mut all: Vec<Request> = queries.into_iter().map(Request::Query).collect();
    all.extend(watches.into_iter().map(Request::Watch));
    all.extend(waits.into_iter().flat_map(|until| [wait("p", until, None), wait("nobody", until, None)]));
    for act in acts {
        all.extend([bench::act(act, "p"), act_on_terms(act, "p", no_wait), bench::act(act, "nobody")]);
    }
    all.extend([update(None), update(Some(60))]);
    all.extend(commands.into_iter().map(Request::Command));
    all
}

/// Answers of this client.
fn count(bench: &Bench, client: Client) -> usize {
    bench.system.answers.iter().filter(|(other, ..)| *other == client).count()
}

#[test]
fn each_kind_of_request_is_answered_once_in_each_situation() {
    let situations: [fn(&mut Bench); 5] = [
        |_| (),
        |bench| bench.start(1, "p"),
        |bench| {
            bench.start(1, "p");
            bench.system.lingers = true;
            bench.end(0, Exit::Code(3));
        },
        |bench| {
            bench.start(1, "p");
            bench.ask(1, update(Some(60)));
            bench.load(&[other(&checked("p"))]);
        },
        |bench| {
            bench.start(1, "p");
            bench.handle(Input::Notice(Notice::Terminate(None)));
        },
    ];
    for (number, situation) in situations.into_iter().enumerate() {
        for request in one_of_each() {
            let mut bench = Bench::new(&[checked("p")]);
            situation(&mut bench);
            bench.ask(7, request.clone());
            // What may be waited for comes: the file is read, what ends is reaped, and then the daemon ends.
            bench.load(&[checked("p")]);
            bench.system.lingers = false;
            if bench.entry(0).machine.has_run() {
                bench.end(0, Exit::Signal(15));
            }
            bench.pass(5);
            for _ in 0..2 {
                bench.handle(Input::Notice(Notice::Terminate(None)));
                bench.pass(700);
            }
            let streamed = matches!(request, Request::Watch(Watch::Tail { .. } | Watch::Events { .. }));
            #[cfg(feature = "xmlrpc")]
            let streamed = streamed || matches!(request, Request::Watch(Watch::FollowDaemonLog { .. }));
            assert_eq!(count(&bench, 7), usize::from(!streamed), "{request:?} in situation {number}");
            bench.gone(7);
            assert_eq!(bench.engine.owed(), 0, "{request:?} in situation {number}");
        }
    }
}

#[test]
fn nothing_is_owed_to_a_client_that_has_gone_whatever_it_asked_for() {
    for request in one_of_each() {
        let mut bench = Bench::new(&[program("p")]);
        bench.ask(7, request.clone());
        bench.gone(7);
        assert_eq!((bench.engine.owed(), bench.engine.waiters.len()), (0, 0), "{request:?}");
    }
}

#[test]
fn a_file_that_is_read_for_thirty_seconds_is_given_up_and_comes_too_late() {
    let mut bench = Bench::new(&[quick("p")]);
    bench.ask(1, Request::Watch(Watch::Reread { secrets: false, file: None }));
    bench.pass(29);
    assert_eq!(bench.answers(), Vec::new());
    bench.pass(1);
    assert_eq!(bench.answers(), [(1, "timed_out")]);
    assert_eq!(bench.refusal(), &Refusal::RereadFailed(ReloadFailure::TimedOut { seconds: 30 }));
    bench.ask(2, update(None));
    bench.ask(3, reload());
    bench.pass(30);
    assert_eq!(bench.answers()[1..], [(2, "timed_out")], "the next read has its own time");
    assert_eq!(
        bench.message(),
        "TIMEOUT Update failed, nothing was changed: the configuration was not read within 30 s; \
         does its file system answer?"
    );
    // What was given up comes after all: it is thrown away, the read that is under way is not over with it.
    for late in [1, 2] {
        let config = SupervisorConfig { programs: vec![quick("late")], ..SupervisorConfig::default() };
        bench.loaded(
            late,
            Ok(Loaded {
                config,
                warnings: Vec::new(),
                logfile_given: false,
                pidfile_given: false,
                files: Vec::new(),
                origins: Vec::new(),
                scaled: Vec::new(),
            }),
        );
    }
    assert_eq!((bench.system.names(), bench.answers().len()), (vec![name("p")], 2));
    bench.load(&[quick("p"), quick("new")]);
    assert_eq!(bench.answers()[2..], [(3, "ok")]);
    bench.ask(4, update(None));
    bench.load(&[quick("p"), quick("new"), quick("newer")]);
    assert_eq!(bench.answers()[3..], [(4, "ok")], "a later update works");
    assert_eq!(bench.system.names(), ["p", "new", "newer"]);
    bench.pass(60);
    assert_eq!(bench.answers().len(), 4, "nobody is told of a time-out of what was read in time");
}

#[test]
fn a_dead_disk_holds_four_threads_and_no_more() {
    let mut bench = Bench::new(&[quick("p")]);
    for request in 1..=4 {
        bench.ask(request, reload());
        bench.pass(30);
    }
    bench.ask(5, reload());
    assert_eq!(bench.answers()[4..], [(5, "timed_out")], "at once");
    // One of them comes back to life: there is room for a read.
    bench.loaded(1, Err(ConfigError::NotFound { path: "/dead".into() }));
    bench.ask(6, reload());
    assert_eq!(bench.answers().len(), 5);
    bench.load(&[quick("p"), quick("new")]);
    assert_eq!(bench.answers()[5..], [(6, "ok")]);
}

#[test]
fn who_does_not_wait_is_told_that_it_has_begun_or_that_it_failed_at_once() {
    let no_wait = Terms { wait: false, ..Terms::default() };
    let mut bench = Bench::new(&[program("p")]);
    bench.ask(1, act_on_terms(Act::Start, "p", no_wait));
    let on = Selector::Process(name("p"));
    assert_eq!((bench.reply(), bench.message().as_str()), (&Reply::Begun { act: Act::Start, on }, "Starting p"));

    let mut bench = Bench::new(&[program("p")]);
    bench.system.refuse_spawns = Some(SpawnError::system(SpawnStage::Exec, "/x", 2));
    bench.ask(1, act_on_terms(Act::Start, "p", no_wait));
    let Refusal::NotReached { act: Act::Start, members, timed_out: false, .. } = bench.refusal() else {
        panic!("{:?}", bench.refusal())
    };
    assert!(matches!(&members[..], [(_, Unreached::Reached(reached))] if reached.state == ProcessState::Backoff));
    assert_eq!(
        bench.message(),
        "FAILED p did not start: BACKOFF: cannot execute /x: No such file or directory, retry 1 of 3 in 1 s"
    );
    assert_eq!(bench.engine.waiters.len(), 0);
}

#[test]
fn a_shutdown_is_answered_before_it_begins() {
    let mut bench = Bench::new(&[quick("p")]);
    bench.start(1, "p");
    bench.ask(2, Request::Command(Command::Shutdown));
    assert_eq!((bench.reply(), bench.message().as_str()), (&Reply::ShuttingDown, "The daemon is shutting down"));
    assert_eq!((bench.state("p"), bench.engine.finished()), (ProcessState::Stopping, None));
    bench.ask(3, Request::Query(Query::Ping));
    assert_eq!(bench.reply(), &Reply::Pid(OWN_PID), "questions are answered until the end");
}

#[test]
fn an_entry_whose_owner_is_lost_owns_nothing() {
    let mut bench = Bench::new(&[program("p")]);
    bench.ask(7, act(Act::Start, "p"));
    bench.ask(8, reload());
    let request = |client| *bench.system.open.iter().find(|(_, other)| **other == client).expect("it waits").0;
    let (start, reload) = (request(7), request(8));
    let engine = &mut bench.engine;
    assert!(engine.owns(start) && engine.owns(reload));
    engine.waiters = Default::default();
    assert!(!engine.owns(start) && engine.owns(reload), "nobody will come to it");
    engine.reload = Default::default();
    assert!(!engine.owns(reload));
    engine.give_up(start);
    assert_eq!(engine.owed(), 1);
}
