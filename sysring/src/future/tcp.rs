//! TCP.

use std::net::{self, Shutdown, SocketAddr};
use std::os::fd::OwnedFd;

use super::kept::Kept;
use crate::Errno;
use crate::owned::{
    Buf, BufMut, BufSet, Handle, Operation, Ring, Send, SendVectored, SendZc, ShutDown, SocketKind,
    WithBuf, fill, filled_part,
};
use sysring_sys::Result;

/// A socket that takes connections. (Unix sockets will do, too.)
///
/// Make it with std, and do not make it nonblocking: the operations would answer `EAGAIN` instead of
/// waiting.
#[derive(Clone, Debug)]
pub struct TcpListener {
    ring: Ring,
    handle: Handle,
    kept: Kept<Handle>,
}

impl TcpListener {
    /// A socket that listens already.
    #[must_use]
    pub fn new(ring: &Ring, listener: impl Into<Handle>) -> TcpListener {
        TcpListener { ring: ring.clone(), handle: listener.into(), kept: Kept::new() }
    }

    /// A socket that listens at an address.
    ///
    /// # Errors
    /// As [`std::net::TcpListener::bind`].
    pub fn bind(ring: &Ring, address: impl net::ToSocketAddrs) -> std::io::Result<TcpListener> {
        Ok(TcpListener::new(ring, net::TcpListener::bind(address)?))
    }

    /// Where it listens.
    ///
    /// # Errors
    /// `EBADF`: it is a direct descriptor; those of `getsockname(2)`.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        let no_descriptor = || std::io::Error::from_raw_os_error(Errno::EBADF.raw());
        let fd: OwnedFd = self.handle.fd().ok_or_else(no_descriptor)?.try_clone_to_owned()?;
        net::TcpListener::from(fd).local_addr()
    }

    /// Takes a connection.
    ///
    /// If the future is dropped and has taken a connection all the same, the next accept returns it.
    ///
    /// # Errors
    /// Those of [`op::Accept`](crate::op::Accept).
    pub async fn accept(&self) -> Result<TcpStream> {
        let connection = match self.kept.take().await {
            Some(connection) => connection,
            None => {
                let accept = self.ring.accept(&self.handle).into_request();
                self.kept.operation(&self.ring, accept, Result::ok).await?
            }
        };
        Ok(TcpStream::new(&self.ring, connection))
    }

    /// What operations of the ring take.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

/// A connection. (Any other stream socket will do, too.)
#[derive(Clone, Debug)]
pub struct TcpStream {
    ring: Ring,
    handle: Handle,
    kept: Kept<Received>,
}

/// What a receive has taken from the socket: bytes, or an error, which it has only once.
type Received = Result<Vec<u8>>;

impl TcpStream {
    /// A socket that is connected already.
    #[must_use]
    pub fn new(ring: &Ring, stream: impl Into<Handle>) -> TcpStream {
        TcpStream { ring: ring.clone(), handle: stream.into(), kept: Kept::new() }
    }

    /// Connects to an address.
    ///
    /// # Errors
    /// Those of [`op::Socket`](crate::op::Socket) and [`op::Connect`](crate::op::Connect).
    pub async fn connect(ring: &Ring, address: SocketAddr) -> Result<TcpStream> {
        let socket = ring.socket(&address, SocketKind::Stream).await?;
        ring.connect(&socket, address).await?;
        Ok(TcpStream::new(ring, socket))
    }

    /// Receives; the count is 0 when the peer has finished. Errors: those of `recv(2)`.
    ///
    /// If the future is dropped and has taken bytes all the same, the next receives return them.
    /// What the buffer held before is gone with it.
    pub async fn recv<B: BufMut>(&self, buffer: B) -> WithBuf<B> {
        match self.kept.take().await {
            Some(Ok(bytes)) => self.serve(bytes, buffer),
            Some(Err(e)) => (Err(e), buffer),
            None => {
                let recv = self.ring.recv(&self.handle, buffer).into_request();
                self.kept.operation(&self.ring, recv, keep).await
            }
        }
    }

    /// Hands out bytes that were kept.
    fn serve<B: BufMut>(&self, mut bytes: Vec<u8>, mut buffer: B) -> WithBuf<B> {
        let count = fill(&mut buffer, &bytes);
        if count < bytes.len() {
            bytes.drain(..count);
            self.kept.put_back(Ok(bytes));
        }
        (Ok(count), buffer)
    }

    /// Sends; the count may be less than the buffer holds. See [`Ring::send`].
    pub fn send<B: Buf>(&self, buffer: B) -> Operation<Send<B>> {
        self.ring.send(&self.handle, buffer)
    }

    /// Sends all of the buffer, or ends with an error. See [`Ring::send_all`].
    pub fn send_all<B: Buf>(&self, buffer: B) -> Operation<Send<B>> {
        self.ring.send_all(&self.handle, buffer)
    }

    /// Sends several buffers, one after the other; the count may be less than they hold. See
    /// [`Ring::send_vectored`].
    pub fn send_vectored<S: BufSet>(&self, buffers: S) -> Operation<SendVectored<S>> {
        self.ring.send_vectored(&self.handle, buffers)
    }

    /// The same of all of them, or ends with an error. See [`Ring::send_all_vectored`].
    pub fn send_all_vectored<S: BufSet>(&self, buffers: S) -> Operation<SendVectored<S>> {
        self.ring.send_all_vectored(&self.handle, buffers)
    }

    /// Sends from the buffer itself. See [`Ring::send_zc`].
    pub fn send_zc<B: Buf>(&self, buffer: B) -> Operation<SendZc<B>> {
        self.ring.send_zc(&self.handle, buffer)
    }

    /// Ends one or both directions.
    pub fn shutdown(&self, how: Shutdown) -> Operation<ShutDown> {
        self.ring.shutdown(&self.handle, how)
    }

    /// What operations of the ring take.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

/// What is worth keeping of a receive.
fn keep<B: BufMut>((count, mut buffer): WithBuf<B>) -> Option<Received> {
    match count {
        // The end is seen again, and what was cancelled brought nothing.
        Ok(0) | Err(Errno::ECANCELED | Errno::EINTR | Errno::EAGAIN) => None,
        // SAFETY: the kernel wrote so many bytes there.
        Ok(count) => Some(Ok(unsafe { filled_part(&mut buffer, count) })),
        Err(e) => Some(Err(e)),
    }
}
