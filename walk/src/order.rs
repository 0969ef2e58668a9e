//! Hands what was noted to the fold in the order of the tree, as soon as its turn has come.

use std::cmp::Ordering;
use std::ffi::CStr;
use std::ptr;
use std::sync::atomic::{
    AtomicBool, AtomicPtr,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, Mutex, PoisonError};

use crate::node::{Directory, Node, join};

/// Puts together what a survey has noted: called by one thread at a time, in the order of the
/// tree, for each directory `enter`, then `until` for each directory in it, then `leave`.
///
/// A directory of which nothing is known (it could not be found, lies on another file system, or
/// is one of its own ancestors) comes with an empty report or not at all.
pub trait Fold<R> {
    /// A directory, before anything that is in it; false to leave it out, and all below it.
    fn enter(&mut self, directory: &Directory, path: &[u8], report: &mut R) -> bool {
        let _ = (directory, path, report);
        true
    }

    /// Its next directory is the one with this index: what is noted of entries before may be used.
    /// (Of one that a link points to, it is said twice.)
    fn until(&mut self, directory: &Directory, path: &[u8], report: &mut R, index: u32) {
        let _ = (directory, path, report, index);
    }

    /// Which of two directories in it comes first, each with its name and its index among the names. Asked
    /// when it was entered.
    fn sequence(&self, report: &R, one: (&CStr, u32), other: (&CStr, u32)) -> Ordering {
        let _ = report;
        one.1.cmp(&other.1)
    }

    /// Whether to walk a directory that a symbolic link points to (with
    /// [`Follow::Always`](crate::Follow::Always)): `file` is its device and its inode. Called between
    /// `until` and `enter`; it is not entered if this says no.
    fn follow(&mut self, file: (u64, u64)) -> bool {
        let _ = file;
        true
    }

    /// Whether it has heard enough: then the walk ends, and nothing more is told. Asked before each
    /// directory.
    fn is_over(&self) -> bool {
        false
    }

    /// A directory, after everything that is in it.
    fn leave(&mut self, directory: &Directory, path: &[u8], report: R);
}

pub struct Order<'f, R> {
    cursor: Mutex<Cursor<'f, R>>,
    /// The directory whose turn it is, which was not complete when the cursor came to it.
    awaited: AtomicPtr<Node<R>>,
    /// The fold has heard enough.
    over: AtomicBool,
}

struct Cursor<'f, R> {
    fold: &'f mut (dyn Fold<R> + Send),
    roots: std::vec::IntoIter<Arc<Node<R>>>,
    /// The way to where the cursor is.
    frames: Vec<Frame<R>>,
    path: Vec<u8>,
}

struct Frame<R> {
    node: Arc<Node<R>>,
    /// None if the fold is not to hear of it.
    report: Option<R>,
    children: std::vec::IntoIter<Arc<Node<R>>>,
    /// The length of the path to its parent.
    above: usize,
}

