//! The sockets of a world, and addresses.

use std::sync::atomic::{AtomicU32, Ordering};

use super::{check, feed, memory, place};
use crate::diff::lane;
use crate::diff::layout::*;

/// An address of 127/8 for each program, as far as they go: the ports of one would not suffice for
/// the connections of all, which linger.
fn loopback() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mixed = std::process::id().wrapping_mul(4099).wrapping_add(number) % 0x00ff_fffe;
    0x7f00_0001 + mixed
}

/// An address of this program, without a port.
fn tcp_address() -> [u8; 16] {
    let mut address = [0; 16];
    address[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
    address[4..8].copy_from_slice(&loopback().to_be_bytes());
    address
}

/// An abstract name of 16 bytes. Never the same twice: a ring that is being torn down may hold the
/// last socket.
fn unix_address() -> [u8; 16] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut address = [0u8; 16];
    address[..2].copy_from_slice(&(libc::AF_UNIX as u16).to_ne_bytes());
    let name = format!("{:06x}{number:07x}", std::process::id());
    address[3..].copy_from_slice(name.as_bytes());
    address
}

/// Writes an address down in slot `index`.
fn note(index: u64, address: [u8; 16]) {
    memory(ADDRESSES + index * ADDRESS_LEN, 16).copy_from_slice(&address);
}

/// Binds `fd` to a free loopback port and writes the address down in slot `index`.
fn bind_tcp(fd: i32, index: u64) {
    let (fd, mut address) = (lane::fd(fd), tcp_address());
    let mut len = 16;
    // SAFETY: `address` is a sockaddr_in, `len` its length.
    unsafe {
        check(libc::bind(fd, address.as_ptr().cast(), len));
        check(libc::getsockname(fd, address.as_mut_ptr().cast(), &raw mut len));
    }
    note(index, address);
}

/// Binds `fd` to a name of its own and writes it down in slot `index`.
fn bind_unix(fd: i32, index: u64) {
    let (fd, address) = (lane::fd(fd), unix_address());
    // SAFETY: `address` is a sockaddr_un cut to 16 bytes.
    check(unsafe { libc::bind(fd, address.as_ptr().cast(), 16) });
    note(index, address);
}

fn connect(fd: i32, index: u64) {
    let (fd, at) = (lane::fd(fd), lane::at(ADDRESSES + index * ADDRESS_LEN));
    let at = at as *const libc::sockaddr;
    // SAFETY: 16 bytes of address were written there.
    check(unsafe { libc::connect(fd, at, 16) });
}

fn pair(kind: i32, left: i32, right: i32) {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for two.
    check(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) });
    place(ends[0], left);
    place(ends[1], right);
}

fn socket(family: i32, flags: i32, to: i32) {
    // SAFETY: takes numbers only.
    place(check(unsafe { libc::socket(family, libc::SOCK_STREAM | flags, 0) }), to);
}

pub(super) fn sockets() {
    pair(libc::SOCK_STREAM, 230, 231);
    pair(libc::SOCK_STREAM, 232, 233);
    feed(233, 20);
    pair(libc::SOCK_DGRAM, 234, 235);
    pair(libc::SOCK_STREAM, 240, 241);
    socket(libc::AF_INET, 0, 250);
    bind_tcp(250, 0);
    socket(libc::AF_UNIX, 0, 251);
    bind_unix(251, 1);
    socket(libc::AF_UNIX, 0, 252);
    bind_unix(252, 2);
    for fd in [250, 251, 252] {
        // SAFETY: takes numbers only.
        check(unsafe { libc::listen(lane::fd(fd), 16) });
    }
    for (left, right) in [(236, 237), (238, 239)] {
        socket(libc::AF_INET, 0, left);
        connect(left, 0);
        // SAFETY: no address is asked for.
        place(
            check(unsafe {
                libc::accept(lane::fd(250), std::ptr::null_mut(), std::ptr::null_mut())
            }),
            right,
        );
    }
    // Orderly: the peer reads end of file, not a reset.
    // SAFETY: made above, to be closed; 238 is reset when the world ends.
    unsafe { libc::close(lane::fd(239)) };
    await_end(238);
    socket(libc::AF_INET, 0, 255);
    socket(libc::AF_UNIX, 0, 256);
    socket(libc::AF_INET, libc::SOCK_NONBLOCK, 257);
    // An address where nobody listens: bound for as long as the world lasts, so that nobody will.
    socket(libc::AF_INET, 0, 258);
    bind_tcp(258, 3);
    // Addresses nobody has.
    note(4, tcp_address());
    note(5, unix_address());
}

/// Waits until a stream's other side is known to be closed: on a busy machine that takes its way, too.
fn await_end(fd: i32) {
    let mut end = libc::pollfd { fd: lane::fd(fd), events: libc::POLLRDHUP, revents: 0 };
    // SAFETY: one entry, as said.
    check(unsafe { libc::poll(&raw mut end, 1, 10_000) });
    assert_ne!(end.revents & libc::POLLRDHUP, 0, "closed ten seconds ago");
}

/// No TIME_WAIT: the ports of a hundred thousand programs would not suffice.
pub(super) fn reset_on_close(fd: i32) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let at = (&raw const linger).cast();
    let len = size_of::<libc::linger>() as u32;
    // SAFETY: `at` and `len` name `linger`.
    unsafe { libc::setsockopt(lane::fd(fd), libc::SOL_SOCKET, libc::SO_LINGER, at, len) };
}
