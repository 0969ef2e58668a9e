//! Sockets: sending and receiving.

use sysring_sys::abi::Msghdr;
use sysring_sys::abi::io_uring::recvsend;

use super::{Target, abi, address, on, operation, select};

macro_rules! socket_errors {
    () => {
        "- `EBADF`: not open.\n\
         - `ENOTSOCK`: not a socket.\n\
         - `EFAULT`: the memory is not the program's.\n\
         - `EINVAL`: flags that are not known, or do not go together.\n\
         - `ENOTCONN`: not connected.\n\
         - `EAGAIN`: it would have to wait, and `MSG_DONTWAIT` is given, or the socket does not block \
           and `poll_first` is not given.\n\
         - `EOPNOTSUPP`: flags that this kind of socket does not take."
    };
}
macro_rules! send_errors {
    () => {
        "- `EPIPE`: closed for sending (and `SIGPIPE` is sent, unless `MSG_NOSIGNAL` is given).\n\
         - `ECONNRESET`: the peer has given up the connection.\n\
         - `EMSGSIZE`: longer than a message of this socket may be.\n\
         - `EDESTADDRREQ`: no address, and the socket has no peer; `EISCONN`: an address, and it has one.\n\
         - `EACCES`: no permission to send there.\n\
         - `ENETUNREACH`, `EHOSTUNREACH`: no way there.\n\
         - `ENOBUFS`: the queue to the network is full; or the group has no buffer left."
    };
}
macro_rules! receive_errors {
    () => {
        "- `ECONNREFUSED`, `ECONNRESET`: the peer does not listen, or has given up the connection.\n\
         - `ETIMEDOUT`: the peer does not answer.\n\
         - `ENOBUFS`: the group has no buffer left."
    };
}

/// What all of them can be told.
macro_rules! transfer {
    ($($name:ident)*) => {$(
        impl $name {
            /// Flags as `send(2)` and `recv(2)` have them (`MSG_*`). With `MSG_WAITALL` it goes on
            /// until all is transferred.
            #[inline(always)]
            pub fn message_flags(mut self, flags: u32) -> $name {
                self.0.op_flags = flags;
                self
            }

            /// Waits for readiness before the first attempt: where it is likely that there is
            /// nothing yet (Linux 5.19).
            #[inline(always)]
            pub fn poll_first(mut self) -> $name {
                self.0.ioprio |= recvsend::POLL_FIRST;
                self
            }
        }
    )*};
}

transfer! { Send Recv SendMsg RecvMsg SendZc SendMsgZc }

/// Those that may take buffers from a group, several at a time.
macro_rules! selects {
    ($($name:ident)*) => {$(
        impl $name {
            /// With a buffer of this group; the completion says [which](crate::Cqe::buffer_id). To
            /// receive, it is taken when there is something (Linux 5.7); to send, the buffers are
            /// the data (Linux 6.10).
            #[inline]
            pub fn buffer_group(mut self, group: u16) -> $name {
                select(&mut self.0, group);
                self
            }

            /// With [`buffer_group`](Self::buffer_group): as many buffers at once as there are data
            /// for, one after the other from the one that the completion says (Linux 6.10); see
            /// [`BufferRing::take_bundle`](crate::BufferRing::take_bundle).
            ///
            /// A send goes on while the group has buffers, and completes for each bundle; the last
            /// completion is the one without [`more`](crate::Cqe::more). What it has taken is used
            /// up, also where it fails.
            #[inline]
            pub fn bundle(mut self) -> $name {
                self.0.ioprio |= recvsend::BUNDLE;
                self
            }
        }
    )*};
}

selects! { Send Recv }

/// Those that may be told where to.
macro_rules! addressed {
    ($($name:ident)*) => {$(
        impl $name {
            /// To the address that lies there, in so many bytes (`struct sockaddr`; Linux 6.0).
            #[inline]
            pub fn to(mut self, at: *const u8, len: u16) -> $name {
                self.0.off = address(at);
                self.0.file_index = u32::from(len);
                self
            }
        }
    )*};
}

