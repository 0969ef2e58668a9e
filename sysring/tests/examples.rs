//! The examples, on the kernel's io_uring, on the engine, and where io_uring is refused.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use sysring::{Engine, Ring};
use sysring_refuse::{Filter, IO_URING};

/// Makes the command of an example.
type Examples<'a> = &'a dyn Fn(&str) -> Command;

/// Runs a test in each of the three places.
fn everywhere(test: fn(Examples)) {
    match Ring::builder().engine(Engine::Kernel).build(1) {
        Ok(_) => test(&|name| in_place(name, "kernel")),
        Err(error) => println!("skipped: on the kernel: {error}"),
    }
    test(&|name| in_place(name, "user"));
    test(&|name| {
        let mut command = in_place(name, "auto");
        Filter::refusing(&IO_URING, libc::EPERM as u16).on(&mut command);
        command
    });
}

fn in_place(name: &str, engine: &str) -> Command {
    // Cargo builds examples beside the folder of tests.
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.extend(["examples", name]);
    assert!(path.exists(), "not built yet: cargo build -p sysring --examples");
    let mut command = Command::new(path);
    command.env("SYSRING_ENGINE", engine);
    command
}

/// A server that was started, and where it listens; killed when it is dropped.
struct Server {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    address: String,
}

fn start(mut command: Command) -> Server {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").expect(&line).to_owned();
    Server { child, output, address }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Several connections at once, each of which gets back what it sends.
fn expect_echo(address: &str) {
    let mut streams: Vec<_> = (0..5).map(|_| TcpStream::connect(address).unwrap()).collect();
    for round in 0..5u8 {
        for stream in &mut streams {
            stream.write_all(&vec![round; 10_000]).unwrap();
        }
        for stream in &mut streams {
            let mut back = vec![0; 10_000];
            stream.read_exact(&mut back).unwrap();
            assert!(back.iter().all(|byte| *byte == round));
        }
    }
    for mut stream in streams {
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
}

fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("sysring-examples-{name}-{}", std::process::id()))
}

/// Some bytes that are not the same everywhere.
fn data(len: u32) -> Vec<u8> {
    (0..len).map(|i| (i / 251 + i) as u8).collect()
}

#[test]
fn nop() {
    everywhere(|example| {
        let output = example("nop").output().unwrap();
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains("operation 42 returned"));
    });
}

#[test]
fn cat() {
    everywhere(|example| {
        let path = scratch("cat");
        std::fs::write(&path, data(200_000)).unwrap();
        let output = example("cat").args([&path, &path]).output().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(output.status.success() && output.stdout == data(200_000).repeat(2));
        let output = example("cat").arg("/no/such/file").output().unwrap();
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("ENOENT"));
    });
}

#[test]
fn cp() {
    everywhere(|example| {
        let (from, to) = (scratch("from"), scratch("to"));
        for len in [0, 1, 128 * 1024, 3_000_001] {
            std::fs::write(&from, data(len)).unwrap();
            assert!(example("cp").args([&from, &to]).status().unwrap().success());
            assert!(std::fs::read(&to).unwrap() == data(len));
        }
        std::fs::remove_file(from).unwrap();
        std::fs::remove_file(to).unwrap();
    });
}

#[test]
fn echo() {
    everywhere(|example| expect_echo(&start(example("echo")).address));
}

#[test]
fn pool() {
    everywhere(|example| expect_echo(&start(example("pool")).address));
}

#[test]
fn proxy() {
    everywhere(|example| {
        let target = start(example("echo"));
        let mut proxy = example("proxy");
        proxy.args(["127.0.0.1:0", &target.address]);
        expect_echo(&start(proxy).address);
    });
}

#[test]
fn udp() {
    everywhere(|example| {
        let server = start(example("udp"));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(&server.address).unwrap();
        for i in 0..20u8 {
            socket.send(&[i; 100]).unwrap();
            let mut back = [0; 200];
            assert_eq!(socket.recv(&mut back).unwrap(), 100);
            assert_eq!(back[..100], [i; 100]);
        }
    });
}

#[test]
fn send_zc() {
    everywhere(|example| {
        let path = scratch("zc");
        std::fs::write(&path, data(1_000_000)).unwrap();
        let mut command = example("send_zc");
        command.arg(&path);
        let mut server = start(command);
        let mut got = Vec::new();
        TcpStream::connect(&server.address).unwrap().read_to_end(&mut got).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(got == data(1_000_000));
        let mut said = String::new();
        server.output.read_to_string(&mut said).unwrap();
        assert!(said.starts_with("sent 1000000 bytes to 127.0.0.1:"), "{said}");
    });
}

