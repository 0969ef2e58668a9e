//! What sysring costs, beside the kernel's io_uring and beside what programs fall back to.
//!
//! Every subcommand compares contenders that take turns in one run (see `compare`), and prints
//! ratios with their targets.

mod c;
mod calls;
mod client;
mod compare;
mod direct;
mod disk;
mod echo;
mod events;
mod fio;
mod machine;
mod meta;
mod pool;
mod process;
mod report;
mod ring;
mod scratch;
mod syslet;
mod sysring;
mod uv;
mod walk;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand};

use disk::Disk;
use machine::Machine;
use report::{Report, Row};

/// Whatever went wrong, in words for the person who ran the benchmark.
pub type Error = Box<dyn std::error::Error>;

/// Compare sysring with the kernel's io_uring, contenders taking turns in one run.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    work: Work,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Clone, Copy, PartialEq, Eq, Subcommand)]
enum Work {
    /// Everything below.
    All,
    /// fio, 4 KiB random reads from the page cache.
    FioCached,
    /// fio, 4 KiB random reads past the page cache.
    FioDirect,
    /// fio, 128 KiB sequential writes with fsync, buffered and O_DIRECT.
    FioWrite,
    /// fio over native calls, by sysring's engine for it, beside psync, libaio and io_uring.
    FioNative,
    /// A TCP echo server of one thread, 1 and 64 connections.
    Echo,
    /// NOPs at depth 64, the engine called directly.
    Nop,
    /// Cached 4 KiB reads at depths 1, 16 and 64, the engine called directly.
    Read,
    /// Cached 4 KiB reads against a pool of four threads, the engine called directly.
    Pool,
    /// Names that are made, renamed and removed at depths 1 and 32, in memory and on a disk, beside plain
    /// calls, the engine called directly; with the threads that it takes.
    Meta,
    /// Loops of NOPs and of cached reads through sysring's client, liburing and the io-uring crate:
    /// instructions (by valgrind) and time.
    Client,
    /// Events through the ring that processes may share, against a queue behind a mutex.
    Events,
    /// A native call that does not block, against the bare call.
    CallsInline,
    /// statx in batches of 512, cached, against the loop.
    CallsStatx,
    /// Open, fstat, read and close 100,000 files, cached and not, against the loop.
    CallsFiles,
    /// The time `sysring run` adds to /bin/true.
    Startup,
    /// The memory added to a process with one ring.
    Memory,
    /// The walk that Linus asked for: `sysring du` beside his program, and beside what is installed
    /// of du, find, bfs, fd, diskus, pdu, dust and dua, with hot and (as root) cold caches.
    Walk,
    /// System calls that do not block, in a scope of syslets.
    SysletInline,
    /// How soon the caller goes on after a call that blocks, in a scope.
    SysletBlock,
    /// The time it takes to begin and end a scope.
    SysletScope,
    /// Make a ring of so many entries (0: none), print the process id, wait for the end of input.
    #[command(hide = true)]
    HoldRing { entries: u32 },
}

/// How to measure.
#[derive(Args)]
pub struct Settings {
    /// Shorter runs, fewer rounds: a first look.
    #[arg(long, global = true)]
    quick: bool,
    /// Let the kernel compete with itself: shows the noise of this machine.
    #[arg(long, global = true)]
    noise: bool,
    /// Rounds of each comparison.
    #[arg(long, global = true, value_parser = rounds)]
    rounds: Option<usize>,
    /// Seconds of each run of fio or of the echo server.
    #[arg(long, global = true)]
    seconds: Option<u32>,
    /// Where to keep the files that are read and written [default: beside the build].
    #[arg(long, global = true)]
    dir: Option<PathBuf>,
    /// Keep them on a disk in memory whose reads take as long, such as 150us or 1ms: for machines whose
    /// own disk is cached by the host. Made for this run, which has to be root's.
    #[arg(long, global = true, value_parser = latency)]
    latency: Option<Duration>,
    #[arg(skip)]
    disk: Option<Disk>,
    /// The sysring binary [default: the one beside this program].
    #[arg(long, global = true)]
    sysring: Option<PathBuf>,
    /// Print JSON, every round included.
    #[arg(long, global = true)]
    json: bool,
    /// Also write the table, with the machine's description, as Markdown.
    #[arg(long, global = true, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

fn rounds(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err("a positive number is needed".to_owned()),
    }
}

