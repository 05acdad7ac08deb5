use super::*;
use crate::process::Exit;
use crate::sys::launch::{Launch, c_string, standard_fds};
use crate::sys::reap;
use crate::sys::spawn::{Child, Spawner};
use crate::sys::testing::is_root;
use crate::sys::variables::Variables;
use std::io::{BufRead, BufReader, PipeReader};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + crate::sys::testing::TEST_TIMEOUT;
    while !done() {
        assert!(Instant::now() < deadline, "waited too long: {what}");
        std::thread::sleep(Duration::from_micros(500));
    }
}

fn spawn(script: &str) -> (Child, BufReader<PipeReader>) {
    let (reader, writer) = io::pipe().unwrap();
    let null = crate::sys::stdio::open_null().unwrap();
    let launch = Launch {
        pid_variable: None,
        argv: ["/bin/sh", "-c", script].iter().map(|word| c_string("test", word).unwrap()).collect(),
        env: Variables::from_iter([c"PATH=/usr/bin:/bin".into()]),
        directory: None,
        stdin_file: None,
        credentials: None,
        pdeathsig: false,
        fds: standard_fds(null.as_fd(), writer.as_fd(), writer.as_fd()),
        rlimits: Vec::new(),
        umask: None,
        #[cfg(feature = "attach")]
        has_terminal: false,
        confinement: crate::models::Rare::default(),
        argv_0_is_path: false,
    };
    (Spawner::new().unwrap().spawn(launch).unwrap(), BufReader::new(reader))
}

fn leader(child: &Child, reaped: bool) -> GroupLeader<'_> {
    child.leader(reaped)
}

/// A leader that has ended and was reaped, and a member of its group that lives on.
fn orphaned_group() -> Child {
    let (child, mut output) = spawn("sleep 60 & echo ready; exit 7");
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let mut exit = None;
    until("the leader's end", || {
        exit = reap::reap(child.pid);
        exit.is_some()
    });
    assert_eq!(exit, Some(Exit::Code(7)));
    child
}

/// With a fresh look.
fn is_dead(leader: GroupLeader<'_>) -> bool {
    let now = crate::sys::time::now();
    group_is_empty(leader) || DeadGroups::default().contains(leader, now, now)
}

#[test]
fn what_was_seen_before_the_leader_was_reaped_says_nothing_of_its_group() {
    let (child, _output) = spawn("exit 0");
    until("a zombie", || proc::stat(child.pid).is_some_and(|stat| stat.is_dead()));
    let (mut groups, now) = (DeadGroups::default(), crate::sys::time::now());
    let later = now + Duration::from_millis(1);
    assert!(groups.contains(leader(&child, false), now, now));
    assert!(!groups.contains(leader(&child, false), later, later), "the number may belong to another group by now");
    let much_later = now + Duration::from_secs(600);
    assert!(groups.contains(leader(&child, false), later, much_later), "it is looked again");
    assert_eq!(reap::reap(child.pid), Some(Exit::Code(0)));
}

#[test]
fn the_group_is_signalled_after_its_leader_was_reaped() {
    let child = orphaned_group();
    assert!(!group_is_empty(leader(&child, true)));
    assert_eq!(signal_leader(leader(&child, true), 9).unwrap(), GroupSignal::Gone);
    assert!(proc::group_members(child.pid).unwrap().iter().any(|member| member.session == child.pid));
    assert_eq!(signal_group(leader(&child, true), 15).unwrap(), GroupSignal::Delivered);
    until("the group's end", || is_dead(leader(&child, true)));
}

#[test]
fn without_a_pidfd_the_group_is_found_by_its_session() {
    let child = orphaned_group();
    let by_id = GroupLeader { pidfd: None, ..leader(&child, true) };
    assert_eq!(signal_group(by_id, 9).unwrap(), GroupSignal::Delivered);
    until("the group's end", || is_dead(by_id));
}

#[test]
fn an_empty_group_is_gone_and_a_zombie_counts_as_a_member_but_not_as_alive() {
    let (child, _output) = spawn("exit 0");
    until("a zombie", || proc::stat(child.pid).is_some_and(|stat| stat.is_dead()));
    assert!(!group_is_empty(leader(&child, false)));
    assert!(is_dead(leader(&child, false)));
    assert_eq!(reap::reap(child.pid), Some(Exit::Code(0)));
    for pidfd in [child.pidfd.as_ref().map(AsFd::as_fd), None] {
        let gone = GroupLeader { pid: child.pid, pidfd, reaped: true, session: child.pid };
        assert_eq!(signal_group(gone, 15).unwrap(), GroupSignal::Gone);
        assert!(group_is_empty(gone) && is_dead(gone));
    }
}

#[test]
fn no_number_addresses_ourselves_or_everybody() {
    for pid in [-1, 0, 1] {
        let wrong = GroupLeader { pid, pidfd: None, reaped: false, session: pid };
        assert_eq!(signal_group(wrong, 9).unwrap(), GroupSignal::Gone);
    }
    let child = orphaned_group();
    assert!(signal_group(leader(&child, true), 65).is_err());
    assert!(!NO_GROUP_FLAG.load(Ordering::Relaxed) || signal_group(leader(&child, true), 0).is_ok());
    signal_group(leader(&child, true), 9).unwrap();
}

#[test]
fn a_group_of_another_user_is_denied() {
    const NAME: &str = "sys::signal::tests::a_group_of_another_user_is_denied";
    if !is_root(NAME) {
        return;
    }
    crate::sys::testing::in_own_process(NAME, || {
        let (child, _output) = spawn("exec sleep 60");
        // The real and saved ids stay root's, so that we can come back.
        nix::unistd::setresuid(1234.into(), 1234.into(), 0.into()).unwrap();
        let answer = signal_group(leader(&child, false), 15);
        let alone = signal_leader(leader(&child, false), 15);
        nix::unistd::setresuid(0.into(), 0.into(), 0.into()).unwrap();
        assert_eq!(answer.unwrap(), GroupSignal::Denied);
        assert_eq!(alone.unwrap(), GroupSignal::Denied);
        signal_group(leader(&child, false), 9).unwrap();
        until("its end", || reap::reap(child.pid) == Some(Exit::Signal(9)));
    });
}

/// It was forked, and has not come to make its group.
#[test]
fn a_child_without_a_group_of_its_own_is_signalled_alone() {
    for has_pidfd in [true, false] {
        let mut child = std::process::Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let pidfd = open_pidfd(pid).filter(|_| has_pidfd);
        let leader = GroupLeader { pid, pidfd: pidfd.as_ref().map(AsFd::as_fd), reaped: false, session: pid };
        assert_eq!(signal_group(leader, 15).unwrap(), GroupSignal::Delivered);
        let status = child.wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
        let leader = GroupLeader { reaped: true, ..leader };
        assert_eq!(signal_group(leader, 15).unwrap(), GroupSignal::Gone, "its number may be another's");
    }
}
