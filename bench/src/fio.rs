//! fio, unmodified: on the kernel's io_uring, under `sysring run`, and on posixaio.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::compare::{Contender, Samples, interleave};
use crate::report::{Better, Goal, Metric, Row, Unit};
use crate::{Error, Settings, sysring};

const SIZE: u64 = 256 << 20;

const IOPS: Metric = Metric { name: "IOPS", unit: Unit::PerSecond, better: Better::Higher };
const BANDWIDTH: Metric =
    Metric { name: "bandwidth", unit: Unit::MebibytesPerSecond, better: Better::Higher };
const P99: Metric = Metric { name: "latency p99", unit: Unit::Microseconds, better: Better::Lower };
const CPU: Metric =
    Metric { name: "CPU / operation", unit: Unit::Microseconds, better: Better::Lower };

/// Indexes into what one run of fio answers.
const METRICS: [Metric; 4] = [IOPS, BANDWIDTH, P99, CPU];

struct Job<'a> {
    work: &'static str,
    file: &'static str,
    options: &'a [&'a str],
    /// The metric that the targets are about.
    main: usize,
    beside_kernel: f64,
    /// fio's other engines, with their targets.
    beside: &'a [(&'static str, Option<f64>)],
}

const READ: &[&str] = &[
    "--rw=randread",
    "--bs=4k",
    "--iodepth=32",
    "--iodepth_batch_submit=16",
    "--iodepth_batch_complete_min=16",
    "--iodepth_batch_complete_max=16",
    "--invalidate=0",
    "--norandommap",
];

const WRITE: &[&str] =
    &["--rw=write", "--bs=128k", "--iodepth=8", "--fsync=64", "--overwrite=1", "--invalidate=0"];

/// 4 KiB random reads from the page cache.
pub fn cached(settings: &Settings) -> Result<Vec<Row>, Error> {
    run(
        settings,
        &Job {
            work: "fio, 4 KiB random reads from the page cache, depth 32 in batches of 16",
            file: "fio-cached",
            options: READ,
            main: 0,
            beside_kernel: 0.85,
            beside: &[("posixaio", Some(2.0))],
        },
    )
}

/// The same past the page cache; libaio shows what kernel AIO is worth on this disk.
pub fn direct(settings: &Settings) -> Result<Vec<Row>, Error> {
    run(
        settings,
        &Job {
            work: "fio, 4 KiB random reads, O_DIRECT, depth 32 in batches of 16",
            file: "fio-direct",
            options: &[READ, &["--direct=1"]].concat(),
            main: 0,
            beside_kernel: 1.0,
            beside: &[("posixaio", Some(2.0)), ("libaio", None)],
        },
    )
}

/// Sequential writes of 128 KiB with an fsync every 8 MiB, through the page cache and past it.
/// Both are at the mercy of the disk, so posixaio is shown without a target.
pub fn write(settings: &Settings) -> Result<Vec<Row>, Error> {
    let direct = [WRITE, &["--direct=1"]].concat();
    let buffered = Job {
        work: "fio, 128 KiB sequential writes + fsync, buffered",
        file: "fio-write",
        options: WRITE,
        main: 1,
        beside_kernel: 0.95,
        beside: &[("posixaio", None)],
    };
    let direct = Job {
        work: "fio, 128 KiB sequential writes + fsync, O_DIRECT",
        file: "fio-write-direct",
        options: &direct,
        ..buffered
    };
    let mut rows = run(settings, &buffered)?;
    rows.extend(run(settings, &direct)?);
    Ok(rows)
}

/// Over native calls, beside fio's own engines.
pub fn native(settings: &Settings) -> Result<Vec<Row>, Error> {
    let library = sysring::sibling("libsysring_fio.so")?;
    if !library.is_file() {
        let what = "fio's engine is built by `cargo build --release -p sysring-fio`";
        return Err(format!("there is no {}; {what}", library.display()).into());
    }
    let ours = format!("external:{}", library.display());
    let one: &[&str] =
        &["--rw=randread", "--bs=4k", "--iodepth=1", "--invalidate=0", "--norandommap"];
    let works = [
        ("fio, 4 KiB random reads from the page cache, depth 1", "fio-cached", one.to_vec()),
        (
            "fio, 4 KiB random reads from the page cache, depth 32 in batches of 16",
            "fio-cached",
            READ.to_vec(),
        ),
        (
            "fio, 4 KiB random reads, O_DIRECT, depth 32 in batches of 16",
            "fio-direct",
            [READ, &["--direct=1"]].concat(),
        ),
    ];
    let mut rows = Vec::new();
    for (work, file, options) in works {
        let path = settings.file(file, SIZE)?;
        crate::scratch::warm(&path)?;
        let seconds = settings.seconds.unwrap_or(1);
        let rounds = settings.rounds.unwrap_or(if settings.quick { 3 } else { 11 });
        let run = |engine| fio(Command::new("fio"), engine, &path, &options, seconds);
        let samples = interleave(
            rounds,
            &mut [
                Contender::new("native calls", || run(&ours)),
                Contender::new("psync", || run("psync")),
                Contender::new("libaio", || run("libaio")),
                Contender::new("kernel", || run("io_uring")),
            ],
        );
        let goal = Goal::Ratio { at_least: None };
        let row = |other| Row::new(work, (0, METRICS[0]), goal, other, &samples[0]);
        rows.extend(samples[1..].iter().map(row));
    }
    Ok(rows)
}

