//! What goes wrong: how much of it in a life, and which rules of the kernel may be broken.

use crate::process::SpawnStage;

/// What a spawn may end with: each stage, passing and lasting reasons (EPERM, ENOENT, E2BIG, ENOEXEC, EAGAIN, ENOMEM,
/// EACCES, ENOTDIR, EISDIR, EINVAL, ENFILE, EMFILE, ETXTBSY, ENAMETOOLONG, ELOOP).
pub(super) const ERRORS: [(SpawnStage, i32); 36] = [
    (SpawnStage::Prepare, 2),
    (SpawnStage::Pipe, 24),
    (SpawnStage::Pipe, 23),
    (SpawnStage::Fork, 11),
    (SpawnStage::Fork, 12),
    (SpawnStage::Session, 1),
    (SpawnStage::Stdio, 9),
    (SpawnStage::Limits, 1),
    (SpawnStage::Limits, 22),
    (SpawnStage::OomScore, 13),
    (SpawnStage::Nice, 13),
    (SpawnStage::IoPriority, 1),
    (SpawnStage::Affinity, 22),
    (SpawnStage::Scheduler, 1),
    (SpawnStage::Chroot, 2),
    (SpawnStage::Capabilities, 1),
    (SpawnStage::NoNewPrivs, 22),
    (SpawnStage::Credentials, 1),
    (SpawnStage::Credentials, 11),
    (SpawnStage::Groups, 1),
    (SpawnStage::ParentDeath, 22),
    (SpawnStage::Terminal, 28),
    (SpawnStage::Directory, 2),
    (SpawnStage::Directory, 13),
    (SpawnStage::Directory, 20),
    (SpawnStage::Stdin, 2),
    (SpawnStage::Stdin, 13),
    (SpawnStage::Exec, 2),
    (SpawnStage::Exec, 13),
    (SpawnStage::Exec, 8),
    (SpawnStage::Exec, 7),
    (SpawnStage::Exec, 26),
    (SpawnStage::Exec, 21),
    (SpawnStage::Exec, 36),
    (SpawnStage::Exec, 40),
    (SpawnStage::Exec, 12),
];

/// How much goes wrong, in percent.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct FaultProfile {
    pub(in super::super) refused: u64,
    pub(in super::super) short: u64,
    pub(in super::super) stubborn: u64,
    pub(in super::super) unkillable: u64,
    pub(in super::super) forks: u64,
    pub(in super::super) unhealthy: u64,
    pub(in super::super) unanswered: u64,
}

/// A rule of the kernel that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Distortion {
    /// A group is reported empty as soon as its leader has ended.
    EmptyGroups,
    /// Some ends of children are never reported.
    LostChildren,
    /// Signals reach nobody, not even SIGKILL.
    DeafGroups,
    /// Some answers are lost on their way.
    LostReplies,
    /// Some requests never reach the output thread that is to answer them.
    LostDelegations,
    /// Some turns panic before they have answered what they were told.
    Panics,
    /// Some answers are given twice.
    DoubleReplies,
}
