//! Threads of the engine's that are in a call while the process gets another table of descriptors: what
//! comes of it is gone on with in that one, and nothing is begun, or left open, in the one before.

mod client;

use std::fs::File;
use std::io::{PipeWriter, Read, Seek, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use client::{Client, sqe};
use sysring_engine::descriptors;
use sysring_sys::abi::io_uring::{op, sqe_flags};
use sysring_sys::{User, call};

const PATIENCE: Duration = Duration::from_secs(30);

fn get_another_table() {
    // SAFETY: concerns the calling thread.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_FILES) }, 0);
    descriptors::unshared();
}

/// Submits what waits, and behind it a write to a file that is opened in another table, under a number
/// that the one before has not. What `end` ends is answered `answer`. `enters`: to wait for it.
fn goes_on_in_another_table(
    ring: &mut Client,
    mut waits: sysring_sys::abi::io_uring::Sqe,
    end: impl FnOnce(),
    answer: i32,
    enters: bool,
) {
    const NUMBER: i32 = 700;
    waits.flags = sqe_flags::IO_LINK;
    ring.push(waits);
    let mut write = sqe(op::WRITE, NUMBER, 2);
    (write.addr, write.len) = (b"bytes".as_ptr() as u64, 5);
    ring.push(write);
    assert_eq!(ring.enter(2, 0), Ok(2));
    // Time for the thread to get there.
    std::thread::sleep(Duration::from_millis(20));
    get_another_table();
    // SAFETY: the name is a string; the descriptor is new.
    let mut file = unsafe { File::from_raw_fd(libc::memfd_create(c"table".as_ptr(), 0)) };
    // SAFETY: takes numbers.
    assert_eq!(unsafe { libc::dup2(file.as_raw_fd(), NUMBER) }, NUMBER);
    end();
    let began = Instant::now();
    let mut seen = vec![];
    while seen.len() < 2 {
        assert!(began.elapsed() < PATIENCE, "enters {enters}: {seen:?}");
        if enters {
            ring.enter(0, 2).unwrap();
        }
        seen.extend(ring.reap().iter().map(|cqe| (cqe.user_data, cqe.res)));
    }
    assert_eq!(seen, [(waits.user_data, answer), (2, 5)], "enters {enters}");
    let mut content = vec![];
    file.rewind().unwrap();
    file.read_to_end(&mut content).unwrap();
    assert_eq!(content, b"bytes");
    // SAFETY: opened above.
    assert_eq!(unsafe { libc::close(NUMBER) }, 0);
}

/// Until nobody is left who could read.
fn stops_being_read(mut writer: PipeWriter) {
    // SAFETY: concerns signals of the whole process, which the test harness ignores, too.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    let began = Instant::now();
    while writer.write_all(&[1]).is_ok() {
        assert!(began.elapsed() < PATIENCE, "stays open");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// One test: there is one picture of what is open where, and at first no driver.
#[test]
fn what_comes_of_a_call_is_gone_on_with_in_the_table_there_is() {
    // One that the test harness has not.
    get_another_table();
    for enters in [false, true] {
        // By a worker.
        let mut ring = Client::new(8, 0);
        let (from, mut feeder) = std::io::pipe().unwrap();
        let (_to, into) = std::io::pipe().unwrap();
        let mut tee = sqe(op::TEE, into.as_raw_fd(), 1);
        (tee.file_index, tee.len) = (from.as_raw_fd() as u32, 1);
        let feed = || assert_eq!(feeder.write(b"x").unwrap(), 1);
        goes_on_in_another_table(&mut ring, tee, feed, 1, enters);
        // What was held for it is closed.
        drop(from);
        stops_being_read(feeder);

        // By a sleeper.
        const U32_PRIVATE: i32 = 2 | 128;
        let word = AtomicU32::new(0);
        let mut wait = sqe(op::FUTEX_WAIT, U32_PRIVATE, 1);
        (wait.addr, wait.addr3) = (word.as_ptr() as u64, u64::from(u32::MAX));
        let wake = || {
            let woken = call::futex_wake_bitset(User::of(word.as_ptr()), 1, u32::MAX, true);
            assert_eq!(woken, Ok(1));
        };
        goes_on_in_another_table(&mut ring, wait, wake, 0, enters);
    }
}
