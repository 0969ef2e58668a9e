//! Sockets: making, connecting, closing them.

use sysring_sys::abi::io_uring::accept;

use super::{Slot, Target, address, alone, on, operation};

operation! {
    /// Takes a connection, as `accept4(2)` (Linux 5.5).
    ///
    /// The value is the new descriptor; with [`direct`](Accept::direct) 0, or the index of a free slot.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::net::{TcpListener, TcpStream};
    /// use std::os::fd::{FromRawFd, OwnedFd};
    /// use sysring::{Ring, op};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let client = TcpStream::connect(listener.local_addr()?)?;
    /// let mut ring = Ring::new(8)?;
    /// // SAFETY: the listener is open until it is done.
    /// unsafe { ring.push(op::Accept::new(&listener))? };
    /// ring.submit_and_wait(1)?;
    /// let number = ring.completion().unwrap().result()?;
    /// // SAFETY: it was just opened, and is nobody else's.
    /// let served = TcpStream::from(unsafe { OwnedFd::from_raw_fd(number as i32) });
    /// assert_eq!(served.peer_addr()?, client.local_addr()?);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// - `EBADF`: not open; `ENOTSOCK`: not a socket; `EOPNOTSUPP`: not one that listens for
    ///   connections.
    /// - `EINVAL`: it does not listen; or flags that are not known.
    /// - `EAGAIN`: nobody is there, and the socket does not block.
    /// - `EFAULT`: the memory for the address is not the program's.
    /// - `EMFILE`, `ENFILE`: too many open files; `ENFILE` also: no free slot.
    /// - `ENXIO`: there is no table for [`direct`](Accept::direct).
    /// - `ECONNABORTED`: the peer has given up.
    Accept = ACCEPT
}

impl Accept {
    /// A connection to this socket.
    #[inline]
    pub fn new(target: impl Target) -> Accept {
        Accept(on(Accept::CODE, target))
    }

    /// Where the peer's address goes, and a 32-bit word with its length.
    #[inline]
    pub fn peer(mut self, at: *mut u8, len: *mut u32) -> Accept {
        self.0.addr = address(at);
        self.0.off = address(len);
        self
    }

    /// `SOCK_NONBLOCK`, `SOCK_CLOEXEC`.
    #[inline]
    pub fn socket_flags(mut self, flags: u32) -> Accept {
        self.0.op_flags = flags;
        self
    }

    /// The connection goes to a slot of the ring's table (Linux 5.15). Not with `SOCK_CLOEXEC`.
    #[inline]
    pub fn direct(mut self, slot: Slot) -> Accept {
        self.0.file_index = slot.to_raw();
        self
    }

    /// One connection after the other, until a completion comes without
    /// [`more`](crate::Cqe::more) (Linux 5.19); [`direct`](Accept::direct) only to free slots.
    #[inline]
    pub fn multishot(mut self) -> Accept {
        self.0.ioprio |= accept::MULTISHOT;
        self
    }

    /// `EAGAIN` if nobody is there (Linux 6.10).
    #[inline]
    pub fn dont_wait(mut self) -> Accept {
        self.0.ioprio |= accept::DONTWAIT;
        self
    }

    /// Waits for readiness before the first attempt (Linux 6.10).
    #[inline]
    pub fn poll_first(mut self) -> Accept {
        self.0.ioprio |= accept::POLL_FIRST;
        self
    }
}

operation! {
    /// Connects a socket, as `connect(2)` (Linux 5.5); also one that does not block, which is waited
    /// for.
    ///
    /// The value is 0.
    ///
    /// # Errors
    /// - `EBADF`: not open; `ENOTSOCK`: not a socket.
    /// - `EFAULT`: the address is not in the program's memory; `EINVAL`: its length is wrong.
    /// - `EAFNOSUPPORT`: an address of another family.
    /// - `ECONNREFUSED`: nobody listens there; `ENOENT`: the path of a local socket does not exist.
    /// - `ETIMEDOUT`, `ENETUNREACH`, `EHOSTUNREACH`: no answer, no way there.
    /// - `EISCONN`: it is connected; `EALREADY`: it is being connected.
    /// - `EADDRNOTAVAIL`, `EAGAIN`: no local port left.
    /// - `EACCES`, `EPERM`: not permitted.
    Connect = CONNECT
}

