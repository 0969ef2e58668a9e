//! Groups of buffers, and registered ones.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use sysring::{Errno, Iovec, Ring, op};

use crate::common::{both, complete, file, knows, ring, run};

#[test]
fn a_group_that_operations_make() {
    both(|engine| {
        let mut ring = ring(engine);
        let mut memory = [0u8; 64];
        let provide = op::ProvideBuffers::new(memory.as_mut_ptr(), 16, 4, 7, 1);
        assert_eq!(run(&mut ring, provide), Ok(0));
        let file = file(b"into a buffer of the group");
        let read = op::Read::new(&file, std::ptr::null_mut(), 16).buffer_group(7).offset(7);
        let completion = complete(&mut ring, read);
        assert_eq!(completion.result(), Ok(16));
        let id = completion.buffer_id().unwrap();
        assert!((1..=4).contains(&id));
        let start = usize::from(id - 1) * 16;
        assert_eq!(&memory[start..start + 16], b"buffer of the gr");
        assert_eq!(run(&mut ring, op::RemoveBuffers::new(8, 7)), Ok(3));
        assert_eq!(run(&mut ring, read), Err(Errno::ENOBUFS));
        assert_eq!(run(&mut ring, op::RemoveBuffers::new(1, 8)), Err(Errno::ENOENT));
    });
}

#[test]
fn every_buffer_of_a_ring_comes_again() {
    both(|engine| {
        let mut ring = ring(engine);
        let buffers = ring.register().buffer_ring(3, 4, 8).unwrap();
        assert_eq!(ring.register().buffer_ring(3, 4, 8).unwrap_err(), Errno::EEXIST);
        assert_eq!(ring.register().buffer_ring(4, 3, 8).unwrap_err(), Errno::EINVAL);
        let (receiver, mut sender) = UnixStream::pair().unwrap();
        let receive = op::Recv::multishot(&receiver, buffers.group());
        // SAFETY: the group outlives the operation, which ends below.
        unsafe { ring.push(receive) }.unwrap();
        for round in 0..20u8 {
            sender.write_all(&[round; 5]).unwrap();
            ring.submit_and_wait(1).unwrap();
            let completion = ring.completion().unwrap();
            assert!(completion.more());
            // SAFETY: of this group; the second time is what is tested.
            let taken = unsafe { [buffers.take(&completion), buffers.take(&completion)] };
            let [Some(buffer), None] = taken else { panic!("{taken:?}") };
            assert_eq!(&*buffer, [round; 5]);
        }
        // What is not given back is not filled.
        let mut held = Vec::new();
        sender.write_all(&[9; 40]).unwrap();
        loop {
            ring.submit_and_wait(1).unwrap();
            let completion = ring.completion().unwrap();
            // SAFETY: of this group, and taken once.
            match unsafe { buffers.take(&completion) } {
                Some(buffer) => held.push(buffer),
                None => {
                    assert_eq!(completion.result(), Err(Errno::ENOBUFS));
                    assert!(!completion.more());
                    break;
                }
            }
        }
        assert_eq!(held.len(), 4);
        let mut ids: Vec<_> = held.iter().map(|buffer| buffer.id()).collect();
        ids.sort();
        assert_eq!(ids, [0, 1, 2, 3]);
        drop(held);
        if let Ok(head) = ring.register().buffer_ring_head(3) {
            assert_eq!(head, 24);
        }
        buffers.unregister(ring.register()).unwrap();
        assert_eq!(ring.register().unregister_buffer_ring(3), Err(Errno::ENOENT));
    });
}

#[test]
fn reads_come_again_and_again() {
    both(|engine| {
        let mut ring = ring(engine);
        if !knows(&ring, op::ReadMultishot::CODE) {
            return;
        }
        let buffers = ring.register().buffer_ring(0, 4, 16).unwrap();
        let (reader, mut writer) = std::io::pipe().unwrap();
        // SAFETY: the group outlives the operation, which ends with the writer.
        unsafe { ring.push(op::ReadMultishot::new(&reader, 0)) }.unwrap();
        for round in 0..10u8 {
            writer.write_all(&[round; 3]).unwrap();
            ring.submit_and_wait(1).unwrap();
            let completion = ring.completion().unwrap();
            assert_eq!((completion.result(), completion.more()), (Ok(3), true), "{round}");
            // SAFETY: of this group, and taken once.
            assert_eq!(&*unsafe { buffers.take(&completion) }.unwrap(), [round; 3]);
        }
        drop(writer);
        ring.submit_and_wait(1).unwrap();
        let last = ring.completion().unwrap();
        assert_eq!((last.result(), last.more()), (Ok(0), false));
        let file = file(b"no stream");
        let read = op::ReadMultishot::new(&file, 0);
        assert_eq!(complete(&mut ring, read).result(), Err(Errno::EBADFD));
    });
}

