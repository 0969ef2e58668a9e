//! Differential testing: random programs, run on the kernel and on the engine, must not differ.
//!
//! Each side is a process of its own (`conformance side`), so that a crash is a difference like
//! any other; this process asks both for the same seeds and compares what they write down.

mod conflict;
mod execute;
mod generate;
mod layout;
mod program;
mod world;

use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use crate::raw::{Backend, Engine, Kernel};
use program::{Entry, Program, Step};

/// Options of `conformance diff`.
#[derive(Args, Debug)]
pub struct Options {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
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

impl Program {
    fn entries_in_order(&self) -> impl Iterator<Item = &Entry> {
        self.steps.iter().flat_map(|step| match step {
            Step::Submit { entries, .. } => entries.as_slice(),
            _ => &[],
        })
    }
}

/// Options of `conformance side`, which `diff` starts.
#[derive(Args, Debug)]
pub struct SideOptions {
    #[arg(long, value_enum)]
    backend: Which,
    #[arg(long)]
    folder: PathBuf,
    #[arg(long)]
    disk_folder: PathBuf,
}

/// Runs the programs asked for on standard input: a line `seed drop,drop…` each. The answer is
/// two texts, each after its length.
///
/// # Errors
/// Standard input or output is gone.
pub fn side(options: &SideOptions) -> Result<bool, String> {
    prepare_process();
    world::map_arena();
    let engine;
    let backend: &dyn Backend = match options.backend {
        Which::Engine => {
            engine = Engine::new();
            &engine
        }
        Which::Kernel | Which::Run => &Kernel,
    };
    let mut output = BufWriter::new(std::io::stdout());
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|e| e.to_string())?;
        let (seed, parts) = line.split_once(' ').unwrap_or((&line, ""));
        let parts: Vec<usize> = parts.split(',').filter_map(|part| part.parse().ok()).collect();
        let mut program = generate::generate(seed.parse().map_err(|_| "no seed".to_owned())?);
        program.drop_parts(&parts);
        let folder = if program.disk { &options.disk_folder } else { &options.folder };
        let record = execute::execute(backend, &program, folder);
        for text in [record.text, record.trace] {
            output.write_all(&(text.len() as u32).to_le_bytes()).map_err(|e| e.to_string())?;
            output.write_all(text.as_bytes()).map_err(|e| e.to_string())?;
        }
        output.flush().map_err(|e| e.to_string())?;
    }
    Ok(true)
}

/// Makes the process the same on both sides: what a program opens gets the same numbers, and a
/// broken pipe is an answer, not a death.
fn prepare_process() {
    // SAFETY: takes numbers only; the numbers below `BASE` become this process's own.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        for fd in 3..world::BASE {
            if fd != null && libc::fcntl(fd, libc::F_GETFD) < 0 {
                libc::dup3(null, fd, libc::O_CLOEXEC);
            }
        }
    }
}

/// A side that says nothing for this long is stuck.
const STUCK: Duration = Duration::from_secs(30);

/// One side's process.
struct Side {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    command: Box<dyn Fn() -> Command + Send>,
}

/// What a side answered, or that it died, and of what.
#[derive(Clone, PartialEq, Eq)]
enum Answer {
    Record { text: String, trace: String },
    Died(String),
}

impl Answer {
    /// Whether something went wrong that no timing excuses.
    fn loses(&self) -> bool {
        match self {
            Answer::Died(_) => true,
            Answer::Record { text, .. } => text.contains("LOST") || text.contains("twice"),
        }
    }

    /// Whether the other side says what the kernel says. Where the kernel itself does not keep an
    /// order that its manual promises (a drained request that is refused does not wait), the other
    /// side may keep it.
    fn same(&self, other: &Answer) -> bool {
        let (Answer::Record { text: kernel, .. }, Answer::Record { text: other, .. }) =
            (self, other)
        else {
            return false;
        };
        let is_order = |line: &&str| line.starts_with("order: ");
        let all_but_order = |text: &str| !text.lines().any(|line| is_order(&line));
        if all_but_order(kernel) && all_but_order(other) {
            return kernel == other;
        }
        kernel.lines().filter(|line| !is_order(line)).eq(other.lines().filter(|l| !is_order(l)))
            && other.lines().filter(is_order).all(|line| kernel.lines().any(|l| l == line))
    }
}

