//! Transfers of several buffers at once.

use sysring_sys::abi::{Iovec, Msghdr};
use sysring_sys::raw::net;

use super::file::{CURRENT, at};
use super::handle::{Handle, Place};
use super::operation::Operation;
use super::request::{Completion, Request};
use super::ring::Ring;
use super::sets::{BufMutSet, BufSet, Vectors};
use crate::op;
use crate::ring::Sqe;
use sysring_sys::Result;

/// How many bytes were transferred in all, and the buffers, whatever came of it.
pub type WithBufs<S> = (Result<usize>, S);

impl Ring {
    /// Reads into several buffers, one after the other, at the file's position, as `readv(2)`.
    ///
    /// `EINVAL`: more than 1024 buffers. All else is as of [`read`](Ring::read).
    pub fn readv<S: BufMutSet>(&self, file: &Handle, buffers: S) -> Operation<ReadV<S>> {
        self.readv_from(file, buffers, CURRENT)
    }

    /// The same at an offset, as `preadv(2)`.
    ///
    /// ```
    /// use sysring::owned::Ring;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let ring = Ring::new(8)?;
    /// let file = std::fs::File::open("/proc/self/exe")?.into();
    /// let (count, (magic, rest)) = ring.readv_at(&file, ([0; 4], vec![0; 60]), 0).wait();
    /// assert_eq!((count?, &magic, rest.len()), (64, b"\x7fELF", 60));
    /// # Ok(()) }
    /// ```
    pub fn readv_at<S: BufMutSet>(
        &self,
        file: &Handle,
        buffers: S,
        offset: u64,
    ) -> Operation<ReadV<S>> {
        self.readv_from(file, buffers, at(offset))
    }

    fn readv_from<S: BufMutSet>(
        &self,
        file: &Handle,
        buffers: S,
        offset: u64,
    ) -> Operation<ReadV<S>> {
        let (place, vectors) = (file.place(self), Vectors::default());
        self.operation(ReadV { place, buffers, vectors, offset, _file: file.clone() })
    }

    /// Writes several buffers, one after the other, at the file's position, as `writev(2)`. The count
    /// may be less than they hold. `EINVAL`: more than 1024 buffers.
    pub fn writev<S: BufSet>(&self, file: &Handle, buffers: S) -> Operation<WriteV<S>> {
        self.writev_to(file, buffers, CURRENT)
    }

    /// The same at an offset, as `pwritev(2)`.
    pub fn writev_at<S: BufSet>(
        &self,
        file: &Handle,
        buffers: S,
        offset: u64,
    ) -> Operation<WriteV<S>> {
        self.writev_to(file, buffers, at(offset))
    }

    fn writev_to<S: BufSet>(&self, file: &Handle, buffers: S, offset: u64) -> Operation<WriteV<S>> {
        let (place, vectors) = (file.place(self), Vectors::default());
        self.operation(WriteV { place, buffers, vectors, offset, _file: file.clone() })
    }

    /// Receives into several buffers, one after the other. `EMSGSIZE`: more than 1024 of them. All else
    /// is as of [`recv`](Ring::recv).
    pub fn recv_vectored<S: BufMutSet>(
        &self,
        socket: &Handle,
        buffers: S,
    ) -> Operation<RecvVectored<S>> {
        let (place, message) = (socket.place(self), Message::default());
        self.operation(RecvVectored { place, buffers, message, _socket: socket.clone() })
    }

    /// Sends several buffers, one after the other: a header and a body, say. `EMSGSIZE`: more than 1024
    /// of them. All else is as of [`send`](Ring::send).
    pub fn send_vectored<S: BufSet>(
        &self,
        socket: &Handle,
        buffers: S,
    ) -> Operation<SendVectored<S>> {
        self.send_message(socket, buffers, 0)
    }

    /// The same, and does not end before all is sent, but with an error (`MSG_WAITALL`; for streams
    /// only, Linux 5.19).
    pub fn send_all_vectored<S: BufSet>(
        &self,
        socket: &Handle,
        buffers: S,
    ) -> Operation<SendVectored<S>> {
        self.send_message(socket, buffers, net::MSG_WAITALL)
    }

