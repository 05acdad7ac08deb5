//! The help: a summary of all verbs, and the page of one.

use super::call::Call;
use super::exit::USAGE;
use super::print::{print, print_error};
use super::verb::{Spelling, Verb, common_options, spell};

/// `help [COMMAND]`
pub(super) fn help(call: &Call<'_>) -> u8 {
    match call.args.names.first() {
        None => print(&summary()),
        Some(name) => match Verb::find(name) {
            Some(verb) => print(&about(verb)),
            None => {
                print_error(&Verb::unknown(name));
                USAGE
            }
        },
    }
}

/// The columns that every terminal has.
const WIDTH: usize = 80;

/// Everything on one page of 80 columns.
pub(super) fn summary() -> String {
    let mut text = "Usage: supervicectl [OPTION]... [COMMAND [NAME]...]\n\
                    Look at and command the processes of a supervice daemon.\n\n"
        .to_owned();
    for verb in Verb::listed() {
        let spec = verb.spec();
        line(&mut text, &format!("{} {}", spec.name, spec.usage), spec.help);
    }
    text.push('\n');
    for spelling in common_options() {
        line(&mut text, &left(spelling), spelling.help);
    }
    text.push_str(
        "\nNames: of processes; also 'web*', 'worker:*', group:NAME, state:FATAL, all.\n\
         Without a command, on a terminal: a prompt. The socket is -s, that of the file\n\
         -c, $SUPERVICE_SOCKET or /tmp/supervice.sock.\n\
         Exit code: 0 done, 1 failed, 2 wrong usage, 3 no daemon, 4 time-out.\n\
         See 'supervicectl help COMMAND' and supervicectl(1).\n",
    );
    text
}

/// All about one verb.
pub(super) fn about(verb: Verb) -> String {
    let spec = verb.spec();
    let mut text = format!("Usage: supervicectl [OPTION]... {}", spec.name);
    if text.len() + 1 + spec.usage.len() > WIDTH {
        text.push_str("\n        ");
    }
    if !spec.usage.is_empty() {
        text.push_str(&format!(" {}", spec.usage));
    }
    text.push_str(&format!("\n{}.\n\n", capital(spec.help)));
    for spelling in spec.options.iter().map(|opt| spell(*opt)).chain(common_options()) {
        line(&mut text, &left(spelling), spelling.help);
    }
    text
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn left(spelling: &Spelling) -> String {
    let short = spelling.short.map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
    let space = if spelling.value.is_empty() { "" } else { " " };
    format!("{short}--{}{space}{}", spelling.long, spelling.value)
}

fn line(text: &mut String, left: &str, right: &str) {
    const COLUMN: usize = 30;
    let left = left.trim_end();
    if left.len() + 2 >= COLUMN {
        text.push_str(&format!("  {left}\n{:COLUMN$}{right}\n", ""));
    } else {
        text.push_str(&format!("  {left:width$}{right}\n", width = COLUMN - 2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_fits_into_80_columns() {
        for verb in Verb::listed() {
            assert!(about(verb).lines().all(|line| line.len() <= WIDTH), "{verb:?}");
        }
        assert!(summary().lines().all(|line| line.len() <= WIDTH), "{}", summary());
    }
}
