//! A temporary directory for one run: the child's program, its FIFO, and what a peer writes there.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::stat::Mode;
use tempfile::TempDir;

use crate::error::{Context, Result};

/// One run's directory. It is removed when this is dropped.
pub struct Site {
    dir: TempDir,
    /// How many programs are supervised here.
    pub n: usize,
    /// The program that is supervised; its first argument is [`Site::fifo`].
    pub child: PathBuf,
    /// The other arguments, each after a space.
    pub load: String,
    /// For each program the numbers of those that it needs; empty where none needs another.
    pub needs: Vec<Vec<usize>>,
}

impl Site {
    /// A fresh directory below `root` for `n` programs.
    pub fn new(root: &Path, child: &Path, n: usize) -> Result<Self> {
        let dir = TempDir::new_in(root).context(format!("cannot make a directory in {}", root.display()))?;
        let site = Self { dir, n, child: child.to_path_buf(), load: String::new(), needs: Vec::new() };
        let fifo = site.fifo();
        nix::unistd::mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR)
            .context(format!("cannot make the FIFO {}", fifo.display()))?;
        Ok(site)
    }

    /// The path of a file or directory of this name.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where the children report to.
    pub fn fifo(&self) -> PathBuf {
        self.path("fifo")
    }

    /// The names of the programs.
    pub fn names(&self) -> impl Iterator<Item = String> {
        (0..self.n).map(name)
    }

    /// Each program with the names of those that it needs.
    pub fn names_with_needs(&self) -> impl Iterator<Item = (String, Vec<String>)> {
        let needs = |number: usize| self.needs.get(number).map(|needs| needs.iter().copied().map(name).collect());
        (0..self.n).map(move |number| (name(number), needs(number).unwrap_or_default()))
    }

    /// The command line of every program.
    pub fn command_line(&self) -> String {
        format!("{} {}{}", self.child.display(), self.fifo().display(), self.load)
    }

    /// Writes a file and tells its path.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        fs::write(&path, text).context(format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Makes a directory with one subdirectory a program, each with an executable `run`, as runit and s6
    /// want it. The child itself is the interpreter of `run`, so that no shell stands in the way.
    pub fn service_directories(&self, name: &str) -> Result<PathBuf> {
        let top = self.path(name);
        for program in self.names() {
            let dir = top.join(program);
            fs::create_dir_all(&dir).context(format!("cannot make {}", dir.display()))?;
            let run = dir.join("run");
            fs::write(&run, format!("#!{}\n", self.command_line()))
                .and_then(|()| fs::set_permissions(&run, fs::Permissions::from_mode(0o755)))
                .context(format!("cannot write {}", run.display()))?;
        }
        Ok(top)
    }
}

fn name(number: usize) -> String {
    format!("p{number:05}")
}

/// What a child said as its first action.
#[derive(Debug, Clone, Copy)]
pub struct Record {
    /// CLOCK_MONOTONIC, in nanoseconds.
    pub ns: u64,
    /// The child.
    pub pid: i32,
}

/// The reading end of a site's FIFO.
pub struct Records {
    reader: File,
    // Held until the end is awaited: without it the FIFO would seem to have ended before it began.
    writer: Option<File>,
}

impl Records {
    /// Opens the FIFO of `site`.
    pub fn open(site: &Site) -> Result<Self> {
        let path = site.fifo();
        let open = |options: &mut OpenOptions| {
            options.custom_flags(libc::O_NONBLOCK).open(&path).context(format!("cannot open {}", path.display()))
        };
        let reader = open(OpenOptions::new().read(true))?;
        let writer = Some(open(OpenOptions::new().write(true))?);
        Ok(Self { reader, writer })
    }

    /// The records that are there now.
    pub fn read(&mut self) -> Result<Vec<Record>> {
        let mut bytes = Vec::new();
        match self.reader.read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(format!("cannot read the children's FIFO: {error}")),
        }
        Ok(bytes.chunks_exact(16).filter_map(record).collect())
    }

    /// The next records, at most after `limit`; none at all when nothing came in that time.
    pub fn wait(&mut self, limit: Duration) -> Result<Vec<Record>> {
        let timeout = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(self.reader.as_fd(), PollFlags::POLLIN)];
        nix::poll::poll(&mut fds, timeout).context("cannot wait for the children's FIFO")?;
        self.read()
    }

    /// True if no child holds the FIFO any more. There can be no more records after this.
    pub fn ended(&mut self) -> bool {
        self.writer = None;
        let mut byte = [0; 16];
        loop {
            match self.reader.read(&mut byte) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }
}

fn record(bytes: &[u8]) -> Option<Record> {
    let ns = u64::from_ne_bytes(bytes.get(0..8)?.try_into().ok()?);
    let pid = u32::from_ne_bytes(bytes.get(8..12)?.try_into().ok()?);
    Some(Record { ns, pid: i32::try_from(pid).ok()? })
}

/// Compiles `child.c` into `root`, statically where that works: then the dynamic loader's work, which no
/// supervisor can change, is not in the figures. Tells the program and how it is linked.
pub fn compile_child(root: &Path) -> Result<(PathBuf, &'static str)> {
    let source = root.join("child.c");
    fs::write(&source, include_str!("child.c")).context(format!("cannot write {}", source.display()))?;
    let program = root.join("child");
    let mut said = String::new();
    for (flags, linked) in [(&["-static"][..], "static"), (&[][..], "dynamic")] {
        let output = Command::new("cc")
            .args(["-O2", "-Wall", "-o"])
            .arg(&program)
            .args(flags)
            .arg(&source)
            .output()
            .context("cannot run cc, the C compiler that builds the supervised program")?;
        if output.status.success() {
            return Ok((program, linked));
        }
        said = String::from_utf8_lossy(&output.stderr).into_owned();
    }
    Err(format!("cc failed:\n{said}"))
}
