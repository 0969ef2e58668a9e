//! The register call's operations, a row each.

use sysring_sys::abi::io_uring::register as nr;
use sysring_sys::{Result, User};

use super::{
    bpf_filter, clone_buffers, control, eventfd, mem_region, msg_ring, napi, pbuf_ring,
    personality, probe, query, resize, resources, restrictions, ring_fds, sync_cancel, workers,
};
use crate::locked::Locked;
use crate::ring::Ring;

/// A call that concerns no ring.
pub type Alone = fn(User<u8>, u32) -> Result<usize>;

/// What runs a call: its argument and count are the application's, unchecked.
#[derive(Clone, Copy, Debug)]
pub enum Run {
    /// Concerns the process, whichever ring it is called on.
    Process(Alone),
    /// Takes the ring's lock itself, if and when it needs it.
    Ring(fn(&Ring, User<u8>, u32) -> Result<usize>),
    /// Under the ring's lock.
    Locked(fn(&mut Locked<'_>, User<u8>, u32) -> Result<usize>),
}

/// What is known of a call.
#[derive(Debug)]
pub struct Row {
    /// As the field calls it.
    pub name: &'static str,
    /// The kernel that had it first.
    pub since: &'static str,
    /// What it does.
    pub run: Run,
    /// What it does where no ring is named.
    pub alone: Option<Alone>,
    /// Where it is less than the kernel's, and why.
    pub note: &'static str,
}

macro_rules! rows {
    ($($call:ident since $since:literal, $kind:ident $run:path
        $(, alone $alone:path)? $(, note $note:literal)?;)*) => {{
        let mut rows = [const { None }; nr::COUNT];
        $(
            #[allow(unused_mut, unused_assignments)]
            {
                let mut row = Row {
                    name: stringify!($call),
                    since: $since,
                    run: Run::$kind($run),
                    alone: None,
                    note: concat!($($note)?),
                };
                $(row.alone = Some($alone);)?
                rows[nr::$call as usize] = Some(row);
            }
        )*
        rows
    }};
}

/// By number; `None` is answered `EINVAL`, as by a kernel that is too old for it.
pub static ROWS: [Option<Row>; nr::COUNT] = rows! {
    BUFFERS since "5.1", Locked resources::buffers;
    UNREGISTER_BUFFERS since "5.1", Locked resources::unregister_buffers;
    FILES since "5.1", Locked resources::files;
    UNREGISTER_FILES since "5.1", Locked resources::unregister_files;
    EVENTFD since "5.2", Locked eventfd::eventfd;
    UNREGISTER_EVENTFD since "5.2", Locked eventfd::unregister_eventfd;
    FILES_UPDATE since "5.5", Locked resources::files_update;
    EVENTFD_ASYNC since "5.6", Locked eventfd::eventfd_async;
    PROBE since "5.6", Process probe::probe;
    PERSONALITY since "5.6", Locked personality::register,
        note "a thread keeps the credentials; a child of `fork` does not inherit them";
    UNREGISTER_PERSONALITY since "5.6", Locked personality::unregister;
    RESTRICTIONS since "5.10", Locked restrictions::register, alone restrictions::of_task,
        note "those of a task are the process's, and end when it executes another program";
    ENABLE_RINGS since "5.10", Ring control::enable_rings;
    FILES2 since "5.13", Locked resources::files2;
    FILES_UPDATE2 since "5.13", Locked resources::files_update2;
    BUFFERS2 since "5.13", Locked resources::buffers2;
    BUFFERS_UPDATE since "5.13", Locked resources::buffers_update;
    IOWQ_AFF since "5.14", Process workers::bind, note "binds the workers of the process";
    UNREGISTER_IOWQ_AFF since "5.14", Process workers::unbind;
    IOWQ_MAX_WORKERS since "5.15", Process workers::most,
        note "one crew serves all rings of a process: both limits together, and 64 threads at most";
    RING_FDS since "5.18", Process ring_fds::register,
        note "the table is the process's, where the kernel's is a task's: an index works in every thread, the engine chooses some up to 1024, and one that a thread names itself may be another's already";
    UNREGISTER_RING_FDS since "5.18", Process ring_fds::unregister, note "as `RING_FDS`";
    PBUF_RING since "5.19", Locked pbuf_ring::register;
    UNREGISTER_PBUF_RING since "5.19", Locked pbuf_ring::unregister;
    SYNC_CANCEL since "6.0", Ring sync_cancel::sync_cancel;
    FILE_ALLOC_RANGE since "6.0", Locked resources::file_range;
    PBUF_STATUS since "6.8", Locked pbuf_ring::status;
    NAPI since "6.9", Locked napi::register,
        note "kept and told; only the kernel can poll the queues of a network card";
    UNREGISTER_NAPI since "6.9", Locked napi::unregister;
    CLOCK since "6.12", Ring control::clock;
    CLONE_BUFFERS since "6.12", Ring clone_buffers::clone_buffers;
    SEND_MSG_RING since "6.13", Process msg_ring::on_a_ring, alone msg_ring::send,
        note "to rings of the same process";
    RESIZE_RINGS since "6.13", Locked resize::resize,
        note "seen by the process that asks; a child that shares the ring goes on with the old ones";
    MEM_REGION since "6.13", Locked mem_region::register;
    QUERY since "6.18", Process query::query, alone query::query;
    BPF_FILTER since "7.0", Locked bpf_filter::register, alone restrictions::filter_of_task,
        note "those of a task are the process's, and end when it executes another program";
};

/// The row of a number an application gave.
#[must_use]
pub fn row(number: u32) -> Option<&'static Row> {
    ROWS.get(number as usize)?.as_ref()
}
