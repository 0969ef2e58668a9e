//! Sends of many buffers at once.

use std::io::Read;
use std::os::unix::net::UnixStream;

use sysring::Errno;
use sysring::owned::{Handle, Outbox, Ring};

use crate::common::{Alive, both};

/// Whether the kernel sends in bundles; if not, says so.
fn has_bundles(ring: &Ring) -> bool {
    const RECVSEND_BUNDLE: u32 = 1 << 14;
    let has = ring.report().features() & RECVSEND_BUNDLE != 0;
    if !has {
        println!("skipped: no bundles, {}", ring.report());
    }
    has
}

fn pair() -> (Handle, UnixStream) {
    let (us, them) = UnixStream::pair().unwrap();
    (us.into(), them)
}

#[test]
fn everything_is_sent_in_its_order() {
    both(|ring| {
        if !has_bundles(&ring) {
            return;
        }
        let (us, mut them) = pair();
        let outbox = Outbox::new(&ring, 16).unwrap();
        let (mut put, mut told, mut random) = (0u32, 0u32, 1u32);
        let mut all = Vec::new();
        for round in 0..300 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            for _ in 0..1 + (random >> 16) % 16 {
                let piece = format!("{put},").into_bytes();
                all.extend_from_slice(&piece);
                outbox.put(piece).unwrap();
                put += 1;
            }
            let mut bundles = ring.send_bundles(&us, &outbox);
            let mut last = false;
            while let Some(sent) = bundles.wait_next() {
                let sent = sent.unwrap();
                assert!(!last, "round {round}: an item after the last one");
                last = sent.is_empty();
                for piece in sent {
                    assert_eq!(piece, format!("{told},").into_bytes());
                    told += 1;
                }
            }
            assert_eq!((told, outbox.len()), (put, 0), "round {round}");
            let mut came = vec![0; all.len()];
            them.read_exact(&mut came).unwrap();
            assert!(came == all, "round {round}");
            all.clear();
        }
    });
}

#[test]
fn more_is_put_while_it_is_under_way() {
    both(|ring| {
        if !has_bundles(&ring) {
            return;
        }
        let (us, mut them) = pair();
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            them.read_to_end(&mut all).unwrap();
            all
        });
        let outbox = Outbox::new(&ring, 4).unwrap();
        // More than a socket holds at a time.
        let piece = |i: u8| vec![i; 100_000];
        let mut next = 0;
        while next < 40 {
            while next < 40 && outbox.len() < 4 {
                outbox.put(piece(next)).unwrap();
                next += 1;
            }
            for sent in std::iter::from_fn({
                let mut bundles = ring.send_bundles(&us, &outbox);
                move || bundles.wait_next()
            }) {
                for _ in sent.unwrap() {
                    if next < 40 {
                        outbox.put(piece(next)).unwrap();
                        next += 1;
                    }
                }
            }
        }
        assert!(outbox.is_empty());
        drop(us);
        let all = reader.join().unwrap();
        assert_eq!(all.len(), 40 * 100_000);
        assert!(all.chunks(100_000).enumerate().all(|(i, c)| c.iter().all(|b| *b == i as u8)));
    });
}

#[test]
fn an_outbox_has_room_for_so_many() {
    both(|ring| {
        let outbox = Outbox::new(&ring, 2).unwrap();
        assert_eq!(outbox.put(Vec::new()), Err(Vec::new()));
        outbox.put(b"one".to_vec()).unwrap();
        outbox.put(b"two".to_vec()).unwrap();
        assert_eq!(outbox.put(b"three".to_vec()), Err(b"three".to_vec()));
        let mut left = outbox.into_buffers().unwrap();
        left.sort();
        assert_eq!(left, [b"one".to_vec(), b"two".to_vec()]);
        assert_eq!(Outbox::<Vec<u8>>::new(&ring, 3).unwrap_err(), Errno::EINVAL);
    });
}

#[test]
fn what_was_not_sent_is_not_lost() {
    both(|ring| {
        if !has_bundles(&ring) {
            return;
        }
        let alive = Alive::default();
        let (us, them) = pair();
        drop(them);
        let outbox = Outbox::new(&ring, 4).unwrap();
        for _ in 0..3 {
            assert!(outbox.put(alive.buffer(8)).is_ok());
        }
        let mut bundles = ring.send_bundles(&us, &outbox);
        assert_eq!(bundles.wait_next().unwrap().err(), Some(Errno::EPIPE));
        assert!(bundles.wait_next().is_none());
        let Err(outbox) = outbox.into_buffers() else { panic!("a bundle has it") };
        drop(bundles);
        assert_eq!(outbox.into_buffers().unwrap().len(), 3);
        assert_eq!(alive.count(), 0);
    });
}

#[test]
fn buffers_stay_while_the_kernel_may_read_them() {
    both(|ring| {
        if !has_bundles(&ring) {
            return;
        }
        let alive = Alive::default();
        let (us, them) = pair();
        let outbox = Outbox::new(&ring, 8).unwrap();
        for _ in 0..8 {
            assert!(outbox.put(alive.buffer(1 << 20)).is_ok());
        }
        let mut bundles = ring.send_bundles(&us, &outbox);
        bundles.start();
        ring.submit().unwrap();
        // Nobody reads: it cannot end, and it is dropped with its outbox.
        drop(outbox);
        assert_eq!(alive.count(), 8);
        drop(bundles);
        while alive.count() > 0 {
            ring.nop().wait().unwrap();
        }
        drop(them);
        // Another ring's is refused.
        let other = Ring::new(4).unwrap();
        let outbox = Outbox::new(&other, 1).unwrap();
        outbox.put("x").unwrap();
        assert_eq!(ring.send_bundles(&us, &outbox).wait_next(), Some(Err(Errno::ENOENT)));
        assert_eq!(outbox.len(), 1);
    });
}

#[test]
fn nothing_follows_a_buffer_that_was_cut_off() {
    both(|ring| {
        if !has_bundles(&ring) {
            return;
        }
        let (us, mut them) = pair();
        let outbox = Outbox::new(&ring, 2).unwrap();
        outbox.put(vec![1; 4 << 20]).unwrap();
        outbox.put(vec![2; 1 << 10]).unwrap();
        let mut bundles = ring.send_bundles(&us, &outbox);
        bundles.start();
        ring.submit().unwrap();
        // It has begun, and the socket is full.
        them.read_exact(&mut [0]).unwrap();
        bundles.cancel();
        assert_eq!(bundles.wait_next(), Some(Err(Errno::ECANCELED)));
        assert_eq!(bundles.wait_next(), None);
        drop(bundles);
        // Not by another bundle either.
        assert_eq!(ring.send_bundles(&us, &outbox).wait_next(), Some(Err(Errno::ECANCELED)));
        assert_eq!(outbox.into_buffers().unwrap().len(), 2);
        drop(us);
        let mut rest = Vec::new();
        them.read_to_end(&mut rest).unwrap();
        assert!(rest.iter().all(|byte| *byte == 1));
    });
}
