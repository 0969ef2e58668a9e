//! Calls through their front: contexts, scopes, slots, ways to hear.

#[path = "shared/signal.rs"]
mod signal;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use sysring::calls::{Accept, Call, Calls, Issued, Listener, Slot, Statx, StatxFlags, Step, Time};
use sysring::{Errno, Fd, SigSet};

#[test]
fn a_scope_ends_what_it_has_begun() {
    let (mut a, b) = UnixStream::pair().unwrap();
    let (mut first, mut second) = ([0u8; 4], [0u8; 4]);
    let begun = Calls::scope(|calls| {
        assert!(matches!(calls.issue(Call::read(&b, &mut first))?, Issued::Pending(_)));
        a.write_all(b"here").unwrap();
        let event = calls.wait(1)?.next().unwrap();
        assert_eq!(event.result(), Ok(4));
        assert!(matches!(calls.issue(Call::read(&b, &mut second))?, Issued::Pending(_)));
        Ok(calls.pending())
    });
    assert_eq!(begun, Ok(1));
    assert_eq!(&first, b"here");
    // Nobody reads any more.
    a.write_all(b"more").unwrap();
    assert_eq!(second, [0; 4]);
}

#[test]
fn names_and_times_may_go_when_a_call_is_pending() {
    let mut status = Statx::default();
    let answers = Calls::scope(|calls| {
        let name = c"/proc/self/exe".to_owned();
        let statx = Call::statx(Fd::CWD, &name, StatxFlags::default(), &mut status);
        let statx = calls.issue(statx.by_worker().user_data(1))?;
        drop(name);
        let time = Box::new(Time::from(Duration::from_millis(5)));
        let sleep = calls.issue(Call::sleep(&time).user_data(2))?;
        drop(time);
        assert!(matches!((statx, sleep), (Issued::Pending(_), Issued::Pending(_))));
        let mut answers: Vec<_> =
            calls.wait(2)?.map(|event| (event.user_data(), event.result())).collect();
        answers.sort_by_key(|answer| answer.0);
        Ok(answers)
    });
    assert_eq!(answers, Ok(vec![(1, Ok(0)), (2, Ok(0))]));
    assert_eq!(status.stx_size, std::fs::metadata("/proc/self/exe").unwrap().len());
}

