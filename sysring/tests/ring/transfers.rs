//! Reading and writing.

use std::io::Read;
use std::ptr;

use sysring::{Errno, Iovec, op};

use crate::common::{both, file, ring, run};

fn piece(of: &mut [u8]) -> Iovec {
    Iovec { iov_base: of.as_mut_ptr().cast(), iov_len: of.len() as u64 }
}

#[test]
fn read_and_write() {
    both(|engine| {
        let mut ring = ring(engine);
        let mut file = file(b"read by the kernel");
        let mut buffer = [0; 32];
        let write = op::Write::new(&file, b"engine".as_ptr(), 6).offset(12);
        assert_eq!(run(&mut ring, write), Ok(6));
        let at = op::Read::new(&file, buffer.as_mut_ptr(), 32).offset(8);
        assert_eq!(run(&mut ring, at), Ok(10));
        assert_eq!(&buffer[..10], b"the engine");
        // Without an offset the file's position moves, as by read(2).
        assert_eq!(run(&mut ring, op::Read::new(&file, buffer.as_mut_ptr(), 5)), Ok(5));
        let mut rest = String::new();
        file.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "by the engine");
        assert_eq!(run(&mut ring, op::Read::new(&file, buffer.as_mut_ptr(), 5)), Ok(0));
        let nowhere = op::Read::new(&file, ptr::null_mut(), 5).offset(0);
        assert_eq!(run(&mut ring, nowhere), Err(Errno::EFAULT));
        let refused = op::Read::new(&file, buffer.as_mut_ptr(), 5).rw_flags(1 << 30);
        assert_eq!(run(&mut ring, refused), Err(Errno::EOPNOTSUPP));
        let closed = sysring::Fd::new(-1);
        let read = op::Read::new(closed, buffer.as_mut_ptr(), 5);
        assert_eq!(run(&mut ring, read), Err(Errno::EBADF));
    });
}

#[test]
fn pieces() {
    both(|engine| {
        let mut ring = ring(engine);
        let file = file(b"");
        let (mut a, mut b) = (*b"one ", *b"two");
        let pieces = [piece(&mut a), piece(&mut b)];
        let write = op::WriteV::new(&file, pieces.as_ptr(), 2).offset(3);
        assert_eq!(run(&mut ring, write), Ok(7));
        (a, b) = ([0; 4], [0; 3]);
        let pieces = [piece(&mut a), piece(&mut b)];
        let read = op::ReadV::new(&file, pieces.as_ptr(), 2).offset(3);
        assert_eq!(run(&mut ring, read), Ok(7));
        assert_eq!((&a, &b), (b"one ", b"two"));
        let many = op::ReadV::new(&file, pieces.as_ptr(), 1025).offset(0);
        assert_eq!(run(&mut ring, many), Err(Errno::EINVAL));
    });
}
