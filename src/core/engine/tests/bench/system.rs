//! The small system of the bench.

use super::*;

/// Spawns succeed with a new pid, and the group of a leader that has ended is empty, unless told otherwise.
#[derive(Default)]
pub(in super::super) struct FakeSystem {
    /// The processes that other threads may see.
    pub(super) names: BTreeMap<ProcId, String>,
    /// What other threads see of them.
    pub shown: BTreeMap<ProcId, ProcessState>,
    /// Spawns that have succeeded.
    pub pids: i32,
    pub(super) runs: BTreeMap<ProcId, Generation>,
    pub ended: Vec<(ProcId, Generation, Exit)>,
    pub refuse_spawns: Option<SpawnError>,
    /// Programs are not executed for now.
    pub exec_hangs: bool,
    unexecuted: Vec<(ProcId, Generation)>,
    pub refuse_checks: bool,
    pub refuse_tasks: Option<SpawnError>,
    /// Signals to the group of a process.
    pub signals: Vec<(ProcId, u8)>,
    /// Something is left of the process group of every leader that ends.
    pub lingers: bool,
    /// The same for this one alone.
    pub lingers_of: Option<ProcId>,
    /// Processes that a program has left behind, and what they were told.
    pub orphans: usize,
    pub orphan_signals: Vec<Option<u8>>,
    /// What is wrong with the settings of programs that are to be run.
    #[cfg(feature = "attach")]
    pub refuse_runs: Option<String>,
    /// Processes that clients were attached to.
    #[cfg(feature = "attach")]
    pub attached: Vec<ProcId>,
    pub(in super::super) open: BTreeMap<RequestId, Client>,
    pub(super) next_request: u64,
    /// Answers, each with the names that other threads saw at that moment.
    pub answers: Vec<(Client, Answer, Vec<String>)>,
    /// Everything that was announced.
    pub announced: Vec<Arc<Announcement>>,
    pub(super) followers: BTreeMap<RequestId, (Client, EventKinds)>,
    /// What followers were told.
    pub told: Vec<(Client, EventItem)>,
    /// The past that each follower was told first.
    pub past: Vec<(Client, Vec<EventItem>)>,
    /// Followers that are told nothing any more.
    pub forgotten: Vec<Client>,
    /// How often the file was begun to be read; the number of the last time.
    pub loads: u64,
    /// The programs that were in force then.
    pub in_force: Vec<Arc<ProgramConfig>>,
    /// How often the console's output was set up anew.
    pub outputs: usize,
    /// What other threads have been shown last of the settings.
    pub shown_settings: Option<Arc<SupervisorConfig>>,
    pub log_levels: Vec<String>,
    /// So many sockets of HTTP were to be open, each time that they were looked through.
    pub sockets: Vec<usize>,
    pub streams_ended: usize,
    pub log_limits: Vec<(u64, u32)>,
    pub kept: Vec<(StateFile, String)>,
    pub reopened: usize,
    /// The commands of the tasks that were started and not forgotten.
    pub tasks: BTreeMap<TaskId, String>,
    /// The variables of the hooks that were started, in order.
    pub told_to_hooks: Vec<(&'static str, String)>,
    /// The main processes that pid files name.
    pub main: BTreeMap<ProcId, i32>,
    /// Processes that are of no run.
    pub strangers: Vec<i32>,
    /// Nobody answers when messages of programs are to be read.
    pub deaf: bool,
    /// Bytes of memory and milliseconds of CPU time of runs, and how often somebody has looked.
    pub usage: BTreeMap<ProcId, (u64, u64)>,
    pub samples: usize,
    /// When a program has written something for the last time, and for whom it was asked.
    pub heard: BTreeMap<ProcId, Moment>,
    pub asked_for_silence: Vec<ProcId>,
    /// Runs whose files are watched.
    pub watched: BTreeMap<ProcId, Generation>,
    /// Signals to groups of tasks, in order.
    pub task_signals: Vec<(TaskId, u8)>,
    /// What the wall clock shows when the monotonic one begins, in microseconds since 1970.
    pub wall: i64,
    /// How long the machine has slept.
    pub asleep: Duration,
    /// How far the zone is ahead of UTC, by the seconds since 1970.
    pub zone: Option<fn(i64) -> i32>,
    pub watches_clock: bool,
    /// How often the clock was looked at.
    pub clock_reads: usize,
    /// Nobody can tell what the clock shows.
    pub has_no_clock: bool,
}

impl FakeSystem {
    /// The names that other threads see.
    pub(in super::super) fn names(&self) -> Vec<String> {
        self.names.values().cloned().collect()
    }

