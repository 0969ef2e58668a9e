//! Many programs, several at once: each is compared for itself.

use std::sync::atomic::Ordering;

use super::pair::{Answer, Pair};
use super::report::compare;
use super::side::NEXT;
use super::work::{AGAIN, Counts};
use super::{Options, generate};

/// The answers of the programs of a group, and what they have opened together; one where the side
/// died.
fn parts(answer: &Answer) -> Vec<Answer> {
    match answer {
        Answer::Died(_) => vec![answer.clone()],
        Answer::Record { text, .. } => {
            let one = |text: &str| Answer::Record { text: text.to_owned(), trace: String::new() };
            text.split(NEXT).map(one).collect()
        }
    }
}

pub(super) fn work(options: &Options, job: usize, counts: &Counts) -> Result<(), String> {
    let mut pair = Pair::start(options, job)?;
    let step = u64::from(options.threads);
    while counts.differences.load(Ordering::Relaxed) < options.most {
        let from = counts.next.fetch_add(step, Ordering::Relaxed);
        if from >= options.programs {
            break;
        }
        let seed = counts.first + from;
        let (a, b) = pair.run_first(seed, &[])?;
        if same(&a, &b).is_empty() {
            continue;
        }
        if matches!((&a, &b), (Answer::Died(_), _) | (_, Answer::Died(_))) || b.loses() {
            pair = Pair::start(options, job)?;
        }
        judge(options, &mut pair, seed, &a, &b, counts)?;
    }
    Ok(())
}

/// The numbers of those that are not the same on both sides.
fn same(a: &Answer, b: &Answer) -> Vec<usize> {
    let (a, b) = (parts(a), parts(b));
    let count = a.len().max(b.len());
    let same = |at: usize| matches!((a.get(at), b.get(at)), (Some(a), Some(b)) if a.same(b));
    (0..count).filter(|at| !same(*at)).collect()
}

/// Whether the kernel says the same if it is asked often enough, or the other side if it is.
fn judge(
    options: &Options,
    pair: &mut Pair,
    seed: u64,
    a: &Answer,
    b: &Answer,
    counts: &Counts,
) -> Result<(), String> {
    let mut left = same(a, b);
    let wanted = parts(b);
    let mut racy = false;
    for _ in 0..AGAIN {
        let _ = pair.kernel.ask_again(seed, &[]);
        let says = parts(&pair.kernel.collect()?);
        let before = left.len();
        left.retain(
            |at| !matches!((says.get(*at), wanted.get(*at)), (Some(a), Some(b)) if a.same(b)),
        );
        racy |= left.len() < before;
        if left.is_empty() {
            counts.racy.fetch_add(u64::from(racy), Ordering::Relaxed);
            return Ok(());
        }
    }
    let mut again = Vec::new();
    for _ in 0..AGAIN / 2 {
        let (a, b) = pair.run(seed, &[])?;
        again = same(&a, &b).into_iter().filter(|at| left.contains(at)).collect();
        if !again.is_empty() {
            break;
        }
    }
    if again.is_empty() && !b.loses() {
        counts.differed_once(seed);
    } else {
        counts.differences.fetch_add(1, Ordering::Relaxed);
    }
    let often = if again.is_empty() { " (not again)" } else { "" };
    println!("DIFFERENCE{often}: conformance diff --threads {} --seed {seed}", options.threads);
    let (a, b) = (parts(a), parts(b));
    for at in left {
        let (Some(a), Some(b)) = (a.get(at), b.get(at)) else { continue };
        if at < usize::from(options.threads) {
            print!("{}", generate::generate(seed + at as u64));
        }
        println!("{}", compare(a, b));
    }
    if let (Some(a @ Answer::Died(_)), Some(b)) | (Some(a), Some(b @ Answer::Died(_))) =
        (a.first(), b.first())
    {
        println!("{}", compare(a, b));
    }
    Ok(())
}
