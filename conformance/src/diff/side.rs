//! The process of one side: runs the programs it is asked for.

use std::io::{BufRead, BufWriter, Write};
use std::path::PathBuf;

use clap::Args;

use super::{Which, execute, generate, world};
use crate::faults::Faulty;
use crate::raw::{Backend, Engine, Kernel};

/// Options of `conformance side`, which `diff` starts.
#[derive(Args, Debug)]
pub struct SideOptions {
    #[arg(long, value_enum)]
    backend: Which,
    /// Of a thousand system calls of the engine, how many fail.
    #[arg(long, default_value_t = 0)]
    faults: u64,
    #[arg(long)]
    folder: PathBuf,
    #[arg(long)]
    disk_folder: PathBuf,
}

/// Runs the programs asked for on standard input: a line `seed drop,drop…` each. The answer is
/// two texts, each after its length.
///
/// # Errors
/// Standard input or output is gone.
pub fn side(options: &SideOptions) -> Result<bool, String> {
    prepare_process();
    world::map_arena();
    let backend: Box<dyn Backend> = match options.backend {
        Which::Engine if options.faults > 0 => Box::new(Faulty::new(options.faults)),
        Which::Engine => Box::new(Engine::new()),
        Which::Kernel | Which::Run => Box::new(Kernel),
    };
    let mut output = BufWriter::new(std::io::stdout());
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|e| e.to_string())?;
        let (seed, parts) = line.split_once(' ').unwrap_or((&line, ""));
        let parts: Vec<usize> = parts.split(',').filter_map(|part| part.parse().ok()).collect();
        let mut program = generate::generate(seed.parse().map_err(|_| "no seed".to_owned())?);
        program.drop_parts(&parts);
        let folder = if program.disk { &options.disk_folder } else { &options.folder };
        let record = execute::execute(&*backend, &program, folder);
        for text in [record.text, record.trace] {
            output.write_all(&(text.len() as u32).to_le_bytes()).map_err(|e| e.to_string())?;
            output.write_all(text.as_bytes()).map_err(|e| e.to_string())?;
        }
        output.flush().map_err(|e| e.to_string())?;
    }
    Ok(true)
}

/// Makes the process the same on both sides: what a program opens gets the same numbers, and a
/// broken pipe is an answer, not a death.
fn prepare_process() {
    // SAFETY: takes numbers only; the numbers below `BASE` become this process's own.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        for fd in 3..world::BASE {
            if fd != null && libc::fcntl(fd, libc::F_GETFD) < 0 {
                libc::dup3(null, fd, libc::O_CLOEXEC);
            }
        }
    }
}