fn run(settings: &Settings, job: &Job<'_>) -> Result<Vec<Row>, Error> {
    let path = settings.file(job.file, SIZE)?;
    crate::scratch::warm(&path)?;
    let seconds = settings.seconds.unwrap_or(1);
    let fio = |command: Command, engine| fio(command, engine, &path, job.options, seconds);
    let rounds = settings.rounds.unwrap_or(if settings.quick { 3 } else { 11 });
    let mut contenders = vec![
        Contender::new("kernel", || fio(Command::new("fio"), "io_uring")),
        if settings.noise {
            Contender::new("kernel again", || fio(Command::new("fio"), "io_uring"))
        } else {
            Contender::new("sysring", || fio(sysring::command(settings, "fio")?, "io_uring"))
        },
    ];
    let others = job.beside.iter().map(|(engine, _)| *engine);
    contenders.extend(others.map(|it| Contender::new(it, || fio(Command::new("fio"), it))));
    let samples = interleave(rounds, &mut contenders);
    let row = |metric: usize, baseline: &Samples, at_least| {
        let goal = Goal::Ratio { at_least };
        Row::new(job.work, (metric, METRICS[metric]), goal, baseline, &samples[1])
    };
    let mut rows = vec![row(job.main, &samples[0], Some(job.beside_kernel))];
    rows.extend(samples[2..].iter().zip(job.beside).map(|(it, (_, to))| row(job.main, it, *to)));
    rows.extend([2, 3].map(|metric| row(metric, &samples[0], None)));
    Ok(rows)
}

/// One run; a value for each of `METRICS`.
fn fio(
    mut command: Command,
    engine: &str,
    path: &Path,
    options: &[&str],
    seconds: u32,
) -> Result<Vec<f64>, Error> {
    command
        .args(["--name=sysring-bench", "--output-format=json", "--time_based"])
        .args(["--allow_file_create=0", "--randrepeat=1", "--ramp_time=200ms"])
        .arg(format!("--ioengine={engine}"))
        .arg(format!("--runtime={seconds}"))
        .arg(format!("--filename={}", path.display()))
        .arg(format!("--size={SIZE}"))
        .args(options);
    let out = command.output().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            Error::from("fio is not installed; `apt install fio` brings it")
        }
        _ => e.into(),
    })?;
    if !out.status.success() {
        let stderr = String::from_utf8_lossy(&out.stderr);
        let last = stderr.lines().last().unwrap_or("").trim();
        return Err(format!("fio ended with {}: {last}", out.status).into());
    }
    let text = String::from_utf8_lossy(&out.stdout);
    // fio prints notes before its JSON.
    let start = text.find('{').ok_or("fio printed no JSON")?;
    parse(&serde_json::from_str(&text[start..])?)
}

fn parse(report: &Value) -> Result<Vec<f64>, Error> {
    let job = &report["jobs"][0];
    let side = match job["read"]["total_ios"].as_u64() {
        Some(n) if n > 0 => &job["read"],
        _ => &job["write"],
    };
    let number = |value: &Value, what: &str| {
        value.as_f64().ok_or_else(|| Error::from(format!("fio's report has no {what}")))
    };
    let iops = number(&side["iops"], "IOPS")?;
    let percent = number(&job["usr_cpu"], "usr_cpu")? + number(&job["sys_cpu"], "sys_cpu")?;
    if iops == 0.0 {
        return Err("fio did no I/O".into());
    }
    Ok(vec![
        iops,
        number(&side["bw_bytes"], "bandwidth")? / f64::from(1 << 20),
        number(&side["clat_ns"]["percentile"]["99.000000"], "99th percentile")? / 1e3,
        percent / 100.0 * 1e6 / iops,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn side(ios: u64) -> Value {
        json!({
            "total_ios": ios,
            "iops": 2000.0,
            "bw_bytes": 8 << 20,
            "clat_ns": { "percentile": { "99.000000": 7000 } },
        })
    }

    #[test]
    fn a_report_is_read_from_the_side_that_did_the_work() {
        let empty = json!({ "total_ios": 0 });
        for (read, write) in [(side(9), empty.clone()), (empty, side(9))] {
            let job = json!({ "read": read, "write": write, "usr_cpu": 10.0, "sys_cpu": 30.0 });
            assert_eq!(parse(&json!({ "jobs": [job] })).unwrap(), [2000.0, 8.0, 7.0, 200.0]);
        }
    }

    #[test]
    fn a_report_without_figures_is_an_error() {
        assert!(parse(&json!({ "jobs": [{}] })).is_err());
    }
}
