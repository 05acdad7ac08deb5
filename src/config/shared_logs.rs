//! One log file of several: their lines are mixed, and nothing tells whose they are.

use std::collections::{HashMap, HashSet};
use std::fs;

use super::dependencies::Origin;
use super::diagnostic::{Fault, Report};
use super::expand::Scope;
use super::fields::Fields;
use crate::models::{ProgramConfig, SupervisorConfig};

/// Who writes to a file.
#[derive(Clone, Copy)]
enum Writer<'p> {
    Daemon,
    Program { program: &'p ProgramConfig, section: &'p str, key: &'static str },
}

/// Warns of each section that names a file which something else is written to already. Devices and FIFOs are meant for
/// many.
pub(super) fn check<'p>(
    config: &'p SupervisorConfig,
    origins: &'p [Origin<'p>],
    scope: Scope<'_>,
    report: &mut Report,
) {
    let mut writers: HashMap<&str, Writer<'p>> = HashMap::new();
    writers.extend(config.logfile.as_deref().map(|path| (path, Writer::Daemon)));
    let mut told = HashSet::new();
    for (program, origin) in config.programs.iter().zip(origins) {
        for (key, path) in logs(program) {
            let own = Writer::Program { program, section: origin.view.name, key };
            let first = *writers.entry(path).or_insert(own);
            // Of the instances of a section one is told.
            if told.contains(&(origin.view.name, key)) {
                continue;
            }
            let mut fields = Fields { view: origin.view, scope, report };
            // The file itself is looked at last: mostly it has one writer.
            if let Some(fault) = fault(first, program, origin.view.name, key)
                && is_plain_file(path)
                && let Some(entry) = fields.entry(key)
            {
                fields.warn(&entry, fault);
                told.insert((origin.view.name, key));
            }
        }
    }
}

/// The log files of a program, with their keys.
fn logs(program: &ProgramConfig) -> impl Iterator<Item = (&'static str, &str)> {
    let stderr = program.stderr_logfile.as_deref().filter(|_| !program.redirect_stderr);
    let stdout = program.stdout_logfile.as_deref().map(|path| ("stdout_logfile", path));
    stdout.into_iter().chain(stderr.map(|path| ("stderr_logfile", path)))
}

/// What is wrong with a file that `first` writes to, too; `None`: it is the one that writes now.
fn fault(first: Writer<'_>, program: &ProgramConfig, section: &str, key: &str) -> Option<Fault> {
    Some(match first {
        Writer::Daemon => Fault::new("the daemon writes its own log to it", "write another file"),
        Writer::Program { program: first, key: other, .. } if std::ptr::eq(first, program) && other == key => {
            return None;
        }
        Writer::Program { program: first, key: other, .. } if std::ptr::eq(first, program) => Fault::new(
            format!("it is the {other} as well: the order of the lines is lost"),
            "write redirect_stderr = true in its place",
        ),
        Writer::Program { section: other, .. } if other == section => Fault::new(
            "all of its instances write to it: nothing tells whose a line is",
            "write %(process_num)s into the name",
        ),
        Writer::Program { program: first, key: other, .. } => Fault::new(
            format!("{} writes to it as well ({other}): nothing tells whose a line is", first.name),
            "write a file for each",
        ),
    })
}

fn is_plain_file(path: &str) -> bool {
    let is_of_others = path == "syslog" || ["/dev/", "/proc/"].iter().any(|prefix| path.starts_with(prefix));
    !is_of_others && fs::metadata(path).map_or(true, |found| found.is_file())
}
