//! What the oracle expects of answers: to whom, when, and which.

use super::Millis;
use super::oracle::times::{MARGIN, time_of_clean_up, time_of_start, time_of_stop};
use super::oracle::{Ask, Kind, LoadResult, Oracle, Proc};
use super::reloads::LOAD_LIMIT;
use crate::api::{Answer, Command, ProcId, Query, Refusal, ReloadFailure, Reply, Request, RequestId, Selector, Watch};
use crate::process::ProcessState;

impl Kind {
    pub(super) fn waits_for_file(self) -> bool {
        matches!(self, Kind::Reload | Kind::Update | Kind::Reread)
    }
}

impl Oracle {
    /// Somebody asks.
    pub(super) fn ask(
        &mut self,
        now: Millis,
        id: RequestId,
        kind: Kind,
        ids: &[ProcId],
        timeout: Option<Millis>,
        request: Request,
    ) {
        let refused = matches!(kind, Kind::Start | Kind::Restart) || kind.waits_for_file();
        let kind = if self.ending.is_some() && refused { Kind::Refused } else { kind };
        let members: Vec<_> = ids.iter().map(|id| (*id, self.procs[id].spawns)).collect();
        let by = match kind {
            Kind::Stop => Some(now + self.time_to_stop(&members)),
            Kind::Start | Kind::Restart => Some(now + self.time_to_stop(&members) + self.time_to_start(&members)),
            Kind::Reload | Kind::Update | Kind::Reread | Kind::Stream => None,
            Kind::Wait => timeout.map(|timeout| now + timeout),
            Kind::Question | Kind::Order | Kind::NotFound | Kind::Refused | Kind::Confirm => Some(now),
        };
        let by = [by, timeout.map(|timeout| now + timeout)].into_iter().flatten().min();
        let load = self.loads + 1;
        self.asks
            .insert(id, Ask { kind, members, at: now, by, timeout, load, result: None, request, taken_back: false });
    }

    /// When the first of those who have bounded their patience is to hear something.
    pub(super) fn first_timeout(&self) -> Option<Millis> {
        let waits = |kind| matches!(kind, Kind::Start | Kind::Stop | Kind::Restart | Kind::Wait);
        let asks = self.asks.values().filter(|ask| waits(ask.kind));
        asks.filter_map(|ask| Some(ask.at + ask.timeout?)).min()
    }

    pub(super) fn time_to_stop(&self, members: &[(ProcId, u64)]) -> Millis {
        let procs = members.iter().filter_map(|(id, _)| self.procs.get(id));
        let configs = procs.flat_map(|proc| [Some(&proc.config), proc.run_config.as_ref()]).flatten();
        MARGIN
            + configs
                // What a leader leaves behind that alone was killed has a time of its own.
                .map(|config| time_of_stop(config) * if config.killasgroup { 1 } else { 2 } + time_of_clean_up(config))
                .max()
                .unwrap_or(0)
    }

    pub(super) fn time_to_start(&self, members: &[(ProcId, u64)]) -> Millis {
        let procs = members.iter().filter_map(|(id, _)| self.procs.get(id));
        MARGIN + procs.map(|proc| time_of_start(&proc.config)).max().unwrap_or(0)
    }

    /// An operator's will.
    pub(super) fn will(&mut self, kind: Kind, ids: &[ProcId]) {
        let up = matches!(kind, Kind::Start | Kind::Restart);
        if up && self.ending.is_some() {
            return;
        }
        for id in ids {
            let Some(proc) = self.procs.get_mut(id) else { continue };
            proc.want = Some(up);
            proc.asked |= up;
            // What came before a person's command counts no more; an attempt may have come to no process by then.
            proc.after_fatal &= !up;
            if up {
                (proc.retries, proc.rows, proc.shortages, proc.unsure) = (0, [0; 2], 0, false);
            }
        }
    }

    /// The members that a command would mean.
    pub(super) fn meant(&self, name: &str, group: bool) -> Vec<ProcId> {
        if group { self.group(name) } else { self.present(name).into_iter().collect() }
    }

    /// The client has gone.
    pub(super) fn gone(&mut self, request: RequestId) {
        self.counts.gone += u64::from(self.asks.remove(&request).is_some());
    }

