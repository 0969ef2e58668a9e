//! Every system call there is, issued as a native call: with valid arguments, with null ones, with
//! wild ones. The answer is the direct call's, and so is what is written to memory, each in a process
//! of its own.

#[path = "every_call/child.rs"]
mod child;
#[path = "every_call/files.rs"]
mod files;
#[path = "every_call/machine.rs"]
mod machine;
#[path = "every_call/memory.rs"]
mod memory;
#[path = "every_call/processes.rs"]
mod processes;
#[path = "every_call/time.rs"]
mod time;
#[path = "every_call/transfers.rs"]
mod transfers;
#[path = "every_call/world.rs"]
mod world;

use std::collections::{BTreeMap, BTreeSet};

use sysring_engine::native::table::{self, How, NUMBERS, ROWS};
use sysring_engine::native::{Call, Context, Issued, Options, Order, Placement};
use sysring_sys::Errno;
use sysring_sys::raw::general as g;

use child::{Outcome, Seen, Stage};
use machine::NOT_CALLED;
use world::{Arguments, World, apart, make, nobody};

/// How long a call may take that does not block, in seconds: on a busy machine, long.
const PATIENCE: u32 = 2;

/// The same where none blocks.
const LONG: u32 = 60;

/// What must be seen to before a call is given arguments that mean nothing, for some of it would work,
/// and do the machine harm or stop others.
fn precaution(name: &str) {
    match name {
        "sethostname" | "setdomainname" => apart(libc::CLONE_NEWUTS),
        "msgget" | "msgctl" | "semget" | "semctl" | "shmget" | "shmctl" => {
            apart(libc::CLONE_NEWIPC);
        }
        // There is no terminal to hang up.
        "vhangup" => _ = make(g::__NR_setsid, []),
        "acct" | "kexec_load" | "kexec_file_load" | "reboot" => nobody(),
        _ => {}
    }
}

/// What is not even called with such arguments, having none: [`NOT_CALLED`] says why.
const WITHOUT_ARGUMENTS: &str = "sync";

/// Whose value is not the same in two processes.
const VARIES: [&str; 16] = [
    "wait4",
    "getpid",
    "gettid",
    "getpgid",
    "setsid",
    "getsid",
    "times",
    "time",
    "alarm",
    "mmap",
    "shmat",
    "brk",
    "mremap",
    "map_shadow_stack",
    "add_key",
    "keyctl",
];

fn direct(call: Call) -> Outcome {
    // SAFETY: the child has nothing to lose.
    Outcome::Answer(unsafe { call.make() } as i64)
}

/// Has the engine open what it needs to wait and to be told by a worker: a worker's call may be given
/// another number while the issuing thread does that.
fn settle(context: &Context) {
    // A wait that finds its event there opens nothing, so one that finds none comes first.
    assert_eq!(context.wait(1, Some(1), None), Err(Errno::ETIME));
    let (call, placement) = (Call { nr: g::__NR_getppid, args: [0; 6] }, Placement::Worker);
    // SAFETY: takes nothing.
    let issued = unsafe { context.issue(&call, &Order { placement, ..Order::default() }) };
    assert!(matches!(issued, Ok(Issued::Pending(_))));
    context.wait(1, Some(i64::from(LONG) * 1_000_000_000), None).unwrap();
    assert!(context.next(&mut [0; 64]).unwrap().is_some());
}

fn issued(call: Call, placement: Placement, patience: u32) -> Outcome {
    let context = Context::new(&Options::default()).unwrap();
    settle(&context);
    let order = Order { placement, ..Order::default() };
    // SAFETY: as above.
    match unsafe { context.issue(&call, &order) } {
        Ok(Issued::Done(answer)) => Outcome::Answer(answer as i64),
        Err(e) => Outcome::Refused(e.to_res().into()),
        Ok(Issued::Pending(id)) => {
            let patience = i64::from(patience) * 500_000_000;
            if context.wait(1, Some(patience), None).is_err() {
                return Outcome::Blocks;
            }
            let mut memory = [0; 64];
            let event = context.next(&mut memory).unwrap().unwrap();
            assert_eq!(event.id(), id);
            Outcome::Answer(event.result())
        }
    }
}

const REFUSED: Outcome = Outcome::Refused(Errno::EOPNOTSUPP.to_res() as i64);

/// What calls are given.
#[derive(Clone, Copy, PartialEq)]
enum Given {
    Nonsense,
    /// They are made by a worker, too, and must find all pointers to be good.
    Valid,
}

/// Calls that were compared: what differed, and what could not be made here.
struct Comparison {
    stage: Stage,
    given: Given,
    patience: u32,
    differ: Vec<String>,
    unable: BTreeMap<String, BTreeSet<&'static str>>,
}

impl Comparison {
    fn new(given: Given) -> Comparison {
        let patience = if given == Given::Valid { LONG } else { PATIENCE };
        let (differ, unable) = (Vec::new(), BTreeMap::new());
        Comparison { stage: Stage::new(), given, patience, differ, unable }
    }

    fn direct(&self, call: &dyn Fn() -> Call) -> Seen {
        self.stage.in_a_child(self.patience, || direct(call()))
    }

    fn issued(&self, call: &dyn Fn() -> Call, placement: Placement) -> Seen {
        self.stage.in_a_child(self.patience, || issued(call(), placement, self.patience))
    }

