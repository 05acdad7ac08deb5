//! Requests that wait for their processes: an answer tells the state that was reached, not that the request was heard.

use serde::{Deserialize, Serialize};

use super::each_summary::{AnswerFacts, EachSummary};
use super::goals::{Goal, down_outcome, is_reached_by, is_up, reach_outcome, stopped_meanwhile, up_outcome};
use super::ledger::{Owner, ReplyToken, WaiterId};
use super::timers::TimerKey;
use super::{Engine, Entry};
use crate::api::{
    Act, Announcement, Answer, Changes, DaemonChanges, ProcId, Reached, Refusal, Reply, RequestId, RollbackReason,
    Selector, Terms, Unreached, Updated, WaitFor,
};
use crate::core::effect::StateFile;
#[cfg(feature = "attach")]
use crate::process::Generation;
use crate::process::{Cause, Desired, ProcessState};
use crate::util::sort::sort_by;
use crate::util::sorted::SortedMap;

/// What is waited for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum WaitKind {
    /// The effect of a command.
    Act {
        act: Act,
        on: Selector,
        /// How many of the members are those; the others need them.
        named: usize,
        /// Those that went down, or were restarted, because they need these.
        also: Vec<String>,
    },
    /// The effect of a command on several processes, each for itself.
    Each(Box<EachSummary>),
    /// The end of the programs that a reload has removed; and what it has changed.
    Reload(Box<ReloadSummary>),
    /// The same, and that what an update has started is up.
    Update(Box<Updated>),
    /// That a program runs that somebody runs by hand.
    #[cfg(feature = "attach")]
    Run { name: String },
    /// The end of a run to which a client is attached: the first one after this generation.
    #[cfg(feature = "attach")]
    Attached { name: String, after: Generation },
    /// What a client waits for.
    Wait { name: String, until: WaitFor },
}

impl WaitKind {
    /// How many of the members, the first ones, were asked for.
    fn named(&self) -> usize {
        match self {
            WaitKind::Act { named, .. } => *named,
            WaitKind::Each(summary) => summary.awaited(),
            WaitKind::Reload(_) | WaitKind::Update(_) | WaitKind::Wait { .. } => usize::MAX,
            #[cfg(feature = "attach")]
            WaitKind::Run { .. } | WaitKind::Attached { .. } => usize::MAX,
        }
    }
}

/// What a reload has changed, for its answer.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct ReloadSummary {
    pub(super) changes: Changes,
    pub(super) daemon: DaemonChanges,
    #[serde(default)]
    pub(super) outdated: Vec<String>,
}

impl ReloadSummary {
    pub(super) fn reply(self) -> Reply {
        let ReloadSummary { changes, daemon, outdated } = self;
        Reply::Reloaded { changes, daemon, outdated }
    }
}

/// A process of a request that waits.
#[derive(Debug, Serialize, Deserialize)]
struct Member {
    id: ProcId,
    name: String,
    goal: Goal,
    outcome: Option<Result<(), Unreached>>,
}

/// One request under way.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Waiter {
    /// `None`: nobody waits; the log is told what does not come about.
    request: Option<RequestId>,
    kind: WaitKind,
    members: Vec<Member>,
    /// The places of the members, sorted by process: one of ten thousand is found at once.
    by_id: Vec<u32>,
    /// Members without an outcome.
    open: usize,
    timed_out: bool,
    /// Those that were to be stopped, were so, and come up again: somebody has asked for that meanwhile.
    again: Vec<String>,
    /// Whoever asked is told in this turn that it has begun, unless it is done by then.
    only_begin: bool,
}

/// All requests that wait. Bounded by the connections and by the threads that call the library: nothing is kept for a
/// client that has gone.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Waiters {
    open: SortedMap<WaiterId, Waiter>,
    next: WaiterId,
}

impl Waiters {
    /// Whether this waiter is there and answers this request.
    pub(super) fn answers(&self, waiter: WaiterId, request: RequestId) -> bool {
        self.open.get(&waiter).is_some_and(|waiter| waiter.request == Some(request))
    }