/// Asks on an open connection, and gives the status line and the body.
fn ask(stream: &mut BufReader<TcpStream>, request: &str) -> (String, Vec<u8>) {
    stream.get_mut().write_all(request.as_bytes()).unwrap();
    answer(stream, request.starts_with("HEAD"))
}

fn answer(stream: &mut BufReader<TcpStream>, head_only: bool) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    while !matches!(head.last().map(String::as_str), Some("\r\n")) {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).unwrap() > 0, "{head:?}");
        head.push(line);
    }
    let length = head.iter().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    let mut body = vec![0; if head_only { 0 } else { length.trim().parse().unwrap() }];
    stream.read_exact(&mut body).unwrap();
    (head[0].trim_end().to_owned(), body)
}

#[test]
fn web() {
    everywhere(|example| {
        let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("web");
        std::fs::create_dir_all(root.join("public/folder")).unwrap();
        std::fs::write(root.join("secret"), "nobody's business").unwrap();
        std::fs::write(root.join("public/index.html"), "welcome").unwrap();
        std::fs::write(root.join("public/empty"), "").unwrap();
        let large = std::fs::File::create(root.join("public/large")).unwrap();
        (&large).write_all(&data(3_000_001)).unwrap();
        // Not in the cache any more, where files are on a disk: reads of it have to wait.
        large.sync_all().unwrap();
        // SAFETY: takes numbers alone.
        unsafe { libc::posix_fadvise(large.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
        let mut command = example("web");
        command.arg(root.join("public"));
        let server = start(command);
        let connect = || BufReader::new(TcpStream::connect(&server.address).unwrap());

        // Several at once, and one that goes away in the middle.
        let mut streams: Vec<_> = (0..8).map(|_| connect()).collect();
        for stream in &mut streams {
            stream.get_mut().write_all(b"GET /large HTTP/1.1\r\n\r\n").unwrap();
        }
        drop(streams.pop());
        for stream in &mut streams {
            let (status, body) = answer(stream, false);
            assert!(status == "HTTP/1.1 200 OK" && body == data(3_000_001));
        }
        // One after the other on one connection.
        let stream = &mut streams[0];
        for (request, status, body) in [
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK", "welcome"),
            ("HEAD /index.html?a=b HTTP/1.1\r\n\r\n", "200 OK", ""),
            ("GET /empty HTTP/1.1\r\n\r\n", "200 OK", ""),
            ("GET /missing HTTP/1.1\r\n\r\n", "404 Not Found", ""),
            ("GET /folder HTTP/1.1\r\n\r\n", "404 Not Found", ""),
            ("GET /../secret HTTP/1.1\r\n\r\n", "404 Not Found", ""),
            ("GET //index.html HTTP/1.1\r\n\r\n", "200 OK", "welcome"),
            ("POST / HTTP/1.1\r\n\r\n", "405 Method Not Allowed", ""),
            ("GET /a\0b HTTP/1.1\r\n\r\n", "400 Bad Request", ""),
        ] {
            let (said, got) = ask(stream, request);
            assert_eq!(said, format!("HTTP/1.1 {status}"), "{request:?}");
            assert_eq!(String::from_utf8_lossy(&got), body, "{request:?}");
        }
        // Two requests in one packet.
        let twice = "GET /index.html HTTP/1.1\r\n\r\n".repeat(2);
        assert_eq!(ask(stream, &twice).1, b"welcome");
        assert_eq!(answer(stream, false).1, b"welcome");
        std::fs::remove_dir_all(&root).unwrap();
    });
}

/// Both walks see what is there.
#[test]
fn walks() {
    let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("walks");
    let _ = std::fs::remove_dir_all(&root);
    for folder in 0..30 {
        let folder = root.join(format!("{}/{folder}", folder % 4));
        std::fs::create_dir_all(&folder).unwrap();
        for file in 0..20 {
            std::fs::write(folder.join(format!("a file {file}")), data(1000)).unwrap();
        }
        std::os::unix::fs::symlink("..", folder.join("a link")).unwrap();
    }
    // 4 + 30 directories, and 21 in each of those.
    let entries = 4 + 30 + 30 * 21;
    let run = |name: &str| {
        let output = in_place(name, "auto").arg(&root).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(run("walk").starts_with(&format!("{entries} files, ")), "{}", run("walk"));
    if cfg!(feature = "syslet") {
        let said = run("walk-in-scope");
        assert!(said.starts_with(&format!("{entries} entries, ")), "{said}");
    } else {
        println!("skipped: walk-in-scope: built without the feature syslet");
    }
    std::fs::remove_dir_all(&root).unwrap();
}
