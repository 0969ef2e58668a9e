//! What programs fall back to where io_uring is refused: a few threads, a locked queue, one job
//! per operation. One as short as it can be written, and libuv's, which has four threads by default.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::direct::Page;

/// Reads pages of a file at given offsets; completions come in any order.
pub struct Pool {
    jobs: Queue<Option<Job>>,
    completions: Queue<io::Result<Box<Page>>>,
}

/// One operation, with the memory that is its own as a request's of a ring is.
struct Job {
    offset: u64,
    buffer: Box<Page>,
}

impl Pool {
    /// Runs `work` beside `threads` threads that serve it, and ends them.
    pub fn run<T>(threads: usize, file: &File, work: impl FnOnce(&Pool) -> T) -> T {
        let pool = Pool { jobs: Queue::new(), completions: Queue::new() };
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| pool.serve(file));
            }
            let result = work(&pool);
            (0..threads).for_each(|_| pool.jobs.push(None));
            result
        })
    }

    pub fn submit(&self, offset: u64, buffer: Box<Page>) {
        self.jobs.push(Some(Job { offset, buffer }));
    }

    /// A page that has been read.
    pub fn wait(&self) -> io::Result<Box<Page>> {
        self.completions.pop()
    }

    fn serve(&self, file: &File) {
        while let Some(Job { offset, mut buffer }) = self.jobs.pop() {
            let read = file.read_exact_at(&mut buffer.0, offset);
            self.completions.push(read.map(|()| buffer));
        }
    }
}

struct Queue<T> {
    items: Mutex<VecDeque<T>>,
    filled: Condvar,
}

impl<T> Queue<T> {
    fn new() -> Queue<T> {
        Queue { items: Mutex::new(VecDeque::new()), filled: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, item: T) {
        self.lock().push_back(item);
        self.filled.notify_one();
    }

    fn pop(&self) -> T {
        let mut items = self.lock();
        loop {
            if let Some(item) = items.pop_front() {
                return item;
            }
            items = self.filled.wait(items).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::direct::PAGE;

    #[test]
    fn every_job_completes_once() {
        let file = File::open("/dev/zero").unwrap();
        Pool::run(4, &file, |pool| {
            (0..1000).for_each(|i| pool.submit(i * PAGE as u64, Box::new(Page([1; PAGE]))));
            assert!((0..1000).all(|_| pool.wait().unwrap().0 == [0; PAGE]));
        });
    }
}
