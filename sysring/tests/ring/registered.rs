//! What is registered with a ring.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use sysring::{Errno, Fd, Fixed, Register, Restrictions, Ring, Slot, op};

use crate::common::{both, file, made, ring, run};

fn fd(file: &impl AsRawFd) -> Fd {
    Fd::new(file.as_raw_fd())
}

#[test]
fn files_in_slots() {
    both(|engine| {
        let mut ring = ring(engine);
        let (one, two) = (file(b"one"), file(b"two!"));
        let mut buffer = [0; 8];
        let at = buffer.as_mut_ptr();
        let read = |slot| op::Read::new(Fixed(slot), at, 8).offset(0);
        assert_eq!(ring.register().update_files(0, &[fd(&one)]), Err(Errno::ENXIO));
        assert_eq!(ring.register().files(&[]), Err(Errno::EINVAL));
        assert_eq!(ring.register().files(&[Fd::new(9999)]), Err(Errno::EBADF));
        ring.register().files(&[fd(&one), Fd::NONE, fd(&two)]).unwrap();
        assert_eq!(ring.register().files(&[fd(&one)]), Err(Errno::EBUSY));
        assert_eq!(run(&mut ring, read(0)), Ok(3));
        assert_eq!(run(&mut ring, read(1)), Err(Errno::EBADF));
        assert_eq!(run(&mut ring, read(2)), Ok(4));
        let update = [fd(&two), Register::SKIP_FILE];
        assert_eq!(ring.register().update_files(1, &update), Ok(2));
        assert_eq!(run(&mut ring, read(1)), Ok(4));
        assert_eq!(run(&mut ring, read(2)), Ok(4));
        assert_eq!(ring.register().update_files(2, &update), Err(Errno::EINVAL));
        let mut numbers = [one.as_raw_fd(), -1];
        assert_eq!(run(&mut ring, op::FilesUpdate::new(numbers.as_ptr(), 2, 1)), Ok(2));
        assert_eq!(run(&mut ring, read(1)), Ok(3));
        ring.register().files_free_range(2, 1).unwrap();
        assert_eq!(run(&mut ring, op::FilesUpdate::free(numbers.as_mut_ptr(), 1)), Ok(1));
        assert_eq!(numbers[0], 2);
        numbers[0] = one.as_raw_fd();
        let full = op::FilesUpdate::free(&raw mut numbers[0], 1);
        assert_eq!(run(&mut ring, full), Err(Errno::ENFILE));
        ring.register().unregister_files().unwrap();
        assert_eq!(ring.register().unregister_files(), Err(Errno::ENXIO));
    });
}

#[test]
fn tags_tell_when_a_file_has_gone() {
    both(|engine| {
        let mut ring = ring(engine);
        let one = file(b"one");
        ring.register().files_tagged(&[fd(&one)], &[77]).unwrap();
        assert_eq!(ring.register().update_files_tagged(0, &[fd(&one)], &[]), Err(Errno::EINVAL));
        assert_eq!(ring.register().update_files_tagged(0, &[Fd::NONE], &[0]), Ok(1));
        ring.submit_and_wait(1).unwrap();
        let completion = ring.completion().unwrap();
        assert_eq!((completion.user_data(), completion.result()), (77, Ok(0)));
    });
}

#[test]
fn an_eventfd_counts() {
    both(|engine| {
        let mut ring = ring(engine);
        // SAFETY: a new descriptor.
        let eventfd = unsafe { OwnedFd::from_raw_fd(libc::eventfd(0, libc::EFD_NONBLOCK)) };
        let count = || {
            let mut count = 0u64;
            // SAFETY: room for eight bytes.
            let read = unsafe { libc::read(eventfd.as_raw_fd(), (&raw mut count).cast(), 8) };
            (read == 8).then_some(count)
        };
        ring.register().eventfd(&eventfd).unwrap();
        assert_eq!(ring.register().eventfd(&eventfd), Err(Errno::EBUSY));
        assert_eq!(run(&mut ring, op::Nop::new()), Ok(0));
        assert_eq!(count(), Some(1));
        ring.tell_eventfd(false).unwrap();
        assert_eq!(run(&mut ring, op::Nop::new()), Ok(0));
        assert_eq!(count(), None);
        ring.tell_eventfd(true).unwrap();
        ring.register().unregister_eventfd().unwrap();
        assert_eq!(ring.register().unregister_eventfd(), Err(Errno::ENXIO));
        ring.register().eventfd_async(&eventfd).unwrap();
        assert_eq!(run(&mut ring, op::Nop::new()), Ok(0));
        assert_eq!(count(), None);
        let no_eventfd = file(b"");
        ring.register().unregister_eventfd().unwrap();
        assert_eq!(ring.register().eventfd(&no_eventfd), Err(Errno::EINVAL));
    });
}