    fn group_left(&self, id: ProcId) -> GroupLeft {
        if self.lingers || self.lingers_of == Some(id) { GroupLeft::Lingers } else { GroupLeft::Empty }
    }

    pub(in super::super) fn reading(&self, at: Moment) -> ClockReading {
        let elapsed = i64::try_from(at.as_nanos() / 1000).expect("a few years");
        ClockReading { at, wall: self.wall + elapsed, asleep: self.asleep }
    }

    fn find_time(&mut self, now: Moment, config: &ProgramConfig, from: SearchFrom) -> Option<FoundTime> {
        let after = match from {
            SearchFrom::Now => self.reading(now).seconds(),
            SearchFrom::After(seconds) => seconds,
        };
        let offset = |at: i64| self.zone.map_or(0, |zone| zone(at));
        let next = |after| schedule::next(&config.schedule, &offset, after);
        let nominal = next(after)?;
        let following = next(nominal).map(|at| at - nominal);
        let due = nominal + schedule::jitter(&config.schedule, || 7, &config.name, following);
        Some(FoundTime { nominal, due, offset: offset(due) })
    }

    fn answer(&mut self, request: RequestId, answer: Answer) {
        let client = self.open.remove(&request).expect("a request is answered once");
        let names = self.names();
        self.answers.push((client, answer, names));
    }

