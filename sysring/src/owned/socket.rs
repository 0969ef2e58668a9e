//! Sockets: connections made and taken, bytes sent and received.

use std::net::{Shutdown, SocketAddr};
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::Weak;

use sysring_sys::raw::net;

use super::address::{RawAddress, family};
use super::buf::{Buf, BufMut};
use super::file::{WithBuf, clamp, filled};
use super::handle::{Handle, Place};
use super::operation::Operation;
use super::pool::{Lease, NO_GROUP, Pool};
use super::request::{Completion, Multishot, Request};
use super::ring::Ring;
use super::stream::Stream;
use super::turn::Shared;
use crate::op;
use crate::op::Slot;
use crate::ring::Sqe;
use sysring_sys::Result;

/// Descriptors of sockets go with the program: close-on-exec.
const CLOEXEC: u32 = 0o2_000_000;

impl Ring {
    /// A new socket for addresses like this one (Linux 5.19). If the operation is dropped, so is
    /// the socket.
    pub fn socket(&self, address: &SocketAddr, kind: SocketKind) -> Operation<Socket> {
        self.operation(Socket { family: u32::from(family(address)), kind })
    }

    /// Connects a socket, as `connect(2)`. If the operation is dropped, the socket may be connected
    /// or not, and is good for nothing but being closed.
    pub fn connect(&self, socket: &Handle, address: SocketAddr) -> Operation<Connect> {
        let place = socket.place(self);
        self.operation(Connect { place, address: address.into(), _socket: socket.clone() })
    }

    /// Takes a connection, as `accept4(2)`.
    ///
    /// If the operation is dropped and a connection is taken all the same, it is closed: the peer
    /// sees it end. [`future::TcpListener`](crate::future::TcpListener) keeps it for the next accept.
    pub fn accept(&self, listener: &Handle) -> Operation<Accept> {
        let place = listener.place(self);
        self.operation(Accept { place, direct: None, _listener: listener.clone() })
    }

    /// The same, into a free slot of the ring's table of direct descriptors.
    pub fn accept_direct(&self, listener: &Handle) -> Operation<Accept> {
        let place = listener.place(self);
        let direct = Some(self.downgrade());
        self.operation(Accept { place, direct, _listener: listener.clone() })
    }

    /// Takes a connection, and tells whose it is. `EAFNOSUPPORT`: the peer's address is none of the
    /// internet's; the connection is closed.
    pub fn accept_from(&self, listener: &Handle) -> Operation<AcceptFrom> {
        let (place, peer) = (listener.place(self), RawAddress::empty());
        self.operation(AcceptFrom { place, peer, _listener: listener.clone() })
    }

    /// Takes connections, one after the other (multishot, Linux 5.19).
    pub fn accept_multi(&self, listener: &Handle) -> Stream<AcceptMulti> {
        let place = listener.place(self);
        self.stream(AcceptMulti { place, direct: None, _listener: listener.clone() })
    }

    /// The same, into free slots of the ring's table of direct descriptors.
    pub fn accept_multi_direct(&self, listener: &Handle) -> Stream<AcceptMulti> {
        let place = listener.place(self);
        let direct = Some(self.downgrade());
        self.stream(AcceptMulti { place, direct, _listener: listener.clone() })
    }

    /// Receives, as `recv(2)`. The count is 0 when the peer has finished.
    ///
    /// If the operation is dropped, bytes that it has taken from the socket all the same are lost:
    /// [`future::TcpStream`](crate::future::TcpStream) keeps them for the next one.
    pub fn recv<B: BufMut>(&self, socket: &Handle, buffer: B) -> Operation<Recv<B>> {
        let place = socket.place(self);
        self.operation(Recv { place, buffer, _socket: socket.clone() })
    }

    /// Receives into a buffer of the pool, which is taken when there is something.
    ///
    /// The lease is empty when the peer has finished. `ENOBUFS`: no buffer was left. If the
    /// operation is dropped, what it has received all the same is lost, and the buffer goes back.
    pub fn recv_pooled(&self, socket: &Handle, pool: &Pool) -> Operation<RecvPooled> {
        self.operation(RecvPooled::new(self, socket, pool))
    }

    /// Receives again and again, each time into a buffer of the pool (multishot, Linux 6.0). The
    /// last item is empty: the peer has finished. Or it is an error; after `ENOBUFS` give leases
    /// back, and begin anew.
    pub fn recv_multi(&self, socket: &Handle, pool: &Pool) -> Stream<RecvPooled> {
        self.stream(RecvPooled::new(self, socket, pool))
    }

    /// Sends, as `send(2)` with `MSG_NOSIGNAL`. The count may be less than the buffer holds.
    ///
    /// If the operation is dropped, all, a part or nothing may have been sent.
    pub fn send<B: Buf>(&self, socket: &Handle, buffer: B) -> Operation<Send<B>> {
        let place = socket.place(self);
        self.operation(Send { place, buffer, whole: false, _socket: socket.clone() })
    }

