//! UDP.

use std::net::{self, SocketAddr};

use super::kept::Kept;
use crate::Errno;
use crate::owned::{Buf, BufMut, Handle, Operation, Ring, SendTo, fill, filled_part};
use sysring_sys::Result;

/// A socket for datagrams.
#[derive(Clone, Debug)]
pub struct UdpSocket {
    ring: Ring,
    handle: Handle,
    kept: Kept<(Vec<u8>, SocketAddr)>,
}

impl UdpSocket {
    /// A socket that is bound already. Do not make it nonblocking.
    #[must_use]
    pub fn new(ring: &Ring, socket: impl Into<Handle>) -> UdpSocket {
        UdpSocket { ring: ring.clone(), handle: socket.into(), kept: Kept::new() }
    }

    /// A socket at an address.
    ///
    /// # Errors
    /// As [`std::net::UdpSocket::bind`].
    pub fn bind(ring: &Ring, address: impl net::ToSocketAddrs) -> std::io::Result<UdpSocket> {
        Ok(UdpSocket::new(ring, net::UdpSocket::bind(address)?))
    }

    /// Its address.
    ///
    /// # Errors
    /// `EBADF`: it is a direct descriptor; those of `getsockname(2)`.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        let no_descriptor = || std::io::Error::from_raw_os_error(Errno::EBADF.raw());
        let fd = self.handle.fd().ok_or_else(no_descriptor)?.try_clone_to_owned()?;
        net::UdpSocket::from(fd).local_addr()
    }

    /// Sends a datagram. See [`Ring::send_to`].
    pub fn send_to<B: Buf>(&self, buffer: B, to: SocketAddr) -> Operation<SendTo<B>> {
        self.ring.send_to(&self.handle, buffer, to)
    }

    /// Receives a datagram and tells who sent it; what does not fit into the buffer is lost. Errors:
    /// those of `recvmsg(2)`.
    ///
    /// If the future is dropped and has taken a datagram all the same, the next receive returns it.
    pub async fn recv_from<B: BufMut>(&self, mut buffer: B) -> (Result<(usize, SocketAddr)>, B) {
        let Some((bytes, from)) = self.kept.take().await else {
            let recv = self.ring.recv_from(&self.handle, buffer).into_request();
            return self.kept.operation(&self.ring, recv, keep).await;
        };
        let count = fill(&mut buffer, &bytes);
        (Ok((count, from)), buffer)
    }

    /// What operations of the ring take.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

fn keep<B: BufMut>(
    (received, mut buffer): (Result<(usize, SocketAddr)>, B),
) -> Option<(Vec<u8>, SocketAddr)> {
    let (count, from) = received.ok()?;
    // SAFETY: the kernel wrote so many bytes there.
    let bytes = unsafe { filled_part(&mut buffer, count) };
    Some((bytes, from))
}