    pub(super) fn perform(&mut self, effect: Effect, clock: WallClock, results: &mut Vec<Input>) {
        match effect {
            Effect::Spawn { id, generation, .. } => results.push(match &self.refuse_spawns {
                Some(error) => Input::SpawnFailed { id, generation, error: error.clone() },
                None => {
                    self.pids += 1;
                    self.runs.insert(id, generation);
                    if self.exec_hangs {
                        self.unexecuted.push((id, generation));
                    }
                    Input::Spawned { id, generation, pid: 1000 + self.pids, pending: self.exec_hangs }
                }
            }),
            Effect::Signal { id, generation, signal } => {
                assert_eq!(self.runs.get(&id), Some(&generation), "a stranger is signalled");
                self.signals.push((id, signal.number));
            }
            Effect::Reap => {
                for (id, generation, exit) in std::mem::take(&mut self.ended) {
                    results.push(Input::Exited {
                        id,
                        generation,
                        exit,
                        late: None,
                        group: self.group_left(id),
                        descendant: None,
                    });
                }
                results.push(Input::Swept);
            }
            Effect::ProbeGroup { id, generation, thorough: _ } => {
                results.push(Input::GroupProbed { id, generation, group: self.group_left(id) });
            }
            Effect::RunEnded { id, generation } => assert_eq!(self.runs.remove(&id), Some(generation)),
            Effect::Check { id, generation, purpose, .. } if self.refuse_checks => {
                let result = HealthCheckResult { healthy: false, message: "no thread for the check".to_owned() };
                results.push(Input::Checked { id, generation, purpose, result });
            }
            Effect::FindMain { id, generation, .. } => results.push(match self.main.get(&id) {
                Some(pid) => Input::MainFound { id, generation, pid: *pid },
                None => Input::NoMain { id, generation, found: NoMain::NoFile },
            }),
            Effect::HandOver { id, generation, pid } => results.push(match self.strangers.contains(&pid) {
                false => Input::MainFound { id, generation, pid },
                true => Input::MainRefused { id, generation, found: NoMain::Stranger { pid } },
            }),
            Effect::ReadNotifications { id, generation } if !self.deaf => {
                results.push(Input::NotificationsRead { id, generation });
            }
            Effect::RefuseCheck { id, generation, purpose, reason } => {
                let result = HealthCheckResult { healthy: false, message: reason.to_owned() };
                results.push(Input::Checked { id, generation, purpose, result });
            }
            Effect::StartTask { task, command, .. } => {
                let (text, variables) = match command {
                    TaskCommand::Script(script) | TaskCommand::Action(script) => (script.into_string(), Vec::new()),
                    TaskCommand::Hook(launch) => (launch.command.to_string(), launch.variables),
                };
                self.tasks.insert(task, text);
                self.told_to_hooks.extend(variables);
                results.push(match &self.refuse_tasks {
                    Some(error) => Input::TaskSpawnFailed { task, error: Box::new(error.clone()) },
                    None => {
                        self.pids += 1;
                        Input::TaskSpawned { task, pid: 1000 + self.pids }
                    }
                });
            }
            Effect::SignalTask { task, signal } => {
                assert!(self.tasks.contains_key(&task), "a stranger is signalled");
                self.task_signals.push((task, signal));
            }
            Effect::ForgetTask { task } => drop(self.tasks.remove(&task).expect("a task is forgotten once")),
            Effect::Register { id, config } => drop(self.names.insert(id, config.name.clone())),
            Effect::Forget { id, config } => {
                assert_eq!(self.names.remove(&id).as_ref(), Some(&config.name));
                self.shown.remove(&id);
            }
            Effect::Show { id, view } => drop(self.shown.insert(id, view.state)),
            Effect::LoadConfig { load, job } => {
                assert_eq!(load, self.loads + 1, "one read after the other");
                self.loads = load;
                self.in_force = job.in_force;
            }
            #[cfg(feature = "attach")]
            Effect::ReadRun { request, name, run } => results.push(Input::RunRead {
                request,
                result: match &self.refuse_runs {
                    Some(faults) => Err(faults.clone()),
                    None => Ok(Box::new(ProgramConfig {
                        autostart: false,
                        autorestart: AutoRestart::Never,
                        startsecs: 0,
                        startretries: 0,
                        tty: run.tty,
                        ..ProgramConfig::new(name, run.command.join(" "))
                    })),
                },
            }),
            #[cfg(feature = "attach")]
            Effect::Attach { request, id, .. } => {
                assert!(self.open.contains_key(&request) && self.names.contains_key(&id), "nobody sits at nothing");
                self.attached.push(id);
            }
            Effect::Reply { request, answer } => self.answer(request, *answer),
            Effect::Delegate { request, job } => self.delegate(request, *job),
            Effect::Follow { request, kinds, past, reader: _ } => {
                let client = self.open[&request];
                let past = past.iter().map(|row: &HistoryRow| frames::past_event(row, clock).into()).collect();
                self.past.push((client, past));
                self.followers.insert(request, (client, kinds));
            }
            // Nobody who follows here is limited.
            Effect::EndStreams => self.streams_ended += 1,
            Effect::ChangeSockets { settings } => self.sockets.push(settings.http.len()),
            Effect::Unfollow { request } => {
                let (client, _) = self.followers.remove(&request).expect("it follows");
                self.forgotten.push(client);
            }
            Effect::Announce(announcement) => {
                if let Some(public) = announcement.event() {
                    let (kind, event) = (public.event_type(), EventItem::from(frames::event(&public, clock)));
                    let told = self.followers.values().filter(|(_, kinds)| kinds.has(kind));
                    self.told.extend(told.map(|(client, _)| (*client, event.clone())));
                }
                self.announced.push(announcement);
            }
            Effect::Adoption(output) => panic!("a daemon without an identity looks for nothing: {output:?}"),
            Effect::SignalOrphans { signal } => {
                self.orphan_signals.push(signal);
                results.push(Input::OrphansCounted { count: self.orphans, signalled: signal.is_some() });
            }
            Effect::ProbePendingExecs => {
                let executed = if self.exec_hangs { Vec::new() } else { std::mem::take(&mut self.unexecuted) };
                results.extend(executed.into_iter().map(|(id, generation)| Input::Executed { id, generation }));
                results.push(Input::PendingExecsProbed { left: !self.unexecuted.is_empty() });
            }
            Effect::WatchClock { watch } => {
                assert_ne!(self.watches_clock, watch, "as it was");
                self.watches_clock = watch;
            }
            Effect::ReadClock { id } => {
                self.clock_reads += 1;
                let clock = (!self.has_no_clock).then(|| self.reading(clock.now));
                results.push(Input::ClockRead { id, clock });
            }
            Effect::FindTime { id, config, from } => {
                let read = (!self.has_no_clock).then(|| self.reading(clock.now));
                let found = read.and_then(|_| self.find_time(clock.now, &config, from));
                results.push(Input::TimeFound { id, clock: read, found });
            }
            Effect::ReopenLogs => self.reopened += 1,
            Effect::SetOutput { .. } => self.outputs += 1,
            Effect::ShowSettings { settings } => self.shown_settings = Some(settings),
            Effect::SetLogLevel { level } => self.log_levels.push(level.as_str().to_owned()),
            Effect::SetLogLimits { maxbytes, backups } => self.log_limits.push((maxbytes, backups)),
            Effect::WatchChanges { id, generation, .. } => {
                assert_eq!(self.watched.insert(id, generation), None, "a run is watched once");
            }
            Effect::ForgetChanges { id, generation } => {
                assert_eq!(self.watched.remove(&id), Some(generation), "what is watched is forgotten once");
            }
            Effect::AskSilence { id, generation, .. } => {
                self.asked_for_silence.push(id);
                let heard = self.heard.get(&id).copied().unwrap_or(Moment::from_nanos(0));
                let silence = clock.now.saturating_duration_since(heard);
                results.push(Input::Output(Note::Silent { program: id, generation, silence }));
            }
            Effect::SampleUsage { runs } => {
                self.samples += 1;
                let of = |(id, generation)| {
                    let (rss, cpu_ms) = *self.usage.get(&id)?;
                    Some(UsageSample { id, generation, rss, cpu_ms })
                };
                results.push(Input::UsageSampled { samples: runs.into_iter().filter_map(of).collect() });
            }
            Effect::LeaderExited { .. }
            | Effect::AwaitPath { .. }
            | Effect::AwaitNetwork { .. }
            | Effect::ForgetConditions { .. }
            | Effect::Check { .. }
            | Effect::ReadNotifications { .. }
            | Effect::Configure { .. }
            | Effect::TrimMemory => {}
            Effect::Keep { file, text } => self.kept.push((file, text.into())),
        }
    }

