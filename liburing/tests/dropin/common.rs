//! Installing the libraries, compiling the programs, running them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use sysring_refuse::{Filter, IO_URING};

/// The prefix that `cargo xtask install` has installed to.
pub fn prefix() -> &'static Path {
    static PREFIX: OnceLock<PathBuf> = OnceLock::new();
    PREFIX.get_or_init(|| installed("prefix", &[]))
}

/// The same without the engine: the client alone.
pub fn client_alone() -> PathBuf {
    installed("client", &["--without-engine"])
}

fn installed(name: &str, options: &[&str]) -> PathBuf {
    let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["run", "--quiet", "--package", "xtask", "--", "install"])
        .args(options)
        .arg("--prefix")
        .arg(&prefix)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    stdout(&mut command);
    prefix
}

/// A library's file.
pub fn library(name: &str) -> PathBuf {
    prefix().join("lib").join(name)
}

/// How a program is linked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Linked {
    Shared,
    Static,
    /// Not at all: the program loads what it uses.
    Later,
    /// With no other library at all.
    Alone,
}

/// Compiles `tests/programs/NAME.c`; `None`, said aloud, where something for it is missing.
pub fn program(name: &str, linked: Linked) -> Option<PathBuf> {
    let header = Path::new("/usr/include/liburing.h");
    if !header.exists() {
        println!("skipped: liburing's headers (liburing-dev) are not installed");
        return None;
    }
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs");
    fs::create_dir_all(&folder).unwrap();
    let output = folder.join(format!("{name}-{linked:?}"));
    let mut command = Command::new("gcc");
    command.args(["-O1", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&output);
    // Bound at the start: the dynamic linker's lazy way needs libc's thread-local storage.
    command.arg("-Wl,-z,now").arg(sources.join(format!("{name}.c")));
    match linked {
        Linked::Shared => command.arg(library("liburing.so")),
        Linked::Later => command.arg("-ldl"),
        Linked::Static => command.arg("-static").arg(library("liburing.a")),
        Linked::Alone => command
            .args([
                "-static",
                "-nostdlib",
                "-ffreestanding",
                "-fno-stack-protector",
                "-D_GNU_SOURCE",
            ])
            .arg(library("liburing.a")),
    };
    stdout(&mut command);
    Some(output)
}

/// Where a program runs, and who is to serve it there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// `SYSRING_ENGINE=kernel`.
    Kernel,
    /// `SYSRING_ENGINE=user`.
    User,
    /// No such variable, and the kernel's io_uring refused.
    Refused,
}

impl Place {
    /// Those that there are on this machine.
    pub fn all() -> Vec<Place> {
        let mut places = vec![Place::User, Place::Refused];
        if kernel_works() {
            places.push(Place::Kernel);
        } else {
            println!("skipped: the kernel's io_uring does not work here");
        }
        places
    }

    /// What `sysring_ring_engine` says there.
    pub fn engine(self) -> &'static str {
        match self {
            Place::Kernel => "kernel: SYSRING_ENGINE=kernel",
            Place::User => "user: SYSRING_ENGINE=user",
            Place::Refused => "user: the kernel refuses io_uring (EPERM)",
        }
    }

    /// A command that runs there; one that hangs ends.
    pub fn command(self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=1", "60"]).arg(program.as_ref()).env_remove("SYSRING_ENGINE");
        command.env("LD_LIBRARY_PATH", prefix().join("lib")).stdin(Stdio::null());
        match self {
            Place::Kernel => command.env("SYSRING_ENGINE", "kernel"),
            Place::User => command.env("SYSRING_ENGINE", "user"),
            Place::Refused => Filter::refusing(&IO_URING, libc::EPERM as u16).on(&mut command),
        };
        command
    }
}

/// Whether a program is installed; says so if not.
pub fn has(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).any(|folder| folder.join(program).exists());
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

fn kernel_works() -> bool {
    let mut params = [0u8; 120];
    // SAFETY: the kernel fills 120 bytes; the descriptor it answers with is closed.
    unsafe {
        let fd = libc::syscall(libc::SYS_io_uring_setup, 1, params.as_mut_ptr());
        fd >= 0 && libc::close(fd as i32) == 0
    }
}

/// What a command wrote; panics unless it exits with 0.
pub fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", told(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr))
}
