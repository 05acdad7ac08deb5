//! Reload: the configuration is read by a thread of its own (a slow disk or name server delays nobody), compared with what
//! is in force, and applied as a whole or not at all.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Engine;
use super::commit::ApplyMode;
use super::ledger::{Owner, ReplyToken};
use super::timers::TimerKey;
use super::waiters::WaitKind;
use crate::api::{Announcement, Refusal, ReloadChange, ReloadFailure, Reply, RequestId, Terms};
use crate::config::{ConfigError, Loaded};
use crate::core::effect::Effect;
use crate::models::SupervisorConfig;
use crate::process::Initiator;

/// How long a file may take to be read. Whoever asked is told then; a thread that hangs on a dead disk is left alone, and
/// what it brings after all is thrown away.
const LOAD_LIMIT: Duration = Duration::from_secs(30);

/// So many threads at most hang on a dead disk: whoever asks while there are more is told so at once.
const MOST_HANGING_LOADS: usize = 4;

/// What the file is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Purpose {
    /// To tell what it would change.
    Reread,
    /// To apply it; what has changed takes its settings at its next start.
    Reload,
    /// To apply it and restart what has changed; with `confirm` only if somebody confirms it in this time.
    Update { confirm: Option<Duration> },
}

impl Purpose {
    /// What is said when the file is not to be used.
    fn refused(self, why: ReloadFailure) -> Refusal {
        match self {
            Purpose::Reread => Refusal::RereadFailed(why),
            Purpose::Reload => Refusal::ReloadFailed(why),
            Purpose::Update { .. } => Refusal::UpdateFailed(why),
        }
    }

    fn is_alike(self, other: Purpose) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
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
    /// Asked since: the file may have changed, so it is read once more for these.
    next: Vec<ReloadRequest>,
    /// Reads that were given up; each has a thread that may hang for ever.
    hanging: Vec<u64>,
}

impl Reload {
    /// How many wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.reading.as_ref().map_or(0, Vec::len) + self.next.len()
    }

    /// Whether this request is answered when a file has been read.
    pub(super) fn answers(&self, request: RequestId) -> bool {
        self.reading.iter().flatten().chain(&self.next).any(|asked| asked.request == Some(request))
    }

    /// Nobody waits for this answer any more: what was asked for is done all the same.
    pub(super) fn forget(&mut self, request: RequestId) {
        for requests in self.reading.iter_mut().chain([&mut self.next]) {
            let Some(place) = requests.iter().position(|other| other.request == Some(request)) else { continue };
            let gone = requests.remove(place);
            if gone.purpose != Purpose::Reread {
                file(requests, ReloadRequest { request: None, ..gone });
            }
        }
    }
}

