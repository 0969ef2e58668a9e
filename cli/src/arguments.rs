//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};

#[derive(Parser)]
#[command(
    name = "sysring",
    version,
    about = "Runs unmodified io_uring programs where io_uring is refused",
    after_help = "\
Examples:
  sysring run -- fio --name=read --ioengine=io_uring --rw=randread --size=64M
  sysring doctor
  sysring demo
  sysring du -sh ~"
)]
pub struct Arguments {
    #[command(subcommand)]
    pub subcommand: Subcommand,
}

#[derive(clap::Subcommand)]
pub enum Subcommand {
    Run(Run),
    Doctor(Doctor),
    Demo(Demo),
    Du(crate::du::Du),
    Ls(crate::ls::Ls),
    Refuse(Refuse),
    DemoClient(DemoClient),
}

/// Run a program with io_uring: the kernel's where it works, sysring's engine where not
///
/// The program and its children run unmodified. With the engine, their io_uring system calls are
/// served inside the process by plain system calls; no_new_privs is set, so set-uid programs
/// among the children do not gain privileges. What cannot be served (a 32-bit program; anything, where
/// the sandbox forbids seccomp filters) runs as it would without sysring, which is said once.
#[derive(Args)]
#[command(after_help = "\
Examples:
  sysring run -- fio --name=read --ioengine=io_uring --rw=randread --size=64M
  sysring run --stats -- ./server --port 8080
  sysring run --engine user -- sh -c 'make test'

Exit status:
  125  sysring itself failed
  126  the program was found but could not be executed
  127  the program was not found
  otherwise that of the program; when a signal ended it, the same signal ends sysring")]
pub struct Run {
    /// Which io_uring the program gets
    #[arg(long, value_enum, default_value_t = Engine::Auto)]
    pub engine: Engine,

    /// When the program has ended, say on standard error which engine served and what it did
    #[arg(long, value_enum, value_name = "FORMAT", num_args = 0..=1, require_equals = true,
          default_missing_value = "text")]
    pub stats: Option<StatsFormat>,

    /// Say on standard error which engine is used, and why, before the program starts
    #[arg(long, short)]
    pub verbose: bool,

    /// Leave the program's code alone: every io_uring_enter takes the way over a signal
    ///
    /// Else the instruction before a system call that was trapped often becomes a jump to the
    /// engine, in this process's copy of the code, which saves a microsecond each time.
    #[arg(long)]
    pub no_shortcuts: bool,

    /// The program and its arguments
    #[arg(trailing_var_arg = true, required = true, value_name = "PROGRAM")]
    pub command: Vec<OsString>,
}

/// What std says of a wrong number is for programmers.
fn positive(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|&number| number > 0);
    number.ok_or_else(|| format!("a number from 1 to {} is needed", u32::MAX))
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Engine {
    /// The kernel's where it works, sysring's where not
    Auto,
    /// The kernel's, or an error that says why it is refused
    Kernel,
    /// sysring's, in userspace, even where the kernel's works
    User,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum StatsFormat {
    /// For people
    Text,
    /// One line of JSON
    Json,
}

/// Say what this machine allows, what sysring would use, and what to change to get more
#[derive(Args)]
#[command(after_help = "\
Examples:
  sysring doctor
  sysring doctor --json | jq -r '.engine'       kernel, user or none
  sysring doctor --json | jq '.checks[] | select(.status == \"no\")'

Exit status:
  0  io_uring programs can run here, with the kernel's io_uring or with sysring's engine
  1  neither works here, which the output says why; or the output could not be written
  2  wrong usage")]
pub struct Doctor {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Show the main job: an io_uring program with the kernel, refused, and with sysring
///
/// A real io_uring program is run (a) on the kernel's io_uring, (b) under a filter that refuses
/// io_uring as Docker's default profile does, and (c) the same under `sysring run`. The program
/// is a bundled one that copies and checksums a tree, and fio where it is installed.
#[derive(Args)]
#[command(after_help = "\
Examples:
  sysring demo
  sysring demo --directory /var/tmp --files 500 --megabytes 50
  sysring demo --json

Exit status:
  0  the programs ran under `sysring run` and their output was right
  1  one of them did not, or the demo itself failed; the output says why
  2  wrong usage")]
pub struct Demo {
    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// Where the trees are made (a directory of its own is made there, and removed)
    #[arg(long, value_name = "DIR")]
    pub directory: Option<PathBuf>,

    /// How many files the tree has
    #[arg(long, default_value_t = 2000, value_parser = positive)]
    pub files: u32,

    /// How large the tree is
    #[arg(long, default_value_t = 200, value_parser = positive)]
    pub megabytes: u32,

    /// Only the bundled program, even where fio is installed
    #[arg(long)]
    pub no_fio: bool,
}

/// Run a program with some system calls refused, to try how it behaves there
///
/// A testing aid: a seccomp filter answers the given calls with an error, for the program and all
/// its children. By default it refuses io_uring as Docker's default profile does.
#[derive(Args)]
#[command(
    hide = true,
    after_help = "\
Examples:
  sysring refuse -- fio --name=read --ioengine=io_uring --rw=randread --size=64M
  sysring refuse --errno ENOSYS -- sysring run -- ./server
  sysring refuse --call openat2 --errno ENOSYS -- sysring doctor
  sysring refuse --profile docker -- sysring doctor
  sysring refuse --profile linux-5.4 -- sysring run --engine user -- ./server

Exit status: as of `sysring run`"
)]
pub struct Refuse {
    /// The error the calls answer: a name or a number
    #[arg(long, value_parser = crate::refuse::parse_errno, default_value = "EPERM")]
    pub errno: u16,

    /// A system call to refuse: a name or a number; may be given several times
    #[arg(long = "call", value_parser = crate::refuse::parse_call, value_name = "CALL",
          default_values = ["io_uring_setup", "io_uring_enter", "io_uring_register"])]
    pub calls: Vec<u32>,

    /// Instead of single calls, everything that this profile refuses
    #[arg(long, conflicts_with_all = ["errno", "calls"])]
    pub profile: Option<Profile>,

    /// The program and its arguments
    #[arg(trailing_var_arg = true, required = true, value_name = "PROGRAM")]
    pub command: Vec<OsString>,
}

/// A sandbox as others make it, or an older kernel
#[derive(Clone, Copy, ValueEnum)]
pub enum Profile {
    /// Docker's default profile, for a container without added capabilities
    Docker,
    /// The system calls of Linux 5.4, and none that came later
    #[value(name = "linux-5.4")]
    Linux5_4,
}

/// The bundled io_uring program of `sysring demo`: copy and checksum a tree through io_uring
#[derive(Args)]
#[command(hide = true)]
pub struct DemoClient {
    /// The tree to copy
    pub source: PathBuf,
    /// Where the copy goes; must not exist
    pub target: PathBuf,
}
