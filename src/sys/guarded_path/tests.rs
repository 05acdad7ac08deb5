//! Paths in directories of ours and of others.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};

use super::*;

const NOBODY: u32 = 65534;

/// A directory of another user with a file of root beside it; `None` where we may not give files away.
fn foreign() -> Option<(tempfile::TempDir, PathBuf)> {
    if !geteuid().is_root() {
        eprintln!("SKIPPED: only root can give a file to another user");
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("target"), "secret\n").unwrap();
    let logs = dir.path().join("logs");
    fs::create_dir(&logs).unwrap();
    chown(&logs, Some(NOBODY), Some(NOBODY)).unwrap();
    Some((dir, logs))
}

fn refusal(path: &Path) -> String {
    [Access::Append, Access::Replace, Access::Read, Access::Update, Access::Overwrite]
        .map(|access| open(path, access).expect_err("it is not trusted").to_string())
        .into_iter()
        .next()
        .unwrap_or_default()
}

#[test]
fn a_file_is_appended_to_replaced_and_read_by_whatever_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/../a/./log");
    fs::create_dir(dir.path().join("a")).unwrap();
    open(&path, Access::Append).unwrap().write_all(b"one").unwrap();
    open(&path, Access::Append).unwrap().write_all(b"two").unwrap();
    symlink("a/log", dir.path().join("link")).unwrap();
    symlink(dir.path().join("link"), dir.path().join("links")).unwrap();
    let mut text = String::new();
    open(&dir.path().join("links"), Access::Read).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "onetwo", "our own links are followed");
    open(&path, Access::Replace).unwrap();
    assert_eq!(fs::read(dir.path().join("a/log")).unwrap(), b"");
    symlink("nowhere", dir.path().join("dangling")).unwrap();
    open(&dir.path().join("dangling"), Access::Append).unwrap();
    assert!(dir.path().join("nowhere").is_file());
    symlink("loop", dir.path().join("loop")).unwrap();
    assert_eq!(open(&dir.path().join("loop"), Access::Read).unwrap_err().raw_os_error(), Some(libc::ELOOP));
    let held = open(&path, Access::Append).unwrap();
    let by_number = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&held));
    open(by_number.as_ref(), Access::Append).unwrap();
    rename(&path, &dir.path().join("b")).unwrap();
    remove(&dir.path().join("link")).unwrap();
    assert!(dir.path().join("b").exists() && !dir.path().join("link").is_symlink());
}

