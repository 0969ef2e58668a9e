//! The model checker: a build of its own, with loom's atomics in the place of the processor's.

use std::env;
use std::process::{Command, ExitCode};

/// Builds and runs the models; the options are those of a program of tests.
pub fn check(options: &[&str]) -> ExitCode {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args([
            "test",
            "--release",
            "-p",
            "sysring-events",
            "-p",
            "sysring-protocol",
            "-p",
            "sysring-syslet",
            "--lib",
            "--target-dir",
        ])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/loom"))
        .arg("--")
        .args(options)
        .env("RUSTFLAGS", "--cfg loom")
        // It is run once: what linking again for speed would take, it does not give back.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
