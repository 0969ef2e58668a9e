//! Sending many buffers, as they come, in bundles.

use std::fmt;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use sysring_sys::abi::io_uring::BufEntry;
use sysring_sys::raw::net;

use super::buf::Buf;
use super::handle::{Handle, Place};
use super::memory::Pages;
use super::pool::{Entry, NO_GROUP, is_taken_back, put_entry, register_group};
use super::request::{Completion, Multishot};
use super::ring::Ring;
use super::stream::Stream;
use super::turn::Shared;
use crate::ring::Sqe;
use crate::{Errno, op};
use sysring_sys::Result;

/// Buffers that wait to be sent, in the order in which they were [put](Outbox::put). A
/// [bundle](Ring::send_bundles) takes as many at once as there are, also those that are put while it
/// is under way.
///
/// An outbox is for one connection: two bundles share what is in it between them.
pub struct Outbox<B: Buf>(Arc<Inner<B>>);

struct Inner<B> {
    ring: Weak<Shared>,
    group: u16,
    count: u16,
    /// The ring of entries. `None` when it must not be unmapped.
    pages: Option<Pages>,
    waiting: Mutex<Waiting<B>>,
}

struct Waiting<B> {
    /// By id. Boxed, for the kernel knows where they are.
    buffers: Box<[Option<Box<B>>]>,
    /// Ids that no buffer has.
    free: Vec<u16>,
    /// The order in which they were put: for each the id of the one after it.
    next: Box<[u16]>,
    last: u16,
    tail: u16,
    /// A bundle broke off in the middle of a buffer: what follows must not be sent.
    torn: bool,
}

impl<B: Buf> Outbox<B> {
    /// With room for so many buffers.
    ///
    /// # Errors
    /// - `EINVAL`: `count` is no power of two, or more than 32,768; or the kernel is older than Linux
    ///   5.19.
    /// - `ENOMEM`: not that much memory.
    pub fn new(ring: &Ring, count: u16) -> Result<Outbox<B>> {
        if !count.is_power_of_two() {
            return Err(Errno::EINVAL);
        }
        let places = usize::from(count);
        let pages = Pages::new(places * size_of::<BufEntry>())?;
        let group = ring.shared.lock().groups.take().ok_or(Errno::ENOMEM)?;
        let inner = Inner {
            ring: ring.downgrade(),
            group,
            count,
            pages: Some(pages),
            waiting: Mutex::new(Waiting {
                buffers: (0..places).map(|_| None).collect(),
                free: (0..count).rev().collect(),
                next: vec![0; places].into_boxed_slice(),
                last: 0,
                tail: 0,
                torn: false,
            }),
        };
        // SAFETY: entries and buffers are those of `inner`, which takes the group back before they go.
        unsafe { register_group(ring, group, inner.entries(), count) }?;
        Ok(Outbox(Arc::new(inner)))
    }

    /// Puts a buffer behind the others.
    ///
    /// # Errors
    /// The buffer: there are as many as there is room for, or it holds nothing, or more than 1 GiB.
    pub fn put(&self, buffer: B) -> std::result::Result<(), B> {
        const MOST: usize = 1 << 30;
        let mut waiting = self.0.waiting();
        if buffer.is_empty() || buffer.len() > MOST {
            return Err(buffer);
        }
        let Some(id) = waiting.free.pop() else { return Err(buffer) };
        let buffer = waiting.buffers[usize::from(id)].insert(Box::new(buffer));
        let entry = Entry { at: buffer.ptr(), len: buffer.len() as u32, id };
        let last = std::mem::replace(&mut waiting.last, id);
        waiting.next[usize::from(last)] = id;
        // SAFETY: the ring has as many places as there are ids, so one is free; the lock is held.
        unsafe { put_entry(self.0.entries(), self.0.count, waiting.tail, entry) };
        waiting.tail = waiting.tail.wrapping_add(1);
        Ok(())
    }

    /// How many buffers are in it: those that no bundle has told of.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.0.count) - self.0.waiting().free.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is in it, in no order, if no bundle is under way: after an error, what was not sent, or
    /// of which that is not known.
    ///
    /// # Errors
    /// The outbox: a bundle still has it, or the kernel does not let go of it.
    pub fn into_buffers(self) -> std::result::Result<Vec<B>, Outbox<B>> {
        let mut inner = Arc::try_unwrap(self.0).map_err(Outbox)?;
        if !inner.is_let_go() {
            return Err(Outbox(Arc::new(inner)));
        }
        let waiting = inner.waiting.get_mut().unwrap_or_else(PoisonError::into_inner);
        Ok(waiting.buffers.iter_mut().filter_map(Option::take).map(|buffer| *buffer).collect())
    }
}

