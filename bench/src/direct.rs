//! The engine called as a library beside the kernel's io_uring, plain calls and a thread pool:
//! what the road itself costs, without the trap.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::time::{Duration, Instant};

use sysring_sys::abi::io_uring::{Sqe, op};

use crate::compare::{Contender, Samples, interleave};
use crate::pool::Pool;
use crate::report::{Better, Goal, Metric, Row, Unit};
use crate::ring::{Door, Engine, Kernel, Ring};
use crate::uv::{Uv, Work};
use crate::{Error, Settings};

pub const PAGE: usize = 4096;

/// A buffer as O_DIRECT wants it.
#[derive(Clone)]
#[repr(align(4096))]
pub struct Page(pub [u8; PAGE]);

/// Larger than the processor's caches, so that each read misses them as a real one does.
const FILE: u64 = 64 << 20;
const NOP_DEPTH: u32 = 64;
/// As the fio jobs: 32 in flight, submitted and reaped in batches of 16.
const FIO_DEPTH: u32 = 32;
/// As many as a disk may be kept busy with: a pool has no more under way than it has threads.
const DEEP: u32 = 128;
const BATCH: u32 = 16;

/// What one run answers. Processor time is the whole process's: a pool keeps several processors
/// busy to be as fast.
pub const COST: [Metric; 2] = [
    Metric { name: "per operation", unit: Unit::Nanoseconds, better: Better::Lower },
    Metric { name: "CPU / operation", unit: Unit::Nanoseconds, better: Better::Lower },
];

/// NOPs, 64 at a time.
pub fn nop(settings: &Settings) -> Result<Vec<Row>, Error> {
    let span = span(settings);
    let samples = interleave(
        rounds(settings),
        &mut [
            Contender::new("kernel", move || nops::<Kernel>(span)),
            if settings.noise {
                Contender::new("kernel again", move || nops::<Kernel>(span))
            } else {
                Contender::new("engine", move || nops::<Engine>(span))
            },
        ],
    );
    let row = |goal| Row::new("NOP, depth 64", (0, COST[0]), goal, &samples[0], &samples[1]);
    Ok(vec![row(Goal::Absolute { at_most: Some(60.0) }), row(Goal::Ratio { at_least: None })])
}

fn nops<D: Door>(span: Duration) -> Result<Vec<f64>, Error> {
    let mut ring = Ring::<D>::new(NOP_DEPTH)?;
    let nop = Sqe { opcode: op::NOP, ..Sqe::default() };
    per_operation(span, u64::from(NOP_DEPTH), || {
        (0..NOP_DEPTH).for_each(|_| ring.push(nop));
        ring.enter(NOP_DEPTH, NOP_DEPTH)?;
        (0..NOP_DEPTH).try_for_each(|_| expect(&mut ring, 0))
    })
}

/// Random 4 KiB reads of a cached file, at three depths.
pub fn read(settings: &Settings) -> Result<Vec<Row>, Error> {
    let file = cached_file(settings)?;
    let (file, span) = (&file, span(settings));
    let mut rows = Vec::new();
    for depth in [1, 16, 64] {
        let samples = interleave(
            rounds(settings),
            &mut [
                Contender::new("pread", move || preads(file, span)),
                Contender::new("kernel", move || reads::<Kernel>(file, depth, depth, span)),
                candidate(settings, file, depth, depth, span),
            ],
        );
        let work = format!("4 KiB random reads from the page cache, depth {depth}, no trap");
        rows.extend(beside(&work, &samples, [None, None]));
    }
    Ok(rows)
}

/// The same reads as jobs of pools of four threads, then past the page cache, and with more of them.
pub fn pool(settings: &Settings) -> Result<Vec<Row>, Error> {
    let cached = cached_file(settings)?;
    let path = &settings.file("cached", FILE)?;
    let direct = File::options().read(true).custom_flags(libc::O_DIRECT).open(path)?;
    let uv = &Uv::compile(&settings.dir()?);
    let batch = BATCH;
    let work = |direct, depth| Work { path, direct, depth, batch, span: span(settings) };
    let mut rows = beside_pools(settings, &cached, uv, work(false, FIO_DEPTH));
    rows.extend(beside_pools(settings, &direct, uv, work(true, FIO_DEPTH)));
    rows.extend(beside_pools(settings, &direct, uv, work(true, DEEP)));
    Ok(rows)
}

fn beside_pools(settings: &Settings, file: &File, uv: &Uv, work: Work) -> Vec<Row> {
    let Work { direct, depth, span, .. } = work;
    let from = if direct { "O_DIRECT" } else { "from the page cache" };
    let samples = interleave(
        rounds(settings),
        &mut [
            Contender::new("pool of 4", move || pooled(file, depth, span)),
            Contender::new("libuv", move || uv.reads(work)),
            Contender::new("kernel", move || reads::<Kernel>(file, depth, BATCH, span)),
            candidate(settings, file, depth, BATCH, span),
        ],
    );
    let title = format!("4 KiB random reads, {from}, depth {depth} in batches of {BATCH}, no trap");
    let mut rows = beside(&title, &samples, [Some(2.0), Some(2.0), None]);
    let [pools @ .., _, candidate] = &samples[..] else { return rows };
    let goal = Goal::Ratio { at_least: None };
    rows.extend(pools.iter().map(|pool| Row::new(&title, (1, COST[1]), goal, pool, candidate)));
    rows
}

fn candidate<'a>(
    settings: &Settings,
    file: &'a File,
    depth: u32,
    batch: u32,
    span: Duration,
) -> Contender<'a> {
    if settings.noise {
        Contender::new("kernel again", move || reads::<Kernel>(file, depth, batch, span))
    } else {
        Contender::new("engine", move || reads::<Engine>(file, depth, batch, span))
    }
}

