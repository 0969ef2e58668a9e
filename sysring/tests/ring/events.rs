//! Readiness, time, cancelling, and the order of things.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use sysring::sys::abi::EpollEvent;
use sysring::{Cqe, Errno, Ring, SyncCancel, Timespec, op};

use crate::common::{both, complete, knows, ring, run};

/// The results of what is waited for, by user data.
fn results(ring: &mut Ring, count: u32) -> Vec<(u64, Result<u32, Errno>)> {
    let mut seen: Vec<_> =
        wait_for(ring, count).iter().map(|c| (c.user_data(), c.result())).collect();
    seen.sort_by_key(|completion| completion.0);
    seen
}

/// Waits for so many completions; a timeout that goes off ends a single wait early.
fn wait_for(ring: &mut Ring, count: u32) -> Vec<Cqe> {
    let mut seen = Vec::new();
    while seen.len() < count as usize {
        ring.submit_and_wait(count - seen.len() as u32).unwrap();
        seen.extend(ring.completions());
    }
    seen
}

const IN: u32 = libc::POLLIN as u32;

#[test]
fn polls_once_and_again() {
    both(|engine| {
        let mut ring = ring(engine);
        let (reader, mut writer) = std::io::pipe().unwrap();
        // SAFETY: polls name no memory.
        unsafe { ring.push(op::PollAdd::new(&reader, IN).build().user_data(1)) }.unwrap();
        ring.submit().unwrap();
        assert_eq!(ring.completion(), None);
        writer.write_all(b"x").unwrap();
        assert_eq!(results(&mut ring, 1), [(1, Ok(IN))]);

        let multishot = op::PollAdd::new(&reader, IN).multishot().build().user_data(2);
        // SAFETY: as above.
        unsafe { ring.push(multishot) }.unwrap();
        ring.submit_and_wait(1).unwrap();
        assert!(ring.completion().unwrap().more());
        writer.write_all(b"x").unwrap();
        ring.submit_and_wait(1).unwrap();
        let completion = ring.completion().unwrap();
        assert!(completion.more());
        assert_eq!(completion.result(), Ok(IN));
        // SAFETY: as above.
        unsafe { ring.push(op::PollRemove::new(2).build().user_data(3)) }.unwrap();
        assert_eq!(results(&mut ring, 2), [(2, Err(Errno::ECANCELED)), (3, Ok(0))]);
        assert_eq!(run(&mut ring, op::PollRemove::new(2)), Err(Errno::ENOENT));
    });
}

#[test]
fn a_poll_changes() {
    both(|engine| {
        let mut ring = ring(engine);
        let (_reader, writer) = std::io::pipe().unwrap();
        let poll = op::PollAdd::new(&writer, IN).build().user_data(1);
        let change = op::PollRemove::new(1).new_user_data(7).events(libc::POLLOUT as u32);
        // SAFETY: polls name no memory.
        unsafe {
            ring.push(poll).unwrap();
            ring.push(change.build().user_data(2)).unwrap();
        }
        assert_eq!(results(&mut ring, 2), [(2, Ok(0)), (7, Ok(libc::POLLOUT as u32))]);
    });
}

#[test]
fn epoll_sets() {
    both(|engine| {
        let mut ring = ring(engine);
        let (reader, mut writer) = std::io::pipe().unwrap();
        // SAFETY: a new descriptor.
        let set = unsafe {
            use std::os::fd::FromRawFd;
            std::os::fd::OwnedFd::from_raw_fd(libc::epoll_create1(0))
        };
        let event = EpollEvent { events: IN, data: 42 };
        let add = op::EpollCtl::new(&set, libc::EPOLL_CTL_ADD as u32, &reader, &event);
        assert_eq!(run(&mut ring, add), Ok(0));
        assert_eq!(run(&mut ring, add), Err(Errno::EEXIST));
        let itself = op::EpollCtl::new(&reader, libc::EPOLL_CTL_ADD as u32, &set, &event);
        assert_eq!(run(&mut ring, itself), Err(Errno::EINVAL));
        if !knows(&ring, op::EpollWait::CODE) {
            return;
        }
        let mut events = [EpollEvent { events: 0, data: 0 }; 4];
        writer.write_all(b"x").unwrap();
        let wait = op::EpollWait::new(&set, events.as_mut_ptr(), 4);
        assert_eq!(run(&mut ring, wait), Ok(1));
        assert_eq!(({ events[0].events }, { events[0].data }), (IN, 42));
        assert_eq!(
            run(&mut ring, op::EpollWait::new(&reader, events.as_mut_ptr(), 4)),
            Err(Errno::EINVAL)
        );
    });
}

