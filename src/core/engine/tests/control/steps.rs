//! What somebody does, one step after the other, and what becomes known of it.

use std::collections::BTreeSet;

use super::super::bench::{act, client};
use super::files::INSTANCES;
use super::*;
use crate::api::{Answer, Query};

const PROGRAMS: [&str; 12] =
    ["db", "db", "web", "web:00", "web:01", "web:02", "front", "front", "job", "worker@eu", "worker@us", "worker@asia"];

impl Sim {
    pub(super) fn step(&mut self) -> Result<(), String> {
        let name = self.random.pick(&PROGRAMS).to_owned();
        match self.random.below(100) {
            0..12 => self.start_or_make(&name, false),
            12..20 => self.ask(act(Act::Stop, &name), Asked::Other),
            20..24 if name != "job" => self.ask(act(Act::Restart { force: false }, &name), Asked::Up { name }),
            24..36 => self.set_enabled(&name),
            36..46 => self.pause_or_resume(name),
            46..60 => self.read_file(),
            60..66 => self.scale(),
            66..70 => self.ask(Request::Command(Command::Confirm), Asked::Other),
            70..82 => {
                self.file = self.file.changed(&mut self.random);
                self.write_file();
                Ok(())
            }
            82..86 => self.run_by_hand(),
            86..92 => {
                let struck = self.system.strike(self.now, &mut self.random);
                self.note(format!("{struck:?} is killed by somebody"));
                // What dies again and again is given up.
                if let Some(name) = &struck {
                    self.model.wanted.remove(name);
                }
                Ok(())
            }
            92..95 => self.die(),
            95..98 => self.move_clock(),
            _ => Ok(()),
        }
    }

    fn start_or_make(&mut self, name: &str, enable: bool) -> Result<(), String> {
        let is_there = self.model.programs.contains_key(name);
        if is_there || !INSTANCES.contains(&name) {
            return match enable {
                true => self.ask_enabled(name, true),
                false => self.ask(act(Act::Start, name), Asked::Up { name: name.to_owned() }),
            };
        }
        if self.reading.is_some() {
            return Ok(());
        }
        let asked = Asked::Make { name: name.to_owned(), enable };
        match enable {
            true => self.ask(enabling(name, true), asked),
            false => self.ask(act(Act::Start, name), asked),
        }
    }

    fn set_enabled(&mut self, name: &str) -> Result<(), String> {
        match self.random.chance(50) {
            true => self.start_or_make(name, true),
            false => self.ask_enabled(name, false),
        }
    }

    fn ask_enabled(&mut self, name: &str, enabled: bool) -> Result<(), String> {
        self.ask(enabling(name, enabled), Asked::SetEnabled { name: name.to_owned(), enabled })
    }

    fn pause_or_resume(&mut self, name: String) -> Result<(), String> {
        let command = match self.random.chance(60) {
            true => Command::Pause { name },
            false => Command::Resume { name },
        };
        self.ask(Request::Command(command), Asked::Other)
    }

    fn read_file(&mut self) -> Result<(), String> {
        if self.reading.is_some() {
            return Ok(());
        }
        let (command, asked) =
            match self.random.pick(&[None, Some(None), Some(Some(1)), Some(Some(20)), Some(Some(60))]) {
                None => (Command::Reload { timeout: None }, Asked::Reload),
                Some(confirm) => {
                    let command = Command::Update { confirm: confirm.map(Duration::from_secs), timeout: None };
                    (command, Asked::Update { confirm })
                }
            };
        self.ask(Request::Command(command), asked)
    }

    fn scale(&mut self) -> Result<(), String> {
        if self.reading.is_some() {
            return Ok(());
        }
        let (instances, save) = (self.random.small(5), self.random.chance(60));
        let command = Command::Scale { program: "web".to_owned(), instances, save, timeout: None };
        self.ask(Request::Command(command), Asked::Scale { instances, save })
    }

