//! liburing's own test suite, on the kernel and under `sysring run`.

pub mod expect;
mod network;
mod report;
mod run;
mod source;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::{Args, ValueEnum};

use crate::refuse::Refusal;
use expect::{Expected, Verdict, agrees};
use run::{LIMIT, Outcome, PATIENCE, Runner};
use source::Trouble;

/// Options of `conformance suite`.
#[derive(Args, Debug)]
pub struct Options {
    /// Only these tests, by name, separated by commas.
    #[arg(long, value_delimiter = ',')]
    tests: Vec<String>,
    /// What serves io_uring
    #[arg(long, value_enum, default_value = "run")]
    runner: Which,
    /// How the machine refuses io_uring to `run` and `library-user`.
    #[arg(long, value_enum, default_value = "eperm")]
    refusal: Refusal,
    /// Tests at a time.
    #[arg(long, default_value_t = 4)]
    jobs: usize,
    /// A liburing tree, configured and built, instead of the one apt can fetch.
    #[arg(long, value_name = "FOLDER")]
    source: Option<PathBuf>,
    /// The folder with sysring's liburing.a, as `cargo xtask install --prefix DIR` makes DIR/lib.
    #[arg(long, value_name = "FOLDER", required_if_eq_any = [("runner", "library-kernel"), ("runner", "library-user")])]
    library: Option<PathBuf>,
    /// The list of expected results, instead of the one that belongs to the runner.
    #[arg(long, value_name = "FILE")]
    expected: Option<PathBuf>,
    /// Print each result in the form of that list, to start or renew it.
    #[arg(long)]
    list: bool,
    /// The `sysring` program.
    #[arg(long, value_name = "PROGRAM", default_value_os_t = crate::sysring_program())]
    sysring: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    /// The kernel's io_uring, for reference.
    Kernel,
    /// `sysring run --engine user`, with io_uring refused.
    Run,
    /// sysring's liburing, which the tests are linked with, and the kernel's io_uring.
    LibraryKernel,
    /// sysring's liburing and its engine, with io_uring refused.
    LibraryUser,
}

impl Which {
    /// The list of what is expected of it; none for what the others are measured by.
    fn list(self) -> Option<PathBuf> {
        let name = match self {
            Which::Kernel => return None,
            Which::Run => "liburing.expected",
            Which::LibraryKernel => "library-kernel.expected",
            Which::LibraryUser => "library.expected",
        };
        Some(Path::new(env!("CARGO_MANIFEST_DIR")).join(name))
    }

    fn is_library(self) -> bool {
        matches!(self, Which::LibraryKernel | Which::LibraryUser)
    }
}

/// Tests that take many seconds whoever serves them, the longest first: started before the rest,
/// so that the whole takes little longer than they do.
const SLOW: [&str; 13] = [
    "send-zerocopy",
    "multicqes_drain",
    "cq-overflow",
    "pollfree",
    "wait-timeout",
    "accept-mshot-stress",
    "poll-race-mshot",
    "poll-race",
    "cancel-race",
    "timeout",
    "recv-multishot",
    "iopoll",
    "poll-mshot-race",
];

/// Tests that measure time or count threads and fail beside a busy neighbour: run at the end,
/// one at a time. (`read-mshot` writes to a pipe every millisecond a thousand times, and each must have
/// been read before the next: in the kernel who writes reads it, too, in the engine another thread does.)
const ALONE: [&str; 6] =
    ["io-wq-unused-exit", "min-timeout-wait", "min-timeout", "iowait", "wq-aff", "read-mshot"];

/// Runs the suite; whether everything was as expected.
///
/// # Errors
/// What kept the suite from running at all.
pub fn suite(options: &Options) -> Result<bool, String> {
    let cache = crate::target_folder().join("liburing");
    let folder = match &options.source {
        Some(tree) => {
            fs::canonicalize(tree).map_err(|e| format!("{}: {e}", tree.display()))?.join("test")
        }
        None => match source::tests(&cache) {
            Ok(folder) => folder,
            Err(Trouble::NotHere(why)) => {
                println!("skipped: liburing's suite: {why}\n0 passed, 0 failed, 1 skipped");
                return Ok(true);
            }
            Err(Trouble::Failed(why)) => return Err(why),
        },
    };
    let original = folder.clone();
    let folder = match &options.library {
        Some(library) if options.runner.is_library() => source::linked(&folder, library, &cache)?,
        _ => folder,
    };
    let runner = match options.runner {
        Which::Kernel => Runner::Kernel,
        Which::LibraryKernel => Runner::Library("kernel", None),
        Which::LibraryUser => Runner::Library("user", Some(options.refusal)),
        Which::Run => Runner::Run(
            fs::canonicalize(&options.sysring).map_err(|e| {
                format!(
                    "{}: {e}; build it first, or name it with --sysring",
                    options.sysring.display()
                )
            })?,
            options.refusal,
        ),
    };
    let list = options.expected.clone().or_else(|| options.runner.list());
    let mut expected = match &list {
        Some(list) if !options.list => expectations(list)?,
        _ => BTreeMap::new(),
    };
    let (together, alone) = plan(&folder, &options.tests)?;
    let scratch = cache.join("scratch");
    fs::create_dir_all(&scratch).map_err(|e| e.to_string())?;
    ask_the_kernel(&mut expected, &together, &original, &scratch);
    // What may end either way is wanted to pass, and no surprise if it does not.
    let as_wanted = |outcome: &Outcome| {
        let wanted = expected.get(&outcome.name);
        let varies = wanted.is_some_and(|wanted| wanted.varies);
        agrees(wanted, outcome.verdict) && (!varies || outcome.verdict == Verdict::Pass)
    };

    let mut outcomes = run_all(&together, &runner, &scratch, options.jobs, &as_wanted);
    outcomes.extend(run_all(&alone, &runner, &scratch, 1, &as_wanted));
    outcomes.sort_by(|a, b| a.name.cmp(&b.name));
    if options.list {
        print_list(&outcomes);
    }
    if list.is_none() || options.list {
        return report::tell_all(&outcomes);
    }
    if !options.tests.is_empty() {
        expected.retain(|name, _| options.tests.contains(name));
    }
    Ok(report::judge(&outcomes, &expected))
}

