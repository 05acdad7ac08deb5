//! Who may do what: which right a request needs ([`needs`]), and whether somebody has it ([`Access`]). The rules are
//! made in the configuration; nothing else decides.

use super::command::{Act, Command, Selector};
use super::request::{LogSource, Query, Request, Watch};
use crate::models::{AccessRule, Principal, ProgramConfig, ProgramPattern, Right, Rights};
use crate::process::Initiator;
use crate::util::glob;

/// What a right is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object<'a> {
    /// A process.
    Program {
        /// Its name, whether there is such a process or not.
        name: &'a str,
        /// Its group, if there is such a process.
        group: Option<&'a str>,
    },
    /// The daemon, which is all programs together.
    Daemon,
}

impl<'a> Object<'a> {
    /// The process with these settings.
    pub fn of(program: &'a ProgramConfig) -> Object<'a> {
        Object::Program { name: &program.name, group: Some(program.group_name()) }
    }
}

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs<'r> {
    /// Nothing: whoever gets in may ask.
    Nothing,
    /// This right to anything at all; what it is not had to is left out of the answer.
    Any(Right),
    /// This right to the process of this name.
    Program(Right, &'r str),
    /// This right to each process of these names; those without are refused for themselves.
    Each(Right, &'r [String]),
    /// This right to each of these; where one is without, all of it is refused.
    AllOf(Right, &'r [String]),
    /// This right to each of these that there is; where there is none, to any of these names.
    #[cfg(feature = "xmlrpc")]
    Found(Right, &'r [String]),
    /// This right to every member of the group of this name.
    Group(Right, &'r str),
    /// This right to the daemon.
    Daemon(Right),
    /// To be root or the daemon's own user, or to have a rule that gives `admin` over the daemon: it is as mighty as a
    /// shell.
    #[cfg(feature = "attach")]
    Shell,
    /// The rights `logs` and `stdin` to this program.
    #[cfg(feature = "attach")]
    Terminal(&'r str),
}

/// What a request needs.
pub fn needs(request: &Request) -> Needs<'_> {
    match request {
        Request::Query(query) => of_query(query),
        Request::Watch(watch) => of_watch(watch),
        Request::Command(command) => of_command(command),
    }
}

fn of_query(query: &Query) -> Needs<'_> {
    match query {
        Query::Ping | Query::Version | Query::Daemon | Query::Access => Needs::Nothing,
        #[cfg(feature = "http")]
        Query::Readiness => Needs::Nothing,
        Query::Status { name: Some(name), .. }
        | Query::History { name: Some(name) }
        | Query::Pid { name: Some(name) } => Needs::Program(Right::Read, name),
        Query::Graph { names, .. } | Query::Blame { names, .. } if !names.is_empty() => {
            Needs::AllOf(Right::Read, names)
        }
        #[cfg(feature = "xmlrpc")]
        Query::Find { names, right } if names.is_empty() => Needs::Any(*right),
        #[cfg(feature = "xmlrpc")]
        Query::Find { names, right } => Needs::Found(*right, names),
        Query::Status { name: None, .. }
        | Query::History { name: None }
        | Query::Graph { .. }
        | Query::Blame { .. }
        | Query::Pid { name: None }
        | Query::LogLevel
        | Query::Flags
        | Query::Configuration => Needs::Any(Right::Read),
    }
}

fn of_watch(watch: &Watch) -> Needs<'_> {
    match watch {
        Watch::Wait { name, .. } | Watch::Why { name } => Needs::Program(Right::Read, name),
        Watch::Events { .. } => Needs::Any(Right::Read),
        #[cfg(feature = "http")]
        Watch::Metrics => Needs::Any(Right::Read),
        Watch::Tail { name, .. } | Watch::ReadLog { source: LogSource::Process { name, .. }, .. } => {
            Needs::Program(Right::Logs, name)
        }
        Watch::ReadLog { source: LogSource::Daemon, .. } => Needs::Daemon(Right::Logs),
        #[cfg(feature = "xmlrpc")]
        Watch::FollowDaemonLog { .. } => Needs::Daemon(Right::Logs),
        Watch::Reread { secrets: false, file: None } => Needs::Daemon(Right::Reload),
        Watch::Settings { name, secrets: false } => Needs::Program(Right::Read, name),
        Watch::Reread { .. } => Needs::Daemon(Right::Admin),
        Watch::Settings { name, secrets: true } => Needs::Program(Right::Admin, name),
    }
}

fn of_command(command: &Command) -> Needs<'_> {
    match command {
        Command::Act { act, on, terms: _ } => {
            let right = right_to(*act);
            match on {
                Selector::Process(name) => Needs::Program(right, name),
                Selector::Processes(names) => Needs::Each(right, names),
                Selector::Group(name) => Needs::Group(right, name),
            }
        }
        Command::EndRun { name } => Needs::Program(Right::Restart, name),
        Command::Signal { name, .. } | Command::Pause { name } | Command::Resume { name } => {
            Needs::Program(Right::Signal, name)
        }
        Command::SetEnabled { name, enabled: true } => Needs::Program(Right::Start, name),
        Command::SetEnabled { name, enabled: false } => Needs::Program(Right::Stop, name),
        Command::ReloadProcess { name } => Needs::Program(Right::Reload, name),
        #[cfg(feature = "attach")]
        Command::Run(_) => Needs::Shell,
        #[cfg(feature = "attach")]
        Command::Attach { name, .. } => Needs::Terminal(name),
        Command::Stdin { name, .. } => Needs::Program(Right::Stdin, name),
        // What somebody has done is in there: to read is not to destroy.
        Command::ClearLogs { name } => Needs::Program(Right::Admin, name),
        Command::Reload { .. }
        | Command::Update { .. }
        | Command::Scale { .. }
        | Command::Confirm
        | Command::ReadConfiguration
        | Command::AddGroup { .. }
        | Command::RemoveGroup { .. } => Needs::Daemon(Right::Reload),
        // Whoever waits for it starts.
        Command::SetFlag { .. } => Needs::Daemon(Right::Start),
        Command::SetLogLevel { .. }
        | Command::ClearDaemonLog
        | Command::RemoteEvent { .. }
        | Command::RestartDaemon
        | Command::ReopenLogs
        | Command::Shutdown
        | Command::Power(_) => Needs::Daemon(Right::Admin),
    }
}

/// The right to do this to a process.
pub fn right_to(act: Act) -> Right {
    match act {
        Act::Start => Right::Start,
        Act::Stop | Act::Kill => Right::Stop,
        Act::Restart { .. } => Right::Restart,
    }
}

/// The rules in force.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    /// The rules; none: whoever gets in may do all.
    pub rules: &'a [AccessRule],
    /// The user that the daemon runs as.
    pub own_uid: u32,
}

/// Why somebody may do all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlimited {
    /// There are no rules.
    NoRules,
    /// It is root, or the daemon's own user.
    OwnUser,
}

