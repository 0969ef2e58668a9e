//! Random operations, compared with a queue.

use std::collections::VecDeque;

use proptest::prelude::*;
use sysring_events::attr::{Answers, Attribute, Checksum, Extensions, Full, Timing, Trace};
use sysring_events::{Config, Event, MAX_LEN, Ring, Seen};
use sysring_sys::Errno;

#[derive(Clone, Debug)]
enum Step {
    Push { words: usize, kind: u16, flags: u16 },
    Pop { room: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..512usize, any::<u16>(), any::<u16>())
            .prop_map(|(words, kind, flags)| Step::Push { words, kind, flags }),
        2 => (4..2048usize).prop_map(|room| Step::Pop { room }),
    ]
}

/// What an event of so many words beyond the least carries.
fn payload(id: u64, words: usize) -> Vec<u64> {
    let mut list = vec![0; words];
    let mut extensions = Extensions::new(&mut list);
    extensions.add(7, |room| {
        room.fill(id);
        room.len()
    });
    extensions.finish().to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    /// What goes in comes out, in order, whole; what does not fit is refused and nothing else.
    #[test]
    fn a_ring_is_a_queue(steps in prop::collection::vec(step(), 1..400), overflow in any::<bool>()) {
        let overflow = if overflow { 1 << 16 } else { 0 };
        let ring = Ring::new(&Config { size: 1 << 16, overflow, shared: false }).unwrap();
        let mut queue = VecDeque::new();
        let mut id = 0;
        for step in steps {
            match step {
                Step::Push { words, kind, flags } => {
                    let list = payload(id, words);
                    let mut answers = Answers::none();
                    answers.set(&Trace(id));
                    answers.set(&Full(9));
                    if words > 0 {
                        answers.set_extensions(&list);
                    }
                    let event = Event::new(id, -(id as i64)).of_kind(kind, flags).with(&answers);
                    let used: usize = queue.iter().map(|&(_, _, len)| len).sum();
                    match ring.push(&event) {
                        Ok(()) => queue.push_back((id, (words, kind, flags), event.len())),
                        Err(Errno::EMSGSIZE) => prop_assert!(event.len() > MAX_LEN),
                        Err(error) => {
                            prop_assert_eq!(error, Errno::ENOBUFS);
                            // Room may be left in the ring while older events are behind it.
                            prop_assert!(used + event.len() > 1 << 16);
                        }
                    }
                    id += 1;
                }
                Step::Pop { room } => {
                    let mut memory = vec![0; room];
                    match ring.pop(&mut memory) {
                        Ok(events) => {
                            prop_assert_eq!(events.is_empty(), queue.is_empty());
                            for seen in events {
                                let (id, shape, _) = queue.pop_front().unwrap();
                                compare(seen, id, shape);
                            }
                        }
                        Err(error) => {
                            prop_assert_eq!(error, Errno::EMSGSIZE);
                            prop_assert!(queue.front().is_some_and(|&(_, _, len)| len > room * 8));
                        }
                    }
                }
            }
            prop_assert_eq!(ring.is_empty(), queue.is_empty());
        }
    }

    /// Any attributes, in any order of setting, come back; what was not set does not.
    #[test]
    fn answers_come_back(mask in 0u8..8, a in any::<u64>(), b in any::<u32>()) {
        let ring = Ring::new(&Config::default()).unwrap();
        let mut answers = Answers::none();
        let timing = Timing { queued: a, issued: !a, completed: a / 2 };
        let checksum = Checksum { crc32c: b, bytes: a };
        if mask & 4 != 0 {
            answers.set(&checksum);
        }
        if mask & 1 != 0 {
            answers.set(&timing);
        }
        if mask & 2 != 0 {
            answers.set(&Trace(a));
        }
        ring.push(&Event::new(1, 2).with(&answers)).unwrap();
        let mut memory = [0; 64];
        let seen = ring.pop(&mut memory).unwrap().next().unwrap();
        prop_assert_eq!(seen.handled(), answers.handled());
        prop_assert_eq!(seen.attr::<Timing>(), (mask & 1 != 0).then_some(timing));
        prop_assert_eq!(seen.attr::<Trace>(), (mask & 2 != 0).then_some(Trace(a)));
        prop_assert_eq!(seen.attr::<Checksum>(), (mask & 4 != 0).then_some(checksum));
        prop_assert_eq!(seen.attr::<Full>(), None);
    }
}

fn compare(seen: Seen<'_>, id: u64, (words, kind, flags): (usize, u16, u16)) {
    assert_eq!((seen.id(), seen.result()), (id, -(id as i64)));
    assert_eq!((seen.kind(), seen.flags()), (kind, flags));
    assert_eq!(seen.attr::<Trace>(), Some(Trace(id)));
    assert_eq!(seen.handled() & Trace::MASK, Trace::MASK);
    let expected = vec![id; words.saturating_sub(1)];
    assert_eq!(seen.extension(7), (words > 0).then_some(expected.as_slice()));
    assert_eq!(seen.extension(8), None);
}
