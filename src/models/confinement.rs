//! What a program may use and do, where that is not what the daemon may.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::rare::Defaults;

/// What a program may use and do; nothing of it set: what the daemon may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Confinement {
    /// Open files.
    pub rlimit_nofile: Option<ResourceLimit>,
    /// Processes and threads of its user.
    pub rlimit_nproc: Option<ResourceLimit>,
    /// Bytes of a core dump.
    pub rlimit_core: Option<ResourceLimit>,
    /// Bytes of its address space.
    pub rlimit_as: Option<ResourceLimit>,
    /// Bytes of its data segment.
    pub rlimit_data: Option<ResourceLimit>,
    /// Bytes of its main thread's stack.
    pub rlimit_stack: Option<ResourceLimit>,
    /// Bytes of a file that it writes.
    pub rlimit_fsize: Option<ResourceLimit>,
    /// Bytes that it may lock into memory.
    pub rlimit_memlock: Option<ResourceLimit>,
    /// Seconds of CPU time.
    pub rlimit_cpu: Option<ResourceLimit>,
    /// The real-time priority that it may give itself.
    pub rlimit_rtprio: Option<ResourceLimit>,
    /// How far it may lower its nice value: to 20 minus this.
    pub rlimit_nice: Option<ResourceLimit>,
    /// Signals that may be queued for its user.
    pub rlimit_sigpending: Option<ResourceLimit>,
    /// Bytes in POSIX message queues of its user.
    pub rlimit_msgqueue: Option<ResourceLimit>,
    /// From -20, which gets the most CPU time, to 19.
    pub nice: Option<i8>,
    /// Its share of the disks.
    pub ionice: Option<IoPriority>,
    /// The processors that it may run on, in order; empty: all.
    pub cpu_affinity: Vec<u16>,
    /// How the kernel schedules it.
    pub scheduler: Option<Scheduler>,
    /// How readily the kernel kills it when memory is used up: from -1000, which is never, to 1000.
    pub oom_score_adj: Option<i16>,
    /// Setuid programs and file capabilities gain nothing.
    pub no_new_privs: bool,
    /// All that it has, whoever its user is, and the most that anything that it executes can get.
    pub capabilities: Option<Capabilities>,
    /// Names or numbers of supplementary groups, in place of the user's.
    pub groups: Option<Vec<String>>,
    /// The name or number of its group, in place of the user's own.
    pub group: Option<String>,
    /// Its root directory.
    pub chroot: Option<String>,
    /// Bytes of memory that all that it has started may use; more, and it is restarted.
    pub max_rss: Option<u64>,
    /// How much of the processors all that it has started may use.
    pub max_cpu: Option<CpuLimit>,
    /// Seconds from one look at what it uses to the next; nobody looks where neither is set.
    pub usage_interval: u32,
}

impl Default for Confinement {
    fn default() -> Confinement {
        Confinement::defaults().clone()
    }
}

/// So much of a processor within a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuLimit {
    /// In percent of one processor.
    pub percent: u32,
    /// On an average of so many seconds.
    pub seconds: u32,
}

impl Defaults for Confinement {
    fn defaults() -> &'static Confinement {
        static NONE: Confinement = Confinement {
            rlimit_nofile: None,
            rlimit_nproc: None,
            rlimit_core: None,
            rlimit_as: None,
            rlimit_data: None,
            rlimit_stack: None,
            rlimit_fsize: None,
            rlimit_memlock: None,
            rlimit_cpu: None,
            rlimit_rtprio: None,
            rlimit_nice: None,
            rlimit_sigpending: None,
            rlimit_msgqueue: None,
            nice: None,
            ionice: None,
            cpu_affinity: Vec::new(),
            scheduler: None,
            oom_score_adj: None,
            no_new_privs: false,
            capabilities: None,
            groups: None,
            group: None,
            chroot: None,
            max_rss: None,
            max_cpu: None,
            usage_interval: 15,
        };
        &NONE
    }
}

/// A resource limit; [`u64::MAX`]: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceLimit {
    /// What is enforced.
    pub soft: u64,
    /// Up to where the program may raise that by itself.
    pub hard: u64,
}

impl fmt::Display for ResourceLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |value: u64| if value == u64::MAX { "infinity".to_owned() } else { value.to_string() };
        match self.soft == self.hard {
            true => f.write_str(&one(self.soft)),
            false => write!(f, "{}:{}", one(self.soft), one(self.hard)),
        }
    }
}

/// A share of the disks.
///
/// Serialized as it is written in a configuration file: `"idle"`, `"best-effort:4"`, `"realtime:0"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum IoPriority {
    /// Only what nobody else wants.
    Idle,
    /// From 0, which is the most, to 7.
    BestEffort(u8),
    /// Before all others; from 0, which is the most, to 7.
    Realtime(u8),
}

