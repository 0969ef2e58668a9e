//! Builds the object that `sysring run` places in programs, for this binary to carry.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    // Asked now and not when this was compiled: it may have been elsewhere.
    let package = env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let workspace = fs::canonicalize(Path::new(&package).join(".."))
        .unwrap_or_else(|e| panic!("the workspace: {e}"));
    let object = build(&workspace);
    let packages = packages(&object, &workspace);
    for package in &packages {
        println!("cargo::rerun-if-changed={}", workspace.join(package).display());
    }
    // What builds them, and how.
    for file in ["cli/build.rs", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", workspace.join(file).display());
    }
    let list = packages.into_iter().collect::<Vec<_>>().join(" ");
    println!("cargo::rustc-env=SYSRING_OBJECT_PACKAGES={list}");
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

/// The folders of the workspace that the object was made of: those of the files that cargo has
/// written down beside it. A list by hand would miss the next one, and leave an object of
/// yesterday in the command.
fn packages(object: &Path, workspace: &Path) -> BTreeSet<String> {
    let beside = object.with_extension("d");
    let text = fs::read_to_string(&beside).unwrap_or_else(|e| panic!("{}: {e}", beside.display()));
    // `OBJECT: FILE FILE…`, a space within a name behind a backslash.
    let text = text.replace("\\ ", "\0");
    let files =
        text.lines().filter_map(|line| line.split_once(": ")).flat_map(|(_, f)| f.split(' '));
    let packages: BTreeSet<String> =
        files.filter_map(|file| package(Path::new(&file.replace('\0', " ")), workspace)).collect();
    assert!(packages.contains("preload"), "{}: nothing of the object's: {text}", beside.display());
    packages
}

/// The folder of the workspace, with a manifest of its own, that a file lies in.
fn package(file: &Path, workspace: &Path) -> Option<String> {
    let folder = file.ancestors().skip(1).find(|folder| folder.join("Cargo.toml").exists())?;
    Some(folder.strip_prefix(workspace).ok()?.to_str()?.to_owned())
}
