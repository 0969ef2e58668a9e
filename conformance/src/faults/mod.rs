//! Fault injection: random programs on an engine whose system calls fail at random.
//!
//! What the answers are is not looked at: they follow from what failed. What must hold is that
//! every submission has exactly one completion, that nothing hangs or dies, and that nothing of
//! what was made for a ring is left when it is gone.

mod errors;
mod gate;
mod reached;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use clap::Args;
use sysring_sys::User;
use sysring_sys::abi::io_uring::Params;

use crate::closing::closing;
use crate::diff::{self, Answer, Side};
use crate::raw::{Backend, Engine};

/// Options of `conformance faults`.
#[derive(Args, Debug)]
pub struct Options {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many programs, one seed each.
    #[arg(long, default_value_t = 1000)]
    programs: u64,
    /// Of a thousand system calls of the engine, how many fail.
    #[arg(long, default_value_t = 30)]
    share: u64,
    /// Only the program of this seed, with a trace.
    #[arg(long)]
    one: bool,
    /// Parts of the program to leave out.
    #[arg(long, value_delimiter = ',')]
    drop: Vec<usize>,
    /// Processes at work. They wait more than they work.
    #[arg(long, default_value_t = 8)]
    jobs: usize,
    /// Programs that run at once in a process, with a thread and a ring each.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=8))]
    threads: u16,
    /// Stop after this many failures.
    #[arg(long, default_value_t = 10)]
    most: u64,
}

/// The engine, while its system calls fail.
pub struct Faulty {
    engine: Engine,
    share: u64,
    /// Whether programs run at once. Then mappings say nothing: the memory of their lanes comes
    /// apart by what they do with it.
    together: bool,
    /// The mappings of the process when the first program begins.
    mappings: OnceLock<usize>,
}

impl Faulty {
    /// Moves the process's gate.
    #[must_use]
    pub fn new(share: u64, together: bool) -> Faulty {
        gate::stand_here();
        Faulty { engine: Engine::new(), share, together, mappings: OnceLock::new() }
    }
}

impl Backend for Faulty {
    fn begin(&self, seed: u64) {
        self.mappings.get_or_init(mappings);
        gate::arm(seed, self.share);
    }

    fn calm(&self) {
        gate::disarm();
    }

    fn fails_at_random(&self) -> bool {
        true
    }

    fn remarks(&self) -> String {
        let failed = gate::take_failed();
        let failed: Vec<String> =
            failed.iter().map(|(nr, count)| format!("{nr}={count}")).collect();
        let failed = failed.join(" ");
        let mut left = Leftovers::count();
        // A worker may still be about to let go of a ring that was left behind, or to go home.
        for _ in 0..500 {
            if left.are_few(self.mappings.get().copied().filter(|_| !self.together)) {
                return format!("{FAILED}{failed}\n");
            }
            std::thread::sleep(Duration::from_millis(10));
            left = Leftovers::count();
        }
        format!("{FAILED}{failed}\nLEAKED {left:?}\n")
    }

    fn setup(&self, entries: u32, params: User<Params>) -> i64 {
        self.engine.setup(entries, params)
    }

    fn enter(&self, fd: i32, submit: u32, min: u32, flags: u32, arg: u64, size: usize) -> i64 {
        self.engine.enter(fd, submit, min, flags, arg, size)
    }

    fn register(&self, fd: i32, opcode: u32, arg: u64, count: u32) -> i64 {
        self.engine.register(fd, opcode, arg, count)
    }

    fn mmap(&self, fd: i32, len: usize, offset: u64) -> i64 {
        self.engine.mmap(fd, len, offset)
    }

    fn close(&self, fd: i32) -> i64 {
        self.engine.close(fd)
    }
}

/// Begins the line that says which calls have failed, by their numbers, and how often.
const FAILED: &str = "calls that failed: ";

/// What the engine has when no ring is left.
#[derive(Debug)]
struct Leftovers {
    descriptors: usize,
    mappings: usize,
    threads: usize,
}

impl Leftovers {
    fn count() -> Leftovers {
        let number = |entry: std::io::Result<std::fs::DirEntry>| -> Option<i32> {
            entry.ok()?.file_name().to_str()?.parse().ok()
        };
        let all = std::fs::read_dir("/proc/self/fd").into_iter().flatten();
        let own = |fd: &i32| *fd >= errors::OWN as i32;
        Leftovers {
            descriptors: all.filter_map(number).filter(own).count(),
            mappings: mappings(),
            threads: std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count),
        }
    }

    /// Whether this is what it keeps: two descriptors of its driver's, the mappings that the process
    /// had `at_first`, if that is known, and workers that rest before they go home, with a stack each.
    fn are_few(&self, at_first: Option<usize>) -> bool {
        let mappings = at_first.is_none_or(|at_first| self.mappings < at_first + 80);
        self.descriptors <= 2 && mappings && self.threads <= 20
    }
}

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap_or_default().lines().count()
}

