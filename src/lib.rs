//! supervice: a small, truthful process supervisor for Linux, as a library.
//!
//! [`core::Supervisor`] starts programs, watches them, restarts them, checks their health and keeps their
//! output; [`client::Controller`] commands a daemon through its control socket. The commands `supervice`
//! and `supervicectl` are [`daemon::main`] and [`ctl::main`].
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
//! # The threads
//!
//! ```text
//!   signals ──self-pipes─┐              ┌── control socket ── supervicectl
//!                  ┌─────▼──────────────▼─────┐
//!                  │ io: mio::Poll            │  frames in, frames out; knows no process
//!                  └──┬ Input          ▲ answer + Waker
//!         bounded     ▼                │ (never blocks)
//!   ┌──────────────────────────────────┴─────────────────────┐
//!   │ the thread that called run = dispatcher = SINGLE WRITER │
//!   │ recv_deadline(next timer) → handle(now, input) → act    │
//!   │ the only thread that spawns, signals and reaps          │
//!   └─┬ CheckRequest   ▲ Health(generation)     ┬ Event       │
//!     ▼                │                        ▼
//!   health:<name> ─────┘                    events (EventBus handlers)
//!   (checks by tcp)
//!   child stdout/stderr ──► output: its own mio::Poll ──► files, console, memory
//!   log: the daemon's own lines ──► file, console
//! ```
//!
//! Sends *towards* the dispatcher may block for a moment; sends *from* it never block. So no cycle of
//! channels can deadlock, and a slow disk, a slow client, a slow name look-up or a slow subscriber can
//! never delay a restart. Every thread sleeps in the kernel when there is nothing to do: an idle daemon makes no
//! system call. Threads that have no work (`events` without subscribers, `health:…` without checks by tcp) do not exist.
//! A health check script is a [task](process::Task) of the dispatcher: it needs no thread.
//!
//! # The modules, and who may use whom
//!
//! | module | is | uses |
//! |---|---|---|
//! | [`models`] | plain configuration data and its defaults | nothing |
//! | [`process`] | the pure state machine of a process; [`process::Process`], the handle | `models` |
//! | [`sys`] | everything that talks to the kernel; the only `unsafe` | `process` (its vocabulary), `models` |
//! | [`config`] | parse → expand → validate → compare; one table of keys | `models`, `process` (signals), `sys::users` |
//! | [`events`] | the event bus | `process` |
//! | [`health`] | the checks and their worker threads | `models`, `process`, `sys` |
//! | [`output`] | capture, rotation, console, memory | `models`, `process`, `sys`, `logger` (the console) |
//! | [`rpc`] | frames and messages (pure); the io thread | `sys` |
//! | [`core`] | the engine (decides), the kernel (acts), the dispatcher's loop | all of the above |
//! | [`client`] | the client | `rpc::protocol`, `sys::net` |
//! | [`init`] | one program under PID 1, without a configuration; a machine's init | `process`, `sys` |
//! | [`daemon`], [`ctl`] | the two commands | `core`, `config`, `init`; `client` |
//!
//! A test keeps these arrows true.
//!
//! # What always holds
//!
//! - Never two live children for one process; no child after an acknowledged stop.
//! - Restarts are paced (at most one a second) and bounded exactly as configured.
//! - Every run has a generation; an answer of an older one (an exit, a health report) changes nothing.
//! - There is always a child, a timer or a down state: nothing is ever stuck; a stop settles in bounded time.
//! - Signals reach only what the daemon has started and what is left of its process group.
//! - All durations are monotonic; the wall clock is for printing.

mod api;
pub mod client;
mod codec;
pub mod config;
mod control;
pub mod core;
pub mod ctl;
pub mod daemon;
pub mod events;
mod failpoint;
pub mod health;
pub mod init;
pub mod logger;
pub mod models;
pub mod output;
pub mod process;
pub mod sys;
mod util;

/// What the tests and fuzz targets of this repository reach into. No part of the interface: it may change at any time.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals {
    pub use crate::codec::frames;
}
