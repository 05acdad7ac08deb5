//! What an operator sees and types: supervicectl on a terminal of its own.

#[cfg(feature = "attach")]
mod attach;
mod screen;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Daemon, TEST_TIMEOUT, wait_for, word_in};
use screen::Screen;

/// A terminal and the program that has it.
struct Terminal {
    child: Child,
    master: File,
    path: PathBuf,
    screen: Screen,
}

impl Terminal {
    /// supervicectl with these arguments on a terminal of 80 columns and 24 rows.
    fn ctl(daemon: &Daemon, args: &[&str]) -> Terminal {
        Terminal::of(daemon, args, 80, 24)
    }

    fn of(daemon: &Daemon, args: &[&str], columns: u16, rows: u16) -> Terminal {
        let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).expect("a terminal");
        let path = nix::unistd::ttyname(&pty.slave).expect("a name");
        let stdio = || pty.slave.try_clone().expect("a descriptor");
        // So that the terminal's signals reach it, and only it.
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait", env!("CARGO_BIN_EXE_supervicectl")]).args(args);
        command.env("SUPERVICE_SOCKET", daemon.path("ctl.sock")).env("TERM", "xterm").env_remove("NO_COLOR");
        command.stdin(stdio()).stdout(stdio()).stderr(stdio());
        let child = command.spawn().expect("setsid is there");
        Terminal { child, master: pty.master.into(), path, screen: Screen::new(columns.into(), rows.into()) }
    }

    /// Shows what comes until the screen is as wanted.
    fn until(&mut self, what: &str, wanted: impl Fn(&Screen) -> bool) {
        let deadline = Instant::now() + TEST_TIMEOUT;
        while !wanted(&self.screen) {
            let more = Instant::now() < deadline && self.show_more(1000).is_some();
            assert!(more || wanted(&self.screen), "waited in vain until {what}:\n{}", self.screen.text());
        }
    }

    /// Shows what comes within this time; `None`: nothing comes any more.
    fn show_more(&mut self, milliseconds: u16) -> Option<()> {
        let mut fds = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
        // A signal to this process (a supervisor that a test embeds takes SIGCHLD) ends the wait as the time does.
        if matches!(poll(&mut fds, PollTimeout::from(milliseconds)), Ok(0) | Err(Errno::EINTR)) {
            return Some(());
        }
        let mut bytes = [0; 4096];
        // The error that a terminal without a program gives is its end.
        let count = self.master.read(&mut bytes).unwrap_or(0);
        self.screen.feed(&bytes[..count]);
        (count > 0).then_some(())
    }

    fn until_text(&mut self, text: &str) {
        self.until(&format!("{text:?} is shown"), |screen| screen.text().contains(text));
    }

    /// The prompt waits, with this typed in.
    fn until_typed(&mut self, text: &str) {
        let line = format!("supervice> {text}");
        self.until(&format!("the cursor stands behind {line:?}"), |screen| screen.to_cursor() == line);
    }

    fn type_in(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).expect("it takes keys");
    }

    fn resize(&mut self, columns: u16, rows: u16) {
        self.screen.resize(columns.into(), rows.into());
        let size = [columns.to_string(), rows.to_string()];
        let set = Command::new("stty").arg("-F").arg(&self.path).args(["cols", &size[0], "rows", &size[1]]).status();
        assert!(set.expect("stty is there").success());
    }

    /// Waits for the program's end: its exit code and the last screen.
    fn end(mut self) -> (i32, String) {
        let deadline = Instant::now() + TEST_TIMEOUT;
        while self.show_more(1000).is_some() {
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.screen.text());
        }
        let status = wait_for("it ends", || self.child.try_wait().expect("waitpid"));
        assert!(self.screen.cursor_is_shown && !self.screen.is_other(), "the terminal is as before");
        (status.code().unwrap_or(-1), self.screen.text())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const PROGRAMS: &str = "[program:web]\ncommand = sh -c 'echo hello from web; echo oops >&2; exec sleep 1000'\nstartsecs = 0\n\
    [program:worker]\ncommand = sleep 1000\nnumprocs = 2\nstartsecs = 0\n\
    [program:my job]\ncommand = sleep 1000\nstartsecs = 0\nautostart = false\n";

