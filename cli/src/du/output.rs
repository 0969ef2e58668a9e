//! Lines on standard output, problems on standard error, or both as JSON.

use std::ffi::CStr;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use serde::Serialize;
use sysring_walk::{Errno, Time};

use super::bounds::Style;
use super::count::Sum;
use super::options::Du;
use crate::files::progress::Bar;
use crate::files::report::{self, PathText};
use crate::files::units::Unit;

pub struct Output<'d> {
    du: &'d Du,
    unit: Unit,
    style: Style,
    out: BufWriter<Stdout>,
    terminal: bool,
    bar: &'d Bar,
    document: Document,
    complete: bool,
    /// Nobody reads it, or there is no room for it.
    lost: Option<io::Error>,
}

#[derive(Default, Serialize)]
struct Document {
    sizes: Vec<Size>,
    total: Option<Total>,
    problems: Vec<report::Problem>,
}

#[derive(Serialize)]
struct Size {
    #[serde(flatten)]
    path: PathText,
    bytes: u64,
    entries: u64,
    /// Seconds since 1970, and the rest in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<(i64, u32)>,
}

#[derive(Serialize)]
struct Total {
    bytes: u64,
    entries: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<(i64, u32)>,
}

fn pair(time: Time) -> (i64, u32) {
    (time.seconds, time.nanoseconds)
}

impl<'d> Output<'d> {
    pub fn new(du: &'d Du, bar: &'d Bar) -> Output<'d> {
        Output {
            du,
            unit: du.unit(),
            style: du.time_style.clone().unwrap_or_else(Style::of_environment),
            out: BufWriter::new(io::stdout()),
            terminal: io::stdout().is_terminal(),
            bar,
            document: Document::default(),
            complete: true,
            lost: None,
        }
    }

    /// A size and what it is of: `name` in `path`, or `path` itself.
    pub fn line(&mut self, sum: Sum, path: &[u8], name: Option<&CStr>) {
        let value = if self.du.inodes { sum.entries } else { sum.bytes };
        if self.du.threshold.is_some_and(|threshold| !threshold.covers(value)) {
            return;
        }
        if self.du.json {
            let (path, time) = (PathText::of(path, name), sum.latest.map(pair));
            let size = Size { path, bytes: sum.bytes, entries: sum.entries, time };
            return self.document.sizes.push(size);
        }
        self.print(value, sum, path, name);
    }

    fn print(&mut self, value: u64, sum: Sum, path: &[u8], name: Option<&CStr>) {
        let end = if self.du.null { b"\0" } else { b"\n" };
        let written = (|| {
            write!(self.out, "{}\t", self.unit.show(value))?;
            if self.du.time.is_some() {
                let time = sum.latest.map(|time| self.style.show(time));
                write!(self.out, "{}\t", time.as_deref().unwrap_or("?"))?;
            }
            report::write_path(&mut self.out, path, name)?;
            self.out.write_all(end)?;
            if self.terminal {
                self.bar.aside(|| self.out.flush())?;
            }
            Ok(())
        })();
        if let Err(error) = written {
            self.lost.get_or_insert(error);
        }
    }

    pub fn problem(&mut self, what: &str, path: &[u8], name: Option<&CStr>, error: Errno) {
        self.complete = false;
        if self.du.json {
            self.document.problems.push(report::Problem::new(what, path, name, error));
        } else {
            self.bar.aside(|| report::complain("du", what, path, name, error));
        }
    }

    /// Whether what follows would not be read either.
    pub fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    /// The end of it; whether there were no problems.
    pub fn finish(&mut self, with_total: bool, total: Sum) -> io::Result<bool> {
        if self.du.json {
            if with_total {
                let Sum { bytes, entries, latest } = total;
                self.document.total = Some(Total { bytes, entries, time: latest.map(pair) });
            }
            serde_json::to_writer(&mut self.out, &self.document)?;
            self.out.write_all(b"\n")?;
        } else if with_total {
            let value = if self.du.inodes { total.entries } else { total.bytes };
            self.print(value, total, b"total", None);
        }
        if let Some(error) = self.lost.take() {
            return Err(error);
        }
        self.out.flush()?;
        Ok(self.complete)
    }
}
