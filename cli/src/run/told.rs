//! What is said once in a run: the process that says it leaves a file, which tells the others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

const PREFIX: &str = "told-";

/// What the names of this run's files begin with; those of runs that are over are removed. What was
/// said already, that the program has 32 bits, is noted.
pub fn begin(directory: &Path, narrow: bool) -> PathBuf {
    sweep(directory);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let told = directory.join(format!("{PREFIX}{}-{since:x}", process::id()));
    if narrow {
        let mut file = told.clone().into_os_string();
        file.push("-narrow");
        // Where it cannot be written, it is said again.
        let _ = fs::write(file, "");
    }
    told
}

/// Whether any process of the run has said that it is not served.
pub fn is_any_unserved(told: &Path) -> bool {
    ["-unserved", "-narrow"].iter().any(|kind| {
        let mut file = told.to_owned().into_os_string();
        file.push(kind);
        Path::new(&file).exists()
    })
}

/// A run's process is the program's, or waits for it.
fn sweep(directory: &Path) {
    let Ok(files) = fs::read_dir(directory) else { return };
    for file in files.flatten() {
        let name = file.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        let is_over = |pid: u32| !Path::new("/proc").join(pid.to_string()).exists();
        if pid.and_then(|pid| pid.parse().ok()).is_some_and(is_over) {
            // Another run may have been faster.
            let _ = fs::remove_file(file.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_that_are_over_have_left_is_removed() {
        let directory = std::env::temp_dir().join(format!("sysring-told-{}", process::id()));
        fs::create_dir(&directory).expect("a new directory");
        let first = begin(&directory, true);
        let stale = directory.join("told-4194305-7-narrow");
        let other = directory.join("sysring-7.so");
        fs::write(&stale, "").expect("a file");
        fs::write(&other, "").expect("a file");
        let second = begin(&directory, false);
        assert_ne!(first, second);
        assert!(is_any_unserved(&first) && !is_any_unserved(&second));
        assert!(!stale.exists() && other.exists());
        assert!(
            first
                .with_file_name(format!("{}-narrow", first.file_name().expect("a name").display()))
                .exists()
        );
        fs::remove_dir_all(directory).expect("removed");
    }
}
