//! Planted bugs: for each rule an engine that breaks it, made from the real one by bending what goes in and what comes
//! out.

use super::*;

/// What the engine gets wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Distortion {
    /// Where ready is required, started is enough.
    ReadyTakenForStarted,
    /// A stop leaves those alone that need what is stopped.
    DependantsForgotten,
    /// Nothing comes after anything that it does not require.
    OrderForgotten,
    /// The end of a process is not seen.
    EndUnseen,
    /// A start is held, and nobody is waited for.
    HeldForNothing,
    /// There is no limit of starts.
    LimitIgnored,
    /// A configuration that runs in a circle is taken.
    CircleTaken,
    /// What has completed is started because others need it.
    OneshotAgain,
    /// SIGKILL is not sent.
    KillsLost,
    /// Every attempt is spawned twice.
    SpawnedTwice,
    /// An answer is lost.
    ReplyLost,
    /// An answer is given twice.
    ReplyTwice,
}

impl Distortion {
    pub(super) const ALL: [Distortion; 12] = [
        Distortion::ReadyTakenForStarted,
        Distortion::DependantsForgotten,
        Distortion::OrderForgotten,
        Distortion::EndUnseen,
        Distortion::HeldForNothing,
        Distortion::LimitIgnored,
        Distortion::CircleTaken,
        Distortion::OneshotAgain,
        Distortion::KillsLost,
        Distortion::SpawnedTwice,
        Distortion::ReplyLost,
        Distortion::ReplyTwice,
    ];

    /// A part of what the rule says that has to catch it.
    pub(super) fn is_told_as(self) -> &'static str {
        match self {
            Distortion::ReadyTakenForStarted => " is STARTING, not Ready",
            Distortion::DependantsForgotten => " is stopped before ",
            Distortion::OrderForgotten => ", which it comes after",
            Distortion::EndUnseen => ", and lives: false",
            Distortion::HeldForNothing => " waits for nothing that could come",
            Distortion::LimitIgnored => " start, of at most ",
            Distortion::CircleTaken => "a circle is in force",
            Distortion::OneshotAgain => " has completed and runs again",
            Distortion::KillsLost => "something lives after the shutdown",
            Distortion::SpawnedTwice => " is spawned twice in one attempt",
            Distortion::ReplyLost => " were not answered",
            Distortion::ReplyTwice => "answered twice",
        }
    }
}

impl Distortion {
    /// Parts of what other rules may say before, of what follows from it.
    pub(super) fn may_be_told_as(self) -> &'static [&'static str] {
        match self {
            Distortion::ReadyTakenForStarted => &[", not Ready"],
            Distortion::OneshotAgain => &[" waits for nothing that could come", " does not tell for what"],
            Distortion::KillsLost => &[" still wait", "commands are held for ever", " were not answered"],
            Distortion::DependantsForgotten
            | Distortion::OrderForgotten
            | Distortion::EndUnseen
            | Distortion::HeldForNothing
            | Distortion::LimitIgnored
            | Distortion::CircleTaken
            | Distortion::SpawnedTwice
            | Distortion::ReplyLost
            | Distortion::ReplyTwice => &[],
        }
    }
}

impl Sim {
    pub(super) fn has(&self, distortion: Distortion) -> bool {
        self.distortion == Some(distortion)
    }

    /// The programs as the engine is told of them.
    pub(super) fn as_told(&self) -> Vec<ProgramConfig> {
        let mut programs: Vec<ProgramConfig> = self.programs.values().cloned().collect();
        for program in &mut programs {
            if self.has(Distortion::OrderForgotten) {
                (program.wants, program.after) = (Vec::new(), Vec::new());
            }
            if self.has(Distortion::ReadyTakenForStarted) {
                for kind in [DependencyKind::Requires, DependencyKind::Binds] {
                    let ready = |on: &&mut Dependency| on.condition == DependencyCondition::Ready;
                    let all = kind.of_mut(program).iter_mut().filter(ready);
                    all.for_each(|dependency| dependency.condition = DependencyCondition::Started);
                }
            }
        }
        programs
    }

    /// What the engine does of itself, where it is distorted so.
    pub(super) fn misbehave(&mut self) {
        if self.has(Distortion::OneshotAgain)
            && let Some(id) = self.completed.iter().find_map(|name| self.ids.get(name)).copied()
        {
            let name = "another".into();
            let by = Initiator::Related(Arc::new(Related { name, relation: Relation::NeededBy, by: None }));
            self.engine.handle_event(id, process::Event::StartRequested { by });
            self.engine.end_turn();
        }
    }
}
