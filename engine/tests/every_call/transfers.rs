//! Reads and writes, sockets, and the kernel's asynchronous forms of them.

use sysring_sys::raw::general as g;

use super::world::{
    Arguments, World, called, datagrams, eventfd, full_pipe, iovecs, listening, make, message,
    messages, pipe, put, room, socket, sockets, unseen, vague, vague_words, words,
};

const TCP: (i32, i32) = (libc::AF_INET, libc::SOCK_STREAM);

/// A context of kernel AIO.
fn aio() -> usize {
    let at = unseen([0usize]);
    make(g::__NR_io_setup, [8, at]);
    // SAFETY: what has just been written.
    unsafe { *(at as *const usize) }
}

/// A read of the file.
fn control_block(w: &World) -> usize {
    words([7, 0, (w.file() as i64) << 32, room(4096) as i64, 4096, 0, 0, 0])
}

/// A context, and the read that was submitted to it.
fn submitted(w: &World) -> [usize; 2] {
    let (aio, block) = (aio(), control_block(w));
    make(g::__NR_io_submit, [aio, 1, words([block as i64])]);
    [aio, block]
}

fn ring() -> usize {
    make(g::__NR_io_uring_setup, [8, unseen([0u8; 120])])
}

/// The address of a path in the directory the child is in, and its length.
fn address(w: &World) -> [usize; 2] {
    std::env::set_current_dir(w.dir()).unwrap();
    [unseen(*b"\x01\0socket\0"), 9]
}