const STUBBORN: &str = "[program:s]\ncommand = sh -c 'trap \"\" TERM; echo up > DIR/up; while true; do sleep 1000; done'\n\
    startsecs = 0\nstopwaitsecs = 600\n[program:quick]\ncommand = sleep 1000\nstartsecs = 0\n";

#[test]
fn the_prompt_completes_commands_and_names_and_runs_them() {
    let daemon = Daemon::start(PROGRAMS);
    daemon.wait_state("web", "RUNNING");
    let mut terminal = Terminal::ctl(&daemon, &[]);
    terminal.until_typed("");
    terminal.type_in("stat\t");
    terminal.until_typed("status ");
    terminal.type_in("w\t");
    // What is not clear is listed.
    terminal.until_text("web        worker:00  worker:01");
    terminal.until_typed("status w");
    terminal.type_in("o\t1\r");
    terminal.until_text("worker:01  RUNNING");
    terminal.until_typed("");
    terminal.type_in("start my\t");
    terminal.until_typed("start 'my job' ");
    terminal.type_in("\r");
    terminal.until_text("Started my job");
    assert_eq!(daemon.status("my job").state, "RUNNING");
    terminal.until_typed("");
    terminal.type_in("nonsense\r");
    terminal.until_text("unknown command 'nonsense'");
    terminal.until_typed("");
    terminal.type_in("quit\r");
    assert_eq!(terminal.end().0, 0);
    daemon.terminate();
}

#[test]
fn the_prompt_remembers_lines_drops_them_on_ctrl_c_and_ends_on_ctrl_d() {
    let daemon = Daemon::start(PROGRAMS);
    let mut terminal = Terminal::ctl(&daemon, &[]);
    terminal.until_typed("");
    terminal.type_in("ping\r");
    terminal.until_text("the daemon answers");
    terminal.until_typed("");
    terminal.type_in("pid\r");
    terminal.until_text(&format!("\n{}\n", daemon.pid()));
    terminal.until_typed("");
    terminal.type_in("\x1b[A\x1b[A");
    terminal.until_typed("ping");
    terminal.type_in("\x1b[B");
    terminal.until_typed("pid");
    // The line is dropped, not run; its first letter is changed before.
    terminal.type_in("\x01x\x05\x03");
    terminal.until_text("supervice> xpid^C");
    terminal.until_typed("");
    terminal.type_in("\x04");
    let (code, text) = terminal.end();
    assert_eq!(code, 0);
    assert!(!text.contains("unknown command"), "{text}");
    daemon.terminate();
}

/// Somebody pastes three lines, the second of which is dropped again.
#[test]
fn lines_that_come_at_once_are_all_run() {
    let daemon = Daemon::start(PROGRAMS);
    let mut terminal = Terminal::ctl(&daemon, &[]);
    terminal.until_typed("");
    terminal.type_in("stop web\rnonsense\x03start web\r\x04");
    let (code, text) = terminal.end();
    assert_eq!(code, 0);
    let wanted =
        "supervice> stop web\nStopped web\nsupervice> nonsense^C\nsupervice> start web\nStarted web\nsupervice>";
    assert!(text.ends_with(wanted), "{text}");
    daemon.terminate();
}

/// A command ends by Ctrl-C and the prompt goes on; what does not end with a line is not overwritten.
#[test]
fn the_prompt_outlives_its_commands_and_keeps_their_output() {
    let mut daemon =
        Daemon::start("[program:web]\ncommand = sh -c 'printf unfinished; exec sleep 1000'\nstartsecs = 0\n");
    let mut terminal = Terminal::ctl(&daemon, &[]);
    terminal.until_typed("");
    terminal.type_in("tail -f web\r");
    terminal.until_text("\nunfinished");
    terminal.type_in("\x03");
    terminal.until_typed("");
    terminal.until_text("\nunfinished");
    terminal.type_in("ping\r");
    terminal.until_text("the daemon answers");
    daemon.signal(Signal::SIGKILL);
    // Who asks one that is about to die hears something else.
    daemon.wait();
    terminal.until_typed("");
    terminal.type_in("status\r");
    terminal.until_text("supervicectl: no daemon at ");
    terminal.until_typed("");
    terminal.type_in("\x04");
    assert_eq!(terminal.end().0, 0);
}

