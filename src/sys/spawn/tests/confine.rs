//! What a child may use and do.

use super::*;
use crate::models::{Capabilities, Confinement, IoPriority, Rare, ResourceLimit, Scheduler};
use std::sync::atomic::{AtomicBool, Ordering};

fn confined(confinement: Confinement) -> impl FnOnce(&mut Launch<'_>) {
    move |launch| {
        launch.rlimits = crate::sys::confine::rlimits(&confinement);
        *launch.confinement = confinement;
    }
}

fn own(file: &str) -> String {
    fs::read_to_string(format!("/proc/self/{file}")).unwrap()
}

fn capabilities(names: &[&str]) -> Option<Capabilities> {
    let mut all = Capabilities::default();
    assert!(names.iter().all(|name| all.insert(name)));
    Some(all)
}

/// Ends a child that waits.
fn kill(child: &Child) {
    // SAFETY: the child is ours and not reaped.
    unsafe { libc::kill(child.pid, libc::SIGKILL) };
    assert_eq!(exit_of(child.pid), Exit::Signal(9));
}

fn no_child_is_left() {
    assert_eq!(nix::sys::wait::waitpid(None, None), Err(nix::Error::ECHILD), "no child is left");
}

#[test]
fn a_score_reaches_the_child_alone_whatever_memory_it_shares() {
    in_own_process("sys::spawn::tests::confine::a_score_reaches_the_child_alone_whatever_memory_it_shares", || {
        let null = stdio::open_null().unwrap();
        let before = own("oom_score_adj");
        let edit = |launch: &mut Launch<'_>| {
            launch.pdeathsig = true;
            launch.confinement.oom_score_adj = Some(777);
        };
        let child = spawn_with(&["sleep", "300"], null.as_fd(), edit).unwrap();
        let of = |child: &Child, file: &str| fs::read_to_string(format!("/proc/{}/{file}", child.pid)).unwrap();
        assert_eq!((of(&child, "oom_score_adj").as_str(), own("oom_score_adj")), ("777\n", before));
        // The daemon's child, in a session of its own, with a pidfd.
        assert_eq!(line_of(&child, "status", "PPid:"), format!("PPid: {}", std::process::id()));
        assert_eq!(line_of(&child, "status", "NSsid:"), format!("NSsid: {}", child.pid));
        assert!(child.pidfd.is_some());
        kill(&child);
        no_child_is_left();
        // What fails in the child is told as ever, and leaves nothing behind.
        let error = fail(&["/no/such/program"], |launch| launch.confinement.oom_score_adj = Some(1));
        assert_eq!((error.stage, error.errno), (SpawnStage::Exec, libc::ENOENT));
        no_child_is_left();
    });
}

/// How often a child is started that is to be late: where we stand still, it comes to its program meanwhile.
pub(super) const MAX_ROUNDS: u32 = 50;

/// What makes a child late on any machine: it gets a CPU only when nobody else wants it, and somebody wants it until
/// `spawn` has returned.
pub(super) fn on_a_busy_cpu(spawn: impl FnOnce(Confinement) -> Child) -> Child {
    let cpu = first_cpu();
    let (is_busy, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pin_to(cpu);
            is_busy.store(true, Ordering::Release);
            while !is_over.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
        });
        while !is_busy.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        let lazy = Confinement { cpu_affinity: vec![cpu], scheduler: Some(Scheduler::Idle), ..Confinement::default() };
        let _over = SetWhenDropped(&is_over);
        spawn(lazy)
    })
}

/// Ends the other thread's loop even if the test fails meanwhile.
struct SetWhenDropped<'a>(&'a AtomicBool);

impl Drop for SetWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Lets the calling thread run on `cpu` alone.
fn pin_to(cpu: u16) {
    // SAFETY: all zero is an empty set, which the two calls fill and read.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(usize::from(cpu), &mut set);
        assert_eq!(libc::sched_setaffinity(0, size_of_val(&set), &raw const set), 0);
    }
}

