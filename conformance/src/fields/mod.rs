//! Bad input: every field of every operation with every kind of wrong value, and the three calls
//! with every wrong argument, on the kernel and on the engine. What both answer must be equal.
//!
//! Each side is a process of its own (`conformance fields-side`) that prints a line for a case, so
//! that a crash shows as lines that are missing.

mod bases;
mod calls;
mod compare;
mod registers;
mod world;

use std::io::{BufWriter, Write};
use std::panic::resume_unwind;
use std::process::{Command, Stdio};
use std::thread;

use clap::{Args, ValueEnum};
use sysring_sys::abi::io_uring::{Params, Sqe, cancel, cqe_flags, op, sqe_flags, timeout};

use crate::closing::closing;
use crate::raw::{Backend, Engine, Kernel, Ring};
use bases::Base;
use compare::{Compared, Run, compare, split};
use world::World;

/// Options of `conformance fields`.
#[derive(Args, Debug)]
pub struct Options {
    /// Only operations and calls whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
}

/// Options of `conformance fields-side`, which `fields` starts.
#[derive(Args, Debug)]
pub struct SideOptions {
    #[arg(long, value_enum)]
    backend: Which,
    #[arg(long, default_value = "")]
    only: String,
    /// Of the operations only this case.
    #[arg(long)]
    case: Option<String>,
    /// How many times longer than usual it waits for what may never come.
    #[arg(long, default_value_t = 1)]
    patience: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    Kernel,
    Engine,
}

/// A side is done within this many seconds, on the slowest machine, or hangs.
const LIMIT: &str = "600";

/// Runs both sides; whether they agreed.
///
/// # Errors
/// A side could not be started.
pub fn fields(options: &Options) -> Result<bool, String> {
    if !crate::raw::kernel_works() {
        println!(
            "skipped: the kernel's io_uring does not work here, and there is nothing to compare with"
        );
        println!("0 passed, 0 failed, 1 skipped");
        return Ok(true);
    }
    let [kernel, engine] = both(&["--only", &options.only])?;
    let mut once = 0;
    let mut seldom = |case: &str| {
        let never = once < SELDOM && never_again(case)?;
        once += usize::from(never);
        Ok(never)
    };
    let Compared { passed, failed, later } = compare(&kernel, &engine, &mut seldom)?;
    println!("{}", closing(passed as u64, failed as u64, 0, &later));
    Ok(failed == 0)
}

/// How often a case that differs is run again, and how much more patiently, and how many may differ
/// once and not again: an answer may depend on whether a thread was in time.
const AGAIN: usize = 5;
const PATIENCE: &str = "25";
const SELDOM: usize = 8;

/// Whether a case that has differed does so never again.
fn never_again(case: &str) -> Result<bool, String> {
    let only = case.split(' ').next().unwrap_or_default();
    let arguments = ["--only", only, "--case", case, "--patience", PATIENCE];
    for _ in 0..AGAIN {
        let sides = both(&arguments)?;
        let [kernel, engine] =
            sides.each_ref().map(|side| side.lines.iter().find(|line| split(line).0 == case));
        let well = sides.iter().all(|side| side.broke_off.is_none());
        if !well || kernel.is_none() || kernel != engine {
            println!("again: kernel {kernel:?}, engine {engine:?}");
            return Ok(false);
        }
    }
    Ok(true)
}

/// Runs both sides at once: they wait more than they work.
fn both(arguments: &[&str]) -> Result<[Run; 2], String> {
    thread::scope(|scope| {
        let kernel = scope.spawn(|| run(Which::Kernel, arguments));
        let engine = run(Which::Engine, arguments);
        let kernel = kernel.join().unwrap_or_else(|panic| resume_unwind(panic));
        Ok([kernel?, engine?])
    })
}

fn run(which: Which, arguments: &[&str]) -> Result<Run, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let backend = if which == Which::Kernel { "kernel" } else { "engine" };
    let ended = Command::new("timeout")
        .args(["--kill-after=2", LIMIT])
        .arg(program)
        .args(["fields-side", "--backend", backend])
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("timeout(1): {e}"))?;
    let lines = String::from_utf8_lossy(&ended.stdout).lines().map(str::to_owned).collect();
    let broke_off = (!ended.status.success()).then(|| ended.status.to_string());
    Ok(Run { lines, broke_off })
}

/// One side: a line for each case.
///
/// # Errors
/// Standard output is gone.
pub fn side(options: &SideOptions) -> Result<bool, String> {
    let engine;
    let backend: &dyn Backend = match options.backend {
        Which::Engine => {
            engine = Engine::new();
            &engine
        }
        Which::Kernel => &Kernel,
    };
    // SAFETY: takes numbers only.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    let world = World::new().map_err(|e| format!("cannot make the files: {e}"))?;
    let mut output = BufWriter::new(std::io::stdout());
    let mut say = |case: &str, answer: String| {
        // A line at a time, so that the case in which this process dies can be told.
        let _ = writeln!(output, "{case}: {answer}");
        let _ = output.flush();
    };
    let trials = Trials {
        backend,
        world: &world,
        case: options.case.as_deref(),
        waits: options.patience * WAITS,
    };
    for base in bases::all() {
        if base.name.contains(&options.only) {
            trials.of_operation(&base, &mut say);
        }
    }
    calls::all(backend, &options.only, &mut say);
    Ok(true)
}

/// How long a request that says nothing is believed to wait, in nanoseconds.
const WAITS: u64 = 20_000_000;
const SWEEP: u64 = 0xca11;

/// Where requests are tried.
struct Trials<'a> {
    backend: &'a dyn Backend,
    world: &'a World,
    /// The only one that is.
    case: Option<&'a str>,
    waits: u64,
}

