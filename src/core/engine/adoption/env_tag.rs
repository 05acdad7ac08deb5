//! The variable by which everything that a daemon starts is recognised after the daemon has died.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::models::{ProgramConfig, Reconcile};
use crate::process::ProcessId;

/// The variable's name.
pub(crate) const VARIABLE: &str = "SUPERVICE_ID";

/// Digits of the leader's pid in a tag that is handed to a child: the child overwrites them with its own pid.
const LEADER_DIGITS: usize = 10;

/// Which daemon this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// The control socket, else the pid file: no two living daemons share one.
    pub place: Arc<str>,
    /// The daemon's own process.
    pub process: ProcessId,
    /// What the tags of its programs name in its place: what it has left behind before it began anew (`restart` of
    /// supervisord's clients) is a dead daemon's.
    pub author: ProcessId,
}

impl Identity {
    /// The entry for the environment of this program's processes; `None` where nobody will look for them.
    pub(crate) fn environment_entry(&self, config: &ProgramConfig) -> Option<Vec<u8>> {
        // A slash in the name would shift the fields behind it.
        if config.reconcile == Reconcile::Off || config.name.contains('/') {
            return None;
        }
        let tag = EnvTag { leader: 0, daemon: self.author, program: config.name.clone() };
        Some(format!("{VARIABLE}={tag}/{}", self.place).into_bytes())
    }
}

impl Identity {
    /// The leader of the run whose tag this is; `None` for what another daemon has started.
    pub(crate) fn leader_in_tag(&self, tag: &[u8]) -> Option<i32> {
        EnvTag::parse(tag, &self.place).filter(|tag| tag.daemon == self.author).map(|tag| tag.leader)
    }
}

/// What a tag says, apart from the place, which was compared when it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EnvTag {
    /// The pid of the program's leader, which is the number of its session as well.
    pub(super) leader: i32,
    /// The daemon that has started it.
    pub(super) daemon: ProcessId,
    /// The program's name.
    pub(super) program: String,
}

impl EnvTag {
    /// Reads `LEADER/PID.START/PROGRAM/PLACE`. `None` for the tag of a daemon at another place, and for what is not
    /// a whole tag: anybody may set the variable, and an environment may be cut or overwritten anywhere.
    pub(super) fn parse(value: &[u8], place: &str) -> Option<EnvTag> {
        let mut parts = std::str::from_utf8(value).ok()?.splitn(4, '/');
        let leader = parts.next()?.parse().ok()?;
        let (pid, start_time) = parts.next()?.split_once('.')?;
        let daemon = ProcessId { pid: pid.parse().ok()?, start_time: start_time.parse().ok()? };
        let program = parts.next()?.to_owned();
        (parts.next()? == place).then_some(EnvTag { leader, daemon, program })
    }
}

impl fmt::Display for EnvTag {
    /// Everything before the place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EnvTag { leader, daemon: ProcessId { pid, start_time }, program } = self;
        write!(f, "{leader:0LEADER_DIGITS$}/{pid}.{start_time}/{program}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(place: &str) -> Identity {
        let process = ProcessId { pid: 7, start_time: 70 };
        Identity { place: place.into(), process, author: process }
    }

    #[test]
    fn a_tag_says_which_daemon_and_which_program() {
        let entry = identity("/run/a/ctl.sock").environment_entry(&ProgramConfig::new("web:00", "true")).unwrap();
        assert_eq!(entry, b"SUPERVICE_ID=0000000000/7.70/web:00//run/a/ctl.sock");
        assert!(entry.starts_with(crate::sys::launch::ENV_TAG), "the child finds the place for its pid by these bytes");
        let value = entry.strip_prefix(b"SUPERVICE_ID=").unwrap();
        let read = EnvTag::parse(value, "/run/a/ctl.sock").unwrap();
        let daemon = ProcessId { pid: 7, start_time: 70 };
        assert_eq!(read, EnvTag { leader: 0, daemon, program: "web:00".to_owned() });
        assert!(EnvTag::parse(value, "/run/b/ctl.sock").is_none(), "another daemon's");
    }

    #[test]
    fn a_program_that_nobody_will_look_for_gets_no_tag() {
        let off = ProgramConfig { reconcile: Reconcile::Off, ..ProgramConfig::new("web", "true") };
        assert_eq!(identity("/s").environment_entry(&off), None);
        assert_eq!(identity("/s").environment_entry(&ProgramConfig::new("a/b", "true")), None);
    }

    #[test]
    fn what_is_no_tag_is_ignored() {
        for value in ["", "x", "1/2.3/web", "1/23/web//s", "a/2.3/web//s", "1/2.x/web//s", "1/2.3/web//t", "\u{fffd}"] {
            assert_eq!(EnvTag::parse(value.as_bytes(), "/s"), None, "{value}");
        }
        assert_eq!(EnvTag::parse(b"1/2.3/\xff//s", "/s"), None);
        let daemon = ProcessId { pid: 2, start_time: 3 };
        let tag = EnvTag { leader: 1, daemon, program: "web".to_owned() };
        assert_eq!(EnvTag::parse(b"0000000001/2.3/web//s", "/s"), Some(tag));
    }

    #[test]
    fn a_torn_tag_is_no_tag() {
        let whole = b"0000000012/2.3/web//run/ctl.sock";
        for length in 0..whole.len() {
            assert_eq!(EnvTag::parse(&whole[..length], "/run/ctl.sock"), None, "{length} bytes");
        }
    }
}