#[test]
fn time_passes() {
    both(|engine| {
        let mut ring = ring(engine);
        let start = Instant::now();
        let short = Timespec::from(Duration::from_millis(5));
        assert_eq!(run(&mut ring, op::Timeout::new(&short)), Err(Errno::ETIME));
        assert!(start.elapsed() >= Duration::from_millis(5));
        let past = Timespec::new(1, 0);
        assert_eq!(run(&mut ring, op::Timeout::new(&past).absolute()), Err(Errno::ETIME));
        assert_eq!(
            run(&mut ring, op::Timeout::new(&past).absolute().realtime()),
            Err(Errno::ETIME)
        );
        assert_eq!(
            run(&mut ring, op::Timeout::new(&past).absolute().boottime()),
            Err(Errno::ETIME)
        );
        let wrong = Timespec::new(-1, 0);
        assert_eq!(run(&mut ring, op::Timeout::new(&wrong)), Err(Errno::EINVAL));

        let long = Timespec::new(1000, 0);
        let timeout = op::Timeout::new(&long).count(1).build().user_data(1);
        // SAFETY: the times outlive the submission, which copies them.
        unsafe {
            ring.push(timeout).unwrap();
            ring.push(op::Nop::new().build().user_data(2)).unwrap();
        }
        assert_eq!(results(&mut ring, 2), [(1, Ok(0)), (2, Ok(0))]);

        let timeout = op::Timeout::new(&long).build().user_data(1);
        let remove = op::TimeoutRemove::new(1).build().user_data(2);
        // SAFETY: as above.
        unsafe {
            ring.push(timeout).unwrap();
            ring.push(remove).unwrap();
        }
        assert_eq!(results(&mut ring, 2), [(1, Err(Errno::ECANCELED)), (2, Ok(0))]);
        let update = op::TimeoutRemove::new(1).update(&short).build().user_data(2);
        // SAFETY: as above.
        unsafe {
            ring.push(timeout).unwrap();
            ring.push(update).unwrap();
        }
        assert_eq!(results(&mut ring, 2), [(1, Err(Errno::ETIME)), (2, Ok(0))]);
        assert_eq!(run(&mut ring, op::TimeoutRemove::new(1)), Err(Errno::ENOENT));
    });
}

#[test]
fn a_timeout_comes_again_and_again() {
    both(|engine| {
        let mut ring = ring(engine);
        let short = Timespec::from(Duration::from_millis(2));
        let timeout = op::Timeout::new(&short).multishot().count(3);
        // SAFETY: the time outlives the submission.
        unsafe { ring.push(timeout.build()) }.unwrap();
        let seen = wait_for(&mut ring, 3);
        let seen: Vec<_> = seen.iter().map(|c| (c.result(), c.more())).collect();
        let etime = Err(Errno::ETIME);
        assert_eq!(seen, [(etime, true), (etime, true), (etime, false)]);
    });
}

#[test]
fn links_end_with_the_first_that_fails() {
    both(|engine| {
        let mut ring = ring(engine);
        let nop = |n: u64| op::Nop::new().build().user_data(n);
        let fails = op::Nop::new().result(-5).build().user_data(1);
        let all = [fails.link(), nop(2), fails.user_data(3).hard_link(), nop(4)];
        // SAFETY: NOPs use no memory.
        unsafe { ring.submission().push_all(&all) }.unwrap();
        let eio = Err(Errno::EIO);
        let seen = results(&mut ring, 4);
        assert_eq!(seen, [(1, eio), (2, Err(Errno::ECANCELED)), (3, eio), (4, Ok(0))]);
    });
}

