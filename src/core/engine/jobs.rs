//! Commands that wait for their processes: an answer tells the state that was reached, not that the
//! command was heard.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::world::{Answer, ProcId, ReplyTo, World};
use super::{Engine, Entry};
use crate::config::ReloadPlan;
use crate::models::HealthCheckType;
use crate::process::Moment;
use crate::process::{Desired, ProcessState};
use crate::rpc::protocol::{ErrorCode, Report, Terms, Updated, WaitFor};
use crate::rpc::server::ConnId;

pub(super) type JobId = u64;

/// What a settled state may take beyond the configured times: scheduling, and death by SIGKILL.
const SETTLE_MARGIN: Duration = Duration::from_secs(5);

/// What a job is for.
pub(super) enum JobKind {
    Start,
    Stop,
    Restart,
    Kill,
    StartGroup(String),
    StopGroup(String),
    Reload(ReloadPlan),
    Update(Box<Updated>),
    Wait(WaitFor),
}

/// The state that a member is to reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    Up,
    Down,
    /// Whatever brings it there, and however long that takes.
    Reach(WaitFor),
}

struct Member {
    id: ProcId,
    name: String,
    goal: Goal,
    outcome: Option<Result<(), String>>,
}

/// One command under way.
pub(super) struct Job {
    reply: ReplyTo,
    kind: JobKind,
    members: Vec<Member>,
    /// `None`: for as long as it takes.
    deadline: Option<Moment>,
    timed_out: bool,
}

/// All commands that somebody waits for. Bounded by the connections (each has one command at a time) and by the
/// threads that call the library: nothing is kept for a client that has gone, or for nobody.
#[derive(Default)]
pub(super) struct Jobs {
    open: BTreeMap<JobId, Job>,
    next: JobId,
}

impl Jobs {
    /// How many somebody waits for.
    #[cfg(test)]
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// Few jobs are open at a time: looking through them beats keeping a second order.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.open.values().filter_map(|job| job.deadline).min()
    }
}

impl Engine {
    /// Waits on behalf of `reply` until every process in `goals` has reached its goal.
    pub(super) fn wait_for(
        &mut self,
        now: Moment,
        reply: ReplyTo,
        terms: Terms,
        kind: JobKind,
        goals: &[(ProcId, Goal)],
        world: &mut dyn World,
    ) {
        // A reload that a signal asked for tells the log what did not stop.
        if matches!(reply, ReplyTo::Nobody) && !matches!(kind, JobKind::Reload(_)) {
            return;
        }
        let job_id = self.jobs.next;
        self.jobs.next += 1;
        let mut members = Vec::with_capacity(goals.len());
        let mut longest = Some(Duration::ZERO);
        for &(id, goal) in goals {
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            longest = longest.zip(patience(entry, goal)).map(|(longest, patience)| longest.max(patience));
            entry.jobs.push(job_id);
            members.push(Member { id, name: entry.name().to_owned(), goal, outcome: None });
        }
        let longest = [longest, terms.timeout].into_iter().flatten().min();
        let deadline = longest.and_then(|longest| now.checked_add(longest));
        self.jobs.open.insert(job_id, Job { reply, kind, members, deadline, timed_out: false });
        for &(id, _) in goals {
            self.review_jobs(now, id, world);
        }
        self.finish_job(job_id, world); // A job without members is done at once.
        if !terms.wait
            && let Some(job) = self.close_job(job_id)
        {
            world.reply(&job.reply, Answer::Done(job.begun()));
        }
    }

    /// Looks whether the state of this process settles anything that somebody waits for.
    pub(super) fn review_jobs(&mut self, now: Moment, id: ProcId, world: &mut dyn World) {
        let Some(entry) = self.entries.get(&id) else { return };
        // Whoever waits for one that leaves learns so when it is no longer there.
        if entry.jobs.is_empty() || entry.has_left() {
            return;
        }
        for job_id in entry.jobs.clone() {
            let Some(job) = self.jobs.open.get_mut(&job_id) else { continue };
            let Some(entry) = self.entries.get(&id) else { return };
            for member in job.members.iter_mut().filter(|member| member.id == id && member.outcome.is_none()) {
                member.outcome = match member.goal {
                    Goal::Up => up_verdict(now, entry),
                    Goal::Down => down_verdict(entry),
                    Goal::Reach(until) => reach_verdict(now, entry, until),
                };
            }
            self.finish_job(job_id, world);
        }
    }

