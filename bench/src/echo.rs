//! TCP echo on loopback: one server thread on io_uring, and this process as its client.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::compare::{Contender, interleave};
use crate::report::{Better, Goal, Metric, Row, Unit};
use crate::{Error, Settings, sysring};

const MESSAGE: usize = 128;
/// A server that answers nothing for this long is broken, not slow.
const PATIENCE: Duration = Duration::from_secs(10);

const METRICS: [Metric; 3] = [
    Metric { name: "messages", unit: Unit::PerSecond, better: Better::Higher },
    Metric { name: "round trip p99", unit: Unit::Microseconds, better: Better::Lower },
    Metric { name: "CPU / message", unit: Unit::Microseconds, better: Better::Lower },
];

/// The echo server on the kernel's io_uring and under `sysring run`, 1 and 64 connections.
pub fn run(settings: &Settings) -> Result<Vec<Row>, Error> {
    let server = sysring::sibling("sysring-bench-echo")?;
    let span = Duration::from_millis(match settings.seconds {
        Some(seconds) => u64::from(seconds) * 1000,
        None if settings.quick => 300,
        None => 1000,
    });
    let rounds = settings.rounds.unwrap_or(if settings.quick { 3 } else { 9 });
    let mut rows = Vec::new();
    for connections in [1, 64] {
        let once = |command: Command, kernel| once(command, kernel, connections, span);
        let samples = interleave(
            rounds,
            &mut [
                Contender::new("kernel", || once(Command::new(&server), true)),
                if settings.noise {
                    Contender::new("kernel again", || once(Command::new(&server), true))
                } else {
                    Contender::new("sysring", || once(sysring::command(settings, &server)?, false))
                },
            ],
        );
        let work = match connections {
            1 => "TCP echo, 1 connection".to_owned(),
            n => format!("TCP echo, {n} connections"),
        };
        for (index, metric) in METRICS.into_iter().enumerate() {
            let goal = Goal::Ratio { at_least: (index == 0).then_some(0.8) };
            rows.push(Row::new(&work, (index, metric), goal, &samples[0], &samples[1]));
        }
    }
    Ok(rows)
}

/// A started server; killed if the measurement fails on the way.
struct Server {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Server {
    fn start(mut command: Command) -> Result<(Server, u16, u32), Error> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let out = BufReader::new(child.stdout.take().ok_or("the server has no output")?);
        let mut server = Server { child, out };
        let words = server.line()?;
        match words.split_whitespace().collect::<Vec<_>>()[..] {
            ["port", port, "pid", pid] => Ok((server, port.parse()?, pid.parse()?)),
            _ => Err(format!("the echo server did not start; it said {words:?}").into()),
        }
    }

    /// Waits for the server's own end; the messages it counted and the CPU it took, in ns.
    fn finish(mut self) -> Result<(u64, u64), Error> {
        let words = self.line()?;
        let status = self.child.wait()?;
        match words.split_whitespace().collect::<Vec<_>>()[..] {
            ["messages", n, "cpu_ns", cpu] if status.success() => Ok((n.parse()?, cpu.parse()?)),
            _ => Err(format!("the echo server ended with {status}").into()),
        }
    }

    fn line(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        self.out.read_line(&mut line)?;
        Ok(line)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn once(
    command: Command,
    kernel: bool,
    connections: usize,
    span: Duration,
) -> Result<Vec<f64>, Error> {
    let (server, port, pid) = Server::start(command)?;
    let mut clients = Vec::with_capacity(connections);
    for _ in 0..connections {
        clients.push(Client::connect(port)?);
    }
    // The backlog takes connections before there is a ring; an answer comes from one.
    clients[0].round_trip()?;
    if sysring::holds_kernel_ring(pid)? != kernel {
        return Err(if kernel {
            "the server holds no ring of the kernel's".into()
        } else {
            "the kernel's io_uring served, not the engine".into()
        });
    }
    let (rate, latencies) = if connections == 1 {
        ping_pong(&mut clients[0], span)?
    } else {
        busy(&mut clients, span)?
    };
    drop(clients);
    let (messages, cpu) = server.finish()?;
    let p99 = latencies.value_at_quantile(0.99) as f64 / 1e3;
    Ok(vec![rate, p99, cpu as f64 / 1e3 / messages as f64])
}

struct Client {
    stream: TcpStream,
    asked: Instant,
    got: usize,
}

impl Client {
    fn connect(port: u16) -> Result<Client, Error> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Client { stream, asked: Instant::now(), got: 0 })
    }

