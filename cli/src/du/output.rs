//! Lines on standard output, problems on standard error, or both as JSON.

use std::ffi::CStr;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use serde::Serialize;
use sysring_walk::Errno;

use super::count::Sum;
use super::options::Du;
use crate::files::progress::Bar;
use crate::files::report::{self, PathText};
use crate::files::units::Unit;

pub struct Output<'d> {
    du: &'d Du,
    unit: Unit,
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
}

#[derive(Serialize)]
struct Total {
    bytes: u64,
    entries: u64,
}

impl<'d> Output<'d> {
    pub fn new(du: &'d Du, bar: &'d Bar) -> Output<'d> {
        Output {
            du,
            unit: du.unit(),
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
        if self.du.json {
            let path = PathText::of(path, name);
            return self.document.sizes.push(Size { path, bytes: sum.bytes, entries: sum.entries });
        }
        let end = if self.du.null { b"\0" } else { b"\n" };
        let written = (|| {
            write!(self.out, "{}\t", self.unit.show(sum.bytes))?;
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

    /// The end of it; whether there were no problems.
    pub fn finish(&mut self, with_total: bool, total: Sum) -> io::Result<bool> {
        if self.du.json {
            if with_total {
                self.document.total = Some(Total { bytes: total.bytes, entries: total.entries });
            }
            serde_json::to_writer(&mut self.out, &self.document)?;
            self.out.write_all(b"\n")?;
        } else if with_total {
            self.line(total, b"total", None);
        }
        if let Some(error) = self.lost.take() {
            return Err(error);
        }
        self.out.flush()?;
        Ok(self.complete)
    }
}
