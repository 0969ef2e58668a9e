//! fio as a client: what it is asked, and what it answers.

use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::Figures;

/// Is it installed?
pub fn is_installed() -> bool {
    Command::new("fio")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Random reads and writes of 4 KiB in batches; then every written block is read back and its
/// checksum compared.
pub fn command(directory: &Path, megabytes: u32) -> Vec<String> {
    let mut command: Vec<String> = [
        "fio",
        "--name=demo",
        "--ioengine=io_uring",
        "--rw=randrw",
        "--bs=4k",
        "--iodepth=32",
        "--iodepth_batch_submit=16",
        "--iodepth_batch_complete_min=16",
        "--fixedbufs=1",
        "--registerfiles=1",
        "--verify=crc32c",
        "--verify_fatal=1",
        "--verify_state_save=0",
        "--output-format=json",
    ]
    .map(str::to_owned)
    .into();
    command.push(format!("--directory={}", directory.display()));
    command.push(format!("--size={megabytes}M"));
    command
}

#[derive(Deserialize)]
struct Output {
    jobs: Vec<Job>,
}

#[derive(Deserialize)]
struct Job {
    error: i64,
    read: Direction,
    write: Direction,
}

#[derive(Deserialize)]
struct Direction {
    total_ios: u64,
    iops: f64,
    bw_bytes: u64,
    clat_ns: Latency,
}

#[derive(Deserialize)]
struct Latency {
    max: u64,
    percentile: Option<Percentiles>,
}

#[derive(Deserialize)]
struct Percentiles {
    #[serde(rename = "50.000000")]
    p50: u64,
    #[serde(rename = "99.000000")]
    p99: u64,
}

/// Reads fio's JSON, which may stand after warnings.
pub fn figures(stdout: &str) -> Result<Figures, String> {
    let json = stdout.find('{').map_or("", |start| &stdout[start..]);
    let output: Output = serde_json::from_str(json)
        .map_err(|error| format!("fio's output is unreadable: {error}"))?;
    let job = output.jobs.first().ok_or("fio ran no job")?;
    if job.error != 0 {
        return Err(format!("fio: error {}", job.error));
    }
    // The reads include those of the verification, so the writes are what both directions have
    // in common.
    let percentile = |pick: fn(&Percentiles) -> u64| {
        job.write.clat_ns.percentile.as_ref().map_or(0.0, |all| pick(all) as f64 / 1000.0)
    };
    Ok(Figures {
        megabytes_per_second: (job.read.bw_bytes + job.write.bw_bytes) as f64 / 1e6,
        operations_per_second: job.read.iops + job.write.iops,
        operations: job.read.total_ios + job.write.total_ios,
        p50_us: percentile(|all| all.p50),
        p99_us: percentile(|all| all.p99),
        max_us: job.write.clat_ns.max as f64 / 1000.0,
    })
}
