//! The ring of events beside the plainest queue: what its lock costs, which outlives who holds it.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use ::sysring::events::{Config, Event, Ring};

use crate::compare::{Contender, interleave};
use crate::report::{Better, Goal, Metric, Row, Unit};
use crate::{Error, Settings};

const NS: Metric = Metric { name: "per event", unit: Unit::Nanoseconds, better: Better::Lower };

/// Pushed at a time, before they are popped.
const BATCH: usize = 64;

/// Events of 32 bytes, pushed and popped by one thread, and pushed by two at once.
pub fn run(settings: &Settings) -> Result<Vec<Row>, Error> {
    let rounds = settings.rounds.unwrap_or(if settings.quick { 5 } else { 15 });
    let count = if settings.quick { 300_000 } else { 2_000_000 };
    let ring = &Ring::new(&Config::default())?;
    let queue = &Mutex::new(VecDeque::with_capacity(2 * BATCH));
    let samples = interleave(
        rounds,
        &mut [
            Contender::new("mutex and queue", move || Ok(timed(count, || in_queue(queue, count)))),
            Contender::new("ring", move || Ok(timed(count, || in_ring(ring, count)))),
            Contender::new("mutex and queue", move || {
                Ok(timed(count, || by_two(|half| in_queue(queue, half), count)))
            }),
            Contender::new("ring", move || {
                Ok(timed(count, || by_two(|half| in_ring(ring, half), count)))
            }),
        ],
    );
    let row = |work, of: usize| {
        let goal = Goal::Absolute { at_most: None };
        Row::new(work, (0, NS), goal, &samples[of], &samples[of + 1])
    };
    Ok(vec![
        row("event pushed and popped, by one thread", 0),
        row("event pushed and popped, by two threads at once", 2),
    ])
}

/// Nanoseconds of one of `count`.
fn timed(count: usize, act: impl FnOnce()) -> Vec<f64> {
    let began = Instant::now();
    act();
    vec![began.elapsed().as_nanos() as f64 / count as f64]
}

fn by_two(act: impl Fn(usize) + Sync, count: usize) {
    thread::scope(|scope| {
        scope.spawn(|| act(count / 2));
        act(count / 2);
    });
}

fn in_ring(ring: &Ring, count: usize) {
    let mut memory = [0; 4 * BATCH];
    for _ in 0..count / BATCH {
        for id in 0..BATCH as u64 {
            // It has room for all that are under way, many times.
            let pushed = ring.push(&Event::new(black_box(id), 0));
            debug_assert!(pushed.is_ok());
        }
        if let Ok(events) = ring.pop(&mut memory) {
            events.for_each(|event| {
                black_box(event.id());
            });
        }
    }
    while ring.pop(&mut memory).is_ok_and(|events| !events.is_empty()) {}
}

fn in_queue(queue: &Mutex<VecDeque<[u64; 4]>>, count: usize) {
    let lock = || queue.lock().unwrap_or_else(|broken| broken.into_inner());
    for _ in 0..count / BATCH {
        for id in 0..BATCH as u64 {
            lock().push_back([32, black_box(id), 0, 0]);
        }
        let mut queue = lock();
        let taken = BATCH.min(queue.len());
        queue.drain(..taken).for_each(|event| {
            black_box(event[1]);
        });
    }
}
