//! The user and the groups of a child.

use super::*;

#[test]
fn user_group_and_supplementary_groups_are_taken_on() {
    if !is_root("user_group_and_supplementary_groups_are_taken_on") {
        return;
    }
    let (_, text) = run_with(&["grep", "-E", "^(Uid|Gid|Groups|CapEff)", "/proc/self/status"], |command| {
        let credentials = users::Credentials { groups: vec![1234, 77], ..users::lookup_user("1234").unwrap() };
        command.credentials = Some(credentials);
        command.pdeathsig = true;
    });
    let want =
        "Uid:\t1234\t1234\t1234\t1234\nGid:\t1234\t1234\t1234\t1234\nGroups:\t77 1234 \nCapEff:\t0000000000000000\n";
    assert_eq!(text, want);
}

#[test]
fn a_change_of_user_leaves_the_daemon_dumpable() {
    const NAME: &str = "sys::spawn::tests::credentials::a_change_of_user_leaves_the_daemon_dumpable";
    if !is_root(NAME) {
        return;
    }
    in_own_process(NAME, || {
        // SAFETY: only asks.
        let dumpable = || unsafe { libc::prctl(libc::PR_GET_DUMPABLE) };
        let before = dumpable();
        let edit = |command: &mut Launch<'_>| command.credentials = Some(users::lookup_user("1234").unwrap());
        assert_eq!(run_with(&["true"], edit).0, Exit::Code(0));
        assert_eq!((before, dumpable()), (1, 1));
    });
}

#[test]
fn the_directory_is_entered_with_the_rights_of_the_user() {
    if !is_root("the_directory_is_entered_with_the_rights_of_the_user") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let error = fail(&["true"], |command| {
        command.directory = Some(c_string("directory", dir.path()).unwrap());
        command.credentials = Some(users::lookup_user("1234").unwrap());
    });
    assert_eq!((error.stage, error.errno), (SpawnStage::Directory, libc::EACCES));
    assert!(error.is_permanent());
}

#[test]
fn an_unprivileged_daemon_may_name_itself_and_nobody_else() {
    const NAME: &str = "sys::spawn::tests::credentials::an_unprivileged_daemon_may_name_itself_and_nobody_else";
    if !is_root(NAME) {
        return;
    }
    in_own_process(NAME, || {
        let user = nix::unistd::Uid::from_raw(1234);
        nix::unistd::setgroups(&[]).unwrap();
        nix::unistd::setgid(nix::unistd::Gid::from_raw(1234)).unwrap();
        nix::unistd::setuid(user).unwrap();
        let ours = |command: &mut Launch<'_>| command.credentials = Some(users::lookup_user("1234").unwrap());
        assert_eq!(run_with(&["true"], ours).0, Exit::Code(0));
        let error = fail(&["true"], |command| command.credentials = Some(users::lookup_user("root").unwrap()));
        assert_eq!((error.stage, error.errno, error.subject.as_str()), (SpawnStage::Credentials, libc::EPERM, "root"));
        assert!(error.is_permanent());
    });
}
