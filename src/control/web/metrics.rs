//! `GET /metrics`: OpenMetrics to who asks for it, else the text format of Prometheus; they differ in how a counter is
//! declared. What the kernel tells of the programs comes from [`usage`](super::usage).

use std::fmt::{Display, Write};
use std::time::Duration;

use super::command::answered;
use super::oom;
use super::step::{Context, Step};
use super::usage::{UsageSample, samples_while};
use crate::api::{DaemonFigures, Metrics, Reply, Request, SpawnLatency, StatusRow, WallClock, Watch};
use crate::codec::http::{self, Response, Status};
use crate::process::{Exit, ProcessState};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Every state, as a label.
const STATES: [ProcessState; 8] = [
    ProcessState::Stopped,
    ProcessState::Starting,
    ProcessState::Running,
    ProcessState::Unhealthy,
    ProcessState::Backoff,
    ProcessState::Stopping,
    ProcessState::Exited,
    ProcessState::Fatal,
];

/// `GET /metrics`
pub(super) fn metrics(request: &http::Request, _: Context) -> Step {
    let is_open = request.head.accepts("application/openmetrics-text");
    let kind = if is_open { OPEN_METRICS } else { PROMETHEUS };
    Step::ask(Request::Watch(Watch::Metrics), move |answer, context| match answer {
        Ok(Reply::Metrics(metrics)) => Step::Work(Box::new(move || {
            let begin = || begin(&metrics, context.clock, is_open);
            let (samples, families) = samples_while(&metrics.rows, metrics.now, begin);
            Step::Respond(Response::new(Status::Ok, kind, end(families, &samples).into_bytes()))
        })),
        other => answered(other, context),
    })
}

/// The families so far: their names, types and help, and a sample for each row that has one.
struct Families<'a> {
    text: String,
    rows: &'a [StatusRow],
    /// The labels that all samples of a row have, but for the closing brace: written down once.
    labels: Vec<String>,
    is_open: bool,
}

impl<'a> Families<'a> {
    fn new(rows: &'a [StatusRow], is_open: bool) -> Self {
        let labels = |row: &StatusRow| {
            let (name, group) = (Escaped(&row.program.name), Escaped(row.program.group_name()));
            format!("{{name=\"{name}\",group=\"{group}\"")
        };
        let labels = rows.iter().map(labels).collect();
        Families { text: String::with_capacity(rows.len() * 2048 + 4096), rows, labels, is_open }
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// A counter is declared without the ending of its samples, or with it.
    fn counter_head(&mut self, name: &str, help: &str) {
        let total = if self.is_open { "" } else { "_total" };
        self.head(&format!("{name}{total}"), "counter", help);
    }

    /// `labels` are those of the sample alone.
    fn sample(&mut self, name: &str, number: usize, labels: &str, value: &dyn Display) {
        let shared = self.labels.get(number).map_or("{", String::as_str);
        for part in [name, shared, labels, "} "] {
            self.text.push_str(part);
        }
        let _ = writeln!(self.text, "{value}");
    }

    fn samples<V: Display>(&mut self, name: &str, value: impl Fn(&StatusRow, usize) -> Option<V>) {
        let rows = self.rows;
        for (number, row) in rows.iter().enumerate() {
            if let Some(value) = value(row, number) {
                self.sample(name, number, "", &value);
            }
        }
    }

    fn gauge<V: Display>(&mut self, name: &str, help: &str, value: impl Fn(&StatusRow, usize) -> Option<V>) {
        self.head(name, "gauge", help);
        self.samples(name, value);
    }

    fn counter<V: Display>(&mut self, name: &str, help: &str, value: impl Fn(&StatusRow, usize) -> Option<V>) {
        self.counter_head(name, help);
        self.samples(&format!("{name}_total"), value);
    }

    /// 1 for the state that each is in, 0 for all others. Most samples are of this family.
    fn states(&mut self) {
        let name = "supervice_process_state";
        self.head(name, "gauge", "1 for the state that the process is in.");
        let endings = STATES.map(|state| [0, 1].map(|value| format!(",state=\"{state}\"}} {value}\n")));
        for (row, labels) in self.rows.iter().zip(&self.labels) {
            for (state, [no, yes]) in STATES.iter().zip(&endings) {
                for part in [name, labels, if row.state == *state { yes } else { no }] {
                    self.text.push_str(part);
                }
            }
        }
    }
}

impl Families<'_> {
    /// One sample without a label.
    fn plain(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        let total = if kind == "counter" { "_total" } else { "" };
        if kind == "counter" {
            self.counter_head(name, help);
        } else {
            self.head(name, kind, help);
        }
        let _ = writeln!(self.text, "{name}{total} {value}");
    }

    /// What the daemon counts of itself.
    fn daemon(&mut self, metrics: &Metrics, clock: WallClock) {
        let Metrics { daemon, began, now, .. } = metrics;
        let DaemonFigures { spawns, longest_turn, reloads, failed_reloads, last_reload_failed, denied, connections } =
            daemon;
        self.plain(
            "supervice_start_time_seconds",
            "gauge",
            "Start time of the daemon, in seconds since 1970.",
            clock.stamp(*began),
        );
        let uptime = now.saturating_duration_since(*began).as_secs_f64();
        self.plain("supervice_uptime_seconds", "gauge", "Time since the daemon started, in seconds.", uptime);
        self.counter_head("supervice_reloads", "Reloads and updates, by result.");
        let _ = write!(
            self.text,
            "supervice_reloads_total{{result=\"applied\"}} {reloads}\nsupervice_reloads_total{{result=\"failed\"}} {failed_reloads}\n"
        );
        let is_good = u8::from(!last_reload_failed);
        self.plain("supervice_config_good", "gauge", "0 if the last configuration could not be applied.", is_good);
        self.plain("supervice_connections", "gauge", "Connected clients.", connections);
        let help = "Requests refused because no access rule allows them.";
        self.plain("supervice_refused_requests", "counter", help, denied);
        let help = "Longest turn of the dispatcher since the daemon started, in seconds.";
        self.plain("supervice_longest_turn_seconds", "gauge", help, longest_turn.as_secs_f64());
        self.spawns(spawns);
    }

