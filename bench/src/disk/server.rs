//! The process that answers for the disk.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::account::{Account, Shared};
use super::image::Image;
use super::protocol::{self, Ask};

/// The process, as the one that started it sees it.
pub struct Server {
    id: libc::pid_t,
    /// A word into it says that the disk is mounted; its end, that nobody needs it.
    mounted: PipeWriter,
    shared: Shared,
}

impl Server {
    /// Starts it; it waits for [`begin`](Self::begin).
    pub fn start(connection: &File, image: Image, shared: Shared) -> io::Result<Server> {
        let (mut begun, mounted) = io::pipe()?;
        let connection = connection.try_clone()?;
        // SAFETY: this process has one thread, so that its copy has whatever it may need.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                drop(mounted);
                let served = match begun.read(&mut [0]) {
                    Ok(1) => Service::new(connection, image, shared).run(),
                    Ok(_) => Ok(()),
                    Err(error) => Err(error),
                };
                if let Err(error) = &served {
                    eprintln!("the disk's server has failed: {error}");
                }
                // SAFETY: takes nothing; what the first process has to do at its end is not done.
                unsafe { libc::_exit(i32::from(served.is_err())) }
            }
            id => Ok(Server { id, mounted, shared }),
        }
    }

    /// The disk is mounted.
    pub fn begin(&self) -> io::Result<()> {
        (&self.mounted).write_all(b"x")
    }

    pub fn account(&self) -> Account {
        let mut account = self.shared.read();
        account.processor = processor_time(self.id);
        account
    }

    /// Ends it, when nobody reads or writes any more.
    pub fn end(&self) {
        // SAFETY: a child that nobody has waited for; both calls take no memory.
        unsafe {
            libc::kill(self.id, libc::SIGKILL);
            libc::waitpid(self.id, ptr::null_mut(), 0);
        }
    }
}

