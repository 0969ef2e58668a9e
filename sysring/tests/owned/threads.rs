//! One ring, many threads.

use std::sync::Barrier;
use std::time::Duration;

use sysring::Errno;
use sysring::owned::Handle;

use crate::common::{Alive, both, pipe};

#[test]
fn every_thread_gets_its_own_results() {
    both(|ring| {
        // Whoever submits does it for all, and the kernel cancels what a thread has submitted when
        // that ends: none does before the last is done.
        let done = &Barrier::new(4);
        std::thread::scope(|scope| {
            for thread in 0..4u8 {
                let ring = ring.clone();
                scope.spawn(move || {
                    let (reader, writer) = pipe();
                    for round in 0..100u8 {
                        let mut read = ring.read(&reader, vec![0; 2]);
                        read.start();
                        ring.write(&writer, [thread, round]).wait().0.unwrap();
                        assert_eq!(read.wait(), (Ok(2), vec![thread, round]));
                    }
                    done.wait();
                });
            }
        });
        assert_eq!(ring.under_way(), 0);
    });
}

#[test]
fn a_thread_that_sleeps_hands_out_what_others_wait_for() {
    both(|ring| {
        let (reader, writer) = pipe();
        let (other, end) = pipe();
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| ring.read(&reader, [0; 1]).wait());
            // It sleeps in the ring by now, most likely; both ways the results must be right.
            std::thread::sleep(Duration::from_millis(20));
            let second = scope.spawn(|| ring.read(&other, [0; 1]).wait());
            std::thread::sleep(Duration::from_millis(20));
            let Some(fd) = end.fd() else { unreachable!("a pipe has descriptors") };
            let mut end = std::fs::File::from(fd.try_clone_to_owned().unwrap());
            std::io::Write::write_all(&mut end, b"2").unwrap();
            assert_eq!(second.join().unwrap(), (Ok(1), *b"2"));
            ring.write(&writer, "1").wait().0.unwrap();
            assert_eq!(sleeper.join().unwrap(), (Ok(1), *b"1"));
        });
    });
}

#[test]
fn operations_may_end_and_be_dropped_on_another_thread() {
    both(|ring| {
        let alive = Alive::default();
        let (reader, _writer) = pipe();
        let file = Handle::from(std::fs::File::open("/proc/version").unwrap());
        let mut endless = ring.read(&reader, alive.buffer(8));
        endless.start();
        let mut short = ring.read_at(&file, alive.buffer(8), 0);
        short.start();
        ring.submit().unwrap();
        std::thread::spawn(move || {
            assert_eq!(short.wait().0, Ok(8));
            drop(endless);
        })
        .join()
        .unwrap();
        drop(ring);
        assert_eq!(alive.count(), 0);
    });
}

#[test]
fn chains_stay_whole_whoever_submits_them() {
    both(|ring| {
        let done = &Barrier::new(8);
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let ring = ring.clone();
                scope.spawn(move || {
                    let (_reader, writer) = pipe();
                    for _ in 0..500 {
                        if thread < 4 {
                            ring.nop().wait().unwrap();
                            continue;
                        }
                        let mut fails = ring.read(&writer, [0; 1]);
                        let mut never = ring.nop();
                        ring.link(&mut [&mut fails, &mut never]).unwrap();
                        assert_eq!(never.wait(), Err(Errno::ECANCELED));
                        assert_eq!(fails.wait().0, Err(Errno::EBADF));
                    }
                    done.wait();
                });
            }
        });
    });
}
