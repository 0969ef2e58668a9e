//! Buffers that the kernel knows: pools, registered ones, and direct descriptors.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

use sysring::Errno;
use sysring::owned::{Handle, OpenOptions, Pool, Ring};

use crate::common::both;

fn pair() -> (UnixStream, Handle) {
    let (us, them) = UnixStream::pair().unwrap();
    (us, them.into())
}

#[test]
fn leases_go_back() {
    both(|ring| {
        let pool = Pool::new(&ring, 4, 64).unwrap();
        let (mut us, them) = pair();
        let mut leases = Vec::new();
        for i in 0..4u8 {
            us.write_all(&[i; 3]).unwrap();
            leases.push(ring.recv_pooled(&them, &pool).wait().unwrap());
            assert_eq!(leases[usize::from(i)][..], [i; 3]);
        }
        us.write_all(b"more").unwrap();
        assert_eq!(ring.recv_pooled(&them, &pool).wait().unwrap_err(), Errno::ENOBUFS);
        leases.swap_remove(2);
        assert_eq!(ring.recv_pooled(&them, &pool).wait().unwrap()[..], *b"more");
        // Three are out; the rest is used again and again.
        for i in 0..100u8 {
            us.write_all(&[i; 8]).unwrap();
            assert_eq!(ring.recv_pooled(&them, &pool).wait().unwrap()[..], [i; 8]);
        }
        assert_eq!(leases[0][..], [0; 3]);
        drop(us);
        assert!(ring.recv_pooled(&them, &pool).wait().unwrap().is_empty());
    });
}

#[test]
fn a_stream_of_leases_can_be_sent_on_as_they_are() {
    both(|ring| {
        let pool = Pool::new(&ring, 8, 16).unwrap();
        let (mut us, them) = pair();
        let mut incoming = ring.recv_multi(&them, &pool);
        for text in [&b"one"[..], b"two", b"three"] {
            us.write_all(text).unwrap();
            let lease = incoming.wait_next().unwrap().unwrap();
            assert_eq!(ring.send_all(&them, lease).wait().0, Ok(text.len()));
            let mut back = vec![0; text.len()];
            us.read_exact(&mut back).unwrap();
            assert_eq!(back, text);
        }
        us.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(incoming.wait_next().unwrap().unwrap().is_empty());
        assert!(incoming.wait_next().is_none());
        assert!(incoming.wait_next().is_none());
    });
}

#[test]
fn a_stream_ends_with_an_error_when_buffers_run_out() {
    both(|ring| {
        let pool = Pool::new(&ring, 2, 4).unwrap();
        let (mut us, them) = pair();
        us.write_all(b"aaaabbbbcccc").unwrap();
        let mut incoming = ring.recv_multi(&them, &pool);
        let a = incoming.wait_next().unwrap().unwrap();
        let b = incoming.wait_next().unwrap().unwrap();
        assert_eq!((&a[..], &b[..]), (&b"aaaa"[..], &b"bbbb"[..]));
        assert_eq!(incoming.wait_next().unwrap().unwrap_err(), Errno::ENOBUFS);
        assert!(incoming.wait_next().is_none());
        drop((a, b));
        let mut again = ring.recv_multi(&them, &pool);
        assert_eq!(again.wait_next().unwrap().unwrap()[..], *b"cccc");
        again.cancel();
        assert_eq!(again.wait_next().unwrap().unwrap_err(), Errno::ECANCELED);
    });
}

#[test]
fn pools_come_and_go() {
    both(|ring| {
        assert_eq!(Pool::new(&ring, 3, 64).unwrap_err(), Errno::EINVAL);
        assert_eq!(Pool::new(&ring, 4, 0).unwrap_err(), Errno::EINVAL);
        let kept = Pool::new(&ring, 2, 8).unwrap();
        for _ in 0..50 {
            let pool = Pool::new(&ring, 2, 8).unwrap();
            let (mut us, them) = pair();
            us.write_all(b"x").unwrap();
            let lease = ring.recv_pooled(&them, &pool).wait().unwrap();
            // The lease keeps the pool.
            drop(pool);
            assert_eq!(lease[..], *b"x");
        }
        // Leases outlive even the ring.
        let (mut us, them) = pair();
        us.write_all(b"y").unwrap();
        let lease = ring.recv_pooled(&them, &kept).wait().unwrap();
        drop((kept, ring));
        assert_eq!(lease[..], *b"y");
    });
}

#[test]
fn what_belongs_to_another_ring_is_refused() {
    both(|ring| {
        let other = Ring::new(8).unwrap();
        let pool = Pool::new(&other, 2, 8).unwrap();
        let (mut us, them) = pair();
        us.write_all(b"x").unwrap();
        assert_eq!(ring.recv_pooled(&them, &pool).wait().unwrap_err(), Errno::ENOBUFS);

        let buffer = other.register_buffers(1, 64).unwrap().remove(0);
        let file = Handle::from(std::fs::File::open("/proc/version").unwrap());
        assert_eq!(ring.read_fixed(&file, buffer, 0).wait().0, Err(Errno::EFAULT));

        other.register_direct(2).unwrap();
        let file = other.open_direct("/proc/version", OpenOptions::reading()).wait().unwrap();
        assert_eq!(ring.read_at(&file, [0; 5], 0).wait().0, Err(Errno::EBADF));
        assert_eq!(other.read_at(&file, [0; 5], 0).wait().1, *b"Linux");
    });
}

