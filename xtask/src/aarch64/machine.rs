//! A machine that QEMU emulates: Debian's kernel for aarch64, and a root in memory with little more
//! than a shell and the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::emulated::{self, finish};
use crate::files::{copy, list, make, target_directory, told, write};
use crate::report::Report;

/// What the tests and [`INIT`] call, and what that needs.
const PACKAGES: [&str; 12] = [
    "base-passwd",
    "coreutils",
    "dash",
    "findutils",
    "grep",
    "iproute2",
    "libc6",
    "libgcc-s1",
    "linux-image-cloud-arm64",
    "mount",
    "strace",
    "util-linux",
];

/// Runs every test and turns the machine off.
const INIT: &str = include_str!("init.sh");

pub struct Machine {
    folder: PathBuf,
}

/// Fetches the packages when that has not been done, and lays out a root without tests.
pub fn prepare() -> Result<Machine, String> {
    let machine = Machine { folder: target_directory().join("aarch64-machine") };
    let fetched = machine.folder.join("fetched");
    if !fetched.exists() {
        let _ = fs::remove_dir_all(&machine.folder);
        machine.fetch()?;
        write(&fetched, "")?;
    }
    let _ = fs::remove_dir_all(machine.tests());
    make(&machine.programs())?;
    Ok(machine)
}

impl Machine {
    /// Packages for the other architecture, by the machine's own apt, which checks signatures and
    /// hashes. State and lists are ours: those of the machine stay as they are.
    fn fetch(&self) -> Result<(), String> {
        for folder in ["state/lists/partial", "cache/archives/partial", "kernel"] {
            make(&self.folder.join(folder))?;
        }
        let at = |name: &str| self.folder.join(name).display().to_string();
        let settings = [
            "APT::Architecture=arm64".to_owned(),
            "APT::Architectures=arm64".to_owned(),
            "APT::Install-Recommends=false".to_owned(),
            // The folder may lie where apt's own unprivileged user cannot write.
            "APT::Sandbox::User=root".to_owned(),
            "Dir::State::status=/dev/null".to_owned(),
            format!("Dir::State={}", at("state")),
            format!("Dir::Cache={}", at("cache")),
        ];
        let install = [&["install", "-qq", "--download-only", "--yes"][..], &PACKAGES].concat();
        for arguments in [&["update", "-qq"][..], &install] {
            let mut apt = Command::new("apt-get");
            apt.args(settings.iter().flat_map(|setting| ["-o", setting])).args(arguments);
            finish(&mut apt)?;
        }
        for package in list(&self.folder.join("cache/archives"))? {
            if package.extension().is_some_and(|extension| extension == "deb") {
                let name = package.file_name().unwrap_or_default().to_string_lossy();
                let to = if name.starts_with("linux-image") { "kernel" } else { "root" };
                finish(Command::new("dpkg-deb").arg("-x").args([&package, &self.folder.join(to)]))?;
            }
        }
        let root = self.root();
        for folder in ["dev", "proc", "root", "run", "sys", "tmp", "var/tmp"] {
            make(&root.join(folder))?;
        }
        let users = root.join("usr/share/base-passwd/passwd.master");
        copy(&users, &root.join("etc/passwd"))?;
        fs::remove_dir_all(root.join("usr/share")).map_err(|e| told(&root, e))
    }

    fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    fn tests(&self) -> PathBuf {
        self.root().join("tests")
    }

    /// Where C programs lie that tests start.
    pub fn programs(&self) -> PathBuf {
        self.tests().join("programs")
    }

    pub fn add_folder(&self, folder: &Path) -> Result<(), String> {
        make(&self.root().join(folder.strip_prefix("/").unwrap_or(folder)))
    }

    pub fn add_test(&self, test: &Path) -> Result<(), String> {
        let to = self.tests().join(test.file_name().unwrap_or_default());
        copy(test, &to)
    }

    /// A file that tests know by its path here.
    pub fn add_at_its_place(&self, file: &Path) -> Result<(), String> {
        let to = self.root().join(file.strip_prefix("/").unwrap_or(file));
        make(to.parent().unwrap_or(&to))?;
        copy(file, &to)
    }

    /// The root becomes an archive that the kernel unpacks.
    pub fn pack(self) -> Result<Machine, String> {
        emulated::pack(&self.root(), INIT, &self.folder.join("root.cpio"))?;
        Ok(self)
    }

    /// Runs the tests that were added.
    pub fn run(&self, name: &str) -> Report {
        let kernel = list(&self.folder.join("kernel/boot")).unwrap_or_default();
        let is_kernel = |path: &&PathBuf| path.to_string_lossy().contains("/vmlinuz-");
        let kernel = kernel.iter().find(is_kernel).map(|path| path.display().to_string());
        let archive = self.folder.join("root.cpio").display().to_string();
        // By its clock an instruction takes two nanoseconds: times in tests do not depend on how busy
        // the machine outside is.
        let words = "qemu-system-aarch64 -machine virt -cpu max,pauth-impdef=on -smp 2 -m 2048 \
                     -icount shift=1,sleep=off -nographic -no-reboot -nic none -append";
        let mut command: Vec<&str> = words.split_whitespace().collect();
        command.push("console=ttyAMA0 quiet panic=-1 rdinit=/init");
        let kernel = kernel.unwrap_or_default();
        command.extend(["-kernel", &kernel, "-initrd", &archive]);
        emulated::run(name, &command)
    }
}
