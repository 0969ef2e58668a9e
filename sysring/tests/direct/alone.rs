//! In processes of their own: where there is no AIO to be had, and where its silence would be missed.

use std::process::Command;

use sysring::calls::{Calls, Issued};
use sysring::events::attr::{Answers, Attribute, Path, Wanted};
use sysring_refuse::Filter;
use sysring_sys::raw::general as g;

use crate::files::{BLOCK, Direct, block, contents};
use crate::{next, raw};

const INSIDE: &str = "SYSRING_TEST_DIRECT";

/// Whether this is the process that `name` has begun, where `call` is answered with `errno`.
fn is_inside(name: &str, refused: &[(u32, i32)]) -> bool {
    if std::env::var(INSIDE).as_deref() == Ok(name) {
        return true;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([&format!("alone::{name}"), "--exact", "--nocapture"]).env(INSIDE, name);
    for (call, errno) in refused {
        Filter::refusing(&[*call], *errno as u16).on(&mut command);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for line in said.lines().filter(|line| line.starts_with("skipped: ")) {
        println!("{line}");
    }
    false
}

/// A read and a write, by a worker.
fn by_a_worker() {
    let Some(direct) = Direct::new("worker") else { return };
    let calls = Calls::new().unwrap();
    let (fd, mut to) = (direct.fd(), block(0));
    let at = to.0.as_mut_ptr() as usize;
    for nr in [g::__NR_pread64, g::__NR_pwrite64, g::__NR_fsync] {
        let call = raw(nr, [fd, at, BLOCK, BLOCK, 0, 0]);
        let wanted = Wanted::NONE.required(Path::MASK);
        let issued = calls.issue_with(call, &wanted, &mut Answers::none()).unwrap();
        assert!(matches!(issued, Issued::Pending(_)), "{issued:?}");
        let event = next(&calls);
        let whole = if nr == g::__NR_fsync { 0 } else { BLOCK };
        assert_eq!((event.result(), event.attr()), (Ok(whole), Some(Path::Worker)));
    }
    assert_eq!(to, contents(1));
}

/// `fs.aio-max-nr` is used up.
#[test]
fn no_context_is_left() {
    if is_inside("no_context_is_left", &[(g::__NR_io_setup, libc::EAGAIN)]) {
        by_a_worker();
    }
}

#[test]
fn there_is_no_aio() {
    if is_inside("there_is_no_aio", &[(g::__NR_io_setup, libc::ENOSYS)]) {
        by_a_worker();
    }
}

#[test]
fn nothing_more_is_taken() {
    if is_inside("nothing_more_is_taken", &[(g::__NR_io_submit, libc::EAGAIN)]) {
        by_a_worker();
    }
}

/// As before Linux 4.18: completions are told one by one.
#[test]
fn the_kernel_does_not_count() {
    if !is_inside("the_kernel_does_not_count", &[(g::__NR_io_pgetevents, libc::ENOSYS)]) {
        return;
    }
    let Some(direct) = Direct::new("count") else { return };
    let calls = Calls::new().unwrap();
    let mut to = [const { block(0) }; 8];
    for to in &mut to {
        let arguments = [direct.fd(), to.0.as_mut_ptr() as usize, BLOCK, 0, 0, 0];
        let issued = calls.issue(raw(g::__NR_pread64, arguments)).unwrap();
        assert!(matches!(issued, Issued::Pending(_)), "{issued:?}");
    }
    let events = calls.wait(8).unwrap();
    assert!(events.map(|event| event.result()).eq([Ok(BLOCK); 8]));
    assert_eq!(to, [contents(0); 8]);
}

/// AIO raises no file events.
#[test]
fn who_listens_for_file_events_hears_of_writes() {
    if !is_inside("who_listens_for_file_events_hears_of_writes", &[]) {
        return;
    }
    // SAFETY: takes a number.
    let listener = unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) };
    assert!(listener >= 0);
    let Some(direct) = Direct::new("events") else { return };
    let path = std::fs::read_link(format!("/proc/self/fd/{}", direct.fd())).unwrap();
    let path = std::ffi::CString::new(path.into_os_string().into_encoded_bytes()).unwrap();
    // SAFETY: a string that ends.
    assert!(unsafe { libc::inotify_add_watch(listener, path.as_ptr(), libc::IN_MODIFY) } >= 0);
    let calls = Calls::new().unwrap();
    let from = block(5);
    let arguments = [direct.fd(), from.0.as_ptr() as usize, BLOCK, 0, 0, 0];
    let issued = calls.issue(raw(g::__NR_pwrite64, arguments)).unwrap();
    assert!(matches!(issued, Issued::Pending(_)), "{issued:?}");
    assert_eq!(next(&calls).result(), Ok(BLOCK));
    let mut event = [0u8; 64];
    // SAFETY: room for as many bytes.
    let heard = unsafe { libc::read(listener, event.as_mut_ptr().cast(), event.len()) };
    assert!(heard > 0, "nothing was heard of the write");
}
