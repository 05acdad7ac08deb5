//! What `--simulate` is told: when it ends, what gets ready when, what fails, and what an operator does.

use super::date;
use std::path::Path;
use std::time::Duration;

use crate::config::{self, ConfigError, Diagnostic, LoadOptions};
use crate::core::simulation::{
    Fault as PlannedFault, Part, Plan, ReadyAfter, Step, StepKind, selects, watched_patterns,
};
use crate::daemon::args::SimulateOptions;
use crate::models::{
    DependencyTarget, HealthCheckType, Hook, ProgramConfig, ProgramType, Readiness, StartCondition, SupervisorConfig,
};
use crate::process::{Exit, signal_number};
use crate::util::did_you_mean::closest;

/// How long a simulation takes unless it is told.
const DURATION: Duration = Duration::from_secs(60);
/// No time of it may be longer: ten years.
const MAX_SPAN: Duration = Duration::from_secs(3_652 * 86_400);

/// Why there is nothing to simulate.
#[derive(Debug)]
pub(super) enum Fault {
    /// An option is wrong.
    Usage(String),
    /// A file that an option names is.
    File(String),
}

impl SimulateOptions {
    /// What they ask for with this configuration, and warnings about the files of reloads.
    pub(super) fn plan(&self, config: &SupervisorConfig, load: LoadOptions) -> Result<(Plan, Vec<Diagnostic>), Fault> {
        let duration =
            self.duration.as_deref().map_or(Ok(DURATION), |text| span(text).map_err(wrong("--for", text)))?;
        let mut reader = Reader { duration, programs: config.programs.clone(), warnings: Vec::new() };
        let date = self.date.as_deref().map(|text| date::moment(text).map_err(wrong("--date", text))).transpose()?;
        let mut plan = Plan { duration, date, ..Plan::default() };
        // First: the others may name programs that come with a reload.
        for text in &self.reload {
            plan.steps.push(reader.reload(text, load)?);
        }
        for text in &self.fail {
            reader.fail(text, &mut plan).map_err(wrong("--fail", text))?;
        }
        for text in &self.stop {
            plan.steps.push(reader.stop(text).map_err(wrong("--stop", text))?);
        }
        for text in &self.ready {
            reader.ready(text, &mut plan).map_err(wrong("--ready", text))?;
        }
        Ok((plan, reader.warnings))
    }
}

/// An option that is wrong, and why.
fn wrong(option: &str, text: &str) -> impl FnOnce(String) -> Fault {
    move |fault| Fault::Usage(format!("{option} '{text}': {fault}"))
}

/// A span of time: `2`, `2s`, `1.5s`, `500ms`, `5m`, `2h`, `1d`.
fn span(text: &str) -> Result<Duration, String> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let seconds = match unit {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => f64::NAN,
    };
    let span = number.parse::<f64>().ok().and_then(|number| Duration::try_from_secs_f64(number * seconds).ok());
    span.filter(|span| *span <= MAX_SPAN)
        .ok_or_else(|| format!("'{text}' is no span of time; write 2s, 500ms, 5m, 2h or 1d"))
}

/// What `--fail` looks like.
const FAIL_FORM: &str = "NAME@TIME=exit:CODE, NAME@TIME=signal:NAME or NAME@TIME=line:TEXT, or, for what fails from then on, \
                         NAME@TIME=health, ready, watchdog, output, or the name of a hook; for instance db@5s=exit:1 or db@5s..20s=health";

/// How a process ends.
fn exit(text: &str) -> Result<Exit, String> {
    match text.split_once(':') {
        Some(("exit", code)) => {
            code.parse().map(Exit::Code).map_err(|_| format!("'{code}' is no exit code; they go from 0 to 255"))
        }
        Some(("signal", name)) => signal_number(name)
            .map(Exit::Signal)
            .ok_or_else(|| format!("'{name}' is no signal; write for instance signal:SEGV")),
        Some(_) | None => Err(format!("'{text}' is nothing that can happen to a process; write {FAIL_FORM}")),
    }
}

/// What of a program fails, while it goes on itself.
fn part(text: &str) -> Option<Part> {
    match text {
        "health" => Some(Part::Health),
        "ready" => Some(Part::Readiness),
        "watchdog" => Some(Part::Watchdog),
        "output" => Some(Part::Output),
        hook => Hook::ALL.into_iter().find(|known| known.as_str() == hook).map(Part::Hook),
    }
}

