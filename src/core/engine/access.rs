//! Rules of access inside the engine: what is asked is permitted or refused before anything is done about it, and what
//! may not be read is taken out of the answers. [`crate::api::Access`] decides.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Engine, Entry, Registry};
use crate::api::{
    Access, AccessTable, Announcement, Answer, HeldBack, HistoryRow, NameHint, Needs, Object, ProcId, Reached, Reader,
    Refusal, Reply, Request, Selector, StatusRow, Unreached, Why, needs, right_to,
};
use crate::models::{Dependency, DependencyKind, DependencyTarget, ProgramConfig, Right};
use crate::process::{Cause, Condition, HIDDEN, Initiator};

/// What a client may see.
pub(super) struct Visibility<'a> {
    access: Access<'a>,
    by: &'a Initiator,
    registry: &'a Registry,
    /// There is something that the client may not see.
    is_limited: bool,
}

impl Visibility<'_> {
    /// Whether the client may see this process.
    pub(super) fn can_see(&self, entry: &Entry) -> bool {
        self.may(Right::Read, entry)
    }

    /// Whether the client may see the process with this identifier.
    pub(super) fn can_see_id(&self, id: ProcId) -> bool {
        self.registry.get(id).is_some_and(|entry| self.can_see(entry))
    }

    /// Whether the client may read the output of this process.
    pub(super) fn can_read_output(&self, entry: &Entry) -> bool {
        self.may(Right::Logs, entry)
    }

    /// Removes from a row the names of other processes, and the output that the client may not read.
    pub(super) fn redact_row(&self, mut row: StatusRow) -> StatusRow {
        if self.is_limited {
            if let Cow::Owned(program) = self.redact_program(&row.program) {
                row.program = Arc::new(program);
            }
            self.redact_condition(&mut row.condition);
            if let Some(held) = &mut row.held {
                self.redact_held(held);
            }
            if !self.access.allows(self.by, Right::Logs, Object::of(&row.program)) {
                row.last_words = None;
            }
        }
        row
    }

    /// Removes the names of other processes from a condition.
    pub(super) fn redact_condition(&self, condition: &mut Condition) {
        if self.is_limited {
            condition.hide_names(&|name| self.can_see_name(name));
        }
    }

    /// Removes the names of other processes from records of the past.
    pub(super) fn redact_history(&self, rows: &mut [HistoryRow]) {
        if self.is_limited {
            rows.iter_mut().for_each(|row| self.redact_cause(&mut row.cause));
        }
    }

    /// Removes the names of other processes from an explanation.
    pub(super) fn redact_why(&self, why: &mut Why) {
        if !self.is_limited {
            return;
        }
        self.redact_condition(&mut why.condition);
        self.redact_history(&mut why.history);
        if let Some(request) = &mut why.last_request {
            request.by.hide_names(&|name| self.can_see_name(name));
        }
        if !why.chain.steps.iter().all(|step| self.can_see_name(&step.program.name)) {
            why.chain = Default::default();
        }
        if let Some(held) = &mut why.held {
            self.redact_held(held);
        }
    }

    /// Removes the names of those that have to end first, as far as the client may not see them.
    fn redact_held(&self, held: &mut HeldBack) {
        let before = held.behind.len();
        held.behind.retain(|step| self.can_see_name(&step.program.name));
        held.more += before - held.behind.len();
        held.by.hide_names(&|name| self.can_see_name(name));
    }

    /// Removes from an answer the names of other processes, and output that the client may not read.
    pub(super) fn redact_answer(&self, answer: &mut Answer) {
        match answer {
            Ok(Reply::Each { results, .. }) => {
                for (name, answer) in results {
                    self.redact_answer(answer);
                    if let Err(Refusal::NotReached { act, on, .. }) = answer
                        && !self.may_name(right_to(*act), name)
                    {
                        HIDDEN.clone_into(name);
                        *on = Selector::Process(HIDDEN.to_owned());
                    }
                }
            }
            Err(Refusal::NotRunning { name, reached }) => self.redact_reached(name, reached),
            Err(Refusal::WaitFailed { name, why, .. }) => self.redact_unreached(name, why),
            Err(Refusal::NotReached { act, members, .. }) => {
                for (name, why) in members {
                    self.redact_unreached(name, why);
                    if !self.may_name(right_to(*act), name) {
                        HIDDEN.clone_into(name);
                    }
                }
            }
            Ok(_) | Err(_) => {}
        }
    }

    fn redact_unreached(&self, name: &str, why: &mut Unreached) {
        match why {
            Unreached::Reached(reached) => self.redact_reached(name, reached),
            Unreached::WaitsFor { on, reached } => {
                self.redact_reached(on, reached);
                if !self.can_see_name(on) {
                    HIDDEN.clone_into(on);
                }
            }
            Unreached::CutShort { on, exit: _ } => {
                if !self.can_see_name(on) {
                    HIDDEN.clone_into(on);
                }
            }
            Unreached::StoppedMeanwhile(_)
            | Unreached::Disabled
            | Unreached::Removed
            | Unreached::RemovedFromConfiguration
            | Unreached::ShuttingDown => {}
        }
    }

    fn redact_reached(&self, name: &str, reached: &mut Reached) {
        self.redact_condition(&mut reached.condition);
        if let Some(cause) = &mut reached.cause {
            self.redact_cause(cause);
        }
        let entry = self.registry.id_of(name).and_then(|id| self.registry.get(id));
        if !entry.is_some_and(|entry| self.can_read_output(entry)) {
            reached.last_words = None;
        }
    }

    /// Whether the client may see this process, or has this right to it: then the request has named it.
    fn may_name(&self, right: Right, name: &str) -> bool {
        let program = self.registry.id_of(name).and_then(|id| self.registry.get(id)).map(Entry::config);
        let object = Object::Program { name, group: program.map(|program| program.group_name()) };
        !self.is_limited || [Right::Read, right].iter().any(|right| self.access.allows(self.by, *right, object))
    }

    /// Removes from settings the names of the dependencies that the client may not see.
    pub(super) fn redact_program<'p>(&self, program: &'p ProgramConfig) -> Cow<'p, ProgramConfig> {
        let mut program = Cow::Borrowed(program);
        for kind in DependencyKind::ALL.into_iter().filter(|_| self.is_limited) {
            let is_seen = |dependency: &Dependency| self.can_see_target(&dependency.target);
            if !kind.of(&program).iter().all(is_seen) {
                kind.of_mut(program.to_mut()).retain(is_seen);
            }
        }
        program
    }

    /// Whether the client may see one of the targets of a dependency.
    fn can_see_target(&self, target: &DependencyTarget) -> bool {
        let mut all = self.registry.present().map(|(_, entry)| entry).filter(|entry| self.can_see(entry));
        match target {
            DependencyTarget::Program(name) if self.registry.id_of(name).is_some() => self.can_see_name(name),
            // All of its instances.
            DependencyTarget::Program(name) => {
                all.any(|entry| entry.name().strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with(':')))
            }
            DependencyTarget::Group(group) => all.any(|entry| entry.config().group_name() == group),
        }
    }

    fn redact_cause(&self, cause: &mut Cause) {
        cause.hide_names(&|name| self.can_see_name(name));
    }

    fn can_see_name(&self, name: &str) -> bool {
        self.registry.id_of(name).is_some_and(|id| self.can_see_id(id))
    }

    /// Whether he has this right to this process.
    pub(super) fn may(&self, right: Right, entry: &Entry) -> bool {
        !self.is_limited || self.access.allows(self.by, right, Object::of(entry.config()))
    }
}