impl<'f, R: Send> Order<'f, R> {
    pub fn new(roots: Vec<Arc<Node<R>>>, fold: &'f mut (dyn Fold<R> + Send)) -> Order<'f, R> {
        let roots = roots.into_iter();
        let cursor = Cursor { fold, roots, frames: Vec::new(), path: Vec::new() };
        let order = Order {
            cursor: Mutex::new(cursor),
            awaited: AtomicPtr::new(ptr::null_mut()),
            over: AtomicBool::new(false),
        };
        // Roots are not deferred: they are queued by who makes this.
        order.advance();
        order
    }

    /// `node` is complete; what is to be walked now, if that had to wait for its turn.
    #[must_use]
    pub fn completed(&self, node: &Arc<Node<R>>) -> Option<Arc<Node<R>>> {
        // SeqCst: pairs with `Node::is_done` in `advance`.
        if ptr::eq(self.awaited.load(SeqCst), Arc::as_ptr(node)) { self.advance() } else { None }
    }

    /// Whether what is found is of no use any more.
    pub fn is_over(&self) -> bool {
        // Relaxed: who looks late walks one directory more. (Where more depends on it, there is a lock.)
        self.over.load(Relaxed)
    }

    /// Goes on up to the first directory that is not complete, which is the answer if nobody has
    /// begun with it.
    fn advance(&self) -> Option<Arc<Node<R>>> {
        let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(next) = cursor.next() {
            let next = Arc::clone(next);
            if cursor.fold.is_over() {
                self.over.store(true, Relaxed);
                cursor.forget();
                return None;
            }
            if next.is_deferred() {
                if !cursor.follow(&next) {
                    continue;
                }
                next.begin();
                self.awaited.store(Arc::as_ptr(&next).cast_mut(), SeqCst);
                return Some(next);
            }
            // Whoever completes it either sees this, or has done so before it is asked for below.
            self.awaited.store(Arc::as_ptr(&next).cast_mut(), SeqCst);
            if !next.is_done() {
                return None;
            }
            cursor.enter();
        }
        None
    }
}

impl<R: Send> Cursor<'_, R> {
    /// The directory whose turn it is; those before it have been left.
    fn next(&mut self) -> Option<&Arc<Node<R>>> {
        while self.frames.last().is_some_and(|frame| frame.children.as_slice().is_empty()) {
            self.leave();
        }
        match self.frames.last() {
            Some(frame) => frame.children.as_slice().first(),
            None => self.roots.as_slice().first(),
        }
    }

    /// Lets go of all directories that were not entered.
    fn forget(&mut self) {
        forget(self.roots.by_ref());
        for frame in self.frames.drain(..) {
            forget(frame.children);
        }
    }

    /// Whether the fold wants the next directory, to which a link leads; else it is left behind.
    fn follow(&mut self, next: &Node<R>) -> bool {
        let Some(frame) = self.frames.last_mut() else { return true };
        let wanted = frame.report.as_mut().is_some_and(|report| {
            self.fold.until(&frame.node.directory(None), &self.path, report, next.index);
            self.fold.follow(next.file())
        });
        if !wanted {
            frame.children.next();
        }
        wanted
    }

    fn enter(&mut self) {
        let above = self.path.len();
        let (node, heard) = match self.frames.last_mut() {
            None => (self.roots.next(), true),
            Some(frame) => {
                let node = frame.children.next();
                if let (Some(report), Some(node)) = (&mut frame.report, &node) {
                    let directory = frame.node.directory(None);
                    self.fold.until(&directory, &self.path, report, node.index);
                }
                (node, frame.report.is_some())
            }
        };
        let Some(node) = node else { return };
        let (mut report, mut children) = {
            let mut slot = node.slot();
            (slot.report.take().filter(|_| heard), std::mem::take(&mut slot.children))
        };
        join(&mut self.path, &node.name);
        if let Some(noted) = &mut report
            && !self.fold.enter(&node.directory(None), &self.path, noted)
        {
            report = None;
        }
        if let Some(noted) = &report {
            children.sort_unstable_by(|one, other| {
                self.fold.sequence(noted, (&one.name, one.index), (&other.name, other.index))
            });
        }
        self.frames.push(Frame { node, report, children: children.into_iter(), above });
    }

    fn leave(&mut self) {
        let Some(frame) = self.frames.pop() else { return };
        if let Some(report) = frame.report {
            self.fold.leave(&frame.node.directory(None), &self.path, report);
        }
        self.path.truncate(frame.above);
    }
}

/// Lets go of directories that are not to be entered, and of those below them: a directory and what is
/// in it have each other otherwise.
pub fn forget<R>(nodes: impl IntoIterator<Item = Arc<Node<R>>>) {
    let mut nodes: Vec<_> = nodes.into_iter().collect();
    while let Some(node) = nodes.pop() {
        nodes.append(&mut node.slot().children);
    }
}
