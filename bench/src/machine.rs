//! Where the figures were taken.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::disk::Disk;

/// A description to print above a table.
pub struct Machine {
    processor: String,
    processors: usize,
    memory_gib: u64,
    kernel: String,
    filesystem: String,
    fio: Option<String>,
    date: String,
}

impl Machine {
    /// This machine; `scratch` is where the benchmarks keep their files, `disk` what they made to have
    /// it on.
    pub fn here(scratch: &Path, disk: Option<&Disk>) -> Machine {
        let mut filesystem = filesystem(scratch);
        if let Some(disk) = disk {
            filesystem = format!("{filesystem} on {}", disk.sentence());
        }
        Machine {
            processor: processor(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: memory_gib(),
            kernel: read("/proc/sys/kernel/osrelease"),
            filesystem,
            fio: output("fio", &["--version"]),
            date: output("date", &["-u", "+%Y-%m-%d"]).unwrap_or_default(),
        }
    }

    pub fn sentence(&self) -> String {
        let fio = self.fio.as_deref().unwrap_or("no fio");
        format!(
            "{}, {} processors, {} GiB, {}; Linux {} ({}); {}; {}.",
            self.processor,
            self.processors,
            self.memory_gib,
            self.filesystem,
            self.kernel,
            std::env::consts::ARCH,
            fio,
            self.date,
        )
    }

    pub fn json(&self) -> Value {
        json!({
            "processor": self.processor,
            "processors": self.processors,
            "memory_gib": self.memory_gib,
            "kernel": self.kernel,
            "architecture": std::env::consts::ARCH,
            "filesystem": self.filesystem,
            "fio": self.fio,
            "date": self.date,
        })
    }
}

fn processor() -> String {
    let info = read("/proc/cpuinfo");
    let field = |name: &str| {
        info.lines()
            .find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'))
            .map(|value| value.trim().to_owned())
    };
    let name =
        field("model name").or_else(|| field("CPU part")).unwrap_or_else(|| "unknown".into());
    let guest = info.lines().any(|l| l.starts_with("flags") && l.contains(" hypervisor"));
    if guest { format!("{name} (virtual machine)") } else { name }
}

/// The type of the file system that `dir` lies on.
fn filesystem(dir: &Path) -> String {
    let out = output("df", &["--output=fstype", &dir.to_string_lossy()]);
    let last = out.as_deref().and_then(|out| out.lines().last());
    last.unwrap_or("unknown file system").trim().to_owned()
}

fn memory_gib() -> u64 {
    let info = read("/proc/meminfo");
    let kib: Option<u64> = info
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok());
    kib.unwrap_or(0).div_ceil(1 << 20)
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn output(program: &str, args: &[&str]) -> Option<String> {
    let out = Command::new(program).args(args).output().ok().filter(|o| o.status.success())?;
    Some(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}
