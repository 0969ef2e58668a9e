//! cp: each block is a read and a write that are linked, and share a buffer; several blocks are
//! under way at once.
//!
//!     cargo run -p sysring --example cp -- FROM TO

use std::collections::VecDeque;
use std::error::Error;
use std::fs::File;

use sysring::owned::{Head, OpenOptions, Ring, SharedBuf};

const BLOCK: usize = 128 * 1024;
const AT_ONCE: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("usage: cp FROM TO".into());
    };
    let ring = Ring::new(2 * AT_ONCE as u32)?;
    let from = File::open(from)?;
    let len = from.metadata()?.len();
    let from = from.into();
    let to = ring.open(to, OpenOptions::writing()).wait()?;

    let mut buffers: Vec<_> = (0..AT_ONCE).map(|_| SharedBuf::new(vec![0; BLOCK])).collect();
    let mut under_way = VecDeque::new();
    let mut offset = 0;
    while offset < len || !under_way.is_empty() {
        if offset < len
            && let Some(buffer) = buffers.pop()
        {
            let block = Head::new(buffer, (len - offset).min(BLOCK as u64) as usize);
            let mut read = ring.read_at(&from, block.clone(), offset);
            let mut write = ring.write_at(&to, block.clone(), offset);
            ring.link(&mut [&mut read, &mut write])?;
            offset += BLOCK as u64;
            under_way.push_back((read, write, block));
        } else if let Some((read, write, block)) = under_way.pop_front() {
            read.wait().0?;
            write.wait().0?;
            buffers.push(block.into_inner());
        }
    }
    ring.fsync(&to).wait()?;
    Ok(())
}
