//! Files opened with `O_DIRECT`, through native calls: kernel AIO has what a thread would wait for.

#[path = "direct/alone.rs"]
mod alone;
#[path = "direct/files.rs"]
mod files;

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::process::Command;

use sysring::Errno;
use sysring::calls::{Call, Calls, Event, Id, Issued, Slot, Step};
use sysring::events::attr::{
    Answers, Attribute, Cache, CacheOutcome, Checksum, Deadline, Full, Ioprio, Path, Place, Timing,
    Wanted,
};
use sysring::events::crc32c;
use sysring_sys::raw::general as g;

use files::{BLOCK, Block, Direct, LEN, block, contents};

/// A call with arguments of its own.
fn raw(nr: u32, args: [usize; 6]) -> Call<'static, 'static> {
    // SAFETY: the tests keep what their calls name until they have the answers; wild addresses are
    // the kernel's to refuse.
    unsafe { Call::raw(nr, args) }
}

/// What a call answers, and whether it was pending.
fn answer(calls: &Calls<'_>, call: Call<'_, '_>) -> (Result<usize, Errno>, bool) {
    // SAFETY: waited for right here.
    match unsafe { calls.issue_unchecked(call) }.unwrap() {
        Issued::Done(result) => (result, false),
        Issued::Pending(id) => {
            let event = next(calls);
            assert_eq!(event.id(), id);
            (event.result(), true)
        }
    }
}

fn next(calls: &Calls<'_>) -> Event {
    let event = calls.wait(1).unwrap().next();
    event.expect("waited for")
}

/// The call as libc makes it.
fn plain(nr: u32, args: [usize; 6]) -> Result<usize, Errno> {
    Calls::issue_sync(raw(nr, args))
}

