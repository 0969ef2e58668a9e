//! Everything that must hold before a change lands.

use std::process::ExitCode;
use std::time::Instant;

use crate::report::Report;
use crate::step::Outcome::{self, Libtest, Status, Summary};
use crate::step::Step;
use crate::{aarch64, gvisor, switched_off};

/// Some of each kind, that take no time.
const ON_LINUX_5_4: [&str; 25] = [
    "accept",
    "bind-listen",
    "connect",
    "eventfd",
    "fallocate",
    "fsync",
    "futex",
    "link",
    "mkdir",
    "msg-ring",
    "nop",
    "open-close",
    "openat2",
    "personality",
    "pipe",
    "recv-multishot",
    "rename",
    "send_recv",
    "socket",
    "splice",
    "sqpoll-sleep",
    "statx",
    "unlink",
    "waitid",
    "xattr",
];

/// Runs every step, whatever the outcome of those before it.
pub fn all() -> ExitCode {
    let start = Instant::now();
    let mut total = Report::default();
    let mut step = |name, outcome, command: &str, environment: &[(&str, &str)]| {
        total += run(name, outcome, command, environment);
    };

    step("format", Status, "cargo fmt --all --check", &[]);
    step("lints", Status, "cargo clippy --workspace --all-targets -- -D warnings", &[]);
    step(
        "lints of the static cat",
        Status,
        "cargo clippy --package cat-static --bins --features freestanding -- -D warnings",
        &[],
    );
    for (name, features) in [
        ("documentation of sysring without features", ""),
        ("documentation of sysring with std alone", "--features std"),
        ("documentation of sysring with engine alone", "--features engine"),
        ("documentation of sysring with all features", "--features std,engine,stream,syslet"),
    ] {
        let command = format!("cargo doc --no-deps -p sysring --no-default-features {features}");
        step(name, Status, &command, &[("RUSTDOCFLAGS", "-D warnings")]);
    }
    step(
        "documentation",
        Status,
        "cargo doc --no-deps --workspace",
        &[("RUSTDOCFLAGS", "-D warnings")],
    );
    // Behind the library of its name: two who write to one place at once fail now and then.
    step(
        "documentation of the command",
        Status,
        "cargo rustdoc -p sysring-cli --bin sysring",
        &[("RUSTDOCFLAGS", "-D warnings")],
    );
    step("C header", Status, "cargo xtask header --check", &[]);
    step("coverage table", Status, "cargo xtask coverage --check", &[]);
    step(
        "release build",
        Status,
        "cargo build --release -p sysring-cli -p sysring-conformance",
        &[],
    );

    let mut conformance = |name, arguments: &str| {
        const PROGRAM: &str = "cargo run --release -p sysring-conformance --";
        step(name, Summary, &format!("{PROGRAM} {arguments}"), &[]);
    };
    conformance("every field of every operation", "fields");
    conformance("random programs", "diff --programs 100000");
    conformance("random programs, eight at once", "diff --threads 8 --programs 20000");
    conformance("random programs, through the trap", "diff --backend run --programs 3000");
    conformance("system calls that fail", "faults --programs 10000");
    conformance("system calls that fail, eight at once", "faults --threads 8 --programs 4000");
    conformance("soak", "soak --seconds 10");
    conformance("liburing's suite", "suite");
    // Without any call that came later: what the engine does in their place.
    let old = format!(
        "cargo run --release -p sysring-cli -- refuse --profile linux-5.4 -- cargo run --release \
         -p sysring-conformance -- suite --tests {}",
        ON_LINUX_5_4.join(",")
    );
    step("liburing's suite with the calls of Linux 5.4", Summary, &old, &[]);

    // Behind the suite, which has fetched the liburing that some of them compare with.
    step("tests", Libtest, "cargo test --workspace --no-fail-fast -- --show-output", &[]);
    // What the compiler makes of unsafe code shows when it optimises. It is run once: what linking
    // again for speed would take, it does not give back.
    step(
        "tests of scopes, optimised",
        Libtest,
        "cargo test --release --target-dir target/optimised -p sysring-syslet --tests \
         --no-fail-fast -- --show-output",
        &[("CARGO_PROFILE_RELEASE_LTO", "off"), ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")],
    );
    step("models", Libtest, "cargo xtask model --", &[]);

    total += gvisor::report();
    total += switched_off::report();
    total += aarch64::report();

    println!("== all steps took {} s", start.elapsed().as_secs());
    println!("{total}");
    if total.tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(name: &str, outcome: Outcome, command: &str, environment: &[(&str, &str)]) -> Report {
    let command: Vec<&str> = command.split_whitespace().collect();
    Step { name, outcome, command: &command, environment }.run()
}
