//! The binary `renkei`.

use std::process::ExitCode;

fn main() -> ExitCode {
    renkei::cli::main()
}
