//! Programs under `sysring run`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, Settings};

/// `program` with the engine serving its io_uring calls.
pub fn command(
    settings: &Settings,
    program: impl AsRef<std::ffi::OsStr>,
) -> Result<Command, Error> {
    let mut command = Command::new(binary(settings)?);
    command.args(["run", "--engine", "user", "--"]).arg(program);
    Ok(command)
}

/// The `sysring` binary: the one asked for, or the one that was built beside this program.
pub fn binary(settings: &Settings) -> Result<PathBuf, Error> {
    let path = match &settings.sysring {
        Some(path) => path.clone(),
        None => sibling("sysring")?,
    };
    if path.is_file() {
        return Ok(path);
    }
    Err(format!(
        "there is no sysring at {}; build it with `cargo build --release`, or name it with \
         --sysring",
        path.display()
    )
    .into())
}

/// Another program of this build.
pub fn sibling(name: &str) -> Result<PathBuf, Error> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

/// Whether process `pid` holds a ring of the kernel's io_uring: tells which engine served.
pub fn holds_kernel_ring(pid: u32) -> Result<bool, Error> {
    let fds = Path::new("/proc").join(pid.to_string()).join("fd");
    for entry in std::fs::read_dir(fds)? {
        let target = std::fs::read_link(entry?.path()).unwrap_or_default();
        if target.to_string_lossy().contains("[io_uring]") {
            return Ok(true);
        }
    }
    Ok(false)
}
