//! Every order in which an operation can end and its handle be dropped. Runs under miri.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Wake;

use sysring_sys::Errno;

use super::*;

/// Counts what becomes of it.
#[derive(Default)]
struct Fate {
    abandoned: AtomicUsize,
    dropped: AtomicUsize,
    discarded: Mutex<Vec<u32>>,
    woken: AtomicUsize,
}

struct Probe(Arc<Fate>, [u8; 8]);

impl Once for Probe {
    fn abandoned(self: Box<Self>, completion: Completion) {
        assert_eq!(completion.result, Ok(8));
        self.0.abandoned.fetch_add(1, Relaxed);
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Relaxed);
    }
}

impl Many for Fate {
    fn discard(&self, completion: Completion) {
        self.discarded.lock().unwrap().push(completion.result.unwrap());
    }
}

impl Wake for Fate {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Relaxed);
    }
}

fn value(value: u32) -> Completion {
    Completion::new(Ok(value), 0)
}

/// A request under way, and where the kernel would write.
fn begin(slots: &mut Slots, fate: &Arc<Fate>) -> (Key, *mut u8) {
    let (lent, at) = Lent::new(Box::new(Probe(Arc::clone(fate), [0; 8])));
    // SAFETY: it was just made.
    let memory = unsafe { (&raw mut (*at).1).cast() };
    (slots.begin(Lease::Once(lent, None)), memory)
}

fn write_as_the_kernel(memory: *mut u8) {
    // SAFETY: eight bytes that are lent.
    unsafe { memory.write_bytes(7, 8) };
}

fn abandon(slots: &mut Slots, key: Key) -> bool {
    let mut afters = Vec::new();
    let pending = slots.abandon(key, &mut afters);
    afters.into_iter().for_each(After::run);
    pending
}

#[test]
fn memory_comes_back_with_the_result() {
    let (mut slots, fate) = (Slots::default(), Arc::new(Fate::default()));
    let (key, memory) = begin(&mut slots, &fate);
    // The table may grow and move while the kernel has the memory.
    for _ in 0..50 {
        begin(&mut slots, &fate);
    }
    assert!(slots.finish(key).is_none());
    write_as_the_kernel(memory);
    assert!(slots.arrive(key.user_data(), value(8), false, false).is_none());
    let (request, completion) = slots.finish(key).unwrap();
    let request: Box<dyn std::any::Any> = request;
    assert_eq!(request.downcast::<Probe>().unwrap().1, [7; 8]);
    assert_eq!(completion, value(8));
    assert_eq!(slots.under_way(), 50);
    // The rest is never ended: leaked, not freed.
    drop(slots);
    assert_eq!(fate.dropped.load(Relaxed), 1);
}

#[test]
fn memory_of_a_dropped_handle_stays_until_the_end() {
    let (mut slots, fate) = (Slots::default(), Arc::new(Fate::default()));
    let (key, memory) = begin(&mut slots, &fate);
    assert!(abandon(&mut slots, key), "it must be cancelled");
    assert_eq!(fate.dropped.load(Relaxed), 0);
    write_as_the_kernel(memory);
    slots.arrive(key.user_data(), value(8), false, false).unwrap().run();
    assert_eq!((fate.abandoned.load(Relaxed), fate.dropped.load(Relaxed)), (1, 1));
    assert_eq!(slots.under_way(), 0);
}

#[test]
fn a_handle_dropped_after_the_end_gives_up_the_result() {
    let (mut slots, fate) = (Slots::default(), Arc::new(Fate::default()));
    let (key, _) = begin(&mut slots, &fate);
    slots.arrive(key.user_data(), value(8), false, false);
    assert!(!abandon(&mut slots, key), "nothing is left to cancel");
    assert_eq!((fate.abandoned.load(Relaxed), fate.dropped.load(Relaxed)), (1, 1));
}

