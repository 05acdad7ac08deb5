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
//! Tests then name what is left: an item in the man page, the key in the file of recordings that sets every key, and
//! the README's table, which `UPDATE_GOLDEN=1 cargo test` writes.

mod access;
mod additions;
mod checks;
mod daemon;
mod dependencies;
mod diagnostic;
pub(crate) mod document;
mod environment;
mod expand;
mod fields;
mod file;
mod groups;
mod http;
mod idleness;
mod include;
mod keys;
mod marks;
mod mistakes;
mod names;
mod origins;
mod ownership;
mod plan;
mod print;
mod program;
mod program_keys;
mod reader;
mod sections;
mod shared;
mod shared_logs;
mod shell;
mod shutdown_time;
mod start_order;
mod terminal;
#[cfg(feature = "attach")]
mod transient;
mod unknown_keys;
mod users_file;
mod values;

use std::cell::RefCell;
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use crate::util::command_line::{SplitError, split_command};
pub(crate) use additions::{Additions, ScaleOverride, Scaled, load_with_most};
pub(crate) use checks::unwritable;
pub(crate) use daemon::socket_of;
pub(crate) use dependencies::{circle as dependency_circle, edges as dependency_edges, start_stages};
pub use diagnostic::{ConfigError, ConfigValidationError, Diagnostic};
pub use environment::{EnvFileError, EnvFileErrorKind, EnvironmentError, parse_environment, read_env_file};
pub(crate) use expand::instance_value;
pub(crate) use origins::ProgramOrigins;
pub use plan::{ChangedSetting, KeyDiff, ReloadPlan, changed_keys, changed_settings, diff, needs_restart};
pub(crate) use plan::{all_keys, diff_shared, differ_in_number_alone};
pub use print::{Secrets, to_json};
pub(crate) use shared::{Configuration, LoadResult};
#[cfg(feature = "attach")]
pub(crate) use transient::TransientProgram;
#[cfg_attr(not(feature = "http"), allow(unused_imports, reason = "who comes in by HTTP is asked for there alone"))]
pub(crate) use users_file::read_users_file;

use crate::models::{Dialect, SupervisorConfig};
use crate::util::errno;
use crate::util::glob::has_wildcard;
use checks::Checks;
use dependencies::Origin;
use diagnostic::{Fault, Report};
use document::{DEFAULT_SECTION, Document, INCLUDE_FILES};
use expand::Scope;
use fields::{Fields, entry_diagnostic, section_diagnostic};
use file::{ReadError, read_text};
use keys::Section;
use names::name_fault;
use program_keys::ProgramKeys;
use sections::{SectionKind, section_kind};
use unknown_keys::{check_default_keys, check_keys, check_swallowed_keys};

/// A configuration file may hold this many bytes.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// How a configuration is to be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadOptions {
    /// Unknown keys and sections are errors, not warnings, and so is a file of root's that others can write to.
    pub strict: bool,
    /// The rules by which the file is read; `None`: its sections tell.
    pub dialect: Option<Dialect>,
    /// The daemon runs already. That its socket, pid file or log could not be made now is a warning: it has them, or
    /// makes them anew when it can, and a change of them is for the next start.
    pub reload: bool,
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
    /// A file names the daemon's pid file (be it `none`).
    pub pidfile_given: bool,
    /// Where the settings of those programs come from that were asked for.
    pub(crate) origins: Vec<ProgramOrigins>,
    /// What it says of programs that are scaled.
    pub(crate) scaled: Vec<Scaled>,
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
    load_with(path.as_ref(), options, &[], &Additions::default())
}