#[test]
fn top_shows_selects_and_acts_and_leaves_the_terminal_as_it_was() {
    let daemon = Daemon::start(PROGRAMS);
    daemon.wait_state("web", "RUNNING");
    let mut terminal = Terminal::ctl(&daemon, &["top"]);
    terminal.until_text("── stdout of web ──");
    terminal.until_text("hello from web");
    terminal.until_text("worker:01  RUNNING");
    assert!(terminal.screen.is_other() && !terminal.screen.cursor_is_shown);
    terminal.type_in("e");
    terminal.until_text("── stderr of web ──");
    terminal.until_text("oops");
    terminal.type_in("jj");
    terminal.until_text("── stderr of worker:01 ──");
    terminal.type_in("xn");
    terminal.until_text("q leave");
    terminal.type_in("x");
    terminal.until_text("stop worker:01? (y/n)");
    assert_eq!(daemon.status("worker:01").state, "RUNNING", "it asks first");
    terminal.type_in("y");
    terminal.until_text("worker:01  STOPPED");
    terminal.type_in("s");
    terminal.until_text("worker:01  RUNNING");
    // Its own changes are not all that it shows.
    daemon.controller().stop_process("web").expect("stop");
    terminal.until_text("web        STOPPED");
    terminal.resize(40, 10);
    // The first key afterwards takes the message away.
    terminal.type_in("g");
    terminal.until("as many keys as fit are on the last line", |screen| {
        screen.text().lines().nth(9) == Some("q leave  ↑↓ select  s start  x stop")
    });
    terminal.type_in("q");
    assert_eq!(terminal.end(), (0, String::new()), "nothing is left on the usual screen");
    daemon.terminate();
}

/// What a command came to stands above the keys, and both are whole.
#[test]
fn a_message_of_top_leaves_the_keys_in_view() {
    let daemon = Daemon::start(PROGRAMS);
    daemon.wait_state("worker:01", "RUNNING");
    let mut terminal = Terminal::of(&daemon, &["top"], 100, 24);
    terminal.until_text("e out/err");
    terminal.type_in("x");
    terminal.until("question and keys are shown", |screen| {
        let text = screen.text();
        let mut last = text.lines().rev();
        last.next().is_some_and(|line| line.starts_with("q leave")) && last.next() == Some("stop web? (y/n)")
    });
    terminal.type_in("n");
    terminal.until("the question is gone", |screen| !screen.text().contains("(y/n)"));
    terminal.type_in("q");
    assert_eq!(terminal.end().0, 0);
    daemon.terminate();
}

/// What needs somebody is told of even where it has no line.
#[test]
fn a_watch_on_few_lines_counts_what_is_in_trouble_and_hidden() {
    let sections = format!("{PROGRAMS}\n[program:zz]\ncommand = false\nstartretries = 0\n");
    let daemon = Daemon::start(&sections);
    daemon.wait_state("zz", "FATAL");
    daemon.wait_state("worker:01", "RUNNING");
    let mut terminal = Terminal::of(&daemon, &["status", "-w"], 80, 4);
    terminal.until_text("(4 more, 1 FATAL: name some, or see top)");
    terminal.resize(80, 24);
    terminal.until("all are shown", |screen| screen.text().contains("zz  ") && !screen.text().contains("more"));
    terminal.type_in("\x03");
    terminal.end();
    daemon.terminate();
}

#[test]
fn top_ends_with_the_daemon_and_says_so() {
    let daemon = Daemon::start(PROGRAMS);
    let mut terminal = Terminal::ctl(&daemon, &["top"]);
    terminal.until_text("q leave");
    daemon.signal(Signal::SIGKILL);
    let (code, text) = terminal.end();
    assert_eq!(code, 3);
    assert!(text.starts_with("supervicectl: the daemon at ") && text.ends_with(" has ended"), "{text}");
}

#[test]
fn a_watch_is_drawn_at_every_change_and_only_then() {
    let daemon = Daemon::start(PROGRAMS);
    daemon.wait_state("worker:01", "RUNNING");
    let mut terminal = Terminal::ctl(&daemon, &["status", "-w"]);
    terminal.until_text("worker:01  RUNNING");
    assert_eq!(terminal.screen.drawn, 1);
    // It sleeps while others are only asking.
    for _ in 0..100 {
        daemon.all();
    }
    assert!(terminal.screen.text().contains("web        RUNNING"));
    daemon.controller().stop_process("web").expect("stop");
    terminal.until_text("web        STOPPED");
    let drawn = terminal.screen.drawn;
    assert!((2..=3).contains(&drawn), "two transitions are {drawn} drawings");
    terminal.resize(80, 4);
    terminal.until_text("(3 more: name some, or see top)");
    terminal.resize(30, 24);
    terminal.until("the table fits", |screen| {
        let text = screen.text();
        text.contains("UPTIME") && !text.contains("HEALTH") && text.lines().count() == 5
    });
    terminal.resize(80, 24);
    terminal.until_text("DESCRIPTION");
    daemon.terminate();
    let (code, text) = terminal.end();
    assert_eq!(code, 3);
    assert!(text.contains("supervicectl: the daemon at ") && text.ends_with(" has ended"), "{text}");
}

