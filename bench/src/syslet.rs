//! Scopes beside plain calls: what a call costs that does not block, how soon the caller goes on after
//! one that does, and what it costs to begin and end.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use sysring::syslet::attr::{Answers, Attribute, Path, Timing, Wanted};
use sysring::syslet::{Builder, Outcome, Scope, available, scope};
use sysring_sys::{Errno, call};

use crate::compare::{Contender, Samples, Spread, interleave};
use crate::report::{Better, Goal, Metric, Row, Unit};
use crate::{Error, Settings};

const PER_CALL: Metric =
    Metric { name: "per call", unit: Unit::Nanoseconds, better: Better::Lower };
const HANDED_BACK: [Metric; 2] = [
    Metric { name: "caller goes on", unit: Unit::Microseconds, better: Better::Lower },
    Metric { name: "99 of 100", unit: Unit::Microseconds, better: Better::Lower },
];
const PER_SCOPE: Metric =
    Metric { name: "per scope", unit: Unit::Microseconds, better: Better::Lower };

/// Calls between two looks at the clock.
const BATCH: u32 = 500;
/// Calls that block, per round.
const BLOCKS: usize = 200;
const PAGE: usize = 4096;

/// Calls that do not block: the instruction alone, by a function, in a scope, in one of a single
/// processor.
pub fn inline(settings: &Settings) -> Result<Vec<Row>, Error> {
    available()?;
    let file = File::open(settings.file("page", PAGE as u64)?)?;
    let mut page = vec![0u8; PAGE];
    let mut status = [0u64; 18];
    let (fd, page) = (file.as_raw_fd() as usize, page.as_mut_ptr() as usize);
    let empty = c"".as_ptr() as usize;
    let works: [(&str, i64, [usize; 6]); 3] = [
        ("getppid", libc::SYS_getppid, [0; 6]),
        ("pread of 4 KiB, cached", libc::SYS_pread64, [fd, page, PAGE, 0, 0, 0]),
        (
            "fstatat of an open file",
            libc::SYS_newfstatat,
            [fd, empty, status.as_mut_ptr() as usize, libc::AT_EMPTY_PATH as usize, 0, 0],
        ),
    ];
    let mut rows = Vec::new();
    for (name, number, args) in works {
        let (number, span) = (number as u32, span(settings));
        let alone = move || {
            // SAFETY: the memory outlives the measurement.
            let call = || unsafe { instruction(number, args) }.map(drop);
            per_call(span, || (0..BATCH).try_for_each(|_| Ok(call()?)))
        };
        let function = move || {
            // SAFETY: as above.
            let call = || unsafe { call::raw(number, args) }.map(drop);
            per_call(span, || (0..BATCH).try_for_each(|_| Ok(call()?)))
        };
        let scoped = move |builder: Builder| {
            builder.scope(|s| per_call(span, || (0..BATCH).try_for_each(|_| make(s, number, args))))
        };
        // SAFETY: nothing here changes the processors of threads.
        let local = unsafe { Builder::new().cpu_local() };
        let samples = interleave(
            rounds(settings),
            &mut [
                Contender::new("the instruction", alone),
                Contender::new("by a function", function),
                Contender::new("scope", move || scoped(Builder::new())),
                Contender::new("cpu_local", move || scoped(local)),
                Contender::new("scope, path and timing asked", move || {
                    scope(|s| {
                        let make = |_| make_with(s, number, args);
                        per_call(span, || (0..BATCH).try_for_each(make))
                    })
                }),
            ],
        );
        let work = format!("{name}, which does not block");
        for (candidate, at_most) in [(1, None), (2, Some(20.0)), (3, Some(5.0)), (4, None)]
            .map(|(n, goal)| (&samples[n], goal))
        {
            let goal = Goal::Added { at_most };
            rows.push(Row::new(&work, (0, PER_CALL), goal, &samples[0], candidate));
        }
    }
    Ok(rows)
}

/// A system call, and nothing else: no program makes one for less.
///
/// # Safety
/// The call must be sound for this process.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn instruction(number: u32, [a, b, c, d, e, f]: [usize; 6]) -> sysring_sys::Result<usize> {
    let result: isize;
    // SAFETY: the kernel changes the registers named here; the caller vouches for the call.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            in("r8") e,
            in("r9") f,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    Errno::from_ret(result)
}

/// The same where scopes have no contexts: what is measured here is not available.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn instruction(number: u32, args: [usize; 6]) -> sysring_sys::Result<usize> {
    // SAFETY: passed on to the caller.
    unsafe { call::raw(number, args) }
}

/// A call that may be taken for blocked when its processor is wanted elsewhere.
fn make(scope: &Scope, number: u32, args: [usize; 6]) -> Result<(), Error> {
    // SAFETY: the memory outlives the scope, and only the kernel writes to it.
    answer(scope, unsafe { scope.call(number, args) })
}

#[inline]
fn answer(scope: &Scope, outcome: Outcome) -> Result<(), Error> {
    match outcome {
        Outcome::Done(result) => result.map(drop)?,
        Outcome::Pending(_) => scope.wait(scope.pending()).try_for_each(|d| d.result.map(drop))?,
    }
    Ok(())
}

/// The same, of which something is to be told.
fn make_with(scope: &Scope, number: u32, args: [usize; 6]) -> Result<(), Error> {
    const WANTED: Wanted = Wanted::NONE.required(Path::MASK | Timing::MASK);
    let mut answers = Answers::none();
    // SAFETY: the memory outlives the scope, and only the kernel writes to it.
    let outcome = unsafe { scope.call_with(number, args, &WANTED, &mut answers) };
    answer(scope, outcome)
}

