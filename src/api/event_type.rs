//! The types of events, and sets of them.

use serde::{Deserialize, Serialize};

use crate::process::ProcessState;

/// What an event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventType {
    /// A process was spawned.
    ProcessStateStarting,
    /// A process has lived for `startsecs`, or has become healthy again.
    ProcessStateRunning,
    /// A start failed; it will be tried again.
    ProcessStateBackoff,
    /// A process was told to stop.
    ProcessStateStopping,
    /// A process has ended by itself.
    ProcessStateExited,
    /// A process has stopped by request.
    ProcessStateStopped,
    /// A process could not be started or kept healthy.
    ProcessStateFatal,
    /// Kept for the sake of the Python package; never sent.
    ProcessStateUnknown,
    /// A process fails its health checks.
    ProcessStateUnhealthy,
    /// A health check passed.
    HealthcheckPassed,
    /// A health check failed.
    HealthcheckFailed,
    /// A process is not ready any more (`ready_interval`).
    ReadinessLost,
    /// A process is ready again.
    ReadinessBack,
}

impl EventType {
    /// Every type, in the order of the documentation.
    pub const ALL: [EventType; 13] = [
        EventType::ProcessStateStarting,
        EventType::ProcessStateRunning,
        EventType::ProcessStateBackoff,
        EventType::ProcessStateStopping,
        EventType::ProcessStateExited,
        EventType::ProcessStateStopped,
        EventType::ProcessStateFatal,
        EventType::ProcessStateUnknown,
        EventType::ProcessStateUnhealthy,
        EventType::HealthcheckPassed,
        EventType::HealthcheckFailed,
        EventType::ReadinessLost,
        EventType::ReadinessBack,
    ];

    /// The name, for instance `PROCESS_STATE_RUNNING`.
    pub fn as_str(self) -> &'static str {
        match self {
            EventType::ProcessStateStarting => "PROCESS_STATE_STARTING",
            EventType::ProcessStateRunning => "PROCESS_STATE_RUNNING",
            EventType::ProcessStateBackoff => "PROCESS_STATE_BACKOFF",
            EventType::ProcessStateStopping => "PROCESS_STATE_STOPPING",
            EventType::ProcessStateExited => "PROCESS_STATE_EXITED",
            EventType::ProcessStateStopped => "PROCESS_STATE_STOPPED",
            EventType::ProcessStateFatal => "PROCESS_STATE_FATAL",
            EventType::ProcessStateUnknown => "PROCESS_STATE_UNKNOWN",
            EventType::ProcessStateUnhealthy => "PROCESS_STATE_UNHEALTHY",
            EventType::HealthcheckPassed => "HEALTHCHECK_PASSED",
            EventType::HealthcheckFailed => "HEALTHCHECK_FAILED",
            EventType::ReadinessLost => "READINESS_LOST",
            EventType::ReadinessBack => "READINESS_BACK",
        }
    }

    /// The type that announces a process's arrival in `state`.
    pub fn of_state(state: ProcessState) -> EventType {
        match state {
            ProcessState::Stopped => EventType::ProcessStateStopped,
            ProcessState::Starting => EventType::ProcessStateStarting,
            ProcessState::Running => EventType::ProcessStateRunning,
            ProcessState::Backoff => EventType::ProcessStateBackoff,
            ProcessState::Stopping => EventType::ProcessStateStopping,
            ProcessState::Exited => EventType::ProcessStateExited,
            ProcessState::Fatal => EventType::ProcessStateFatal,
            ProcessState::Unhealthy => EventType::ProcessStateUnhealthy,
        }
    }
}

/// A set of event types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventKinds(u16);

impl EventKinds {
    /// Every type.
    pub const ALL: EventKinds = EventKinds(u16::MAX);

    /// No type.
    pub const NONE: EventKinds = EventKinds(0);

    /// Whether the set has this type.
    pub fn has(self, kind: EventType) -> bool {
        self.0 & EventKinds::bit(kind) != 0
    }

    /// Adds the types for which `fits` holds; `false` if there are none.
    pub fn add(&mut self, fits: impl Fn(EventType) -> bool) -> bool {
        let added =
            EventType::ALL.into_iter().filter(|kind| fits(*kind)).fold(0, |bits, kind| bits | EventKinds::bit(kind));
        self.0 |= added;
        added != 0
    }

    fn bit(kind: EventType) -> u16 {
        EventType::ALL.iter().position(|known| *known == kind).map_or(0, |place| 1 << place)
    }
}