#[test]
fn registered_buffers() {
    both(|engine| {
        let mut ring = ring(engine);
        let file = file(b"registered");
        let mut memory = [0u8; 16];
        let at = memory.as_mut_ptr();
        let read = |index| op::ReadFixed::new(&file, at, 16, index).offset(0);
        assert_eq!(run(&mut ring, read(0)), Err(Errno::EFAULT));
        let piece = Iovec { iov_base: at.cast(), iov_len: 16 };
        // SAFETY: the memory outlives the ring.
        unsafe { ring.register().buffers(&[piece]) }.unwrap();
        assert_eq!(run(&mut ring, read(0)), Ok(10));
        assert_eq!(run(&mut ring, read(1)), Err(Errno::EFAULT));
        let beyond = op::ReadFixed::new(&file, at.wrapping_add(1), 16, 0);
        assert_eq!(run(&mut ring, beyond), Err(Errno::EFAULT));
        let write = op::WriteFixed::new(&file, at, 3, 0).offset(10);
        assert_eq!(run(&mut ring, write), Ok(3));
        assert_eq!(file.metadata().unwrap().len(), 13);
        if knows(&ring, op::ReadVFixed::CODE) {
            let parts = [
                Iovec { iov_base: at.wrapping_add(8).cast(), iov_len: 4 },
                Iovec { iov_base: at.cast(), iov_len: 4 },
            ];
            let write = op::WriteVFixed::new(&file, parts.as_ptr(), 2, 0).offset(0);
            assert_eq!(run(&mut ring, write), Ok(8));
            let read = op::ReadVFixed::new(&file, parts.as_ptr(), 2, 0).offset(4);
            assert_eq!(run(&mut ring, read), Ok(8));
            let out = Iovec { iov_base: at.wrapping_add(14).cast(), iov_len: 4 };
            let read = op::ReadVFixed::new(&file, &out, 1, 0).offset(4);
            assert_eq!(run(&mut ring, read), Err(Errno::EFAULT));
        }
        let other = Ring::builder().engine(engine).build(4).unwrap();
        // SAFETY: as above.
        unsafe { other.register().clone_buffers(&ring) }.unwrap();
        // SAFETY: as above.
        assert_eq!(unsafe { other.register().clone_buffers(&ring) }, Err(Errno::EBUSY));
        other.register().unregister_buffers().unwrap();
        assert_eq!(other.register().unregister_buffers(), Err(Errno::ENXIO));
    });
}

#[test]
fn a_pool_hands_each_buffer_out_once() {
    both(|engine| {
        let mut ring = ring(engine);
        let pool = ring.register().buffer_pool(40, 64).unwrap();
        let held: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        let mut indexes: Vec<_> = held.iter().map(|buffer| buffer.index()).collect();
        indexes.sort();
        assert_eq!(indexes, (0..40).collect::<Vec<_>>());
        drop(held);
        let mut file = file(b"");
        let (mut first, mut second) = (pool.take().unwrap(), pool.take().unwrap());
        first.fill(7);
        assert_eq!(run(&mut ring, first.write(&file, 1000).offset(0)), Ok(64));
        assert_eq!(run(&mut ring, second.read(&file, 60).offset(0)), Ok(60));
        assert_eq!(second[..60], first[..60]);
        assert_ne!(second[60..], first[60..]);
        let mut all = Vec::new();
        file.read_to_end(&mut all).unwrap();
        assert_eq!(all, [7; 64]);
        assert_eq!(ring.register().buffer_pool(4, 64).unwrap_err(), Errno::EBUSY);
    });
}

#[test]
fn a_bundle_has_its_buffers_in_order() {
    both(|engine| {
        let mut ring = ring(engine);
        let buffers = ring.register().buffer_ring(3, 8, 3).unwrap();
        let (receiver, mut sender) = UnixStream::pair().unwrap();
        let receive = op::Recv::multishot(&receiver, buffers.group()).bundle();
        // SAFETY: the group outlives the operation, which ends below.
        unsafe { ring.push(receive) }.unwrap();
        let (mut sent, mut received, mut random) = (0u32, 0u32, 1u32);
        let mut held = Vec::new();
        for round in 0..500 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let count = 1 + (random >> 16) % 9;
            let bytes: Vec<u8> = (sent..sent + count).map(|i| i as u8).collect();
            sender.write_all(&bytes).unwrap();
            sent += count;
            while received < sent {
                ring.submit_and_wait(1).unwrap();
                let completion = ring.completion().unwrap();
                if completion.result() == Err(Errno::EINVAL) {
                    return println!("skipped: bundles are not known before Linux 6.10");
                }
                if !completion.more() {
                    // It ends where a bundle has taken all buffers that there were.
                    // SAFETY: as above.
                    unsafe { ring.push(receive) }.unwrap();
                }
                // SAFETY: of this group, and taken once.
                let mut bundle = unsafe { buffers.take_bundle(&completion) };
                if round % 7 == 6 {
                    // Not looked at: all of them go back.
                    received += completion.result().unwrap();
                    bundle.next();
                    continue;
                }
                for buffer in bundle {
                    for byte in buffer.iter() {
                        assert_eq!(*byte, received as u8, "round {round}");
                        received += 1;
                    }
                    held.push(buffer);
                }
            }
            while held.len() > 5 {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                held.swap_remove((random >> 16) as usize % held.len());
            }
        }
        drop(held);
        drop(sender);
        ring.submit_and_wait(1).unwrap();
        let end = ring.completion().unwrap();
        assert_eq!((end.result(), end.more()), (Ok(0), false));
        // SAFETY: as above.
        assert_eq!(unsafe { buffers.take_bundle(&end) }.count(), 0);
    });
}