    /// The same, and does not end before all is sent, but with an error (`MSG_WAITALL`; for streams
    /// only, Linux 5.19).
    pub fn send_all<B: Buf>(&self, socket: &Handle, buffer: B) -> Operation<Send<B>> {
        let place = socket.place(self);
        self.operation(Send { place, buffer, whole: true, _socket: socket.clone() })
    }

    /// Sends from the buffer itself (Linux 6.0): worth it from about 10 KiB on. `EOPNOTSUPP`: not
    /// this kind of socket.
    ///
    /// The operation ends when the network is done with the buffer, which may be when the peer has
    /// acknowledged it; [`Operation::result`] and [`Operation::wait_result`] know earlier how much
    /// was taken.
    pub fn send_zc<B: Buf>(&self, socket: &Handle, buffer: B) -> Operation<SendZc<B>> {
        let place = socket.place(self);
        self.operation(SendZc { place, buffer, _socket: socket.clone() })
    }

    /// Ends one or both directions of a connection, as `shutdown(2)`.
    pub fn shutdown(&self, socket: &Handle, how: Shutdown) -> Operation<ShutDown> {
        let place = socket.place(self);
        self.operation(ShutDown { place, how, _socket: socket.clone() })
    }
}

/// What a socket transports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SocketKind {
    /// A stream of bytes: TCP.
    Stream,
    /// Datagrams: UDP.
    Datagram,
}

/// A new descriptor or slot.
fn opened(number: u32, direct: Option<&Weak<Shared>>) -> Handle {
    match direct {
        // SAFETY: the operation opened it, and told nobody else.
        None => unsafe { OwnedFd::from_raw_fd(number as i32) }.into(),
        Some(ring) => Handle::direct(Weak::clone(ring), number),
    }
}

/// See [`Ring::socket`].
#[derive(Debug)]
pub struct Socket {
    family: u32,
    kind: SocketKind,
}

// SAFETY: the entry has no address.
unsafe impl Request for Socket {
    type Output = Result<Handle>;

    fn entry(&mut self) -> Sqe {
        let kind = match self.kind {
            SocketKind::Stream => net::SOCK_STREAM,
            SocketKind::Datagram => net::SOCK_DGRAM,
        };
        op::Socket::new(self.family as i32, (kind | CLOEXEC) as i32, 0).build()
    }

    fn finish(self, completion: Completion) -> Result<Handle> {
        completion.result.map(|number| opened(number, None))
    }
}

/// See [`Ring::connect`].
#[derive(Debug)]
pub struct Connect {
    place: Place,
    address: RawAddress,
    _socket: Handle,
}

// SAFETY: the entry has the address of the socket address, which is owned.
unsafe impl Request for Connect {
    type Output = Result<()>;

    fn entry(&mut self) -> Sqe {
        op::Connect::new(self.place, self.address.bytes.as_ptr(), self.address.len).build()
    }

    fn finish(self, completion: Completion) -> Result<()> {
        completion.result.map(drop)
    }
}

/// See [`Ring::accept`].
#[derive(Debug)]
pub struct Accept {
    place: Place,
    direct: Option<Weak<Shared>>,
    _listener: Handle,
}

// SAFETY: the entry has no address.
unsafe impl Request for Accept {
    type Output = Result<Handle>;

    fn entry(&mut self) -> Sqe {
        let accept = op::Accept::new(self.place);
        match self.direct {
            None => accept.socket_flags(CLOEXEC).build(),
            Some(_) => accept.direct(Slot::Free).build(),
        }
    }

    fn finish(self, completion: Completion) -> Result<Handle> {
        completion.result.map(|number| opened(number, self.direct.as_ref()))
    }
}

/// See [`Ring::accept_from`].
#[derive(Debug)]
pub struct AcceptFrom {
    place: Place,
    peer: RawAddress,
    _listener: Handle,
}

// SAFETY: the entry has the addresses of the peer's address and its length, which are owned.
unsafe impl Request for AcceptFrom {
    type Output = Result<(Handle, SocketAddr)>;

    fn entry(&mut self) -> Sqe {
        op::Accept::new(self.place)
            .peer(self.peer.bytes.as_mut_ptr(), &raw mut self.peer.len)
            .socket_flags(CLOEXEC)
            .build()
    }

    fn finish(self, completion: Completion) -> Result<(Handle, SocketAddr)> {
        let connection = opened(completion.result?, None);
        Ok((connection, self.peer.decode()?))
    }
}

/// See [`Ring::accept_multi`].
#[derive(Debug)]
pub struct AcceptMulti {
    place: Place,
    direct: Option<Weak<Shared>>,
    _listener: Handle,
}

// SAFETY: the entry has no address.
unsafe impl Multishot for AcceptMulti {
    type Item = Result<Handle>;

