//! Programs that stop by several signals, end on purpose, or tell themselves when they are ready.

use crate::harness::{Daemon, word_in};

#[test]
fn a_stop_by_several_signals_goes_from_one_to_the_next() {
    let daemon = Daemon::start(
        "[program:p]\ncommand = sh -c 'trap : QUIT; trap \"exit 7\" TERM; echo up > DIR/up; while :; do sleep 0.02; done'\n\
         startsecs = 0\nstopsignal = QUIT:1, TERM:600\nstopasgroup = false",
    );
    word_in(&daemon.path("up"));
    daemon.controller().stop_process("p").expect("stop");
    assert_eq!(daemon.status("p").exit_code, Some(7));
    daemon.wait_log("SIGTERM: still there 1 s after SIGQUIT (stopsignal)");
    daemon.terminate();
}