/// As [`load`], with what was added to the file at run time; also tells where the settings of these programs come from.
pub(crate) fn load_with(
    path: &Path,
    options: &LoadOptions,
    of: &[String],
    additions: &Additions,
) -> Result<Loaded, ConfigError> {
    let main: Arc<Path> = Arc::from(path);
    let host = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
    let read = |document| Texts::read(&main, document, &host, options.strict);
    let texts = match options.dialect {
        Some(dialect) => read(Document::new(dialect))?,
        None => read_in_its_dialect(&read)?,
    };
    let Texts { mut document, files, mut report } = texts;
    refuse_nothing(&main, &document, &mut report);
    let added = additions.sections(&document);
    document.read(&main, false, &added, &mut report);
    if options.dialect.is_none() {
        refuse_both(&document, &mut report);
    }
    let scope = Scope { dialect: document.dialect, ..Scope::default() };
    let build_options = BuildOptions { host: &host, reload: options.reload, additions };
    let Built { config, logfile_given, pidfile_given, sections, scaled } =
        build(&document, scope, build_options, &mut report);
    report.sort(&files);
    if !report.problems.is_empty() {
        return Err(ConfigValidationError { problems: report.problems, warnings: report.warnings }.into());
    }
    let files = files.iter().map(|file| file.to_path_buf()).collect();
    let programs = config.programs.iter().zip(&sections).filter(|(program, _)| of.contains(&program.name));
    let origins = programs.map(|(program, section)| ProgramOrigins::of(&document, section.view, program)).collect();
    Ok(Loaded { config, warnings: report.warnings, files, logfile_given, pidfile_given, origins, scaled })
}

/// Reads a configuration by the rules that its sections ask for. Which comments there are, and with them what is
/// included, hangs on the dialect, which hangs on all files: where it is not plain at once, it is read by both.
fn read_in_its_dialect(read: &dyn Fn(Document) -> Result<Texts, ConfigError>) -> Result<Texts, ConfigError> {
    let mut guess = read(Document::guess())?;
    // Faults of grammar may have kept some of it from being read.
    if !guess.document.take_doubt() && guess.report.problems.is_empty() {
        return Ok(guess);
    }
    drop(guess);
    let theirs = read(Document::new(Dialect::Supervisord))?;
    let is_supervisord = |texts: &Texts| texts.document.section(Section::Supervisord.name()).is_some();
    if is_supervisord(&theirs) {
        return Ok(theirs);
    }
    let ours = read(Document::new(Dialect::Supervice))?;
    Ok(if is_supervisord(&ours) { theirs } else { ours })
}

/// All files of a configuration, read by the rules of one dialect.
struct Texts {
    document: Document,
    files: Vec<Arc<Path>>,
    report: Report,
}

impl Texts {
    fn read(main: &Arc<Path>, mut document: Document, host: &str, strict: bool) -> Result<Texts, ConfigError> {
        let mut report = Report { strict, ..Report::default() };
        read_main(main, &mut document, &mut report)?;
        let mut files = vec![Arc::clone(main)];
        let scope = Scope { dialect: document.dialect, host: Some(host), ..Scope::default() };
        read_included(&mut files, &mut document, scope, &mut report);
        for file in &files {
            if let Some(fault) = ownership::fault(file) {
                report.unknown(file_diagnostic(file, 0, fault));
            }
        }
        Ok(Texts { document, files, report })
    }
}

/// A file without any section is what a full disk, or an editor that has not finished, leaves of one: a reload of it
/// would stop everything. (One whose text is no section either has faults of its own.)
fn refuse_nothing(main: &Arc<Path>, document: &Document, report: &mut Report) {
    if document.sections().next().is_none() && report.problems.is_empty() {
        let hint = "write [supervice], with nothing in it, for a daemon without programs";
        report.error(file_diagnostic(main, 1, Fault::new("the file has no section", hint)));
    }
}

/// A file has the sections of one dialect.
fn refuse_both(document: &Document, report: &mut Report) {
    let Some(other) = document.section(Section::Supervisord.name()) else { return };
    if let Some(view) = document.section(Section::Supervice.name()) {
        let place = other.header();
        let message = format!(
            "a file has [supervice] or [supervisord], which stands in {}:{}: their rules are not the same",
            place.file.display(),
            place.line
        );
        let hint = "write the keys into one of them, or choose the rules with --dialect";
        report.error(section_diagnostic(&view, Fault::new(message, hint)));
    }
}

/// Where a configuration is looked for: our places, then supervisord's.
pub(crate) const SEARCH_PATH: [&str; 5] = [
    "supervisord.conf",
    "/etc/supervice.conf",
    "etc/supervisord.conf",
    "/etc/supervisord.conf",
    "/etc/supervisor/supervisord.conf",
];

