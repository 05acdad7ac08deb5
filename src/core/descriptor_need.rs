//! How many file descriptors a configuration needs, said before the first program is missing one.

use crate::models::{DefaultOutput, ProgramConfig, Stdin};
use crate::sys;
use crate::util::plural::{choose, counted};

/// For the daemon itself: its loops, signals, log, control socket and a few clients, and the pipes of a start that is
/// under way.
const OWN_FDS: u64 = 32;

/// What one program holds while it runs: a pipe for each stream that is captured and for its input, and the files of
/// its output.
fn of_program(program: &ProgramConfig, default_output: DefaultOutput) -> u64 {
    let console = default_output == DefaultOutput::Console;
    let stderr_apart = !program.redirect_stderr;
    let held = [
        console || program.captures_stdout(),
        stderr_apart && (console || program.captures_stderr()),
        program.stdin == Stdin::Pipe,
        program.stdout_logfile.is_some(),
        stderr_apart && program.stderr_logfile.is_some(),
    ];
    held.into_iter().map(u64::from).sum()
}

/// How many programs there are, and how many descriptors they need.
fn need<'a>(programs: impl Iterator<Item = &'a ProgramConfig>, default_output: DefaultOutput) -> (usize, u64) {
    let (mut count, mut needed) = (0, OWN_FDS);
    let mut sockets = Vec::new();
    for program in programs {
        count += 1;
        needed += of_program(program, default_output);
        // All processes with one address share its socket.
        if let Some(address) = &program.fcgi.address
            && !sockets.contains(&address)
        {
            sockets.push(address);
            needed += 1;
        }
    }
    (count, needed)
}

/// What is to be said where the limit of this process is too low; `None`: it is high enough, or unknown.
pub(super) fn warning<'a>(
    programs: impl Iterator<Item = &'a ProgramConfig>,
    default_output: DefaultOutput,
) -> Option<String> {
    let limit = sys::limits::nofile().ok()?.soft;
    let (count, needed) = need(programs, default_output);
    (needed > limit).then(|| {
        format!(
            "{} {} about {needed} file descriptors, and the limit is {limit}: some will wait in BACKOFF; \
             raise it (`ulimit -n`, `LimitNOFILE=`), or capture less (`redirect_stderr = true`, `log_buffer = 0`)",
            counted(count, "program"),
            choose(count, "needs", "need"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{FcgiAddress, FcgiSocket};

    #[test]
    fn each_captured_stream_and_each_file_counts() {
        let plain = ProgramConfig::new("p", "sleep 1");
        let none = ProgramConfig { log_buffer: 0, ..plain.clone() };
        let joined = ProgramConfig { redirect_stderr: true, ..plain.clone() };
        let filed = ProgramConfig { stdout_logfile: Some("/var/log/p".into()), ..plain.clone() };
        for (program, silent, console) in [(&plain, 2, 2), (&none, 0, 2), (&joined, 1, 1), (&filed, 3, 3)] {
            assert_eq!(of_program(program, DefaultOutput::None), silent, "{program:?}");
            assert_eq!(of_program(program, DefaultOutput::Console), console, "{program:?}");
        }
        let limit = sys::limits::nofile().expect("known").soft;
        // Two that are below the limit without their socket, and above it with one, which they share.
        let address = FcgiAddress::Tcp { host: "localhost".into(), port: 9000 };
        let mut fcgi = none.clone();
        let socket: &FcgiSocket = &none.fcgi;
        fcgi.fcgi = FcgiSocket { address: Some(address), ..socket.clone() }.into();
        for (program, needed) in [(&none, OWN_FDS), (&fcgi, OWN_FDS + 1)] {
            assert_eq!(need([program, program].into_iter(), DefaultOutput::None), (2, needed));
        }
        let many = |count: u64| std::iter::repeat_n(&plain, usize::try_from(count).expect("not that many"));
        assert_eq!(warning(many(2), DefaultOutput::None), None);
        let said = warning(many(limit.min(1 << 20)), DefaultOutput::None);
        assert_eq!(said.is_some(), limit <= 1 << 20, "{limit}: {said:?}");
    }
}
