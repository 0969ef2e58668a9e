//! The process under load.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use sysring_sys::abi::io_uring::{Params, setup};

use super::round::Round;
use super::usage::{Usage, Watch};
use super::{SideOptions, moves, shared, waits};
use crate::random::Random;
use crate::raw::{Backend, Kernel, Ring};

/// Entries of a ring, and the most that a round submits: the last task may bring a few more.
const ENTRIES: u32 = 256;
const MOST: u64 = 200;

/// A ring under load.
struct Lane<'a> {
    name: &'static str,
    ring: Ring<'a>,
    file: &'static File,
    direct: Option<&'static File>,
}

/// What has been done.
#[derive(Default)]
struct Done {
    rounds: u64,
    submissions: u64,
    overflows: u64,
    forks: u64,
    bytes: u64,
    /// What was wrong: where, and what it says.
    wrong: Vec<(&'static str, String)>,
}

/// Runs the load in this process; whether all was right.
///
/// # Errors
/// No rings or no files to work with.
pub fn side(options: &SideOptions) -> Result<bool, String> {
    let mut lanes = lanes(&Kernel, options)?;
    let mut random = Random::new(options.seed);
    let (mut done, mut watch) = (Done::default(), Watch::begin());
    let (start, whole) = (Instant::now(), Duration::from_secs(options.seconds));
    let mut told = 0;
    while start.elapsed() < whole && done.wrong.is_empty() {
        one_round(&mut lanes, &mut random, &mut done, &options.folder);
        if done.rounds.is_multiple_of(2) {
            done.overflows += 1;
            let ended = shared::overflow(&Kernel, &mut random);
            done.submissions += count("overflow", ended, &mut done.wrong);
        }
        if done.rounds.is_multiple_of(4) {
            done.forks += 1;
            let ended = shared::fork(&Kernel, &mut random);
            done.bytes += count("fork", ended, &mut done.wrong);
            done.submissions += 4;
        }
        let passed = start.elapsed().as_secs_f64() / whole.as_secs_f64();
        watch.look(passed);
        if (passed * 10.0) as u64 > told {
            told = (passed * 10.0) as u64;
            tell(start, &done);
        }
    }
    if done.wrong.is_empty() {
        watch.rest();
    }
    Ok(report(options, &done, &watch, &lanes))
}

fn lanes<'a>(backend: &'a dyn Backend, options: &SideOptions) -> Result<Vec<Lane<'a>>, String> {
    let deferred = setup::SINGLE_ISSUER | setup::DEFER_TASKRUN;
    [("plain", 0), ("deferred", deferred), ("sqpoll", setup::SQPOLL)]
        .into_iter()
        .map(|(name, flags)| {
            let params = Params { flags, sq_thread_idle: 20, ..Params::default() };
            let ring = Ring::new(backend, ENTRIES, params)
                .map_err(|e| format!("no {name} ring: error {e}"))?;
            std::fs::create_dir_all(options.folder.join(name)).map_err(|e| e.to_string())?;
            let file = open(&options.folder.join(name).join("file"), 0)?;
            // Not every disk takes direct reads.
            let direct = open(&options.disk_folder.join(name), libc::O_DIRECT).ok();
            Ok(Lane { name, ring, file, direct })
        })
        .collect()
}

/// A file for the whole run.
fn open(path: &Path, flags: i32) -> Result<&'static File, String> {
    let mut how = OpenOptions::new();
    how.read(true).write(true).create(true).truncate(true).custom_flags(flags);
    let file = how.open(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(Box::leak(Box::new(file)))
}

