//! [`Plan`]: what the simulated programs and their operator do.

use std::time::Duration;

use crate::config::Loaded;
use crate::models::{DependencyTarget, Hook, ProgramConfig, StartCondition};
use crate::process::Exit;

/// When something gets ready; `None`: never.
pub(crate) type ReadyAfter = Option<Duration>;

/// What is told of the simulated programs, and what is done to them. All else goes well: programs live for ever, get
/// ready after `startsecs` and write all the time, checks pass, hooks succeed, and what a start waits for outside
/// holds.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// How long it takes.
    pub duration: Duration,
    /// What the wall clock shows when it begins, in seconds since 1970. Without it that is 1970, and all zones are UTC.
    pub date: Option<i64>,
    /// After which time these get ready, or come to their end as oneshots, in each of their runs. The last one counts.
    pub readiness: Vec<(DependencyTarget, ReadyAfter)>,
    /// When these conditions of `start_when` come to hold, counted from the beginning.
    pub conditions: Vec<(StartCondition, ReadyAfter)>,
    /// What fails for a time.
    pub faults: Vec<Fault>,
    /// What happens once.
    pub steps: Vec<Step>,
}

/// Something of these programs that fails for a time.
#[derive(Debug)]
pub(crate) struct Fault {
    pub on: DependencyTarget,
    pub part: Part,
    /// Counted from the beginning.
    pub from: Duration,
    /// `None`: to the end.
    pub until: Option<Duration>,
}

/// What of a program can fail while the program itself goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Its health checks.
    Health,
    /// The look whether it is ready.
    Readiness,
    /// It does not tell its watchdog any more that it is alive.
    Watchdog,
    /// It writes nothing.
    Output,
    /// The commands of a hook.
    Hook(Hook),
}

/// Something that happens once.
#[derive(Debug)]
pub(crate) struct Step {
    /// When, counted from the beginning.
    pub at: Duration,
    pub what: StepKind,
}

/// What happens.
#[derive(Debug)]
pub(crate) enum StepKind {
    /// These processes end so, if they run.
    Fail { on: DependencyTarget, exit: Exit },
    /// These write a line, if they run.
    Write { on: DependencyTarget, line: String },
    /// An operator stops these.
    Stop { on: DependencyTarget },
    /// An operator sets this flag.
    SetFlag { flag: String },
    /// The daemon is told to read its configuration again, and this is what it finds.
    Reload { found: Box<Loaded> },
}

/// Whether a process is meant.
pub(crate) fn selects(target: &DependencyTarget, program: &ProgramConfig) -> bool {
    match target {
        DependencyTarget::Group(group) => program.group_name() == group,
        DependencyTarget::Program(name) => {
            program.name.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        }
    }
}

impl Plan {
    /// After which time a run of this program is ready.
    pub(super) fn ready_after(&self, program: &ProgramConfig) -> ReadyAfter {
        match self.readiness.iter().rev().find(|(target, _)| selects(target, program)) {
            Some((_, after)) => *after,
            // Where nothing is written it is 0 for those that tell by themselves. They take a moment all the same.
            None => Some(Duration::from_secs(u64::from(program.startsecs.max(1)))),
        }
    }

    /// The flags that these programs and those of reloads wait for, and when they are set.
    pub(super) fn flags(&self, programs: &[ProgramConfig]) -> Vec<(String, Duration)> {
        let reloaded = self.steps.iter().filter_map(|step| match &step.what {
            StepKind::Reload { found } => Some(&found.config.programs),
            StepKind::Fail { .. } | StepKind::Write { .. } | StepKind::Stop { .. } | StepKind::SetFlag { .. } => None,
        });
        let mut flags: Vec<(String, Duration)> = Vec::new();
        for condition in reloaded.flatten().chain(programs).flat_map(|program| &program.start_when) {
            if let (StartCondition::Flag(flag), Some(after)) = (condition, self.holds_after(condition))
                && !flags.iter().any(|(known, _)| known == flag)
            {
                flags.push((flag.clone(), after));
            }
        }
        flags
    }

    /// Whether this part of a program fails so long after the beginning.
    pub(super) fn fails(&self, program: &ProgramConfig, part: Part, after: Duration) -> bool {
        self.fault(program, part, after).is_some()
    }

    /// Why this part of a program fails so long after the beginning.
    pub(super) fn fault(&self, program: &ProgramConfig, part: Part, after: Duration) -> Option<&Fault> {
        let is_now = |fault: &Fault| fault.from <= after && fault.until.is_none_or(|until| after < until);
        self.faults.iter().find(|fault| fault.part == part && is_now(fault) && selects(&fault.on, program))
    }

    /// When a condition comes to hold.
    pub(super) fn holds_after(&self, condition: &StartCondition) -> ReadyAfter {
        let told = self.conditions.iter().rev().find(|(told, _)| told == condition);
        told.map_or(Some(Duration::ZERO), |(_, after)| *after)
    }
}
