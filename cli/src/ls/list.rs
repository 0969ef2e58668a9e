//! What is noted of each directory, by all threads.

use std::collections::HashMap;
use std::ffi::CStr;

use sysring_walk::{Directory, Entry, Errno, Fd, Kind, Problem, Status, Survey, Time, Wish};

use super::options::Ls;
use super::sort::Key;
use crate::files::matching;

/// One name.
pub struct Row {
    pub name: Box<CStr>,
    /// Its place among the names of the directory.
    pub index: u32,
    pub kind: Kind,
    /// What was asked for and could be had.
    pub status: Option<Facts>,
    /// Where a symbolic link points to.
    pub target: Option<Vec<u8>>,
}

impl Row {
    pub fn key(&self) -> Key<'_> {
        let name = self.name.to_bytes();
        match &self.status {
            Some(Facts { size, modified, .. }) => {
                let time = (modified.seconds, i64::from(modified.nanoseconds));
                Key { name, size: *size, time }
            }
            None => Key { name, size: 0, time: (i64::MIN, 0) },
        }
    }
}

/// Of a status what is listed.
pub struct Facts {
    pub inode: u64,
    pub mode: u32,
    pub links: u32,
    pub owner: u32,
    pub group: u32,
    pub size: u64,
    pub blocks: u64,
    pub device: (u32, u32),
    pub modified: Time,
}

/// What is noted of one directory, or of a root that is none.
#[derive(Default)]
pub struct Report {
    pub rows: Vec<Row>,
    /// In which order directories were listed, by their indices, if they come in that order.
    pub places: HashMap<u32, usize>,
    pub problems: Vec<(Box<CStr>, Errno)>,
    /// It could not be found, or not be read.
    pub failed: Option<(What, Errno)>,
    /// It is a root and no directory.
    pub file: bool,
}

#[derive(Clone, Copy)]
pub enum What {
    Access,
    Open,
}

pub struct Lister<'l> {
    pub ls: &'l Ls,
}

impl Lister<'_> {
    fn row(&self, dir: Fd, entry: &Entry, status: Option<&Status>) -> Row {
        let &Entry { name, kind, index } = entry;
        let wanted = kind == Kind::Link && (self.ls.is_long() || self.ls.json);
        let target = if wanted { target(dir, name) } else { None };
        Row { name: name.into(), index, kind, status: status.map(facts), target }
    }
}

impl Survey for Lister<'_> {
    type Report = Report;

    fn wish(&self, _: &Directory, entry: &Entry) -> Wish {
        if !self.ls.all && entry.name.to_bytes().starts_with(b".") {
            return Wish::NOTHING;
        }
        let named = self.ls.name.as_ref();
        let listed = named.is_none_or(|pattern| matching::name(pattern, entry.name));
        let descend = self.ls.recursive;
        Wish { status: listed && self.ls.needs_status(), descend, entry: listed }
    }

    fn directory(&self, directory: &Directory, status: &Status, report: &mut Report) {
        let kind = status.kind();
        if directory.fd.is_none() && kind != Kind::Directory {
            report.file = true;
            let entry = Entry { name: directory.name, kind, index: 0 };
            report.rows.push(self.row(Fd::CWD, &entry, Some(status)));
        }
    }

    fn entry(
        &self,
        directory: &Directory,
        entry: &Entry,
        status: Option<&Status>,
        report: &mut Report,
    ) {
        let dir = directory.fd.unwrap_or(Fd::CWD);
        report.rows.push(self.row(dir, entry, status));
    }

    fn problem(&self, _: &Directory, problem: Problem, error: Errno, report: &mut Report) {
        match problem {
            Problem::Status(name, index) => {
                let (kind, status, target) = (Kind::Unknown, None, None);
                report.rows.push(Row { name: name.into(), index, kind, status, target });
                report.problems.push((name.into(), error));
            }
            Problem::Access => report.failed = Some((What::Access, error)),
            Problem::Read => report.failed = Some((What::Open, error)),
        }
    }

    fn combine(&self, report: &mut Report, part: Report) {
        report.rows.extend(part.rows);
        report.problems.extend(part.problems);
        report.failed = report.failed.take().or(part.failed);
    }
}

fn facts(status: &Status) -> Facts {
    let (owner, group) = status.owner();
    Facts {
        inode: status.inode(),
        mode: status.mode(),
        links: status.links(),
        owner,
        group,
        size: status.size(),
        blocks: status.blocks(),
        device: status.special(),
        modified: status.modified(),
    }
}

fn target(dir: Fd, name: &CStr) -> Option<Vec<u8>> {
    let mut target = vec![0u8; libc::PATH_MAX as usize];
    let (address, room) = (target.as_mut_ptr().cast(), target.len());
    // SAFETY: the name ends, and the kernel writes no more than there is room for.
    let length = unsafe { libc::readlinkat(dir.raw(), name.as_ptr(), address, room) };
    target.truncate(usize::try_from(length).ok()?);
    Some(target)
}
