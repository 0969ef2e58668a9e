//! Sockets, beside the plain calls.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use sysring::{Errno, Fd, Fixed, Iovec, Msghdr, Ring, Slot, op};

use crate::common::{both, file, knows, ring, run};

fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

fn sockaddr(of: SocketAddr) -> libc::sockaddr_in {
    let SocketAddr::V4(of) = of else { panic!("{of}") };
    // SAFETY: all zeroes are valid.
    let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    address.sin_family = libc::AF_INET as u16;
    address.sin_port = of.port().to_be();
    address.sin_addr.s_addr = u32::from(*of.ip()).to_be();
    address
}

const ADDRESS_LEN: u32 = size_of::<libc::sockaddr_in>() as u32;

fn at<T>(of: &T) -> *const u8 {
    std::ptr::from_ref(of).cast()
}

#[test]
fn bytes_there_and_back() {
    both(|engine| {
        let mut ring = ring(engine);
        let (a, b) = pair();
        let mut buffer = [0; 8];
        assert_eq!(run(&mut ring, op::Send::new(&a, b"hello".as_ptr(), 5)), Ok(5));
        assert_eq!(run(&mut ring, op::Recv::new(&b, buffer.as_mut_ptr(), 8)), Ok(5));
        assert_eq!(&buffer[..5], b"hello");
        let dont_wait = op::Recv::new(&b, buffer.as_mut_ptr(), 8);
        let dont_wait = dont_wait.message_flags(libc::MSG_DONTWAIT as u32);
        assert_eq!(run(&mut ring, dont_wait), Err(Errno::EAGAIN));

        // Received as soon as it is sent.
        let receive = op::Recv::new(&b, buffer.as_mut_ptr(), 8).poll_first().build();
        // SAFETY: waited for.
        unsafe { ring.push(receive) }.unwrap();
        ring.submit().unwrap();
        (&a).write_all(b"later").unwrap();
        ring.submit_and_wait(1).unwrap();
        assert_eq!(ring.completion().unwrap().result(), Ok(5));

        assert_eq!(run(&mut ring, op::Shutdown::new(&a, libc::SHUT_WR)), Ok(0));
        assert_eq!(run(&mut ring, op::Recv::new(&b, buffer.as_mut_ptr(), 8)), Ok(0));
        let quiet = op::Send::new(&a, b"x".as_ptr(), 1).message_flags(libc::MSG_NOSIGNAL as u32);
        assert_eq!(run(&mut ring, quiet), Err(Errno::EPIPE));
        assert_eq!(run(&mut ring, op::Shutdown::new(&a, 9)), Err(Errno::EINVAL));
        let not_one = file(b"");
        assert_eq!(run(&mut ring, op::Send::new(&not_one, b"x".as_ptr(), 1)), Err(Errno::ENOTSOCK));
        assert_eq!(run(&mut ring, op::Shutdown::new(&not_one, 0)), Err(Errno::ENOTSOCK));
    });
}

#[test]
fn messages() {
    both(|engine| {
        let mut ring = ring(engine);
        let (a, b) = pair();
        let (mut one, mut two) = (*b"one ", *b"two");
        let piece =
            |of: &mut [u8]| Iovec { iov_base: of.as_mut_ptr().cast(), iov_len: of.len() as u64 };
        let mut pieces = [piece(&mut one), piece(&mut two)];
        let mut message = Msghdr { msg_iov: pieces.as_mut_ptr(), msg_iovlen: 2, ..Msghdr::EMPTY };
        assert_eq!(run(&mut ring, op::SendMsg::new(&a, &message)), Ok(7));
        (one, two) = ([0; 4], [0; 3]);
        pieces = [piece(&mut one), piece(&mut two)];
        message.msg_iov = pieces.as_mut_ptr();
        assert_eq!(run(&mut ring, op::RecvMsg::new(&b, &mut message)), Ok(7));
        assert_eq!((&one, &two), (b"one ", b"two"));
        let nowhere = op::SendMsg::new(&a, std::ptr::null());
        assert_eq!(run(&mut ring, nowhere), Err(Errno::EFAULT));
    });
}

