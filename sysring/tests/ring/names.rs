//! Operations on names, beside the plain calls.

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;

use sysring::{Engine, Errno, Fd, Fixed, Ring, Slot, op};

use crate::common::{Directory, both, knows, plain, ring, run};

const MISSING: &CStr = c"/nowhere/at/all";

fn open(ring: &mut Ring, path: &CStr, flags: i32) -> Result<u32, Errno> {
    run(ring, op::OpenAt::new(Fd::CWD, path.as_ptr()).open_flags(flags as u32).mode(0o640))
}

fn close(ring: &mut Ring, fd: u32) {
    assert_eq!(run(ring, op::Close::new(Fd::new(fd as i32))), Ok(0));
}

fn stat(path: &CStr) -> Result<libc::stat, Errno> {
    let mut stat = MaybeUninit::uninit();
    // SAFETY: room for what is told.
    plain(unsafe { libc::lstat(path.as_ptr(), stat.as_mut_ptr()) })?;
    // SAFETY: told.
    Ok(unsafe { stat.assume_init() })
}

#[test]
fn open_and_close() {
    both(|engine: Engine| {
        let mut ring = ring(engine);
        let directory = Directory::new();
        let path = directory.at("file");
        let new = open(&mut ring, &path, libc::O_CREAT | libc::O_EXCL | libc::O_RDWR).unwrap();
        assert_eq!(stat(&path).unwrap().st_mode & 0o7777, 0o640);
        close(&mut ring, new);
        assert_eq!(run(&mut ring, op::Close::new(Fd::new(new as i32))), Err(Errno::EBADF));
        let again = open(&mut ring, &path, libc::O_CREAT | libc::O_EXCL | libc::O_RDWR);
        assert_eq!(again, Err(Errno::EEXIST));
        assert_eq!(open(&mut ring, MISSING, 0), Err(Errno::ENOENT));
        assert_eq!(open(&mut ring, &directory.at("file/below"), 0), Err(Errno::ENOTDIR));

        // From a directory, with structure and all.
        let folder = std::fs::File::open(&directory.0).unwrap();
        let how = op::OpenHow { flags: 0, mode: 0, resolve: 8 };
        let below = op::OpenAt2::new(&folder, c"file".as_ptr(), &how);
        // QEMU's user mode has no such call.
        let fd = match run(&mut ring, below) {
            Err(Errno::ENOSYS) => return println!("skipped: there is no openat2(2) here"),
            opened => opened.unwrap(),
        };
        close(&mut ring, fd);
        let out = op::OpenAt2::new(&folder, c"../x".as_ptr(), &how);
        assert_eq!(run(&mut ring, out), Err(Errno::EXDEV));
    });
}

#[test]
fn slots() {
    both(|engine| {
        let mut ring = ring(engine);
        let directory = Directory::new();
        std::fs::write(directory.0.join("file"), "contents").unwrap();
        let path = directory.at("file");
        let direct = |slot| op::OpenAt::new(Fd::CWD, path.as_ptr()).direct(slot);
        assert_eq!(run(&mut ring, direct(Slot::At(2))), Err(Errno::ENXIO));
        assert_eq!(run(&mut ring, direct(Slot::Free)), Err(Errno::ENFILE));
        ring.register().files_sparse(4).unwrap();
        assert_eq!(run(&mut ring, direct(Slot::At(2))), Ok(0));
        // The search for a free one goes on behind the last.
        assert_eq!(run(&mut ring, direct(Slot::Free)), Ok(3));
        assert_eq!(run(&mut ring, direct(Slot::At(4))), Err(Errno::EINVAL));
        let how = op::OpenHow { flags: 0, mode: 0, resolve: 0 };
        let second = op::OpenAt2::new(Fd::CWD, path.as_ptr(), &how).direct(Slot::Free);
        match run(&mut ring, second) {
            Err(Errno::ENOSYS) => println!("skipped: there is no openat2(2) here"),
            opened => assert_eq!(opened, Ok(0)),
        }

        let mut buffer = [0; 16];
        let read = op::Read::new(Fixed(2), buffer.as_mut_ptr(), 16).offset(3);
        assert_eq!(run(&mut ring, read), Ok(5));
        assert_eq!(&buffer[..5], b"tents");
        if knows(&ring, op::FixedFdInstall::CODE) {
            let fd = run(&mut ring, op::FixedFdInstall::new(Fixed(2))).unwrap() as i32;
            // SAFETY: a new descriptor.
            assert_eq!(unsafe { libc::fcntl(fd, libc::F_GETFD) }, libc::FD_CLOEXEC);
            close(&mut ring, fd as u32);
            let kept = op::FixedFdInstall::new(Fixed(2)).keep_on_exec();
            let fd = run(&mut ring, kept).unwrap() as i32;
            // SAFETY: as above.
            assert_eq!(unsafe { libc::fcntl(fd, libc::F_GETFD) }, 0);
            close(&mut ring, fd as u32);
        }
        assert_eq!(run(&mut ring, op::Close::fixed(Fixed(2))), Ok(0));
        assert_eq!(run(&mut ring, op::Close::fixed(Fixed(2))), Err(Errno::EBADF));
        assert_eq!(
            run(&mut ring, op::Read::new(Fixed(2), buffer.as_mut_ptr(), 16)),
            Err(Errno::EBADF)
        );
    });
}

