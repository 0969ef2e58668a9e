//! Descriptors, threads and buffers stay flat, whatever is dropped.

use std::io::Write;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use sysring::future::{self, Executor, TcpListener, block_on, timeout};
use sysring::owned::{Handle, OpenOptions, Pool, Ring};
use sysring::{Engine, Ring as Raw};

fn count(what: &str) -> usize {
    std::fs::read_dir(format!("/proc/self/{what}")).unwrap().count()
}

/// A bit of everything, of which most is not waited for.
fn round(engine: Engine) {
    let ring = Ring::with(&Raw::builder().engine(engine), 16).unwrap();
    ring.register_direct(4).unwrap();
    let pool = Pool::new(&ring, 4, 64).unwrap();
    let (mut us, them) = UnixStream::pair().unwrap();
    let them = Handle::from(them);
    us.write_all(b"some bytes").unwrap();

    let mut incoming = ring.recv_multi(&them, &pool);
    drop(incoming.wait_next());
    let mut stuck: Vec<_> = (0..30).map(|_| ring.recv(&them, vec![0; 512])).collect();
    stuck.iter_mut().for_each(|recv| recv.start());
    let mut open = ring.open("/proc/version", OpenOptions::reading());
    open.start();
    let mut direct = ring.open_direct("/proc/version", OpenOptions::reading());
    direct.start();
    ring.wait(None);
    drop((stuck, open));

    let listener = TcpListener::bind(&ring, "127.0.0.1:0").unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let executor = Executor::new(&ring);
    let ring = &ring;
    drop(executor.spawn(ring.sleep(Duration::from_secs(60))));
    executor.run(async {
        drop(listener.accept().await.unwrap());
        assert!(timeout(ring, Duration::from_millis(1), listener.accept()).await.is_err());
    });
    let stream = future::TcpStream::new(ring, them);
    let late = async { stream.recv(vec![0; 64]).await.0 };
    assert!(block_on(ring, timeout(ring, Duration::from_millis(1), late)).is_err());
}

fn stays_flat(engine: Engine) {
    if let Err(error) = Raw::builder().engine(engine).build(1) {
        println!("skipped: on {engine:?}: {error}");
        return;
    }
    for _ in 0..5 {
        round(engine);
    }
    let descriptors = count("fd");
    for _ in 0..50 {
        round(engine);
    }
    // The kernel closes some files, and ends its threads, a little later.
    let deadline = Instant::now() + Duration::from_secs(30);
    while count("fd") > descriptors || count("task") > 6 {
        let (now, tasks) = (count("fd"), count("task"));
        assert!(
            Instant::now() < deadline,
            "{descriptors} descriptors became {now}; {tasks} threads"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// One test for both engines: they count what the whole process has.
#[test]
fn nothing_is_left_behind() {
    stays_flat(Engine::Kernel);
    stays_flat(Engine::User);
}
