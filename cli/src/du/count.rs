//! What is counted: by all threads a sum for each directory, and in the order of the tree what
//! must not be counted twice.

use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::io;

use sysring_walk::{Directory, Entry, Errno, Fold, Kind, Problem, Status, Survey, Time, Wish};

use super::options::{Du, Which};
use super::output::Output;
use crate::files::matching;

/// Sizes, how many files and directories they are of, and the latest of their times.
#[derive(Clone, Copy, Default)]
pub struct Sum {
    pub bytes: u64,
    pub entries: u64,
    pub latest: Option<Time>,
}

impl Sum {
    /// More than a number can say stays the largest there is: a few sparse files are that long.
    fn add(&mut self, other: Sum) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.entries += other.entries;
        self.latest = self.latest.max(other.latest);
    }
}

/// Which file it is: device and inode.
type Identity = (u64, u64);

/// What is noted of one directory.
#[derive(Default)]
pub struct Report {
    /// The directory itself; nothing if its status could not be had.
    own: Option<(Sum, Option<Identity>)>,
    /// Entries of which nothing more has to be known.
    plain: Sum,
    /// The others, in the order in which they were looked at.
    notes: Vec<Note>,
    /// How many of them have been used: they are in the order of the directory then.
    used: usize,
    failed: Option<Errno>,
}

struct Note {
    index: u32,
    /// To be printed with this name.
    name: Option<Box<CStr>>,
    found: Result<(Sum, Option<Identity>), Errno>,
}

/// Looks at files, on all threads.
pub struct Counter<'d> {
    du: &'d Du,
    excluded: &'d [CString],
    apparent: bool,
    /// Files and directories may be found twice even if they have one name.
    overlapping: bool,
    depth: u32,
}

impl<'d> Counter<'d> {
    pub fn new(du: &'d Du, excluded: &'d [CString], overlapping: bool) -> Counter<'d> {
        Counter { du, excluded, apparent: du.apparent(), overlapping, depth: du.depth() }
    }

    fn sum(&self, status: &Status) -> Sum {
        let bytes = match status.kind() {
            _ if !self.apparent => status.blocks().saturating_mul(512),
            Kind::File | Kind::Link => status.size(),
            _ => 0,
        };
        let latest = self.du.time.map(|which| match which {
            Which::Mtime => status.modified(),
            Which::Atime => status.accessed(),
            Which::Ctime => status.changed(),
        });
        Sum { bytes, entries: 1, latest }
    }

    /// What tells the file from others, if it may be met again.
    fn identity(&self, status: &Status) -> Option<Identity> {
        let many_names = status.links() > 1 && status.kind() != Kind::Directory;
        let again = !self.du.count_links && (self.overlapping || many_names);
        again.then(|| (status.device(), status.inode()))
    }

    fn is_counted(&self, name: &CStr) -> bool {
        self.du.name.as_ref().is_none_or(|pattern| matching::name(pattern, name))
    }

    fn is_excluded(&self, directory: &Directory, name: &CStr) -> bool {
        if self.excluded.is_empty() {
            return false;
        }
        let mut path = directory.path();
        path.push(b'/');
        path.extend_from_slice(name.to_bytes());
        self.excluded.iter().any(|pattern| matching::path(pattern, &path))
    }
}

impl Survey for Counter<'_> {
    type Report = Report;

    fn wish(&self, directory: &Directory, entry: &Entry) -> Wish {
        if self.is_excluded(directory, entry.name) {
            return Wish::NOTHING;
        }
        // Directories are counted when they are opened.
        let entry = !matches!(entry.kind, Kind::Directory) && self.is_counted(entry.name);
        Wish { entry, ..Wish::CONTENTS }
    }

    fn directory(&self, directory: &Directory, status: &Status, report: &mut Report) {
        let counted = directory.depth == 0 && status.kind() != Kind::Directory
            || self.is_counted(matching::base(directory.name));
        let sum = if counted { self.sum(status) } else { Sum::default() };
        report.own = Some((sum, self.identity(status)));
    }

    fn entry(
        &self,
        directory: &Directory,
        entry: &Entry,
        status: Option<&Status>,
        report: &mut Report,
    ) {
        let Some(status) = status else { return };
        let sum = self.sum(status);
        let identity = self.identity(status);
        let listed = self.du.all && directory.depth < self.depth;
        if identity.is_none() && !listed {
            return report.plain.add(sum);
        }
        let name = if listed { Some(entry.name.into()) } else { None };
        report.notes.push(Note { index: entry.index, name, found: Ok((sum, identity)) });
    }

    fn problem(&self, _: &Directory, problem: Problem, error: Errno, report: &mut Report) {
        match problem {
            Problem::Status(name, index) => {
                report.notes.push(Note { index, name: Some(name.into()), found: Err(error) });
            }
            Problem::Access | Problem::Read => report.failed = Some(error),
        }
    }

    fn combine(&self, report: &mut Report, part: Report) {
        report.own = report.own.or(part.own);
        report.failed = report.failed.or(part.failed);
        report.plain.add(part.plain);
        report.notes.extend(part.notes);
    }
}

