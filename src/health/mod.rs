//! Health checks: what is asked ([`TcpHealthChecker`], [`ScriptHealthChecker`]), and the worker threads that ask by tcp for the
//! daemon, whose scripts are tasks (`process::Task`). *When* it is asked, and what follows from the answers, is the
//! state machine's business.
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

mod lookup;
mod script;
mod task_result;
mod tcp;
mod worker;

use std::time::Duration;

pub use script::ScriptHealthChecker;
pub use tcp::TcpHealthChecker;

pub(crate) use script::{no_pipe, script_command};
pub(crate) use worker::{CheckRequest, THREAD_DIED, Worker};

use crate::models::{HealthCheckConfig, HealthCheckType};

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
    /// Asks once, and answers within the configured time-out, of which the look-up of a host's name is a part.
    fn check(&self) -> HealthCheckResult;
}

/// The checker that a configuration asks for; `None` where it asks for none, or is incomplete.
pub fn create_health_checker(config: &HealthCheckConfig) -> Option<Box<dyn HealthChecker>> {
    let timeout = Duration::from_secs(u64::from(config.timeout));
    match config.check_type {
        HealthCheckType::None => None,
        HealthCheckType::Tcp => Some(Box::new(TcpHealthChecker::new(&config.host, config.port?, timeout))),
        HealthCheckType::Script => Some(Box::new(ScriptHealthChecker::new(config.command.as_deref()?, timeout))),
    }
}
