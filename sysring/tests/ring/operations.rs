//! The table of operations.

use std::collections::BTreeMap;

use sysring::op;
use sysring::sys::abi::io_uring::op::COUNT;

/// Every builder, by its code.
const BUILDERS: [(u8, &str); COUNT] = [
    (op::Nop::CODE, "NOP"),
    (op::ReadV::CODE, "READV"),
    (op::WriteV::CODE, "WRITEV"),
    (op::Fsync::CODE, "FSYNC"),
    (op::ReadFixed::CODE, "READ_FIXED"),
    (op::WriteFixed::CODE, "WRITE_FIXED"),
    (op::PollAdd::CODE, "POLL_ADD"),
    (op::PollRemove::CODE, "POLL_REMOVE"),
    (op::SyncFileRange::CODE, "SYNC_FILE_RANGE"),
    (op::SendMsg::CODE, "SENDMSG"),
    (op::RecvMsg::CODE, "RECVMSG"),
    (op::Timeout::CODE, "TIMEOUT"),
    (op::TimeoutRemove::CODE, "TIMEOUT_REMOVE"),
    (op::Accept::CODE, "ACCEPT"),
    (op::AsyncCancel::CODE, "ASYNC_CANCEL"),
    (op::LinkTimeout::CODE, "LINK_TIMEOUT"),
    (op::Connect::CODE, "CONNECT"),
    (op::Fallocate::CODE, "FALLOCATE"),
    (op::OpenAt::CODE, "OPENAT"),
    (op::Close::CODE, "CLOSE"),
    (op::FilesUpdate::CODE, "FILES_UPDATE"),
    (op::Statx::CODE, "STATX"),
    (op::Read::CODE, "READ"),
    (op::Write::CODE, "WRITE"),
    (op::Fadvise::CODE, "FADVISE"),
    (op::Madvise::CODE, "MADVISE"),
    (op::Send::CODE, "SEND"),
    (op::Recv::CODE, "RECV"),
    (op::OpenAt2::CODE, "OPENAT2"),
    (op::EpollCtl::CODE, "EPOLL_CTL"),
    (op::Splice::CODE, "SPLICE"),
    (op::ProvideBuffers::CODE, "PROVIDE_BUFFERS"),
    (op::RemoveBuffers::CODE, "REMOVE_BUFFERS"),
    (op::Tee::CODE, "TEE"),
    (op::Shutdown::CODE, "SHUTDOWN"),
    (op::RenameAt::CODE, "RENAMEAT"),
    (op::UnlinkAt::CODE, "UNLINKAT"),
    (op::MkdirAt::CODE, "MKDIRAT"),
    (op::SymlinkAt::CODE, "SYMLINKAT"),
    (op::LinkAt::CODE, "LINKAT"),
    (op::MsgRing::CODE, "MSG_RING"),
    (op::FsetXattr::CODE, "FSETXATTR"),
    (op::SetXattr::CODE, "SETXATTR"),
    (op::FgetXattr::CODE, "FGETXATTR"),
    (op::GetXattr::CODE, "GETXATTR"),
    (op::Socket::CODE, "SOCKET"),
    (op::UringCmd::CODE, "URING_CMD"),
    (op::SendZc::CODE, "SEND_ZC"),
    (op::SendMsgZc::CODE, "SENDMSG_ZC"),
    (op::ReadMultishot::CODE, "READ_MULTISHOT"),
    (op::WaitId::CODE, "WAITID"),
    (op::FutexWait::CODE, "FUTEX_WAIT"),
    (op::FutexWake::CODE, "FUTEX_WAKE"),
    (op::FutexWaitV::CODE, "FUTEX_WAITV"),
    (op::FixedFdInstall::CODE, "FIXED_FD_INSTALL"),
    (op::Ftruncate::CODE, "FTRUNCATE"),
    (op::Bind::CODE, "BIND"),
    (op::Listen::CODE, "LISTEN"),
    (op::RecvZc::CODE, "RECV_ZC"),
    (op::EpollWait::CODE, "EPOLL_WAIT"),
    (op::ReadVFixed::CODE, "READV_FIXED"),
    (op::WriteVFixed::CODE, "WRITEV_FIXED"),
    (op::Pipe::CODE, "PIPE"),
    (op::Nop128::CODE, "NOP128"),
    (op::UringCmd128::CODE, "URING_CMD128"),
];

#[test]
fn each_operation_has_its_builder_and_its_name() {
    let by_code: BTreeMap<u8, &str> = BUILDERS.into_iter().collect();
    assert_eq!(by_code.len(), COUNT);
    for (code, name) in by_code {
        assert_eq!(op::name(code).to_string(), name);
    }
    assert_eq!(op::name(COUNT as u8).to_string(), format!("operation {COUNT}"));
}

/// What the documentation of each builder says, by the name of its operation.
fn documentation() -> BTreeMap<String, String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/op");
    let mut said = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for block in text.split("operation! {").skip(1) {
            let Some((head, _)) = block.split_once("\n}") else { continue };
            let Some((docs, code)) = head.rsplit_once(" = ") else { continue };
            said.insert(code.trim().to_owned(), docs.to_owned());
        }
        // Those whose entries are large are no macro's.
        for (at, marker) in text.match_indices("CODE: u8 = abi::op::") {
            let code = text[at + marker.len()..].split(';').next().unwrap();
            let name = text[..at].rsplit_once("\nimpl ").unwrap().1.split(' ').next().unwrap();
            let (before, _) = text.split_once(&format!("pub struct {name}(")).unwrap();
            let docs = before.rsplit("\n\n").next().unwrap().to_owned();
            said.entry(code.to_owned()).or_insert(docs);
        }
    }
    said
}

/// The kernel version in a builder's documentation is that of the engine's table.
#[test]
fn each_builder_says_since_when() {
    let said = documentation();
    let since = |name: &str| {
        let words = said[name].replace("\n    ///", "").replace("\n///", "");
        let (_, since) = words.split_once("(Linux ").unwrap_or_else(|| panic!("{name}"));
        since.split([')', ';', ',']).next().unwrap().trim().to_owned()
    };
    for (_, name) in BUILDERS {
        assert!(since(name).contains('.'), "{name}: {}", since(name));
    }
    for row in sysring_engine::op::table::ROWS.iter().flatten() {
        assert_eq!(since(row.name), row.since, "{}", row.name);
    }
}

/// Each family, which is a file, shows how it is used.
#[test]
fn each_family_has_an_example() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/op");
    let mut families = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        if text.contains("operation! {\n") {
            assert!(text.contains("    /// let mut ring = Ring::new(8)?;\n"), "{}", path.display());
            families += 1;
        }
    }
    assert!(families >= 19, "{families}");
}
