//! How a line is formatted for the console or for syslog.

use std::time::SystemTime;

use super::lines::Piece;
use super::messages::{Settings, StreamKind};
use crate::logger::{JsonHead, json_line, local_stamp};
use crate::models::{Dialect, LogFormat, ProgramConfig};

/// Before the lines of programs that nothing was configured for.
const DEFAULT_PREFIX: &str = "%(process_name)s | ";

/// Whose lines they are.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub config: &'a ProgramConfig,
    pub kind: StreamKind,
    pub pid: i32,
}

/// What is added to each line. Everything but the time is known when a run begins.
#[derive(Debug)]
pub(super) enum LineFormat {
    /// Pieces of text with the time of the line between each two of them; `fixed`: none of them names the pid.
    Prefixed { pieces: Vec<String>, fixed: bool },
    /// A JSON object.
    Json { name: String, kind: StreamKind, pid: i32 },
}

impl LineFormat {
    /// For the console; `wanted`: with a prefix even if the configuration does not ask for one.
    pub fn console(source: Source<'_>, settings: &Settings, wanted: bool, colour: bool) -> LineFormat {
        let Source { config, kind, pid } = source;
        if settings.log_format == LogFormat::Json {
            return LineFormat::Json { name: config.name.clone(), kind, pid };
        }
        let default = if wanted { DEFAULT_PREFIX } else { "" };
        let template = settings.log_prefix.as_deref().unwrap_or(default);
        let mut prefix = fill(template, source);
        if colour && !prefix.is_empty() {
            let colour = 32 + hash(&config.name) % 5;
            let text = prefix.trim_end();
            prefix = format!("\x1b[{colour}m{text}\x1b[0m{}", prefix.get(text.len()..).unwrap_or_default());
        }
        let pieces = prefix.split("%(asctime)s").map(str::to_owned).collect();
        LineFormat::Prefixed { pieces, fixed: !template.contains("%(pid)s") }
    }

    /// For `/dev/log`: facility daemon (3); severity info (6) for standard output and warning (4) for
    /// standard error. The local daemon adds the time and the host.
    pub fn syslog(source: Source<'_>) -> LineFormat {
        let priority = match source.kind {
            StreamKind::Stdout => 3 * 8 + 6,
            StreamKind::Stderr => 3 * 8 + 4,
        };
        let head = format!("<{priority}>{}[{}]: ", source.config.name, source.pid);
        LineFormat::Prefixed { pieces: vec![head], fixed: false }
    }

    /// Whether it is as good for the next run.
    pub fn outlives_runs(&self) -> bool {
        match self {
            LineFormat::Prefixed { fixed, .. } => *fixed,
            LineFormat::Json { .. } => false,
        }
    }

    /// The formatted line in two parts; `scratch` is room for what is made for it.
    pub fn parts<'a>(&'a self, line: Piece<'a>, scratch: &'a mut Vec<u8>) -> [&'a [u8]; 2] {
        scratch.clear();
        let Piece { bytes: line, is_partial } = line;
        match self {
            LineFormat::Json { name, kind, pid } => {
                let head = JsonHead { program: name, stream: kind.as_str(), pid: *pid, level: None, is_partial };
                // Of the line's end, as programs write it for terminals.
                let line = if is_partial { line } else { line.strip_suffix(b"\r").unwrap_or(line) };
                json_line(SystemTime::now(), head, line, scratch);
                [scratch, b""]
            }
            LineFormat::Prefixed { pieces, .. } => match pieces.as_slice() {
                [] => [b"", line],
                [only] => [only.as_bytes(), line],
                several => {
                    let parts = several.join(local_stamp(SystemTime::now()).as_str());
                    scratch.extend_from_slice(parts.as_bytes());
                    [scratch, line]
                }
            },
        }
    }
}

