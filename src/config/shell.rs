//! What only a shell does, in commands that none runs.

use super::diagnostic::Fault;

/// The first thing in a command, of which `name` is the first word, that only a shell would do, and what does it here.
/// What is quoted is for a program that reads it, such as `sh -c '…'`.
pub(crate) fn only_a_shell_does(command: &str, name: &str) -> Option<Fault> {
    const THROUGH_A_SHELL: &str = "no shell is run: write command = sh -c '…' if one is meant";
    const REDIRECTED: &str = "write stdout_logfile = PATH (redirect_stderr = true for both), or command = sh -c '…'";
    let assigned = name.bytes().position(|byte| byte == b'=').and_then(|end| name.get(..end));
    if let Some(variable) = assigned.filter(|variable| is_variable(variable)) {
        return Some(Fault::new(
            format!("{variable}=… before the program is a shell's: it would be taken for the program"),
            format!("write environment = {variable}=\"…\""),
        ));
    }
    if name == "cd" {
        return Some(Fault::new("cd is a shell's: there is no such program", "write directory = PATH"));
    }
    if !command.bytes().any(|byte| matches!(byte, b'&' | b'|' | b';' | b'<' | b'>' | b'~' | b'$')) {
        return None;
    }
    let bare = unquoted(command);
    for word in bare.split_whitespace() {
        let argument = || format!("{word} is a shell's: the program gets it as an argument");
        if ["&&", "||", "|", ";", "&", "<"].contains(&word) {
            return Some(Fault::new(argument(), THROUGH_A_SHELL));
        }
        if [">", "1>", "2>", "&>"].iter().any(|mark| word.starts_with(mark)) {
            return Some(Fault::new(argument(), REDIRECTED));
        }
        if word == "~" || word.starts_with("~/") {
            return Some(Fault::new("~ is a shell's: it is not replaced", "write the path of the home directory"));
        }
    }
    let mut dollars = bare.split('$').skip(1).map(|rest| rest.strip_prefix('{').unwrap_or(rest));
    let variable = dollars.find_map(|rest| {
        let name = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()?;
        is_variable(name).then(|| name.to_owned())
    })?;
    Some(Fault::new(format!("${variable} is a shell's: it is not replaced"), THROUGH_A_SHELL))
}

fn is_variable(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The command with a letter in the place of each quotation and of each character behind a backslash.
fn unquoted(command: &str) -> String {
    let mut bare = String::with_capacity(command.len());
    let mut rest = command.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => {
                rest.next();
                bare.push('x');
            }
            '\'' => {
                rest.by_ref().find(|c| *c == '\'');
                bare.push('x');
            }
            '"' => {
                while let Some(inner) = rest.next().filter(|inner| *inner != '"') {
                    if inner == '\\' {
                        rest.next();
                    }
                }
                bare.push('x');
            }
            _ => bare.push(c),
        }
    }
    bare
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::split_command;

    fn said(command: &str) -> Option<String> {
        let words = split_command(command).expect("words");
        only_a_shell_does(command, words.first()?).map(|fault| fault.message)
    }

    #[test]
    fn what_a_shell_does_is_named() {
        for (command, message) in [
            ("FOO=bar run", "FOO=… before the program is a shell's: it would be taken for the program"),
            ("cd /x && run", "cd is a shell's: there is no such program"),
            ("run && other", "&& is a shell's: the program gets it as an argument"),
            ("run a | b", "| is a shell's: the program gets it as an argument"),
            ("run > /tmp/x", "> is a shell's: the program gets it as an argument"),
            ("run 2>&1", "2>&1 is a shell's: the program gets it as an argument"),
            ("run ~/x", "~ is a shell's: it is not replaced"),
            ("run $HOME", "$HOME is a shell's: it is not replaced"),
            ("run --x=${A_B}/c", "$A_B is a shell's: it is not replaced"),
        ] {
            assert_eq!(said(command).as_deref(), Some(message), "{command}");
        }
    }

    #[test]
    fn what_is_quoted_or_no_shell_s_is_not() {
        for command in [
            "sh -c 'cd /x && FOO=1 run > y | z; echo $HOME ~'",
            "bash -c \"run \\\"$A\\\" | cat\"",
            "run a=b --x=~y \\$HOME 5>4 a>b $1 $",
            "run '>' \"|\"",
        ] {
            assert_eq!(said(command), None, "{command}");
        }
    }
}
