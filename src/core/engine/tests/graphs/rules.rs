//! What has to hold, judged by what is announced and what is in force, with names looked up anew here.

use super::*;
use crate::config::dependency_edges;
use crate::util::topology::Topology;

impl Sim {
    /// Something of it is there: a process, a hook that runs, or what a oneshot has set up.
    fn is_there(&self, name: &str, id: ProcId) -> bool {
        let has_hook = self.hooks.values().any(|hook| hook.owner == id);
        self.children.contains_key(&id) || has_hook || self.up.contains(name)
    }

    fn state_of(&self, name: &str) -> ProcessState {
        self.states.get(name).copied().unwrap_or(ProcessState::Stopped)
    }

    fn is_so(&self, name: &str, condition: DependencyCondition) -> bool {
        let state = self.state_of(name);
        let child = self.ids.get(name).and_then(|id| self.children.get(id));
        match condition {
            DependencyCondition::Ready => state == ProcessState::Running || self.has_completed(name),
            DependencyCondition::Started => {
                let states = [ProcessState::Starting, ProcessState::Running, ProcessState::Unhealthy];
                child.is_some() && states.contains(&state) || self.up.contains(name)
            }
            DependencyCondition::Healthy => {
                state == ProcessState::Running && child.is_some_and(|child| child.healthy == Some(true))
            }
            DependencyCondition::Completed => {
                state == ProcessState::Exited && self.exits.get(name) == Some(&Exit::Code(0))
            }
        }
    }

    fn has_completed(&self, name: &str) -> bool {
        let is_oneshot = self.types.get(name) == Some(&ProgramType::Oneshot);
        let is_over = self.state_of(name) == ProcessState::Exited;
        is_oneshot && is_over && self.exits.get(name) == Some(&Exit::Code(0))
    }

    /// Nothing starts before what it requires is so, nor before what it wants or comes after, where that is on its way.
    pub(super) fn check_start(&self, name: &str) {
        assert!(!self.ending, "{name} starts during the shutdown");
        for (on, condition) in self.needs(name, &[DependencyKind::Requires, DependencyKind::Binds]) {
            let state = self.state_of(&on);
            assert!(self.is_so(&on, condition), "{name} starts, but {on} is {state}, not {condition:?}");
        }
        for (on, condition) in self.needs(name, &[DependencyKind::Wants, DependencyKind::After]) {
            let id = self.ids.get(&on).copied().filter(|id| !self.engine.is_held(*id));
            let entry = id.and_then(|id| self.engine.registry.get(id));
            let is_wanted = entry.is_some_and(|entry| entry.machine.desired() == Desired::Up);
            let comes = is_wanted && matches!(self.state_of(&on), ProcessState::Starting | ProcessState::Backoff);
            assert!(!comes || self.is_so(&on, condition), "{name} starts before {on}, which it comes after");
        }
    }

    /// Each attempt comes to one process.
    pub(super) fn check_attempt(&mut self, name: &str) {
        assert!(self.attempts.remove(name), "{name} is spawned twice in one attempt");
    }

    /// A oneshot that has completed runs once more only when somebody asks for that, or when a reload has changed it.
    pub(super) fn check_once(&self, name: &str, transition: &Transition) {
        // By now it may be another kind of program.
        let is_oneshot = self.programs.get(name).is_some_and(|program| program.program_type == ProgramType::Oneshot);
        if !self.completed.contains(name) || !is_oneshot || transition.to != ProcessState::Starting {
            return;
        }
        // `:started` asks for a process. A restart was a stop before others came to need it.
        let mut all = self.programs.keys().flat_map(|other| self.needs(other, &DependencyKind::ALL));
        let mut is_to_live = || all.any(|need| need == (name.to_owned(), DependencyCondition::Started));
        let is_asked = match &transition.cause {
            Cause::Requested { verb: Verb::Start, by: Initiator::Related(_), .. } => is_to_live(),
            Cause::Requested { by: Initiator::Reload { .. }, .. } => self.changed.contains(name),
            cause => matches!(cause, Cause::Requested { .. }),
        };
        assert!(is_asked, "{name} has completed and runs again: {}", transition.cause);
    }

