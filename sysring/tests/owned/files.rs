//! Files.

use std::time::Duration;

use sysring::Errno;
use sysring::owned::{Buf, Handle, OpenOptions, Tail};

use crate::common::{Alive, both, pipe};

fn scratch(name: &str) -> std::path::PathBuf {
    let thread = std::thread::current().id();
    std::env::temp_dir().join(format!("sysring-owned-{name}-{}-{thread:?}", std::process::id()))
}

#[test]
fn a_file_is_made_written_synced_read_and_closed() {
    both(|ring| {
        let path = scratch("file");
        let options = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600);
        let file = ring.open(&path, options).wait().unwrap();
        assert_eq!(ring.open(&path, options).wait().unwrap_err(), Errno::EEXIST);
        std::fs::remove_file(&path).unwrap();

        let (count, text) = ring.write_at(&file, "hello, ring", 0).wait();
        assert_eq!((count, text), (Ok(11), "hello, ring"));
        assert_eq!(ring.fdatasync(&file).wait(), Ok(()));
        assert_eq!(ring.fsync(&file).wait(), Ok(()));
        let (count, bytes) = ring.read_at(&file, Vec::with_capacity(64), 7).wait();
        assert_eq!((count, &bytes[..]), (Ok(4), &b"ring"[..]));
        // Without an offset the position moves, and a vector holds what was read last.
        let (_, bytes) = ring.read(&file, Vec::with_capacity(5)).wait();
        assert_eq!(bytes, b"hello");
        let (_, bytes) = ring.read(&file, Tail::new(bytes, 5)).wait();
        assert_eq!(Buf::len(&bytes), 0, "the capacity is used up");
        let (count, array) = ring.read(&file, [b'.'; 8]).wait();
        assert_eq!((count, &array), (Ok(6), b", ring.."));

        let other = file.clone();
        assert_eq!(ring.close(other).wait(), Err(Errno::EBUSY));
        assert_eq!(ring.close(file).wait(), Ok(()));
    });
}

#[test]
fn errors_are_the_kernels_and_buffers_come_back() {
    both(|ring| {
        let missing = ring.open("/no/such/file", OpenOptions::reading()).wait();
        assert_eq!(missing.unwrap_err(), Errno::ENOENT);
        let zero = ring.open("a\0b", OpenOptions::reading()).wait();
        assert_eq!(zero.unwrap_err(), Errno::EINVAL);
        let directory = ring.open("/", OpenOptions::reading()).wait().unwrap();
        let (count, bytes) = ring.read_at(&directory, b"mine".to_vec(), 0).wait();
        assert_eq!((count, &bytes[..]), (Err(Errno::EISDIR), &b"mine"[..]));
        let (count, text) = ring.write_at(&directory, "yours", 0).wait();
        assert_eq!((count, text), (Err(Errno::EBADF), "yours"));
        let stdin = Handle::stdin();
        assert_eq!(ring.close(stdin.clone()).wait(), Err(Errno::EBADF));
        assert_eq!(ring.close(stdin).wait(), Err(Errno::EBADF));
        let another = directory.clone();
        assert_eq!(ring.close(directory).wait(), Err(Errno::EBUSY));
        assert_eq!(ring.close(another).wait(), Ok(()));
    });
}

#[test]
fn many_are_under_way_with_few_entries() {
    both(|ring| {
        let file = Handle::from(std::fs::File::open("/proc/self/exe").unwrap());
        let mut reads: Vec<_> = (0..100).map(|i| ring.read_at(&file, vec![0; 16], i)).collect();
        reads.iter_mut().for_each(|read| read.start());
        let bytes: Vec<Vec<u8>> = reads.into_iter().rev().map(|read| read.wait().1).collect();
        for pair in bytes.windows(2) {
            assert_eq!(pair[0][..15], pair[1][1..]);
        }
        assert_eq!(ring.under_way(), 0);
    });
}

