//! What a ring has when it closes is given back.

mod client;

use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use client::{Client, sqe};
use sysring_sys::abi::io_uring::op;

const O_DIRECT: i32 = sysring_sys::raw::general::O_DIRECT as i32;

/// Memory of this process that is in use, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").expect("/proc/self/statm");
    let pages: usize = status.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("a number");
    pages * 4096
}

#[repr(C, align(4096))]
struct Block([u8; 4096]);

#[test]
fn vectors_of_reads_that_the_disk_has_are_freed() {
    if std::env::var_os("QEMU_LD_PREFIX").is_some() {
        println!("skipped: in QEMU's user mode the process has the memory of QEMU, too");
        return;
    }
    let path = std::env::temp_dir().join(format!("sysring-closing-{}", std::process::id()));
    let mut open = std::fs::OpenOptions::new();
    let opened = open.read(true).write(true).create(true).custom_flags(O_DIRECT).open(&path);
    let Ok(file) = opened else {
        eprintln!("skipped: no O_DIRECT in {}", path.display());
        return;
    };
    let _ = std::fs::remove_file(&path);
    let mut block = Block([0; 4096]);
    // The most segments a vector may have: the engine's copy of it takes 16 KiB.
    let vector = vec![(block.0.as_mut_ptr(), block.0.len()); 1024];
    let round = || {
        let mut ring = Client::new(8, 0);
        for i in 0..8 {
            let mut read = sqe(op::READV, file.as_raw_fd(), i);
            (read.addr, read.len) = (vector.as_ptr() as u64, vector.len() as u32);
            ring.push(read);
        }
        assert_eq!(ring.enter(8, 0), Ok(8));
    };
    round();
    let before = resident();
    for _ in 0..200 {
        round();
    }
    // 25 MiB would be there if they were not freed.
    let more = resident().saturating_sub(before);
    assert!(more < 8 << 20, "{more} bytes more");
}
