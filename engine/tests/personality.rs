//! Requests with the credentials of another time.

mod client;

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;

use client::{Client, sqe};
use sysring_sys::abi::io_uring::{op, register, setup, sqe_flags};
use sysring_sys::{Errno, User};

fn call(ring: &Client, number: u32, count: u32) -> Result<usize, Errno> {
    sysring_engine::register(ring.fd.raw() as u32, number, User::NULL, count)
}

#[test]
fn numbers_are_given_in_turn_and_taken_back_once() {
    let ring = Client::new(8, 0);
    assert_eq!(call(&ring, register::PERSONALITY, 0), Ok(1));
    assert_eq!(call(&ring, register::PERSONALITY, 0), Ok(2));
    assert_eq!(call(&ring, register::PERSONALITY, 1), Err(Errno::EINVAL));
    assert_eq!(call(&ring, register::UNREGISTER_PERSONALITY, 1), Ok(0));
    assert_eq!(call(&ring, register::UNREGISTER_PERSONALITY, 1), Err(Errno::EINVAL));
    assert_eq!(call(&ring, register::PERSONALITY, 0), Ok(3));
}

#[test]
fn only_registered_numbers_are_taken() {
    let mut ring = Client::new(8, 0);
    for (personality, res) in [(1, -22), (0xffff, -22)] {
        assert_eq!(one(&mut ring, personality, sqe(op::NOP, -1, 1)), res);
    }
    assert_eq!(call(&ring, register::PERSONALITY, 0), Ok(1));
    assert_eq!(one(&mut ring, 1, sqe(op::NOP, -1, 1)), 0);
    let mut install = sqe(op::FIXED_FD_INSTALL, 0, 1);
    install.flags = sqe_flags::FIXED_FILE;
    assert_eq!(one(&mut ring, 1, install), Errno::EPERM.to_res());
}

#[test]
fn personalities_come_and_go() {
    let mut ring = Client::new(8, 0);
    for _ in 0..500 {
        let number = call(&ring, register::PERSONALITY, 0).unwrap();
        assert_eq!(one(&mut ring, number as u16, sqe(op::NOP, -1, 1)), 0);
        assert_eq!(call(&ring, register::UNREGISTER_PERSONALITY, number as u32), Ok(0));
    }
}

/// Only root can have credentials to lose, so that without it there is nothing to be seen here.
#[test]
fn a_request_has_what_the_thread_has_lost() {
    // SAFETY: no arguments.
    if unsafe { libc::geteuid() } != 0 {
        println!("skipped: not root, which has nothing to lose");
        return;
    }
    let path = std::env::temp_dir().join(format!("sysring-personality-{}", std::process::id()));
    fs::write(&path, "secret").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    let address = name.as_ptr() as u64;
    // A thread's own credentials: libc would change those of all.
    std::thread::spawn(move || {
        let mut ring = Client::new(8, 0);
        let root = call(&ring, register::PERSONALITY, 0).unwrap() as u16;
        // SAFETY: takes numbers; the thread ends with the test.
        unsafe { libc::syscall(libc::SYS_setresuid, 1000, 1000, 1000) };
        let nobody = call(&ring, register::PERSONALITY, 0).unwrap() as u16;
        let mut open = sqe(op::OPENAT, libc::AT_FDCWD, 7);
        open.addr = address;
        assert_eq!(one(&mut ring, 0, open), Errno::EACCES.to_res());
        assert_eq!(one(&mut ring, nobody, open), Errno::EACCES.to_res());
        let fd = one(&mut ring, root, open);
        assert!(fd >= 0, "as root: {fd}");

        // The ends of a link keep their own, whoever ran what was before them.
        for (first, second, expected) in [(0, root, true), (root, 0, false), (root, nobody, false)]
        {
            let linked = sqe_flags::IO_LINK;
            ring.push(sysring_sys::abi::io_uring::Sqe {
                personality: first,
                flags: linked,
                ..sqe(op::NOP, -1, 1)
            });
            open.personality = second;
            ring.push(open);
            assert_eq!(ring.enter(2, 2), Ok(2));
            let res = ring.reap()[1].res;
            assert_eq!(res >= 0, expected, "{first} then {second}: {res}");
        }

        // Taken back, it is still what a request under way has; a new one is refused.
        assert_eq!(call(&ring, register::UNREGISTER_PERSONALITY, root.into()), Ok(0));
        assert_eq!(one(&mut ring, root, open), Errno::EINVAL.to_res());
    })
    .join()
    .unwrap();
    fs::remove_file(path).unwrap();
}

