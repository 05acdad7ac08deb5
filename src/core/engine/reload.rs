//! Reload: the configuration is read by a thread of its own (a slow disk or name server delays nobody), compared with
//! what is in force, and applied as a whole or not at all.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::apply::ApplyMode;
use super::ledger::{Owner, ReplyToken};
use super::registry::in_order;
use super::settings::Asked;
use super::timers::TimerKey;
use super::waiters::WaitKind;
use super::{Engine, groups};
use crate::api::{Announcement, Changes, Refusal, ReloadChange, ReloadFailure, Reply, RequestId, Selector, Terms};
use crate::config::{Additions, ConfigError, Configuration, LoadResult, Scaled};
use crate::core::effect::{Effect, LoadJob};
use crate::models::{Right, SupervisorConfig};
use crate::process::Initiator;

/// How long a file may take to be read. Whoever asked is told then; a thread that hangs on a dead disk is left alone,
/// and what it brings after all is thrown away.
const LOAD_LIMIT: Duration = Duration::from_secs(30);

/// The most threads that may hang on a dead disk: further requests are refused at once.
const MAX_HANGING_LOADS: usize = 4;

/// What the file is read for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Purpose {
    /// To tell what it, or another file, would change, with or without what may be secret.
    Reread { secrets: bool, file: Option<String> },
    /// To tell what a program is and where its settings come from, with or without what may be secret.
    Settings { name: String, secrets: bool },
    /// To keep it: single groups are taken into force from it.
    Read,
    /// To apply it; what has changed takes its settings at its next start.
    Reload { timeout: Option<Duration> },
    /// To apply it and restart what has changed; with `confirm` only if somebody confirms it in this time.
    Update { confirm: Option<Duration>, timeout: Option<Duration> },
    /// To have so many instances of a program.
    Scale { name: String, instances: u32, save: bool, timeout: Option<Duration> },
    /// To make instances of templates, for what somebody wants of them.
    Make { names: Vec<String>, wanted: InstanceChange },
}

/// What somebody wants of instances of templates that are not there yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum InstanceChange {
    /// To start them.
    Start { on: Selector, terms: Terms },
    /// To have the first of them with every daemon.
    Enable,
}

impl Purpose {
    /// What is said when the file is not to be used.
    fn refused(&self, why: ReloadFailure) -> Refusal {
        match self {
            Purpose::Reread { .. } | Purpose::Settings { .. } | Purpose::Read => Refusal::RereadFailed(why),
            Purpose::Reload { .. } => Refusal::ReloadFailed(why),
            Purpose::Update { .. } | Purpose::Scale { .. } | Purpose::Make { .. } => Refusal::UpdateFailed(why),
        }
    }

    /// How long the answer may wait for what was changed.
    fn timeout(&self) -> Option<Duration> {
        match self {
            Purpose::Reload { timeout } | Purpose::Update { timeout, .. } => *timeout,
            Purpose::Reread { .. }
            | Purpose::Settings { .. }
            | Purpose::Read
            | Purpose::Scale { .. }
            | Purpose::Make { .. } => None,
        }
    }

    /// Nothing that is in force is changed.
    fn is_question(&self) -> bool {
        match self {
            Purpose::Reread { .. } | Purpose::Settings { .. } | Purpose::Read => true,
            Purpose::Reload { .. } | Purpose::Update { .. } | Purpose::Scale { .. } | Purpose::Make { .. } => false,
        }
    }

    /// It is read with something else than the others are, or is another file.
    fn is_read_alone(&self) -> bool {
        match self {
            Purpose::Scale { .. } | Purpose::Make { .. } | Purpose::Reread { file: Some(_), .. } => true,
            Purpose::Reread { file: None, .. }
            | Purpose::Settings { .. }
            | Purpose::Read
            | Purpose::Reload { .. }
            | Purpose::Update { .. } => false,
        }
    }