#[test]
fn stating() {
    both(|engine| {
        let mut ring = ring(engine);
        let directory = Directory::new();
        std::fs::write(directory.0.join("file"), "contents").unwrap();
        let path = directory.at("file");
        let mut told = MaybeUninit::zeroed();
        let statx = op::Statx::new(Fd::CWD, path.as_ptr(), told.as_mut_ptr());
        assert_eq!(run(&mut ring, statx.at_flags(libc::AT_SYMLINK_NOFOLLOW as u32)), Ok(0));
        // SAFETY: all of its bit patterns are valid.
        let told: op::StatxBuffer = unsafe { told.assume_init() };
        let plain = stat(&path).unwrap();
        assert_eq!((told.stx_size, told.stx_ino), (plain.st_size as u64, plain.st_ino));
        assert_eq!(u32::from(told.stx_mode), plain.st_mode);

        let mut told = MaybeUninit::zeroed();
        let missing = op::Statx::new(Fd::CWD, MISSING.as_ptr(), told.as_mut_ptr());
        assert_eq!(run(&mut ring, missing), Err(Errno::ENOENT));
        let file = std::fs::File::open(directory.0.join("file")).unwrap();
        let of_file = op::Statx::new(&file, c"".as_ptr(), told.as_mut_ptr());
        assert_eq!(run(&mut ring, of_file), Err(Errno::ENOENT));
        let of_file = of_file.at_flags(libc::AT_EMPTY_PATH as u32).mask(libc::STATX_INO);
        assert_eq!(run(&mut ring, of_file), Ok(0));
        let bad = of_file.mask(1 << 31);
        assert_eq!(run(&mut ring, bad), Err(Errno::EINVAL));
    });
}

