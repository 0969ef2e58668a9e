//! The executor.

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use sysring::future::{Executor, File, block_on, sleep, timeout};

use crate::common::{both, yield_now};

#[test]
fn tasks_run_beside_each_other() {
    both(|ring| {
        let executor = Executor::new(&ring);
        let begin = Instant::now();
        let sum = executor.run(async {
            let tasks: Vec<_> = (0..50)
                .map(|i| {
                    let pause = sleep(&ring, Duration::from_millis(40));
                    executor.spawn(async move {
                        pause.await.unwrap();
                        i
                    })
                })
                .collect();
            let mut sum = 0;
            for task in tasks {
                sum += task.await;
            }
            sum
        });
        assert_eq!(sum, 49 * 50 / 2);
        let took = begin.elapsed();
        assert!(took >= Duration::from_millis(40) && took < Duration::from_secs(2), "{took:?}");
    });
}

#[test]
fn tasks_spawn_tasks_and_need_not_be_awaited() {
    both(|ring| {
        let executor = Executor::new(&ring);
        let count = Rc::new(Cell::new(0));
        executor.run(async {
            for _ in 0..10 {
                let (inner, ring, count) = (executor.clone(), ring.clone(), Rc::clone(&count));
                drop(executor.spawn(async move {
                    let count = Rc::clone(&count);
                    let nop = ring.nop();
                    drop(inner.spawn(async move {
                        nop.await.unwrap();
                        count.set(count.get() + 1);
                    }));
                }));
            }
            while count.get() < 10 {
                yield_now().await;
            }
        });
        assert_eq!(count.get(), 10);
    });
}

#[test]
fn other_threads_wake_it_from_its_sleep() {
    both(|ring| {
        // With something under way, and with nothing at all.
        for busy in [true, false] {
            let (sender, receiver) = smol::channel::bounded(1);
            let thread = std::thread::spawn(move || {
                for i in 0..100 {
                    if i % 10 == 0 {
                        std::thread::sleep(Duration::from_millis(2));
                    }
                    sender.send_blocking(i).unwrap();
                }
            });
            let mut endless = sleep(&ring, Duration::from_secs(3600));
            if busy {
                endless.start();
            }
            block_on(&ring, async {
                for i in 0..100 {
                    assert_eq!(receiver.recv().await, Ok(i));
                }
            });
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_task_that_never_rests_does_not_starve_the_ring() {
    both(|ring| {
        let executor = Executor::new(&ring);
        let _greedy = executor.spawn(async {
            loop {
                yield_now().await;
            }
        });
        executor.run(sleep(&ring, Duration::from_millis(5))).unwrap();
    });
}

#[test]
fn tasks_go_on_in_the_next_run() {
    both(|ring| {
        let executor = Executor::new(&ring);
        let tasks: Vec<_> = (0..5).map(|i| executor.spawn(async move { i })).collect();
        // It is ready in the first round, before the tasks have been polled, or after.
        executor.run(async {});
        executor.run(async {
            for (i, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.await, i);
            }
        });
    });
}

#[test]
#[should_panic = "a task runs the executor"]
fn it_is_not_run_by_its_own_tasks() {
    let ring = sysring::owned::Ring::new(8).unwrap();
    let executor = Executor::new(&ring);
    executor.run(async { executor.run(async {}) });
}

#[test]
fn files_are_read_and_written_whole() {
    both(|ring| {
        let thread = std::thread::current().id();
        let path = std::env::temp_dir().join(format!("sysring-future-{thread:?}"));
        block_on(&ring, async {
            let data: Vec<u8> = (0..300_000u32).map(|i| (i / 3) as u8).collect();
            let file = File::create(&ring, &path).await.unwrap();
            let (written, data) = file.write_all_at(data, 0).await;
            assert_eq!(written, Ok(()));
            file.sync_data().await.unwrap();
            file.close().await.unwrap();
            let file = File::open(&ring, &path).await.unwrap();
            let (count, all) = file.read_to_end_at(b"before: ".to_vec(), 1).await;
            assert_eq!(count, Ok(data.len() - 1));
            assert!(all[..8] == *b"before: " && all[8..] == data[1..]);
            let (count, parts) = file.readv_at(([0; 3], vec![0; 5]), 6).await;
            assert_eq!((count, parts.0, &parts.1[..]), (Ok(8), [2; 3], &[3, 3, 3, 4, 4][..]));
            let (count, _) = file.writev_at(["a", "b"], 0).await;
            assert_eq!(count, Err(sysring::Errno::EBADF));
            let (read, part) = file.read_exact_at([0; 1000], 299_000).await;
            assert!(read == Ok(()) && part[..] == data[299_000..]);
            let (read, _) = file.read_exact_at(Vec::with_capacity(1001), 299_000).await;
            assert_eq!(read, Err(sysring::Errno::ENODATA));
        });
        std::fs::remove_file(&path).unwrap();
    });
}

#[test]
fn time_runs_out_or_does_not() {
    both(|ring| {
        block_on(&ring, async {
            let short = Duration::from_millis(5);
            assert!(timeout(&ring, short, sleep(&ring, Duration::from_secs(60))).await.is_err());
            let long = Duration::from_secs(60);
            assert_eq!(timeout(&ring, long, sleep(&ring, short)).await, Ok(Ok(())));
        });
        while ring.under_way() > 0 {
            ring.wait(None);
        }
    });
}

#[test]
fn a_task_that_panics_leaves_the_others_to_the_next_run() {
    both(|ring| {
        let executor = Executor::new(&ring);
        let bad = executor.spawn(async { panic!("on purpose") });
        let pause = sleep(&ring, Duration::from_millis(1));
        let good = executor.spawn(async move { pause.await.map(|()| 7) });
        let run = |task: Pin<Box<dyn Future<Output = i32> + '_>>| {
            let run = AssertUnwindSafe(|| executor.run(task));
            catch_unwind(run).map_err(|panic| panic.downcast_ref::<&str>().copied())
        };
        let awaited = Box::pin(async { good.await.unwrap() });
        assert_eq!(run(Box::pin(std::future::pending())), Err(Some("on purpose")));
        assert_eq!(run(awaited), Ok(7));
        // Its own end never comes.
        let gone = "a task is awaited that was dropped before its end";
        assert_eq!(run(Box::pin(bad)), Err(Some(gone)));
    });
}
