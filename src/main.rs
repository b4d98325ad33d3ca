//! The command line: see `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    incident_commander::cli::main()
}
