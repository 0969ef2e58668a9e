//! What the lock of a ring guards.

use sysring_protocol::Waiters;

use crate::aio::Aio;
use crate::by_data::ByData;
use crate::cancel::Stopping;
use crate::complete::Eventfd;
use crate::filetable::FileTable;
use crate::filter::Filters;
use crate::hints::Hints;
use crate::kbuf::Groups;
use crate::lent::Lent;
use crate::op::rw::Ahead;
use crate::personality;
use crate::poll::Readiness;
use crate::queues::Queues;
use crate::register::{mem_region, napi};
use crate::request::{Queue, Req, Slab};
use crate::restrict::Restrictions;
use crate::rsrc::BufferTable;
use crate::timeout::Timers;

/// What the lock guards, private to this process. What every request needs lies together, from the end of
/// the slab on.
#[derive(Debug)]
#[repr(C)]
pub struct State {
    pub slab: Slab,
    /// Accepted and not completed.
    pub outstanding: u32,
    /// Of these, in the drain queue or linked behind a member of it.
    pub deferred: u32,
    /// CQEs posted since the last commit, and whether another thread than the submitter did.
    pub posted: u32,
    pub posted_remotely: bool,
    /// The ring is being torn down: nothing is posted or started any more.
    pub closing: bool,
    pub drain_active: bool,
    pub drain_next: bool,
    pub drain_disabled: bool,
    /// Requests completed inline since the last commit: a shared counter is dear to touch.
    pub inlined: u32,
    pub filters: Filters,
    /// What the ring is restricted to, and what it is to be restricted to once it is enabled.
    pub restrictions: Option<Restrictions>,
    pub restrictions_to_be: Option<Restrictions>,
    /// Everything that has left the inline path and not completed: the newest, which knows the others,
    pub newest: Option<Req>,
    /// and many by their user_data.
    pub by_data: ByData,
    /// Requests whose turn has come: the rest of links, drained ones.
    pub tasks: Queue,
    /// Behind a drain.
    pub drain: Queue,
    pub timers: Timers,
    pub readiness: Readiness,
    pub aio: Aio,
    pub files: FileTable,
    pub buffers: BufferTable,
    pub groups: Groups,
    pub personalities: personality::Table,
    pub napi: napi::Settings,
    pub queues: Option<Queues>,
    /// Memory for the arguments of waits.
    pub params: Option<mem_region::Params>,
    pub eventfd: Option<Eventfd>,
    /// Requests given to the workers since the last commit.
    pub punted: Queue,
    pub punted_count: u32,
    /// Requests given to the workers of personalities since the last commit.
    pub entrusted: Queue,
    pub entrusted_count: u32,
    /// Requests that the workers of a personality came upon and are not to run.
    pub handed_back: Queue,
    /// Complete, and not told: there was no room. How many; and one of them is being told again.
    pub untold: Queue,
    pub untold_count: u32,
    /// Of those that are outstanding, invitations to help with a batch of native calls.
    pub invitations: u32,
    pub retelling: bool,
    /// Workers may not have heard that they are to stop.
    pub stopping: Option<Stopping>,
    /// The sleepers in `enter`.
    pub waiters: Waiters,
    /// What the latest sleeper knew of the timers.
    pub asleep: Asleep,
    /// The application has been seen to wait in `enter`, and to come back in time.
    pub waits: bool,
    /// It is in `enter`, and has asked for events alone.
    pub asked: bool,
    /// How often it has asked since it last slept or found an event.
    pub looks: u32,
    /// The driver checks again whether the descriptor must still look readable.
    pub lowers: bool,
    /// The driver hears at once of what becomes ready while nobody is in `enter`.
    pub driven: bool,
    /// The application knows that there is something to ask for.
    pub announced: bool,
    /// When it is to be told, if it has not come by then.
    pub announce_at: Option<i64>,
    /// How often the eventfd, or who polls the descriptor, was told of something.
    pub told: u32,
    /// The application has gone with work under way: the driver looks in now and then,
    pub unattended: bool,
    /// at this time first.
    pub look_in_at: i64,
    /// and will be there at this, whatever is asked of it.
    pub driver_comes_at: i64,
    /// The driver listens to the ring's epoll instance, too, because the application stayed away.
    pub listened_to: bool,
    /// Reads made for requests to come.
    pub ahead: Ahead,
    /// Files for which NOWAIT and O_DIRECT are known.
    pub hints: Hints,
    /// Duplicates of files that transfers are under way on.
    pub lent: Lent,
}

/// What a sleeper in `enter` knew of the timers when it went to sleep.
#[derive(Clone, Copy, Debug)]
pub struct Asleep {
    /// When the first was due.
    pub until: i64,
    /// How many had gone off.
    pub fired: u32,
}

impl State {
    pub const NEW: State = State {
        slab: Slab::new(),
        newest: None,
        by_data: ByData::new(),
        tasks: Queue::new(),
        drain: Queue::new(),
        outstanding: 0,
        deferred: 0,
        drain_active: false,
        drain_next: false,
        drain_disabled: false,
        timers: Timers::new(),
        readiness: Readiness::new(),
        aio: Aio::new(),
        files: FileTable::NONE,
        buffers: BufferTable::NONE,
        groups: Groups::new(),
        personalities: personality::Table::new(),
        filters: Filters::NONE,
        napi: napi::Settings::NEW,
        queues: None,
        params: None,
        restrictions: None,
        restrictions_to_be: None,
        eventfd: None,
        posted: 0,
        inlined: 0,
        posted_remotely: false,
        punted: Queue::new(),
        punted_count: 0,
        entrusted: Queue::new(),
        entrusted_count: 0,
        handed_back: Queue::new(),
        untold: Queue::new(),
        untold_count: 0,
        invitations: 0,
        retelling: false,
        stopping: None,
        waiters: Waiters::new(),
        asleep: Asleep { until: i64::MAX, fired: 0 },
        waits: false,
        asked: false,
        looks: 0,
        lowers: false,
        driven: false,
        announced: false,
        announce_at: None,
        told: 0,
        unattended: false,
        look_in_at: 0,
        driver_comes_at: i64::MAX,
        listened_to: false,
        closing: false,
        ahead: Ahead::new(),
        hints: Hints::new(),
        lent: Lent::new(),
    };
}