    fn is_alike(&self, other: &Purpose) -> bool {
        match self.is_read_alone() {
            true => self == other,
            false => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// Somebody who has asked for the file to be read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ReloadRequest {
    /// `None`: nobody waits for the answer.
    request: Option<RequestId>,
    purpose: Purpose,
    by: Initiator,
}

/// Who waits for the file that is being read, and who came too late for it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Reload {
    /// Counts the reads.
    load: u64,
    /// Set while the file is being read: whoever asked before that began.
    reading: Option<Vec<ReloadRequest>>,
    /// What is added to it.
    read_with: Additions,
    /// Asked since: the file may have changed, so it is read once more for these.
    next: Vec<ReloadRequest>,
    /// What was read to be kept, until a configuration is applied as a whole.
    kept: Option<Box<Configuration>>,
    /// Reads that were given up; each has a thread that may hang for ever.
    hanging: Vec<u64>,
}

impl Reload {
    /// How many wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.reading.as_ref().map_or(0, Vec::len) + self.next.len()
    }

    /// The numbers of instances that are waited for, in their order.
    #[cfg(test)]
    pub(super) fn scales_in_order(&self) -> Vec<u32> {
        let asked = self.reading.iter().flatten().chain(&self.next);
        let number = |asked: &ReloadRequest| match &asked.purpose {
            Purpose::Scale { instances, .. } => Some(*instances),
            _ => None,
        };
        asked.filter_map(number).collect()
    }

    /// Whether this request is answered when a file has been read.
    pub(super) fn answers(&self, request: RequestId) -> bool {
        self.reading.iter().flatten().chain(&self.next).any(|asked| asked.request == Some(request))
    }

    /// Nobody waits for this answer any more: what was asked for is done all the same.
    pub(super) fn forget(&mut self, request: RequestId) {
        for requests in self.reading.iter_mut().chain([&mut self.next]) {
            let Some(place) = requests.iter().position(|other| other.request == Some(request)) else { continue };
            match requests.get_mut(place) {
                // It keeps its place: what was asked after it is to win over it.
                Some(asked) if !asked.purpose.is_question() => asked.request = None,
                _ => drop(requests.remove(place)),
            }
            drop_repeated(requests);
        }
    }
}

/// Requests that nobody waits for come faster than a file on a dead disk can be read: of each kind the last one is
/// kept.
fn file(requests: &mut Vec<ReloadRequest>, new: ReloadRequest) {
    requests.push(new);
    drop_repeated(requests);
}

/// Drops those that nobody waits for and that a later one repeats.
fn drop_repeated(requests: &mut Vec<ReloadRequest>) {
    let mut place = 0;
    while let Some(asked) = requests.get(place) {
        let later = requests.iter().skip(place + 1).filter(|other| other.request.is_none());
        match asked.request.is_none() && later.map(|other| &other.purpose).any(|other| other.is_alike(&asked.purpose)) {
            true => drop(requests.remove(place)),
            false => place += 1,
        }
    }
}

impl Engine {
    /// At the end nobody waits for a file that may hang on a dead disk.
    pub(super) fn abandon_reload(&mut self) {
        let reading = self.reload.reading.as_mut().map(std::mem::take).unwrap_or_default();
        let next = std::mem::take(&mut self.reload.next);
        self.refuse_all(reading.iter().chain(&next), &ReloadFailure::ShuttingDown);
    }

    /// A signal asks for a reload.
    pub(super) fn reload_by_signal(&mut self, by: Initiator) {
        if !self.is_ending() {
            self.load_configuration(None, Purpose::Reload { timeout: None }, by);
        }
    }

    /// Has the file read for this purpose.
    pub(super) fn load_configuration(&mut self, token: Option<ReplyToken>, purpose: Purpose, by: Initiator) {
        if self.is_ending() {
            if let Some(token) = token {
                self.refuse(token, Refusal::ShuttingDown);
            }
            return;
        }
        let request = token.map(|token| self.owe(token, Owner::Loader));
        let asked = ReloadRequest { request, purpose, by };
        match self.reload.reading {
            Some(_) => file(&mut self.reload.next, asked),
            None => self.begin_load(vec![asked]),
        }
    }