/// What was counted, if nothing was wrong.
fn count(
    name: &'static str,
    ended: Result<u64, String>,
    wrong: &mut Vec<(&'static str, String)>,
) -> u64 {
    ended.unwrap_or_else(|message| {
        wrong.push((name, message));
        0
    })
}

/// All rings have a round under way at the same time.
fn one_round(lanes: &mut [Lane<'_>], random: &mut Random, done: &mut Done, folder: &Path) {
    let mut rounds: Vec<Round> = lanes
        .iter()
        // A folder for each: names are the same in every round.
        .map(|lane| fill(done.rounds, lane, random, &folder.join(lane.name)))
        .collect();
    for (round, lane) in rounds.iter_mut().zip(lanes.iter_mut()) {
        round.submit(&mut lane.ring);
    }
    for (round, lane) in rounds.iter_mut().zip(lanes.iter_mut()) {
        round.collect(&mut lane.ring);
    }
    for (round, lane) in rounds.into_iter().zip(lanes) {
        done.submissions += round.submissions() as u64;
        match round.end(&mut lane.ring) {
            Ok(bytes) => done.bytes += bytes,
            Err(wrong) => done.wrong.extend(wrong.into_iter().map(|what| (lane.name, what))),
        }
    }
    done.rounds += 1;
}

fn fill(number: u64, lane: &Lane<'_>, random: &mut Random, folder: &Path) -> Round {
    let mut round = Round::new(number);
    let submissions = 1 + random.below(MOST) as usize;
    if let Some(direct) = lane.direct
        && random.percent(20)
    {
        moves::file(&mut round, random, direct, true);
    }
    while round.submissions() < submissions {
        match random.below(100) {
            0..25 => moves::file(&mut round, random, lane.file, false),
            25..40 => moves::pipe(&mut round, random),
            40..55 => moves::socket(&mut round, random),
            55..60 => moves::connection(&mut round, random),
            60..70 => moves::provided(&mut round, random),
            70..75 => moves::names(&mut round, folder),
            75..82 => waits::timers(&mut round, random),
            82..91 => waits::polls(&mut round),
            _ => waits::cancels(&mut round),
        }
    }
    round
}

fn tell(start: Instant, done: &Done) {
    let Usage { descriptors, threads, kibibytes } = Usage::now();
    eprintln!(
        "{:4} s: {} rounds, {} submissions, {} MiB verified, {} overflows, {} forks; \
         {descriptors} descriptors, {threads} threads, {kibibytes} KiB",
        start.elapsed().as_secs(),
        done.rounds,
        done.submissions,
        done.bytes >> 20,
        done.overflows,
        done.forks,
    );
}

/// Says how it went: one check for each ring, for what has rings of its own, and for what must stay
/// flat.
fn report(options: &SideOptions, done: &Done, watch: &Watch, lanes: &[Lane<'_>]) -> bool {
    let loads = lanes.iter().map(|lane| lane.name).chain(["overflow", "fork"]);
    let broken = loads.clone().filter(|name| done.wrong.iter().any(|(at, _)| at == name)).count();
    let mut failures: Vec<String> =
        done.wrong.iter().map(|(name, what)| format!("{name}: {what}")).collect();
    let (mut failed, mut passed, mut skipped) = (broken, loads.count() - broken, 0);
    let mut flat = String::from("null");
    if broken > 0 {
        eprintln!("skipped: what stays flat, because the load broke off");
        skipped += Usage::KINDS;
    } else {
        let (text, grown) = watch.verdict();
        flat = text;
        failed += grown.len();
        passed += Usage::KINDS - grown.len();
        failures.extend(grown);
    }
    for failure in &failures {
        eprintln!("wrong, with seed {}: {failure}", options.seed);
    }
    let Done { rounds, submissions, overflows, forks, bytes, .. } = done;
    if options.json {
        println!(
            "{{\"seconds\":{},\"seed\":{},\"rounds\":{rounds},\"submissions\":{submissions},\
             \"bytes\":{bytes},\"overflows\":{overflows},\"forks\":{forks},\"flat\":{flat},\
             \"passed\":{passed},\"failed\":{failed},\"skipped\":{skipped}}}",
            options.seconds, options.seed,
        );
    } else {
        println!(
            "{rounds} rounds on each of {} rings, {submissions} submissions, {bytes} bytes \
             verified, {overflows} overflows, {forks} forks",
            lanes.len()
        );
        println!("{passed} passed, {failed} failed, {skipped} skipped");
    }
    failed == 0
}
