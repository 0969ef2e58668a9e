//! What is done with what is found, by all threads at once.

use std::ffi::CStr;

use sysring_sys::Errno;

use crate::dirent::Kind;
use crate::node::Directory;
use crate::status::Status;

/// A name in a directory.
pub struct Entry<'a> {
    /// The name itself.
    pub name: &'a CStr,
    /// What it is.
    pub kind: Kind,
    /// Its place among the names of the directory. They are not looked at in this order.
    pub index: u32,
}

/// What a survey wants of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Its status. (That of a directory comes without asking when it is descended into.)
    pub status: bool,
    /// If it is a directory, what is in it.
    pub descend: bool,
    /// To be told of it at all.
    pub entry: bool,
}

impl Wish {
    /// Nothing of it.
    pub const NOTHING: Wish = Wish { status: false, descend: false, entry: false };
    /// Of files the status, of directories what is in them.
    pub const CONTENTS: Wish = Wish { status: true, descend: true, entry: true };
}

/// What could not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem<'a> {
    /// The status of a name in the directory; its index among the names.
    Status(&'a CStr, u32),
    /// To find the directory itself (it may have gone).
    Access,
    /// To open the directory, or to read it to its end.
    Read,
}

/// Takes note of what is found; called by all threads at once.
pub trait Survey: Sync {
    /// What is noted of one directory.
    type Report: Default + Send;

    /// What is wanted of an entry, before anything is known but its name and perhaps its kind.
    fn wish(&self, directory: &Directory, entry: &Entry) -> Wish {
        let _ = directory;
        Wish { entry: entry.kind != Kind::Directory, ..Wish::CONTENTS }
    }

    /// A directory, or a root that is none, and its status: the first call for a report. It is
    /// not made for a directory of which not even the status could be had.
    fn directory(&self, directory: &Directory, status: &Status, report: &mut Self::Report);

    /// A name in the directory, and its status if that was wished for.
    fn entry(
        &self,
        directory: &Directory,
        entry: &Entry,
        status: Option<&Status>,
        report: &mut Self::Report,
    );

    /// Something could not be done.
    fn problem(
        &self,
        directory: &Directory,
        problem: Problem,
        error: Errno,
        report: &mut Self::Report,
    ) {
        let _ = (directory, problem, error, report);
    }

    /// Adds to a report what another thread has noted of the same directory.
    fn combine(&self, report: &mut Self::Report, part: Self::Report);
}
