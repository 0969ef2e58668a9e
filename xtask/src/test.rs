//! Everything that must hold before a change lands.

use std::process::ExitCode;
use std::time::Instant;

use crate::step::{self, Outcome};
use crate::tally::Tally;

/// Runs every step, whatever the outcome of those before it.
pub fn all() -> ExitCode {
    let start = Instant::now();
    let mut total = Tally::default();

    total += step::run("format", Outcome::Status, &["cargo", "fmt", "--all", "--check"], &[]);
    total += step::run(
        "lints",
        Outcome::Status,
        &["cargo", "clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
        &[],
    );
    total += step::run(
        "lints of the static cat",
        Outcome::Status,
        &[
            "cargo",
            "clippy",
            "--package",
            "cat-static",
            "--bins",
            "--features",
            "freestanding",
            "--",
            "-D",
            "warnings",
        ],
        &[],
    );
    total += step::run(
        "documentation",
        Outcome::Status,
        &["cargo", "doc", "--no-deps", "--workspace"],
        &[("RUSTDOCFLAGS", "-D warnings")],
    );
    total += step::run("C header", Outcome::Status, &["cargo", "xtask", "header", "--check"], &[]);
    total += step::run(
        "coverage table",
        Outcome::Status,
        &["cargo", "xtask", "coverage", "--check"],
        &[],
    );
    total += step::run(
        "tests",
        Outcome::Libtest,
        &["cargo", "test", "--workspace", "--no-fail-fast", "--", "--show-output"],
        &[],
    );

    total += step::run("models", Outcome::Libtest, &["cargo", "xtask", "model"], &[]);

    total += step::run(
        "release build",
        Outcome::Status,
        &["cargo", "build", "--release", "-p", "sysring-cli", "-p", "sysring-conformance"],
        &[],
    );
    total += conformance("every field of every operation", &["fields"]);
    total += conformance("random programs", &["diff", "--programs", "100000"]);
    total += conformance("system calls that fail", &["faults", "--programs", "10000"]);
    total += conformance("soak", &["soak", "--seconds", "10"]);
    total += step::run("aarch64", Outcome::Summary, &["cargo", "xtask", "aarch64"], &[]);
    total += conformance("liburing's suite", &["suite"]);

    println!("== all steps took {} s", start.elapsed().as_secs());
    println!("{total}");
    if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A program of `conformance`, which ends with its own count.
fn conformance(name: &str, arguments: &[&str]) -> Tally {
    const RUN: &[&str] = &["cargo", "run", "--release", "-p", "sysring-conformance", "--"];
    step::run(name, Outcome::Summary, &[RUN, arguments].concat(), &[])
}