#[test]
fn a_late_child_with_a_score_is_the_daemons_own_and_its_proxy_is_reaped() {
    in_own_process(
        "sys::spawn::tests::confine::a_late_child_with_a_score_is_the_daemons_own_and_its_proxy_is_reaped",
        || {
            let null = stdio::open_null().unwrap();
            let mut spawner = Spawner::new().unwrap();
            spawner.exec_wait = Duration::ZERO;
            let mut late = 0;
            for round in 0..MAX_ROUNDS {
                if round >= 3 && late > 0 {
                    break;
                }
                let mut child = on_a_busy_cpu(|mut confinement| {
                    confinement.oom_score_adj = Some(700);
                    spawn_by(&mut spawner, &["sleep", "300"], null.as_fd(), confined(confinement)).unwrap()
                });
                late += u32::from(child.is_late().is_some());
                let deadline = Instant::now() + 2 * TEST_TIMEOUT;
                while spawner.reclaim_late(&mut child) {
                    assert!(Instant::now() < deadline, "it never executes");
                    std::thread::sleep(Duration::from_millis(1));
                }
                let score = fs::read_to_string(format!("/proc/{}/oom_score_adj", child.pid)).unwrap();
                assert_eq!((score.as_str(), own("oom_score_adj").as_str() != "700\n"), ("700\n", true));
                kill(&child);
                no_child_is_left();
            }
            assert!(late > 0 || !raw::ALONE);
        },
    );
}

#[test]
fn an_ordinary_user_may_lower_what_it_has() {
    const NAME: &str = "sys::spawn::tests::confine::an_ordinary_user_may_lower_what_it_has";
    in_own_process(NAME, || {
        become_ordinary();
        let null = stdio::open_null().unwrap();
        let limits = own("limits");
        // Whoever runs the tests may have lowered ours, and only root raises it.
        let nice = own_nice().max(7);
        let all = Confinement {
            rlimit_nofile: Some(ResourceLimit { soft: 77, hard: 88 }),
            rlimit_core: Some(ResourceLimit { soft: 0, hard: 0 }),
            rlimit_stack: Some(ResourceLimit { soft: 1 << 20, hard: 2 << 20 }),
            rlimit_fsize: Some(ResourceLimit { soft: 4096, hard: u64::MAX }),
            nice: Some(nice),
            ionice: Some(IoPriority::BestEffort(6)),
            cpu_affinity: vec![first_cpu()],
            scheduler: Some(Scheduler::Batch),
            oom_score_adj: Some(500),
            no_new_privs: true,
            ..Confinement::default()
        };
        let child = spawn_with(&["sleep", "300"], null.as_fd(), confined(all)).unwrap();
        let limit = |begin: &str| line_of(&child, "limits", begin);
        assert_eq!(limit("Max open files"), "Max open files 77 88 files");
        assert_eq!(limit("Max core file size"), "Max core file size 0 0 bytes");
        assert_eq!(limit("Max stack size"), "Max stack size 1048576 2097152 bytes");
        assert_eq!(limit("Max file size"), "Max file size 4096 unlimited bytes");
        assert_eq!(line_of(&child, "status", "NoNewPrivs:"), "NoNewPrivs: 1");
        assert_eq!(line_of(&child, "status", "Cpus_allowed_list:"), format!("Cpus_allowed_list: {}", first_cpu()));
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.pid)).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        // As proc(5) numbers them: nice is the 19th, policy (SCHED_BATCH is 3) the 41st.
        assert_eq!((fields[19 - 3], fields[41 - 3]), (nice.to_string().as_str(), "3"));
        // SAFETY: only asks, about a child that lives.
        let io_priority = unsafe { libc::syscall(libc::SYS_ioprio_get, 1, child.pid) };
        assert_eq!(io_priority, 2 << 13 | 6);
        assert_eq!(fs::read_to_string(format!("/proc/{}/oom_score_adj", child.pid)).unwrap(), "500\n");
        kill(&child);
        assert_eq!(own("limits"), limits, "the daemon's stay");
        assert!(own("status").contains("NoNewPrivs:\t0\n"));
    });
}

