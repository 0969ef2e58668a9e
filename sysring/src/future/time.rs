//! Time.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::owned::{Operation, Ring, Sleep};

/// Ends after this time, of the monotonic clock. See [`Ring::sleep`].
pub fn sleep(ring: &Ring, span: Duration) -> Operation<Sleep> {
    ring.sleep(span)
}

/// Time ran out: see [`timeout`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("time ran out")
    }
}

impl std::error::Error for Elapsed {}

/// Gives a future so much time, and drops it then.
///
/// ```
/// use std::time::Duration;
/// use sysring::future::{block_on, timeout};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ring = sysring::owned::Ring::new(8)?;
/// let never = std::future::pending::<()>();
/// assert!(block_on(&ring, timeout(&ring, Duration::from_millis(1), never)).is_err());
/// # Ok(()) }
/// ```
///
/// # Errors
/// [`Elapsed`]: the future was not ready in time.
pub async fn timeout<T>(
    ring: &Ring,
    span: Duration,
    future: impl Future<Output = T>,
) -> Result<T, Elapsed> {
    let mut future = pin!(future);
    let mut sleep = pin!(sleep(ring, span));
    poll_fn(|context| {
        if let Poll::Ready(value) = future.as_mut().poll(context) {
            return Poll::Ready(Ok(value));
        }
        sleep.as_mut().poll(context).map(|_| Err(Elapsed(())))
    })
    .await
}
