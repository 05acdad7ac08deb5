//! The real daemon, watched from outside: through its socket, its signals and /proc.

mod harness;

mod embed;
mod failures;
mod interop;
mod lifecycle;
mod orphans;
mod output;
mod panics;
mod races;
mod reload;
mod servers;
mod start_stop;
mod storm;