#[test]
fn a_line_tells_what_is_waited_for_and_ctrl_c_leaves_the_command_running() {
    let daemon = Daemon::start(STUBBORN);
    word_in(&daemon.path("up"));
    let mut terminal = Terminal::ctl(&daemon, &["stop", "quick", "s"]);
    terminal.until_text("1 of 2 done, waiting for s (SIGKILL in 5");
    terminal.type_in("\x03");
    let (code, text) = terminal.end();
    assert_eq!(code, 130);
    let lines: Vec<&str> = text.lines().collect();
    // Of the echo of Ctrl-C and of the line that told nothing is left but what follows.
    let wanted = "supervicectl: interrupted; the daemon goes on with: stop quick, s (see supervicec";
    assert_eq!((lines[0].len(), lines[0].get(..70)), (80, wanted.get(..70)), "{text}");
    assert_eq!(daemon.status("s").state, "STOPPING", "the command goes on");
    assert_eq!(daemon.status("quick").state, "STOPPED");
    // In 40 columns it still tells how long it takes.
    let mut terminal = Terminal::of(&daemon, &["stop", "s"], 40, 10);
    terminal.until_text("waiting for s (SIGKILL in 5");
    assert_eq!(daemon.controller().kill_process("s", Default::default()).expect("kill"), "Killed s");
    assert_eq!(terminal.end(), (0, "Stopped s".to_owned()), "the line is gone");
    daemon.terminate();
}

/// What has not begun is named, for whoever has to do it by hand.
#[test]
fn ctrl_c_in_a_rolling_restart_tells_what_was_not_done() {
    let daemon = Daemon::start(STUBBORN);
    word_in(&daemon.path("up"));
    let mut terminal = Terminal::of(&daemon, &["restart", "--rolling", "s", "quick"], 200, 10);
    terminal.until_text("0 of 2 done, waiting for s (SIGKILL in 5");
    let before = daemon.status("quick").pid;
    terminal.type_in("\x03");
    let (code, text) = terminal.end();
    assert_eq!(code, 130);
    let wanted = "supervicectl: interrupted; the daemon goes on with: restart s (see supervicectl status)\n\
                  supervicectl: not done: quick";
    assert!(text.ends_with(wanted), "{text}");
    assert_eq!(daemon.status("quick").pid, before);
    daemon.controller().kill_process("s", Default::default()).expect("kill");
    daemon.terminate();
}

#[test]
fn a_daemon_that_was_stopped_hangs_nobody_at_a_terminal() {
    let daemon = Daemon::start(PROGRAMS);
    let mut prompt = Terminal::ctl(&daemon, &[]);
    prompt.until_typed("");
    daemon.signal(Signal::SIGSTOP);
    // Completion waits for a second and then knows no names.
    prompt.type_in("stop w\teb");
    prompt.until_typed("stop web");
    prompt.type_in("\r");
    prompt.until_text("waiting for the daemon");
    prompt.type_in("\x03");
    prompt.until_text("the daemon goes on with: stop web");
    prompt.until_typed("");
    daemon.signal(Signal::SIGCONT);
    prompt.type_in("\x04");
    assert_eq!(prompt.end().0, 0);
    daemon.terminate();
}

/// TERM and HUP restore the terminal as q does.
#[test]
fn a_signal_leaves_no_broken_terminal() {
    let daemon = Daemon::start(PROGRAMS);
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let mut terminal = Terminal::ctl(&daemon, &["top"]);
        terminal.until_text("q leave");
        kill(Pid::from_raw(i32::try_from(terminal.child.id()).expect("a pid")), signal).expect("it lives");
        assert_eq!(terminal.end(), (130, String::new()), "{signal}");
    }
    daemon.terminate();
}
