//! Names in directories, and what is kept with a file besides its contents.

use core::ffi::{c_int, c_void};

use sysring_sys::User;

use super::prep::prepares;

type Ptr = User<c_void>;

const HERE: c_int = -100;

prepares! {
    io_uring_prep_statx(dir: c_int, path: Ptr, flags: c_int, mask: u32, out: Ptr)
        = STATX(dir, path.address(), mask, out.address()) { op_flags = flags };
    io_uring_prep_unlinkat(dir: c_int, path: Ptr, flags: c_int)
        = UNLINKAT(dir, path.address(), 0, 0) { op_flags = flags };
    io_uring_prep_unlink(path: Ptr, flags: c_int)
        = UNLINKAT(HERE, path.address(), 0, 0) { op_flags = flags };
    io_uring_prep_renameat(from_dir: c_int, from: Ptr, to_dir: c_int, to: Ptr, flags: u32)
        = RENAMEAT(from_dir, from.address(), to_dir, to.address()) { op_flags = flags };
    io_uring_prep_rename(from: Ptr, to: Ptr)
        = RENAMEAT(HERE, from.address(), HERE, to.address()) { op_flags = 0 };
    io_uring_prep_mkdirat(dir: c_int, path: Ptr, mode: u32)
        = MKDIRAT(dir, path.address(), mode, 0);
    io_uring_prep_mkdir(path: Ptr, mode: u32)
        = MKDIRAT(HERE, path.address(), mode, 0);
    io_uring_prep_symlinkat(target: Ptr, dir: c_int, path: Ptr)
        = SYMLINKAT(dir, target.address(), 0, path.address());
    io_uring_prep_symlink(target: Ptr, path: Ptr)
        = SYMLINKAT(HERE, target.address(), 0, path.address());
    io_uring_prep_linkat(from_dir: c_int, from: Ptr, to_dir: c_int, to: Ptr, flags: c_int)
        = LINKAT(from_dir, from.address(), to_dir, to.address()) { op_flags = flags };
    io_uring_prep_link(from: Ptr, to: Ptr, flags: c_int)
        = LINKAT(HERE, from.address(), HERE, to.address()) { op_flags = flags };

    io_uring_prep_getxattr(name: Ptr, value: Ptr, path: Ptr, len: u32)
        = GETXATTR(0, name.address(), len, value.address()) { addr3 = path.address(), op_flags = 0 };
    io_uring_prep_setxattr(name: Ptr, value: Ptr, path: Ptr, flags: c_int, len: u32)
        = SETXATTR(0, name.address(), len, value.address())
            { addr3 = path.address(), op_flags = flags };
    io_uring_prep_fgetxattr(fd: c_int, name: Ptr, value: Ptr, len: u32)
        = FGETXATTR(fd, name.address(), len, value.address()) { op_flags = 0 };
    io_uring_prep_fsetxattr(fd: c_int, name: Ptr, value: Ptr, flags: c_int, len: u32)
        = FSETXATTR(fd, name.address(), len, value.address()) { op_flags = flags };
}