#[test]
fn a_context_is_polled_and_counted() {
    let calls = Calls::new().unwrap();
    // SAFETY: a new descriptor, ours.
    let readable = unsafe { OwnedFd::from_raw_fd(calls.descriptor().unwrap().raw()) };
    // SAFETY: takes numbers.
    let counter = unsafe { OwnedFd::from_raw_fd(libc::eventfd(0, 0)) };
    calls.set_eventfd(Some(Fd::new(counter.as_raw_fd()))).unwrap();
    let poll = |ms| {
        let mut fd = libc::pollfd { fd: readable.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry.
        unsafe { libc::poll(&raw mut fd, 1, ms) }
    };
    assert_eq!(poll(0), 0);
    let sleep = Time::from(Duration::from_millis(2));
    assert!(matches!(calls.issue(Call::sleep(&sleep)), Ok(Issued::Pending(_))));
    // Nobody enters: it comes by itself.
    assert_eq!(poll(10_000), 1);
    let mut count = [0u8; 8];
    assert_eq!(File::from(counter).read(&mut count).unwrap(), 8);
    assert_eq!(u64::from_ne_bytes(count), 1);
    assert_eq!(calls.next().unwrap().result(), Ok(0));
    assert_eq!(poll(0), 0);
    assert!(calls.next().is_none());
}

#[test]
fn a_signal_mask_is_in_force_while_a_wait_sleeps() {
    let bit = signal::pending();
    let calls = Calls::new().unwrap();
    let wait = |time, mask: Option<u64>| {
        let mask = mask.map(SigSet);
        calls.wait_timeout(1, Some(time), mask.as_ref()).map(drop)
    };
    let shortly = Duration::from_millis(5);
    assert_eq!(wait(shortly, None), Err(Errno::ETIME), "the thread's own");
    assert_eq!(wait(shortly, Some(!0)), Err(Errno::ETIME), "all are blocked");
    assert_eq!(wait(Duration::from_secs(60), Some(!bit)), Err(Errno::EINTR));
    assert_eq!(wait(shortly, Some(!bit)), Err(Errno::ETIME), "it was handled");
    let shared = Calls::builder().shared().build().unwrap();
    let refused = shared.wait_timeout(1, Some(shortly), Some(&SigSet(!bit)));
    assert_eq!(refused.map(drop), Err(Errno::EINVAL));
}

#[test]
fn slots_are_waited_for_without_a_queue() {
    static WORD: AtomicU32 = AtomicU32::new(0);
    static SLOTS: [Slot; 2] = [Slot::new(), Slot::new()];
    let calls = Calls::new().unwrap();
    for slot in &SLOTS {
        let wait = Call::futex_wait(&WORD, 0).into_slot(slot);
        assert!(matches!(calls.issue(wait), Ok(Issued::Pending(_))));
        assert_eq!(slot.get(), None);
    }
    assert_eq!(SLOTS[0].wait_timeout(Duration::from_millis(5)), None);
    let mut woken = 0;
    while woken < 2 {
        // SAFETY: wakes who sleeps on a word of ours.
        let wake = unsafe {
            Call::raw(sysring_sys::raw::general::__NR_futex, {
                [WORD.as_ptr() as usize, libc::FUTEX_WAKE as usize | 128, 2, 0, 0, 0]
            })
        };
        woken += Calls::issue_sync(wake).unwrap();
    }
    assert_eq!(SLOTS.each_ref().map(Slot::wait), [Ok(0); 2]);
    assert!(calls.next().is_none());
}

#[test]
fn cancelled_calls_are_answered() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let calls = Calls::builder().limit(1).build().unwrap();
    let Issued::Pending(id) = calls.issue(Call::accept(&listener, Accept::default())).unwrap()
    else {
        panic!("nobody has connected");
    };
    let another = calls.issue(Call::accept(&listener, Accept::default()));
    assert_eq!(another, Err(Errno::EAGAIN));
    calls.cancel(id).unwrap();
    assert_eq!(calls.wait(1).unwrap().next().unwrap().result(), Err(Errno::ECANCELED));
    assert_eq!(calls.cancel(id), Err(Errno::ENOENT));
    let began = Instant::now();
    let nothing = calls.wait_timeout(1, Some(Duration::from_millis(3)), None).map(|_| ());
    assert_eq!(nothing, Err(Errno::ETIME));
    assert!(began.elapsed() >= Duration::from_millis(3));
    // Dropped with a call under way.
    assert!(matches!(
        calls.issue(Call::accept(&listener, Accept::default())),
        Ok(Issued::Pending(_))
    ));
}

#[test]
fn a_listener_calls_back_and_wakes_futures() {
    use std::future::Future;

    let listener = Listener::new(Calls::new().unwrap()).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let tell = |what: &'static str| {
        let sender = sender.clone();
        move |result| sender.send((what, result)).unwrap()
    };
    // SAFETY: takes nothing.
    let getppid = unsafe { Call::raw(libc::SYS_getppid as u32, [0; 6]) };
    let parent = std::os::unix::process::parent_id() as usize;
    listener.call_back(getppid, tell("at once")).unwrap();
    assert_eq!(receiver.try_recv(), Ok(("at once", Ok(parent))));
    let time = Time::from(Duration::from_millis(2));
    listener.call_back(Call::sleep(&time), tell("later")).unwrap();
    assert_eq!(receiver.recv(), Ok(("later", Ok(0))));

    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(std::sync::Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut answer = std::pin::pin!(listener.answer(Call::sleep(&time)).unwrap());
    let answered = loop {
        match answer.as_mut().poll(&mut context) {
            Poll::Ready(result) => break result,
            Poll::Pending => std::thread::park(),
        }
    };
    assert_eq!(answered, Ok(0));

    // Nobody ever connects: dropped, the listener tells so.
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let accept = || Call::accept(&server, Accept::default());
    drop(listener.answer(accept()).unwrap());
    listener.call_back(accept(), tell("cancelled")).unwrap();
    drop(listener);
    assert_eq!(receiver.recv(), Ok(("cancelled", Err(Errno::ECANCELED))));
}

