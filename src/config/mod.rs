//! From a file to a [`SupervisorConfig`]: read, expand, validate (every fault at once, with file and line), compare.
//!
//! ```no_run
//! use supervice::config::parse_config;
//!
//! let config = parse_config("supervisord.conf")?;
//! for program in &config.programs {
//!     println!("{}: {}", program.name, program.command);
//! }
//! # Ok::<(), supervice::config::ConfigError>(())
//! ```
//!
//! # A new key
//!
//! 1. A field with its default in [`models`](crate::models).
//! 2. A row in `src/config/keys`: name, field, parser, scope, what a reload does with it, default, one line of help. The
//!    reader, the check for unknown keys, [`diff`], [`changed_keys`] and [`needs_restart`] go through that table.
//! 3. The code that uses the field.
//!
//! Tests then name what is left: an item in the man page, the key in the file of recordings that sets every key, and the
//! README's table, which `UPDATE_GOLDEN=1 cargo test` writes.

mod checks;
mod command_line;
mod daemon;
mod diagnostic;
mod environment;
mod expand;
mod fields;
mod file;
mod groups;
mod include;
mod keys;
mod names;
mod plan;
mod print;
mod program;
pub(crate) mod reader;
mod sections;
mod unknown_keys;
mod values;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use command_line::{SplitError, split_command};
pub(crate) use daemon::socket_of;
pub use diagnostic::{ConfigError, ConfigValidationError, Diagnostic};
pub use environment::{EnvFileError, EnvFileErrorKind, EnvironmentError, parse_environment, read_env_file};
pub use plan::{ChangedSetting, KeyDiff, ReloadPlan, changed_keys, changed_settings, diff, needs_restart};
pub use print::to_json;

use crate::models::SupervisorConfig;
use crate::util::glob::has_wildcard;
use checks::Checks;
use diagnostic::{Fault, Report};
use expand::Scope;
use fields::{Fields, entry_diagnostic, section_diagnostic};
use file::{ReadError, read_text};
use keys::{INCLUDE_FILES, Section};
use reader::{DEFAULT_SECTION, Document};
use sections::{SectionKind, section_kind};
use unknown_keys::check_default_keys;

/// A configuration file may hold this many bytes.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// How a configuration is to be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadOptions {
    /// Unknown keys and sections are errors, not warnings.
    pub strict: bool,
}

/// A configuration that holds, and what its user should hear about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: SupervisorConfig,
    /// What has no effect, or probably not the intended one; in the order of files and lines.
    pub warnings: Vec<Diagnostic>,
    /// The files that were read: the one that was asked for, then those that it includes.
    pub files: Vec<PathBuf>,
    /// A file names the daemon's log (be it `none`): `config.logfile` is not the default.
    pub logfile_given: bool,
}

/// Loads a configuration with the default options and without the warnings.
///
/// # Errors
///
/// As [`load`].
pub fn parse_config(path: impl AsRef<Path>) -> Result<SupervisorConfig, ConfigError> {
    load(path, &LoadOptions::default()).map(|loaded| loaded.config)
}

/// Loads, expands and checks a configuration and the files that it includes. Relative paths in it are relative
/// to the current directory; patterns of `[include]` to their file.
///
/// # Errors
///
/// [`ConfigError::NotFound`] and [`ConfigError::Read`] where the file itself can't be read, else
/// [`ConfigError::Validation`] with everything that is wrong.
///
/// ```
/// use supervice::config::{LoadOptions, load};
///
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("demo.ini");
/// std::fs::write(&path, "[program:web]\ncommand = sleep 60\nnumprocs = 2\n")?;
/// let loaded = load(&path, &LoadOptions::default())?;
/// assert_eq!(loaded.config.programs[1].name, "web:01");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn load(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Loaded, ConfigError> {
    let main: Arc<Path> = Arc::from(path.as_ref());
    let mut report = Report { strict: options.strict, ..Report::default() };
    let mut document = Document::default();
    read_main(&main, &mut document, &mut report)?;
    let host = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
    let scope = Scope { host: &host, ..Scope::default() };
    let mut files = vec![Arc::clone(&main)];
    read_included(&mut files, &mut document, scope, &mut report);

    let (config, logfile_given) = build(&document, scope, &mut report);
    report.sort(&files);
    if !report.problems.is_empty() {
        return Err(ConfigValidationError { problems: report.problems, warnings: report.warnings }.into());
    }
    let files = files.iter().map(|file| file.to_path_buf()).collect();
    Ok(Loaded { config, warnings: report.warnings, files, logfile_given })
}

/// The file that is loaded where none is named: `supervisord.conf` in the current directory, else
/// `/etc/supervice.conf`; `None`: neither is there.
pub fn default_config_path() -> Option<PathBuf> {
    ["supervisord.conf", "/etc/supervice.conf"].iter().map(PathBuf::from).find(|path| path.exists())
}

fn read_main(main: &Arc<Path>, document: &mut Document, report: &mut Report) -> Result<(), ConfigError> {
    match read_text(main, MAX_FILE_BYTES) {
        Ok(text) => document.read(main, true, &text, report),
        Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            return Err(ConfigError::NotFound { path: main.to_path_buf() });
        }
        Err(ReadError::Io(error)) => return Err(ConfigError::Read { path: main.to_path_buf(), error }),
        Err(ReadError::Content { line, fault }) => report.error(file_diagnostic(main, line, fault)),
    }
    Ok(())
}

