//! What a reload changes: two configurations in, the names that differ out.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::keys::{self, KeyRow, Reload, Setting};
use super::print::HIDDEN;
use super::shared::Configuration;
use crate::models::{ProgramConfig, SupervisorConfig};
use crate::util::quick_hash::QuickState;
use crate::util::sort::sort;

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
    pub daemon_settings_changed: Vec<ChangedSetting>,
}

/// A key of `[supervice]` whose value is different.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangedSetting {
    /// The key.
    pub key: &'static str,
    /// A reload brings the new value into force; otherwise it takes effect when the daemon is started anew.
    pub live: bool,
}

/// What all sections of sockets for HTTP are called together.
const HTTP: &str = "http";
/// They have changed.
const HTTP_CHANGED: ChangedSetting = ChangedSetting { key: HTTP, live: true };
/// What all rules of access are called together.
const ACCESS: &str = "access";
/// They have changed.
const ACCESS_CHANGED: ChangedSetting = ChangedSetting { key: ACCESS, live: true };

impl ChangedSetting {
    /// The settings with these keys, in the order of the manual.
    pub(crate) fn of_keys(keys: &[String]) -> Vec<ChangedSetting> {
        let rows = keys::DAEMON.iter().filter(|row| keys.iter().any(|key| key == row.name));
        let sections = [HTTP_CHANGED, ACCESS_CHANGED].into_iter();
        let sections = sections.filter(|setting| keys.iter().any(|key| key == setting.key));
        rows.map(|row| ChangedSetting { key: row.name, live: row.reload == Reload::Live }).chain(sections).collect()
    }
}

impl ReloadPlan {
    /// Nothing differs.
    pub fn is_empty(&self) -> bool {
        self.has_same_programs() && self.daemon_settings_changed.is_empty()
    }

    /// No program differs.
    pub(crate) fn has_same_programs(&self) -> bool {
        [&self.added, &self.removed, &self.changed].iter().all(|names| names.is_empty())
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
    let (before, after): (Vec<_>, Vec<_>) = (old.programs.iter().collect(), new.programs.iter().collect());
    plan(old, &before, new, &after)
}

/// As [`diff`], of shared programs: of one that stands in both as it is, no setting is looked at.
pub(crate) fn diff_shared<'o>(
    old: &SupervisorConfig,
    programs: impl IntoIterator<Item = &'o Arc<ProgramConfig>>,
    new: &Configuration,
) -> ReloadPlan {
    let before: Vec<&ProgramConfig> = programs.into_iter().map(Arc::as_ref).collect();
    let after: Vec<&ProgramConfig> = new.programs.iter().map(Arc::as_ref).collect();
    plan(old, &before, &new.settings, &after)
}

/// Of the settings of the daemon, and of all programs.
fn plan(
    old: &SupervisorConfig,
    before: &[&ProgramConfig],
    new: &SupervisorConfig,
    after: &[&ProgramConfig],
) -> ReloadPlan {
    let settings = keys::DAEMON.iter().filter(|row| !row.is_same(old, new));
    let settings = settings.map(|row| ChangedSetting { key: row.name, live: row.reload == Reload::Live });
    let settings = settings.chain((old.http != new.http).then_some(HTTP_CHANGED));
    let settings = settings.chain((old.access != new.access).then_some(ACCESS_CHANGED));
    let mut plan = ReloadPlan { daemon_settings_changed: settings.collect(), ..ReloadPlan::default() };
    let (before, after) = without_same_ends(before, after);
    let (before, after) = (by_name(before), by_name(after));
    for (name, program) in &after {
        match before.get(name) {
            None => plan.added.push((*name).to_owned()),
            Some(former) if !std::ptr::eq(*former, *program) && former != program => {
                plan.changed.push((*name).to_owned())
            }
            Some(_) => {}
        }
    }
    plan.removed = before.keys().filter(|name| !after.contains_key(*name)).map(|name| (*name).to_owned()).collect();
    for names in [&mut plan.added, &mut plan.removed, &mut plan.changed] {
        sort(names);
    }
    plan
}

/// Both lists without what they begin and end with alike: mostly everything, or all but what is new.
fn without_same_ends<'l, 'p>(
    mut before: &'l [&'p ProgramConfig],
    mut after: &'l [&'p ProgramConfig],
) -> (&'l [&'p ProgramConfig], &'l [&'p ProgramConfig]) {
    while let ([one, earlier @ ..], [other, later @ ..]) = (before, after)
        && std::ptr::eq(*one, *other)
    {
        (before, after) = (earlier, later);
    }
    while let ([earlier @ .., one], [later @ .., other]) = (before, after)
        && std::ptr::eq(*one, *other)
    {
        (before, after) = (earlier, later);
    }
    (before, after)
}

