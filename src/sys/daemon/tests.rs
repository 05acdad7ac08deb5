use super::*;
use crate::sys::testing::in_own_process;

/// Detaches in a process of the test's own; the daemon does `work`, the parent returns what it heard.
/// The test harness has threads, but the daemon uses nothing that they could hold a lock on.
fn detached(work: impl FnOnce(ReadyWriter)) -> Result<(), String> {
    match detach().unwrap() {
        Fork::Parent(reader) => reader.wait(),
        Fork::Daemon(writer) => {
            work(writer);
            exit_now(0)
        }
    }
}

#[test]
fn the_command_hears_success_the_reason_or_sudden_death() {
    in_own_process("sys::daemon::tests::the_command_hears_success_the_reason_or_sudden_death", || {
        assert_eq!(detached(|writer| writer.ready().unwrap()), Ok(()));
        assert_eq!(detached(|writer| writer.failed("no luck")), Err("no luck".to_owned()));
        assert!(detached(drop).unwrap_err().contains("gave no reason"));
        let long = "x".repeat(100_000);
        assert_eq!(detached(|writer| writer.failed(&long)).unwrap_err().len(), MAX_REASON_BYTES);
        assert!(nix::sys::wait::waitpid(None, None).is_err(), "no child is left");
    });
}

#[test]
fn the_daemon_has_its_own_session_keeps_its_directory_and_lets_go_of_the_terminal() {
    const NAME: &str =
        "sys::daemon::tests::the_daemon_has_its_own_session_keeps_its_directory_and_lets_go_of_the_terminal";
    in_own_process(NAME, || {
        let (mut reader, writer) = io::pipe().unwrap();
        let here = std::env::current_dir().unwrap();
        let heard = detached(|ready| {
            ready.ready().unwrap();
            let me = crate::sys::proc::stat(i32::try_from(std::process::id()).unwrap()).unwrap();
            let streams = (0..3).map(|fd| std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap());
            let null = streams.filter(|path| path.to_str() == Some("/dev/null")).count();
            let kept = std::env::current_dir().unwrap() == here;
            (&writer).write_all(format!("{} {null} {kept}", me.session != me.pid).as_bytes()).unwrap();
        });
        assert_eq!(heard, Ok(()));
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "true 3 true");
    });
}