    /// Nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.open.len() == 0
    }

    /// What was brought about by an update stays: whoever still waits for that is told of no way back.
    pub(super) fn keep_updates(&mut self) {
        for waiter in self.open.values_mut() {
            if let WaitKind::Update(updated) = &mut waiter.kind {
                updated.confirm_until = None;
            }
        }
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }
}

impl Engine {
    /// Waits on behalf of a request until every process in `goals` has reached its goal. `None`: nobody asked, but the
    /// log is told what does not come about.
    pub(super) fn wait_for(
        &mut self,
        token: Option<ReplyToken>,
        terms: Terms,
        kind: WaitKind,
        goals: &[(ProcId, Goal)],
    ) {
        let waiter = self.waiters.next;
        self.waiters.next += 1;
        let mut members = Vec::with_capacity(goals.len());
        for &(id, goal) in goals {
            let Some(entry) = self.registry.get_mut(id) else { continue };
            entry.waiters.push(waiter);
            members.push(Member { id, name: entry.name().to_owned(), goal, outcome: None });
        }
        let longest = [self.longest_wait(goals), terms.timeout].into_iter().flatten().min();
        let request = token.map(|token| self.owe(token, Owner::Waiter(waiter)));
        let waiting = Waiter::new(request, kind, members, !terms.wait);
        self.waiters.open.insert(waiter, waiting);
        let deadline = match terms.wait {
            true => longest.and_then(|longest| self.now.checked_add(longest)),
            // What follows at once (a spawn, for instance) still counts.
            false => Some(self.now),
        };
        self.timers.set(TimerKey::Waiter(waiter), deadline);
        for &(id, _) in goals {
            self.review_waiters(id);
        }
        self.finish_waiter(waiter); // One without members is done at once.
    }

    /// Looks whether the state of this process settles anything that somebody waits for.
    pub(super) fn review_waiters(&mut self, id: ProcId) {
        let Some(entry) = self.registry.get(id) else { return };
        // Whoever waits for one that leaves learns so when it is no longer there.
        if entry.waiters.is_empty() || entry.has_left() {
            return;
        }
        let now = self.now;
        // An update that is not confirmed yet may be taken back, which brings more about than the process alone would.
        let may_be_taken_back = self.commit.is_open();
        // A restart that has not begun yet; or it leaves, and what that means is known when it has gone.
        let is_unknown = self.is_held(id) || entry.leaving;
        let blocker = if entry.machine.is_waiting() { self.blocker(id) } else { None };
        for waiter in entry.waiters.clone() {
            let Some(entry) = self.registry.get(id) else { return };
            if let Some(open) = self.waiters.open.get_mut(&waiter) {
                open.settle(id, |goal| match goal {
                    Goal::Up if is_unknown => None,
                    Goal::Up => blocker.clone().map(Err).or_else(|| up_outcome(now, entry)),
                    Goal::Down => down_outcome(entry),
                    Goal::Reach(until) => reach_outcome(now, entry, until, may_be_taken_back),
                });
            }
            self.finish_waiter(waiter);
        }
    }

    /// An attempt to start ends because what the process is bound to has ended: that is the first thing that is not as
    /// asked, and it may go on like this for ever.
    pub(super) fn start_cut_short(&mut self, id: ProcId, on: ProcId) {
        let Some((entry, on)) = self.registry.get(id).zip(self.registry.get(on)) else { return };
        // How a stop ends is not known before it is over.
        let exit = on.machine.last_run().filter(|_| on.machine.pid().is_none()).map(|run| run.exit);
        let why = Unreached::CutShort { on: on.name().to_owned(), exit };
        for waiter in entry.waiters.clone() {
            if let Some(open) = self.waiters.open.get_mut(&waiter) {
                open.settle(id, |goal| match goal {
                    Goal::Up => Some(Err(why.clone())),
                    Goal::Down | Goal::Reach(_) => None,
                });
            }
            self.finish_waiter(waiter);
        }
    }

