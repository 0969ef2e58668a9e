//! Differential testing: random programs, run on the kernel and on the engine, must not differ.
//!
//! Each side is a process of its own (`conformance side`), so that a crash is a difference like
//! any other; this process asks both for the same seeds and compares what they write down.

mod children;
mod claims;
mod conflict;
#[cfg(test)]
mod coverage;
mod execute;
pub(crate) mod generate;
mod lane;
mod layout;
mod pair;
mod program;
mod report;
mod side;
mod together;
mod work;
mod world;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

pub(crate) use pair::{Answer, Side, folders, is_loss};
pub use side::{SideOptions, side};
pub use work::diff;

/// Options of `conformance diff`.
#[derive(Args, Debug)]
pub struct Options {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seeds that were never tried, from the time, in place of `--seed`: says which.
    #[arg(long, conflicts_with_all = ["seed", "one"])]
    fresh: bool,
    /// How many programs, one seed each.
    #[arg(long, default_value_t = 1000)]
    programs: u64,
    /// What is compared with the kernel.
    #[arg(long, value_enum, default_value = "engine")]
    backend: Which,
    /// Only the program of this seed, with a trace of both sides.
    #[arg(long)]
    one: bool,
    /// Parts of the program to leave out, as shrinking prints them.
    #[arg(long, value_delimiter = ',')]
    drop: Vec<usize>,
    /// Programs that run at once in a process, with a thread and a ring each.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=8))]
    threads: u16,
    /// Pairs of processes at work. They wait more than they work.
    #[arg(long, default_value_t = 8)]
    jobs: usize,
    /// Stop after this many differences.
    #[arg(long, default_value_t = 10)]
    most: u64,
    /// The `sysring` program, for `--backend run`.
    #[arg(long, value_name = "PROGRAM", default_value_os_t = crate::sysring_program())]
    sysring: PathBuf,
}

/// Who serves the programs of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// The kernel again: shows that the programs are free of races.
    Kernel,
    /// The engine, called in the process.
    Engine,
    /// The engine, reached by `sysring run`.
    Run,
}
