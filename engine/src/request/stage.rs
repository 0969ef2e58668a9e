//! Who has a request: what cancels it must know where to take it out, and what comes late that it has
//! gone on.

/// Where a request is on its road.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Stage {
    /// In the slab's free list.
    Free,
    /// Accepted; in a link behind another, in the drain queue, or about to be issued.
    Queued,
    /// Waits on the ring's epoll instance for its file to become ready.
    Parked,
    /// In the workers' queue.
    Punted,
    /// A worker runs it, outside the ring's lock.
    Running,
    /// Submitted to kernel AIO.
    Aio,
    /// In the timer heap or in the list of timeouts that count completions.
    Timer,
    /// Its operation keeps it and will complete it.
    Held,
    /// A sleeper waits for it, outside the ring's lock.
    Asleep,
}
