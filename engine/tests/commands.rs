//! Commands to files.

mod client;

use std::io::Write;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use client::{Client, sqe};
use sysring_sys::abi::io_uring::{Sqe, cqe_flags, op, register, setup, socket_op, sqe_flags};
use sysring_sys::{Errno, Fd, User, call};

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

/// What is only named by its descriptor is not open for commands: as a registered file it is one that knows
/// none.
#[test]
fn a_file_that_is_only_named_takes_no_command() {
    let open = |flags: i32| {
        // SAFETY: the name ends with a zero.
        let fd = unsafe { libc::open(c"/dev/null".as_ptr(), flags | libc::O_CLOEXEC) };
        // SAFETY: just opened, and nobody else's.
        unsafe { OwnedFd::from_raw_fd(fd) }
    };
    let (named, opened) = (open(libc::O_PATH), open(libc::O_RDONLY));
    let mut ring = Client::new(8, 0);
    let fds = [named.as_raw_fd(), opened.as_raw_fd()];
    let at = User::<u8>::new(fds.as_ptr() as u64);
    assert_eq!(sysring_engine::register(ring.fd.raw() as u32, register::FILES, at, 2), Ok(0));
    let fixed = |slot| Sqe { flags: sqe_flags::FIXED_FILE, ..command(slot, 0) };
    let unknown = Errno::EOPNOTSUPP.to_res();
    assert_eq!(answer(&mut ring, command(fds[0], 0)), Errno::EBADF.to_res());
    assert_eq!(answer(&mut ring, fixed(0)), unknown);
    assert_eq!(answer(&mut ring, command(fds[1], 0)), 0);
    assert_eq!(answer(&mut ring, fixed(1)), 0);
}

#[test]
fn a_wide_command_is_a_command() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    near.write_all(b"seven..").unwrap();
    let asks =
        |number| Sqe { opcode: op::URING_CMD128, ..command(far.as_raw_fd(), u32::from(number)) };
    // Two places of a ring that has entries of both sizes.
    let mut ring = Client::new(4, setup::SQE_MIXED);
    for (number, answer) in
        [(socket_op::SIOCINQ, 7), (socket_op::GETSOCKNAME + 40, Errno::EOPNOTSUPP.to_res())]
    {
        ring.push(asks(number as u16));
        ring.push(sqe(op::NOP, -1, 9));
        assert_eq!(ring.enter(2, 1), Ok(2), "both places count");
        let seen = ring.reap();
        assert_eq!((seen.len(), seen[0].user_data, seen[0].res), (1, 1, answer));
    }
    // One alone, or in a ring of small entries, is none.
    for setup in [setup::SQE_MIXED, 0] {
        let mut ring = Client::new(4, setup);
        assert_eq!(answer(&mut ring, asks(socket_op::SIOCINQ as u16)), Errno::EINVAL.to_res());
    }
}

#[test]
fn each_time_that_something_left_is_told_until_the_command_is_cancelled() {
    const SO_TIMESTAMPING: i32 = 37;
    /// When it is given to the card, as software sees it, with a number and without the data.
    const TIMES: u32 = 1 << 1 | 1 << 4 | 1 << 7 | 1 << 10 | 1 << 11;
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let times = TIMES;
    let value = User::new((&raw const times) as u64);
    let fd = socket.as_raw_fd();
    if let Err(e) = call::setsockopt(Fd::new(fd), 1, SO_TIMESTAMPING, value, 4) {
        println!("skipped: no timestamps of sockets here: {e:?}");
        return;
    }
    let send = || socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    send();
    let mut ring = Client::new(8, setup::CQE_MIXED);
    ring.push(command(fd, socket_op::TX_TIMESTAMP));
    for key in 0..3 {
        assert_eq!(ring.enter(u32::from(key == 0), 2), Ok(usize::from(key == 0)));
        let seen = ring.reap();
        let [told, time] = seen[..] else { panic!("{seen:?}") };
        let flags = cqe_flags::MORE | cqe_flags::CQE32;
        assert_eq!((told.user_data, told.res, told.flags), (1, key, flags));
        assert!((now..now + 60).contains(&time.user_data), "{time:?}");
        send();
    }
    // The fourth is on its way, or there, when the command ends.
    let mut cancel = sqe(op::ASYNC_CANCEL, -1, 2);
    cancel.addr = 1;
    ring.push(cancel);
    assert_eq!(ring.enter(1, 2), Ok(1));
    let seen = ring.reap();
    let last: Vec<_> = seen.iter().filter(|c| c.flags == 0 && c.user_data <= 2).collect();
    let canceled = Errno::ECANCELED.to_res();
    assert!(last.iter().any(|c| (c.user_data, c.res) == (1, canceled)), "{seen:?}");
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