#[test]
fn a_batch_is_answered_in_its_steps() {
    let calls = Calls::new().unwrap();
    let names: Vec<_> = (0..1000)
        .map(|i| match i % 3 {
            0 => c"/proc/self/exe".to_owned(),
            1 => c"/no/such/name".to_owned(),
            _ => std::ffi::CString::new(vec![b'x'; 5000]).unwrap(),
        })
        .collect();
    let mut statuses = vec![Statx::default(); 1000];
    let expected = |i| match i % 3 {
        0 => Ok(0),
        1 => Err(Errno::ENOENT),
        _ => Err(Errno::ENAMETOOLONG),
    };
    for _ in 0..20 {
        let mut steps: Vec<Step> = names
            .iter()
            .zip(&mut statuses)
            .map(|(name, to)| Call::statx(Fd::CWD, name, StatxFlags::default(), to).into())
            .collect();
        calls.run_all(&mut steps).unwrap();
        for (i, step) in steps.iter().enumerate() {
            assert_eq!(step.result(), Some(expected(i)));
        }
    }
    assert!(statuses.iter().step_by(3).all(|status| status.stx_size != 0));
    // What sleeps in a batch sleeps at the same time.
    let time = Time::from(Duration::from_millis(20));
    let asleep = || (0..64).map(|_| Call::sleep(&time).into()).collect::<Vec<Step>>();
    calls.run_all(&mut asleep()).unwrap();
    let mut sleeps = asleep();
    let began = Instant::now();
    calls.run_all(&mut sleeps).unwrap();
    assert!(began.elapsed() < Duration::from_millis(20 * 64 / 2), "{:?}", began.elapsed());
    assert!(sleeps.iter().all(|step| step.result() == Some(Ok(0))));
    // Issued, they are pending, all of them.
    let mut waits = asleep();
    calls.issue_all(&mut waits);
    assert!(waits.iter().all(|step| matches!(step.issued(), Some(Ok(Issued::Pending(_))))));
    let mut answers = 0;
    while answers < 64 {
        answers += calls.wait(64 - answers).unwrap().count() as u32;
    }
    assert_eq!(calls.pending(), 0);
}

