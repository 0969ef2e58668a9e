//! What a walk has seen so far, on a terminal, once it takes long.

use std::io::{self, IsTerminal};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sysring_walk::Progress;

/// Who waits less does not ask.
const PATIENCE: Duration = Duration::from_millis(700);
const INTERVAL: Duration = Duration::from_millis(100);

/// The line at the bottom of the terminal.
pub struct Bar(ProgressBar);

impl Bar {
    /// Writes to the terminal while the line is out of the way.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }
}

/// Does `work` and meanwhile shows what it has `seen`, if `wanted` and standard error is a
/// terminal.
pub fn during<T>(wanted: bool, seen: &Progress, work: impl FnOnce(&Bar) -> T) -> T {
    let bar = Bar(ProgressBar::hidden());
    if !wanted || !io::stderr().is_terminal() {
        return work(&bar);
    }
    thread::scope(|scope| {
        let (end, ended) = mpsc::channel::<()>();
        let (bar, line) = (&bar, bar.0.clone());
        scope.spawn(move || show(&line, seen, &ended));
        let result = work(bar);
        // The thread ends when it sees this gone.
        drop(end);
        result
    })
}

fn show(line: &ProgressBar, seen: &Progress, ended: &mpsc::Receiver<()>) {
    let mut wait = PATIENCE;
    while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        if wait == PATIENCE {
            line.set_draw_target(ProgressDrawTarget::stderr());
            line.set_style(ProgressStyle::default_spinner());
            wait = INTERVAL;
        }
        let (directories, files) = (seen.directories.load(Relaxed), seen.entries.load(Relaxed));
        line.set_message(format!("{files} files in {directories} directories"));
        line.tick();
    }
    line.finish_and_clear();
}