impl Trials<'_> {
    /// Every field of one operation, one at a time.
    fn of_operation(&self, base: &Base, say: &mut dyn FnMut(&str, String)) {
        let mut one = |case: String, sqe: Sqe| {
            if self.case.is_none_or(|only| only == case) {
                say(&case, self.answer(base, sqe));
            }
        };
        let name = base.name;
        one(format!("{name} as it should be"), base.sqe(self.world));
        for (field, values) in fields_of(self.world) {
            for value in values {
                let mut sqe = base.sqe(self.world);
                set(&mut sqe, field, value);
                if !base.is_excluded(field, value) {
                    one(format!("{name} {field}={value:#x}"), sqe);
                }
            }
        }
    }

    /// Submits one request in a world of its own and tells all that came of it.
    fn answer(&self, base: &Base, sqe: Sqe) -> String {
        let (world, waits) = (self.world, self.waits);
        world.renew();
        let mut ring = match Ring::new(self.backend, 8, Params::default()) {
            Ok(ring) => ring,
            Err(errno) => return format!("no ring {errno}"),
        };
        world.register(&ring);
        ring.push(Sqe { user_data: 1, ..sqe }, None);
        ring.publish();
        let submitted = ring.enter(1, 0, 0);
        // Otherwise long enough for the slowest disk: what should not wait must not be called waiting.
        let _ = ring.wait(1, if base.may_wait { waits } else { 100 * waits });
        let mut told = vec![format!("submit {submitted}")];
        if !self.take_all(&mut ring, &sqe, &mut told) {
            if ring.unconsumed() == 0 {
                told.push("waits".to_owned());
            }
            let cancel = Sqe {
                opcode: op::ASYNC_CANCEL,
                op_flags: cancel::ANY,
                user_data: SWEEP,
                ..Sqe::default()
            };
            ring.take_back();
            ring.push(cancel, None);
            ring.publish();
            let _ = ring.enter(1, 0, 0);
            let _ = ring.wait(2, 5 * waits);
        }
        told.join(", ")
    }

    /// Adds what has completed to what is `told`; whether any of it was the request itself.
    fn take_all(&self, ring: &mut Ring<'_>, sqe: &Sqe, told: &mut Vec<String>) -> bool {
        let notifies = matches!(sqe.opcode, op::SEND_ZC | op::SENDMSG_ZC);
        // How often such a one has expired depends on when it is looked at.
        let repeats = sqe.opcode == op::TIMEOUT && sqe.op_flags & timeout::MULTISHOT != 0;
        let (mut any, mut promised) = (false, false);
        loop {
            let Some(cqe) = ring.take() else {
                // A notification may come later than the completion that promises it: of data that TCP
                // keeps back for more of it, after 200 ms.
                if std::mem::take(&mut promised) {
                    let _ = ring.wait(1, 20 * self.waits);
                    continue;
                }
                return any;
            };
            any |= cqe.user_data == 1;
            promised = notifies && cqe.flags & cqe_flags::MORE != 0;
            let completion = format!("{} {:#x}", self.world.normal(sqe, cqe.res), cqe.flags);
            if !(repeats && told.last() == Some(&completion)) {
                told.push(completion);
            }
            self.world.close_opened(sqe, cqe.res);
        }
    }
}

/// The fields of an SQE with the values each is given.
fn fields_of(world: &World) -> Vec<(&'static str, Vec<u64>)> {
    let bits = |n: u32| (0..n).map(|bit| 1u64 << bit).collect::<Vec<_>>();
    let with = |mut values: Vec<u64>, more: &[u64]| {
        values.extend_from_slice(more);
        values
    };
    let addresses = world.bad_addresses();
    let flags: Vec<u64> =
        bits(8).into_iter().filter(|&bit| bit != u64::from(sqe_flags::CQE_SKIP_SUCCESS)).collect();
    vec![
        ("flags", flags),
        ("ioprio", with(bits(16), &[0xffff])),
        ("fd", vec![0xffff_ffff, 0x7fff_ffff, 0x8000_0000, world::CLOSED as u64, 100_000]),
        ("fd", world.descriptors()),
        ("off", with(addresses.clone(), &[1, 2, 0x7fff_ffff, 1 << 32, i64::MAX as u64])),
        ("addr", with(addresses.clone(), &[1, 2, 3, 1 << 32])),
        ("len", with(bits(32), &[0, 3, 0x7fff_ffff, 0xffff_ffff])),
        ("op_flags", with(bits(32), &[0, 3, 0xffff_ffff])),
        ("buf_index", with(bits(16), &[0xffff])),
        ("personality", vec![1, 2, 0xffff]),
        ("file_index", with(bits(32), &[0xffff_ffff, 0xffff_fffe])),
        ("addr3", with(addresses, &[1, 2, 1 << 32])),
        ("pad2", vec![1, 2, u64::MAX]),
    ]
}

fn set(sqe: &mut Sqe, field: &str, value: u64) {
    match field {
        "flags" => sqe.flags = value as u8,
        "ioprio" => sqe.ioprio = value as u16,
        "fd" => sqe.fd = value as u32 as i32,
        "off" => sqe.off = value,
        "addr" => sqe.addr = value,
        "len" => sqe.len = value as u32,
        "op_flags" => sqe.op_flags = value as u32,
        "buf_index" => sqe.buf_index = value as u16,
        "personality" => sqe.personality = value as u16,
        "file_index" => sqe.file_index = value as u32,
        "addr3" => sqe.addr3 = value,
        _ => sqe.pad2 = value,
    }
}