fn latency(text: &str) -> Result<Duration, String> {
    let units = [("us", 1_000), ("ms", 1_000_000)];
    let found = units.iter().find_map(|(unit, ns)| Some((text.strip_suffix(unit)?, ns)));
    found
        .and_then(|(number, ns)| number.parse::<u32>().ok().map(|n| u64::from(n) * ns))
        .map(Duration::from_nanos)
        .ok_or_else(|| "a number of us or ms is needed".to_owned())
}

impl Settings {
    /// The directory of those files, made if need be.
    fn dir(&self) -> Result<PathBuf, Error> {
        match &self.disk {
            Some(disk) => Ok(disk.dir().to_owned()),
            None => self.own_dir(),
        }
    }

    /// The same, but not on the disk that is made for a run.
    fn own_dir(&self) -> Result<PathBuf, Error> {
        let dir = match &self.dir {
            Some(dir) => dir.clone(),
            None => sysring::sibling("bench-files")?,
        };
        std::fs::create_dir_all(&dir).map_err(|e| format!("cannot make {}: {e}", dir.display()))?;
        Ok(dir)
    }

    /// A file of `size` bytes to work on.
    fn file(&self, name: &str, size: u64) -> Result<PathBuf, Error> {
        scratch::file(&self.dir()?, name, size)
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(complete) if complete => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sysring-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what was asked for and prints it; false if something could not be measured.
fn run(mut cli: Cli) -> Result<bool, Error> {
    if let Work::HoldRing { entries } = cli.work {
        return process::hold_ring(entries).map(|()| true);
    }
    let settings = &mut cli.settings;
    // Before there are other threads.
    let disk = settings.latency.map(|latency| Disk::new(&settings.own_dir()?, latency)).transpose();
    settings.disk = disk.map_err(|e| format!("the disk of --latency: {e}"))?;
    let settings = &*settings;
    let machine = Machine::here(&settings.dir()?, settings.disk.as_ref());
    let mut report = Report { machine, rows: Vec::new() };
    if !settings.json {
        println!("{}", report.machine.sentence());
    }
    for (name, measure) in works(cli.work) {
        let before = settings.disk.as_ref().map(|disk| (disk, disk.account(), Instant::now()));
        let rows = measure(settings).map_err(|e| format!("{name}: {e}"))?;
        if let Some((disk, account, began)) = before {
            let done = disk.account() - account;
            eprintln!("{name}, all of it: {}", done.sentence(1, began.elapsed()));
        }
        if !settings.json {
            print!("{}", report::text(&rows));
        }
        report.rows.extend(rows);
    }
    if settings.json {
        println!("{}", report.json()?);
    }
    if let Some(path) = &settings.markdown {
        std::fs::write(path, report.markdown())
            .map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    }
    Ok(report.rows.iter().all(|row| row.figure.is_ok()))
}

type Measure = fn(&Settings) -> Result<Vec<Row>, Error>;

fn works(work: Work) -> Vec<(&'static str, Measure)> {
    let all: [(Work, &str, Measure); 20] = [
        (Work::FioCached, "fio-cached", fio::cached),
        (Work::FioDirect, "fio-direct", fio::direct),
        (Work::FioWrite, "fio-write", fio::write),
        (Work::FioNative, "fio-native", fio::native),
        (Work::Echo, "echo", echo::run),
        (Work::Nop, "nop", direct::nop),
        (Work::Read, "read", direct::read),
        (Work::Pool, "pool", direct::pool),
        (Work::Meta, "meta", meta::run),
        (Work::CallsInline, "calls-inline", calls::inline),
        (Work::CallsStatx, "calls-statx", calls::statx),
        (Work::CallsFiles, "calls-files", calls::files),
        (Work::Events, "events", events::run),
        (Work::Startup, "startup", process::startup),
        (Work::Memory, "memory", process::memory),
        (Work::Walk, "walk", walk::run),
        (Work::SysletInline, "syslet-inline", syslet::inline),
        (Work::SysletBlock, "syslet-block", syslet::block),
        (Work::SysletScope, "syslet-scope", syslet::begin_and_end),
        (Work::Client, "client", client::run),
    ];
    let asked = |this: Work| work == Work::All || work == this;
    all.into_iter()
        .filter(|(this, ..)| asked(*this))
        .map(|(_, name, measure)| (name, measure))
        .collect()
}