    fn begin_load(&mut self, requests: Vec<ReloadRequest>) {
        if self.reload.hanging.len() >= MAX_HANGING_LOADS {
            return self.reload_failed(&requests, ReloadFailure::TimedOut { seconds: LOAD_LIMIT.as_secs() });
        }
        self.reload.load += 1;
        let origins_of = requests.iter().filter_map(|asked| match &asked.purpose {
            Purpose::Settings { name, .. } => Some(name.clone()),
            Purpose::Reread { .. }
            | Purpose::Read
            | Purpose::Reload { .. }
            | Purpose::Update { .. }
            | Purpose::Scale { .. }
            | Purpose::Make { .. } => None,
        });
        let first = requests.first().map(|asked| &asked.purpose);
        let file = first.and_then(|first| match first {
            Purpose::Reread { file, .. } => file.clone(),
            Purpose::Settings { .. }
            | Purpose::Read
            | Purpose::Reload { .. }
            | Purpose::Update { .. }
            | Purpose::Scale { .. }
            | Purpose::Make { .. } => None,
        });
        let (additions, origins_of) = (self.additions_for(first), origins_of.collect());
        let job = LoadJob { file, additions, origins_of, in_force: self.effective().programs };
        self.reload.read_with.clone_from(&job.additions);
        self.reload.reading = Some(requests);
        let load = self.reload.load;
        self.timers.set(TimerKey::ConfigLoad(load), self.now.checked_add(LOAD_LIMIT));
        self.effects.push_back(Effect::LoadConfig { load, job: Box::new(job) });
    }

    /// Ends the present read: who has asked for it.
    fn end_load(&mut self) -> Vec<ReloadRequest> {
        self.timers.set(TimerKey::ConfigLoad(self.reload.load), None);
        self.reload.reading.take().unwrap_or_default()
    }

    /// Begins the next read, if anybody has asked since. What the one before has changed is in force by then: the file
    /// is read with what was added to it.
    fn begin_next_load(&mut self) {
        if self.reload.reading.is_none() && !self.reload.next.is_empty() {
            let mut next = std::mem::take(&mut self.reload.next);
            let alone = next.iter().position(|asked| asked.purpose.is_read_alone()).unwrap_or(next.len());
            self.reload.next = next.split_off(alone.max(1));
            self.begin_load(next);
        }
    }

    pub(super) fn config_load_timed_out(&mut self, load: u64) {
        if load != self.reload.load || self.reload.reading.is_none() {
            return;
        }
        self.reload.hanging.push(load);
        let requests = self.end_load();
        let why = ReloadFailure::TimedOut { seconds: LOAD_LIMIT.as_secs() };
        self.reload_failed(&requests, why);
        self.begin_next_load();
    }

    /// The file was read.
    pub(super) fn config_loaded(&mut self, load: u64, result: Result<LoadResult, ConfigError>) {
        self.reload.hanging.retain(|hanging| *hanging != load);
        if load != self.reload.load || self.reload.reading.is_none() {
            return;
        }
        let requests = self.end_load();
        self.take_loaded(requests, result);
        self.begin_next_load();
    }

    fn take_loaded(&mut self, requests: Vec<ReloadRequest>, result: Result<LoadResult, ConfigError>) {
        if self.is_ending() {
            return self.refuse_all(requests.iter(), &ReloadFailure::ShuttingDown);
        }
        let loaded = match result {
            Ok(loaded) => loaded,
            Err(error) => return self.reload_failed(&requests, ReloadFailure::Config(error.to_string().into())),
        };
        if let [only] = requests.as_slice()
            && only.purpose.is_read_alone()
            && !only.purpose.is_question()
        {
            return self.add_to_file(only, &loaded);
        }
        let (questions, requests): (Vec<_>, Vec<_>) =
            requests.into_iter().partition(|asked| asked.purpose.is_question());
        for asked in &questions {
            self.answer_question(asked, &loaded);
        }
        if !requests.is_empty() && self.is_read_without_some() {
            // Somebody was told that they have started.
            return self.begin_load(requests);
        }
        if !requests.is_empty() {
            for warning in loaded.warnings {
                self.announce(None, Announcement::Reload(ReloadChange::Warning(Arc::new(warning))));
            }
            self.apply(loaded.config, &loaded.scaled, &requests);
        }
    }

    /// Instances of templates have started, or were enabled, since the file was begun to be read; or an update was
    /// taken back.
    fn is_read_without_some(&self) -> bool {
        let (now, then) = (self.additions_for(None), &self.reload.read_with);
        now.scales != then.scales || now.instances.iter().any(|name| !then.instances.contains(name))
    }