#[test]
fn names_come_and_go() {
    both(|engine| {
        let mut ring = ring(engine);
        let directory = Directory::new();
        let [folder, file, other, link] =
            ["folder", "folder/file", "other", "link"].map(|name| directory.at(name));
        let missing = directory.at("missing/x");
        let at = |path: &CString| path.as_ptr();

        let mkdir = op::MkdirAt::new(Fd::CWD, at(&folder), 0o700);
        assert_eq!(run(&mut ring, mkdir), Ok(0));
        assert_eq!(run(&mut ring, mkdir), Err(Errno::EEXIST));
        assert_eq!(stat(&folder).unwrap().st_mode, libc::S_IFDIR | 0o700);
        assert_eq!(run(&mut ring, op::MkdirAt::new(Fd::CWD, at(&missing), 0)), Err(Errno::ENOENT));

        let fd = open(&mut ring, &file, libc::O_CREAT).unwrap();
        close(&mut ring, fd);
        let hard = op::LinkAt::new(Fd::CWD, at(&file), Fd::CWD, at(&other));
        assert_eq!(run(&mut ring, hard), Ok(0));
        assert_eq!(stat(&other).unwrap().st_nlink, 2);
        assert_eq!(run(&mut ring, hard), Err(Errno::EEXIST));
        let flagged = hard.at_flags(1 << 30);
        assert_eq!(run(&mut ring, flagged), Err(Errno::EINVAL));

        let soft = op::SymlinkAt::new(c"other".as_ptr(), Fd::CWD, at(&link));
        assert_eq!(run(&mut ring, soft), Ok(0));
        assert_eq!(run(&mut ring, soft), Err(Errno::EEXIST));
        let target = std::fs::read_link(directory.0.join("link")).unwrap();
        assert_eq!(target.to_str(), Some("other"));

        let rename = op::RenameAt::new(Fd::CWD, at(&other), Fd::CWD, at(&link));
        let refused = rename.rename_flags(libc::RENAME_NOREPLACE);
        assert_eq!(run(&mut ring, refused), Err(Errno::EEXIST));
        assert_eq!(run(&mut ring, rename), Ok(0));
        assert_eq!(run(&mut ring, rename), Err(Errno::ENOENT));
        // SAFETY: paths.
        let as_plain = plain(unsafe { libc::rename(at(&folder), at(&link)) });
        let over_file = op::RenameAt::new(Fd::CWD, at(&folder), Fd::CWD, at(&link));
        assert_eq!(run(&mut ring, over_file), as_plain);

        let unlink = |path| op::UnlinkAt::new(Fd::CWD, at(path));
        assert_eq!(run(&mut ring, unlink(&folder)), Err(Errno::EISDIR));
        let remove = unlink(&folder).at_flags(libc::AT_REMOVEDIR as u32);
        assert_eq!(run(&mut ring, remove), Err(Errno::ENOTEMPTY));
        assert_eq!(run(&mut ring, unlink(&file)), Ok(0));
        assert_eq!(run(&mut ring, unlink(&file)), Err(Errno::ENOENT));
        assert_eq!(run(&mut ring, remove), Ok(0));
        assert_eq!(run(&mut ring, unlink(&link)), Ok(0));
        assert_eq!(std::fs::read_dir(&directory.0).unwrap().count(), 0);
    });
}

#[test]
fn attributes() {
    both(|engine| {
        let mut ring = ring(engine);
        let directory = Directory::new();
        let file = std::fs::File::create(directory.0.join("file")).unwrap();
        let (path, name) = (directory.at("file"), c"user.sysring".as_ptr());
        // SAFETY: name and value are there.
        let supported =
            plain(unsafe { libc::fsetxattr(file.as_raw_fd(), name, b"old".as_ptr().cast(), 3, 0) });
        if let Err(error) = supported {
            println!("skipped: no attributes in {}: {error}", directory.0.display());
            return;
        }
        let mut value = [0; 16];
        let get = op::FgetXattr::new(&file, name, value.as_mut_ptr(), 16);
        assert_eq!(run(&mut ring, get), Ok(3));
        assert_eq!(&value[..3], b"old");
        let create = op::FsetXattr::new(&file, name, b"new!".as_ptr(), 4);
        let create = create.xattr_flags(libc::XATTR_CREATE as u32);
        assert_eq!(run(&mut ring, create), Err(Errno::EEXIST));
        let set = op::FsetXattr::new(&file, name, b"new!".as_ptr(), 4);
        assert_eq!(run(&mut ring, set), Ok(0));
        let by_path = op::GetXattr::new(path.as_ptr(), name, value.as_mut_ptr(), 16);
        assert_eq!(run(&mut ring, by_path), Ok(4));
        assert_eq!(&value[..4], b"new!");
        let short = op::GetXattr::new(path.as_ptr(), name, value.as_mut_ptr(), 2);
        assert_eq!(run(&mut ring, short), Err(Errno::ERANGE));
        let other = c"user.other".as_ptr();
        let replace = op::SetXattr::new(path.as_ptr(), other, b"x".as_ptr(), 1);
        let replace = replace.xattr_flags(libc::XATTR_REPLACE as u32);
        assert_eq!(run(&mut ring, replace), Err(Errno::ENODATA));
        let missing = op::SetXattr::new(MISSING.as_ptr(), other, b"x".as_ptr(), 1);
        assert_eq!(run(&mut ring, missing), Err(Errno::ENOENT));
    });
}
