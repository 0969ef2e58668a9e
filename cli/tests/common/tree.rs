//! A tree for the commands that walk.

use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;

/// A tree with something of everything.
pub fn plant(root: &Path) {
    let directory = |path: &str| fs::create_dir(root.join(path)).unwrap();
    let file = |path: &str, size: usize| fs::write(root.join(path), vec![b'x'; size]).unwrap();
    for path in ["a", "a/deep", "a/deep/er", "b", "b/empty", "c d", "node_modules"] {
        directory(path);
    }
    for (i, path) in
        ["a/one", "a/deep/two.o", "a/deep/er/three", "b/four.o", "c d/f", "top"].iter().enumerate()
    {
        file(path, 1 + 5000 * i);
    }
    file("node_modules/large", 300_000);
    // One file, three names, in three directories and twice in one of them.
    fs::hard_link(root.join("a/one"), root.join("b/one again")).unwrap();
    fs::hard_link(root.join("a/one"), root.join("a/deep/one once more")).unwrap();
    fs::hard_link(root.join("a/one"), root.join("a/deep/and again")).unwrap();
    File::create(root.join("b/sparse")).unwrap().write_all_at(b"end", 50 << 20).unwrap();
    symlink("a", root.join("to a directory")).unwrap();
    symlink("nowhere", root.join("c d/to nothing")).unwrap();
    let strange = OsStr::from_bytes(b"c d/\xff\xfe not \xc3\xa9 UTF-8\n");
    file_of(&root.join(strange));
    let strange = OsStr::from_bytes(b"\x80directory");
    fs::create_dir(root.join(strange)).unwrap();
    file_of(&root.join(strange).join("in it"));
    let pipe = CString::new(root.join("b/pipe").as_os_str().as_bytes()).unwrap();
    // SAFETY: a string that ends.
    assert_eq!(unsafe { libc::mkfifo(pipe.as_ptr(), 0o600) }, 0);
}

fn file_of(path: &Path) {
    fs::write(path, b"something").unwrap();
}
