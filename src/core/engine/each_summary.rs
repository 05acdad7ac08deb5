//! The answer to a command on several processes: a result for each.

use serde::{Deserialize, Serialize};

use crate::api::{Act, Answer, NameHint, Refusal, Reply, Selector, Unreached};
use crate::models::Right;

/// A process that was awaited, and what it came to; `None`: nobody waits for that.
pub(super) type Member = (String, Option<Result<(), Unreached>>);

/// What is to be told of members beside whether they have reached their goals.
#[derive(Debug, Default)]
pub(super) struct AnswerFacts {
    /// Those that were to go down, were so, and are still FATAL.
    pub(super) fatal: Vec<String>,
    /// The one whose end was waited for has never run.
    pub(super) never_ran: bool,
}

/// What becomes of a name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Named {
    /// There is no such process.
    Unknown(NameHint),
    /// This right to it is missing.
    Forbidden(Right),
    /// It was as it was to be.
    Already,
    /// It is a member of what is waited for.
    Awaited,
}

/// The names of a command, and what else is to be answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct EachSummary {
    pub(super) act: Act,
    pub(super) named: Vec<(String, Named)>,
    /// Those that need these and went with them.
    pub(super) also: Vec<String>,
}

impl EachSummary {
    /// How many of the names are waited for.
    pub(super) fn awaited(&self) -> usize {
        self.named.iter().filter(|(_, what)| matches!(what, Named::Awaited)).count()
    }

    /// The answer: the members are those that were awaited, in their order, and then those that need them.
    /// `again`: those that were started again meanwhile.
    pub(super) fn reply(
        self,
        members: impl Iterator<Item = Member>,
        again: &[String],
        facts: &AnswerFacts,
        timed_out: bool,
    ) -> Reply {
        let EachSummary { act, named, mut also } = self;
        let mut members = members;
        let mut results: Vec<(String, Answer)> = Vec::with_capacity(named.len());
        for (name, what) in named {
            let answer = match what {
                Named::Unknown(hint) => Err(Refusal::NoSuchProcess { name: name.clone(), hint }),
                Named::Forbidden(right) => Err(Refusal::Forbidden { right, on: Some(name.clone()) }),
                Named::Already => Ok(Reply::AlreadyThere { act, name: name.clone() }),
                Named::Awaited => members
                    .next()
                    .map_or(Err(Refusal::Internal), |member| result(act, member, (again, facts), timed_out)),
            };
            results.push((name, answer));
        }
        // A dependant gets a result of its own only if it has failed.
        let dependants = members.map(|member| (member.0.clone(), result(act, member, (again, facts), timed_out)));
        let failed: Vec<(String, Answer)> = dependants.filter(|(_, answer)| answer.is_err()).collect();
        also.retain(|name| failed.iter().all(|(other, _)| other != name));
        results.extend(failed);
        Reply::Each { results, also }
    }
}

fn result(act: Act, (name, outcome): Member, (again, facts): (&[String], &AnswerFacts), timed_out: bool) -> Answer {
    let on = Selector::Process(name.clone());
    match outcome {
        None => Ok(Reply::Begun { act, on }),
        Some(Ok(())) => {
            let its = |names: &[String]| names.iter().filter(|other| **other == name).cloned().collect();
            Ok(Reply::Reached { act, on, also: Vec::new(), again: its(again), fatal: its(&facts.fatal) })
        }
        Some(Err(why)) => Err(Refusal::NotReached { act, on, members: vec![(name, why)], timed_out }),
    }
}
