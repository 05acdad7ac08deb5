//! A command on several processes that are named: one operation, in the order of the graph, and an answer for each.

use super::Engine;
use super::commands::CommandContext;
use super::each_summary::{EachSummary, Named};
use super::goals::Goal;
use super::waiters::WaitKind;
use crate::api::{Act, Announcement, NameHint, ProcId, Refusal, right_to};
use crate::util::sorted::SortedSet;

impl Engine {
    pub(super) fn act_on_each(&mut self, act: Act, names: Vec<String>, context: CommandContext) {
        let CommandContext { token, by, terms } = context;
        let right = right_to(act);
        let mut seen = SortedSet::default();
        let mut named = Vec::with_capacity(names.len());
        let (mut ids, mut awaited): (Vec<ProcId>, Vec<ProcId>) = (Vec::new(), Vec::new());
        for name in names {
            if !self.may(&by, right, &name) {
                let on = Some(name.as_str().into());
                self.announce(None, Announcement::Denied { command: None, right, on, by: by.clone() });
                named.push((name, Named::Forbidden(right)));
                continue;
            }
            let what = match self.registry.find_or_refuse(&name) {
                Ok(id) if !seen.insert(id) => continue,
                Ok(id) => {
                    let already = self.is_already(act, &[id]);
                    if !already {
                        awaited.push(id);
                    }
                    // A start of what is up makes sure that it stays wanted, a stop that nothing of it comes.
                    if !already || matches!(act, Act::Start | Act::Stop) {
                        ids.push(id);
                    }
                    if already { Named::Already } else { Named::Awaited }
                }
                Err(Refusal::NoSuchProcess { hint, .. }) => Named::Unknown(self.shown_hint(&by, hint)),
                Err(_) => Named::Unknown(NameHint::None),
            };
            named.push((name, what));
        }
        let dependants = match act {
            Act::Start => {
                self.start_in_order(&ids, &by);
                Vec::new()
            }
            Act::Stop | Act::Kill | Act::Restart { .. } => self.act_for_client(act, &ids, &by, terms),
        };
        self.note_request(act, &ids, &dependants);
        let also = self.names_shown_to(&by, &dependants);
        let goal = Goal::of(act);
        let goals: Vec<(ProcId, Goal)> = awaited.into_iter().chain(dependants).map(|id| (id, goal)).collect();
        let summary = Box::new(EachSummary { act, named, also });
        self.wait_for(Some(token), terms, WaitKind::Each(summary), &goals);
    }
}
