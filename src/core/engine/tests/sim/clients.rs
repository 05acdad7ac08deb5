//! Clients: everything that can be asked for, by several at once, who may go away at any time.

use std::sync::Arc;
use std::time::Duration;

use super::oracle::Kind;
use super::{SECOND, Sim};
#[cfg(feature = "attach")]
use crate::api::Run;
use crate::api::{
    Act, Amount, Command, EventKinds, LogLevel, LogSource, Query, Request, RequestId, Selector, Terms, WaitFor, Watch,
};
use crate::core::effect::Input;
use crate::models::{Power, StreamKind};
use crate::process::{Initiator, SignalTarget};

impl Sim {
    /// A client asks, or one goes.
    pub(super) fn client(&mut self) -> Result<(), String> {
        if self.system.oracle.waiting_count() > 0 && self.system.random.chance(25) {
            let id = self.system.random.pick(&self.system.oracle.waiting());
            if self.system.forget_client(id) {
                self.handle(Input::Gone { id })?;
            }
            let follows = self.system.followers.contains(&id);
            self.system.oracle.rule(!follows, || format!("{id:?} has gone, but is told what happens"));
            return self.check();
        }
        let request = self.request();
        self.ask(request)
    }

    /// Somebody asks for this.
    pub(super) fn ask(&mut self, request: Request) -> Result<(), String> {
        let id = RequestId(self.requests);
        self.requests += 1;
        let now = self.system.now;
        let by = match self.system.random.chance(20) {
            true => Initiator::Embedder,
            false => Initiator::Client(Arc::clone(&self.caller)),
        };
        self.system.oracle.note(now, || format!("{id:?} asks: {request:?}"));
        self.file(id, &request);
        self.system.open.insert(id);
        if self.ends_daemon(&request) {
            self.will_end()?;
        }
        // It has failed in this moment: nobody can keep it any more.
        if matches!(request, Request::Command(Command::Confirm)) && self.engine.commit.has_failed() {
            self.system.oracle.roll_back(now);
        }
        self.handle(Input::Request { id, by, request })
    }

    fn ends_daemon(&self, request: &Request) -> bool {
        match request {
            Request::Command(Command::Shutdown) => true,
            Request::Command(Command::Power(_)) => self.is_init,
            Request::Command(_) | Request::Query(_) | Request::Watch(_) => false,
        }
    }

