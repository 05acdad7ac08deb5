//! What a child may use and do, as the kernel wants it told, and what it means when the kernel refuses.

use std::ffi::{CString, c_int, c_ulong};

use super::limits::{Limit, Rlimit, inherited};
use crate::models::{Confinement, IoPriority, ResourceLimit, Scheduler};
use crate::process::{SpawnError, SpawnStage};
use crate::util::errno;

/// The kernel's numbers for the classes of disk priorities, which stand above these bits.
const IO_CLASS_SHIFT: usize = 13;
const IO_REALTIME: usize = 1;
const IO_BEST_EFFORT: usize = 2;
const IO_IDLE: usize = 3;

/// What the child reads; see [`Confinement`] for what each is.
pub(super) struct Confined {
    /// As text, for `/proc`.
    pub(super) oom_score_adj: Option<Vec<u8>>,
    pub(super) nice: Option<c_int>,
    /// Class and level.
    pub(super) io_priority: Option<usize>,
    /// A bit for each processor; empty: all.
    pub(super) cpus: Vec<c_ulong>,
    /// Policy and priority.
    pub(super) scheduler: Option<(c_int, c_int)>,
    pub(super) chroot: Option<CString>,
    pub(super) capabilities: Option<u64>,
    pub(super) no_new_privs: bool,
}

impl Confined {
    /// `None`: the child is confined in nothing.
    pub(super) fn new(confinement: &Confinement) -> Result<Option<Confined>, SpawnError> {
        let of_disk = |class: usize, level: u8| class << IO_CLASS_SHIFT | usize::from(level);
        let confined = Confined {
            oom_score_adj: confinement.oom_score_adj.map(|score| score.to_string().into_bytes()),
            nice: confinement.nice.map(c_int::from),
            io_priority: confinement.ionice.map(|priority| match priority {
                IoPriority::Idle => of_disk(IO_IDLE, 0),
                IoPriority::BestEffort(level) => of_disk(IO_BEST_EFFORT, level),
                IoPriority::Realtime(level) => of_disk(IO_REALTIME, level),
            }),
            cpus: cpu_mask(&confinement.cpu_affinity),
            scheduler: confinement.scheduler.map(|scheduler| match scheduler {
                Scheduler::Other => (libc::SCHED_OTHER, 0),
                Scheduler::Batch => (libc::SCHED_BATCH, 0),
                Scheduler::Idle => (libc::SCHED_IDLE, 0),
                Scheduler::Fifo(priority) => (libc::SCHED_FIFO, priority.into()),
                Scheduler::RoundRobin(priority) => (libc::SCHED_RR, priority.into()),
            }),
            chroot: confinement.chroot.as_deref().map(c_path).transpose()?,
            capabilities: confinement.capabilities.map(|all| all.bits()),
            no_new_privs: confinement.no_new_privs,
        };
        let Confined { oom_score_adj, nice, io_priority, cpus, scheduler, chroot, capabilities, no_new_privs } =
            &confined;
        let is_any = oom_score_adj.is_some()
            || nice.is_some()
            || io_priority.is_some()
            || !cpus.is_empty()
            || scheduler.is_some()
            || chroot.is_some()
            || capabilities.is_some()
            || *no_new_privs;
        Ok(is_any.then_some(confined))
    }
}

fn c_path(path: &str) -> Result<CString, SpawnError> {
    CString::new(path).map_err(|_| SpawnError::other(SpawnStage::Prepare, "chroot", "it contains a NUL byte"))
}

/// A bit for each processor, in as many words as the highest one needs.
fn cpu_mask(cpus: &[u16]) -> Vec<c_ulong> {
    let bits = c_ulong::BITS;
    let mut mask: Vec<c_ulong> = Vec::new();
    for cpu in cpus.iter().copied().map(u32::from) {
        let index = (cpu / bits) as usize;
        if mask.len() <= index {
            mask.resize(index + 1, 0);
        }
        if let Some(word) = mask.get_mut(index) {
            *word |= 1 << (cpu % bits);
        }
    }
    mask
}

