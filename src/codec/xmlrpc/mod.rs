//! XML-RPC as supervisord speaks it, as pure code: calls read, answers written, and what each method means to the api.

mod calls;
mod exchange;
mod fault;
mod info;
mod logs;
mod member;
mod methods;
mod names;
mod params;
mod parse;
mod results;
mod value;
mod write;

pub use exchange::{Exchange, Step};
pub use fault::{Fault, FaultCode};
pub use info::LocalClock;
pub use logs::{has_no_log, is_missing};
pub use names::Lookup;
pub use parse::parse;
pub use write::response;

#[cfg(test)]
mod tests;
