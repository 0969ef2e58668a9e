//! What the tests share.

use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};

use sysring::{Cqe, Engine, Errno, Ring, SetupError, Sqe};

/// Runs a test on the kernel's io_uring, where it works, and on the engine.
///
/// Each on a thread of its own: a ring of the kernel's that goes interrupts what the thread that
/// used it waits for next (`EINTR` without a signal), which is nothing that the engine does.
pub fn both(test: fn(Engine)) {
    match Ring::builder().engine(Engine::Kernel).build(1) {
        Ok(_) => on_a_thread(test, Engine::Kernel),
        Err(error) => println!("skipped: on the kernel: {error}"),
    }
    on_a_thread(test, Engine::User);
}

fn on_a_thread(test: fn(Engine), engine: Engine) {
    if let Err(panic) = std::thread::spawn(move || test(engine)).join() {
        std::panic::resume_unwind(panic);
    }
}

/// A ring of this engine's.
pub fn ring(engine: Engine) -> Ring {
    made(Ring::builder().engine(engine).build(32))
}

pub fn made<T>(made: Result<T, SetupError>) -> T {
    made.unwrap_or_else(|error| panic!("{error}"))
}

/// Does one operation, which has one completion.
pub fn run(ring: &mut Ring, entry: impl Into<Sqe>) -> Result<u32, Errno> {
    let completion = complete(ring, entry);
    assert!(!completion.more(), "{completion:?}");
    completion.result()
}

/// Submits one entry and waits for a completion.
pub fn complete(ring: &mut Ring, entry: impl Into<Sqe>) -> Cqe {
    let entry = entry.into().user_data(0x5eed);
    // SAFETY: waited for right here.
    unsafe { ring.push(entry) }.unwrap();
    assert_eq!(ring.submit_and_wait(1), Ok(1));
    let completion = ring.completion().unwrap();
    assert_eq!(completion.user_data(), 0x5eed);
    completion
}

/// A new file that has no name any more.
pub fn file(contents: &[u8]) -> File {
    let path = scratch();
    let mut file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file.write_all(contents).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    file
}

/// A path that nothing has yet.
pub fn scratch() -> std::path::PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("sysring-ring-{}-{number}", std::process::id()))
}

/// Whether the ring knows the operation; if not, says so.
pub fn knows(ring: &Ring, code: u8) -> bool {
    let known = ring.register().operations().unwrap().has(code);
    if !known {
        println!("skipped: {} is not known, {}", sysring::op::name(code), ring.report());
    }
    known
}

/// What a plain call answered, in the kernel's manner.
pub fn plain(answer: impl Into<i64>) -> Result<u32, Errno> {
    let answer: i64 = answer.into();
    if answer >= 0 {
        return Ok(answer as u32);
    }
    let number = std::io::Error::last_os_error().raw_os_error().unwrap();
    Err(Errno::from_raw(number).unwrap())
}

/// A path as system calls take it.
pub fn c_path(path: &std::path::Path) -> std::ffi::CString {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap()
}

/// A directory that goes with its contents.
pub struct Directory(pub std::path::PathBuf);

impl Directory {
    pub fn new() -> Directory {
        let path = scratch();
        std::fs::create_dir(&path).unwrap();
        Directory(path)
    }

    /// The path of a file in it.
    pub fn at(&self, name: &str) -> std::ffi::CString {
        c_path(&self.0.join(name))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