#[test]
fn answers_are_those_of_the_plain_calls() {
    let Some(direct) = Direct::new("answers") else { return };
    let calls = Calls::new().unwrap();
    let fd = direct.fd();
    let (mut ours, mut theirs) = ([block(0), block(0)], [block(0), block(0)]);
    let at = [&mut ours, &mut theirs].map(|blocks| blocks.as_mut_ptr() as usize);
    let vectors = at.map(|at| [(at, 512), (at + 512, 3584), (at + BLOCK, BLOCK)]);
    let vector = |who: usize| vectors[who].as_ptr() as usize;
    let write_only = direct.again(libc::O_WRONLY);

    type Arguments<'a> = &'a dyn Fn(usize) -> [usize; 6];
    let cases: &[(u32, Arguments)] = &[
        (g::__NR_pread64, &|who| [fd, at[who], BLOCK, 0, 0, 0]),
        (g::__NR_pread64, &|who| [fd, at[who], 2 * BLOCK, 3 * BLOCK, 0, 0]),
        // Over the end, at it, behind it, before the beginning.
        (g::__NR_pread64, &|who| [fd, at[who], 2 * BLOCK, LEN / BLOCK * BLOCK, 0, 0]),
        (g::__NR_pread64, &|who| [fd, at[who], BLOCK, LEN.next_multiple_of(BLOCK), 0, 0]),
        (g::__NR_pread64, &|who| [fd, at[who], BLOCK, 1 << 40, 0, 0]),
        (g::__NR_pread64, &|who| [fd, at[who], BLOCK, usize::MAX, 0, 0]),
        (g::__NR_pread64, &|who| [fd, at[who], BLOCK, i64::MAX as usize - 511, 0, 0]),
        // Nothing, next to nothing, too much.
        (g::__NR_pread64, &|who| [fd, at[who], 0, 0, 0, 0]),
        (g::__NR_pread64, &|who| [fd, at[who], 1, 0, 0, 0]),
        (g::__NR_pread64, &|who| [fd, at[who], usize::MAX, 0, 0, 0]),
        // Askew.
        (g::__NR_pread64, &|who| [fd, at[who], BLOCK, 1, 0, 0]),
        (g::__NR_pread64, &|who| [fd, at[who] + 1, BLOCK, 0, 0, 0]),
        // Nowhere.
        (g::__NR_pread64, &|_| [fd, 0, BLOCK, 0, 0, 0]),
        (g::__NR_pread64, &|_| [fd, 4096, BLOCK, 0, 0, 0]),
        (g::__NR_pread64, &|_| [fd, usize::MAX - 4095, BLOCK, 0, 0, 0]),
        (g::__NR_pread64, &|who| [write_only.as_raw_fd() as usize, at[who], BLOCK, 0, 0, 0]),
        (g::__NR_pread64, &|who| [usize::MAX, at[who], BLOCK, 0, 0, 0]),
        (g::__NR_preadv, &|who| [fd, vector(who), 3, BLOCK, 0, 0]),
        (g::__NR_preadv, &|who| [fd, vector(who), 0, 0, 0, 0]),
        (g::__NR_preadv, &|who| [fd, vector(who), 1025, 0, 0, 0]),
        (g::__NR_preadv, &|_| [fd, 0, 1, 0, 0, 0]),
        (g::__NR_preadv, &|_| [fd, 8, 2, 0, 0, 0]),
        (g::__NR_preadv, &|who| [fd, vector(who), 3, usize::MAX, 0, 0]),
        (g::__NR_preadv2, &|who| [fd, vector(who), 3, BLOCK, 0, 0]),
        (g::__NR_preadv2, &|who| [fd, vector(who), 3, BLOCK, 0, libc::RWF_HIPRI as usize]),
        (g::__NR_preadv2, &|who| [fd, vector(who), 3, BLOCK, 0, libc::RWF_NOWAIT as usize]),
        (g::__NR_preadv2, &|who| [fd, vector(who), 3, BLOCK, 0, 1 << 30]),
        (g::__NR_fsync, &|_| [fd, 0, 0, 0, 0, 0]),
        (g::__NR_fdatasync, &|_| [fd, 0, 0, 0, 0, 0]),
        (g::__NR_pwrite64, &|who| [fd, at[who] + 1, BLOCK, 0, 0, 0]),
        (g::__NR_pwrite64, &|_| [fd, 4096, BLOCK, 0, 0, 0]),
        (g::__NR_pwritev2, &|who| [fd, vector(who), 3, 0, 0, 1 << 30]),
    ];
    for (number, (nr, arguments)) in cases.iter().enumerate() {
        let (ours_was, _) = answer(&calls, raw(*nr, arguments(0)));
        assert_eq!(ours_was, plain(*nr, arguments(1)), "case {number}: {nr} {:x?}", arguments(0));
        assert_eq!(ours, theirs, "case {number}: {nr}");
    }
    assert_eq!(calls.pending(), 0);
}

/// Where a file is by itself AIO does not know, so a worker reads on.
#[test]
fn the_files_own_position_moves() {
    let Some(direct) = Direct::new("position") else { return };
    let calls = Calls::new().unwrap();
    let (fd, mut to) = (direct.fd(), block(0));
    let at = to.0.as_mut_ptr() as usize;
    let vector = [(at, BLOCK)];
    let vector = vector.as_ptr() as usize;
    let reads = [
        (g::__NR_read, [fd, at, BLOCK, 0, 0, 0]),
        (g::__NR_readv, [fd, vector, 1, 0, 0, 0]),
        (g::__NR_preadv2, [fd, vector, 1, usize::MAX, usize::MAX, 0]),
    ];
    for (number, (nr, arguments)) in reads.into_iter().enumerate() {
        assert_eq!(answer(&calls, raw(nr, arguments)), (Ok(BLOCK), true));
        assert_eq!(to, contents(number));
    }
}