    /// Tells the oracle what is asked.
    fn file(&mut self, id: RequestId, request: &Request) {
        let (now, oracle) = (self.system.now, &mut self.system.oracle);
        let named = |name: &str, oracle: &super::oracle::Oracle| oracle.meant(name, false);
        let (mut kind, mut ids, mut timeout) = (Kind::Question, Vec::new(), None);
        let mut lacks = false;
        match request {
            Request::Query(
                Query::Status { name: Some(name), .. }
                | Query::History { name: Some(name) }
                | Query::Pid { name: Some(name) },
            )
            | Request::Watch(Watch::Tail { name, .. } | Watch::Why { name })
            | Request::Command(
                Command::EndRun { name }
                | Command::Signal { name, .. }
                | Command::Pause { name }
                | Command::Resume { name }
                | Command::SetEnabled { name, .. }
                | Command::ClearLogs { name }
                | Command::Stdin { name, .. },
            ) => {
                lacks = named(name, oracle).is_empty();
            }
            Request::Query(Query::Graph { names, .. } | Query::Blame { names, .. }) => {
                lacks = names.iter().any(|name| named(name, oracle).is_empty());
            }
            Request::Query(_) => {}
            Request::Watch(Watch::Wait { name, timeout: most, .. }) => {
                (kind, ids) = (Kind::Wait, named(name, oracle));
                (lacks, timeout) = (ids.is_empty(), *most);
            }
            // Answered when its command has ended.
            Request::Command(Command::ReloadProcess { name }) => {
                (kind, ids) = (Kind::Wait, named(name, oracle));
                lacks = ids.is_empty();
            }
            Request::Watch(Watch::Events { .. }) => kind = Kind::Stream,
            Request::Watch(Watch::Reread { .. }) => kind = Kind::Reread,
            Request::Watch(Watch::Settings { name, .. }) => {
                kind = Kind::Reread;
                lacks = named(name, oracle).is_empty();
            }
            Request::Command(Command::Act { act, on, terms }) => {
                ids = match on {
                    Selector::Process(name) => oracle.meant(name, false),
                    Selector::Group(name) => oracle.meant(name, true),
                    Selector::Processes(names) => names.iter().flat_map(|name| oracle.meant(name, false)).collect(),
                };
                // Of several each has a result of its own.
                lacks = ids.is_empty() && !matches!(on, Selector::Processes(_));
                timeout = terms.timeout;
                kind = match act {
                    Act::Start => Kind::Start,
                    Act::Stop | Act::Kill => Kind::Stop,
                    Act::Restart { .. } => Kind::Restart,
                };
                oracle.will(kind, &ids);
                // During a shutdown a start is refused, whether somebody waits or not.
                if !terms.wait && (kind == Kind::Stop || oracle.ending.is_none()) {
                    kind = Kind::Order;
                }
            }
            Request::Watch(Watch::ReadLog { source: LogSource::Process { name, .. }, .. }) => {
                lacks = named(name, oracle).is_empty();
            }
            Request::Watch(Watch::ReadLog { source: LogSource::Daemon, .. }) => {}
            #[cfg(feature = "xmlrpc")]
            Request::Watch(Watch::FollowDaemonLog { .. }) => {}
            #[cfg(feature = "http")]
            Request::Watch(Watch::Metrics) => {}
            #[cfg(feature = "attach")]
            Request::Command(Command::Attach { name, .. }) => lacks = named(name, oracle).is_empty(),
            #[cfg(feature = "attach")]
            Request::Command(Command::Run(_)) => {}
            Request::Command(Command::Reload { .. }) => kind = Kind::Reload,
            Request::Command(Command::Update { .. }) => kind = Kind::Update,
            // Nothing here has several instances.
            Request::Command(Command::Scale { .. }) => kind = Kind::Reread,
            Request::Command(Command::Confirm) => kind = Kind::Confirm,
            Request::Command(
                Command::SetLogLevel { .. }
                | Command::SetFlag { .. }
                | Command::ReopenLogs
                | Command::ClearDaemonLog
                | Command::ReadConfiguration
                | Command::AddGroup { .. }
                | Command::RemoveGroup { .. }
                | Command::RemoteEvent { .. }
                | Command::RestartDaemon
                | Command::Shutdown
                | Command::Power(_),
            ) => {}
        }
        let kind = if lacks { Kind::NotFound } else { kind };
        let timeout = timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        oracle.ask(now, id, kind, &ids, timeout, request.clone());
        match kind {
            Kind::Reload | Kind::Update => oracle.wants_reload(kind == Kind::Update),
            // Looks at what is being read next; applies nothing.
            Kind::Stream => oracle.counts.streams += 1,
            Kind::Reread
            | Kind::Start
            | Kind::Stop
            | Kind::Restart
            | Kind::Wait
            | Kind::Confirm
            | Kind::Question
            | Kind::Order
            | Kind::NotFound
            | Kind::Refused => {}
        }
    }

