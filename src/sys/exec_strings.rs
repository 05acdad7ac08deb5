//! The strings of an exec: where the program is looked for, and what a failure means in words.

use std::ffi::{CStr, CString};
use std::fs;
use std::io::{self, BufRead, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::users::Credentials;
use crate::process::{SpawnError, SpawnStage};

/// Where programs are looked up if the child's environment has no PATH.
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/bin:/usr/bin";

/// What a child reads until it has executed its program, and what an error names.
pub(super) struct ExecStrings {
    pub(super) argv: Vec<CString>,
    /// The paths to try.
    pub(super) candidates: Vec<CString>,
    pub(super) directory: Option<CString>,
    pub(super) credentials: Option<Credentials>,
}

/// The paths that `execvp` would try for `program` in the PATH that the child will have.
pub(super) fn candidates(program: &CStr, env: &[CString]) -> Vec<CString> {
    let name = program.to_bytes();
    if name.is_empty() || name.contains(&b'/') {
        return vec![program.to_owned()];
    }
    let path = env.iter().find_map(|variable| variable.to_bytes().strip_prefix(b"PATH=")).unwrap_or(DEFAULT_PATH);
    path.split(|byte| *byte == b':')
        .filter_map(|directory| {
            // An empty element is the working directory.
            let prefix: &[u8] = if directory.is_empty() { b"." } else { directory };
            CString::new([prefix, b"/", name].concat()).ok()
        })
        .collect()
}

impl ExecStrings {
    /// What the child's failure means; `index`: the candidate that decided.
    pub(super) fn explain(&self, stage: SpawnStage, errno: i32, index: usize) -> SpawnError {
        let text = |string: Option<&CString>| string.map_or_else(String::new, |s| s.to_string_lossy().into_owned());
        match stage {
            SpawnStage::Credentials => {
                let who = self.credentials.as_ref().map_or_else(String::new, Credentials::label);
                SpawnError::system(stage, who, errno)
            }
            SpawnStage::Directory => SpawnError::system(stage, text(self.directory.as_ref()), errno),
            SpawnStage::Exec if errno == libc::ENOENT => self.explain_missing(text(self.argv.first())),
            SpawnStage::Exec => {
                let tried = self.candidates.get(index).or(self.argv.first());
                SpawnError::system(stage, text(tried), errno)
            }
            SpawnStage::Prepare
            | SpawnStage::Pipe
            | SpawnStage::Fork
            | SpawnStage::Session
            | SpawnStage::Stdio
            | SpawnStage::Limits
            | SpawnStage::ParentDeath => SpawnError::system(stage, "", errno),
        }
    }

    /// "No such file or directory" for a file that is there puzzles everybody: what is missing is its
    /// interpreter or dynamic loader.
    fn explain_missing(&self, program: String) -> SpawnError {
        let directory = self.directory.as_ref().map_or(PathBuf::new(), |path| to_path(path));
        let found = self.candidates.iter().map(|path| directory.join(to_path(path))).find(|path| path.is_file());
        let mut error = SpawnError::system(SpawnStage::Exec, program.clone(), libc::ENOENT);
        if let Some(path) = found {
            error.subject = path.display().to_string();
            error.detail = why_missing(&path).unwrap_or_default();
        } else if !program.contains('/') {
            error.detail = "not found in the program's PATH; give the full path or set PATH in environment".to_owned();
        }
        error
    }
}

/// What else is missing where a program is there and the kernel says that it is not.
pub(super) fn why_missing(path: &Path) -> Option<String> {
    path.is_file().then(|| match interpreter(path) {
        Some(name) => format!("its interpreter {name} does not exist; correct its first line or install it"),
        None => "the file is there, but its dynamic loader is not: it was built for another system".to_owned(),
    })
}

fn to_path(text: &CStr) -> PathBuf {
    PathBuf::from(std::ffi::OsString::from_vec(text.to_bytes().to_vec()))
}

/// What a script's first line names.
fn interpreter(script: &Path) -> Option<String> {
    let mut line = Vec::new();
    let file = fs::File::open(script).ok()?;
    io::BufReader::with_capacity(256, file.take(256)).read_until(b'\n', &mut line).ok()?;
    let text = String::from_utf8_lossy(line.strip_prefix(b"#!")?).into_owned();
    text.split_whitespace().next().map(str::to_owned)
}