#[test]
fn what_is_written_is_there() {
    let Some(direct) = Direct::new("written") else { return };
    let calls = Calls::new().unwrap();
    let (fd, from) = (direct.fd(), [block(0x11), block(0x22)]);
    let at = from.as_ptr() as usize;
    let vector = [(at, BLOCK), (at + BLOCK, BLOCK)];
    let vector = vector.as_ptr() as usize;
    let end = LEN.next_multiple_of(BLOCK);
    let (dsync, append) = (libc::RWF_DSYNC as usize, libc::RWF_APPEND as usize);
    // In place; where there is a hole yet; behind the end, for which blocks are to be found.
    let writes = [
        (g::__NR_pwrite64, [fd, at, BLOCK, 0, 0, 0], BLOCK),
        (g::__NR_pwritev, [fd, vector, 2, BLOCK, 0, 0], 2 * BLOCK),
        (g::__NR_pwritev2, [fd, vector, 2, 4 * BLOCK, 0, dsync], 2 * BLOCK),
        (g::__NR_pwrite64, [fd, at, BLOCK, end, 0, 0], BLOCK),
        (g::__NR_pwritev2, [fd, vector, 2, 0, 0, append], 2 * BLOCK),
        (g::__NR_pwrite64, [fd, at, BLOCK, end + 8 * BLOCK, 0, 0], BLOCK),
    ];
    for (nr, arguments, len) in writes {
        assert_eq!(answer(&calls, raw(nr, arguments)), (Ok(len), true), "{nr} {arguments:x?}");
    }
    let mut seen = vec![block(0); end / BLOCK + 9];
    for (number, block) in seen.iter_mut().enumerate() {
        direct.plain.read_exact_at(&mut block.0, (number * BLOCK) as u64).unwrap();
    }
    let one = [0, 1, 4, end / BLOCK, end / BLOCK + 1, end / BLOCK + 8];
    let two = [2, 5, end / BLOCK + 2];
    assert!(one.iter().all(|&number| seen[number] == block(0x11)));
    assert!(two.iter().all(|&number| seen[number] == block(0x22)));
    assert_eq!(seen[3], contents(3));
}

/// How a call went, which is asked for.
fn asked(calls: &Calls<'_>, call: Call<'_, '_>, wanted: &Wanted) -> Event {
    let wanted = wanted.required(Path::MASK);
    let (call, mut answers) = (call, Answers::none());
    // SAFETY: the tests keep what their calls name.
    let call: Call<'static, 'static> = unsafe { std::mem::transmute(call) };
    // SAFETY: a context takes what lives for ever, which the above is said to.
    let calls: &Calls<'static> = unsafe { std::mem::transmute(calls) };
    match calls.issue_with(call, &wanted, &mut answers).unwrap() {
        Issued::Done(result) => panic!("answered at once: {result:?}"),
        Issued::Pending(_) => next(calls),
    }
}

/// A device whose queue is full says so, and a worker waits: asked again until AIO has done it.
fn by_aio(mut once: impl FnMut() -> Event) -> Event {
    for _ in 0..1000 {
        let event = once();
        match event.attr().unwrap() {
            Path::Aio => return event,
            Path::Worker => {}
            other => panic!("{other:?}"),
        }
    }
    panic!("never by kernel AIO");
}

