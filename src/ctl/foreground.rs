//! `supervicectl fg`: a process as if it ran in this terminal.

use std::io;
use std::sync::mpsc::{Sender, channel};

use super::call::{Call, explain, fail_at};
use super::exit::{DONE, FAILED};
use super::print::{print_error, print_part, while_read};
use super::stdin::copy;
use super::tty;
use crate::client::{Amount, ClientError, Controller, Follow, WaitFor};

/// Why it is over.
enum End {
    /// The process has ended.
    Exited,
    /// Something of it can't be had.
    Failed(ClientError),
    Unreadable(io::Error),
}

/// What one thread does until it finds that it is over; `None`: it has ended, and it is not.
type Work = fn(&Controller, &str) -> Option<End>;

/// `fg NAME`. Ctrl-C ends this program and leaves the process as it is.
pub(super) fn foreground(call: &Call<'_>) -> u8 {
    let Some(name) = call.args.names.first() else { return FAILED };
    // Whether it runs is asked first: to wait for the end of one that does not would be over at once.
    if let Err(error) = call.controller.pid(Some(name)) {
        return fail_at(call, error);
    }
    if tty::is_interactive() {
        print_error(&format!("{name} is in the foreground; Ctrl-C leaves it running"));
    }
    let (ends, ended) = channel();
    let work: [(&str, Work); 4] = [
        ("end", |controller, name| Some(wait_for_end(controller, name))),
        ("stdout", |controller, name| show(controller, name, false).err().map(End::Failed)),
        ("stderr", |controller, name| show(controller, name, true).err().map(End::Failed)),
        ("stdin", forward_stdin),
    ];
    for (what, work) in work {
        if let Err(error) = begin(call.controller, name, &ends, work) {
            print_error(&format!("{name}: no thread for its {what}: {}", crate::util::errno::reason(&error)));
            return FAILED;
        }
    }
    drop(ends);
    match ended.recv() {
        Ok(End::Exited) => {
            print_error(&format!("{name} has exited"));
            DONE
        }
        Ok(End::Failed(error)) => {
            print_error(&explain(call, &error));
            super::call::code_of(&error)
        }
        Ok(End::Unreadable(error)) => {
            print_error(&format!("cannot read standard input: {}", crate::util::errno::reason(&error)));
            FAILED
        }
        Err(_) => DONE,
    }
}

/// A thread of its own; none is waited for when it is over.
fn begin(controller: &Controller, name: &str, ends: &Sender<End>, work: Work) -> io::Result<()> {
    let (controller, name, ends) = (controller.clone(), name.to_owned(), ends.clone());
    std::thread::Builder::new().spawn(move || {
        if let Some(end) = work(&controller, &name) {
            // Whoever comes later is too late.
            let _ = ends.send(end);
        }
    })?;
    Ok(())
}

fn wait_for_end(controller: &Controller, name: &str) -> End {
    match controller.wait_for(name, WaitFor::Exited, None) {
        Ok(_) => End::Exited,
        Err(error) => End::Failed(error),
    }
}

/// Shows what comes from one stream.
fn show(controller: &Controller, name: &str, stderr: bool) -> Result<(), ClientError> {
    for piece in while_read(controller.follow(name, stderr, Amount::Bytes(0))?, Follow::is_ready) {
        print_part(&piece?.bytes);
    }
    Ok(())
}

/// At the end of our own input its output is still shown.
fn forward_stdin(controller: &Controller, name: &str) -> Option<End> {
    match copy(controller, name) {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(End::Failed(error)),
        Err(error) => Some(End::Unreadable(error)),
    }
}
