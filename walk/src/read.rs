//! One thread's work: open a directory, read it, look at what is in it.

use std::ffi::CStr;
use std::sync::Arc;

use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User, call};

use crate::crew::{Crew, Job, Jobs};
use crate::dirent::{self, Kind};
use crate::handle::Handle;
use crate::node::{Directory, Node};
use crate::order::forget;
use crate::status::Status;
use crate::survey::{Entry, Problem, Survey, Wish};
use crate::{Follow, Progress};

/// A read of a directory: nearly all fit in one.
const BUFFER: usize = 64 << 10;
/// A read that is as full is followed by others, and may be left to other threads.
const LARGE: usize = BUFFER / 2;
/// After so many calls the clock is looked at.
const BETWEEN_LOOKS: usize = 16;

/// How directories are opened.
fn how(follow: bool) -> u32 {
    let flags = g::O_RDONLY | g::O_DIRECTORY | g::O_NONBLOCK | g::O_CLOEXEC;
    if follow { flags } else { flags | g::O_NOFOLLOW }
}

pub struct Reader<'c, 'w, 'f, S: Survey> {
    crew: &'c Crew<'w, 'f, S>,
    /// Asks for another thread.
    more: &'c dyn Fn(),
    /// Leaves jobs to whoever is there first.
    leave: &'c dyn Fn(&mut Jobs<S::Report>),
    pub pace: crate::pace::Pace,
    buffer: Box<[u8]>,
    pub seen: Seen,
}

/// What a thread has seen and not told yet: to tell each directory would cost a trip of the
/// counters from processor to processor, which only who waits for a disk anyway can afford.
#[derive(Default)]
pub struct Seen {
    directories: u64,
    entries: u64,
}

/// So many directories are told together.
const TOLD: u64 = 64;

impl Seen {
    fn note(&mut self, entries: u32, waits: bool, progress: &Progress) {
        self.directories += 1;
        self.entries += u64::from(entries);
        if waits || self.directories == TOLD {
            self.tell(progress);
        }
    }

    pub fn tell(&mut self, progress: &Progress) {
        progress.add(self.directories, self.entries);
        *self = Seen::default();
    }
}

/// An entry that the survey wants to hear of.
struct Wanted<'a> {
    inode: u64,
    entry: Entry<'a>,
    wish: Wish,
}

/// What one job notes.
struct Notes<R> {
    report: R,
    children: Vec<Arc<Node<R>>>,
    /// So many of them are queued.
    queued: usize,
}

impl<'c, 'w, 'f, S: Survey> Reader<'c, 'w, 'f, S> {
    pub fn new(
        crew: &'c Crew<'w, 'f, S>,
        more: &'c dyn Fn(),
        leave: &'c dyn Fn(&mut Jobs<S::Report>),
    ) -> Self {
        Reader {
            crew,
            more,
            leave,
            pace: crate::pace::Pace::new(),
            buffer: vec![0; BUFFER].into_boxed_slice(),
            seen: Seen::default(),
        }
    }

    /// Does a job and adds those that follow from it.
    pub fn run(&mut self, job: Job<S::Report>, jobs: &mut Jobs<S::Report>) {
        let mut notes = Notes { report: S::Report::default(), children: Vec::new(), queued: 0 };
        match job {
            Job::Directory(node, parent) => {
                let known = self.directory(&node, parent, &mut notes, jobs);
                self.end(&node, known.then_some(notes), jobs);
            }
            Job::Part(node, handle, records, first) => {
                self.look(&node, &handle, &records, first, &mut notes);
                self.queue(&mut notes, &handle, jobs);
                self.end(&node, Some(notes), jobs);
            }
        }
    }

    /// The job of a directory is done, with these notes.
    fn end(
        &self,
        node: &Arc<Node<S::Report>>,
        notes: Option<Notes<S::Report>>,
        jobs: &mut Jobs<S::Report>,
    ) {
        if let Some(mut notes) = notes {
            let mut slot = node.slot();
            // Looked at with the lock: who says so lets go, under it, of what was noted before.
            if self.crew.order.is_over() {
                drop(slot);
                return forget(notes.children);
            }
            match &mut slot.report {
                Some(report) => self.crew.survey.combine(report, notes.report),
                None => slot.report = Some(notes.report),
            }
            if slot.children.is_empty() {
                slot.children = notes.children;
            } else {
                slot.children.append(&mut notes.children);
            }
        }
        if node.end_part()
            && let Some(next) = self.crew.order.completed(node)
        {
            jobs.push(Job::Directory(next, None));
        }
    }

