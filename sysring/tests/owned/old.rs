//! Old kernels, as a filter makes them.

use std::time::{Duration, Instant};

use sysring::owned::Ring;
use sysring::{Engine, Errno, Ring as Raw};

use crate::common::{Alive, pipe};

/// Before Linux 5.11 `io_uring_enter` knew no flag to tell it how long to wait. This holds for the
/// calling thread.
fn forget_how_to_tell_time() {
    const FLAGS: u32 = 16 + 3 * 8;
    const EXT_ARG: u32 = 1 << 3;
    let instruction = |code: u16, jt: u8, jf: u8, k: u32| libc::sock_filter { code, jt, jf, k };
    let filter = [
        instruction(0x20, 0, 0, 0),
        instruction(0x15, 0, 3, libc::SYS_io_uring_enter as u32),
        instruction(0x20, 0, 0, FLAGS),
        instruction(0x45, 0, 1, EXT_ARG),
        instruction(0x06, 0, 0, 0x0005_0000 | libc::EINVAL as u32),
        instruction(0x06, 0, 0, 0x7fff_0000),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    // SAFETY: the program is live during the call.
    let failed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) != 0
    };
    assert!(!failed, "{}", std::io::Error::last_os_error());
}

#[test]
fn waits_end_in_time_where_the_kernel_cannot_be_told() {
    let builder = Raw::builder().engine(Engine::Kernel);
    if let Err(error) = Ring::with(&builder, 8) {
        println!("skipped: on the kernel: {error}");
        return;
    }
    let test = move || {
        forget_how_to_tell_time();
        let mut raw = builder.build(8).unwrap();
        let span = Duration::from_millis(10);
        assert_eq!(raw.submit_and_wait_timeout(1, span), Err(Errno::EINVAL));

        let alive = Alive::default();
        let (reader, writer) = pipe();
        let ring = Ring::with(&builder, 8).unwrap();
        let mut read = ring.read(&reader, alive.buffer(1));
        read.start();
        let begin = Instant::now();
        ring.wait(Some(span));
        assert!(begin.elapsed() >= span && !read.is_over());
        ring.write(&writer, "x").wait().0.unwrap();
        assert_eq!(read.wait().0, Ok(1));
        // The last handle waits for what it has cancelled, for so long at most.
        let mut read = ring.read(&reader, alive.buffer(1));
        read.start();
        drop(ring);
        drop(read);
        assert_eq!(alive.count(), 0);
    };
    if let Err(panic) = std::thread::spawn(test).join() {
        std::panic::resume_unwind(panic);
    }
}
