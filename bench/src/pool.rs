//! What programs fall back to where io_uring is refused: a few threads, a locked queue, one job
//! per operation (libuv's pool, for one, has four threads by default).

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::direct::{PAGE, Page};

/// Reads pages of a file at given offsets; completions come in any order.
pub struct Pool {
    jobs: Queue<Option<u64>>,
    completions: Queue<io::Result<()>>,
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

    pub fn submit(&self, offset: u64) {
        self.jobs.push(Some(offset));
    }

    pub fn wait(&self) -> io::Result<()> {
        self.completions.pop()
    }

    fn serve(&self, file: &File) {
        let mut buffer = Page([0; PAGE]);
        while let Some(offset) = self.jobs.pop() {
            self.completions.push(file.read_exact_at(&mut buffer.0, offset));
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

    #[test]
    fn every_job_completes_once() {
        let file = File::open("/dev/zero").unwrap();
        Pool::run(4, &file, |pool| {
            (0..1000).for_each(|i| pool.submit(i * PAGE as u64));
            (0..1000).for_each(|_| pool.wait().unwrap());
        });
    }
}