    /// A subscriber: what somebody waits for is done when it was so, if only for a moment.
    pub(super) fn settle_reached_goals(&mut self, id: Option<ProcId>, announcement: &Announcement) {
        let (Some(id), Announcement::Transition { transition, .. }) = (id, announcement) else { return };
        let Some(entry) = self.registry.get(id).filter(|entry| !entry.waiters.is_empty()) else { return };
        let completed = matches!(transition.cause, Cause::Completed { .. });
        for waiter in entry.waiters.clone() {
            let Some(waiter) = self.waiters.open.get_mut(&waiter) else { continue };
            if transition.to == ProcessState::Stopped && entry.machine.desired() == Desired::Up {
                waiter.note_again(id);
            }
            // The answer follows when the machine has done all that it is about to do.
            waiter.settle(id, |goal| match is_reached_by(goal, transition.to) || completed && is_up(goal) {
                true => Some(Ok(())),
                false => stopped_meanwhile(goal, transition.to, entry.machine.desired()).map(Err),
            });
        }
    }

    /// The daemon ends: what is waited for will not come.
    pub(super) fn abandon_waits(&mut self) {
        let abandoned =
            |waiter: &Waiter| matches!(waiter.kind, WaitKind::Wait { until: WaitFor::Running | WaitFor::Healthy, .. });
        self.settle_all(abandoned, |_, _| Unreached::ShuttingDown);
    }

    /// The daemon has ended: whoever still waits (for the last words of a failed start, for what could not be killed)
    /// is told what was reached.
    pub(super) fn end_waits(&mut self) {
        self.settle_all(|_| true, Engine::unreached);
    }

    /// The process has left the configuration and everything else: whoever waits for it learns so.
    pub(super) fn settle_waiters_of_departed(&mut self, id: ProcId, waiters: Vec<WaiterId>) {
        for waiter in waiters {
            if let Some(open) = self.waiters.open.get_mut(&waiter) {
                // Who only went with others is not what was asked for: that may come about without it.
                let went_with_others = open.leave_out(id);
                open.settle(id, |goal| {
                    Some(match goal {
                        Goal::Up if went_with_others => Ok(()),
                        Goal::Down | Goal::Reach(WaitFor::Stopped | WaitFor::Exited) => Ok(()),
                        Goal::Up | Goal::Reach(WaitFor::Running | WaitFor::Healthy) => {
                            Err(Unreached::RemovedFromConfiguration)
                        }
                    })
                });
            }
            self.finish_waiter(waiter);
        }
    }

    /// The time of a request is up: the answer tells the states that were reached.
    pub(super) fn waiter_timed_out(&mut self, waiter: WaiterId) {
        let Some(open) = self.waiters.open.get_mut(&waiter) else { return };
        if open.only_begin {
            return self.answer_begun(waiter);
        }
        open.timed_out = true;
        self.settle_rest(waiter, Engine::unreached);
    }

    fn answer_begun(&mut self, waiter: WaiterId) {
        let Some(Waiter { request, kind, members, again, .. }) = self.close_waiter(waiter) else { return };
        let Some(token) = request.and_then(|request| self.ledger.take(request)) else { return };
        match kind {
            WaitKind::Act { act, on, .. } => self.reply(token, Reply::Begun { act, on }),
            WaitKind::Each(summary) => {
                self.reply(token, summary.reply(outcomes(members), &again, &AnswerFacts::default(), false))
            }
            WaitKind::Reload(_) | WaitKind::Update(_) | WaitKind::Wait { .. } => self.refuse(token, Refusal::Internal),
            #[cfg(feature = "attach")]
            WaitKind::Run { .. } | WaitKind::Attached { .. } => self.refuse(token, Refusal::Internal),
        }
    }

    /// What a member is instead of what it was to be.
    fn unreached(&self, id: ProcId) -> Unreached {
        match self.registry.get(id) {
            Some(entry) => Unreached::Reached(entry.reached(self.now)),
            None => Unreached::Removed,
        }
    }

