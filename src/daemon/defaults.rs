//! Files of the daemon that nothing names: where they can't be written, it does without them. A container whose root is
//! read-only must not need a key to start.

use std::io::{self, Write};

use super::args::Args;
use crate::config::{self, Loaded};

/// Drops the default pid file and log that can't be written, says so, and keeps to it over reloads.
pub(super) fn do_without(loaded: &mut Loaded, args: &mut Args) {
    let config = &loaded.config;
    let unwritable = |given: bool, path: &Option<String>| {
        let path = path.as_deref().filter(|_| !given)?;
        Some((path.to_owned(), config::unwritable(path)?))
    };
    if let Some((path, reason)) = unwritable(loaded.pidfile_given, &config.pidfile) {
        warn(&format!("no pid file {path} (the default): {reason}; write pidfile = none, or another path"));
        args.no_pidfile = true;
    }
    let in_foreground = args.foreground || args.kept_in_foreground || config.nodaemon;
    let writes_log = !in_foreground || config.silent;
    if let Some((path, reason)) = unwritable(loaded.logfile_given || !writes_log, &config.logfile) {
        warn(&format!("no log {path} (the default): {reason}; write logfile = none, or another path"));
        args.logfile = Some("none".to_owned());
    }
    args.adjust(&mut loaded.config);
}

fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "supervice: warning: {text}");
}
