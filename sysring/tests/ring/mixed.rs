//! Entries of two sizes in one queue.

use sysring::{Engine, MixedCqe, MixedSqe, Ring, SetupError, op};

use crate::common::both;

/// `None`: this engine does not know such entries.
fn known<T>(engine: Engine, made: Result<T, SetupError>) -> Option<T> {
    match made {
        Err(error) if engine == Engine::Kernel => {
            println!("skipped: on the kernel: {error}");
            None
        }
        made => Some(made.unwrap()),
    }
}

#[test]
fn completions_of_two_sizes() {
    both(|engine| {
        let builder = Ring::builder().engine(engine).mixed_completions().cq_entries(8);
        let Some(mut ring) = known(engine, builder.build(4)) else { return };
        // Every order comes to lie at the end of the queue.
        let mut expected = std::collections::VecDeque::new();
        for i in 0..200u64 {
            let large = (i * i) % 5 < 2;
            let nop = if large { op::Nop::new().extra([i, !i]) } else { op::Nop::new() };
            // SAFETY: a NOP uses no memory.
            unsafe { ring.push(nop.build().user_data(i)) }.unwrap();
            assert_eq!(ring.submit(), Ok(1));
            expected.push_back((i, large.then_some([i, !i])));
            if i % 3 == 2 {
                let check = |cqe: MixedCqe| {
                    assert_eq!(cqe.result(), Ok(0));
                    assert_eq!(Some((cqe.user_data(), cqe.extra())), expected.pop_front());
                };
                if i % 2 == 0 {
                    ring.completions().for_each(check);
                } else {
                    std::iter::from_fn(|| ring.completion()).for_each(check);
                }
                assert!(expected.is_empty(), "{expected:?}");
            }
        }
    });
}

#[test]
fn submissions_of_two_sizes() {
    both(|engine| {
        let builder = Ring::builder().engine(engine).mixed_submissions();
        let Some(mut ring) = known(engine, builder.build(8)) else { return };
        let small = |i: u64| op::Nop::new().build().user_data(i);
        let large = |i: u64| op::Nop128::new().build().user_data(i);
        for round in 0..50u64 {
            // Odd and even places, and the last one, for the large ones.
            let lead = round % 3;
            for i in 0..lead {
                // SAFETY: a NOP uses no memory.
                unsafe { ring.push(small(i)) }.unwrap();
            }
            let mut submission = ring.submission();
            // SAFETY: as above; they have 128 bytes.
            unsafe {
                submission.push_large(large(lead).link()).unwrap();
                submission.push_large(large(lead + 1)).unwrap();
            }
            ring.submit().unwrap();
            let ends: Vec<_> =
                ring.completions().map(|cqe| (cqe.user_data(), cqe.result())).collect();
            let expected: Vec<_> = (0..lead + 2).map(|i| (i, Ok(0))).collect();
            assert_eq!(ends, expected, "round {round}");
        }
        let mut count = 0;
        // SAFETY: as above.
        while unsafe { ring.push_large(large(0)) }.is_ok() {
            count += 1;
        }
        // What is left is less than it takes.
        assert!((3..=4).contains(&count) && ring.submission().room() < 3);
        let room = ring.submission().room();
        for _ in 0..room {
            // SAFETY: as above.
            unsafe { ring.push(small(1)) }.unwrap();
        }
        // SAFETY: as above.
        assert!(unsafe { ring.push(small(1)) }.is_err());
        ring.submit().unwrap();
        assert_eq!(ring.completions().count(), count + room);
    });
}

#[test]
fn a_chain_goes_on_over_the_end_of_the_queue() {
    both(|engine| {
        let builder = Ring::builder().engine(engine).mixed_submissions();
        let Some(mut ring) = known(engine, builder.build(4)) else { return };
        let push = |ring: &mut Ring<MixedSqe>, nop: op::Nop, data| {
            // SAFETY: a NOP uses no memory.
            unsafe { ring.push(nop.build().user_data(data).link()) }.unwrap();
        };
        for _ in 0..2 {
            push(&mut ring, op::Nop::new(), 1);
        }
        ring.submit().unwrap();
        assert_eq!(ring.completions().count(), 2);
        // The third place; the fourth is filled, and the large one comes behind it.
        push(&mut ring, op::Nop::new().result(-5), 1);
        // SAFETY: as above; it has 128 bytes.
        unsafe { ring.push_large(op::Nop128::new().build().user_data(2)) }.unwrap();
        ring.submit().unwrap();
        let ends: Vec<_> = ring.completions().map(|cqe| (cqe.user_data(), cqe.res())).collect();
        assert_eq!((ends[0], ends[ends.len() - 1]), ((1, -5), (2, -libc::ECANCELED)));
    });
}

#[test]
fn a_queue_of_two_places_takes_large_ones_behind_small_ones() {
    both(|engine| {
        let builder = Ring::builder().engine(engine).mixed_submissions();
        let Some(mut ring) = known(engine, builder.build(2)) else { return };
        for round in 0..5 {
            // SAFETY: a NOP uses no memory.
            unsafe { ring.push(op::Nop::new().build().user_data(1)) }.unwrap();
            // One with an even number of places before it, and one with an odd one.
            if round % 2 == 0 {
                ring.submit().unwrap();
            }
            let mut refusals = 0;
            // SAFETY: as above; it has 128 bytes.
            while unsafe { ring.push_large(op::Nop128::new().build().user_data(2)) }.is_err() {
                refusals += 1;
                assert!(refusals < 3, "for ever full");
                ring.submit().unwrap();
            }
            ring.submit().unwrap();
            let ends: Vec<_> =
                ring.completions().map(|cqe| (cqe.user_data(), cqe.result())).collect();
            assert_eq!(ends, [(1, Ok(0)), (2, Ok(0))], "round {round}");
        }
    });
}
