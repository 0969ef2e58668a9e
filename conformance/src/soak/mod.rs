//! Soak: a mixed load for as long as one likes, on several rings at once. Every byte is verified,
//! every submission must complete exactly once, and what the process holds must stay flat.
//!
//! The load is a process of its own (`conformance soak-side`), so that it can be put under
//! `sysring run`, and so that a crash is a failure like any other.

mod data;
mod load;
mod moves;
mod round;
mod shared;
mod usage;
mod waits;

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, ValueEnum};

use crate::raw;
use crate::refuse::Refusal;

/// Options of `conformance soak`.
#[derive(Args, Debug)]
pub struct Options {
    /// How long the load goes on.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(5..))]
    seconds: u64,
    /// What the load is made of; a failure prints it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Who serves it.
    #[arg(long, value_enum, default_value = "run")]
    backend: Which,
    /// End with one line of JSON.
    #[arg(long)]
    json: bool,
    /// The `sysring` program.
    #[arg(long, value_name = "PROGRAM", default_value_os_t = crate::sysring_program())]
    sysring: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    /// The engine under `sysring run`, with io_uring refused.
    Run,
    /// The kernel: shows that the load is right.
    Kernel,
}

/// Options of `conformance soak-side`, which `soak` starts.
#[derive(Args, Debug)]
pub struct SideOptions {
    #[arg(long)]
    seconds: u64,
    #[arg(long)]
    seed: u64,
    #[arg(long)]
    json: bool,
    /// A folder in memory, for names and files.
    #[arg(long)]
    folder: PathBuf,
    /// A folder of a disk, for direct reads and writes.
    #[arg(long)]
    disk_folder: PathBuf,
}

/// Runs the load; whether all was right.
///
/// # Errors
/// It cannot be started.
pub fn soak(options: &Options) -> Result<bool, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut command = match options.backend {
        Which::Kernel if !raw::kernel_works() => {
            return Err("the kernel's io_uring does not work here".to_owned());
        }
        Which::Kernel => Command::new(program),
        Which::Run => {
            let mut command = Command::new(&options.sysring);
            command.args(["run", "--engine", "user", "--"]).arg(program);
            Refusal::Eperm.on(&mut command);
            command
        }
    };
    let id = std::process::id();
    let shared = Path::new("/dev/shm");
    let fast = if shared.is_dir() { shared.to_path_buf() } else { std::env::temp_dir() };
    let folders = [
        fast.join(format!("sysring-soak-{id}")),
        crate::target_folder().join(format!("soak-{id}")),
    ];
    for folder in &folders {
        std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    command.args(["soak-side", "--seconds", &options.seconds.to_string()]);
    command.args(["--seed", &options.seed.to_string(), "--folder"]).arg(&folders[0]);
    command.arg("--disk-folder").arg(&folders[1]);
    if options.json {
        command.arg("--json");
    }
    let ended = command.status().map_err(|e| format!("{}: {e}", options.sysring.display()));
    for folder in &folders {
        // What is left behind is only untidy.
        let _ = std::fs::remove_dir_all(folder);
    }
    let ended = ended?;
    match ended.code() {
        Some(0) => Ok(true),
        // It has said what was wrong.
        Some(1) => Ok(false),
        _ => {
            println!("the load ended with {ended}, seed {}", options.seed);
            println!("0 passed, 1 failed, 0 skipped");
            Ok(false)
        }
    }
}

pub use load::side;