#[test]
fn a_notification_ends_what_its_result_did_not() {
    let (mut slots, fate) = (Slots::default(), Arc::new(Fate::default()));
    let (key, _) = begin(&mut slots, &fate);
    slots.arrive(key.user_data(), value(8), true, false);
    assert_eq!(slots.result(key), Some(value(8)));
    assert!(slots.finish(key).is_none() && !slots.is_over(key));
    slots.arrive(key.user_data(), value(0), false, true);
    assert_eq!(slots.finish(key).unwrap().1, value(8));
}

#[test]
fn whoever_waits_is_woken_once() {
    let (mut slots, fate) = (Slots::default(), Arc::new(Fate::default()));
    let (key, _) = begin(&mut slots, &fate);
    let waker = Waker::from(Arc::clone(&fate));
    assert!(slots.wake_by(key, &waker).is_none());
    assert!(slots.wake_by(key, Waker::noop()).is_some(), "the last one counts");
    drop(slots.wake_by(key, &waker));
    slots.arrive(key.user_data(), value(8), false, false).unwrap().run();
    assert_eq!(fate.woken.load(Relaxed), 1);
}

#[test]
fn items_wait_their_turn_and_those_of_nobody_are_discarded() {
    let (mut slots, fate) = (Slots::default(), Arc::new(Fate::default()));
    let key = slots.begin(Lease::Many(Arc::clone(&fate) as _, VecDeque::new()));
    assert!(matches!(slots.next(key), Next::NotYet));
    for item in 0..4 {
        slots.arrive(key.user_data(), value(item), true, false);
    }
    assert!(matches!(slots.next(key), Next::Item(c) if c == value(0)));
    assert!(abandon(&mut slots, key));
    assert_eq!(*fate.discarded.lock().unwrap(), [1, 2, 3]);
    slots.arrive(key.user_data(), value(4), true, false).unwrap().run();
    assert_eq!(slots.under_way(), 1);
    slots.arrive(key.user_data(), value(5), false, false).unwrap().run();
    assert_eq!(*fate.discarded.lock().unwrap(), [1, 2, 3, 4, 5]);
    assert_eq!(slots.under_way(), 0);
    assert_eq!(Arc::strong_count(&fate), 1);
}

#[test]
fn a_stream_is_over_after_its_last_item() {
    let (mut slots, fate) = (Slots::default(), Arc::new(Fate::default()));
    let key = slots.begin(Lease::Many(Arc::clone(&fate) as _, VecDeque::new()));
    slots.arrive(key.user_data(), Completion::refused(Errno::EIO), false, false);
    assert!(matches!(slots.next(key), Next::Item(_)));
    assert!(matches!(slots.next(key), Next::Over));
    assert!(matches!(slots.next(key), Next::Over));
}

#[test]
fn a_name_is_not_used_twice() {
    let (mut slots, fate) = (Slots::default(), Arc::new(Fate::default()));
    let (old, _) = begin(&mut slots, &fate);
    slots.arrive(old.user_data(), value(8), false, false);
    drop(slots.finish(old));
    let (new, _) = begin(&mut slots, &fate);
    assert_eq!(new.index, old.index);
    assert_ne!(new, old);
    assert!(slots.arrive(old.user_data(), value(8), false, false).is_none());
    assert!(slots.finish(new).is_none() && slots.is_over(old));
    assert!(slots.arrive(Key::NOBODY, value(8), false, false).is_none());
    slots.arrive(new.user_data(), value(8), false, false);
    drop(slots.finish(new));
}

#[test]
fn what_a_multishot_owns_outlives_the_ring_if_need_be() {
    let (mut slots, fate) = (Slots::default(), Arc::new(Fate::default()));
    let ended = slots.begin(Lease::Many(Arc::clone(&fate) as _, VecDeque::new()));
    slots.arrive(ended.user_data(), value(1), false, false);
    slots.begin(Lease::Many(Arc::clone(&fate) as _, VecDeque::new()));
    drop(slots);
    assert_eq!(Arc::strong_count(&fate), 2, "ours, and that of the one under way");
}