/// The file that is loaded where none is named: `supervisord.conf` in the current directory, else
/// `/etc/supervice.conf`, else that of supervisord; `None`: none is there.
pub fn default_config_path() -> Option<PathBuf> {
    SEARCH_PATH.iter().map(PathBuf::from).find(|path| path.exists())
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
    let Some(entry) = fields.entry(INCLUDE_FILES) else {
        fields.missing(INCLUDE_FILES, Fault::new("missing", "write files = PATTERN PATTERN"));
        return;
    };
    let value = match scope.expand(entry.value, entry.place) {
        Ok(value) => value,
        Err(fault) => return fields.error(&entry, fault),
    };
    let mut seen: HashSet<PathBuf> = files.iter().filter_map(|file| file.canonicalize().ok()).collect();
    let directory = PathBuf::from(expand::here(&entry.place.file));
    let mut texts = Vec::new();
    for pattern in value.split_whitespace() {
        let mut paths = include::expand(&directory, pattern);
        paths.retain(|path| path.exists() && !(has_wildcard(pattern) && path.is_dir()));
        if paths.is_empty() {
            let fault = Fault::new(format!("no file matches {pattern}"), "put the path right, or remove it");
            let fault = fault.or_of_value(pattern, "no file matches");
            fields.report.unknown(entry_diagnostic(&entry, entry.value, fault));
        }
        for path in paths {
            if path.canonicalize().is_ok_and(|canonical| !seen.insert(canonical)) {
                continue;
            }
            let file: Arc<Path> = Arc::from(path);
            match read_text(&file, MAX_FILE_BYTES) {
                Ok(contents) => texts.push((file, contents)),
                Err(ReadError::Content { line, fault }) => fields.report.error(file_diagnostic(&file, line, fault)),
                Err(ReadError::Io(error)) => {
                    let message = format!("{}: {}", file.display(), errno::reason(&error));
                    fields.error(&entry, Fault::new(message, "name files that the daemon can read"));
                }
            }
        }
    }
    for (file, contents) in texts {
        document.read(&file, false, &contents, report);
        files.push(file);
    }
}

/// What a document says.
struct Built<'d> {
    config: SupervisorConfig,
    logfile_given: bool,
    pidfile_given: bool,
    /// The section of each program, in the same order.
    sections: Vec<Origin<'d>>,
    scaled: Vec<Scaled>,
}

/// What a configuration is made with, beside its document.
#[derive(Clone, Copy)]
struct BuildOptions<'o> {
    host: &'o str,
    reload: bool,
    additions: &'o Additions,
}

/// Turns the document into a configuration; what is wrong goes into the report and leaves its default.
fn build<'d>(
    document: &'d Document,
    scope: Scope<'_>,
    BuildOptions { host, reload, additions }: BuildOptions<'_>,
    report: &mut Report,
) -> Built<'d> {
    let mut checks = Checks::default();
    checks.reload = reload;
    check_sections(document, report);
    let mut daemon = daemon::read(document, scope, &mut checks, report);
    daemon.config.http = http::read(document, scope, &mut checks, report);
    daemon.config.access = access::read(document, scope, &mut checks, report);
    let scope = Scope { globals: &daemon.environment, ..scope };
    let names = program::names(document, report);
    let groups = groups::sections(document, scope, report);
    let context = program::Context {
        scope: Scope { host: Some(host), ..scope },
        environment: &daemon.environment,
        serverurl: daemon.serverurl.as_deref(),
        keys: ProgramKeys::of(document),
        additions,
        scaled: RefCell::default(),
    };
    let mut config = daemon.config;
    let mut origins = Vec::new();
    config.programs = match document.dialect {
        Dialect::Supervice => {
            let groups = groups::assign(&groups, &names, scope, report);
            // A list of ten thousand is not made anew again and again as it grows.
            let mut programs = Vec::with_capacity(names.len());
            origins.reserve(names.len());
            for view in document.sections() {
                if let SectionKind::Program(kind, name) = section_kind(view.name, document.dialect) {
                    let group = groups.get(name).copied();
                    let whose = program::ProgramIdentity { kind, name, instance: document.instance(name), group };
                    programs.extend(program::read(view, whose, &context, &mut checks, report));
                    origins.resize(programs.len(), Origin { name, view });
                }
            }
            programs
        }
        Dialect::Supervisord => start_order::read(document, &groups, &context, &mut checks, &mut origins, report),
    };
    access::check_programs(document, &config.access, &config.programs, report);
    let scaled = context.scaled.into_inner();
    dependencies::check(&mut config.programs, &origins, &scaled, scope, report);
    idleness::check(&config, document, scope, report);
    shutdown_time::settle(&mut config, document, &origins, scope, report);
    shared_logs::check(&config, &origins, scope, report);
    let daemon::Daemon { logfile_given, pidfile_given, .. } = daemon;
    Built { config, logfile_given, pidfile_given, sections: origins, scaled }
}