/// What a process has had of processors.
fn processor_time(process: libc::pid_t) -> Duration {
    let (mut clock, mut time) = (0, libc::timespec { tv_sec: 0, tv_nsec: 0 });
    // SAFETY: the kernel fills the structures; where it cannot, they stay as they are.
    unsafe {
        libc::clock_getcpuclockid(process, &mut clock);
        libc::clock_gettime(clock, &mut time);
    }
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A read whose time has not come.
struct Waiting {
    number: u64,
    offset: u64,
    len: usize,
    came: u64,
}

struct Service {
    connection: File,
    image: Image,
    shared: Shared,
    /// In the order in which they came, and so of their turns: all wait for the same time.
    waiting: VecDeque<Waiting>,
    /// When one came or went last.
    changed: u64,
    request: Vec<u8>,
}

impl Service {
    fn new(connection: File, image: Image, shared: Shared) -> Service {
        let (waiting, request) = (VecDeque::new(), vec![0; protocol::REQUEST]);
        Service { connection, image, shared, waiting, changed: 0, request }
    }

    /// Serves until the disk is unmounted.
    fn run(mut self) -> io::Result<()> {
        behave_as_hardware();
        loop {
            let left = self.answer_due()?;
            if wait_for(&self.connection, left)? && !self.receive()? {
                return Ok(());
            }
        }
    }

    /// Answers reads whose time has come; how long it is until the next.
    fn answer_due(&mut self) -> io::Result<Option<Duration>> {
        let latency = self.shared.latency.load(Relaxed);
        while let Some(first) = self.waiting.front() {
            let (now, due) = (now(), first.came + latency);
            if now < due {
                return Ok(Some(Duration::from_nanos(due - now)));
            }
            self.pass(now);
            let Some(Waiting { number, offset, len, came }) = self.waiting.pop_front() else {
                break;
            };
            let (from, len) = self.image.part(offset, len);
            // SAFETY: so many bytes of the image, which nobody writes before the answer is sent.
            let bytes = unsafe { std::slice::from_raw_parts(from, len) };
            self.shared.answered(len as u64, now - came);
            self.answer(number, bytes, 0)?;
        }
        Ok(None)
    }

    /// Takes the requests that there are; false if there will be no more.
    fn receive(&mut self) -> io::Result<bool> {
        loop {
            let mut request = std::mem::take(&mut self.request);
            let read = (&self.connection).read(&mut request);
            let handled = match &read {
                Ok(len) => self.handle(&request[..*len]),
                Err(_) => Ok(()),
            };
            self.request = request;
            handled?;
            match read.map_err(|error| error.raw_os_error()) {
                Ok(_) => {}
                // Taken back before it was read.
                Err(Some(libc::ENOENT | libc::EINTR)) => {}
                Err(Some(libc::EAGAIN)) => return Ok(true),
                Err(Some(libc::ENODEV)) => return Ok(false),
                Err(error) => return Err(io::Error::from_raw_os_error(error.unwrap_or(libc::EIO))),
            }
        }
    }

    fn handle(&mut self, request: &[u8]) -> io::Result<()> {
        let Some((number, ask)) = protocol::request(request) else {
            return Err(io::Error::other("a request was cut off"));
        };
        match ask {
            Ask::Forget => Ok(()),
            Ask::Read { offset, len } => {
                let came = now();
                self.pass(came);
                self.waiting.push_back(Waiting { number, offset, len, came });
                Ok(())
            }
            Ask::Write { offset, bytes } => {
                let len = self.image.write(offset, bytes);
                self.answer(number, &protocol::written(len), 0)
            }
            Ask::Init => self.answer(number, &protocol::init(), 0),
            Ask::Attributes => self.answer(number, &protocol::attributes(self.image.size()), 0),
            Ask::Open => self.answer(number, &protocol::open(), 0),
            Ask::Done => self.answer(number, &[], 0),
            Ask::Other => self.answer(number, &[], libc::ENOSYS),
        }
    }

    fn answer(&self, number: u64, bytes: &[u8], error: i32) -> io::Result<()> {
        let header = protocol::header(number, bytes.len(), error);
        let parts = [IoSlice::new(&header), IoSlice::new(bytes)];
        match (&self.connection).write_vectored(&parts) {
            // Who asked has gone.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            // The disk has gone: the next read says so.
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(()),
            answered => answered.map(drop),
        }
    }

    /// Notes how many reads were under way until now.
    fn pass(&mut self, now: u64) {
        self.shared.passed(self.waiting.len(), now - self.changed);
        self.changed = now;
    }
}

/// `linux/prctl.h`, Linux 5.6.
const PR_SET_IO_FLUSHER: i32 = 57;

/// A disk answers on time, whoever wants the processors, and hears no signals. What is refused here
/// is done without: the probe shows what comes of it.
fn behave_as_hardware() {
    let first = libc::sched_param { sched_priority: 1 };
    // SAFETY: none of these takes memory but the parameter, which the kernel reads.
    unsafe {
        libc::sched_setscheduler(0, libc::SCHED_FIFO, &first);
        libc::prctl(libc::PR_SET_TIMERSLACK, 1);
        // Memory for its answers is not to be had by writing to the disk.
        libc::prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
        libc::prctl(libc::PR_SET_NAME, c"slow-disk".as_ptr());
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGPIPE] {
            libc::signal(signal, libc::SIG_IGN);
        }
    }
}

/// Whether there are requests, when there are or this time has passed.
fn wait_for(connection: &File, most: Option<Duration>) -> io::Result<bool> {
    let mut poll = libc::pollfd { fd: connection.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let most = most.map(|most| libc::timespec {
        tv_sec: most.as_secs() as libc::time_t,
        tv_nsec: most.subsec_nanos().into(),
    });
    let most = most.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: one structure, and a time or none.
    match unsafe { libc::ppoll(&mut poll, 1, most, ptr::null()) } {
        -1 if io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) => {
            Err(io::Error::last_os_error())
        }
        ready => Ok(ready > 0),
    }
}

fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills the structure.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