/// A limit's name in a configuration, behind `rlimit_`, its number, and where it stands.
type Known = (&'static str, u32, fn(&Confinement) -> Option<ResourceLimit>);

#[allow(clippy::unnecessary_cast, reason = "the constants' type differs between C libraries")]
const KNOWN: [Known; 13] = [
    ("nofile", libc::RLIMIT_NOFILE as u32, |all| all.rlimit_nofile),
    ("nproc", libc::RLIMIT_NPROC as u32, |all| all.rlimit_nproc),
    ("core", libc::RLIMIT_CORE as u32, |all| all.rlimit_core),
    ("as", libc::RLIMIT_AS as u32, |all| all.rlimit_as),
    ("data", libc::RLIMIT_DATA as u32, |all| all.rlimit_data),
    ("stack", libc::RLIMIT_STACK as u32, |all| all.rlimit_stack),
    ("fsize", libc::RLIMIT_FSIZE as u32, |all| all.rlimit_fsize),
    ("memlock", libc::RLIMIT_MEMLOCK as u32, |all| all.rlimit_memlock),
    ("cpu", libc::RLIMIT_CPU as u32, |all| all.rlimit_cpu),
    ("rtprio", libc::RLIMIT_RTPRIO as u32, |all| all.rlimit_rtprio),
    ("nice", libc::RLIMIT_NICE as u32, |all| all.rlimit_nice),
    ("sigpending", libc::RLIMIT_SIGPENDING as u32, |all| all.rlimit_sigpending),
    ("msgqueue", libc::RLIMIT_MSGQUEUE as u32, |all| all.rlimit_msgqueue),
];

/// The limits of a confinement, for a [`Launch`](super::launch::Launch).
pub fn rlimits(confinement: &Confinement) -> Vec<Rlimit> {
    let of = |(_, resource, get): &Known| {
        let ResourceLimit { soft, hard } = get(confinement)?;
        Some(Rlimit { resource: *resource, limit: Limit { soft, hard } })
    };
    KNOWN.iter().filter_map(of).collect()
}

/// What it means that a limit could not be set.
pub(super) fn explain_limit(rlimit: Option<&Rlimit>, number: i32) -> SpawnError {
    let Some(rlimit) = rlimit else { return SpawnError::system(SpawnStage::Limits, "", number) };
    let Rlimit { resource, limit: Limit { soft, hard } } = *rlimit;
    let name = KNOWN.iter().find(|(_, known, _)| *known == resource).map_or("?", |(name, ..)| *name);
    let hint = match (number, inherited(resource)) {
        (libc::EPERM, Ok(now)) if hard > now.hard => {
            let now = ResourceLimit { soft: now.hard, hard: now.hard };
            format!("only root with CAP_SYS_RESOURCE may raise the hard limit, which is {now}; write at most that")
        }
        (libc::EPERM, _) => "it is above what the kernel has (fs.nr_open); write less".to_owned(),
        _ => return SpawnError::system(SpawnStage::Limits, format!("(rlimit_{name})"), number),
    };
    let value = ResourceLimit { soft, hard };
    confinement_error(SpawnStage::Limits, format!("(rlimit_{name} = {value})"), number, &hint)
}

/// What it means that one of the steps of a [`Confined`] failed; of another stage, its number alone.
pub(super) fn explain(confinement: &Confinement, stage: SpawnStage, number: i32) -> SpawnError {
    let subject = subject(confinement, stage);
    match hint(stage, number) {
        "" => SpawnError::system(stage, subject, number),
        hint => confinement_error(stage, subject, number, hint),
    }
}

/// The configured value that a step applies.
fn subject(confinement: &Confinement, stage: SpawnStage) -> String {
    fn text(value: Option<&impl std::fmt::Display>) -> String {
        value.map_or_else(String::new, ToString::to_string)
    }
    match stage {
        SpawnStage::OomScore => text(confinement.oom_score_adj.as_ref()),
        SpawnStage::Nice => text(confinement.nice.as_ref()),
        SpawnStage::IoPriority => text(confinement.ionice.as_ref()),
        SpawnStage::Affinity => crate::util::ranges::text(&confinement.cpu_affinity),
        SpawnStage::Scheduler => text(confinement.scheduler.as_ref()),
        SpawnStage::Chroot => confinement.chroot.clone().unwrap_or_default(),
        SpawnStage::Capabilities => text(confinement.capabilities.as_ref().filter(|all| all.bits() != 0)),
        SpawnStage::NoNewPrivs
        | SpawnStage::Prepare
        | SpawnStage::Pipe
        | SpawnStage::Fork
        | SpawnStage::Session
        | SpawnStage::Stdio
        | SpawnStage::Terminal
        | SpawnStage::Stdin
        | SpawnStage::Limits
        | SpawnStage::Credentials
        | SpawnStage::Groups
        | SpawnStage::ParentDeath
        | SpawnStage::Directory
        | SpawnStage::Exec
        | SpawnStage::Interpreter => String::new(),
    }
}

/// What to try about an error number of a step; empty where that is not known.
fn hint(stage: SpawnStage, number: i32) -> &'static str {
    let refused = matches!(number, libc::EPERM | libc::EACCES);
    match stage {
        SpawnStage::OomScore if refused => "only root with CAP_SYS_RESOURCE may lower it; write a higher value",
        SpawnStage::OomScore if number == libc::ENOENT => "/proc is not mounted; mount it, or remove the key",
        SpawnStage::Nice if refused => {
            "only root, or a user with rlimit_nice, may lower it; start supervice as root, or write a higher value"
        }
        SpawnStage::IoPriority if refused => "only root may use realtime; write best-effort:0",
        SpawnStage::Affinity if number == libc::EINVAL => {
            "the daemon may run on none of these; /proc/self/status tells where it may"
        }
        SpawnStage::Scheduler if refused => {
            "only root with CAP_SYS_NICE, or a user with rlimit_rtprio, may run in real time"
        }
        SpawnStage::Chroot if number == libc::EPERM => "only root with CAP_SYS_CHROOT may; start supervice as root",
        SpawnStage::Chroot if number == libc::ENOENT => "create the directory, or write another path",
        SpawnStage::Capabilities if refused => {
            "only root with CAP_SETPCAP, and with these, may; start supervice as root, or write no_new_privs = true instead"
        }
        SpawnStage::Capabilities => "this kernel does not know all of them",
        SpawnStage::OomScore
        | SpawnStage::Nice
        | SpawnStage::IoPriority
        | SpawnStage::Affinity
        | SpawnStage::Scheduler
        | SpawnStage::Chroot
        | SpawnStage::NoNewPrivs
        | SpawnStage::Prepare
        | SpawnStage::Pipe
        | SpawnStage::Fork
        | SpawnStage::Session
        | SpawnStage::Stdio
        | SpawnStage::Terminal
        | SpawnStage::Stdin
        | SpawnStage::Limits
        | SpawnStage::Credentials
        | SpawnStage::Groups
        | SpawnStage::ParentDeath
        | SpawnStage::Directory
        | SpawnStage::Exec
        | SpawnStage::Interpreter => "",
    }
}

fn confinement_error(stage: SpawnStage, subject: String, number: i32, hint: &str) -> SpawnError {
    SpawnError { detail: format!("{}; {hint}", errno::text(number)), ..SpawnError::system(stage, subject, number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_is_the_bit_of_its_number() {
        assert_eq!(cpu_mask(&[]), Vec::<c_ulong>::new());
        assert_eq!(cpu_mask(&[0, 2, 3]), [0b1101]);
        let far = cpu_mask(&[1, 200]);
        let words = (200 / c_ulong::BITS) as usize;
        assert_eq!((far.len(), far[0], far[words]), (words + 1, 2, 1 << (200 % c_ulong::BITS)));
    }

    #[test]
    fn what_confines_nothing_costs_the_child_nothing() {
        let none = Confinement { rlimit_core: Some(ResourceLimit { soft: 0, hard: 0 }), ..Confinement::default() };
        assert!(Confined::new(&none).unwrap().is_none(), "limits are set by another step");
        assert_eq!(rlimits(&none).len(), 1);
        let one = Confinement { nice: Some(0), ..Confinement::default() };
        assert!(Confined::new(&one).unwrap().is_some(), "0 is a value");
    }
}
