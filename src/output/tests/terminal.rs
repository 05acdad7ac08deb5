//! Terminals of programs, and those who type.

use std::io::Read;
use std::os::fd::AsFd;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};

use super::*;
use crate::models::WindowSize;
use crate::sys::pty::{self, Pty};

/// A client that has typed this, and whose window has this size.
struct Typed {
    keys: Mutex<Vec<u8>>,
    size: Mutex<Option<WindowSize>>,
    is_there: AtomicBool,
}

impl Typed {
    fn new(keys: &[u8]) -> Arc<Typed> {
        let (keys, size) = (Mutex::new(keys.to_vec()), Mutex::new(None));
        Arc::new(Typed { keys, size, is_there: AtomicBool::new(true) })
    }
}

impl TerminalInput for Typed {
    fn take(&self, most: usize) -> Vec<u8> {
        let mut keys = self.keys.lock().unwrap();
        let count = keys.len().min(most);
        keys.drain(..count).collect()
    }
    fn take_size(&self) -> Option<WindowSize> {
        self.size.lock().unwrap().take()
    }
    fn is_there(&self) -> bool {
        self.is_there.load(Ordering::Acquire)
    }
}

/// A terminal that hands on what is typed as it is, and the program's end of it.
fn raw_terminal() -> (OwnedFd, OwnedFd) {
    let Pty { ours, childs } = pty::open(WindowSize { rows: 24, columns: 80 }, None).unwrap();
    let mut settings = tcgetattr(&childs).unwrap();
    cfmakeraw(&mut settings);
    tcsetattr(&childs, SetArg::TCSANOW, &settings).unwrap();
    (ours, childs)
}

#[test]
fn a_window_size_does_not_wait_for_a_program_that_does_not_read_what_was_typed() {
    let rig = Rig::new();
    rig.configure(1, None, |_| {});
    let (ours, childs) = raw_terminal();
    rig.output.attach_terminal(1, 1, 1, ours);
    let text: Vec<u8> = (0..100_000_u32).flat_map(|number| number.to_ne_bytes()).collect();
    let client = Typed::new(&text);
    rig.output.write_input(1, Arc::clone(&client) as Arc<dyn TerminalInput>);
    wait_until("the terminal is full", || client.keys.lock().unwrap().len() < text.len());
    *client.size.lock().unwrap() = Some(WindowSize { rows: 50, columns: 132 });
    rig.output.write_input(1, Arc::clone(&client) as Arc<dyn TerminalInput>);
    wait_until("the new size", || crate::sys::terminal::size(childs.as_fd()) == Some((132, 50)));
    assert!(!client.keys.lock().unwrap().is_empty(), "it has not read yet");
    let mut read = vec![0; text.len()];
    std::fs::File::from(childs).read_exact(&mut read).unwrap();
    assert!(read == text, "all that was typed, once and in its order");
}

#[test]
fn who_has_typed_before_there_was_a_terminal_and_left_is_forgotten() {
    let rig = Rig::new();
    rig.configure(1, None, |_| {});
    let all: Vec<Arc<Typed>> = [b"one", b"two"].map(|keys| Typed::new(keys)).into();
    let type_in = |client: &Arc<Typed>| rig.output.write_input(1, Arc::clone(client) as Arc<dyn TerminalInput>);
    type_in(&all[0]);
    wait_until("it is kept", || Arc::strong_count(&all[0]) == 2 && rig.tail(1, 1).is_empty());
    all[0].is_there.store(false, Ordering::Release);
    // The same client twice is one.
    type_in(&all[1]);
    type_in(&all[1]);
    wait_until("the one that has left is forgotten", || Arc::strong_count(&all[0]) == 1);
    wait_until("the other one is kept once", || rig.tail(1, 1).is_empty() && Arc::strong_count(&all[1]) == 2);
    let (ours, childs) = raw_terminal();
    rig.output.attach_terminal(1, 1, 1, ours);
    rig.output.wake();
    let mut read = [0; 3];
    std::fs::File::from(childs).read_exact(&mut read).unwrap();
    assert_eq!(&read, b"two");
}