addressed! { Send SendZc }

#[inline(always)]
fn transfer<T>(code: u8, target: impl Target, memory: *const T, len: u32) -> abi::Sqe {
    abi::Sqe { addr: address(memory), len, ..on(code, target) }
}

operation! {
    /// Sends, as `send(2)` and `sendto(2)` (Linux 5.6).
    ///
    /// The value is the number of bytes.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::os::unix::net::UnixStream;
    /// use sysring::{Ring, op};
    ///
    /// let (here, there) = UnixStream::pair()?;
    /// let mut buffer = [0; 8];
    /// let mut ring = Ring::new(8)?;
    /// // SAFETY: both buffers stay until the completions, and nobody looks at the second before.
    /// unsafe {
    ///     ring.push(op::Send::new(&here, b"ping".as_ptr(), 4).build().link())?;
    ///     ring.push(op::Recv::new(&there, buffer.as_mut_ptr(), 8))?;
    /// }
    /// ring.submit_and_wait(2)?;
    /// for completion in ring.completions() {
    ///     assert_eq!(completion.result()?, 4);
    /// }
    /// assert_eq!(&buffer[..4], b"ping");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    #[doc = socket_errors!()]
    #[doc = send_errors!()]
    Send = SEND
}

impl Send {
    /// `len` bytes from `buffer`.
    #[inline(always)]
    pub fn new(target: impl Target, buffer: *const u8, len: u32) -> Send {
        Send(transfer(Send::CODE, target, buffer, len))
    }
}

operation! {
    /// Receives, as `recv(2)` (Linux 5.6).
    ///
    /// The value is the number of bytes; 0 when the peer has closed.
    ///
    /// # Errors
    #[doc = socket_errors!()]
    #[doc = receive_errors!()]
    Recv = RECV
}

impl Recv {
    /// Up to `len` bytes into `buffer`.
    #[inline(always)]
    pub fn new(target: impl Target, buffer: *mut u8, len: u32) -> Recv {
        Recv(transfer(Recv::CODE, target, buffer, len))
    }

    /// Again and again, each time into a buffer of this group, until a completion comes without
    /// [`more`](crate::Cqe::more) (Linux 6.0).
    #[inline]
    pub fn multishot(target: impl Target, group: u16) -> Recv {
        let mut recv = Recv::new(target, core::ptr::null_mut(), 0).buffer_group(group);
        recv.0.ioprio |= recvsend::RECV_MULTISHOT;
        recv
    }
}

operation! {
    /// Sends a message, as `sendmsg(2)` (Linux 5.3).
    ///
    /// The value is the number of bytes.
    ///
    /// # Errors
    #[doc = socket_errors!()]
    #[doc = send_errors!()]
    SendMsg = SENDMSG
}

impl SendMsg {
    /// What the `msghdr` describes.
    #[inline(always)]
    pub fn new(target: impl Target, message: *const Msghdr) -> SendMsg {
        SendMsg(transfer(SendMsg::CODE, target, message, 1))
    }
}

operation! {
    /// Receives a message, as `recvmsg(2)` (Linux 5.3).
    ///
    /// The value is the number of bytes; 0 when the peer has closed. Name, control data and flags
    /// are written to what the `msghdr` names, and into it.
    ///
    /// # Errors
    #[doc = socket_errors!()]
    #[doc = receive_errors!()]
    RecvMsg = RECVMSG
}

impl RecvMsg {
    /// Into what the `msghdr` describes.
    #[inline(always)]
    pub fn new(target: impl Target, message: *mut Msghdr) -> RecvMsg {
        RecvMsg(transfer(RecvMsg::CODE, target, message, 1))
    }

    /// Into a buffer of this group; the `msghdr` has at most one piece, whose length counts (Linux
    /// 5.7).
    #[inline]
    pub fn buffer_group(mut self, group: u16) -> RecvMsg {
        select(&mut self.0, group);
        self
    }

