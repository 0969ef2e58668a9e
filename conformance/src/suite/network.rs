//! A network for each test: they have numbers of ports in common, and a few take any without asking whether
//! another has it.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::OnceLock;

/// Has the command start with a loopback device of its own, where it may (root may). Otherwise it shares.
pub fn own(command: &mut Command) {
    static TO_BE_HAD: OnceLock<bool> = OnceLock::new();
    let tried = || enter(&mut Command::new("true")).status().is_ok_and(|ended| ended.success());
    if *TO_BE_HAD.get_or_init(tried) {
        enter(command);
    }
}

/// Fails to start where there is none; in gVisor, whose devices cannot be switched on.
fn enter(command: &mut Command) -> &mut Command {
    let enter = || {
        // SAFETY: takes a number.
        match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
            0 => switch_on(c"lo"),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: what runs between fork and exec makes system calls, and allocates nothing.
    unsafe { command.pre_exec(enter) }
}

/// Devices of a new network are off.
fn switch_on(device: &CStr) -> io::Result<()> {
    // SAFETY: a request of zeroes is one.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(device.to_bytes()) {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: takes numbers.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: new, and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // SAFETY: reads the request, which lives.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
