//! Names: made, renamed and removed, one at a time and 32 at a time, in memory and on a disk. The engine
//! is called as a library, beside the kernel's io_uring and plain calls.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use sysring_sys::abi::io_uring::{Sqe, op};

use crate::compare::{Contender, interleave};
use crate::direct::{COST, expect, per_operation, rounds, span};
use crate::report::{Better, Goal, Metric, Row, Unit};
use crate::ring::{Door, Engine, Kernel, Ring};
use crate::{Error, Settings};

/// What the ring brought with it: the caller is not counted.
const THREADS: Metric = Metric { name: "threads", unit: Unit::Count, better: Better::Lower };

pub fn run(settings: &Settings) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    let span = span(settings);
    for (place, base) in [("tmpfs", PathBuf::from("/dev/shm")), ("disk", settings.dir()?)] {
        for depth in [1, 32] {
            let names = Names::new(&base, depth)?;
            let names = &names;
            let second = match settings.noise {
                true => Contender::new("kernel again", move || through::<Kernel>(names, span)),
                false => Contender::new("engine", move || through::<Engine>(names, span)),
            };
            let samples = interleave(
                rounds(settings),
                &mut [
                    Contender::new("plain calls", move || plainly(names, span)),
                    Contender::new("kernel", move || through::<Kernel>(names, span)),
                    second,
                ],
            );
            let work = format!("mkdir, rename, rmdir, symlink, unlink, {place}, depth {depth}");
            let [plain, kernel, engine] = &samples[..] else {
                unreachable!("as many as were given")
            };
            let goal = Goal::Ratio { at_least: None };
            rows.push(Row::new(&work, (0, COST[0]), goal, plain, engine));
            // Above 1: what the issue calls faster than the kernel.
            let faster = Goal::Ratio { at_least: Some(1.0) };
            rows.push(Row::new(&work, (0, COST[0]), faster, kernel, engine));
            rows.push(Row::new(&work, (1, COST[1]), goal, kernel, engine));
            let threads = Goal::Absolute { at_most: None };
            rows.push(Row::new(&work, (2, THREADS), threads, kernel, engine));
        }
    }
    Ok(rows)
}

/// Two names each, in a directory of their own.
struct Names {
    dir: PathBuf,
    pairs: Vec<[CString; 2]>,
}

/// What is done to each, a batch after the other: all it takes is undone.
const STEPS: u64 = 5;

impl Names {
    fn new(base: &Path, count: u32) -> Result<Names, Error> {
        let dir = base.join(format!("sysring-bench-meta-{}", std::process::id()));
        fs::create_dir(&dir).map_err(|e| format!("cannot make {}: {e}", dir.display()))?;
        let name = |i, c| CString::new(dir.join(format!("{i}{c}")).as_os_str().as_bytes());
        let pairs = (0..count).map(|i| Ok([name(i, 'a')?, name(i, 'b')?]));
        let pairs = pairs.collect::<Result<_, Error>>()?;
        Ok(Names { dir, pairs })
    }

    fn entry(&self, step: u64, [a, b]: &[CString; 2]) -> Sqe {
        let (a, b) = (a.as_ptr() as u64, b.as_ptr() as u64);
        let here = Sqe { fd: libc::AT_FDCWD, addr: a, ..Sqe::default() };
        match step {
            0 => Sqe { opcode: op::MKDIRAT, len: 0o700, ..here },
            1 => Sqe { opcode: op::RENAMEAT, off: b, len: libc::AT_FDCWD as u32, ..here },
            2 => {
                let op_flags = libc::AT_REMOVEDIR as u32;
                Sqe { opcode: op::UNLINKAT, addr: b, op_flags, ..here }
            }
            3 => Sqe { opcode: op::SYMLINKAT, off: b, ..here },
            _ => Sqe { opcode: op::UNLINKAT, addr: b, ..here },
        }
    }

    fn call(&self, step: u64, [a, b]: &[CString; 2]) -> io::Result<()> {
        let (here, a, b) = (libc::AT_FDCWD, a.as_ptr(), b.as_ptr());
        // SAFETY: strings with a NUL, which outlive the call.
        let answer = unsafe {
            match step {
                0 => libc::mkdirat(here, a, 0o700),
                1 => libc::renameat(here, a, here, b),
                2 => libc::unlinkat(here, b, libc::AT_REMOVEDIR),
                3 => libc::symlinkat(a, here, b),
                _ => libc::unlinkat(here, b, 0),
            }
        };
        if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    fn operations(&self) -> u64 {
        STEPS * self.pairs.len() as u64
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn plainly(names: &Names, span: Duration) -> Result<Vec<f64>, Error> {
    let mut cost = per_operation(span, names.operations(), || {
        (0..STEPS)
            .try_for_each(|step| names.pairs.iter().try_for_each(|pair| names.call(step, pair)))
    })?;
    cost.push(0.0);
    Ok(cost)
}

fn through<D: Door>(names: &Names, span: Duration) -> Result<Vec<f64>, Error> {
    // Those of the ring before go when it has gone.
    let begun = Instant::now();
    while threads()? > 1 && begun.elapsed() < Duration::from_secs(5) {
        thread::sleep(Duration::from_millis(1));
    }
    let before = threads()?;
    let depth = names.pairs.len() as u32;
    let mut ring = Ring::<D>::new(depth)?;
    let mut cost = per_operation(span, names.operations(), || {
        (0..STEPS).try_for_each(|step| {
            names.pairs.iter().for_each(|pair| ring.push(names.entry(step, pair)));
            ring.enter(depth, depth)?;
            (0..depth).try_for_each(|_| expect(&mut ring, 0))
        })
    })?;
    cost.push(threads()? as f64 - before as f64);
    Ok(cost)
}

/// Threads of this process, those that the kernel has started for it included.
fn threads() -> io::Result<usize> {
    Ok(fs::read_dir("/proc/self/task")?.count())
}
