//! The daemon. All there is to it is in [`supervice::supervice_main`].

use std::process::ExitCode;

use supervice::DaemonHeap;

#[global_allocator]
static HEAP: DaemonHeap = DaemonHeap;

#[cfg(not(feature = "multicall"))]
fn main() -> ExitCode {
    supervice::supervice_main(std::env::args_os())
}

/// Called by a link `supervicectl` it is the command line.
#[cfg(feature = "multicall")]
fn main() -> ExitCode {
    let called = std::env::args_os().next();
    let name = called.as_deref().and_then(|path| std::path::Path::new(path).file_name());
    match name.is_some_and(|name| name == "supervicectl") {
        true => supervice::supervicectl_main(std::env::args_os()),
        false => supervice::supervice_main(std::env::args_os()),
    }
}
