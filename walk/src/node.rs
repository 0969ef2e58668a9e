//! A directory of the walk: where it is, and what is noted of it until its turn comes.

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::*};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sysring_sys::Fd;

use crate::status::Status;

/// A directory, as a survey sees it. A root that is no directory is one, too.
pub struct Directory<'a> {
    /// Its name; of a root the path that was given.
    pub name: &'a CStr,
    /// How far below its root it lies.
    pub depth: u32,
    /// The directory, open; none where it could not be opened, or is folded.
    pub fd: Option<Fd>,
    pub(crate) names: &'a dyn Names,
}

impl Directory<'_> {
    /// Its path: that of the root as it was given, and the names from there.
    #[must_use]
    pub fn path(&self) -> Vec<u8> {
        let mut path = Vec::new();
        self.names.append(&mut path);
        path
    }
}

/// Whatever knows its path.
pub trait Names {
    fn append(&self, path: &mut Vec<u8>);
}

/// Adds a name to a path.
pub fn join(path: &mut Vec<u8>, name: &CStr) {
    if !path.is_empty() && !path.ends_with(b"/") {
        path.push(b'/');
    }
    path.extend_from_slice(name.to_bytes());
}

pub struct Node<R> {
    pub parent: Option<Arc<Node<R>>>,
    pub name: Box<CStr>,
    pub depth: u32,
    /// Its place among the names of its parent.
    pub index: u32,
    /// Which file it is, once it has been opened: before its children are.
    device: AtomicU64,
    inode: AtomicU64,
    /// Jobs of this directory that are not done.
    parts: AtomicU32,
    done: AtomicBool,
    /// It was found through a link, and is not walked before the fold asks for it.
    deferred: AtomicBool,
    slot: Mutex<Slot<R>>,
}

/// What has been noted so far.
pub struct Slot<R> {
    pub report: Option<R>,
    pub children: Vec<Arc<Node<R>>>,
}

impl<R> Node<R> {
    pub fn root(path: &CStr) -> Arc<Node<R>> {
        Self::new(None, path, 0, 0)
    }

    pub fn child(parent: &Arc<Node<R>>, name: &CStr, index: u32) -> Arc<Node<R>> {
        Self::new(Some(Arc::clone(parent)), name, parent.depth + 1, index)
    }

    /// One that a link in `parent` points to, and its status.
    pub fn linked(parent: &Arc<Node<R>>, name: &CStr, index: u32, status: &Status) -> Arc<Node<R>> {
        let node = Self::child(parent, name, index);
        node.identify(status);
        node.deferred.store(true, Relaxed);
        node
    }

    fn new(parent: Option<Arc<Node<R>>>, name: &CStr, depth: u32, index: u32) -> Arc<Node<R>> {
        Arc::new(Node {
            parent,
            name: name.into(),
            depth,
            index,
            device: AtomicU64::new(0),
            inode: AtomicU64::new(0),
            parts: AtomicU32::new(1),
            done: AtomicBool::new(false),
            deferred: AtomicBool::new(false),
            slot: Mutex::new(Slot { report: None, children: Vec::new() }),
        })
    }

    /// This directory, for a survey.
    pub fn directory(&self, fd: Option<Fd>) -> Directory<'_>
    where
        R: Send,
    {
        Directory { name: &self.name, depth: self.depth, fd, names: self }
    }

    /// Those above it, the nearest first.
    pub fn ancestors(&self) -> impl Iterator<Item = &Arc<Node<R>>> {
        std::iter::successors(self.parent.as_ref(), |node| node.parent.as_ref())
    }

    /// Remembers which file it is. (The children that read it are found by whoever called this,
    /// and come to other threads through the lock of the jobs.)
    pub fn identify(&self, status: &Status) {
        self.device.store(status.device(), Relaxed);
        self.inode.store(status.inode(), Relaxed);
    }

    pub fn device(&self) -> u64 {
        self.device.load(Relaxed)
    }

    /// Whether the file with this status is this directory.
    pub fn is(&self, status: &Status) -> bool {
        self.inode.load(Relaxed) == status.inode() && self.device() == status.device()
    }

    /// Which file it is: device and inode.
    pub fn file(&self) -> (u64, u64) {
        (self.device(), self.inode.load(Relaxed))
    }

    pub fn is_deferred(&self) -> bool {
        // Written before the node was shared, and again under the cursor's lock, which the reader has.
        self.deferred.load(Relaxed)
    }

    /// From now on it is walked as all others are.
    pub fn begin(&self) {
        self.deferred.store(false, Relaxed);
    }

    /// One more job has to be done before it is complete.
    pub fn add_part(&self) {
        // Who adds a part has one: the count cannot reach zero in between.
        self.parts.fetch_add(1, Relaxed);
    }

    /// A job is done; true if it was the last, and the directory is complete.
    pub fn end_part(&self) -> bool {
        // AcqRel: the last to end sees what all others have noted.
        let last = self.parts.fetch_sub(1, AcqRel) == 1;
        if last {
            // SeqCst: with `Order::awaited`, which is read after this and written before this is
            // read, so that one of the two sees the other.
            self.done.store(true, SeqCst);
        }
        last
    }

    pub fn is_done(&self) -> bool {
        self.done.load(SeqCst)
    }

    pub fn slot(&self) -> MutexGuard<'_, Slot<R>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> Drop for Node<R> {
    /// Who lets go of the deepest directory may be the last to have any of those above it: they end one
    /// after the other here, and not each within the end of the one below, which takes a stack as deep
    /// as the tree.
    fn drop(&mut self) {
        let mut above = self.parent.take();
        while let Some(mut node) = above.and_then(Arc::into_inner) {
            above = node.parent.take();
        }
    }
}

impl<R: Send> Names for Node<R> {
    fn append(&self, path: &mut Vec<u8>) {
        let mut names: Vec<&CStr> = self.ancestors().map(|node| &*node.name).collect();
        names.reverse();
        for name in names {
            join(path, name);
        }
        join(path, &self.name);
    }
}