fn by_name<'p>(programs: &[&'p ProgramConfig]) -> HashMap<&'p str, &'p ProgramConfig, QuickState> {
    programs.iter().map(|program| (program.name.as_str(), *program)).collect()
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
    keys::PROGRAM.iter().filter(|row| !row.is_same(old, new)).any(|row| match row.reload {
        Reload::Live => false,
        // Where there is no pipe, its output can't go elsewhere while it runs.
        Reload::IfStdoutCaptured => !old.captures_stdout(),
        Reload::IfStderrCaptured => !old.captures_stderr(),
        Reload::Restart => true,
    })
}

/// `true` where nothing but the number of instances differs: to this one that is no change, only to the others, which come or go.
pub(crate) fn differ_in_number_alone(old: &ProgramConfig, new: &ProgramConfig) -> bool {
    let (numprocs, numprocs_start) = (new.numprocs, new.numprocs_start);
    (old.numprocs, old.numprocs_start) != (numprocs, numprocs_start)
        && ProgramConfig { numprocs, numprocs_start, ..old.clone() } == *new
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

impl KeyDiff {
    /// The same without what may be a secret: values of variables, in the place of which `(hidden)` stands.
    pub(crate) fn without_secrets(mut self) -> KeyDiff {
        if self.key.starts_with("environment.") || self.key == "healthcheck_header" {
            let values = [&mut self.old, &mut self.new].into_iter().filter(|value| !value.is_null());
            values.for_each(|value| *value = HIDDEN.into());
        }
        self
    }
}

/// The keys in which two configurations of one program differ, sorted by their field in the output of `--check --json`.
pub fn changed_keys(old: &ProgramConfig, new: &ProgramConfig) -> Vec<KeyDiff> {
    differences(keys::PROGRAM, old, new)
}

/// All keys of a program in the order of the manual, each with its field in the output of `--check --json`, whether the
/// two configurations differ in them or not.
pub(crate) fn all_keys(one: &ProgramConfig, other: &ProgramConfig) -> Vec<(&'static str, KeyDiff)> {
    let mut all = Vec::with_capacity(keys::PROGRAM.len());
    for row in keys::PROGRAM {
        let mut of_row = Vec::new();
        add(&mut of_row, row.name, &(row.get)(one).json(), &(row.get)(other).json(), true);
        all.extend(of_row.into_iter().map(|diff| (row.field(), diff)));
    }
    all
}

/// As [`changed_keys`], of the daemon's own settings.
pub fn changed_settings(old: &SupervisorConfig, new: &SupervisorConfig) -> Vec<KeyDiff> {
    let mut changed = differences(keys::DAEMON, old, new);
    if old.http != new.http {
        // Where they listen: the rest may be secret.
        let places = |config: &SupervisorConfig| config.http.iter().map(|http| http.listen.to_string()).collect();
        changed.push(KeyDiff { key: HTTP.to_owned(), old: places(old), new: places(new) });
    }
    if old.access != new.access {
        changed.push(KeyDiff { key: ACCESS.to_owned(), old: old.access.json(), new: new.access.json() });
    }
    changed
}

fn differences<C>(rows: &[KeyRow<C>], old: &C, new: &C) -> Vec<KeyDiff> {
    let mut changed: Vec<&KeyRow<C>> = Vec::new();
    for row in rows.iter().filter(|row| !row.is_same(old, new)) {
        // Kept sorted: there are only as many as a program has keys.
        let at = changed.partition_point(|other| other.field() < row.field());
        changed.insert(at, row);
    }
    let mut differences = Vec::new();
    for row in changed {
        add(&mut differences, row.name, &(row.get)(old).json(), &(row.get)(new).json(), false);
    }
    differences
}

/// Adds the difference of one key; that of variables as one for each variable. `same`: also those that are the same.
fn add(differences: &mut Vec<KeyDiff>, key: &str, old: &Value, new: &Value, same: bool) {
    let (Value::Object(before), Value::Object(after)) = (old, new) else {
        return differences.push(KeyDiff { key: key.to_owned(), old: old.clone(), new: new.clone() });
    };
    let added = after.keys().filter(|name| !before.contains_key(*name));
    for name in before.keys().chain(added) {
        let (old, new) = (before.get(name).cloned(), after.get(name).cloned());
        if same || old != new {
            let key = format!("{key}.{name}");
            differences.push(KeyDiff { key, old: old.unwrap_or_default(), new: new.unwrap_or_default() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{AutoRestart, ExitCode, ExitOn, HealthCheckType, LogSync};

    fn told(changes: Vec<KeyDiff>) -> Vec<String> {
        changes.iter().map(|change| format!("{} {} -> {}", change.key, change.old, change.new)).collect()
    }

    #[test]
    fn a_plan_with_one_difference_is_not_empty() {
        let one = || vec!["web".to_owned()];
        assert!(ReloadPlan::default().is_empty());
        assert!(!ReloadPlan { added: one(), ..ReloadPlan::default() }.is_empty());
        assert!(!ReloadPlan { removed: one(), ..ReloadPlan::default() }.is_empty());
        assert!(!ReloadPlan { changed: one(), ..ReloadPlan::default() }.is_empty());
        assert!(
            !ReloadPlan {
                daemon_settings_changed: vec![ChangedSetting { key: "socket", live: false }],
                ..ReloadPlan::default()
            }
            .is_empty()
        );
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
        let others: [fn(&mut ProgramConfig); 6] = [
            |new| new.command.push('x'),
            |new| new.directory = Some("/".to_owned()),
            |new| new.stopwaitsecs += 1,
            |new| new.umask = Some(0o22),
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
    fn variables_are_told_one_by_one_and_in_the_order_of_the_fields() {
        let old = ProgramConfig::new("web", "a");
        let mut new = ProgramConfig { env_file: vec!["f".to_owned()], ..old.clone() };
        new.environment.insert("A".to_owned(), "1".to_owned());
        let told = |old, new| told(changed_keys(old, new));
        assert_eq!(told(&old, &new), [r#"env_file [] -> ["f"]"#, r#"environment.A null -> "1""#]);
        assert_eq!(told(&new, &old), [r#"env_file ["f"] -> []"#, r#"environment.A "1" -> null"#]);
    }

    #[test]
    fn values_of_variables_are_hidden_and_nothing_else() {
        let mut old = ProgramConfig::new("web", "a");
        let mut new = ProgramConfig::new("web", "b");
        old.environment
            .extend([("A", "s3cret"), ("B", "s3cret")].map(|(key, value)| (key.to_owned(), value.to_owned())));
        new.environment.insert("A".to_owned(), "another s3cret".to_owned());
        let hidden = changed_keys(&old, &new).into_iter().map(KeyDiff::without_secrets).collect();
        assert_eq!(
            told(hidden),
            [
                r#"command "a" -> "b""#,
                r#"environment.A "(hidden)" -> "(hidden)""#,
                r#"environment.B "(hidden)" -> null"#,
            ]
        );
    }

    #[test]
    fn settings_of_the_daemon_are_told_by_their_keys() {
        let old = SupervisorConfig::default();
        let new =
            SupervisorConfig { socket_path: None, socket_mode: 0o660, log_prefix: Some("x".to_owned()), ..old.clone() };
        assert_eq!(
            told(changed_settings(&old, &new)),
            [r#"log_prefix null -> "x""#, r#"socket_mode 384 -> 432"#, r#"socket "/tmp/supervice.sock" -> null"#,]
        );
        let keys: Vec<_> = diff(&old, &new).daemon_settings_changed.iter().map(|s| (s.key, s.live)).collect();
        assert_eq!(keys, [("socket", false), ("socket_mode", false), ("log_prefix", true)], "in the manual's order");
    }

    #[test]
    fn changes_are_told_down_to_the_key() {
        let old = ProgramConfig::new("web", "a");
        let mut new = ProgramConfig { directory: Some("/srv".to_owned()), ..ProgramConfig::new("web", "b") };
        new.environment.insert("KEY".to_owned(), "value".to_owned());
        new.healthcheck.check_type = HealthCheckType::Tcp;
        assert_eq!(
            told(changed_keys(&old, &new)),
            [
                r#"command "a" -> "b""#,
                r#"directory null -> "/srv""#,
                r#"environment.KEY null -> "value""#,
                r#"healthcheck_type "none" -> "tcp""#,
            ]
        );
        assert!(changed_keys(&new, &new).is_empty());
    }
}