    fn spawns(&mut self, SpawnLatency { counts, sum }: &SpawnLatency) {
        let name = "supervice_spawn_latency_seconds";
        self.head(name, "histogram", "From the decision to start a program until it was executed.");
        let mut so_far = 0;
        for (count, bound) in counts.iter().zip(SpawnLatency::BOUNDS_US) {
            so_far += count;
            let bound = Duration::from_micros(bound).as_secs_f64();
            let _ = writeln!(self.text, "{name}_bucket{{le=\"{bound:?}\"}} {so_far}");
        }
        let all: u64 = counts.iter().sum();
        let sum = sum.as_secs_f64();
        let _ = write!(self.text, "{name}_bucket{{le=\"+Inf\"}} {all}\n{name}_sum {sum}\n{name}_count {all}\n");
    }
}

/// A label's value: names may hold anything.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

/// All that is known without asking the kernel about each process.
fn begin(metrics: &Metrics, clock: WallClock, is_open: bool) -> Families<'_> {
    let rows = metrics.rows.as_slice();
    let oom = oom::kills(metrics);
    let mut family = Families::new(rows, is_open);
    family.head("supervice_build_info", "gauge", "The daemon.");
    let _ = writeln!(family.text, "supervice_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
    family.daemon(metrics, clock);
    family.head("supervice_processes", "gauge", "Configured processes.");
    let _ = writeln!(family.text, "supervice_processes {}", rows.len());
    family.states();
    family.gauge("supervice_process_up", "1 if the process is RUNNING or UNHEALTHY.", |row, _| {
        Some(u8::from(matches!(row.state, ProcessState::Running | ProcessState::Unhealthy)))
    });
    family.gauge("supervice_process_ready", "1 if the process has reported that it is ready.", |row, _| {
        row.ready.map(u8::from)
    });
    family.gauge("supervice_process_healthy", "1 if the last health check passed.", |row, _| row.healthy.map(u8::from));
    let started = |row: &StatusRow, _| row.started_at.map(|at| clock.stamp(at));
    family.gauge("supervice_process_start_time_seconds", "Start time of the process, in seconds since 1970.", started);
    family.gauge("supervice_process_last_exit_code", "Exit code of the last run.", |row, _| match row.last_exit {
        Some(Exit::Code(code)) => Some(code),
        Some(Exit::Signal(_)) | None => None,
    });
    let restarts = |row: &StatusRow, _| Some(row.counts.restarts);
    family.counter("supervice_process_restarts", "Automatic restarts since the daemon started.", restarts);
    family.counter_head("supervice_process_exits", "Ended runs, by kind of end.");
    for (number, (row, oom)) in rows.iter().zip(oom).enumerate() {
        let deaths = row.counts.deaths.saturating_sub(oom);
        let kinds = [(",kind=\"exit\"", row.counts.exits), (",kind=\"signal\"", deaths), (",kind=\"oom\"", oom)];
        for (kind, count) in kinds {
            family.sample("supervice_process_exits_total", number, kind, &count);
        }
    }
    family.counter_head("supervice_process_log_bytes", "Bytes of output read, by stream.");
    for (number, streams) in metrics.written.iter().enumerate() {
        for (stream, bytes) in [",stream=\"stdout\"", ",stream=\"stderr\""].iter().zip(streams) {
            family.sample("supervice_process_log_bytes_total", number, stream, bytes);
        }
    }
    let lost = |row: &StatusRow, _| Some(row.counts.lost_output);
    family.counter("supervice_process_log_lost_bytes", "Bytes of output lost, counted when writing resumes.", lost);
    let failures = |row: &StatusRow, _| Some(row.counts.failed_checks);
    family.counter("supervice_process_healthcheck_failures", "Failed health checks.", failures);
    family
}

/// What the kernel tells of each process.
fn end(mut family: Families<'_>, samples: &[Option<UsageSample>]) -> String {
    let of = |number: usize| samples.get(number).copied().flatten().map(|sample| sample.usage);
    let cpu = |_: &StatusRow, number| of(number).map(|usage| usage.cpu.as_secs_f64());
    family.counter("supervice_process_cpu_seconds", "CPU time of the main process, in seconds.", cpu);
    let memory = |_: &StatusRow, number| of(number).map(|usage| usage.resident);
    family.gauge("supervice_process_resident_memory_bytes", "Resident memory of the main process, in bytes.", memory);
    let files = |_: &StatusRow, number| of(number).and_then(|usage| usage.open_files);
    family.gauge("supervice_process_open_fds", "Open files of the main process.", files);
    if family.is_open {
        family.text.push_str("# EOF\n");
    }
    family.text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_hold_any_name() {
        assert_eq!(Escaped("a\"b\\c\nd é").to_string(), "a\\\"b\\\\c\\nd é");
    }
}
