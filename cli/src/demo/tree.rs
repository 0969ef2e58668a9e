//! The tree that the bundled program copies, and the proof that it did.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::checksum::{Content, Tree};
use super::client::PIECE;

/// Files that share a directory.
const PER_DIRECTORY: u32 = 50;

/// Makes a tree of about this many bytes, the same one each time.
pub fn generate(root: &Path, files: u32, bytes: u64, mut made: impl FnMut(u64)) -> io::Result<()> {
    let mut random = Random(files.into());
    // Many small files and some large ones; every hundredth is empty.
    let weights: Vec<u64> = (0..files)
        .map(|file| if file % 100 == 99 { 0 } else { (random.next() % 1000 + 1).pow(2) })
        .collect();
    let sum = weights.iter().sum::<u64>().max(1);

    fs::create_dir(root)?;
    let mut content = Vec::new();
    for (file, weight) in (0..files).zip(weights) {
        let directory = root.join(format!("{:03}", file / PER_DIRECTORY));
        if file % PER_DIRECTORY == 0 {
            fs::create_dir(&directory)?;
        }
        let size = (u128::from(bytes) * u128::from(weight) / u128::from(sum)) as usize;
        content.clear();
        while content.len() < size {
            content.extend_from_slice(&random.next().to_le_bytes());
        }
        content.truncate(size);
        File::create_new(directory.join(format!("{file:06}")))?.write_all(&content)?;
        made(size as u64);
    }
    Ok(())
}

/// Reads both trees with plain calls: the checksum of the original, if the copy is like it.
pub fn verify(original: &Path, copy: &Path) -> Result<String, String> {
    let files = list(original).map_err(|error| format!("the original is unreadable: {error}"))?;
    let copied = list(copy).map_err(|error| format!("the copy is unreadable: {error}"))?;
    if files != copied {
        return Err(format!("the copy has {} files, not {}", copied.len(), files.len()));
    }
    let mut tree = Tree::default();
    for path in &files {
        let read = |root: &Path| {
            fs::read(root.join(path)).map_err(|error| format!("{}: {error}", path.display()))
        };
        let content = read(original)?;
        if content != read(copy)? {
            return Err(format!("the copy of {} differs", path.display()));
        }
        let checksum = content.chunks(PIECE).fold(Content::EMPTY, Content::then);
        tree.add(path.as_os_str().as_encoded_bytes(), checksum);
    }
    Ok(tree.to_string())
}

/// The regular files below a directory, as sorted paths from there.
pub fn list(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(root.join(&directory))? {
            let entry = entry?;
            let path = directory.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                directories.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Splitmix64: the tree must be the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
