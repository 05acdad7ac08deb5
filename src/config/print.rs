//! The effective configuration as `--check --json` prints it.

use crate::models::SupervisorConfig;

use super::environment::read_env_file;

/// The configuration as one JSON object with the field names of the models: sizes in bytes, durations in
/// seconds, permission bits (`socket_mode`, `umask`) as plain numbers, absent values null, `environment` with what the program's env files hold now (a file that can't be
/// read adds nothing).
///
/// ```
/// let json = supervice::config::to_json(&supervice::models::SupervisorConfig::default());
/// assert!(json.contains(r#""shutdown_timeout": 30"#));
/// ```
pub fn to_json(config: &SupervisorConfig) -> String {
    let mut effective = config.clone();
    for program in &mut effective.programs {
        let own = std::mem::take(&mut program.environment);
        let files = program.env_file.iter().filter_map(|path| read_env_file(path).ok());
        program.environment.extend(files.flatten());
        program.environment.extend(own);
    }
    // Plain data with string keys: there is nothing in it that could fail.
    serde_json::to_string_pretty(&effective).unwrap_or_default()
}
