use std::ffi::CString;
use std::io::Read;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use super::*;
use crate::process::Exit;
use crate::sys::launch::{c_string, standard_fds};
use crate::sys::limits::{Limit, Rlimit};
use crate::sys::testing::{TEST_TIMEOUT, in_own_process, is_root, write_executable};
use crate::sys::variables::Variables;
use crate::sys::{reap, stdio, users};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

mod confine;
mod credentials;
mod exec;
mod fds;

fn words(text: &[&str]) -> Vec<CString> {
    text.iter().map(|word| c_string("test", word).unwrap()).collect()
}

fn variables(text: &[&str]) -> Variables {
    words(text).into_iter().collect()
}

/// A child with nothing but an output; change what the test is about with `edit`.
fn spawn_with(argv: &[&str], output: BorrowedFd<'_>, edit: impl FnOnce(&mut Launch<'_>)) -> Result<Child, SpawnError> {
    spawn_by(&mut patient(), argv, output, edit)
}

/// One that waits for its children to execute, however busy the machine is.
fn patient() -> Spawner {
    let mut spawner = Spawner::new().unwrap();
    spawner.exec_wait = TEST_TIMEOUT;
    spawner
}

fn spawn_by(
    spawner: &mut Spawner,
    argv: &[&str],
    output: BorrowedFd<'_>,
    edit: impl FnOnce(&mut Launch<'_>),
) -> Result<Child, SpawnError> {
    let null = stdio::open_null().unwrap();
    let mut command = launch(argv, null.as_fd(), output);
    edit(&mut command);
    spawner.spawn(command)
}

fn launch<'fd>(argv: &[&str], null: BorrowedFd<'fd>, output: BorrowedFd<'fd>) -> Launch<'fd> {
    Launch {
        pid_variable: None,
        argv: words(argv),
        env: variables(&["PATH=/usr/bin:/bin"]),
        directory: None,
        stdin_file: None,
        credentials: None,
        pdeathsig: false,
        fds: standard_fds(null, output, output),
        rlimits: Vec::new(),
        umask: None,
        #[cfg(feature = "attach")]
        has_terminal: false,
        confinement: crate::models::Rare::default(),
        argv_0_is_path: false,
    }
}

fn exit_of(pid: i32) -> Exit {
    let deadline = Instant::now() + TEST_TIMEOUT;
    loop {
        if let Some(exit) = reap::reap(pid) {
            return exit;
        }
        assert!(Instant::now() < deadline, "process {pid} does not end");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Runs it to its end; its exit and what it printed (standard error too).
fn run_with(argv: &[&str], edit: impl FnOnce(&mut Launch<'_>)) -> (Exit, String) {
    let (mut reader, writer) = io::pipe().unwrap();
    let mut spawner = Spawner::new().unwrap();
    let mut child = spawn_by(&mut spawner, argv, writer.as_fd(), edit).unwrap();
    drop(writer);
    // On a busy machine it is late, and the writing end still among its descriptors here.
    while spawner.reclaim_late(&mut child) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    (exit_of(child.pid), text)
}

fn run(argv: &[&str]) -> (Exit, String) {
    run_with(argv, |_| {})
}

fn fail(argv: &[&str], edit: impl FnOnce(&mut Launch<'_>)) -> SpawnError {
    let null = stdio::open_null().unwrap();
    let child = match spawn_with(argv, null.as_fd(), edit) {
        Err(error) => return error,
        Ok(child) => child,
    };
    // On a machine that has not let it run for a tenth of a second, the failure comes later.
    assert!(child.is_late().is_some(), "it has executed");
    let code = exit_of(child.pid);
    let failure = child.late_failure().unwrap();
    let found = failure.stage == SpawnStage::Exec && failure.errno != libc::ENOENT;
    assert_eq!(code, Exit::Code(if found { 126 } else { 127 }));
    failure
}

fn script(dir: &Path, name: &str, text: &str, mode: u32) -> String {
    let path = dir.join(name);
    write_executable(&path, text.as_bytes(), mode);
    path.to_str().unwrap().to_owned()
}

#[test]
fn every_exit_code_is_exact() {
    for code in [0u8, 1, 2, 126, 127, 128, 255] {
        assert_eq!(run(&["sh", "-c", &format!("exit {code}")]).0, Exit::Code(code));
    }
}

#[test]
fn every_deadly_signal_is_exact_real_time_ones_too() {
    // CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG and WINCH do not kill.
    for signal in (1u8..=64).filter(|signal| ![17, 18, 19, 20, 21, 22, 23, 28, 32, 33].contains(signal)) {
        let null = stdio::open_null().unwrap();
        let child = spawn_with(&["sleep", "60"], null.as_fd(), |_| {}).unwrap();
        crate::sys::signal::signal_group(child.leader(false), signal).unwrap();
        assert_eq!(exit_of(child.pid), Exit::Signal(signal));
    }
}

#[test]
fn a_child_leads_its_own_session_and_holds_only_three_descriptors() {
    let (exit, text) = run(&["sh", "-c", "echo /proc/$$/fd/*; cut -d' ' -f1,5,6 /proc/$$/stat; echo $$"]);
    assert_eq!(exit, Exit::Code(0));
    let lines: Vec<&str> = text.lines().collect();
    let [descriptors, ids, pid] = lines[..] else { panic!("{text}") };
    let names: Vec<_> = descriptors.split(' ').filter_map(|path| path.rsplit('/').next()).collect();
    // 3 or 10 would be the shell's own; dash opens none while it expands a pattern, except for the directory.
    let inherited: Vec<_> = names.iter().filter(|name| !["0", "1", "2"].contains(name)).collect();
    assert!(inherited.len() <= 1, "{descriptors}");
    assert_eq!(ids, format!("{pid} {pid} {pid}"));
}

#[test]
fn descriptors_without_close_on_exec_are_closed_too_also_on_old_kernels() {
    let (mut reader, writer) = io::pipe().unwrap();
    let (_keep, leak) = io::pipe().unwrap();
    nix::fcntl::fcntl(&leak, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    let null = stdio::open_null().unwrap();
    let command = Launch {
        pid_variable: None,
        argv: words(&["ls", "/proc/self/fd"]),
        env: variables(&[]),
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
    for has_close_range in [true, false] {
        let mut spawner = Spawner::new().unwrap();
        spawner.slots.retain(|_| has_close_range);
        spawner.shares_table = has_close_range;
        let child = spawner.spawn(command.clone()).unwrap();
        let mut buffer = [0; 256];
        assert_eq!(exit_of(child.pid), Exit::Code(0));
        let count = reader.read(&mut buffer).unwrap();
        // 3 is the directory that ls itself reads.
        assert_eq!(std::str::from_utf8(&buffer[..count]).unwrap(), "0\n1\n2\n3\n");
    }
}

#[test]
fn signals_blocked_and_ignored_by_the_daemon_are_default_in_the_child() {
    in_own_process("sys::spawn::tests::signals_blocked_and_ignored_by_the_daemon_are_default_in_the_child", || {
        use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None).unwrap();
        for signal in (1..=64).filter(|signal| ![9, 17, 19, 32, 33].contains(signal)) {
            // SAFETY: ignoring runs no code.
            unsafe { libc::signal(signal, libc::SIG_IGN) };
        }
        let (exit, text) = run(&["cat", "/proc/self/status"]);
        assert_eq!(exit, Exit::Code(0));
        for field in ["SigBlk", "SigIgn", "SigCgt"] {
            assert!(text.contains(&format!("{field}:\t0000000000000000\n")), "{text}");
        }
        let mut now = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_SETMASK, None, Some(&mut now)).unwrap();
        assert!(now.contains(nix::sys::signal::SIGTERM), "the daemon's own mask is put back");
    });
}

/// A line of a file of a child that has executed its program and waits, in `/proc`.
fn line_of(child: &Child, file: &str, begin: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{}/{file}", child.pid)).unwrap();
    let line = text.lines().find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("no {begin}: {text}"));
    line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn umask_and_limits_are_those_of_the_launch_and_the_daemons_stay() {
    in_own_process("sys::spawn::tests::umask_and_limits_are_those_of_the_launch_and_the_daemons_stay", || {
        let own_mask = fs::read_to_string("/proc/self/status").unwrap();
        let own_limits = fs::read_to_string("/proc/self/limits").unwrap();
        let null = stdio::open_null().unwrap();
        let core = Rlimit { resource: libc::RLIMIT_CORE, limit: Limit { soft: 4096, hard: 8192 } };
        let child = spawn_with(&["sleep", "300"], null.as_fd(), |launch| {
            launch.pdeathsig = true;
            launch.umask = Some(0o137);
            launch.rlimits = vec![Rlimit::nofile(Limit { soft: 99, hard: 100 }), core];
        })
        .unwrap();
        assert_eq!(line_of(&child, "status", "Umask:"), "Umask: 0137");
        assert_eq!(line_of(&child, "limits", "Max open files"), "Max open files 99 100 files");
        assert_eq!(line_of(&child, "limits", "Max core file size"), "Max core file size 4096 8192 bytes");
        // SAFETY: the child is ours and not reaped.
        unsafe { libc::kill(child.pid, libc::SIGKILL) };
        assert_eq!(exit_of(child.pid), Exit::Signal(9));
        let umask = |text: &str| text.lines().find(|line| line.starts_with("Umask:")).map(str::to_owned);
        assert_eq!(umask(&fs::read_to_string("/proc/self/status").unwrap()), umask(&own_mask));
        assert_eq!(fs::read_to_string("/proc/self/limits").unwrap(), own_limits);
    });
}

#[test]
fn environment_and_directory_are_those_of_the_launch() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    let (exit, text) = run_with(&["sh", "-c", "/bin/pwd; exec env"], |command| {
        command.directory = Some(c_string("directory", &dir).unwrap());
        command.env = variables(&["A=1", "B=x y=z", "PWD=/"]);
    });
    assert_eq!(exit, Exit::Code(0), "{text}");
    let mut lines = text.lines();
    assert_eq!(lines.next(), dir.to_str());
    let env: Vec<&str> = lines.filter(|line| !line.starts_with("PWD=")).collect();
    assert_eq!(env.iter().filter(|line| ["A=1", "B=x y=z"].contains(line)).count(), 2, "{env:?}");
}

#[test]
fn the_path_of_the_child_is_searched_as_execvp_does() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    fs::create_dir(&one).unwrap();
    fs::create_dir(&two).unwrap();
    script(&one, "prog", "#!/bin/sh\n", 0o644);
    let path = |parts: &[&Path]| {
        let parts: Vec<_> = parts.iter().map(|part| part.to_str().unwrap()).collect();
        variables(&[&format!("PATH=/no/such:{}", parts.join(":"))])
    };
    let error = fail(&["prog"], |command| command.env = path(&[&one, &two]));
    assert_eq!((error.errno, error.subject.as_str()), (libc::EACCES, one.join("prog").to_str().unwrap()));
    script(&two, "prog", "#!/bin/sh\nexit 5\n", 0o755);
    assert_eq!(run_with(&["prog"], |command| command.env = path(&[&one, &two])).0, Exit::Code(5));
    let in_directory = |command: &mut Launch<'_>| {
        command.env = variables(&["PATH="]);
        command.directory = Some(c_string("directory", &two).unwrap());
    };
    assert_eq!(run_with(&["prog"], in_directory).0, Exit::Code(5), "an empty element is the child's directory");
    let error = fail(&["no-such-program"], |_| {});
    assert!(error.to_string().contains("PATH"), "{error}");
    assert_eq!(fail(&[""], |_| {}).errno, libc::ENOENT);
}

#[test]
fn failures_before_exec_carry_their_stage_and_leave_no_zombie() {
    in_own_process("sys::spawn::tests::failures_before_exec_carry_their_stage_and_leave_no_zombie", || {
        let error = fail(&["true"], |command| command.directory = Some(c"/no/such/directory".to_owned()));
        assert_eq!(error.to_string(), "cannot enter directory /no/such/directory: No such file or directory");
        let error = fail(&["true"], |command| command.rlimits = vec![Rlimit::nofile(Limit { soft: 2, hard: 1 })]);
        assert_eq!((error.stage, error.errno), (SpawnStage::Limits, libc::EINVAL));
        assert_eq!(fail(&[], |_| {}).stage, SpawnStage::Prepare);
        assert!(c_string("environment", "a\0b").unwrap_err().to_string().contains("NUL"));
        for _ in 0..200 {
            fail(&["/no/such/program"], |_| {});
        }
        assert_eq!(nix::sys::wait::waitpid(None, None), Err(nix::Error::ECHILD), "no child is left");
    });
}

#[test]
fn no_descriptor_left_is_a_failure_of_fork_with_its_errno() {
    in_own_process("sys::spawn::tests::no_descriptor_left_is_a_failure_of_fork_with_its_errno", || {
        let null = stdio::open_null().unwrap();
        let mut spawner = Spawner::new().unwrap();
        let mut eaten = Vec::new();
        nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, 64, 64).unwrap();
        while let Ok(fd) = null.try_clone() {
            eaten.push(fd);
        }
        let command = Launch {
            pid_variable: None,
            argv: words(&["true"]),
            env: variables(&[]),
            directory: None,
            stdin_file: None,
            credentials: None,
            pdeathsig: false,
            fds: standard_fds(null.as_fd(), null.as_fd(), null.as_fd()),
            rlimits: Vec::new(),
            umask: None,
            #[cfg(feature = "attach")]
            has_terminal: false,
            confinement: crate::models::Rare::default(),
            argv_0_is_path: false,
        };
        let error = spawner.spawn(command.clone()).unwrap_err();
        assert_eq!((error.stage, error.errno), (SpawnStage::Fork, libc::EMFILE));
        assert!(!error.is_permanent());
    });
}

#[test]
fn standard_streams_may_come_from_0_to_2_in_any_order() {
    in_own_process("sys::spawn::tests::standard_streams_may_come_from_0_to_2_in_any_order", || {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            fs::OpenOptions::new().create(true).read(true).append(true).open(dir.path().join(name)).unwrap()
        };
        let saved: Vec<OwnedFd> = (0..3)
            // SAFETY: the harness has these open.
            .map(|fd| unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned().unwrap())
            .collect();
        let (output, error) = (file("output"), file("error"));
        // Output lies at 0 and error at 1, input at 2.
        let input = stdio::open_null().unwrap();
        for (source, target) in [(output.as_fd(), 0), (error.as_fd(), 1), (input.as_fd(), 2)] {
            // SAFETY: replaced on purpose, put back below.
            assert_eq!(unsafe { libc::dup2(source.as_raw_fd(), target) }, target);
        }
        // SAFETY: all three are open.
        let at = |fd| unsafe { BorrowedFd::borrow_raw(fd) };
        let command = Launch {
            pid_variable: None,
            argv: words(&["/bin/sh", "-c", "echo out; echo err >&2; cat"]),
            env: variables(&["PATH=/usr/bin:/bin"]),
            directory: None,
            stdin_file: None,
            credentials: None,
            pdeathsig: false,
            fds: standard_fds(at(2), at(0), at(1)),
            rlimits: Vec::new(),
            umask: None,
            #[cfg(feature = "attach")]
            has_terminal: false,
            confinement: crate::models::Rare::default(),
            argv_0_is_path: false,
        };
        let child = patient().spawn(command);
        for (fd, target) in saved.iter().zip(0..) {
            // SAFETY: as above.
            unsafe { libc::dup2(fd.as_raw_fd(), target) };
        }
        assert_eq!(exit_of(child.unwrap().pid), Exit::Code(0));
        assert_eq!(fs::read_to_string(dir.path().join("output")).unwrap(), "out\n");
        assert_eq!(fs::read_to_string(dir.path().join("error")).unwrap(), "err\n");
    });
}