    /// The output thread answers this one, whenever it likes; a tail for as long as its client is there.
    pub(super) fn delegated(&mut self, request: RequestId) {
        self.counts.delegated += 1;
        let Some(ask) = self.asks.get_mut(&request) else {
            return self.rule(false, || format!("{request:?} is delegated, but nobody waits for it"));
        };
        ask.by = None;
        let right = matches!(
            ask.request,
            Request::Watch(Watch::Tail { .. } | Watch::Why { .. } | Watch::ReadLog { .. })
                | Request::Command(Command::ClearLogs { .. } | Command::Stdin { .. } | Command::ClearDaemonLog)
        );
        if matches!(ask.request, Request::Watch(Watch::Tail { .. })) {
            ask.kind = Kind::Stream;
        }
        #[cfg(feature = "http")]
        let right = right || matches!(ask.request, Request::Watch(Watch::Metrics));
        self.rule(right, || format!("{request:?} is delegated, which the engine is to answer"));
    }

    pub(super) fn waiting_count(&self) -> usize {
        self.asks.len()
    }

    pub(super) fn waiting(&self) -> Vec<RequestId> {
        self.asks.keys().copied().collect()
    }

    pub(super) fn members_of(&self, request: RequestId) -> Vec<ProcId> {
        self.asks.get(&request).map(|ask| ask.members.iter().map(|(id, _)| *id).collect()).unwrap_or_default()
    }

    pub(super) fn overdue(&self, now: Millis) -> Option<String> {
        let late = self.asks.iter().find(|(_, ask)| ask.by.is_some_and(|by| by <= now));
        late.map(|(request, ask)| format!("no answer to {request:?}: {ask:?}"))
    }

    /// An answer; `left`: those members of which something lives, `is_shown`: those that other threads see.
    pub(super) fn answered(
        &mut self,
        now: Millis,
        request: RequestId,
        answer: &Answer,
        left: &[ProcId],
        is_shown: &dyn Fn(&str) -> bool,
    ) {
        self.note(now, || format!("answer to {request:?}: {answer:?}"));
        let Some(ask) = self.asks.remove(&request) else {
            return self.rule(false, || format!("{request:?} gets an answer that nobody waits for: {answer:?}"));
        };
        // Of several names one that has failed is judged, else all of them.
        let failed = match answer {
            Ok(Reply::Each { results, .. }) => results.iter().map(|(_, result)| result).find(|result| result.is_err()),
            Ok(_) | Err(_) => None,
        };
        let answer = failed.unwrap_or(answer);
        let verdict = self.judge(now, &ask, answer, left, is_shown);
        self.rule(verdict.is_ok(), || format!("{:?} to {ask:?}: {}", answer, verdict.unwrap_err()));
    }

    fn judge(
        &mut self,
        now: Millis,
        ask: &Ask,
        answer: &Answer,
        left: &[ProcId],
        is_shown: &dyn Fn(&str) -> bool,
    ) -> Result<(), String> {
        let ensure = |holds: bool, rule: &str| if holds { Ok(()) } else { Err(rule.to_owned()) };
        match answer {
            Ok(reply) => {
                self.counts.done += 1;
                ensure(fits(&ask.request, reply), "the answer to another question")?;
                if let Reply::Updated(updated) = reply {
                    ensure(updated.confirm_until.is_none() || !ask.taken_back, "it was taken back")?;
                }
                if *reply == Reply::NothingChanged {
                    return ensure(self.commit.is_none(), "an update waits to be confirmed");
                }
                self.judge_reply(ask, left, is_shown)
            }
            Err(refusal) if timed_out(refusal) => {
                self.counts.timeouts += 1;
                let patience = ask.timeout.unwrap_or(MARGIN).min(MARGIN);
                ensure(now >= ask.at + patience, "a time-out before its time")
            }
            Err(refusal) => {
                self.counts.failed += 1;
                self.judge_refusal(now, ask, refusal)
            }
        }
    }

    fn judge_reply(&mut self, ask: &Ask, left: &[ProcId], is_shown: &dyn Fn(&str) -> bool) -> Result<(), String> {
        let ensure = |holds: bool, rule: &str| if holds { Ok(()) } else { Err(rule.to_owned()) };
        let mut members = ask.members.iter().filter_map(|(id, spawns)| Some((self.procs.get(id)?, *spawns)));
        let came_up = |proc: &Proc| is_up(proc) || proc.last_up.is_some_and(|up| up >= ask.at);
        let lives = ask
            .members
            .iter()
            .any(|(id, spawns)| left.contains(id) && self.procs.get(id).is_none_or(|proc| proc.spawns == *spawns));
        match ask.kind {
            Kind::Stop => ensure(!lives, "something of it lives"),
            Kind::Start => ensure(members.all(|(proc, _)| came_up(proc)), "it was not up"),
            Kind::Restart => {
                ensure(members.all(|(proc, spawns)| came_up(proc) && proc.spawns > spawns), "it was not restarted")
            }
            Kind::Reload | Kind::Update => {
                ensure(ask.result == Some(LoadResult::Good), "nothing was read that could be applied")?;
                ensure(!lives, "something of a removed program lives")?;
                // It may have come back meanwhile, and been removed once more.
                let there =
                    |proc: &Proc, spawns: u64| proc.leaving && proc.spawns == spawns && is_shown(&proc.config.name);
                ensure(!members.any(|(proc, spawns)| there(proc, spawns)), "a removed program is still there")
            }
            Kind::Reread => {
                let read = matches!(ask.result, Some(LoadResult::Good | LoadResult::Pending));
                // Settings in force are told without the file, too.
                let is_settings = matches!(ask.request, Request::Watch(Watch::Settings { .. }));
                ensure(read || is_settings, "nothing was read that could be compared")
            }
            Kind::Confirm => {
                self.counts.confirmed += 1;
                ensure(self.confirm(), "there was nothing to confirm")
            }
            Kind::Wait | Kind::Question | Kind::Order => Ok(()),
            Kind::Stream => Err("a stream has no answer".to_owned()),
            Kind::NotFound => Err("there is none of this name".to_owned()),
            Kind::Refused => Err("the daemon ends".to_owned()),
        }
    }

