//! Receiving into several buffers of a pool at once.

use super::handle::{Handle, Place};
use super::operation::Operation;
use super::pool::{Lease, NO_GROUP, Pool};
use super::request::{Completion, Multishot, Request};
use super::ring::Ring;
use super::stream::Stream;
use crate::op;
use crate::ring::Sqe;
use sysring_sys::Result;

impl Ring {
    /// Receives into several buffers of the pool at once, if there are data for them (Linux 6.10): how
    /// many it takes at most is the kernel's choice. Leases come in the order of the data, all full but
    /// the last.
    ///
    /// There are none when the peer has finished. `ENOBUFS`: no buffer was left. `EINVAL` before Linux
    /// 6.10. If the operation is dropped, what it has received all the same is lost, and the buffers
    /// go back.
    ///
    /// ```
    /// use std::io::Write;
    /// use sysring::owned::{Pool, Ring};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let ring = Ring::new(8)?;
    /// let pool = Pool::new(&ring, 16, 4)?;
    /// let (mut us, them) = std::os::unix::net::UnixStream::pair()?;
    /// us.write_all(b"some pieces")?;
    /// match ring.recv_bundle(&them.into(), &pool).wait() {
    ///     Ok(pieces) => {
    ///         let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.to_vec()).collect();
    ///         assert!(b"some pieces".starts_with(&bytes));
    ///     }
    ///     Err(sysring::Errno::EINVAL) => println!("before Linux 6.10"),
    ///     Err(e) => return Err(e.into()),
    /// }
    /// # Ok(()) }
    /// ```
    pub fn recv_bundle(&self, socket: &Handle, pool: &Pool) -> Operation<RecvBundle> {
        self.operation(RecvBundle::new(self, socket, pool))
    }

    /// The same again and again (multishot), which knows better how many to take. The last item has no leases: the peer has finished. Or
    /// it is an error; after `ENOBUFS` give leases back, and begin anew.
    pub fn recv_bundles(&self, socket: &Handle, pool: &Pool) -> Stream<RecvBundle> {
        self.stream(RecvBundle::new(self, socket, pool))
    }
}

/// See [`Ring::recv_bundle`] and [`Ring::recv_bundles`].
#[derive(Debug)]
pub struct RecvBundle {
    place: Place,
    /// None: the pool is another ring's.
    group: Option<u16>,
    pool: Pool,
    _socket: Handle,
}

impl RecvBundle {
    fn new(ring: &Ring, socket: &Handle, pool: &Pool) -> RecvBundle {
        let (place, group) = (socket.place(ring), pool.group(ring));
        RecvBundle { place, group, pool: pool.clone(), _socket: socket.clone() }
    }

    fn leases(&self, completion: Completion) -> Result<Vec<Lease>> {
        // An operation that fails may have taken one, too: it goes back then.
        let leases = match completion.buffer() {
            Some(first) => self.pool.bundle(first, completion.result.unwrap_or(0)),
            None => Vec::new(),
        };
        match completion.result? {
            0 => Ok(Vec::new()),
            _ => Ok(leases),
        }
    }
}

// SAFETY: the entry has no address; the pool, whose buffers it may take, is owned.
unsafe impl Request for RecvBundle {
    type Output = Result<Vec<Lease>>;

    fn entry(&mut self) -> Sqe {
        let group = self.group.unwrap_or(NO_GROUP);
        op::Recv::new(self.place, std::ptr::null_mut(), 0).buffer_group(group).bundle().build()
    }

    fn finish(self, completion: Completion) -> Result<Vec<Lease>> {
        self.leases(completion)
    }
}

// SAFETY: as above.
unsafe impl Multishot for RecvBundle {
    type Item = Result<Vec<Lease>>;

    fn entry(&self) -> Sqe {
        op::Recv::multishot(self.place, self.group.unwrap_or(NO_GROUP)).bundle().build()
    }

    fn item(&self, completion: Completion) -> Result<Vec<Lease>> {
        self.leases(completion)
    }

    fn is_last(completion: &Completion) -> bool {
        matches!(completion.result, Err(_) | Ok(0))
    }
}