    fn ask(&mut self) -> Result<(), Error> {
        (self.asked, self.got) = (Instant::now(), 0);
        Ok(self.stream.write_all(&[7; MESSAGE])?)
    }

    fn round_trip(&mut self) -> Result<(), Error> {
        self.ask()?;
        self.stream.read_exact(&mut [0; MESSAGE]).map_err(patience)
    }

    /// Takes what has come; true when it is the whole answer.
    fn answered(&mut self) -> Result<bool, Error> {
        match self.stream.read(&mut [0; MESSAGE]) {
            Ok(0) => Err("the echo server closed a connection".into()),
            Ok(n) => {
                self.got += n;
                Ok(self.got == MESSAGE)
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(e) => Err(e.into()),
        }
    }
}

fn patience(error: std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::WouldBlock => format!("no answer from the echo server for {PATIENCE:?}").into(),
        _ => error.into(),
    }
}

type Measured = (f64, Histogram<u64>);

/// Of nanoseconds, to three digits.
fn latencies() -> Result<Histogram<u64>, Error> {
    Ok(Histogram::new_with_bounds(1, 2 * PATIENCE.as_nanos() as u64, 3)?)
}

/// One message at a time on one connection.
fn ping_pong(client: &mut Client, span: Duration) -> Result<Measured, Error> {
    let mut latencies = latencies()?;
    let start = Instant::now();
    while start.elapsed() < span {
        client.round_trip()?;
        latencies.saturating_record(client.asked.elapsed().as_nanos() as u64);
    }
    Ok((latencies.len() as f64 / start.elapsed().as_secs_f64(), latencies))
}

/// One message at a time on each of many connections.
fn busy(clients: &mut [Client], span: Duration) -> Result<Measured, Error> {
    let poll = Poll::new()?;
    for (index, client) in clients.iter().enumerate() {
        client.stream.set_nonblocking(true)?;
        poll.add(&client.stream, index)?;
    }
    let mut latencies = latencies()?;
    let start = Instant::now();
    clients.iter_mut().try_for_each(Client::ask)?;
    let mut waiting = clients.len();
    let mut elapsed = Duration::ZERO;
    // The last answers are taken too, so that the server ends idle.
    while waiting > 0 {
        for index in poll.ready()? {
            if !clients[index].answered()? {
                continue;
            }
            latencies.saturating_record(clients[index].asked.elapsed().as_nanos() as u64);
            elapsed = start.elapsed();
            if elapsed < span {
                clients[index].ask()?;
            } else {
                waiting -= 1;
            }
        }
    }
    Ok((latencies.len() as f64 / elapsed.as_secs_f64(), latencies))
}

/// A level-triggered epoll instance.
struct Poll(i32);

impl Poll {
    fn new() -> Result<Poll, Error> {
        // SAFETY: no pointers.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 { Err(std::io::Error::last_os_error().into()) } else { Ok(Poll(fd)) }
    }

    fn add(&self, stream: &TcpStream, index: usize) -> Result<(), Error> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: index as u64 };
        // SAFETY: the event is read during the call.
        let ret =
            unsafe { libc::epoll_ctl(self.0, libc::EPOLL_CTL_ADD, stream.as_raw_fd(), &mut event) };
        if ret < 0 { Err(std::io::Error::last_os_error().into()) } else { Ok(()) }
    }

    fn ready(&self) -> Result<impl Iterator<Item = usize> + use<>, Error> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 64];
        let patience = PATIENCE.as_millis() as i32;
        // SAFETY: the array takes as many events as is said.
        let n =
            unsafe { libc::epoll_wait(self.0, events.as_mut_ptr(), events.len() as i32, patience) };
        match n {
            1.. => Ok(events.into_iter().take(n as usize).map(|event| event.u64 as usize)),
            0 => Err(format!("no answer from the echo server for {PATIENCE:?}").into()),
            _ => Err(std::io::Error::last_os_error().into()),
        }
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours.
        unsafe { libc::close(self.0) };
    }
}
