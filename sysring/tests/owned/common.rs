//! What the tests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use sysring::owned::{Buf, BufMut, Handle, Ring};
use sysring::{Engine, Ring as Raw};

/// Runs a test on the kernel's io_uring, where it works, and on the engine; each on a thread of its
/// own, for the kernel interrupts a thread whose ring goes.
pub fn both(test: fn(Ring)) {
    for engine in [Engine::Kernel, Engine::User] {
        match Ring::with(&Raw::builder().engine(engine), 8) {
            Ok(_) => on_a_thread(test, engine),
            Err(error) if engine == Engine::Kernel => println!("skipped: on the kernel: {error}"),
            Err(error) => panic!("{error}"),
        }
    }
}

fn on_a_thread(test: fn(Ring), engine: Engine) {
    let run = move || test(Ring::with(&Raw::builder().engine(engine), 8).unwrap());
    if let Err(panic) = std::thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}

/// A pipe: what is written to the second can be read from the first.
pub fn pipe() -> (Handle, Handle) {
    let (reader, writer) = std::io::pipe().unwrap();
    let fd = |end: std::os::fd::OwnedFd| Handle::from(end);
    (fd(reader.into()), fd(writer.into()))
}

/// Counts the buffers that are there.
#[derive(Clone, Default)]
pub struct Alive(Arc<AtomicUsize>);

/// A buffer that is missed when it is not dropped.
pub struct Counted {
    pub bytes: Vec<u8>,
    alive: Alive,
}

impl Alive {
    pub fn buffer(&self, len: usize) -> Counted {
        self.0.fetch_add(1, SeqCst);
        Counted { bytes: vec![0; len], alive: self.clone() }
    }

    pub fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // Who writes here later is seen by valgrind, and by the next owner of the memory.
        self.bytes.fill(0xdd);
        self.alive.0.fetch_sub(1, SeqCst);
    }
}

// SAFETY: those of the vector.
unsafe impl Buf for Counted {
    fn ptr(&self) -> *const u8 {
        self.bytes.as_ptr()
    }

    fn len(&self) -> usize {
        self.bytes.len()
    }
}

// SAFETY: those of the vector; its length stays.
unsafe impl BufMut for Counted {
    fn ptr_mut(&mut self) -> *mut u8 {
        self.bytes.as_mut_ptr()
    }

    fn room(&self) -> usize {
        self.bytes.len()
    }

    unsafe fn filled(&mut self, _: usize) {}
}