/// Whether a program has such a part.
fn has(program: &ProgramConfig, part: Part) -> bool {
    match part {
        Part::Health => program.healthcheck.check_type != HealthCheckType::None,
        Part::Readiness => match program.ready {
            Readiness::Accepts(_) | Readiness::Http(_) | Readiness::Command(_) => true,
            Readiness::Startsecs
            | Readiness::Notify
            | Readiness::Fd(_)
            | Readiness::FdVariable(_)
            | Readiness::Path(_)
            | Readiness::Log(_)
            | Readiness::Health => false,
        },
        Part::Watchdog => program.watchdog > 0,
        Part::Output => program.restart.output_watch.iter().any(|rule| rule.silence().is_some()),
        Part::Hook(hook) => !hook.of(program).is_empty(),
    }
}

/// What is to be said where none of the programs that are meant has it.
fn lacks(part: Part) -> String {
    match part {
        Part::Health => "has no health check (healthcheck_type)".to_owned(),
        Part::Readiness => "is not asked whether it is ready (ready = tcp, unix, http or command); \
                            for one that never gets ready there is --ready NAME=never"
            .to_owned(),
        Part::Watchdog => "has no watchdog (watchdog)".to_owned(),
        Part::Output => "is not watched for silence (output_watch = silence:SECONDS)".to_owned(),
        Part::Hook(hook) => format!("has no {hook}"),
    }
}

/// Reads options against the programs that there are.
struct Reader {
    duration: Duration,
    /// Those of the configuration and of all reloads.
    programs: Vec<ProgramConfig>,
    warnings: Vec<Diagnostic>,
}