#[test]
fn it_says_that_it_was_kernel_aio() {
    let Some(direct) = Direct::new("path") else { return };
    let calls = Calls::new().unwrap();
    let (fd, mut to) = (direct.fd(), block(0));
    let at = to.0.as_mut_ptr() as usize;
    let mask = Timing::MASK | Place::MASK | Cache::MASK | Checksum::MASK | Full::MASK;
    let wanted = Wanted::NONE.required(mask);
    let event = by_aio(|| asked(&calls, raw(g::__NR_pread64, [fd, at, BLOCK, 0, 0, 0]), &wanted));
    assert_eq!((event.result(), event.handled()), (Ok(BLOCK), mask | Path::MASK));
    let timing: Timing = event.attr().unwrap();
    assert!(timing.queued <= timing.issued && timing.issued < timing.completed, "{timing:?}");
    // SAFETY: takes nothing.
    assert_eq!(event.attr::<Place>().unwrap().thread, unsafe { libc::gettid() } as u32);
    assert_eq!(event.attr(), Some(Cache { outcome: CacheOutcome::Miss, bytes: 0 }));
    let crc32c = crc32c(0, &contents(0).0);
    assert_eq!(event.attr(), Some(Checksum { crc32c, bytes: BLOCK as u64 }));
    assert_eq!(event.attr(), Some(Full(1)));

    let vector = [(at, BLOCK)];
    let vector = vector.as_ptr() as usize;
    for (nr, arguments) in [
        (g::__NR_preadv, [fd, vector, 1, 0, 0, 0]),
        (g::__NR_preadv2, [fd, vector, 1, 0, 0, 0]),
        (g::__NR_pwrite64, [fd, at, BLOCK, 0, 0, 0]),
        (g::__NR_pwritev, [fd, vector, 1, 0, 0, 0]),
        (g::__NR_pwritev2, [fd, vector, 1, 0, 0, 0]),
        (g::__NR_fsync, [fd, 0, 0, 0, 0, 0]),
        (g::__NR_fdatasync, [fd, 0, 0, 0, 0, 0]),
    ] {
        let event = by_aio(|| asked(&calls, raw(nr, arguments), &Wanted::NONE));
        assert!(event.result().is_ok(), "{nr}: {event:?}");
    }
    let read = || raw(g::__NR_pread64, [fd, at, BLOCK, 0, 0, 0]);
    assert_eq!(asked(&calls, read().by_worker(), &Wanted::NONE).attr(), Some(Path::Worker));
    // Best effort, level 6.
    let low = Wanted::NONE.required(Ioprio::MASK).with_ioprio(2 << 13 | 6);
    let event = by_aio(|| asked(&calls, read(), &low));
    assert_eq!((event.result(), event.attr()), (Ok(BLOCK), Some(Ioprio)));
}

/// A read that is to be full goes on behind what has come, to the end of the file.
#[test]
fn what_is_to_be_full_ends_where_the_file_does() {
    let Some(direct) = Direct::new("full") else { return };
    let calls = Calls::new().unwrap();
    let (fd, mut to) = (direct.fd(), [block(0), block(0)]);
    let at = to.as_mut_ptr() as usize;
    let last = LEN / BLOCK * BLOCK;
    let read = raw(g::__NR_pread64, [fd, at, 2 * BLOCK, last, 0, 0]);
    let event = asked(&calls, read, &Wanted::NONE.required(Full::MASK));
    assert_eq!(event.result(), Ok(LEN - last));
}

#[test]
fn what_is_named_may_go_when_the_call_is_pending() {
    let Some(direct) = Direct::new("named") else { return };
    let calls = Calls::new().unwrap();
    let from = [block(0x77), block(0x88)];
    let at = from.as_ptr() as usize;
    // In place, for which the disk is asked; and behind the end, which a worker has to see to.
    for (turn, offset) in [0, 64 * BLOCK, 2 * BLOCK, 128 * BLOCK].into_iter().enumerate() {
        let again = direct.again(libc::O_RDWR);
        direct.learn(&again);
        let mut vector = [(at, BLOCK), (at + BLOCK, BLOCK)];
        let fd = again.as_raw_fd() as usize;
        let (nr, arguments) = match turn % 2 {
            0 => (g::__NR_pwritev, [fd, vector.as_ptr() as usize, 2, offset, 0, 0]),
            _ => (g::__NR_pwritev2, [fd, vector.as_ptr() as usize, 2, offset, 0, 0]),
        };
        let issued = calls.issue(raw(nr, arguments)).unwrap();
        assert!(matches!(issued, Issued::Pending(_)), "{issued:?}");
        vector.fill((0, usize::MAX));
        files::give_number(&std::fs::File::open("/dev/null").unwrap(), &again);
        assert_eq!(next(&calls).result(), Ok(2 * BLOCK));
        let mut seen = [0; 2 * BLOCK];
        direct.plain.read_exact_at(&mut seen, offset as u64).unwrap();
        assert!(seen[..BLOCK] == [0x77; BLOCK] && seen[BLOCK..] == [0x88; BLOCK]);
    }
}