    /// A directory; false if it is to be left out.
    fn directory(
        &mut self,
        node: &Arc<Node<S::Report>>,
        parent: Option<Arc<Handle>>,
        notes: &mut Notes<S::Report>,
        jobs: &mut Jobs<S::Report>,
    ) -> bool {
        let survey = self.crew.survey;
        let mut status = Status::new();
        let follow = self.crew.options.follow;
        let open = |parent| open(parent, &node.name, follow.at(node.depth), &mut status);
        let opened = with_parent(node, parent, follow, open);
        let (handle, known) = opened.unwrap_or_else(|error| (Err(error), Err(error)));
        let fd = handle.as_ref().map(Handle::fd).ok();
        let directory = node.directory(fd);
        if let Err(error) = known {
            survey.problem(&directory, Problem::Access, error, &mut notes.report);
            return true;
        }
        node.identify(&status);
        if self.is_left_out(node, &status) {
            return false;
        }
        survey.directory(&directory, &status, &mut notes.report);
        match handle {
            Ok(handle) => self.read(node, handle, notes, jobs),
            Err(error) if status.kind() == Kind::Directory => {
                survey.problem(&directory, Problem::Read, error, &mut notes.report);
            }
            Err(_) => {}
        }
        true
    }

    /// Whether it lies on another file system where that is not wanted, or is one of its own
    /// ancestors, as mounts can make it.
    fn is_left_out(&self, node: &Node<S::Report>, status: &Status) -> bool {
        let elsewhere = self.crew.options.one_file_system
            && node.parent.as_ref().is_some_and(|parent| parent.device() != status.device());
        elsewhere || node.ancestors().any(|ancestor| ancestor.is(status))
    }

    fn read(
        &mut self,
        node: &Arc<Node<S::Report>>,
        handle: Handle,
        notes: &mut Notes<S::Report>,
        jobs: &mut Jobs<S::Report>,
    ) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let handle = Arc::new(handle);
        let mut next = 0;
        loop {
            let read = match call::getdents64(handle.fd(), &mut buffer) {
                // A directory that has been removed since is at its end.
                Ok(0) | Err(Errno::ENOENT) => break,
                Ok(read) => read,
                Err(error) => {
                    let directory = node.directory(Some(handle.fd()));
                    let report = &mut notes.report;
                    self.crew.survey.problem(&directory, Problem::Read, error, report);
                    break;
                }
            };
            self.look_at_clock();
            let records = &buffer[..read];
            let ends = dirent::ends(records);
            if read >= LARGE && self.crew.has_use_for_parts() {
                node.add_part();
                let (node, handle) = (Arc::clone(node), Arc::clone(&handle));
                (self.leave)(&mut vec![Job::Part(node, handle, records.into(), next)]);
                next += dirent::all(records).count() as u32;
            } else {
                next += self.look(node, &handle, records, next, notes);
            }
            if ends {
                break;
            }
        }
        self.buffer = buffer;
        self.seen.note(next, self.pace.is_cold(), self.crew.progress);
        self.queue(notes, &handle, jobs);
    }

    /// Queues directories that were found and are not queued yet, the first of them to be the first.
    fn queue(
        &self,
        notes: &mut Notes<S::Report>,
        handle: &Arc<Handle>,
        jobs: &mut Jobs<S::Report>,
    ) {
        let handle = Some(handle).filter(|handle| self.crew.allowance.covers(handle));
        let job = |child: &Arc<_>| Job::Directory(Arc::clone(child), handle.cloned());
        let new = notes.children[notes.queued..].iter().rev();
        jobs.extend(new.filter(|child| !child.is_deferred()).map(job));
        notes.queued = notes.children.len();
    }

    /// Has others open the directories that were found while this thread waits for the files beside
    /// them.
    fn hand_out(&self, notes: &mut Notes<S::Report>, handle: &Arc<Handle>) {
        let mut jobs = Vec::new();
        self.queue(notes, handle, &mut jobs);
        if !jobs.is_empty() {
            (self.leave)(&mut jobs);
            (self.more)();
        }
    }

    /// Looks at entries; how many there are.
    fn look(
        &mut self,
        node: &Arc<Node<S::Report>>,
        handle: &Arc<Handle>,
        records: &[u8],
        first: u32,
        notes: &mut Notes<S::Report>,
    ) -> u32 {
        let survey = self.crew.survey;
        let directory = node.directory(Some(handle.fd()));
        let mut wanted = Vec::with_capacity(records.len() / dirent::SHORTEST);
        let mut count = 0;
        for (index, found) in (first..).zip(dirent::all(records)) {
            count += 1;
            let entry = Entry { name: found.name, kind: found.kind, index };
            let wish = survey.wish(&directory, &entry);
            if wish.descend && found.kind == Kind::Directory {
                notes.children.push(Node::child(node, found.name, index));
            }
            if wish.entry || wish.descend && self.may_be_directory(found.kind) {
                wanted.push(Wanted { inode: found.inode, entry, wish });
            }
        }
        if self.pace.is_cold() {
            self.hand_out(notes, handle);
            // Those that lie together on the disk come together.
            wanted.sort_unstable_by_key(|wanted| wanted.inode);
        }
        let mut status = Status::new();
        for (turn, wanted) in wanted.into_iter().enumerate() {
            if turn % BETWEEN_LOOKS == BETWEEN_LOOKS - 1 {
                self.look_at_clock();
            }
            self.entry(node, &directory, wanted, &mut status, notes);
        }
        self.look_at_clock();
        count
    }

    /// Whether only its status says what is to be done with it.
    fn may_be_directory(&self, kind: Kind) -> bool {
        kind == Kind::Unknown || kind == Kind::Link && self.crew.options.follow == Follow::Always
    }

    fn entry(
        &self,
        node: &Arc<Node<S::Report>>,
        directory: &Directory,
        wanted: Wanted,
        status: &mut Status,
        notes: &mut Notes<S::Report>,
    ) {
        let survey = self.crew.survey;
        let Wanted { mut entry, wish, .. } = wanted;
        let unclear = self.may_be_directory(entry.kind);
        if !wish.status && !unclear {
            return survey.entry(directory, &entry, None, &mut notes.report);
        }
        let fd = directory.fd.unwrap_or(Fd::NONE);
        let follow = self.crew.options.follow == Follow::Always;
        if let Err(error) = status.ask(fd, entry.name, follow) {
            let problem = Problem::Status(entry.name, entry.index);
            return survey.problem(directory, problem, error, &mut notes.report);
        }
        if unclear {
            // Only now is it known what is wanted of it.
            entry.kind = status.kind();
            let wish = survey.wish(directory, &entry);
            if wish.descend && entry.kind == Kind::Directory {
                let child = match follow {
                    // There may have been a link.
                    true => Node::linked(node, entry.name, entry.index, status),
                    false => Node::child(node, entry.name, entry.index),
                };
                notes.children.push(child);
            }
            if !wish.entry {
                return;
            }
        }
        if self.crew.options.one_file_system && status.device() != node.device() {
            return;
        }
        survey.entry(directory, &entry, Some(status), &mut notes.report);
    }

    fn look_at_clock(&mut self) {
        if self.pace.slept() {
            (self.more)();
        }
    }
}