/// All that does not change from line to line.
fn fill(template: &str, source: Source<'_>) -> String {
    let Source { config, kind, pid } = source;
    let section = config.name.split(':').next().unwrap_or(&config.name);
    template
        .replace("%(program_name)s", section)
        .replace("%(process_num)s", &process_num(config))
        .replace("%(process_name)s", &config.name)
        .replace("%(group_name)s", config.group_name())
        .replace("%(pid)s", &pid.to_string())
        .replace("%(stream)s", kind.as_str())
}

/// The number of an instance, as it stands for `%(process_num)s` in other keys of its dialect.
fn process_num(config: &ProgramConfig) -> String {
    let instance = config.name.split_once(':').map(|(_, instance)| instance);
    match config.dialect() {
        Dialect::Supervice => instance.unwrap_or("00").to_owned(),
        Dialect::Supervisord => {
            let index = instance.and_then(|instance| instance.parse::<i64>().ok()).unwrap_or(0);
            (index + i64::from(config.numprocs_start)).to_string()
        }
    }
}

/// Gives each name a colour of its own; 31 is red, which is kept for errors.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(name: &str, prefix: Option<&str>, wanted: bool) -> String {
        let config = ProgramConfig::new(name, "x");
        let source = Source { config: &config, kind: StreamKind::Stderr, pid: 42 };
        let settings = Settings { log_prefix: prefix.map(str::to_owned), ..Settings::default() };
        let shape = LineFormat::console(source, &settings, wanted, false);
        String::from_utf8(shape.parts(Piece { bytes: b"line", is_partial: false }, &mut Vec::new()).concat())
            .expect("UTF-8")
    }

    #[test]
    fn a_prefix_names_what_it_is_asked_to_name() {
        assert_eq!(formatted("web", None, true), "web | line");
        assert_eq!(formatted("web", None, false), "line");
        assert_eq!(formatted("web", Some(""), true), "line");
        let all = "%(program_name)s,%(process_num)s,%(process_name)s,%(group_name)s,%(pid)s,%(stream)s: ";
        assert_eq!(formatted("web:03", Some(all), false), "web,03,web:03,web,42,stderr: line");
    }

    /// As in every other key: two digits in supervice's dialect, supervisord's number in that.
    #[test]
    fn the_number_of_an_instance_is_that_of_other_keys() {
        assert_eq!(formatted("web", Some("%(process_num)s "), false), "00 line");
        let mut config = ProgramConfig { numprocs: 2, numprocs_start: 5, ..ProgramConfig::new("w:01", "x") };
        config.process_name = Some("w_06".to_owned());
        let source = Source { config: &config, kind: StreamKind::Stdout, pid: 42 };
        assert_eq!(fill("%(program_name)s %(process_num)s", source), "w 6");
    }

    #[test]
    fn a_json_line_says_that_it_is_a_part_and_ends_without_a_carriage_return() {
        let config = ProgramConfig::new("web", "x");
        let source = Source { config: &config, kind: StreamKind::Stdout, pid: 42 };
        let settings = Settings { log_format: LogFormat::Json, ..Settings::default() };
        let shape = LineFormat::console(source, &settings, true, false);
        let object = |bytes, is_partial| -> serde_json::Value {
            let line = shape.parts(Piece { bytes, is_partial }, &mut Vec::new()).concat();
            serde_json::from_slice(&line).expect("JSON")
        };
        let (part, last) = (object(b"a\r", true), object(b"b\r", false));
        assert_eq!((&part["line"], &part["partial"]), (&"a\r".into(), &true.into()));
        assert_eq!((&last["line"], last.get("partial")), (&"b".into(), None));
    }

    #[test]
    fn the_time_of_a_line_stands_where_it_is_asked_for() {
        let line = formatted("web", Some("[%(asctime)s] %(pid)s "), false);
        let (time, rest) = line.strip_prefix('[').and_then(|rest| rest.split_once("] ")).expect("brackets");
        assert_eq!((time.len(), rest), ("2026-11-22 22:50:01.123".len(), "42 line"));
    }
}
