//! Making rings, and what is said of them.

use sysring::sys::abi::io_uring::setup;
use sysring::{Engine, Errno, LocalRing, Ring, Sqe128, op};

use crate::common::{both, made, ring, run};

#[test]
fn what_is_asked_for_serves() {
    both(|engine| {
        let ring = ring(engine);
        assert_eq!(ring.report().is_kernel(), engine == Engine::Kernel);
        let said = ring.report().to_string();
        assert!(said.starts_with("the program asks for it; using the "), "{said}");
    });
}

#[test]
fn hints_and_needs_are_flags() {
    both(|engine| {
        let ring = made(
            Ring::builder()
                .engine(engine)
                .defer_taskrun()
                .submit_all()
                .cq_entries(64)
                .require(op::Read::CODE)
                .build(8),
        );
        let report = ring.report();
        let all = setup::SINGLE_ISSUER | setup::DEFER_TASKRUN | setup::SUBMIT_ALL | setup::CQSIZE;
        assert_eq!(report.setup_flags() & all | report.left_out() & all, all);
        assert_eq!(report.left_out() & setup::SUBMIT_ALL, 0);
    });
}

#[test]
fn large_entries_of_both_queues() {
    both(|engine| {
        let builder = Ring::builder().engine(engine).large_submissions().large_completions();
        let mut ring = made(builder.build(8));
        for i in 0..20 {
            let entry = Sqe128::new(op::Nop::new().build(), [!0; 8]).user_data(i);
            // SAFETY: a NOP uses no memory.
            unsafe { ring.push(entry) }.unwrap();
            assert_eq!(ring.submit_and_wait(1), Ok(1));
            let completion = ring.completion().unwrap();
            assert_eq!((completion.user_data(), completion.result()), (i, Ok(0)));
            assert_eq!(completion.extra(), [0, 0]);
        }
        if ring.register().operations().unwrap().has(op::Nop128::CODE) {
            // SAFETY: as above.
            unsafe { ring.push(op::Nop128::new().build().user_data(7)) }.unwrap();
            assert_eq!(ring.submit_and_wait(1), Ok(1));
            assert_eq!(ring.completion().unwrap().result(), Ok(0));
        }
    });
}

#[test]
fn what_cannot_be_is_an_error_that_says_why() {
    both(|engine| {
        let error = Ring::builder().engine(engine).build(0).unwrap_err();
        assert_eq!(error.errno(), Errno::EINVAL);
        assert_eq!(error.to_string(), "io_uring_setup: invalid argument (EINVAL)");
        let error = Ring::builder().engine(engine).build(1 << 20).unwrap_err();
        assert_eq!(error.errno(), Errno::EINVAL);
        let clamped = made(Ring::builder().engine(engine).clamp().build(1 << 20));
        drop(clamped);
        let error = Ring::builder().engine(engine).require(200).build(1).unwrap_err();
        assert_eq!(error.errno(), Errno::EOPNOTSUPP);
        assert_eq!(error.to_string(), "the operation operation 200 does not exist here");
    });
}

#[test]
fn a_ring_attaches_to_another() {
    both(|engine| {
        let first = ring(engine);
        let mut second = made(Ring::builder().engine(engine).attach(&first).build(4));
        assert_eq!(run(&mut second, op::Nop::new()), Ok(0));
    });
}

