//! `conformance`: what proves that the engine answers as the kernel does.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};
use sysring_conformance::refuse::{self, Refusal};
use sysring_conformance::{diff, suite};

#[derive(Parser)]
#[command(about, version)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run liburing's own test suite and compare with the expected results.
    Suite(suite::Options),
    /// Run random programs on the kernel and on the engine, and compare.
    Diff(diff::Options),
    /// One side of that; started by `diff`.
    #[command(hide = true)]
    Side(diff::SideOptions),
    /// Run a program on a machine that refuses io_uring.
    Refuse {
        /// How it is refused.
        #[arg(long, value_enum, default_value = "eperm")]
        errno: Refusal,
        /// The program and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
}

fn main() -> ExitCode {
    let answer = match Cli::parse().task {
        Task::Suite(options) => suite::suite(&options),
        Task::Diff(options) => diff::diff(&options),
        Task::Side(options) => diff::side(&options),
        Task::Refuse { errno, command } => Err(exec_refused(errno, &command)),
    };
    match answer {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("conformance: {problem}");
            ExitCode::from(2)
        }
    }
}

/// Becomes the program; what comes back is why it could not.
fn exec_refused(refusal: Refusal, command: &[String]) -> String {
    let mut program = Command::new(&command[0]);
    let problem = refuse::refuse(program.args(&command[1..]), refusal).exec();
    format!("{}: {problem}", command[0])
}