/// A number that was a direct file's.
#[test]
fn another_file_gets_the_number() {
    let Some(direct) = Direct::new("number") else { return };
    let calls = Calls::new().unwrap();
    let mut to = block(0);
    let at = to.0.as_mut_ptr() as usize;
    for _ in 0..3 {
        let again = direct.again(libc::O_RDWR);
        direct.learn(&again);
        let fd = again.as_raw_fd() as usize;
        files::give_number(&std::fs::File::open("/proc/self/exe").unwrap(), &again);
        // A page cache minds no odd numbers.
        let (read, _) = answer(&calls, raw(g::__NR_pread64, [fd, at + 1, 4, 1, 0, 0]));
        assert_eq!((read, &to.0[1..4]), (Ok(4), &b"ELF"[..]));
        files::give_number(&direct.again(libc::O_RDWR), &again);
        direct.learn(&again);
        let (reader, _writer) = std::io::pipe().unwrap();
        files::give_number(&reader, &again);
        let (read, _) = answer(&calls, raw(g::__NR_pread64, [fd, at, BLOCK, 0, 0, 0]));
        assert_eq!(read, Err(Errno::ESPIPE));
    }
}

/// What waits for others to write waits for its descriptor, not on a worker, though its number was a
/// direct file's.
#[test]
fn a_stream_gets_the_number() {
    let Some(direct) = Direct::new("stream") else { return };
    let calls = Calls::new().unwrap();
    let mut to = [0u8; 1];
    let at = to.as_mut_ptr() as usize;
    let vector = [(at, 1usize)];
    let (vector, current) = (vector.as_ptr() as usize, usize::MAX);
    let nowait = libc::RWF_NOWAIT as usize;
    let reads = [
        (g::__NR_read, [at, 1, 0, 0, 0]),
        (g::__NR_readv, [vector, 1, 0, 0, 0]),
        (g::__NR_preadv2, [vector, 1, current, current, 0]),
        (g::__NR_preadv2, [vector, 1, current, current, nowait]),
    ];
    for (turn, (nr, [at, len, a, b, flags])) in reads.into_iter().enumerate() {
        // A number that nobody has had, so that it is asked for.
        let again = direct.again_from(700 + turn as i32);
        direct.learn(&again);
        let (reader, mut writer) = std::io::pipe().unwrap();
        files::give_number(&reader, &again);
        let read = || raw(nr, [again.as_raw_fd() as usize, at, len, a, b, flags]);
        if flags == nowait {
            assert_eq!(answer(&calls, read()), (Err(Errno::EAGAIN), false));
            continue;
        }
        let wanted = Wanted::NONE.required(Path::MASK);
        let issued = calls.issue_with(read(), &wanted, &mut Answers::none()).unwrap();
        assert!(matches!(issued, Issued::Pending(_)), "{nr}: {issued:?}");
        writer.write_all(b"x").unwrap();
        let event = next(&calls);
        assert_eq!((event.result(), event.attr()), (Ok(1), Some(Path::Readiness)), "{nr}");
        assert_eq!(std::mem::take(&mut to[0]), b'x');
    }
}

#[test]
fn many_are_answered_once_each() {
    let Some(direct) = Direct::new("many") else { return };
    let calls = Calls::new().unwrap();
    let fd = direct.fd();
    // More than a context has room for in the kernel.
    let mut to: Vec<Block> = (0..600).map(|_| block(0)).collect();
    let mut steps: Vec<Step> = (to.iter_mut().enumerate())
        .map(|(number, to)| {
            let (at, offset) = (to.0.as_mut_ptr() as usize, number % (LEN / BLOCK) * BLOCK);
            let read = raw(g::__NR_pread64, [fd, at, BLOCK, offset, 0, 0]);
            Step::new(read.user_data(number as u64))
        })
        .collect();
    for step in steps.chunks_mut(100) {
        calls.issue_all(step);
    }
    let mut ids: Vec<Id> = (steps.iter())
        .map(|step| match step.issued() {
            Some(Ok(Issued::Pending(id))) => id,
            other => panic!("{other:?}"),
        })
        .collect();
    let mut left = ids.len();
    while left != 0 {
        for event in calls.wait((left / 2).max(1) as u32).unwrap() {
            let number = event.user_data() as usize;
            assert_eq!((event.id(), event.result()), (ids[number], Ok(BLOCK)));
            assert_eq!(to[number], contents(number % (LEN / BLOCK)));
            left -= 1;
        }
    }
    ids.dedup();
    assert_eq!((ids.len(), calls.pending()), (600, 0));
    assert!(calls.next().is_none());
}

