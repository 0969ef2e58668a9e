//! Commands to files.

mod client;

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use client::{Client, sqe};
use sysring_sys::Errno;
use sysring_sys::abi::io_uring::{Sqe, op, socket_op};

fn command(fd: i32, number: u32) -> Sqe {
    Sqe { off: u64::from(number), ..sqe(op::URING_CMD, fd, 1) }
}

fn answer(ring: &mut Client, command: Sqe) -> i32 {
    ring.push(command);
    assert_eq!(ring.enter(1, 1), Ok(1));
    let seen = ring.reap();
    assert_eq!(seen.len(), 1);
    seen[0].res
}

#[test]
fn a_socket_tells_what_waits_in_it_and_who_it_is() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    near.write_all(b"seven..").unwrap();
    let mut ring = Client::new(8, 0);
    assert_eq!(answer(&mut ring, command(far.as_raw_fd(), socket_op::SIOCINQ)), 7);
    let (mut address, mut len) = ([0u8; 16], 16u32);
    let mut name = command(near.as_raw_fd(), socket_op::GETSOCKNAME);
    (name.addr, name.addr3) = (address.as_mut_ptr() as u64, (&raw mut len) as u64);
    name.file_index = 1;
    assert_eq!(answer(&mut ring, name), 0);
    let port = listener.local_addr().unwrap().port();
    assert_eq!((len, u16::from_be_bytes([address[2], address[3]])), (16, port));
    name.file_index = 2;
    assert_eq!(answer(&mut ring, name), Errno::EINVAL.to_res());
}

#[test]
fn an_option_is_set_and_told_with_its_length() {
    const SOL_SOCKET: u64 = 1;
    const SO_KEEPALIVE: u64 = 9;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut ring = Client::new(8, 0);
    let on = 1i32;
    let mut set = command(listener.as_raw_fd(), socket_op::SETSOCKOPT);
    (set.addr, set.addr3) = (SOL_SOCKET | SO_KEEPALIVE << 32, (&raw const on) as u64);
    set.file_index = 4;
    assert_eq!(answer(&mut ring, set), 0);
    let mut told = [0i32; 2];
    let mut get = set;
    (get.off, get.addr3) = (u64::from(socket_op::GETSOCKOPT), told.as_mut_ptr() as u64);
    get.file_index = 8;
    assert_eq!(answer(&mut ring, get), 4);
    assert_eq!(told[0], 1);
    get.addr = 6 | SO_KEEPALIVE << 32;
    assert_eq!(answer(&mut ring, get), Errno::EOPNOTSUPP.to_res());
}

#[test]
fn the_null_device_takes_all_commands_and_other_files_none() {
    let mut ring = Client::new(8, 0);
    let null = std::fs::File::open("/dev/null").unwrap();
    assert_eq!(answer(&mut ring, command(null.as_raw_fd(), 77)), 0);
    let other = std::fs::File::open("/dev/zero").unwrap();
    assert_eq!(answer(&mut ring, command(other.as_raw_fd(), 77)), Errno::EOPNOTSUPP.to_res());
    assert_eq!(answer(&mut ring, command(-1, 0)), Errno::EBADF.to_res());
}
