//! `conformance`: what proves that the engine answers as the kernel does.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sysring_conformance::{diff, faults, fields, soak, suite};

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
    /// Run random programs on an engine whose system calls fail at random.
    Faults(faults::Options),
    /// Give every field and every argument wrong values, on the kernel and on the engine.
    Fields(fields::Options),
    /// One side of that; started by `fields`.
    #[command(hide = true)]
    FieldsSide(fields::SideOptions),
    /// A mixed load for a while: every byte verified, and nothing may grow.
    Soak(soak::Options),
    /// The process under that load; started by `soak`.
    #[command(hide = true)]
    SoakSide(soak::SideOptions),
}

fn main() -> ExitCode {
    let answer = match Cli::parse().task {
        Task::Suite(options) => suite::suite(&options),
        Task::Diff(options) => diff::diff(&options),
        Task::Side(options) => diff::side(&options),
        Task::Faults(options) => faults::faults(&options),
        Task::Fields(options) => fields::fields(&options),
        Task::FieldsSide(options) => fields::side(&options),
        Task::Soak(options) => soak::soak(&options),
        Task::SoakSide(options) => soak::side(&options),
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
