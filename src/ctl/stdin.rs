//! `supervicectl stdin`: from our standard input to that of a process.

use std::io::{self, Read};
use std::time::Duration;

use super::call::{Call, fail_at};
use super::exit::{DONE, FAILED};
use super::print::print_error;
use crate::client::{ClientError, Controller};
use crate::util::errno;

/// Bytes of one request: what a pipe holds.
const CHUNK: usize = 64 * 1024;
/// The pause before a program that does not read is tried again, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// When it is told that the program does not read.
const HINT_AFTER: Duration = Duration::from_millis(640);

/// `stdin NAME`
pub(super) fn stdin(call: &Call<'_>) -> u8 {
    let Some(name) = call.args.names.first() else { return FAILED };
    // Nothing is written where there is nothing to read: a wrong name is told all the same.
    if let Err(error) = call.controller.pid(Some(name)) {
        return fail_at(call, error);
    }
    match copy(call.controller, name) {
        Ok(Ok(())) => DONE,
        Ok(Err(error)) => fail_at(call, error),
        Err(error) => {
            print_error(&format!("cannot read standard input: {}", errno::reason(&error)));
            FAILED
        }
    }
}

/// Writes what comes from our standard input, piece by piece, until its end. A program that is slow is waited for.
pub(super) fn copy(controller: &Controller, name: &str) -> io::Result<Result<(), ClientError>> {
    let mut chunk = vec![0; CHUNK];
    let mut source = io::stdin().lock();
    loop {
        let count = match source.read(&mut chunk) {
            Ok(0) => return Ok(Ok(())),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if let Err(error) = write(controller, name, chunk.get(..count).unwrap_or_default()) {
            return Ok(Err(error));
        }
    }
}

fn write(controller: &Controller, name: &str, bytes: &[u8]) -> Result<(), ClientError> {
    let mut pause = FIRST_PAUSE;
    loop {
        match controller.write_stdin(name, bytes) {
            Ok(_) => return Ok(()),
            Err(error) if error.refusal() == Some("stdin_full") => {
                if pause == HINT_AFTER {
                    print_error(&format!("{name} does not read its standard input; waiting for it"));
                }
                std::thread::sleep(pause);
                pause = (pause * 2).min(MAX_PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
}