    /// Nothing is stopped before those that need it have gone.
    pub(super) fn check_stop(&self, name: &str, cause: &Cause) {
        let Cause::Requested { verb, by, .. } = cause else { return };
        let follows = matches!(by, Initiator::Related(related) if related.relation == Relation::BoundTo);
        // A start only waits for the clean-up of a run that has ended.
        if matches!(verb, Verb::Kill | Verb::Start) || follows || self.alone.contains(name) {
            return;
        }
        let hard = [DependencyKind::Requires, DependencyKind::Binds];
        let kinds = if self.ending { &DependencyKind::ALL[..] } else { &hard[..] };
        for (other, id) in &self.ids {
            let needs_it = self.needs_through(other, kinds).contains(name);
            assert!(!needs_it || !self.is_there(other, *id), "{name} is stopped before {other}: {cause}");
        }
    }

    /// What is looked at after each turn.
    pub(super) fn check_turn(&self) {
        self.check_limit();
        self.check_waiting();
        self.check_held();
        self.check_shown();
    }

    fn check_limit(&self) {
        let (starting, limit) = (self.starting(), self.start_limit as usize);
        assert!(limit == 0 || starting <= limit, "{starting} start, of at most {limit}");
    }

    fn starting(&self) -> usize {
        let starts = |entry: &Entry| entry.machine.state() == ProcessState::Starting && !entry.machine.is_waiting();
        self.engine.registry.iter().filter(|(_, entry)| starts(entry)).count()
    }

    /// Whoever waits, waits for something that can still come, and tells for what.
    fn check_waiting(&self) {
        if self.ending {
            // What is prepared waits for its stage, to be cleaned up.
            return;
        }
        let slots_are_taken = self.start_limit > 0 && self.starting() == self.start_limit as usize;
        for (id, entry) in self.engine.registry.iter().filter(|(_, entry)| entry.machine.is_waiting()) {
            // It has left the configuration, and is stopped as soon as those have gone that need it.
            if entry.leaving && self.engine.is_held(id) {
                continue;
            }
            let needs = self.engine.graph.needs(id);
            let waits = needs.iter().any(|link| !self.engine.is_met(link) && self.comes(link.on));
            let waits = waits || slots_are_taken;
            assert!(waits, "{} waits for nothing that could come", self.with_needs(entry.name()));
            match self.engine.condition_of(id, entry) {
                Condition::Waiting { on, .. } => assert!(!on.is_empty(), "{} does not tell for what", entry.name()),
                other => panic!("{} waits, and tells {other:?}", entry.name()),
            }
        }
    }

    /// It may still come, or something that was needed by it, where it is a oneshot that has completed.
    fn comes(&self, id: ProcId) -> bool {
        let Some(entry) = self.engine.registry.get(id) else { return false };
        let is_done = self.has_completed(entry.name()) && !entry.machine.is_engaged();
        self.engine.is_held(id)
            || entry.machine.is_up_or_starting()
            || is_done && self.engine.graph.needs(id).iter().any(|link| self.comes(link.on))
    }

    /// What it needs, directly or by way of oneshots that have completed.
    fn needs_through(&self, name: &str, kinds: &[DependencyKind]) -> BTreeSet<String> {
        let (mut all, mut open) = (BTreeSet::new(), vec![name.to_owned()]);
        while let Some(name) = open.pop() {
            for (on, _) in self.needs(&name, kinds) {
                let is_between = self.ids.get(&on).is_some_and(|id| self.engine.is_milestone(*id));
                if all.insert(on.clone()) && is_between {
                    open.push(on);
                }
            }
        }
        all
    }

