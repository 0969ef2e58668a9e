//! A web server for the files below a directory: one thread in an epoll loop, as many servers are.
//!
//!     cargo run -p sysring --example web -- public 127.0.0.1:8080
//!
//! Sockets never make it wait, but files might: the disk has to be asked for what is not cached, and
//! epoll cannot help there. So files are opened, looked at and read by native calls. What is cached is
//! answered on the spot, as by the plain call; of the rest the loop hears through one more descriptor.

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use sysring::calls::{Call, Calls, Issued, OpenHow, Statx, StatxFlags};
use sysring::{Errno, Fd};

/// Marks of the two descriptors in the set that are no connections; theirs follow.
const LISTENER: u64 = 0;
const ANSWERS: u64 = 1;
const CHUNK: usize = 128 << 10;
const LONGEST_REQUEST: usize = 8 << 10;

struct Server {
    root: File,
    calls: Calls<'static>,
}

/// What a connection waits for: its client to write or to read, or the answer of a call.
enum State {
    Request,
    Open,
    Look,
    Read,
    Send,
}

struct Connection {
    mark: u64,
    stream: TcpStream,
    state: State,
    received: Vec<u8>,
    /// What is being sent: the head of a response, or a part of the file.
    output: Vec<u8>,
    sent: usize,
    head_only: bool,
    file: Option<OwnedFd>,
    status: Box<Statx>,
    at: u64,
    /// A call is under way that writes into this connection's memory.
    pending: bool,
}

impl Connection {
    fn new(mark: u64, stream: TcpStream) -> Connection {
        Connection {
            mark,
            stream,
            state: State::Request,
            received: Vec::new(),
            output: Vec::new(),
            sent: 0,
            head_only: false,
            file: None,
            status: Box::default(),
            at: 0,
            pending: false,
        }
    }

    /// Goes on until something has to be waited for; an error ends the connection.
    fn go_on(
        &mut self,
        server: &Server,
        mut answer: Option<Result<usize, Errno>>,
    ) -> io::Result<()> {
        loop {
            match self.state {
                State::Request => {
                    let Some(path) = self.request()? else { continue };
                    let resolve = libc::RESOLVE_BENEATH;
                    let flags = (libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK) as u64;
                    let how = OpenHow { flags, resolve, ..OpenHow::default() };
                    self.state = State::Open;
                    answer = self.call(server, Call::openat2(&server.root, &path, &how))?;
                }
                State::Open => match answer.take() {
                    None => return Ok(()),
                    Some(Err(_)) => self.respond("404 Not Found", 0),
                    Some(Ok(new)) => {
                        // SAFETY: a new descriptor, which is ours.
                        let file = self.file.insert(unsafe { OwnedFd::from_raw_fd(new as RawFd) });
                        let (fd, status) = (Fd::new(file.as_raw_fd()), &raw mut *self.status);
                        let how = StatxFlags {
                            flags: libc::AT_EMPTY_PATH as u32,
                            mask: libc::STATX_SIZE,
                        };
                        self.state = State::Look;
                        // SAFETY: a box of this connection, which nobody else uses meanwhile.
                        let call = Call::statx(fd, c"", how, unsafe { &mut *status });
                        answer = self.call(server, call)?;
                    }
                },
                State::Look => match answer.take() {
                    None => return Ok(()),
                    Some(Ok(_))
                        if u32::from(self.status.stx_mode) & libc::S_IFMT == libc::S_IFREG =>
                    {
                        self.respond("200 OK", self.status.stx_size);
                    }
                    Some(_) => self.respond("404 Not Found", 0),
                },
                State::Send if self.sent < self.output.len() => {
                    self.sent += self.stream.write(&self.output[self.sent..])?;
                }
                State::Send => match &self.file {
                    Some(file) if self.at < self.status.stx_size => {
                        (self.sent, self.state) = (0, State::Read);
                        self.output.resize(CHUNK.min((self.status.stx_size - self.at) as usize), 0);
                        let (fd, buffer) = (Fd::new(file.as_raw_fd()), &raw mut *self.output);
                        // SAFETY: a vector of this connection, which nobody else uses meanwhile.
                        let call = Call::pread(fd, unsafe { &mut *buffer }, self.at);
                        answer = self.call(server, call)?;
                    }
                    _ => (self.file, self.state) = (None, State::Request),
                },
                State::Read => match answer.take() {
                    None => return Ok(()),
                    // It has become shorter than was promised.
                    Some(Ok(0)) => return Err(ErrorKind::UnexpectedEof.into()),
                    Some(read) => {
                        self.output
                            .truncate(read.map_err(|e| io::Error::from_raw_os_error(e.raw()))?);
                        (self.at, self.state) = (self.at + self.output.len() as u64, State::Send);
                    }
                },
            }
        }
    }

