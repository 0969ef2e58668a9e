//! `sysring`: runs unmodified io_uring programs where io_uring is refused, and says what a
//! machine allows.

/// A line on standard error. Where that is closed there is nobody left to tell: no reason to end
/// otherwise than the program that was run.
macro_rules! tell {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($line)*);
    }};
}

mod arguments;
mod demo;
mod doctor;
mod du;
mod exec;
mod files;
mod isolated;
mod kernel;
mod ls;
mod refuse;
mod run;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Subcommand};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    match arguments.subcommand {
        Subcommand::Run(run) => run::main(&run),
        Subcommand::Doctor(doctor) => doctor::main(&doctor),
        Subcommand::Demo(demo) => demo::main(&demo),
        Subcommand::Du(du) => du::main(&du),
        Subcommand::Ls(ls) => ls::main(&ls),
        Subcommand::Refuse(refuse) => refuse::main(&refuse),
        Subcommand::DemoClient(client) => demo::client::main(&client),
    }
}

/// Prints a usage error, or the help that was asked for. What `run` starts may exit with any
/// small number, so its own errors have the one that `env` uses.
fn usage(error: &clap::Error) -> ExitCode {
    let launches = std::env::args_os().nth(1).is_some_and(|name| name == "run" || name == "refuse");
    // Where standard error is closed there is nobody left to tell.
    let _ = error.print();
    match (error.use_stderr(), launches) {
        (false, _) => ExitCode::SUCCESS,
        (true, true) => ExitCode::from(exec::FAILED),
        (true, false) => ExitCode::from(2),
    }
}