#[test]
fn datagrams_come_with_their_names() {
    both(|engine| {
        let mut ring = ring(engine);
        let buffers = ring.register().buffer_ring(3, 4, 64).unwrap();
        let [to, from] = [(); 2].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let sender = sockaddr(from.local_addr().unwrap());
        // SAFETY: an address without padding is bytes.
        let sender = unsafe { std::slice::from_raw_parts(at(&sender), ADDRESS_LEN as usize) };
        let mut room = Msghdr::EMPTY;
        room.msg_namelen = 16;
        let receive = op::RecvMsg::multishot(&to, &room, buffers.group());
        // SAFETY: the buffers and the header outlive the operation, which is cancelled.
        unsafe { ring.push(receive.build().user_data(1)) }.unwrap();
        ring.submit().unwrap();
        for text in ["one", "a message that is longer than the rest of the buffer is long"] {
            from.send_to(text.as_bytes(), to.local_addr().unwrap()).unwrap();
            ring.submit_and_wait(1).unwrap();
            let completion = ring.completion().unwrap();
            assert!(completion.more(), "{completion:?}");
            // SAFETY: of an operation that selects from this group, and taken once.
            let buffer = unsafe { buffers.take(&completion) }.unwrap();
            let message = op::ReceivedMessage::parse(&buffer, &room).unwrap();
            assert_eq!(message.name(), sender);
            assert_eq!((message.name_len(), message.control()), (16, &b""[..]));
            let whole = text.len() <= 64 - 16 - 16;
            assert_eq!(message.is_payload_truncated(), !whole);
            let part = if whole { text.len() } else { 64 - 16 - 16 };
            assert_eq!(message.payload(), &text.as_bytes()[..part]);
            assert_eq!(op::ReceivedMessage::parse(&buffer[..31], &room), None);
        }
        let cancel = op::AsyncCancel::new(1).build().user_data(2);
        // SAFETY: names no memory.
        unsafe { ring.push(cancel) }.unwrap();
        ring.submit_and_wait(2).unwrap();
        assert!(ring.completions().all(|completion| !completion.more()));
    });
}

/// Sends that do not copy: the number of bytes, and whether a notification came.
fn sent(ring: &mut Ring, entry: sysring::Sqe) -> (Result<u32, Errno>, bool) {
    // SAFETY: waited for.
    unsafe { ring.push(entry) }.unwrap();
    ring.submit_and_wait(1).unwrap();
    let first = ring.completion().unwrap();
    if !first.more() {
        return (first.result(), false);
    }
    ring.submit_and_wait(1).unwrap();
    let second = ring.completion().unwrap();
    assert!(second.is_notification() && !second.more());
    (first.result(), true)
}

#[test]
fn without_copying() {
    both(|engine| {
        let mut ring = ring(engine);
        if !knows(&ring, op::SendZc::CODE) {
            return;
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let data = *b"not copied";
        let send = op::SendZc::new(&server, data.as_ptr(), 10).report_usage();
        assert_eq!(sent(&mut ring, send.build()), (Ok(10), true));
        let mut received = [0; 10];
        client.read_exact(&mut received).unwrap();
        assert_eq!(received, data);
        let piece = Iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: 10 };
        let message = Msghdr {
            msg_iov: std::ptr::from_ref(&piece).cast_mut(),
            msg_iovlen: 1,
            ..Msghdr::EMPTY
        };
        let send = op::SendMsgZc::new(&server, &message);
        assert_eq!(sent(&mut ring, send.build()), (Ok(10), true));
        client.read_exact(&mut received).unwrap();
        assert_eq!(received, data);
        // SAFETY: the buffer outlives the ring.
        unsafe { ring.register().buffers(&[piece]) }.unwrap();
        let fixed = op::SendZc::new(&server, data.as_ptr(), 10).fixed(0);
        assert_eq!(sent(&mut ring, fixed.build()), (Ok(10), true));
        let no_buffer = op::SendZc::new(&server, data.as_ptr(), 10).fixed(1);
        assert_eq!(sent(&mut ring, no_buffer.build()).0, Err(Errno::EFAULT));
        let closed = op::SendZc::new(Fd::new(-1), data.as_ptr(), 10);
        assert_eq!(sent(&mut ring, closed.build()).0, Err(Errno::EBADF));
    });
}

#[test]
fn datagrams_have_addresses() {
    both(|engine| {
        let mut ring = ring(engine);
        let [a, b] = [(); 2].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let to = sockaddr(b.local_addr().unwrap());
        let send = op::Send::new(&a, b"datagram".as_ptr(), 8);
        assert_eq!(run(&mut ring, send), Err(Errno::from_raw(libc::EDESTADDRREQ).unwrap()));
        assert_eq!(run(&mut ring, send.to(at(&to), ADDRESS_LEN as u16)), Ok(8));
        let mut buffer = [0; 16];
        let (len, from) = b.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..len], from), (&b"datagram"[..], a.local_addr().unwrap()));
    });
}