pub static CALLS: &[Arguments] = &[
    (g::__NR_read, |w| vec![w.file(), room(4096), 4096]),
    (g::__NR_read, |w| vec![w.file(), room(20_000), 20_000]),
    (g::__NR_read, |_| vec![sockets()[1], room(10), 10]),
    (g::__NR_read, |_| vec![eventfd(3), room(8), 8]),
    (g::__NR_write, |w| vec![w.file(), room(5000), 5000]),
    (g::__NR_write, |_| vec![pipe()[1], room(5000), 5000]),
    (g::__NR_pread64, |w| vec![w.file(), room(4096), 4096, 8000]),
    (g::__NR_pread64, |w| vec![w.file(), room(4096), 4096, usize::MAX]),
    (g::__NR_pwrite64, |w| vec![w.file(), room(100), 100, 50_000]),
    (g::__NR_readv, |w| vec![w.file(), iovecs([6000, 6000]), 2]),
    (g::__NR_writev, |w| vec![w.file(), iovecs([6000, 6000]), 2]),
    (g::__NR_preadv, |w| vec![w.file(), iovecs([6000, 6000]), 2, 100]),
    (g::__NR_pwritev, |w| vec![w.file(), iovecs([600, 600]), 2, 100]),
    (g::__NR_preadv2, |w| vec![w.file(), iovecs([600, 600]), 2, usize::MAX, 0, 0]),
    (g::__NR_pwritev2, |w| vec![w.file(), iovecs([600, 600]), 2, 10, 0, 0]),
    (g::__NR_lseek, |w| vec![w.file(), 100, 0]),
    (g::__NR_sendfile, |w| vec![pipe()[1], w.file(), 0, 3000]),
    (g::__NR_sendfile, |w| vec![pipe()[1], w.file(), words([100]), 3000]),
    (g::__NR_splice, |w| vec![w.file(), 0, pipe()[1], 0, 3000, 0]),
    (g::__NR_splice, |w| vec![full_pipe()[0], 0, w.file(), words([100]), 3000, 0]),
    (g::__NR_tee, |_| vec![full_pipe()[0], pipe()[1], 100, 0]),
    (g::__NR_vmsplice, |_| vec![pipe()[1], iovecs([600, 600]), 2, 0]),
    (g::__NR_copy_file_range, |w| vec![w.file(), 0, w.file(), words([90_000]), 5000, 0]),
    (g::__NR_socket, |_| vec![libc::AF_UNIX as usize, libc::SOCK_STREAM as usize, 0]),
    (g::__NR_socketpair, |_| vec![libc::AF_UNIX as usize, libc::SOCK_STREAM as usize, 0, room(8)]),
    (g::__NR_bind, |w| {
        let [address, len] = address(&w);
        vec![socket(libc::AF_UNIX, libc::SOCK_STREAM), address, len]
    }),
    (g::__NR_listen, |_| vec![socket(TCP.0, TCP.1), 5]),
    (g::__NR_accept, |_| vec![called(), vague(16), words([16])]),
    (g::__NR_accept, |_| vec![sockets()[0], 0, 0]),
    (g::__NR_accept4, |_| vec![called(), 0, 0, libc::SOCK_CLOEXEC as usize]),
    (g::__NR_accept4, |_| vec![called(), vague(16), words([16]), 0]),
    (g::__NR_accept4, |_| vec![sockets()[0], 0, 0, 0]),
    (g::__NR_connect, |_| vec![socket(TCP.0, TCP.1), listening(), 16]),
    (g::__NR_connect, |w| {
        let [address, len] = address(&w);
        vec![socket(libc::AF_UNIX, libc::SOCK_STREAM), address, len]
    }),
    (g::__NR_connect, |_| vec![sockets()[0], words([0]), 2]),
    (g::__NR_getsockname, |_| vec![sockets()[0], room(128), words([128])]),
    (g::__NR_getpeername, |_| vec![sockets()[0], room(128), words([128])]),
    (g::__NR_getsockopt, |_| vec![sockets()[0], 1, 3, room(4), words([4])]),
    (g::__NR_setsockopt, |_| vec![sockets()[0], 1, 2, words([1]), 4]),
    (g::__NR_shutdown, |_| vec![sockets()[0], 1]),
    (g::__NR_recvfrom, |_| vec![sockets()[1], room(10), 10, 0, 0, 0]),
    (g::__NR_recvfrom, |_| vec![sockets()[1], room(10), 10, 2, 0, 0]),
    (g::__NR_recvfrom, |_| vec![datagrams()[1], room(10), 10, 0, room(16), words([16])]),
    (g::__NR_sendto, |_| vec![sockets()[0], room(10), 10, 0, 0, 0]),
    (g::__NR_sendto, |_| vec![socket(TCP.0, libc::SOCK_DGRAM), room(10), 10, 0, listening(), 16]),
    (g::__NR_sendto, |_| vec![pipe()[1], room(10), 10, 0, 0, 0]),
    (g::__NR_recvmsg, |_| vec![sockets()[1], message(10), 0]),
    (g::__NR_recvmsg, |_| vec![datagrams()[1], message(2), 0]),
    (g::__NR_sendmsg, |_| vec![sockets()[0], message(10), 0]),
    (g::__NR_recvmmsg, |_| vec![datagrams()[1], messages(), 2, 0, 0]),
    (g::__NR_sendmmsg, |_| vec![datagrams()[0], messages(), 2, 0]),
    (g::__NR_io_setup, |_| vec![8, vague_words([0])]),
    (g::__NR_io_destroy, |_| vec![aio()]),
    (g::__NR_io_submit, |w| vec![aio(), 1, words([control_block(&w) as i64])]),
    (g::__NR_io_cancel, |w| {
        let [aio, block] = submitted(&w);
        vec![aio, block, room(32)]
    }),
    (g::__NR_io_getevents, |w| vec![submitted(&w)[0], 1, 4, room(128), 0]),
    (g::__NR_io_pgetevents, |w| vec![submitted(&w)[0], 1, 4, room(128), 0, 0]),
    (g::__NR_io_uring_setup, |_| vec![8, put(room(120), [0; 15])]),
    (g::__NR_io_uring_enter, |_| vec![ring(), 0, 0, 0, 0, 0]),
    (g::__NR_io_uring_register, |_| vec![ring(), 8, put(room(16 + 64 * 8), [0; 66]), 64]),
];
