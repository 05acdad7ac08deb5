//! The daemon. All there is to it is in [`supervice::daemon`].

use std::process::ExitCode;

#[cfg(not(feature = "multicall"))]
fn main() -> ExitCode {
    supervice::daemon::main(std::env::args_os())
}

/// Called by a link `supervicectl` it is the command line.
#[cfg(feature = "multicall")]
fn main() -> ExitCode {
    let called = std::env::args_os().next();
    let name = called.as_deref().and_then(|path| std::path::Path::new(path).file_name());
    match name.is_some_and(|name| name == "supervicectl") {
        true => supervice::ctl::main(std::env::args_os()),
        false => supervice::daemon::main(std::env::args_os()),
    }
}