/// The disk is not asked to stop: who cancels hears that it is too late, and the answer comes.
#[test]
fn a_device_is_not_called_back() {
    let Some(direct) = Direct::new("cancel") else { return };
    let calls = Calls::new().unwrap();
    let (fd, mut to) = (direct.fd(), [const { block(0) }; 32]);
    for _ in 0..4 {
        let mut ids = Vec::new();
        for to in &mut to {
            let at = to.0.as_mut_ptr() as usize;
            match calls.issue(raw(g::__NR_pread64, [fd, at, BLOCK, 0, 0, 0])).unwrap() {
                Issued::Pending(id) => ids.push(id),
                Issued::Done(result) => panic!("answered at once: {result:?}"),
            }
        }
        for &id in &ids {
            let cancelled = calls.cancel(id);
            let may_be = [Ok(()), Err(Errno::EALREADY), Err(Errno::ENOENT)];
            assert!(may_be.contains(&cancelled), "{cancelled:?}");
        }
        while !ids.is_empty() {
            for event in calls.wait(1).unwrap() {
                let place = ids.iter().position(|&id| id == event.id());
                ids.swap_remove(place.expect("answered once"));
                assert!(matches!(event.result(), Ok(BLOCK) | Err(Errno::ECANCELED)));
            }
        }
    }
    assert_eq!(calls.pending(), 0);
}

#[test]
fn a_deadline_is_no_less_true() {
    let Some(direct) = Direct::new("deadline") else { return };
    let calls = Calls::new().unwrap();
    let (fd, mut to) = (direct.fd(), block(0));
    let at = to.0.as_mut_ptr() as usize;
    for ahead in [1_000, 20_000, 50_000, 100_000, 10_000_000_000u64] {
        let deadline = sysring_sys::vdso::monotonic() + ahead;
        let wanted = Wanted::NONE.required(Deadline::MASK).with_deadline(deadline);
        let read = raw(g::__NR_pread64, [fd, at, BLOCK, 0, 0, 0]);
        let mut answers = Answers::none();
        let (result, expired) = match calls.issue_with(read, &wanted, &mut answers).unwrap() {
            // It was over before the call was made.
            Issued::Done(result) => (result, answers.get()),
            Issued::Pending(_) => {
                let event = next(&calls);
                (event.result(), event.attr())
            }
        };
        match expired.unwrap() {
            Deadline { expired: true } => assert_eq!(result, Err(Errno::ECANCELED)),
            Deadline { expired: false } => assert_eq!(result, Ok(BLOCK)),
        }
    }
    assert_eq!(calls.pending(), 0);
}

