//! Datagrams, with the address of the other side.

use std::net::SocketAddr;

use sysring_sys::abi::{Iovec, Msghdr};
use sysring_sys::raw::net;

use super::address::RawAddress;
use super::buf::{Buf, BufMut};
use super::file::{WithBuf, clamp, filled};
use super::handle::{Handle, Place};
use super::operation::Operation;
use super::request::{Completion, Request};
use super::ring::Ring;
use crate::op;
use crate::ring::Sqe;
use sysring_sys::Result;

impl Ring {
    /// Sends a datagram to an address, as `sendto(2)`.
    pub fn send_to<B: Buf>(
        &self,
        socket: &Handle,
        buffer: B,
        to: SocketAddr,
    ) -> Operation<SendTo<B>> {
        let place = socket.place(self);
        let message = Message::new(to.into());
        self.operation(SendTo { place, buffer, message, _socket: socket.clone() })
    }

    /// Receives a datagram and tells who sent it, as `recvfrom(2)`. What does not fit into the
    /// buffer is lost.
    ///
    /// If the operation is dropped, a datagram that it has taken all the same is lost, as datagrams
    /// may be.
    pub fn recv_from<B: BufMut>(&self, socket: &Handle, buffer: B) -> Operation<RecvFrom<B>> {
        let place = socket.place(self);
        let message = Message::new(RawAddress::empty());
        self.operation(RecvFrom { place, buffer, message, _socket: socket.clone() })
    }
}

/// What the calls for messages point to.
#[derive(Debug)]
struct Message {
    address: RawAddress,
    vector: Iovec,
    header: Msghdr,
}

// SAFETY: its pointers are for the kernel, and are set anew where the message stays.
unsafe impl std::marker::Send for Message {}

const EMPTY: Iovec = Iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };

impl Message {
    fn new(address: RawAddress) -> Message {
        Message { address, vector: EMPTY, header: Msghdr::EMPTY }
    }

    /// Points the header to the parts, where they are to stay.
    fn point(&mut self, at: *mut u8, len: usize) -> *mut Msghdr {
        self.vector = Iovec { iov_base: at.cast(), iov_len: clamp(len) as u64 };
        self.header.msg_name = self.address.bytes.as_mut_ptr().cast();
        self.header.msg_namelen = self.address.len as i32;
        self.header.msg_iov = &raw mut self.vector;
        self.header.msg_iovlen = 1;
        &raw mut self.header
    }
}

/// See [`Ring::send_to`].
#[derive(Debug)]
pub struct SendTo<B> {
    place: Place,
    buffer: B,
    message: Message,
    _socket: Handle,
}

// SAFETY: the entry has the address of the header, which points to what is owned, too.
unsafe impl<B: Buf> Request for SendTo<B> {
    type Output = WithBuf<B>;

    fn entry(&mut self) -> Sqe {
        let header = self.message.point(self.buffer.ptr().cast_mut(), self.buffer.len());
        op::SendMsg::new(self.place, header).message_flags(net::MSG_NOSIGNAL).build()
    }

    fn finish(self, completion: Completion) -> WithBuf<B> {
        (completion.result.map(|count| count as usize), self.buffer)
    }
}

/// See [`Ring::recv_from`].
#[derive(Debug)]
pub struct RecvFrom<B> {
    place: Place,
    buffer: B,
    message: Message,
    _socket: Handle,
}

// SAFETY: as above.
unsafe impl<B: BufMut> Request for RecvFrom<B> {
    type Output = (Result<(usize, SocketAddr)>, B);

    fn entry(&mut self) -> Sqe {
        let (at, len) = (self.buffer.ptr_mut(), self.buffer.room());
        op::RecvMsg::new(self.place, self.message.point(at, len)).build()
    }

    fn finish(mut self, completion: Completion) -> Self::Output {
        let (count, buffer) = filled(self.buffer, completion.result);
        self.message.address.len = self.message.header.msg_namelen as u32;
        (count.and_then(|count| Ok((count, self.message.address.decode()?))), buffer)
    }
}
