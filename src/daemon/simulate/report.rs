//! What a simulation prints: a line for each thing that happens, then how it stands at the end; for people, or as JSON.

use std::time::Duration;

use serde::Serialize;

use super::date;
use crate::api::{Announcement, StatusRow};
use crate::core::simulation::{FinalState, Outcome, Plan, SimulationEvent, StepKind};
use crate::models::SupervisorConfig;
use crate::process::{Cause, Moment, ProcessState};
use crate::util::width::columns;

/// Columns of `STARTING -> UNHEALTHY`, the longest pair of states that there is.
const STATES: usize = 21;
/// The state of a program that is being executed.
const STARTING: &str = ProcessState::Starting.as_str();

/// Why it does not end well, in one line; `None`: it does.
pub(super) fn trouble(outcome: &Outcome) -> Option<String> {
    let named = |what: &str, is_meant: &dyn Fn(FinalState) -> bool| {
        let rows = outcome.rows.iter().filter(|(_, prospect)| is_meant(*prospect));
        let names: Vec<&str> = rows.map(|(row, _)| row.program.name.as_str()).collect();
        (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")))
    };
    let ended = outcome.decision.as_ref().filter(|decision| decision.code != 0);
    let parts = [
        named("FATAL", &|prospect| prospect == FinalState::Fatal),
        named("FATAL later", &|prospect| matches!(prospect, FinalState::Later(ProcessState::Fatal, _))),
        named("waits for ever", &|prospect| prospect == FinalState::WaitsForEver),
        ended.map(|decision| format!("the daemon ends with exit code {}: {decision}", decision.code)),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn seconds(at: Duration) -> String {
    format!("{:.3}", at.as_secs_f64())
}

/// Something that has happened, as it is printed.
struct Row<'h> {
    program: &'h str,
    states: Option<(&'static str, &'static str)>,
    pid: Option<i32>,
    text: String,
    cause: Option<&'h Cause>,
}

impl<'h> Row<'h> {
    /// `None`: it is not worth a line.
    fn of(happening: &'h SimulationEvent) -> Option<Row<'h>> {
        let other = |text: String| Row { program: "", states: None, pid: None, text, cause: None };
        match happening {
            SimulationEvent::Announced(announcement) => match &**announcement {
                Announcement::Transition { program, transition, .. } => Some(Row {
                    program: &program.name,
                    states: Some((transition.from.as_str(), transition.to.as_str())),
                    pid: transition.pid,
                    text: transition.cause.to_string(),
                    cause: Some(&transition.cause),
                }),
                Announcement::Noted { program, state, pid, cause, .. } => Some(Row {
                    program: &program.name,
                    states: Some((state.as_str(), state.as_str())),
                    pid: *pid,
                    text: cause.to_string(),
                    cause: Some(cause),
                }),
                // They come again and again.
                Announcement::Health { .. } | Announcement::Spawned { .. } | Announcement::Begun => None,
                Announcement::Output { .. }
                | Announcement::ExecFailedLate { .. }
                | Announcement::Shortage { .. }
                | Announcement::UnknownSenderNotified { .. }
                | Announcement::TaskSignalled { .. }
                | Announcement::HookFailed { .. }
                | Announcement::NoticeLost { .. }
                | Announcement::Asked { .. }
                | Announcement::Denied { .. }
                | Announcement::Orphans(_)
                | Announcement::RemoteEvent { .. }
                | Announcement::LogsReopened
                | Announcement::ClockSet { .. }
                | Announcement::Failed(_)
                | Announcement::Reload(_)
                | Announcement::Shutdown(_) => Some(other(announcement.to_string())),
            },
            SimulationEvent::Executed { program, pid } => Some(Row {
                program: &program.name,
                states: Some((STARTING, STARTING)),
                pid: Some(*pid),
                ..other(format!("it waits no longer, and is executed (pid {pid})"))
            }),
            SimulationEvent::NothingToFail { program } => {
                Some(Row { program: &program.name, ..other("it does not run and can't fail (--fail)".to_owned()) })
            }
            // What was reached stands in the lines before.
            SimulationEvent::Answered(answer) => {
                answer.as_ref().as_ref().err().map(|refusal| other(refusal.to_string()))
            }
        }
    }
}

/// For people.
pub(super) struct Text {
    text: String,
    /// When it has begun, where that was asked for.
    date: Option<i64>,
    /// Columns of the times.
    times: usize,
    /// Columns of the names.
    names: usize,
}

impl Text {
    pub(super) fn new(config: &SupervisorConfig, plan: &Plan) -> Text {
        let reloaded = plan.steps.iter().filter_map(|step| match &step.what {
            StepKind::Reload { found } => Some(&found.config),
            StepKind::Fail { .. } | StepKind::Write { .. } | StepKind::Stop { .. } | StepKind::SetFlag { .. } => None,
        });
        let programs = reloaded.chain([config]).flat_map(|config| &config.programs);
        let names = programs.map(|program| columns(&program.name)).max().unwrap_or(0).max("PROGRAM".len());
        let mut text = Text { text: String::new(), date: plan.date, times: 0, names };
        text.times = text.time(plan.duration).len();
        text.line("TIME", "PROGRAM", "FROM -> TO", "CAUSE");
        text
    }

    /// Since the beginning, or what a clock shows.
    fn time(&self, at: Duration) -> String {
        self.date.map_or_else(|| seconds(at), |began| date::shown(began, at))
    }

    fn line(&mut self, time: &str, program: &str, states: &str, text: &str) {
        let pad = |text: &str, width: usize| " ".repeat(width.saturating_sub(columns(text)));
        let (before, after) = (pad(time, self.times), pad(program, self.names));
        self.text.push_str(&format!("{before}{time}  {program}{after}  {states}{}  {text}\n", pad(states, STATES)));
    }

    pub(super) fn add(&mut self, at: Duration, happening: &SimulationEvent) {
        let Some(row) = Row::of(happening) else { return };
        let states = match row.states {
            Some((from, to)) if from == to => from.to_owned(),
            Some((from, to)) => format!("{from} -> {to}"),
            None => String::new(),
        };
        self.line(&self.time(at), row.program, &states, &row.text);
    }

    /// All of it.
    pub(super) fn end(mut self, outcome: &Outcome) -> String {
        self.text.push_str(&format!("\nAfter {} s:\n", outcome.at.as_secs_f64()));
        for (row, prospect) in &outcome.rows {
            let (name, state) = (&row.program.name, row.state.as_str());
            let padding = " ".repeat(self.names.saturating_sub(columns(name)));
            let later = match prospect {
                FinalState::Later(state, at) => format!("; {state} at {}", self.time(*at)),
                FinalState::WaitsForEver => "; waits for ever".to_owned(),
                FinalState::Fine | FinalState::Fatal => String::new(),
            };
            let described = row.describe(outcome.now);
            self.text.push_str(&format!("{name}{padding}  {state:<9}  {described}{later}\n"));
        }
        self.text
    }
}

/// Something that has happened.
#[derive(Serialize)]
struct JsonRow<'h> {
    time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    date: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'h str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    cause: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause_data: Option<&'h Cause>,
}

/// A process at the end.
#[derive(Serialize)]
struct JsonProcess<'h> {
    name: &'h str,
    state: &'static str,
    description: String,
    /// `fine`, `fatal`, `later` or `waits_for_ever`.
    prospect: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    later_state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    later_at: Option<f64>,
}

impl<'h> JsonProcess<'h> {
    fn of(row: &'h StatusRow, prospect: FinalState, now: Moment) -> Self {
        let (word, later) = match prospect {
            FinalState::Fine => ("fine", None),
            FinalState::Fatal => ("fatal", None),
            FinalState::WaitsForEver => ("waits_for_ever", None),
            FinalState::Later(state, at) => ("later", Some((state, at))),
        };
        JsonProcess {
            name: &row.program.name,
            state: row.state.as_str(),
            description: row.describe(now),
            prospect: word,
            later_state: later.map(|(state, _)| state.as_str()),
            later_at: later.map(|(_, at)| at.as_secs_f64()),
        }
    }
}

/// For programs.
pub(super) struct Json {
    date: Option<i64>,
    timeline: Vec<String>,
}

impl Json {
    pub(super) fn new(plan: &Plan) -> Json {
        Json { date: plan.date, timeline: Vec::new() }
    }

    pub(super) fn add(&mut self, at: Duration, happening: &SimulationEvent) {
        let Some(Row { program, states, pid, text, cause }) = Row::of(happening) else { return };
        let (from_state, to_state) = states.unzip();
        let row = JsonRow {
            time: at.as_secs_f64(),
            date: self.date.map(|began| date::shown(began, at)),
            name: program,
            from_state,
            to_state,
            pid,
            cause: text,
            cause_data: cause,
        };
        // Strings and numbers always serialize.
        self.timeline.push(serde_json::to_string(&row).unwrap_or_default());
    }

    /// All of it, as one object.
    pub(super) fn end(self, outcome: &Outcome) -> String {
        let rows = outcome.rows.iter();
        let processes: Vec<String> = rows
            .map(|(row, prospect)| JsonProcess::of(row, *prospect, outcome.now))
            .map(|process| serde_json::to_string(&process).unwrap_or_default())
            .collect();
        let code =
            outcome.decision.as_ref().map_or_else(String::new, |decision| format!(r#","exit_code":{}"#, decision.code));
        format!(
            "{{\"ok\":{},\"time\":{:?}{code},\"processes\":[{}],\"timeline\":[{}]}}\n",
            trouble(outcome).is_none(),
            outcome.at.as_secs_f64(),
            processes.join(","),
            self.timeline.join(",")
        )
    }
}