/// The lowest of the eight priorities of a class.
const LOWEST_IO_PRIORITY: u8 = 7;

impl IoPriority {
    /// As it is written; `None`: it is none.
    pub(crate) fn parse(text: &str) -> Option<IoPriority> {
        let level = |text: &str| text.parse().ok().filter(|level| *level <= LOWEST_IO_PRIORITY);
        match text.split_once(':') {
            None if text == "idle" => Some(IoPriority::Idle),
            Some(("best-effort", text)) => level(text).map(IoPriority::BestEffort),
            Some(("realtime", text)) => level(text).map(IoPriority::Realtime),
            Some(_) | None => None,
        }
    }
}

impl fmt::Display for IoPriority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IoPriority::Idle => f.write_str("idle"),
            IoPriority::BestEffort(level) => write!(f, "best-effort:{level}"),
            IoPriority::Realtime(level) => write!(f, "realtime:{level}"),
        }
    }
}

impl TryFrom<String> for IoPriority {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        IoPriority::parse(&text).ok_or("expected idle, best-effort:0 to 7 or realtime:0 to 7")
    }
}

impl From<IoPriority> for String {
    fn from(priority: IoPriority) -> String {
        priority.to_string()
    }
}

/// How the kernel schedules a process.
///
/// Serialized as it is written in a configuration file: `"other"`, `"batch"`, `"idle"`, `"fifo:10"`, `"rr:10"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scheduler {
    /// By its nice value.
    Other,
    /// As what computes for long.
    Batch,
    /// Only where nobody else wants to run.
    Idle,
    /// Before all others until it waits; from 1 to 99, which is the most.
    Fifo(u8),
    /// As [`Fifo`](Self::Fifo), taking turns with its equals.
    RoundRobin(u8),
}

/// The priorities of processes in real time.
const REAL_TIME_PRIORITIES: std::ops::RangeInclusive<u8> = 1..=99;

impl Scheduler {
    /// As it is written; `None`: it is none.
    pub(crate) fn parse(text: &str) -> Option<Scheduler> {
        let priority = |text: &str| text.parse().ok().filter(|priority| REAL_TIME_PRIORITIES.contains(priority));
        match text.split_once(':') {
            None if text == "other" => Some(Scheduler::Other),
            None if text == "batch" => Some(Scheduler::Batch),
            None if text == "idle" => Some(Scheduler::Idle),
            Some(("fifo", text)) => priority(text).map(Scheduler::Fifo),
            Some(("rr", text)) => priority(text).map(Scheduler::RoundRobin),
            Some(_) | None => None,
        }
    }
}

impl fmt::Display for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scheduler::Other => f.write_str("other"),
            Scheduler::Batch => f.write_str("batch"),
            Scheduler::Idle => f.write_str("idle"),
            Scheduler::Fifo(priority) => write!(f, "fifo:{priority}"),
            Scheduler::RoundRobin(priority) => write!(f, "rr:{priority}"),
        }
    }
}

impl TryFrom<String> for Scheduler {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Scheduler::parse(&text).ok_or("expected other, batch, idle, fifo:1 to 99 or rr:1 to 99")
    }
}

impl From<Scheduler> for String {
    fn from(scheduler: Scheduler) -> String {
        scheduler.to_string()
    }
}

/// A set of capabilities.
///
/// Serialized as a list of their names: `["net_bind_service", "sys_nice"]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<&'static str>")]
pub struct Capabilities {
    /// The bit of each, by its number.
    bits: u64,
}

/// The names of the capabilities, each at the place of its number.
pub(crate) const CAPABILITY_NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

impl Capabilities {
    /// Adds one by its name, with or without `cap_` before it, in any case; `false`: there is none of this name.
    pub fn insert(&mut self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let name = name.strip_prefix("cap_").unwrap_or(&name);
        let number = CAPABILITY_NAMES.iter().position(|known| *known == name);
        self.bits |= number.map_or(0, |number| 1 << number);
        number.is_some()
    }

    /// The bit of each, by the kernel's number.
    pub fn bits(self) -> u64 {
        self.bits
    }

    /// The names of those in it, without `cap_`, in the kernel's order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        CAPABILITY_NAMES
            .into_iter()
            .enumerate()
            .filter(move |(number, _)| self.bits >> number & 1 == 1)
            .map(|(_, name)| name)
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.names().enumerate() {
            f.write_str(if index > 0 { ", " } else { "" })?;
            f.write_str(name)?;
        }
        Ok(())
    }
}

impl TryFrom<Vec<String>> for Capabilities {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Self, Self::Error> {
        let mut all = Capabilities::default();
        match names.into_iter().find(|name| !all.insert(name)) {
            Some(unknown) => Err(format!("no capability is called {unknown}")),
            None => Ok(all),
        }
    }
}

impl From<Capabilities> for Vec<&'static str> {
    fn from(all: Capabilities) -> Self {
        all.names().collect()
    }
}
