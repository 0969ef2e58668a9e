//! One run of a program.

use std::cell::Cell;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use super::Places;
use super::programs::Program;
use crate::Error;
use crate::disk::{Account, Disk};

/// What runs of a program asked of the disk.
#[derive(Clone, Copy, Default)]
pub struct Use {
    pub runs: u32,
    pub elapsed: Duration,
    /// None where the disk keeps no account.
    pub account: Option<Account>,
}

/// Its time and its processor time, in milliseconds; `cold`, with nothing of the tree in memory.
pub fn timed(
    program: &Program,
    places: &Places,
    cold: bool,
    used: &Cell<Use>,
) -> Result<Vec<f64>, Error> {
    if cold {
        cool(program, places)?;
    }
    let before = places.disk.map(Disk::account);
    let begin = Instant::now();
    let processor = wait(start(program, &places.tree)?)?;
    let elapsed = begin.elapsed();
    let mut all = used.get();
    (all.runs, all.elapsed) = (all.runs + 1, all.elapsed + elapsed);
    if let (Some(disk), Some(before)) = (places.disk, before) {
        *all.account.get_or_insert_default() += disk.account() - before;
    }
    used.set(all);
    Ok(vec![elapsed.as_secs_f64() * 1e3, processor])
}

/// The most threads it has at a time, seen from outside in a run that is not timed.
pub fn threads(program: &Program, places: &Places, cold: bool) -> Result<usize, Error> {
    if cold {
        cool(program, places)?;
    }
    let child = start(program, &places.tree)?;
    let tasks = format!("/proc/{}/task", child.id());
    let watch = thread::spawn(move || {
        let mut most = 1;
        // The directory goes when the process has been waited for.
        while let Ok(tasks) = fs::read_dir(&tasks) {
            most = most.max(tasks.count());
            thread::sleep(Duration::from_millis(2));
        }
        most
    });
    wait(child)?;
    watch.join().map_err(|_| "the thread that counts threads has failed".into())
}

fn start(program: &Program, tree: &Path) -> Result<Child, Error> {
    let started = program.command(tree).spawn();
    started.map_err(|error| format!("cannot start {}: {error}", program.name).into())
}

/// Waits for the end; the processor time in milliseconds.
fn wait(child: Child) -> Result<f64, Error> {
    let mut status = 0;
    // SAFETY: a structure of numbers, for which zeros are values.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: a child of ours that nobody has waited for, and memory for the answers.
    let ended = unsafe { libc::wait4(child.id() as i32, &mut status, 0, &mut usage) };
    if ended < 0 {
        return Err(io::Error::last_os_error().into());
    }
    if !libc::WIFEXITED(status) || libc::WEXITSTATUS(status) != 0 {
        return Err(format!("ended with status {status:#x}").into());
    }
    let ms = |time: libc::timeval| time.tv_sec as f64 * 1e3 + time.tv_usec as f64 / 1e3;
    Ok(ms(usage.ru_utime) + ms(usage.ru_stime))
}

/// Forgets the tree, of which nothing waits to be written, but not the program.
fn cool(program: &Program, places: &Places) -> Result<(), Error> {
    fs::write("/proc/sys/vm/drop_caches", "3")
        .map_err(|error| format!("caches cannot be dropped (only root may): {error}"))?;
    wait(start(program, &places.empty)?)?;
    Ok(())
}