#[test]
fn case_23_a_link_of_another_user_is_not_followed() {
    let Some((dir, logs)) = foreign() else { return };
    symlink(dir.path().join("target"), logs.join("app.log")).unwrap();
    lchown(logs.join("app.log"), Some(NOBODY), None).unwrap();
    let told = refusal(&logs.join("app.log"));
    let link = logs.join("app.log");
    assert!(told.starts_with("it is a link of another user (uid 65534)"), "{told}");
    // A directory in between is no better.
    symlink(dir.path(), logs.join("away")).unwrap();
    lchown(logs.join("away"), Some(NOBODY), None).unwrap();
    refusal(&logs.join("away/target"));
    for result in [rename(&logs.join("away/target"), &logs.join("x")), remove(&logs.join("away/target"))] {
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
    assert_eq!(fs::read(dir.path().join("target")).unwrap(), b"secret\n");
    // Root's own is followed, wherever it lies.
    lchown(logs.join("app.log"), Some(0), None).unwrap();
    open(&link, Access::Append).unwrap();
}

#[test]
fn case_23_a_second_name_of_a_file_is_refused_where_others_can_write() {
    let Some((dir, logs)) = foreign() else { return };
    fs::hard_link(dir.path().join("target"), logs.join("app.log")).unwrap();
    open(&logs.join("app.log"), Access::Read).expect("what everybody may read");
    fs::set_permissions(dir.path().join("target"), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(refusal(&logs.join("app.log")).contains("has a second name"));
    assert_eq!(fs::read(dir.path().join("target")).unwrap(), b"secret\n", "not even emptied");
    fs::hard_link(dir.path().join("target"), dir.path().join("second")).unwrap();
    open(&dir.path().join("second"), Access::Append).unwrap();
}

#[test]
fn case_23_a_file_of_a_third_user_is_refused_and_that_of_the_directorys_owner_is_not() {
    let Some((_dir, logs)) = foreign() else { return };
    let path = logs.join("app.log");
    fs::write(&path, "").unwrap();
    for (owner, is_fine) in [(0, true), (NOBODY, true), (4711, false)] {
        chown(&path, Some(owner), None).unwrap();
        assert_eq!(open(&path, Access::Append).is_ok(), is_fine, "uid {owner}");
    }
    chown(&logs, Some(0), None).unwrap();
    open(&path, Access::Append).unwrap();
    fs::set_permissions(&logs, fs::Permissions::from_mode(0o777)).unwrap();
    refusal(&path);
}

/// A program's environment is read by root: it must not tell the program's user what that user may not read, and the
/// links of a deployment are followed all the same.
#[test]
fn a_link_of_another_user_is_followed_to_files_of_that_user_to_read_them() {
    let Some((dir, releases)) = foreign() else { return };
    fs::create_dir(releases.join("7")).unwrap();
    symlink("7", releases.join("current")).unwrap();
    lchown(releases.join("current"), Some(NOBODY), None).unwrap();
    let path = releases.join("current/env");
    fs::write(releases.join("7/env"), "A=1\n").unwrap();
    assert!(
        open(&path, Access::Read).unwrap_err().to_string().contains("current is a link of another user"),
        "root's file"
    );
    chown(releases.join("7/env"), Some(NOBODY), None).unwrap();
    let mut text = String::new();
    open(&path, Access::Read).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "A=1\n");
    for access in [Access::Append, Access::Replace, Access::Update, Access::Overwrite] {
        assert!(open(&path, access).is_err(), "{access:?}");
    }
    // By way of a directory of a third user.
    symlink(dir.path(), releases.join("away")).unwrap();
    lchown(releases.join("away"), Some(4711), None).unwrap();
    assert!(open(&releases.join("away/logs/current/env"), Access::Read).is_err());
}

#[test]
fn standard_output_is_recognised_under_any_name() {
    let dir = tempfile::tempdir().unwrap();
    symlink("/dev/stdout", dir.path().join("one")).unwrap();
    symlink(dir.path().join("one"), dir.path().join("two")).unwrap();
    for path in
        [dir.path().join("two"), "/proc/self/fd/1".into(), "/dev/../dev/fd/1".into(), "/proc/thread-self/fd/1".into()]
    {
        let log = open_log(&path).unwrap();
        // Where both are the same file, the first of them is found.
        assert!(matches!(log, Log::Standard(StandardStream::Output)) || is_null_device(), "{path:?} {log:?}");
    }
    assert!(matches!(open_log(Path::new("/dev/null")).unwrap(), Log::File { .. }), "it is itself whoever opens it");
}

fn is_null_device() -> bool {
    StandardStream::Output.file().unwrap().metadata().unwrap().rdev() == NULL_DEVICE
}

#[test]
fn a_log_that_is_a_link_is_where_the_link_leads() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().canonicalize().unwrap();
    fs::create_dir(base.join("real")).unwrap();
    symlink("real/app.log", base.join("app.log")).unwrap();
    let Log::File { path, is_shared, .. } = open_log(&base.join("app.log")).unwrap() else { panic!("a file") };
    assert_eq!(path, base.join("real/app.log"));
    // The directory for temporary files has the sticky bit: nobody else can exchange what is ours in it.
    let is_kept = fs::metadata(base.parent().unwrap()).is_ok_and(|found| found.mode() & 0o1002 != 0o0002);
    assert!(!is_shared || !is_kept);
    fs::set_permissions(base.join("real"), fs::Permissions::from_mode(0o777)).unwrap();
    let log = open_log(&base.join("app.log")).unwrap();
    assert!(matches!(log, Log::File { is_shared: true, .. }), "{log:?}");
}
