//! What the tests need beyond a Rust toolchain: one list, in one place.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A Debian package, and a file or a program that shows that it is installed.
struct Package {
    name: &'static str,
    proof: Proof,
}

enum Proof {
    Program(&'static str),
    File(&'static str),
}

const PACKAGES: &[Package] = &[
    Package { name: "binutils", proof: Proof::Program("readelf") },
    Package { name: "fio", proof: Proof::Program("fio") },
    Package { name: "gcc", proof: Proof::Program("gcc") },
    Package { name: "gdb", proof: Proof::Program("gdb") },
    Package { name: "libc6-dev", proof: Proof::File("/usr/include/stdio.h") },
    Package { name: "liburing-dev", proof: Proof::File("/usr/include/liburing.h") },
    Package { name: "make", proof: Proof::Program("make") },
    Package { name: "musl-tools", proof: Proof::Program("musl-gcc") },
    Package { name: "strace", proof: Proof::Program("strace") },
];

/// Programs that some tests run if they are there. Not every distribution has them all: without one
/// its tests say so, and count as skipped.
const CLIENTS: &[Package] = &[
    Package { name: "cpio", proof: Proof::Program("cpio") },
    Package { name: "g++", proof: Proof::Program("g++") },
    Package { name: "gcc-aarch64-linux-gnu", proof: Proof::Program("aarch64-linux-gnu-gcc") },
    Package { name: "golang-go", proof: Proof::Program("go") },
    Package { name: "libasio-dev", proof: Proof::File("/usr/include/asio.hpp") },
    Package {
        name: "libc6-dev-arm64-cross",
        proof: Proof::File("/usr/aarch64-linux-gnu/include/stdio.h"),
    },
    Package { name: "mariadb-server", proof: Proof::Program("mariadbd") },
    Package { name: "nodejs", proof: Proof::Program("node") },
    Package { name: "plocate", proof: Proof::Program("plocate") },
    Package { name: "python3", proof: Proof::Program("python3") },
    Package { name: "qemu-system-arm", proof: Proof::Program("qemu-system-aarch64") },
    Package { name: "qemu-system-x86", proof: Proof::Program("qemu-system-x86_64") },
    Package { name: "qemu-user", proof: Proof::Program("qemu-aarch64") },
    Package { name: "qemu-utils", proof: Proof::Program("qemu-io") },
    Package { name: "runsc", proof: Proof::Program("runsc") },
    Package { name: "stress-ng", proof: Proof::Program("stress-ng") },
];

/// The parts of a Rust toolchain that rustup's minimal profile leaves out.
const COMPONENTS: &[(&str, &str)] = &[("rustfmt", "fmt"), ("clippy", "clippy")];

/// Installs what is missing where it may, or says how to.
pub fn provide() -> Result<(), String> {
    provide_components()?;
    let needed = missing(PACKAGES);
    let names = needed.join(" ");
    if !needed.is_empty() && !is_root() {
        return Err(format!(
            "The tests need packages that are not installed here. Install them with\n    \
             sudo apt-get install {names}\n\
             or go on without the tests that need them: cargo xtask test --allow-missing"
        ));
    }
    let wanted = missing(CLIENTS);
    if needed.is_empty() && (wanted.is_empty() || !is_root()) {
        return Ok(());
    }
    // A fresh image has no package lists; a machine in use may have stale ones.
    run(Command::new("apt-get").args(["update", "-qq"]))?;
    if !needed.is_empty() {
        install(&needed)?;
    }
    for client in wanted {
        if let Err(problem) = install(&[client]) {
            eprintln!("{problem}: the tests that run {client} will be skipped");
        }
    }
    match missing(PACKAGES).as_slice() {
        [] => Ok(()),
        still => Err(format!("apt-get installed the packages, but not {}", still.join(", "))),
    }
}

fn install(packages: &[&str]) -> Result<(), String> {
    eprintln!("installing {}", packages.join(" "));
    run(Command::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(packages))
}

fn missing(packages: &'static [Package]) -> Vec<&'static str> {
    packages.iter().filter(|package| !package.proof.holds()).map(|package| package.name).collect()
}

fn provide_components() -> Result<(), String> {
    for (component, subcommand) in COMPONENTS {
        let found = Command::new("cargo")
            .args([subcommand, "--version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !found {
            run(Command::new("rustup").args(["component", "add", component]))?;
        }
    }
    Ok(())
}

impl Proof {
    fn holds(&self) -> bool {
        match self {
            Proof::File(path) => Path::new(path).exists(),
            Proof::Program(name) => is_installed(name),
        }
    }
}

/// Whether there is such a program.
pub fn is_installed(program: &str) -> bool {
    find(program).is_some()
}

/// Where a program is.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(program)).find(|path| path.is_file())
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|ids| ids.split_whitespace().nth(1))
        == Some("0")
}

fn run(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?} failed: {status}")),
        Err(error) => Err(format!("{command:?} could not be started: {error}")),
    }
}
