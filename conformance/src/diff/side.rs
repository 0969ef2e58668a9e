//! The process of one side: runs the programs it is asked for.

use std::fs::File;
use std::io::{self, BufRead, BufWriter, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Which, execute, generate, lane, world};
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
    /// Programs that run at once.
    #[arg(long, default_value_t = 1)]
    threads: u16,
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
    for number in 0..options.threads {
        for turn in 0..lane::TURNS {
            lane::enter(number, turn);
            world::map_arena();
        }
    }
    let backend: Box<dyn Backend + Sync> = match options.backend {
        Which::Engine if options.faults > 0 => {
            Box::new(Faulty::new(options.faults, options.threads > 1))
        }
        Which::Engine => Box::new(Engine::new()),
        Which::Kernel | Which::Run => Box::new(Kernel),
    };
    let mut output = BufWriter::new(std::io::stdout());
    let mut folders = DiskFolders::below(&options.disk_folder);
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|e| e.to_string())?;
        let (seed, parts) = line.split_once(' ').unwrap_or((&line, ""));
        let parts: Vec<usize> = parts.split(',').filter_map(|part| part.parse().ok()).collect();
        if options.threads > 1 {
            let first: u64 = seed.parse().map_err(|_| "no seed".to_owned())?;
            let seeds = first..first + u64::from(options.threads);
            let mut programs: Vec<_> = seeds.map(generate::generate).collect();
            let records = execute::execute_together(&*backend, &mut programs, &options.folder);
            let texts: Vec<String> = records.into_iter().map(|record| record.text).collect();
            answer(&mut output, &[texts.join(NEXT), String::new()])?;
            continue;
        }
        let mut program = generate::generate(seed.parse().map_err(|_| "no seed".to_owned())?);
        program.drop_parts(&parts);
        let folder = if program.disk { folders.next() } else { options.folder.clone() };
        let record = execute::execute(&*backend, &mut program, &folder);
        answer(&mut output, &[record.text, record.trace])?;
    }
    Ok(true)
}

/// The scratch folders on disk, one after the other and each in another region of the disk. In one
/// place a side would wait for the disk's file system: ext4 without a journal gives no number of a file
/// that was deleted in the last minute to another one, and passes over them one by one.
struct DiskFolders {
    name: PathBuf,
    made: u64,
}

impl DiskFolders {
    fn below(name: &Path) -> DiskFolders {
        if let Some(all) = name.parent() {
            // Where it cannot be asked for it is only slower.
            let _ = std::fs::create_dir_all(all).and_then(|()| spread(all));
        }
        DiskFolders { name: name.to_path_buf(), made: 0 }
    }

    fn next(&mut self) -> PathBuf {
        self.made += 1;
        self.name.with_extension(self.made.to_string())
    }
}

/// Tells a file system of ext4's family that what is in the folders of this one has nothing to do with
/// each other (`chattr +T`).
fn spread(folder: &Path) -> io::Result<()> {
    const TOP: libc::c_long = 0x2_0000;
    let folder = File::open(folder)?;
    let mut flags: libc::c_long = 0;
    // SAFETY: both take the address of a word that lives.
    let done = unsafe {
        match libc::ioctl(folder.as_raw_fd(), libc::FS_IOC_GETFLAGS, &raw mut flags) {
            0 => {
                flags |= TOP;
                libc::ioctl(folder.as_raw_fd(), libc::FS_IOC_SETFLAGS, &raw const flags)
            }
            refused => refused,
        }
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Between the texts of programs that ran together.
pub const NEXT: &str = "=== next\n";

fn answer(output: &mut impl Write, texts: &[String; 2]) -> Result<(), String> {
    for text in texts {
        output.write_all(&(text.len() as u32).to_le_bytes()).map_err(|e| e.to_string())?;
        output.write_all(text.as_bytes()).map_err(|e| e.to_string())?;
    }
    output.flush().map_err(|e| e.to_string())
}

/// `prctl(2)`, since Linux 6.16: how many buckets the process has for its futexes.
const PR_FUTEX_HASH: i32 = 78;
const PR_FUTEX_HASH_SET_SLOTS: i32 = 1;

/// Makes the process the same on both sides: what a program opens gets the same numbers, a broken pipe
/// is an answer, not a death, and futexes stay in their buckets. (Linux 6.18 makes new ones as threads
/// come, io_uring's own for one, and wakes no request that waits in one of before.)
fn prepare_process() {
    // SAFETY: takes numbers only; the numbers below `BASE` become this process's own.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // Older kernels have nothing to set.
        libc::prctl(PR_FUTEX_HASH, PR_FUTEX_HASH_SET_SLOTS, 64, 0, 0);
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        for fd in 3..world::BASE {
            if fd != null && libc::fcntl(fd, libc::F_GETFD) < 0 {
                libc::dup3(null, fd, libc::O_CLOEXEC);
            }
        }
    }
}
