//! A TCP echo server as anyone would write it on io_uring: one thread, one ring, accept, recv and
//! send, `submit_and_wait`. It is the same program on the kernel's io_uring and under `sysring run`.
//!
//! Prints its port and process id, serves until the last connection closes, then prints what it
//! did and the processor time it took.

use std::io::{self, Write};
use std::net::TcpListener;
use std::os::fd::AsRawFd;

use io_uring::{IoUring, opcode, squeue, types};

const ENTRIES: u32 = 256;
const BUFFER: usize = 4096;

/// What a completion is about: the low half of its user data is the connection.
const ACCEPT: u64 = 0;
const RECV: u64 = 1 << 32;
const SEND: u64 = 2 << 32;
const CLOSE: u64 = 3 << 32;

struct Connection {
    fd: types::Fd,
    buffer: Box<[u8; BUFFER]>,
    sent: usize,
    filled: usize,
}

struct Server {
    ring: IoUring,
    listener: TcpListener,
    connections: Vec<Connection>,
    open: usize,
    messages: u64,
}

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("port {} pid {}", listener.local_addr()?.port(), std::process::id());
    io::stdout().flush()?;
    let ring = IoUring::new(ENTRIES)?;
    let mut server = Server { ring, listener, connections: Vec::new(), open: 0, messages: 0 };
    server.accept()?;
    server.run()?;
    println!("messages {} cpu_ns {}", server.messages, cpu_time()?.as_nanos());
    Ok(())
}

impl Server {
    fn run(&mut self) -> io::Result<()> {
        loop {
            self.ring.submit_and_wait(1)?;
            while let Some(cqe) = { self.ring.completion().next() } {
                if !self.complete(cqe.user_data(), cqe.result())? {
                    return Ok(());
                }
            }
        }
    }

    /// Acts on one completion; false when the last connection is gone.
    fn complete(&mut self, about: u64, result: i32) -> io::Result<bool> {
        let index = about as u32 as usize;
        match about & !u64::from(u32::MAX) {
            ACCEPT => {
                self.opened(result)?;
                self.accept()?;
            }
            RECV if result <= 0 => self.close(index)?,
            RECV => {
                self.messages += 1;
                let connection = &mut self.connections[index];
                (connection.sent, connection.filled) = (0, result as usize);
                self.send(index)?;
            }
            SEND if result < 0 => self.close(index)?,
            SEND => {
                let connection = &mut self.connections[index];
                connection.sent += result as usize;
                if connection.sent < connection.filled {
                    self.send(index)?;
                } else {
                    self.recv(index)?;
                }
            }
            _ => {
                self.open -= 1;
                return Ok(self.open > 0);
            }
        }
        Ok(true)
    }

    fn opened(&mut self, result: i32) -> io::Result<()> {
        if result < 0 {
            return Err(io::Error::from_raw_os_error(-result));
        }
        let buffer = Box::new([0; BUFFER]);
        self.connections.push(Connection { fd: types::Fd(result), buffer, sent: 0, filled: 0 });
        self.open += 1;
        no_delay(result)?;
        self.recv(self.connections.len() - 1)
    }

    fn accept(&mut self) -> io::Result<()> {
        let listener = types::Fd(self.listener.as_raw_fd());
        let accept =
            opcode::Accept::new(listener, std::ptr::null_mut(), std::ptr::null_mut()).build();
        self.push(accept.user_data(ACCEPT))
    }

    fn recv(&mut self, index: usize) -> io::Result<()> {
        let Connection { fd, buffer, .. } = &mut self.connections[index];
        let recv = opcode::Recv::new(*fd, buffer.as_mut_ptr(), BUFFER as u32).build();
        self.push(recv.user_data(RECV | index as u64))
    }

    fn send(&mut self, index: usize) -> io::Result<()> {
        let Connection { fd, buffer, sent, filled } = &self.connections[index];
        let rest = &buffer[*sent..*filled];
        let send = opcode::Send::new(*fd, rest.as_ptr(), rest.len() as u32).build();
        self.push(send.user_data(SEND | index as u64))
    }

    fn close(&mut self, index: usize) -> io::Result<()> {
        let close = opcode::Close::new(self.connections[index].fd).build();
        self.push(close.user_data(CLOSE | index as u64))
    }

    fn push(&mut self, sqe: squeue::Entry) -> io::Result<()> {
        loop {
            // SAFETY: every address in an entry is a connection's own boxed buffer; a connection
            // has one operation at a time and stays in the list until the process ends.
            if unsafe { self.ring.submission().push(&sqe) }.is_ok() {
                return Ok(());
            }
            self.ring.submit()?;
        }
    }
}

fn no_delay(socket: i32) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the option's value is an int of ours, and its size is given.
    let ret = unsafe {
        libc::setsockopt(
            socket,
            libc::IPPROTO_TCP,
            libc::TCP_NODELAY,
            (&raw const on).cast(),
            size_of_val(&on) as u32,
        )
    };
    if ret == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Processor time of this process, all threads: an engine's threads count too.
fn cpu_time() -> io::Result<std::time::Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills the structure.
    if unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(std::time::Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}