    /// The file was read for somebody who only asks.
    fn answer_question(&mut self, asked: &ReloadRequest, loaded: &LoadResult) {
        // What was read is kept whether anybody still waits for the answer or not.
        let kept = (asked.purpose == Purpose::Read).then(|| self.keep_configuration(&loaded.config));
        let Some(token) = asked.request.and_then(|request| self.ledger.take(request)) else { return };
        let secrets = match &asked.purpose {
            Purpose::Settings { name, secrets } => {
                return self.answer_settings(token, loaded, &Asked { name, secrets: *secrets, by: &asked.by });
            }
            Purpose::Reread { secrets, .. } => *secrets,
            Purpose::Read
            | Purpose::Reload { .. }
            | Purpose::Update { .. }
            | Purpose::Scale { .. }
            | Purpose::Make { .. } => false,
        };
        let reply = match kept {
            Some(changes) => Reply::ConfigurationRead(changes),
            None => Reply::Reread(Box::new(self.reread(loaded, secrets))),
        };
        self.reply(token, reply);
    }

    /// The configuration was not taken: the log is told, and whoever asked.
    fn reload_failed(&mut self, requests: &[ReloadRequest], why: ReloadFailure) {
        if requests.iter().any(|asked| !asked.purpose.is_question()) {
            self.announce(None, Announcement::Reload(ReloadChange::Failed(why.clone())));
        }
        self.refuse_all(requests.iter(), &why);
    }

