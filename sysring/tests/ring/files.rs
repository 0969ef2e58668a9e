//! Operations on open files, beside the plain calls.

use std::os::fd::AsRawFd;
use std::ptr;

use sysring::{Errno, Fd, Fixed, Slot, op};

use crate::common::{both, file, knows, plain, ring, run};

fn pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    std::io::pipe().unwrap()
}

#[test]
fn syncing_and_sizes() {
    both(|engine| {
        let mut ring = ring(engine);
        let file = file(b"0123456789");
        let (reader, _writer) = pipe();
        let len = || file.metadata().unwrap().len();

        assert_eq!(run(&mut ring, op::Fsync::new(&file)), Ok(0));
        assert_eq!(run(&mut ring, op::Fsync::new(&file).data_only().range(0, 5)), Ok(0));
        // SAFETY: an open descriptor.
        let as_plain = plain(unsafe { libc::fsync(reader.as_raw_fd()) });
        assert_eq!(run(&mut ring, op::Fsync::new(&reader)), as_plain);
        assert_eq!(run(&mut ring, op::SyncFileRange::new(&file, 0, 0, 2)), Ok(0));
        assert_eq!(run(&mut ring, op::SyncFileRange::new(&file, 0, 0, 8)), Err(Errno::EINVAL));

        let allocate = op::Fallocate::new(&file, 10, 4086);
        assert_eq!(run(&mut ring, allocate), Ok(0));
        assert_eq!(len(), 4096);
        let keep = op::Fallocate::new(&file, 4096, 4096).mode(libc::FALLOC_FL_KEEP_SIZE as u32);
        assert_eq!(run(&mut ring, keep), Ok(0));
        assert_eq!(len(), 4096);
        assert_eq!(run(&mut ring, op::Fallocate::new(&file, 0, 0)), Err(Errno::EINVAL));
        assert_eq!(run(&mut ring, op::Fallocate::new(&reader, 0, 1)), Err(Errno::EBADF));
        if knows(&ring, op::Ftruncate::CODE) {
            assert_eq!(run(&mut ring, op::Ftruncate::new(&file, 7)), Ok(0));
            assert_eq!(len(), 7);
            assert_eq!(run(&mut ring, op::Ftruncate::new(&reader, 7)), Err(Errno::EINVAL));
            assert_eq!(run(&mut ring, op::Ftruncate::new(&file, 1 << 63)), Err(Errno::EINVAL));
        }
    });
}

#[test]
fn advice() {
    both(|engine| {
        let mut ring = ring(engine);
        let file = file(b"0123456789");
        let (reader, _writer) = pipe();
        let advise = |advice| op::Fadvise::new(&file, 0, 10, advice);
        assert_eq!(run(&mut ring, advise(libc::POSIX_FADV_RANDOM as u32)), Ok(0));
        assert_eq!(run(&mut ring, advise(99)), Err(Errno::EINVAL));
        assert_eq!(run(&mut ring, op::Fadvise::new(&reader, 0, 1, 0)), Err(Errno::ESPIPE));

        let anywhere = ptr::null_mut();
        let (access, kind) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping.
        let page = unsafe { libc::mmap(anywhere, 4096, access, kind, -1, 0) }.cast::<u8>();
        // SAFETY: ours.
        unsafe { page.write(1) };
        let discard = op::Madvise::new(page, 4096, libc::MADV_DONTNEED as u32);
        assert_eq!(run(&mut ring, discard), Ok(0));
        // SAFETY: ours.
        assert_eq!(unsafe { page.read_volatile() }, 0);
        let crooked = op::Madvise::new(page.wrapping_add(1), 1, libc::MADV_DONTNEED as u32);
        assert_eq!(run(&mut ring, crooked), Err(Errno::EINVAL));
        // SAFETY: ours, and used no more.
        unsafe { libc::munmap(page.cast(), 4096) };
    });
}

#[test]
fn from_pipe_to_pipe() {
    both(|engine| {
        use std::io::{Read, Write};
        let mut ring = ring(engine);
        let source = file(b"through the pipe");
        let (mut reader, mut writer) = pipe();
        let splice = op::Splice::new(&source, &writer, 7).from_offset(12);
        assert_eq!(run(&mut ring, splice), Ok(4));
        let (mut copy, copied) = pipe();
        assert_eq!(run(&mut ring, op::Tee::new(&reader, &copied, 100)), Ok(4));
        let mut four = [0; 4];
        copy.read_exact(&mut four).unwrap();
        assert_eq!(&four, b"pipe");
        let target = file(b"");
        assert_eq!(run(&mut ring, op::Splice::new(&reader, &target, 4).to_offset(2)), Ok(4));
        assert_eq!(target.metadata().unwrap().len(), 6);
        let neither = op::Splice::new(&source, &target, 4);
        assert_eq!(run(&mut ring, neither), Err(Errno::EINVAL));
        assert_eq!(run(&mut ring, op::Tee::new(&source, &copied, 4)), Err(Errno::EINVAL));
        // The source may be a registered file.
        writer.write_all(b"abc").unwrap();
        ring.register().files(&[Fd::new(reader.as_raw_fd())]).unwrap();
        assert_eq!(run(&mut ring, op::Splice::new(Fixed(0), &copied, 3)), Ok(3));
        assert_eq!(run(&mut ring, op::Splice::new(Fixed(1), &copied, 3)), Err(Errno::EBADF));
        copy.read_exact(&mut four[..3]).unwrap();
        assert_eq!(&four[..3], b"abc");
        drop(writer);
        assert_eq!(reader.read(&mut four).unwrap(), 0);
    });
}

#[test]
fn pipes() {
    both(|engine| {
        let mut ring = ring(engine);
        if !knows(&ring, op::Pipe::CODE) {
            return;
        }
        let mut ends = [-1; 2];
        let new = op::Pipe::new(&mut ends).pipe_flags(libc::O_CLOEXEC as u32);
        assert_eq!(run(&mut ring, new), Ok(0));
        let [from, to] = ends.map(Fd::new);
        assert_eq!(run(&mut ring, op::Write::new(to, b"x".as_ptr(), 1)), Ok(1));
        let mut byte = 0;
        assert_eq!(run(&mut ring, op::Read::new(from, &mut byte, 1)), Ok(1));
        assert_eq!(byte, b'x');
        assert_eq!(run(&mut ring, op::Close::new(from)), Ok(0));
        // SAFETY: the program ignores SIGPIPE, as Rust's do.
        assert_eq!(run(&mut ring, op::Write::new(to, b"x".as_ptr(), 1)), Err(Errno::EPIPE));
        assert_eq!(run(&mut ring, op::Close::new(to)), Ok(0));
        assert_eq!(run(&mut ring, op::Pipe::new(ptr::null_mut())), Err(Errno::EFAULT));
        ring.register().files_sparse(2).unwrap();
        assert_eq!(run(&mut ring, op::Pipe::new(&mut ends).direct(Slot::Free)), Ok(0));
        assert_eq!(ends, [0, 1]);
    });
}
