//! A difference, made small and printed.

use std::time::{Duration, Instant};

use clap::ValueEnum;

use super::pair::{Answer, Pair};
use super::{Options, generate};

/// A difference, made small if it comes again, and printed.
pub(super) fn report(
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
pub(super) fn compare(a: &Answer, b: &Answer) -> String {
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
pub(super) fn one(options: &Options) -> Result<bool, String> {
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
