//! A tree as disks have them after years: files made in random order all over it, many of them
//! deleted again and others put into the holes, so that a directory's entries lie far apart; and
//! so do the directories, for of those made between them most are gone.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};

use crate::Error;

/// Another recipe, another tree: a cached one of an older recipe is made again.
const RECIPE: &str = "4";

const DIRECTORIES: usize = 18_000;
/// Each is made along with so many others, which are gone at the end.
const NEIGHBOURS: usize = 3;
const AT_FIRST: usize = 240_000;
/// Then so many are deleted (in thousandths of those there are), and so many made.
const YEARS: [(usize, usize); 3] = [(333, 60_000), (100, 50_000), (50, 25_000)];
/// The same tree on every machine.
const SEED: u64 = 0x5E5_1125;

/// The tree in `dir`: the one that is there, or a new one.
pub fn provide(dir: &Path) -> Result<PathBuf, Error> {
    let (tree, stamp) = (dir.join("walk-tree"), dir.join("walk-tree.recipe"));
    if fs::read_to_string(&stamp).is_ok_and(|found| found == RECIPE) {
        return Ok(tree);
    }
    eprintln!("making a tree of 250,000 files in {} (once)", tree.display());
    let made = (|| {
        if tree.exists() {
            fs::remove_dir_all(&tree)?;
        }
        Gardener::plant(&tree)?;
        sync();
        fs::write(&stamp, RECIPE)
    })();
    made.map_err(|e: io::Error| format!("cannot make {}: {e}", tree.display()))?;
    Ok(tree)
}

/// Everything written back, so that dropping the caches drops all of it.
pub fn sync() {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::sync() };
}

struct Gardener {
    /// Their parents come before them; each is made for its first file.
    directories: Vec<Directory>,
    neighbours: Vec<PathBuf>,
    files: Vec<PathBuf>,
    made: usize,
    state: u64,
}

struct Directory {
    path: PathBuf,
    parent: usize,
    made: bool,
}

impl Gardener {
    fn plant(root: &Path) -> io::Result<()> {
        fs::create_dir(root)?;
        let mut this = Gardener {
            directories: vec![Directory { path: root.to_owned(), parent: 0, made: true }],
            neighbours: Vec::new(),
            files: Vec::with_capacity(AT_FIRST),
            made: 0,
            state: SEED,
        };
        while this.directories.len() < DIRECTORIES {
            // Below the older ones: seven levels deep on average, as sources are.
            let eldest = this.directories.len() / 4 + 1;
            let parent = this.below(eldest);
            let name = this.name();
            let path = this.directories[parent].path.join(name);
            this.directories.push(Directory { path, parent, made: false });
        }
        this.make(AT_FIRST)?;
        for (deleted, added) in YEARS {
            for _ in 0..this.files.len() * deleted / 1000 {
                let file = this.below(this.files.len());
                fs::remove_file(this.files.swap_remove(file))?;
            }
            this.make(added)?;
        }
        this.neighbours.iter().try_for_each(fs::remove_dir)
    }

    fn make(&mut self, count: usize) -> io::Result<()> {
        let bytes = [b'.'; 16 << 10];
        for _ in 0..count {
            let directory = self.below(self.directories.len());
            self.make_directory(directory)?;
            let name = self.name();
            let path = self.directories[directory].path.join(name);
            match self.below(100) {
                0 => symlink("a symbolic link", &path)?,
                1 if !self.files.is_empty() => {
                    let file = self.below(self.files.len());
                    fs::hard_link(&self.files[file], &path)?;
                }
                2 => File::create_new(&path)?.write_all_at(b"sparse", 1 << 20)?,
                _ => {
                    // Most are small, a few fill blocks.
                    let most = 1 << self.below(15);
                    let size = self.below(most);
                    File::create_new(&path)?.write_all(&bytes[..size])?;
                }
            }
            self.files.push(path);
        }
        Ok(())
    }

    fn make_directory(&mut self, index: usize) -> io::Result<()> {
        if self.directories[index].made {
            return Ok(());
        }
        let parent = self.directories[index].parent;
        self.make_directory(parent)?;
        self.directories[index].made = true;
        fs::create_dir(&self.directories[index].path)?;
        for _ in 0..NEIGHBOURS {
            let name = self.name();
            let neighbour = self.directories[parent].path.join(name);
            fs::create_dir(&neighbour)?;
            self.neighbours.push(neighbour);
        }
        Ok(())
    }

    /// A name of its own, 6 to 25 characters long.
    fn name(&mut self) -> String {
        const SYLLABLES: [&str; 8] = ["sys", "ring", "call", "io", "queue", "test", "a", "x86"];
        let mut name = String::new();
        for _ in 0..self.below(4) {
            name.push_str(SYLLABLES[self.below(SYLLABLES.len())]);
        }
        self.made += 1;
        format!("{name}{:06}", self.made)
    }

    /// A random number below `n`.
    fn below(&mut self, n: usize) -> usize {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (((self.state >> 32) * n as u64) >> 32) as usize
    }
}
