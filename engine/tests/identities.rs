//! Whose credentials a request is run with: those its submitter had at that moment, whoever runs it.

mod client;

use std::ffi::CString;
use std::fs::{self, Permissions};
use std::io::{PipeReader, PipeWriter, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::time::Duration;

use client::{Client, sqe};
use sysring_sys::Errno;
use sysring_sys::abi::io_uring::{Sqe, op, setup, sqe_flags};

const REFUSED: i32 = Errno::EACCES.to_res();

/// A file that root alone may read, or a group.
struct Secret {
    path: PathBuf,
    name: CString,
}

impl Secret {
    /// `None` where there is nothing to be seen: only root has credentials to lose.
    fn new(test: &str) -> Option<Secret> {
        // SAFETY: no arguments.
        if unsafe { libc::geteuid() } != 0 {
            println!("skipped: not root, which has credentials to lose");
            return None;
        }
        let path = std::env::temp_dir().join(format!("sysring-{test}-{}", std::process::id()));
        fs::write(&path, "secret").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let name = CString::new(path.to_str().unwrap()).unwrap();
        Some(Secret { path, name })
    }

    fn open(&self, user_data: u64, flags: u8) -> Sqe {
        let addr = self.name.as_ptr() as u64;
        Sqe { addr, flags, ..sqe(op::OPENAT, libc::AT_FDCWD, user_data) }
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// A thread's own credentials: libc would change those of all.
fn change(nr: i64, a: usize, b: usize, c: usize) {
    // SAFETY: takes numbers, or a list of ours and its length.
    let answer = unsafe { libc::syscall(nr, a, b, c) };
    assert!(answer >= 0, "{}", std::io::Error::last_os_error());
}

fn become_nobody() {
    change(libc::SYS_setresuid, 1000, 1000, 1000);
}

/// Runs in a thread of its own, which may do with its credentials what it likes.
fn in_thread(work: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        work();
        done.send(()).unwrap();
    });
    let ended = ended.recv_timeout(Duration::from_secs(60));
    assert_ne!(ended, Err(mpsc::RecvTimeoutError::Timeout), "does not end");
    thread.join().unwrap();
}

/// Opens it through the ring; what came of it. A descriptor is closed again.
fn opens(ring: &mut Client, open: Sqe) -> Result<(), i32> {
    ring.push(open);
    assert_eq!(ring.enter(1, 1), Ok(1));
    outcome(ring.reap()[0].res)
}

fn outcome(res: i32) -> Result<(), i32> {
    if res < 0 {
        return Err(res);
    }
    // SAFETY: just opened.
    unsafe { libc::close(res) };
    Ok(())
}

#[test]
fn threads_that_differ_have_their_requests_run_as_their_own() {
    let Some(secret) = Secret::new("differ") else { return };
    let secret = Arc::new(secret);
    in_thread(move || {
        let works = (0..4).map(|i| {
            let secret = secret.clone();
            std::thread::spawn(move || {
                let mut ring = Client::new(64, 0);
                let expected = if i % 2 == 0 { Ok(()) } else { Err(REFUSED) };
                if expected.is_err() {
                    become_nobody();
                }
                for round in 0..200 {
                    for j in 0..16 {
                        ring.push(secret.open(j, sqe_flags::ASYNC));
                    }
                    assert_eq!(ring.enter(16, 16), Ok(16));
                    for cqe in ring.reap() {
                        assert_eq!(outcome(cqe.res), expected, "thread {i}, round {round}");
                    }
                }
            })
        });
        for work in works.collect::<Vec<_>>() {
            work.join().unwrap();
        }
    });
}

#[test]
fn what_a_thread_changes_of_itself_holds_for_its_next_request() {
    let Some(secret) = Secret::new("change") else { return };
    in_thread(move || {
        let mut ring = Client::new(8, 0);
        let inline = secret.open(1, 0);
        let by_worker = secret.open(1, sqe_flags::ASYNC);
        for open in [inline, by_worker] {
            assert_eq!(opens(&mut ring, open), Ok(()));
        }
        // Root's capabilities for files go with the id that files see.
        for (id, expected) in [(1000, Err(REFUSED)), (0, Ok(())), (1000, Err(REFUSED))] {
            change(libc::SYS_setfsuid, id, 0, 0);
            for open in [inline, by_worker] {
                assert_eq!(opens(&mut ring, open), expected, "fsuid {id}");
            }
        }
        change(libc::SYS_setfsuid, 0, 0, 0);

        // A group that may read it.
        std::os::unix::fs::chown(&secret.path, Some(2000), Some(5000)).unwrap();
        fs::set_permissions(&secret.path, Permissions::from_mode(0o040)).unwrap();
        assert_eq!(opens(&mut ring, by_worker), Ok(()), "whoever has all capabilities");
        let header = [0x2008_0522u32, 0];
        let (keep_set_ids, none) = ((1u32 << 7) | (1 << 6), [0u32; 3]);
        let capabilities = [[keep_set_ids, keep_set_ids, 0], none];
        let (header, capabilities) = (header.as_ptr() as usize, capabilities.as_ptr() as usize);
        change(libc::SYS_capset, header, capabilities, 0);
        assert_eq!(opens(&mut ring, by_worker), Err(REFUSED), "without capabilities");
        let group = [5000u32];
        change(libc::SYS_setgroups, 1, group.as_ptr() as usize, 0);
        assert_eq!(opens(&mut ring, by_worker), Ok(()), "of the group");
        change(libc::SYS_setgroups, 0, 0, 0);
        assert_eq!(opens(&mut ring, by_worker), Err(REFUSED), "not any more");
    });
}

/// A link whose first waits for a byte, and whose second opens the file.
fn push_link(ring: &mut Client, from: &PipeReader, secret: &Secret, flags: u8) {
    static BYTE: Mutex<[u8; 1]> = Mutex::new([0]);
    let mut read = sqe(op::READ, from.as_raw_fd(), 1);
    (read.addr, read.len, read.off) = (BYTE.lock().unwrap().as_mut_ptr() as u64, 1, u64::MAX);
    read.flags = flags;
    ring.push(read);
    ring.push(secret.open(2, 0));
}

fn second(ring: &mut Client) -> Result<(), i32> {
    let mut cqes = Vec::new();
    while cqes.len() < 2 {
        ring.enter(0, 1).unwrap();
        cqes.extend(ring.reap());
    }
    assert_eq!((cqes[0].user_data, cqes[0].res), (1, 1));
    outcome(cqes[1].res)
}

#[test]
fn a_link_keeps_what_its_submitter_has_lost() {
    let Some(secret) = Secret::new("lost") else { return };
    for flags in [0, setup::SINGLE_ISSUER | setup::DEFER_TASKRUN, setup::COOP_TASKRUN] {
        let secret = Secret { path: PathBuf::new(), name: secret.name.clone() };
        in_thread(move || {
            let (first, mut to_first) = std::io::pipe().unwrap();
            let (then, mut to_then) = std::io::pipe().unwrap();
            let mut ring = Client::new(8, flags);
            push_link(&mut ring, &first, &secret, sqe_flags::IO_LINK);
            assert_eq!(ring.enter(2, 0), Ok(2));
            become_nobody();
            assert_eq!(opens(&mut ring, secret.open(3, sqe_flags::ASYNC)), Err(REFUSED));
            push_link(&mut ring, &then, &secret, sqe_flags::IO_LINK);
            assert_eq!(ring.enter(2, 0), Ok(2));
            to_first.write_all(&[1]).unwrap();
            assert_eq!(second(&mut ring), Ok(()), "flags {flags:#x}: submitted as root");
            to_then.write_all(&[1]).unwrap();
            assert_eq!(second(&mut ring), Err(REFUSED), "flags {flags:#x}: submitted as nobody");
        });
    }
}

#[test]
fn what_is_behind_a_drain_keeps_it_too() {
    let Some(secret) = Secret::new("drain") else { return };
    in_thread(move || {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut ring = Client::new(8, setup::COOP_TASKRUN);
        push_link(&mut ring, &reader, &secret, 0);
        // The second, in no link, waits for all that was before it.
        assert_eq!(ring.enter(1, 0), Ok(1));
        ring.push(Sqe { flags: sqe_flags::IO_DRAIN, ..sqe(op::NOP, -1, 9) });
        // What was pushed first is taken first; it completes at once.
        assert_eq!(ring.enter(2, 1), Ok(2));
        assert_eq!(ring.reap().len(), 1);
        ring.push(secret.open(3, sqe_flags::IO_DRAIN));
        assert_eq!(ring.enter(1, 0), Ok(1));
        become_nobody();
        writer.write_all(&[1]).unwrap();
        ring.enter(0, 3).unwrap();
        let cqes = ring.reap();
        let opened = cqes.iter().find(|cqe| cqe.user_data == 3).unwrap();
        assert_eq!(outcome(opened.res), Ok(()), "submitted as root");
    });
}

struct Shared(Mutex<Client>);

// SAFETY: the client's memory is its ring's, and used under the lock.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

/// Submits a link in one thread, and has another one wait for it: what came of its second.
fn submitted_and_waited_for(secret: &Arc<Secret>, as_nobody: bool) -> Result<(), i32> {
    let (reader, mut writer): (_, PipeWriter) = std::io::pipe().unwrap();
    let ring = Arc::new(Shared(Mutex::new(Client::new(8, 0))));
    let submitted = Arc::new(Barrier::new(2));
    let submits = {
        let (ring, submitted, secret) = (ring.clone(), submitted.clone(), secret.clone());
        std::thread::spawn(move || {
            if as_nobody {
                become_nobody();
            }
            let mut ring = ring.0.lock().unwrap();
            push_link(&mut ring, &reader, &secret, sqe_flags::IO_LINK);
            assert_eq!(ring.enter(2, 0), Ok(2));
            drop(ring);
            submitted.wait();
            reader
        })
    };
    let waits = std::thread::spawn(move || {
        submitted.wait();
        if !as_nobody {
            become_nobody();
        }
        writer.write_all(&[1]).unwrap();
        second(&mut ring.0.lock().unwrap())
    });
    drop(submits.join().unwrap());
    waits.join().unwrap()
}

#[test]
fn who_waits_goes_on_with_anothers_link_as_that_one() {
    let Some(secret) = Secret::new("waits") else { return };
    let secret = Arc::new(secret);
    in_thread(move || {
        for _ in 0..20 {
            assert_eq!(submitted_and_waited_for(&secret, true), Err(REFUSED));
            assert_eq!(submitted_and_waited_for(&secret, false), Ok(()));
        }
    });
}