    /// Compares one call by all ways there are.
    fn compare(&mut self, name: &'static str, how: How, call: &dyn Fn() -> Call) {
        if matches!(how, How::Refused) {
            for placement in [Placement::Inline, Placement::Worker] {
                let seen = self.issued(call, placement);
                self.expect_refusal(name, &seen);
            }
            return;
        }
        let plain = self.direct(call);
        if let Outcome::Unable(why) = plain.outcome {
            self.unable.entry(why).or_default().insert(name);
            return;
        }
        let here = self.issued(call, Placement::Inline);
        self.expect(name, "issued", &plain, &here);
        if self.given == Given::Valid {
            if plain.outcome == Outcome::Answer(Errno::EFAULT.to_res().into()) {
                self.differ.push(format!("{name}: was not given what it needs"));
            }
            let elsewhere = self.issued(call, Placement::Worker);
            match how {
                How::Own => self.expect_refusal(name, &elsewhere),
                _ => self.expect(name, "by a worker", &plain, &elsewhere),
            }
        }
    }

    fn expect_refusal(&mut self, name: &str, seen: &Seen) {
        if seen.outcome != REFUSED {
            self.differ.push(format!("{name}: {:?}, to be refused", seen.outcome));
        }
    }

    fn expect(&mut self, name: &str, way: &str, plain: &Seen, seen: &Seen) {
        if !agree(name, &plain.outcome, &seen.outcome) {
            let (plain, seen) = (&plain.outcome, &seen.outcome);
            self.differ.push(format!("{name}: {plain:?}, {way} {seen:?}"));
        } else if plain.memory != seen.memory {
            let same = plain.memory.iter().zip(&seen.memory).take_while(|(a, b)| a == b).count();
            self.differ.push(format!("{name}: {way}, writes something else at byte {same}"));
        }
    }

    fn end(self) {
        for (why, names) in self.unable {
            let names: Vec<_> = names.into_iter().collect();
            println!("skipped: {}: {why}", names.join(", "));
        }
        assert_eq!(self.differ, Vec::<String>::new());
    }
}

/// Whether two answers are the same, as far as they can be.
fn agree(name: &str, one: &Outcome, other: &Outcome) -> bool {
    match (one, other) {
        (Outcome::Panicked(_), _) | (_, Outcome::Panicked(_)) => false,
        (Outcome::Answer(a), Outcome::Answer(b)) if VARIES.contains(&name) => (*a < 0) == (*b < 0),
        _ => one == other,
    }
}

fn row(nr: u32) -> (&'static str, How) {
    table::row(nr).map_or(("unknown", How::Unknown), |row| (row.name, row.how))
}

fn with_arguments(args: [usize; 6]) {
    let mut comparison = Comparison::new(Given::Nonsense);
    for nr in 0..NUMBERS as u32 {
        let (name, how) = row(nr);
        if name != WITHOUT_ARGUMENTS {
            comparison.compare(name, how, &|| {
                precaution(name);
                Call { nr, args }
            });
        }
    }
    comparison.end();
}

#[test]
fn null_arguments_are_answered_as_by_the_call() {
    with_arguments([0; 6]);
}

#[test]
fn wild_arguments_are_answered_as_by_the_call() {
    // As a number, a pointer, a descriptor: of no use.
    with_arguments([0x1234_5678_9abc_d123; 6]);
}

/// All calls with arguments that mean something.
fn valid() -> impl Iterator<Item = &'static Arguments> {
    [
        files::CALLS,
        files::OLD_CALLS,
        transfers::CALLS,
        memory::CALLS,
        processes::CALLS,
        processes::OLD_CALLS,
        time::CALLS,
        time::OLD_CALLS,
        machine::CALLS,
        machine::OLD_CALLS,
    ]
    .into_iter()
    .flatten()
}

#[test]
fn valid_arguments_are_answered_as_by_the_call() {
    let mut comparison = Comparison::new(Given::Valid);
    for (nr, arguments) in valid() {
        let (name, how) = row(*nr);
        comparison.compare(name, how, &|| {
            let mut args = [0; 6];
            let given = arguments(World::new());
            args[..given.len()].copy_from_slice(&given);
            Call { nr: *nr, args }
        });
    }
    let _ = std::fs::remove_dir_all(world::base(std::process::id()));
    comparison.end();
}

#[test]
fn no_call_is_left_out() {
    let called: BTreeSet<u32> = valid().map(|(nr, _)| *nr).collect();
    let listed: BTreeSet<u32> = NOT_CALLED.iter().map(|(nr, _)| *nr).collect();
    let mut allowed = BTreeSet::new();
    for (nr, row) in (0..).zip(&ROWS) {
        if row.as_ref().is_some_and(|row| !matches!(row.how, How::Refused)) {
            allowed.insert(nr);
        }
    }
    let names =
        |numbers: BTreeSet<u32>| numbers.into_iter().map(|nr| row(nr).0).collect::<Vec<_>>();
    let none = Vec::<&str>::new();
    assert_eq!(names(&called & &listed), none, "called, and said not to be");
    assert_eq!(names(&allowed - &(&called | &listed)), none, "nobody calls them, nor says why");
    assert_eq!(names(&(&called | &listed) - &allowed), none, "refused, or unknown");
    println!("called with valid arguments: {} of {}", called.len(), allowed.len());
    println!("not called: {}", listed.len());
    for (nr, why) in NOT_CALLED {
        println!("  {}, because it {why}", row(*nr).0);
    }
}
