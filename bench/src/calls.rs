//! Native calls beside the plain loop: one that does not block, names in batches, whole files.

use std::ffi::CString;
use std::fs::{self, File};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ::sysring::calls::{Call, Calls, Statx, StatxFlags, Step};
use ::sysring::events::attr::{self, Answers, Attribute, Wanted};
use ::sysring::{Errno, Fd};
use sysring_sys::raw::general as g;

use crate::compare::{Contender, interleave};
use crate::report::{Better, Goal, Metric, Row, Unit};
use crate::{Error, Settings};

const NS: Metric = Metric { name: "per call", unit: Unit::Nanoseconds, better: Better::Lower };
const US: Metric = Metric { name: "per file", unit: Unit::Microseconds, better: Better::Lower };

fn rounds(settings: &Settings) -> usize {
    settings.rounds.unwrap_or(if settings.quick { 5 } else { 15 })
}

/// Nanoseconds of one of `count`.
fn timed(count: usize, act: impl FnOnce() -> Result<(), Error>) -> Result<Vec<f64>, Error> {
    let began = Instant::now();
    act()?;
    Ok(vec![began.elapsed().as_nanos() as f64 / count as f64])
}

fn getppid<'a, 'm>() -> Call<'a, 'm> {
    // SAFETY: the call takes nothing.
    unsafe { Call::raw(g::__NR_getppid, [0; 6]) }
}

/// The bare call, and the same issued.
pub fn inline(settings: &Settings) -> Result<Vec<Row>, Error> {
    let count = if settings.quick { 300_000 } else { 3_000_000 };
    let calls = &Calls::new()?;
    let samples = interleave(
        rounds(settings),
        &mut [
            Contender::new("bare", move || {
                timed(count, || {
                    for _ in 0..count {
                        let _ = black_box(Calls::issue_sync(getppid()));
                    }
                    Ok(())
                })
            }),
            Contender::new("issued", move || {
                timed(count, || {
                    for _ in 0..count {
                        let _ = black_box(calls.issue(getppid()));
                    }
                    Ok(())
                })
            }),
            Contender::new("asked nothing", move || asked(calls, count, 0)),
            Contender::new("with path and timing", move || {
                asked(calls, count, attr::Path::MASK | attr::Timing::MASK)
            }),
        ],
    );
    let row = |work, most, of: usize| {
        let goal = Goal::Added { at_most: Some(most) };
        Row::new(work, (0, NS), goal, &samples[0], &samples[of])
    };
    Ok(vec![
        row("getppid, issued as a native call", 40.0, 1),
        row("getppid, issued, with attributes, none asked for", 40.0, 2),
        row("getppid, issued, with path and timing", 60.0, 3),
    ])
}

/// Issues the call so many times, asking for attributes.
fn asked(calls: &Calls, count: usize, mask: u64) -> Result<Vec<f64>, Error> {
    let wanted = Wanted::NONE.best_effort(mask);
    let mut answers = Answers::none();
    timed(count, || {
        for _ in 0..count {
            let _ = black_box(calls.issue_with(getppid(), black_box(&wanted), &mut answers));
            black_box(&answers);
        }
        Ok(())
    })
}

/// Files of about 2.7 kB, a thousand to a directory, made in no order.
struct Files {
    names: Vec<CString>,
}

const LARGEST: usize = 4096;
const TO_A_DIRECTORY: usize = 1000;

impl Files {
    fn new(dir: &Path, count: usize) -> Result<Files, Error> {
        let base: PathBuf = dir.canonicalize()?.join(format!("files-{count}"));
        let name = |i: usize| format!("{:03}/{:04}", i / TO_A_DIRECTORY, i % TO_A_DIRECTORY);
        let whole = base.join("whole");
        if !whole.exists() {
            let _ = fs::remove_dir_all(&base);
            for first in (0..count).step_by(TO_A_DIRECTORY) {
                fs::create_dir_all(base.join(format!("{:03}", first / TO_A_DIRECTORY)))?;
            }
            let bytes = [b'x'; LARGEST];
            for i in shuffled(count) {
                fs::write(base.join(name(i)), &bytes[..1300 + i * 7919 % 2700])?;
            }
            File::create(whole)?;
        }
        let path = |i| base.join(name(i)).into_os_string().into_encoded_bytes();
        let names = shuffled(count).map(|i| CString::new(path(i)));
        Ok(Files { names: names.collect::<Result<_, _>>()? })
    }
}

/// All numbers below `count`, in no order, and always the same.
fn shuffled(count: usize) -> impl Iterator<Item = usize> {
    let mut all: Vec<usize> = (0..count).collect();
    let mut random = 1u64;
    for i in (1..count).rev() {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        all.swap(i, (random >> 33) as usize % (i + 1));
    }
    all.into_iter()
}

/// A call's value; an error in words.
fn value(result: Result<usize, Errno>) -> Result<usize, Error> {
    result.map_err(|e| e.to_string().into())
}

