//! Messages between rings that are busy with each other.

mod client;

use client::{Client, sqe};
use sysring_sys::abi::io_uring::{op, sqe_flags};

/// A message to `to` that arrives there as `user_data`.
fn message(to: &Client, user_data: u64, own: u64) -> sysring_sys::abi::io_uring::Sqe {
    let mut message = sqe(op::MSG_RING, to.fd.raw(), own);
    message.off = user_data;
    message
}

/// Goes off with the `count`th completion, and not in the time of a test.
fn after(count: u64, time: &[i64; 2], user_data: u64) -> sysring_sys::abi::io_uring::Sqe {
    let mut timeout = sqe(op::TIMEOUT, -1, user_data);
    (timeout.addr, timeout.len, timeout.off) = (time.as_ptr() as u64, 1, count);
    timeout.flags = sqe_flags::IO_LINK;
    timeout
}

fn seen(ring: &mut Client) -> Vec<(u64, i32)> {
    let mut seen: Vec<_> = ring.reap().iter().map(|c| (c.user_data, c.res)).collect();
    seen.sort_unstable();
    seen
}

#[test]
fn a_message_may_set_off_one_that_comes_back() {
    let hour = [3600, 0];
    let mut near = Client::new(8, 0);
    let mut far = Client::new(8, 0);
    // In each ring the first completion lets a message to the other one go.
    near.push(after(2, &hour, 1));
    near.push(message(&far, 21, 2));
    assert_eq!(near.enter(2, 0), Ok(2));
    far.push(after(1, &hour, 11));
    far.push(message(&near, 3, 12));
    assert_eq!(far.enter(2, 0), Ok(2));

    near.push(message(&far, 20, 4));
    assert_eq!(near.enter(1, 4), Ok(1));

    assert_eq!(seen(&mut near), [(1, 0), (2, 0), (3, 0), (4, 0)]);
    assert_eq!(seen(&mut far), [(11, 0), (12, 0), (20, 0), (21, 0)]);
}