    /// A process arrives in `state`: what somebody waits for is done when it was so, if only for a moment.
    pub(super) fn note_arrival(&mut self, id: ProcId, state: ProcessState) {
        let Some(entry) = self.entries.get(&id) else { return };
        for job_id in &entry.jobs {
            let Some(job) = self.jobs.open.get_mut(job_id) else { continue };
            let open = |member: &&mut Member| member.id == id && member.outcome.is_none();
            for member in job.members.iter_mut().filter(open).filter(|member| arrives(member.goal, state)) {
                member.outcome = Some(Ok(()));
            }
        }
    }

    /// The daemon ends: what is waited for will not come.
    pub(super) fn abandon_waits(&mut self, world: &mut dyn World) {
        let waits = |job: &Job| matches!(job.kind, JobKind::Wait(WaitFor::Running | WaitFor::Healthy));
        let open: Vec<JobId> = self.jobs.open.iter().filter(|(_, job)| waits(job)).map(|(id, _)| *id).collect();
        for job_id in open {
            let Some(job) = self.jobs.open.get_mut(&job_id) else { continue };
            for member in job.members.iter_mut().filter(|member| member.outcome.is_none()) {
                member.outcome = Some(Err("the daemon is shutting down".to_owned()));
            }
            self.finish_job(job_id, world);
        }
    }

    /// The daemon has ended: whoever still waits (for the last words of a failed start, for what could not be killed) is
    /// told what was reached.
    pub(super) fn end_jobs(&mut self, now: Moment, world: &mut dyn World) {
        let open: Vec<JobId> = self.jobs.open.keys().copied().collect();
        for job_id in open {
            let Some(job) = self.jobs.open.get_mut(&job_id) else { continue };
            for member in job.members.iter_mut().filter(|member| member.outcome.is_none()) {
                let reached = self.entries.get(&member.id).map(|entry| reached(now, entry));
                member.outcome = Some(Err(reached.unwrap_or_else(|| "removed".to_owned())));
            }
            self.finish_job(job_id, world);
        }
    }

    /// A client has gone: its commands go on, but their answers are not waited for any more.
    pub(super) fn client_gone(&mut self, conn: ConnId, world: &mut dyn World) {
        let its = |job: &Job| matches!(job.reply, ReplyTo::Connection(to) if to == conn);
        let gone: Vec<JobId> = self.jobs.open.iter().filter(|(_, job)| its(job)).map(|(id, _)| *id).collect();
        for job_id in gone {
            self.close_job(job_id);
        }
        self.reload.forget(conn);
        self.forget_listener(conn, world);
    }

    /// The process has left the configuration and everything else: whoever waits for it (`jobs`) learns so.
    pub(super) fn settle_jobs_of_departed(&mut self, id: ProcId, jobs: Vec<JobId>, world: &mut dyn World) {
        for job_id in jobs {
            let Some(job) = self.jobs.open.get_mut(&job_id) else { continue };
            for member in job.members.iter_mut().filter(|member| member.id == id && member.outcome.is_none()) {
                member.outcome = Some(match member.goal {
                    Goal::Down | Goal::Reach(WaitFor::Stopped | WaitFor::Exited) => Ok(()),
                    Goal::Up | Goal::Reach(WaitFor::Running | WaitFor::Healthy) => {
                        Err("removed from the configuration".to_owned())
                    }
                });
            }
            self.finish_job(job_id, world);
        }
    }

    /// Answers every job whose time is up with the states that were reached.
    pub(super) fn expire_jobs(&mut self, now: Moment, world: &mut dyn World) {
        let due = |(id, job): (&JobId, &Job)| job.deadline.is_some_and(|at| at <= now).then_some(*id);
        let due: Vec<JobId> = self.jobs.open.iter().filter_map(due).collect();
        for job_id in due {
            let Some(job) = self.jobs.open.get_mut(&job_id) else { continue };
            job.timed_out = true;
            for member in job.members.iter_mut().filter(|member| member.outcome.is_none()) {
                let reached = self.entries.get(&member.id).map(|entry| reached(now, entry));
                member.outcome = Some(Err(reached.unwrap_or_else(|| "removed".to_owned())));
            }
            self.finish_job(job_id, world);
        }
    }