    /// Settles what is open in all these waiters.
    fn settle_all(&mut self, which: impl Fn(&Waiter) -> bool, why: impl Fn(&Engine, ProcId) -> Unreached) {
        let chosen = self.waiters.open.iter().filter(|(_, waiter)| which(waiter)).map(|(id, _)| *id);
        for waiter in chosen.collect::<Vec<WaiterId>>() {
            self.settle_rest(waiter, &why);
        }
    }

    fn settle_rest(&mut self, waiter: WaiterId, why: impl Fn(&Engine, ProcId) -> Unreached) {
        let Some(mut open) = self.waiters.open.remove(&waiter) else { return };
        for member in open.members.iter_mut().filter(|member| member.outcome.is_none()) {
            member.outcome = Some(Err(why(self, member.id)));
        }
        open.open = 0;
        self.waiters.open.insert(waiter, open);
        self.finish_waiter(waiter);
    }

    /// An update is taken back: whoever still waits for what it was to bring about learns why.
    pub(super) fn refuse_updates(&mut self, reason: &RollbackReason) {
        let chosen = self.waiters.open.iter().filter(|(_, waiter)| waiter.is_unconfirmed()).map(|(id, _)| *id);
        for waiter in chosen.collect::<Vec<WaiterId>>() {
            let request = self.close_waiter(waiter).and_then(|closed| closed.request);
            // The log has been told.
            if let Some(token) = request.and_then(|request| self.ledger.take(request)) {
                self.refuse(token, Refusal::UpdateTakenBack { reason: Box::new(reason.clone()) });
            }
        }
    }

    /// Answers if all members have settled.
    fn finish_waiter(&mut self, waiter: WaiterId) {
        let may_be_refused = self.commit.has_failed();
        // An update that is about to be taken back is answered by that, see `refuse_updates`.
        let waits = |waiter: &Waiter| waiter.open > 0 || may_be_refused && waiter.is_unconfirmed();
        if self.waiters.open.get(&waiter).is_none_or(waits) {
            return;
        }
        let Some(mut closed) = self.close_waiter(waiter) else { return };
        let request = closed.request;
        #[cfg(feature = "attach")]
        let told: Vec<ProcId> = closed.members.iter().filter(|_| request.is_some()).map(|member| member.id).collect();
        #[cfg(feature = "attach")]
        if let WaitKind::Attached { name, after } = closed.kind {
            let id = told.first().copied();
            if let Some((token, id)) = request.and_then(|request| self.ledger.take(request)).zip(id) {
                self.report_end(token, id, name, after);
                self.note_seen(id);
            }
            return;
        }
        let is_wait = matches!(closed.kind, WaitKind::Wait { .. });
        self.refresh_outcomes(&mut closed.members);
        closed.leave_out_stopped();
        let facts = self.answer_facts(&closed.members);
        let answer = closed.answer(&facts);
        if !is_wait {
            self.announce_failures(&answer);
        }
        if let Some(token) = request.and_then(|request| self.ledger.take(request)) {
            match answer {
                // Whoever is told so may rely on it, whatever becomes of the daemon.
                Ok(Reply::Updated(updated)) if updated.saved.is_some() => {
                    self.reply_when_kept(token, StateFile::Scales, Reply::Updated(updated));
                }
                answer => self.answer(token, answer),
            }
        }
        #[cfg(feature = "attach")]
        told.into_iter().for_each(|id| self.note_seen(id));
    }

    /// Some members may have waited for the last one for long: the answer tells the states of now. Who has failed at
    /// first and is up by now has done what it should.
    fn refresh_outcomes(&self, members: &mut [Member]) {
        for member in members {
            let Some(Err(why @ (Unreached::Reached(_) | Unreached::StoppedMeanwhile(_)))) = &member.outcome else {
                continue;
            };
            let Some(entry) = self.registry.get(member.id) else { continue };
            if member.goal == Goal::Up && up_outcome(self.now, entry) == Some(Ok(())) {
                member.outcome = Some(Ok(()));
            } else if matches!(why, Unreached::Reached(reached) if has_moved_on(entry, reached)) {
                member.outcome = Some(Err(Unreached::Reached(entry.reached(self.now))));
            }
        }
    }

