//! Operations that are asked for attributes.

use std::io::Write;
use std::os::unix::net::UnixStream;

use sysring::events::attr::{
    Answers, Attribute, Cache, Checksum, Credentials, Deadline, EXTENSIONS, Full, Ioprio, Path,
    Place, Retry, RwFlags, Timing, Trace, Wanted,
};
use sysring::events::crc32c;
use sysring::{Asked, Errno, Outcome, Ring, Sqe, op};
use sysring_sys::vdso::monotonic;

use crate::common::{both, file, ring};

const MINE: u64 = 7;

/// Does it until it is done; and how often it was pushed.
fn run(ring: &mut Ring, asked: &mut Asked) -> (Result<u32, Errno>, Answers<'static>, u32) {
    let mut answers = Answers::none();
    for pushes in 1.. {
        // SAFETY: waited for right here; callers' memory outlives this.
        unsafe { asked.push(&mut ring.submission()) }.unwrap();
        loop {
            ring.submit_and_wait(1).unwrap();
            let Some(completion) = ring.completion() else { continue };
            if completion.user_data() == Asked::TIMER {
                continue;
            }
            assert_eq!(completion.user_data(), MINE);
            // SAFETY: of the last push; callers' memory outlives this.
            match unsafe { asked.completed(&completion, &mut answers) } {
                Outcome::Done(result) => return (result, answers, pushes),
                Outcome::Again => break,
            }
        }
    }
    unreachable!()
}

fn asked(ring: &Ring, entry: impl Into<Sqe>, wanted: &Wanted) -> Result<Asked, Errno> {
    Asked::on(ring, entry.into().user_data(MINE), wanted)
}

#[test]
fn what_can_be_told_is_told() {
    both(|engine| {
        let mut ring = ring(engine);
        let file = file(b"some data of a file");
        let mut buffer = [0; 9];
        let mask = Timing::MASK | Trace::MASK | Checksum::MASK | Full::MASK | RwFlags::MASK;
        let wanted = Wanted::NONE
            .required(mask)
            .best_effort(Ioprio::MASK | Path::MASK | Cache::MASK | Place::MASK | EXTENSIONS)
            .with_trace(77)
            .with_ioprio(2 << 13 | 4);
        let read = op::Read::new(&file, buffer.as_mut_ptr(), 9).offset(5);
        let before = monotonic();
        let mut read = asked(&ring, read, &wanted).unwrap();
        let (result, answers, _) = run(&mut ring, &mut read);
        assert_eq!((result, &buffer), (Ok(9), b"data of a"));
        let is_kernel = ring.report().is_kernel();
        let kernel = if is_kernel { Path::MASK | Ioprio::MASK } else { 0 };
        assert_eq!(answers.handled(), mask | kernel);
        assert_eq!(answers.get(), is_kernel.then_some(Path::IoUring));
        let timing: Timing = answers.get().unwrap();
        let times = [before, timing.queued, timing.issued, timing.completed, monotonic()];
        assert!(times.is_sorted(), "{times:?}");
        assert_eq!(answers.get(), Some(Trace(77)));
        assert_eq!(answers.get(), Some(Checksum { crc32c: crc32c(0, b"data of a"), bytes: 9 }));
    });
}

#[test]
fn what_cannot_be_honoured_fails_up_front_or_is_left_out() {
    both(|engine| {
        let mut ring = ring(engine);
        for mask in [Cache::MASK, Place::MASK, EXTENSIONS, Full::MASK, Ioprio::MASK, 1 << 40] {
            let refused = asked(&ring, op::Nop::new(), &Wanted::NONE.required(mask));
            assert_eq!(refused.map(drop), Err(Errno::EOPNOTSUPP), "{mask:#x}");
            let wanted = Wanted::NONE.best_effort(mask | Trace::MASK);
            let mut nop = asked(&ring, op::Nop::new(), &wanted).unwrap();
            assert_eq!(nop.agreed(), Trace::MASK);
            let (result, answers, _) = run(&mut ring, &mut nop);
            assert_eq!((result, answers.handled()), (Ok(0), Trace::MASK));
        }
        let linked = op::Nop::new().build().link();
        let refused = asked(&ring, linked, &Wanted::NONE.required(Deadline::MASK));
        assert_eq!(refused.map(drop), Err(Errno::EOPNOTSUPP), "a link of its own");
    });
}

#[test]
fn an_io_priority_is_the_kernels_to_honour() {
    both(|engine| {
        let mut ring = ring(engine);
        let file = file(b"data");
        let mut buffer = [0; 4];
        let mut read = || op::Read::new(&file, buffer.as_mut_ptr(), 4).offset(0);
        let wanted = |class: u16| Wanted::NONE.with_ioprio(class << 13);
        let idle = asked(&ring, read(), &wanted(3).required(Ioprio::MASK));
        if ring.report().is_kernel() {
            let (result, answers, _) = run(&mut ring, &mut idle.unwrap());
            assert_eq!((result, answers.handled()), (Ok(4), Ioprio::MASK));
            // That it looks at the field shows by what it refuses.
            let mut entry: Sqe = read().into();
            entry.raw_mut().ioprio = 7 << 13;
            assert_eq!(crate::common::run(&mut ring, entry), Err(Errno::EINVAL));
            let wrong = asked(&ring, read(), &wanted(7).required(Ioprio::MASK));
            assert_eq!(wrong.map(drop), Err(Errno::EINVAL));
        } else {
            assert_eq!(idle.map(drop), Err(Errno::EOPNOTSUPP));
        }
        let mut wrong = asked(&ring, read(), &wanted(7).best_effort(Ioprio::MASK)).unwrap();
        let (result, answers, _) = run(&mut ring, &mut wrong);
        assert_eq!((result, answers.handled()), (Ok(4), 0));
    });
}

