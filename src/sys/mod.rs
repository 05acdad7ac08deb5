//! Everything that talks to the kernel, and the only place for `unsafe`.
//!
//! The rest of the crate sees typed facts: a [`spawn::Child`] or a [`SpawnError`](crate::process::SpawnError)
//! with its stage, an [`Exit`](crate::process::Exit), a [`signal::GroupSignal`]. Nothing here knows the
//! supervisor, the protocol or the output.
//!
//! Which thread may do what: one thread spawns, signals and reaps (the parent-death signal follows the
//! *thread* that spawned); everything else here is free of threads.

pub mod ancestry;
pub mod clock_watch;
pub mod confine;
pub mod daemon;
pub mod doorbell;
pub mod exec_trouble;
pub mod fcgi_socket;
pub mod guarded_path;
pub mod heap;
pub mod host_id;
pub mod inherited_list;
pub mod init;
pub mod instance_lock;
pub mod launch;
pub mod limits;
pub mod machine;
pub mod memory;
pub mod net;
pub mod netlink;
pub mod notify_socket;
pub mod orphan_scan;
pub mod path_changes;
pub mod path_events;
pub mod path_watch;
pub mod peer;
pub mod pidfile;
pub mod proc;
#[cfg(feature = "attach")]
pub mod pty;
pub mod random;
pub mod reap;
pub mod signal;
pub mod signals;
pub mod spawn;
pub mod stdio;
pub mod system_zone;
#[cfg(feature = "http")]
pub mod tcp_listener;
pub mod terminal;
pub mod time;
pub mod users;
pub mod variables;
pub mod zones;

mod acl;
mod child;
mod dumpable;
mod exec_strings;
mod fd_moves;
mod fd_slots;
mod late_close;
mod lock_holder;
mod pages;
mod prepared;
mod raw;
mod stack;
#[cfg(test)]
pub(crate) mod testing;

// The library that unwinds the stack behind a panic, as a part of the program: this comes before the standard library,
// which asks for the shared one. To load and relocate that took a fifth of the time of a `supervicectl`, and two pages
// of each process.
#[cfg(all(feature = "static-unwinder", target_env = "gnu", not(target_feature = "crt-static")))]
#[link(name = "gcc_eh")]
unsafe extern "C" {}

/// The error number of the last failed system call of this thread.
fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}