    /// What the answer has to tell of members beside their goals.
    fn answer_facts(&self, members: &[Member]) -> AnswerFacts {
        let mut facts = AnswerFacts::default();
        for Member { id, name, goal, .. } in members {
            let Some(machine) = self.registry.get(*id).map(|entry| &entry.machine) else { continue };
            match goal {
                Goal::Down if machine.state() == ProcessState::Fatal => facts.fatal.push(name.clone()),
                Goal::Reach(WaitFor::Exited) if machine.last_run().is_none() => facts.never_ran = true,
                Goal::Up | Goal::Down | Goal::Reach(_) => {}
            }
        }
        facts
    }

    /// The log is told what did not come about. (That a name is none tells only whoever has asked.)
    fn announce_failures(&mut self, answer: &Answer) {
        match answer {
            Err(refusal) => self.announce(None, Announcement::Failed(refusal.clone().into())),
            Ok(Reply::Each { results, .. }) => {
                for (_, result) in results {
                    if let Err(refusal @ Refusal::NotReached { .. }) = result {
                        self.announce(None, Announcement::Failed(refusal.clone().into()));
                    }
                }
            }
            Ok(_) => {}
        }
    }

    /// Takes a waiter away from its processes and its timer.
    pub(super) fn close_waiter(&mut self, waiter: WaiterId) -> Option<Waiter> {
        let closed = self.waiters.open.remove(&waiter)?;
        self.timers.set(TimerKey::Waiter(waiter), None);
        for member in &closed.members {
            if let Some(entry) = self.registry.get_mut(member.id) {
                entry.waiters.retain(|open| *open != waiter);
                entry.waiters.shrink_to_fit();
            }
        }
        Some(closed)
    }
}

impl Waiter {
    fn new(request: Option<RequestId>, kind: WaitKind, members: Vec<Member>, only_begin: bool) -> Waiter {
        let id = |place: u32| members.get(place as usize).map(|member| member.id);
        let mut by_id: Vec<u32> = (0..).take(members.len()).collect();
        sort_by(&mut by_id, |one, other| id(*one).cmp(&id(*other)));
        let open = members.len();
        Waiter { request, kind, members, by_id, open, timed_out: false, again: Vec::new(), only_begin }
    }

    /// It waits for an update that may be taken back.
    fn is_unconfirmed(&self) -> bool {
        matches!(&self.kind, WaitKind::Update(updated) if updated.confirm_until.is_some())
    }

    /// This one is there no more. If a restart was to bring it up again only because it needs what was named, it is not
    /// told that it was restarted; `false`: it was named itself.
    fn leave_out(&mut self, id: ProcId) -> bool {
        let is_it = |member: &Member| member.id == id;
        let Some(place) = self.members.iter().position(is_it).filter(|place| *place >= self.kind.named()) else {
            return false;
        };
        let name = self.members.get(place).map_or("", |member| member.name.as_str());
        let (act, also) = match &mut self.kind {
            WaitKind::Act { act, also, .. } => (*act, also),
            WaitKind::Each(summary) => (summary.act, &mut summary.also),
            WaitKind::Reload(_) | WaitKind::Update(_) | WaitKind::Wait { .. } => return false,
            #[cfg(feature = "attach")]
            WaitKind::Run { .. } | WaitKind::Attached { .. } => return false,
        };
        if let Act::Restart { .. } = act {
            also.retain(|other| other != name);
        }
        true
    }

    /// Somebody has stopped these while they went with what was named: that has come about without them.
    fn leave_out_stopped(&mut self) {
        let is_stopped = |member: &Member| matches!(member.outcome, Some(Err(Unreached::StoppedMeanwhile(_))));
        let others = self.members.iter().skip(self.kind.named());
        let stopped: Vec<ProcId> = others.filter(|member| is_stopped(member)).map(|member| member.id).collect();
        for id in stopped {
            if self.leave_out(id)
                && let Some(member) = self.members.iter_mut().rev().find(|member| member.id == id)
            {
                member.outcome = Some(Ok(()));
            }
        }
    }

