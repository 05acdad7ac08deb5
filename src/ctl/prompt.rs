//! The interactive prompt: `supervicectl` without a command, on a terminal.

mod line;

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::complete::{Candidate, candidates};
use super::exit::{DONE, FAILED, INTERRUPTED};
use super::keys::{Ends, Key, Keyboard, Wake};
use super::print::{print, print_error};
use super::text::{printable, printable_lines};
use super::tty;
use super::verb::Verb;
use crate::client::Controller;
use crate::config::split_command;
use crate::util::quote::quote_word;
use crate::util::truncate::to_columns;
use crate::util::width::columns;
use line::{Edited, Line};

const PROMPT: &str = "supervice> ";
/// Lines that Up goes back to.
const REMEMBERED: usize = 500;
/// Candidates that are listed; of more only the number is told.
const LISTED: usize = 200;

/// How a line has ended.
enum Read {
    Line(String),
    /// Ctrl-C: begin anew.
    Dropped,
    /// Ctrl-D, or the terminal is gone.
    End,
    /// A signal asks us to end.
    Terminated,
}

/// Asks for commands and runs them until Ctrl-D, `quit` or `exit`.
pub(super) fn prompt(controller: &Controller) -> u8 {
    let mut ends = match Ends::install() {
        Ok(ends) => ends,
        Err(error) => {
            print_error(&format!("cannot take signals: {}", crate::util::errno::reason(&error)));
            return FAILED;
        }
    };
    greet(controller);
    let mut keyboard = match Keyboard::open() {
        Ok(keyboard) => keyboard,
        Err(error) => return cannot_read(&error),
    };
    let mut past: Vec<String> = Vec::new();
    loop {
        let read = keyboard.resume().and_then(|()| read_line(controller, &mut keyboard, &mut ends, &past));
        match read {
            Ok(Read::Line(text)) => {
                let text = text.trim().to_owned();
                if !text.is_empty() && past.last() != Some(&text) {
                    past.push(text.clone());
                    // The oldest makes room.
                    past.drain(..past.len().saturating_sub(REMEMBERED));
                }
                if matches!(Verb::find(&text), Some(Verb::Quit | Verb::Exit)) {
                    return DONE;
                }
                keyboard.pause();
                run(controller, &text);
                ends.forget();
                if begin_line().is_err() {
                    return FAILED;
                }
            }
            Ok(Read::Dropped) => {}
            Ok(Read::End) => return DONE,
            Ok(Read::Terminated) => return INTERRUPTED,
            Err(error) => return cannot_read(&error),
        }
    }
}

fn cannot_read(error: &io::Error) -> u8 {
    print_error(&format!("cannot read from the terminal: {}", crate::util::errno::reason(error)));
    FAILED
}

fn greet(controller: &Controller) {
    let socket = controller.socket_path();
    let who = match controller.version() {
        Ok(daemon) => format!("supervice {} (pid {}) at {socket}", daemon.version, daemon.pid),
        Err(crate::client::ClientError::Failed { .. }) => format!("a daemon at {socket}"),
        // It may come; every command will say so until then.
        Err(error) => error.to_string(),
    };
    print(&format!("{}\nTab completes, 'help' helps, Ctrl-D leaves.\n", printable_lines(&who)));
}

/// A command is this program again: what it does with the terminal, with Ctrl-C and at its end concerns no later one.
fn run(controller: &Controller, text: &str) {
    let words = match split_command(text) {
        Ok(words) if words.is_empty() => return,
        Ok(words) => words,
        Err(error) => return print_error(&error.to_string()),
    };
    // Its own name is what one may have typed out of habit.
    let words = words.strip_prefix(&["supervicectl".to_owned()]).unwrap_or(&words);
    let program = std::env::current_exe().unwrap_or_else(|_| "supervicectl".into());
    // Its name tells a program with several what it is.
    let ended = Command::new(program).arg0("supervicectl").arg("-s").arg(controller.socket_path()).args(words).status();
    if let Err(error) = ended {
        print_error(&format!("cannot run the command: {}", crate::util::errno::reason(&error)));
    }
}

/// The prompt begins a line. Output that does not end with one stays, and is marked as `zsh` does it: the mark and as
/// many spaces as fit on a line are overwritten, or have begun another line.
fn begin_line() -> io::Result<()> {
    let width = tty::size().map_or(80, |(columns, _)| columns);
    write(&format!("\x1b[7m%\x1b[0m{:width$}\r\x1b[K", "", width = width.saturating_sub(1)))
}