#[test]
fn personalities_clocks_and_workers() {
    both(|engine| {
        let mut ring = ring(engine);
        let id = ring.register().personality().unwrap();
        let nop = op::Nop::new().build().personality(id);
        assert_eq!(run(&mut ring, nop), Ok(0));
        ring.register().unregister_personality(id).unwrap();
        assert_eq!(ring.register().unregister_personality(id), Err(Errno::EINVAL));
        assert_eq!(run(&mut ring, nop), Err(Errno::EINVAL));

        ring.register().clock(libc::CLOCK_BOOTTIME as u32).unwrap();
        assert_eq!(ring.register().clock(libc::CLOCK_REALTIME as u32), Err(Errno::EINVAL));

        ring.register().max_workers(3, 4).unwrap();
        assert_eq!(ring.register().max_workers(0, 0), Ok([3, 4]));
        ring.register().worker_cpus(&[1]).unwrap();
        ring.register().any_worker_cpus().unwrap();
    });
}

#[test]
fn restricted_rings_do_what_they_may() {
    both(|engine| {
        let mut ring = made(Ring::builder().engine(engine).disabled().build(4));
        const NOPS: Restrictions<3> =
            Restrictions::new().operation(op::Nop::CODE).registration(12).flags(0);
        // SAFETY: names no memory.
        unsafe { ring.push(op::Nop::new()) }.unwrap();
        assert_eq!(ring.submit(), Err(Errno::EBADFD));
        ring.register().restrict(&NOPS).unwrap();
        ring.register().enable().unwrap();
        assert_eq!(ring.submit_and_wait(1), Ok(1));
        assert_eq!(ring.completion().unwrap().result(), Ok(0));
        let mut byte = 0;
        let read = op::Read::new(Fd::new(0), &mut byte, 0);
        assert_eq!(run(&mut ring, read), Err(Errno::EACCES));
        let linked = op::Nop::new().build().drain();
        assert_eq!(run(&mut ring, linked), Err(Errno::EACCES));
        assert_eq!(ring.register().files_sparse(1), Err(Errno::EACCES));
    });
}

#[test]
fn rings_talk_to_each_other() {
    both(|engine| {
        let (mut one, mut other) = (ring(engine), ring(engine));
        assert_eq!(run(&mut one, op::MsgRing::new(&other, 42, 7)), Ok(0));
        let completion = other.completion().unwrap();
        assert_eq!((completion.user_data(), completion.result()), (7, Ok(42)));
        assert_eq!(run(&mut one, op::MsgRing::new(&other, 1, 8).cqe_flags(2)), Ok(0));
        assert!(other.completion().unwrap().more());

        let given = file(b"given");
        one.register().files(&[fd(&given)]).unwrap();
        let give = op::MsgRing::file(&other, Fixed(0), Slot::Free, 9);
        assert_eq!(run(&mut one, give), Err(Errno::ENFILE));
        other.register().files_sparse(2).unwrap();
        assert_eq!(run(&mut one, give), Ok(0));
        assert_eq!(other.completion().unwrap().user_data(), 9);
        let to_slot = op::MsgRing::file(&other, Fixed(0), Slot::At(1), 9).silent();
        assert_eq!(run(&mut one, to_slot), Ok(0));
        assert_eq!(other.completion(), None);
        let mut buffer = [0; 8];
        let read = op::Read::new(Fixed(1), buffer.as_mut_ptr(), 8).offset(0);
        assert_eq!(run(&mut other, read), Ok(5));
    });
}

#[test]
fn network_devices_are_polled() {
    both(|engine| {
        let ring = ring(engine);
        let register = ring.register();
        let Ok(before) = register.busy_poll(50, true) else {
            return println!("skipped: no busy polling here");
        };
        assert_eq!(before, (0, false));
        assert_eq!(register.busy_poll(20, false), Ok((50, true)));
        // Queues are added where they are not found.
        assert_eq!(register.add_busy_poll(1 << 20), Err(Errno::EINVAL));
        if register.busy_poll_added(20, false) == Err(Errno::EINVAL) {
            return println!("skipped: queues are not added before Linux 6.13");
        }
        assert_eq!(register.add_busy_poll(0), Err(Errno::EINVAL));
        assert_eq!(register.remove_busy_poll(1 << 20), Err(Errno::ENOENT));
        register.add_busy_poll(1 << 20).unwrap();
        assert_eq!(register.add_busy_poll(1 << 20), Err(Errno::EEXIST));
        register.remove_busy_poll(1 << 20).unwrap();
        register.unregister_busy_poll().unwrap();
    });
}
