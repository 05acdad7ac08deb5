//! The strings of an exec: where the program is looked for, and what a failure means in words.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::exec_trouble;
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
            SpawnStage::Exec => self.explain_exec(errno, index),
            SpawnStage::Prepare
            | SpawnStage::Pipe
            | SpawnStage::Fork
            | SpawnStage::Session
            | SpawnStage::Stdio
            | SpawnStage::Limits
            | SpawnStage::ParentDeath => SpawnError::system(stage, "", errno),
        }
    }

    /// The kernel's number alone puzzles everybody where the file is there.
    fn explain_exec(&self, errno: i32, index: usize) -> SpawnError {
        let directory = self.directory.as_ref().map_or(PathBuf::new(), |path| to_path(path));
        let path = |candidate: &CString| directory.join(to_path(candidate));
        let program = self.argv.first().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        if errno == libc::ENOENT && !program.contains('/') {
            let found = self.candidates.iter().map(path).find(|path| path.is_file());
            let (subject, detail) = match found {
                Some(found) => {
                    (found.display().to_string(), exec_trouble::explain(&found, errno, self.credentials.as_ref()))
                }
                None => (
                    program,
                    Some("not found in the program's PATH; give the full path or set PATH in environment".to_owned()),
                ),
            };
            return SpawnError {
                detail: detail.unwrap_or_default(),
                ..SpawnError::system(SpawnStage::Exec, subject, errno)
            };
        }
        let Some(tried) = self.candidates.get(index) else {
            return SpawnError::system(SpawnStage::Exec, program, errno);
        };
        let mut error = SpawnError::system(SpawnStage::Exec, tried.to_string_lossy(), errno);
        if let Some(trouble) = exec_trouble::explain(&path(tried), errno, self.credentials.as_ref()) {
            // "No such file or directory" would be a false statement about a file that is there.
            error.detail = match errno {
                libc::ENOENT => trouble,
                _ => format!("{}: {trouble}", crate::util::errno::text(errno)),
            };
        }
        error
    }
}

fn to_path(text: &CStr) -> PathBuf {
    PathBuf::from(std::ffi::OsString::from_vec(text.to_bytes().to_vec()))
}
