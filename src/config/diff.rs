//! What a reload changes: two configurations in, the names that differ out.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::models::{ProgramConfig, SupervisorConfig};
use crate::util::sort;

/// The difference between two configurations. Programs are compared by name and setting; their order in the
/// file is no setting.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReloadPlan {
    /// Programs that are new, sorted by name.
    pub added: Vec<String>,
    /// Programs that are no longer there, sorted by name.
    pub removed: Vec<String>,
    /// Programs with at least one setting (the group too) that is different, sorted by name.
    pub changed: Vec<String>,
    /// Keys of `[supervice]` whose value is different, in the order of the manual.
    pub daemon_settings_changed: Vec<&'static str>,
}

impl ReloadPlan {
    /// Nothing differs.
    pub fn is_empty(&self) -> bool {
        let ReloadPlan { added, removed, changed, daemon_settings_changed } = self;
        added.is_empty() && removed.is_empty() && changed.is_empty() && daemon_settings_changed.is_empty()
    }
}

/// Compares the configuration that is in force with the one that is to replace it.
///
/// ```
/// use supervice::config::diff;
/// use supervice::models::{ProgramConfig, SupervisorConfig};
///
/// let old = SupervisorConfig::default();
/// let mut new = old.clone();
/// new.programs.push(ProgramConfig::new("web", "/bin/web"));
/// assert_eq!(diff(&old, &new).added, ["web"]);
/// assert!(diff(&new, &new).is_empty());
/// ```
pub fn diff(old: &SupervisorConfig, new: &SupervisorConfig) -> ReloadPlan {
    let before: HashMap<&str, &ProgramConfig> = old.programs.iter().map(|p| (p.name.as_str(), p)).collect();
    let after: HashMap<&str, &ProgramConfig> = new.programs.iter().map(|p| (p.name.as_str(), p)).collect();
    let mut plan = ReloadPlan { daemon_settings_changed: daemon_changes(old, new), ..ReloadPlan::default() };
    for (name, program) in &after {
        match before.get(name) {
            None => plan.added.push((*name).to_owned()),
            Some(former) if former != program => plan.changed.push((*name).to_owned()),
            Some(_) => {}
        }
    }
    plan.removed = before.keys().filter(|name| !after.contains_key(*name)).map(|name| (*name).to_owned()).collect();
    sort::sort(&mut plan.added);
    sort::sort(&mut plan.removed);
    sort::sort(&mut plan.changed);
    plan
}

/// `true` where a program that runs with `old` must be started anew to run as `new` says. The other settings act
/// without that: at once (those of its logs), or when the program starts or ends.
///
/// ```
/// use supervice::config::needs_restart;
/// use supervice::models::{AutoRestart, ProgramConfig};
///
/// let old = ProgramConfig::new("web", "/bin/web");
/// let new = ProgramConfig { autorestart: AutoRestart::Never, ..old.clone() };
/// assert!(!needs_restart(&old, &new));
/// assert!(needs_restart(&old, &ProgramConfig::new("web", "/bin/other")));
/// ```
pub fn needs_restart(old: &ProgramConfig, new: &ProgramConfig) -> bool {
    // Where there is no pipe, its output can't go elsewhere while it runs.
    let (stdout, stderr) = (old.captures_stdout(), old.captures_stderr());
    let alike = ProgramConfig {
        numprocs: new.numprocs,
        autostart: new.autostart,
        autorestart: new.autorestart,
        exitcodes: new.exitcodes.clone(),
        startretries: new.startretries,
        exit_on: new.exit_on,
        exit_code: new.exit_code,
        group: new.group.clone(),
        stdout_logfile: if stdout { new.stdout_logfile.clone() } else { old.stdout_logfile.clone() },
        stdout_syslog: if stdout { new.stdout_syslog } else { old.stdout_syslog },
        stdout_logfile_maxbytes: new.stdout_logfile_maxbytes,
        stdout_logfile_backups: new.stdout_logfile_backups,
        stdout_logfile_compress: new.stdout_logfile_compress,
        stderr_logfile: if stderr { new.stderr_logfile.clone() } else { old.stderr_logfile.clone() },
        stderr_syslog: if stderr { new.stderr_syslog } else { old.stderr_syslog },
        stderr_logfile_maxbytes: new.stderr_logfile_maxbytes,
        stderr_logfile_backups: new.stderr_logfile_backups,
        stderr_logfile_compress: new.stderr_logfile_compress,
        log_sync: new.log_sync,
        log_buffer: new.log_buffer,
        ..old.clone()
    };
    alike != *new
}

