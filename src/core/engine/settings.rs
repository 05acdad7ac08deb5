//! What a program is: the settings that it runs with, each with the place in the file that sets it.

use std::sync::Arc;

use super::Engine;
use super::ledger::ReplyToken;
use crate::api::{ProgramSettings, Refusal, Reply, Setting, SettingSource};
use crate::config::{KeyDiff, ProgramOrigins, Reading, all_keys, needs_restart};
use crate::models::ProgramConfig;

impl Engine {
    /// The file was read for somebody who asked for the settings of this program.
    pub(super) fn tell_settings(&mut self, token: ReplyToken, loaded: &Reading, name: &str, secrets: bool) {
        let entry = match self.registry.find_or_refuse(name) {
            Ok(id) => self.registry.get(id),
            Err(refusal) => return self.refuse(token, refusal),
        };
        let Some(entry) = entry else { return self.refuse(token, Refusal::Internal) };
        let next = entry.config();
        let run = entry.machine.run_config().filter(|run| needs_restart(run, next)).unwrap_or(next);
        let settings = settings_of(run, loaded, secrets);
        self.reply(token, Reply::Settings(Box::new(settings)));
    }

    /// The same of a program that somebody runs by hand, of which no file says anything.
    #[cfg(feature = "attach")]
    pub(super) fn tell_settings_of_run(&mut self, token: ReplyToken, name: &str, secrets: bool) {
        let entry = self.registry.id_of(name).and_then(|id| self.registry.get(id));
        let Some(config) = entry.map(|entry| entry.config()) else { return self.refuse(token, Refusal::Internal) };
        let defaults = ProgramConfig::new(name, "");
        let settings = all_keys(config, &defaults).into_iter().map(|(_, diff)| {
            let source = (diff.old != diff.new).then(|| SettingSource {
                section: format!("program:{name}"),
                file: BY_HAND.to_owned(),
                line: 0,
            });
            let KeyDiff { key, old, .. } = shown(diff, secrets);
            Setting { key, value: old, source, in_file: None }
        });
        let settings = ProgramSettings { name: name.to_owned(), in_file: false, settings: settings.collect() };
        self.reply(token, Reply::Settings(Box::new(settings)));
    }
}

/// What is told in the place of a file.
#[cfg(feature = "attach")]
const BY_HAND: &str = "supervicectl run";

fn shown(diff: KeyDiff, secrets: bool) -> KeyDiff {
    if secrets { diff } else { diff.without_secrets() }
}

/// What a program runs with, beside what a file says.
fn settings_of(run: &ProgramConfig, loaded: &Reading, secrets: bool) -> ProgramSettings {
    let in_file = loaded.config.program(&run.name);
    let origins = loaded.origins.iter().find(|origins| origins.name == run.name);
    let settings = all_keys(run, in_file.map_or(run, Arc::as_ref)).into_iter().map(|(field, diff)| {
        let (is_same, source) = (diff.old == diff.new, origins.and_then(|origins| source_of(origins, field)));
        let KeyDiff { key, old, new } = shown(diff, secrets);
        Setting { key, value: old, source, in_file: (!is_same).then_some(new) }
    });
    ProgramSettings { name: run.name.clone(), in_file: in_file.is_some(), settings: settings.collect() }
}

/// Where a key with this field is set; a variable is where its program's `environment` is.
fn source_of(origins: &ProgramOrigins, field: &str) -> Option<SettingSource> {
    let origin = origins.keys.iter().find(|origin| origin.field == field)?;
    let file = origin.file.display().to_string();
    Some(SettingSource { section: origin.section.clone(), file, line: origin.line })
}
