//! Sockets of a mix: what is received, sent and accepted, at once or when the other side has done its
//! part.

use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};

use sysring_engine::native::Call;
use sysring_sys::raw::general as g;

use super::{Random, call, fd};

/// What a call works on, and the other side.
pub enum Socket {
    /// Receives one byte of a stream.
    Stream { _ours: OwnedFd, theirs: OwnedFd, memory: Memory },
    /// Receives a message, all bytes of which are its length.
    Datagram { _ours: OwnedFd, theirs: OwnedFd, len: u8, memory: Memory },
    /// Is connected to.
    Listener { ours: TcpListener, caller: Option<TcpStream> },
    /// Sends into a stream that is full, or is not.
    Sender { _ours: UnixStream, theirs: UnixStream, _memory: Memory },
}

/// What a call receives into, or sends.
pub struct Memory {
    bytes: Box<[u8; 100]>,
    vector: Box<libc::iovec>,
    header: Box<libc::msghdr>,
}

impl Memory {
    fn new(len: usize) -> Memory {
        let mut bytes = Box::new([0; 100]);
        let iov_base = bytes.as_mut_ptr().cast();
        let mut vector = Box::new(libc::iovec { iov_base, iov_len: len });
        // SAFETY: numbers and pointers, all of which may be 0.
        let mut header = Box::new(unsafe { std::mem::zeroed::<libc::msghdr>() });
        header.msg_iov = &raw mut *vector;
        header.msg_iovlen = 1;
        Memory { bytes, vector, header }
    }

    /// One of the calls that take a buffer, a vector, or a message.
    fn any(&mut self, random: &mut Random, [flat, vector, message]: [u32; 3], fd: usize) -> Call {
        let (at, len) = (self.bytes.as_mut_ptr() as usize, self.vector.iov_len);
        match random.below(3) {
            0 => call(flat, [fd, at, len, 0, 0, 0]),
            1 => call(vector, [fd, &raw mut *self.vector as usize, 1]),
            _ => call(message, [fd, &raw mut *self.header as usize, 0]),
        }
    }
}

const RECEIVE: [u32; 3] = [g::__NR_recvfrom, g::__NR_readv, g::__NR_recvmsg];
const SEND: [u32; 3] = [g::__NR_sendto, g::__NR_writev, g::__NR_sendmsg];

impl Socket {
    pub fn random(random: &mut Random) -> (Socket, Call) {
        let ready = random.below(2) == 0;
        let (mut socket, call) = match random.below(4) {
            0 => {
                let (ours, theirs) = streams(random);
                let mut memory = Memory::new(1);
                let call = memory.any(random, RECEIVE, fd(&ours));
                (Socket::Stream { _ours: ours, theirs, memory }, call)
            }
            1 => {
                let (ours, theirs) = datagrams(random);
                let len = 1 + random.below(80) as u8;
                let mut memory = Memory::new(100);
                let call = memory.any(random, RECEIVE, fd(&ours));
                (Socket::Datagram { _ours: ours, theirs, len, memory }, call)
            }
            2 => {
                let ours = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                let call = call(g::__NR_accept4, [fd(&ours), 0, 0, libc::SOCK_CLOEXEC as usize]);
                (Socket::Listener { ours, caller: None }, call)
            }
            _ => {
                let (ours, theirs) = UnixStream::pair().unwrap();
                while send(&ours, &[3; 4096]) > 0 {}
                let mut memory = Memory::new(100);
                let call = memory.any(random, SEND, fd(&ours));
                (Socket::Sender { _ours: ours, theirs, _memory: memory }, call)
            }
        };
        if ready {
            socket.release();
        }
        (socket, call)
    }

    /// The other side does its part, or does it again.
    pub fn release(&mut self) {
        match self {
            Socket::Stream { theirs, .. } => _ = send(theirs, b"z"),
            Socket::Datagram { theirs, len, .. } => {
                send(theirs, &vec![*len; usize::from(*len)]);
            }
            Socket::Listener { ours, caller } => {
                let address = ours.local_addr().unwrap();
                caller.get_or_insert_with(|| TcpStream::connect(address).unwrap());
            }
            Socket::Sender { theirs, .. } => while received(theirs) > 0 {},
        }
    }

    /// Whether this can be the answer. A connection is closed again.
    pub fn fits(&self, answer: i64) -> bool {
        match self {
            Socket::Stream { memory, .. } => answer == 1 && memory.bytes[0] == b'z',
            Socket::Datagram { len, memory, .. } => {
                let len = usize::from(*len);
                answer == len as i64 && memory.bytes[..len].iter().all(|b| usize::from(*b) == len)
            }
            // SAFETY: if it is a descriptor, nobody else knows of it.
            Socket::Listener { .. } => answer >= 0 && unsafe { libc::close(answer as i32) } == 0,
            Socket::Sender { .. } => answer == 100,
        }
    }
}

/// Two that are connected, by TCP or not.
fn streams(random: &mut Random) -> (OwnedFd, OwnedFd) {
    if random.below(2) == 0 {
        let (ours, theirs) = UnixStream::pair().unwrap();
        return (ours.into(), theirs.into());
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (ours.into(), listener.accept().unwrap().0.into())
}

/// Two for messages, by UDP or not.
fn datagrams(random: &mut Random) -> (OwnedFd, OwnedFd) {
    if random.below(2) == 0 {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        return (ours.into(), theirs.into());
    }
    let [ours, theirs] = [(); 2].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    theirs.connect(ours.local_addr().unwrap()).unwrap();
    (ours.into(), theirs.into())
}

/// Sends what there is room for, and tells how much that was.
fn send(socket: &impl AsRawFd, bytes: &[u8]) -> isize {
    let (fd, from) = (socket.as_raw_fd(), bytes.as_ptr().cast());
    // SAFETY: live bytes.
    unsafe { libc::send(fd, from, bytes.len(), libc::MSG_DONTWAIT) }
}

/// Takes what there is.
fn received(socket: &impl AsRawFd) -> isize {
    let mut bytes = [0u8; 8192];
    let (fd, to) = (socket.as_raw_fd(), bytes.as_mut_ptr().cast());
    // SAFETY: room for it.
    unsafe { libc::recv(fd, to, bytes.len(), libc::MSG_DONTWAIT) }
}
