//! Scopes of syslets where the engine is installed, for good: one test, in a process of its own.

use std::io::pipe;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use sysring::syslet::{Outcome, scope};
use sysring::{Engine, Errno, Installed};

#[test]
fn a_call_is_cancelled_behind_the_trap() {
    assert_eq!(sysring::install_engine(Engine::User), Ok(Installed::User));
    if let Err(why) = scope(|s| s.moves()) {
        println!("skipped: {why}");
        return;
    }
    let (reader, _writer) = pipe().unwrap();
    let mut byte = 0u8;
    let read = [reader.as_raw_fd() as usize, (&raw mut byte) as usize, 1, 0, 0, 0];
    scope(|s| {
        // SAFETY: the byte outlives the scope.
        let outcome = unsafe { s.call(libc::SYS_read as u32, read) };
        let Outcome::Pending(id) = outcome else { panic!("an empty pipe: {outcome:?}") };
        let end = Instant::now() + Duration::from_secs(30);
        // It may be told a moment before it begins.
        let done = loop {
            assert!(matches!(s.cancel(id), Ok(()) | Err(Errno::ENOENT)));
            if let Some(done) = s.wait_at_most(1, Duration::from_millis(20)).next() {
                break done;
            }
            assert!(Instant::now() < end, "it does not end");
        };
        assert_eq!((done.id, done.result), (id, Err(Errno::ECANCELED)));
    });
}