/// Requests that nobody waits for come faster than a file on a dead disk can be read: of each kind the last one is kept.
fn file(requests: &mut Vec<ReloadRequest>, new: ReloadRequest) {
    if new.request.is_none() {
        requests.retain(|other| other.request.is_some() || !other.purpose.is_alike(new.purpose));
    }
    requests.push(new);
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
            self.load_configuration(None, Purpose::Reload, by);
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
        if self.reload.hanging.len() >= MOST_HANGING_LOADS {
            return self.reload_failed(&requests, ReloadFailure::TimedOut { seconds: LOAD_LIMIT.as_secs() });
        }
        self.reload.load += 1;
        self.reload.reading = Some(requests);
        let load = self.reload.load;
        self.timers.set(TimerKey::ConfigLoad(load), self.now.checked_add(LOAD_LIMIT));
        self.effects.push_back(Effect::LoadConfig { load });
    }

    /// Ends the present read and begins the next one, if anybody has asked since.
    fn end_load(&mut self) -> Vec<ReloadRequest> {
        self.timers.set(TimerKey::ConfigLoad(self.reload.load), None);
        let requests = self.reload.reading.take().unwrap_or_default();
        if !self.reload.next.is_empty() {
            let next = std::mem::take(&mut self.reload.next);
            self.begin_load(next);
        }
        requests
    }

    pub(super) fn config_load_timed_out(&mut self, load: u64) {
        if load != self.reload.load || self.reload.reading.is_none() {
            return;
        }
        self.reload.hanging.push(load);
        let requests = self.end_load();
        let why = ReloadFailure::TimedOut { seconds: LOAD_LIMIT.as_secs() };
        self.reload_failed(&requests, why);
    }

    /// The file was read.
    pub(super) fn config_loaded(&mut self, load: u64, result: Result<Loaded, ConfigError>) {
        self.reload.hanging.retain(|hanging| *hanging != load);
        if load != self.reload.load || self.reload.reading.is_none() {
            return;
        }
        let requests = self.end_load();
        if self.is_ending() {
            return self.refuse_all(requests.iter(), &ReloadFailure::ShuttingDown);
        }
        let loaded = match result {
            Ok(loaded) => loaded,
            Err(error) => return self.reload_failed(&requests, ReloadFailure::Config(error.to_string().into())),
        };
        let (questions, requests): (Vec<_>, Vec<_>) =
            requests.into_iter().partition(|asked| asked.purpose == Purpose::Reread);
        if !questions.is_empty() {
            let answer = self.reread(&loaded);
            for asked in &questions {
                if let Some(token) = asked.request.and_then(|request| self.ledger.take(request)) {
                    self.reply(token, Reply::Reread(Box::new(answer.clone())));
                }
            }
        }
        if !requests.is_empty() {
            for warning in loaded.warnings {
                self.announce(None, Announcement::Reload(ReloadChange::Warning(Arc::new(warning))));
            }
            self.apply(loaded.config, &requests);
        }
    }

    /// The configuration was not taken: the log is told, and whoever asked.
    fn reload_failed(&mut self, requests: &[ReloadRequest], why: ReloadFailure) {
        if requests.iter().any(|asked| asked.purpose != Purpose::Reread) {
            self.announce(None, Announcement::Reload(ReloadChange::Failed(why.clone())));
        }
        self.refuse_all(requests.iter(), &why);
    }

    fn refuse_all<'a>(&mut self, requests: impl Iterator<Item = &'a ReloadRequest>, why: &ReloadFailure) {
        for asked in requests {
            if let Some(token) = asked.request.and_then(|request| self.ledger.take(request)) {
                self.refuse(token, asked.purpose.refused(why.clone()));
            }
        }
    }

    fn apply(&mut self, new: SupervisorConfig, requests: &[ReloadRequest]) {
        if let Some(until) = self.commit.pending_until() {
            let seconds = until.saturating_duration_since(self.now).as_secs();
            return self.reload_failed(requests, ReloadFailure::PendingCommit { seconds });
        }
        // Restarting as well is what both want where one asks for a reload and one for an update.
        let update = requests.iter().find(|asked| matches!(asked.purpose, Purpose::Update { .. }));
        let confirm = requests.iter().find_map(|asked| match asked.purpose {
            Purpose::Update { confirm } => confirm,
            Purpose::Reload | Purpose::Reread => None,
        });
        let Some(first) = update.or(requests.first()) else { return };
        let before = confirm.map(|_| self.snapshot());
        let mode = if update.is_some() { ApplyMode::Update } else { ApplyMode::Reload };
        let change = self.apply_config(new, &mode, &first.by);
        if let (Some(before), Some(confirm)) = (before, confirm)
            && !change.is_nothing()
        {
            self.begin_commit(before, confirm, &change);
        }
        let until = self.commit.pending_until();
        for asked in requests {
            let token = asked.request.and_then(|request| self.ledger.take(request));
            let (kind, goals) = match asked.purpose {
                Purpose::Update { .. } => (WaitKind::Update(Box::new(change.updated(until))), change.goals()),
                Purpose::Reload | Purpose::Reread => (WaitKind::Reload(Box::new(change.summary())), change.removals()),
            };
            // Who does not wait for an update is told of its failures by the log.
            if token.is_some() || matches!(kind, WaitKind::Reload(_)) {
                self.wait_for(token, Terms::default(), kind, &goals);
            }
        }
        self.stop_removed(&change, &first.by);
    }

    /// The configuration in force, put together again from the daemon's settings and the processes.
    pub(super) fn effective(&self) -> SupervisorConfig {
        let mut config = self.settings.clone();
        config.programs = self.registry.present().map(|(_, entry)| entry.config().as_ref().clone()).collect();
        config
    }

    /// The settings of the daemon as they are in force; for the embedding program.
    pub(super) fn share_settings(&self) -> Arc<SupervisorConfig> {
        Arc::new(self.settings.clone())
    }

    /// Other threads are to see the settings that are in force now.
    pub(super) fn show_settings(&mut self) {
        self.effects.push_back(Effect::ShowSettings { settings: self.share_settings() });
    }
}