    /// Again and again, each time into a buffer of this group, until a completion comes without
    /// [`more`](crate::Cqe::more) (Linux 6.0). The `msghdr` only says how much room names and control
    /// data have; [`ReceivedMessage`](super::ReceivedMessage) finds them in the buffer, before the
    /// payload.
    #[inline]
    pub fn multishot(target: impl Target, message: *const Msghdr, group: u16) -> RecvMsg {
        let mut recv = RecvMsg::new(target, message.cast_mut()).buffer_group(group);
        recv.0.ioprio |= recvsend::RECV_MULTISHOT;
        recv
    }
}

/// What sends without copying can be told.
macro_rules! zero_copy {
    ($($name:ident)*) => {$(
        impl $name {
            /// From a [registered buffer](crate::Register::buffers) of this index.
            #[inline]
            pub fn fixed(mut self, index: u16) -> $name {
                self.0.ioprio |= recvsend::FIXED_BUF;
                self.0.buf_index = index;
                self
            }

            /// The notification says whether the data [was copied](crate::Cqe::was_copied) after all
            /// (Linux 6.2).
            #[inline]
            pub fn report_usage(mut self) -> $name {
                self.0.ioprio |= recvsend::SEND_ZC_REPORT_USAGE;
                self
            }
        }
    )*};
}

zero_copy! { SendZc SendMsgZc }

operation! {
    /// Sends without copying the data (Linux 6.0).
    ///
    /// There are two completions. The first has the number of bytes, and
    /// [`more`](crate::Cqe::more); the second is a [notification](crate::Cqe::is_notification): the
    /// memory is the program's again. A send that fails may have the first one alone.
    ///
    /// # Errors
    #[doc = socket_errors!()]
    #[doc = send_errors!()]
    /// - `EOPNOTSUPP`: this kind of socket always copies.
    SendZc = SEND_ZC
}

impl SendZc {
    /// `len` bytes from `buffer`.
    #[inline]
    pub fn new(target: impl Target, buffer: *const u8, len: u32) -> SendZc {
        SendZc(transfer(SendZc::CODE, target, buffer, len))
    }
}

operation! {
    /// Sends a message without copying the data (Linux 6.1). Completions are as of [`SendZc`].
    ///
    /// # Errors
    #[doc = socket_errors!()]
    #[doc = send_errors!()]
    /// - `EOPNOTSUPP`: this kind of socket always copies.
    SendMsgZc = SENDMSG_ZC
}

impl SendMsgZc {
    /// What the `msghdr` describes.
    #[inline]
    pub fn new(target: impl Target, message: *const Msghdr) -> SendMsgZc {
        SendMsgZc(transfer(SendMsgZc::CODE, target, message, 1))
    }
}

operation! {
    /// Receives without copying, from a queue of a network card (Linux 6.15): only on rings that have
    /// registered one, with [large completions](crate::Builder::large_completions).
    ///
    /// Each completion has the number of bytes, and [says](crate::Cqe32::extra) where they are, until
    /// one comes without [`more`](crate::Cqe::more).
    ///
    /// # Errors
    /// - `EINVAL`: no queue is registered; where the engine in userspace serves, always.
    /// - `EOPNOTSUPP`: not a TCP socket.
    /// - `ENOTCONN`: not connected.
    /// - `ENOMEM`: no memory of the queue is left.
    RecvZc = RECV_ZC
}

impl RecvZc {
    /// From this socket, by this queue.
    #[inline]
    pub fn new(target: impl Target, queue: u32) -> RecvZc {
        let mut entry = on(RecvZc::CODE, target);
        entry.ioprio = recvsend::RECV_MULTISHOT;
        entry.file_index = queue;
        RecvZc(entry)
    }

    /// So many bytes in all at most.
    #[inline]
    pub fn len(mut self, len: u32) -> RecvZc {
        self.0.len = len;
        self
    }
}