#[test]
fn a_ring_grows_and_shrinks_with_what_is_in_it() {
    both(|engine| {
        let mut ring = made(Ring::builder().engine(engine).defer_taskrun().build(4));
        if ring.report().left_out() != 0 {
            println!("skipped: {}", ring.report());
            return;
        }
        let nop = |n| op::Nop::new().build().user_data(n);
        let mut next = 0;
        for (entries, completions) in [(16, None), (4, None), (32, Some(256)), (8, Some(8))] {
            // SAFETY: NOPs use no memory.
            unsafe { ring.submission().push_all(&[nop(next), nop(next + 1)]) }.unwrap();
            assert_eq!(ring.submit_and_wait(2), Ok(2));
            // One completion and one entry are under way.
            assert_eq!(ring.completion().unwrap().user_data(), next);
            // SAFETY: as above.
            unsafe { ring.push(nop(next + 2)) }.unwrap();
            match ring.resize(entries, completions) {
                Err(Errno::EINVAL) => {
                    println!("skipped: no other queues: {}", ring.report());
                    return;
                }
                resized => resized.unwrap(),
            }
            assert_eq!(ring.submission().capacity(), entries as usize);
            assert_eq!(ring.submission().len(), 1);
            assert_eq!(ring.submit_and_wait(2), Ok(1));
            let seen: Vec<_> = ring.completions().map(|c| c.user_data()).collect();
            assert_eq!(seen, [next + 1, next + 2]);
            next += 3;
            for _ in 0..3 {
                let room = ring.submission().room();
                assert_eq!(room, entries as usize);
                // SAFETY: as above.
                unsafe { ring.submission().push_all(&vec![nop(9); room]) }.unwrap();
                let room = room as u32;
                assert_eq!(ring.submit_and_wait(room), Ok(room));
                assert_eq!(ring.completions().count(), room as usize);
            }
        }
        assert_eq!(ring.resize(0, None), Err(Errno::EINVAL));
        let mut plain = made(Ring::builder().engine(engine).build(4));
        assert_eq!(plain.resize(8, None), Err(Errno::EINVAL));
    });
}

#[test]
fn a_ring_is_entered_by_its_index() {
    both(|engine| {
        let mut ring = ring(engine).enter_by_index();
        ring.index().unwrap();
        for _ in 0..3 {
            nop(&mut ring);
        }
        assert!(ring.register().operations().unwrap().has(op::Nop::CODE));
        // By its descriptor it is any ring.
        assert_eq!(run(&mut ring, op::Nop::new()), Ok(0));
        let mut ring = ring.into_ring();
        std::thread::spawn(move || {
            // There the same index is another ring's, and stays so.
            let mut other = ring_of(engine).enter_by_index();
            assert_eq!(run(&mut ring, op::Nop::new()), Ok(0));
            drop(ring);
            nop(&mut other);
        })
        .join()
        .unwrap();
        // The index is free again: there are only sixteen.
        for _ in 0..20 {
            let mut ring = ring_of(engine).enter_by_index();
            ring.index().unwrap();
            nop(&mut ring);
        }
        let mut rings: Vec<_> = (0..17).map(|_| ring_of(engine).enter_by_index()).collect();
        if rings[16].report().is_kernel() {
            assert_eq!(rings[16].index(), Err(Errno::EBUSY));
        }
        rings.iter_mut().for_each(nop);
        // Whatever becomes of what is inside, it is that ring which is entered.
        let ((first, _), other) = (rings.split_at_mut(1), ring_of(engine));
        drop(std::mem::replace(&mut *first[0], other));
        nop(&mut first[0]);
        // Nor by chance: the number of the one that was indexed is free, so this one has it, unless
        // another test was quicker.
        drop(std::mem::replace(&mut *first[0], ring_of(engine)));
        nop(&mut first[0]);
    });
}

fn ring_of(engine: Engine) -> Ring {
    made(Ring::builder().engine(engine).build(4))
}

/// By the index, if it has one.
fn nop(ring: &mut LocalRing) {
    // SAFETY: a NOP uses no memory.
    unsafe { ring.push(op::Nop::new()) }.unwrap();
    assert_eq!(ring.submit_and_wait(1), Ok(1));
    assert_eq!(ring.completion().unwrap().result(), Ok(0));
}

#[test]
fn what_the_kernel_lacks_the_engine_has() {
    let Ok(plain) = Ring::builder().engine(Engine::Kernel).build(4) else {
        println!("skipped: the kernel's io_uring does not work here");
        return;
    };
    let lacks = |code| !plain.register().operations().unwrap().has(code);
    let mut ring = made(Ring::builder().require(op::Nop128::CODE).build(4));
    assert_eq!(run(&mut ring, op::Nop::new()), Ok(0));
    let said = ring.report().to_string();
    if lacks(op::Nop128::CODE) {
        let expected = "the kernel's io_uring lacks NOP128; using the engine in userspace";
        assert_eq!(said, expected);
    } else {
        assert_eq!(said, "using the kernel's io_uring");
    }
    let kernel = Ring::builder().engine(Engine::Kernel).require(op::Nop128::CODE).build(4);
    assert_eq!(kernel.is_err(), lacks(op::Nop128::CODE));
}
