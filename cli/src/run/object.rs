//! The object that serves io_uring inside a program: built with this one, placed where the dynamic
//! loader finds it.

use std::env;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;

const OBJECT: &[u8] = include_bytes!(env!("SYSRING_OBJECT"));
const NAME: &str = concat!("sysring-", env!("SYSRING_OBJECT_HASH"), ".so");

/// Where the object is.
pub struct Placed {
    /// What `LD_PRELOAD` names.
    pub path: PathBuf,
    /// The directory of this user's that holds it; none when it is in memory.
    pub directory: Option<PathBuf>,
}

/// Finds the object where an earlier run put it, or puts it there.
pub fn place() -> io::Result<Placed> {
    for directory in candidates() {
        // A directory that cannot be used, for whatever reason, is passed over: the next one, or
        // memory, does as well.
        if let Ok(path) = place_in(&directory) {
            return Ok(Placed { path, directory: Some(directory) });
        }
    }
    Ok(Placed { path: place_in_memory()?, directory: None })
}

/// Where the object may lie. What root starts may give up root, so root's must be reachable by
/// everybody; nobody else's processes can change their user (`no_new_privs`).
fn candidates() -> Vec<PathBuf> {
    let user = effective_user();
    let mut candidates = Vec::new();
    if user == 0 {
        candidates.push(PathBuf::from("/run/sysring"));
    } else if let Some(runtime) = env::var_os("XDG_RUNTIME_DIR") {
        candidates.push(PathBuf::from(runtime).join("sysring"));
    }
    for shared in ["/tmp", "/var/tmp", "/dev/shm"] {
        candidates.push(format!("{shared}/sysring-{user}").into());
    }
    // LD_PRELOAD cannot name a path that holds one of its separators, or a relative one.
    candidates.retain(|candidate| {
        let path = candidate.as_os_str().as_encoded_bytes();
        path.starts_with(b"/") && !path.iter().any(|byte| b": \t\n".contains(byte))
    });
    candidates
}

fn place_in(directory: &Path) -> io::Result<PathBuf> {
    provide(directory)?;
    let path = directory.join(NAME);
    if !holds_object(&path).unwrap_or(false) {
        write_object(directory, &path)?;
    }
    Ok(path)
}

/// Makes the directory, or makes sure that nobody else could have put anything into it.
fn provide(directory: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o711).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let metadata = fs::symlink_metadata(directory)?;
    let ours = metadata.is_dir() && is_ours_alone(&metadata);
    let parent = fs::metadata(directory.parent().unwrap_or(directory))?;
    let sticky = parent.mode() & libc::S_ISVTX != 0;
    let safe_above = sticky || parent.mode() & 0o022 == 0;
    if !ours || !safe_above {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let handle = File::open(directory)?;
    // SAFETY: an all-zero statvfs is a valid one to be filled in.
    let mut filesystem: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: an open descriptor, and a place of the right type.
    if unsafe { libc::fstatvfs(handle.as_raw_fd(), &mut filesystem) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if filesystem.f_flag & libc::ST_NOEXEC != 0 {
        // The dynamic loader would not map it.
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(())
}

fn is_ours_alone(metadata: &fs::Metadata) -> bool {
    metadata.uid() == effective_user() && metadata.mode() & 0o022 == 0
}

/// Is this very object there, written by this user?
fn holds_object(path: &Path) -> io::Result<bool> {
    let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || !is_ours_alone(&metadata) || metadata.len() != OBJECT.len() as u64 {
        return Ok(false);
    }
    let mut content = Vec::with_capacity(OBJECT.len());
    file.read_to_end(&mut content)?;
    Ok(content == OBJECT)
}

/// Writes it beside its place and moves it there, so that no process ever loads half of it.
fn write_object(directory: &Path, path: &Path) -> io::Result<()> {
    let draft = directory.join(format!(".{NAME}.{}", process::id()));
    let written = write_draft(&draft).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        // The error that matters is the one that is returned.
        let _ = fs::remove_file(&draft);
    }
    written
}

fn write_draft(draft: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(OBJECT)?;
    file.set_permissions(fs::Permissions::from_mode(0o555))
}

/// Keeps the object in memory, behind a descriptor that the program inherits.
fn place_in_memory() -> io::Result<PathBuf> {
    /// Above what programs use first, below what the engine takes for itself.
    const LOWEST: libc::c_int = 200;
    // SAFETY: a C string, and flags.
    let fd = unsafe { libc::memfd_create(c"sysring".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nobody else owns.
    let mut file = unsafe { File::from_raw_fd(fd) };
    file.write_all(OBJECT)?;
    // SAFETY: plain numbers; the descriptor is open.
    let inherited = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD, LOWEST) };
    if inherited < 0 {
        // Few descriptors are allowed here: any number has to do.
        let fd = file.into_raw_fd();
        // SAFETY: plain numbers; the descriptor is open.
        if unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } != 0 {
            return Err(io::Error::last_os_error());
        }
        return Ok(format!("/proc/self/fd/{fd}").into());
    }
    Ok(format!("/proc/self/fd/{inherited}").into())
}

fn effective_user() -> u32 {
    // SAFETY: has no arguments and cannot fail.
    unsafe { libc::geteuid() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A name in the system's directory for temporary files that nothing has yet.
    fn new_path() -> PathBuf {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        env::temp_dir().join(format!("sysring-object-test-{}-{number}", process::id()))
    }

    #[test]
    fn a_second_run_finds_what_the_first_one_placed() {
        let directory = new_path();
        let path = place_in(&directory).expect("placed");
        let inode = |path: &Path| fs::metadata(path).expect("it is there").ino();
        let first = inode(&path);
        assert_eq!(place_in(&directory).expect("found"), path);
        assert_eq!(inode(&path), first);
        assert_eq!(fs::read_dir(&directory).map(Iterator::count).ok(), Some(1));
        fs::remove_dir_all(directory).expect("removed");
    }

    #[test]
    fn a_file_with_other_content_is_replaced() {
        let directory = new_path();
        let path = place_in(&directory).expect("placed");
        fs::remove_file(&path).expect("removed");
        fs::write(&path, vec![0; OBJECT.len()]).expect("written");
        place_in(&directory).expect("placed");
        assert!(holds_object(&path).expect("readable"));
        fs::remove_dir_all(directory).expect("removed");
    }

    #[test]
    fn a_directory_that_others_may_write_is_not_used() {
        let directory = new_path();
        DirBuilder::new().create(&directory).expect("made");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).expect("opened");
        assert!(place_in(&directory).is_err());
        fs::remove_dir_all(directory).expect("removed");
    }

    #[test]
    fn a_link_in_place_of_the_directory_is_not_followed() {
        let (directory, link) = (new_path(), new_path());
        DirBuilder::new().mode(0o700).create(&directory).expect("made");
        symlink(&directory, &link).expect("linked");
        assert!(place_in(&link).is_err());
        fs::remove_file(link).expect("removed");
        fs::remove_dir(directory).expect("removed");
    }

    #[test]
    fn memory_holds_the_object_too() {
        let path = place_in_memory().expect("placed");
        assert!(fs::read(path).expect("readable") == OBJECT);
    }
}
