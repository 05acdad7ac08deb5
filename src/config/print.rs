//! The effective configuration as `--check --json` prints it.

use crate::models::{ProgramConfig, SupervisorConfig};

use super::environment::read_env_file;
use super::expand::instance_value;

/// What stands in the place of a value that may be a secret.
pub(crate) const HIDDEN: &str = "(hidden)";

/// Whether values of `environment`, names and passwords, which are or may be secrets, are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// As `(hidden)`.
    Hidden,
    /// As they are.
    Shown,
}

/// Headers may hold a token.
fn hide_headers(program: &mut ProgramConfig) {
    if !program.healthcheck.header.is_empty() {
        program.healthcheck.header.iter_mut().for_each(|line| {
            let name = line.split(':').next().unwrap_or_default();
            *line = format!("{name}: {HIDDEN}");
        });
    }
}

/// The configuration as one JSON object with the field names of the models: sizes in bytes, durations in seconds,
/// permission bits (`socket_mode`, `umask`) as plain numbers, absent values null, `environment` with what the program's
/// env files hold now (a file that can't be read adds nothing).
///
/// ```
/// use supervice::config::{Secrets, to_json};
///
/// let json = to_json(&supervice::models::SupervisorConfig::default(), Secrets::Hidden);
/// assert!(json.contains(r#""shutdown_timeout": 30"#));
/// ```
pub fn to_json(config: &SupervisorConfig, secrets: Secrets) -> String {
    let mut effective = config.clone();
    for program in &mut effective.programs {
        let own = std::mem::take(&mut program.environment);
        let files: Vec<_> = program.env_file.iter().filter_map(|path| read_env_file(path).ok()).collect();
        let variables = files.into_iter().flatten().map(|(key, value)| (key, instance_value(program, value)));
        let variables: Vec<_> = variables.collect();
        program.environment.extend(variables);
        program.environment.extend(own);
        if secrets == Secrets::Hidden {
            program.environment.values_mut().for_each(|value| HIDDEN.clone_into(value));
            hide_headers(program);
        }
    }
    if secrets == Secrets::Hidden {
        let words = effective.http.iter_mut().flat_map(|http| [&mut http.username, &mut http.password]);
        words.flatten().for_each(|word| HIDDEN.clone_into(word));
    }
    // Plain data with string keys: there is nothing in it that could fail.
    serde_json::to_string_pretty(&effective).unwrap_or_default()
}
