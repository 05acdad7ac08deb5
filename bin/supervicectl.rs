//! The command line. All there is to it is in [`supervice::supervicectl_main`].

fn main() -> std::process::ExitCode {
    supervice::supervicectl_main(std::env::args_os())
}
