//! supervice: a small, truthful process supervisor for Linux, as a library.
//!
//! [`core::Supervisor`] starts programs, watches them, restarts them, checks their health and keeps their
//! output; [`client::Controller`] commands a daemon through its control socket. The commands `supervice`
//! and `supervicectl` are [`supervice_main`] and [`supervicectl_main`].
//!
//! Load a configuration, run the supervisor on one thread, and use it from another:
//!
//! ```
//! use supervice::core::Supervisor;
//! use supervice::events::EventType;
//!
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("demo.ini");
//! # std::fs::write(&path, "[supervice]\nsocket = none\npidfile = none\nlogfile = none\n\
//! #     [program:sleeper]\ncommand = sleep 300\nstartsecs = 0\nautostart = false\n")?;
//! let supervisor = Supervisor::new();
//! supervisor.load_config(&path)?;
//!
//! let (tx, rx) = std::sync::mpsc::channel();
//! supervisor.events().subscribe(EventType::ProcessStateRunning, move |event| {
//!     let _ = tx.send(event.text("processname").unwrap_or_default().to_owned());
//! });
//!
//! let runner = supervisor.clone();
//! let thread = std::thread::spawn(move || runner.run());
//!
//! let sleeper = supervisor.process("sleeper").expect("it is configured");
//! sleeper.start_process()?;                    // returns when it is RUNNING
//! assert_eq!(rx.recv()?, "sleeper");
//! sleeper.stop_process()?;                     // returns when nothing of it is left
//!
//! supervisor.shutdown();
//! thread.join().expect("no panic")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The rooms
//!
//! Typed facts inside, words at the edge; decisions in a pure core, effects around it; one writer.
//!
//! ```text
//!   words     sentences of status, why and log; JSON                      (Display of the types; codecs)
//!  ───────────────────────────────────────────────────────────────────────────────────────────────
//!   codec     bytes ⇄ api types: pure, on the io thread and in the client
//!   api       Query | Watch | Command → Reply | Refusal; Announcement     (plain data, no text)
//!   engine    registry · graph · lifecycle · waiting · waiters · reload · commit · shutdown · adoption · exit policy
//!             pure: handle(now, Input) → effects; poll_timeout() → when to wake it
//!   process   the machine of one process; Cause, Initiator; Task, the machine of one script: pure
//!  ───────────────────────────────────────────────────────────────────────────────────────────────
//!   effects   launch · signal · reap · checks · outputs · replies: system calls, in the order of the list
//!   sys       the kernel; the only `unsafe`
//! ```
//!
//! | module | is | uses |
//! |---|---|---|
//! | [`models`] | plain configuration data and its defaults | nothing |
//! | `util` | what has no subject of its own: globs, suggestions, truncation, texts of errors | nothing |
//! | [`process`] | the pure state machine of a process, causes and initiators; [`process::Process`], the handle | `models`, `util` |
//! | `api` | what can be asked, what is answered, what is announced: plain data | `process`, `models`, `util`, `config::Diagnostic` (a warning about the file) |
//! | `schedule` | the moments at which a schedule is due, pure | `models`, `util` |
//! | `codec` | frames, HTTP and XML-RPC ⇄ `api`, pure | `api`, `process`, `models`, `util` |
//! | `sys` | everything that talks to the kernel | `process` (its facts), `models`, `util` |
//! | [`config`] | read → expand → validate → plan; one table of keys | `models`, `process` (signals), `sys` (users, files), `util` |
//! | [`events`] | the event bus | `api`, `process`, `util` |
//! | [`health`] | the checks and their threads | `models`, `process`, `sys`, `util` |
//! | [`logger`] | the daemon's own log | `models`, `sys`, `util` |
//! | `output` | capture, rotation, console, memory; standard input; event listeners | `models`, `process`, `sys`, `logger`, `util` |
//! | `control` | the io thread: the sockets of clients, their names in the file system, and what programs tell of themselves; `control/web`: HTTP | `api`, `codec`, `models`, `process`, `sys`, `util` |
//! | [`core`] | [`core::Supervisor`], the dispatcher's loop, how it begins and ends | all of the above |
//! | `core/engine` | decides | `api`, `process`, `models`, `util`, the plan of `config`, `core/effect` |
//! | `core/effect` | inputs and effects: the language between the two | plain data of its neighbours |
//! | `core/effects` | performs | as `core` |
//! | [`client`] | the client of a control socket | `api`, `codec`, `models`, `process`, `sys`, `util` |
//! | `ctl` | the command `supervicectl` | `client`, `codec`, `config`, `models`, `process`, `sys`, `util` |
//! | `init` | one program under PID 1, without a configuration; a machine's init | `process`, `sys`, `util` |
//! | `daemon` | the command `supervice` | `core`, `api`, `config`, `init`, `logger`, `models`, `process`, `sys`, `util` |
//!
//! Tests keep these arrows true, and that no files use each other in a circle.
//!
//! # The threads
//!
//! ```text
//!                                       ┌── sockets: frames (supervicectl), HTTP, XML-RPC
//!                  ┌────────────────────▼─────┐
//!                  │ io, the thread that      │  bytes ⇄ api types; knows no process; inherits the orphans
//!                  │ called run: mio::Poll    │
//!                  └──┬ Input          ▲ Reply + Waker
//!   signals           ▼ bounded        │ (never blocks)
//!   ┌──▼ self-pipe ────────────────────┴──────────────────────┐
//!   │ dispatcher: a mio::Poll of its own = SINGLE WRITER       │
//!   │ wait(next timer) → engine.handle → effects               │
//!   │ the only thread that forks, signals and reaps            │
//!   └─┬ CheckRequest   ▲ Health(generation)     ┬ Announcement │
//!     ▼                │                        ▼
//!   health:<name> ─────┘                    events (EventBus handlers)
//!   (checks by tcp, unix, http)
//!   child stdout/stderr ──► output: its own mio::Poll ──► files, console, memory; tail and clear
//!   log: the daemon's own lines ──► file, console
//! ```
//!
//! Sends *towards* the dispatcher may block for a moment; sends *from* it never block. So no cycle of channels can
//! deadlock, and a slow disk, a slow client, a slow name look-up or a slow subscriber can never delay a restart. Every
//! thread sleeps in the kernel when there is nothing to do: an idle daemon makes no system call. Threads that have no
//! work (`events` without subscribers) do not exist. A script is a task of the dispatcher: it needs no thread.
//!
//! What may hang has a thread of its own that ends with its one job, and what it finds comes back as an input or an
//! answer:
//! `config` reads the configuration, `lookup` asks for users, hosts and env files, `health:<name>` checks by tcp, unix or http,
//! `paths` and `changes` look at files that are waited for or watched, `names` whether control socket and pid file are still there,
//! `usage` at CPU time and memory, `listeners` opens sockets, `web` works on an answer of HTTP, `daemon log` serves the daemon's
//! own log. `log-writer` threads write what `output` has read, several where several disks are slow, and end when they
//! are idle.
//!
//! # The rules of the inside
//!
//! - No fact is a sentence. Why a state was entered is a [`Cause`](process::Cause), who asked an
//!   [`Initiator`](process::Initiator), what a request came to a `Reply` or a `Refusal`. Each is worded in one place, and no
//!   code looks into a text to decide.
//! - What may be asked is three types: a `Query` is answered within the turn, a `Watch` later, and both change nothing; a
//!   `Command` is logged with its initiator. A match over our own types has no default arm.
//! - An answer is owed. After each turn, also one that panicked, every request is answered, owned by somebody in the
//!   ledger, or handed to the output thread with a responder whose drop answers.
//! - The engine calls nothing. It returns effects; the dispatcher performs them in order and feeds the results back.
//! - What happens is announced once, typed, and handed in order to every subscriber.
//! - Every timer has a name, and the loop has one source of wake-ups.
//! - Time is a `Moment` that is handed in; only `sys` reads a clock. All durations are monotonic; the wall clock is for
//!   printing. The whole state of the engine can be written down and read back.
//! - A key of the configuration is one row in one table.
//!
//! # What always holds
//!
//! - Never two live children for one process; no child after an acknowledged stop.
//! - Restarts are paced (at most one a second) and bounded exactly as configured.
//! - Every run has a generation; an answer of an older one (an exit, a health report) changes nothing.
//! - There is always a child, a timer or a down state: nothing is ever stuck; a stop settles in bounded time, which a program
//!   can put off itself (`EXTEND_TIMEOUT_USEC`), but not beyond a kill or the end of a shutdown.
//! - Signals reach only what the daemon has started, what is left of its process group, what descends from it and has left that
//!   group, and what it has adopted from a daemon that was killed.
//!
//! # The Python package's interface, method by method
//!
//! Compared with the source of the package, version 0.4.2. What is `async` there blocks the calling thread here; names
//! of methods are the same, an event type `PROCESS_STATE_RUNNING` is [`ProcessStateRunning`](events::EventType).
//!
//! | there | here | the same | different on purpose |
//! |---|---|---|---|
//! | `parse_config` | [`config::parse_config`] | one file in, a validated configuration out | all that is wrong is told at once, with file and line |
//! | `Supervisor.load_config` | [`load_config`](core::Supervisor::load_config) | the programs are there, nothing runs; the configuration before stays if it fails | sets up the log, as the reference says (the package leaves that to its command), unless the program has a logger or `logfile = none` |
//! | `Supervisor.run` | [`run`](core::Supervisor::run) | blocks until the end; pid file, socket, then programs | once for each `Supervisor`; what is left behind is an error |
//! | `Supervisor.shutdown` | [`shutdown`](core::Supervisor::shutdown) | stops everything, within `shutdown_timeout` | returns at once, `run` when it is done (there `run` goes on waiting for a signal); the second time kills |
//! | `Supervisor.reload_config` | [`reload_config`](core::Supervisor::reload_config) | `added`, `removed`, `changed`, sorted; a changed program takes its settings at its next start | also the keys of `[supervice]`, each with whether it took effect; a key that did not stays as it was in `config` |
//! | `Supervisor.config` | [`config`](core::Supervisor::config) | newest after a reload | one `ProgramConfig` for each process |
//! | `Supervisor.processes`, `groups` | [`processes`](core::Supervisor::processes), [`groups`](core::Supervisor::groups) | by name; a program in no group forms its own | a snapshot |
//! | `Process.config`, `state` | [`config`](process::Process::config), [`state`](process::Process::state) | those of the next start; the same states | |
//! | `Process.process` | [`pid`](process::Process::pid) | | the number alone: the supervisor alone may signal and reap |
//! | `Process.should_run`, `is_healthy` | [`should_run`](process::Process::should_run), [`is_healthy`](process::Process::is_healthy) | | |
//! | `Process.started_at` | [`started_at`](process::Process::started_at) | `None` where none runs | the monotonic clock, from the spawn (there: the wall clock, from `RUNNING`) |
//! | `Process.start` | [`start`](process::Process::start) | returns at once | asks for the start too: supervision itself begins with `run` |
//! | `Process.stop` | [`stop`](process::Process::stop) | stops, and stays down | may be started again; an error if something is left |
//! | `Process.start_process` | [`start_process`](process::Process::start_process) | waits for `RUNNING`, at most `startsecs` and 5 s; cuts a back-off short | any other state is an error with its reason (there: `FATAL` alone) |
//! | `Process.stop_process` | [`stop_process`](process::Process::stop_process) | the stop signal, SIGKILL after `stopwaitsecs`; `should_run` is cleared | returns when nothing of the group is left |
//! | `Process.force_kill` | [`force_kill`](process::Process::force_kill) | SIGKILL to the group; `should_run` is cleared | as `stop_process`; also cuts a stop short |
//! | `Process.kill` | [`kill`](process::Process::kill) | as a stop, but `should_run` stays: the next run follows at once | also waits for that run |
//! | `Controller(socket_path)` | [`client::Controller::new`] | the same default | |
//! | `Controller.send_command` | [`send_command`](client::Controller::send_command) | the answer as it came, errors of the daemon included | no daemon is an error, no answer |
//! | `Controller.status` | [`status`](client::Controller::status) | | gives the rows; printing is `supervicectl`'s |
//! | `Controller.start_process`, `stop_process`, `restart_process`, `start_group`, `stop_group`, `reload` | methods of these names of [`client::Controller`] | the same commands | give the message or the error in place of printing it and a `bool` |
//! | `Event` | [`events::Event`] | `type`, `payload` | payload values by [`text`](events::Event::text) and [`number`](events::Event::number) |
//! | `EventBus(maxsize)` | [`events::EventBus::new`] | 1000 by default | |
//! | `EventBus.start`, `stop` | [`start`](events::EventBus::start), [`stop`](events::EventBus::stop) | | a thread in place of a task; `run` starts it |
//! | `EventBus.subscribe`, `publish` | [`subscribe`](events::EventBus::subscribe), [`publish`](events::EventBus::publish) | never blocks; when full the oldest is dropped; a handler that fails stops no other | |
//! | `HealthCheckResult`, `HealthChecker.check` | [`health::HealthCheckResult`], [`health::HealthChecker`] | `healthy`, `message` | |
//! | `TCPHealthChecker`, `ScriptHealthChecker` | [`health::TcpHealthChecker`], [`health::ScriptHealthChecker`] | | made from their parts; a script runs as the caller (the daemon runs it as the program's user) |
//! | `create_health_checker` | [`health::create_health_checker`] | `None` for the type `none` | also for settings that are incomplete |
//! | `setup_logger`, `get_logger` | [`logger::setup_logger`], [`logger::get_logger`] | file with rotation, else standard output; may be called again | [`Taken`](logger::LoggerError::Taken) where the program has a logger: a Rust program has one |
//!
//! # Where to add what
//!
//! In each case the compiler or a test names what is left to be done: a match without the new variant
//! (`src/api/access.rs`: who may ask for it; `tests/sim`: what it may change), a page or a table of the documents
//! without the new word.
//!
//! A key of the configuration:
//! - `src/models.rs`: a field of `ProgramConfig`, and its default; of `SupervisorConfig`, in `src/models/daemon.rs`.
//! - `src/config/keys/program.rs`: a row of `PROGRAM`, with parser, default, what a reload does, and a line of help.
//! - `src/core/environment.rs`: its use; what a child gets is a field of `Prepared`.
//!
//! A timer:
//! - `src/core/engine/timers.rs`: a variant of `TimerKey`. Their order is the order in which timers of one moment fire.
//! - `src/core/engine/mod.rs`: its handler, in `fire`. It looks at nothing else.
//! - `src/core/engine/tests/sim/timers.rs`: what it may change, in `business`: the simulation catches it at anything else.
//!
//! A verb of the control protocol, and one of the command line, which calls it through [`client::Controller`]:
//! - `src/api/request.rs`: a variant of `Query` or `Watch`; of a command, in `src/api/command.rs`.
//! - `src/codec/frames/request.rs`: its word and parameters, in `query`, `watch`, `act` or `change`.
//! - `src/core/engine/commands.rs`: its handler, in `query`, `watch` or `command`.
//!
//! A path of HTTP:
//! - `src/control/web/router.rs`: its row in `find`.
//! - `src/control/web/probes.rs`, or a file of its own face: its handler, from the request to a `Step`.
//!
//! The command line:
//! - `src/ctl/verb.rs`: a row of `verbs`, with usage, help, options and completion.
//! - `src/ctl/mod.rs`: its handler, in `handle`.
//! - `src/ctl/query.rs`: the handler itself; of what changes something, in `src/ctl/command.rs`.
//!
//! A consumer of transitions and all else that happens:
//! - `src/core/engine/announce.rs`: inside the engine, an entry of `SUBSCRIBERS`.
//! - `src/core/effects/mod.rs`: outside of it, a line in the arm of `Announce`.