impl Reader {
    /// `WHAT@TIME`, where the time is within the simulation.
    fn at_time<'t>(&self, text: &'t str, form: &str) -> Result<(&'t str, Duration), String> {
        let (what, at) =
            text.rsplit_once('@').filter(|(what, _)| !what.is_empty()).ok_or_else(|| format!("write {form}"))?;
        let at = span(at)?;
        if at > self.duration {
            let end = self.duration.as_secs_f64();
            return Err(format!("the simulation ends at {end} s, before that; give it more time with --for"));
        }
        Ok((what, at))
    }

    /// A process ends, or a part of it fails.
    fn fail(&self, text: &str, plan: &mut Plan) -> Result<(), String> {
        if let Some((rest, line)) = text.split_once("=line:") {
            plan.steps.push(self.write(rest, line)?);
            return Ok(());
        }
        let (rest, what) = text.rsplit_once('=').ok_or_else(|| format!("write {FAIL_FORM}"))?;
        match part(what) {
            Some(part) => plan.faults.push(self.fault(rest, part)?),
            None => {
                let (name, at) = self.at_time(rest, FAIL_FORM)?;
                let exit = exit(what)?;
                plan.steps.push(Step { at, what: StepKind::Fail { on: self.target(name)?, exit } });
            }
        }
        Ok(())
    }

    /// A process writes a line that it is watched for.
    fn write(&self, text: &str, line: &str) -> Result<Step, String> {
        let (name, at) = self.at_time(text, FAIL_FORM)?;
        let on = self.target(name)?;
        let mut meant = self.programs.iter().filter(|program| selects(&on, program));
        if meant.all(|program| watched_patterns(program, line).is_empty()) {
            return Err(format!("{name} is not watched for such a line (output_watch = pattern:REGEX)"));
        }
        Ok(Step { at, what: StepKind::Write { on, line: line.to_owned() } })
    }

    /// `NAME@TIME` or `NAME@TIME..TIME`.
    fn fault(&self, text: &str, part: Part) -> Result<PlannedFault, String> {
        let (begin, end) = match text.rsplit_once("..") {
            Some((begin, end)) => (begin, Some(span(end)?)),
            None => (text, None),
        };
        let (name, from) = self.at_time(begin, FAIL_FORM)?;
        if end.is_some_and(|end| end <= from) {
            return Err("it ends before it begins".to_owned());
        }
        let on = self.target(name)?;
        let mut meant = self.programs.iter().filter(|program| selects(&on, program));
        if !meant.any(|program| has(program, part)) {
            return Err(format!("{name} {}", lacks(part)));
        }
        Ok(PlannedFault { on, part, from, until: end })
    }

    fn stop(&self, text: &str) -> Result<Step, String> {
        let (name, at) = self.at_time(text, "NAME@TIME, for instance db@10s")?;
        Ok(Step { at, what: StepKind::Stop { on: self.target(name)? } })
    }

    fn reload(&mut self, text: &str, load: LoadOptions) -> Result<Step, Fault> {
        let (file, at) = self.at_time(text, "FILE@TIME, for instance new.conf@20s").map_err(wrong("--reload", text))?;
        let found = config::load(Path::new(file), &LoadOptions { reload: true, ..load });
        let found = found.map_err(|error| match error {
            // Its own text names another option.
            ConfigError::NotFound { .. } => Fault::File(format!("--reload '{text}': there is no file {file}")),
            ConfigError::Read { .. } | ConfigError::Validation(_) | ConfigError::Log(_) => {
                Fault::File(format!("--reload '{text}': {error}"))
            }
        })?;
        self.programs.extend(found.config.programs.iter().cloned());
        self.warnings.extend(found.warnings.iter().cloned());
        Ok(Step { at, what: StepKind::Reload { found: Box::new(found) } })
    }

    fn ready(&self, text: &str, plan: &mut Plan) -> Result<(), String> {
        let form = || "write NAME=TIME or NAME=never, for instance db=2s".to_owned();
        let (what, after) = text.rsplit_once('=').filter(|(what, _)| !what.is_empty()).ok_or_else(form)?;
        let after: ReadyAfter = if after == "never" { None } else { Some(span(after)?) };
        let known = |program: &ProgramConfig| program.name == what;
        match StartCondition::parse(what).filter(|_| !self.programs.iter().any(known)) {
            Some(condition) => {
                self.condition(&condition)?;
                plan.conditions.push((condition, after));
            }
            None => {
                let target = self.target(what)?;
                self.can_be_ready(&target)?;
                plan.readiness.push((target, after));
            }
        }
        Ok(())
    }

    /// Some program waits for this before it starts.
    fn condition(&self, condition: &StartCondition) -> Result<(), String> {
        let mut all = self.programs.iter().flat_map(|program| &program.start_when);
        if all.any(|known| known == condition) {
            return Ok(());
        }
        let known: Vec<String> =
            self.programs.iter().flat_map(|program| &program.start_when).map(ToString::to_string).collect();
        let text = condition.to_string();
        Err(match closest(&text, known.iter().map(String::as_str)) {
            Some(nearest) => format!("no program waits for that before it starts; did you mean {nearest}?"),
            None => "no program waits for that before it starts (start_when)".to_owned(),
        })
    }

    /// Something tells when one of these is ready, or it comes to its end.
    fn can_be_ready(&self, target: &DependencyTarget) -> Result<(), String> {
        let by_time = |program: &ProgramConfig| {
            program.program_type == ProgramType::Simple && program.ready == Readiness::Startsecs
        };
        let mut meant = self.programs.iter().filter(|program| selects(target, program));
        match meant.next() {
            Some(first) if by_time(first) && meant.all(by_time) => Err(format!(
                "{} counts as RUNNING when it has lived for startsecs ({} s), whatever it does; change startsecs, or give it a \
                 readiness of its own (ready = …)",
                first.name, first.startsecs
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// The processes of this name: a program, an instance, or `group:NAME`.
    fn target(&self, name: &str) -> Result<DependencyTarget, String> {
        let by_group = |group: &str| DependencyTarget::Group(group.to_owned());
        let target = name.strip_prefix("group:").map_or_else(|| DependencyTarget::Program(name.to_owned()), by_group);
        if self.programs.iter().any(|program| selects(&target, program)) {
            return Ok(target);
        }
        if self.programs.iter().any(|program| program.group_name() == name) {
            return Err(format!("'{name}' is a group; write group:{name} for its members"));
        }
        Err(match closest(name, self.programs.iter().map(|program| program.name.as_str())) {
            Some(nearest) => format!("no program '{name}'; did you mean {nearest}?"),
            None => format!("no program '{name}'; supervice --check --graph lists them"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_units() {
        let all = [
            ("2", 2_000),
            ("2s", 2_000),
            ("1.5s", 1_500),
            ("500ms", 500),
            ("5m", 300_000),
            ("1d", 86_400_000),
            ("0", 0),
        ];
        for (text, millis) in all {
            assert_eq!(span(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "-1s", "2 s", "1w", "nan", "infs", "inf", "1e3", "999999999999d", "1.2.3"] {
            assert!(span(text).is_err(), "{text}: {:?}", span(text));
        }
    }
}
