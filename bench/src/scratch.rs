//! The files the benchmarks read and write.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::Error;

const CHUNK: usize = 1 << 20;

/// A file of `size` bytes in `dir`, written if it is not there yet; not sparse, and on the disk.
pub fn file(dir: &Path, name: &str, size: u64) -> Result<PathBuf, Error> {
    let path = dir.join(format!("{name}.dat"));
    let made = (|| {
        if fs::metadata(&path).is_ok_and(|m| m.len() == size) {
            return Ok(());
        }
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
        let mut chunk = vec![0u8; CHUNK];
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        for _ in 0..size / CHUNK as u64 {
            for word in chunk.chunks_exact_mut(8) {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                word.copy_from_slice(&state.to_le_bytes());
            }
            file.write_all(&chunk)?;
        }
        file.sync_all()
    })();
    made.map_err(|e: io::Error| format!("cannot prepare {}: {e}", path.display()))?;
    Ok(path)
}

/// Reads the whole file once, so that it lies in the page cache.
pub fn warm(path: &Path) -> Result<(), Error> {
    let mut file = File::open(path)?;
    let mut chunk = vec![0u8; CHUNK];
    while file.read(&mut chunk)? > 0 {}
    Ok(())
}
