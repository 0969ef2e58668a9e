//! Many programs: who differs, and whether it counts.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::pair::{Answer, Pair, Side};
use super::report::{one, report};
use super::{Options, together};
use crate::closing::closing;

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
    let first = if options.fresh { fresh() } else { options.seed };
    if options.fresh {
        println!("seeds from {first}");
    }
    let started = Instant::now();
    let counts = Counts { first, ..Counts::default() };
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
    let mut once = counts.once.into_inner().unwrap_or_else(|e| e.into_inner());
    // With the machine to themselves: what differed only while others ran was late, not wrong.
    for seed in counts.again.into_inner().unwrap_or_else(|e| e.into_inner()) {
        if never_again(&mut Pair::start(options, 0)?, seed)? {
            println!("seed {seed} alone: no difference");
            differences -= 1;
            once.push(seed);
        }
    }
    let mut later = Vec::new();
    if are_seldom(once.len() as u64, ran) {
        later.extend(once.iter().map(|seed| format!("seed {seed}, which differed once")));
    } else {
        println!("{} differences that did not come again are too many", once.len());
        differences += once.len() as u64;
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{ran} programs in {seconds:.0} s ({:.0} a second); in {racy} the kernel's answers vary",
        ran as f64 / seconds
    );
    let passed = ran.saturating_sub(differences + later.len() as u64);
    println!("{}", closing(passed, differences, 0, &later));
    Ok(differences == 0)
}

/// Whether so many differences that did not come again may be a busy machine's.
fn are_seldom(once: u64, ran: u64) -> bool {
    once <= ran / SELDOM + 1
}

/// A first seed that nobody has tried: runs begin a second apart or more, and none has a million
/// programs a second.
fn fresh() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() * 1_000_000
}

/// What the jobs count together.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) first: u64,
    /// Programs given out.
    pub(super) next: AtomicU64,
    pub(super) differences: AtomicU64,
    pub(super) racy: AtomicU64,
    /// Differed, and not again in [`AGAIN`] runs.
    pub(super) once: Mutex<Vec<u64>>,
    /// Seeds that differed again, to be run once more when the machine is quiet.
    again: Mutex<Vec<u64>>,
}

impl Counts {
    pub(super) fn differed_once(&self, seed: u64) {
        self.once.lock().unwrap_or_else(|e| e.into_inner()).push(seed);
    }
}

/// How many programs a side is given ahead.
const AHEAD: u64 = 16;

fn work(options: &Options, job: usize, counts: &Counts) -> Result<(), String> {
    if options.threads > 1 {
        return together::work(options, job, counts);
    }
    let mut pair = Pair::start(options, job)?;
    while counts.differences.load(Ordering::Relaxed) < options.most {
        let from = counts.next.fetch_add(AHEAD, Ordering::Relaxed);
        let to = (from + AHEAD).min(options.programs);
        if from >= to {
            return Ok(());
        }
        let seeds: Vec<u64> = (from..to).map(|at| counts.first + at).collect();
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
                    counts.differed_once(seeds[at]);
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
pub(super) const AGAIN: u32 = 60;

/// Whether the kernel gives this answer, too, if it is asked often enough: in one program of a
/// thousand something ends on another thread a moment earlier or later, and both are right.
fn kernel_may_say(kernel: &mut Side, seed: u64, answer: &Answer) -> Result<bool, String> {
    for _ in 0..AGAIN {
        let _ = kernel.ask_again(seed, &[]);
        if kernel.collect()?.same(answer) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Of this many programs one may differ once, on a machine that is busy, and never again.
const SELDOM: u64 = 10_000;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_once_is_seldom_or_counts() {
        assert!(are_seldom(1, 3000));
        assert!(!are_seldom(2, 3000));
        assert!(are_seldom(11, 100_000));
        assert!(!are_seldom(12, 100_000));
    }

    #[test]
    fn fresh_seeds_lie_behind_those_of_before() {
        // Those that the step of CI tries, and a hundred runs of a million.
        assert!(fresh() > 200_000_000);
    }
}
