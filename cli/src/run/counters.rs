//! What the engine counted, over all processes of a run.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sysring_engine::stats::{SHARED_LEN, Stats};

use super::Choice;

/// A file that every process of the run counts into.
pub struct Counters {
    path: PathBuf,
    /// Is the path a file's, to be removed, or a descriptor's?
    named: bool,
    shared: NonNull<Stats>,
    _file: File,
}

impl Counters {
    /// Makes the file in a directory of this user's, or in memory where there is none.
    pub fn create(directory: Option<&Path>) -> io::Result<Self> {
        let (file, path, named) = match directory {
            Some(directory) => {
                let path = directory.join(format!("stats-{}-{:x}", process::id(), nonce()));
                let file = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&path)?;
                // A program that gives up root must still be able to count; others cannot list the
                // directory and do not know the name.
                file.set_permissions(fs::Permissions::from_mode(0o666))?;
                (file, path, true)
            }
            None => {
                // SAFETY: a C string, and flags.
                let fd =
                    unsafe { libc::memfd_create(c"sysring-stats".as_ptr(), libc::MFD_CLOEXEC) };
                if fd < 0 {
                    return Err(io::Error::last_os_error());
                }
                // SAFETY: a new descriptor that nobody else owns.
                let file = unsafe { File::from_raw_fd(fd) };
                (file, format!("/proc/{}/fd/{fd}", process::id()).into(), false)
            }
        };
        file.set_len(SHARED_LEN as u64)?;
        // SAFETY: a new mapping of a file of that size.
        let shared = unsafe {
            libc::mmap(
                ptr::null_mut(),
                SHARED_LEN,
                libc::PROT_READ,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if shared == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let shared = NonNull::new(shared.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Counters { path, named, shared, _file: file })
    }

    /// What the object opens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn totals(&self) -> Totals {
        // SAFETY: the mapping is a page of zeroes or counters, aligned, and lives as long as
        // `self`; the counters are atomic, as other processes write them.
        let stats = unsafe { self.shared.as_ref() };
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Totals {
            rings: read(&stats.rings),
            enters: read(&stats.enters),
            submitted: read(&stats.submitted),
            inline: read(&stats.inline),
            parked: read(&stats.parked),
            aio: read(&stats.aio),
            worker: read(&stats.worker),
            completed: read(&stats.completed),
            overflowed: read(&stats.overflowed),
            threads: read(&stats.threads),
            shortcuts: read(&stats.shortcuts),
        }
    }
}

impl Drop for Counters {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `create`, to which no reference is left.
        unsafe { libc::munmap(self.shared.as_ptr().cast(), SHARED_LEN) };
        if self.named {
            // If someone removed it already, it is gone all the same.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A number that makes the name new.
fn nonce() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}

/// What `--stats` prints.
#[derive(Debug, Deserialize, Serialize)]
pub struct Report {
    /// `kernel` or `user`; `none` where it was to be `user`, and could not be.
    pub engine: String,
    /// The engine and why it was chosen, for people.
    pub served_by: String,
    /// Which processes could not be served, and why; for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unserved: Option<String>,
    /// Only ours counts.
    pub counters: Option<Totals>,
}

/// The counters, as `sysring_engine::stats::Stats` describes them.
#[derive(Debug, Deserialize, Serialize)]
pub struct Totals {
    pub rings: u64,
    pub enters: u64,
    pub submitted: u64,
    pub inline: u64,
    pub parked: u64,
    pub aio: u64,
    pub worker: u64,
    pub completed: u64,
    pub overflowed: u64,
    pub threads: u64,
    pub shortcuts: u64,
}

impl Report {
    pub(super) fn new(
        choice: &Choice,
        unserved: Option<String>,
        counters: Option<&Counters>,
    ) -> Self {
        Report {
            engine: choice.engine().to_owned(),
            served_by: choice.to_string(),
            unserved,
            counters: counters.map(Counters::totals),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.unserved {
            None => write!(f, "sysring: served by {}", self.served_by)?,
            Some(why) => {
                write!(f, "sysring: {why}; the rest was served by {}", self.served_by)?;
            }
        }
        let Some(totals) = &self.counters else {
            return Ok(());
        };
        let rows = [
            ("rings made", totals.rings),
            ("calls of enter", totals.enters),
            ("requests submitted", totals.submitted),
            ("  done inline", totals.inline),
            ("  waited for readiness", totals.parked),
            ("  through kernel AIO", totals.aio),
            ("  by a worker thread", totals.worker),
            ("completions posted", totals.completed),
            ("  to the overflow list", totals.overflowed),
            ("threads started", totals.threads),
            ("call sites without a trap", totals.shortcuts),
        ];
        rows.iter().try_for_each(|(name, count)| write!(f, "\n  {name:<26}{count:>12}"))
    }
}
