//! Counts what is below a directory and the room it takes. The calls of a kind go in batches: quick
//! ones are made on the spot, and where they have to wait for the disk, many are under way.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::{ffi::CStr, ffi::CString, fs::File, rc::Rc};
use sysring::calls::{Call, Calls, Statx, StatxFlags, Step};
use sysring::{Errno, Fd};

type Place = (Rc<OwnedFd>, CString);
const OPEN: i32 = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;

/// What `getdents64` has written of a directory.
fn names(dir: &Rc<OwnedFd>, mut rest: &[u8]) -> Vec<Place> {
    let mut names = Vec::new();
    while let Some(&[low, high]) = rest.get(16..18) {
        let name = CStr::from_bytes_until_nul(&rest[19..]).unwrap();
        if name != c"." && name != c".." {
            names.push((dir.clone(), name.to_owned()));
        }
        rest = &rest[usize::from(u16::from_ne_bytes([low, high]))..];
    }
    names
}

fn main() -> Result<(), Errno> {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: walk DIRECTORY");
        std::process::exit(2);
    };
    let root = File::open(path).expect("opens");
    let (calls, fd) = (Calls::new()?, |dir: &Rc<OwnedFd>| Fd::new(dir.as_raw_fd()));
    let how = StatxFlags { flags: libc::AT_SYMLINK_NOFOLLOW as u32, ..Default::default() };
    let (mut waiting, mut dirs) = (Vec::new(), vec![(Rc::new(root.into()), vec![0; 32 << 10])]);
    let (mut files, mut blocks) = (0, 0);
    while dirs.len() + waiting.len() > 0 {
        let some: Vec<Place> = waiting.split_off(waiting.len().saturating_sub(256));
        let opens = some.iter().map(|(dir, name)| Call::openat(fd(dir), name, OPEN as u32, 0));
        let mut opens: Vec<Step> = opens.map(Step::new).collect();
        calls.run_all(&mut opens)?;
        for new in opens.iter().filter_map(|open| open.result()?.ok()) {
            // SAFETY: a new descriptor, which is ours.
            dirs.push((Rc::new(unsafe { OwnedFd::from_raw_fd(new as i32) }), vec![0; 32 << 10]));
        }
        let reads = dirs.iter_mut().map(|(dir, buf)| Call::getdents64(fd(dir), buf));
        let mut reads: Vec<Step> = reads.map(Step::new).collect();
        calls.run_all(&mut reads)?;
        let lens: Vec<usize> = reads.iter().map(|r| r.result().unwrap().unwrap_or(0)).collect();
        let read = dirs.iter().zip(&lens);
        let found: Vec<_> = read.flat_map(|((dir, buf), len)| names(dir, &buf[..*len])).collect();
        dirs = dirs.into_iter().zip(lens).filter(|(_, len)| *len > 0).map(|(dir, _)| dir).collect();
        let mut stats = vec![Statx::default(); found.len()];
        let looks = found.iter().zip(&mut stats);
        let looks = looks.map(|((dir, name), to)| Call::statx(fd(dir), name, how, to));
        calls.run_all(&mut looks.map(Step::new).collect::<Vec<_>>())?;
        for (place, stat) in found.into_iter().zip(stats) {
            (files, blocks) = (files + 1, blocks + stat.stx_blocks);
            if u32::from(stat.stx_mode) & libc::S_IFMT == libc::S_IFDIR {
                waiting.push(place);
            }
        }
    }
    println!("{files} files, {} KiB", blocks / 2);
    Ok(())
}
