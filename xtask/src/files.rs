//! Files and folders of the chores, with errors that name them.

use std::fs;
use std::path::{Path, PathBuf};

pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace is there")
}

pub fn target_directory() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => std::path::absolute(directory).expect("a path"),
        None => workspace().join("target"),
    }
}

/// What is in a folder.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|e| told(folder, e))?;
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
}

/// Makes a folder, and those that it lies in.
pub fn make(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|e| told(folder, e))
}

pub fn write(file: &Path, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(|e| told(file, e))
}

pub fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to).map(drop).map_err(|e| told(from, e))
}

pub fn told(path: &Path, error: std::io::Error) -> String {
    format!("{}: {error}", path.display())
}