#[test]
fn a_connection_from_nothing() {
    both(|engine| {
        let mut ring = ring(engine);
        if !knows(&ring, op::Bind::CODE) {
            return;
        }
        let socket = |ring: &mut Ring| {
            let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
            let fd = run(ring, op::Socket::new(libc::AF_INET, kind, 0)).unwrap();
            // SAFETY: a new descriptor.
            unsafe { OwnedFd::from_raw_fd(fd as i32) }
        };
        let listener = socket(&mut ring);
        let any = sockaddr((Ipv4Addr::LOCALHOST, 0).into());
        assert_eq!(run(&mut ring, op::Accept::new(&listener)), Err(Errno::EINVAL));
        assert_eq!(run(&mut ring, op::Bind::new(&listener, at(&any), ADDRESS_LEN)), Ok(0));
        assert_eq!(
            run(&mut ring, op::Bind::new(&listener, at(&any), ADDRESS_LEN)),
            Err(Errno::EINVAL)
        );
        assert_eq!(run(&mut ring, op::Listen::new(&listener, 4)), Ok(0));
        let bound = TcpListener::from(listener.try_clone().unwrap()).local_addr().unwrap();
        let to = sockaddr(bound);
        let busy = socket(&mut ring);
        let taken = op::Bind::new(&busy, at(&to), ADDRESS_LEN);
        assert_eq!(run(&mut ring, taken), Err(Errno::EADDRINUSE));

        let client = socket(&mut ring);
        let connect = op::Connect::new(&client, at(&to), ADDRESS_LEN);
        assert_eq!(run(&mut ring, connect), Ok(0));
        assert_eq!(run(&mut ring, connect), Err(Errno::EISCONN));
        let mut peer = sockaddr((Ipv4Addr::UNSPECIFIED, 0).into());
        let mut len = ADDRESS_LEN;
        let accept = op::Accept::new(&listener)
            .peer(std::ptr::from_mut(&mut peer).cast(), &mut len)
            .socket_flags(libc::SOCK_CLOEXEC as u32);
        let server = run(&mut ring, accept).unwrap();
        // SAFETY: a new descriptor.
        let server = unsafe { TcpStream::from_raw_fd(server as i32) };
        assert_eq!(server.peer_addr().unwrap().port().to_be(), peer.sin_port);

        assert_eq!(run(&mut ring, op::Send::new(&client, b"four".as_ptr(), 4)), Ok(4));
        server.peek(&mut [0; 1]).unwrap();
        assert_eq!(run(&mut ring, op::UringCmd::bytes_received(&server)), Ok(4));
        let (level, name) = (libc::SOL_SOCKET as u32, libc::SO_REUSEADDR as u32);
        let set = op::UringCmd::set_option(&server, level, name, at(&1i32), 4);
        assert_eq!(run(&mut ring, set), Ok(0));
        let mut value = 0i32;
        let to = std::ptr::from_mut(&mut value).cast();
        let get = op::UringCmd::get_option(&server, level, name, to, 4);
        assert_eq!((run(&mut ring, get), value), (Ok(4), 1));
        assert_eq!(run(&mut ring, op::UringCmd::bytes_unsent(&server)), Ok(0));
        let unknown = op::UringCmd::new(&server, 99, [0; 2]);
        assert_eq!(run(&mut ring, unknown), Err(Errno::EOPNOTSUPP));

        drop(listener);
        let late = socket(&mut ring);
        let to = sockaddr(bound);
        let refused = op::Connect::new(&late, at(&to), ADDRESS_LEN);
        assert_eq!(run(&mut ring, refused), Err(Errno::ECONNREFUSED));
        let family = op::Socket::new(999, libc::SOCK_STREAM, 0);
        assert_eq!(run(&mut ring, family), Err(Errno::from_raw(libc::EAFNOSUPPORT).unwrap()));
    });
}

#[test]
fn connections_one_after_the_other() {
    both(|engine| {
        let mut ring = ring(engine);
        ring.register().files_sparse(8).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let accept = op::Accept::new(&listener).multishot().direct(Slot::Free).build();
        // SAFETY: names no memory.
        unsafe { ring.push(accept.user_data(1)) }.unwrap();
        ring.submit().unwrap();
        let mut clients = Vec::new();
        for slot in 0..3 {
            clients.push(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
            ring.submit_and_wait(1).unwrap();
            let completion = ring.completion().unwrap();
            assert_eq!((completion.result(), completion.more()), (Ok(slot), true));
        }
        let send = op::Send::new(Fixed(1), b"second".as_ptr(), 6).build().user_data(2);
        // SAFETY: waited for.
        unsafe { ring.push(send) }.unwrap();
        ring.submit_and_wait(1).unwrap();
        assert_eq!(ring.completion().unwrap().result(), Ok(6));
        let mut received = [0; 6];
        clients[1].read_exact(&mut received).unwrap();
        assert_eq!(&received, b"second");
        let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let accept = op::Accept::new(&nobody).dont_wait().build().user_data(3);
        // SAFETY: names no memory.
        unsafe { ring.push(accept) }.unwrap();
        ring.submit_and_wait(1).unwrap();
        assert_eq!(ring.completion().unwrap().result(), Err(Errno::EAGAIN));
        assert!(nobody.as_raw_fd() >= 0);
    });
}