/// What depends on the machine is expected to end as it does on the kernel's io_uring, linked with
/// liburing's own library. Where that is refused nothing is known of it: it may end either way, is
/// counted as passed if it does pass and as skipped if not, and must not hang.
fn ask_the_kernel(
    expected: &mut BTreeMap<String, Expected>,
    tests: &[PathBuf],
    original: &Path,
    scratch: &Path,
) {
    let works = crate::raw::kernel_works();
    for test in tests {
        let name = stem(test);
        let Some(wanted) = expected.get_mut(&name).filter(|wanted| wanted.as_kernel) else {
            continue;
        };
        if works {
            let test = original.join(test.file_name().unwrap_or_default());
            wanted.verdict = run::run(&test, &Runner::Kernel, scratch, LIMIT).verdict;
            println!("on the kernel: {name:<17} {}", wanted.verdict);
        } else {
            wanted.varies = true;
            println!("{name} may end as it likes: the kernel's io_uring cannot be asked here");
        }
    }
}

fn expectations(path: &Path) -> Result<BTreeMap<String, Expected>, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    expect::parse(&text).map_err(|e| format!("{}: {e}", path.display()))
}

/// The tests to run: those that may run side by side, and those that may not.
fn plan(folder: &Path, chosen: &[String]) -> Result<(Vec<PathBuf>, Vec<PathBuf>), String> {
    let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut tests: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "t"))
        .filter(|path| chosen.is_empty() || chosen.contains(&stem(path)))
        .collect();
    if let Some(missing) = chosen.iter().find(|name| tests.iter().all(|test| stem(test) != **name))
    {
        return Err(format!("there is no test {missing} in {}", folder.display()));
    }
    let rank =
        |path: &PathBuf| SLOW.iter().position(|slow| *slow == stem(path)).unwrap_or(SLOW.len());
    tests.sort_by_key(|path| (rank(path), stem(path)));
    Ok(tests.into_iter().partition(|path| !ALONE.contains(&stem(path).as_str())))
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// How often a test is run again, alone, that did not end as wanted.
const AGAIN: usize = 2;

/// Runs tests on `jobs` threads. A result that is not as wanted gets quiet runs at the end: the suite
/// has tests that measure time, and a machine has other things to do. All runs are told, and one that
/// went well at last is counted apart.
fn run_all(
    tests: &[PathBuf],
    runner: &Runner,
    scratch: &Path,
    jobs: usize,
    as_wanted: &(dyn Fn(&Outcome) -> bool + Sync),
) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while let Some(test) = tests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // The first of them computes for a minute, on the kernel, too.
                    let slow = SLOW.contains(&stem(test).as_str());
                    let limit = if slow { PATIENCE } else { LIMIT };
                    let outcome = run::run(test, runner, scratch, limit);
                    tell(&outcome);
                    done.lock().unwrap_or_else(|e| e.into_inner()).push(outcome);
                }
            });
        }
    });
    let outcomes = done.into_inner().unwrap_or_else(|e| e.into_inner());
    outcomes
        .into_iter()
        .map(|mut outcome| {
            let path = tests.iter().find(|test| stem(test) == outcome.name);
            let Some(path) = path else { return outcome };
            for _ in 0..AGAIN {
                if as_wanted(&outcome) {
                    break;
                }
                let mut before = std::mem::take(&mut outcome.before);
                before.push(outcome.verdict);
                outcome = Outcome { before, ..run::run(path, runner, scratch, PATIENCE) };
                println!("again, alone: {:<30} {}", outcome.name, outcome.verdict);
            }
            outcome
        })
        .collect()
}

fn tell(outcome: &Outcome) {
    let seconds = outcome.time.as_secs_f64();
    println!("{:<32} {} {seconds:6.1} s  {}", outcome.name, outcome.verdict, outcome.note);
}

fn print_list(outcomes: &[Outcome]) {
    for outcome in outcomes {
        let word = if outcome.verdict == Verdict::Hang { Verdict::Fail } else { outcome.verdict };
        println!("LIST {:<28} {word} {}", outcome.name, outcome.note);
    }
}
