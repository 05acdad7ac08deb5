//! The strings of an exec: where the program is looked for, and what a failure means in words.

use std::ffi::{CStr, CString};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::limits::Rlimit;
use super::users::Credentials;
use super::variables::Variables;
use super::{confine, exec_trouble};
use crate::models::{Confinement, Rare};
use crate::process::{SpawnError, SpawnStage};

/// Where programs are looked up if the child's environment has no PATH.
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/bin:/usr/bin";

/// What a child reads until it has executed its program, and what an error names.
pub(super) struct ExecStrings {
    pub(super) argv: Vec<CString>,
    /// The paths to try.
    pub(super) candidates: Vec<CString>,
    pub(super) directory: Option<CString>,
    pub(super) stdin_file: Option<CString>,
    pub(super) credentials: Option<Credentials>,
    pub(super) rlimits: Vec<Rlimit>,
    pub(super) confinement: Rare<Confinement>,
}

/// The paths that `execvp` would try for `program` in the PATH that the child will have.
pub(super) fn candidates(program: &CStr, env: &Variables) -> Vec<CString> {
    let name = program.to_bytes();
    if name.is_empty() || name.contains(&b'/') {
        return vec![program.to_owned()];
    }
    let path = env.get(b"PATH").unwrap_or(DEFAULT_PATH);
    path.split(|byte| *byte == b':')
        .filter_map(|directory| {
            // An empty element is the working directory.
            let prefix: &[u8] = if directory.is_empty() { b"." } else { directory };
            CString::new([prefix, b"/", name].concat()).ok()
        })
        .collect()
}

impl ExecStrings {
    /// What the child's failure means; `index`: the candidate, or the limit, that decided.
    pub(super) fn explain(&self, stage: SpawnStage, errno: i32, index: usize) -> SpawnError {
        let text = |string: Option<&CString>| string.map_or_else(String::new, |s| s.to_string_lossy().into_owned());
        match stage {
            SpawnStage::Credentials | SpawnStage::Groups => self.explain_credentials(errno),
            SpawnStage::Directory => SpawnError::system(stage, text(self.directory.as_ref()), errno),
            SpawnStage::Stdin => self.explain_stdin(errno),
            SpawnStage::Exec => self.explain_exec(errno, index),
            SpawnStage::Interpreter
            | SpawnStage::Prepare
            | SpawnStage::Pipe
            | SpawnStage::Fork
            | SpawnStage::Session
            | SpawnStage::Stdio
            | SpawnStage::Terminal
            | SpawnStage::ParentDeath => SpawnError::system(stage, "", errno),
            SpawnStage::Limits => confine::explain_limit(self.rlimits.get(index), errno),
            SpawnStage::OomScore
            | SpawnStage::Nice
            | SpawnStage::IoPriority
            | SpawnStage::Affinity
            | SpawnStage::Scheduler
            | SpawnStage::Chroot
            | SpawnStage::Capabilities
            | SpawnStage::NoNewPrivs => confine::explain(&self.confinement, stage, errno),
        }
    }

    /// It is one step for the child, whose user may be ours.
    fn explain_credentials(&self, errno: i32) -> SpawnError {
        let own = nix::unistd::geteuid().as_raw();
        let (stage, who, remedy) = match &self.credentials {
            Some(other) if other.uid != own => (
                SpawnStage::Credentials,
                other.label(),
                "only root with CAP_SETUID and CAP_SETGID may; start supervice as root, or remove the key user",
            ),
            Some(_) | None => (
                SpawnStage::Groups,
                String::new(),
                "only root with CAP_SETGID may; start supervice as root, or remove these keys",
            ),
        };
        let mut error = SpawnError::system(stage, who, errno);
        if errno == libc::EPERM {
            error.detail = format!("{}; {remedy}", crate::util::errno::text(errno));
        }
        error
    }

    /// Who may only read a FIFO would not understand that he is denied it.
    fn explain_stdin(&self, errno: i32) -> SpawnError {
        let file = self.stdin_file.as_ref().map_or(PathBuf::new(), |path| to_path(path));
        let mut error = SpawnError::system(SpawnStage::Stdin, file.to_string_lossy(), errno);
        let at = self.directory.as_ref().map_or(PathBuf::new(), |path| to_path(path)).join(file);
        if errno == libc::EACCES && fs::metadata(at).is_ok_and(|found| found.file_type().is_fifo()) {
            let reason = crate::util::errno::text(errno);
            error.detail =
                format!("{reason}: a FIFO is opened for reading and writing; give the program's user both rights");
        }
        error
    }

    /// The kernel's number alone puzzles everybody where the file is there.
    fn explain_exec(&self, errno: i32, index: usize) -> SpawnError {
        if let Some(root) = &self.confinement.chroot {
            return self.explain_exec_inside(Path::new(root), errno, index);
        }
        let directory = self.directory.as_ref().map_or(PathBuf::new(), |path| to_path(path));
        let path = |candidate: &CString| directory.join(to_path(candidate));
        let program = self.argv.first().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        if errno == libc::ENOENT && !program.contains('/') {
            let found = self.candidates.iter().map(path).find(|path| path.is_file());
            let stage = exec_stage(errno, found.as_deref());
            let (subject, detail) = match found {
                Some(found) => {
                    (found.display().to_string(), exec_trouble::explain(&found, errno, self.credentials.as_ref()))
                }
                None => (
                    program,
                    Some("not found in the program's PATH; give the full path or set PATH in environment".to_owned()),
                ),
            };
            return SpawnError { detail: detail.unwrap_or_default(), ..SpawnError::system(stage, subject, errno) };
        }
        let Some(tried) = self.candidates.get(index) else {
            return SpawnError::system(SpawnStage::Exec, program, errno);
        };
        let stage = exec_stage(errno, Some(&path(tried)));
        let mut error = SpawnError::system(stage, tried.to_string_lossy(), errno);
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

impl ExecStrings {
    /// The same with a root directory of its own, in which links and interpreters lead elsewhere than they do for us.
    fn explain_exec_inside(&self, root: &Path, errno: i32, index: usize) -> SpawnError {
        let from = self.directory.as_ref().map_or(PathBuf::from("/"), |path| to_path(path));
        let path = |candidate: &CString| {
            let inside = from.join(to_path(candidate));
            root.join(inside.strip_prefix("/").unwrap_or(&inside))
        };
        let named = self.argv.first().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let found = self.candidates.iter().map(path).find(|path| path.is_file());
        let detail = match (errno, &found) {
            (libc::ENOENT, Some(_)) => {
                "its interpreter or dynamic loader is not inside; copy that there, too".to_owned()
            }
            (libc::ENOENT, None) => {
                format!("it is not inside {}; copy it there, with the libraries that it needs", root.display())
            }
            _ => crate::util::errno::text(errno),
        };
        let stage = exec_stage(errno, found.as_deref());
        let tried = self.candidates.get(index).map(path).filter(|_| errno != libc::ENOENT);
        let subject = found.or(tried).map_or(named, |path| path.display().to_string());
        SpawnError { detail, ..SpawnError::system(stage, subject, errno) }
    }
}

/// The kernel has one number for a program that is not there and for one whose interpreter is not.
fn exec_stage(errno: i32, program: Option<&Path>) -> SpawnStage {
    match errno == libc::ENOENT && program.is_some_and(Path::is_file) {
        true => SpawnStage::Interpreter,
        false => SpawnStage::Exec,
    }
}

fn to_path(text: &CStr) -> PathBuf {
    PathBuf::from(std::ffi::OsString::from_vec(text.to_bytes().to_vec()))
}
