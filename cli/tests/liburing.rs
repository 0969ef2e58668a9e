//! Programs on this project's liburing under `sysring run`: one engine, and no trap on the way.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{SYSRING, Scratch, assert_code, stderr, stdout};

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Where `cargo xtask install` has put the libraries.
fn libraries() -> PathBuf {
    let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join("liburing");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--quiet", "--package", "xtask", "--", "install", "--prefix"]);
    let output = cargo.arg(&prefix).current_dir(WORKSPACE).output().expect("cargo starts");
    assert_code(&output, 0);
    prefix.join("lib")
}

#[test]
fn the_engine_is_called_and_not_trapped() {
    if !Path::new("/usr/include/liburing.h").exists() {
        println!("skipped: liburing's headers (liburing-dev) are not installed");
        return;
    }
    if Command::new("strace").arg("-V").output().is_err() {
        println!("skipped: strace is not installed");
        return;
    }
    let scratch = Scratch::new();
    let libraries = libraries();
    let program = scratch.path().join("files");
    let mut gcc = Command::new("gcc");
    gcc.arg("-o").arg(&program).arg(Path::new(WORKSPACE).join("liburing/tests/programs/files.c"));
    assert_code(&gcc.arg(libraries.join("liburing.so")).output().expect("gcc starts"), 0);

    let trace = scratch.path().join("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-e", "trace=io_uring_setup,io_uring_enter", "-e", "signal=none", "-o"]);
    strace.arg(&trace).args([SYSRING, "run", "--engine", "user", "--stats", "--"]).arg(&program);
    let output = strace.env("LD_LIBRARY_PATH", &libraries).output().expect("strace starts");
    assert_code(&output, 0);
    assert_eq!(stdout(&output), "user: sysring run serves this process\n");

    // Two rings, made by system calls; everything else went to the same engine without one.
    let trace = fs::read_to_string(&trace).expect("a trace");
    assert!(trace.contains("io_uring_setup(16"), "{trace}");
    assert!(!trace.contains("io_uring_enter("), "{trace}");
    let said = stderr(&output);
    let submitted = said.lines().find(|line| line.contains("requests submitted"));
    let submitted = submitted.and_then(|line| line.split_whitespace().last());
    assert!(submitted.is_some_and(|n| n.parse().is_ok_and(|n: u32| n > 100)), "{said}");
}
