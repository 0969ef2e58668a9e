//! The way fio drives a ring: entries by number through the SQ array, a completion queue no
//! larger than the depth, batches.

mod client;

use std::io::Write;
use std::os::fd::AsRawFd;

use client::{Client, sqe};
use sysring_sys::abi::io_uring::{enter, op, setup};

#[test]
fn a_full_queue_in_batches_loses_nothing() {
    const DEPTH: u32 = 32;
    let path = std::env::temp_dir().join(format!("sysring-batches-{}", std::process::id()));
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    file.write_all(&vec![1; 1 << 20]).unwrap();
    let mut ring = Client::sized(DEPTH, setup::CQSIZE, DEPTH);
    let mut buffers = vec![[0u8; 4096]; DEPTH as usize];
    let mut free: Vec<u32> = (0..DEPTH).collect();
    let mut random = 1u64;
    for round in 0..2000 {
        for _ in 0..16 {
            let index = free.remove((random >> 33) as usize % free.len());
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1);
            let mut read = sqe(op::READ, file.as_raw_fd(), u64::from(index));
            read.addr = buffers[index as usize].as_mut_ptr() as u64;
            (read.len, read.off) = (4096, (random >> 40) % 256 * 4096);
            ring.push_at(read, index);
        }
        assert_eq!(ring.enter_with(16, 0, enter::GETEVENTS), Ok(16), "round {round}");
        if free.is_empty() {
            assert_eq!(ring.enter(0, 16), Ok(0));
        }
        if free.len() < 16 {
            for cqe in ring.reap() {
                assert_eq!(cqe.res, 4096);
                let index = cqe.user_data as u32;
                assert!(!free.contains(&index), "round {round}: {index} completed twice");
                free.push(index);
            }
        }
    }
}

#[test]
fn workers_lose_nothing() {
    const DEPTH: u32 = 32;
    let mut ring = Client::new(DEPTH, 0);
    let path = std::env::temp_dir().join(format!("sysring-workers-{}", std::process::id()));
    let file = std::fs::File::create(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let mut done = 0u64;
    let mut sent = 0u64;
    while done < 20_000 {
        let mut batch = 0;
        while sent - done < u64::from(DEPTH) && batch < 7 {
            let mut sync = sqe(op::FALLOCATE, file.as_raw_fd(), sent);
            (sync.off, sync.addr, sync.len) = (0, 4096, 0);
            ring.push(sync);
            sent += 1;
            batch += 1;
        }
        assert_eq!(ring.enter(batch, 1), Ok(batch as usize));
        done += ring.reap().len() as u64;
    }
}