    /// This one has stopped, but is about to be started. (Those that only went with it are not spoken of.)
    fn note_again(&mut self, id: ProcId) {
        let named = self.members.iter().take(self.kind.named());
        let stopped = named.filter(|member| member.id == id && member.goal == Goal::Down && member.outcome.is_none());
        self.again.extend(stopped.map(|member| member.name.clone()));
    }

    /// Gives the goals of one process an outcome, as far as there is one by now.
    fn settle(&mut self, id: ProcId, outcome: impl Fn(Goal) -> Option<Result<(), Unreached>>) {
        let Waiter { members, by_id, open, .. } = self;
        let from = by_id.partition_point(|place| members.get(*place as usize).is_some_and(|member| member.id < id));
        for place in by_id.iter().skip(from) {
            let Some(member) = members.get_mut(*place as usize).filter(|member| member.id == id) else { break };
            if member.outcome.is_none() {
                member.outcome = outcome(member.goal);
                *open -= usize::from(member.outcome.is_some());
            }
        }
    }

    fn answer(self, facts: &AnswerFacts) -> Answer {
        let Waiter { kind, members, timed_out, again, .. } = self;
        match kind {
            WaitKind::Each(summary) => Ok(summary.reply(outcomes(members), &again, facts, timed_out)),
            WaitKind::Act { act, on, also, .. } => match failures(members) {
                failed if failed.is_empty() => {
                    let fatal = facts.fatal.iter().filter(|name| !also.contains(name)).cloned().collect();
                    Ok(Reply::Reached { act, on, also, again, fatal })
                }
                failed => Err(Refusal::NotReached { act, on, members: failed, timed_out }),
            },
            WaitKind::Reload(summary) => match failures(members) {
                failed if failed.is_empty() => Ok(summary.reply()),
                failed => Err(Refusal::ReloadIncomplete { members: failed, timed_out }),
            },
            WaitKind::Update(updated) => match failures(members) {
                failed if failed.is_empty() => Ok(Reply::Updated(updated)),
                failed => {
                    let confirm_pending = updated.confirm_until.is_some();
                    Err(Refusal::UpdateIncomplete { members: failed, confirm_pending, timed_out })
                }
            },
            #[cfg(feature = "attach")]
            WaitKind::Run { name } => match failures(members) {
                failed if failed.is_empty() => Ok(Reply::RunBegun { name }),
                members => {
                    Err(Refusal::NotReached { act: Act::Start, on: Selector::Process(name), members, timed_out })
                }
            },
            // Its end is told elsewhere.
            #[cfg(feature = "attach")]
            WaitKind::Attached { .. } => Err(Refusal::Internal),
            WaitKind::Wait { name, until } => match failures(members).pop() {
                None => Ok(Reply::WaitOver { name, until, never_ran: facts.never_ran }),
                Some((_, why)) => Err(Refusal::WaitFailed { name, until, why, timed_out }),
            },
        }
    }
}

fn outcomes(members: Vec<Member>) -> impl Iterator<Item = (String, Option<Result<(), Unreached>>)> {
    members.into_iter().map(|Member { name, outcome, .. }| (name, outcome))
}

/// It is in another state by now, and not only in its next attempt: that says less than why the last one has failed.
fn has_moved_on(entry: &Entry, reached: &Reached) -> bool {
    let state = entry.machine.state();
    state != reached.state && state != ProcessState::Starting
}

/// Those that did not come to where they were to be, and why.
fn failures(members: Vec<Member>) -> Vec<(String, Unreached)> {
    let failed = members.into_iter().filter_map(|Member { name, outcome, .. }| match outcome {
        Some(Err(why)) => Some((name, why)),
        Some(Ok(())) | None => None,
    });
    failed.collect()
}
