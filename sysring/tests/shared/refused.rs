//! All of it once more where io_uring is refused, as users see it.

use std::process::Command;

use sysring::owned::Ring;
use sysring_refuse::{Filter, IO_URING};

const INSIDE: &str = "SYSRING_TEST_REFUSED";

#[test]
fn everything_holds_where_io_uring_is_refused() {
    if std::env::var_os(INSIDE).is_some() {
        return;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(INSIDE, "").env_remove("SYSRING_ENGINE");
    Filter::refusing(&IO_URING, libc::EPERM as u16).on(&mut command);
    let output = match command.output() {
        // QEMU's user mode.
        Err(e) if e.raw_os_error() == Some(libc::ENOSYS) => {
            println!("skipped: this machine has no filters of system calls");
            return;
        }
        output => output.unwrap(),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_ring_says_who_serves_it() {
    let report = Ring::new(8).unwrap().report();
    let refused = std::env::var_os(INSIDE).is_some();
    assert!(!(refused && report.is_kernel()), "{report}");
    assert_eq!(refused, report.to_string().starts_with("EPERM: "), "{report}");
}
