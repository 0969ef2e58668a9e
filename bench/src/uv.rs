//! libuv's pool of four threads: `bin/uv.c`, which is what an event loop makes of files.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::{Error, c};

const C_SOURCE: &str = include_str!("bin/uv.c");

/// The program, or why there is none.
pub struct Uv(Result<PathBuf, String>);

/// What it reads, and how much at a time.
#[derive(Clone, Copy)]
pub struct Work<'a> {
    pub path: &'a Path,
    pub direct: bool,
    pub depth: u32,
    pub batch: u32,
    pub span: Duration,
}

impl Uv {
    pub fn compile(folder: &Path) -> Uv {
        let compiled = c::program(folder, "uv", C_SOURCE, "libuv.so", "libuv1-dev");
        Uv(compiled.map_err(|error| error.to_string()))
    }

    /// Time and processor time of a read.
    pub fn reads(&self, work: Work) -> Result<Vec<f64>, Error> {
        let mut command = Command::new(self.0.as_ref().map_err(String::as_str)?);
        command.arg(work.path).arg(if work.direct { "direct" } else { "cached" });
        let numbers = [work.depth, work.batch, work.span.as_millis() as u32];
        command.args(numbers.map(|number| number.to_string()));
        // Its threads are to be threads: newer ones know io_uring, too.
        command.env("UV_USE_IO_URING", "0").env("UV_THREADPOOL_SIZE", "4");
        let output = command.stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err(format!("libuv's reads ended with {}", output.status).into());
        }
        let said = String::from_utf8(output.stdout)?;
        said.split_whitespace().map(|number| Ok(number.parse()?)).collect()
    }
}