    /// Issues a call: its answer, unless that comes later.
    fn call(&mut self, server: &Server, call: Call) -> io::Result<Option<Result<usize, Errno>>> {
        // SAFETY: what it works on is this connection's, which is kept while the call is pending.
        match unsafe { server.calls.issue_unchecked(call.user_data(self.mark)) } {
            Ok(Issued::Done(result)) => Ok(Some(result)),
            Ok(Issued::Pending(_)) => {
                self.pending = true;
                Ok(None)
            }
            Err(error) => Err(io::Error::from_raw_os_error(error.raw())),
        }
    }

    /// The path that is asked for; nothing if that is answered already.
    fn request(&mut self) -> io::Result<Option<CString>> {
        let Some(end) = self.received.windows(4).position(|four| four == b"\r\n\r\n") else {
            let mut some = [0; 4096];
            let len = self.stream.read(&mut some)?;
            self.received.extend_from_slice(&some[..len]);
            let over = len == 0 || self.received.len() > LONGEST_REQUEST;
            return if over { Err(ErrorKind::InvalidData.into()) } else { Ok(None) };
        };
        let head: Vec<u8> = self.received.drain(..end + 4).collect();
        let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let mut words = line.split(|byte| *byte == b' ');
        self.head_only = match words.next() {
            Some(b"GET") => false,
            Some(b"HEAD") => true,
            _ => {
                self.respond("405 Method Not Allowed", 0);
                return Ok(None);
            }
        };
        let path = words.next().unwrap_or_default().split(|byte| *byte == b'?').next();
        let mut path = path.unwrap_or_default().trim_ascii_start().to_vec();
        path.splice(..0, *b".");
        if path.ends_with(b"/") {
            path.extend(b"index.html");
        }
        let path = CString::new(path).ok();
        if path.is_none() {
            self.respond("400 Bad Request", 0);
        }
        Ok(path)
    }

    /// Begins a response, of which so many bytes of the file are to follow.
    fn respond(&mut self, status: &str, length: u64) {
        self.output = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n").into_bytes();
        self.at = if self.head_only { length } else { 0 };
        self.status.0.stx_size = length;
        (self.sent, self.state) = (0, State::Send);
    }
}

struct Epoll(OwnedFd);

impl Epoll {
    fn new() -> io::Result<Epoll> {
        // SAFETY: takes a number; what it answers is a new descriptor or -1.
        match unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) } {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: which is ours.
            new => Ok(Epoll(unsafe { OwnedFd::from_raw_fd(new) })),
        }
    }

    fn add(&self, fd: RawFd, mark: u64, events: i32) -> io::Result<()> {
        let mut event = libc::epoll_event { events: events as u32, u64: mark };
        let set = self.0.as_raw_fd();
        // SAFETY: reads the event.
        match unsafe { libc::epoll_ctl(set, libc::EPOLL_CTL_ADD, fd, &mut event) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    /// The marks of those that are ready.
    fn wait(&self) -> io::Result<Vec<u64>> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 64];
        let (set, room) = (self.0.as_raw_fd(), events.len() as i32);
        // SAFETY: there is room for as many.
        match unsafe { libc::epoll_wait(set, events.as_mut_ptr(), room, -1) } {
            -1 => Err(io::Error::last_os_error()),
            count => Ok(events[..count as usize].iter().map(|event| event.u64).collect()),
        }
    }
}

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let Some(path) = arguments.next() else {
        eprintln!("usage: web DIRECTORY [ADDRESS]");
        std::process::exit(2);
    };
    let root = File::open(path)?;
    let listener = TcpListener::bind(arguments.next().unwrap_or("127.0.0.1:0".into()))?;
    listener.set_nonblocking(true)?;
    println!("listening on {}", listener.local_addr()?);
    let failed = |error: Errno| io::Error::from_raw_os_error(error.raw());
    let server = Server { root, calls: Calls::new().map_err(failed)? };
    let epoll = Epoll::new()?;
    epoll.add(listener.as_raw_fd(), LISTENER, libc::EPOLLIN)?;
    // The one line that lets the loop hear of files, too.
    epoll.add(server.calls.descriptor().map_err(failed)?.raw(), ANSWERS, libc::EPOLLIN)?;
    let (mut connections, mut next) = (HashMap::new(), ANSWERS + 1);
    let mut ready = Vec::new();
    loop {
        for mark in epoll.wait()? {
            match mark {
                LISTENER => {
                    while let Ok((stream, _)) = listener.accept() {
                        stream.set_nonblocking(true)?;
                        let both = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLET;
                        epoll.add(stream.as_raw_fd(), next, both)?;
                        connections.insert(next, Connection::new(next, stream));
                        next += 1;
                    }
                }
                ANSWERS => {
                    while let Some(event) = server.calls.next() {
                        ready.push((event.user_data(), Some(event.result())));
                    }
                }
                mark => ready.push((mark, None)),
            }
        }
        for (mark, answer) in ready.drain(..) {
            let Some(connection) = connections.get_mut(&mark) else { continue };
            connection.pending &= answer.is_none();
            if connection.pending {
                continue;
            }
            match connection.go_on(&server, answer) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => drop(connections.remove(&mark)),
            }
        }
    }
}