#[test]
fn what_an_ordinary_user_may_not_is_a_failure_of_its_own_stage_with_a_remedy() {
    const NAME: &str =
        "sys::spawn::tests::confine::what_an_ordinary_user_may_not_is_a_failure_of_its_own_stage_with_a_remedy";
    in_own_process(NAME, || {
        become_ordinary();
        let none = Confinement::default;
        let hard = crate::sys::limits::nofile().unwrap().hard;
        let above = ResourceLimit { soft: 1, hard: hard + 1 };
        let cases = [
            (
                Confinement { rlimit_nofile: Some(above), ..none() },
                SpawnStage::Limits,
                format!("cannot set resource limits (rlimit_nofile = 1:{}): Operation not permitted; only root with \
                    CAP_SYS_RESOURCE may raise the hard limit, which is {hard}; write at most that", hard + 1),
            ),
            (
                Confinement { nice: Some(-5), ..none() },
                SpawnStage::Nice,
                "cannot set nice -5: Permission denied; only root, or a user with rlimit_nice, may lower it; start supervice \
                 as root, or write a higher value".to_owned(),
            ),
            (
                Confinement { ionice: Some(IoPriority::Realtime(0)), ..none() },
                SpawnStage::IoPriority,
                "cannot set ionice realtime:0: Operation not permitted; only root may use realtime; write best-effort:0".to_owned(),
            ),
            (
                Confinement { scheduler: Some(Scheduler::Fifo(10)), ..none() },
                SpawnStage::Scheduler,
                "cannot set scheduler fifo:10: Operation not permitted; only root with CAP_SYS_NICE, or a user with \
                 rlimit_rtprio, may run in real time".to_owned(),
            ),
            (
                Confinement { oom_score_adj: Some(-1000), ..none() },
                SpawnStage::OomScore,
                "cannot set oom_score_adj -1000: Permission denied; only root with CAP_SYS_RESOURCE may lower it; write a \
                 higher value".to_owned(),
            ),
            (
                Confinement { chroot: Some("/".to_owned()), ..none() },
                SpawnStage::Chroot,
                "cannot enter the root directory /: Operation not permitted; only root with CAP_SYS_CHROOT may; start \
                 supervice as root".to_owned(),
            ),
            (
                Confinement { capabilities: capabilities(&["net_raw"]), ..none() },
                SpawnStage::Capabilities,
                "cannot set capabilities net_raw: Operation not permitted; only root with CAP_SETPCAP, and with these, may; \
                 start supervice as root, or write no_new_privs = true instead".to_owned(),
            ),
            (
                Confinement { cpu_affinity: vec![8191], ..none() },
                SpawnStage::Affinity,
                "cannot set cpu_affinity 8191: Invalid argument; the daemon may run on none of these; /proc/self/status tells \
                 where it may".to_owned(),
            ),
        ];
        for (confinement, stage, sentence) in cases {
            let error = fail(&["true"], confined(confinement));
            assert_eq!((error.stage, error.to_string()), (stage, sentence));
            assert!(error.is_permanent(), "{error}");
        }
        let chosen = users::Credentials::own().with_groups(None, Some(vec![1]));
        let error = fail(&["true"], |launch| launch.credentials = Some(chosen));
        assert_eq!((error.stage, error.errno), (SpawnStage::Groups, libc::EPERM), "not left out in silence");
        assert_eq!(
            error.to_string(),
            "cannot set group or groups: Operation not permitted; only root with CAP_SETGID may; start supervice as root, or \
             remove these keys"
        );
        no_child_is_left();
    });
}

#[test]
fn capabilities_are_all_that_a_user_has_and_the_most_that_root_can_get() {
    const NAME: &str =
        "sys::spawn::tests::confine::capabilities_are_all_that_a_user_has_and_the_most_that_root_can_get";
    if !is_root(NAME) {
        return;
    }
    in_own_process(NAME, || {
        let read = |user: &str, names: &[&str]| {
            let (exit, text) = run_with(&["grep", "^Cap", "/proc/self/status"], |launch| {
                launch.credentials = Some(users::lookup_user(user).unwrap());
                launch.confinement.capabilities = capabilities(names);
            });
            assert_eq!(exit, Exit::Code(0), "{text}");
            text.lines()
                .map(|line| line.split('\t').nth(1).unwrap().trim_start_matches('0').to_owned())
                .collect::<Vec<_>>()
        };
        // Inheritable, permitted, effective, bounding, ambient; 400 is net_bind_service.
        assert_eq!(read("1234", &["net_bind_service"]), ["400"; 5]);
        assert_eq!(read("1234", &[]), [""; 5]);
        assert_eq!(read("0", &[]), [""; 5], "not even root");
        assert_eq!(read("0", &["kill", "net_bind_service"])[1..4], ["420"; 3]);
        assert!(own("status").contains("CapAmb:\t0000000000000000"), "the daemon's stay");
    });
}

