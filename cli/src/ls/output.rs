//! A section for each directory, a line for each path, or JSON.

use std::cmp::Ordering;
use std::ffi::CStr;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use serde::Serialize;
use sysring_walk::{Directory, Errno, Fold, Kind};

use super::columns::{Line, Widths};
use super::list::{Report, Row, What};
use super::names::Names;
use super::options::Ls;
use crate::files::progress::Bar;
use crate::files::quote;
use crate::files::report::{self, PathText};
use crate::files::units::Unit;

pub struct Sections<'l> {
    ls: &'l Ls,
    headings: bool,
    unit: Unit,
    out: BufWriter<Stdout>,
    terminal: bool,
    bar: &'l Bar,
    names: Names,
    /// Roots that are no directories: one listing, before all others.
    files: Vec<Row>,
    /// Something has been printed, and what follows is set off.
    begun: bool,
    document: Document,
    complete: bool,
    lost: Option<io::Error>,
}

#[derive(Default, Serialize)]
struct Document {
    entries: Vec<Listed>,
    problems: Vec<report::Problem>,
}

#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    path: PathText,
    #[serde(flatten)]
    status: Option<Described>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_bytes: Option<Vec<u8>>,
}

#[derive(Serialize)]
struct Described {
    inode: u64,
    mode: String,
    links: u32,
    owner: String,
    group: String,
    size: u64,
    disk_bytes: u64,
    /// Seconds since 1970, and the rest in nanoseconds.
    modified: (i64, u32),
}

impl<'l> Sections<'l> {
    pub fn new(ls: &'l Ls, several: bool, bar: &'l Bar) -> Sections<'l> {
        let base = 1024;
        Sections {
            ls,
            headings: several || ls.recursive,
            unit: if ls.human_readable { Unit::Human { base } } else { Unit::blocks(1) },
            out: BufWriter::new(io::stdout()),
            terminal: io::stdout().is_terminal(),
            bar,
            names: Names::new(ls.numeric),
            files: Vec::new(),
            begun: false,
            document: Document::default(),
            complete: true,
            lost: None,
        }
    }

    /// The end of it; whether everything was seen.
    pub fn finish(mut self) -> io::Result<bool> {
        self.list_files();
        if self.ls.json {
            serde_json::to_writer(&mut self.out, &self.document)?;
            self.out.write_all(b"\n")?;
        }
        if let Some(error) = self.lost.take() {
            return Err(error);
        }
        self.out.flush()?;
        Ok(self.complete)
    }

    fn list_files(&mut self) {
        let mut files = std::mem::take(&mut self.files);
        files.sort_unstable_by(|one, other| self.ls.compare(&one.key(), &other.key()));
        if !files.is_empty() {
            self.attempt(|this| this.lines(b"", &files));
        }
    }

    /// Writes, and remembers what went wrong.
    fn attempt(&mut self, write: impl FnOnce(&mut Self) -> io::Result<()>) {
        let written = write(self).and_then(|()| {
            if self.terminal { self.bar.aside(|| self.out.flush()) } else { Ok(()) }
        });
        if let Err(error) = written {
            self.lost.get_or_insert(error);
        }
    }

    fn section(&mut self, path: &[u8], rows: &[Row]) -> io::Result<()> {
        if self.ls.json || self.ls.full_paths {
            return self.lines(path, rows);
        }
        if self.begun {
            self.out.write_all(b"\n")?;
        }
        if self.headings {
            self.name(path)?;
            self.out.write_all(b":\n")?;
        }
        if self.ls.is_long() {
            let blocks = rows.iter().filter_map(|row| row.status.as_ref());
            let blocks = blocks.fold(0u64, |sum, status| sum.saturating_add(status.blocks));
            let total = match &self.unit {
                Unit::Human { .. } => self.unit.show(blocks.saturating_mul(512)),
                Unit::Blocks { .. } => blocks.div_ceil(2).to_string(),
            };
            writeln!(self.out, "total {total}")?;
        }
        self.begun = true;
        self.lines(path, rows)
    }

    fn lines(&mut self, path: &[u8], rows: &[Row]) -> io::Result<()> {
        if self.ls.json {
            for row in rows {
                let listed = listed(path, row, &mut self.names);
                self.document.entries.push(listed);
            }
            return Ok(());
        }
        self.begun = true;
        let lines: Vec<Line> = match self.ls.is_long() {
            true => rows.iter().map(|row| Line::of(row, &mut self.names, &self.unit)).collect(),
            false => Vec::new(),
        };
        let widths = Widths::of(&lines);
        let inode = |row: &Row| match &row.status {
            Some(facts) => facts.inode.to_string(),
            None => "?".to_owned(),
        };
        let inodes = if self.ls.inode { rows.iter().map(inode).collect() } else { Vec::new() };
        let widest = inodes.iter().map(String::len).max().unwrap_or(0);
        let end = if self.ls.zero { b"\0" } else { b"\n" };
        for (at, row) in rows.iter().enumerate() {
            if let Some(inode) = inodes.get(at) {
                write!(self.out, "{inode:>widest$} ")?;
            }
            if let Some(line) = lines.get(at) {
                self.out.write_all(line.show(&widths).as_bytes())?;
            }
            match self.ls.full_paths && !path.is_empty() {
                true if self.terminal => self.name(&report::joined(path, Some(&row.name)))?,
                true => report::write_path(&mut self.out, path, Some(&row.name))?,
                false => self.name(row.name.to_bytes())?,
            }
            if self.ls.slash && row.kind == Kind::Directory {
                self.out.write_all(b"/")?;
            }
            if let (true, Some(target)) = (self.ls.is_long(), &row.target) {
                self.out.write_all(b" -> ")?;
                self.name(target)?;
            }
            self.out.write_all(end)?;
        }
        Ok(())
    }

    /// As it is, but for a terminal: what would not only be seen there is quoted, unless zero bytes are
    /// asked for, which are for programs.
    fn name(&mut self, name: &[u8]) -> io::Result<()> {
        if self.terminal && !self.ls.zero && quote::is_hostile(name) {
            return self.out.write_all(quote::shell(name).as_bytes());
        }
        self.out.write_all(name)
    }

    fn problem(&mut self, what: &str, path: &[u8], name: Option<&CStr>, error: Errno) {
        self.complete = false;
        if self.ls.json {
            self.document.problems.push(report::Problem::new(what, path, name, error));
        } else {
            self.bar.aside(|| report::complain("ls", what, path, name, error));
        }
    }
}