#[test]
fn chains_work_on_what_they_open() {
    let dir = std::env::temp_dir().join(format!("sysring-chains-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let names: Vec<_> = (0..300)
        .map(|i| {
            let path = dir.join(i.to_string());
            if i % 10 != 9 {
                std::fs::write(&path, vec![b'x'; i]).unwrap();
            }
            std::ffi::CString::new(path.into_os_string().into_encoded_bytes()).unwrap()
        })
        .collect();
    let calls = Calls::new().unwrap();
    let mut buffers = vec![[0u8; 512]; 300];
    let mut chains: Vec<[Step; 3]> = names
        .iter()
        .zip(&mut buffers)
        .map(|(name, to)| {
            let open = Step::new(Call::openat(Fd::CWD, name, 0, 0));
            [open, Step::new(Call::read(Fd::NONE, to)).on(0), Step::close(0)]
        })
        .collect();
    calls.run_chains(&mut chains).unwrap();
    for (i, [open, read, close]) in chains.iter().enumerate() {
        let (read, close) = (read.result().unwrap(), close.result().unwrap());
        if i % 10 == 9 {
            assert_eq!(open.result(), Some(Err(Errno::ENOENT)));
            assert_eq!((read, close), (Err(Errno::ECANCELED), Err(Errno::ECANCELED)));
        } else {
            assert_eq!((read, close), (Ok(i), Ok(0)));
        }
    }
    // What opens nothing is nothing to work on, nor is what comes later.
    let mut status = Statx::default();
    let stat = Call::statx(Fd::CWD, c"/", StatxFlags::default(), &mut status);
    let mut wrong = [[Step::close(1), Step::new(stat), Step::close(1)]];
    calls.run_chains(&mut wrong).unwrap();
    let results = wrong[0].each_ref().map(|step| step.result().unwrap());
    assert_eq!(results, [Err(Errno::EINVAL), Ok(0), Err(Errno::EINVAL)]);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_chain_leaves_alone_what_it_has_closed() {
    let calls = Calls::new().unwrap();
    let mut buffer = [0; 5];
    let mut chain = [[
        Step::new(Call::openat(Fd::CWD, c"/dev/null", 0, 0)),
        Step::close(0),
        // It most likely has the number that was the first one's.
        Step::new(Call::openat(Fd::CWD, c"/proc/version", 0, 0)),
        Step::new(Call::read(Fd::NONE, &mut buffer)).on(0),
        Step::close(0),
        Step::close(2),
    ]];
    calls.run_chains(&mut chain).unwrap();
    let results = chain[0].each_ref().map(|step| step.result().unwrap());
    assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
    assert_eq!((results[1], results[3], results[4]), (Ok(0), Err(Errno::EBADF), Err(Errno::EBADF)));
    assert_eq!(results[5], Ok(0));
    assert_eq!(buffer, [0; 5]);
}

#[test]
fn a_step_is_issued_once() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let calls = Calls::new().unwrap();
    let mut written = [[Step::new(Call::write(&writer, b"x"))]];
    calls.run_all(written.as_flattened_mut()).unwrap();
    calls.run_all(written.as_flattened_mut()).unwrap();
    calls.run_chains(&mut written).unwrap();
    calls.issue_all(written.as_flattened_mut());
    assert_eq!(written[0][0].result(), Some(Ok(1)));
    // The descriptor is closed once: its number may be another's by then.
    let mut closed = [Step::new(Call::close(writer.into()))];
    calls.issue_all(&mut closed);
    calls.issue_all(&mut closed);
    calls.run_all(&mut closed).unwrap();
    let closed = match closed[0].issued().unwrap().unwrap() {
        Issued::Done(result) => result,
        Issued::Pending(_) => calls.wait(1).unwrap().next().unwrap().result(),
    };
    assert_eq!((closed, calls.pending()), (Ok(0), 0));
    let mut all = Vec::new();
    reader.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"x");

    // Nor is a chain made of which a step was.
    let mut chain = [[Step::new(Call::openat(Fd::CWD, c"/", 0, 0)), Step::close(0)]];
    calls.run_all(&mut chain[0][..1]).unwrap();
    let Some(Ok(fd)) = chain[0][0].result() else { panic!("/ can be opened") };
    // SAFETY: just opened, and told to nobody else.
    let root = File::from(unsafe { OwnedFd::from_raw_fd(fd as i32) });
    calls.run_chains(&mut chain).unwrap();
    assert_eq!(chain[0][1].result(), None);
    assert!(root.metadata().unwrap().is_dir());
    // What a step works on is opened in its chain: there is none here.
    let mut alone = [Step::close(0)];
    calls.issue_all(&mut alone);
    assert_eq!(alone[0].result(), Some(Err(Errno::EINVAL)));
}

#[test]
fn batches_fill_slots() {
    let slots = [const { Slot::new() }; 3];
    let calls = Calls::new().unwrap();
    let (reader, _writer) = std::io::pipe().unwrap();
    let time = Time::from(Duration::from_millis(1));
    let nowhere = Call::openat(Fd::CWD, c"/no/such/name", 0, 0);
    let mut buffers = [[0u8; 1]; 2];
    let [to, other] = &mut buffers;
    let mut steps = [
        Step::new(nowhere.into_slot(&slots[0])),
        Step::new(Call::sleep(&time).into_slot(&slots[1])),
        // Told of a step that is not made, too.
        Step::new(Call::read(&reader, to).into_slot(&slots[2])).on(0),
    ];
    calls.run_all(&mut steps).unwrap();
    let results = slots.each_ref().map(Slot::get);
    assert_eq!(results, [Some(Err(Errno::ENOENT)), Some(Ok(0)), Some(Err(Errno::EINVAL))]);
    slots[0].clear();
    let mut chains = [[Step::new(Call::pread(Fd::NONE, other, 0).into_slot(&slots[0]))]];
    calls.run_chains(&mut chains).unwrap();
    assert_eq!(slots[0].get(), Some(Err(Errno::EBADF)));
}

#[test]
fn a_context_that_answers_elsewhere_keeps_its_handlers() {
    use sysring::events::attr::{Answers, EXTENSIONS, Extension, Wanted};

    let first = Calls::builder().shared().build().unwrap();
    let file = first.events().file().unwrap();
    let builder = Calls::builder().extension(7, |_, _, given| given + 1).unwrap();
    let second = builder.attach(file).unwrap();
    // SAFETY: takes nothing.
    let call = unsafe { Call::raw(libc::SYS_getppid as u32, [0; 6]) };
    let asked = [Extension { number: 7, required: 1, argument: 41 }];
    let wanted = Wanted::NONE.required(EXTENSIONS).with_extensions(&asked);
    let mut answers = Answers::none();
    second.issue_with(call, &wanted, &mut answers).unwrap();
    assert_eq!(answers.extension(7), Some(42));
}

#[test]
fn a_listener_ends_with_as_much_pending_as_there_may_be() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let calls = Calls::builder().limit(1).build().unwrap();
    let listener = Listener::new(calls).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let tell = sender.clone();
    let accept = || Call::accept(&server, Accept::default());
    listener.call_back(accept(), move |result| tell.send(result).unwrap()).unwrap();
    assert_eq!(listener.call_back(accept(), |_| ()), Err(Errno::EAGAIN));
    drop(listener);
    assert_eq!(receiver.recv_timeout(Duration::from_secs(60)), Ok(Err(Errno::ECANCELED)));
    // A callback has the last of it.
    let listener = Arc::new(Listener::new(Calls::new().unwrap()).unwrap());
    let (kept, tell) = (listener.clone(), sender);
    let time = Time::from(Duration::from_millis(20));
    let then = move |result| {
        drop(kept);
        tell.send(result).unwrap();
    };
    listener.call_back(Call::sleep(&time), then).unwrap();
    drop(listener);
    assert_eq!(receiver.recv_timeout(Duration::from_secs(60)), Ok(Ok(0)));
}

