//! Driving a ring inside somebody else's runtime.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use crate::owned::{Ring, Turn};

/// Hands submissions over and completions out, for as long as it is polled: spawn it once for each
/// ring, beside the tasks that use the ring.
///
/// It is the driver's thread that submits, one that should stay (as those of the runtimes do): on the
/// kernel's io_uring, what has to wait for something goes with the thread that submitted it.
///
/// `poll_readable` is the runtime's way to wait until the ring's descriptor is readable. It may tell
/// edges or levels.
///
/// With tokio:
///
/// ```
/// use sysring::future::{drive, sleep};
/// use sysring::owned::Ring;
/// use tokio::io::{Interest, unix::AsyncFd};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ring = Ring::new(64)?;
/// // SAFETY: a ring answers with the same descriptor for as long as it is there.
/// let descriptor = unsafe { AsyncFd::register_with_interest(ring.clone(), Interest::READABLE)? };
/// tokio::spawn(drive(ring.clone(), move |context| {
///     descriptor.poll_read_ready(context).map_ok(|mut ready| ready.clear_ready())
/// }));
/// sleep(&ring, std::time::Duration::from_millis(1)).await?;
/// # Ok(()) }
/// ```
///
/// With smol:
///
/// ```
/// use sysring::future::{drive, sleep};
/// use sysring::owned::Ring;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # smol::block_on(async {
/// let ring = Ring::new(64)?;
/// let descriptor = smol::Async::new_nonblocking(ring.clone())?;
/// let driver =
///     smol::spawn(drive(ring.clone(), move |context| descriptor.poll_readable(context)));
/// sleep(&ring, std::time::Duration::from_millis(1)).await?;
/// # drop(driver);
/// # Ok(()) }) }
/// ```
///
/// Where a ring has no driver, its futures are submitted one by one, and complete when somebody waits
/// in the ring ([`Ring::wait`], [`Operation::wait`](crate::owned::Operation::wait)).
///
/// # Errors
/// The first that `poll_readable` returns.
pub async fn drive(
    ring: Ring,
    mut poll_readable: impl FnMut(&mut Context<'_>) -> Poll<io::Result<()>>,
) -> io::Result<()> {
    let driver = Driver(ring);
    poll_fn(|context| {
        loop {
            driver.0.turn(Turn::Never);
            // In this order: what is started after it was asked for wakes this task.
            driver.0.driven_by(context.waker());
            if !driver.0.has_started() {
                ready!(poll_readable(context))?;
            }
        }
    })
    .await
}

/// While it is there the ring has a driver.
struct Driver(Ring);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.driven_by_nobody();
    }
}