fn listed(path: &[u8], row: &Row, names: &mut Names) -> Listed {
    let path = match path {
        b"" => PathText::of(row.name.to_bytes(), None),
        path => PathText::of(path, Some(&row.name)),
    };
    let status = row.status.as_ref().map(|facts| Described {
        inode: facts.inode,
        mode: format!("{:o}", facts.mode),
        links: facts.links,
        owner: names.user(facts.owner).to_owned(),
        group: names.group(facts.group).to_owned(),
        size: facts.size,
        disk_bytes: facts.blocks.saturating_mul(512),
        modified: (facts.modified.seconds, facts.modified.nanoseconds),
    });
    let (target, target_bytes) = row.target.clone().map(report::text).unzip();
    Listed { path, status, target, target_bytes: target_bytes.flatten() }
}

impl Fold<Report> for Sections<'_> {
    /// Everything that is in a directory is known when its turn comes: it is listed before those
    /// that are in it.
    fn enter(&mut self, _: &Directory, path: &[u8], report: &mut Report) -> bool {
        let rows = std::mem::take(&mut report.rows);
        if report.file {
            self.files.extend(rows);
            return true;
        }
        self.list_files();
        for (name, error) in std::mem::take(&mut report.problems) {
            self.problem("cannot access", path, Some(&name), error);
        }
        if let Some((what, error)) = report.failed {
            let what = match what {
                What::Access => "cannot access",
                What::Open => "cannot open directory",
            };
            self.problem(what, path, None, error);
            if rows.is_empty() {
                return false;
            }
        }
        let mut rows = rows;
        rows.sort_unstable_by(|one, other| self.ls.compare(&one.key(), &other.key()));
        if self.ls.recursive && self.ls.name.is_none() {
            let directories = rows.iter().filter(|row| row.kind == Kind::Directory);
            report.places = directories.map(|row| row.index).zip(0..).collect();
        }
        if self.ls.name.is_none() || !rows.is_empty() {
            self.attempt(|this| this.section(path, &rows));
        }
        true
    }

    fn is_over(&self) -> bool {
        self.lost.is_some()
    }

    /// As they were listed. Of those that are not, because they have another name, nothing but that is
    /// known.
    fn sequence(&self, report: &Report, one: (&CStr, u32), other: (&CStr, u32)) -> Ordering {
        let place = |index| report.places.get(&index);
        match (place(one.1), place(other.1)) {
            (Some(one), Some(other)) => one.cmp(other),
            _ => one.0.cmp(other.0),
        }
    }

    fn leave(&mut self, _: &Directory, _: &[u8], _: Report) {}
}