#[test]
fn the_child_dies_with_the_thread_that_spawned_it() {
    let (mut reader, writer) = io::pipe().unwrap();
    let pid = std::thread::spawn(move || {
        let edit = |command: &mut Launch<'_>| command.pdeathsig = true;
        spawn_with(&["sleep", "60"], writer.as_fd(), edit).unwrap().pid
    })
    .join()
    .unwrap();
    assert_eq!(exit_of(pid), Exit::Signal(9));
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
}

/// Microseconds for one spawn and reaping of `true`: the best of several rounds, because the machine is shared.
fn cost(rounds: u32) -> u128 {
    let null = stdio::open_null().unwrap();
    let one = || {
        let start = Instant::now();
        let child = spawn_with(&["/bin/true"], null.as_fd(), |_| {}).unwrap();
        let cost = start.elapsed().as_micros();
        exit_of(child.pid);
        cost
    };
    (0..rounds).map(|_| one()).min().unwrap()
}

/// Dearer by nature it would be each time; on a busy machine a whole series may be.
fn least_cost(limit: u128) -> u128 {
    (0..10).map(|_| cost(50)).find(|cost| *cost < limit).unwrap_or_else(|| cost(50))
}

#[test]
fn five_hundred_threads_do_not_make_a_spawn_dearer() {
    in_own_process("sys::spawn::tests::five_hundred_threads_do_not_make_a_spawn_dearer", || {
        let alone = cost(50);
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let receiver = std::sync::Arc::new(std::sync::Mutex::new(receiver));
        let threads: Vec<_> = (0..500)
            .map(|_| {
                let receiver = std::sync::Arc::clone(&receiver);
                let wait = move || drop(receiver.lock().map(|receiver| receiver.recv()));
                std::thread::Builder::new().stack_size(32 * 1024).spawn(wait).unwrap()
            })
            .collect();
        let crowded = least_cost(alone * 3 + 100);
        drop(sender);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        println!("spawn: {alone} us alone, {crowded} us with 500 threads");
        assert!(crowded < alone * 3 + 100, "{alone} us alone, {crowded} us with 500 threads");
    });
}

