//! The `forebay` binary: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    forebay::cli::main()
}