    fn entry(&self) -> Sqe {
        let accept = op::Accept::new(self.place).multishot();
        match self.direct {
            None => accept.socket_flags(CLOEXEC).build(),
            Some(_) => accept.direct(Slot::Free).build(),
        }
    }

    fn item(&self, completion: Completion) -> Result<Handle> {
        completion.result.map(|number| opened(number, self.direct.as_ref()))
    }
}

/// See [`Ring::recv`].
#[derive(Debug)]
pub struct Recv<B> {
    place: Place,
    buffer: B,
    _socket: Handle,
}

// SAFETY: the entry has the address of the buffer, which is owned.
unsafe impl<B: BufMut> Request for Recv<B> {
    type Output = WithBuf<B>;

    fn entry(&mut self) -> Sqe {
        let len = clamp(self.buffer.room());
        op::Recv::new(self.place, self.buffer.ptr_mut(), len).build()
    }

    fn finish(self, completion: Completion) -> WithBuf<B> {
        filled(self.buffer, completion.result)
    }
}

/// See [`Ring::recv_pooled`] and [`Ring::recv_multi`].
#[derive(Debug)]
pub struct RecvPooled {
    place: Place,
    /// None: the pool is another ring's.
    group: Option<u16>,
    pool: Pool,
    _socket: Handle,
}

impl RecvPooled {
    fn new(ring: &Ring, socket: &Handle, pool: &Pool) -> RecvPooled {
        RecvPooled {
            place: socket.place(ring),
            group: pool.group(ring),
            pool: pool.clone(),
            _socket: socket.clone(),
        }
    }

    fn lease(&self, completion: Completion) -> Result<Lease> {
        // An operation that fails may have taken one, too: it goes back then.
        let lease = match completion.buffer() {
            Some(id) => self.pool.lease(id, completion.result.unwrap_or(0)),
            None => self.pool.empty(),
        };
        completion.result.map(|_| lease)
    }
}

// SAFETY: the entry has no address; the pool, whose buffers it may take, is owned.
unsafe impl Request for RecvPooled {
    type Output = Result<Lease>;

    fn entry(&mut self) -> Sqe {
        let group = self.group.unwrap_or(NO_GROUP);
        op::Recv::new(self.place, std::ptr::null_mut(), 0).buffer_group(group).build()
    }

    fn finish(self, completion: Completion) -> Result<Lease> {
        self.lease(completion)
    }
}

// SAFETY: as above.
unsafe impl Multishot for RecvPooled {
    type Item = Result<Lease>;

    fn entry(&self) -> Sqe {
        op::Recv::multishot(self.place, self.group.unwrap_or(NO_GROUP)).build()
    }

    fn item(&self, completion: Completion) -> Result<Lease> {
        self.lease(completion)
    }

    fn is_last(completion: &Completion) -> bool {
        matches!(completion.result, Err(_) | Ok(0))
    }
}

/// See [`Ring::send`].
#[derive(Debug)]
pub struct Send<B> {
    place: Place,
    buffer: B,
    whole: bool,
    _socket: Handle,
}

// SAFETY: the entry has the address of the buffer, which is owned.
unsafe impl<B: Buf> Request for Send<B> {
    type Output = WithBuf<B>;

    fn entry(&mut self) -> Sqe {
        let whole = if self.whole { net::MSG_WAITALL } else { 0 };
        op::Send::new(self.place, self.buffer.ptr(), clamp(self.buffer.len()))
            .message_flags(net::MSG_NOSIGNAL | whole)
            .build()
    }

    fn finish(self, completion: Completion) -> WithBuf<B> {
        (completion.result.map(|count| count as usize), self.buffer)
    }
}

/// See [`Ring::send_zc`].
#[derive(Debug)]
pub struct SendZc<B> {
    place: Place,
    buffer: B,
    _socket: Handle,
}

// SAFETY: the entry has the address of the buffer, which is owned.
unsafe impl<B: Buf> Request for SendZc<B> {
    type Output = WithBuf<B>;

    fn entry(&mut self) -> Sqe {
        op::SendZc::new(self.place, self.buffer.ptr(), clamp(self.buffer.len()))
            .message_flags(net::MSG_NOSIGNAL)
            .build()
    }

    fn finish(self, completion: Completion) -> WithBuf<B> {
        (completion.result.map(|count| count as usize), self.buffer)
    }
}

/// See [`Ring::shutdown`].
#[derive(Debug)]
pub struct ShutDown {
    place: Place,
    how: Shutdown,
    _socket: Handle,
}

// SAFETY: the entry has no address.
unsafe impl Request for ShutDown {
    type Output = Result<()>;

    fn entry(&mut self) -> Sqe {
        let how = match self.how {
            Shutdown::Read => 0,
            Shutdown::Write => 1,
            Shutdown::Both => 2,
        };
        op::Shutdown::new(self.place, how).build()
    }

    fn finish(self, completion: Completion) -> Result<()> {
        completion.result.map(drop)
    }
}
