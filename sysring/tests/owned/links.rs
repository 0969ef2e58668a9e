//! Chains.

use std::time::{Duration, Instant};

use sysring::Errno;
use sysring::owned::{Handle, SharedBuf, Startable};

use crate::common::{both, pipe};

#[test]
fn a_copy_reads_and_writes_with_one_buffer() {
    both(|ring| {
        let from = Handle::from(std::fs::File::open("/proc/self/exe").unwrap());
        let (reader, writer) = pipe();
        let buffer = SharedBuf::new(vec![0; 4096]);
        let mut read = ring.read_at(&from, buffer.clone(), 0);
        let mut write = ring.write(&writer, buffer.clone());
        ring.link(&mut [&mut read, &mut write]).unwrap();
        assert_eq!(write.wait().0, Ok(4096));
        assert_eq!(read.wait().0, Ok(4096));
        let there = ring.read(&reader, Vec::with_capacity(4096)).wait().1;
        assert_eq!(there, buffer.into_inner().unwrap());
        assert_eq!(there[..4], *b"\x7fELF");
    });
}

#[test]
fn a_short_transfer_breaks_the_chain() {
    both(|ring| {
        let (reader, writer) = pipe();
        ring.write(&writer, "short").wait().0.unwrap();
        let mut read = ring.read(&reader, [0; 64]);
        let mut nop = ring.nop();
        let mut other = ring.nop();
        ring.link(&mut [&mut read, &mut nop, &mut other]).unwrap();
        assert_eq!(read.wait().0, Ok(5));
        assert_eq!(nop.wait(), Err(Errno::ECANCELED));
        assert_eq!(other.wait(), Err(Errno::ECANCELED));
    });
}

#[test]
fn a_chain_begins_in_order_and_may_have_time_limits() {
    both(|ring| {
        let begin = Instant::now();
        let (reader, _writer) = pipe();
        let mut pause = ring.read(&reader, [0; 1]).within(Duration::from_millis(30));
        let mut after = ring.nop();
        ring.link(&mut [&mut pause, &mut after]).unwrap();
        assert_eq!(after.wait(), Err(Errno::ECANCELED));
        assert_eq!(pause.wait().0, Err(Errno::ECANCELED));
        assert!(begin.elapsed() >= Duration::from_millis(30));
    });
}

#[test]
fn a_chain_that_is_too_long_is_not_begun() {
    both(|ring| {
        let mut nops: Vec<_> = (0..9).map(|_| ring.nop()).collect();
        let mut chain: Vec<&mut dyn Startable> =
            nops.iter_mut().map(|nop| nop as &mut dyn Startable).collect();
        assert_eq!(ring.link(&mut chain), Err(Errno::E2BIG));
        assert_eq!(ring.under_way(), 0);
        assert_eq!(ring.link(&mut chain[..8]), Ok(()));
        assert_eq!(ring.link(&mut []), Ok(()));
        for nop in nops {
            assert_eq!(nop.wait(), Ok(()));
        }
    });
}

#[test]
#[should_panic = "that was started"]
fn what_was_started_cannot_be_linked() {
    let ring = sysring::owned::Ring::new(8).unwrap();
    let (mut fresh, mut started) = (ring.nop(), ring.nop());
    started.start();
    let _ = ring.link(&mut [&mut fresh, &mut started]);
}