    fn refuse_all<'a>(&mut self, requests: impl Iterator<Item = &'a ReloadRequest>, why: &ReloadFailure) {
        for asked in requests {
            if let Some(token) = asked.request.and_then(|request| self.ledger.take(request)) {
                let why = self.failure_shown(asked, why);
                match (&asked.purpose, &why) {
                    (
                        Purpose::Settings { name, secrets },
                        ReloadFailure::Config(_) | ReloadFailure::TimedOut { .. },
                    ) => {
                        let asked = Asked { name, secrets: *secrets, by: &asked.by };
                        self.answer_settings_without_file(token, &why, &asked);
                    }
                    (purpose, _) => self.refuse(token, purpose.refused(why.clone())),
                }
            }
        }
    }

    /// What is wrong with the file is told of all programs: to those who may ask for it to be read, whatever they have
    /// asked for.
    fn failure_shown(&self, asked: &ReloadRequest, why: &ReloadFailure) -> ReloadFailure {
        match why {
            ReloadFailure::Config(_) if !self.may_reload(&asked.by) => {
                ReloadFailure::Config("the configuration file can't be used".into())
            }
            ReloadFailure::Config(_)
            | ReloadFailure::ShuttingDown
            | ReloadFailure::PendingCommit { .. }
            | ReloadFailure::TimedOut { .. } => why.clone(),
        }
    }

    /// The file was read for an addition to it.
    fn add_to_file(&mut self, asked: &ReloadRequest, loaded: &LoadResult) {
        let token = asked.request.and_then(|request| self.ledger.take(request));
        match &asked.purpose {
            Purpose::Scale { name, instances, save, timeout } => {
                self.scaled(token, loaded, (name, *instances, *save), *timeout, &asked.by);
            }
            Purpose::Make { names, wanted } => self.made(token, loaded, (names, wanted), &asked.by),
            Purpose::Reread { .. }
            | Purpose::Settings { .. }
            | Purpose::Read
            | Purpose::Reload { .. }
            | Purpose::Update { .. } => {}
        }
    }

    /// What another file, or the daemon's own, would change. The daemon reads it with its own rights, and tells what is
    /// wrong with it, so that another one is read for those alone who have these.
    pub(super) fn reread_file(&mut self, token: ReplyToken, secrets: bool, file: Option<String>, by: Initiator) {
        let is_own = match &by {
            Initiator::Client(caller) => caller.uid == 0 || caller.uid == self.own_uid,
            Initiator::Remote(_) => false,
            Initiator::Embedder
            | Initiator::Autostart
            | Initiator::Signal { .. }
            | Initiator::Reload { .. }
            | Initiator::Rollback
            | Initiator::Shutdown
            | Initiator::HealthCheck
            | Initiator::Policy(_)
            | Initiator::Schedule
            | Initiator::Related(_) => true,
        };
        if file.is_some() && !is_own {
            return self.refuse(token, Refusal::Forbidden { right: Right::Admin, on: None });
        }
        self.load_configuration(Some(token), Purpose::Reread { secrets, file }, by);
    }

    fn apply(&mut self, new: Configuration, scaled: &[Scaled], requests: &[ReloadRequest]) {
        if let Some(until) = self.commit.pending_until() {
            let seconds = until.saturating_duration_since(self.now).as_secs();
            return self.reload_failed(requests, ReloadFailure::PendingCommit { seconds });
        }
        #[cfg(feature = "attach")]
        if let Some(why) = self.taken_by_transient(&new) {
            return self.reload_failed(requests, why);
        }
        // Restarting as well is what both want where one asks for a reload and one for an update.
        let update = requests.iter().find(|asked| matches!(asked.purpose, Purpose::Update { .. }));
        let confirm = requests.iter().find_map(|asked| match asked.purpose {
            Purpose::Update { confirm, .. } => confirm,
            Purpose::Reload { .. }
            | Purpose::Reread { .. }
            | Purpose::Settings { .. }
            | Purpose::Read
            | Purpose::Scale { .. }
            | Purpose::Make { .. } => None,
        });
        self.reload.kept = None;
        let Some(first) = update.or(requests.first()) else { return };
        let before = confirm.map(|_| self.snapshot());
        self.review_additions(scaled, &new);
        let mode = if update.is_some() { ApplyMode::Update } else { ApplyMode::Reload };
        let change = self.apply_config(new, &mode, &first.by);
        self.applied(before.zip(confirm), &change);
        let until = self.commit.pending_until();
        for asked in requests {
            let token = asked.request.and_then(|request| self.ledger.take(request));
            let (kind, goals) = match asked.purpose {
                Purpose::Update { .. } => (WaitKind::Update(Box::new(change.updated(until))), change.goals()),
                Purpose::Reload { .. }
                | Purpose::Reread { .. }
                | Purpose::Settings { .. }
                | Purpose::Read
                | Purpose::Scale { .. }
                | Purpose::Make { .. } => (WaitKind::Reload(Box::new(change.summary())), change.removals()),
            };
            // Who does not wait for an update is told of its failures by the log.
            if token.is_some() || matches!(kind, WaitKind::Reload(_)) {
                let terms = Terms { timeout: asked.purpose.timeout(), ..Terms::default() };
                self.wait_for(token, terms, kind, &goals);
            }
        }
        self.stop_removed(&change, &first.by);
    }

    /// Keeps what was read; the groups in which it differs from what is in force.
    fn keep_configuration(&mut self, read: &Configuration) -> Changes {
        let changes = groups::changes(&self.effective(), read);
        self.reload.kept = Some(Box::new(read.clone()));
        changes
    }

    /// What is in force is about to differ from what was read last.
    pub(super) fn keep_effective(&mut self) {
        if self.reload.kept.is_none() {
            self.reload.kept = Some(Box::new(self.effective()));
        }
    }

    /// What was read last: that which is in force, if nothing was read since.
    pub(super) fn kept_configuration(&self) -> Configuration {
        self.reload.kept.as_deref().cloned().unwrap_or_else(|| self.effective())
    }

    /// The configuration in force, put together again from the daemon's settings and the processes.
    pub(super) fn effective(&self) -> Configuration {
        let programs = in_order(self.registry.configured()).into_iter();
        let programs = programs.map(|(_, entry)| Arc::clone(entry.config())).collect();
        Configuration { settings: self.settings.clone(), programs }
    }

    /// The settings of the daemon as they are in force; for the embedding program.
    pub(super) fn share_settings(&self) -> Arc<SupervisorConfig> {
        Arc::new(SupervisorConfig { loglevel: self.log_level().to_owned(), ..self.settings.clone() })
    }

    /// Other threads are to see the settings that are in force now.
    pub(super) fn show_settings(&mut self) {
        self.effects.push_back(Effect::ShowSettings { settings: self.share_settings() });
    }
}
