//! Health checks: what is asked ([`TcpHealthChecker`], [`UnixHealthChecker`], [`HttpHealthChecker`],
//! [`ScriptHealthChecker`]), and the worker threads that ask for the daemon, one as long as a check takes; its scripts
//! are tasks (`process::Task`). *When* it is asked, and what follows from the answers, is the state machine's business.
//! The same questions tell whether a program is ready.
//!
//! ```
//! use supervice::health::create_health_checker;
//! use supervice::models::{HealthCheckConfig, HealthCheckType};
//!
//! let config = HealthCheckConfig {
//!     check_type: HealthCheckType::Script,
//!     command: Some("test -d /".to_owned()),
//!     ..HealthCheckConfig::default()
//! };
//! let checker = create_health_checker(&config).expect("a script check");
//! assert!(checker.check().healthy);
//! ```

mod background;
mod connect;
mod http;
mod lookup;
mod script;
mod task_result;
mod tcp;

use std::time::Duration;

pub use http::HttpHealthChecker;
pub use script::ScriptHealthChecker;
pub use tcp::{TcpHealthChecker, UnixHealthChecker};

pub(crate) use background::check_on_thread;
pub(crate) use script::{no_pipe, script_command};

use crate::models::{Endpoint, HealthCheckConfig, HealthCheckType, Readiness, Statuses};
use tcp::ConnectionChecker;

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheckResult {
    /// Whether the check passed.
    pub healthy: bool,
    /// What was found, for people.
    pub message: String,
}

impl HealthCheckResult {
    fn passed(message: impl Into<String>) -> Self {
        HealthCheckResult { healthy: true, message: message.into() }
    }

    fn failed(message: impl Into<String>) -> Self {
        HealthCheckResult { healthy: false, message: message.into() }
    }
}

/// Something that can find out whether a program is healthy.
pub trait HealthChecker: Send {
    /// Checks once, and answers within the configured time-out, which includes the look-up of a host's name.
    fn check(&self) -> HealthCheckResult;
}

/// The checker that a configuration asks for; `None` where it asks for none, or is incomplete.
pub fn create_health_checker(config: &HealthCheckConfig) -> Option<Box<dyn HealthChecker>> {
    let timeout = Duration::from_secs(u64::from(config.timeout));
    match config.check_type {
        HealthCheckType::None => None,
        HealthCheckType::Tcp => Some(Box::new(TcpHealthChecker::new(&config.host, config.port?, timeout))),
        HealthCheckType::Unix => Some(Box::new(UnixHealthChecker::new(config.path.as_deref()?, timeout))),
        HealthCheckType::Http => Some(Box::new(HttpHealthChecker {
            url: config.url.clone()?,
            statuses: config.status.clone(),
            headers: config.header.clone(),
            timeout,
        })),
        HealthCheckType::Script => Some(Box::new(ScriptHealthChecker::new(config.command.as_deref()?, timeout))),
    }
}

/// What finds out whether a connection is accepted there.
pub(crate) fn connection_checker(endpoint: &Endpoint, timeout: Duration) -> Box<dyn HealthChecker> {
    Box::new(ConnectionChecker { endpoint: endpoint.clone(), timeout })
}

/// What finds out by asking whether a program is ready; `None` where a command does, or it tells by itself.
pub(crate) fn readiness_checker(ready: &Readiness, timeout: Duration) -> Option<Box<dyn HealthChecker>> {
    match ready {
        Readiness::Accepts(endpoint) => Some(connection_checker(endpoint, timeout)),
        Readiness::Http(url) => Some(Box::new(HttpHealthChecker {
            url: (**url).clone(),
            statuses: Statuses::default(),
            headers: Vec::new(),
            timeout,
        })),
        Readiness::Startsecs
        | Readiness::Notify
        | Readiness::Fd(_)
        | Readiness::FdVariable(_)
        | Readiness::Path(_)
        | Readiness::Log(_)
        | Readiness::Command(_)
        | Readiness::Health => None,
    }
}