    /// Answers a job if all its members have settled.
    fn finish_job(&mut self, job_id: JobId, world: &mut dyn World) {
        let settled = |job: &Job| job.members.iter().all(|member| member.outcome.is_some());
        if !self.jobs.open.get(&job_id).is_some_and(settled) {
            return;
        }
        let Some(job) = self.close_job(job_id) else { return };
        let answer = job.answer();
        if let Answer::Failed { message, .. } = &answer
            && !matches!(job.kind, JobKind::Wait(_))
        {
            log::warn!("{message}");
        }
        world.reply(&job.reply, answer);
    }

    fn close_job(&mut self, job_id: JobId) -> Option<Job> {
        let job = self.jobs.open.remove(&job_id)?;
        for member in &job.members {
            if let Some(entry) = self.entries.get_mut(&member.id) {
                entry.jobs.retain(|open| *open != job_id);
                entry.jobs.shrink_to_fit();
            }
        }
        Some(job)
    }
}

impl Job {
    /// What is said to somebody who does not wait.
    fn begun(&self) -> String {
        let name = self.members.first().map_or("", |member| member.name.as_str());
        match &self.kind {
            JobKind::Start => format!("Starting {name}"),
            JobKind::Stop => format!("Stopping {name}"),
            JobKind::Restart => format!("Restarting {name}"),
            JobKind::Kill => format!("Killing {name}"),
            JobKind::StartGroup(group) => format!("Starting group {group}"),
            JobKind::StopGroup(group) => format!("Stopping group {group}"),
            JobKind::Reload(_) | JobKind::Update(_) => "Reloading".to_owned(),
            JobKind::Wait(until) => format!("Waiting until {name} is {}", until.as_str()),
        }
    }

    fn answer(&self) -> Answer {
        let failed: Vec<(&str, &str)> = self
            .members
            .iter()
            .filter_map(|member| match &member.outcome {
                Some(Err(reason)) => Some((member.name.as_str(), reason.as_str())),
                Some(Ok(())) | None => None,
            })
            .collect();
        let name = self.members.first().map_or("", |member| member.name.as_str());
        if failed.is_empty() {
            return match &self.kind {
                JobKind::Start => Answer::Done(format!("Started {name}")),
                JobKind::Stop => Answer::Done(format!("Stopped {name}")),
                JobKind::Restart => Answer::Done(format!("Restarted {name}")),
                JobKind::StartGroup(group) => Answer::Done(format!("Started group {group}")),
                JobKind::StopGroup(group) => Answer::Done(format!("Stopped group {group}")),
                JobKind::Kill => Answer::Done(format!("Killed {name}")),
                JobKind::Reload(plan) => Answer::Reloaded(plan.clone()),
                JobKind::Update(updated) => Answer::report(Report::Updated(Updated::clone(updated))),
                JobKind::Wait(WaitFor::Exited) => Answer::Done(format!("{name} has exited")),
                JobKind::Wait(until) => Answer::Done(format!("{name} is {}", until.as_str())),
            };
        }
        let list = || {
            let each: Vec<String> = failed.iter().map(|(name, reason)| format!("{name} ({reason})")).collect();
            each.join(", ")
        };
        let reason = failed.first().map_or("", |(_, reason)| reason);
        let message = match &self.kind {
            JobKind::Start => format!("{name} did not start: {reason}"),
            JobKind::Stop => format!("{name} did not stop: {reason}"),
            JobKind::Restart => format!("{name} did not restart: {reason}"),
            JobKind::StartGroup(group) => format!("Started group {group}, but failed for: {}", list()),
            JobKind::StopGroup(group) => format!("Stopped group {group}, but failed for: {}", list()),
            JobKind::Kill => format!("{name} is not gone: {reason}"),
            JobKind::Wait(until) if self.timed_out => format!("{name} is not {} yet: {reason}", until.as_str()),
            JobKind::Wait(until) => format!("{name} will not be {}: {reason}", until.as_str()),
            JobKind::Update(updated) if updated.confirm_until.is_some() => {
                format!("Updated, but failed for: {}; without a confirm the configuration before comes back", list())
            }
            JobKind::Update(_) => format!("Updated, but failed for: {}", list()),
            JobKind::Reload(_) => format!("Reloaded, but these removed programs did not stop: {}", list()),
        };
        let code = if self.timed_out { ErrorCode::Timeout } else { ErrorCode::Failed };
        Answer::Failed { code, message }
    }
}

