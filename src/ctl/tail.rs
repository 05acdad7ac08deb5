//! `supervicectl tail`.

use std::sync::{Mutex, PoisonError};

use super::call::{Call, code_of, explain, fail_at};
use super::exit::{DONE, FAILED};
use super::print::{print_error, print_part, while_read};
use super::targets::{Kind, targets};
use super::text::missing;
use super::verb::Opt;
use crate::client::{Amount, ClientError, Follow, OutputPiece};
use crate::codec::frames::DEFAULT_LINES;

/// The word of a daemon that has no program of a name.
const NO_SUCH_PROCESS: &str = "no_such_process";

/// A line that is longer is shown in pieces where several programs are followed, in bytes.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// Shows the newest output of the named processes, and with `--follow` what comes; a last name that is
/// `stdout` or `stderr` means the stream.
pub(super) fn tail(call: &Call<'_>) -> u8 {
    let (words, stderr) = match call.args.names.as_slice() {
        [names @ .., stream] if !names.is_empty() && stream == "stderr" => (names, true),
        [names @ .., stream] if !names.is_empty() && stream == "stdout" => (names, false),
        names => (names, false),
    };
    let (names, unknown) = match targets(call, Kind::Processes, words) {
        Ok(found) => found,
        Err(error) => return fail_at(call, error),
    };
    unknown.iter().for_each(|message| print_error(message));
    let amount = call.args.amount.unwrap_or(Amount::Lines(DEFAULT_LINES));
    let code = if call.args.has(Opt::Follow) {
        follow(call, &names, stderr, amount)
    } else {
        newest(call, &names, stderr, amount)
    };
    if code == DONE && !unknown.is_empty() { FAILED } else { code }
}

fn newest(call: &Call<'_>, names: &[String], stderr: bool, amount: Amount) -> u8 {
    let mut code = DONE;
    for (number, name) in names.iter().enumerate() {
        let heading = match (names.len(), number) {
            (1, _) => String::new(),
            (_, 0) => format!("==> {name} <==\n"),
            (_, _) => format!("\n==> {name} <==\n"),
        };
        let outcome = match call.controller.tail(name, stderr, amount) {
            Ok(bytes) if stderr && bytes.is_empty() && is_redirected(call, name) => say_redirected(name),
            Ok(bytes) => show(&[heading.as_bytes(), &bytes]),
            Err(error) if number > 0 && number + 1 == names.len() => fail_at_last(call, error),
            Err(error) => fail_at(call, error),
        };
        code = if code == DONE { outcome } else { code };
    }
    code
}

/// What stands last may have been meant for a stream.
fn fail_at_last(call: &Call<'_>, error: ClientError) -> u8 {
    if error.refusal() != Some(NO_SUCH_PROCESS) {
        return fail_at(call, error);
    }
    print_error(&format!("{}; write stdout, stderr or nothing after the names", explain(call, &error)));
    code_of(&error)
}

/// Whether what it writes to standard error is in its standard output. A daemon that does not tell its settings does
/// not tell that.
fn is_redirected(call: &Call<'_>, name: &str) -> bool {
    let settings = call.controller.settings(name, false).map(|found| found.settings).unwrap_or_default();
    settings.iter().any(|setting| setting.key == "redirect_stderr" && setting.value == true)
}

fn say_redirected(name: &str) -> u8 {
    print_error(&format!(
        "{name} has redirect_stderr = true: what it writes to standard error is in its standard output"
    ));
    FAILED
}

/// One connection and thread for each name; ends when all have ended.
fn follow(call: &Call<'_>, names: &[String], stderr: bool, amount: Amount) -> u8 {
    let code = Mutex::new(DONE);
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let work = |name: &String| {
        let prefix = if names.len() > 1 { format!("{name:width$} | ") } else { String::new() };
        let outcome = follow_one(call, name, stderr, amount, &prefix);
        let mut code = code.lock().unwrap_or_else(PoisonError::into_inner);
        *code = if *code == DONE { outcome } else { *code };
    };
    std::thread::scope(|scope| {
        let (last, others) = match names.split_last() {
            Some(split) => split,
            None => return,
        };
        for name in others {
            if let Err(error) = std::thread::Builder::new().spawn_scoped(scope, || work(name)) {
                print_error(&format!("{name}: cannot be followed as well: {error}"));
            }
        }
        work(last);
    });
    code.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn follow_one(call: &Call<'_>, name: &str, stderr: bool, amount: Amount, prefix: &str) -> u8 {
    if stderr && is_redirected(call, name) {
        return say_redirected(name);
    }
    let pieces = match call.controller.follow(name, stderr, amount) {
        Ok(pieces) => pieces,
        Err(error) => return fail_at(call, error),
    };
    let mut held = Vec::new();
    for piece in while_read(pieces, Follow::is_ready) {
        let OutputPiece { bytes, lost } = match piece {
            Ok(piece) => piece,
            Err(error) => return fail_at(call, error),
        };
        if lost > 0 {
            print_error(&format!("{name}: {}", missing(lost, "byte")));
        }
        let shown = if prefix.is_empty() {
            show(&[&bytes])
        } else {
            held.extend_from_slice(&bytes);
            let lines = take_lines(&mut held, prefix);
            show(&[&lines])
        };
        if shown != DONE {
            return shown;
        }
    }
    if held.is_empty() { DONE } else { show(&[prefix.as_bytes(), &held, b"\n"]) }
}

/// The complete lines, each behind its prefix; what remains of a line stays.
fn take_lines(held: &mut Vec<u8>, prefix: &str) -> Vec<u8> {
    let mut lines = Vec::new();
    let end = match held.iter().rposition(|byte| *byte == b'\n') {
        Some(end) => end + 1,
        None if held.len() >= MAX_LINE_BYTES => held.len(),
        None => 0,
    };
    for line in held.get(..end).unwrap_or_default().split_inclusive(|byte| *byte == b'\n') {
        lines.extend_from_slice(prefix.as_bytes());
        lines.extend_from_slice(line);
        if !line.ends_with(b"\n") {
            lines.push(b'\n');
        }
    }
    held.drain(..end);
    lines
}

/// Writes at once; several threads do, and none splits another's lines.
fn show(parts: &[&[u8]]) -> u8 {
    print_part(&parts.concat())
}
