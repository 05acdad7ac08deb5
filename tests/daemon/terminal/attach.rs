//! `run --pty` and `attach`: a program's terminal in an operator's.

use nix::sys::termios::{LocalFlags, tcgetattr};

use super::*;
use crate::harness::wait_until;

impl Terminal {
    /// Every key makes a signal, a line or an echo again.
    fn is_restored(&self) -> bool {
        let flags = tcgetattr(&self.master).expect("a terminal").local_flags;
        flags.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
    }

    /// supervicectl, which setsid has executed.
    fn client(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"))
    }

    /// supervicectl that is attached: what is typed goes to the program.
    fn attached(daemon: &Daemon, args: &[&str]) -> Terminal {
        let terminal = Terminal::ctl(daemon, args);
        wait_until("it is attached", || !terminal.is_restored());
        terminal
    }
}

/// A shell with a prompt that says how large its terminal is.
const SHELL: &str = "[program:sh]\ncommand = sh -i\nenvironment = PS1=\"ready> \",ENV=\"\"\ntty = true\nstartsecs = 0\n\
    stopsignal = HUP\nstdout_logfile = DIR/sh.log\n";

#[test]
fn a_shell_that_is_run_on_a_terminal_is_one() {
    let daemon = Daemon::start("");
    let mut terminal = Terminal::attached(
        &daemon,
        &["run", "--pty", "--name", "x", "--set", "environment=PS1='go> '", "--", "sh", "-i"],
    );
    terminal.until_text("go>");
    terminal.type_in("stty size; echo $TERM; test -t 2 && echo its terminal\r");
    terminal.until_text("24 80\nxterm\nits terminal");
    terminal.resize(100, 30);
    terminal.type_in("stty size\r");
    terminal.until_text("30 100");
    terminal.type_in("sleep 1000\r");
    let sleeps = |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n");
    wait_until("it sleeps", || daemon.descendants().iter().any(sleeps));
    terminal.type_in("\x03");
    terminal.until("the shell asks again", |screen| screen.to_cursor() == "go> ");
    terminal.type_in("echo code $?\r");
    terminal.until_text("code 130");
    terminal.type_in("exit 7\r");
    let (code, _) = terminal.end();
    assert_eq!((code, daemon.all().len()), (7, 0), "it has ended, and that was seen");
    daemon.terminate();
}

#[test]
fn who_leaves_a_terminal_finds_the_program_there_again_and_several_see_the_same() {
    let daemon = Daemon::start(SHELL);
    daemon.wait_state("sh", "RUNNING");
    let mut one = Terminal::attached(&daemon, &["attach", "sh"]);
    one.type_in("word=kept\r");
    one.until_text("word=kept");
    one.type_in("\x1c");
    one.until_text("left sh, which goes on (supervicectl attach sh)");
    wait_until("the terminal is as before", || one.is_restored());
    assert_eq!(one.end().0, 0);
    let mut one = Terminal::attached(&daemon, &["attach", "sh"]);
    one.type_in("echo the $word one\r");
    one.until_text("the kept one");
    let mut two = Terminal::attached(&daemon, &["attach", "sh"]);
    one.type_in("echo from $((40 + 2))\r");
    one.until_text("from 42");
    // Who sits down sees what comes; the size is the newest one's.
    two.type_in("echo and $((40 + 3))\r");
    two.until_text("and 43");
    one.until_text("and 43");
    kill(two.client(), Signal::SIGKILL).expect("it runs");
    one.type_in("echo still $((40 + 4))\r");
    one.until_text("still 44");
    wait_until("it is in its log", || daemon.read("sh.log").contains("from 42"));
    one.type_in("exit 5\r");
    one.until_text("sh: exit code 5");
    assert_eq!(one.end().0, 5);
    daemon.wait_state("sh", "RUNNING");
    daemon.terminate();
}

#[test]
fn what_is_run_lives_on_when_its_client_dies_and_not_when_its_daemon_does() {
    let daemon = Daemon::start("");
    let mut terminal = Terminal::attached(&daemon, &["run", "--pty", "--name", "x", "--", "cat"]);
    terminal.type_in("one\r");
    terminal.until_text("one\none");
    kill(terminal.client(), Signal::SIGTERM).expect("it runs");
    terminal.until_text("left x, which goes on");
    wait_until("the terminal is as before", || terminal.is_restored());
    drop(terminal);
    assert_eq!(daemon.status("x").state, "RUNNING");
    let mut terminal = Terminal::attached(&daemon, &["attach", "x"]);
    terminal.type_in("two\r");
    terminal.until_text("two\ntwo");
    daemon.signal(Signal::SIGKILL);
    terminal.until_text("supervicectl: ");
    wait_until("the terminal is as before", || terminal.is_restored());
    let (code, text) = terminal.end();
    assert_eq!(code, 3, "{text}");
    wait_until("nothing is left", || daemon.descendants().is_empty());
}

/// What nobody reads is dropped: the program goes on.
#[test]
fn a_viewer_that_does_not_read_delays_no_program() {
    let daemon = Daemon::start(&format!("{SHELL}startretries = 0\n"));
    daemon.wait_state("sh", "RUNNING");
    let stuck = Terminal::attached(&daemon, &["attach", "sh"]);
    let mut reads = Terminal::attached(&daemon, &["attach", "sh"]);
    reads.type_in("echo here\r");
    reads.until_text("here");
    kill(stuck.client(), Signal::SIGSTOP).expect("it runs");
    reads.type_in("seq 400000 | tail -n 399999; echo all of $((40 + 2))\r");
    reads.until_text("all of 42");
    kill(stuck.client(), Signal::SIGCONT).expect("it runs");
    drop(stuck);
    reads.type_in("\x1c");
    assert_eq!(reads.end().0, 0);
    daemon.terminate();
}
