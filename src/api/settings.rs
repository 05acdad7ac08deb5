//! What a program is: its settings, and where each comes from.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A place in a configuration file that sets a key. Of a program that somebody runs by hand the file is `supervicectl
/// run`, and the line 0; where the file can't be read it is `in force`, and the line 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SettingSource {
    /// The section, without brackets: the program's own, a template, `defaults`, or that of its group.
    pub section: String,
    /// The file.
    pub file: String,
    /// Its line, counted from 1; 0: no file sets it.
    pub line: u32,
}

/// One setting of a program.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Setting {
    /// The key, for instance `command`; of a variable `environment.NAME`.
    pub key: String,
    /// The value that the program runs with, or will at its next start; null: none. What may be secret is `(hidden)`.
    pub value: Value,
    /// Where the file sets it now; absent: it is a default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<SettingSource>,
    /// The value that the file says now, where that is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_file: Option<Value>,
}

/// The settings of a program.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProgramSettings {
    /// Its name.
    pub name: String,
    /// The file still has it: an update would not remove it.
    pub in_file: bool,
    /// Why the file can't be used, which is why nothing is told of it here; absent: it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_error: Option<String>,
    /// All keys, in the order of the manual.
    pub settings: Vec<Setting>,
}