    fn send_message<S: BufSet>(
        &self,
        socket: &Handle,
        buffers: S,
        flags: u32,
    ) -> Operation<SendVectored<S>> {
        let (place, message) = (socket.place(self), Message::default());
        self.operation(SendVectored { place, buffers, message, flags, _socket: socket.clone() })
    }
}

/// Counts in what the kernel wrote.
fn filled<S: BufMutSet>(mut buffers: S, room: usize, result: Result<u32>) -> WithBufs<S> {
    let count = result.map(|count| count as usize);
    if let Ok(count) = count {
        assert!(count <= room, "more was read than there is room for");
        // SAFETY: the kernel wrote so many bytes, from the first one on.
        unsafe { buffers.filled(count) };
    }
    (count, buffers)
}

/// See [`Ring::readv_at`].
#[derive(Debug)]
pub struct ReadV<S> {
    place: Place,
    buffers: S,
    vectors: Vectors,
    offset: u64,
    _file: Handle,
}

// SAFETY: the entry has the address of the vectors, which point to the buffers: both are owned.
unsafe impl<S: BufMutSet> Request for ReadV<S> {
    type Output = WithBufs<S>;

    fn entry(&mut self) -> Sqe {
        let (at, count) = self.vectors.of_room(&mut self.buffers);
        op::ReadV::new(self.place, at, count).offset(self.offset).build()
    }

    fn finish(self, completion: Completion) -> WithBufs<S> {
        filled(self.buffers, self.vectors.total(), completion.result)
    }
}

/// See [`Ring::writev_at`].
#[derive(Debug)]
pub struct WriteV<S> {
    place: Place,
    buffers: S,
    vectors: Vectors,
    offset: u64,
    _file: Handle,
}

// SAFETY: as above.
unsafe impl<S: BufSet> Request for WriteV<S> {
    type Output = WithBufs<S>;

    fn entry(&mut self) -> Sqe {
        let (at, count) = self.vectors.of(&self.buffers);
        op::WriteV::new(self.place, at, count).offset(self.offset).build()
    }

    fn finish(self, completion: Completion) -> WithBufs<S> {
        (completion.result.map(|count| count as usize), self.buffers)
    }
}

/// A message without a name.
#[derive(Debug)]
struct Message {
    vectors: Vectors,
    header: Msghdr,
}

// SAFETY: its pointers are for the kernel, and are set anew where the message stays.
unsafe impl Send for Message {}

impl Default for Message {
    fn default() -> Message {
        Message { vectors: Vectors::default(), header: Msghdr::EMPTY }
    }
}

impl Message {
    /// The header, with these vectors, where it is to stay.
    fn with(&mut self, (at, count): (*mut Iovec, u32)) -> *mut Msghdr {
        (self.header.msg_iov, self.header.msg_iovlen) = (at, count as usize);
        &raw mut self.header
    }
}

/// See [`Ring::recv_vectored`].
#[derive(Debug)]
pub struct RecvVectored<S> {
    place: Place,
    buffers: S,
    message: Message,
    _socket: Handle,
}

// SAFETY: the entry has the address of the header, which points to the vectors, and they to the
// buffers: all are owned.
unsafe impl<S: BufMutSet> Request for RecvVectored<S> {
    type Output = WithBufs<S>;

    fn entry(&mut self) -> Sqe {
        let vectors = self.message.vectors.of_room(&mut self.buffers);
        op::RecvMsg::new(self.place, self.message.with(vectors)).build()
    }

    fn finish(self, completion: Completion) -> WithBufs<S> {
        filled(self.buffers, self.message.vectors.total(), completion.result)
    }
}

/// See [`Ring::send_vectored`].
#[derive(Debug)]
pub struct SendVectored<S> {
    place: Place,
    buffers: S,
    message: Message,
    flags: u32,
    _socket: Handle,
}

// SAFETY: as above.
unsafe impl<S: BufSet> Request for SendVectored<S> {
    type Output = WithBufs<S>;

    fn entry(&mut self) -> Sqe {
        let vectors = self.message.vectors.of(&self.buffers);
        op::SendMsg::new(self.place, self.message.with(vectors))
            .message_flags(net::MSG_NOSIGNAL | self.flags)
            .build()
    }

    fn finish(self, completion: Completion) -> WithBufs<S> {
        (completion.result.map(|count| count as usize), self.buffers)
    }
}
