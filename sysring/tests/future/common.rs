//! What the tests share.

use sysring::owned::Ring;
use sysring::{Engine, Ring as Raw};

/// Runs a test on the kernel's io_uring, where it works, and on the engine; each on a thread of its
/// own, for the kernel interrupts a thread whose ring goes.
pub fn both(test: fn(Ring)) {
    for engine in [Engine::Kernel, Engine::User] {
        match Ring::with(&Raw::builder().engine(engine), 64) {
            Ok(ring) => {
                if let Err(panic) = std::thread::spawn(move || test(ring)).join() {
                    std::panic::resume_unwind(panic);
                }
            }
            Err(error) if engine == Engine::Kernel => println!("skipped: on the kernel: {error}"),
            Err(error) => panic!("{error}"),
        }
    }
}

/// The first of two futures that is ready; the other one is dropped.
pub async fn race<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    let (mut one, mut other) = (std::pin::pin!(one), std::pin::pin!(other));
    std::future::poll_fn(|context| {
        let first = one.as_mut().poll(context);
        if first.is_ready() { first } else { other.as_mut().poll(context) }
    })
    .await
}

/// Gives others a turn.
pub async fn yield_now() {
    let mut first = true;
    std::future::poll_fn(|context| {
        if std::mem::take(&mut first) {
            context.waker().wake_by_ref();
            return std::task::Poll::Pending;
        }
        std::task::Poll::Ready(())
    })
    .await;
}