impl Side {
    fn start(command: Box<dyn Fn() -> Command + Send>) -> Result<Side, String> {
        let mut child = command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|e| format!("cannot start a side: {e}"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a side has no pipes".to_owned());
        };
        Ok(Side { child, input, output: BufReader::new(output), command })
    }

    fn ask(&mut self, seed: u64, drop: &[usize]) -> std::io::Result<()> {
        let drop: Vec<String> = drop.iter().map(ToString::to_string).collect();
        writeln!(self.input, "{seed} {}", drop.join(","))
    }

    fn answer(&mut self) -> std::io::Result<(String, String)> {
        let mut texts = [String::new(), String::new()];
        for text in &mut texts {
            let mut len = [0; 4];
            self.output.read_exact(&mut len)?;
            let mut bytes = vec![0; u32::from_le_bytes(len) as usize];
            self.output.read_exact(&mut bytes)?;
            *text = String::from_utf8_lossy(&bytes).into_owned();
        }
        let [text, trace] = texts;
        Ok((text, trace))
    }

    /// Whether the answer begins to come before it must be called stuck.
    fn speaks(&self) -> bool {
        if !self.output.buffer().is_empty() {
            return true;
        }
        let fd = self.output.get_ref().as_raw_fd();
        let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry, as said.
        unsafe { libc::poll(&raw mut entry, 1, STUCK.as_millis() as i32) == 1 }
    }

    /// The answer to the oldest question; a dead or stuck side is replaced.
    fn collect(&mut self) -> Result<Answer, String> {
        let speaks = self.speaks();
        if speaks && let Ok((text, trace)) = self.answer() {
            return Ok(Answer::Record { text, trace });
        }
        self.kill();
        if !speaks {
            let command = std::mem::replace(&mut self.command, Box::new(|| Command::new("")));
            *self = Side::start(command)?;
            return Ok(Answer::Died(format!("stuck for {} s", STUCK.as_secs())));
        }
        let status = self.child.wait().map_err(|e| e.to_string())?;
        let command = std::mem::replace(&mut self.command, Box::new(|| Command::new("")));
        *self = Side::start(command)?;
        Ok(Answer::Died(status.to_string()))
    }

    fn kill(&mut self) {
        // SAFETY: takes numbers only; the group is the child's own, which is not waited for yet.
        unsafe { libc::kill(-(self.child.id() as i32), libc::SIGKILL) };
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        self.kill();
        let _ = self.child.wait();
    }
}

/// The two sides of one job.
struct Pair {
    kernel: Side,
    other: Side,
}

impl Pair {
    fn start(options: &Options, job: usize) -> Result<Pair, String> {
        let sysring = options.sysring.clone();
        let backend = options.backend;
        if backend == Which::Run && !sysring.exists() {
            return Err(format!(
                "{}: build it first, or name it with --sysring",
                sysring.display()
            ));
        }
        let kernel = Side::start(Box::new(move || side_command(Which::Kernel, None, job, "k")))?;
        let other = Side::start(Box::new(move || side_command(backend, Some(&sysring), job, "o")))?;
        Ok(Pair { kernel, other })
    }

    fn run(&mut self, seed: u64, drop: &[usize]) -> Result<(Answer, Answer), String> {
        let _ = self.kernel.ask(seed, drop);
        let _ = self.other.ask(seed, drop);
        Ok((self.kernel.collect()?, self.other.collect()?))
    }
}

