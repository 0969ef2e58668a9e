//! Walks directory trees and looks at everything in them.
//!
//! With hot caches a walk is as fast as a plain loop of `getdents64` and `stat` on as many threads
//! as there are processors; with cold ones it overlaps its waits for the disk.
//!
//! - The unit of work is **a directory** (of a very large one, a part): whoever has it opens it,
//!   reads it and looks at what is in it, relative to its descriptor. To hand over single calls
//!   costs more than most of them take.
//! - **The caller works too.** Helpers join for what is queued: up to one thread for each processor
//!   at once, more only when a thread has seen that it slept in the kernel (its count of voluntary
//!   context switches says so), because only then is another one of use.
//! - **Where files are waited for, directories are not kept waiting**: those that were found are opened
//!   by others before the files beside them have been looked at.
//! - **Paths are never used**, so they may be of any length: a directory is opened relative to its
//!   parent. Where there are more directories to come back to than descriptors, it is found again
//!   from its root, name by name, and through no symbolic link.
//! - **What is found comes out in order.** A [`Survey`] is called by all threads at once and notes
//!   what it needs in a report for each directory; a [`Fold`] is given the reports in the order of
//!   the tree, as they come in.
//!
//! ```
//! use sysring_walk::{Directory, Entry, Fold, Options, Status, Survey, walk};
//!
//! struct Sizes;
//!
//! impl Survey for Sizes {
//!     type Report = u64;
//!     fn directory(&self, _: &Directory, _: &Status, sum: &mut u64) {
//!         *sum += 1;
//!     }
//!     fn entry(&self, _: &Directory, _: &Entry, _: Option<&Status>, sum: &mut u64) {
//!         *sum += 1;
//!     }
//!     fn combine(&self, sum: &mut u64, part: u64) {
//!         *sum += part;
//!     }
//! }
//!
//! struct Total(u64);
//!
//! impl Fold<u64> for Total {
//!     fn leave(&mut self, _: &Directory, _: &[u8], sum: u64) {
//!         self.0 += sum;
//!     }
//! }
//!
//! let mut total = Total(0);
//! walk(&[c"src"], &Options::default(), &Sizes, &mut total);
//! assert!(total.0 > 5, "files and directories below src");
//! ```

mod crew;
mod dirent;
mod handle;
mod node;
mod order;
mod pace;
mod read;
mod status;
mod survey;

use std::ffi::CStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub use dirent::Kind;
pub use node::Directory;
pub use order::Fold;
pub use status::{Status, Time};
pub use survey::{Entry, Problem, Survey, Wish};
pub use sysring_sys::{Errno, Fd};

use node::Node;

/// How to walk.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The most threads, the caller's among them; by default as many as disks have use for.
    pub threads: Option<usize>,
    /// Leave out what lies on another file system than the root it was found from.
    pub one_file_system: bool,
    /// Which symbolic links stand for what they point to.
    pub follow: Follow,
}

/// Which symbolic links are followed: what they point to is seen in their place, under their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Follow {
    /// None.
    #[default]
    Never,
    /// Those that are roots.
    Roots,
    /// All. What is below a link to a directory is walked when the fold has come there and asks for
    /// it ([`Fold::follow`]), so that links across a tree do not make an endless one.
    Always,
}

impl Follow {
    /// Whether links at this depth are followed.
    fn at(self, depth: u32) -> bool {
        match self {
            Follow::Never => false,
            Follow::Roots => depth == 0,
            Follow::Always => true,
        }
    }
}

/// Where a walk stands, for whoever wants to show it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Directories that were read.
    pub directories: AtomicU64,
    /// Names that were found in them.
    pub entries: AtomicU64,
}

/// What a walk took.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// Threads that took part, the caller among them.
    pub threads: usize,
}

/// Walks `roots`: files or directories.
///
/// Returns when everything has been seen and folded. Errors are the survey's to note, by
/// [`Survey::problem`].
pub fn walk<S: Survey>(
    roots: &[&CStr],
    options: &Options,
    survey: &S,
    fold: &mut (impl Fold<S::Report> + Send),
) -> Summary {
    walk_with(roots, options, survey, fold, &Progress::default())
}

/// As [`walk`], telling `progress`.
pub fn walk_with<S: Survey>(
    roots: &[&CStr],
    options: &Options,
    survey: &S,
    fold: &mut (impl Fold<S::Report> + Send),
    progress: &Progress,
) -> Summary {
    let roots: Vec<Arc<Node<S::Report>>> = roots.iter().map(|path| Node::root(path)).collect();
    let order = order::Order::new(roots.clone(), fold);
    let threads = crew::Crew::new(survey, options, &order, progress).run(roots);
    Summary { threads }
}

impl Progress {
    fn add(&self, directories: u64, entries: u64) {
        self.directories.fetch_add(directories, Relaxed);
        self.entries.fetch_add(entries, Relaxed);
    }
}