fn read_line(controller: &Controller, keyboard: &mut Keyboard, ends: &mut Ends, past: &[String]) -> io::Result<Read> {
    let mut line = Line::new(past);
    draw(&line)?;
    loop {
        let key = match keyboard.next(ends, &[], None) {
            Wake::Key(key) => key,
            Wake::Terminated => return end_line("\n", Read::Terminated),
            Wake::Closed => return end_line("\n", Read::End),
            Wake::Resized | Wake::Timeout | Wake::Ready(_) => {
                draw(&line)?;
                continue;
            }
        };
        match key {
            Key::Enter => {
                line.go_to_end();
                draw(&line)?;
                return end_line("\n", Read::Line(line.text()));
            }
            Key::Ctrl('c') => return end_line("^C\n", Read::Dropped),
            Key::Ctrl('d') if line.is_empty() => return end_line("\n", Read::End),
            Key::Ctrl('l') => write("\x1b[H\x1b[2J")?,
            Key::Tab => complete(&mut line, controller)?,
            key => match line.edit(key) {
                Edited::Yes => {}
                // No bell for a key without effect.
                Edited::No => continue,
            },
        }
        draw(&line)?;
    }
}

fn end_line(last: &str, read: Read) -> io::Result<Read> {
    write(last)?;
    Ok(read)
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// The line, or that part of it around the cursor that fits.
fn draw(line: &Line<'_>) -> io::Result<()> {
    let width = tty::size().map_or(80, |(columns, _)| columns);
    let room = width.saturating_sub(PROMPT.len() + 1).max(1);
    let (shown, cursor) = line.window(room);
    let column = PROMPT.len() + cursor;
    write(&format!("\r\x1b[K{PROMPT}{shown}\r\x1b[{column}C"))
}

/// Completes the word before the cursor as far as it is clear, and lists what it could become where it is not.
fn complete(line: &mut Line<'_>, controller: &Controller) -> io::Result<()> {
    let Some(words) = line.words_to_cursor() else { return Ok(()) };
    let found = candidates(&words, controller);
    let typed = words.last().cloned().unwrap_or_default();
    let shared = shared_beginning(&found);
    match found.as_slice() {
        [] => Ok(()),
        [only] => {
            line.replace_word(&quote_word(&only.word), true);
            Ok(())
        }
        _ if shared.len() > typed.len() => {
            line.replace_word(&quote_word(&shared), false);
            Ok(())
        }
        many => list(many),
    }
}

fn shared_beginning(found: &[Candidate]) -> String {
    let Some(first) = found.first() else { return String::new() };
    let mut shared = first.word.as_str();
    for other in found {
        let same = shared.char_indices().zip(other.word.chars()).take_while(|((_, a), b)| a == b);
        let end = same.last().map_or(0, |((at, c), _)| at + c.len_utf8());
        shared = shared.get(..end).unwrap_or_default();
    }
    shared.to_owned()
}

/// Verbs with what they do, one a line; names in columns.
fn list(found: &[Candidate]) -> io::Result<()> {
    if found.len() > LISTED {
        return write(&format!("\n{} possibilities\n", found.len()));
    }
    let width = tty::size().map_or(80, |(columns, _)| columns);
    let longest = found.iter().map(|one| columns(&one.word)).max().unwrap_or(0) + 2;
    let is_verbs = found.iter().all(|one| Verb::find(&one.word).is_some() && !one.about.is_empty());
    let per_line = if is_verbs { 1 } else { (width / longest).max(1) };
    let mut text = "\n".to_owned();
    for chunk in found.chunks(per_line) {
        let mut line = String::new();
        for one in chunk {
            let word = printable(&one.word);
            let padding = longest.saturating_sub(columns(&word));
            line.push_str(&format!("{word}{:padding$}", ""));
            if is_verbs {
                line.push_str(&one.about);
            }
        }
        text.push_str(&format!("{}\n", to_columns(line.trim_end(), width)));
    }
    write(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_share_is_completed_and_what_a_shell_would_split_is_quoted() {
        let found = |words: &[&str]| {
            let all = words.iter().map(|word| Candidate { word: (*word).to_owned(), about: String::new() });
            shared_beginning(&all.collect::<Vec<_>>())
        };
        assert_eq!(found(&["worker:00", "worker:01"]), "worker:0");
        assert_eq!(found(&["데이", "데터"]), "데");
        assert_eq!(found(&["a", "b"]), "");
        assert_eq!((quote_word("worker:00"), quote_word("my job")), ("worker:00".to_owned(), "'my job'".to_owned()));
        assert_eq!(split_command(&quote_word("it's")).expect("words"), ["it's"]);
    }
}