impl Connect {
    /// To the address that lies at `at`, in `len` bytes (`struct sockaddr`).
    #[inline]
    pub fn new(target: impl Target, at: *const u8, len: u32) -> Connect {
        let mut entry = on(Connect::CODE, target);
        entry.addr = address(at);
        entry.off = u64::from(len);
        Connect(entry)
    }
}

operation! {
    /// Makes a socket, as `socket(2)` (Linux 5.19).
    ///
    /// The value is the new descriptor; with [`direct`](Socket::direct) 0, or the index of a free slot.
    ///
    /// # Errors
    /// - `EAFNOSUPPORT`: the family is not known; `EPROTONOSUPPORT`, `ESOCKTNOSUPPORT`: it has no such
    ///   protocol or type.
    /// - `EINVAL`: flags that are not known, or `SOCK_CLOEXEC` with [`direct`](Socket::direct).
    /// - `EMFILE`, `ENFILE`: too many open files; `ENFILE` also: no free slot.
    /// - `ENXIO`: there is no table for [`direct`](Socket::direct).
    /// - `EACCES`, `EPERM`: not permitted.
    Socket = SOCKET
}

impl Socket {
    /// Of this family (`AF_*`), type (`SOCK_*`, with its flags) and protocol.
    #[inline]
    pub fn new(family: i32, kind: i32, protocol: i32) -> Socket {
        let mut entry = alone(Socket::CODE);
        entry.fd = family;
        entry.off = kind as u32 as u64;
        entry.len = protocol as u32;
        Socket(entry)
    }

    /// The socket goes to a slot of the ring's table.
    #[inline]
    pub fn direct(mut self, slot: Slot) -> Socket {
        self.0.file_index = slot.to_raw();
        self
    }
}

operation! {
    /// Closes a connection, or a direction of it, as `shutdown(2)` (Linux 5.11).
    ///
    /// The value is 0.
    ///
    /// # Errors
    /// - `EBADF`: not open; `ENOTSOCK`: not a socket; `ENOTCONN`: not connected.
    /// - `EINVAL`: not one of the three directions.
    Shutdown = SHUTDOWN
}

impl Shutdown {
    /// `SHUT_RD`, `SHUT_WR` or `SHUT_RDWR`.
    #[inline]
    pub fn new(target: impl Target, how: i32) -> Shutdown {
        let mut entry = on(Shutdown::CODE, target);
        entry.len = how as u32;
        Shutdown(entry)
    }
}

operation! {
    /// Gives a socket its address, as `bind(2)` (Linux 6.11).
    ///
    /// The value is 0.
    ///
    /// # Errors
    /// - `EBADF`: not open; `ENOTSOCK`: not a socket.
    /// - `EADDRINUSE`: somebody has it; `EADDRNOTAVAIL`: it is not this machine's.
    /// - `EINVAL`: it has an address already, or the length is wrong.
    /// - `EACCES`: a port that needs privilege; and those of paths, for local sockets.
    /// - `EFAULT`: the address is not in the program's memory.
    Bind = BIND
}

impl Bind {
    /// The address that lies at `at`, in `len` bytes (`struct sockaddr`).
    #[inline]
    pub fn new(target: impl Target, at: *const u8, len: u32) -> Bind {
        let mut entry = on(Bind::CODE, target);
        entry.addr = address(at);
        entry.off = u64::from(len);
        Bind(entry)
    }
}

operation! {
    /// Listens for connections, as `listen(2)` (Linux 6.11).
    ///
    /// The value is 0.
    ///
    /// # Errors
    /// - `EBADF`: not open; `ENOTSOCK`: not a socket; `EOPNOTSUPP`: a kind that does not listen.
    /// - `EADDRINUSE`: another one listens there.
    Listen = LISTEN
}

impl Listen {
    /// So many connections may wait to be taken.
    #[inline]
    pub fn new(target: impl Target, backlog: u32) -> Listen {
        let mut entry = on(Listen::CODE, target);
        entry.len = backlog;
        Listen(entry)
    }
}
