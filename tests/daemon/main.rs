//! The real daemon, watched from outside: through its socket, its signals and /proc.

mod harness;

mod cases;
mod clock;
mod crowd;
mod demo;
mod dependencies;
mod disks;
mod embed;
mod failures;
mod frames;
mod health;
mod hung;
mod interop;
mod kinds;
mod lifecycle;
mod lossless;
mod operate;
mod originals;
mod orphans;
mod output;
mod panics;
mod races;
mod reload;
mod reports;
mod servers;
mod soak;
mod start_stop;
mod storm;
mod terminal;
mod vanished;