/// Is the goal reached by whoever arrives in this state?
fn arrives(goal: Goal, state: ProcessState) -> bool {
    match goal {
        Goal::Up | Goal::Reach(WaitFor::Healthy) => false,
        Goal::Down | Goal::Reach(WaitFor::Stopped) => state == ProcessState::Stopped,
        Goal::Reach(WaitFor::Running) => state == ProcessState::Running,
        Goal::Reach(WaitFor::Exited) => match state {
            ProcessState::Stopped | ProcessState::Exited | ProcessState::Backoff | ProcessState::Fatal => true,
            ProcessState::Starting | ProcessState::Running | ProcessState::Stopping | ProcessState::Unhealthy => false,
        },
    }
}

/// The longest that reaching the goal may take before the answer is «not yet»; `None`: nobody can tell.
fn patience(entry: &Entry, goal: Goal) -> Option<Duration> {
    let seconds = |count: u32| Duration::from_secs(u64::from(count));
    let run = entry.machine.run_config().unwrap_or(entry.machine.config());
    let stop = if entry.machine.has_run() { seconds(run.stopwaitsecs) + SETTLE_MARGIN } else { Duration::ZERO };
    match goal {
        Goal::Down => Some(stop),
        Goal::Up => Some(stop + seconds(entry.config().startsecs) + SETTLE_MARGIN),
        Goal::Reach(_) => None,
    }
}

/// Has a process that is to come up done so, or failed to? `None`: not yet known.
fn up_verdict(now: Moment, entry: &Entry) -> Option<Result<(), String>> {
    match entry.machine.state() {
        ProcessState::Running | ProcessState::Unhealthy => Some(Ok(())),
        ProcessState::Starting => None,
        ProcessState::Stopping if entry.machine.desired() == Desired::Up => None,
        // The reason is better with the last line of output, which is on its way.
        ProcessState::Backoff | ProcessState::Exited | ProcessState::Fatal if entry.drain_until.is_some() => None,
        ProcessState::Backoff | ProcessState::Exited | ProcessState::Fatal => Some(Err(reached(now, entry))),
        ProcessState::Stopped | ProcessState::Stopping => {
            Some(Err(format!("{}: it was stopped meanwhile", entry.machine.state())))
        }
    }
}

/// Has a process that is to go down done so? `None`: not yet.
fn down_verdict(entry: &Entry) -> Option<Result<(), String>> {
    entry.is_settled_down().then_some(Ok(()))
}

/// Is it as it is waited for, or can't it become so? `None`: not yet.
fn reach_verdict(now: Moment, entry: &Entry, until: WaitFor) -> Option<Result<(), String>> {
    let state = entry.machine.state();
    let is_so = match until {
        WaitFor::Running => matches!(state, ProcessState::Running | ProcessState::Unhealthy),
        WaitFor::Healthy => {
            let config = entry.machine.run_config().unwrap_or(entry.config());
            let unchecked = config.healthcheck.check_type == HealthCheckType::None;
            state == ProcessState::Running && (unchecked || entry.machine.healthy() == Some(true))
        }
        WaitFor::Stopped => return down_verdict(entry),
        WaitFor::Exited => return arrives(Goal::Reach(until), state).then_some(Ok(())),
    };
    // The reason is better with the last line of output, which is on its way.
    let lost = state == ProcessState::Fatal && entry.drain_until.is_none();
    if lost { Some(Err(reached(now, entry))) } else { is_so.then_some(Ok(())) }
}

/// The state that was reached, and why, in one line.
pub(super) fn reached(now: Moment, entry: &Entry) -> String {
    let description = entry.machine.describe(now, entry.last_line.as_deref());
    format!("{}: {description}", entry.machine.state())
}
