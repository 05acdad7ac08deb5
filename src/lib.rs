//! supervice: a small, truthful process supervisor for Linux.

pub mod client;
pub mod config;
pub mod core;
pub mod ctl;
pub mod daemon;
pub mod events;
pub mod health;
pub mod logger;
pub mod models;
pub mod output;
pub mod process;
pub mod rpc;
mod suggest;
pub mod sys;
