//! A disk whose reads take as long as a real one's, for machines whose own is cached by the host: an
//! image in memory, which a process of its own shows as a file (by FUSE) and of which it gives each
//! read no answer before its time has passed; over the file a loop device, past the page cache; and
//! ext4 on that.
//!
//! As many reads as are asked for are under way at once, and writes are done at once. Everything is
//! mounted where only this process and its children see it, and goes with the last of them, however it
//! ends.

mod account;
mod image;
mod mount;
mod probe;
mod protocol;
mod server;

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use account::Account;

use crate::Error;
use account::Shared;
use image::Image;
use server::Server;

/// Of this most is never written, and takes no memory.
const SIZE: u64 = 8 << 30;

pub struct Disk {
    latency: Duration,
    place: PathBuf,
    dir: PathBuf,
    server: Server,
    /// What a read past the page cache takes, alone and as one of 32 at a time.
    probed: [Duration; 2],
}

impl Disk {
    /// Makes one, empty, and mounts it below `dir`; by a process with one thread, for it forks.
    pub fn new(dir: &Path, latency: Duration) -> Result<Disk, Error> {
        let place = dir.join("slow-disk");
        fs::create_dir_all(&place)?;
        let place = place.canonicalize()?;
        let image = Image::new(SIZE)?;
        image.format()?;
        let connection = mount::connection()?;
        let server = Server::start(&connection, image, Shared::new(latency)?)?;
        mount::apart()?;
        mount::memory(&place)?;
        let (file, dir) = (place.join("image"), place.join("files"));
        mount::server(connection.as_fd(), &file)?;
        // From here on it is the server's alone: should that end, waits for it end, too.
        drop(connection);
        server.begin()?;
        let device = mount::device(&file)?;
        let probed = [probe::read_takes(&device.path, 1)?, probe::read_takes(&device.path, 32)?];
        mount::files(&device.path, &dir)?;
        Ok(Disk { latency, place, dir, server, probed })
    }

    /// Where its files are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it has done so far.
    pub fn account(&self) -> Account {
        self.server.account()
    }

    /// What is to be known of it beside figures.
    pub fn sentence(&self) -> String {
        format!(
            "a disk in memory (a loop device over FUSE) whose reads are answered {:?} late, any number \
             at a time: {:.0?} for one of 4 KiB alone, {:.0?} beside 31 others",
            self.latency, self.probed[0], self.probed[1],
        )
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What is written back is so before this returns; then the server has nothing left to do.
        if let Err(error) = mount::undo(&self.place) {
            eprintln!("cannot unmount {}: {error}", self.place.display());
        }
        self.server.end();
        let _ = fs::remove_dir(&self.place);
    }
}