#[test]
fn a_listener_hears_what_is_its_own() {
    static SLOT: Slot = Slot::new();
    let shared = Calls::builder().shared().build().unwrap();
    let refused = Listener::new(shared).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
    // The word that comes back with the answer could be that of a callback.
    for heard in [false, true] {
        let busy = Calls::new().unwrap();
        let time = Time::from(Duration::from_millis(if heard { 1 } else { 1_000_000 }));
        assert!(matches!(busy.issue(Call::sleep(&time).user_data(1)), Ok(Issued::Pending(_))));
        if heard {
            busy.wait(1).unwrap();
        }
        let refused = Listener::new(busy).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
    }
    let listener = Listener::new(Calls::new().unwrap()).unwrap();
    let time = Time::from(Duration::from_millis(1));
    let aside = listener.call_back(Call::sleep(&time).into_slot(&SLOT), |_| ());
    assert_eq!(aside, Err(Errno::EINVAL));
}

/// Polls its future where it is woken.
struct Eager {
    answer: std::sync::Mutex<sysring::calls::Answer>,
    told: std::sync::mpsc::Sender<Poll<Result<usize, Errno>>>,
}

impl Eager {
    fn poll(self: &Arc<Eager>) {
        let waker = Waker::from(Arc::clone(self));
        let mut answer = self.answer.lock().unwrap();
        let polled = Pin::new(&mut *answer).poll(&mut Context::from_waker(&waker));
        self.told.send(polled).unwrap();
    }
}

impl Wake for Eager {
    fn wake(self: Arc<Eager>) {
        self.poll();
    }
}

#[test]
fn an_answer_may_be_polled_by_its_waker() {
    let listener = Listener::new(Calls::new().unwrap()).unwrap();
    let time = Time::from(Duration::from_millis(20));
    let answer = listener.answer(Call::sleep(&time)).unwrap().into();
    let (told, polls) = std::sync::mpsc::channel();
    // In case it hangs the test goes on without it.
    let listener = std::mem::ManuallyDrop::new(listener);
    Arc::new(Eager { answer, told }).poll();
    assert_eq!(polls.recv(), Ok(Poll::Pending));
    assert_eq!(polls.recv_timeout(Duration::from_secs(60)), Ok(Poll::Ready(Ok(0))));
    drop(std::mem::ManuallyDrop::into_inner(listener));
}

/// Issues a call when it goes.
struct LastWord(Arc<Listener>, std::sync::mpsc::Sender<()>);

impl Drop for LastWord {
    fn drop(&mut self) {
        // SAFETY: the call takes nothing.
        let call = unsafe { Call::raw(libc::SYS_getppid as u32, [0; 6]) };
        let sender = self.1.clone();
        self.0.call_back(call, move |_| sender.send(()).unwrap()).unwrap();
    }
}

#[test]
fn a_callback_that_is_not_called_may_issue_calls_when_it_goes() {
    let calls = Calls::builder().limit(1).build().unwrap();
    let listener = Arc::new(Listener::new(calls).unwrap());
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.call_back(Call::accept(&server, Accept::default()), |_| ()).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let last = LastWord(listener.clone(), sender);
    let server = server.try_clone().unwrap();
    // On another thread, in case it hangs.
    let refused = std::thread::spawn(move || {
        let accept = Call::accept(&server, Accept::default());
        listener.call_back(accept, move |_| drop(last)).expect_err("one is pending")
    });
    receiver.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(refused.join().unwrap(), Errno::EAGAIN);
}
