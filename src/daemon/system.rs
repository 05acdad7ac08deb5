//! `--system-init`: the daemon as the init of a machine; and what a program may ask for where it is that of a container.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;

use super::args::Args;
use super::{FAILURE, InitOf, defaults, fail, load, run};
use crate::config::Loaded;
use crate::init::system::{self, MOUNTS};
use crate::sys::machine::{self, Power};
use crate::util::errno;

/// What signals and clients want of the machine in the end.
pub(super) type PowerRequest = Rc<Cell<Option<Power>>>;

/// Prepares the machine, runs, and turns it off. Returns only where this is not the kernel's init.
pub(super) fn start(mut args: Box<Args>) -> u8 {
    let mounts = args.mounts.clone().unwrap_or_else(|| MOUNTS.to_owned());
    let machine = match system::prepare(&mounts) {
        Ok(machine) => machine,
        Err(message) => return fail(FAILURE, &message),
    };
    // Only now: a configuration may name what has just been mounted.
    let (mut loaded, path) = match load(&args) {
        Ok(loaded) => loaded,
        Err(message) => {
            system::log_line(&format!("{message}\nNothing is run. Ctrl-Alt-Del starts the machine anew."));
            machine.wait();
        }
    };
    args.foreground = true;
    defaults::do_without(&mut loaded, &mut args);
    let wanted = PowerRequest::default();
    let code = run(loaded, &path, args, None, Some((Rc::clone(&wanted), InitOf::Machine)));
    match wanted.get() {
        Some(power) => machine.finish(power),
        // The programs have decided (exit_on, exit_when_idle).
        None if code == 0 => machine.finish(Power::Off),
        None => {
            system::log_line(&format!("supervice has ended with code {code}. Ctrl-Alt-Del starts the machine anew."));
            machine.wait()
        }
    }
}

/// Runs, and has the kernel end the container as whoever has started it expects: as a machine that was turned off or
/// that is to begin anew. Where the kernel does not let us, the exit code tells.
pub(super) fn run_in_container(loaded: Box<Loaded>, path: &Path, args: Box<Args>) -> u8 {
    let wanted = PowerRequest::default();
    let code = run(loaded, path, args, None, Some((Rc::clone(&wanted), InitOf::Container)));
    let Some(power) = wanted.get() else { return code };
    let error = machine::power(power);
    let reason = errno::reason(&error);
    fail(FAILURE, &format!("the container can't be told to {}: {reason}; ends with code {FAILURE}", power.command()))
}
