//! What a read really takes: the latency, and the way there and back.

use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::Error;
use crate::direct::{PAGE, Page};

const READS: u64 = 64;
/// Far apart, so that no two become one.
const APART: u64 = 1 << 20;

/// The median of reads past the page cache, by so many threads at once.
pub fn read_takes(device: &Path, threads: u64) -> Result<Duration, Error> {
    let file = File::options().read(true).custom_flags(libc::O_DIRECT).open(device)?;
    let reads = |thread: u64| {
        let mut page = Page([0; PAGE]);
        let each = (0..READS).map(|read| {
            let began = Instant::now();
            file.read_exact_at(&mut page.0, (thread * READS + read) * APART)?;
            Ok(began.elapsed())
        });
        each.collect::<std::io::Result<Vec<_>>>()
    };
    let mut times = thread::scope(|scope| {
        let reads = &reads;
        let readers: Vec<_> = (0..threads).map(|i| scope.spawn(move || reads(i))).collect();
        let ended = readers.into_iter().map(|reader| reader.join().map_err(|_| "a reader failed"));
        let times: Result<Vec<_>, _> = ended.collect();
        times?.into_iter().collect::<Result<Vec<_>, _>>().map_err(Error::from)
    })?
    .concat();
    times.sort();
    Ok(times[times.len() / 2])
}