fn side_command(backend: Which, sysring: Option<&Path>, job: usize, name: &str) -> Command {
    let program = std::env::current_exe().unwrap_or_default();
    let mut command = match (backend, sysring) {
        (Which::Run, Some(sysring)) => {
            let mut command = Command::new(sysring);
            command.args(["run", "--engine", "user", "--"]).arg(program);
            command
        }
        _ => Command::new(program),
    };
    let backend = if backend == Which::Engine { "engine" } else { "kernel" };
    let id = std::process::id();
    let shared = Path::new("/dev/shm");
    let fast = if shared.is_dir() { shared.to_path_buf() } else { std::env::temp_dir() };
    command.args(["side", "--backend", backend, "--folder"]);
    command.arg(fast.join(format!("sysring-diff-{id}-{job}{name}")));
    command.arg("--disk-folder");
    command.arg(crate::target_folder().join(format!("diff-{id}-{job}{name}")));
    command
}

/// Runs the comparison; whether there was no difference.
///
/// # Errors
/// What kept it from running.
pub fn diff(options: &Options) -> Result<bool, String> {
    if !crate::raw::kernel_works() {
        println!("skipped: the kernel's io_uring does not work here: nothing to compare with");
        println!("0 passed, 0 failed, 1 skipped");
        return Ok(true);
    }
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
    let (mut differences, racy) = (counts.differences.into_inner(), counts.racy.into_inner());
    let mut once = counts.once.into_inner();
    // With the machine to themselves: what differed only while others ran was late, not wrong.
    for seed in counts.again.into_inner().unwrap_or_else(|e| e.into_inner()) {
        if never_again(&mut Pair::start(options, 0)?, seed)? {
            println!("seed {seed} alone: no difference");
            differences -= 1;
            once += 1;
        }
    }
    if once > ran / SELDOM + 1 {
        println!("{once} differences that did not come again are too many to be the machine's");
        differences += once;
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{ran} programs in {seconds:.0} s ({:.0} a second); in {racy} the kernel's answers vary, \
         {once} differed once and not again",
        ran as f64 / seconds
    );
    println!("{} passed, {differences} failed, 0 skipped", ran - differences);
    Ok(differences == 0)
}

/// What the jobs count together.
#[derive(Default)]
struct Counts {
    /// Programs given out.
    next: AtomicU64,
    differences: AtomicU64,
    racy: AtomicU64,
    /// Differed, and not again in [`AGAIN`] runs.
    once: AtomicU64,
    /// Seeds that differed again, to be run once more when the machine is quiet.
    again: Mutex<Vec<u64>>,
}

/// How many programs a side is given ahead.
const AHEAD: u64 = 16;

fn work(options: &Options, job: usize, counts: &Counts) -> Result<(), String> {
    let mut pair = Pair::start(options, job)?;
    while counts.differences.load(Ordering::Relaxed) < options.most {
        let from = counts.next.fetch_add(AHEAD, Ordering::Relaxed);
        let to = (from + AHEAD).min(options.programs);
        if from >= to {
            return Ok(());
        }
        let seeds: Vec<u64> = (from..to).map(|at| options.seed + at).collect();
        for seed in &seeds {
            let _ = pair.kernel.ask(*seed, &[]);
            let _ = pair.other.ask(*seed, &[]);
        }
        let mut at = 0;
        while at < seeds.len() {
            let (a, b) = (pair.kernel.collect()?, pair.other.collect()?);
            if !a.same(&b) {
                // Both start anew: what was asked ahead is lost with the side that died.
                pair = Pair::start(options, job)?;
                if kernel_may_say(&mut pair.kernel, seeds[at], &b)? {
                    counts.racy.fetch_add(1, Ordering::Relaxed);
                } else if !b.loses() && never_again(&mut pair, seeds[at])? {
                    counts.once.fetch_add(1, Ordering::Relaxed);
                    report(options, &mut pair, seeds[at], &a, &b)?;
                } else {
                    counts.differences.fetch_add(1, Ordering::Relaxed);
                    if !b.loses() {
                        counts.again.lock().unwrap_or_else(|e| e.into_inner()).push(seeds[at]);
                    }
                    report(options, &mut pair, seeds[at], &a, &b)?;
                }
                for seed in &seeds[at + 1..] {
                    let _ = pair.kernel.ask(*seed, &[]);
                    let _ = pair.other.ask(*seed, &[]);
                }
            }
            at += 1;
        }
    }
    Ok(())
}

/// How often the kernel is asked again before an answer counts as one that it never gives.
const AGAIN: u32 = 60;