    #[cfg(feature = "attach")]
    fn run_by_hand(&mut self) -> Result<(), String> {
        let name = self.random.pick(&["t0", "t1"]);
        let request = match self.random.below(5) {
            0..2 => Request::Command(Command::Run(super::super::transients::run(Some(name), false))),
            2 => act(Act::Stop, name),
            3 => Request::Query(Query::Status { name: Some(name.to_owned()), offset: 0 }),
            _ => enabling(name, false),
        };
        self.ask(request, Asked::Other)
    }

    #[cfg(not(feature = "attach"))]
    fn run_by_hand(&mut self) -> Result<(), String> {
        self.ask(Request::Query(Query::Ping), Asked::Other)
    }

    /// The daemon ends, in order or not, and another one begins.
    fn die(&mut self) -> Result<(), String> {
        let is_orderly = self.random.chance(40);
        self.count(if is_orderly { "ended" } else { "killed" });
        let most = self.random.below(self.system.unwritten() as u64 + 1);
        self.system.write(if is_orderly { usize::MAX } else { usize::try_from(most).expect("few") });
        self.note(format!("the daemon dies, in order: {is_orderly}, after {most} writes"));
        self.system.die();
        (self.reading, self.loading) = (None, None);
        self.asked.clear();
        if self.file.is_broken {
            self.file.is_broken = false;
            self.write_file();
        }
        self.boot()
    }

    /// Somebody asks for this.
    pub(super) fn ask(&mut self, request: Request, asked: Asked) -> Result<(), String> {
        let id = RequestId(self.requests);
        self.requests += 1;
        self.note(format!("{id:?} {request:?}"));
        if asked.reads_file() {
            self.reading = Some((id, asked.clone()));
        }
        self.asked.insert(id, asked.clone());
        self.system.open.insert(id);
        let acts = acts_on(&request);
        self.model.asking = Some((id, asked, acts));
        self.turn(|engine, now| engine.handle(now, Input::Request { id, by: client(), request }))
    }

    /// What this turn has told.
    pub(super) fn settle_turn(&mut self) -> Result<(), String> {
        if let Some(broken) = self.system.broken.take() {
            return Err(broken);
        }
        let answers = std::mem::take(&mut self.system.answers);
        if std::mem::take(&mut self.system.has_rolled_back) {
            self.count("taken back");
            self.model.up = self.up_before.clone();
            self.model.rolled_back()?;
        }
        let refused =
            |id: RequestId| answers.iter().find(|(other, _)| *other == id).is_some_and(|(_, it)| is_refusal(it));
        if let Some((id, asked, acts)) = self.model.asking.take().filter(|(id, ..)| !refused(*id)) {
            self.taken(id, &asked, acts);
        }
        if self.loading.is_some() {
            // It is read once more.
            self.model.read = None;
        }
        if self.model.read.is_some()
            && let Some((id, asked)) = self.reading.take()
        {
            let is_taken = !refused(id);
            self.model.judge_reading(&asked, is_taken)?;
            if is_taken {
                self.was_applied(id, &asked);
            }
            self.model.read = None;
        }
        for (id, answer) in answers {
            self.answered(id, &answer)?;
        }
        self.judge_turn()
    }

    /// A request was taken: what it changes at once.
    fn taken(&mut self, id: RequestId, asked: &Asked, acts: Option<(Act, String)>) {
        if let Asked::SetEnabled { name, enabled } = asked {
            self.count(if *enabled { "enabled" } else { "disabled" });
            self.model.set_enabled(name, *enabled);
            self.model.promised.insert(id, self.model.places());
            if !enabled && self.is_wanted_up(name) {
                self.model.by_hand.insert(name.clone());
            }
        }
        let Some((act, name)) = acts.filter(|_| !asked.reads_file()) else { return };
        self.acted(act, name);
    }

    fn acted(&mut self, act: Act, name: String) {
        if !self.model.programs.contains_key(&name) {
            return;
        }
        let is_up = matches!(act, Act::Start | Act::Restart { .. });
        self.count(if is_up { "started" } else { "stopped" });
        if is_up && (name == "front" || name.starts_with("web")) {
            // It may be started for these.
            self.model.wanted.remove("db");
        }
        if is_up {
            self.model.by_hand.insert(name.clone());
        }
        self.model.job_asked |= is_up && name == "job";
        self.model.wanted.insert(name, is_up);
    }