#[test]
fn what_is_marked_so_waits_or_is_silent() {
    both(|engine| {
        let mut ring = ring(engine);
        let short = Timespec::from(Duration::from_millis(5));
        let timeout = op::Timeout::new(&short).build().user_data(1);
        let last = op::Nop::new().build().user_data(2).drain();
        let silent = op::Nop::new().build().user_data(3).skip_success();
        let worker = op::Nop::new().build().user_data(4).asynchronous();
        // SAFETY: NOPs use no memory; the time outlives the submission.
        unsafe { ring.submission().push_all(&[timeout, last, silent, worker]) }.unwrap();
        let order: Vec<_> = wait_for(&mut ring, 3).iter().map(|c| c.user_data()).collect();
        assert_eq!(order, [1, 2, 4]);
    });
}

#[test]
fn a_linked_timeout_limits() {
    both(|engine| {
        let mut ring = ring(engine);
        let (reader, _writer) = std::io::pipe().unwrap();
        let mut byte = 0;
        let short = Timespec::from(Duration::from_millis(5));
        let read = op::Read::new(&reader, &mut byte, 1).build().user_data(1).link();
        let limit = op::LinkTimeout::new(&short).build().user_data(2);
        // SAFETY: all of it outlives the operations, which are waited for.
        unsafe { ring.submission().push_all(&[read, limit]) }.unwrap();
        assert_eq!(results(&mut ring, 2), [(1, Err(Errno::ECANCELED)), (2, Err(Errno::ETIME))]);
        let alone = op::LinkTimeout::new(&short);
        assert_eq!(run(&mut ring, alone), Err(Errno::EINVAL));
    });
}

#[test]
fn cancelling_by_everything() {
    both(|engine| {
        let mut ring = ring(engine);
        let (reader, _writer) = std::io::pipe().unwrap();
        let poll = |n| op::PollAdd::new(&reader, IN).build().user_data(n);
        let cancelled = Err(Errno::ECANCELED);
        let by = [
            (op::AsyncCancel::new(1), Ok(0)),
            (op::AsyncCancel::target(&reader), Ok(0)),
            (op::AsyncCancel::operation(op::PollAdd::CODE), Ok(0)),
            (op::AsyncCancel::any(), Ok(1)),
            (op::AsyncCancel::target(&reader).and_user_data(1), Ok(0)),
            (op::AsyncCancel::new(1).all(), Ok(1)),
        ];
        for (cancel, found) in by {
            // SAFETY: neither names memory.
            unsafe { ring.submission().push_all(&[poll(1), cancel.build().user_data(2)]) }.unwrap();
            assert_eq!(results(&mut ring, 2), [(1, cancelled), (2, found)], "{cancel:?}");
        }
        assert_eq!(run(&mut ring, op::AsyncCancel::new(1)), Err(Errno::ENOENT));

        // SAFETY: as above.
        unsafe { ring.submission().push_all(&[poll(1), poll(2), poll(3)]) }.unwrap();
        ring.submit().unwrap();
        let register = ring.register();
        assert_eq!(register.cancel(&SyncCancel::user_data(9)), Err(Errno::ENOENT));
        assert_eq!(register.cancel(&SyncCancel::user_data(2)), Ok(0));
        let rest = SyncCancel::target(&reader).all().timeout(Duration::from_secs(100));
        register.cancel(&rest).unwrap();
        let seen = results(&mut ring, 3);
        assert_eq!(seen, [(1, cancelled), (2, cancelled), (3, cancelled)]);
    });
}

#[test]
fn nops_do_as_they_are_told() {
    both(|engine| {
        let mut ring = ring(engine);
        assert_eq!(run(&mut ring, op::Nop::new().result(7)), Ok(7));
        assert_eq!(complete(&mut ring, op::Nop::new().result(-2)).res(), -2);
        let file = op::Nop::new().file(sysring::Fixed(0));
        assert_eq!(run(&mut ring, file), Err(Errno::EBADF));
        assert_eq!(run(&mut ring, op::Nop::new().buffer(0)), Err(Errno::EFAULT));
        let messages = op::MsgRing::new(&std::io::stdin(), 0, 0);
        // SAFETY: descriptor 0 may be anything but a ring.
        assert_eq!(
            run(&mut ring, messages),
            Err(Errno::EBADFD),
            "{}",
            std::io::stdin().as_raw_fd()
        );
    });
}
