//! Building the object and the test programs, and running them where io_uring is refused.

// Each test program uses some of this.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The object, built once per test program.
pub fn object() -> &'static Path {
    static OBJECT: OnceLock<PathBuf> = OnceLock::new();
    OBJECT.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("object");
        let status = Command::new(env!("CARGO"))
            .args(["rustc", "--quiet", "--release", "--features", "object"])
            .args(["--crate-type", "cdylib", "--manifest-path"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&target)
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("RUSTFLAGS")
            .status()
            .unwrap();
        assert!(status.success(), "the object does not build");
        target.join("release/libsysring_preload.so")
    })
}

/// How a test program is built.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flavour {
    Glibc,
    GlibcNoPie,
    GlibcStatic,
    GlibcStaticPie,
    Musl,
    MuslStatic,
}

use Flavour::*;

pub const DYNAMIC: [Flavour; 3] = [Glibc, GlibcNoPie, Musl];
pub const STATIC: [Flavour; 3] = [GlibcStatic, GlibcStaticPie, MuslStatic];

impl Flavour {
    fn compiler(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Glibc => ("gcc", &[]),
            GlibcNoPie => ("gcc", &["-no-pie"]),
            GlibcStatic => ("gcc", &["-static"]),
            GlibcStaticPie => ("gcc", &["-static-pie"]),
            Musl => ("musl-gcc", &[]),
            MuslStatic => ("musl-gcc", &["-static"]),
        }
    }
}

/// Compiles `tests/programs/NAME.c`; `None`, said aloud, where there is no such compiler.
pub fn program(name: &str, flavour: Flavour) -> Option<PathBuf> {
    let (compiler, flags) = flavour.compiler();
    if !has(compiler) {
        return None;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/programs/{name}.c"));
    let output = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("{name}-{flavour:?}-{}", std::process::id()));
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
    if !output.exists() {
        let status = Command::new(compiler)
            .args(["-O1", "-Wall", "-Werror", "-pthread"])
            .args(flags)
            .arg("-o")
            .arg(&output)
            .arg(source)
            .status()
            .unwrap();
        assert!(status.success(), "{name} does not compile for {flavour:?}");
    }
    Some(output)
}

/// Whether a tool is installed; says so if not.
pub fn has(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|dir| dir.join(tool).exists());
    if !found {
        println!("skipped: {tool} is not installed");
    }
    found
}

/// What an outer filter, such as a container's, says to the three calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outer {
    Nothing,
    Refuses(i32),
}

pub const REFUSALS: [Outer; 2] = [Outer::Refuses(libc::EPERM), Outer::Refuses(libc::ENOSYS)];

/// A command that runs with the object in place, inside an outer filter.
pub fn served(program: impl AsRef<OsStr>, outer: Outer) -> Command {
    let mut command = inside(program, outer);
    command.env("LD_PRELOAD", object());
    command
}

/// A command inside an outer filter.
pub fn inside(program: impl AsRef<OsStr>, outer: Outer) -> Command {
    let mut command = Command::new(program);
    if let Outer::Refuses(errno) = outer {
        // SAFETY: only system calls, on memory of the closure.
        unsafe { command.pre_exec(move || refuse_io_uring(errno)) };
    }
    command
}

fn refuse_io_uring(errno: i32) -> std::io::Result<()> {
    let instruction = |code: u16, jt: u8, jf: u8, k: u32| libc::sock_filter { code, jt, jf, k };
    let filter = [
        instruction(0x20, 0, 0, 0),
        instruction(0x35, 0, 2, 425),
        instruction(0x25, 1, 0, 427),
        instruction(0x06, 0, 0, 0x0005_0000 | errno as u32),
        instruction(0x06, 0, 0, 0x7fff_0000),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    // SAFETY: the program is live during the call.
    let failed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) != 0
    };
    if failed { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

/// Runs a command and returns what it wrote to standard output; panics unless it exits with 0.
pub fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", told(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// An output, for a failure's message.
pub fn told(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// What `setup.c` prints when the engine, and nobody else, answered.
pub fn engines_answer() -> &'static str {
    static ANSWER: OnceLock<&str> = OnceLock::new();
    ANSWER.get_or_init(|| {
        let params = [0u8; 120];
        let params = sysring_sys::User::of(params.as_ptr()).cast();
        match sysring_engine::setup(8, params) {
            Ok(_) => "a ring\n",
            Err(sysring_sys::Errno::ENOSYS) => "errno 38\n",
            Err(e) => panic!("the engine makes no ring: {e}"),
        }
    })
}