    /// A program with what it needs, for people.
    fn with_needs(&self, name: &str) -> String {
        let needs = self.needs(name, &DependencyKind::ALL).into_iter();
        let needs = needs.map(|(on, condition)| format!("{on}, which is {}: {condition:?}", self.state_of(&on)));
        format!("{name} (on {})", needs.collect::<Vec<String>>().join("; "))
    }

    /// A command that is held waits for somebody who is on his way out.
    fn check_held(&self) {
        for (id, entry) in self.engine.registry.iter().filter(|(id, _)| self.engine.is_held(*id)) {
            let waits = self.engine.dependants_on_their_way(id).next().is_some();
            assert!(waits, "the command on {} waits for nobody", entry.name());
        }
    }

    /// What is shown is what lives.
    fn check_shown(&self) {
        for (id, entry) in self.engine.registry.iter() {
            let (state, lives) = (entry.machine.state(), self.children.contains_key(&id));
            // Before and after its process, a hook may be all that there is.
            let acts = lives || self.hooks.values().any(|hook| hook.owner == id);
            let is_true = match state {
                ProcessState::Running | ProcessState::Unhealthy => lives,
                ProcessState::Stopping => acts,
                ProcessState::Starting => acts != entry.machine.is_waiting(),
                ProcessState::Stopped | ProcessState::Backoff | ProcessState::Exited | ProcessState::Fatal => !lives,
            };
            assert!(is_true, "{} is {state}, and lives: {lives}", entry.name());
        }
    }

    /// The graph in force runs in no circle.
    pub(super) fn check_circles(&self) {
        let entries = || self.engine.registry.iter().map(|(_, entry)| entry);
        let programs: Vec<&ProgramConfig> = entries().map(|entry| entry.config().as_ref()).collect();
        let edges = dependency_edges(&programs, usize::MAX, &mut |_, _, _| ()).expect("there is no limit");
        let pairs: Vec<(u32, u32)> = edges.iter().map(|edge| (edge.from, edge.to)).collect();
        let circles = Topology::new(programs.len(), &pairs).circles(1);
        assert!(circles.is_empty(), "a circle is in force: {circles:?}");
    }

    /// In a calm life everything has come to rest: nobody waits, no command is held, and every request was answered.
    pub(super) fn check_rest(&self) {
        let waiting = self.engine.registry.iter().filter(|(_, entry)| entry.machine.is_waiting());
        let waiting: Vec<&str> = waiting.map(|(_, entry)| entry.name()).collect();
        let stuck = waiting.iter().filter(|name| self.is_waited_for_in_vain(name));
        let stuck: Vec<String> = stuck.map(|name| self.with_needs(name)).collect();
        assert!(stuck.is_empty(), "{stuck:?} still wait");
        assert!(self.engine.held.len() == 0, "commands are held for ever");
        assert!(!waiting.is_empty() || self.open.is_empty(), "{:?} were not answered", self.open);
    }

    /// `:completed` of what runs for ever is waited for as long, as is `:healthy` of what is up since before it had a check; of all
    /// else it is known by now.
    fn is_waited_for_in_vain(&self, name: &str) -> bool {
        let mut open = vec![name.to_owned()];
        while let Some(name) = open.pop() {
            for (on, condition) in self.needs(&name, &DependencyKind::ALL) {
                let may_last = matches!(condition, DependencyCondition::Completed | DependencyCondition::Healthy);
                if may_last && (self.state_of(&on) == ProcessState::Running || self.up.contains(&on)) {
                    return false;
                }
                if self.state_of(&on) == ProcessState::Starting {
                    open.push(on);
                }
            }
        }
        true
    }

    /// After the bound of the shutdown nothing lives, and every request is answered.
    pub(super) fn check_end(&self) {
        let left = (self.children.len(), self.hooks.len());
        assert_eq!((self.engine.finished(), left), (Some(true), (0, 0)), "something lives after the shutdown");
        assert!(self.open.is_empty(), "{:?} were not answered", self.open);
    }
}