impl Access<'_> {
    /// Why this one may do all, if so.
    pub fn unlimited(&self, by: &Initiator) -> Option<Unlimited> {
        if self.rules.is_empty() { Some(Unlimited::NoRules) } else { self.own_user(by) }
    }

    /// Whether this one may run whatever it wants. Without rules who gets in may do all that the configuration
    /// foresees, and no more: the socket may be open to those who are to restart a program.
    #[cfg(feature = "attach")]
    pub fn has_shell(&self, by: &Initiator) -> bool {
        self.own_user(by).is_some() || !self.rules.is_empty() && self.allows(by, Right::Admin, Object::Daemon)
    }

    /// It is root, or the daemon's own user.
    fn own_user(&self, by: &Initiator) -> Option<Unlimited> {
        match by {
            Initiator::Client(caller) if caller.uid == 0 || caller.uid == self.own_uid => Some(Unlimited::OwnUser),
            Initiator::Client(_) | Initiator::Remote(_) => None,
            // The daemon itself.
            Initiator::Autostart
            | Initiator::Embedder
            | Initiator::Signal { .. }
            | Initiator::Reload { .. }
            | Initiator::Rollback
            | Initiator::Shutdown
            | Initiator::HealthCheck
            | Initiator::Policy(_)
            | Initiator::Schedule
            | Initiator::Related(_) => Some(Unlimited::OwnUser),
        }
    }

    /// Whether this one has this right.
    pub fn allows(&self, by: &Initiator, right: Right, on: Object<'_>) -> bool {
        self.unlimited(by).is_some() || self.rules_about(by).any(|rule| rule.allow.has(right) && covers(rule, on))
    }

    /// All that this one may do with this.
    pub fn rights(&self, by: &Initiator, on: Object<'_>) -> Rights {
        if self.unlimited(by).is_some() {
            return Rights::all();
        }
        let rules = self.rules_about(by).filter(|rule| covers(rule, on));
        rules.fold(Rights::NONE, |rights, rule| rights.with(rule.allow))
    }

    /// Whether there is anything that this one has this right to.
    pub fn allows_any(&self, by: &Initiator, right: Right) -> bool {
        self.unlimited(by).is_some() || self.rules_about(by).any(|rule| rule.allow.has(right))
    }

    /// Whether a rule gives this one this right to this very group, whoever its members are.
    pub fn names_group(&self, by: &Initiator, right: Right, group: &str) -> bool {
        let names = |pattern: &ProgramPattern| match pattern {
            ProgramPattern::Group(pattern) => glob::matches(pattern, group),
            ProgramPattern::Name(_) => false,
        };
        self.allows(by, right, Object::Daemon)
            || self.rules_about(by).any(|rule| rule.allow.has(right) && rule.programs.iter().any(names))
    }

    fn rules_about(&self, by: &Initiator) -> impl Iterator<Item = &AccessRule> {
        self.rules.iter().filter(move |rule| rule.who.iter().any(|who| is_about(who, by)))
    }
}