/// Whether the kernel gives this answer, too, if it is asked often enough: in one program of a
/// thousand something ends on another thread a moment earlier or later, and both are right.
fn kernel_may_say(kernel: &mut Side, seed: u64, answer: &Answer) -> Result<bool, String> {
    for _ in 0..AGAIN {
        let _ = kernel.ask(seed, &[]);
        if kernel.collect()?.same(answer) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Of this many programs one may differ once, on a machine that is busy, and never again.
const SELDOM: u64 = 20_000;

/// Whether a difference does not come again.
fn never_again(pair: &mut Pair, seed: u64) -> Result<bool, String> {
    for _ in 0..AGAIN {
        let (a, b) = pair.run(seed, &[])?;
        if !a.same(&b) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A difference, made small if it comes again, and printed.
fn report(
    options: &Options,
    pair: &mut Pair,
    seed: u64,
    first: &Answer,
    second: &Answer,
) -> Result<(), String> {
    let again = pair.run(seed, &[])?;
    let comes_again = !again.0.same(&again.1);
    let drop = if comes_again { shrink(pair, seed)? } else { Vec::new() };
    let (a, b) = if comes_again { pair.run(seed, &drop)? } else { (first.clone(), second.clone()) };
    let often = if comes_again { "" } else { " (not at the second run)" };
    let list: Vec<String> = drop.iter().map(ToString::to_string).collect();
    let mut program = generate::generate(seed);
    program.drop_parts(&drop);
    let backend = options.backend.to_possible_value().map(|v| v.get_name().to_owned());
    println!(
        "DIFFERENCE{often}: conformance diff --backend {} --seed {seed} --one --drop {}\n{program}{}",
        backend.unwrap_or_default(),
        list.join(","),
        compare(&a, &b)
    );
    Ok(())
}

/// A program is made smaller for at most this long: what is lost is waited for at each attempt.
const SHRINKING: Duration = Duration::from_secs(20);

/// Drops parts of the program while the difference remains.
fn shrink(pair: &mut Pair, seed: u64) -> Result<Vec<usize>, String> {
    let started = Instant::now();
    let mut drop = Vec::new();
    for part in generate::generate(seed).parts() {
        if started.elapsed() > SHRINKING {
            break;
        }
        drop.push(part);
        let (a, b) = pair.run(seed, &drop)?;
        let (c, d) = pair.run(seed, &drop)?;
        if a.same(&b) || c.same(&d) {
            drop.pop();
        }
    }
    Ok(drop)
}

/// The lines that are on one side only.
fn compare(a: &Answer, b: &Answer) -> String {
    let (a, b) = match (a, b) {
        (Answer::Record { text: a, .. }, Answer::Record { text: b, .. }) => (a, b),
        (Answer::Died(how), _) => return format!("  the kernel's side died: {how}\n"),
        (_, Answer::Died(how)) => return format!("  the other side died: {how}\n"),
    };
    let mut text = String::new();
    let mut rest: Vec<&str> = b.lines().collect();
    for line in a.lines() {
        match rest.iter().position(|other| *other == line) {
            Some(at) => {
                rest.remove(at);
            }
            None => text.push_str(&format!("  - kernel: {line}\n")),
        }
    }
    for line in rest {
        text.push_str(&format!("  + other:  {line}\n"));
    }
    text
}

/// One program, with a trace of both sides.
fn one(options: &Options) -> Result<bool, String> {
    let mut pair = Pair::start(options, 0)?;
    let mut program = generate::generate(options.seed);
    program.drop_parts(&options.drop);
    print!("{program}");
    let (a, b) = pair.run(options.seed, &options.drop)?;
    for (name, answer) in [("kernel", &a), ("other", &b)] {
        match answer {
            Answer::Record { trace, text } => {
                println!("--- {name}, as it ran\n{trace}--- {name}, at the end\n{text}")
            }
            Answer::Died(how) => println!("--- {name} died: {how}"),
        }
    }
    let same = a.same(&b);
    println!("{}", if same { "no difference".to_owned() } else { compare(&a, &b) });
    Ok(same)
}
