//! Other people's runtimes.

use std::rc::Rc;
use std::time::Duration;

use sysring::future::{TcpListener, drive, sleep};
use sysring::owned::Ring;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::common::both;
use crate::net::{client, echo};

/// A driver as a task of tokio's.
fn drive_by_tokio(ring: &Ring) -> tokio::task::JoinHandle<std::io::Result<()>> {
    // SAFETY: a ring answers with the same descriptor for as long as it is there.
    let descriptor = unsafe { AsyncFd::register_with_interest(ring.clone(), Interest::READABLE) };
    let descriptor = descriptor.unwrap();
    tokio::spawn(drive(ring.clone(), move |context| {
        descriptor.poll_read_ready(context).map_ok(|mut ready| ready.clear_ready())
    }))
}

async fn serve_with_tokio(ring: &Ring) {
    let listener = TcpListener::bind(ring, "127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        loop {
            tokio::spawn(echo(listener.accept().await.unwrap()));
        }
    });
    let clients: Vec<_> = (0..8)
        .map(|i| {
            let ring = ring.clone();
            tokio::spawn(async move { client(&ring, address, i).await })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    server.abort();
}

#[test]
fn tokio_with_one_thread() {
    both(|ring| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let driver = drive_by_tokio(&ring);
            serve_with_tokio(&ring).await;
            driver.abort();
        });
    });
}

#[test]
fn tokio_with_several_threads() {
    both(|ring| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(3)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let driver = drive_by_tokio(&ring);
            serve_with_tokio(&ring).await;
            driver.abort();
        });
    });
}

#[test]
fn what_is_started_before_it_is_awaited_is_not_overlooked() {
    both(|ring| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let driver = drive_by_tokio(&ring);
            // The driver sleeps by now.
            tokio::time::sleep(Duration::from_millis(5)).await;
            let mut nop = ring.nop();
            nop.start();
            tokio::time::timeout(Duration::from_secs(10), nop).await.expect("it ends").unwrap();
            driver.abort();
        });
    });
}

#[test]
fn tokios_select_beside_tokios_timers() {
    both(|ring| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let driver = drive_by_tokio(&ring);
            for _ in 0..20 {
                tokio::select! {
                    slept = sleep(&ring, Duration::from_secs(60)) => panic!("{slept:?}"),
                    () = tokio::time::sleep(Duration::from_millis(1)) => {}
                }
                sleep(&ring, Duration::from_millis(1)).await.unwrap();
            }
            driver.abort();
        });
    });
}

#[test]
fn smol_with_one_thread() {
    both(|ring| {
        let listener = TcpListener::bind(&ring, "127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let descriptor = smol::Async::new_nonblocking(ring.clone()).unwrap();
        let executor = Rc::new(smol::LocalExecutor::new());
        smol::block_on(executor.run(async {
            let driver = executor
                .spawn(drive(ring.clone(), move |context| descriptor.poll_readable(context)));
            let spawner = Rc::clone(&executor);
            let server = executor.spawn(async move {
                loop {
                    spawner.spawn(echo(listener.accept().await.unwrap())).detach();
                }
            });
            let clients: Vec<_> = (0..8)
                .map(|i| {
                    let ring = ring.clone();
                    executor.spawn(async move { client(&ring, address, i).await })
                })
                .collect();
            for client in clients {
                client.await;
            }
            drop((server, driver));
        }));
    });
}

#[test]
fn a_ring_without_a_driver_is_served_by_who_waits_in_it() {
    both(|ring| {
        let mut pause = std::pin::pin!(sleep(&ring, Duration::from_millis(1)));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(pause.as_mut().poll(&mut context).is_pending());
        ring.wait(None);
        assert!(pause.as_mut().poll(&mut context).is_ready());
    });
}

#[test]
fn completions_that_had_no_room_are_not_forgotten() {
    both(|ring| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let driver = drive_by_tokio(&ring);
            // The driver sleeps by now.
            tokio::time::sleep(Duration::from_millis(5)).await;
            // Many times what the completion queue holds; the descriptor's edge is told once.
            let mut nops: Vec<_> = (0..1000).map(|_| ring.nop()).collect();
            nops.iter_mut().for_each(|nop| nop.start());
            ring.submit().unwrap();
            let all = async {
                for nop in nops {
                    nop.await.unwrap();
                }
            };
            tokio::time::timeout(Duration::from_secs(30), all).await.expect("some are missing");
            driver.abort();
        });
    });
}