impl<B> Inner<B> {
    fn entries(&self) -> NonNull<u8> {
        self.pages.as_ref().expect("there until the drop").at(0)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<B>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the kernel has no claim on the memory any more.
    fn is_let_go(&mut self) -> bool {
        let gone = is_taken_back(&self.ring, self.group);
        if gone {
            // Not a second time: somebody else may get the number.
            self.ring = Weak::new();
        }
        gone
    }

    fn is_torn(&self) -> bool {
        self.waiting().torn
    }

    /// Takes out what was sent, `bytes` from the buffer `first` on; none of it if they end within one.
    fn sent(&self, first: u16, bytes: u32) -> Option<Vec<B>>
    where
        B: Buf,
    {
        let waiting = &mut *self.waiting();
        if waiting.torn {
            return None;
        }
        // What each holds is looked at before any is taken out.
        let (mut count, mut id, mut left) = (0, usize::from(first), bytes as usize);
        while left > 0 {
            let len = waiting.buffers.get(id)?.as_deref()?.len();
            if len > left {
                waiting.torn = true;
                return None;
            }
            (count, left) = (count + 1, left - len);
            id = usize::from(waiting.next[id]);
        }
        let mut sent = Vec::with_capacity(count);
        id = usize::from(first);
        for _ in 0..count {
            sent.extend(waiting.buffers[id].take().map(|buffer| *buffer));
            waiting.free.push(id as u16);
            id = usize::from(waiting.next[id]);
        }
        Some(sent)
    }
}

impl<B> Drop for Inner<B> {
    /// No operation is under way that could take a buffer: each of them holds a clone.
    fn drop(&mut self) {
        if !self.is_let_go() {
            std::mem::forget(self.pages.take());
            let waiting = self.waiting.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(std::mem::take(&mut waiting.buffers));
        }
    }
}

impl Ring {
    /// Sends what is in the outbox, as many buffers at a time as there are (Linux 6.10; for streams),
    /// and gives them back, in their order. The last item has none: all is sent. Or it is an error;
    /// what was taken and not sent stays in the outbox then ([`Outbox::into_buffers`]).
    ///
    /// `ECANCELED`: it was cancelled, perhaps in the middle of a buffer. `ENOENT`: the outbox is another
    /// ring's. `EINVAL` before Linux 6.10. If the stream is dropped, an unknown part of what was in the outbox may have been sent.
    ///
    /// ```
    /// use std::io::Read;
    /// use sysring::owned::{Outbox, Ring};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let ring = Ring::new(8)?;
    /// let outbox = Outbox::new(&ring, 16)?;
    /// let (us, mut them) = std::os::unix::net::UnixStream::pair()?;
    /// for piece in ["many ", "pieces ", "at once"] {
    ///     outbox.put(piece).map_err(|_| "no room")?;
    /// }
    /// let mut bundles = ring.send_bundles(&us.into(), &outbox);
    /// while let Some(sent) = bundles.wait_next() {
    ///     match sent {
    ///         Ok(pieces) => println!("{} pieces", pieces.len()),
    ///         Err(sysring::Errno::EINVAL) => return Ok(()), // before Linux 6.10
    ///         Err(e) => return Err(e.into()),
    ///     }
    /// }
    /// assert!(outbox.is_empty());
    /// let mut text = [0; 19];
    /// them.read_exact(&mut text)?;
    /// assert_eq!(&text, b"many pieces at once");
    /// # Ok(()) }
    /// ```
    pub fn send_bundles<B: Buf>(
        &self,
        socket: &Handle,
        outbox: &Outbox<B>,
    ) -> Stream<SendBundle<B>> {
        let group = self.is(&outbox.0.ring).then_some(outbox.0.group);
        let (place, outbox) = (socket.place(self), Arc::clone(&outbox.0));
        self.stream(SendBundle { place, group, outbox, _socket: socket.clone() })
    }
}

/// See [`Ring::send_bundles`].
pub struct SendBundle<B> {
    place: Place,
    /// None: the outbox is another ring's.
    group: Option<u16>,
    outbox: Arc<Inner<B>>,
    _socket: Handle,
}

// SAFETY: the entry has no address; the outbox, whose buffers it takes, is owned, and what the kernel
// reads of it is not touched before a completion tells of it, or the kernel has let go of it.
unsafe impl<B: Buf> Multishot for SendBundle<B> {
    type Item = Result<Vec<B>>;

    fn entry(&self) -> Sqe {
        let group = match self.group {
            Some(group) if !self.outbox.is_torn() => group,
            _ => NO_GROUP,
        };
        op::Send::new(self.place, std::ptr::null(), 0)
            .message_flags(net::MSG_NOSIGNAL | net::MSG_WAITALL)
            .buffer_group(group)
            .bundle()
            .build()
    }

    fn item(&self, completion: Completion) -> Result<Vec<B>> {
        match (completion.result, completion.buffer()) {
            (Ok(bytes), Some(first)) => self.outbox.sent(first, bytes).ok_or(Errno::ECANCELED),
            (Ok(_), None) => Ok(Vec::new()),
            (Err(_), _) if self.outbox.is_torn() => Err(Errno::ECANCELED),
            // Nothing is left in it.
            (Err(Errno::ENOBUFS), _) => Ok(Vec::new()),
            (Err(e), _) => Err(e),
        }
    }
}

impl<B: Buf> fmt::Debug for Outbox<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("len", &self.len()).field("room", &self.0.count).finish()
    }
}

impl<B> fmt::Debug for SendBundle<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendBundle").field("place", &self.place).finish_non_exhaustive()
    }
}