/// Reads of an empty pipe: how long until the caller goes on, on a processor of its own and on one
/// that another thread keeps busy.
pub fn block(settings: &Settings) -> Result<Vec<Row>, Error> {
    available()?;
    let mut rows = Vec::new();
    for (work, busy, at_most) in [
        ("a call that blocks, on a free processor", false, 2.0),
        ("a call that blocks, beside a busy thread", true, 500.0),
    ] {
        let samples = interleave(
            rounds(settings),
            &mut [
                Contender::new("thread and back", move || beside(busy, |_| hand_over())),
                Contender::new("scope", move || beside(busy, blocks)),
            ],
        );
        let row = |metric, goal| Row::new(work, metric, goal, &samples[0], &samples[1]);
        rows.push(row((0, HANDED_BACK[0]), Goal::Absolute { at_most: Some(at_most) }));
        rows.push(row((1, HANDED_BACK[1]), Goal::Absolute { at_most: None }));
    }
    Ok(rows)
}

/// Measures on one processor, beside a thread that never sleeps if asked for.
fn beside(
    busy: bool,
    measure: impl FnOnce(&Scope) -> Result<Vec<f64>, Error>,
) -> Result<Vec<f64>, Error> {
    let over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        Builder::new().scope(|s| {
            s.moves()?;
            if busy {
                // It begins where it is started: on the scope's processor.
                threads.spawn(|| {
                    while !over.load(Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            let measured = measure(s);
            over.store(true, Relaxed);
            measured
        })
    })
}

fn blocks(scope: &Scope) -> Result<Vec<f64>, Error> {
    let mut pipe = io::pipe()?;
    let times: Result<_, _> = (0..BLOCKS).map(|_| block_once(scope, &mut pipe)).collect();
    Ok(median_and_most(times?))
}

/// Reads from a pipe that is empty, and then writes to it; how many microseconds the caller was away.
fn block_once(
    scope: &Scope,
    (reader, writer): &mut (PipeReader, PipeWriter),
) -> Result<f64, Error> {
    let mut byte = 0u8;
    let args = [reader.as_raw_fd() as usize, &raw mut byte as usize, 1, 0, 0, 0];
    let start = Instant::now();
    // SAFETY: the byte stays until the call is answered, below.
    let outcome = unsafe { scope.call(libc::SYS_read as u32, args) };
    let away = start.elapsed().as_secs_f64() * 1e6;
    writer.write_all(b"x")?;
    match outcome {
        Outcome::Pending(_) => scope.wait(1).try_for_each(|done| done.result.map(drop))?,
        Outcome::Done(_) => return Err(format!("an empty pipe was read: {outcome:?}").into()),
    }
    Ok(away)
}

/// What a pool does for each call: wake a thread, and be woken by it. On the scope's processor.
fn hand_over() -> Result<Vec<f64>, Error> {
    let (send, receive) = mpsc::channel::<()>();
    let (answer, answered) = mpsc::channel();
    let thread = std::thread::spawn(move || receive.iter().try_for_each(|()| answer.send(())));
    let mut times = Vec::with_capacity(BLOCKS);
    for _ in 0..BLOCKS {
        let start = Instant::now();
        send.send(())?;
        answered.recv()?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    drop(send);
    thread.join().map_err(|_| "the thread failed")??;
    Ok(median_and_most(times))
}

fn median_and_most(mut times: Vec<f64>) -> Vec<f64> {
    times.sort_by(f64::total_cmp);
    let most = times[times.len() * 99 / 100];
    vec![Spread::of(times).median, most]
}

/// Scopes in which nothing happens, and those with one call that blocks.
pub fn begin_and_end(settings: &Settings) -> Result<Vec<Row>, Error> {
    available()?;
    let threads = || {
        per_scope(|| {
            std::thread::scope(|threads| {
                threads.spawn(|| ());
                threads.spawn(|| ());
            });
            Ok(())
        })
    };
    let empty = || per_scope(|| Ok(Builder::new().scope(|s| s.moves())?));
    let mut pipe = io::pipe()?;
    let moving = || per_scope(|| Builder::new().scope(|s| block_once(s, &mut pipe).map(drop)));
    let samples: Vec<Samples> = interleave(
        rounds(settings),
        &mut [
            Contender::new("two threads", threads),
            Contender::new("empty", empty),
            Contender::new("a call that blocks", moving),
        ],
    );
    let row = |candidate| {
        let goal = Goal::Absolute { at_most: None };
        Row::new("a scope, begun and ended", (0, PER_SCOPE), goal, &samples[0], candidate)
    };
    Ok(vec![row(&samples[1]), row(&samples[2])])
}

fn per_scope(mut one: impl FnMut() -> Result<(), Error>) -> Result<Vec<f64>, Error> {
    let mut times = Vec::with_capacity(BLOCKS);
    for _ in 0..BLOCKS {
        let start = Instant::now();
        one()?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Ok(vec![Spread::of(times).median])
}

fn per_call(
    span: Duration,
    mut batch: impl FnMut() -> Result<(), Error>,
) -> Result<Vec<f64>, Error> {
    batch()?;
    let (start, mut times) = (Instant::now(), Vec::new());
    // The median of batches: what preempted some of them is not what a call costs.
    while start.elapsed() < span {
        let before = Instant::now();
        batch()?;
        times.push(before.elapsed().as_nanos() as f64 / f64::from(BATCH));
    }
    Ok(vec![Spread::of(times).median])
}

fn span(settings: &Settings) -> Duration {
    Duration::from_millis(if settings.quick { 10 } else { 50 })
}

fn rounds(settings: &Settings) -> usize {
    settings.rounds.unwrap_or(if settings.quick { 5 } else { 21 })
}