    fn request(&mut self) -> Request {
        let random = &mut self.system.random;
        let name = format!("p{}", random.below(7));
        let timeout = random.chance(15).then(|| random.pick(&[SECOND, 3 * SECOND, 60 * SECOND]));
        let terms =
            Terms { wait: !random.chance(15), timeout: timeout.map(Duration::from_millis), only: random.chance(20) };
        let on = match random.below(100) {
            0..15 => Selector::Group(random.pick(&["red", "blue", "p0", "green"]).to_owned()),
            15..25 => {
                let mut names = vec!["p0".to_owned(), name.clone()];
                names.dedup();
                Selector::Processes(names)
            }
            _ => Selector::Process(name.clone()),
        };
        let act = |act| Request::Command(Command::Act { act, on, terms });
        match random.below(100) {
            0..28 => act(Act::Start),
            28..34 => act(Act::Kill),
            34..50 => act(Act::Stop),
            50..56 => act(Act::Restart { force: false }),
            56..60 => act(Act::Restart { force: true }),
            60..66 => Request::Command(Command::Reload { timeout: None }),
            66..72 => {
                let confirm = random.pick(&[None, Some(1), Some(10), Some(60)]);
                Request::Command(Command::Update { confirm: confirm.map(Duration::from_secs), timeout: None })
            }
            72..75 => Request::Command(Command::Confirm),
            75..78 => Request::Watch(Watch::Reread { secrets: false, file: None }),
            78..84 => {
                let all = [WaitFor::Running, WaitFor::Healthy, WaitFor::Stopped, WaitFor::Exited];
                Request::Watch(Watch::Wait { name, until: random.pick(&all), timeout: terms.timeout })
            }
            _ => self.question(name),
        }
    }

    fn question(&mut self, name: String) -> Request {
        let random = &mut self.system.random;
        let stream = random.pick(&[StreamKind::Stdout, StreamKind::Stderr]);
        let level = LogLevel::from_name(random.pick(&["DEBUG", "INFO"]));
        match random.below(148) {
            0..10 => Request::Query(Query::Status { name: None, offset: 2 }),
            10..20 => Request::Query(Query::Status { name: Some(name), offset: 0 }),
            20..30 => Request::Query(Query::History { name: random.chance(50).then_some(name) }),
            30..36 => Request::Query(Query::Pid { name: random.chance(50).then_some(name) }),
            36..40 => {
                let names = if random.chance(50) { vec![name] } else { Vec::new() };
                match random.chance(50) {
                    true => Request::Query(Query::Graph { names, offset: 1 }),
                    false => Request::Query(Query::Blame { names, offset: 1 }),
                }
            }
            40..44 => Request::Query(Query::Ping),
            44..46 => Request::Query(Query::Version),
            46..50 => Request::Query(Query::LogLevel),
            50..60 => Request::Watch(Watch::Events { kinds: EventKinds::ALL, history: 5 }),
            60..80 => Request::Watch(Watch::Tail { name, stream, amount: Amount::Lines(3), follow: random.chance(50) }),
            80..84 => Request::Watch(Watch::Settings { name, secrets: false }),
            84..95 => Request::Watch(Watch::Why { name }),
            95..105 => {
                let target = random.pick(&[SignalTarget::Leader, SignalTarget::Group]);
                Request::Command(Command::Signal { name, signal: 10, target })
            }
            105..107 => Request::Command(Command::ClearLogs { name }),
            107..110 => match random.chance(50) {
                true => Request::Command(Command::Pause { name }),
                false => Request::Command(Command::Resume { name }),
            },
            110..115 => Request::Command(Command::ReloadProcess { name }),
            115..120 => Request::Command(Command::ReopenLogs),
            120..130 => match level {
                Some(level) => Request::Command(Command::SetLogLevel { level }),
                None => Request::Query(Query::LogLevel),
            },
            130 => Request::Command(Command::Shutdown),
            140..145 => Request::Command(Command::Stdin { name, bytes: b"x".as_slice().into() }),
            131..134 => Request::Command(Command::Power(Power::Off)),
            134..138 => Request::Command(Command::SetFlag { name: "there".to_owned(), is_set: random.chance(60) }),
            138 => Request::Query(Query::Flags),
            #[cfg(feature = "attach")]
            145..148 => Request::Command(match random.chance(50) {
                true => Command::Attach { name, size: None },
                false => Command::Run(Arc::new(Run {
                    name: random.chance(50).then_some(name),
                    command: vec!["true".to_owned()],
                    settings: Vec::new(),
                    tty: false,
                    term: None,
                    size: None,
                    attached: random.chance(50),
                    timeout: None,
                })),
            }),
            #[cfg(feature = "http")]
            139 => Request::Watch(Watch::Metrics),
            _ => Request::Query(Query::Ping),
        }
    }
}