/// A key whose value is different.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyDiff {
    /// The key as in the configuration file; of a variable `environment.NAME`.
    pub key: String,
    /// Its value before; null: none.
    pub old: Value,
    /// Its value after; null: none.
    pub new: Value,
}

/// Compares two objects as `--check --json` prints them, key by key.
pub fn changed_keys(old: &Value, new: &Value) -> Vec<KeyDiff> {
    let mut changes = Vec::new();
    compare("", old, new, &mut changes);
    changes
}

fn compare(prefix: &str, old: &Value, new: &Value, changes: &mut Vec<KeyDiff>) {
    let empty = Map::new();
    let (before, after) = (old.as_object().unwrap_or(&empty), new.as_object().unwrap_or(&empty));
    let new_keys = after.keys().filter(|key| !before.contains_key(*key));
    let mut keys: Vec<&str> = before.keys().chain(new_keys).map(String::as_str).collect();
    sort::sort(&mut keys);
    for key in keys {
        let value = |object: &Map<String, Value>| object.get(key).cloned().unwrap_or(Value::Null);
        let (old, new) = (value(before), value(after));
        let name = match prefix {
            // As these keys are called in a file.
            "" if key == "socket_path" => "socket".to_owned(),
            "" => key.to_owned(),
            "healthcheck" => format!("{prefix}_{key}"),
            _ => format!("{prefix}.{key}"),
        };
        if old.is_object() || new.is_object() {
            compare(&name, &old, &new, changes);
        } else if old != new {
            changes.push(KeyDiff { key: name, old, new });
        }
    }
}

