use super::*;
use std::os::fd::AsFd;

const NOBODY: (Option<u32>, Option<u32>) = (None, None);

#[test]
fn a_socket_has_its_mode_takes_connections_and_is_removed_with_its_guard() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let (listener, guard) = bind_control_socket(&path, 0o660, NOBODY).unwrap();
    assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o660);
    assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    let client = UnixStream::connect(&path).unwrap();
    let (server, _) = listener.accept().unwrap();
    for end in [client.as_fd(), server.as_fd()] {
        let peer = peer_credentials(end).unwrap();
        assert_eq!(peer.pid.unsigned_abs(), std::process::id());
        assert_eq!(peer.uid, nix::unistd::geteuid().as_raw());
        assert_eq!(peer.gid, nix::unistd::getegid().as_raw());
    }
    drop(guard);
    assert!(!path.exists());
}

#[test]
fn a_living_daemon_is_respected_and_a_dead_ones_socket_replaced() {
    crate::sys::testing::in_own_process(
        "sys::net::tests::a_living_daemon_is_respected_and_a_dead_ones_socket_replaced",
        || {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("s");
            let (listener, guard) = bind_control_socket(&path, 0o600, NOBODY).unwrap();
            let error = bind_control_socket(&path, 0o600, NOBODY).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
            assert!(error.to_string().contains("another daemon (pid"), "{error}");
            assert!(path.exists());
            drop(listener);
            let (listener, second) = bind_control_socket(&path, 0o600, NOBODY).unwrap();
            assert!(second.was_there() && !guard.was_there());
            drop(guard);
            assert!(path.exists(), "the first guard must not remove the second socket");
            drop(listener);
            second.leave();
            assert!(bind_control_socket(&path, 0o600, NOBODY).unwrap().1.was_there());
            assert!(!path.exists());
        },
    );
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    std::fs::write(&path, "precious").unwrap();
    let error = bind_control_socket(&path, 0o600, NOBODY).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert!(error.to_string().contains(path.to_str().unwrap()));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    let error = bind_control_socket(Path::new("/no/such/directory/s"), 0o600, NOBODY).unwrap_err();
    assert!(error.to_string().starts_with("cannot listen on /no/such/directory/s: No such file"), "{error}");
    let long = dir.path().join("x".repeat(200));
    assert!(bind_control_socket(&long, 0o600, NOBODY).is_err());
}

#[test]
fn of_many_that_race_for_a_stale_path_one_wins() {
    crate::sys::testing::in_own_process("sys::net::tests::of_many_that_race_for_a_stale_path_one_wins", || {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        drop(UnixListener::bind(&path).unwrap());
        let start = std::sync::Barrier::new(8);
        let won = std::thread::scope(|scope| {
            let race = || {
                start.wait();
                bind_control_socket(&path, 0o600, NOBODY).ok()
            };
            let racers: Vec<_> = (0..8).map(|_| scope.spawn(race)).collect();
            racers.into_iter().filter_map(|racer| racer.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(won.len(), 1);
        UnixStream::connect(&path).unwrap();
    });
}

#[test]
fn the_file_of_a_socket_is_never_wider_than_its_mode() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    // What bind alone leaves, before any chmod.
    let socket = new_socket().unwrap();
    // SAFETY: the descriptor is open.
    check(unsafe { libc::fchmod(socket.as_raw_fd(), 0o600) }).unwrap();
    bind_to(&socket, &path).unwrap();
    assert_eq!(path.symlink_metadata().unwrap().mode() & 0o777 & !0o600, 0);
}

#[test]
fn an_abstract_name_has_no_file_and_one_owner() {
    let name = format!("@supervice-test-{}", std::process::id());
    let (_listener, _guard) = bind_control_socket(Path::new(&name), 0o600, NOBODY).unwrap();
    let error = bind_control_socket(Path::new(&name), 0o600, NOBODY).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(!Path::new(&name).exists());
}
