//! Installing the libraries, compiling the programs, running them.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
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
    /// With liburing-ffi.
    Ffi,
    Static,
    /// Not at all: the program loads what it uses.
    Later,
    /// With no other library at all.
    Alone,
}

/// Where the C programs are.
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs")
}

/// Compiles `tests/programs/NAME.c` with the distribution's headers; `None`, said aloud, where
/// something for it is missing.
pub fn program(name: &str, linked: Linked) -> Option<PathBuf> {
    let headers = Path::new("/usr/include");
    if !headers.join("liburing.h").exists() {
        println!("skipped: liburing's headers (liburing-dev) are not installed");
        return None;
    }
    Some(compile(name, linked, headers))
}

/// liburing itself: the source that its suite was fetched and built from.
pub struct Upstream {
    pub headers: PathBuf,
    /// With its `liburing.so.2`.
    pub library: PathBuf,
}

impl Upstream {
    /// `None`, said aloud, where it was not fetched.
    pub fn find() -> Option<Upstream> {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../liburing");
        let Ok(name) = fs::read_to_string(cache.join("built")) else {
            println!(
                "skipped: liburing's source, which `cargo run --release -p sysring-conformance -- \
                 suite` fetches, is not there to compare with"
            );
            return None;
        };
        let source = cache.join(name.trim()).join("src");
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("upstream");
        static LINKED: OnceLock<()> = OnceLock::new();
        LINKED.get_or_init(|| {
            let starts = |file: &PathBuf| file.to_string_lossy().contains("/liburing.so.2.");
            let files = fs::read_dir(&source).unwrap().map(|file| file.unwrap().path());
            let built = files.filter(starts).max().expect("liburing was built");
            fs::create_dir_all(&library).unwrap();
            let _ = fs::remove_file(library.join("liburing.so.2"));
            symlink(fs::canonicalize(built).unwrap(), library.join("liburing.so.2")).unwrap();
        });
        Some(Upstream { headers: source.join("include"), library })
    }

    /// Compiles a program with its headers: they have all there is.
    pub fn program(&self, name: &str, linked: Linked) -> PathBuf {
        compile(name, linked, &self.headers)
    }

    /// A command bound to its library, on the kernel's io_uring.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        bound(program.as_ref(), &self.library)
    }
}

fn compile(name: &str, linked: Linked, headers: &Path) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs");
    fs::create_dir_all(&folder).unwrap();
    let output = folder.join(format!("{name}-{linked:?}"));
    let mut command = Command::new("gcc");
    command.args(["-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-o"]).arg(&output);
    // As the distribution's: what they are blamed for is not this program's fault.
    command.arg("-isystem").arg(headers);
    // Bound at the start: the dynamic linker's lazy way needs libc's thread-local storage.
    command.arg("-Wl,-z,now").arg(sources().join(format!("{name}.c")));
    match linked {
        Linked::Shared => command.arg(library("liburing.so")).arg("-ldl"),
        Linked::Ffi => command.arg(library("liburing-ffi.so")).arg("-ldl"),
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
    output
}

/// A command with this folder's libraries; one that hangs ends.
fn bound(program: &Path, libraries: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=1", "60"]).arg(program).env_remove("SYSRING_ENGINE");
    command.env("LD_LIBRARY_PATH", libraries).stdin(Stdio::null());
    command
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

    /// A command that runs there.
    pub fn command(self, program: impl AsRef<Path>) -> Command {
        let mut command = bound(program.as_ref(), &prefix().join("lib"));
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

pub fn kernel_works() -> bool {
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
