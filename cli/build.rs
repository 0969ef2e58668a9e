//! Builds the object that `sysring run` places in programs, for this binary to carry.

use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the object's sources are.
const SOURCES: &[&str] = &["sys", "engine", "trap", "preload", "Cargo.toml", "Cargo.lock"];

fn main() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", workspace.join(source).display());
    }
    let object = build(&workspace);
    let content = fs::read(&object).unwrap_or_else(|e| panic!("{}: {e}", object.display()));
    let mut hash = DefaultHasher::new();
    hash.write(&content);
    println!("cargo::rustc-env=SYSRING_OBJECT={}", object.display());
    println!("cargo::rustc-env=SYSRING_OBJECT_HASH={:016x}", hash.finish());
}

/// Always an optimised build, by a cargo of its own: it must not wait for the lock that the outer
/// one holds, nor see the outer one's flags.
fn build(workspace: &Path) -> PathBuf {
    let variable = |name: &str| env::var(name).unwrap_or_else(|e| panic!("{name}: {e}"));
    let target = variable("TARGET");
    let directory = Path::new(&variable("OUT_DIR")).join("object");
    let mut cargo = Command::new(variable("CARGO"));
    cargo
        .current_dir(workspace)
        .args([
            "rustc",
            "--locked",
            "--package",
            "sysring-preload",
            "--release",
            "--features",
            "object",
        ])
        .args(["--crate-type", "cdylib", "--target", &target, "--target-dir"])
        .arg(&directory)
        // Symbols stay for debuggers and profilers; line tables would only make it larger.
        .args(["--config", "profile.release.strip=\"debuginfo\""])
        .args(["--jobs", &variable("NUM_JOBS")]);
    for inherited in [
        "CARGO_BUILD_TARGET",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_MAKEFLAGS",
        "CARGO_TARGET_DIR",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTFLAGS",
    ] {
        cargo.env_remove(inherited);
    }
    let status = cargo.status().unwrap_or_else(|e| panic!("{cargo:?}: {e}"));
    assert!(status.success(), "{cargo:?}: {status}");
    directory.join(target).join("release").join("libsysring_preload.so")
}
