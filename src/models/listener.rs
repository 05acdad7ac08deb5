//! The events of supervisord, which event listeners are told of.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerEvent {
    /// A process is stopped.
    Stopped,
    /// It has ended by itself.
    Exited,
    /// It is being started.
    Starting,
    /// It is being stopped.
    Stopping,
    /// An attempt to start it has failed.
    Backoff,
    /// It is given up.
    Fatal,
    /// It is up.
    Running,
    /// Nobody knows what it is; never told.
    Unknown,
    /// What it says between the marks of a communication, on standard output.
    CommunicationStdout,
    /// The same, on standard error.
    CommunicationStderr,
    /// What it writes to standard output.
    LogStdout,
    /// What it writes to standard error.
    LogStderr,
    /// What a client sends.
    Remote,
    /// The daemon is up.
    SupervisorRunning,
    /// The daemon ends.
    SupervisorStopping,
    /// Every five seconds.
    Tick5,
    /// Every minute.
    Tick60,
    /// Every hour.
    Tick3600,
    /// A group has come into force.
    GroupAdded,
    /// A group is no longer in force.
    GroupRemoved,
}

impl ListenerEvent {
    /// All, in the order in which they are listed.
    pub const ALL: [ListenerEvent; 20] = [
        ListenerEvent::Stopped,
        ListenerEvent::Exited,
        ListenerEvent::Starting,
        ListenerEvent::Stopping,
        ListenerEvent::Backoff,
        ListenerEvent::Fatal,
        ListenerEvent::Running,
        ListenerEvent::Unknown,
        ListenerEvent::CommunicationStdout,
        ListenerEvent::CommunicationStderr,
        ListenerEvent::LogStdout,
        ListenerEvent::LogStderr,
        ListenerEvent::Remote,
        ListenerEvent::SupervisorRunning,
        ListenerEvent::SupervisorStopping,
        ListenerEvent::Tick5,
        ListenerEvent::Tick60,
        ListenerEvent::Tick3600,
        ListenerEvent::GroupAdded,
        ListenerEvent::GroupRemoved,
    ];

    /// Its name, for instance `PROCESS_STATE_EXITED`.
    pub fn as_str(self) -> &'static str {
        match self {
            ListenerEvent::Stopped => "PROCESS_STATE_STOPPED",
            ListenerEvent::Exited => "PROCESS_STATE_EXITED",
            ListenerEvent::Starting => "PROCESS_STATE_STARTING",
            ListenerEvent::Stopping => "PROCESS_STATE_STOPPING",
            ListenerEvent::Backoff => "PROCESS_STATE_BACKOFF",
            ListenerEvent::Fatal => "PROCESS_STATE_FATAL",
            ListenerEvent::Running => "PROCESS_STATE_RUNNING",
            ListenerEvent::Unknown => "PROCESS_STATE_UNKNOWN",
            ListenerEvent::CommunicationStdout => "PROCESS_COMMUNICATION_STDOUT",
            ListenerEvent::CommunicationStderr => "PROCESS_COMMUNICATION_STDERR",
            ListenerEvent::LogStdout => "PROCESS_LOG_STDOUT",
            ListenerEvent::LogStderr => "PROCESS_LOG_STDERR",
            ListenerEvent::Remote => "REMOTE_COMMUNICATION",
            ListenerEvent::SupervisorRunning => "SUPERVISOR_STATE_CHANGE_RUNNING",
            ListenerEvent::SupervisorStopping => "SUPERVISOR_STATE_CHANGE_STOPPING",
            ListenerEvent::Tick5 => "TICK_5",
            ListenerEvent::Tick60 => "TICK_60",
            ListenerEvent::Tick3600 => "TICK_3600",
            ListenerEvent::GroupAdded => "PROCESS_GROUP_ADDED",
            ListenerEvent::GroupRemoved => "PROCESS_GROUP_REMOVED",
        }
    }

    fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// Names that mean several kinds: all whose names begin with them; `EVENT` means all that there are.
const FAMILIES: [&str; 6] =
    ["PROCESS_STATE", "PROCESS_COMMUNICATION", "PROCESS_LOG", "SUPERVISOR_STATE_CHANGE", "TICK", "PROCESS_GROUP"];
const EVERYTHING: &str = "EVENT";

/// A set of kinds of events.
///
/// Serialized as the list of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListenerEvents(u32);

impl ListenerEvents {
    /// None.
    pub const NONE: ListenerEvents = ListenerEvents(0);

    /// Whether there is none in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it has this kind.
    pub fn has(self, kind: ListenerEvent) -> bool {
        self.0 & kind.bit() != 0
    }

    /// What is in one of both.
    #[must_use]
    pub fn union(self, other: ListenerEvents) -> ListenerEvents {
        ListenerEvents(self.0 | other.0)
    }

    /// Adds the kinds that a name means, in any case; `false`: it means none.
    pub fn add(&mut self, name: &str) -> bool {
        let name = name.to_ascii_uppercase();
        let is_family = FAMILIES.contains(&name.as_str());
        let means = |kind: &ListenerEvent| {
            let own = kind.as_str();
            own == name || name == EVERYTHING || is_family && own.starts_with(&name)
        };
        let before = self.0;
        ListenerEvent::ALL.iter().filter(|kind| means(kind)).for_each(|kind| self.0 |= kind.bit());
        self.0 != before || ListenerEvent::ALL.iter().any(means)
    }

    /// Every name that means something.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let kinds = ListenerEvent::ALL.into_iter().map(ListenerEvent::as_str);
        [EVERYTHING].into_iter().chain(FAMILIES).chain(kinds)
    }
}

impl Serialize for ListenerEvents {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kinds = ListenerEvent::ALL.into_iter().filter(|kind| self.has(*kind));
        serializer.collect_seq(kinds.map(ListenerEvent::as_str))
    }
}

impl<'de> Deserialize<'de> for ListenerEvents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut events = ListenerEvents::NONE;
        for name in Vec::<String>::deserialize(deserializer)? {
            if !events.add(&name) {
                return Err(D::Error::custom(format!("{name} is no event")));
            }
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_all_below_it() {
        let set = |words: &[&str]| {
            let mut events = ListenerEvents::NONE;
            words.iter().for_each(|word| assert!(events.add(word), "{word}"));
            ListenerEvent::ALL.into_iter().filter(|kind| events.has(*kind)).count()
        };
        assert_eq!((set(&["EVENT"]), set(&["process_state"]), set(&["TICK"])), (20, 8, 3));
        assert_eq!((set(&["TICK_5", "TICK_60", "TICK_5"]), set(&["PROCESS_LOG"]), set(&["PROCESS_GROUP"])), (2, 2, 2));
        for word in ["", "PROCESS", "TICK_", "TICK_6", "PROCESS_STATE_", "EVENTS"] {
            let mut events = ListenerEvents::NONE;
            assert!(!events.add(word), "{word}");
        }
        assert_eq!(ListenerEvents::names().count(), 27);
    }
}
