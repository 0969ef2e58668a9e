//! Tags: a word that is told, as a completion, when a registered file or buffer is out of use.
//!
//! That is when it has left its table and no request works with it any more.

use core::ptr::NonNull;

use sysring_sys::Result;

use crate::locked::Locked;
use crate::memory;
use crate::request::{Req, flag};

/// A tag, or none: a handle that is counted by hand. Copies of it do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tag(Option<NonNull<Node>>);

#[derive(Debug)]
struct Node {
    /// The slot, and requests.
    users: u32,
    word: u64,
}

// SAFETY: nodes are touched under the lock of the ring they belong to only.
unsafe impl Send for Tag {}

impl Tag {
    pub const NONE: Tag = Tag(None);

    /// A tag with one user; none for the word 0.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new(word: u64) -> Result<Tag> {
        if word == 0 {
            return Ok(Tag::NONE);
        }
        let node = memory::allocate(size_of::<Node>())?.cast::<Node>();
        // SAFETY: fresh memory of that size, aligned to more than it asks for.
        unsafe { node.write(Node { users: 1, word }) };
        Ok(Tag(Some(node)))
    }

    #[must_use]
    pub fn is_none(self) -> bool {
        self.0.is_none()
    }

    /// One more works with it.
    fn add_user(self) {
        if let Some(mut node) = self.0 {
            // SAFETY: a node lives while it has users, and the ring's lock is held.
            unsafe { node.as_mut() }.users += 1;
        }
    }

    /// One less does; after the last the word is to be told.
    #[must_use]
    fn drop_user(self) -> Option<u64> {
        let mut node = self.0?;
        // SAFETY: this user is counted, so the node lives, and the ring's lock is held.
        let (left, word) = unsafe {
            node.as_mut().users -= 1;
            (node.as_ref().users, node.as_ref().word)
        };
        if left != 0 {
            return None;
        }
        self.free();
        Some(word)
    }

    /// Forgets it, untold: its table is no more, and no request is.
    pub fn free(self) {
        if let Some(node) = self.0 {
            // SAFETY: made by `new` with this size; nobody uses the handle again.
            unsafe { memory::release(node.cast(), size_of::<Node>()) };
        }
    }
}

impl Locked<'_> {
    /// Its slot has no use for a tag any more.
    pub fn put_tag(&mut self, tag: Tag) {
        if let Some(word) = tag.drop_user() {
            self.post(word, 0, 0);
        }
    }

    /// A request works with what has this tag, until it ends.
    #[inline(always)]
    pub fn use_tag(&mut self, req: Req, tag: Tag) {
        if !tag.is_none() {
            Self::add_tag(req, tag);
        }
    }

    #[cold]
    fn add_tag(mut req: Req, tag: Tag) {
        if req.tags.contains(&tag) {
            return;
        }
        if let Some(free) = req.tags.iter_mut().find(|kept| kept.is_none()) {
            *free = tag;
            tag.add_user();
            req.set(flag::TAGGED);
        }
    }

    /// A request that worked with tagged things has ended.
    #[cold]
    pub fn release_tags(&mut self, mut req: Req) {
        for tag in core::mem::take(&mut req.tags) {
            self.put_tag(tag);
        }
    }
}