    fn judge_refusal(&self, now: Millis, ask: &Ask, refusal: &Refusal) -> Result<(), String> {
        let ensure = |holds: bool, rule: &str| if holds { Ok(()) } else { Err(rule.to_owned()) };
        let mut members = ask.members.iter().filter_map(|(id, _)| self.procs.get(id));
        if let (Refusal::NoSuchProcess { name, .. }, true) = (refusal, is_of_several(&ask.request)) {
            // It may have been there when it was asked for, and have left since; that it has not is what counts.
            return ensure(self.present(name).is_none() || !ask.members.is_empty(), "there is one of this name");
        }
        ensure(*refusal != Refusal::Internal, "the engine lost it")?;
        if *refusal == Refusal::ShuttingDown {
            return ensure(self.ending.is_some(), "the daemon does not end");
        }
        match ask.kind {
            Kind::NotFound => ensure(
                matches!(refusal, Refusal::NoSuchProcess { .. } | Refusal::NoSuchGroup { .. }),
                "there is none of this name",
            ),
            Kind::Refused => Err("the daemon ends".to_owned()),
            // Of a group one may have failed first, and come up since.
            Kind::Start => ensure(ask.members.len() > 1 || !members.any(is_up), "it is up"),
            // The daemon leaves without what could not be killed, and says so; it may have gone in this very moment.
            Kind::Stop => ensure(self.ending.is_some(), "it failed"),
            Kind::Reload | Kind::Update | Kind::Reread => match refusal {
                Refusal::RereadFailed(why) | Refusal::ReloadFailed(why) | Refusal::UpdateFailed(why) => match why {
                    ReloadFailure::ShuttingDown => ensure(self.ending.is_some(), "the daemon does not end"),
                    ReloadFailure::Config(_) => ensure(ask.result == Some(LoadResult::Broken), "the file is good"),
                    ReloadFailure::PendingCommit { .. } => {
                        ensure(ask.result == Some(LoadResult::Pending), "no update waits to be confirmed")
                    }
                    ReloadFailure::TimedOut { .. } => {
                        ensure(ask.result.is_none() && now >= LOAD_LIMIT, "the file was read in time")
                    }
                },
                // It has gone while the file was read.
                Refusal::NoSuchProcess { .. } => {
                    let read = matches!(ask.result, Some(LoadResult::Good | LoadResult::Pending));
                    ensure(read, "the file was not read")
                }
                Refusal::UpdateIncomplete { confirm_pending: true, .. } => ensure(!ask.taken_back, "it was taken back"),
                _ => ensure(ask.result == Some(LoadResult::Good), "nothing was applied, but some of it failed"),
            },
            Kind::Confirm => {
                let nothing = matches!(refusal, Refusal::NothingToConfirm { .. });
                ensure(nothing && self.commit.is_none(), "an update waits to be confirmed")
            }
            Kind::Restart | Kind::Wait | Kind::Question | Kind::Order => Ok(()),
            Kind::Stream => Err("a stream has no answer".to_owned()),
        }
    }

    /// Waits for what may never come, as long as it takes.
    pub(super) fn is_patient(&self, request: RequestId) -> bool {
        let patient = |ask: &Ask| ask.kind == Kind::Stream || ask.kind == Kind::Wait && ask.by.is_none();
        self.asks.get(&request).is_some_and(patient)
    }
}

/// Each of its names has a result of its own.
fn is_of_several(request: &Request) -> bool {
    matches!(request, Request::Command(Command::Act { on: Selector::Processes(_), .. }))
}

fn is_up(proc: &Proc) -> bool {
    proc.completed || matches!(proc.state, ProcessState::Running | ProcessState::Unhealthy)
}