#[test]
fn a_huge_limit_on_open_files_does_not_make_a_spawn_dearer() {
    in_own_process("sys::spawn::tests::a_huge_limit_on_open_files_does_not_make_a_spawn_dearer", || {
        use nix::sys::resource::{Resource, setrlimit};
        let before = cost(50);
        let huge = 1 << 20;
        if setrlimit(Resource::RLIMIT_NOFILE, huge, huge).is_err() {
            println!("SKIPPED: a limit of 2^20 open files needs root");
            return;
        }
        let after = least_cost(before * 3 + 100);
        assert!(after < before * 3 + 100, "{before} us, {after} us with a limit of 2^20");
    });
}

#[test]
fn many_cycles_leak_no_descriptor() {
    in_own_process("sys::spawn::tests::many_cycles_leak_no_descriptor", || {
        let cycles = std::env::var("SUPERVICE_SPAWN_CYCLES").ok().and_then(|n| n.parse().ok()).unwrap_or(500);
        let count = || fs::read_dir("/proc/self/fd").unwrap().count();
        let before = count();
        for cycle in 0..cycles {
            let program = if cycle % 5 == 0 { "/no/such/program" } else { "/bin/true" };
            let null = stdio::open_null().unwrap();
            if let Ok(child) = spawn_with(&[program], null.as_fd(), |command| command.pdeathsig = true) {
                exit_of(child.pid);
            }
        }
        assert_eq!(count(), before);
    });
}