/// statx of the same names, in batches of 512, and one after the other.
pub fn statx(settings: &Settings) -> Result<Vec<Row>, Error> {
    const BATCH: usize = 512;
    let files = &Files::new(&settings.dir()?, if settings.quick { 10_000 } else { 100_000 })?;
    let (calls, count) = (&Calls::new()?, files.names.len());
    let contender = |label: &'static str, batched: bool| {
        Contender::new(label, move || {
            let mut statuses = vec![Statx::default(); BATCH];
            timed(count, || {
                for names in files.names.chunks(BATCH) {
                    let each = names
                        .iter()
                        .zip(&mut statuses)
                        .map(|(name, to)| Call::statx(Fd::CWD, name, StatxFlags::default(), to));
                    if batched {
                        let mut steps: Vec<Step> = each.map(Step::new).collect();
                        calls.run_all(&mut steps)?;
                        steps.iter().try_for_each(|step| finished(step).map(drop))?;
                    } else {
                        for call in each {
                            value(Calls::issue_sync(call))?;
                        }
                    }
                }
                Ok(())
            })
        })
    };
    let contenders = &mut [contender("loop", false), contender("batches", true)];
    let samples = interleave(rounds(settings), contenders);
    let goal = Goal::Ratio { at_least: Some(1.0 / 1.05) };
    let work = "statx in batches of 512, cached";
    Ok(vec![Row::new(work, (0, NS), goal, &samples[0], &samples[1])])
}

fn finished(step: &Step<'_, '_>) -> Result<usize, Error> {
    value(step.result().ok_or("a step of a batch has no answer")?)
}

/// Whole files, from the cache and from the disk.
pub fn files(settings: &Settings) -> Result<Vec<Row>, Error> {
    let count = if settings.quick { 10_000 } else { 100_000 };
    let files = &Files::new(&settings.dir()?, count)?;
    let calls = &Calls::new()?;
    let mut rows = Vec::new();
    for (cached, at_least) in [(true, 1.0 / 0.95), (false, 5.0)] {
        let begin = move || if cached { Ok(()) } else { forget_files() };
        let contenders = &mut [
            Contender::new("loop", move || {
                begin()?;
                timed(count, || one_by_one(files))
            }),
            Contender::new("chains", move || {
                begin()?;
                timed(count, || in_chains(files, calls))
            }),
        ];
        let rounds = if cached { rounds(settings) } else { rounds(settings).div_ceil(3) };
        let samples: Vec<_> = interleave(rounds, contenders)
            .into_iter()
            .map(|mut samples| {
                let all = samples.rounds.iter_mut().flatten().flatten();
                all.for_each(|ns| *ns /= 1000.0);
                samples
            })
            .collect();
        let from = if cached { "cached" } else { "not cached" };
        let work = format!("open, fstat, read and close {count} files, {from}");
        let goal = Goal::Ratio { at_least: Some(at_least) };
        rows.push(Row::new(work, (0, US), goal, &samples[0], &samples[1]));
    }
    Ok(rows)
}

/// Has the kernel forget what it knows of files, which it does of what is on the disk.
fn forget_files() -> Result<(), Error> {
    // SAFETY: takes nothing.
    unsafe { libc::sync() };
    fs::write("/proc/sys/vm/drop_caches", "3").map_err(|e| format!("drop_caches: {e}").into())
}

const OPEN: u32 = g::O_RDONLY | g::O_CLOEXEC;

fn fstat<'m>(fd: Fd, to: &'m mut Statx) -> Call<'m, 'm> {
    let how = StatxFlags { flags: g::AT_EMPTY_PATH, ..StatxFlags::default() };
    Call::statx(fd, c"", how, to)
}

fn close<'m>(fd: Fd) -> Call<'m, 'm> {
    // SAFETY: the descriptor was opened for this.
    unsafe { Call::raw(g::__NR_close, [fd.raw() as usize, 0, 0, 0, 0, 0]) }
}

fn one_by_one(files: &Files) -> Result<(), Error> {
    let (mut status, mut buffer) = (Statx::default(), [0u8; LARGEST]);
    for name in &files.names {
        let fd = value(Calls::issue_sync(Call::openat(Fd::CWD, name, OPEN, 0)))?;
        let fd = Fd::new(fd as i32);
        value(Calls::issue_sync(fstat(fd, &mut status)))?;
        let len = value(Calls::issue_sync(Call::read(fd, &mut buffer)))?;
        value(Calls::issue_sync(close(fd)))?;
        check(&status, len)?;
    }
    Ok(())
}

fn check(status: &Statx, len: usize) -> Result<(), Error> {
    if status.stx_size == len as u64 { Ok(()) } else { Err("a file was not read whole".into()) }
}

/// A chain for each file, so many at a time.
fn in_chains(files: &Files, calls: &Calls) -> Result<(), Error> {
    const AT_ONCE: usize = 1024;
    let mut statuses = vec![Statx::default(); AT_ONCE];
    let mut buffers = vec![[0u8; LARGEST]; AT_ONCE];
    for names in files.names.chunks(AT_ONCE) {
        let places = statuses.iter_mut().zip(&mut buffers);
        let mut chains: Vec<[Step; 4]> = names
            .iter()
            .zip(places)
            .map(|(name, (status, buffer))| {
                let open = Call::openat(Fd::CWD, name, OPEN, 0);
                let (stat, read) = (fstat(Fd::NONE, status), Call::read(Fd::NONE, buffer));
                [Step::new(open), Step::new(stat).on(0), Step::new(read).on(0), Step::close(0)]
            })
            .collect();
        calls.run_chains(&mut chains)?;
        let lens: Result<Vec<usize>, Error> = chains
            .iter()
            .map(|[open, stat, read, close]| {
                [open, stat, close].into_iter().try_for_each(|step| finished(step).map(drop))?;
                finished(read)
            })
            .collect();
        drop(chains);
        statuses.iter().zip(lens?).try_for_each(|(status, len)| check(status, len))?;
    }
    Ok(())
}
