//! The part of FUSE's protocol (7.31, `linux/fuse.h`) that a file system needs whose root is its
//! only file.

/// What the kernel may write at a time.
const LARGEST_WRITE: u32 = 1 << 20;
/// Room for any request.
pub const REQUEST: usize = LARGEST_WRITE as usize + 4096;

const VERSION: [u32; 2] = [7, 31];
const ASYNC_READ: u32 = 1 << 0;
const BIG_WRITES: u32 = 1 << 5;
const ASYNC_DIO: u32 = 1 << 15;
const MAX_PAGES: u32 = 1 << 22;
const PAGES: u16 = (LARGEST_WRITE / 4096) as u16;
/// More requests than anybody has under way.
const AT_A_TIME: u16 = 4096;

/// Past the page cache, which is told of each open; and writes of several at a time.
const DIRECT_IO: u32 = 1 << 0;
const PARALLEL_DIRECT_WRITES: u32 = 1 << 6;

/// An answer of the server holds for so many seconds.
const VALID: u64 = 1 << 20;

/// What the kernel asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Ask<'a> {
    Init,
    Attributes,
    Open,
    Read {
        offset: u64,
        len: usize,
    },
    Write {
        offset: u64,
        bytes: &'a [u8],
    },
    /// To be answered, though there is nothing to do.
    Done,
    /// Not to be answered.
    Forget,
    /// Of no use for the file.
    Other,
}

/// A request: its number, and what it asks for; none if it is cut off.
pub fn request(bytes: &[u8]) -> Option<(u64, Ask<'_>)> {
    const BODY: usize = 40;
    let (body, at) = (bytes.get(BODY..)?, |offset| u64_at(bytes, offset));
    let ask = match u32_at(bytes, 4)? {
        2 | 36 | 42 => Ask::Forget,
        3 => Ask::Attributes,
        14 => Ask::Open,
        15 => Ask::Read { offset: at(BODY + 8)?, len: u32_at(body, 16)? as usize },
        16 => {
            let len = u32_at(body, 16)? as usize;
            Ask::Write { offset: at(BODY + 8)?, bytes: body.get(40..40 + len)? }
        }
        18 | 20 | 25 | 38 => Ask::Done,
        26 => Ask::Init,
        _ => Ask::Other,
    };
    Some((at(8)?, ask))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// What stands in front of an answer of `len` bytes to this request, or of an error.
pub fn header(number: u64, len: usize, error: i32) -> [u8; 16] {
    let mut header = [0; 16];
    header[..4].copy_from_slice(&(16 + len as u32).to_ne_bytes());
    header[4..8].copy_from_slice(&(-error).to_ne_bytes());
    header[8..].copy_from_slice(&number.to_ne_bytes());
    header
}

/// How requests are to come.
pub fn init() -> Vec<u8> {
    let flags = ASYNC_READ | BIG_WRITES | ASYNC_DIO | MAX_PAGES;
    let [major, minor] = VERSION;
    let mut answer = Vec::new();
    // Nothing is read ahead here: that is for who reads the disk.
    [major, minor, 0, flags].iter().for_each(|word| answer.extend(word.to_ne_bytes()));
    [AT_A_TIME, AT_A_TIME].iter().for_each(|half| answer.extend(half.to_ne_bytes()));
    [LARGEST_WRITE, 1].iter().for_each(|word| answer.extend(word.to_ne_bytes()));
    answer.extend(PAGES.to_ne_bytes());
    answer.resize(64, 0);
    answer
}

/// A regular file of this size, which root may read and write.
pub fn attributes(size: u64) -> Vec<u8> {
    let mut answer = Vec::new();
    // How long they are valid; inode, size, blocks, three times.
    [VALID, 0, 1, size, size / 512, 0, 0, 0].iter().for_each(|n| answer.extend(n.to_ne_bytes()));
    // Nanoseconds of those times, mode, links, owners, device, block size, flags.
    let rest = [0, 0, 0, 0o100_600, 1, 0, 0, 0, 4096, 0_u32];
    rest.iter().for_each(|word| answer.extend(word.to_ne_bytes()));
    answer
}

/// The file is open.
pub fn open() -> Vec<u8> {
    let mut answer = vec![0; 16];
    answer[8..12].copy_from_slice(&(DIRECT_IO | PARALLEL_DIRECT_WRITES).to_ne_bytes());
    answer
}

/// So much was written.
pub fn written(len: usize) -> Vec<u8> {
    [len as u32, 0].iter().flat_map(|word| word.to_ne_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(opcode: u32, body: &[u64]) -> Vec<u8> {
        let mut bytes = vec![0; 40];
        bytes[4..8].copy_from_slice(&opcode.to_ne_bytes());
        bytes[8] = 77;
        body.iter().for_each(|word| bytes.extend(word.to_ne_bytes()));
        bytes
    }

    #[test]
    fn requests_are_understood() {
        let read = bytes(15, &[1, 4096, 8192, 0, 0]);
        assert_eq!(request(&read), Some((77, Ask::Read { offset: 4096, len: 8192 })));
        let write = bytes(16, &[1, 512, 8, 0, 0, u64::MAX]);
        assert_eq!(request(&write), Some((77, Ask::Write { offset: 512, bytes: &[0xFF; 8] })));
        assert_eq!(request(&write[..write.len() - 1]), None);
        assert_eq!(request(&bytes(20, &[])), Some((77, Ask::Done)));
        assert_eq!(request(&bytes(45, &[])), Some((77, Ask::Other)));
    }

    #[test]
    fn answers_are_as_long_as_the_kernel_wants_them() {
        let lens = [init().len(), attributes(1).len(), open().len(), written(1).len()];
        assert_eq!(lens, [64, 104, 16, 8]);
        assert_eq!(header(1, 8, 0)[..4], 24_u32.to_ne_bytes());
        assert_eq!(header(1, 8, 0)[4..8], [0; 4]);
        assert_eq!(header(1, 0, 38)[4..8], (-38_i32).to_ne_bytes());
    }
}