#[test]
fn the_table_of_descriptors_is_copied_no_further_than_the_child_needs() {
    in_own_process("sys::spawn::tests::the_table_of_descriptors_is_copied_no_further_than_the_child_needs", || {
        let mut spawner = patient();
        let (reader, writer) = io::pipe().unwrap();
        let null = stdio::open_null().unwrap();
        let command = Launch { pdeathsig: true, ..launch(&["sleep", "300"], null.as_fd(), writer.as_fd()) };
        let child = spawner.spawn(command).unwrap();
        let count = || fs::read_dir(format!("/proc/{}/fd", child.pid)).unwrap().count();
        // The loader of what has just been executed opens libraries, one after the other.
        let deadline = Instant::now() + TEST_TIMEOUT;
        while count() != 3 {
            assert!(Instant::now() < deadline, "{} descriptors", count());
            std::thread::yield_now();
        }
        drop(writer);
        // SAFETY: the child is ours and not reaped.
        unsafe { libc::kill(child.pid, libc::SIGKILL) };
        assert_eq!(exit_of(child.pid), Exit::Signal(9));
        let mut nothing = [0; 1];
        assert_eq!((&reader).read(&mut nothing).unwrap(), 0, "no slot holds the pipe open");
    });
}

#[test]
fn of_many_children_that_are_under_way_none_gets_what_is_another_s() {
    in_own_process("sys::spawn::tests::of_many_children_that_are_under_way_none_gets_what_is_another_s", || {
        let mut spawner = patient();
        let count = || fs::read_dir("/proc/self/fd").unwrap().count();
        let (before, lowest) = (count(), spawner.slots.iter().map(FdSlots::numbers).next());
        let null = stdio::open_null().unwrap();
        for _ in 0..3 {
            let mut begun = Vec::new();
            for index in 0..spawner.most_begun() {
                let (reader, writer) = io::pipe().unwrap();
                let argv = ["sh", "-c", "echo $0", &index.to_string()];
                let launch = Launch { pdeathsig: true, ..launch(&argv, null.as_fd(), writer.as_fd()) };
                let mut child = spawner.begin(launch).unwrap();
                if index % 2 == 0 {
                    spawner.reclaim(&mut child);
                }
                begun.push((child, reader));
            }
            for (index, (child, mut reader)) in begun.into_iter().enumerate() {
                let child = spawner.finish(child).unwrap();
                assert_eq!(exit_of(child.pid), Exit::Code(0));
                // A slot that still led to the pipe would keep its end from coming.
                let mut said = String::new();
                reader.read_to_string(&mut said).unwrap();
                assert_eq!(said, format!("{index}\n"));
            }
            assert_eq!(spawner.stacks.len(), 1);
            assert_eq!(spawner.slots.iter().map(FdSlots::numbers).next(), lowest);
        }
        drop(null);
        assert_eq!(count(), before);
    });
}