    /// As the output thread answers.
    fn delegate(&mut self, request: RequestId, job: OutputJob) {
        match job {
            OutputJob::Why { why, .. } => self.answer(request, Ok(Reply::Why(why))),
            OutputJob::Read { .. } | OutputJob::ReadDaemonLog { .. } => {
                self.answer(
                    request,
                    Ok(Reply::LogRead { bytes: Vec::new(), begin: 0, size: 0, file: Default::default() }),
                );
            }
            #[cfg(feature = "attach")]
            OutputJob::AfterOutput { answer } => self.answer(request, *answer),
            OutputJob::Keep { reply, .. } => self.answer(request, Ok(reply.kept(Persistence::Stored))),
            OutputJob::ClearDaemonLog => self.answer(request, Ok(Reply::DaemonLogCleared)),
            #[cfg(feature = "http")]
            OutputJob::Metrics(job) => {
                let MetricsJob { rows, killed, began, now } = *job;
                let rows: Vec<StatusRow> = rows.into_iter().map(|(_, row)| row).collect();
                let (written, daemon) = (vec![[0, 0]; rows.len()], DaemonFigures::default());
                let metrics = Metrics { rows, written, killed, daemon, began, now };
                self.answer(request, Ok(Reply::Metrics(Box::new(metrics))));
            }
            OutputJob::Stdin { name, bytes, .. } => {
                self.answer(request, Ok(Reply::StdinTaken { name, bytes: bytes.len() }));
            }
            OutputJob::Clear { name, .. } => self.answer(request, Ok(Reply::LogsCleared { name })),
            // The stream that follows is the answer.
            OutputJob::Tail { .. } => drop(self.open.remove(&request).expect("a request is answered once")),
            #[cfg(feature = "xmlrpc")]
            OutputJob::FollowDaemonLog { .. } => drop(self.open.remove(&request).expect("a request is answered once")),
        }
    }
}
