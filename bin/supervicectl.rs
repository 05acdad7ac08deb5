//! The command line. All there is to it is in [`supervice::ctl`].

fn main() -> std::process::ExitCode {
    supervice::ctl::main(std::env::args_os())
}