/// Opens a directory and asks for its status, which it has even if it cannot be opened.
fn open(
    parent: Fd,
    name: &CStr,
    follow: bool,
    status: &mut Status,
) -> (Result<Handle>, Result<()>) {
    match call::openat(parent, User::of(name.as_ptr().cast()), how(follow), 0) {
        Ok(fd) => (Ok(Handle::new(fd)), status.ask_open(fd)),
        Err(error) => (Err(error), status.ask(parent, name, follow)),
    }
}

/// Does something with the descriptor of a directory's parent; of a root's, with the current one.
fn with_parent<R, T>(
    node: &Node<R>,
    parent: Option<Arc<Handle>>,
    follow: Follow,
    f: impl FnOnce(Fd) -> T,
) -> Result<T> {
    match (&node.parent, parent) {
        (None, _) => Ok(f(Fd::CWD)),
        (Some(_), Some(handle)) => Ok(f(handle.fd())),
        (Some(parent), None) => find_again(parent, follow).map(|handle| f(handle.fd())),
    }
}

/// Opens a directory that could not be kept open, name by name from its root.
fn find_again<R>(node: &Node<R>, follow: Follow) -> Result<Handle> {
    let mut names: Vec<&CStr> = node.ancestors().map(|node| &*node.name).collect();
    names.reverse();
    names.push(&node.name);
    let mut here: Option<Handle> = None;
    for (depth, name) in (0..).zip(names) {
        let from = here.as_ref().map_or(Fd::CWD, Handle::fd);
        let fd = call::openat(
            from,
            User::of(name.as_ptr().cast()),
            how(follow.at(depth)) | g::O_PATH,
            0,
        )?;
        here = Some(Handle::new(fd));
    }
    here.ok_or(Errno::ENOENT)
}