impl Engine {
    /// The user that the daemon runs as, whom no rule limits.
    pub(crate) fn runs_as(&mut self, uid: u32) {
        self.own_uid = uid;
    }

    fn access(&self) -> Access<'_> {
        Access { rules: &self.settings.access, own_uid: self.own_uid }
    }

    /// Whether there is something that this one may not do.
    pub(super) fn is_limited(&self, by: &Initiator) -> bool {
        self.access().unlimited(by).is_none()
    }

    /// What this client may see.
    pub(super) fn visibility<'a>(&'a self, by: &'a Initiator) -> Visibility<'a> {
        let access = self.access();
        Visibility { access, by, registry: &self.registry, is_limited: access.unlimited(by).is_none() }
    }

    /// What this one may read, for those who tell him of what happens; `None`: everything.
    pub(super) fn reader(&self, by: &Initiator) -> Option<Box<Reader>> {
        let access = self.access();
        let (rules, own_uid) = (access.rules.into(), access.own_uid);
        access.unlimited(by).is_none().then(|| Box::new(Reader { rules, own_uid, by: by.clone() }))
    }

    /// Whether somebody may ask for this; what is refused is told to the log.
    pub(super) fn permit(&mut self, by: &Initiator, request: &Request) -> Result<(), Refusal> {
        let needs = needs(request);
        if self.access().unlimited(by).is_some() && !self.is_for_shell(needs) {
            return Ok(());
        }
        let permitted = self.authorize(by, needs);
        if let Err(Refusal::Forbidden { right, on }) = &permitted {
            let command = match request {
                Request::Command(command) => Some(Arc::new(command.clone())),
                Request::Query(_) | Request::Watch(_) => None,
            };
            let (right, on) = (*right, on.as_deref().map(Into::into));
            self.announce(None, Announcement::Denied { command, right, on, by: by.clone() });
        }
        permitted
    }

    /// Whether it takes more than to get in.
    #[cfg(feature = "attach")]
    fn is_for_shell(&self, needs: Needs<'_>) -> bool {
        match needs {
            Needs::Shell => true,
            // What somebody runs by hand may be a shell.
            Needs::Terminal(name) | Needs::Program(Right::Stdin, name) => self.is_transient(name),
            #[cfg(feature = "xmlrpc")]
            Needs::Found(right, names) => right == Right::Stdin && names.iter().any(|name| self.is_transient(name)),
            Needs::Nothing
            | Needs::Any(_)
            | Needs::Program(..)
            | Needs::Each(..)
            | Needs::AllOf(..)
            | Needs::Group(..)
            | Needs::Daemon(_) => false,
        }
    }

    #[cfg(not(feature = "attach"))]
    fn is_for_shell(&self, _: Needs<'_>) -> bool {
        false
    }

    #[cfg(feature = "attach")]
    fn authorize_shell(&self, by: &Initiator) -> Result<(), Refusal> {
        let forbidden = Refusal::Forbidden { right: Right::Admin, on: None };
        if self.access().has_shell(by) { Ok(()) } else { Err(forbidden) }
    }

    fn authorize(&self, by: &Initiator, needs: Needs<'_>) -> Result<(), Refusal> {
        let forbidden = |right, on: Option<&str>| Refusal::Forbidden { right, on: on.map(str::to_owned) };
        match needs {
            Needs::Nothing => Ok(()),
            Needs::Any(right) => match self.access().allows_any(by, right) {
                true => Ok(()),
                false => Err(forbidden(right, None)),
            },
            #[cfg(feature = "xmlrpc")]
            Needs::Found(right, names) => self.authorize_any_name(by, right, names),
            Needs::AllOf(right, names) => names.iter().try_for_each(|name| self.authorize_name(by, right, name)),
            Needs::Each(right, names) => match names.is_empty() || names.iter().any(|name| self.may(by, right, name)) {
                true => Ok(()),
                false => Err(forbidden(right, names.first().filter(|_| names.len() == 1).map(String::as_str))),
            },
            Needs::Group(right, group) => self.authorize_group(by, right, group),
            #[cfg(feature = "attach")]
            Needs::Shell => self.authorize_shell(by),
            #[cfg(feature = "attach")]
            Needs::Terminal(name) | Needs::Program(Right::Stdin, name) if self.is_transient(name) => {
                self.authorize_shell(by)
            }
            #[cfg(feature = "attach")]
            Needs::Terminal(name) => {
                self.authorize_name(by, Right::Logs, name).and_then(|()| self.authorize_name(by, Right::Stdin, name))
            }
            Needs::Program(right, name) => self.authorize_name(by, right, name),
            Needs::Daemon(right) => match self.access().allows(by, right, Object::Daemon) {
                true => Ok(()),
                false => Err(forbidden(right, None)),
            },
        }
    }

    /// A name that is none is refused as one that there is: a hint at one that may not be read is none.
    fn authorize_name(&self, by: &Initiator, right: Right, name: &str) -> Result<(), Refusal> {
        if !self.may(by, right, name) {
            return Err(Refusal::Forbidden { right, on: Some(name.to_owned()) });
        }
        match self.registry.find_or_refuse(name) {
            Err(Refusal::NoSuchProcess { name, hint }) => {
                Err(Refusal::NoSuchProcess { name, hint: self.shown_hint(by, hint) })
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Several names that one process may have. Of a name that is none nothing is told, as above.
    #[cfg(feature = "xmlrpc")]
    fn authorize_any_name(&self, by: &Initiator, right: Right, names: &[String]) -> Result<(), Refusal> {
        let mut there = names.iter().filter(|name| self.registry.id_of(name).is_some()).peekable();
        if there.peek().is_some() {
            return there.try_for_each(|name| self.authorize(by, Needs::Program(right, name)));
        }
        match names.iter().any(|name| self.may(by, right, name)) {
            true => Ok(()),
            false => Err(Refusal::Forbidden { right, on: names.last().cloned() }),
        }
    }

    fn authorize_group(&self, by: &Initiator, right: Right, group: &str) -> Result<(), Refusal> {
        let forbidden = Refusal::Forbidden { right, on: Some(format!("group:{group}")) };
        match self.registry.members_or_refuse(group) {
            Ok(ids) => {
                let may = |id: &ProcId| {
                    let entry = self.registry.get(*id);
                    entry.is_some_and(|entry| self.access().allows(by, right, Object::of(entry.config())))
                };
                if ids.iter().all(may) { Ok(()) } else { Err(forbidden) }
            }
            Err(Refusal::NoSuchGroup { name, .. }) if self.access().names_group(by, right, group) => {
                Err(Refusal::NoSuchGroup { name, nearest: None })
            }
            Err(Refusal::NoSuchProcess { name, hint }) if self.access().names_group(by, right, group) => {
                Err(Refusal::NoSuchProcess { name, hint: self.shown_hint(by, hint) })
            }
            Err(_) => Err(forbidden),
        }
    }

    /// Whether this one has this right to the process of this name, be there one or not.
    pub(super) fn may(&self, by: &Initiator, right: Right, name: &str) -> bool {
        let program = self.registry.id_of(name).and_then(|id| self.registry.get(id)).map(Entry::config);
        let group = program.map(|program| program.group_name());
        self.access().allows(by, right, Object::Program { name, group })
    }

    /// Whether this one may have the configuration read.
    pub(super) fn may_reload(&self, by: &Initiator) -> bool {
        self.access().allows(by, Right::Reload, Object::Daemon)
    }

    /// Whether this one may see a program with these settings, be it in force or not.
    pub(super) fn may_read_of(&self, by: &Initiator, program: &ProgramConfig) -> bool {
        self.access().allows(by, Right::Read, Object::of(program))
    }

    /// What may have been meant by a name that is none, as far as that may be told.
    pub(super) fn shown_hint(&self, by: &Initiator, hint: NameHint) -> NameHint {
        let is_shown = match &hint {
            NameHint::None | NameHint::Leaving => true,
            NameHint::ScaledAway(program) => self.may(by, Right::Read, program),
            NameHint::Nearest(name) | NameHint::Group(name) | NameHint::Instances(name) => {
                self.visibility(by).can_see_name(name)
            }
        };
        if is_shown { hint } else { NameHint::None }
    }

    /// The names of these that may be read.
    pub(super) fn names_shown_to(&self, by: &Initiator, ids: &[ProcId]) -> Vec<String> {
        let visibility = self.visibility(by);
        self.names_of(&ids.iter().copied().filter(|id| visibility.can_see_id(*id)).collect::<Vec<ProcId>>())
    }

    /// What this one may do.
    pub(super) fn access_table(&self, by: &Initiator) -> Reply {
        let access = self.access();
        let rights = |entry: &Entry| access.rights(by, Object::of(entry.config()));
        let all = self.registry.present().map(|(_, entry)| (entry.name().to_owned(), rights(entry)));
        Reply::Access(Box::new(AccessTable {
            by: by.clone(),
            unlimited: access.unlimited(by),
            daemon: access.rights(by, Object::Daemon),
            programs: all.filter(|(_, rights)| rights.has(Right::Read)).collect(),
        }))
    }

    /// Those that start with the daemon and are not up and well.
    #[cfg(feature = "http")]
    pub(super) fn unready(&self, by: &Initiator) -> Reply {
        let mut hidden = 0;
        let rows = self.rows(None, 0, &self.visibility(&Initiator::Embedder)).unwrap_or_default();
        let visibility = self.visibility(by);
        let rows = rows.into_iter().filter(StatusRow::is_obstacle).filter_map(|row| {
            if visibility.can_see_name(&row.program.name) {
                return Some(visibility.redact_row(row));
            }
            hidden += 1;
            None
        });
        let rows = rows.collect();
        Reply::Readiness { rows, hidden, now: self.now }
    }
}