#[test]
fn a_late_child_that_has_executed_gives_back_what_it_needed() {
    in_own_process("sys::spawn::tests::a_late_child_that_has_executed_gives_back_what_it_needed", || {
        let mut spawner = Spawner::new().unwrap();
        spawner.exec_wait = Duration::ZERO;
        let count = || fs::read_dir("/proc/self/fd").unwrap().count();
        let before = count();
        let numbers = spawner.slots.iter().map(FdSlots::numbers).next();
        let mut late = 0;
        for round in 0..confine::MAX_ROUNDS {
            if round >= 3 && late > 0 {
                break;
            }
            let (mut reader, writer) = io::pipe().unwrap();
            let mut child = confine::on_a_busy_cpu(|confinement| {
                let edit = |command: &mut Launch<'_>| {
                    command.pdeathsig = true;
                    *command.confinement = confinement;
                };
                spawn_by(&mut spawner, &["sleep", "300"], writer.as_fd(), edit).unwrap()
            });
            drop(writer);
            late += u32::from(child.is_late().is_some());
            let deadline = Instant::now() + 2 * TEST_TIMEOUT;
            while spawner.reclaim_late(&mut child) {
                assert!(Instant::now() < deadline, "it never executes");
                std::thread::sleep(Duration::from_millis(1));
            }
            assert!(child.is_late().is_none());
            // SAFETY: the child is ours and not reaped.
            unsafe { libc::kill(child.pid, libc::SIGKILL) };
            assert_eq!(exit_of(child.pid), Exit::Signal(9));
            assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0, "its pipe is open nowhere");
        }
        assert!(late > 0 || !raw::ALONE);
        assert_eq!((count(), spawner.slots.iter().map(FdSlots::numbers).next()), (before, numbers));
    });
}