/// Submits one request with these credentials; its result.
#[test]
fn one_that_waits_for_others_keeps_nobody_from_the_rest() {
    let mut ring = Client::new(8, 0);
    assert_eq!(call(&ring, register::PERSONALITY, 0), Ok(1));
    let (from, mut feeder) = std::io::pipe().unwrap();
    let (_to, into) = std::io::pipe().unwrap();
    // Whoever has the credentials blocks in this call, more of them than there are at first.
    let mut tee = sqe(op::TEE, into.as_raw_fd(), 7);
    (tee.file_index, tee.len, tee.personality) = (from.as_raw_fd() as u32, 1, 1);
    for round in 0..3 {
        ring.push(tee);
        assert_eq!(ring.enter(1, 0), Ok(1));
        // Time for it to get there.
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert_eq!(one(&mut ring, 1, sqe(op::NOP, -1, round)), 0);
    }
    feeder.write_all(b"x").unwrap();
    assert_eq!(ring.enter(0, 3), Ok(0));
    let seen: Vec<_> = ring.reap().iter().map(|c| (c.user_data, c.res)).collect();
    assert_eq!(seen, [(7, 1); 3]);
}

fn one(ring: &mut Client, personality: u16, mut sqe: sysring_sys::abi::io_uring::Sqe) -> i32 {
    sqe.personality = personality;
    ring.push(sqe);
    assert_eq!(ring.enter(1, 1), Ok(1));
    ring.reap()[0].res
}

/// Many at once, in links and by themselves, some blocking: each with its own, and none lost.
#[test]
fn many_requests_are_run_by_those_who_may() {
    // SAFETY: no arguments.
    if unsafe { libc::geteuid() } != 0 {
        println!("skipped: not root, which has nothing to lose");
        return;
    }
    for flags in [0, setup::SQPOLL, setup::SINGLE_ISSUER | setup::DEFER_TASKRUN] {
        let name = format!("sysring-personalities-{}-{flags:x}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, "secret").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        std::thread::spawn(move || mix(&name, flags)).join().unwrap();
        fs::remove_file(path).unwrap();
    }
}

fn mix(name: &std::ffi::CStr, flags: u32) {
    const COUNT: u64 = 64;
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut buffers = [[0u8; 1]; COUNT as usize];
    let mut ring = Client::new(256, flags);
    let root = call(&ring, register::PERSONALITY, 0).unwrap() as u16;
    // SAFETY: takes numbers; the thread ends with the test.
    unsafe { libc::syscall(libc::SYS_setresuid, 1000, 1000, 1000) };
    let nobody = call(&ring, register::PERSONALITY, 0).unwrap() as u16;
    for i in 0..COUNT {
        let mut read = sqe(op::READ, reader.as_raw_fd(), 1000 + i);
        (read.addr, read.len) = (buffers[i as usize].as_mut_ptr() as u64, 1);
        (read.off, read.personality) = (u64::MAX, root);
        ring.push(read);
        let mut open = sqe(op::OPENAT, libc::AT_FDCWD, i);
        open.addr = name.as_ptr() as u64;
        open.personality = if i % 3 == 0 { root } else { nobody };
        open.flags = if i % 2 == 0 { sqe_flags::IO_HARDLINK } else { sqe_flags::ASYNC };
        ring.push(open);
        if i % 2 == 0 {
            // As the thread is: the link goes on, whoever ran what was before.
            let mut open = sqe(op::OPENAT, libc::AT_FDCWD, 2000 + i);
            open.addr = name.as_ptr() as u64;
            ring.push(open);
        }
    }
    let all = COUNT as usize * 5 / 2;
    if flags & setup::SQPOLL != 0 {
        ring.publish();
    } else {
        assert_eq!(ring.enter(all as u32, 0), Ok(all));
    }
    let polled = flags & setup::SQPOLL != 0;
    if !polled {
        // What was accepted has it.
        assert_eq!(call(&ring, register::UNREGISTER_PERSONALITY, root.into()), Ok(0));
    }
    writer.write_all(&[7; COUNT as usize]).unwrap();
    let mut results = std::collections::HashMap::new();
    while results.len() < all {
        ring.enter(0, 1).unwrap();
        for cqe in ring.reap() {
            assert_eq!(results.insert(cqe.user_data, cqe.res), None);
        }
    }
    for (user_data, res) in results {
        match user_data {
            1000..2000 => assert_eq!(res, 1, "read {user_data}"),
            0..1000 if user_data % 3 == 0 => {
                assert!(res >= 0, "open {user_data}, flags {flags:#x}: {res}");
                // SAFETY: just opened.
                unsafe { libc::close(res) };
            }
            // The thread of such a ring is what its maker was, and not always the one to go on.
            2000.. if polled => {}
            _ => assert_eq!(res, Errno::EACCES.to_res(), "open {user_data}, flags {flags:#x}"),
        }
    }
    drop(ring);
}