fn is_about(who: &Principal, by: &Initiator) -> bool {
    let (caller, user) = match by {
        Initiator::Client(caller) => (Some(caller), caller.user.as_deref()),
        Initiator::Remote(remote) => (None, remote.user.as_deref()),
        Initiator::Autostart
        | Initiator::Embedder
        | Initiator::Signal { .. }
        | Initiator::Reload { .. }
        | Initiator::Rollback
        | Initiator::Shutdown
        | Initiator::HealthCheck
        | Initiator::Policy(_)
        | Initiator::Schedule
        | Initiator::Related(_) => return false,
    };
    match who {
        Principal::User { uid, .. } => caller.is_some_and(|caller| caller.uid == *uid),
        Principal::Group { gid, .. } => caller.is_some_and(|caller| caller.groups.contains(gid)),
        Principal::Http { name } => user == Some(name),
    }
}

fn covers(rule: &AccessRule, on: Object<'_>) -> bool {
    rule.programs.is_empty()
        || rule.programs.iter().any(|pattern| match (pattern, on) {
            (_, Object::Daemon) => false,
            (ProgramPattern::Name(pattern), Object::Program { name, .. }) => {
                // `web` means `web:00` and `web:01`.
                let program = name.split(':').next().unwrap_or(name);
                glob::matches(pattern, name) || glob::matches(pattern, program)
            }
            (ProgramPattern::Group(pattern), Object::Program { group, .. }) => {
                group.is_some_and(|group| glob::matches(pattern, group))
            }
        })
}

/// What somebody may read who is told of what happens as it happens: the rules of when he began.
#[derive(Debug, Clone, PartialEq)]
pub struct Reader {
    /// The rules.
    pub rules: Box<[AccessRule]>,
    /// The user that the daemon runs as.
    pub own_uid: u32,
    /// Who it is.
    pub by: Initiator,
}

impl Reader {
    /// Whether the client may see this program.
    pub fn can_see(&self, program: &ProgramConfig) -> bool {
        self.can_see_object(Object::of(program))
    }

    /// Whether the client may see the name of another program, when nothing but its name is known.
    pub fn can_see_name(&self, name: &str) -> bool {
        self.can_see_object(Object::Program { name, group: None })
    }

    fn can_see_object(&self, object: Object<'_>) -> bool {
        Access { rules: &self.rules, own_uid: self.own_uid }.allows(&self.by, Right::Read, object)
    }
}

/// What somebody may do.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessTable {
    /// Who it is.
    pub by: Initiator,
    /// Why he may do all, if so.
    pub unlimited: Option<Unlimited>,
    /// With the daemon itself.
    pub daemon: Rights,
    /// With each program that he may read, in the order of the configuration.
    pub programs: Vec<(String, Rights)>,
}

#[cfg(test)]
mod tests;