fn start(options: &Options, job: usize) -> Result<Side, String> {
    let (share, threads) = (options.share.to_string(), options.threads.to_string());
    Side::start(Box::new(move || {
        let mut command = Command::new(std::env::current_exe().unwrap_or_default());
        command.args(["side", "--backend", "engine", "--faults", &share]);
        command.args(["--threads", &threads]);
        command.args(diff::folders(&format!("{job}f")));
        command
    }))
}

/// Runs the programs; whether all was well.
///
/// # Errors
/// What kept it from running.
pub fn faults(options: &Options) -> Result<bool, String> {
    if options.one {
        return one(options);
    }
    let started = Instant::now();
    let counts = Counts::default();
    let problems = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for job in 0..options.jobs.max(1) {
            let (counts, problems) = (&counts, &problems);
            scope.spawn(move || {
                if let Err(problem) = work(options, job, counts) {
                    problems.lock().unwrap_or_else(|e| e.into_inner()).push(problem);
                }
            });
        }
    });
    if let Some(problem) = problems.into_inner().unwrap_or_else(|e| e.into_inner()).pop() {
        return Err(problem);
    }
    let ran = counts.next.into_inner().min(options.programs);
    let wrong = counts.wrong.into_inner();
    let failed = counts.failed.into_inner().unwrap_or_else(|e| e.into_inner());
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{ran} programs in {seconds:.0} s ({:.0} a second); {} system calls of {} kinds failed",
        ran as f64 / seconds,
        failed.values().sum::<u64>(),
        failed.len()
    );
    // What was not reached has not been tried: that is one check more.
    let lacking = reached::lacking(&failed, ran, options.share);
    if let Some(lacking) = &lacking {
        println!("WRONG: {lacking}");
    }
    let passed = (ran - wrong) + u64::from(lacking.is_none());
    println!("{}", closing(passed, wrong + u64::from(lacking.is_some()), 0, &[]));
    Ok(wrong == 0 && lacking.is_none())
}

/// What the jobs count together.
#[derive(Default)]
struct Counts {
    /// Programs given out.
    next: AtomicU64,
    wrong: AtomicU64,
    /// System calls that failed, by number, and how often.
    failed: Mutex<BTreeMap<usize, u64>>,
}

fn work(options: &Options, job: usize, counts: &Counts) -> Result<(), String> {
    let mut side = start(options, job)?;
    while counts.wrong.load(Ordering::Relaxed) < options.most {
        let at = counts.next.fetch_add(u64::from(options.threads), Ordering::Relaxed);
        if at >= options.programs {
            break;
        }
        let seed = options.seed + at;
        let _ = side.ask(seed, &[]);
        let answer = side.collect()?;
        let mut all = counts.failed.lock().unwrap_or_else(|e| e.into_inner());
        failed(&answer).for_each(|(nr, count)| *all.entry(nr).or_default() += count);
        drop(all);
        if answer.loses() {
            counts.wrong.fetch_add(1, Ordering::Relaxed);
            report(options, &mut side, seed, &answer)?;
            // What went wrong may go on in this process.
            side = start(options, job)?;
        }
    }
    Ok(())
}

/// The calls that failed, by number, and how often.
fn failed(answer: &Answer) -> impl Iterator<Item = (usize, u64)> {
    let text = match answer {
        Answer::Record { text, .. } => text,
        Answer::Died(_) => "",
    };
    let lists = text.lines().filter_map(|line| line.strip_prefix(FAILED));
    lists.flat_map(|list| list.split(' ')).filter_map(|one| {
        let (nr, count) = one.split_once('=')?;
        Some((nr.parse().ok()?, count.parse().ok()?))
    })
}

fn report(options: &Options, side: &mut Side, seed: u64, answer: &Answer) -> Result<(), String> {
    let _ = side.ask(seed, &[]);
    let again = if side.collect()?.loses() { "" } else { " (not at the second run)" };
    let how = match options.threads {
        1 => "--one".to_owned(),
        threads => format!("--programs {threads} --threads {threads}"),
    };
    println!("WRONG{again}: conformance faults --share {} --seed {seed} {how}", options.share);
    for seed in seed..seed + u64::from(options.threads) {
        print!("{}", diff::generate::generate(seed));
    }
    match answer {
        Answer::Died(how) => println!("  died: {how}"),
        Answer::Record { text, trace } => {
            for line in text.lines().filter(|line| diff::is_loss(line)) {
                println!("  {line}");
            }
            trace.lines().take(200).for_each(|line| println!("{line}"));
        }
    }
    Ok(())
}

/// One program, with its trace.
fn one(options: &Options) -> Result<bool, String> {
    let mut program = diff::generate::generate(options.seed);
    program.drop_parts(&options.drop);
    print!("{program}");
    let mut side = start(options, 0)?;
    let _ = side.ask(options.seed, &options.drop);
    let answer = side.collect()?;
    match &answer {
        Answer::Died(how) => println!("died: {how}"),
        Answer::Record { text, trace } => println!("{trace}--- at the end\n{text}"),
    }
    Ok(!answer.loses())
}
