//! A directory for the demo alone, removed at its end.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process;

pub struct Scratch(PathBuf);

impl Scratch {
    pub fn create(parent: &Path) -> io::Result<Self> {
        let path = parent.canonicalize()?.join(format!("sysring-demo-{}", process::id()));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Scratch(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tell!("sysring: {} could not be removed: {error}", self.0.display());
        }
    }
}
