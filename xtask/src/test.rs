//! Everything that must hold before a change lands.

use std::env;
use std::iter;
use std::process::ExitCode;
use std::time::Instant;

use crate::files::target_directory;
use crate::lanes::beside;
use crate::report::Report;
use crate::step::{Outcome, Step, watch};
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

/// Steps that run one after the other.
type Lane = &'static [fn() -> Report];

/// What runs beside what: the two lanes of a row, and no two rows. Where the second lane is empty,
/// nothing disturbs the first.
const ROWS: [(Lane, Lane); 5] = [
    // Cargo has a lock for each profile: these do not wait for each other. To link for speed takes
    // one processor, for most of the time.
    (&[written], &[built, models]),
    // Each leaves a processor idle, and neither rests on time: one compares, a program after the
    // other, and waits for them; machines are emulated in the other.
    (&[compared], &[aarch64::report]),
    // This asks what happens where there are more threads than processors.
    (&[under_load], &[]),
    // The suite asks how long something took, and sleeps most of the time. What is beside it gets
    // what is left, and makes nothing late.
    (&[suite], &[tests_built]),
    // Some tests rest on time. Behind the suite, which has fetched the liburing that others compare
    // with; so has the suite in gVisor its programs from there.
    (&[tests, gvisor::report, switched_off::report], &[]),
];

/// Runs every step, whatever the outcome of those before it.
pub fn all() -> ExitCode {
    let start = Instant::now();
    let mut total = Report::default();
    for (first, second) in ROWS {
        let (here, there) = beside(|| run(first), || run(second));
        total += here + there;
    }

    println!("== all steps took {} s", start.elapsed().as_secs());
    println!("{total}");
    if total.tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(lane: Lane) -> Report {
    lane.iter().fold(Report::default(), |report, steps| report + steps())
}

/// What can be said without running anything of it.
fn written() -> Report {
    const NO_WARNINGS: [(&str, &str); 1] = [("RUSTDOCFLAGS", "-D warnings")];

    let mut report = Report::default();
    report += check("format", "cargo fmt --all --check", &[]);
    report += check("lints", "cargo clippy --workspace --all-targets -- -D warnings", &[]);
    report += check(
        "lints of the static cat",
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
        report += check(name, &command, &NO_WARNINGS);
    }
    report += check("documentation", "cargo doc --no-deps --workspace", &NO_WARNINGS);
    // Behind the library of its name: two who write to one place at once fail now and then.
    // Of the workspace: with its package alone, libraries have other features, and are built again.
    report += check(
        "documentation of the command",
        "cargo doc --no-deps --workspace --bin sysring",
        &NO_WARNINGS,
    );
    report += check("C header", "cargo xtask header --check", &[]);
    report += check("coverage table", "cargo xtask coverage --check", &[]);
    report
}

/// The two programs that the steps behind it run.
fn built() -> Report {
    let command = "cargo build --release -p sysring-cli -p sysring-conformance";
    check("release build", command, &[])
}

/// The engine beside the kernel, one program after the other.
fn compared() -> Report {
    let mut report = conformance("every field of every operation", "fields");
    report += conformance("random programs", "diff --programs 100000");
    report +=
        conformance("random programs, through the trap", "diff --backend run --programs 3000");
    report += conformance("system calls that fail", "faults --programs 10000");
    report
}

/// The same with more threads than there are processors.
fn under_load() -> Report {
    let mut report =
        conformance("random programs, eight at once", "diff --threads 8 --programs 20000");
    report +=
        conformance("system calls that fail, eight at once", "faults --threads 8 --programs 4000");
    report += conformance("soak", "soak --seconds 10");
    report
}

fn suite() -> Report {
    let mut report = conformance("liburing's suite", "suite");
    // Without any call that came later: what the engine does in their place.
    let (sysring, conformance) = (program("sysring"), program("conformance"));
    let tests = ON_LINUX_5_4.join(",");
    let command = [
        &sysring,
        "refuse",
        "--profile",
        "linux-5.4",
        "--",
        &conformance,
        "suite",
        "--tests",
        &tests,
    ];
    let name = "liburing's suite with the calls of Linux 5.4";
    report += Step { name, outcome: Outcome::Summary, command: &command, environment: &[] }.run();
    report
}

/// What debuggers know of variables takes a sixth of the time that it takes to build tests.
const TESTS_PROFILE: [(&str, &str); 1] = [("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")];

/// Builds what [`tests`] runs, and the libraries that some of them install, where nobody else wants the
/// processor. It counts for nothing: what does not build fails there.
fn tests_built() -> Report {
    const IDLY: [&str; 4] = ["chrt", "--idle", "0", "cargo"];

    let prefix = target_directory().join("tests-prefix").display().to_string();
    let tests = ["test", "--workspace", "--no-run"];
    let libraries = ["xtask", "install", "--prefix", &prefix];
    watch("tests, built", &[&IDLY[..], &tests].concat(), &TESTS_PROFILE, |_| true);
    watch("libraries, built", &[&IDLY[..], &libraries].concat(), &TESTS_PROFILE, |_| true);
    Report::default()
}

fn tests() -> Report {
    let command = "cargo test --workspace --no-fail-fast -- --show-output";
    let mut report = cargo_test("tests", command, &TESTS_PROFILE);
    // What the compiler makes of unsafe code shows when it optimises. It is run once: what linking
    // again for speed would take, it does not give back.
    report += cargo_test(
        "tests of scopes, optimised",
        "cargo test --release --target-dir target/optimised -p sysring-syslet --tests \
         --no-fail-fast -- --show-output",
        &[("CARGO_PROFILE_RELEASE_LTO", "off"), ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")],
    );
    report
}

fn models() -> Report {
    // Not by cargo, which would wait for those who build with the profile that this was built with.
    let program = env::current_exe().map_or_else(|_| "xtask".into(), |p| p.display().to_string());
    let command = [&*program, "model", "--"];
    Step { name: "models", outcome: Outcome::Libtest, command: &command, environment: &[] }.run()
}

fn check(name: &str, command: &str, environment: &[(&str, &str)]) -> Report {
    let command: Vec<&str> = command.split_whitespace().collect();
    Step { name, outcome: Outcome::Status, command: &command, environment }.run()
}

fn cargo_test(name: &str, command: &str, environment: &[(&str, &str)]) -> Report {
    let command: Vec<&str> = command.split_whitespace().collect();
    Step { name, outcome: Outcome::Libtest, command: &command, environment }.run()
}

fn conformance(name: &str, arguments: &str) -> Report {
    let program = program("conformance");
    let command: Vec<&str> = iter::once(&*program).chain(arguments.split_whitespace()).collect();
    Step { name, outcome: Outcome::Summary, command: &command, environment: &[] }.run()
}

/// Where [`built`] has put one. By `cargo run` it would be built again, with what it alone asks for of
/// the engine.
fn program(name: &str) -> String {
    target_directory().join("release").join(name).display().to_string()
}