/// The last contender beside each of those before it.
fn beside<const N: usize>(work: &str, samples: &[Samples], targets: [Option<f64>; N]) -> Vec<Row> {
    let pairs = samples.iter().zip(targets);
    pairs
        .map(|(baseline, at_least)| {
            Row::new(work, (0, COST[0]), Goal::Ratio { at_least }, baseline, &samples[N])
        })
        .collect()
}

fn preads(file: &File, span: Duration) -> Result<Vec<f64>, Error> {
    let mut offsets = Offsets::new();
    let mut buffer = Page([0; PAGE]);
    per_operation(span, 64, || {
        (0..64).try_for_each(|_| file.read_exact_at(&mut buffer.0, offsets.next()))
    })
}

/// Keeps up to `depth` reads in flight, submitting and reaping `batch` at a time.
fn reads<D: Door>(file: &File, depth: u32, batch: u32, span: Duration) -> Result<Vec<f64>, Error> {
    let mut ring = Ring::<D>::new(depth)?;
    let mut offsets = Offsets::new();
    let mut buffers = vec![Page([0; PAGE]); depth as usize];
    let (fd, buffers) = (file.as_raw_fd(), buffers.as_mut_ptr() as u64);
    let mut slot = 0;
    let mut submit = |ring: &mut Ring<D>, wait| {
        for _ in 0..batch {
            let addr = buffers + u64::from(slot) * PAGE as u64;
            let read = Sqe { opcode: op::READ, fd, addr, len: PAGE as u32, ..Sqe::default() };
            ring.push(Sqe { off: offsets.next(), ..read });
            slot = (slot + 1) % depth;
        }
        ring.enter(batch, wait)
    };
    for _ in 0..depth / batch - 1 {
        submit(&mut ring, 0)?;
    }
    let cost = per_operation(span, u64::from(batch), || {
        submit(&mut ring, batch)?;
        (0..batch).try_for_each(|_| expect(&mut ring, PAGE as i32))
    })?;
    (batch..depth).try_for_each(|_| expect(&mut ring, PAGE as i32))?;
    Ok(cost)
}

fn pooled(file: &File, depth: u32, span: Duration) -> Result<Vec<f64>, Error> {
    let mut offsets = Offsets::new();
    let mut buffers = vec![Box::new(Page([0; PAGE])); depth as usize];
    Pool::run(4, file, |pool| {
        let mut submit = |buffers: &mut Vec<_>| {
            let batch = buffers.drain(buffers.len() - BATCH as usize..);
            batch.for_each(|buffer| pool.submit(offsets.next(), buffer));
        };
        let reap = |buffers: &mut Vec<_>| {
            (0..BATCH).try_for_each(|_| pool.wait().map(|buffer| buffers.push(buffer)))
        };
        (1..depth / BATCH).for_each(|_| submit(&mut buffers));
        let cost = per_operation(span, u64::from(BATCH), || {
            submit(&mut buffers);
            reap(&mut buffers)
        });
        (1..depth / BATCH).try_for_each(|_| reap(&mut buffers))?;
        cost
    })
}

/// Takes a completion that has been waited for, which is to say `result`.
pub fn expect<D: Door>(ring: &mut Ring<D>, result: i32) -> io::Result<()> {
    let cqe = loop {
        match ring.pop() {
            Some(cqe) => break cqe,
            // A wait may end early: Linux takes a ring of its own apart after it is closed, and interrupts
            // the thread that made it for that, as a signal would.
            None => match ring.enter(0, 1) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                entered => drop(entered?),
            },
        }
    };
    match cqe.res {
        res if res == result => Ok(()),
        res if res < 0 => Err(io::Error::from_raw_os_error(-res)),
        res => Err(io::Error::other(format!("a completion says {res}, not {result}"))),
    }
}

/// Repeats `batch`, which does `operations`, for about `span`; one value per `COST`.
pub fn per_operation(
    span: Duration,
    operations: u64,
    mut batch: impl FnMut() -> io::Result<()>,
) -> Result<Vec<f64>, Error> {
    let (start, cpu, mut done) = (Instant::now(), cpu_time()?, 0);
    loop {
        // The clock is read seldom enough not to be what is measured.
        for _ in 0..256_u64.div_ceil(operations) {
            batch()?;
            done += operations;
        }
        let elapsed = start.elapsed();
        if elapsed >= span {
            let each = |time: Duration| time.as_nanos() as f64 / done as f64;
            return Ok(vec![each(elapsed), each(cpu_time()?.saturating_sub(cpu))]);
        }
    }
}

/// Processor time of this process, all threads.
fn cpu_time() -> io::Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills the structure.
    if unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// Page-aligned offsets in no order a prefetcher knows, the same ones in every run.
struct Offsets(u64);

impl Offsets {
    fn new() -> Offsets {
        Offsets(0x9E37_79B9_7F4A_7C15)
    }

    #[inline]
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % (FILE / PAGE as u64) * PAGE as u64
    }
}

fn cached_file(settings: &Settings) -> Result<File, Error> {
    let path = settings.file("cached", FILE)?;
    crate::scratch::warm(&path)?;
    Ok(File::open(path)?)
}

pub fn rounds(settings: &Settings) -> usize {
    settings.rounds.unwrap_or(if settings.quick { 5 } else { 15 })
}

pub fn span(settings: &Settings) -> Duration {
    Duration::from_millis(if settings.quick { 30 } else { 100 })
}