#[test]
fn the_file_of_an_operation_stays_open() {
    both(|ring| {
        let (reader, writer) = pipe();
        let mut read = ring.read(&reader, [0; 4]);
        read.start();
        // Closed before the entry was handed over; and the number is taken by another pipe.
        drop(reader);
        let (_other, _) = pipe();
        ring.write(&writer, "here").wait().0.unwrap();
        assert_eq!(read.wait(), (Ok(4), *b"here"));
    });
}

#[test]
fn what_takes_too_long_is_cancelled() {
    both(|ring| {
        let (reader, writer) = pipe();
        let read = ring.read(&reader, vec![0; 4]).within(Duration::from_millis(20));
        assert_eq!(read.wait(), (Err(Errno::ECANCELED), vec![0; 4]));
        let read = ring.read(&reader, [0; 1]).within(Duration::from_secs(60));
        ring.write(&writer, "x").wait().0.unwrap();
        assert_eq!(read.wait(), (Ok(1), *b"x"));
        assert_eq!(ring.sleep(Duration::from_millis(1)).wait(), Ok(()));
        assert_eq!(ring.nop().drain().wait(), Ok(()));
        assert_eq!(ring.nop().asynchronous().wait(), Ok(()));
    });
}

#[test]
fn what_is_cancelled_gives_its_buffer_back() {
    both(|ring| {
        let (reader, _writer) = pipe();
        let mut read = ring.read(&reader, vec![7; 4]);
        read.start();
        read.cancel();
        assert_eq!(read.wait(), (Err(Errno::ECANCELED), vec![7; 4]));
        let mut poll = ring.poll(&reader, 1);
        poll.start();
        ring.submit().unwrap();
        assert!(!poll.is_over() && poll.result().is_none());
        poll.cancel();
        while !poll.is_over() {
            ring.wait(Some(Duration::from_secs(10)));
        }
        assert_eq!(poll.wait(), Err(Errno::ECANCELED));
    });
}

#[test]
fn waiting_for_nothing_takes_no_time() {
    both(|ring| {
        ring.wait(None);
        let (reader, _writer) = pipe();
        let mut read = ring.read(&reader, [0; 1]);
        read.start();
        ring.wait(Some(Duration::from_millis(5)));
        assert_eq!(ring.under_way(), 1);
    });
}

#[test]
fn names_are_made_changed_looked_at_and_removed() {
    both(|ring| {
        let root = scratch("names");
        let at = |name: &str| root.join(name);
        ring.create_dir(&root).wait().unwrap();
        assert_eq!(ring.create_dir(&root).wait(), Err(Errno::EEXIST));
        std::fs::write(at("one"), "12345").unwrap();
        ring.rename(at("one"), at("two")).wait().unwrap();
        ring.hard_link(at("two"), at("three")).wait().unwrap();
        ring.symlink("two", at("link")).wait().unwrap();
        let status = ring.statx(at("link")).wait().unwrap();
        assert_eq!((status.stx_size, status.stx_nlink), (5, 2));
        assert_eq!(ring.remove_dir(&root).wait(), Err(Errno::ENOTEMPTY));
        for name in ["two", "three", "link"] {
            ring.remove_file(at(name)).wait().unwrap();
        }
        assert_eq!(ring.statx(at("two")).wait().unwrap_err(), Errno::ENOENT);
        ring.remove_dir(&root).wait().unwrap();
        for invalid in [ring.remove_file("a\0"), ring.remove_dir("a\0")] {
            assert_eq!(invalid.wait(), Err(Errno::EINVAL));
        }
        assert_eq!(ring.rename("a\0", "b").wait(), Err(Errno::EINVAL));
    });
}

