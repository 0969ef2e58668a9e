//! Files.

use std::path::Path;

use crate::Errno;
use crate::owned::{
    Buf, BufMut, BufMutSet, BufSet, Fsync, Handle, OpenOptions, Operation, Read, ReadV, Ring, Tail,
    WithBuf, Write, WriteV,
};
use sysring_sys::Result;

/// A file, read and written at offsets.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sysring::future::{File, block_on};
///
/// let ring = sysring::owned::Ring::new(8)?;
/// # let path = std::env::temp_dir().join(format!("sysring-doc-{}", std::process::id()));
/// block_on(&ring, async {
///     let file = File::create(&ring, &path).await?;
///     let (written, _) = file.write_all_at("hello", 0).await;
///     written?;
///     file.sync_all().await
/// })?;
/// assert_eq!(std::fs::read(&path)?, b"hello");
/// # std::fs::remove_file(path)?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct File {
    ring: Ring,
    handle: Handle,
}

impl File {
    /// A file that is open already.
    #[must_use]
    pub fn new(ring: &Ring, file: impl Into<Handle>) -> File {
        File { ring: ring.clone(), handle: file.into() }
    }

    /// Opens a file to read it.
    ///
    /// # Errors
    /// Those of [`op::OpenAt`](crate::op::OpenAt).
    pub async fn open(ring: &Ring, path: impl AsRef<Path>) -> Result<File> {
        File::open_with(ring, path, OpenOptions::reading()).await
    }

    /// Opens a file to write it: it is made if it is not there, and emptied if it is.
    ///
    /// # Errors
    /// Those of [`op::OpenAt`](crate::op::OpenAt).
    pub async fn create(ring: &Ring, path: impl AsRef<Path>) -> Result<File> {
        File::open_with(ring, path, OpenOptions::writing()).await
    }

    /// Opens a file as the options say.
    ///
    /// # Errors
    /// Those of [`op::OpenAt`](crate::op::OpenAt).
    pub async fn open_with(
        ring: &Ring,
        path: impl AsRef<Path>,
        options: OpenOptions,
    ) -> Result<File> {
        let handle = ring.open(path, options).await?;
        Ok(File { ring: ring.clone(), handle })
    }

    /// Reads at an offset; the count is 0 behind the end. See [`Ring::read_at`].
    pub fn read_at<B: BufMut>(&self, buffer: B, offset: u64) -> Operation<Read<B>> {
        self.ring.read_at(&self.handle, buffer, offset)
    }

    /// Writes at an offset; the count may be less than the buffer holds. See [`Ring::write_at`].
    pub fn write_at<B: Buf>(&self, buffer: B, offset: u64) -> Operation<Write<B>> {
        self.ring.write_at(&self.handle, buffer, offset)
    }

    /// Reads into several buffers, one after the other. See [`Ring::readv_at`].
    pub fn readv_at<S: BufMutSet>(&self, buffers: S, offset: u64) -> Operation<ReadV<S>> {
        self.ring.readv_at(&self.handle, buffers, offset)
    }

    /// Writes several buffers, one after the other. See [`Ring::writev_at`].
    pub fn writev_at<S: BufSet>(&self, buffers: S, offset: u64) -> Operation<WriteV<S>> {
        self.ring.writev_at(&self.handle, buffers, offset)
    }

    /// Writes the whole buffer. `EIO`: the file takes nothing more, and does not say why.
    pub async fn write_all_at<B: Buf>(&self, mut buffer: B, offset: u64) -> (Result<()>, B) {
        let mut at = 0;
        while at < buffer.len() {
            let (count, rest) = self.write_at(Tail::new(buffer, at), offset + at as u64).await;
            buffer = rest.into_inner();
            match count {
                Ok(0) => return (Err(Errno::EIO), buffer),
                Ok(count) => at += count,
                Err(Errno::EINTR) => {}
                Err(e) => return (Err(e), buffer),
            }
        }
        (Ok(()), buffer)
    }

    /// Fills the whole buffer. `ENODATA`: the file ends before that.
    pub async fn read_exact_at<B: Buf + BufMut>(
        &self,
        mut buffer: B,
        offset: u64,
    ) -> (Result<()>, B) {
        let (mut at, room) = (0, buffer.room());
        while at < room {
            let (count, rest) = self.read_at(Tail::new(buffer, at), offset + at as u64).await;
            buffer = rest.into_inner();
            match count {
                Ok(0) => return (Err(Errno::ENODATA), buffer),
                Ok(count) => at += count,
                Err(Errno::EINTR) => {}
                Err(e) => return (Err(e), buffer),
            }
        }
        (Ok(()), buffer)
    }

    /// Reads from an offset to the end of the file, behind what the vector holds.
    pub async fn read_to_end_at(&self, mut buffer: Vec<u8>, offset: u64) -> WithBuf<Vec<u8>> {
        let begin = buffer.len();
        loop {
            let at = buffer.len();
            if buffer.capacity() - at < 32 {
                buffer.reserve(at.max(4096));
            }
            let read = self.read_at(Tail::new(buffer, at), offset + (at - begin) as u64).await;
            buffer = read.1.into_inner();
            match read.0 {
                Ok(0) => return (Ok(buffer.len() - begin), buffer),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(e) => return (Err(e), buffer),
            }
        }
    }

    /// Waits until data and metadata are on the disk, as `fsync(2)`.
    pub fn sync_all(&self) -> Operation<Fsync> {
        self.ring.fsync(&self.handle)
    }

    /// Waits until the data is on the disk, as `fdatasync(2)`.
    pub fn sync_data(&self) -> Operation<Fsync> {
        self.ring.fdatasync(&self.handle)
    }

    /// Closes the file and tells what came of it; dropping it closes it, too.
    ///
    /// # Errors
    /// - `EBUSY`: there is another clone, or an operation is under way.
    /// - `EIO`, `ENOSPC`, `EDQUOT`: what was written before is lost, and the file is closed.
    pub async fn close(self) -> Result<()> {
        self.ring.close(self.handle).await
    }

    /// What operations of the ring take.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}