// What is seen of the interface can be named by whoever uses it.
#![cfg_attr(not(feature = "internals"), deny(unnameable_types))]

mod api;
pub mod client;
mod codec;
pub mod config;
mod control;
pub mod core;
mod ctl;
mod daemon;
pub mod events;
mod failpoint;
pub mod health;
mod init;
pub mod logger;
pub mod models;
mod output;
pub mod process;
mod schedule;
mod sys;
mod util;

pub use ctl::main as supervicectl_main;
pub use daemon::main as supervice_main;
/// What the allocator of the daemon's program is; no part of the interface.
#[doc(hidden)]
pub use sys::heap::DaemonHeap;

/// What the tests and fuzz targets of this repository reach into. No part of the interface: it may change at any time.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals {
    pub use crate::codec::frames;
    #[cfg(feature = "http")]
    pub use crate::codec::http;
    #[cfg(feature = "xmlrpc")]
    pub use crate::codec::xmlrpc;
    pub use crate::config::document::Document;
    pub use crate::ctl::check_arguments;
    pub use crate::process::machine::{
        Action, Condition, Desired, Event, Generation, KillWhy, LastRun, Machine, Transition,
    };
    pub use crate::process::moment::Moment;
    pub use crate::process::notification::{Notification, WatchdogReport};
    pub use crate::process::readiness::ReadyReport;
    pub use crate::process::stop_signals::StopStep;
    pub use crate::process::task::{
        OutputTail, SignalReason, Task, TaskAction, TaskEnd, TaskEvent, TaskKind, TaskSpec,
    };
}
