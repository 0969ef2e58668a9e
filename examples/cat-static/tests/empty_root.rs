//! The program in a root that has nothing else, on the kernel's io_uring and on the engine.

use std::io::Error;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sysring_refuse::{Filter, IO_URING};

/// The largest that it may become, without the engine.
const MOST: u64 = 40 * 1024;

/// Builds the program, by a cargo of its own: the outer one holds the lock of the usual place.
fn build(features: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cat-static").join(features);
    let status = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["rustc", "--quiet", "--release", "--features", features, "--target-dir"])
        .arg(&target)
        .args(["--config", "profile.release.strip=\"debuginfo\"", "--"])
        .args(["-C", "relocation-model=static", "-C", "target-feature=+crt-static"])
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .status()
        .unwrap();
    assert!(status.success());
    target.join("release/cat-static")
}

/// A folder with the program in it and one other file, removed when it is dropped.
struct Root(PathBuf);

impl Root {
    fn with(program: &Path, name: &str, text: &[u8]) -> Root {
        let root = std::env::temp_dir().join(format!("sysring-root-{name}-{}", std::process::id()));
        std::fs::create_dir(&root).unwrap();
        std::fs::copy(program, root.join("cat")).unwrap();
        std::fs::write(root.join("text"), text).unwrap();
        Root(root)
    }

    /// Runs the program there. `None`: this user may not change the root.
    fn run(&self, files: &[&str], refused: bool) -> Option<Output> {
        let mut command = Command::new("/cat");
        command.args(files).env_clear();
        let root = std::ffi::CString::new(self.0.as_os_str().as_bytes()).unwrap();
        // SAFETY: only system calls, on memory of the closure.
        unsafe {
            command.pre_exec(move || {
                // Without privilege in a namespace of one's own.
                if libc::geteuid() != 0 && libc::unshare(libc::CLONE_NEWUSER) != 0
                    || libc::chroot(root.as_ptr()) != 0
                    || libc::chdir(c"/".as_ptr()) != 0
                {
                    return Err(Error::last_os_error());
                }
                Ok(())
            })
        };
        if refused {
            Filter::refusing(&IO_URING, libc::EPERM as u16).on(&mut command);
        }
        match command.output() {
            Ok(output) => Some(output),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                println!("skipped: a root of one's own: {error}");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn text() -> Vec<u8> {
    (0..100_000u32).map(|i| (i / 251 + i) as u8).collect()
}

fn expect_text(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", output.status);
    assert!(output.stdout == text().repeat(2) && output.stderr.is_empty());
}

#[test]
fn without_the_engine_it_is_small_and_runs_on_the_kernel() {
    let program = build("freestanding");
    let size = std::fs::metadata(&program).unwrap().len();
    assert!(size <= MOST, "{size} bytes");
    let root = Root::with(&program, "kernel", &text());
    // Where io_uring is refused there is no ring.
    let Some(output) = root.run(&["/text"], true) else { return };
    assert_eq!(output.status.code(), Some(2));
    if !io_uring_works() {
        println!("skipped: on the kernel: io_uring is refused here");
        return;
    }
    expect_text(&root.run(&["/text", "text"], false).unwrap());
    let output = root.run(&["/text", "/no", "/text"], false).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout == text().repeat(2));
    assert_eq!(output.stderr, b"/no: no such file or directory\n");
}

#[test]
fn with_the_engine_it_runs_where_io_uring_is_refused() {
    let root = Root::with(&build("freestanding,engine"), "user", &text());
    let Some(output) = root.run(&["/text", "/text"], true) else { return };
    expect_text(&output);
    let output = root.run(&["/", "/text"], true).unwrap();
    assert_eq!((output.status.code(), output.stdout == text()), (Some(1), true));
    assert_eq!(output.stderr, b"/: is a directory\n");
}

fn io_uring_works() -> bool {
    let mut params = [0u64; 15];
    // SAFETY: the parameters are 120 bytes of ours.
    let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, params.as_mut_ptr()) };
    if fd < 0 {
        return false;
    }
    // SAFETY: it was just opened.
    unsafe { libc::close(fd as i32) };
    true
}