#[test]
fn all_of_a_transfer_is_waited_for() {
    both(|engine| {
        let mut ring = ring(engine);
        let (mut writer, reader) = UnixStream::pair().unwrap();
        writer.write_all(b"abc").unwrap();
        let mut buffer = [0; 8];
        let wanted = Wanted::NONE.required(Full::MASK | Checksum::MASK);
        let read = op::Read::new(&reader, buffer.as_mut_ptr(), 8);
        let mut read = asked(&ring, read, &wanted).unwrap();
        let late = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(20));
            writer.write_all(b"defgh").unwrap();
        });
        let (result, answers, pushes) = run(&mut ring, &mut read);
        late.join().unwrap();
        assert_eq!((result, &buffer, pushes), (Ok(8), b"abcdefgh", 2));
        assert_eq!(answers.get(), Some(Full(2)));
        assert_eq!(answers.get(), Some(Checksum { crc32c: crc32c(0, b"abcdefgh"), bytes: 8 }));
        // Until the end, where there is no more; by positions.
        let file = file(b"0123456789");
        let read = op::Read::new(&file, buffer.as_mut_ptr(), 8).offset(6);
        let mut read = asked(&ring, read, &wanted).unwrap();
        let (result, answers, _) = run(&mut ring, &mut read);
        assert_eq!((result, &buffer[..4]), (Ok(4), &b"6789"[..]));
        assert_eq!(answers.get(), Some(Full(2)), "the end is found by asking again");
    });
}

#[test]
fn a_deadline_ends_an_operation() {
    both(|engine| {
        let mut ring = ring(engine);
        let (mut writer, reader) = UnixStream::pair().unwrap();
        let mut buffer = [0; 4];
        for (ahead, expired) in [(20_000_000, true), (3_600_000_000_000, false)] {
            let wanted = Wanted::NONE.required(Deadline::MASK).with_deadline(monotonic() + ahead);
            let read = op::Read::new(&reader, buffer.as_mut_ptr(), 4);
            let mut read = asked(&ring, read, &wanted).unwrap();
            if !expired {
                writer.write_all(b"ab").unwrap();
            }
            let (result, answers, _) = run(&mut ring, &mut read);
            assert_eq!(result, if expired { Err(Errno::ECANCELED) } else { Ok(2) });
            assert_eq!(answers.get(), Some(Deadline { expired }));
        }
    });
}

#[test]
fn what_fails_for_now_is_tried_again() {
    both(|engine| {
        let mut ring = ring(engine);
        let (_writer, reader) = UnixStream::pair().unwrap();
        let mut buffer = [0; 4];
        let wanted = Wanted::NONE.required(Retry::MASK).with_retries(3);
        let mut receive: Sqe = op::Recv::new(&reader, buffer.as_mut_ptr(), 4).into();
        receive.raw_mut().op_flags = libc::MSG_DONTWAIT as u32;
        let mut read = asked(&ring, receive, &wanted).unwrap();
        let (result, answers, pushes) = run(&mut ring, &mut read);
        assert_eq!((result, answers.get(), pushes), (Err(Errno::EAGAIN), Some(Retry(3)), 4));
    });
}

#[test]
fn credentials_are_the_rings() {
    both(|engine| {
        let mut ring = ring(engine);
        let wanted = Wanted::NONE.required(Credentials::MASK);
        let none = asked(&ring, op::Nop::new(), &wanted);
        assert_eq!(none.map(drop), Err(Errno::EINVAL));
        let own = ring.register().personality().unwrap();
        let wanted = wanted.with_credentials(own.into());
        let mut nop = asked(&ring, op::Nop::new(), &wanted).unwrap();
        let (result, answers, _) = run(&mut ring, &mut nop);
        assert_eq!((result, answers.handled()), (Ok(0), Credentials::MASK));
        // The ring knows its numbers, those of now.
        for wrong in [u32::from(own) + 1, 70_000] {
            let refused = asked(&ring, op::Nop::new(), &wanted.with_credentials(wrong));
            assert_eq!(refused.map(drop), Err(Errno::EINVAL));
        }
        ring.register().unregister_personality(own).unwrap();
        assert_eq!(asked(&ring, op::Nop::new(), &wanted).map(drop), Err(Errno::EINVAL));
        let best = Wanted::NONE.best_effort(Credentials::MASK).with_credentials(own.into());
        let mut nop = asked(&ring, op::Nop::new(), &best).unwrap();
        let (result, answers, _) = run(&mut ring, &mut nop);
        assert_eq!((result, answers.handled()), (Ok(0), 0));
    });
}
