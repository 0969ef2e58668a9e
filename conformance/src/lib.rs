//! Proof that the engine answers as the kernel does.
#![allow(missing_docs)] // A program's insides; each module says what it is for.

pub mod closing;
pub mod diff;
pub mod faults;
pub mod fields;
pub mod random;
pub mod raw;
pub mod refuse;
pub mod soak;
pub mod suite;

use std::path::PathBuf;

/// The build folder this program was built into: everything it makes or fetches goes below it.
#[must_use]
pub fn target_folder() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    program
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").exists())
        .map_or_else(|| std::env::temp_dir().join("sysring-conformance"), PathBuf::from)
}

/// The `sysring` program beside this one.
#[must_use]
pub fn sysring_program() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let mut folder = program.parent().map(PathBuf::from).unwrap_or_default();
    if folder.ends_with("deps") {
        folder.pop();
    }
    folder.join("sysring")
}
