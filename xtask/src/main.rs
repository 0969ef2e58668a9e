//! The project's own chores, run as `cargo xtask CHORE`.

mod aarch64;
mod coverage;
mod emulated;
mod files;
mod fuzz;
mod gvisor;
mod header;
mod install;
mod lanes;
mod libtest;
mod model;
mod on_time;
mod prerequisites;
mod report;
mod step;
mod switched_off;
mod tally;
mod test;

use std::path::Path;
use std::process::ExitCode;

const HELP: &str = "\
usage: cargo xtask CHORE

chores:
  test [--allow-missing]   install what the tests need (as root, through apt; otherwise say what
                           to install), then run every check and every test
  prerequisites            only the first half of that
  install [--without-engine] --prefix DIR
                           build liburing.so.2, liburing-ffi.so.2, libsysring.so.0 and their static
                           twins, and place them in DIR/lib
  aarch64                  run the tests on aarch64, which QEMU emulates
  switched-off             run programs on a kernel with kernel.io_uring_disabled, which QEMU emulates
  fuzz TARGET SECONDS      look for inputs that do harm (targets: fuzz/fuzz_targets; needs g++)
  model [-- OPTIONS]       check the protocols of events and syslets in every interleaving; how
                           deep, says LOOM_MAX_PREEMPTIONS (2); the options are those of tests
  header [--check]         write sysring.h from the C API's source, or tell whether it is up to date
  coverage [--check]       write docs/coverage.md and docs/calls.md from the engine's tables, or
                           tell whether they are up to date

--allow-missing goes on without the tools that are not installed: the tests that need them say so
and count as skipped.

exit status: 0 everything passed, 1 something failed, 2 wrong usage or something is not installed
";

/// Wrong usage, or a machine that lacks something: nothing was tested.
const UNABLE: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["test"] => match prerequisites::provide() {
            Ok(()) => test::all(),
            Err(missing) => unable(&missing),
        },
        ["test", "--allow-missing"] => {
            if let Err(missing) = prerequisites::provide() {
                eprintln!("{missing}");
            }
            test::all()
        }
        ["prerequisites"] => match prerequisites::provide() {
            Ok(()) => ExitCode::SUCCESS,
            Err(missing) => unable(&missing),
        },
        ["install", "--prefix", prefix] => installed(install::install(Path::new(prefix), true)),
        ["install", "--without-engine", "--prefix", prefix] => {
            installed(install::install(Path::new(prefix), false))
        }
        ["install", ..] => unable("usage: cargo xtask install [--without-engine] --prefix DIR"),
        ["model"] => model::check(&[]),
        ["model", "--", options @ ..] => model::check(options),
        ["header"] => match header::write() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => unable(&format!("sysring.h could not be written: {error}")),
        },
        ["header", "--check"] if header::is_current() => ExitCode::SUCCESS,
        ["header", "--check"] => {
            eprintln!("sysring.h is not what the C API has; run: cargo xtask header");
            ExitCode::FAILURE
        }
        ["fuzz", target, seconds] => fuzz::search(target, seconds),
        ["aarch64"] => aarch64::run(),
        ["switched-off"] => switched_off::run(),
        ["coverage"] => match coverage::write() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                unable(&format!("docs/coverage.md, docs/calls.md could not be written: {error}"))
            }
        },
        ["coverage", "--check"] if coverage::is_current() => ExitCode::SUCCESS,
        ["coverage", "--check"] => {
            eprintln!(
                "docs/coverage.md or docs/calls.md is not what the engine has; run: cargo xtask coverage"
            );
            ExitCode::FAILURE
        }
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        _ => unable(HELP),
    }
}

fn installed(outcome: Result<(), String>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn unable(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::from(UNABLE)
}