#[test]
fn registered_buffers() {
    both(|ring| {
        let mut buffers = ring.register_buffers(2, 4096).unwrap();
        assert_eq!(ring.register_buffers(1, 4096).unwrap_err(), Errno::EBUSY);
        let (to, from) = (buffers.remove(0), buffers.remove(0));
        let file = Handle::from(std::fs::File::open("/proc/self/exe").unwrap());
        let (count, read) = ring.read_fixed(&file, from, 0).wait();
        assert_eq!((count, &read[..4]), (Ok(4096), &b"\x7fELF"[..]));
        let path = std::env::temp_dir().join(format!("sysring-fixed-{}", std::process::id()));
        let options = OpenOptions::writing().read(true);
        let copy = ring.open(&path, options).wait().unwrap();
        std::fs::remove_file(&path).unwrap();
        let (count, mut read) = ring.write_fixed(&copy, read, 0).wait();
        assert_eq!(count, Ok(4096));
        let (count, back) = ring.read_fixed(&copy, to, 4).wait();
        assert_eq!((count, back.len()), (Ok(4092), 4092));
        assert_eq!(back[..], read[4..]);
        read.set_len(0);
        assert!(read.is_empty());
    });
}

#[test]
fn direct_descriptors_are_closed_with_their_last_handle() {
    both(|ring| {
        let no_table = ring.open_direct("/proc/version", OpenOptions::reading()).wait();
        assert_eq!(no_table.unwrap_err(), Errno::ENFILE);
        ring.register_direct(2).unwrap();
        assert_eq!(ring.register_direct(2), Err(Errno::EBUSY));
        for _ in 0..20 {
            let open = || ring.open_direct("/proc/version", OpenOptions::reading()).wait();
            let (one, other) = (open().unwrap(), open().unwrap());
            assert!(one.is_direct() && one.fd().is_none());
            assert_eq!(open().unwrap_err(), Errno::ENFILE);
            assert_eq!(ring.read_at(&one, [0; 5], 0).wait().1, *b"Linux");
            assert!(other.into_fd().is_err());
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        let mut connections = ring.accept_multi_direct(&listener.into());
        let connection = connections.wait_next().unwrap().unwrap();
        assert_eq!(ring.send(&connection, "by slot").wait().0, Ok(7));
        drop(connection);
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "by slot");
    });
}

/// Whether bundles are known here (Linux 6.10).
fn has_bundles(ring: &Ring, pool: &Pool) -> bool {
    let (mut us, them) = pair();
    us.write_all(b"?").unwrap();
    let known = !matches!(ring.recv_bundle(&them, pool).wait(), Err(Errno::EINVAL));
    if !known {
        println!("skipped: bundles are not known here");
    }
    known
}

#[test]
fn a_bundle_takes_as_many_buffers_as_it_needs() {
    both(|ring| {
        let pool = Pool::new(&ring, 8, 4).unwrap();
        if !has_bundles(&ring, &pool) {
            return;
        }
        let (mut us, them) = pair();
        us.write_all(b"aaaabbbbcc").unwrap();
        // Several at once, two at least.
        let mut leases = ring.recv_bundle(&them, &pool).wait().unwrap();
        assert!(leases.len() >= 2);
        while leases.len() < 3 {
            leases.extend(ring.recv_bundle(&them, &pool).wait().unwrap());
        }
        let pieces: Vec<&[u8]> = leases.iter().map(|lease| &lease[..]).collect();
        assert_eq!(pieces, [&b"aaaa"[..], b"bbbb", b"cc"]);
        // They can be sent on as they are.
        assert_eq!(ring.send_vectored(&them, leases).wait().0, Ok(10));
        let mut back = [0; 10];
        us.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"aaaabbbbcc");
        us.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(ring.recv_bundle(&them, &pool).wait().unwrap().is_empty());
    });
}

#[test]
fn bundles_follow_the_order_in_which_buffers_went_back() {
    both(|ring| {
        let pool = Pool::new(&ring, 8, 3).unwrap();
        if !has_bundles(&ring, &pool) {
            return;
        }
        let (mut us, them) = pair();
        let mut incoming = ring.recv_bundles(&them, &pool);
        let mut kept = Vec::new();
        let (mut sent, mut received) = (0u32, 0u32);
        let mut random = 1u32;
        for round in 0..500 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let count = 1 + random % 9;
            let bytes: Vec<u8> = (sent..sent + count).map(|i| i as u8).collect();
            us.write_all(&bytes).unwrap();
            sent += count;
            while received < sent {
                for lease in incoming.wait_next().unwrap().unwrap() {
                    for byte in &lease[..] {
                        assert_eq!(*byte, received as u8, "round {round}");
                        received += 1;
                    }
                    kept.push((lease.to_vec(), lease));
                }
            }
            // Some go back, in any order; three are enough for what comes next.
            while kept.len() > 5 {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let (was, lease) = kept.swap_remove((random >> 16) as usize % kept.len());
                assert_eq!(was, &lease[..], "nobody writes to a buffer that is out");
            }
        }
        drop(us);
        assert!(incoming.wait_next().unwrap().unwrap().is_empty());
        assert!(incoming.wait_next().is_none());
    });
}

#[test]
fn a_receive_that_fails_gives_its_buffer_back() {
    both(|ring| {
        let pool = Pool::new(&ring, 1, 16).unwrap();
        let (mut us, them) = pair();
        for _ in 0..3 {
            // A worker has a buffer when it is interrupted.
            let mut receive = ring.recv_pooled(&them, &pool).asynchronous();
            receive.start();
            ring.submit().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(10));
            receive.cancel();
            assert!(receive.wait().is_err());
        }
        us.write_all(b"here").unwrap();
        assert_eq!(ring.recv_pooled(&them, &pool).wait().unwrap()[..], *b"here");
    });
}
