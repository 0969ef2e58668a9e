//! Submission and completion themselves.

use std::time::{Duration, Instant};

use sysring::{Engine, Errno, Full, Ring, SigSet, Timespec, Wait, op};

use crate::common::{both, made, ring};

#[test]
fn all_that_is_pushed_completes_in_order() {
    both(|engine| {
        let mut ring = ring(engine);
        // Often enough for all indexes to go around.
        for round in 0..100 {
            for i in 0..32 {
                // SAFETY: a NOP uses no memory.
                unsafe { ring.push(op::Nop::new().build().user_data(round * 32 + i)) }.unwrap();
            }
            assert_eq!(ring.submit_and_wait(32), Ok(32));
            assert_eq!(ring.completions().len(), 32);
            let seen: Vec<u64> = ring.completions().map(|c| c.user_data()).collect();
            assert_eq!(seen, (round * 32..round * 32 + 32).collect::<Vec<u64>>());
            assert_eq!(ring.completion(), None);
        }
        assert_eq!((ring.dropped(), ring.lost()), (0, 0));
    });
}

#[test]
fn batches_of_every_size_go_around() {
    both(|engine| {
        let mut ring = made(Ring::builder().engine(engine).build(8));
        let (mut next, mut seen) = (0, 0);
        for size in (0..=8).cycle().take(200) {
            let mut submission = ring.submission();
            for i in 0..size {
                // From the middle on with another one.
                if i == size / 2 {
                    submission = ring.submission();
                }
                let nop = op::Nop::new().build().user_data(next);
                next += 1;
                // SAFETY: a NOP uses no memory.
                unsafe { submission.push(nop) }.unwrap();
            }
            assert_eq!((submission.len(), submission.room()), (size as usize, 8 - size as usize));
            assert_eq!(ring.submit_and_wait(size), Ok(size));
            for completion in ring.completions() {
                assert_eq!((completion.user_data(), completion.result()), (seen, Ok(0)));
                seen += 1;
            }
        }
        assert_eq!(seen, next);
    });
}

#[test]
fn a_full_queue_says_so_and_has_room_after_submission() {
    both(|engine| {
        let mut ring = made(Ring::builder().engine(engine).build(4));
        let nop = || op::Nop::new().build();
        // SAFETY: NOPs use no memory.
        unsafe {
            let mut queue = ring.submission();
            assert_eq!((queue.capacity(), queue.room()), (4, 4));
            assert_eq!(queue.push_all(&[nop(); 5]), Err(Full));
            assert!(queue.is_empty());
            assert_eq!(queue.push_all(&[nop(); 3]), Ok(()));
            assert_eq!((queue.len(), queue.room()), (3, 1));
            assert_eq!(queue.push(nop()), Ok(()));
            assert_eq!(queue.push(nop()), Err(Full));
        }
        assert_eq!(ring.submit(), Ok(4));
        assert_eq!(ring.submission().room(), 4);
        // SAFETY: as above.
        assert_eq!(unsafe { ring.push(nop()) }, Ok(()));
    });
}

#[test]
fn completions_that_are_not_taken_stay() {
    both(|engine| {
        let mut ring = ring(engine);
        for i in 0..4 {
            // SAFETY: a NOP uses no memory.
            unsafe { ring.push(op::Nop::new().build().user_data(i)) }.unwrap();
        }
        assert_eq!(ring.submit_and_wait(4), Ok(4));
        assert_eq!(ring.completions().next().unwrap().user_data(), 0);
        assert_eq!(ring.completion().unwrap().user_data(), 1);
        let (mut submission, completions) = ring.split();
        for completion in completions {
            let next = op::Nop::new().build().user_data(completion.user_data() + 10);
            // SAFETY: as above.
            unsafe { submission.push(next) }.unwrap();
        }
        assert_eq!(ring.submit_and_wait(2), Ok(2));
        assert_eq!(ring.completions().map(|c| c.user_data()).collect::<Vec<_>>(), [12, 13]);
    });
}

#[test]
fn nothing_is_lost_where_the_completion_queue_is_full() {
    both(|engine| {
        let mut ring = made(Ring::builder().engine(engine).cq_entries(4).build(4));
        for batch in 0..4 {
            for i in 0..4 {
                let nop = op::Nop::new().build().user_data(batch * 4 + i);
                // SAFETY: a NOP uses no memory.
                unsafe { ring.push(nop) }.unwrap();
            }
            assert_eq!(ring.submit(), Ok(4));
        }
        let mut seen = Vec::new();
        while seen.len() < 16 {
            seen.extend(ring.completions().map(|c| c.user_data()));
            ring.submit().unwrap();
        }
        assert_eq!(seen, (0..16).collect::<Vec<_>>());
        assert_eq!(ring.lost(), 0);
    });
}

#[test]
fn waits_end_with_their_time() {
    both(|engine| {
        let mut ring = ring(engine);
        let start = Instant::now();
        let span = Duration::from_millis(20);
        assert_eq!(ring.submit_and_wait_timeout(1, span), Err(Errno::ETIME), "{}", ring.report());
        assert!(start.elapsed() >= span);
        let wait = Wait::at_least(2).timeout(span).sigmask(SigSet::EMPTY);
        // SAFETY: a NOP uses no memory.
        unsafe { ring.push(op::Nop::new()) }.unwrap();
        assert_eq!(ring.submit_with(&wait), Ok(1));
        assert_eq!(ring.submit_with(&Wait::at_least(1).timeout(span)), Ok(0));
        // Two were asked for, and one is there: no error.
        let past = Wait::at_least(2).until(Timespec::new(1, 0));
        assert_eq!(ring.submit_with(&past), Ok(0));
        let soon = Wait::at_least(2).min_wait(span).timeout(Duration::from_secs(600));
        assert_eq!(ring.submit_with(&soon), Ok(0));
        assert!(start.elapsed() < Duration::from_secs(500));
        assert!(ring.completion().is_some());
        assert_eq!(ring.submit_with(&past), Err(Errno::ETIME));
    });
}

#[test]
fn a_polling_thread_takes_what_is_pushed() {
    both(|engine| {
        let mut ring =
            made(Ring::builder().engine(engine).sqpoll(Duration::from_millis(1)).build(4));
        for i in 0..200 {
            // SAFETY: a NOP uses no memory.
            while unsafe { ring.push(op::Nop::new().build().user_data(i)) }.is_err() {
                ring.wait_for_room().unwrap();
            }
            ring.submit_and_wait(1).unwrap();
            assert_eq!(ring.completion().unwrap().user_data(), i);
            if i % 50 == 0 {
                // Until the thread sleeps.
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    });
}

#[test]
fn a_ring_moves_to_another_thread() {
    both(|engine: Engine| {
        let mut ring = ring(engine);
        std::thread::spawn(move || {
            // SAFETY: a NOP uses no memory.
            unsafe { ring.push(op::Nop::new()) }.unwrap();
            assert_eq!(ring.submit_and_wait(1), Ok(1));
        })
        .join()
        .unwrap();
    });
}