#[test]
fn other_ways_to_hear() {
    let Some(direct) = Direct::new("hear") else { return };
    let (fd, mut to) = (direct.fd(), block(0));
    let at = to.0.as_mut_ptr() as usize;
    let read = || raw(g::__NR_pread64, [fd, at, BLOCK, 0, 0, 0]);
    let slot: &'static Slot = Box::leak(Box::new(Slot::new()));
    let calls = Calls::new().unwrap();
    assert!(matches!(calls.issue(read().into_slot(slot)).unwrap(), Issued::Pending(_)));
    assert_eq!(slot.wait(), Ok(BLOCK));
    assert_eq!(to, contents(0));
    // Nobody enters: an eventfd, and a descriptor.
    let readable = calls.descriptor().unwrap();
    assert!(matches!(calls.issue(read()).unwrap(), Issued::Pending(_)));
    let mut poll = libc::pollfd { fd: readable.raw(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one that is there.
    assert_eq!(unsafe { libc::poll(&raw mut poll, 1, 10_000) }, 1);
    assert_eq!(calls.next().unwrap().result(), Ok(BLOCK));
    // SAFETY: ours.
    unsafe { libc::close(readable.raw()) };
}

#[test]
fn a_child_has_its_own() {
    let Some(direct) = Direct::new("fork") else { return };
    let calls = Calls::new().unwrap();
    let (fd, mut to) = (direct.fd(), [const { block(0) }; 16]);
    let mut child_to = block(0);
    for (number, to) in to.iter_mut().enumerate() {
        let arguments = [fd, to.0.as_mut_ptr() as usize, BLOCK, number % 4 * BLOCK, 0, 0];
        let issued = calls.issue(raw(g::__NR_pread64, arguments)).unwrap();
        assert!(matches!(issued, Issued::Pending(_)), "{issued:?}");
    }
    // SAFETY: the child makes nothing but system calls, and those of the engine.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let at = child_to.0.as_mut_ptr() as usize;
        let read = raw(g::__NR_pread64, [fd, at, BLOCK, 3 * BLOCK, 0, 0]);
        let own = Calls::new();
        let well = calls.pending() == 0
            && own.is_ok_and(|own| answer(&own, read) == (Ok(BLOCK), true))
            && child_to == contents(3);
        // SAFETY: ends this process.
        unsafe { libc::_exit(i32::from(!well)) };
    }
    assert!(child > 0);
    let mut left = to.len();
    while left != 0 {
        for event in calls.wait(1).unwrap() {
            assert_eq!(event.result(), Ok(BLOCK));
            left -= 1;
        }
    }
    let mut status = 0;
    // SAFETY: our child.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "the child's read went wrong");
    assert!(to.iter().enumerate().all(|(number, to)| *to == contents(number % 4)));
    assert_eq!(calls.pending(), 0);
}

/// A batch reaches the kernel in one call, but for the first few, with which an idle disk begins.
#[test]
fn a_batch_is_one_submission_and_what_an_idle_disk_begins_with() {
    const INSIDE: &str = "SYSRING_TEST_BATCH";
    if std::env::var_os(INSIDE).is_some() {
        let Some(direct) = Direct::new("batch-inside") else { return };
        let calls = Calls::new().unwrap();
        let (fd, mut to) = (direct.fd(), [const { block(0) }; 16]);
        let mut steps = to.each_mut().map(|to| {
            let at = to.0.as_mut_ptr() as usize;
            Step::new(raw(g::__NR_pread64, [fd, at, BLOCK, 0, 0, 0]))
        });
        calls.issue_all(&mut steps);
        let mut left = steps.len();
        while left != 0 {
            left -= calls.wait(1).unwrap().count();
        }
        return;
    }
    let scratch = files::folder("batch");
    let trace = scratch.join("trace");
    let traced = Command::new("strace")
        .args(["-f", "-e", "trace=io_submit", "-e", "signal=none", "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args(["a_batch_is_one_submission_and_what_an_idle_disk_begins_with", "--exact"])
        .env(INSIDE, "")
        .output();
    let traced = match traced {
        Ok(traced) if traced.status.success() => std::fs::read_to_string(&trace).unwrap(),
        other => return println!("skipped: strace does not work here: {other:?}"),
    };
    let _ = std::fs::remove_dir_all(scratch);
    if traced.contains("io_submit") {
        // Before it comes the one call of `Direct::new`.
        let calls = |of: &str| traced.lines().filter(|line| line.ends_with(of)).count();
        assert_eq!([calls(" = 4"), calls(" = 12")], [1, 1], "{traced}");
        assert_eq!(traced.matches("io_submit(").count(), 3, "{traced}");
    } else {
        println!("skipped: no O_DIRECT in {}", env!("CARGO_TARGET_TMPDIR"));
    }
}
