//! `--system-init`: the daemon as the init of a machine.

use std::cell::Cell;
use std::rc::Rc;

use super::args::Args;
use super::{FAILURE, fail, load, run};
use crate::init::system::{self, MOUNTS};
use crate::sys::machine::Power;

/// What signals and clients want of the machine in the end.
pub(super) type Wanted = Rc<Cell<Option<Power>>>;

/// Prepares the machine, runs, and turns it off. Returns only where this is not the kernel's init.
pub(super) fn start(args: Args) -> u8 {
    let mounts = args.mounts.clone().unwrap_or_else(|| MOUNTS.to_owned());
    let machine = match system::prepare(&mounts) {
        Ok(machine) => machine,
        Err(message) => return fail(FAILURE, &message),
    };
    // Only now: a configuration may name what has just been mounted.
    let (loaded, path) = match load(&args) {
        Ok(loaded) => loaded,
        Err(message) => {
            system::say(&format!("{message}\nNothing is run. Ctrl-Alt-Del starts the machine anew."));
            machine.wait();
        }
    };
    let wanted = Wanted::default();
    let code = run(loaded, &path, args, None, Some(Rc::clone(&wanted)));
    match wanted.get() {
        Some(power) => machine.finish(power),
        // The programs have decided (exit_on, exit_when_idle).
        None if code == 0 => machine.finish(Power::Off),
        None => {
            system::say(&format!("supervice has ended with code {code}. Ctrl-Alt-Del starts the machine anew."));
            machine.wait()
        }
    }
}
