//! The descriptors of a child are those of its list and no others: random lists, read back from real children.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::RawFd;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::*;

/// Sources lie at numbers from here on: above what the test program itself holds, so that targets fall among them.
const FIRST_SOURCE: RawFd = 40;
const SOURCES: usize = 10;
/// Low, among the sources, and high.
const TARGETS: [std::ops::Range<RawFd>; 3] = [0..12, FIRST_SOURCE..FIRST_SOURCE + 2 * SOURCES as RawFd, 300..900];

/// Pipes, every second one without close-on-exec, at every second number from [`FIRST_SOURCE`] on.
fn sources() -> Vec<OwnedFd> {
    use nix::fcntl::{FcntlArg, fcntl};
    (0..SOURCES)
        .map(|index| {
            let at = FIRST_SOURCE + 2 * index as RawFd;
            let pipe: OwnedFd = io::pipe().unwrap().1.into();
            let command = if index % 2 == 0 { FcntlArg::F_DUPFD_CLOEXEC(at) } else { FcntlArg::F_DUPFD(at) };
            let number = fcntl(&pipe, command).unwrap();
            assert_eq!(number, at, "the test program holds more than it should");
            // SAFETY: it was just made, and is ours.
            unsafe { OwnedFd::from_raw_fd(number) }
        })
        .collect()
}

/// Targets, and the index of the source of each; the last two indexes stand for the null device and standard error.
fn lists() -> impl Strategy<Value = BTreeMap<RawFd, usize>> {
    let [low, among, high] = TARGETS;
    let target = prop_oneof![4 => low, 3 => among, 1 => high];
    proptest::collection::btree_map(target, 0..SOURCES + 2, 0..14)
}

/// Starts a shell with this list that stops itself, and reads what it has then.
fn fds_of_a_child(spawner: &mut Spawner, fds: Vec<(RawFd, BorrowedFd<'_>)>) -> BTreeMap<RawFd, PathBuf> {
    let launch = Launch {
        pid_variable: None,
        argv: words(&["/bin/sh", "-c", "kill -STOP $$"]),
        env: variables(&["PATH=/usr/bin:/bin"]),
        directory: None,
        stdin_file: None,
        credentials: None,
        pdeathsig: true,
        fds,
        rlimits: Vec::new(),
        umask: None,
        #[cfg(feature = "attach")]
        has_terminal: false,
        confinement: crate::models::Rare::default(),
        argv_0_is_path: false,
    };
    let child = spawner.spawn(launch).unwrap();
    let deadline = Instant::now() + TEST_TIMEOUT;
    // By then the loader has closed what it had opened.
    while !fs::read_to_string(format!("/proc/{}/stat", child.pid)).unwrap().contains(") T ") {
        assert!(Instant::now() < deadline, "the child does not stop");
        std::thread::sleep(Duration::from_micros(200));
    }
    let found = table_of(&child.pid.to_string());
    // SAFETY: the child is ours and not reaped.
    unsafe { libc::kill(child.pid, libc::SIGKILL) };
    assert_eq!(exit_of(child.pid), Exit::Signal(9));
    found
}

/// What each descriptor of a process leads to; pipes have a number each.
fn table_of(pid: &str) -> BTreeMap<RawFd, PathBuf> {
    let directory = PathBuf::from(format!("/proc/{pid}/fd"));
    let names: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    // The one by which the directory was read has gone.
    let link = |name: std::ffi::OsString| {
        Some((name.to_str().unwrap().parse().unwrap(), fs::read_link(directory.join(&name)).ok()?))
    };
    names.into_iter().filter_map(link).collect()
}

#[test]
fn a_child_has_exactly_the_descriptors_of_its_list() {
    in_own_process("sys::spawn::tests::fds::a_child_has_exactly_the_descriptors_of_its_list", || {
        let sources = sources();
        // SAFETY: the test harness has it open.
        let stderr = unsafe { BorrowedFd::borrow_raw(2) };
        for has_close_range in [true, false] {
            let mut spawner = patient();
            spawner.slots.retain(|_| has_close_range);
            spawner.shares_table = has_close_range;
            let null = spawner.null();
            let before = table_of("self");
            let mut runner = TestRunner::new(Config { cases: 150, failure_persistence: None, ..Config::default() });
            let spawner = std::cell::RefCell::new(spawner);
            let result = runner.run(&lists(), |list| {
                let source = |index: &usize| match index.checked_sub(SOURCES) {
                    None => sources[*index].as_fd(),
                    Some(0) => null.as_fd(),
                    Some(_) => stderr,
                };
                let fds: Vec<_> = list.iter().map(|(target, index)| (*target, source(index))).collect();
                let wanted: BTreeMap<RawFd, PathBuf> =
                    fds.iter().map(|(target, from)| (*target, before[&from.as_raw_fd()].clone())).collect();
                prop_assert_eq!(fds_of_a_child(&mut spawner.borrow_mut(), fds), wanted);
                Ok::<(), TestCaseError>(())
            });
            result.unwrap_or_else(|error| panic!("close_range: {has_close_range}: {error}"));
            // A longer list may have made more slots, which lead to the null device.
            let after = table_of("self");
            let slots: BTreeSet<RawFd> = spawner.borrow().slots.iter().flat_map(FdSlots::numbers).collect();
            assert!(slots.iter().all(|slot| after[slot] == Path::new("/dev/null")), "{after:?}");
            let held = |table: BTreeMap<RawFd, PathBuf>| -> Vec<(RawFd, PathBuf)> {
                table.into_iter().filter(|(number, _)| !slots.contains(number)).collect()
            };
            assert_eq!(held(after), held(before), "the daemon's own descriptors are as before");
        }
    });
}

#[test]
fn an_impossible_list_makes_no_process() {
    let targets = |launch: &mut Launch<'_>, targets: [RawFd; 2]| {
        launch.fds.truncate(2);
        launch.fds.iter_mut().zip(targets).for_each(|(entry, target)| entry.0 = target);
    };
    for (list, number) in [([3, 3], "3"), ([0, -1], "-1")] {
        let error = fail(&["true"], |launch| targets(launch, list));
        assert_eq!((error.stage, error.subject), (SpawnStage::Prepare, format!("descriptor {number}")));
    }
    // The kernel permits no descriptor of this number.
    let error = fail(&["true"], |launch| targets(launch, [0, RawFd::MAX]));
    assert_eq!((error.stage, error.errno), (SpawnStage::Stdio, libc::EBADF));
}