fn daemon_changes(old: &SupervisorConfig, new: &SupervisorConfig) -> Vec<&'static str> {
    // Taken apart without `..`: a new setting must find its way here.
    let SupervisorConfig {
        logfile,
        pidfile,
        loglevel,
        socket_path,
        socket_mode,
        socket_owner,
        shutdown_timeout,
        exit_when_idle,
        termination_log,
        log_maxbytes,
        log_backups,
        default_output,
        log_prefix,
        log_format,
        programs: _,
    } = old;
    let compared = [
        ("logfile", *logfile == new.logfile),
        ("loglevel", *loglevel == new.loglevel),
        ("log_maxbytes", *log_maxbytes == new.log_maxbytes),
        ("log_backups", *log_backups == new.log_backups),
        ("pidfile", *pidfile == new.pidfile),
        ("socket", *socket_path == new.socket_path),
        ("socket_mode", *socket_mode == new.socket_mode),
        ("socket_owner", *socket_owner == new.socket_owner),
        ("default_output", *default_output == new.default_output),
        ("log_prefix", *log_prefix == new.log_prefix),
        ("log_format", *log_format == new.log_format),
        ("shutdown_timeout", *shutdown_timeout == new.shutdown_timeout),
        ("exit_when_idle", *exit_when_idle == new.exit_when_idle),
        ("termination_log", *termination_log == new.termination_log),
    ];
    compared.into_iter().filter(|(_, same)| !same).map(|(key, _)| key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{AutoRestart, ExitCode, ExitOn, HealthCheckType, LogSync};

    #[test]
    fn a_plan_with_one_difference_is_not_empty() {
        let one = || vec!["web".to_owned()];
        assert!(ReloadPlan::default().is_empty());
        assert!(!ReloadPlan { added: one(), ..ReloadPlan::default() }.is_empty());
        assert!(!ReloadPlan { removed: one(), ..ReloadPlan::default() }.is_empty());
        assert!(!ReloadPlan { changed: one(), ..ReloadPlan::default() }.is_empty());
        assert!(!ReloadPlan { daemon_settings_changed: vec!["socket"], ..ReloadPlan::default() }.is_empty());
    }

    #[test]
    fn what_acts_by_itself_needs_no_restart_and_all_else_does() {
        let old = ProgramConfig::new("web", "/bin/web");
        let silent = ProgramConfig { log_buffer: 0, ..old.clone() };
        assert!(old.captures_stdout() && !silent.captures_stdout() && !silent.captures_stderr());
        let live: [fn(&mut ProgramConfig); 17] = [
            |new| new.numprocs = 2,
            |new| new.autostart = !new.autostart,
            |new| new.autorestart = AutoRestart::Never,
            |new| new.exitcodes = vec![0, 9],
            |new| new.startretries += 1,
            |new| new.exit_on = ExitOn::Exit,
            |new| new.exit_code = ExitCode::Fixed(9),
            |new| new.group = Some("g".to_owned()),
            |new| new.stdout_logfile_maxbytes += 1,
            |new| new.stdout_logfile_backups += 1,
            |new| new.stdout_logfile_compress = !new.stdout_logfile_compress,
            |new| new.stderr_logfile_maxbytes += 1,
            |new| new.stderr_logfile_backups += 1,
            |new| new.stderr_logfile_compress = !new.stderr_logfile_compress,
            |new| new.log_sync = LogSync::Line,
            |new| new.log_buffer += 1,
            |_| (),
        ];
        for (number, change) in live.into_iter().enumerate() {
            let mut new = old.clone();
            change(&mut new);
            assert!(!needs_restart(&old, &new), "number {number}");
        }
        // Where output goes acts at once if there is a pipe.
        let elsewhere: [fn(&mut ProgramConfig); 4] = [
            |new| new.stdout_logfile = Some("/x".to_owned()),
            |new| new.stdout_syslog = true,
            |new| new.stderr_logfile = Some("/x".to_owned()),
            |new| new.stderr_syslog = true,
        ];
        for (number, change) in elsewhere.into_iter().enumerate() {
            for (old, wanted) in [(&old, false), (&silent, true)] {
                let mut new = old.clone();
                change(&mut new);
                assert_eq!(needs_restart(old, &new), wanted, "number {number}");
            }
        }
        let others: [fn(&mut ProgramConfig); 5] = [
            |new| new.command.push('x'),
            |new| new.directory = Some("/".to_owned()),
            |new| new.stopwaitsecs += 1,
            |new| new.healthcheck.interval += 1,
            |new| drop(new.environment.insert("A".to_owned(), "1".to_owned())),
        ];
        for (number, change) in others.into_iter().enumerate() {
            let mut new = old.clone();
            change(&mut new);
            assert!(needs_restart(&old, &new), "number {number}");
        }
    }

    #[test]
    fn an_object_that_comes_or_goes_is_told_by_its_keys() {
        let (none, some) = (serde_json::json!({}), serde_json::json!({"environment": {"A": "1"}, "group": null}));
        let told = |old, new| {
            let changes = changed_keys(old, new).into_iter();
            changes.map(|c| format!("{} {} -> {}", c.key, c.old, c.new)).collect::<Vec<_>>()
        };
        assert_eq!(told(&none, &some), [r#"environment.A null -> "1""#]);
        assert_eq!(told(&some, &none), [r#"environment.A "1" -> null"#]);
        let socket = |path| serde_json::json!({"socket_path": path, "web": {"socket_path": path}});
        assert_eq!(told(&socket("a"), &socket("b")), [r#"socket "a" -> "b""#, r#"web.socket_path "a" -> "b""#]);
    }

    #[test]
    fn changes_are_told_down_to_the_key() {
        let old = ProgramConfig::new("web", "a");
        let mut new = ProgramConfig { directory: Some("/srv".to_owned()), ..ProgramConfig::new("web", "b") };
        new.environment.insert("KEY".to_owned(), "value".to_owned());
        new.healthcheck.check_type = HealthCheckType::Tcp;
        let value = |program: &ProgramConfig| serde_json::to_value(program).expect("JSON");
        let changes = changed_keys(&value(&old), &value(&new));
        let text: Vec<String> = changes.iter().map(|c| format!("{} {} -> {}", c.key, c.old, c.new)).collect();
        assert_eq!(
            text,
            [
                r#"command "a" -> "b""#,
                r#"directory null -> "/srv""#,
                r#"environment.KEY null -> "value""#,
                r#"healthcheck_type "none" -> "tcp""#,
            ]
        );
        assert!(changed_keys(&value(&new), &value(&new)).is_empty());
    }
}
