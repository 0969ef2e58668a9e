//! Looks for inputs that do harm: a build of its own, that tells the fuzzer which way it went.

use std::path::Path;
use std::process::{Command, ExitCode};

/// What has LLVM count edges and hand over comparisons, on a stable compiler.
const COVERAGE: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=3 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    --cfg fuzzing -Ccodegen-units=1";

/// Runs a target for so many seconds. What is found lies in `target/fuzz/found`; the input that ended
/// the process, beside it, as `TARGET-last`.
pub fn search(target: &str, seconds: &str) -> ExitCode {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = workspace.join("target/fuzz");
    let found = folder.join("found").join(target);
    if let Err(e) = std::fs::create_dir_all(&found) {
        eprintln!("{}: {e}", found.display());
        return ExitCode::FAILURE;
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["run", "--quiet", "-p", "sysring-fuzz", "--features", "search", "--bin", target])
        // A target of its own: otherwise build scripts would be instrumented, too.
        .args(["--target", &format!("{}-unknown-linux-gnu", std::env::consts::ARCH)])
        .arg("--target-dir")
        .arg(&folder)
        .args(["--", "-timeout=20", "-max_len=4096", "-rss_limit_mb=4096"])
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/{target}-", folder.display()))
        .arg(&found)
        .arg(workspace.join("fuzz/corpus").join(target))
        .env("SYSRING_FUZZ_LAST", folder.join(format!("{target}-last")))
        .env("RUSTFLAGS", COVERAGE)
        // Fast, and with every check.
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "2");
    match cargo.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
