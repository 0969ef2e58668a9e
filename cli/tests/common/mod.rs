//! What the tests of the command line share.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod tree;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// The binary under test.
pub const SYSRING: &str = env!("CARGO_BIN_EXE_sysring");

/// `sysring` with arguments, and nothing on standard input.
pub fn sysring(arguments: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(SYSRING);
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Copies the command to where another user may run it. By a program of its own: were the copy open for
/// writing here, a child that another test starts meanwhile would have it open, too, and it could not
/// be executed.
pub fn copy_program(to: &Path) {
    let status = Command::new("cp").arg(SYSRING).arg(to).status().expect("cp starts");
    assert!(status.success(), "cp: {status}");
}

/// Runs it to its end.
pub fn output(arguments: &[impl AsRef<OsStr>]) -> Output {
    sysring(arguments).output().expect("sysring starts")
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Fails with everything that the program said.
#[track_caller]
pub fn assert_code(output: &Output, code: i32) {
    assert_eq!(
        output.status.code(),
        Some(code),
        "{}\nstdout: {}\nstderr: {}",
        output.status,
        stdout(output),
        stderr(output)
    );
}

/// Does the kernel's io_uring work for this test? Its own probe, not the one under test.
pub fn kernel_has_io_uring() -> bool {
    io_uring::IoUring::new(2).is_ok()
}

/// Whether a test can run its program on the kernel's io_uring, too; the test counts as skipped if
/// only the half on the engine can run.
pub fn can_be_compared() -> bool {
    let works = kernel_has_io_uring();
    if !works {
        println!("skipped: on the kernel: its io_uring does not work here");
    }
    works
}

/// Runs a case of a program of `tests/programs`, which must end well within `seconds`; `before` are
/// the words before the command. It ends with [`SKIPPED`] where `skipped_for` is why it may.
#[track_caller]
pub fn passes(program: &str, case: &str, before: &[&str], seconds: u32, skipped_for: Option<&str>) {
    let ended = Command::new("timeout")
        .args(["--kill-after=2", &seconds.to_string()])
        .args(before)
        .arg(build(program))
        .arg(case)
        .stdin(Stdio::null())
        .output()
        .expect("timeout(1) starts");
    if let Some(why) = skipped_for
        && ended.status.code() == Some(SKIPPED)
    {
        println!("skipped: {case}: {why}");
        return;
    }
    assert!(ended.status.success(), "{case} {before:?}: {} {}", ended.status, stderr(&ended));
}

/// A program's way to say that a case cannot be tried here.
const SKIPPED: i32 = 77;

/// A C program of `tests/programs`, built once for each test binary; `SYSRING_TEST_PROGRAMS` names
/// a directory that has them where there is no compiler.
pub fn build(name: &str) -> PathBuf {
    if let Some(built) = std::env::var_os("SYSRING_TEST_PROGRAMS") {
        return Path::new(&built).join(name);
    }
    static LOCK: Mutex<()> = Mutex::new(());
    let _one_at_a_time = LOCK.lock();
    // Named for the process: test binaries may run at the same time.
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", process::id()));
    if !program.exists() {
        let source = format!("{}/tests/programs/{name}.c", env!("CARGO_MANIFEST_DIR"));
        let built = Command::new("cc")
            .args(["-O1", "-Wall", "-pthread", "-o"])
            .arg(&program)
            .arg(source)
            .status()
            .expect("a C compiler (apt-get install gcc)");
        assert!(built.success());
    }
    program
}

/// A directory of the test's own, removed at its end.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sysring-test-{}-{number}", process::id()));
        fs::create_dir(&path).expect("a new directory");
        Scratch(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A test that failed has said so; what is left behind is only untidy.
        let _ = fs::remove_dir_all(&self.0);
    }
}