#[test]
fn a_root_directory_of_its_own_is_entered_before_all_else() {
    const NAME: &str = "sys::spawn::tests::confine::a_root_directory_of_its_own_is_entered_before_all_else";
    if !is_root(NAME) {
        return;
    }
    let jail = tempfile::tempdir().unwrap();
    fs::set_permissions(jail.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let inside = |path: &str| jail.path().join(path);
    fs::create_dir_all(inside("srv")).unwrap();
    fs::create_dir_all(inside("bin")).unwrap();
    let edit = |launch: &mut Launch<'_>| {
        launch.confinement.chroot = Some(jail.path().to_str().unwrap().to_owned());
        launch.directory = Some(c"/srv".to_owned());
        launch.credentials = Some(users::lookup_user("1234").unwrap());
    };
    let jailed = jail.path().display();
    let error = fail(&["/bin/prog"], edit);
    let sentence =
        format!("cannot execute /bin/prog: it is not inside {jailed}; copy it there, with the libraries that it needs");
    assert_eq!(error.to_string(), sentence);
    script(&inside("bin"), "prog", "#!/bin/interpreter\n", 0o755);
    let error = fail(&["prog"], edit);
    let sentence = format!(
        "cannot execute {jailed}/bin/prog: its interpreter or dynamic loader is not inside; copy that there, too"
    );
    assert_eq!(error.to_string(), sentence);
    // A program without libraries: this machine's busybox, where there is one.
    let copy = std::process::Command::new("cp").arg("/bin/busybox").arg(inside("bin/sh")).output().unwrap();
    if !copy.status.success() {
        assert!(std::env::var_os("SUPERVICE_TEST_REQUIRE").is_none(), "busybox-static is needed");
        println!("SKIPPED: {NAME} needs /bin/busybox for its last part");
        return;
    }
    let (exit, text) = run_with(&["sh", "-c", "pwd; echo /*; echo /srv/../.."], edit);
    assert_eq!((exit, text.as_str()), (Exit::Code(0), "/srv\n/bin /srv\n/srv/../..\n"));
    let error = fail(&["sh"], |launch| {
        edit(launch);
        launch.confinement.chroot = Some("/no/such/jail".to_owned());
    });
    let sentence = "cannot enter the root directory /no/such/jail: No such file or directory; create the directory, or write \
                    another path";
    assert_eq!((error.stage, error.to_string().as_str()), (SpawnStage::Chroot, sentence));
}

/// Gives up all rights, if there are any.
fn become_ordinary() {
    if nix::unistd::geteuid().is_root() {
        nix::unistd::setgroups(&[]).unwrap();
        nix::unistd::setgid(nix::unistd::Gid::from_raw(1234)).unwrap();
        nix::unistd::setuid(nix::unistd::Uid::from_raw(1234)).unwrap();
        // SAFETY: a plain number: without it /proc/self belongs to root.
        unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) };
    }
}

fn own_nice() -> i8 {
    let stat = own("stat");
    stat.rsplit(") ").next().unwrap().split(' ').nth(19 - 3).unwrap().parse().unwrap()
}

/// A processor that this process may run on.
fn first_cpu() -> u16 {
    let status = own("status");
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap().trim().to_owned();
    crate::util::ranges::parse(&list, u16::MAX).unwrap()[0]
}

#[test]
fn nothing_of_it_set_is_nothing_done() {
    let none: Rare<Confinement> = Rare::default();
    assert!(none.is_unset() && crate::sys::confine::rlimits(&none).is_empty());
}
