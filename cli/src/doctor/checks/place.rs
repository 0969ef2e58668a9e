//! Where we are: the kernel, and what is around the process.

use std::env;
use std::path::Path;

use sysring_engine::PAGE;

use crate::doctor::{Check, Status};
use crate::kernel;

pub fn system() -> Check {
    // SAFETY: asks for a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    machine(&kernel::release(), page)
}

fn machine(release: &str, page: libc::c_long) -> Check {
    let found = format!("Linux {release} on {}, pages of {} KiB", env::consts::ARCH, page / 1024);
    let fits = usize::try_from(page) == Ok(PAGE);
    Check {
        name: "kernel",
        status: if fits { Status::Info } else { Status::Limited },
        found,
        uses: None,
        advice: (!fits).then(|| "sysring's engine is made for a kernel with pages of 4 KiB".into()),
    }
}

pub fn surroundings() -> Check {
    let mut hints = Vec::new();
    if kernel::is_gvisor() {
        hints.push("gVisor".to_owned());
    }
    if Path::new("/.dockerenv").exists() {
        hints.push("a Docker container".to_owned());
    }
    if Path::new("/run/.containerenv").exists() {
        hints.push("a Podman container".to_owned());
    }
    if env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        hints.push("Kubernetes".to_owned());
    }
    if let Some(kind) = env::var_os("container") {
        hints.push(format!("a container ({})", kind.display()));
    }
    if kernel::is_served() {
        hints.push("sysring run".to_owned());
    }
    Check {
        name: "surroundings",
        status: Status::Info,
        found: if hints.is_empty() { "no sign of a container".into() } else { hints.join(", ") },
        uses: None,
        advice: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_pages_are_no_place_for_the_engine() {
        let usual = machine("6.1.0", 4096);
        assert!(usual.status == Status::Info && usual.advice.is_none());
        let large = machine("6.1.0", 65536);
        assert!(large.found.ends_with("pages of 64 KiB") && large.status == Status::Limited);
        assert!(large.advice.is_some_and(|advice| advice.contains("4 KiB")));
    }
}