fn timed_out(refusal: &Refusal) -> bool {
    match refusal {
        Refusal::NotReached { timed_out, .. }
        | Refusal::WaitFailed { timed_out, .. }
        | Refusal::ReloadIncomplete { timed_out, .. }
        | Refusal::UpdateIncomplete { timed_out, .. } => *timed_out,
        _ => false,
    }
}

/// Is this what such a request comes to?
fn fits(request: &Request, reply: &Reply) -> bool {
    match request {
        Request::Query(query) => match query {
            Query::Status { .. } => matches!(reply, Reply::Status { .. }),
            #[cfg(feature = "xmlrpc")]
            Query::Find { .. } => matches!(reply, Reply::Found { .. }),
            Query::Blame { .. } => matches!(reply, Reply::Blame(_)),
            Query::Graph { .. } => matches!(reply, Reply::Graph { .. }),
            Query::History { .. } => matches!(reply, Reply::History(_)),
            Query::Pid { .. } | Query::Ping => matches!(reply, Reply::Pid(_)),
            Query::Version => matches!(reply, Reply::Version(_)),
            Query::LogLevel => matches!(reply, Reply::LogLevel(_)),
            Query::Flags => matches!(reply, Reply::Flags(_)),
            Query::Access => matches!(reply, Reply::Access(_)),
            #[cfg(feature = "http")]
            Query::Readiness => matches!(reply, Reply::Readiness { .. }),
            Query::Daemon => matches!(reply, Reply::Daemon(_)),
            Query::Configuration => matches!(reply, Reply::Configuration(_)),
        },
        Request::Watch(watch) => match watch {
            Watch::Wait { .. } => matches!(reply, Reply::WaitOver { .. }),
            Watch::Events { .. } | Watch::Tail { .. } => false,
            #[cfg(feature = "xmlrpc")]
            Watch::FollowDaemonLog { .. } => false,
            Watch::ReadLog { .. } => matches!(reply, Reply::LogRead { .. }),
            #[cfg(feature = "http")]
            Watch::Metrics => matches!(reply, Reply::Metrics(_)),
            Watch::Reread { .. } => matches!(reply, Reply::Reread(_)),
            Watch::Settings { .. } => matches!(reply, Reply::Settings(_)),
            Watch::Why { .. } => matches!(reply, Reply::Why(_)),
        },
        Request::Command(command) => match command {
            Command::Act { terms, .. } => match reply {
                Reply::Reached { .. } | Reply::AlreadyThere { .. } => true,
                Reply::Begun { .. } => !terms.wait,
                Reply::Each { .. } => true,
                _ => false,
            },
            Command::EndRun { .. } => matches!(reply, Reply::Reached { .. } | Reply::AlreadyThere { .. }),
            Command::Signal { .. } => matches!(reply, Reply::SignalSent { .. }),
            Command::Pause { .. } => matches!(reply, Reply::Paused { .. }),
            Command::Resume { .. } => matches!(reply, Reply::Resumed { .. }),
            Command::SetEnabled { .. } => matches!(reply, Reply::EnabledSet { .. }),
            Command::ReloadProcess { .. } => matches!(reply, Reply::ProcessReloaded { .. }),
            Command::Reload { .. } => matches!(reply, Reply::Reloaded { .. }),
            Command::Update { .. } | Command::Scale { .. } => matches!(reply, Reply::Updated(_)),
            Command::Confirm => matches!(reply, Reply::Confirmed | Reply::NothingChanged),
            Command::SetLogLevel { .. } => matches!(reply, Reply::LogLevel(_)),
            Command::SetFlag { .. } => matches!(reply, Reply::FlagSet { .. }),
            Command::ClearLogs { .. } => matches!(reply, Reply::LogsCleared { .. }),
            Command::Stdin { .. } => matches!(reply, Reply::StdinTaken { .. }),
            #[cfg(feature = "attach")]
            Command::Run(_) | Command::Attach { .. } => false,
            Command::ClearDaemonLog => matches!(reply, Reply::DaemonLogCleared),
            Command::ReadConfiguration => matches!(reply, Reply::ConfigurationRead(_)),
            Command::AddGroup { .. } => matches!(reply, Reply::GroupAdded { .. }),
            Command::RemoveGroup { .. } => matches!(reply, Reply::GroupRemoved { .. }),
            Command::RemoteEvent { .. } => matches!(reply, Reply::EventSent),
            Command::RestartDaemon => matches!(reply, Reply::Restarting),
            Command::ReopenLogs => matches!(reply, Reply::LogsReopened),
            Command::Shutdown => matches!(reply, Reply::ShuttingDown),
            Command::Power(_) => matches!(reply, Reply::PowerBegun(_)),
        },
    }
}
