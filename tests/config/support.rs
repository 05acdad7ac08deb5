//! Files to load, and their faults as text.

use std::fs;
use std::path::{Path, PathBuf};

use supervice::config::{ConfigError, Diagnostic, LoadOptions, Loaded, load};
use supervice::models::ProgramConfig;
use tempfile::TempDir;

/// A directory with a configuration in it.
pub struct Files {
    dir: TempDir,
}

impl Files {
    pub fn new(main: &str) -> Files {
        let files = Files { dir: tempfile::tempdir().expect("a temporary directory") };
        files.with("main.ini", main)
    }

    pub fn with(self, name: &str, contents: impl AsRef<[u8]>) -> Files {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        fs::write(path, contents).expect("a file");
        self
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn main(&self) -> PathBuf {
        self.dir.path().join("main.ini")
    }

    pub fn try_load(&self, strict: bool) -> Result<Loaded, ConfigError> {
        load(self.main(), &LoadOptions { strict, ..LoadOptions::default() })
    }

    /// The configuration, which must hold.
    pub fn load(&self) -> Loaded {
        self.try_load(false).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The errors, one a line, with the directory's name replaced by `DIR`.
    pub fn errors(&self, strict: bool) -> String {
        match self.try_load(strict) {
            Ok(_) => String::new(),
            Err(error) => self.named(&error.to_string()),
        }
    }

    /// The warnings of a configuration that holds, as `errors`.
    pub fn warnings(&self) -> String {
        let loaded = self.load();
        self.named(&loaded.warnings.iter().map(Diagnostic::to_string).collect::<Vec<_>>().join("\n"))
    }

    fn named(&self, text: &str) -> String {
        text.replace(&format!("{}", self.dir.path().display()), "DIR")
    }
}

/// The one program of a section's text.
pub fn program(keys: &str) -> ProgramConfig {
    let files = Files::new(&format!("[program:p]\ncommand = run\n{keys}\n"));
    files.load().config.programs.remove(0)
}

/// The errors of a section's text, from `KEY = VALUE` on.
pub fn program_error(keys: &str) -> String {
    let errors = Files::new(&format!("[program:p]\ncommand = run\n{keys}\n")).errors(false);
    errors.replace("DIR/main.ini:3: [program:p] ", "")
}
