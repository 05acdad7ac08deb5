//! The daemon. All there is to it is in [`supervice::daemon`].

fn main() -> std::process::ExitCode {
    supervice::daemon::main(std::env::args_os())
}
