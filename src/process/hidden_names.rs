//! Names of other programs in what is told of one: those that somebody may not read are taken out.

use std::sync::Arc;

use super::cause::{Cause, Part};
use super::failure::Failure;
use super::initiator::{Initiator, Related};
use super::machine::{Condition, Prerequisite};

/// What stands in the place of a name.
pub const HIDDEN: &str = "(hidden)";

/// Whether a name may be shown.
pub type IsShown<'a> = &'a dyn Fn(&str) -> bool;

impl Initiator {
    /// Takes out names that may not be shown.
    pub fn hide_names(&mut self, is_shown: IsShown<'_>) {
        let Initiator::Related(related) = self else { return };
        let mut by = related.by.clone();
        if let Some(by) = &mut by {
            by.hide_names(is_shown);
        }
        let name = if is_shown(&related.name) { related.name.clone() } else { HIDDEN.into() };
        *related = Arc::new(Related { name, relation: related.relation, by });
    }
}

impl Cause {
    /// Takes out names that may not be shown.
    pub fn hide_names(&mut self, is_shown: IsShown<'_>) {
        match self.part_mut() {
            Part::By(by) => by.hide_names(is_shown),
            Part::Failure(failure) => hide_in_failure(failure, is_shown),
            Part::Program(name) if !is_shown(name) => *name = HIDDEN.into(),
            Part::Program(_) | Part::SpawnError(_) | Part::Plain => {}
        }
    }
}

impl Condition {
    /// Takes out names that may not be shown.
    pub fn hide_names(&mut self, is_shown: IsShown<'_>) {
        if let Condition::Waiting { on, .. } = self {
            for awaited in on {
                if let Prerequisite::Process { name, .. } = awaited
                    && !is_shown(name)
                {
                    *name = HIDDEN.into();
                }
            }
        } else if let Condition::Fatal { failure, .. } | Condition::Backoff { failure, .. } = self {
            hide_in_failure(failure, is_shown);
        }
    }
}

fn hide_in_failure(failure: &mut Arc<Failure>, is_shown: IsShown<'_>) {
    if let Failure::DependencyLost { on, .. } = failure.as_ref()
        && !is_shown(on)
        && let Failure::DependencyLost { on, .. } = Arc::make_mut(failure)
    {
        *on = HIDDEN.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::DependencyCondition;
    use crate::process::{ProcessState, Relation, Verb};

    #[test]
    fn a_name_that_may_not_be_shown_is_not_in_any_sentence() {
        let is_shown = |name: &str| name != "secret";
        let related = |name: &str, by| {
            Initiator::Related(Arc::new(Related { name: name.into(), relation: Relation::NeededBy, by }))
        };
        let by = related("web", Some(related("secret", None)));
        let lost = Arc::new(Failure::DependencyLost { on: "secret".into(), state: Some(ProcessState::Fatal) });
        for mut cause in [
            Cause::Requested { verb: Verb::Start, by, remains_of: None },
            Cause::StartFailed { failure: Arc::clone(&lost) },
            Cause::GaveUp { failure: Arc::clone(&lost), after: None },
            Cause::DependencyBack { on: Some("secret".into()) },
        ] {
            assert!(cause.to_string().contains("secret"), "{cause}");
            cause.hide_names(&is_shown);
            assert!(cause.to_string().contains(HIDDEN) && !cause.to_string().contains("secret"), "{cause}");
        }
        let awaited = Prerequisite::Process {
            name: "secret".into(),
            condition: DependencyCondition::default(),
            state: ProcessState::Fatal,
            retry: None,
        };
        let mut waits = Condition::Waiting { on: vec![awaited], more: 0 };
        waits.hide_names(&is_shown);
        let Condition::Waiting { on, .. } = &waits else { panic!("it waits") };
        assert!(matches!(&on[0], Prerequisite::Process { name, .. } if &**name == HIDDEN));
    }
}