#[test]
fn several_buffers_go_in_one_operation() {
    both(|ring| {
        let path = scratch("vectored");
        let options = OpenOptions::new().read(true).write(true).create_new(true);
        let file = ring.open(&path, options).wait().unwrap();
        std::fs::remove_file(&path).unwrap();
        let parts = ("head ", vec![b'.'; 5000], [b'!'; 3]);
        let (count, parts) = ring.writev(&file, parts).wait();
        assert_eq!((count, parts.0), (Ok(5008), "head "));
        assert_eq!(ring.writev_at(&file, vec!["HE", "AD"], 0).wait().0, Ok(4));

        let room = vec![vec![0; 4], vec![0; 5000], vec![0; 100], vec![0; 7]];
        let (count, read) = ring.readv_at(&file, room, 0).wait();
        assert_eq!(count, Ok(5008));
        assert_eq!((&read[0][..], &read[1][..2]), (&b"HEAD"[..], &b" ."[..]));
        assert_eq!((read[2].len(), &read[2][1..], read[3].len()), (4, &b"!!!"[..], 0));
        // At the file's own position, which is its end.
        let (count, read) = ring.readv(&file, [[b'x'; 2]; 2]).wait();
        assert_eq!((count, read), (Ok(0), [[b'x'; 2]; 2]));
        // More than the kernel takes.
        let many: Box<[_]> = (0..1025).map(|_| "x").collect();
        let (count, many) = ring.writev(&file, many).wait();
        assert_eq!((count, many.len()), (Err(Errno::EINVAL), 1025));
        let none: [Vec<u8>; 0] = [];
        assert_eq!(ring.readv_at(&file, none, 0).wait().0, Ok(0));
    });
}

#[test]
fn several_buffers_stay_until_their_operation_has_ended() {
    both(|ring| {
        let alive = Alive::default();
        let (reader, writer) = pipe();
        let mut read = ring.readv(&reader, vec![alive.buffer(4), alive.buffer(4)]);
        read.start();
        ring.submit().unwrap();
        drop(read);
        while ring.under_way() > 0 {
            ring.wait(Some(std::time::Duration::from_millis(100)));
        }
        assert_eq!(alive.count(), 0);
        drop(writer);
    });
}

#[test]
fn an_offset_is_never_the_position() {
    both(|ring| {
        let file = Handle::from(std::fs::File::open("/proc/version").unwrap());
        assert_eq!(ring.read_at(&file, [0; 5], u64::MAX).wait().0, Err(Errno::EINVAL));
        assert_eq!(ring.readv_at(&file, [[0; 5]], u64::MAX).wait().0, Err(Errno::EINVAL));
        assert_eq!(ring.read(&file, [0; 5]).wait().1, *b"Linux");
        let (_, writer) = pipe();
        assert_eq!(ring.write_at(&writer, "x", u64::MAX).wait().0, Err(Errno::EINVAL));
        assert_eq!(ring.writev_at(&writer, ["x"], u64::MAX).wait().0, Err(Errno::EINVAL));
    });
}

/// Each set of options, ours and std's.
fn every_option() -> impl Iterator<Item = (OpenOptions, std::fs::OpenOptions)> {
    (0..64).map(|bits: u32| {
        let is = |bit: u32| bits >> bit & 1 != 0;
        let mut of_std = std::fs::OpenOptions::new();
        of_std.read(is(0)).write(is(1)).append(is(2));
        of_std.truncate(is(3)).create_new(is(4)).create(is(5));
        let ours = OpenOptions::new().read(is(0)).write(is(1)).append(is(2));
        (ours.truncate(is(3)).create_new(is(4)).create(is(5)), of_std)
    })
}

#[test]
fn options_mean_what_they_do_to_std() {
    both(|ring| {
        let path = std::env::temp_dir().join(format!("sysring-options-{}", std::process::id()));
        for (ours, of_std) in every_option() {
            for is_there in [false, true] {
                let prepared = || match is_there {
                    true => std::fs::write(&path, "data").unwrap(),
                    false => drop(std::fs::remove_file(&path)),
                };
                prepared();
                let opened = ring.open(&path, ours).wait().map_err(|e| e.raw());
                let left = std::fs::read(&path).ok();
                prepared();
                let by_std = of_std.open(&path).map_err(|e| e.raw_os_error());
                // std's refusals have no number.
                let by_std = by_std.map_err(|e| e.unwrap_or(Errno::EINVAL.raw()));
                let expected = (by_std.map(drop), std::fs::read(&path).ok());
                assert_eq!((opened.map(drop), left), expected, "{ours:?}");
            }
        }
        let _ = std::fs::remove_file(&path);
    });
}