    fn was_applied(&mut self, id: RequestId, asked: &Asked) {
        let there: BTreeSet<String> = self.configured().into_keys().collect();
        self.model.up = self.up_before.clone();
        self.model.applied(asked, &there);
        self.model.promised.insert(id, self.model.places());
        match asked {
            Asked::Reload => self.count("reloaded"),
            Asked::Update { confirm: None } => self.count("updated"),
            Asked::Update { confirm: Some(_) } => self.count("to be confirmed"),
            Asked::Scale { .. } => self.count("scaled"),
            Asked::Make { name, enable: false } => {
                self.count("made");
                self.acted(Act::Start, name.clone());
            }
            Asked::Make { name, enable: true } => {
                self.count("made and enabled");
                self.model.set_enabled(name, true);
                self.model.promised.insert(id, self.model.places());
            }
            Asked::SetEnabled { .. } | Asked::Up { .. } | Asked::Other => {}
        }
        if matches!(asked, Asked::Update { confirm: Some(_) }) && !std::mem::take(&mut self.system.commit_begins) {
            // Nothing has changed.
            self.model.commit = None;
        }
    }

    fn answered(&mut self, id: RequestId, answer: &Answer) -> Result<(), String> {
        if !self.system.open.remove(&id) && !self.system.delegated.remove(&id) {
            return Err(format!("{id:?} is answered, which is not open: {answer:?}"));
        }
        self.note(format!("{id:?} -> {}", answer.as_ref().map_or_else(ToString::to_string, ToString::to_string)));
        let asked = self.asked.remove(&id);
        if self.reading.as_ref().is_some_and(|(reading, _)| *reading == id) {
            // It was refused before the file was read.
            self.reading = None;
        }
        match answer {
            Ok(Reply::Confirmed) => {
                self.count("confirmed");
                self.model.commit.take().map(drop).ok_or_else(|| "nothing was to be confirmed".to_owned())?;
            }
            Ok(Reply::NothingChanged) => {
                self.count("confirmed without a change");
                if self.model.commit.is_some() {
                    return Err("an update was to be confirmed".to_owned());
                }
            }
            Ok(Reply::Paused { .. }) => self.count("paused"),
            Ok(Reply::Resumed { .. }) => self.count("resumed"),
            Ok(Reply::RunBegun { .. }) => self.count("run"),
            Ok(_) | Err(_) => {}
        }
        let promised = self.model.promised.remove(&id);
        let is_kept = match asked {
            Some(Asked::SetEnabled { .. } | Asked::Make { enable: true, .. } | Asked::Scale { save: true, .. }) => true,
            Some(
                Asked::Reload
                | Asked::Update { .. }
                | Asked::Scale { .. }
                | Asked::Make { .. }
                | Asked::Up { .. }
                | Asked::Other,
            )
            | None => false,
        };
        if let (Some([disabled, enabled, saved]), true, Ok(_)) = (promised, is_kept, answer) {
            self.model.disabled.is_kept(disabled);
            self.model.enabled.is_kept(enabled);
            self.model.saved.is_kept(saved);
        }
        Ok(())
    }
}

fn enabling(name: &str, enabled: bool) -> Request {
    Request::Command(Command::SetEnabled { name: name.to_owned(), enabled })
}

fn acts_on(request: &Request) -> Option<(Act, String)> {
    match request {
        Request::Command(Command::Act { act, on: Selector::Process(name), .. }) => Some((*act, name.clone())),
        Request::Command(_) | Request::Query(_) | Request::Watch(_) => None,
    }
}

/// Nothing was done, in contrast to something that has come to another end.
fn is_refusal(answer: &Answer) -> bool {
    match answer {
        Ok(_) => false,
        Err(
            Refusal::NotReached { .. }
            | Refusal::WaitFailed { .. }
            | Refusal::ReloadIncomplete { .. }
            | Refusal::UpdateIncomplete { .. }
            | Refusal::UpdateTakenBack { .. },
        ) => false,
        Err(_) => true,
    }
}