fn file_diagnostic(file: &Arc<Path>, line: u32, fault: Fault) -> Diagnostic {
    diagnostic::Place { file: Arc::clone(file), line }.diagnostic(fault)
}

/// Reads the files that the main one includes, each once, and adds them to `files`.
fn read_included(files: &mut Vec<Arc<Path>>, document: &mut Document, scope: Scope<'_>, report: &mut Report) {
    let Some(view) = document.section(Section::Include.name()) else { return };
    let mut fields = Fields { view, scope, report };
    let Some(text) = fields.text(INCLUDE_FILES) else {
        fields.missing(INCLUDE_FILES, Fault::new("missing", "write files = PATTERN PATTERN"));
        return;
    };
    let mut seen: HashSet<PathBuf> = files.iter().filter_map(|file| file.canonicalize().ok()).collect();
    let directory = PathBuf::from(expand::here(&text.entry.place.file));
    let mut texts = Vec::new();
    for pattern in text.value.split_whitespace() {
        for path in include::expand(&directory, pattern) {
            if has_wildcard(pattern) && path.is_dir() {
                continue;
            }
            if path.canonicalize().is_ok_and(|canonical| !seen.insert(canonical)) {
                continue;
            }
            let file: Arc<Path> = Arc::from(path);
            match read_text(&file, MAX_FILE_BYTES) {
                Ok(contents) => texts.push((file, contents)),
                Err(ReadError::Content { line, fault }) => fields.report.error(file_diagnostic(&file, line, fault)),
                Err(ReadError::Io(error)) => {
                    let fault =
                        Fault::new(format!("{}: {error}", file.display()), "name files that the daemon can read");
                    fields.error(&text, fault);
                }
            }
        }
    }
    for (file, contents) in texts {
        document.read(&file, false, &contents, report);
        files.push(file);
    }
}

/// Turns the document into a configuration; what is wrong goes into the report and leaves its default.
fn build(document: &Document, scope: Scope<'_>, report: &mut Report) -> (SupervisorConfig, bool) {
    let mut checks = Checks::default();
    check_sections(document, report);
    let daemon = daemon::read(document, scope, &mut checks, report);
    let names = program::names(document, report);
    let groups = groups::read(document, &names, scope, report);
    let context = program::Context { scope, groups: &groups, environment: &daemon.environment };
    let mut config = daemon.config;
    for view in document.sections() {
        if let SectionKind::Program(name) = section_kind(view.name) {
            config.programs.extend(program::read(view, name, &context, &mut checks, report));
        }
    }
    (config, daemon.logfile_given)
}

/// Reports sections without effect, and keys of `[DEFAULT]` that no section knows.
fn check_sections(document: &Document, report: &mut Report) {
    for view in document.sections() {
        match section_kind(view.name) {
            SectionKind::Unsupported(instead) => {
                report.warn(section_diagnostic(&view, Fault::new("this section has no effect here", instead)));
            }
            SectionKind::Unknown(guess) => {
                report.unknown(section_diagnostic(&view, Fault::new("unknown section", guess)));
            }
            SectionKind::Daemon
            | SectionKind::Supervisord
            | SectionKind::UnixServer
            | SectionKind::Include
            | SectionKind::Program(_)
            | SectionKind::Group(_) => {}
        }
    }
    if let Some(view) = document.section(DEFAULT_SECTION) {
        check_default_keys(&view, report);
    }
    warn_doubled_percent(document, report);
}

/// A file that comes from supervisord may write a percent sign as two.
fn warn_doubled_percent(document: &Document, report: &mut Report) {
    if document.section(Section::Supervisord.name()).is_none() {
        return;
    }
    for view in document.sections() {
        for entry in view.own_entries().filter(|entry| entry.value.contains("%%")) {
            let fault = Fault::new("%% stays two percent signs here", "write one % where one is meant");
            report.warn(entry_diagnostic(&entry, entry.value, fault));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_this_directory_is_taken_where_none_is_named() {
        crate::sys::testing::in_own_process(
            "config::tests::the_file_of_this_directory_is_taken_where_none_is_named",
            || {
                let dir = tempfile::tempdir().expect("a directory");
                std::env::set_current_dir(dir.path()).expect("there");
                assert_ne!(default_config_path(), Some(PathBuf::from("supervisord.conf")));
                std::fs::write("supervisord.conf", "").expect("written");
                assert_eq!(default_config_path(), Some(PathBuf::from("supervisord.conf")));
            },
        );
    }

    #[test]
    fn who_is_not_root_is_warned_that_nobody_else_s_programs_can_be_started() {
        let name = "config::tests::who_is_not_root_is_warned_that_nobody_else_s_programs_can_be_started";
        if !crate::sys::testing::is_root(name) {
            return;
        }
        crate::sys::testing::in_own_process(name, || {
            let dir = tempfile::tempdir().expect("a directory");
            let path = dir.path().join("x.conf");
            std::fs::write(&path, "[program:a]\ncommand = true\nuser = root\n").expect("written");
            let warnings = || load(&path, &LoadOptions::default()).expect("it holds").warnings;
            assert!(warnings().is_empty());
            std::os::unix::fs::chown(dir.path(), Some(65534), None).expect("its owner");
            nix::unistd::setuid(nix::unistd::Uid::from_raw(65534)).expect("root may");
            assert!(warnings().iter().any(|warning| warning.message.starts_with("only root can start")));
        });
    }
}