/// Adds up, in the order of the tree.
pub struct Totals<'d> {
    du: &'d Du,
    depth: u32,
    output: Output<'d>,
    /// Of each directory on the way to where the fold is: what is in it, and what is below it.
    open: Vec<(Sum, Sum)>,
    /// What has been counted and could be met again.
    seen: HashSet<Identity>,
    overlapping: bool,
    total: Sum,
}

impl<'d> Totals<'d> {
    pub fn new(du: &'d Du, overlapping: bool, output: Output<'d>) -> Totals<'d> {
        Totals {
            du,
            depth: du.depth(),
            output,
            open: Vec::new(),
            seen: HashSet::new(),
            overlapping,
            total: Sum::default(),
        }
    }

    /// Prints what comes last; whether everything could be seen.
    pub fn finish(mut self) -> io::Result<bool> {
        self.output.finish(self.du.total, self.total)
    }

    fn is_new(&mut self, identity: Option<Identity>) -> bool {
        identity.is_none_or(|identity| self.seen.insert(identity))
    }

    /// Uses the notes of entries before `index`.
    fn use_notes(&mut self, path: &[u8], report: &mut Report, index: u32) {
        if report.used == 0 {
            report.notes.sort_by_key(|note| note.index);
        }
        while let Some(note) = report.notes.get(report.used).filter(|note| note.index < index) {
            report.used += 1;
            let name = note.name.as_deref();
            match note.found {
                Err(error) => self.output.problem("cannot access", path, name, error),
                Ok((_, identity)) if !self.is_new(identity) => {}
                Ok((sum, _)) => {
                    if let Some((inside, _)) = self.open.last_mut() {
                        inside.add(sum);
                    }
                    if name.is_some() {
                        self.output.line(sum, path, name);
                    }
                }
            }
        }
    }
}

impl Fold<Report> for Totals<'_> {
    fn enter(&mut self, directory: &Directory, path: &[u8], report: &mut Report) -> bool {
        let Some((sum, identity)) = report.own else {
            if let Some(error) = report.failed {
                self.output.problem("cannot access", path, None, error);
            }
            return false;
        };
        let may_repeat = self.overlapping || directory.depth > 0;
        if may_repeat && !self.is_new(identity) {
            return false;
        }
        if let Some(error) = report.failed {
            self.output.problem("cannot read directory", path, None, error);
        }
        self.open.push((sum, Sum::default()));
        true
    }

    fn until(&mut self, _: &Directory, path: &[u8], report: &mut Report, index: u32) {
        self.use_notes(path, report, index);
    }

    fn is_over(&self) -> bool {
        self.output.is_lost()
    }

    fn follow(&mut self, file: Identity) -> bool {
        self.du.count_links || !self.seen.contains(&file)
    }

    fn leave(&mut self, directory: &Directory, path: &[u8], mut report: Report) {
        self.use_notes(path, &mut report, u32::MAX);
        let Some((mut inside, below)) = self.open.pop() else { return };
        inside.add(report.plain);
        let mut all = inside;
        all.add(below);
        match self.open.last_mut() {
            Some((_, below)) => below.add(all),
            None => self.total.add(all),
        }
        let nothing = self.du.name.is_some() && all.entries == 0 && directory.depth > 0;
        if directory.depth <= self.depth && !nothing {
            self.output.line(if self.du.separate_dirs { inside } else { all }, path, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_does_not_begin_anew() {
        let file = Sum { bytes: i64::MAX as u64, entries: 1, latest: None };
        let mut sum = Sum::default();
        (0..3).for_each(|_| sum.add(file));
        assert_eq!((sum.bytes, sum.entries), (u64::MAX, 3));
    }
}
