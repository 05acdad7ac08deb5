//! What a program is: the settings that it runs with, each with the place in the file that sets it.

use super::Engine;
use super::ledger::ReplyToken;
use crate::api::{ProgramSettings, Refusal, ReloadFailure, Reply, Setting, SettingSource};
use crate::config::{KeyDiff, LoadResult, ProgramOrigins, all_keys, needs_restart};
use crate::models::ProgramConfig;
use crate::process::Initiator;

/// Who asks for the settings of which program, with or without what may be secret.
pub(super) struct Asked<'a> {
    pub(super) name: &'a str,
    pub(super) secrets: bool,
    pub(super) by: &'a Initiator,
}

impl Engine {
    /// The file was read for somebody who asked for the settings of this program.
    pub(super) fn answer_settings(&mut self, token: ReplyToken, loaded: &LoadResult, asked: &Asked<'_>) {
        let run = match self.runs_with(asked.name) {
            Ok(run) => run,
            Err(refusal) => return self.refuse(token, refusal),
        };
        let visibility = self.visibility(asked.by);
        let in_file = loaded.config.program(&run.name).map(|in_file| visibility.redact_program(in_file));
        let settings = settings_of(&visibility.redact_program(run), in_file.as_deref(), &loaded.origins, asked.secrets);
        self.reply(token, Reply::Settings(Box::new(settings)));
    }

    /// The file can't be used: then it is the more important what is in force.
    pub(super) fn answer_settings_without_file(&mut self, token: ReplyToken, why: &ReloadFailure, asked: &Asked<'_>) {
        let run = match self.runs_with(asked.name) {
            Ok(run) => run,
            Err(refusal) => return self.refuse(token, refusal),
        };
        let run = self.visibility(asked.by).redact_program(run);
        let settings = set_in(&run, IN_FORCE, asked.secrets);
        let settings = ProgramSettings {
            name: asked.name.to_owned(),
            in_file: true,
            file_error: Some(Refusal::RereadFailed(why.clone()).to_string()),
            settings,
        };
        self.reply(token, Reply::Settings(Box::new(settings)));
    }

    /// The settings of the present run of a program, or of its next one.
    fn runs_with(&self, name: &str) -> Result<&ProgramConfig, Refusal> {
        let id = self.registry.find_or_refuse(name)?;
        let entry = self.registry.get(id).ok_or(Refusal::Internal)?;
        let next = entry.config();
        Ok(entry.machine.run_config().filter(|run| needs_restart(run, next)).unwrap_or(next))
    }

    /// The same for a program that somebody runs by hand and that stands in no file.
    #[cfg(feature = "attach")]
    pub(super) fn answer_settings_of_run(&mut self, token: ReplyToken, name: &str, secrets: bool) {
        let entry = self.registry.id_of(name).and_then(|id| self.registry.get(id));
        let Some(config) = entry.map(|entry| entry.config()) else { return self.refuse(token, Refusal::Internal) };
        let settings = set_in(config, BY_HAND, secrets);
        let settings = ProgramSettings { name: name.to_owned(), in_file: false, file_error: None, settings };
        self.reply(token, Reply::Settings(Box::new(settings)));
    }
}

/// What is told in the place of a file.
#[cfg(feature = "attach")]
const BY_HAND: &str = "supervicectl run";

/// The same where the file can't be read.
const IN_FORCE: &str = "in force";

/// The settings of a program; those that are no defaults come from here.
fn set_in(program: &ProgramConfig, origin: &str, secrets: bool) -> Vec<Setting> {
    let defaults = ProgramConfig::new(&program.name, "");
    let settings = all_keys(program, &defaults).into_iter().map(|(_, diff)| {
        let source = (diff.old != diff.new).then(|| SettingSource {
            section: format!("program:{}", program.name),
            file: origin.to_owned(),
            line: 0,
        });
        let KeyDiff { key, old, .. } = shown(diff, secrets);
        Setting { key, value: old, source, in_file: None }
    });
    settings.collect()
}

fn shown(diff: KeyDiff, secrets: bool) -> KeyDiff {
    if secrets { diff } else { diff.without_secrets() }
}

/// What a program runs with, beside what a file says.
fn settings_of(
    run: &ProgramConfig,
    in_file: Option<&ProgramConfig>,
    origins: &[ProgramOrigins],
    secrets: bool,
) -> ProgramSettings {
    let origins = origins.iter().find(|origins| origins.name == run.name);
    let settings = all_keys(run, in_file.unwrap_or(run)).into_iter().map(|(field, diff)| {
        let (is_same, source) = (diff.old == diff.new, origins.and_then(|origins| source_of(origins, field)));
        let KeyDiff { key, old, new } = shown(diff, secrets);
        Setting { key, value: old, source, in_file: (!is_same).then_some(new) }
    });
    let settings = settings.collect();
    ProgramSettings { name: run.name.clone(), in_file: in_file.is_some(), file_error: None, settings }
}

/// Where a key with this field is set; a variable is where its program's `environment` is.
fn source_of(origins: &ProgramOrigins, field: &str) -> Option<SettingSource> {
    let origin = origins.keys.iter().find(|origin| origin.field == field)?;
    let file = origin.file.display().to_string();
    Some(SettingSource { section: origin.section.clone(), file, line: origin.line })
}