/// Reports sections without effect, and keys of `[DEFAULT]` that no section knows.
fn check_sections(document: &Document, report: &mut Report) {
    for view in document.other_sections() {
        match section_kind(view.name, document.dialect) {
            SectionKind::Unsupported(instead) => {
                report.warn(section_diagnostic(&view, Fault::new("this section has no effect here", instead)));
            }
            SectionKind::Unknown(guess) => {
                report.unknown(section_diagnostic(&view, Fault::new("unknown section", guess)));
            }
            SectionKind::Template(name) => {
                if let Some(fault) = name_fault(name, "template", document.dialect) {
                    report.error(section_diagnostic(&view, fault));
                }
                check_keys(&view, Section::Program, document.dialect, report);
            }
            SectionKind::Defaults => check_keys(&view, Section::Program, document.dialect, report),
            SectionKind::Daemon
            | SectionKind::Supervisord
            | SectionKind::Access(_)
            | SectionKind::Http
            | SectionKind::UnixServer
            | SectionKind::InetServer
            | SectionKind::Include
            | SectionKind::Harmless
            | SectionKind::Program(..)
            | SectionKind::Group(_) => {}
        }
    }
    if let Some(view) = document.section(DEFAULT_SECTION) {
        check_default_keys(&view, document.dialect, report);
    }
    check_swallowed_keys(document, report);
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
    fn a_dialect_that_is_guessed_is_the_one_that_both_readings_tell() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("theirs.ini"), "[supervisord]\n").expect("written");
        std::fs::write(dir.path().join("plain.ini"), "[program:b]\ncommand = true ; why\n").expect("written");
        let main: Arc<Path> = dir.path().join("main.ini").into();
        let read = |document| Texts::read(&main, document, "host", false);
        let mut found = Vec::new();
        for text in [
            "[program:a]\ncommand = true ; [supervisord]\n",
            "[program:a]\ncommand = true\n  [supervisord]\n",
            "; [supervisord]\n[supervice]\n",
            "[include]\nfiles = plain.ini\n",
            "[include]\nfiles = plain.ini ; theirs.ini\n",
            "[include] ; [x]\nfiles = plain.ini\n",
            "[supervisord ; x]\n",
            "[supervisord]\n",
            "[a]\n[supervisord] ; [x]\n",
            "[include]\nfiles = theirs.ini\n",
            "[include]\nfiles = plain.ini\n  theirs.ini ; and others\n",
            "[include]\nfiles = %(here)s/theirs.ini\n",
            "[include] ; [x]\nfiles = theirs.ini\n",
            "[DEFAULT]\nfiles = theirs.ini ; x\n[include]\n",
        ] {
            std::fs::write(&main, text).expect("written");
            let both = [Dialect::Supervisord, Dialect::Supervice].map(|dialect| read(Document::new(dialect)));
            let is_supervisord = both.iter().flatten().any(|texts| texts.document.section("supervisord").is_some());
            let read = read_in_its_dialect(&read).expect("it is there");
            assert_eq!(read.document.dialect == Dialect::Supervisord, is_supervisord, "{text}");
            assert!(!read.document.is_guess(), "{text}");
            found.push(is_supervisord);
        }
        assert_eq!(found.iter().filter(|is_supervisord| **is_supervisord).count(), 8, "{found:?}");
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
