//! Who else can write a configuration that root reads: whoever can decides what root executes.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::diagnostic::Fault;

/// What is to be said of a file that root reads; nothing where nobody else can write to it or put another in its place.
pub(crate) fn fault(path: &Path) -> Option<Fault> {
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    let real = path.canonicalize().ok()?;
    let file = fs::metadata(&real).ok()?;
    if let Some(who) = writers(&file) {
        return Some(ownership_fault(&format!("{who} can write to this file"), "chown root and chmod go-w it"));
    }
    let absolute = std::path::absolute(path).ok()?;
    // Both that of the file and that of the link by which it was named.
    [real.parent(), absolute.parent()].into_iter().flatten().find_map(|directory| {
        let found = fs::metadata(directory).ok()?;
        let who = writers(&found)?;
        // In a directory with the sticky bit others can't exchange what is root's.
        let is_kept = found.mode() & 0o1000 != 0 && found.uid() == 0 && is_roots(path);
        let directory = directory.display();
        (!is_kept).then(|| {
            ownership_fault(
                &format!("{who} can put another file in its place"),
                &format!("chown root and chmod go-w {directory}"),
            )
        })
    })
}

fn ownership_fault(what: &str, remedy: &str) -> Fault {
    Fault::new(format!("{what}, and so decide what root executes"), remedy.to_owned())
}

fn is_roots(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.uid() == 0)
}

/// Who can write beside root.
fn writers(found: &Metadata) -> Option<String> {
    let mode = found.mode();
    if found.uid() != 0 {
        Some(format!("its owner (uid {})", found.uid()))
    } else if mode & 0o002 != 0 {
        Some("everybody".to_owned())
    } else if mode & 0o020 != 0 && found.gid() != 0 {
        Some(format!("its group (gid {})", found.gid()))
    } else {
        None
    }
}
